//! Events: everything that Sampan tells observers.

use super::{
    ClientId, CommitSeq, ConnectionFailure, ConnectionState, ConversationId, ConversationInfo,
    Json, LocalId, MembersNotice, Message, MessageId, OutboxEntry, OutboxEntryId, Presence,
    SessionState,
};

use crate::StoreTrouble;

/// One event. Events of one client come in the order of its commits.
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
    /// An attempt to connect failed, or the connection broke. The next state tells the time of the next try.
    /// `Engine.connection_failure` keeps the reason.
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
    /// A conversation made offline has got the service's id; the old id stays valid.
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
    /// A conversation was removed from this device.
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
    /// A message was removed: an unsent one was discarded, or a stored one was removed.
    MessageRemoved {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that removed it.
        seq: CommitSeq,
        /// The conversation of the message.
        conversation: ConversationId,
        /// The message's id, if the service had given one.
        id: Option<MessageId>,
        /// The message's local id, if this device made the message.
        local_id: Option<LocalId>,
    },
    /// The members of a conversation changed. The list of members shows the change already.
    MembersChanged {
        /// The client that the event is for.
        client: ClientId,
        /// The commit that holds the change.
        seq: CommitSeq,
        /// The change: of which members, by whom and when.
        notice: MembersNotice,
    },
    /// A transient message arrived. The store does not keep it.
    TransientMessage {
        /// The receiver.
        client: ClientId,
        /// The message.
        message: Message,
    },
    /// The service reported the presence of a watched client: after it confirms the watch, on each new
    /// connection, and whenever the client goes online or offline. The store does not keep it.
    PresenceChanged {
        /// The watching client.
        client: ClientId,
        /// The watched client.
        peer: ClientId,
        /// The new presence.
        presence: Presence,
    },
    /// The app sent an event by `Client.emit`. The store does not keep it, and no other client gets it.
    Emitted {
        /// The client of the call.
        client: ClientId,
        /// The name of the event.
        name: String,
        /// The value of the event.
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
        /// The new health.
        health: StoreHealth,
    },
    /// The observer was too slow and missed events: read the screens again.
    Lagged {
        /// The number of missed events.
        missed: u64,
    },
}

impl Event {
    /// The conversation of the event, by its id at that commit; none for an event of no single conversation.
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

/// The kinds of events; a feed can be limited to some kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
#[non_exhaustive]
pub enum EventKind {
    /// The connection changed, or an attempt to connect failed.
    Connection,
    /// The client's session changed.
    Session,
    /// A conversation is new or changed, has another id, or is gone.
    Conversation,
    /// A message is new on this device.
    MessageAdded,
    /// A message changed, for any reason; receipts are included.
    MessageChanged,
    /// An own message was received or read by another member.
    Receipt,
    /// A message was removed.
    MessageRemoved,
    /// A client joined or left a conversation, or got another role there.
    Members,
    /// A transient message arrived.
    TransientMessage,
    /// A client went online or offline.
    Presence,
    /// An outbox entry is new, changed, or done.
    Outbox,
    /// The store stopped taking writes, or takes them again.
    StoreHealth,
    /// The app sent an event by `Client.emit`.
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

/// The ability of a store to take writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum StoreHealth {
    /// The store takes writes.
    #[default]
    Good,
    /// The store can only be read: the disk is full, the folder is not writable, or the device failed. Sampan
    /// tests the disk with growing pauses, and writes again when writing works.
    ReadOnly {
        /// The kind of trouble.
        trouble: StoreTrouble,
        /// The words of the operating system.
        reason: String,
    },
}
