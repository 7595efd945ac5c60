//! Saving everything that a service has of an app, while it still answers.
//!
//! | file | what it does |
//! |---|---|
//! | `source.rs` | one page: the pace, time-outs, repeats, and what is fatal |
//! | `history.rs` | workers that read slices into segments |
//! | `tables.rs` | conversations, member infos and other tables |
//! | `check.rs` | compares single conversations with the whole, and reads what the whole leaves out |
//! | `tail.rs` | follows what is new |
//! | `attachments.rs` | the files that messages point at |
//! | `progress.rs` | bars and counts |
//! | `run.rs` | the order of all that |

mod attachments;
mod check;
mod history;
mod progress;
mod run;
mod source;
mod tables;
mod tail;

use std::path::PathBuf;
use std::time::Duration;

pub use self::attachments::{Attachment, damaged_attachments, forget_attachments, index_lines};
pub use self::progress::Progress;
pub use self::run::{Report, run};

use crate::archive::ArchiveError;
use crate::core::pace::Limits;
use crate::http::{Fatal, HttpError};

/// The work of a crawl.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the archive.
    pub archive: PathBuf,
    /// True if addresses of senders are kept.
    pub keeps_addresses: bool,
    /// The first millisecond that is wanted.
    pub since: i64,
    /// The length of a slice in milliseconds.
    pub slice_ms: i64,
    /// The number of requests on their way at once.
    pub workers: usize,
    /// The pace of requests.
    pub limits: Limits,
    /// The number of tries for a page before its slice is left for the next run.
    pub tries: u32,
    /// The first wait before a page is asked for again; it doubles each time.
    pub retry_wait: Duration,
    /// Rows younger than this may not be in the history yet.
    pub settle: Duration,
    /// Reads all of the history once more.
    pub again: bool,
    /// The tables to read.
    pub tables: Vec<String>,
    /// The share of conversations that are compared, in percent.
    pub check_percent: f64,
    /// Downloads attachments up to so many bytes each.
    pub attachments: Option<u64>,
    /// Follows what is new, asking this often.
    pub follow: Option<Duration>,
}

/// The reason why a crawl ended early. The pages that were read are in the archive.
#[derive(Debug, thiserror::Error)]
pub enum CrawlError {
    /// The archive cannot be used or written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The service cannot be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The service refuses.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// A page did not come, however often it was asked for.
    #[error("{what}: {reason} (asked {tries} times)")]
    GivenUp {
        /// The page that was asked for.
        what: String,
        /// The reason of the last failure.
        reason: String,
        /// The number of tries.
        tries: u32,
    },
    /// The service repeats itself.
    #[error("{what}: the service answers the same rows again and again")]
    Stuck {
        /// The page that was asked for.
        what: String,
    },
}

impl CrawlError {
    /// True if only the page at hand failed, and others may succeed.
    fn is_of_one_page(&self) -> bool {
        matches!(self, Self::GivenUp { .. } | Self::Stuck { .. })
    }
}
