//! The schema and its steps.
//!
//! A schema number stands in the identity (`disk/identity.rs`), which is read before anything else is
//! touched, and in the tree's counters. A store of a newer schema is refused and left as it is.
//! One of an older schema is brought forward when it is opened: a function per step, each a batch
//! of its own that ends with the new number, so that a kill between two steps is no harm. The
//! identity is raised last.
//!
//! | schema | since | what changed |
//! |---|---|---|
//! | 1 | – | the first: a key for each message (`m`) |
//! | 2 | 0.1.0 | messages share keys, in packs (`b`, `h`) |
//! | 3 | 0.1.0 | the list has no key for each conversation (`l`) any more, but pages (`k`); the newest messages may lie behind the row (`c`) |
//!
//! A store folder of each released schema is kept in `tests/fixtures/`, and a test opens it. A
//! field that is only added, with a default, needs no step.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use serde::Deserialize;

use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{BadRecord, decode, encode, encode_compact};
use crate::store::format::pack::{Form, Pack, Slot};
use crate::store::format::pack_layout::{Linked, lay};
use crate::store::format::record::MetaRecord;
use crate::store::format::record_message::{ContentRecord, MessageRecord};
use crate::store::tree::{Direction, Kv, KvBatch, Visit, apply, remove_all};
use crate::store::types::position::{ConversationNumber, Position};

/// Brings a tree forward by one schema and writes the counters with the next number.
type Step = fn(&dyn Kv, &Codec, MetaRecord) -> Result<MetaRecord, StoreError>;

/// The step from each older schema, beginning with that from 1.
const STEPS: [Step; 2] = [pack_singles, shorten];

/// Brings a tree to the schema of this version.
///
/// # Errors
///
/// What a step fails with.
pub(crate) fn migrate(kv: &dyn Kv, codec: &Codec, meta: MetaRecord) -> Result<(), StoreError> {
    let done = usize::try_from(meta.schema.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut meta = meta;
    for step in STEPS.iter().skip(done) {
        meta = step(kv, codec, meta)?;
    }
    Ok(())
}

/// A message as schema 1 kept it.
#[derive(Deserialize)]
struct SingleRecord<'a> {
    sender: &'a str,
    #[serde(borrow)]
    local_id: Option<&'a str>,
    #[serde(borrow)]
    content: ContentRecord<'a>,
    mention_all: bool,
    #[serde(borrow)]
    mentions: Vec<&'a str>,
    delivered_at_ms: Option<i64>,
    read_at_ms: Option<i64>,
    edited_at_ms: Option<i64>,
    #[serde(default)]
    older: Option<u32>,
}

/// A message of schema 1, as it goes into a pack.
pub(crate) fn single(position: Position, payload: &[u8]) -> Result<Linked, BadRecord> {
    let single: SingleRecord<'_> = decode(payload)?;
    let record = MessageRecord {
        sender: single.sender,
        local_id: single.local_id,
        content: single.content,
        mention_all: single.mention_all,
        mentions: single.mentions,
        delivered_at_ms: single.delivered_at_ms,
        read_at_ms: single.read_at_ms,
        edited_at_ms: single.edited_at_ms,
    };
    let record = Bytes::from(encode_compact(&record).map_err(|_| BadRecord)?);
    Ok((Slot { position, record }, single.older))
}

/// How many messages, and how many of their bytes, are packed in one batch.
const AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 512 * 1024;

/// From 1 to 2: puts single messages into packs, oldest first, some at a time. A message is always
/// in one of the two places, so the step goes on after a kill where it was.
fn pack_singles(kv: &dyn Kv, codec: &Codec, meta: MetaRecord) -> Result<MetaRecord, StoreError> {
    let mut packed: Option<(ConversationNumber, Option<Position>)> = None;
    loop {
        let singles = Singles::first(kv, codec)?;
        if singles.keys.is_empty() {
            break;
        }
        let mut batch = KvBatch::default();
        for key in singles.keys {
            batch.remove(key);
        }
        if let Some(number) = singles.number {
            let before = match packed {
                Some((last, before)) if last == number => before,
                _ => last_packed(kv, codec, number)?,
            };
            let last = singles.found.last().map(|(slot, _)| slot.position.clone());
            for (key, payload) in lay(number, before.as_ref(), singles.found, &codec.squeeze)? {
                let value = codec.seal(&key, &payload, meta.seq)?;
                batch.put(key, value);
            }
            packed = Some((number, last.or(before)));
        }
        apply(kv, &batch)?;
    }
    put_schema(kv, codec, MetaRecord { schema: 2, ..meta })
}

/// From 2 to 3: takes keys away that every message cost. A conversation gets its tail with the next
/// message that comes: a value without one is what it was.
fn shorten(kv: &dyn Kv, codec: &Codec, meta: MetaRecord) -> Result<MetaRecord, StoreError> {
    // Whoever opens the store makes the list anew.
    remove_all(kv, &[Tag::List as u8])?;
    put_schema(kv, codec, MetaRecord { schema: 3, ..meta })
}

/// Ends a step: the counters say which schema the tree has.
fn put_schema(kv: &dyn Kv, codec: &Codec, meta: MetaRecord) -> Result<MetaRecord, StoreError> {
    let mut batch = KvBatch::default();
    let value = codec.seal(&key::meta(), &encode(&meta)?, meta.seq)?;
    batch.put(key::meta(), value);
    apply(kv, &batch)?;
    Ok(meta)
}

/// The first single messages of a tree, all of one conversation.
#[derive(Default)]
struct Singles {
    number: Option<ConversationNumber>,
    /// Those that are whole; the links of the others' neighbours show that they are missing.
    found: Vec<Linked>,
    keys: Vec<Vec<u8>>,
}

impl Singles {
    fn first(kv: &dyn Kv, codec: &Codec) -> Result<Self, StoreError> {
        let mut singles = Self::default();
        let mut bytes = 0_usize;
        scan(
            kv,
            &[Tag::Single as u8],
            Direction::Forward,
            &mut |key, value| {
                let parsed = key::parse_single(key);
                if let Ok((number, _)) = &parsed
                    && *singles.number.get_or_insert(*number) != *number
                {
                    return ControlFlow::Break(());
                }
                singles.keys.push(key.to_vec());
                let payload = codec.open(key, value).map_err(|_| BadRecord);
                let found = parsed.and_then(|(_, position)| single(position, &payload?));
                singles.found.extend(found);
                bytes = bytes.saturating_add(value.len());
                if singles.keys.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )?;
        Ok(singles)
    }
}

/// The newest message of a conversation that is in a pack already.
fn last_packed(
    kv: &dyn Kv,
    codec: &Codec,
    number: ConversationNumber,
) -> Result<Option<Position>, StoreError> {
    let mut last = None;
    scan(
        kv,
        &key::packs_of(Form::Sealed, number),
        Direction::Backward,
        &mut |key, value| {
            let payload = codec.open(key, value).ok();
            let pack = payload.and_then(|payload| Pack::decode(payload, &codec.squeeze).ok());
            last = pack.and_then(|pack| pack.last().cloned());
            ControlFlow::Break(())
        },
    )?;
    Ok(last)
}

fn scan(
    kv: &dyn Kv,
    prefix: &[u8],
    direction: Direction,
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    let end = key::after_prefix(prefix).unwrap_or_default();
    let range = (Bound::Included(prefix), Bound::Excluded(&end[..]));
    kv.scan(range, direction, visit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MessageId, Timestamp};
    use crate::store::format::record::ConversationRecord;
    use crate::store::format::record::SCHEMA;
    use crate::store::state::list::List;
    use crate::store::state::outbox::Outbox;
    use crate::store::tests::{message, row};
    use crate::store::tree::KeyRange;
    use crate::store::tree::memory::LogKv;
    use crate::store::types::conversation::ConversationRow;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn there_is_a_step_from_each_older_schema() {
        assert_eq!(STEPS.len(), usize::try_from(SCHEMA).unwrap() - 1);
    }

    /// A tree that is killed at one of its batches.
    #[derive(Debug)]
    struct Killed<'a> {
        tree: &'a LogKv,
        batches_left: AtomicU64,
    }

    impl Kv for Killed<'_> {
        fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.tree.value(key)
        }

        fn scan(
            &self,
            range: KeyRange<'_>,
            direction: Direction,
            visit: Visit<'_>,
        ) -> Result<(), StoreError> {
            self.tree.scan(range, direction, visit)
        }

        fn apply(&self, batch: &KvBatch) -> Result<(), StoreError> {
            let left = self.batches_left.load(Ordering::Relaxed);
            let left = left
                .checked_sub(1)
                .ok_or_else(|| StoreError::damaged("killed"))?;
            self.batches_left.store(left, Ordering::Relaxed);
            self.tree.apply(batch)
        }

        fn wants_each_flushed(&self) -> bool {
            true
        }

        fn flush(&self) -> Result<(), StoreError> {
            Ok(())
        }

        fn size_bytes(&self) -> Result<u64, StoreError> {
            self.tree.size_bytes()
        }
    }

    fn place(n: i64) -> Position {
        Position {
            sent_at: Timestamp::from_millis(n / 3),
            id: MessageId::new(format!("m{n:05}")).unwrap(),
        }
    }

    const META: MetaRecord = MetaRecord {
        schema: 1,
        seq: 9,
        next_number: 3,
        next_entry: 1,
        arrived: 0,
        list: None,
    };

    /// Two conversations as schema 1 kept them; of each the message 300 vanished.
    fn singles(codec: &Codec) -> LogKv {
        let tree = LogKv::unlogged();
        let mut batch = KvBatch::default();
        for number in [ConversationNumber(1), ConversationNumber(2)] {
            for n in (0..700).filter(|n| *n != 300) {
                let message = message("other", n, "hello");
                let content = ContentRecord::of(&message.content);
                let older = (n > 0).then(|| crate::store::types::link::link(&place(n - 1)));
                let nothing: (Option<i64>, Option<i64>, Option<i64>) = (None, None, None);
                let record = (
                    "other",
                    None::<String>,
                    content,
                    false,
                    Vec::<String>::new(),
                    nothing.0,
                    nothing.1,
                    nothing.2,
                    older,
                );
                let key = key::single(number, &place(n));
                let payload = encode_compact(&record).unwrap();
                batch.put(key.clone(), codec.seal(&key, &payload, 5).unwrap());
            }
        }
        tree.apply(&batch).unwrap();
        tree
    }

    /// What the packs of a conversation hold: the messages, and how many links lead nowhere.
    fn unpacked(tree: &LogKv, codec: &Codec, number: ConversationNumber) -> (Vec<Position>, usize) {
        let mut held = Vec::new();
        let mut torn = 0;
        scan(
            tree,
            &key::packs_of(Form::Sealed, number),
            Direction::Forward,
            &mut |key, value| {
                let payload = codec.open(key, value).unwrap();
                let pack = Pack::decode(payload, &codec.squeeze).unwrap();
                let first = key::among_packs(number, &pack.slots[0].position);
                assert!(key <= first.as_slice());
                torn += usize::from(pack.older != held.last().map(crate::store::types::link::link));
                for index in 0..pack.slots.len() {
                    let message = pack.message(index, &[]).unwrap();
                    assert_eq!(message.sender.as_str(), "other");
                }
                held.extend(pack.slots.into_iter().map(|slot| slot.position));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        (held, torn)
    }

    /// A tree of schema 2 with many conversations: keys of the list, of which some are left over from
    /// rows that were lost.
    fn listed(codec: &Codec, many: u32) -> LogKv {
        let tree = LogKv::unlogged();
        let mut batch = KvBatch::default();
        for n in 0..many {
            let number = ConversationNumber(n);
            let activity = Timestamp::from_millis((n * 7 % 1_000).into());
            let row = ConversationRow {
                last_message_at: Some(activity),
                ..row(&format!("c{n}"))
            };
            let record = encode_compact(&ConversationRecord::of(&row)).unwrap();
            let mut put = |key: Vec<u8>, payload: &[u8]| {
                batch.put(key.clone(), codec.seal(&key, payload, 5).unwrap());
            };
            put(key::conversation(number), &record);
            put(key::list(activity, number), &[]);
            if n % 10 == 0 {
                put(key::list(Timestamp::from_millis(5_000), number), &[]);
            }
        }
        tree.apply(&batch).unwrap();
        tree
    }

    #[test]
    fn the_list_of_schema_2_is_whole_after_it_whenever_it_is_killed() {
        let codec = Codec::new(4, None);
        let meta = MetaRecord { schema: 2, ..META };
        for batches in 0..5 {
            let tree = listed(&codec, 2_000);
            let killed = Killed {
                tree: &tree,
                batches_left: AtomicU64::new(batches),
            };
            let first = migrate(&killed, &codec, meta);
            assert_eq!(first.is_ok(), batches >= 4, "after {batches}");
            migrate(&tree, &codec, meta).unwrap();
            let mut left = 0;
            let list_keys = [Tag::List as u8];
            scan(&tree, &list_keys, Direction::Forward, &mut |_, _| {
                left += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(left, 0, "after {batches}");
            let list = List::load(&tree, &codec, &META, &Outbox::default()).unwrap();
            let (page, more) = list.page(None, 3);
            let numbers: Vec<_> = page.iter().map(|(_, number)| number.0).collect();
            assert_eq!((numbers, more), (vec![1857, 857, 1714], true));
            assert_eq!(list.print().count, 2_000);
        }
    }

    #[test]
    fn messages_of_schema_1_come_into_packs_whole_whenever_it_is_killed() {
        let codec = Codec::new(4, None);
        let expected: Vec<_> = (0..700).filter(|n| *n != 300).map(place).collect();
        for batches in 0..10 {
            let tree = singles(&codec);
            let killed = Killed {
                tree: &tree,
                batches_left: AtomicU64::new(batches),
            };
            let first = migrate(&killed, &codec, META);
            assert_eq!(first.is_ok(), batches >= 8, "after {batches}");
            migrate(&tree, &codec, META).unwrap();
            for number in [ConversationNumber(1), ConversationNumber(2)] {
                let (held, torn) = unpacked(&tree, &codec, number);
                assert_eq!(held, expected, "after {batches}");
                assert_eq!(torn, 1, "the lost message shows, after {batches}");
            }
            let value = tree.value(&key::meta()).unwrap().unwrap();
            let payload = codec.open(&key::meta(), &value);
            assert_eq!(
                decode::<MetaRecord>(&payload.unwrap()).unwrap().schema,
                SCHEMA
            );
        }
    }
}
