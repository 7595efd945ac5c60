//! [`EventFeed`]: every event of a client, numbered.

use std::sync::Arc;

use crate::SampanError;
use crate::runtime::{EventBatch, Feed};

/// Every event of one client from the moment the feed was made, each with a number. A feed is for bots, bridges and
/// analytics, which must not miss an event. Screens use views instead.
///
/// The feed keeps an event until `next` names its number, at most 8,192 events; beyond that the oldest are dropped,
/// and `missed` counts them. The numbers belong to the feed: its first event has number one. A feed has one
/// consumer; another consumer makes a feed of its own. The feed is in memory and does not survive the process.
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
    /// Waits for events after the number `after`, and answers up to `limit` of them, at most 1,024. Zero is the
    /// number of a caller without events. The feed drops the events up to `after` and keeps the others, so a
    /// cancelled call loses nothing. None when the feed has ended: by `end`, when the client signed out, or when
    /// the engine was shut down and all events were taken.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    #[uniffi::method(default(limit = 256))]
    pub async fn next(&self, after: u64, limit: u32) -> Result<Option<EventBatch>, SampanError> {
        Ok(self.feed.next(after, limit).await)
    }

    /// Ends the feed: calls that wait in `next` return none.
    pub fn end(&self) {
        self.feed.close();
    }
}
