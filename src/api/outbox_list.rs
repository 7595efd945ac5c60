//! The live list of unsent work.

use std::sync::Arc;

use crate::SampanError;
use crate::runtime::LiveOutbox;
use crate::views::{OutboxUpdate, Version};

/// A live list of a client's unsent work over all its conversations, in the order of enqueueing. A row has the
/// reason why its entry waits or failed, the number of tries, and the time of the next try.
///
/// `next` gives the changes. The view lives until `end`, until its last handle is dropped, or until the client
/// signs out. The view keeps neither the client nor the engine alive. Every method may be called from any thread,
/// the main thread included.
#[derive(Debug, uniffi::Object)]
pub struct OutboxList {
    live: Arc<LiveOutbox>,
}

impl OutboxList {
    pub(super) const fn new(live: Arc<LiveOutbox>) -> Self {
        Self { live }
    }
}

impl Drop for OutboxList {
    fn drop(&mut self) {
        self.live.end();
    }
}

#[uniffi::export]
impl OutboxList {
    /// Waits until the list has another version than `have`, and answers the edits from that version to the newest
    /// one. Zero is the version of a caller without a window. The call answers at once when there is a newer
    /// version, and waits while the app is in the background. Any number of callers may wait, each with a version
    /// of its own, and a cancelled call loses nothing. None when the view has ended.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<OutboxUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Ends the view: calls that wait in `next` return none.
    pub fn end(&self) {
        self.live.end();
    }
}
