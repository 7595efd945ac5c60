//! The reasons why a crawl ended early.

use crate::archive::ArchiveError;
use crate::http::{Fatal, HttpError};

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
    /// The service gives no answer from the start.
    #[error(
        "{address} gives no good answer ({reason}; asked {tries} times). Is it the app's own API domain, and is the \
         network up? Nothing that was saved is touched"
    )]
    NoAnswer {
        /// The address.
        address: String,
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
    pub(super) fn is_of_one_page(&self) -> bool {
        matches!(self, Self::GivenUp { .. } | Self::Stuck { .. })
    }
}
