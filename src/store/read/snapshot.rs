//! Reads: the store at one commit, or an overlay's view, with the overlay's uncommitted writes on top.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, RwLockReadGuard};

use serde::de::DeserializeOwned;

use crate::model::{
    ClientId, CommitSeq, ConversationId, ConversationInfo, Message, OutboxEntryId, Timestamp,
};
use crate::store::error::StoreError;
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{BadRecord, decode};
use crate::store::format::record::IdRecord;
use crate::store::read::items::TimelineItem;
use crate::store::state::{Shared, Tables};
use crate::store::tree::{Direction, Visit};
use crate::store::types::batch::Batch;
use crate::store::types::conversation::{ConversationRow, ListCursor, SessionRow, UnreadTotals};
use crate::store::types::entry::Entry;
use crate::store::types::position::ConversationNumber;

/// The store at one commit.
///
/// While a snapshot lives, the writer waits before it applies its next commit: read the data that belong
/// together, then drop the snapshot. Take one snapshot at a time in a thread, because a second one may wait for
/// a writer that waits for the first.
pub struct Snapshot<'a> {
    pub(in crate::store) tables: RwLockReadGuard<'a, Tables>,
    pub(in crate::store) shared: &'a Shared,
    pub(in crate::store) batch: Option<&'a Batch>,
}

/// A page of the list of conversations, newest activity first.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationPage {
    /// The conversations.
    pub conversations: Vec<(ConversationNumber, ConversationInfo)>,
    /// The place at which the next page begins; none when this was the last.
    pub next: Option<ListCursor>,
}

impl Snapshot<'_> {
    /// The most items of a page.
    pub const PAGE_MAX: usize = 500;

    /// The commit whose state this is.
    #[must_use]
    pub fn seq(&self) -> CommitSeq {
        CommitSeq(self.tables.meta.seq)
    }

    /// The client whose store this is.
    #[must_use]
    pub fn owner(&self) -> &ClientId {
        &self.shared.owner
    }

    /// The session between connections.
    #[must_use]
    pub fn session(&self) -> &SessionRow {
        let uncommitted = self.batch.and_then(|batch| batch.session.as_ref());
        uncommitted.unwrap_or(&self.tables.session)
    }

    /// The number of a conversation, by its id or by the local id it once had.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn number(&self, id: &ConversationId) -> Result<Option<ConversationNumber>, StoreError> {
        if let Some(number) = self.batch.and_then(|batch| batch.ids.get(id)) {
            return Ok(*number);
        }
        let key = key::hashed(Tag::Id, id.as_str(), &self.shared.codec.hash_key);
        let record: Option<IdRecord> = self.record(&key)?;
        let record = record.filter(|record| record.id == id.as_str());
        Ok(record.map(|record| ConversationNumber(record.number)))
    }

    /// A conversation's row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn conversation(
        &self,
        number: ConversationNumber,
    ) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self.row(number)?.map(Arc::unwrap_or_clone))
    }

    /// A conversation's row, shared with everybody else who has read it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn row(
        &self,
        number: ConversationNumber,
    ) -> Result<Option<Arc<ConversationRow>>, StoreError> {
        if let Some(change) = self
            .batch
            .and_then(|batch| batch.conversations.get(&number))
        {
            return Ok(change.after.clone());
        }
        if let Some(row) = self.tables.rows.value(&number) {
            return Ok(Some(row));
        }
        let row = self.stored_row(number)?;
        let row = row.map(|row| {
            // The row's value lacks the activity of a commit that only moved the conversation.
            let activity = self.tables.list.activity(number).unwrap_or(row.activity);
            Arc::new(row.with_activity(activity))
        });
        if let Some(row) = &row {
            self.tables.rows.put(number, Arc::clone(row), row.cost());
        }
        Ok(row)
    }

    /// A conversation's row as an app sees it, with the changes that wait in the outbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn shown_row(
        &self,
        number: ConversationNumber,
    ) -> Result<Option<Arc<ConversationRow>>, StoreError> {
        let row = self.row(number)?;
        Ok(row.map(|row| self.with_row_changes(number, row)))
    }

    fn with_row_changes(
        &self,
        number: ConversationNumber,
        mut row: Arc<ConversationRow>,
    ) -> Arc<ConversationRow> {
        let mut ids: BTreeSet<_> = self.tables.outbox.row_changes(number).collect();
        let written = self.batch.iter().flat_map(|batch| &batch.outbox);
        ids.extend(written.map(|(id, _)| *id));
        let entries = ids.into_iter().filter_map(|id| self.entry(id));
        for entry in entries.filter(|it| it.conversation == number && it.changes_row()) {
            entry.show_on_row(Arc::make_mut(&mut row), self.owner());
        }
        row
    }

    /// A conversation's row and number, by its id or by the local id it once had.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn conversation_by_id(
        &self,
        id: &ConversationId,
    ) -> Result<Option<(ConversationNumber, ConversationRow)>, StoreError> {
        let Some(number) = self.number(id)? else {
            return Ok(None);
        };
        Ok(self.conversation(number)?.map(|row| (number, row)))
    }

    /// A conversation as an app sees it, with its newest message or local echo.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn info(&self, number: ConversationNumber) -> Result<Option<ConversationInfo>, StoreError> {
        let Some(row) = self.shown_row(number)? else {
            return Ok(None);
        };
        Ok(Some(self.info_of(number, &row)?))
    }

    pub(in crate::store) fn info_of(
        &self,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Result<ConversationInfo, StoreError> {
        let newest = self.newest_item(number, row)?;
        Ok(row.info(newest.and_then(TimelineItem::into_message)))
    }

    /// The newest local echo of a conversation, or else its newest message.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn newest_item(
        &self,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Result<Option<TimelineItem>, StoreError> {
        let entry = self.newest_echo(number);
        let echo = entry.and_then(|entry| Some((entry.id, self.shown_echo(&entry, &row.id)?)));
        if let Some((entry, message)) = echo {
            return Ok(Some(TimelineItem::Echo { entry, message }));
        }
        let newest = self.newest_message_of(number, row)?;
        Ok(newest.map(|(position, message)| {
            let message = self.shown(number, message);
            TimelineItem::Message { position, message }
        }))
    }

    /// All conversations, newest activity first, as the last commit left them.
    pub fn listed(&self) -> impl Iterator<Item = ConversationNumber> {
        self.tables.list.all()
    }

    /// The time that orders a conversation in the list, as the last commit left it; none if the list has no such
    /// conversation.
    #[must_use]
    pub fn activity(&self, number: ConversationNumber) -> Option<Timestamp> {
        self.tables.list.activity(number)
    }

    /// A page of the list of conversations, newest activity first, as the last commit left it:
    /// uncommitted writes of an overlay are not in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn conversations(
        &self,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<ConversationPage, StoreError> {
        let limit = limit.clamp(1, Self::PAGE_MAX);
        let (found, more) = self.tables.list.page(after, limit);
        let last = found.last().copied().filter(|_| more);
        let mut conversations = Vec::with_capacity(found.len());
        for (_, number) in found {
            // One whose row is damaged is not shown.
            if let Some(row) = self.shown_row(number)? {
                conversations.push((number, self.info_of(number, &row)?));
            }
        }
        let next = last.map(|(activity, number)| ListCursor { activity, number });
        Ok(ConversationPage {
            conversations,
            next,
        })
    }

    /// The conversations that have work to do: stale, or behind. As the last commit left it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn conversations_with_work(
        &self,
        limit: usize,
    ) -> Result<Vec<ConversationNumber>, StoreError> {
        let mut found = Vec::new();
        let prefix = [Tag::Work as u8];
        let from = Bound::Included(&prefix[..]);
        self.scan(
            Tag::Work,
            from,
            Bound::Unbounded,
            Direction::Forward,
            &mut |key, _| {
                found.extend(key::parse_number(key));
                if found.len() >= limit {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )?;
        Ok(found)
    }

    /// The sums of unread counts, as the last commit left them.
    #[must_use]
    pub fn unread_totals(&self) -> UnreadTotals {
        let mut totals = self.tables.totals;
        for number in self.tables.outbox.changed_rows() {
            // A row that cannot be read counts as the last commit left it.
            if let Ok(Some(row)) = self.row(number) {
                let shown = self.with_row_changes(number, Arc::clone(&row));
                totals.replace(Some(row.as_ref()), Some(shown.as_ref()));
            }
        }
        totals
    }

    /// Every unsent entry, in the order of enqueueing.
    #[must_use]
    pub fn outbox(&self) -> Vec<Arc<Entry>> {
        let mut entries = self.tables.outbox.entries().clone();
        for (id, change) in self.batch.iter().flat_map(|batch| &batch.outbox) {
            match &change.after {
                Some(entry) => entries.insert(*id, Arc::clone(entry)),
                None => entries.remove(id),
            };
        }
        entries.into_values().collect()
    }

    /// The number of entries that are unsent.
    #[must_use]
    pub fn outbox_len(&self) -> usize {
        let committed = self.tables.outbox.entries();
        self.batch.iter().flat_map(|batch| &batch.outbox).fold(
            committed.len(),
            |len, (id, change)| match (committed.contains_key(id), change.after.is_some()) {
                (false, true) => len.saturating_add(1),
                (true, false) => len.saturating_sub(1),
                (true, true) | (false, false) => len,
            },
        )
    }

    /// One unsent entry.
    #[must_use]
    pub fn entry(&self, id: OutboxEntryId) -> Option<Arc<Entry>> {
        if let Some(change) = self.batch.and_then(|batch| batch.outbox.get(&id)) {
            return change.after.clone();
        }
        self.tables.outbox.entries().get(&id).cloned()
    }

    /// The unsent entries of a conversation, in the order of enqueueing.
    #[must_use]
    pub fn outbox_of(&self, number: ConversationNumber) -> Vec<Arc<Entry>> {
        let written = self.batch.iter().flat_map(|batch| &batch.outbox);
        let mut ids: BTreeSet<_> = self.tables.outbox.of(number).collect();
        ids.extend(written.map(|(id, _)| *id));
        let entries = ids.into_iter().filter_map(|id| self.entry(id));
        entries
            .filter(|entry| entry.conversation == number)
            .collect()
    }

    /// The newest send of a conversation that is in the outbox. Every enqueueing asks for it, and an
    /// outbox may hold thousands: it is looked for from the newest on.
    pub(in crate::store) fn newest_echo(&self, number: ConversationNumber) -> Option<Arc<Entry>> {
        let outbox = &self.tables.outbox;
        let is_written = |id: &OutboxEntryId| {
            self.batch
                .is_some_and(|batch| batch.outbox.contains_key(id))
        };
        let ids = outbox.of(number).rev().filter(|id| !is_written(id));
        let held = ids
            .filter_map(|id| outbox.entries().get(&id))
            .find(|entry| entry.has_echo());
        let changes = self.batch.iter().flat_map(|batch| batch.outbox.values());
        let written = changes
            .rev()
            .filter_map(|change| change.after.as_ref())
            .find(|entry| entry.conversation == number && entry.has_echo());
        held.into_iter()
            .chain(written)
            .max_by_key(|entry| entry.id)
            .cloned()
    }

    /// The edits and recalls of a conversation's messages that are unsent, in the order of enqueueing.
    #[must_use]
    pub fn patches_of(&self, number: ConversationNumber) -> Vec<Arc<Entry>> {
        let mut ids: BTreeSet<_> = self.tables.outbox.patches(number).collect();
        let written = self.batch.iter().flat_map(|batch| &batch.outbox);
        ids.extend(written.map(|(id, _)| *id));
        let entries = ids.into_iter().filter_map(|id| self.entry(id));
        entries
            .filter(|entry| entry.conversation == number && entry.patch().is_some())
            .collect()
    }

    /// A message as an app sees it: with the edits and recalls of it that wait in the outbox.
    pub(in crate::store) fn shown(&self, number: ConversationNumber, message: Message) -> Message {
        let entries = self.patches_of(number);
        entries
            .iter()
            .fold(message, |message, entry| entry.shown_on(message))
    }

    /// The local echo of an entry as an app sees it, if it has one.
    pub(in crate::store) fn shown_echo(
        &self,
        entry: &Entry,
        conversation: &ConversationId,
    ) -> Option<Message> {
        let echo = self.echo(entry, conversation)?;
        Some(self.shown(entry.conversation, echo))
    }

    /// The local echo of an entry as it was enqueued, if it has one.
    pub(in crate::store) fn echo(
        &self,
        entry: &Entry,
        conversation: &ConversationId,
    ) -> Option<Message> {
        entry.echo(conversation.clone(), self.owner().clone())
    }

    /// The record of a key; a damaged one is counted and none.
    pub(in crate::store) fn record<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let value = self.shared.noting(self.tables.value(key))?;
        Ok(value.and_then(|value| self.intact(decode(&self.payload(key, &value)?))))
    }

    /// The payload in the value of a key; a damaged one is counted and none.
    fn payload<'v>(&self, key: &[u8], value: &'v [u8]) -> Option<Cow<'v, [u8]>> {
        let payload = self.shared.codec.open(key, value).map_err(|_| BadRecord);
        self.intact(payload)
    }

    /// The record, or none for a damaged one, which is counted.
    pub(in crate::store) fn intact<T>(&self, record: Result<T, BadRecord>) -> Option<T> {
        if record.is_err() {
            self.shared.count_damaged();
        }
        record.ok()
    }

    pub(in crate::store) fn scan(
        &self,
        tag: Tag,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let after = key::after_prefix(&[tag as u8]).unwrap_or_default();
        let to = if matches!(to, Bound::Unbounded) {
            Bound::Excluded(&after[..])
        } else {
            to
        };
        let scanned = self.tables.scan((from, to), direction, visit);
        self.shared.noting(scanned)
    }
}
