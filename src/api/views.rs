//! Pages of conversations, and pages of a conversation's timeline, for the tests and tools of this repository.

use crate::model::{ConversationInfo, Message, MessageId, OutboxEntryId, Timestamp};
use crate::store::{Gap, ListCursor, Page, Place, Position, TimelineItem as StoredItem};

/// A page of the conversations of a client, newest activity first.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationsPage {
    /// The conversations.
    pub conversations: Vec<ConversationInfo>,
    /// The beginning of the next page; none when this was the last.
    pub next: Option<ConversationsCursor>,
}

/// The beginning of a page of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationsCursor {
    /// The activity of the last conversation of the page before.
    pub activity: Timestamp,
    /// Its number on this device.
    pub number: u32,
}

/// A page of a conversation's timeline, oldest item first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimelinePage {
    /// The items. Gaps don't count against the page's limit.
    pub items: Vec<PageItem>,
    /// True if this device has more in the direction of the page.
    pub more: bool,
}

/// One item of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum PageItem {
    /// A message that the service has.
    Message {
        /// Its place in the timeline.
        place: TimelinePlace,
        /// The message.
        message: Message,
    },
    /// A message that is still in the outbox: pending or failed. They stand last, in outbox order.
    Echo {
        /// Its place in the timeline.
        place: TimelinePlace,
        /// Its outbox entry, to retry or discard it.
        entry: OutboxEntryId,
        /// The message.
        message: Message,
    },
    /// History that this device does not hold; `Conversation.fetch_gap` fills it.
    Gap {
        /// The missing history.
        gap: TimelineGap,
    },
}

impl PageItem {
    /// The message; none of a gap.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match self {
            Self::Message { message, .. } | Self::Echo { message, .. } => Some(message),
            Self::Gap { .. } => None,
        }
    }

    /// The place, to page on from; none of a gap.
    #[must_use]
    pub const fn place(&self) -> Option<&TimelinePlace> {
        match self {
            Self::Message { place, .. } | Self::Echo { place, .. } => Some(place),
            Self::Gap { .. } => None,
        }
    }
}

/// The place of an item in a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelinePlace {
    /// Of a message that the service has: by its time, then its id.
    Message {
        /// The service's time of the message.
        sent_at: Timestamp,
        /// The service's id of the message.
        id: MessageId,
    },
    /// Of a local echo: by its outbox entry.
    Echo {
        /// The entry.
        entry: OutboxEntryId,
    },
}

/// Missing history: the service may have messages between the two edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineGap {
    /// The newest message held before it; none where everything older is unknown.
    pub older: Option<GapEdge>,
    /// The oldest message held after it; none where the newest history is unknown.
    pub newer: Option<GapEdge>,
}

/// A message at the edge of missing history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapEdge {
    /// The service's time of the message.
    pub sent_at: Timestamp,
    /// The service's id of the message.
    pub id: MessageId,
}

impl From<ListCursor> for ConversationsCursor {
    fn from(cursor: ListCursor) -> Self {
        Self {
            activity: cursor.activity,
            number: cursor.number.0,
        }
    }
}

impl From<ConversationsCursor> for ListCursor {
    fn from(cursor: ConversationsCursor) -> Self {
        Self {
            activity: cursor.activity,
            number: crate::store::ConversationNumber(cursor.number),
        }
    }
}

impl From<Page> for TimelinePage {
    fn from(page: Page) -> Self {
        Self {
            items: page.items.into_iter().map(PageItem::from).collect(),
            more: page.more,
        }
    }
}

impl From<StoredItem> for PageItem {
    fn from(item: StoredItem) -> Self {
        match item {
            StoredItem::Message { position, message } => Self::Message {
                place: TimelinePlace::Message {
                    sent_at: position.sent_at,
                    id: position.id,
                },
                message,
            },
            StoredItem::Echo { entry, message } => Self::Echo {
                place: TimelinePlace::Echo { entry },
                entry,
                message,
            },
            StoredItem::Gap(Gap { older, newer }) => Self::Gap {
                gap: TimelineGap {
                    older: older.map(GapEdge::from),
                    newer: newer.map(GapEdge::from),
                },
            },
        }
    }
}

impl From<Position> for GapEdge {
    fn from(position: Position) -> Self {
        Self {
            sent_at: position.sent_at,
            id: position.id,
        }
    }
}

impl From<TimelinePlace> for Place {
    fn from(place: TimelinePlace) -> Self {
        match place {
            TimelinePlace::Message { sent_at, id } => Self::Message(Position { sent_at, id }),
            TimelinePlace::Echo { entry } => Self::Echo(entry),
        }
    }
}
