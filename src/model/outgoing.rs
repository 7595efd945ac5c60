//! Requests of an app: a conversation to make, a message to send.

use std::fmt;
use std::time::Duration;

use super::{
    ClientId, ConversationId, ConversationKind, Json, LocalId, Mentions, MessageContent, MessageId,
    MessageKey, Timestamp,
};

/// A conversation to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct NewConversation {
    /// Its kind. `Service` conversations are made by the app's server alone.
    pub kind: ConversationKind,
    /// The members besides the client that makes the conversation; empty for chat rooms.
    #[uniffi(default)]
    pub members: Vec<ClientId>,
    /// Its name.
    #[uniffi(default)]
    pub name: Option<String>,
    /// The app's own attributes: a JSON object.
    #[uniffi(default)]
    pub attributes: Option<Json>,
    /// Whether an existing conversation with the same members will do.
    pub uniqueness: Uniqueness,
    /// How long a temporary conversation shall live; none for the service's default.
    #[uniffi(default)]
    pub lifetime: Option<Duration>,
}

/// Whether an existing conversation with the same members will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Uniqueness {
    /// One conversation per set of members: the existing one is returned, as it is.
    #[default]
    Unique,
    /// A new one every time.
    Separate,
}

/// A message that an app got by another way than the engine, such as from a push.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ForeignMessage {
    /// The conversation that it is in; this device must know it.
    pub conversation: ConversationId,
    /// The service's id of the message.
    pub id: MessageId,
    /// The sender.
    pub sender: ClientId,
    /// The service's time of the message.
    pub sent_at: Timestamp,
    /// The content.
    pub content: MessageContent,
    /// The clients that are mentioned by name.
    #[uniffi(default)]
    pub mentions: Mentions,
}

/// The outcome of giving up a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Discarded {
    /// It never left this device, or the service refused it: nobody else has seen it or will.
    NeverSent,
    /// It was sent, and others may have it. One that had failed is gone from this device; one that is
    /// still on its way stays, and `Conversation.recall` takes it back.
    WasOnItsWay,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct NewMessage {
    /// The content.
    pub content: MessageContent,
    /// The message that it answers: one of the same conversation that this device holds, sent or not. The content
    /// must be of a kind with attributes: the reply is one of them (`docs/wire.md`). None for a message of its own.
    #[uniffi(default)]
    pub reply_to: Option<MessageKey>,
    /// The clients that are mentioned by name.
    #[uniffi(default)]
    pub mentions: Mentions,
    /// The push for members that are offline: a JSON object, or none for the service's default.
    #[uniffi(default)]
    pub push: Option<Json>,
    /// How it is sent.
    #[uniffi(default)]
    pub options: SendOptions,
}

/// How a message is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct SendOptions {
    /// Only for members who are online now: the service does not keep it, and it is in no timeline. Without
    /// `queued` the call fails with `NotConnected` where there is no open session, and returns when the service has
    /// taken the message. Default: false.
    #[uniffi(default)]
    pub transient: bool,
    /// A transient message too waits in the outbox until the service has taken it: the call returns when that is
    /// durable. A lost acknowledgement has it sent again, so it may come twice. Other messages always wait.
    /// Default: false.
    #[uniffi(default)]
    pub queued: bool,
    /// Whether the service tells when it was delivered, and when it was read. None: it is asked in conversations of
    /// two, where the service answers. A transient message and a will have no receipt: `true` is refused
    /// there.
    #[uniffi(default)]
    pub receipt: Option<bool>,
    /// Not to be sent now: the service sends the message when this client disappears without signing out. A client
    /// has one will: a later one takes its place, in whichever conversation. The will is durable when the call
    /// returns, is in no timeline, and is set again with each new connection until the process ends. Default: false.
    #[uniffi(default)]
    pub will: bool,
    /// How urgent it is, in a chat room or as a transient message; elsewhere the service ignores it. None
    /// for the service's default.
    #[uniffi(default)]
    pub priority: Option<Priority>,
    /// The app's own id of the message, at most 64 characters. The same id again sends nothing: the call returns
    /// the message that there is. So a call that is repeated after a crash sends once. None for a new id.
    #[uniffi(default)]
    pub local_id: Option<LocalId>,
}

impl SendOptions {
    /// True if it is sent within the call, or not at all.
    #[must_use]
    pub const fn is_sent_now(&self) -> bool {
        self.transient && !self.queued
    }
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Priority {
    /// It is delivered before others.
    High,
    /// It is delivered as usual.
    Normal,
    /// It is dropped first where a chat room has more messages than it can deliver.
    Low,
}

impl Priority {
    /// The number on the wire, 1 to 3.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }

    /// The priority of a number on the wire, if it is one.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::High),
            2 => Some(Self::Normal),
            3 => Some(Self::Low),
            _ => None,
        }
    }
}

impl NewMessage {
    /// A message that calls nobody and is pushed as usual.
    #[must_use]
    pub fn new(content: MessageContent) -> Self {
        Self {
            content,
            reply_to: None,
            mentions: Mentions::default(),
            push: None,
            options: SendOptions::default(),
        }
    }

    /// Words with nothing attached: the commonest message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(MessageContent::text(text))
    }

    /// The message as a reply to another message of the conversation.
    #[must_use]
    pub fn answering(self, message: MessageKey) -> Self {
        Self {
            reply_to: Some(message),
            ..self
        }
    }
}

/// A message that somebody began to write in a conversation. A draft stays on this device.
#[derive(Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct Draft {
    /// The words so far.
    #[uniffi(default)]
    pub text: String,
    /// The message that it answers.
    #[uniffi(default)]
    pub reply_to: Option<MessageKey>,
    /// The message that it is a new version of.
    #[uniffi(default)]
    pub edits: Option<MessageKey>,
    /// The clients that are mentioned by name.
    #[uniffi(default)]
    pub mentions: Mentions,
}

impl Draft {
    /// The most bytes of a draft's text.
    pub const TEXT_MAX: usize = 64 * 1024;

    /// Words with nothing attached.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// True if there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for Draft {
    /// People's words never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("bytes", &self.text.len())
            .field("reply_to", &self.reply_to)
            .field("edits", &self.edits)
            .finish_non_exhaustive()
    }
}
