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
    /// Its kind. Only the app's server makes `Service` conversations.
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
    /// The choice between an existing conversation with the same members and a new one.
    pub uniqueness: Uniqueness,
    /// The life of a temporary conversation; none for the service's default.
    #[uniffi(default)]
    pub lifetime: Option<Duration>,
}

/// The choice between an existing conversation with the same members and a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Uniqueness {
    /// One conversation per set of members: the call answers the existing one, unchanged.
    #[default]
    Unique,
    /// A new one every time.
    Separate,
}

/// A message that an app got in another way than from the engine, such as from a push.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ForeignMessage {
    /// The conversation of the message; this device must have it.
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

/// The outcome of discarding a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Discarded {
    /// The message never left this device, or the service refused it: no other client has it or will get it.
    NeverSent,
    /// The message was sent, and others may have it. A failed message is gone from this device. A message that
    /// is still on its way stays, and `Conversation.recall` recalls it.
    WasOnItsWay,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct NewMessage {
    /// The content.
    pub content: MessageContent,
    /// The message that this one answers: a message of the same conversation on this device, sent or not. The
    /// content must be of a kind with attributes, because the reply is an attribute (`docs/wire.md`). None for
    /// a message that answers no other.
    #[uniffi(default)]
    pub reply_to: Option<MessageKey>,
    /// The clients that are mentioned by name.
    #[uniffi(default)]
    pub mentions: Mentions,
    /// The push for members that are offline: a JSON object, or none for the service's default.
    #[uniffi(default)]
    pub push: Option<Json>,
    /// The options of the sending.
    #[uniffi(default)]
    pub options: SendOptions,
}

/// The options of a sending.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct SendOptions {
    /// True for members who are online now only: the service does not keep the message, and no timeline shows
    /// it. Without `queued` the call fails with `NotConnected` where there is no open session, and returns when
    /// the service has accepted the message. Default: false.
    #[uniffi(default)]
    pub transient: bool,
    /// True to let a transient message wait in the outbox until the service has accepted it: the call returns
    /// when the entry is durable. After a lost acknowledgement the message is sent again, so it may arrive
    /// twice. Other messages always wait. Default: false.
    #[uniffi(default)]
    pub queued: bool,
    /// True to ask the service for the times of delivery and reading. None: the engine asks in conversations of
    /// two, where the service answers. A transient message and a will have no receipt: `true` is refused there.
    #[uniffi(default)]
    pub receipt: Option<bool>,
    /// True for a will: the service sends the message when this client disappears without signing out. A client
    /// has one will over all conversations; a later one replaces it. The will is durable when the call returns.
    /// It is in no timeline, and the engine sets it again with each new connection until the process ends.
    /// Default: false.
    #[uniffi(default)]
    pub will: bool,
    /// The priority in a chat room or of a transient message; elsewhere the service ignores it. None for the
    /// service's default.
    #[uniffi(default)]
    pub priority: Option<Priority>,
    /// The app's own id of the message, at most 64 characters. A second call with the same id sends nothing and
    /// answers the existing message, so an app may repeat a call after a crash. None for a new id.
    #[uniffi(default)]
    pub local_id: Option<LocalId>,
}

impl SendOptions {
    /// True if the message is sent within the call or fails with it.
    #[must_use]
    pub const fn is_sent_now(&self) -> bool {
        self.transient && !self.queued
    }
}

/// The priority of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Priority {
    /// The service delivers it before others.
    High,
    /// The service delivers it as usual.
    Normal,
    /// The service drops it first where a chat room has more messages than it can deliver.
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

    /// The priority of a number on the wire; none for an unknown number.
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
    /// A message that mentions no client and has the usual push.
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

    /// A text with nothing attached: the commonest message.
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

/// A message that the user began to write in a conversation. A draft stays on this device.
#[derive(Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct Draft {
    /// The text so far.
    #[uniffi(default)]
    pub text: String,
    /// The message that the draft answers.
    #[uniffi(default)]
    pub reply_to: Option<MessageKey>,
    /// The message that the draft edits.
    #[uniffi(default)]
    pub edits: Option<MessageKey>,
    /// The clients that are mentioned by name.
    #[uniffi(default)]
    pub mentions: Mentions,
}

impl Draft {
    /// The most bytes of a draft's text.
    pub const TEXT_MAX: usize = 64 * 1024;

    /// A text with nothing attached.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// True if the draft is empty.
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
