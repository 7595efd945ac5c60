//! The schema and its steps.
//!
//! The schema number is in the identity (`disk/identity.rs`), which is read before anything is changed, and
//! in the tree's counters. A store of a newer schema is refused and stays as it is. Opening a store of an
//! older schema migrates it, by one function for each step. Each step ends with a batch that writes the new
//! number, so a kill between two steps does no harm. A step of several batches must be able to continue after
//! a kill between any two of them. The identity gets the new number last.
//!
//! | schema | since | change |
//! |---|---|---|
//! | 1 | 0.1.0 | the first |
//!
//! `tests/fixtures/` holds a store folder of each released schema, and a test opens it. A new field with a
//! default needs no step.

use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::key;
use crate::store::format::messagepack::encode;
use crate::store::format::record::{MetaRecord, SCHEMA};
use crate::store::tree::{Kv, KvBatch, apply};

/// Brings the keys and values of a tree forward by one schema.
type SchemaStep = fn(&dyn Kv, &Codec) -> Result<(), StoreError>;

/// The step from each older schema, beginning with the one from 1.
const STEPS: [SchemaStep; SCHEMA as usize - 1] = [];

/// Brings a tree to the schema of this version.
///
/// # Errors
///
/// Those of a step.
pub(crate) fn migrate(kv: &dyn Kv, codec: &Codec, meta: MetaRecord) -> Result<(), StoreError> {
    migrate_by(&STEPS, kv, codec, meta)
}

fn migrate_by(
    steps: &[SchemaStep],
    kv: &dyn Kv,
    codec: &Codec,
    mut meta: MetaRecord,
) -> Result<(), StoreError> {
    for (step, to) in steps.iter().zip(2..) {
        if meta.schema < to {
            step(kv, codec)?;
            meta.schema = to;
            put_counters(kv, codec, &meta)?;
        }
    }
    Ok(())
}

/// Ends a step: the counters name the schema of the tree.
fn put_counters(kv: &dyn Kv, codec: &Codec, meta: &MetaRecord) -> Result<(), StoreError> {
    let mut batch = KvBatch::default();
    let value = codec.frame(&key::meta(), &encode(meta)?, meta.seq)?;
    batch.put(key::meta(), value);
    apply(kv, &batch)
}

#[cfg(test)]
mod tests {
    use std::ops::{Bound, ControlFlow};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::format::messagepack::decode;
    use crate::store::tree::memory::LogKv;
    use crate::store::tree::{ApplyRequest, Direction, KeyRange, Visit};

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

        fn begin_apply(&self, request: ApplyRequest) -> Result<(), StoreError> {
            self.apply(&request.batch)
        }

        fn begin_flush(&self) -> Result<(), StoreError> {
            Ok(())
        }

        fn wait_flushed(&self) -> Result<(), StoreError> {
            Ok(())
        }

        fn size_bytes(&self) -> Result<u64, StoreError> {
            self.tree.size_bytes()
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

    /// The first key behind a prefix, if there is one, with its value.
    fn first(kv: &dyn Kv, prefix: u8) -> Option<(Vec<u8>, Vec<u8>)> {
        let (from, to) = ([prefix], [prefix + 1]);
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let mut found = None;
        kv.scan(range, Direction::Forward, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        })
        .unwrap();
        found
    }

    /// Moves every key from one prefix to another, each in a batch of its own.
    fn move_all(kv: &dyn Kv, from: u8, to: u8) -> Result<(), StoreError> {
        while let Some((key, value)) = first(kv, from) {
            let mut moved = key.clone();
            moved[0] = to;
            let mut batch = KvBatch::default();
            batch.remove(key);
            batch.put(moved, value);
            apply(kv, &batch)?;
        }
        Ok(())
    }

    const TEST_STEPS: [SchemaStep; 2] = [
        |kv, _| move_all(kv, b'1', b'2'),
        |kv, _| move_all(kv, b'2', b'3'),
    ];

    fn count(kv: &dyn Kv, prefix: u8) -> usize {
        let (from, to) = ([prefix], [prefix + 1]);
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let mut many = 0;
        kv.scan(range, Direction::Forward, &mut |_, _| {
            many += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        many
    }

    #[test]
    fn a_store_that_is_killed_at_any_batch_of_its_steps_is_brought_forward_by_the_next_opening() {
        let codec = Codec::new(3, None);
        for kill_at in 0..12 {
            let tree = LogKv::unlogged();
            let mut batch = KvBatch::default();
            for n in 0..4_u8 {
                batch.put(vec![b'1', n], vec![n]);
            }
            tree.apply(&batch).unwrap();
            put_counters(&tree, &codec, &META).unwrap();
            let killed = Killed {
                tree: &tree,
                batches_left: AtomicU64::new(kill_at),
            };
            let ended = migrate_by(&TEST_STEPS, &killed, &codec, META);
            assert_eq!(ended.is_err(), kill_at < 10, "two steps are ten batches");
            let value = tree.value(&key::meta()).unwrap().unwrap();
            let payload = codec.open(&key::meta(), &value).unwrap();
            let meta: MetaRecord = decode(&payload).unwrap();
            migrate_by(&TEST_STEPS, &tree, &codec, meta).unwrap();
            let counts = [b'1', b'2', b'3'].map(|prefix| count(&tree, prefix));
            assert_eq!(counts, [0, 0, 4], "killed at batch {kill_at}");
        }
    }
}
