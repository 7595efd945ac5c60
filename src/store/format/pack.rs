//! A pack: some neighbouring messages of one conversation, in one value of the tree.
//!
//! The embedded database has a cost for each key, so messages share a key. The newest messages are in *hot*
//! packs of a few; the last of these is stored with the conversation's row (`format/conversation_value.rs`)
//! and is written again as messages come. All others are in compressed *sealed* packs of some dozens.
//! `docs/store.md` has the bytes.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes};

use crate::model::{MessageId, Timestamp};
use crate::store::error::StoreError;
use crate::store::format::compress::Compressor;
use crate::store::format::messagepack::BadRecord;
use crate::store::format::number::{put_number, take_length, take_number, unzigzag, zigzag};
use crate::store::format::record_message::MessageRecord;
use crate::store::types::link::Older;
use crate::store::types::message::StoredMessage;
use crate::store::types::position::Position;

/// Some neighbouring messages of one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pack {
    pub(crate) form: Form,
    /// The link to the message before the first (`write/links.rs`).
    pub(crate) older: Option<u32>,
    /// The messages, oldest first; never none.
    pub(crate) slots: Vec<Slot>,
}

/// The form of a pack: a hot pack still grows, a sealed one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// A few of the newest messages, not compressed. The last one is the tail.
    Hot,
    /// Older messages, compressed if that makes them smaller.
    Sealed,
}

/// The age of a frame: of two frames of one key, the greater is the newer. The commit counts first, then the
/// form, for sealing has no commit of its own.
pub(crate) type FrameRank = (u64, Form);

/// A message in a pack.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) position: Position,
    /// Its record, encoded.
    pub(crate) record: Bytes,
}

impl std::fmt::Debug for Slot {
    /// Names the place only: texts of people never reach logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({:?})", self.position)
    }
}

/// No pack has more bytes before compression: above that, a single message has its own. It bounds
/// what is allocated for a pack whose bytes may have been tampered with.
pub(crate) const RAW_MAX: usize = 256 * 1024;

// The first byte of a payload.
const HOT: u8 = 0;
const SEALED: u8 = 1;
const COMPRESSED: u8 = 2;

/// The memory of a message beside its bytes, roughly: a slot, an id, a share of the buffers.
const SLOT_COST: usize = 120;

impl Slot {
    /// Its share of a pack's bytes.
    pub(crate) fn size(&self) -> usize {
        let id = self.position.id.as_str().len();
        self.record.len().saturating_add(id).saturating_add(6)
    }
}

impl Pack {
    /// The last message's position.
    pub(crate) fn last(&self) -> Option<&Position> {
        self.slots.last().map(|slot| &slot.position)
    }

    /// The index of a position; the index that it would have, if it is not there.
    pub(crate) fn search(&self, position: &Position) -> Result<usize, usize> {
        self.slots
            .binary_search_by(|slot| slot.position.cmp(position))
    }

    /// The message at an index, with the link to its older neighbour. `near` are some that may have
    /// the same sender.
    pub(crate) fn message(
        &self,
        index: usize,
        near: &[(Position, Option<StoredMessage>)],
    ) -> Result<StoredMessage, BadRecord> {
        let slot = self.slots.get(index).ok_or(BadRecord)?;
        let mut near = near.iter().filter_map(|(_, message)| message.as_ref());
        let known = |sender: &str| {
            let same = near.find(|message| message.sender.as_str() == sender);
            same.map(|message| message.sender.clone())
        };
        let mut message = MessageRecord::decode(&slot.record, known)?;
        let before = index.checked_sub(1).and_then(|at| self.slots.get(at));
        message.older = match (before, self.older) {
            (Some(before), _) => Older::Beside(before.position.clone()),
            (None, Some(link)) => Older::Linked(link),
            (None, None) => Older::None,
        };
        Ok(message)
    }

    /// The memory that the pack takes, roughly.
    pub(crate) fn cost(&self) -> usize {
        let each = self
            .slots
            .iter()
            .map(|slot| slot.size().saturating_add(SLOT_COST));
        each.fold(SLOT_COST, usize::saturating_add)
    }

    /// The payload of its value.
    pub(crate) fn encode(&self, compressor: &Compressor) -> Result<Vec<u8>, StoreError> {
        let mut plain = Vec::with_capacity(self.room());
        if self.form == Form::Hot {
            self.encode_hot(&mut plain);
            return Ok(plain);
        }
        plain.push(SEALED);
        self.encode_body(&mut plain);
        let body = plain.get(1..).unwrap_or_default();
        let compressed = compressor.compress(body)?;
        let mut payload = Vec::with_capacity(compressed.len().saturating_add(5));
        payload.push(SEALED | COMPRESSED);
        payload.put_u32_le(u32::try_from(body.len()).unwrap_or(u32::MAX));
        payload.extend(compressed);
        Ok(if payload.len() < plain.len() {
            payload
        } else {
            plain
        })
    }

    /// Writes the payload of a hot pack.
    pub(crate) fn encode_hot(&self, to: &mut Vec<u8>) {
        to.push(HOT);
        self.encode_body(to);
    }

    /// Enough bytes for the payload before compression, mostly.
    fn room(&self) -> usize {
        let each = self.slots.iter().map(|slot| slot.size().saturating_add(8));
        each.fold(16, usize::saturating_add)
    }

    /// The columns: links, times, lengths, ids, records.
    fn encode_body(&self, to: &mut Vec<u8>) {
        to.put_u32_le(self.older.unwrap_or(0));
        put_number(to, self.slots.len() as u64);
        let mut before = 0_i64;
        for slot in &self.slots {
            let millis = slot.position.sent_at.as_millis();
            // Differences wrap, so that any two times have one.
            put_number(to, zigzag(millis.wrapping_sub(before)));
            before = millis;
        }
        for slot in &self.slots {
            put_number(to, slot.position.id.as_str().len() as u64);
            put_number(to, slot.record.len() as u64);
        }
        for slot in &self.slots {
            to.extend_from_slice(slot.position.id.as_str().as_bytes());
        }
        for slot in &self.slots {
            to.extend_from_slice(&slot.record);
        }
    }

    /// The form of the pack that a payload spells.
    pub(crate) fn form_of(payload: &[u8]) -> Form {
        match payload.first() {
            Some(flags) if flags & SEALED != 0 => Form::Sealed,
            _ => Form::Hot,
        }
    }

    /// Reads the payload of a hot pack back.
    pub(crate) fn decode_hot(mut payload: Bytes) -> Result<Self, BadRecord> {
        match payload.try_get_u8() {
            Ok(HOT) => Self::decode_body(Form::Hot, payload),
            _ => Err(BadRecord),
        }
    }

    /// Reads a payload back.
    pub(crate) fn decode<'a>(
        payload: impl Into<Cow<'a, [u8]>>,
        compressor: &Compressor,
    ) -> Result<Self, BadRecord> {
        let payload = payload.into();
        let form = Self::form_of(&payload);
        let (flags, mut rest) = payload.split_first().ok_or(BadRecord)?;
        let body = if flags & COMPRESSED != 0 {
            let length = rest.try_get_u32_le().map_err(|_| BadRecord)?;
            let length = usize::try_from(length).map_err(|_| BadRecord)?;
            if length > RAW_MAX {
                return Err(BadRecord);
            }
            Bytes::from(compressor.expand(rest, length)?)
        } else {
            Bytes::copy_from_slice(rest)
        };
        Self::decode_body(form, body)
    }

    fn decode_body(form: Form, mut rest: Bytes) -> Result<Self, BadRecord> {
        let older = rest.try_get_u32_le().map_err(|_| BadRecord)?;
        let count = take_length(&mut rest)?;
        // Each message takes three bytes at least: no more is allocated than there can be.
        if count == 0 || count > rest.len() {
            return Err(BadRecord);
        }
        // Time, length of the id, length of the record.
        let mut heads = Vec::with_capacity(count);
        let mut before = 0_i64;
        for _ in 0..count {
            before = before.wrapping_add(unzigzag(take_number(&mut rest)?));
            heads.push((before, 0, 0));
        }
        let mut all_ids = 0_usize;
        for (_, id, record) in &mut heads {
            *id = take_length(&mut rest)?;
            *record = take_length(&mut rest)?;
            all_ids = all_ids.saturating_add(*id);
        }
        let ids = take_bytes(&mut rest, all_ids)?;
        let mut ids = &ids[..];
        let mut slots: Vec<Slot> = Vec::with_capacity(count);
        for (millis, id, record) in heads {
            let (id, later) = ids.split_at_checked(id).ok_or(BadRecord)?;
            ids = later;
            let id = std::str::from_utf8(id).map_err(|_| BadRecord)?;
            let position = Position {
                sent_at: Timestamp::from_millis(millis),
                id: MessageId::new(id)?,
            };
            if slots.last().is_some_and(|last| last.position >= position) {
                return Err(BadRecord);
            }
            let record = take_bytes(&mut rest, record)?;
            slots.push(Slot { position, record });
        }
        if !rest.is_empty() {
            return Err(BadRecord);
        }
        let older = Some(older).filter(|older| *older != 0);
        Ok(Self { form, older, slots })
    }
}

fn take_bytes(from: &mut Bytes, length: usize) -> Result<Bytes, BadRecord> {
    if length > from.len() {
        return Err(BadRecord);
    }
    Ok(from.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slots() -> impl Strategy<Value = Vec<Slot>> {
        let slot = (
            any::<i64>(),
            "[a-z]{1,4}",
            proptest::collection::vec(any::<u8>(), 0..60),
        );
        proptest::collection::vec(slot, 1..50).prop_map(|slots| {
            let mut slots: Vec<_> = slots
                .into_iter()
                .map(|(ms, id, record)| Slot {
                    position: Position {
                        sent_at: Timestamp::from_millis(ms),
                        id: MessageId::new(id).unwrap(),
                    },
                    record: Bytes::from(record),
                })
                .collect();
            slots.sort_by(|a, b| a.position.cmp(&b.position));
            slots.dedup_by(|a, b| a.position == b.position);
            slots
        })
    }

    proptest! {
        #[test]
        fn a_pack_comes_back_from_its_payload(
            slots in slots(), sealed in any::<bool>(), older in proptest::option::of(1..u32::MAX)
        ) {
            let compressor = Compressor::default();
            let form = if sealed { Form::Sealed } else { Form::Hot };
            let pack = Pack { form, older, slots };
            let payload = pack.encode(&compressor).unwrap();
            prop_assert_eq!(Pack::decode(payload, &compressor), Ok(pack));
        }

        #[test]
        fn a_payload_that_is_cut_or_changed_is_a_pack_or_none(
            slots in slots(), sealed in any::<bool>(), byte in any::<u8>(),
            at in any::<proptest::sample::Index>(), cut in any::<proptest::sample::Index>(),
        ) {
            let compressor = Compressor::default();
            let form = if sealed { Form::Sealed } else { Form::Hot };
            let mut payload = Pack { form, older: None, slots }.encode(&compressor).unwrap();
            let at = at.index(payload.len());
            payload[at] = byte;
            let _ = Pack::decode(payload.clone(), &compressor);
            payload.truncate(cut.index(payload.len()));
            let _ = Pack::decode(payload, &compressor);
        }

        #[test]
        fn any_bytes_are_a_pack_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Pack::decode(bytes, &Compressor::default());
        }
    }

    /// Caches count what they hold by this number.
    #[test]
    fn a_pack_costs_more_than_the_bytes_that_it_holds() {
        let pack = |records: usize| {
            let slots = (0_i64..).take(records).map(|ms| Slot {
                position: Position {
                    sent_at: Timestamp::from_millis(ms),
                    id: MessageId::new("m").unwrap(),
                },
                record: Bytes::from(vec![0; 1_000]),
            });
            Pack {
                form: Form::Hot,
                older: None,
                slots: slots.collect(),
            }
        };
        let (one, ten) = (pack(1).cost(), pack(10).cost());
        assert!(one > 1_000 && ten > 10_000, "{one} {ten}");
        assert!(ten < 20_000, "{ten}");
    }

    #[test]
    fn a_pack_that_claims_to_be_huge_is_refused_before_it_is_expanded() {
        let mut payload = vec![SEALED | COMPRESSED];
        payload.put_u32_le(u32::MAX);
        assert_eq!(
            Pack::decode(payload, &Compressor::default()),
            Err(BadRecord)
        );
    }
}
