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

/// The beginning of a timeline and its automatic work.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct TimelineOptions {
    /// The beginning; none for the newest messages.
    #[uniffi(default)]
    pub start: Option<TimelineStart>,
    /// The items of the first window, 1 to 500.
    #[uniffi(default = 50)]
    pub page: u32,
    /// The most items of the window, at least two pages. Beyond it the window is cut at the end that is further
    /// from the visible items.
    #[uniffi(default = 600)]
    pub window_max: u32,
    /// True to fetch missing history that is visible.
    #[uniffi(default = true)]
    pub fill_visible: bool,
    /// True to mark visible messages read.
    #[uniffi(default = true)]
    pub read_visible: bool,
    /// True to leave out recalled messages.
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

/// The beginning of a timeline.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Enum)]
pub enum TimelineStart {
    /// At the newest message.
    #[default]
    Newest,
    /// The first message of another client that is newer than the own read mark.
    FirstUnread,
    /// At a message.
    Message {
        /// Its key.
        message: MessageKey,
    },
    /// At a message that may not be on this device.
    Reference {
        /// The place of the message at the service.
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
    /// The item's key; no two items of a window have the same key.
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
    /// Missing history.
    Gap {
        /// The state of fetching it.
        state: FillState,
    },
    /// The mark before the first message that was unread when the view began; the mark stays there.
    FirstUnread {
        /// The number of unread messages.
        count: Count,
        /// True if the number is only a lower bound.
        at_least: bool,
    },
}

/// The state of fetching missing history.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum FillState {
    /// No request is planned.
    #[default]
    Idle,
    /// The history is wanted, and is fetched when the client is online.
    Waiting,
    /// The history is being fetched.
    Loading,
    /// The request failed: `fill` tries again, and so does the next session.
    Failed {
        /// The reason.
        cause: FillFailure,
    },
}

/// The reason why history could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum FillFailure {
    /// The service did not answer in time.
    TimedOut,
    /// The service refused.
    Refused {
        /// The kind of refusal.
        refusal: Refusal,
        /// The service's code, listed in `docs/wire.md`.
        code: i32,
        /// The service's name of the code.
        reason: String,
    },
    /// The store on this device can't be read or written.
    Store {
        /// The kind of trouble.
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
    /// This device has more.
    More,
    /// The history beyond is not on this device.
    Missing {
        /// The state of fetching it.
        state: FillState,
    },
}

/// The place at which a screen begins to show a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum Anchor {
    /// At the newest item.
    #[default]
    None,
    /// At an item.
    At {
        /// The item.
        key: ItemKey,
        /// The number of the jump: the screen scrolls to the key again when the number has changed.
        jump: Count,
    },
    /// The service is asked for the message.
    Searching,
    /// There is no such message.
    Absent,
}

edits! {
    /// One edit of a timeline. An index is valid for this edit only, after those before it.
    TimelineEdit of TimelineItem as item, items
}

/// The changes of a timeline.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct TimelineUpdate {
    /// The version after the edits, for `next`.
    pub version: Version,
    /// The commit that the window shows; it never goes back.
    pub seq: CommitSeq,
    /// The edits, in order.
    pub edits: Vec<TimelineEdit>,
    /// The history beyond the oldest item.
    pub older: TimelineEdge,
    /// The history beyond the newest item. At `End`, new messages come into the window.
    pub newer: TimelineEdge,
    /// The place at which a screen begins.
    pub anchor: Anchor,
    /// The number of messages that are newer than the newest visible one; beyond the window at most 100 count.
    pub below: Count,
    /// The clients that type now. A client counts for six seconds after the last sign of typing.
    pub typing: Vec<ClientId>,
}

/// The outcome of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Loaded {
    /// The number of messages that came into the window.
    pub added: Count,
    /// The history beyond that end after the load.
    pub edge: TimelineEdge,
}

/// The state of a timeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimelineState {
    /// The version of the state, for `next`.
    pub version: Version,
    /// The items, oldest first.
    pub items: Vec<TimelineItem>,
    /// The history beyond the oldest item.
    pub older: TimelineEdge,
    /// The history beyond the newest item.
    pub newer: TimelineEdge,
    /// The place at which a screen begins.
    pub anchor: Anchor,
    /// The number of messages that are newer than the newest visible one.
    pub below: Count,
    /// The clients that type now.
    pub typing: Vec<ClientId>,
}

impl TimelineState {
    /// Applies an update that `next` answered for this state's version.
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

    /// The item of a key, with its index.
    #[must_use]
    pub fn find(&self, key: &ItemKey) -> Option<(usize, &TimelineItem)> {
        let mut items = self.items.iter().enumerate();
        items.find(|(_, item)| item.key == *key)
    }
}

impl TimelineItem {
    /// The message; none for other items.
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
