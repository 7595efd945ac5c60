//! [`Batch`]: the writes of one commit as a value, by kind, each with the value before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{CommitSeq, ConversationId, LocalId, MessageId, OutboxEntryId};
use crate::store::types::conversation::{ConversationRow, SessionRow};
use crate::store::types::entry::Entry;
use crate::store::types::message::StoredMessage;
use crate::store::types::position::{ConversationNumber, Position};

/// The time by which a commit must be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitClass {
    /// A promise to the app: durable before the call returns.
    Intent,
    /// Something that the service has too: durable soon, at the latest after
    /// [`Writer::sync`](crate::store::Writer::sync). Call that before anything that depends on the commit is
    /// acknowledged to the service.
    Cache,
}

/// The changes of one commit. Made by an [`Overlay`](crate::store::write::overlay::Overlay), taken by
/// [`Writer::commit`](crate::store::writer::Writer::commit).
#[derive(Clone, Debug)]
pub struct Batch {
    /// The commit whose state the batch was made against.
    pub(in crate::store) base: CommitSeq,
    pub(in crate::store) conversations: BTreeMap<ConversationNumber, Change<Arc<ConversationRow>>>,
    pub(in crate::store) ids: BTreeMap<ConversationId, Option<ConversationNumber>>,
    pub(in crate::store) messages:
        BTreeMap<ConversationNumber, BTreeMap<Position, Change<Arc<StoredMessage>>>>,
    pub(in crate::store) outbox: BTreeMap<OutboxEntryId, Change<Arc<Entry>>>,
    pub(in crate::store) locals: BTreeMap<LocalId, (ConversationNumber, Position)>,
    pub(in crate::store) awaiting: BTreeMap<MessageId, Option<(ConversationNumber, Position)>>,
    pub(in crate::store) session: Option<SessionRow>,
    /// Local ids that the service's took over: (local, service's).
    pub(in crate::store) assigned: Vec<(ConversationId, ConversationId)>,
    /// The ids that entries name their conversations by; filled in by the writer.
    pub(in crate::store) entry_ids: BTreeMap<ConversationNumber, ConversationId>,
    pub(in crate::store) next_number: u32,
    pub(in crate::store) next_entry: u64,
    /// True if something of the batch was promised to the app.
    pub(in crate::store) is_intent: bool,
}

/// The values before and after a commit; none where there is nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change<T> {
    pub(crate) before: Option<T>,
    pub(crate) after: Option<T>,
}

impl Batch {
    pub(in crate::store) fn new(base: CommitSeq, next_number: u32, next_entry: u64) -> Self {
        Self {
            base,
            conversations: BTreeMap::new(),
            ids: BTreeMap::new(),
            messages: BTreeMap::new(),
            outbox: BTreeMap::new(),
            locals: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            session: None,
            assigned: Vec::new(),
            entry_ids: BTreeMap::new(),
            next_number,
            next_entry,
            is_intent: false,
        }
    }

    /// The class of the commit: intent if something of the batch is an intent.
    #[must_use]
    pub const fn class(&self) -> CommitClass {
        if self.is_intent {
            CommitClass::Intent
        } else {
            CommitClass::Cache
        }
    }

    /// True if the batch changes nothing; committing such a batch does nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conversations
            .values()
            .all(|change| change.before == change.after)
            && self.ids.is_empty()
            && self.messages.is_empty()
            && self.outbox.is_empty()
            && self.locals.is_empty()
            && self.awaiting.is_empty()
            && self.session.is_none()
    }

    /// The row of a conversation of the batch as it is to be, to be changed; none when it is removed.
    pub(in crate::store) fn row_mut(
        &mut self,
        number: ConversationNumber,
    ) -> Option<&mut ConversationRow> {
        let change = self.conversations.get_mut(&number)?;
        change.after.as_mut().map(Arc::make_mut)
    }

    /// The conversations that look different after it: their rows, messages or unsent work.
    #[must_use]
    pub fn touched(&self) -> BTreeSet<ConversationNumber> {
        let entries = self.outbox.values();
        let entries = entries.filter_map(|change| change.after.as_ref().or(change.before.as_ref()));
        let mut touched: BTreeSet<_> = entries.map(|entry| entry.conversation).collect();
        touched.extend(self.conversations.keys());
        touched.extend(self.messages.keys());
        touched
    }

    /// The number of messages that the batch writes: a commit of more than about a hundred keeps readers waiting.
    #[must_use]
    pub fn message_count(&self) -> usize {
        self.messages.values().map(BTreeMap::len).sum()
    }
}
