//! The work of a crawl.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::pace::Limits;

/// The work of a crawl.
#[derive(Clone, Debug)]
pub struct CrawlOptions {
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
    /// Follows new messages, asking this often.
    pub follow: Option<Duration>,
}
