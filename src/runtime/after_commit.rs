//! [`AfterCommit`]: answers, frames and events that are due once a client's commit succeeded or failed.

use super::marks::Touched;
use crate::SampanError;
use crate::model::{CommitSeq, Event, SessionState, StoreHealth};
use crate::sync::link::{LinkRequest, LinkWish};
use crate::sync::{Effect, Reply, RequestError, RequestId};
use crate::views::{Holds, SyncState, Typing};

/// The work after a commit that succeeded, or after one that failed, in this order.
pub(super) struct AfterCommit<C> {
    /// Readable state: a caller that has its answer may ask for it at once, so it comes first.
    pub(super) session: Option<SessionState>,
    pub(super) health: Option<StoreHealth>,
    pub(super) sync: Option<SyncState>,
    /// The entries that are kept back although the client is signed in, if they changed.
    pub(super) holds: Option<Holds>,
    /// The clients that write, by conversation, if that changed.
    pub(super) typing: Option<Typing>,
    /// The parts of the store that the commit changed.
    pub(super) committed: Touched,
    /// The commit's number.
    pub(super) seq: CommitSeq,
    /// The machine's answers to extension inboxes.
    pub(super) imported: Vec<(RequestId, Result<Reply, RequestError>)>,
    /// The reason why the extension inbox can't be imported now.
    pub(super) not_imported: Option<SampanError>,
    /// The outcome of a compaction that the app asked for.
    pub(super) compacted: Option<Result<(), SampanError>>,
    pub(super) answers: Vec<(C, Result<Reply, SampanError>)>,
    pub(super) requests: Vec<LinkRequest>,
    pub(super) effects: Vec<Effect>,
    pub(super) wish: Option<LinkWish>,
    pub(super) events: Vec<Event>,
}

impl<C> Default for AfterCommit<C> {
    fn default() -> Self {
        Self {
            session: None,
            health: None,
            sync: None,
            holds: None,
            typing: None,
            committed: Touched::Nothing,
            seq: CommitSeq(0),
            imported: Vec::new(),
            not_imported: None,
            compacted: None,
            answers: Vec::new(),
            requests: Vec::new(),
            effects: Vec::new(),
            wish: None,
            events: Vec::new(),
        }
    }
}
