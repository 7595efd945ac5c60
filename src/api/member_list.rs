//! The live list of a conversation's members.

use std::sync::Arc;

use crate::SampanError;
use crate::model::Count;
use crate::runtime::LiveMembers;
use crate::views::{MemberUpdate, Version};

/// A live window over the members of a conversation, or over its silenced or blocked clients.
///
/// `next` gives the changes. The view lives until `end`, until its last handle is dropped, or until the client
/// signs out. The view keeps neither the client nor the engine alive. Every method may be called from any thread,
/// the main thread included.
#[derive(Debug, uniffi::Object)]
pub struct MemberList {
    live: Arc<LiveMembers>,
}

impl MemberList {
    pub(super) const fn new(live: Arc<LiveMembers>) -> Self {
        Self { live }
    }
}

impl Drop for MemberList {
    fn drop(&mut self) {
        self.live.end();
    }
}

#[uniffi::export]
impl MemberList {
    /// Waits until the list has another version than `have`, and answers the edits from that version to the newest
    /// one. Zero is the version of a caller without a window. The call answers at once when there is a newer
    /// version, and waits while the app is in the background. Any number of callers may wait, each with a version
    /// of its own, and a cancelled call loses nothing. None when the view has ended.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<MemberUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Makes the window larger by `limit` rows, at most 500, and answers how many rows came.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 100))]
    pub async fn load_more(&self, limit: u32) -> Result<Count, SampanError> {
        self.live.load_more(limit).await
    }

    /// Asks the service for all clients of the list, and stores them; the list then shows them. For a list of
    /// members the call asks for the members and their roles, for the other lists for all silenced or blocked
    /// clients. Roles come over the service's REST interface. Without its address the list shows the roles from the
    /// changes that this device received.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `StoreUnavailable`; `ViewEnded`; `SignedOut`, `ShutDown`.
    pub async fn refresh(&self) -> Result<(), SampanError> {
        self.live.ask().await
    }

    /// Ends the view: calls that wait in `next` return none.
    pub fn end(&self) {
        self.live.end();
    }
}
