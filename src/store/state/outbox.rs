//! The outbox in memory: every unsent entry, by its id and by its conversation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::OutboxEntryId;
use crate::store::types::entry::Entry;
use crate::store::types::position::ConversationNumber;

/// Every unsent entry. The outbox is small, so it is in memory while the store is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    entries: BTreeMap<OutboxEntryId, Arc<Entry>>,
    by_conversation: BTreeMap<ConversationNumber, BTreeSet<OutboxEntryId>>,
    /// The edits and recalls among them: each read of a message looks for those of its conversation.
    patches: BTreeMap<ConversationNumber, BTreeSet<OutboxEntryId>>,
    /// Those that make their conversation look different.
    row_changes: BTreeMap<ConversationNumber, BTreeSet<OutboxEntryId>>,
}

impl Outbox {
    pub(crate) fn entries(&self) -> &BTreeMap<OutboxEntryId, Arc<Entry>> {
        &self.entries
    }

    /// The ids of a conversation's entries, oldest first.
    pub(crate) fn of(
        &self,
        conversation: ConversationNumber,
    ) -> impl DoubleEndedIterator<Item = OutboxEntryId> + '_ {
        self.by_conversation
            .get(&conversation)
            .into_iter()
            .flatten()
            .copied()
    }

    /// The newest entry of a conversation that has an echo.
    pub(crate) fn newest_echo(&self, conversation: ConversationNumber) -> Option<&Arc<Entry>> {
        let ids = self.of(conversation).rev();
        let mut entries = ids.filter_map(|id| self.entries.get(&id));
        entries.find(|entry| entry.has_echo())
    }

    /// The ids of a conversation's edits and recalls, oldest first.
    pub(crate) fn patches(
        &self,
        conversation: ConversationNumber,
    ) -> impl Iterator<Item = OutboxEntryId> + '_ {
        let ids = self.patches.get(&conversation);
        ids.into_iter().flatten().copied()
    }

    /// The ids of the entries that make a conversation look different, oldest first.
    pub(crate) fn row_changes(
        &self,
        conversation: ConversationNumber,
    ) -> impl Iterator<Item = OutboxEntryId> + '_ {
        let ids = self.row_changes.get(&conversation);
        ids.into_iter().flatten().copied()
    }

    /// The conversations that look different for unsent work.
    pub(crate) fn changed_rows(&self) -> impl Iterator<Item = ConversationNumber> + '_ {
        self.row_changes.keys().copied()
    }

    /// Puts an entry in, in place of the one of the same id.
    pub(crate) fn put(&mut self, entry: Arc<Entry>) {
        self.remove(entry.id);
        self.by_conversation
            .entry(entry.conversation)
            .or_default()
            .insert(entry.id);
        if entry.patch().is_some() {
            let patches = self.patches.entry(entry.conversation).or_default();
            patches.insert(entry.id);
        }
        if entry.changes_row() {
            let changes = self.row_changes.entry(entry.conversation).or_default();
            changes.insert(entry.id);
        }
        self.entries.insert(entry.id, entry);
    }

    pub(crate) fn remove(&mut self, id: OutboxEntryId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        let indexes = [
            &mut self.by_conversation,
            &mut self.patches,
            &mut self.row_changes,
        ];
        for index in indexes {
            if let Some(ids) = index.get_mut(&entry.conversation) {
                ids.remove(&id);
                if ids.is_empty() {
                    index.remove(&entry.conversation);
                }
            }
        }
    }
}
