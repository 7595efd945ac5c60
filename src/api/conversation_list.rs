//! The live list of conversations.

use std::sync::Arc;

use crate::SampanError;
use crate::model::Count;
use crate::runtime::LiveList;
use crate::views::{ListOptions, ListUpdate, Version};

/// A live window over a client's conversations, from the top of an order.
///
/// `next` gives the changes. The view lives until `end`, until its last handle is dropped, or until the client
/// signs out. The view keeps neither the client nor the engine alive. Every method may be called from any thread,
/// the main thread included.
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
    /// Waits until the list has another version than `have`, and answers the edits from that version to the newest
    /// one. Zero is the version of a caller without a window. The call answers at once when there is a newer
    /// version, and waits while the app is in the background. Any number of callers may wait, each with a version
    /// of its own, and a cancelled call loses nothing. None when the view has ended.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<ListUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Makes the window larger by `limit` rows, at most 500, and answers how many rows came.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 50))]
    pub async fn load_more(&self, limit: u32) -> Result<Count, SampanError> {
        self.live.load_more(limit).await
    }

    /// Changes the filter or the order of the list. The next update is a reset.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a condition that can't be used, and for a text that is no id.
    pub fn show(&self, options: ListOptions) -> Result<(), SampanError> {
        self.live.show(options)
    }

    /// Ends the view: calls that wait in `next` return none.
    pub fn end(&self) {
        self.live.end();
    }
}
