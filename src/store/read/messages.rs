//! Reads of messages: by their place, by their ids, the newest, the unread.

use std::sync::Arc;

use crate::model::{LocalId, Message, MessageId, MessageKey, MessageRef, Named, Timestamp};
use crate::store::error::StoreError;
use crate::store::format::key::{self, Tag};
use crate::store::format::record::PointerRecord;
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::Direction;
use crate::store::types::conversation::ConversationRow;
use crate::store::types::entry::Entry;
use crate::store::types::message::StoredMessage;
use crate::store::types::position::{ConversationNumber, Position};

/// The number of messages of others, as the service counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OthersCount {
    /// The number of messages, recalled ones included.
    pub all: u32,
    /// The number of recalled ones among them.
    pub recalled: u32,
}

/// Unread messages as this device counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalUnread {
    /// Others' messages newer than the mark that were not recalled.
    pub count: u32,
    /// True if one of them mentions the client.
    pub mentioned: bool,
    /// True if counting stopped at the limit.
    pub limited: bool,
}

impl Snapshot<'_> {
    /// The message at a position.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn message(
        &self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Option<Message>, StoreError> {
        let Some(row) = self.row(number)? else {
            return Ok(None);
        };
        let record = self.message_record(number, position)?;
        let record = record.map(Arc::unwrap_or_clone);
        Ok(record.map(|record| self.message_of(&row, position, record)))
    }

    /// True if a held message rests on the word of an older SDK's cache.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn is_imported(
        &self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<bool, StoreError> {
        let record = self.message_record(number, position)?;
        Ok(record.is_some_and(|record| record.origin.is_some()))
    }

    /// The message that a reference names.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn message_by_ref(&self, at: &MessageRef) -> Result<Option<Message>, StoreError> {
        let Some(number) = self.number(&at.conversation)? else {
            return Ok(None);
        };
        self.message(
            number,
            &Position {
                sent_at: at.sent_at,
                id: at.id.clone(),
            },
        )
    }

    /// The message that this device once gave a local id: the echo in the outbox, or the message
    /// that the service acknowledged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn message_by_local_id(&self, id: &LocalId) -> Result<Option<Message>, StoreError> {
        if let Some(entry) = self
            .outbox()
            .into_iter()
            .find(|entry| entry.local_id() == Some(id))
        {
            let row = self.row(entry.conversation)?;
            return Ok(row.and_then(|row| self.shown_echo(&entry, &row.id)));
        }
        let Some((number, position)) = self.position_by_local_id(id)? else {
            return Ok(None);
        };
        let message = self.message(number, &position)?;
        Ok(message.map(|message| self.shown(number, message)))
    }

    /// The message of a key, as an app sees it: with the edits and recalls of it that wait.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn message_by_key(
        &self,
        number: ConversationNumber,
        key: &MessageKey,
    ) -> Result<Option<Message>, StoreError> {
        let found = match key.named() {
            Named::Local(id) => match self.unsent(number, id) {
                Some(entry) => {
                    let row = self.row(number)?;
                    row.and_then(|row| self.echo(&entry, &row.id))
                }
                None => match self.position_by_local_id(id)? {
                    Some((at, position)) if at == number => self.message(number, &position)?,
                    _ => None,
                },
            },
            Named::Service { sent_at, id } => {
                let position = Position {
                    sent_at: *sent_at,
                    id: id.clone(),
                };
                self.message(number, &position)?
            }
        };
        Ok(found.map(|message| self.shown(number, message)))
    }

    /// The unsent message of a conversation that has this local id.
    #[must_use]
    pub fn unsent(&self, number: ConversationNumber, id: &LocalId) -> Option<Arc<Entry>> {
        let mut entries = self.outbox_of(number).into_iter();
        entries.find(|entry| entry.local_id() == Some(id))
    }

    /// The position of the message that had this local id, once the message was acknowledged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn position_by_local_id(
        &self,
        id: &LocalId,
    ) -> Result<Option<(ConversationNumber, Position)>, StoreError> {
        if let Some(place) = self.batch.and_then(|batch| batch.locals.get(id)) {
            return Ok(Some(place.clone()));
        }
        self.pointer(Tag::Local, id.as_str())
    }

    /// The position of an own message whose receipts are awaited.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn awaiting_receipt(
        &self,
        id: &MessageId,
    ) -> Result<Option<(ConversationNumber, Position)>, StoreError> {
        if let Some(place) = self.batch.and_then(|batch| batch.awaiting.get(id)) {
            return Ok(place.clone());
        }
        self.pointer(Tag::Awaiting, id.as_str())
    }

    /// The newest message that the service knows, and where it is; local echoes apart.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn newest_message(
        &self,
        number: ConversationNumber,
    ) -> Result<Option<(Position, Message)>, StoreError> {
        let Some(row) = self.row(number)? else {
            return Ok(None);
        };
        self.newest_message_of(number, &row)
    }

    pub(in crate::store) fn newest_message_of(
        &self,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Result<Option<(Position, Message)>, StoreError> {
        let newest = self.messages(number, None, Direction::Backward, 1)?;
        Ok(newest.into_iter().find_map(|(position, record)| {
            let message = self.message_of(row, &position, record?);
            Some((position, message))
        }))
    }

    /// Counts others' messages that are newer than a mark, up to `limit`, newest first. All of
    /// them when there is no mark.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn count_unread(
        &self,
        number: ConversationNumber,
        read_until: Option<Timestamp>,
        limit: u32,
    ) -> Result<LocalUnread, StoreError> {
        let mut unread = LocalUnread::default();
        let mut before = None;
        loop {
            let page = self.messages(number, before.as_ref(), Direction::Backward, 100)?;
            let last = page.last().map(|(position, _)| position.clone());
            for (position, record) in page {
                if read_until.is_some_and(|mark| position.sent_at <= mark) {
                    return Ok(unread);
                }
                if record
                    .as_ref()
                    .is_some_and(|record| record.counts_for(self.owner()))
                {
                    if unread.count >= limit {
                        return Ok(LocalUnread {
                            limited: true,
                            ..unread
                        });
                    }
                    unread.count += 1;
                    unread.mentioned |= record.is_some_and(|record| record.mentions(self.owner()));
                }
            }
            match last {
                Some(position) => before = Some(position),
                None => return Ok(unread),
            }
        }
    }

    /// Others' messages after a time and up to another, recalled ones too, as the service counts them: the
    /// newest `most` of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store cannot be read.
    pub fn count_of_others(
        &self,
        number: ConversationNumber,
        after: Option<Timestamp>,
        until: Option<Timestamp>,
        most: u32,
    ) -> Result<OthersCount, StoreError> {
        let mut count = OthersCount::default();
        let mut before = None;
        loop {
            let page = self.messages(number, before.as_ref(), Direction::Backward, 100)?;
            let last = page.last().map(|(position, _)| position.clone());
            for (position, record) in page {
                let is_read = after.is_some_and(|after| position.sent_at <= after);
                if is_read || count.all >= most {
                    return Ok(count);
                }
                let is_told = until.is_none_or(|until| position.sent_at <= until);
                let Some(record) = record.filter(|it| is_told && it.sender != *self.owner()) else {
                    continue;
                };
                count.all += 1;
                let recalled = record.content.is_recalled();
                count.recalled += u32::from(recalled);
            }
            match last {
                Some(position) => before = Some(position),
                None => return Ok(count),
            }
        }
    }

    /// Messages from a position on, the position itself left out, uncommitted ones included. A
    /// damaged record stands as none at its place.
    pub(in crate::store) fn messages(
        &self,
        number: ConversationNumber,
        from: Option<&Position>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Position, Option<StoredMessage>)>, StoreError> {
        let written: Vec<_> = self
            .batch
            .iter()
            .filter_map(|batch| batch.messages.get(&number))
            .flatten()
            .filter(|(position, _)| match (from, direction) {
                (None, _) => true,
                (Some(from), Direction::Backward) => *position < from,
                (Some(from), Direction::Forward) => *position > from,
            })
            .collect();
        let enough = limit.saturating_add(written.len());
        let mut found = self.stored_messages(number, from, direction, enough)?;
        for (position, change) in written {
            found.retain(|(at, _)| at != position);
            if let Some(record) = &change.after {
                found.push((position.clone(), Some((**record).clone())));
            }
        }
        if self.batch.is_some() {
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            if direction == Direction::Backward {
                found.reverse();
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    pub(in crate::store) fn message_record(
        &self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Option<Arc<StoredMessage>>, StoreError> {
        let written = self.batch.and_then(|batch| batch.messages.get(&number));
        if let Some(change) = written.and_then(|messages| messages.get(position)) {
            return Ok(change.after.clone());
        }
        Ok(self.stored_message(number, position)?.map(Arc::new))
    }

    /// A stored message as an app sees it.
    pub(in crate::store) fn message_of(
        &self,
        row: &ConversationRow,
        position: &Position,
        stored: StoredMessage,
    ) -> Message {
        stored.message(&row.id, position, self.owner(), row.receipt)
    }

    fn pointer(
        &self,
        tag: Tag,
        name: &str,
    ) -> Result<Option<(ConversationNumber, Position)>, StoreError> {
        let key = key::hashed(tag, name, &self.shared.codec.hash_key);
        let record: Option<PointerRecord> = self.record(&key)?;
        let record = record.filter(|record| record.name == name);
        let place = record.map(|record| {
            record
                .position()
                .map(|position| (ConversationNumber(record.number), position))
        });
        Ok(place.and_then(|place| self.intact(place)))
    }
}
