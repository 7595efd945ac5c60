//! The store plus uncommitted writes: a machine's view between two commits.

use std::sync::Arc;

use crate::model::{
    ConversationId, LocalId, Message, MessageId, OutboxEntryId, OutboxState, Timestamp,
};
use crate::store::error::StoreError;
use crate::store::read::snapshot::Snapshot;
use crate::store::read::store::Store;
use crate::store::types::batch::{Batch, Change};
use crate::store::types::conversation::{ConversationRow, SessionRow};
use crate::store::types::entry::{Entry, Intent};
use crate::store::types::message::StoredMessage;
use crate::store::types::origin::ImportedMessage;
use crate::store::types::position::{ConversationNumber, Position};
use crate::store::write::join::{earlier, join};

/// The store plus uncommitted writes. Reads see the writes; nobody else does until
/// [`Writer::commit`](crate::store::writer::Writer::commit) takes the batch.
#[derive(Debug)]
pub struct Overlay<'s> {
    store: &'s Store,
    batch: Batch,
}

/// The effect of putting a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The message is new.
    Added,
    /// The message was stored and is different now.
    Changed,
    /// The message was stored, with the same content.
    Unchanged,
}

/// The effect of an assigned id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// The conversation has the service's id now.
    TookOver(ConversationNumber),
    /// The store had a conversation of that id already (a unique one): the local one's unsent
    /// work moved there, and the local id leads there from now on.
    MergedInto(ConversationNumber),
}

impl Assigned {
    /// The number that both ids lead to now.
    #[must_use]
    pub const fn number(self) -> ConversationNumber {
        match self {
            Self::TookOver(number) | Self::MergedInto(number) => number,
        }
    }
}

impl<'s> Overlay<'s> {
    /// An overlay on the store's present content.
    #[must_use]
    pub fn new(store: &'s Store) -> Self {
        let tables = store.shared.read();
        let batch = Batch::new(
            tables.seq(),
            tables.meta.next_number,
            tables.meta.next_entry,
        );
        drop(tables);
        Self { store, batch }
    }

    /// Goes on with a batch that was taken from an overlay of the same commit.
    #[must_use]
    pub const fn with_batch(store: &'s Store, batch: Batch) -> Self {
        Self { store, batch }
    }

    /// The store under it.
    #[must_use]
    pub const fn store(&self) -> &'s Store {
        self.store
    }

    /// Reads, with the uncommitted writes seen.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            tables: self.store.shared.read(),
            shared: &self.store.shared,
            batch: Some(&self.batch),
        }
    }

    /// The writes so far.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The writes.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        self.batch
    }

    /// Takes the writes out; the overlay goes on without them.
    #[must_use]
    pub fn take_batch(&mut self) -> Batch {
        let fresh = Batch::new(
            self.batch.base,
            self.batch.next_number,
            self.batch.next_entry,
        );
        std::mem::replace(&mut self.batch, fresh)
    }

    /// Says that the batch is an intent: it must be durable before a call returns or a frame leaves. A batch
    /// that enqueues something is an intent without being said; every other write is cache.
    pub const fn intend(&mut self) {
        self.batch.is_intent = true;
    }

    /// Adds a conversation and gives it a number.
    ///
    /// # Errors
    ///
    /// [`StoreError::IdTaken`] when there is one of that id already; read errors.
    pub fn create_conversation(
        &mut self,
        row: ConversationRow,
    ) -> Result<ConversationNumber, StoreError> {
        if self.snapshot().number(&row.id)?.is_some() {
            return Err(StoreError::IdTaken);
        }
        let number = ConversationNumber(self.batch.next_number);
        self.batch.next_number = self.batch.next_number.saturating_add(1);
        self.batch.ids.insert(row.id.clone(), Some(number));
        if let Some(local) = &row.local_id {
            self.batch.ids.insert(local.clone(), Some(number));
        }
        self.batch.conversations.insert(
            number,
            Change {
                before: None,
                after: Some(Arc::new(row)),
            },
        );
        Ok(number)
    }

    /// The number of a conversation. If the store has no conversation of that id, or its row is damaged, the
    /// conversation begins anew with only its id. Only this function finds or makes a conversation by its id.
    ///
    /// # Errors
    ///
    /// Read errors.
    pub fn conversation_or_unknown(
        &mut self,
        id: &ConversationId,
    ) -> Result<ConversationNumber, StoreError> {
        let known = self.snapshot().number(id)?;
        match known {
            Some(number) => {
                if self.snapshot().row(number)?.is_none() {
                    // Its row was damaged: begin anew under the same number.
                    let row = ConversationRow::unknown(id.clone());
                    let change = Change {
                        before: None,
                        after: Some(Arc::new(row)),
                    };
                    self.batch.conversations.insert(number, change);
                }
                Ok(number)
            }
            None => self.create_conversation(ConversationRow::unknown(id.clone())),
        }
    }

    /// Changes a conversation's row. Its ids are not changed this way: see
    /// [`Overlay::assign_id`].
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchConversation`]; read errors.
    pub fn update_conversation(
        &mut self,
        number: ConversationNumber,
        update: impl FnOnce(&mut ConversationRow),
    ) -> Result<(), StoreError> {
        self.load(number)?;
        let row = self.row_mut(number);
        let row = row.ok_or(StoreError::NoSuchConversation)?;
        let ids = (row.id.clone(), row.local_id.clone());
        update(row);
        (row.id, row.local_id) = ids;
        Ok(())
    }

    /// Lets the service's id take over a local one. Both lead to the same conversation from then
    /// on. Does nothing when it is so already.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchConversation`] when the local id leads nowhere; read errors.
    pub fn assign_id(
        &mut self,
        local: &ConversationId,
        id: &ConversationId,
    ) -> Result<Assigned, StoreError> {
        let number = self
            .snapshot()
            .number(local)?
            .ok_or(StoreError::NoSuchConversation)?;
        let known = self.snapshot().number(id)?;
        if let Some(other) = known {
            if other == number {
                return Ok(Assigned::TookOver(number));
            }
            self.merge(number, other, local)?;
            self.batch.assigned.push((local.clone(), id.clone()));
            return Ok(Assigned::MergedInto(other));
        }
        self.load(number)?;
        let row = self.row_mut(number);
        let row = row.ok_or(StoreError::NoSuchConversation)?;
        row.local_id = Some(local.clone());
        row.id = id.clone();
        self.batch.ids.insert(id.clone(), Some(number));
        self.batch.assigned.push((local.clone(), id.clone()));
        Ok(Assigned::TookOver(number))
    }

    /// Moves the unsent work of one conversation to another and removes it; the local id leads to
    /// the other then. A conversation that the service did not know has no messages to move.
    fn merge(
        &mut self,
        from: ConversationNumber,
        to: ConversationNumber,
        local: &ConversationId,
    ) -> Result<(), StoreError> {
        let unsent = self.snapshot().outbox_of(from);
        for entry in unsent {
            self.put_entry(Entry {
                conversation: to,
                ..(*entry).clone()
            });
        }
        let gone = self.snapshot().conversation(from)?;
        self.remove_conversation(from)?;
        self.load(to)?;
        if let Some(row) = self.row_mut(to) {
            row.local_id.get_or_insert_with(|| local.clone());
            if let Some(gone) = gone {
                row.pinned |= gone.pinned;
                row.draft = row.draft.take().or(gone.draft);
            }
        }
        self.batch.ids.insert(local.clone(), Some(to));
        Ok(())
    }

    /// Removes a conversation with its messages and its unsent work.
    ///
    /// # Errors
    ///
    /// Read errors.
    pub fn remove_conversation(&mut self, number: ConversationNumber) -> Result<(), StoreError> {
        self.load(number)?;
        let mut after = None;
        if let Some(change) = self.batch.conversations.get_mut(&number) {
            after = change.after.take();
        }
        let Some(row) = after else { return Ok(()) };
        self.batch.ids.insert(row.id.clone(), None);
        if let Some(local) = &row.local_id {
            self.batch.ids.insert(local.clone(), None);
        }
        let unsent = self.snapshot().outbox_of(number);
        for entry in unsent {
            self.settle(entry.id);
        }
        let held = self.snapshot().messages(
            number,
            None,
            crate::store::tree::Direction::Forward,
            usize::MAX,
        )?;
        for (position, _) in held {
            self.remove_message(number, &position)?;
        }
        Ok(())
    }

    /// Inserts a message that the service knows, or updates the one at its place. Raises the
    /// conversation's `last_message_at`; which spans of history are held is said apart, with
    /// [`Overlay::update_conversation`].
    ///
    /// A local id that the store knows for the message stays, also when an update lacks it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidArgument`] for a message without id; read errors.
    pub fn put_message(
        &mut self,
        number: ConversationNumber,
        message: &Message,
    ) -> Result<Put, StoreError> {
        self.put(number, message, StoredMessage::of(message))
    }

    /// Inserts a message that a cache had, or joins it with the one at its place. The order in which
    /// caches are imported does not matter, and a cache that comes twice changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Overlay::put_message`].
    pub fn put_imported(
        &mut self,
        number: ConversationNumber,
        imported: &ImportedMessage,
    ) -> Result<Put, StoreError> {
        let stored = StoredMessage {
            delivered_at: imported.delivered_at,
            read_at: imported.read_at,
            origin: Some(Box::new(imported.origin.clone())),
            ..StoredMessage::of(&imported.message)
        };
        self.put(number, &imported.message, stored)
    }

    fn put(
        &mut self,
        number: ConversationNumber,
        message: &Message,
        mut stored: StoredMessage,
    ) -> Result<Put, StoreError> {
        let id = message
            .id
            .clone()
            .ok_or_else(|| StoreError::InvalidArgument {
                reason: "a message in the store has an id of the service".to_owned(),
            })?;
        let position = Position {
            sent_at: message.sent_at,
            id,
        };
        let before = self.snapshot().message_record(number, &position)?;
        if let Some(before) = &before {
            if before.origin.is_some() || stored.origin.is_some() {
                stored = join(before, &stored);
            }
            stored.local_id = stored.local_id.or_else(|| before.local_id.clone());
            // An answer that was on its way while a receipt came knows less than the receipt.
            stored.delivered_at = earlier(before.delivered_at, stored.delivered_at);
            stored.read_at = earlier(before.read_at, stored.read_at);
            stored.older = before.older.clone();
            if **before == stored {
                return Ok(Put::Unchanged);
            }
        }
        if let Some(local) = &message.local_id {
            self.batch
                .locals
                .insert(local.clone(), (number, position.clone()));
        }
        let sent_at = message.sent_at;
        self.update_conversation(number, |row| {
            row.last_message_at = row.last_message_at.max(Some(sent_at));
        })?;
        let put = if before.is_some() {
            Put::Changed
        } else {
            Put::Added
        };
        self.write_message(number, position, before, Some(Arc::new(stored)));
        Ok(put)
    }

    /// Removes a message from this device. False when there was none.
    ///
    /// # Errors
    ///
    /// Read errors.
    pub fn remove_message(
        &mut self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<bool, StoreError> {
        let before = self.snapshot().message_record(number, position)?;
        let existed = before.is_some();
        // The row counts the held messages; that of a conversation removed by the same batch is gone.
        match self.load(number) {
            Ok(()) | Err(StoreError::NoSuchConversation) => {}
            Err(error) => return Err(error),
        }
        self.write_message(number, position.clone(), before, None);
        Ok(existed)
    }

    fn write_message(
        &mut self,
        number: ConversationNumber,
        position: Position,
        before: Option<Arc<StoredMessage>>,
        after: Option<Arc<StoredMessage>>,
    ) {
        let messages = self.batch.messages.entry(number).or_default();
        // The message from before the whole batch stays `before`.
        messages
            .entry(position)
            .or_insert(Change {
                before,
                after: None,
            })
            .after = after;
    }

    /// Puts work into the outbox and gives it a number.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchConversation`]; read errors.
    pub fn enqueue(
        &mut self,
        conversation: ConversationNumber,
        token: LocalId,
        enqueued_at: Timestamp,
        intent: Intent,
    ) -> Result<OutboxEntryId, StoreError> {
        self.load(conversation)?;
        self.intend();
        let id = OutboxEntryId(self.batch.next_entry);
        self.batch.next_entry = self.batch.next_entry.saturating_add(1);
        self.put_entry(Entry {
            id,
            conversation,
            token,
            enqueued_at,
            tries: 0,
            in_doubt_since: None,
            state: OutboxState::Queued,
            intent,
        });
        Ok(id)
    }

    /// Changes an entry. False when there is none of that id.
    pub fn update_entry(&mut self, id: OutboxEntryId, update: impl FnOnce(&mut Entry)) -> bool {
        let entry = self.snapshot().entry(id);
        let Some(entry) = entry else { return false };
        let mut changed = (*entry).clone();
        update(&mut changed);
        changed.id = id;
        if changed != *entry {
            self.put_entry(changed);
        }
        true
    }

    /// Ends an entry: it was acknowledged, cancelled or discarded. Its number is never used again.
    pub fn settle(&mut self, id: OutboxEntryId) {
        let before = self.store.shared.read().outbox.entries().get(&id).cloned();
        self.touch_entry(before.as_ref());
        let change = self.batch.outbox.entry(id).or_insert(Change {
            before,
            after: None,
        });
        let after = change.after.take();
        let both_none = change.before.is_none();
        if both_none {
            self.batch.outbox.remove(&id);
        }
        self.touch_entry(after.as_ref());
    }

    /// Ends a send: the service acknowledged it as `message`. The message keeps the entry's local id for ever,
    /// and the local id leads to the message from now on.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidArgument`] for a message without id; read errors.
    pub fn acknowledge(
        &mut self,
        id: OutboxEntryId,
        number: ConversationNumber,
        message: &Message,
    ) -> Result<Put, StoreError> {
        let local_id = self
            .snapshot()
            .entry(id)
            .and_then(|entry| entry.local_id().cloned());
        let local_id = message.local_id.clone().or(local_id);
        self.settle(id);
        self.put_message(
            number,
            &Message {
                local_id,
                ..message.clone()
            },
        )
    }

    fn put_entry(&mut self, entry: Entry) {
        let before = self
            .store
            .shared
            .read()
            .outbox
            .entries()
            .get(&entry.id)
            .cloned();
        let entry = Arc::new(entry);
        self.touch_entry(before.as_ref());
        self.touch_entry(Some(&entry));
        let change = self.batch.outbox.entry(entry.id).or_insert(Change {
            before,
            after: None,
        });
        change.after = Some(entry);
    }

    /// An echo changes its conversation's place in the list: the row goes into the batch too.
    fn touch_entry(&mut self, entry: Option<&Arc<Entry>>) {
        if let Some(entry) = entry.filter(|entry| entry.has_echo()) {
            // A row that cannot be read keeps its place in the list; the entry matters more.
            let _ = self.load(entry.conversation);
        }
    }

    /// Remembers a token for ever: work with this token is never enqueued again, also after it was discarded.
    pub fn remember_token(&mut self, number: ConversationNumber, token: LocalId, place: Position) {
        self.batch.locals.insert(token, (number, place));
    }

    /// Remembers an own message whose receipts are awaited: a receipt names it by id alone.
    pub fn await_receipt(&mut self, number: ConversationNumber, position: Position) {
        self.batch
            .awaiting
            .insert(position.id.clone(), Some((number, position)));
    }

    /// Forgets an own message whose receipts were awaited.
    pub fn forget_receipt(&mut self, id: &MessageId) {
        self.batch.awaiting.insert(id.clone(), None);
    }

    /// Changes the session row.
    pub fn update_session(&mut self, update: impl FnOnce(&mut SessionRow)) {
        let before = self.snapshot().session().clone();
        let mut row = before.clone();
        update(&mut row);
        if row != before {
            self.batch.session = Some(row);
        }
    }

    /// Brings a conversation's row into the batch.
    fn load(&mut self, number: ConversationNumber) -> Result<(), StoreError> {
        if self.batch.conversations.contains_key(&number) {
            return Ok(());
        }
        let row = self.snapshot().row(number)?;
        let row = row.ok_or(StoreError::NoSuchConversation)?;
        let change = Change {
            before: Some(Arc::clone(&row)),
            after: Some(row),
        };
        self.batch.conversations.insert(number, change);
        Ok(())
    }

    /// The row of a conversation that is in the batch, to be changed.
    fn row_mut(&mut self, number: ConversationNumber) -> Option<&mut ConversationRow> {
        self.batch.row_mut(number)
    }
}
