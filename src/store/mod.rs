//! The store on disk: conversations, messages, the outbox, the session. Any thread may read it; one writer
//! writes it.
//!
//! ```text
//!   machines ──▶ Overlay ── Batch ──▶ Writer ── one atomic commit ──▶ tree (sled, or in memory)
//!                  │ reads                │ changes, in commit order
//!                  ▼                      ▼
//!                Store ── Snapshot ──▶ pages, lists, counts         observers
//! ```
//!
//! Rules for a caller:
//!
//! 1. A store has one [`Writer`]. A batch is made against the last commit, and batches are committed in turn.
//! 2. A read goes through a [`Snapshot`], which shows the state of one commit. Drop the snapshot before the
//!    same thread commits.
//! 3. An effect that depends on a commit may be sent or told only after the commit has returned. A commit of
//!    class [`CommitClass::Cache`] is durable for certain after [`Writer::sync`].
//!
//! One tree holds everything, under keys of a tag byte and big-endian numbers (`format/key.rs`). Every value
//! has its own frame with a checksum (`format/frame.rs`). Records are MessagePack (`format/record.rs`).
//!
//! | tag | key | value | written by |
//! |---|---|---|---|
//! | 1 | – | schema, commit sequence, next numbers | every commit |
//! | 2 | – | totals of unread counts | commits that change them |
//! | 3 | – | the session between connections | session machine |
//! | 4 | – | the live bytes of the tree at their last count | maintenance |
//! | 5 | slot | the conversations that a commit moved in the list | derived from the rows |
//! | `b` | number, lower bound of positions | some neighbouring messages, sealed | sealing, history |
//! | `c` | number | conversation row, and its newest messages: the tail | receiver, sender |
//! | `h` | number, lower bound of positions | a few of the newer messages: a former tail | receiver, sender |
//! | `i` | hash of a conversation id | id, number | creation, take-over |
//! | `k` | number of the page | the places of some conversations in the list | derived from the rows |
//! | `o` | entry id | outbox entry | app, sender |
//! | `r` | hash of a message id | place of an own message that awaits receipts | sender |
//! | `w` | number | – | derived: the row is stale or behind |
//! | `x` | hash of a local id | place of the message that has the local id | sender |
//!
//! The store takes no decisions. The machines decide the effect of a message on unread counts, the filling of
//! gaps and the repetition of entries. The store never names wire, sync or an async runtime.

mod disk;
mod error;
mod extension_inbox;
mod files;
mod format;
mod glance;
mod inspect;
mod journal;
mod maintain;
mod open;
mod read;
mod recovery;
mod state;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod write;
mod writer;

pub use disk::memory::{Fault, MemoryDisk};
pub use error::StoreError;
pub use extension_inbox::{Dropped, Inbox, InboxContent};
pub use files::{Adding, CacheEntry, ClearCopy, FileCache, FileKey, FileReader, FileWriter, Spool};
pub use format::cipher::StoreKey;
pub use glance::{Arrival, GLANCE_ROWS_MAX, GlanceBook, GlanceRow};
pub use inspect::tree::{ConversationFound, KindFound, TreeFound};
pub use inspect::{IdentityFound, Inspection, JournalFound, inspect};
pub use maintain::Tended;
pub use maintain::usage::StorageUsage;
pub use open::{Opened, StoreFolder};
pub use read::items::{Gap, Page, TimelineItem};
pub use read::messages::{LocalUnread, OthersCount};
pub use read::snapshot::{ConversationPage, Snapshot};
pub use read::store::Store;
pub use recovery::options::StoreOptions;
pub use recovery::report::{OpenReport, SetAside};
pub use types::batch::Batch;
pub use types::batch::CommitClass;
pub use types::conversation::{
    ConversationRow, Freshness, ListCursor, SessionRow, UnreadTold, UnreadTotal, UnreadTotals,
};
pub use types::entry::{
    CreateIntent, DetailsIntent, Entry, Intent, MuteIntent, Patch, PatchIntent, ReadIntent,
    SendIntent, Upload, UploadStage,
};
pub use types::members::{MemberLists, MembersChange, MembersIntent, put_on};
pub use types::origin::{ImportedMessage, Origin, Teller, Word};
pub use types::position::{
    ConversationNumber, History, HistoryEnd, HistoryStart, Place, Position, Span,
};
pub use write::change::StoreChange;
pub use write::commit::Commit;
pub use write::overlay::{Assigned, Overlay, Put};
pub use writer::Writer;
