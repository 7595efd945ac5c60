//! The answers to the calls of an app.

use crate::Secret;
use crate::model::{
    ConversationId, ConversationInfo, Discarded, Json, LocalId, Message, OutboxEntryId,
};

/// The call is done, or will be done without further word.
#[derive(Clone, Debug, PartialEq)]
pub struct Done;

/// The creation is durable in the outbox, or there was such a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// Its id: a local one that keeps resolving when the service's takes over.
    pub conversation: ConversationId,
    /// The outbox entry; none when the conversation existed on this device.
    pub entry: Option<OutboxEntryId>,
}

/// The message is durable in the outbox; or it is transient, and the service has taken it.
#[derive(Clone, Debug, PartialEq)]
pub struct Enqueued {
    /// Its outbox entry. A message that was sent before and a transient message have none.
    pub entry: Option<OutboxEntryId>,
    /// Its local id.
    pub local_id: LocalId,
    /// The local echo.
    pub message: Message,
    /// The number of times that it was tried, while it is unsent.
    pub tries: u32,
}

/// The discarded unsent work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscardedMessage {
    /// The possible arrival of the message at others.
    pub discarded: Discarded,
}

/// The imported intents are durable in the outbox, or were before.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The number of intents that were not known before.
    pub imported: u32,
    /// The tokens of the intents that the outbox has no room for.
    pub left: Vec<LocalId>,
}

/// The page is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryFetched {
    /// The number of its messages that were not on this device before.
    pub added: u32,
    /// True if the conversation has nothing older.
    pub start_reached: bool,
}

/// The messages that were found, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct MessagesFound {
    /// The messages.
    pub messages: Vec<Message>,
}

/// The conversations are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationsFetched {
    /// The conversations that the service knows.
    pub found: Vec<ConversationId>,
}

/// The attribute is changed.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeChanged {
    /// The attribute's value after the change, if the service told it.
    pub value: Option<Json>,
}

/// The conversations, in the order of the query.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationsFound {
    /// The conversations, as the service told of them.
    pub conversations: Vec<ConversationInfo>,
}

/// The number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The number.
    pub count: u32,
}

/// The session token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The token.
    pub token: Secret,
}
