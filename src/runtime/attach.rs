//! A client on its way into the loop ([`ClientSetup`]) and out of it ([`DetachedClient`]): its store, the
//! writer of its commits ([`StoreWriter`]), and the app's wishes.
//!
//! The engine gives a store's writer; the simulator gives a writer that it can break.

use crate::Limits;
use crate::model::{ClientId, ConversationId, DeviceTag, SessionState, Timestamp};
use crate::store::{Batch, Commit, CommitClass, OpenReport, Store, StoreError, Tended};
use crate::sync::{SignIn, Signing};

/// Takes a client's commits: the store's writer, or a simulator's wrapper around it.
pub trait StoreWriter {
    /// StoreWriter a batch, as [`crate::store::Writer::commit`] does.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::Writer::commit`].
    fn commit(&mut self, batch: Batch, class: CommitClass) -> Result<Commit, StoreError>;

    /// Makes the commits so far durable, as [`crate::store::Writer::sync`] does.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::Writer::sync`].
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Tries whether the disk takes writes again, as [`crate::store::Writer::probe`] does.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::Writer::probe`].
    fn probe(&mut self, wall: Timestamp) -> Result<OpenReport, StoreError>;

    /// True if a commit waits for the disk.
    fn is_dirty(&self) -> bool;

    /// True if the store is larger than it should be, as [`crate::store::Writer::wants_tending`].
    fn wants_tending(&self) -> bool {
        false
    }

    /// True if the store is over its budget, as [`crate::store::Writer::is_over_budget`].
    fn is_over_budget(&self) -> bool {
        false
    }

    /// Does a little about the store's size, as [`crate::store::Writer::tend`] does.
    ///
    /// # Errors
    ///
    /// Those of [`crate::store::Writer::tend`].
    fn tend(&mut self, _in_view: &[ConversationId]) -> Result<Tended, StoreError> {
        Ok(Tended::Done)
    }

    /// Has the store compacted by tending, as [`crate::store::Writer::want_compaction`] does.
    fn want_compaction(&mut self) {}

    /// True if the compaction that was asked for is not done yet.
    fn wants_compaction(&self) -> bool {
        false
    }

    /// The most bytes that the store should take, as [`crate::store::Writer::set_disk_budget`].
    fn set_disk_budget(&mut self, _bytes: Option<u64>) {}
}

/// A client that is about to take part in the loop.
#[derive(Debug)]
pub struct ClientSetup<W> {
    /// The client's id.
    pub client: ClientId,
    /// The device's tag: of the devices that share a tag, one is signed in at a time.
    pub tag: Option<DeviceTag>,
    /// The id of this device that the app chose.
    pub device_id: Option<String>,
    /// The signing of operations: by the app's server, or none.
    pub signing: Signing,
    /// Paces and limits.
    pub limits: Limits,
    /// The app's wishes from before, if the client took part before.
    pub wishes: Wishes,
    /// The client's store, to read from.
    pub store: Store,
    /// The writer of the client's commits.
    pub writer: W,
}

/// A client that left the loop: the app's wishes, the store and its writer.
#[derive(Debug)]
pub struct DetachedClient<W> {
    /// The client's id.
    pub client: ClientId,
    /// The app's wishes, for the next machine.
    pub wishes: Wishes,
    /// The client's store. It is dropped before the writer, which may hold the folder.
    pub store: Store,
    /// The writer of the client's commits.
    pub writer: W,
}

/// The app's last wishes, for the next machine.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The wish to be online; none for offline.
    pub online: Option<SignIn>,
    /// The conversation that the user looks at.
    pub focus: Option<ConversationId>,
}

impl Wishes {
    /// Adapts the wishes to a session's state: a session that was open comes back by itself, a session that was
    /// ended does not.
    pub(super) fn follow(&mut self, state: &SessionState) {
        match state {
            SessionState::Open => self.online = self.online.map(|_| SignIn::Yield),
            SessionState::Ended { .. } => self.online = None,
            SessionState::Opening | SessionState::Closed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_was_open_comes_back_without_taking_another_devices_place() {
        let mut wishes = Wishes {
            online: Some(SignIn::TakeOver),
            focus: None,
        };
        for state in [SessionState::Opening, SessionState::Closed] {
            wishes.follow(&state);
            assert_eq!(wishes.online, Some(SignIn::TakeOver), "{state:?}");
        }
        wishes.follow(&SessionState::Open);
        assert_eq!(wishes.online, Some(SignIn::Yield));
    }
}
