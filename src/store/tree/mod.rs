//! The narrow key-value trait that the store needs, and the tree in memory behind it.

pub(super) mod copying;
pub(super) mod in_flight;
pub(super) mod location;
pub(super) mod memory;
pub(super) mod pending;
pub(super) mod segment_cleaner;
pub(super) mod sled;
pub(super) mod sync_thread;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};

use crate::store::error::StoreError;
use crate::store::format::key;

/// An ordered map of bytes with atomic batches.
pub(crate) trait Kv: fmt::Debug + Send + Sync {
    /// The value of a key.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Visits the keys from `range`, in the given direction, until the visitor breaks off.
    fn scan(
        &self,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError>;
    /// Applies a batch, all or nothing. Readers see it on return; it is durable after a flush.
    fn apply(&self, batch: &KvBatch) -> Result<(), StoreError>;
    /// Begins to apply a batch and to make it durable, after all batches that were begun before. Readers see
    /// the whole batch on return. [`Kv::wait_flushed`] tells a failure; readers then still see the batch until
    /// the tree is opened anew.
    fn begin_apply(&self, request: ApplyRequest) -> Result<(), StoreError>;
    /// Applies a batch to a tree that nobody relies on yet: in the order of keys, and maybe not at
    /// once. Readers see it on return.
    fn fill(&self, batch: &KvBatch) -> Result<(), StoreError> {
        self.apply(batch)
    }
    /// Lets go of everything that is in its cache only because these keys were read, which nobody will read
    /// soon again: a walk through all keys calls this, part by part.
    fn let_go(&self, _keys: &mut dyn Iterator<Item = &[u8]>) -> Result<(), StoreError> {
        Ok(())
    }
    /// Begins to make everything applied durable, and need not wait until it is: the next batch is
    /// applied when it is, and fails if that failed.
    fn begin_flush(&self) -> Result<(), StoreError>;
    /// Waits for a flush that was begun: the next batch is applied without a wait then.
    fn wait_flushed(&self) -> Result<(), StoreError>;
    /// Makes everything applied durable.
    fn flush(&self) -> Result<(), StoreError> {
        self.begin_flush()?;
        self.wait_flushed()
    }
    /// The bytes it takes on disk.
    fn size_bytes(&self) -> Result<u64, StoreError>;
    /// The memory for its cache, in bytes: it also measures the values that are kept decoded beside it.
    fn cache_bytes(&self) -> u64 {
        CACHE_BYTES
    }
}

/// The memory for the tree's cache unless something else is asked for, in bytes.
pub(crate) const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// A visitor of each key and value of a scan, which may break the scan off.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A range of keys.
pub(crate) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the smallest key.
    Forward,
    /// From the largest key.
    Backward,
}

/// Puts and removals, applied together: the last word on each key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KvBatch {
    /// Key to its new value; none removes it.
    pub(crate) changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl KvBatch {
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// The bytes of keys and values.
    pub(crate) fn size(&self) -> usize {
        let each = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
            key.len().saturating_add(value.as_ref().map_or(0, Vec::len))
        };
        self.changes.iter().map(each).fold(0, usize::saturating_add)
    }

    /// Writes the batch as bytes: per change a key length (2), a value length (4, all ones for a
    /// removal), the key and the value.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let lengths = self.changes.len().saturating_mul(2 + 4);
        let mut bytes = Vec::with_capacity(self.size().saturating_add(lengths));
        for (key, value) in &self.changes {
            let key_length = u16::try_from(key.len()).unwrap_or(u16::MAX);
            let value_length = value.as_ref().map_or(REMOVED, |value| {
                u32::try_from(value.len()).unwrap_or(REMOVED)
            });
            bytes.extend_from_slice(&key_length.to_le_bytes());
            bytes.extend_from_slice(&value_length.to_le_bytes());
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        bytes
    }

    /// Reads a batch back; none when the bytes are none.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut batch = Self::default();
        while !bytes.is_empty() {
            let (key_length, rest) = bytes.split_first_chunk::<2>()?;
            let (value_length, rest) = rest.split_first_chunk::<4>()?;
            let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*key_length).into())?;
            let value_length = u32::from_le_bytes(*value_length);
            if value_length == REMOVED {
                batch.remove(key.to_vec());
                bytes = rest;
            } else {
                let length = usize::try_from(value_length).ok()?;
                let (value, rest) = rest.split_at_checked(length)?;
                batch.put(key.to_vec(), value.to_vec());
                bytes = rest;
            }
        }
        Some(batch)
    }
}

const REMOVED: u32 = u32::MAX;

/// True if a range can hold no key; the standard library's map panics on some of these.
pub(crate) fn is_empty(range: KeyRange<'_>) -> bool {
    match range {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

/// A batch, and the work that is done when it is there.
#[derive(Debug, Default)]
pub(crate) struct ApplyRequest {
    pub(crate) batch: KvBatch,
    /// Keys that nobody will read soon: the cache lets go of them.
    pub(crate) seldom: Vec<Vec<u8>>,
}

/// Applies a batch and makes it durable: writes that are not synced can destroy ones that were.
pub(crate) fn apply(tree: &dyn Kv, batch: &KvBatch) -> Result<(), StoreError> {
    tree.apply(batch)?;
    tree.flush()
}

/// Removes all keys that begin with a prefix, some at a time.
pub(crate) fn remove_all(tree: &dyn Kv, prefix: &[u8]) -> Result<(), StoreError> {
    let end = key::after_prefix(prefix).unwrap_or_default();
    let range = (Bound::Included(prefix), Bound::Excluded(&end[..]));
    loop {
        let mut batch = KvBatch::default();
        tree.scan(range, Direction::Forward, &mut |key, _| {
            batch.remove(key.to_vec());
            if batch.changes.len() < REMOVED_AT_ONCE {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if batch.changes.is_empty() {
            return Ok(());
        }
        apply(tree, &batch)?;
    }
}

/// How many keys one batch removes.
const REMOVED_AT_ONCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_batch_comes_back_from_its_bytes(
            changes in proptest::collection::btree_map(
                proptest::collection::vec(any::<u8>(), 0..20),
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
                0..10,
            )
        ) {
            let batch = KvBatch { changes };
            prop_assert_eq!(KvBatch::from_bytes(&batch.to_bytes()), Some(batch));
        }

        #[test]
        fn any_bytes_are_a_batch_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = KvBatch::from_bytes(&bytes);
        }
    }
}
