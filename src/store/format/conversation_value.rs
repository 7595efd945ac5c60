//! The value of a conversation: its row, followed by its newest messages, the tail.
//!
//! A new message changes the row of its conversation and the last pack. The embedded database has a cost for
//! each key, so both are under one key. A reader of the row does not decode the messages, and a reader of the
//! messages does not decode the row.
//!
//! | bytes | content |
//! |---|---|
//! | 0 | 1: a tail follows. A row alone has no such byte; it begins with 128 or more |
//! | number | length of the row's record |
//! | number | length of the tail's bound |
//! | bytes | the record, the bound, then the payload of a hot pack to the end |

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::error::StoreError;
use crate::store::format::key;
use crate::store::format::messagepack::{BadRecord, decode, encode_compact};
use crate::store::format::number::{put_number, take_length};
use crate::store::format::pack::{Form, Pack};
use crate::store::format::record::ConversationRecord;
use crate::store::types::conversation::ConversationRow;
use crate::store::types::position::{ConversationNumber, Position};

/// The first byte of a value with a tail. Records are MessagePack maps or arrays, which begin
/// otherwise.
const WITH_TAIL: u8 = 1;

/// A conversation whose row takes more has no tail, so that the two fit a value in any case, and a
/// large row is not much larger for it.
pub(crate) const ROW_MAX: usize = 32 * 1024;

/// The parts of a conversation value's payload.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// The record of the row.
    record: &'a [u8],
    /// The tail, if there is one: its bound, and its payload.
    pub(crate) tail: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Parts<'a> {
    /// Takes a payload apart; looks into neither part.
    pub(crate) fn of(payload: &'a [u8]) -> Result<Self, BadRecord> {
        let Some((&WITH_TAIL, mut rest)) = payload.split_first() else {
            return Ok(Self {
                record: payload,
                tail: None,
            });
        };
        let record = take_length(&mut rest)?;
        let bound = take_length(&mut rest)?;
        let (record, rest) = rest.split_at_checked(record).ok_or(BadRecord)?;
        let tail = rest.split_at_checked(bound).ok_or(BadRecord)?;
        Ok(Self {
            record,
            tail: Some(tail),
        })
    }

    /// The row.
    pub(crate) fn row(&self) -> Result<ConversationRow, BadRecord> {
        decode::<ConversationRecord<'_>>(self.record)?.row()
    }
}

/// The payload of a conversation's value.
pub(crate) fn join(row: &ConversationRow, tail: Option<&Tail>) -> Result<Vec<u8>, StoreError> {
    let record = encode_compact(&ConversationRecord::of(row))?;
    let Some(tail) = tail else {
        return Ok(record);
    };
    let bound = key::bound_of(&tail.key);
    let lengths = 1 + 2 * 5;
    let size = record.len().saturating_add(bound.len());
    let size = size.saturating_add(tail.cost()).saturating_add(lengths);
    let mut payload = Vec::with_capacity(size);
    payload.push(WITH_TAIL);
    put_number(&mut payload, record.len() as u64);
    put_number(&mut payload, bound.len() as u64);
    payload.extend_from_slice(&record);
    payload.extend_from_slice(bound);
    match &tail.lies {
        Lies::Closed(bytes) => payload.extend_from_slice(bytes),
        Lies::Open(pack) => pack.encode_hot(&mut payload),
    }
    Ok(payload)
}

/// The newest messages of a conversation.
#[derive(Clone)]
pub(crate) struct Tail {
    /// The key that it has once it is a hot pack of its own.
    pub(crate) key: Bytes,
    pub(crate) lies: Lies,
    behind: Behind,
}

/// The known content of the key range behind a tail. It should be empty. Damage that puts a value back to an
/// older one may have filled it, but only while the store is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Unknown,
    Nothing,
}

#[derive(Clone)]
pub(crate) enum Lies {
    /// The bytes of a whole value, whose messages are not decoded yet.
    Closed(Bytes),
    /// Decoded, or just made.
    Open(Arc<Pack>),
}

impl fmt::Debug for Tail {
    /// Names the place only: texts of people never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({:?})", self.key)
    }
}

impl Tail {
    /// A tail that was just made, with nothing behind it.
    pub(crate) const fn new(key: Bytes, pack: Arc<Pack>) -> Self {
        Self {
            key,
            lies: Lies::Open(pack),
            behind: Behind::Nothing,
        }
    }

    /// The same tail with other messages.
    pub(crate) fn with(&self, pack: Arc<Pack>) -> Self {
        Self {
            key: self.key.clone(),
            lies: Lies::Open(pack),
            behind: self.behind,
        }
    }

    /// True if a pack may lie behind the tail.
    pub(crate) fn may_be_overtaken(&self) -> bool {
        self.behind == Behind::Unknown
    }

    /// True if a position is in the tail's range.
    pub(crate) fn covers(&self, number: ConversationNumber, position: &Position) -> bool {
        // For messages that come, no key has to be made.
        if let Lies::Open(pack) = &self.lies
            && pack
                .slots
                .first()
                .is_some_and(|it| it.position <= *position)
        {
            return true;
        }
        let place = key::among_packs(number, position);
        key::range_of(&self.key) <= key::range_of(&place)
    }

    /// The tail of a conversation out of its value.
    pub(crate) fn of(number: ConversationNumber, parts: &Parts<'_>) -> Option<Self> {
        let (bound, payload) = parts.tail?;
        Some(Self {
            key: Bytes::from(key::pack(Form::Hot, number, bound)),
            lies: Lies::Closed(Bytes::copy_from_slice(payload)),
            behind: Behind::Unknown,
        })
    }

    /// Its messages.
    pub(crate) fn pack(&self) -> Result<Arc<Pack>, BadRecord> {
        match &self.lies {
            Lies::Closed(payload) => Pack::decode_hot(payload.clone()).map(Arc::new),
            Lies::Open(pack) => Ok(Arc::clone(pack)),
        }
    }

    /// True if somebody has asked for the tail's messages.
    #[cfg(test)]
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.lies, Lies::Open(_))
    }

    /// The memory that the tail takes, roughly.
    pub(crate) fn cost(&self) -> usize {
        let inner = match &self.lies {
            Lies::Closed(payload) => payload.len(),
            Lies::Open(pack) => pack.cost(),
        };
        inner.saturating_add(self.key.len()).saturating_add(100)
    }
}
