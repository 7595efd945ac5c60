//! The properties of a file: its kind, its MIME type, its size and duration; and the erasing of the place where
//! it was taken. Pure functions over names and bytes.
//!
//! | file | what it holds |
//! |---|---|
//! | `names.rs` | MIME types by the endings of names |
//! | `probe.rs` | the facts in the bytes |
//! | `position.rs` | the place where a picture or film was taken: found, and erased |

mod names;
mod position;
mod probe;

pub(crate) use names::{is_mime, kind_of, mime_of};
pub(crate) use position::{erase, erasures};
pub(crate) use probe::{Probed, probe};

/// The known properties of a file that is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Traits {
    /// The MIME type.
    pub(crate) mime: String,
    /// The format as messages name it, such as `png`.
    pub(crate) format: Option<String>,
    /// Pixels across.
    pub(crate) width: Option<u32>,
    /// Pixels down.
    pub(crate) height: Option<u32>,
    /// Seconds.
    pub(crate) duration: Option<f64>,
    /// The MD5 of the bytes that are sent, in hexadecimal.
    pub(crate) checksum: Option<String>,
}
