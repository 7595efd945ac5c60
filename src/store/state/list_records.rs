//! The records of the conversation list in the tree, which give the list at once at an opening.
//!
//! ```text
//!   page 0, page 1, …        the places of the conversations at some commit, 128 numbers each
//!   moves 0, 1, 2, …         the moves of each later commit; each takes the next slot
//! ```
//!
//! A commit that moves a conversation writes one record of moves. After many such commits, the pages that
//! they touch are written in a batch of its own, and the slots begin anew: moves that are not newer than the
//! newest page no longer count. These records are derived from the conversations' rows. The counters say what
//! the assembled list must come to ([`Print`](crate::store::format::record::Print)); a list that does not is
//! made from the rows.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use crate::model::Timestamp;
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::conversation_value::Parts;
use crate::store::format::frame::{self, OpenedFrame};
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{BadRecord, encode};
use crate::store::format::number::{put_number, take_number, unzigzag, zigzag};
use crate::store::format::record::MetaRecord;
use crate::store::state::list::{List, Moves, Record, Unwritten};
use crate::store::state::outbox::Outbox;
use crate::store::tree::{Direction, Kv, KvBatch};
use crate::store::types::position::ConversationNumber;

/// So many records of moves are behind the pages before these are written anew.
const MOVES_MANY: u8 = 64;

/// So many may be: between the two, a caller that waits for a promise need not wait for the pages.
const MOVES_MAX: u8 = 128;

impl Moves {
    /// Numbers of seven bits a byte: the count of removed conversations, their numbers, then number and time of
    /// those that stay; numbers and times each less the one before.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let gone = self.0.iter().filter(|(_, after)| after.is_none());
        let mut bytes = Vec::new();
        put_number(&mut bytes, gone.clone().count() as u64);
        let mut before = 0;
        for (number, _) in gone {
            put_number(&mut bytes, number.0.wrapping_sub(before).into());
            before = number.0;
        }
        let mut before = (0, 0);
        for (number, after) in &self.0 {
            let Some(after) = after.map(Timestamp::as_millis) else {
                continue;
            };
            put_number(&mut bytes, number.0.wrapping_sub(before.0).into());
            put_number(&mut bytes, zigzag(after.wrapping_sub(before.1)));
            before = (number.0, after);
        }
        bytes
    }

    /// Reads a record that [`Moves::encode`] wrote.
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self, BadRecord> {
        let mut rest = Bytes::from(bytes);
        let mut moves = BTreeMap::new();
        let mut number = 0;
        for _ in 0..take_number(&mut rest)? {
            number = take_difference(&mut rest, number)?;
            moves.insert(ConversationNumber(number), None);
        }
        let mut before = (0, 0_i64);
        while !rest.is_empty() {
            let number = take_difference(&mut rest, before.0)?;
            let after = before.1.wrapping_add(unzigzag(take_number(&mut rest)?));
            before = (number, after);
            moves.insert(
                ConversationNumber(number),
                Some(Timestamp::from_millis(after)),
            );
        }
        Ok(Self(moves))
    }
}

fn take_difference(rest: &mut Bytes, before: u32) -> Result<u32, BadRecord> {
    let difference = u32::try_from(take_number(rest)?).map_err(|_| BadRecord)?;
    before.checked_add(difference).ok_or(BadRecord)
}

impl Unwritten {
    /// True if the pages should be written with the next batch that nobody waits for.
    pub(crate) fn is_much(&self) -> bool {
        self.is_all || self.next_slot >= MOVES_MANY
    }

    /// True if no commit may move anything before the pages are written.
    pub(crate) fn is_too_much(&self) -> bool {
        self.is_all || self.next_slot >= MOVES_MAX
    }
}

impl List {
    /// The record of a commit's moves; none if the commit moves nothing.
    pub(crate) fn record_of(&self, moves: &Moves) -> Option<Record> {
        let slot = self.unwritten.next_slot;
        (!moves.0.is_empty()).then(|| Record {
            slot,
            key: key::moves(slot),
            payload: moves.encode(),
        })
    }

    /// Makes the moves of a commit whose record of them is written, in this slot.
    pub(crate) fn make_recorded(&mut self, moves: &Moves, slot: Option<u8>) {
        if let Some(slot) = slot {
            self.make(moves);
            // Pages that were written meanwhile do not hold these moves.
            self.unwritten.next_slot = slot.saturating_add(1);
        }
    }

    /// Adds to a batch the pages that lack something. Call [`List::wrote_pages`] when it is applied.
    pub(crate) fn put_pages(
        &self,
        batch: &mut KvBatch,
        codec: &Codec,
        seq: u64,
    ) -> Result<(), StoreError> {
        for key in &self.unwritten.wrong {
            batch.remove(key.clone());
        }
        for page in &self.unwritten.pages {
            let on_page = self.on_page(*page);
            let on_page = Moves(on_page.map(|(number, at)| (number, Some(at))).collect());
            let key = key::list_page(*page);
            let value = codec.frame(&key, &on_page.encode(), seq)?;
            batch.put(key, value);
        }
        Ok(())
    }

    /// Notes that the pages of [`List::put_pages`] are in the tree.
    pub(crate) fn wrote_pages(&mut self) {
        self.unwritten = Unwritten::default();
    }

    /// Puts together the list of a tree with these counters. One that the tree does not tell, or
    /// tells wrongly, is made from the conversations' rows and the outbox, and is
    /// [`Unwritten::is_all`].
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) fn load(
        kv: &dyn Kv,
        codec: &Codec,
        meta: &MetaRecord,
        outbox: &Outbox,
    ) -> Result<Self, StoreError> {
        let (mut found, mut pages_at) = (ListRecords::default(), 0);
        let mut activities = BTreeMap::new();
        found.read(kv, codec, Tag::ListPage, &mut |page| {
            pages_at = pages_at.max(page.seq);
            let page = Moves::decode(page.payload)?.0;
            activities.extend(page.into_iter().filter_map(|(n, at)| Some((n, at?))));
            Ok(())
        })?;
        let mut moves = BTreeMap::new();
        found.read(kv, codec, Tag::Moves, &mut |record| {
            if record.seq > pages_at {
                let slot = key::parse_moves(&record.key)?;
                moves.insert(record.seq, (slot, Moves::decode(record.payload)?));
            }
            Ok(())
        })?;
        let mut list = Self::of(activities);
        for (slot, moves) in moves.values() {
            list.make(moves);
            let next = slot.saturating_add(1);
            list.unwritten.next_slot = list.unwritten.next_slot.max(next);
        }
        if found.is_whole && meta.list == Some(list.print()) {
            return Ok(list);
        }
        let mut list = Self::default();
        list.unwritten.wrong = found.keys;
        list.make_anew(kv, codec, outbox)?;
        Ok(list)
    }

    /// Makes the list from the conversations' rows and the outbox.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) fn make_anew(
        &mut self,
        kv: &dyn Kv,
        codec: &Codec,
        outbox: &Outbox,
    ) -> Result<(), StoreError> {
        let wrong = std::mem::take(&mut self.unwritten.wrong);
        *self = Self::of(of_rows(kv, codec, outbox)?);
        self.unwritten = Unwritten {
            pages: self.pages(),
            next_slot: 0,
            wrong,
            is_all: true,
        };
        Ok(())
    }

    /// Writes a list that was made from the rows, with the counters that tell it.
    ///
    /// # Errors
    ///
    /// Those of the tree.
    pub(crate) fn write_all(
        &mut self,
        kv: &dyn Kv,
        codec: &Codec,
        meta: &mut MetaRecord,
    ) -> Result<(), StoreError> {
        meta.list = Some(self.print());
        let mut batch = KvBatch::default();
        self.put_pages(&mut batch, codec, meta.seq)?;
        let value = codec.frame(&key::meta(), &encode(meta)?, meta.seq)?;
        batch.put(key::meta(), value);
        kv.apply(&batch)?;
        self.wrote_pages();
        Ok(())
    }
}

/// The records of the list that are in the tree.
struct ListRecords {
    is_whole: bool,
    keys: Vec<Vec<u8>>,
}

impl Default for ListRecords {
    fn default() -> Self {
        Self {
            is_whole: true,
            keys: Vec::new(),
        }
    }
}

impl ListRecords {
    fn read(
        &mut self,
        kv: &dyn Kv,
        codec: &Codec,
        tag: Tag,
        take: &mut dyn FnMut(OpenedFrame) -> Result<(), BadRecord>,
    ) -> Result<(), StoreError> {
        each(kv, tag, &mut |key, value| {
            self.keys.push(key.to_vec());
            let opened = frame::open(key, value, codec.frame_context()).map_err(|_| BadRecord);
            self.is_whole &= opened.and_then(&mut *take).is_ok();
        })
    }
}

/// The places of the conversations in the list, by their own rows and echoes. A conversation whose row is
/// damaged has no place.
fn of_rows(
    kv: &dyn Kv,
    codec: &Codec,
    outbox: &Outbox,
) -> Result<BTreeMap<ConversationNumber, Timestamp>, StoreError> {
    let mut activities = BTreeMap::new();
    each(kv, Tag::Conversation, &mut |key, value| {
        let payload = codec.open(key, value).unwrap_or_default();
        let row = Parts::of(&payload).and_then(|parts| parts.row());
        if let (Ok(number), Ok(row)) = (key::parse_number(key), row) {
            let echo = outbox.newest_echo(number).map(|entry| entry.enqueued_at);
            activities.insert(number, row.activity_with(echo));
        }
    })?;
    Ok(activities)
}

fn each(kv: &dyn Kv, tag: Tag, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
    let prefix = [tag as u8];
    let end = key::after_prefix(&prefix).unwrap_or_default();
    let range = (Bound::Included(&prefix[..]), Bound::Excluded(&end[..]));
    kv.scan(range, Direction::Forward, &mut |key, value| {
        visit(key, value);
        ControlFlow::Continue(())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::store::format::conversation_value::join;
    use crate::store::format::record::Print;
    use crate::store::tests::row;
    use crate::store::tree::memory::LogKv;
    use crate::store::types::conversation::ConversationRow;

    /// A tree, and the list that its writer has in memory.
    struct World {
        kv: LogKv,
        codec: Codec,
        meta: MetaRecord,
        list: List,
    }

    impl World {
        fn new() -> Self {
            Self {
                kv: LogKv::unlogged(),
                codec: Codec::new(4, None),
                meta: MetaRecord {
                    list: Some(Print::default()),
                    ..MetaRecord::default()
                },
                list: List::default(),
            }
        }

        /// Commits moves, as the writer does.
        fn commit(&mut self, moves: &[(u32, Option<i64>)]) {
            self.meta.seq += 1;
            let seq = self.meta.seq;
            let mut batch = KvBatch::default();
            let mut put = |key: Vec<u8>, payload: &[u8]| {
                batch.put(key.clone(), self.codec.frame(&key, payload, seq).unwrap());
            };
            for (number, ms) in moves {
                let record = ms.map_or_else(Vec::new, |ms| {
                    let row = ConversationRow {
                        last_message_at: Some(Timestamp::from_millis(ms)),
                        ..row("c")
                    };
                    join(&row, None).unwrap()
                });
                put(key::conversation(ConversationNumber(*number)), &record);
            }
            let moves = moves.iter().map(|(number, ms)| {
                let at = ms.map(Timestamp::from_millis);
                (ConversationNumber(*number), at)
            });
            let moves = Moves(moves.collect());
            self.meta.list = Some(self.list.print_with(&moves));
            let record = self.list.record_of(&moves);
            let slot = record.as_ref().map(|record| record.slot);
            if let Some(record) = record {
                put(record.key, &record.payload);
            }
            self.list.make_recorded(&moves, slot);
            self.kv.apply(&batch).unwrap();
            if self.list.unwritten.is_much() {
                self.write_pages();
            }
        }

        fn write_pages(&mut self) {
            let mut batch = KvBatch::default();
            let seq = self.meta.seq;
            self.list.put_pages(&mut batch, &self.codec, seq).unwrap();
            self.kv.apply(&batch).unwrap();
            self.list.wrote_pages();
        }

        fn loaded(&self) -> List {
            List::load(&self.kv, &self.codec, &self.meta, &Outbox::default()).unwrap()
        }

        /// The list's records.
        fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
            let mut records = Vec::new();
            for tag in [Tag::Moves, Tag::ListPage] {
                each(&self.kv, tag, &mut |key, value| {
                    records.push((key.to_vec(), value.to_vec()));
                })
                .unwrap();
            }
            records
        }
    }

    fn moves() -> impl Strategy<Value = Vec<(u32, Option<i64>)>> {
        let activity = proptest::option::weighted(0.8, 0..9_i64);
        let moves = proptest::collection::btree_map(0..300_u32, activity, 0..4);
        moves.prop_map(|moves| moves.into_iter().collect())
    }

    proptest! {
        #[test]
        fn moves_come_back_from_their_record(
            moves in proptest::collection::btree_map(any::<u32>(), any::<Option<i64>>(), 0..9)
        ) {
            let each = moves.into_iter().map(|(number, ms)| {
                (ConversationNumber(number), ms.map(Timestamp::from_millis))
            });
            let moves = Moves(each.collect());
            prop_assert_eq!(Moves::decode(moves.encode()), Ok(moves));
        }

        #[test]
        fn any_bytes_are_moves_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Moves::decode(bytes);
        }

        #[test]
        fn a_list_that_is_loaded_is_the_one_that_was_written_after_any_commit(
            steps in proptest::collection::vec((moves(), any::<bool>()), 1..200),
        ) {
            let mut world = World::new();
            for (moves, reopened) in &steps {
                world.commit(moves);
                let loaded = world.loaded();
                prop_assert_eq!(loaded.page(None, 999), world.list.page(None, 999));
                prop_assert!(!loaded.unwritten.is_all, "no row needed to be read");
                if *reopened {
                    world.list = loaded;
                }
            }
        }

        /// Records that are older than the tree, newer, gone or torn: what a salvage, a backup that
        /// was put back or damage may leave.
        #[test]
        fn a_list_whose_records_are_wrong_is_made_from_the_rows(
            steps in proptest::collection::vec(moves(), 1..100), writes_pages_at in any::<Index>(),
            kept_at in any::<Index>(), which in any::<Index>(), what in 0..3_u8,
        ) {
            let mut world = World::new();
            let mut kept = Vec::new();
            for (n, moves) in steps.iter().enumerate() {
                world.commit(moves);
                if n == writes_pages_at.index(steps.len()) {
                    world.write_pages();
                }
                if n == kept_at.index(steps.len()) {
                    kept = world.records();
                }
            }
            let records = world.records();
            prop_assume!(!records.is_empty());
            let (key, value) = &records[which.index(records.len())];
            let mut batch = KvBatch::default();
            match what {
                0 => batch.remove(key.clone()),
                1 => batch.put(key.clone(), value[..value.len() / 2].to_vec()),
                _ => for (key, _) in &records {
                    let old = kept.iter().find(|(kept, _)| kept == key);
                    match old {
                        Some((_, old)) => batch.put(key.clone(), old.clone()),
                        None => batch.remove(key.clone()),
                    }
                },
            }
            world.kv.apply(&batch).unwrap();
            let mut loaded = world.loaded();
            prop_assert_eq!(loaded.page(None, 999), world.list.page(None, 999));
            // It is written as it should be, and goes on from there.
            if loaded.unwritten.is_all {
                let mut meta = world.meta;
                loaded.write_all(&world.kv, &world.codec, &mut meta).unwrap();
                prop_assert_eq!(meta, world.meta);
            }
            world.list = loaded;
            world.commit(&[(7, Some(77))]);
            prop_assert!(!world.loaded().unwritten.is_all);
            prop_assert_eq!(world.loaded().page(None, 999), world.list.page(None, 999));
        }
    }

    #[test]
    fn a_list_that_was_moved_by_commits_the_tree_has_not_is_not_believed() {
        let mut world = World::new();
        world.commit(&[(1, Some(1)), (2, Some(2))]);
        let (rows, meta) = (
            world.kv.value(&key::conversation(ConversationNumber(1))),
            world.meta,
        );
        world.commit(&[(1, Some(3))]);
        // The tree is put back, but for the list.
        let mut batch = KvBatch::default();
        let row = key::conversation(ConversationNumber(1));
        batch.put(row, rows.unwrap().unwrap());
        world.kv.apply(&batch).unwrap();
        world.meta = meta;
        let loaded = world.loaded();
        let numbers: Vec<_> = loaded.page(None, 9).0.iter().map(|(_, n)| n.0).collect();
        assert_eq!(numbers, [2, 1]);
        assert!(loaded.unwritten.is_all && loaded.unwritten.wrong.len() == 2);
    }

    #[test]
    fn a_blank_tree_has_an_empty_list_that_is_not_to_be_written() {
        let loaded = World::new().loaded();
        assert_eq!(loaded.print(), Print::default());
        assert_eq!(loaded.unwritten, Unwritten::default());
    }
}
