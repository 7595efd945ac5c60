//! What an app asks for: a conversation to make, a message to send.

use std::time::Duration;

use super::{ClientId, ConversationKind, Json, Mentions, MessageContent};

/// A conversation to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct NewConversation {
    /// Its kind. `Service` conversations are made by the app's server alone.
    pub kind: ConversationKind,
    /// Who shall be in it besides the client that makes it; empty for chat rooms.
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

/// What became of a message that was given up.
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
    /// What it says.
    pub content: MessageContent,
    /// Who is called by name.
    #[uniffi(default)]
    pub mentions: Mentions,
    /// What the service pushes to members that are offline: a JSON object, or none for its default.
    #[uniffi(default)]
    pub push: Option<Json>,
}

impl NewMessage {
    /// A message that calls nobody and is pushed as usual.
    #[must_use]
    pub fn new(content: MessageContent) -> Self {
        Self {
            content,
            mentions: Mentions::default(),
            push: None,
        }
    }

    /// Words with nothing attached: the commonest message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(MessageContent::text(text))
    }
}
