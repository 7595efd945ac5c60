//! The narrow key-value trait that the store needs, and the tree in memory behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, PoisonError, RwLock};

use super::StoreError;
use super::disk::{Disk, DiskFile};
use super::frame;
use super::underway::Load;

/// An ordered map of bytes with atomic batches.
pub(super) trait Kv: fmt::Debug + Send + Sync {
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
    /// The thread of its own that applies batches, if it has one.
    fn beside(&self) -> Option<&dyn Beside> {
        None
    }
    /// Applies a batch to a tree that nobody relies on yet: in the order of keys, and maybe not at
    /// once. Readers see it on return.
    fn fill(&self, batch: &KvBatch) -> Result<(), StoreError> {
        self.apply(batch)
    }
    /// Lets go of what is in its cache only because these keys were read, of which nobody will read
    /// soon again: whoever goes through all keys calls it, part by part.
    fn let_go(&self, _keys: &mut dyn Iterator<Item = &[u8]>) -> Result<(), StoreError> {
        Ok(())
    }
    /// Whether every batch must be flushed before the next: where writes that are not synced can
    /// destroy ones that were.
    fn wants_each_flushed(&self) -> bool;
    /// Begins to make everything applied durable, and need not wait until it is: the next batch is
    /// applied when it is, and fails if that failed.
    fn begin_flush(&self) -> Result<(), StoreError> {
        self.flush()
    }
    /// Waits for a flush that was begun: the next batch is applied without a wait then.
    fn wait_flushed(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Makes everything applied durable.
    fn flush(&self) -> Result<(), StoreError>;
    /// The bytes it takes on disk.
    fn size_bytes(&self) -> Result<u64, StoreError>;
    /// The memory for its cache, in bytes: what is kept decoded beside it is measured by it.
    fn cache_bytes(&self) -> u64 {
        CACHE_BYTES
    }
}

/// A tree with a thread that applies batches and flushes them.
pub(super) trait Beside {
    /// Sends a batch on its way. Readers see it on return, all of it or nothing; [`Kv::wait_flushed`]
    /// says if it failed.
    fn begin_apply(&self, load: Load) -> Result<(), StoreError>;
}

/// The memory for the tree's cache unless something else is asked for, in bytes.
pub(super) const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// What looks at each key and value of a scan, and may break it off.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A range of keys.
pub(super) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the smallest key.
    Forward,
    /// From the largest key.
    Backward,
}

/// Puts and removals, applied together: the last word on each key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KvBatch {
    /// Key to its new value; none removes it.
    pub(super) changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl KvBatch {
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// The bytes of keys and values.
    pub(super) fn size(&self) -> usize {
        let each = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
            key.len().saturating_add(value.as_ref().map_or(0, Vec::len))
        };
        self.changes.iter().map(each).fold(0, usize::saturating_add)
    }

    /// Writes the batch as bytes: per change a key length (2), a value length (4, all ones for a
    /// removal), the key and the value.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
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
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
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

/// A tree in memory that logs its batches to a file of the given disk: plain, for tests and the
/// simulator. Opening reads the whole log; a torn batch at its end never happened.
#[derive(Debug)]
pub(super) struct LogKv {
    /// Where the log is; none for a tree that is not kept.
    disk: Option<Arc<dyn Disk>>,
    /// The log's name in the folder.
    name: String,
    state: RwLock<LogState>,
}

#[derive(Debug)]
struct LogState {
    tree: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the next batch goes.
    end: u64,
}

/// The log's frames carry batches, whose values carry the store's own frames.
const LOG: frame::Seal<'static> = frame::Seal {
    store: 0,
    cipher: None,
};

/// The log's name in the folder, but for one that is being copied.
pub(super) const LOG_FILE: &str = "tree.log";

impl LogKv {
    /// Opens the log of that name, or begins one.
    pub(super) fn open(disk: Arc<dyn Disk>, name: &str) -> Result<Self, StoreError> {
        let bytes = disk
            .read(name)
            .map_err(|e| StoreError::io("reading the log", &e))?;
        let bytes = bytes.unwrap_or_default();
        let mut tree = BTreeMap::new();
        let mut rest = bytes.as_slice();
        while let Ok((opened, length)) = frame::open_first(rest, LOG) {
            let batch = KvBatch::from_bytes(&opened.payload);
            let batch = batch.ok_or_else(|| StoreError::damaged("a batch of the log"))?;
            apply(&mut tree, &batch);
            rest = rest.get(length..).unwrap_or_default();
        }
        let torn = !rest.is_empty();
        let end = bytes.len().saturating_sub(rest.len());
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        if torn {
            // What is behind a torn batch must not be taken for a later one after the next append.
            cut(disk.as_ref(), name, end).map_err(|e| StoreError::io("mending the log", &e))?;
        }
        let state = LogState { tree, end };
        Ok(Self {
            disk: Some(disk),
            name: name.to_owned(),
            state: RwLock::new(state),
        })
    }

    /// A tree that is not kept.
    pub(super) fn unlogged() -> Self {
        let state = LogState {
            tree: BTreeMap::new(),
            end: 0,
        };
        Self {
            disk: None,
            name: String::new(),
            state: RwLock::new(state),
        }
    }

    fn log(&self) -> io::Result<Option<Box<dyn DiskFile>>> {
        self.disk
            .as_ref()
            .map(|disk| disk.open(&self.name))
            .transpose()
    }
}

fn cut(disk: &dyn Disk, name: &str, length: u64) -> io::Result<()> {
    let mut file = disk.open(name)?;
    file.truncate(length)?;
    file.sync()
}

fn apply(tree: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: &KvBatch) {
    for (key, value) in &batch.changes {
        match value {
            Some(value) => tree.insert(key.clone(), value.clone()),
            None => tree.remove(key),
        };
    }
}

impl Kv for LogKv {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.tree.get(key).cloned())
    }

    fn scan(
        &self,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        if is_empty(range) {
            return Ok(());
        }
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = state.tree.range::<[u8], _>(range);
        loop {
            let next = match direction {
                Direction::Forward => found.next(),
                Direction::Backward => found.next_back(),
            };
            let Some((key, value)) = next else {
                return Ok(());
            };
            if visit(key, value).is_break() {
                return Ok(());
            }
        }
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = frame::seal(&[], &batch.to_bytes(), 0, LOG)?;
        let end = state.end;
        let written = self
            .log()
            .and_then(|log| log.map_or(Ok(()), |mut f| f.write_at(end, &bytes)));
        written.map_err(|e| StoreError::io("the commit", &e))?;
        state.end = state
            .end
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        apply(&mut state.tree, batch);
        Ok(())
    }

    fn wants_each_flushed(&self) -> bool {
        false
    }

    fn flush(&self) -> Result<(), StoreError> {
        let synced = self
            .log()
            .and_then(|log| log.map_or(Ok(()), |mut file| file.sync()));
        synced.map_err(|e| StoreError::io("the flush", &e))
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(self
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .end)
    }
}

/// Whether a range can hold no key; the standard library's map panics on some of these.
pub(super) fn is_empty(range: KeyRange<'_>) -> bool {
    match range {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

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
