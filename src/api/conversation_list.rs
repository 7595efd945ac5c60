//! The list of conversations, live.

use std::sync::Arc;

use crate::SampanError;
use crate::model::Count;
use crate::runtime::LiveList;
use crate::views::{ListOptions, ListUpdate, Version};

/// A live window over a client's conversations, from the top of an order.
///
/// `next` tells what changed. The view lives until `end`, until its last handle is dropped, or until
/// the client signs out; it keeps neither the client nor the engine alive. Everything may be called
/// from any thread, the main thread included.
#[derive(Debug, uniffi::Object)]
pub struct ConversationList {
    live: Arc<LiveList>,
}

impl ConversationList {
    pub(super) const fn new(live: Arc<LiveList>) -> Self {
        Self { live }
    }
}

impl Drop for ConversationList {
    fn drop(&mut self) {
        self.live.end();
    }
}

#[uniffi::export]
impl ConversationList {
    /// Waits until the list shows something else than at a version, and answers the edits that lead from
    /// there to the newest one; zero is the version of a caller that has nothing yet. It answers at once when there
    /// is a newer one. Any number may wait, each with a version of its own; a call that is cancelled loses nothing.
    /// None when the view has ended. While the app is in the background it waits.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<ListUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Makes the window larger by so many rows, at most 500, and answers how many came.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 50))]
    pub async fn load_more(&self, limit: u32) -> Result<Count, SampanError> {
        self.live.load_more(limit).await
    }

    /// Shows other conversations, or the same in another order: the update that follows is a reset.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a condition that can't be used, and for a text that is no id.
    pub fn show(&self, options: ListOptions) -> Result<(), SampanError> {
        self.live.show(options)
    }

    /// Ends the view: those who wait in `next` are given none.
    pub fn end(&self) {
        self.live.end();
    }
}
