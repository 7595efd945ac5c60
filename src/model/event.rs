//! Events: everything that an observer can be told.

use super::{
    ClientId, CommitSeq, ConnectionFailure, ConnectionState, ConversationId, ConversationInfo,
    Json, LocalId, MembersNotice, Message, MessageId, OutboxEntry, OutboxEntryId, Presence,
    SessionState,
};

use crate::StoreTrouble;

/// One thing that happened. Events of one client come in the order of its commits.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
#[expect(
    clippy::large_enum_variant,
    reason = "events are made once and handed over; the common ones are the large ones"
)]
pub enum Event {
    /// The engine's connection changed.
    ConnectionChanged {
        /// The new state.
        state: ConnectionState,
    },
    /// Connecting failed, or the connection broke; the state that follows tells when it is tried
    /// again. `Engine.connection_failure` remembers it.
    ConnectionFailed {
        /// The reason.
        failure: ConnectionFailure,
    },
    /// A client's session changed.
    SessionChanged {
        /// The client of the session.
        client: ClientId,
        /// The new state.
        state: SessionState,
    },
    /// A conversation is new or changed: its members, attributes, unread count or newest message.
    ConversationChanged {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The conversation as that commit left it.
        conversation: ConversationInfo,
    },
    /// A conversation made offline now has the service's id; the old id keeps resolving.
    ConversationIdAssigned {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The id this device gave it.
        local: ConversationId,
        /// The service's id.
        id: ConversationId,
    },
    /// A conversation is gone from this device.
    ConversationRemoved {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The conversation.
        conversation: ConversationId,
    },
    /// A message is new on this device: received, found in history, or just enqueued.
    MessageAdded {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that holds it.
        seq: CommitSeq,
        /// The message.
        message: Message,
    },
    /// A message changed: acknowledged, delivered, read, edited, recalled or failed.
    MessageChanged {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The message as that commit left it.
        message: Message,
    },
    /// A message is gone: an unsent one was discarded, or a stored one removed.
    MessageRemoved {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that removed it.
        seq: CommitSeq,
        /// The conversation it was in.
        conversation: ConversationId,
        /// Its id, if the service had given it one.
        id: Option<MessageId>,
        /// Its local id, if it was made on this device.
        local_id: Option<LocalId>,
    },
    /// Something happened to the members of a conversation. The list of members shows it already.
    MembersChanged {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The change: of which members, by whom and when.
        notice: MembersNotice,
    },
    /// A transient message arrived; it is not kept.
    TransientMessage {
        /// The receiver.
        client: ClientId,
        /// The message.
        message: Message,
    },
    /// The service told of a client that is watched: at first when it confirms the watching, on each new
    /// connection again, and whenever the client comes online or goes offline. Nothing of it is kept.
    PresenceChanged {
        /// The client that watches.
        client: ClientId,
        /// The client that is watched.
        peer: ClientId,
        /// The state now.
        presence: Presence,
    },
    /// The app itself sent an event: `Client.emit`. Nothing of it is kept, and nobody else hears it.
    Emitted {
        /// The client by which it was sent.
        client: ClientId,
        /// The name that the app gave it.
        name: String,
        /// The value that the app sent along.
        data: Option<Json>,
    },
    /// An outbox entry is new or changed.
    OutboxChanged {
        /// The client of the outbox.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The entry as that commit left it.
        entry: OutboxEntry,
    },
    /// An outbox entry is done: acknowledged, cancelled or discarded.
    OutboxSettled {
        /// The client of the outbox.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The entry.
        entry: OutboxEntryId,
    },
    /// A client's store stopped taking writes, or takes them again.
    StoreHealthChanged {
        /// The client of the store.
        client: ClientId,
        /// The health now.
        health: StoreHealth,
    },
    /// The observer was too slow and missed events: read again what you show.
    Lagged {
        /// How many events it missed.
        missed: u64,
    },
}

impl Event {
    /// The conversation that the event concerns, by the id of that time; none for an event of no single conversation.
    #[must_use]
    pub const fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::ConversationChanged { conversation, .. } => Some(&conversation.id),
            Self::ConversationIdAssigned { id, .. } => Some(id),
            Self::ConversationRemoved { conversation, .. }
            | Self::MessageRemoved { conversation, .. } => Some(conversation),
            Self::MessageAdded { message, .. }
            | Self::MessageChanged { message, .. }
            | Self::TransientMessage { message, .. } => Some(&message.conversation),
            Self::MembersChanged { notice, .. } => Some(&notice.conversation),
            Self::OutboxChanged { entry, .. } => Some(&entry.conversation),
            Self::ConnectionChanged { .. }
            | Self::ConnectionFailed { .. }
            | Self::SessionChanged { .. }
            | Self::PresenceChanged { .. }
            | Self::Emitted { .. }
            | Self::OutboxSettled { .. }
            | Self::StoreHealthChanged { .. }
            | Self::Lagged { .. } => None,
        }
    }

    /// The client of the event; none for an event of the engine as a whole.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientId> {
        match self {
            Self::SessionChanged { client, .. }
            | Self::ConversationChanged { client, .. }
            | Self::ConversationIdAssigned { client, .. }
            | Self::ConversationRemoved { client, .. }
            | Self::MessageAdded { client, .. }
            | Self::MessageChanged { client, .. }
            | Self::MessageRemoved { client, .. }
            | Self::MembersChanged { client, .. }
            | Self::TransientMessage { client, .. }
            | Self::PresenceChanged { client, .. }
            | Self::Emitted { client, .. }
            | Self::OutboxChanged { client, .. }
            | Self::OutboxSettled { client, .. }
            | Self::StoreHealthChanged { client, .. } => Some(client),
            Self::ConnectionChanged { .. }
            | Self::ConnectionFailed { .. }
            | Self::Lagged { .. } => None,
        }
    }
}

/// The sort of an event: a feed can be asked for some sorts alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
#[non_exhaustive]
pub enum EventKind {
    /// The connection changed, or could not be had.
    Connection,
    /// The client's session changed.
    Session,
    /// A conversation is new or changed, has another id, or is gone.
    Conversation,
    /// A message is new on this device.
    MessageAdded,
    /// A message changed, for whatever reason: receipts too.
    MessageChanged,
    /// An own message was received or read by another member.
    Receipt,
    /// A message is gone.
    MessageRemoved,
    /// Somebody came into a conversation, went, or has another role there.
    Members,
    /// A transient message arrived.
    TransientMessage,
    /// Somebody came online or went offline.
    Presence,
    /// Unsent work is new, changed, or done.
    Outbox,
    /// The store stopped taking writes, or takes them again.
    StoreHealth,
    /// The app itself sent an event.
    Emitted,
}

impl EventKind {
    /// True if an event is of this sort.
    #[must_use]
    pub const fn includes(self, event: &Event) -> bool {
        match event {
            Event::ConnectionChanged { .. } | Event::ConnectionFailed { .. } => {
                matches!(self, Self::Connection)
            }
            Event::SessionChanged { .. } => matches!(self, Self::Session),
            Event::ConversationChanged { .. }
            | Event::ConversationIdAssigned { .. }
            | Event::ConversationRemoved { .. } => matches!(self, Self::Conversation),
            Event::MessageAdded { .. } => matches!(self, Self::MessageAdded),
            Event::MessageChanged { message, .. } => match self {
                Self::Receipt => message.state.is_receipt(),
                _ => matches!(self, Self::MessageChanged),
            },
            Event::MessageRemoved { .. } => matches!(self, Self::MessageRemoved),
            Event::MembersChanged { .. } => matches!(self, Self::Members),
            Event::PresenceChanged { .. } => matches!(self, Self::Presence),
            Event::TransientMessage { .. } => matches!(self, Self::TransientMessage),
            Event::OutboxChanged { .. } | Event::OutboxSettled { .. } => {
                matches!(self, Self::Outbox)
            }
            Event::StoreHealthChanged { .. } => matches!(self, Self::StoreHealth),
            Event::Emitted { .. } => matches!(self, Self::Emitted),
            Event::Lagged { .. } => true,
        }
    }
}

/// Whether a store takes writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum StoreHealth {
    /// The store takes writes.
    #[default]
    Good,
    /// The store can only be read: the disk is full, the folder is not writable, or the device failed.
    /// Sampan probes with growing pauses and goes on by itself when writing works again.
    ReadOnly {
        /// The sort of trouble.
        trouble: StoreTrouble,
        /// The words of the operating system.
        reason: String,
    },
}
