//! The outbox as an app sees it: work that the service has not acknowledged.

use super::{ConversationId, LocalId, Refusal, SendFailure, Timestamp};

/// One piece of unsent work.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct OutboxEntry {
    /// The entry's place in the order of enqueueing; unique in a client's store.
    pub id: OutboxEntryId,
    /// The conversation of the work.
    pub conversation: ConversationId,
    /// The kind of work.
    pub kind: OutboxKind,
    /// The local id of the entry's message; none if the entry makes no message.
    pub local_id: Option<LocalId>,
    /// The time of the enqueueing, by this device's clock.
    pub enqueued_at: Timestamp,
    /// The number of times that the entry was sent, or refused before it left.
    pub tries: u32,
    /// The state of the entry.
    pub state: OutboxState,
}

/// A refusal of the service that will pass.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ServiceRefusal {
    /// The kind of refusal.
    pub refusal: Refusal,
    /// The service's code, listed in `docs/wire.md`.
    pub code: i32,
    /// The service's name of the code.
    pub reason: String,
}

/// The number of an outbox entry. Numbers grow in the order of enqueueing and are never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxEntryId(pub u64);

/// The work of an outbox entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum OutboxKind {
    /// Makes a conversation.
    Create,
    /// Sends a message.
    Send,
    /// Edits a message.
    Edit,
    /// Recalls a message.
    Recall,
    /// Marks a conversation read.
    Read,
    /// Changes the name or the attributes of a conversation.
    Details,
    /// Mutes a conversation for this client.
    Mute,
    /// Unmutes a conversation for this client.
    Unmute,
    /// Joins a conversation.
    Join,
    /// Leaves a conversation.
    Quit,
    /// Adds members to a conversation.
    AddMembers,
    /// Removes members from a conversation.
    RemoveMembers,
    /// Blocks clients: they are removed and cannot join.
    Block,
    /// Unblocks clients.
    Unblock,
    /// Silences members: they can read and cannot send.
    Silence,
    /// Lets silenced members send again.
    Unsilence,
    /// Gives a member another role.
    SetRole,
}

/// The state of an outbox entry.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum OutboxState {
    /// The entry waits for its turn.
    Queued,
    /// The entry was sent and is not answered yet.
    InFlight,
    /// The entry failed for good. It waits for the app to retry or discard it, and other entries do not wait
    /// for it.
    Failed {
        /// The reason.
        failure: SendFailure,
    },
}
