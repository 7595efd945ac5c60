//! How far an own message got, and what holds it up.

use crate::model::{ConversationState, OutboxState};
use crate::store::{ConversationRow, Entry};

/// Why unsent work is not on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum Blocker {
    /// The client is not signed in.
    Offline,
    /// The store takes no writes: nothing is sent that could not be noted.
    Store,
    /// Its conversation has to be made first, and that waits or failed.
    Creation,
    /// It waits for its turn: for what was enqueued before it, or because the service allows so much
    /// in a minute.
    Turn,
}

/// What keeps a client from sending at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The client is not signed in.
    #[default]
    Offline,
    /// The store takes no writes.
    ReadOnly,
    /// Nothing.
    Online,
}

impl Blocker {
    /// What holds an entry up; none when it is on its way or failed.
    #[must_use]
    pub fn of(entry: &Entry, row: &ConversationRow, reach: Reach) -> Option<Self> {
        if entry.state != OutboxState::Queued {
            return None;
        }
        Some(match reach {
            Reach::ReadOnly => Self::Store,
            Reach::Offline => Self::Offline,
            Reach::Online if row.state == ConversationState::Live => Self::Turn,
            Reach::Online => Self::Creation,
        })
    }
}
