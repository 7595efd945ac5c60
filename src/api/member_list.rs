//! The members of a conversation, live.

use std::sync::Arc;

use crate::SampanError;
use crate::model::Count;
use crate::runtime::LiveMembers;
use crate::views::{MemberUpdate, Version};

/// A live window over the members of a conversation, or over its silenced or blocked clients.
///
/// `next` tells what changed. The view lives until `end`, until its last handle is dropped, or until
/// the client signs out; it keeps neither the client nor the engine alive. Everything may be called
/// from any thread, the main thread included.
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
    /// Waits until the list shows something else than at a version, and answers the edits that lead from
    /// there to the newest one; zero is the version of a caller that has nothing yet. It answers at once when there
    /// is a newer one. Any number may wait, each with a version of its own; a call that is cancelled loses nothing.
    /// None when the view has ended. While the app is in the background it waits.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<MemberUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Makes the window larger by so many rows, at most 500, and answers how many came.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 100))]
    pub async fn load_more(&self, limit: u32) -> Result<Count, SampanError> {
        self.live.load_more(limit).await
    }

    /// Asks the service for all clients that the list shows, and stores them: the list follows. Of a list of
    /// members the members and their roles are asked for, of the others the whole list of silenced or blocked clients.
    /// Roles come over the service's REST interface: without its address they are known as far as this device heard of
    /// changes.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `StoreUnavailable`; `ViewEnded`; `SignedOut`; `ShutDown`.
    pub async fn refresh(&self) -> Result<(), SampanError> {
        self.live.ask().await
    }

    /// Ends the view: those who wait in `next` are given none.
    pub fn end(&self) {
        self.live.end();
    }
}
