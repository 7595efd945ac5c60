//! What opening a store found and did.

use crate::store::recovery::salvage::Saved;
use crate::store::recovery::scan::Scanned;

/// What opening a store found and did. Nothing of it needs the app to act, but an app may want to
/// tell its user, or its makers.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the store was made just now.
    pub created: bool,
    /// Damaged files that were set aside, and what was saved out of them.
    pub set_aside: Vec<SetAside>,
    /// Whether the tree was older than the journal: commits that were durable are gone, as when a
    /// backup was put back. What was lost is asked for again.
    pub rolled_back: bool,
    /// Promises that the tree had not seen yet: the normal traces of a kill.
    pub intents_replayed: u64,
    /// Whether the journal was gone or unreadable: promises that it alone held are lost, and nobody
    /// can say how many.
    pub journal_lost: bool,
    /// Unsent entries that only the journal had.
    pub entries_recovered: u64,
    /// Unsent entries that are damaged beyond reading.
    pub entries_lost: u64,
    /// Why the store takes no writes, if it takes none.
    pub read_only: Option<String>,
}

impl OpenReport {
    /// Whether anything was damaged.
    #[must_use]
    pub const fn found_damage(&self) -> bool {
        !self.set_aside.is_empty() || self.rolled_back || self.journal_lost || self.entries_lost > 0
    }
}

/// Damaged files that were set aside: they are kept, under another name, for they may hold more
/// than could be saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
#[non_exhaustive]
pub struct SetAside {
    /// Their name in the store's folder now.
    pub name: String,
    /// Conversations that were saved.
    pub conversations: u64,
    /// Messages that were saved.
    pub messages: u64,
    /// Messages that were saved and dropped again, for nobody knows their conversation any more.
    pub orphans: u64,
    /// Conversations of which messages are missing: their history has gaps now.
    pub torn_histories: u64,
    /// Places that looked like a record and held none any more.
    pub broken_records: u64,
}

impl SetAside {
    pub(in crate::store) fn new(name: String, saved: Saved, scanned: Scanned) -> Self {
        Self {
            name,
            conversations: saved.conversations,
            messages: saved.messages,
            orphans: saved.orphans,
            torn_histories: saved.torn_histories,
            broken_records: scanned.broken.saturating_add(scanned.unreadable),
        }
    }
}
