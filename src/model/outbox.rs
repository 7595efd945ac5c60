//! The outbox as an app sees it: work that the service has not acknowledged.

use super::{ConversationId, LocalId, Refusal, SendFailure, Timestamp};

/// One unsent piece of work.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct OutboxEntry {
    /// Its place in the order of enqueueing; unique in a client's store.
    pub id: OutboxEntryId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The kind of work.
    pub kind: OutboxKind,
    /// The local id of the message it makes, if it makes one.
    pub local_id: Option<LocalId>,
    /// When it was enqueued, by this device's clock.
    pub enqueued_at: Timestamp,
    /// How often it was sent, or refused before it left.
    pub tries: u32,
    /// Where it stands.
    pub state: OutboxState,
}

/// A refusal of the service for the time being.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ServiceRefusal {
    /// The sort of refusal.
    pub refusal: Refusal,
    /// The service's number, listed in `docs/wire.md`.
    pub code: i32,
    /// The service's name of the number.
    pub reason: String,
}

/// The number of an outbox entry: numbers grow in the order of enqueueing and are never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxEntryId(pub u64);

/// The work of an outbox entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum OutboxKind {
    /// Makes a conversation.
    Create,
    /// Sends a message.
    Send,
    /// Changes what a message says.
    Edit,
    /// Takes a message back.
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
    /// Blocks clients: they are removed and cannot come in.
    Block,
    /// Unblocks clients.
    Unblock,
    /// Silences members: they may read and not send.
    Silence,
    /// Lets silenced members send again.
    Unsilence,
    /// Gives a member another role.
    SetRole,
}

/// Where an outbox entry stands.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum OutboxState {
    /// Waits for its turn.
    Queued,
    /// Sent, and not answered yet.
    InFlight,
    /// Failed for good: it waits for the app to retry or discard it and blocks nothing.
    Failed {
        /// The reason.
        failure: SendFailure,
    },
}
