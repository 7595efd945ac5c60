//! What a file is: its kind and its MIME type. Pure functions over names and bytes.
//!
//! | file | what it holds |
//! |---|---|
//! | `names.rs` | MIME types by the endings of names |

mod names;

pub(crate) use names::{kind_of, mime_of};

/// What is known of a file that is sent.
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
}
