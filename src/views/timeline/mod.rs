//! A timeline: a window over one conversation's messages, local echoes and missing history.
//!
//! ```text
//!            older ◀──────────── the window ────────────▶ newer
//!   End │ More │ Missing   message · gap · message · echo   End (the live end) │ More │ Missing
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `reading.rs` | the window's items and edges, out of a snapshot |
//! | `start.rs` | where a window begins: newest, first unread, a message, a time |
//! | `gaps.rs` | the keys of missing history |
//! | `loads.rs` | the loads under way |
//! | `view/` | the view: what it shows, what it wants to be fetched, what was seen |

mod gaps;
mod loads;
mod reading;
mod start;
mod view;

use crate::StoreTrouble;
use crate::model::{
    ClientId, CommitSeq, Count, ItemKey, MessageKey, MessageRef, Refusal, Timestamp,
};

use super::Version;
use super::diff::{Keyed, apply};
use super::edits::edits;
use super::message::Message;

pub use loads::Side;
pub use view::{Next, TimelineView, Wish};

/// The beginning of a timeline and the work that it does by itself.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct TimelineOptions {
    /// Where it begins; none for the newest messages.
    #[uniffi(default)]
    pub start: Option<TimelineStart>,
    /// How many items the first window has, 1 to 500.
    #[uniffi(default = 50)]
    pub page: u32,
    /// How many items the window may have, at least two pages: beyond it the end is cut that is further
    /// from what is seen.
    #[uniffi(default = 600)]
    pub window_max: u32,
    /// True if missing history that is seen is fetched by itself.
    #[uniffi(default = true)]
    pub fill_visible: bool,
    /// True if what was seen is marked read.
    #[uniffi(default = true)]
    pub read_visible: bool,
    /// True if recalled messages are left out.
    #[uniffi(default)]
    pub hide_recalled: bool,
}

impl Default for TimelineOptions {
    fn default() -> Self {
        Self {
            start: None,
            page: 50,
            window_max: 600,
            fill_visible: true,
            read_visible: true,
            hide_recalled: false,
        }
    }
}

/// Where a timeline begins.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Enum)]
pub enum TimelineStart {
    /// At the newest message.
    #[default]
    Newest,
    /// At the first message of somebody else that is newer than the own read mark.
    FirstUnread,
    /// At a message.
    Message {
        /// Its key.
        message: MessageKey,
    },
    /// At a message that may not be on this device.
    Reference {
        /// Where the service finds it.
        reference: MessageRef,
    },
    /// At the first message of that time or later.
    Time {
        /// The time, by the service's clock.
        at: Timestamp,
    },
}

/// One item of a timeline.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct TimelineItem {
    /// Its key: no two items of a window have the same.
    pub key: ItemKey,
    /// The kind of item, with its contents.
    pub kind: TimelineItemKind,
}

/// The kinds of items of a timeline.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every item is a message, and items are shared between windows"
)]
pub enum TimelineItemKind {
    /// A message, sent or unsent.
    Message {
        /// The message.
        message: Message,
    },
    /// History that this device does not hold.
    Gap {
        /// Whether it is being fetched.
        state: FillState,
    },
    /// The mark before the first message that was unread when the view began; it stays there.
    FirstUnread {
        /// How many messages were unread.
        count: Count,
        /// True if that is only a lower bound.
        at_least: bool,
    },
}

/// Whether missing history is being fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum FillState {
    /// The gap was not asked for.
    #[default]
    Idle,
    /// The gap is wanted, and will be fetched when the client is online.
    Waiting,
    /// The gap is being fetched.
    Loading,
    /// Fetching it failed: `fill` tries again, and so does the next session.
    Failed {
        /// The reason.
        cause: FillFailure,
    },
}

/// Why history could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum FillFailure {
    /// The service did not answer in time.
    TimedOut,
    /// The service refused.
    Refused {
        /// The sort of refusal.
        refusal: Refusal,
        /// The service's number, listed in `docs/wire.md`.
        code: i32,
        /// The service's name of the number.
        reason: String,
    },
    /// The store on this device can't be read or written.
    Store {
        /// The sort of trouble.
        trouble: StoreTrouble,
        /// The reason.
        reason: String,
    },
}

/// The history beyond an end of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum TimelineEdge {
    /// Nothing: the window ends at the first message of the conversation, or at the live end.
    #[default]
    End,
    /// More is on this device.
    More,
    /// History that this device does not hold.
    Missing {
        /// Whether it is being fetched.
        state: FillState,
    },
}

/// Where a screen begins to show a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum Anchor {
    /// At the newest item.
    #[default]
    None,
    /// At an item.
    At {
        /// The item.
        key: ItemKey,
        /// Counts the jumps: the same key with another number is to be scrolled to again.
        jump: Count,
    },
    /// The message is looked for at the service.
    Searching,
    /// There is no such message.
    Absent,
}

edits! {
    /// One edit of a timeline. An index is good for applying that edit, after those before it, and for
    /// nothing else.
    TimelineEdit of TimelineItem as item, items
}

/// The changes of a timeline.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct TimelineUpdate {
    /// The version that the edits lead to: `next` takes it.
    pub version: Version,
    /// The commit whose state the window shows; it never goes back.
    pub seq: CommitSeq,
    /// The edits, in order.
    pub edits: Vec<TimelineEdit>,
    /// The history beyond the oldest item.
    pub older: TimelineEdge,
    /// The history beyond the newest item. At the end, new messages come into the window.
    pub newer: TimelineEdge,
    /// Where a screen begins.
    pub anchor: Anchor,
    /// How many messages are newer than the newest that was seen; beyond the window at most 100 are
    /// counted.
    pub below: Count,
    /// The clients that write just now. A client that is not heard of for six seconds does not write any more.
    pub typing: Vec<ClientId>,
}

/// The outcome of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Loaded {
    /// How many messages came into the window.
    pub added: Count,
    /// The history beyond that end now.
    pub edge: TimelineEdge,
}

/// A timeline at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimelineState {
    /// The version: `next` takes it.
    pub version: Version,
    /// The items, oldest first.
    pub items: Vec<TimelineItem>,
    /// The history beyond the oldest item.
    pub older: TimelineEdge,
    /// The history beyond the newest item.
    pub newer: TimelineEdge,
    /// Where a screen begins.
    pub anchor: Anchor,
    /// How many messages are newer than the newest that was seen.
    pub below: Count,
    /// The clients that write just now.
    pub typing: Vec<ClientId>,
}

impl TimelineState {
    /// Takes an update that `next` answered to this state's version.
    pub fn apply(&mut self, update: TimelineUpdate) {
        for edit in update.edits {
            apply(&mut self.items, edit.into());
        }
        self.version = update.version;
        self.older = update.older;
        self.newer = update.newer;
        self.anchor = update.anchor;
        self.below = update.below;
        self.typing = update.typing;
    }

    /// The item of a key, and where it stands.
    #[must_use]
    pub fn find(&self, key: &ItemKey) -> Option<(usize, &TimelineItem)> {
        let mut items = self.items.iter().enumerate();
        items.find(|(_, item)| item.key == *key)
    }
}

impl TimelineItem {
    /// The message, if it is one.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match &self.kind {
            TimelineItemKind::Message { message } => Some(message),
            TimelineItemKind::Gap { .. } | TimelineItemKind::FirstUnread { .. } => None,
        }
    }
}

impl Keyed for TimelineItem {
    type Key = ItemKey;

    fn key(&self) -> &ItemKey {
        &self.key
    }
}
