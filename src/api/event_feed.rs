//! Every event of a client, numbered.

use std::sync::Arc;

use crate::SampanError;
use crate::runtime::{EventBatch, Feed};

/// Every event of one client from the moment the feed was made, each with a number: for bots, bridges
/// and analytics, which must not miss one. Screens follow views instead.
///
/// The feed keeps events until `next` names their number, at most 8,192; older ones go then, and
/// `missed` counts them. The numbers are those of this feed: the first event has number one. One
/// program takes from a feed; another one makes a feed of its own.
#[derive(Debug, uniffi::Object)]
pub struct EventFeed {
    feed: Arc<Feed>,
}

impl EventFeed {
    pub(super) const fn new(feed: Arc<Feed>) -> Self {
        Self { feed }
    }
}

impl Drop for EventFeed {
    fn drop(&mut self) {
        self.feed.close();
    }
}

#[uniffi::export]
impl EventFeed {
    /// Waits for events after a number, and answers up to `limit` of them, at most 1,024; zero is the
    /// number of a caller that has none yet. The events up to the number are let go; the others stay, so a call that
    /// is cancelled loses nothing. None when the feed has ended: by `end`, when the client signed out, or when the
    /// engine was shut down and everything was taken.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    #[uniffi::method(default(limit = 256))]
    pub async fn next(&self, after: u64, limit: u32) -> Result<Option<EventBatch>, SampanError> {
        Ok(self.feed.next(after, limit).await)
    }

    /// Ends the feed: those who wait in `next` are given none.
    pub fn end(&self) {
        self.feed.close();
    }
}
