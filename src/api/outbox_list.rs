//! All that is unsent, live.

use std::sync::Arc;

use crate::SampanError;
use crate::runtime::LiveOutbox;
use crate::views::{OutboxUpdate, Version};

/// A live list of a client's unsent work over all its conversations, in the order of enqueueing: why each
/// piece waits or failed, how often it was tried, when it is tried next.
///
/// `next` tells what changed. The view lives until `end`, until its last handle is dropped, or until
/// the client signs out; it keeps neither the client nor the engine alive. Everything may be called
/// from any thread, the main thread included.
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
    /// Waits until the list shows something else than at a version, and answers the edits that lead from
    /// there to the newest one; zero is the version of a caller that has nothing yet. It answers at once when there
    /// is a newer one. Any number may wait, each with a version of its own; a call that is cancelled loses nothing.
    /// None when the view has ended. While the app is in the background it waits.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<OutboxUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Ends the view: those who wait in `next` are given none.
    pub fn end(&self) {
        self.live.end();
    }
}
