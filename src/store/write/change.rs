//! The changes of a commit for observers: derived from the batch, in one order.

use std::collections::BTreeSet;

use crate::model::{
    ConversationId, ConversationInfo, LocalId, Message, MessageId, MessageKey, OutboxEntry,
    OutboxEntryId, Receipt,
};
use crate::store::error::StoreError;
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::Direction;
use crate::store::types::batch::Batch;
use crate::store::types::conversation::ConversationRow;
use crate::store::types::entry::Entry;
use crate::store::types::position::{ConversationNumber, Position};

/// One observable difference. A commit has at most one for each item, in this order: ids, removed
/// conversations, messages by conversation and position, echoes, conversations, outbox.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "changes are made once and handed over; the common ones are the large ones"
)]
pub enum StoreChange {
    /// A conversation made offline has the service's id now.
    ConversationIdAssigned {
        /// The id this device gave it; it keeps resolving.
        local: ConversationId,
        /// The service's id.
        id: ConversationId,
    },
    /// A conversation is gone.
    ConversationRemoved {
        /// The conversation.
        conversation: ConversationId,
    },
    /// A message is new: received, found, or just enqueued.
    MessageAdded {
        /// The message.
        message: Message,
    },
    /// A message is different: acknowledged, delivered, read, edited, recalled or failed.
    MessageChanged {
        /// The message as the commit left it.
        message: Message,
    },
    /// A message is gone: an unsent one was discarded, or a stored one removed.
    MessageRemoved {
        /// The conversation it was in.
        conversation: ConversationId,
        /// Its id, if the service had given it one.
        id: Option<MessageId>,
        /// Its local id, if it was made here.
        local_id: Option<LocalId>,
    },
    /// A conversation is new or different, or its newest message is.
    ConversationChanged {
        /// The conversation as the commit left it.
        conversation: ConversationInfo,
    },
    /// An outbox entry is new or different.
    OutboxChanged {
        /// The entry as the commit left it.
        entry: OutboxEntry,
    },
    /// An outbox entry is done.
    OutboxSettled {
        /// The entry.
        entry: OutboxEntryId,
    },
}

/// The most messages of a conversation that one receipt reports as changed, newest first; the
/// conversation's own marks tell the rest.
const RECEIPT_CHANGES_MAX: usize = 100;

/// Derives the changes of a batch; `after` is the store with the batch applied.
pub(crate) fn changes(batch: &Batch, after: &Snapshot<'_>) -> Result<Vec<StoreChange>, StoreError> {
    let mut gathered = Gathered {
        after,
        touched: BTreeSet::new(),
        told: BTreeSet::new(),
    };
    // One for each message, and one for each conversation; they are large, and moved when it grows.
    let many = batch
        .message_count()
        .saturating_add(batch.conversations.len());
    let mut changes = Vec::with_capacity(many);
    for (local, id) in &batch.assigned {
        let (local, id) = (local.clone(), id.clone());
        changes.push(StoreChange::ConversationIdAssigned { local, id });
    }
    for change in batch.conversations.values() {
        if let (Some(before), None) = (&change.before, &change.after) {
            let conversation = before.id.clone();
            changes.push(StoreChange::ConversationRemoved { conversation });
        }
    }
    gathered.messages(batch, &mut changes)?;
    gathered.receipts(batch, &mut changes)?;
    let mut outbox = Vec::new();
    gathered.outbox(batch, &mut changes, &mut outbox)?;
    gathered.patches(batch, &mut changes)?;
    gathered.conversations(batch, &mut changes)?;
    changes.append(&mut outbox);
    Ok(changes)
}

struct Gathered<'a, 's> {
    after: &'a Snapshot<'s>,
    /// Conversations whose newest message or echo may be another one now.
    touched: BTreeSet<ConversationNumber>,
    /// The messages and echoes that are told, by key.
    told: BTreeSet<MessageKey>,
}

impl Gathered<'_, '_> {
    fn messages(
        &mut self,
        batch: &Batch,
        changes: &mut Vec<StoreChange>,
    ) -> Result<(), StoreError> {
        let settled = settled_echoes(batch);
        let after = self.after;
        for (number, messages) in &batch.messages {
            self.touched.insert(*number);
            let Some(row) = after.row(*number)? else {
                continue;
            };
            let row = &row;
            for (position, change) in messages {
                let Some(stored) = change.after.as_deref() else {
                    let local_id = change.before.as_ref().and_then(|b| b.local_id.clone());
                    if change.before.is_some() {
                        changes.push(StoreChange::MessageRemoved {
                            conversation: row.id.clone(),
                            id: Some(position.id.clone()),
                            local_id,
                        });
                    }
                    continue;
                };
                let before = change.before.as_ref();
                if before.is_some_and(|before| before.shows_same(stored)) {
                    continue;
                }
                let local_id = stored.local_id.as_ref();
                let was_echo = local_id.is_some_and(|id| settled.contains(id));
                let message = after.message_of(row, position, stored.clone());
                let message = after.shown(*number, message);
                self.note(batch, &message);
                changes.push(if change.before.is_some() || was_echo {
                    StoreChange::MessageChanged { message }
                } else {
                    StoreChange::MessageAdded { message }
                });
            }
        }
        Ok(())
    }

    /// Own messages that a raised mark covers now.
    fn receipts(
        &mut self,
        batch: &Batch,
        changes: &mut Vec<StoreChange>,
    ) -> Result<(), StoreError> {
        for (number, change) in &batch.conversations {
            let (Some(before), Some(row)) = (&change.before, &change.after) else {
                continue;
            };
            if before.receipt == row.receipt {
                continue;
            }
            let written = batch.messages.get(number);
            let is_told = |position: &Position| {
                let change = written.and_then(|written| written.get(position));
                change.is_some_and(|change| match (&change.before, &change.after) {
                    (Some(before), Some(after)) => !before.shows_same(after),
                    _ => true,
                })
            };
            let held =
                self.after
                    .messages(*number, None, Direction::Backward, RECEIPT_CHANGES_MAX)?;
            for (position, stored) in held.into_iter().filter(|(at, _)| !is_told(at)) {
                let Some(stored) = stored else { continue };
                if newly_covered(before.receipt, row.receipt, &position)
                    && stored.sender == *self.after.owner()
                {
                    let message = self.after.message_of(row, &position, stored);
                    let message = self.after.shown(*number, message);
                    self.note(batch, &message);
                    changes.push(StoreChange::MessageChanged { message });
                }
            }
        }
        Ok(())
    }

    /// Notes that a message is told, where the batch has edits or recalls that may tell it too.
    fn note(&mut self, batch: &Batch, message: &Message) {
        if has_patches(batch) {
            self.told.extend(MessageKey::of(message));
        }
    }

    /// Messages that look different for an edit or a recall came, ended or failed.
    fn patches(&mut self, batch: &Batch, changes: &mut Vec<StoreChange>) -> Result<(), StoreError> {
        if !has_patches(batch) {
            return Ok(());
        }
        for change in batch.outbox.values() {
            let (before, after) = (change.before.as_deref(), change.after.as_deref());
            let look = |entry: Option<&Entry>| {
                let entry = entry?;
                Some((entry.patch()?.clone(), entry.failure().cloned()))
            };
            let (was, is) = (look(before), look(after));
            let Some((patch, _)) = was.as_ref().or(is.as_ref()).filter(|_| was != is) else {
                continue;
            };
            let Some(entry) = after.or(before) else {
                continue;
            };
            let number = entry.conversation;
            self.touched.insert(number);
            let message = self.after.message_by_key(number, &patch.message)?;
            let key = message.as_ref().and_then(MessageKey::of);
            if let (Some(message), Some(key)) = (message, key)
                && self.told.insert(key)
            {
                changes.push(StoreChange::MessageChanged { message });
            }
        }
        Ok(())
    }

    fn outbox(
        &mut self,
        batch: &Batch,
        changes: &mut Vec<StoreChange>,
        outbox: &mut Vec<StoreChange>,
    ) -> Result<(), StoreError> {
        for (id, change) in &batch.outbox {
            let (before, entry) = (change.before.as_deref(), change.after.as_deref());
            let Some(any) = entry.or(before) else {
                continue;
            };
            if any.has_echo() || any.changes_row() {
                self.touched.insert(any.conversation);
            }
            let after = self.after;
            let row = after.row(any.conversation)?;
            match (entry, row.as_deref()) {
                (Some(entry), Some(row)) => {
                    if before == Some(entry) {
                        continue;
                    }
                    let echo = echo_change(after, row, before, entry);
                    if let Some(
                        StoreChange::MessageAdded { message }
                        | StoreChange::MessageChanged { message },
                    ) = &echo
                    {
                        self.note(batch, message);
                    }
                    changes.extend(echo);
                    let entry = entry.view(row.id.clone());
                    outbox.push(StoreChange::OutboxChanged { entry });
                }
                (None, row) => {
                    if let (true, Some(row)) = (any.has_echo(), row) {
                        changes.extend(echo_removed(batch, row, any));
                    }
                    outbox.push(StoreChange::OutboxSettled { entry: *id });
                }
                (Some(_), None) => {}
            }
        }
        Ok(())
    }

    fn conversations(
        &mut self,
        batch: &Batch,
        changes: &mut Vec<StoreChange>,
    ) -> Result<(), StoreError> {
        let written = batch.conversations.iter().filter(|(_, change)| {
            match (&change.before, &change.after) {
                (Some(before), Some(after)) => !before.shows_same(after),
                (before, after) => before.is_some() || after.is_some(),
            }
        });
        self.touched.extend(written.map(|(number, _)| *number));
        for number in &self.touched {
            let Some(row) = self.after.shown_row(*number)? else {
                continue;
            };
            let conversation = match self.newest_of(batch, *number, &row) {
                Some(message) => row.info(Some(message)),
                None => self.after.info_of(*number, &row)?,
            };
            changes.push(StoreChange::ConversationChanged { conversation });
        }
        Ok(())
    }

    /// The newest message of a conversation, if the batch itself has it and no echo stands behind.
    fn newest_of(
        &self,
        batch: &Batch,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Option<Message> {
        let (position, change) = batch.messages.get(&number)?.last_key_value()?;
        if row.held.newest.as_ref() != Some(position) || self.after.newest_echo(number).is_some() {
            return None;
        }
        let stored = change.after.as_deref()?.clone();
        let message = self.after.message_of(row, position, stored);
        Some(self.after.shown(number, message))
    }
}

/// True if edits or recalls are among the batch's changes of the outbox.
fn has_patches(batch: &Batch) -> bool {
    let changes = batch.outbox.values();
    let mut entries = changes.flat_map(|change| [&change.before, &change.after]);
    entries.any(|entry| entry.as_ref().is_some_and(|entry| entry.patch().is_some()))
}

/// The local ids of the echoes that the batch ends.
fn settled_echoes(batch: &Batch) -> BTreeSet<&LocalId> {
    let ended = batch
        .outbox
        .values()
        .filter(|change| change.after.is_none());
    let ended = ended.filter_map(|change| change.before.as_deref()?.local_id());
    ended.collect()
}

fn newly_covered(before: Receipt, after: Receipt, position: &Position) -> bool {
    let covered = |receipt: Receipt| {
        let covers = |mark: Option<_>| mark.is_some_and(|mark| mark >= position.sent_at);
        (covers(receipt.delivered_until), covers(receipt.read_until))
    };
    covered(before) != covered(after)
}

fn echo_change(
    after: &Snapshot<'_>,
    row: &ConversationRow,
    before: Option<&Entry>,
    entry: &Entry,
) -> Option<StoreChange> {
    let message = after.shown_echo(entry, &row.id)?;
    match before.and_then(|before| after.shown_echo(before, &row.id)) {
        None => Some(StoreChange::MessageAdded { message }),
        Some(echo) if echo != message => Some(StoreChange::MessageChanged { message }),
        Some(_) => None,
    }
}

/// An ended echo is gone unless the same batch holds the message that it became.
fn echo_removed(batch: &Batch, row: &ConversationRow, entry: &Entry) -> Option<StoreChange> {
    let local_id = entry.local_id()?;
    if batch.locals.contains_key(local_id) {
        return None;
    }
    Some(StoreChange::MessageRemoved {
        conversation: row.id.clone(),
        id: None,
        local_id: Some(local_id.clone()),
    })
}
