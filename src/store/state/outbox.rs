//! The outbox in memory: every unsent entry, by its id and by its conversation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::OutboxEntryId;
use crate::store::types::entry::Entry;
use crate::store::types::position::ConversationNumber;

/// Every unsent entry. It is small, so it lives in memory while the store is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    entries: BTreeMap<OutboxEntryId, Arc<Entry>>,
    by_conversation: BTreeMap<ConversationNumber, BTreeSet<OutboxEntryId>>,
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

    /// Puts an entry in, in place of the one of the same id.
    pub(crate) fn put(&mut self, entry: Arc<Entry>) {
        self.remove(entry.id);
        self.by_conversation
            .entry(entry.conversation)
            .or_default()
            .insert(entry.id);
        self.entries.insert(entry.id, entry);
    }

    pub(crate) fn remove(&mut self, id: OutboxEntryId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        if let Some(ids) = self.by_conversation.get_mut(&entry.conversation) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_conversation.remove(&entry.conversation);
            }
        }
    }
}
