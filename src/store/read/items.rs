//! The items of a timeline: messages, local echoes, and gaps.

use crate::model::{Message, OutboxEntryId};
use crate::store::types::position::{Place, Position};

/// One item of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineItem {
    /// A message that the service knows.
    Message {
        /// The position of the message.
        position: Position,
        /// The message.
        message: Message,
    },
    /// A message in the outbox.
    Echo {
        /// Its entry.
        entry: OutboxEntryId,
        /// The message.
        message: Message,
    },
    /// History that the store does not hold.
    Gap(Gap),
}

/// A hole in the held history: the service may have messages between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The newest held message before it; none where everything older is unknown.
    pub older: Option<Position>,
    /// The oldest held message after it; none where the newest history is unknown.
    pub newer: Option<Position>,
}

/// A page of a timeline, oldest item first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items; gaps are not counted against the page's limit.
    pub items: Vec<TimelineItem>,
    /// True if the store holds more in the direction of the page.
    pub more: bool,
}

impl TimelineItem {
    /// The place of a message or echo; a gap has none.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Message { position, .. } => Some(Place::Message(position.clone())),
            Self::Echo { entry, .. } => Some(Place::Echo(*entry)),
            Self::Gap(_) => None,
        }
    }

    /// The message alone, of a message or an echo.
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Message { message, .. } | Self::Echo { message, .. } => Some(message),
            Self::Gap(_) => None,
        }
    }

    /// The message, of a message or an echo.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Message { message, .. } | Self::Echo { message, .. } => Some(message),
            Self::Gap(_) => None,
        }
    }
}
