//! The report of opening a store: the findings, and the work done.

use std::fmt;

use crate::model::StoreHealth;
use crate::store::recovery::salvage::Saved;
use crate::store::recovery::scan::Scanned;

/// The report of opening a store, in full. An app is told its meaning: `sampan::OpenReport`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// True if the store was made just now.
    pub created: bool,
    /// Damaged files that were set aside, and the records saved from them.
    pub set_aside: Vec<SetAside>,
    /// True if the tree was older than the journal: commits that were durable are gone, as when a backup was
    /// put back. The lost content is asked for again.
    pub rolled_back: bool,
    /// Promises that the tree had not seen yet: the normal traces of a kill.
    pub intents_replayed: u64,
    /// True if the journal was missing or unreadable: promises that only the journal held are lost, in unknown
    /// number.
    pub journal_lost: bool,
    /// Unsent entries that only the journal had.
    pub entries_recovered: u64,
    /// Unsent entries that are damaged beyond reading.
    pub entries_lost: u64,
    /// The health of the store: only a good store takes writes.
    pub health: StoreHealth,
}

impl OpenReport {
    /// True if anything was damaged.
    #[must_use]
    pub const fn found_damage(&self) -> bool {
        !self.set_aside.is_empty() || self.rolled_back || self.journal_lost || self.entries_lost > 0
    }

    /// True if the store takes writes.
    #[must_use]
    pub const fn takes_writes(&self) -> bool {
        matches!(self.health, StoreHealth::Good)
    }

    /// True if unsent work is gone.
    #[must_use]
    pub const fn lost_unsent_work(&self) -> bool {
        self.journal_lost || self.entries_lost > 0
    }

    /// True if history is gone from this device.
    #[must_use]
    pub fn lost_history(&self) -> bool {
        let is_torn = |files: &SetAside| {
            files.orphans > 0 || files.torn_histories > 0 || files.broken_records > 0
        };
        self.rolled_back || self.set_aside.iter().any(is_torn)
    }
}

impl fmt::Display for OpenReport {
    /// Everything that is worth a word, for support. It names files and counts, and nobody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.created {
            words.push("made just now".to_owned());
        }
        words.extend(self.set_aside.iter().map(SetAside::to_string));
        if self.rolled_back {
            words.push("the database is older than the journal".to_owned());
        }
        if self.journal_lost {
            words.push("the journal is lost".to_owned());
        }
        let counts = [
            ("promises replayed", self.intents_replayed),
            ("unsent entries recovered", self.entries_recovered),
            ("unsent entries lost", self.entries_lost),
        ];
        let counts = counts.iter().filter(|(_, count)| *count > 0);
        words.extend(counts.map(|(what, count)| format!("{what}: {count}")));
        if let StoreHealth::ReadOnly { reason, .. } = &self.health {
            words.push(format!("takes no writes: {reason}"));
        }
        f.write_str(&words.join("; "))
    }
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            conversations,
            messages,
            orphans,
            torn_histories,
            broken_records,
        } = self;
        write!(
            f,
            "set aside as {name}, saved {conversations} conversations and {messages} messages, \
             {orphans} without a conversation, {torn_histories} torn histories, {broken_records} \
             broken records"
        )
    }
}

/// Damaged files that were set aside: they are kept, under another name, for they may hold more
/// than could be saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetAside {
    /// Their name in the store's folder now.
    pub name: String,
    /// Conversations that were saved.
    pub conversations: u64,
    /// Messages that were saved.
    pub messages: u64,
    /// Saved messages that were dropped again, because their conversation is unknown.
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
