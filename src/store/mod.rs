//! What is on disk: conversations, messages, the outbox, the session; read by anybody, written by one.
//!
//! ```text
//!   machines ──▶ Overlay ── Batch ──▶ Writer ── one atomic commit ──▶ tree (sled, or in memory)
//!                  │ reads                │ changes, in commit order
//!                  ▼                      ▼
//!                Store ── Snapshot ──▶ pages, lists, counts         observers
//! ```
//!
//! The rules a caller must keep:
//!
//! 1. A store has one [`Writer`]; batches are made against the last commit and committed in turn.
//! 2. Reads go through a [`Snapshot`]: everything in it is one commit's state. Let go of it before
//!    the same thread commits.
//! 3. Only after a commit returned may anything be sent or told that depends on it; what is of class
//!    [`CommitClass::Cache`] is surely durable after [`Writer::sync`].
//!
//! One tree holds everything, under keys of a tag byte and big-endian numbers (`key.rs`); every
//! value carries its own frame with a checksum (`frame.rs`); records are MessagePack (`record.rs`).
//!
//! | tag | key | value | written by |
//! |---|---|---|---|
//! | 1 | – | schema, commit sequence, next numbers | every commit |
//! | 2 | – | totals of unread counts | commits that change them |
//! | 3 | – | the session between connections | session machine |
//! | 4 | – | how much of the tree is alive, counted some time ago | keeping it small |
//! | 5 | slot | where a commit moved conversations in the list | derived from the rows |
//! | `b` | number, lower bound of positions | some neighbouring messages, sealed | sealing, history |
//! | `c` | number | conversation row, and its newest messages: the tail | receiver, sender |
//! | `h` | number, lower bound of positions | a few of the newer messages: a tail that was full | receiver, sender |
//! | `i` | hash of a conversation id | id, number | creation, take-over |
//! | `k` | number of the page | where some conversations stand in the list | derived from the rows |
//! | `o` | entry id | outbox entry | app, sender |
//! | `r` | hash of a message id | place of an own message that awaits receipts | sender |
//! | `w` | number | – | derived: the row is stale or behind |
//! | `x` | hash of a local id | place of the message it became | sender |
//!
//! The store does not decide: what a message means for unread counts, when a gap is filled or an
//! entry is sent again is the machines' affair. It never names wire, sync or an async runtime.

mod afloat;
mod ahead;
mod batch;
mod cache;
mod change;
mod cipher;
mod claim;
mod clean;
mod compact;
mod db;
mod disk;
mod disk_memory;
mod encode;
mod entry;
mod error;
mod evict;
mod frame;
mod identity;
mod inbox;
mod inspect;
mod inspect_tree;
mod journal;
mod key;
mod kv;
mod links;
mod list;
mod listed;
mod messages;
mod migrate;
mod open;
mod outbox;
mod overlay;
mod pack;
mod pack_changes;
mod pack_shape;
mod packer;
mod packs;
mod place;
mod quiet;
mod rebuild;
mod record;
mod record_entry;
mod record_message;
mod recover;
mod recovered;
mod row;
mod salvage;
mod salvage_packs;
mod seal;
mod segments;
mod settle;
mod shared;
mod snapshot;
mod squeeze;
mod stored;
mod syncer;
mod tail;
mod tend;
#[cfg(test)]
mod tests;
mod timeline;
mod twin;
mod unapplied;
mod underway;
mod usage;
mod writer;

use std::sync::Arc;

use crate::model::{ClientId, CommitSeq, StoreHealth};

pub use batch::Batch;
pub use change::StoreChange;
pub use cipher::StoreKey;
pub use disk_memory::{Fault, MemoryDisk};
pub use entry::{CreateIntent, Entry, Intent, ReadIntent, SendIntent};
pub use error::StoreError;
pub use inbox::{Dropped, Inbox, InboxContent};
pub use inspect::{IdentityFound, Inspection, JournalFound, inspect};
pub use inspect_tree::{ConversationFound, KindFound, TreeFound};
pub use messages::LocalUnread;
pub use open::{OpenReport, Opened, SetAside, StoreOptions};
pub use overlay::{Assigned, Overlay, Put};
pub use place::{ConversationNumber, History, HistoryEnd, HistoryStart, Place, Position, Span};
pub use row::{ConversationRow, Freshness, SessionRow, UnreadTold, UnreadTotal, UnreadTotals};
pub use snapshot::{ConversationPage, ListCursor, Snapshot};
pub use tend::Tended;
pub use timeline::{Gap, Page, TimelineItem};
pub use usage::StorageUsage;
pub use writer::{Commit, CommitClass, Writer};

use shared::{Shared, Tables};

/// A client's store, to read. Clones are cheap and share it; any thread may read at any time.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// Everything as the last commit left it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            tables: self.shared.read(),
            shared: &self.shared,
            batch: None,
        }
    }

    /// The client whose store this is.
    #[must_use]
    pub fn owner(&self) -> &ClientId {
        &self.shared.owner
    }

    /// The last commit.
    #[must_use]
    pub fn seq(&self) -> CommitSeq {
        self.seq_of(&self.shared.read())
    }

    /// Whether the store takes writes.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.shared.health()
    }

    /// How many reads met a damaged record since the store was opened. Such a record is dropped,
    /// never returned; in a timeline a gap stands in its place.
    #[must_use]
    pub fn damaged_reads(&self) -> u64 {
        self.shared.damaged()
    }

    /// The bytes that the store takes on disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the operating system does not say.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        self.shared.read().kv.size_bytes()
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the store")]
    fn seq_of(&self, tables: &Tables) -> CommitSeq {
        CommitSeq(tables.meta.seq)
    }
}
