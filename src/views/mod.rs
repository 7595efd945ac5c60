//! Live views for an app: windows over the store, each with a version, and the changes since a version.
//!
//! ```text
//!   commit ──▶ marks views dirty (a flag; no queue, no copy)
//!   app: next(have = 17) ──▶ waits while 17 is the newest version
//!                            reads the window at one commit, compares it with that of version 17,
//!                            answers { version 18, edits }
//! ```
//!
//! A view keeps its last few windows. A collector with one of them gets edits; any other collector gets the
//! whole window. A collector may therefore be as slow as it likes, may be cancelled, and may ask again: the
//! view computes an answer again that no collector received.
//!
//! | file | what it holds |
//! |---|---|
//! | `windows.rs` | [`Version`], the last windows of a view |
//! | `diff.rs` | the difference of two windows by key, and its application |
//! | `edits.rs` | the edits of each kind of view, for other languages |
//! | `delivery.rs` | the delivery of an own message, and the obstacle that delays it |
//! | `download.rs` | the progress of a download |
//! | `message.rs` | a message as a screen shows it |
//! | `timeline/` | [`TimelineView`]: a window over one conversation |
//! | `list/` | [`ListView`]: a window over all conversations |
//! | `outbox.rs` | [`OutboxView`]: all unsent work, with reasons |
//! | `query.rs` | queries of conversations over this device's store |
//! | `members.rs` | [`MemberView`]: the members of a conversation, and their rights |
//! | `client_state.rs` | [`ClientState`]: the banner, the badge, support |
//!
//! This floor reads snapshots of the store and knows no clock, no thread and no network; the driver of a view
//! waits and wakes.

mod client_state;
mod delivery;
mod diff;
mod download;
mod edits;
mod list;
mod members;
mod message;
mod outbox;
mod query;
mod quote;
mod timeline;
mod windows;

pub use client_state::{
    ClientState, LinkState, OutboxSummary, SyncState, UnreadSum, UnreadSummary,
};
pub use delivery::{Blocker, Delivery, Reach};
pub use diff::{Edit, Keyed, apply, difference};
pub use download::{DownloadFailure, DownloadPhase, DownloadState};
pub use list::{
    ContentKind, ConversationFilter, ConversationOrder, ConversationRow, Dirty, LastMessage,
    ListEdit, ListOptions, ListState, ListUpdate, ListView,
};
pub use members::{
    MemberEdit, MemberGroup, MemberListOptions, MemberListState, MemberRow, MemberUpdate,
    MemberView,
};
pub use message::Message;
pub use outbox::{
    Holds, OutboxEdit, OutboxListState, OutboxRow, OutboxUpdate, OutboxView, Refused,
};
pub use query::find;
pub use quote::Quote;
pub use timeline::{
    Anchor, FillFailure, FillState, Loaded, Next, Side, TimelineEdge, TimelineEdit, TimelineItem,
    TimelineItemKind, TimelineOptions, TimelineStart, TimelineState, TimelineUpdate, TimelineView,
    Wish,
};
pub use windows::{Version, Windows};

/// The clients that write just now, by conversation.
pub type Typing =
    std::collections::BTreeMap<crate::store::ConversationNumber, Vec<crate::model::ClientId>>;

/// The files that are being uploaded, by the entries whose files they are.
pub type Uploads = std::collections::BTreeMap<crate::model::OutboxEntryId, crate::model::Progress>;
