//! A tree that is being copied: reads go to the tree, writes to the tree and to what is copied.
//!
//! The copy grows in the order of keys. A commit that comes meanwhile is applied to the tree, and
//! to the copy as far as that has come; what is behind will be copied as the commit left it. So
//! the copy is the tree once it has come to the end, however many commits there were. A copy that
//! fails hurts nothing: the tree goes on alone.

use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::kv::{Direction, KeyRange, Kv, KvBatch, Visit};

/// How many keys, and how many of their bytes, are read at a time: a few milliseconds.
const KEYS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 128 * 1024;

/// A tree and its copy.
#[derive(Debug)]
pub(super) struct Twin {
    tree: Arc<dyn Kv>,
    copy: Mutex<Copy>,
}

#[derive(Debug)]
struct Copy {
    /// None while it is shut.
    kv: Option<Arc<dyn Kv>>,
    reached: Reached,
    failed: Option<StoreError>,
}

/// How far the copy has come.
#[derive(Debug)]
enum Reached {
    /// Up to this key, which is in it.
    Key(Vec<u8>),
    End,
}

/// What a step of copying or comparing did.
#[derive(Debug)]
pub(super) enum Stride {
    /// So many bytes; there is more.
    More(u64),
    /// So many bytes, the last ones.
    Last(u64),
}

impl Twin {
    /// Begins to copy a tree into an empty one.
    pub(super) fn new(tree: Arc<dyn Kv>, copy: Arc<dyn Kv>) -> Self {
        let copy = Copy {
            kv: Some(copy),
            reached: Reached::Key(Vec::new()),
            failed: None,
        };
        Self {
            tree,
            copy: Mutex::new(copy),
        }
    }

    /// Copies some more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the tree is; [`StoreError::Io`] for whatever is wrong with the
    /// copy.
    pub(super) fn copy_some(&self) -> Result<Stride, StoreError> {
        let mut copy = self.lock();
        let from = match &copy.reached {
            Reached::Key(key) => key.clone(),
            Reached::End => return Ok(Stride::Last(0)),
        };
        let part = Part::read(self.tree.as_ref(), &from)?;
        let bytes = part.bytes;
        let ended = part.ended;
        let last = part.last().cloned();
        let mut batch = KvBatch::default();
        batch
            .changes
            .extend(part.pairs.into_iter().map(|(k, v)| (k, Some(v))));
        copy.open()?.apply(&batch).map_err(|e| of_copy(&e))?;
        copy.reached = match last {
            Some(last) if !ended => Reached::Key(last),
            _ => Reached::End,
        };
        Ok(if ended {
            Stride::Last(bytes)
        } else {
            Stride::More(bytes)
        })
    }

    /// Makes the copy durable and shuts it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when that fails, or anything failed before.
    pub(super) fn shut_copy(&self) -> Result<(), StoreError> {
        let mut copy = self.lock();
        copy.open()?.flush().map_err(|e| of_copy(&e))?;
        copy.kv = None;
        Ok(())
    }

    /// Gives the copy back that was shut; no commit may have come between.
    pub(super) fn open_copy(&self, kv: Arc<dyn Kv>) {
        self.lock().kv = Some(kv);
    }

    /// Compares tree and copy behind a key, some keys at a time; gives the last one compared, none
    /// when all are.
    ///
    /// # Errors
    ///
    /// Those of [`Twin::copy_some`]; [`StoreError::Io`] too when the two differ.
    pub(super) fn compare_some(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let copy = self.lock();
        let here = Part::read(self.tree.as_ref(), from)?;
        let there = Part::read(copy.open()?.as_ref(), from).map_err(|e| of_copy(&e))?;
        if here.pairs != there.pairs {
            return Err(StoreError::Io {
                during: "compaction",
                reason: "the copy is not what was copied".to_owned(),
            });
        }
        Ok(here.last().cloned().filter(|_| !here.ended))
    }

    /// The tree itself.
    pub(super) fn tree(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.tree)
    }

    fn lock(&self) -> MutexGuard<'_, Copy> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes wrong with a copy harms the copy alone.
pub(super) fn of_copy(error: &StoreError) -> StoreError {
    StoreError::Io {
        during: "compaction",
        reason: error.to_string(),
    }
}

impl Copy {
    /// The copy, if nothing is wrong with it.
    fn open(&self) -> Result<&Arc<dyn Kv>, StoreError> {
        match (&self.failed, &self.kv) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(kv)) => Ok(kv),
            (None, None) => Err(StoreError::Io {
                during: "compaction",
                reason: "the copy is shut".to_owned(),
            }),
        }
    }

    /// Does to the copy what a commit did to the tree.
    fn mirror(&mut self, batch: &KvBatch) {
        let is_copied = |key: &Vec<u8>| match &self.reached {
            Reached::Key(upto) => key <= upto,
            Reached::End => true,
        };
        let changes = batch.changes.iter().filter(|(key, _)| is_copied(key));
        let changes = changes.map(|(key, value)| (key.clone(), value.clone()));
        let part = KvBatch {
            changes: changes.collect(),
        };
        if part.changes.is_empty() {
            return;
        }
        let applied = self.open().and_then(|kv| kv.apply(&part));
        if let Err(error) = applied {
            self.failed.get_or_insert_with(|| of_copy(&error));
        }
    }
}

impl Kv for Twin {
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
        self.tree.apply(batch)?;
        self.lock().mirror(batch);
        Ok(())
    }

    fn wants_each_flushed(&self) -> bool {
        self.tree.wants_each_flushed()
    }

    fn begin_flush(&self) -> Result<(), StoreError> {
        self.tree.begin_flush()
    }

    fn wait_flushed(&self) -> Result<(), StoreError> {
        self.tree.wait_flushed()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.tree.flush()
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.tree.size_bytes()
    }
}

/// Some neighbouring keys of a tree with their values.
struct Part {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: u64,
    /// Whether they are the tree's last.
    ended: bool,
}

impl Part {
    /// Those behind a key; the empty key is before all.
    fn read(tree: &dyn Kv, from: &[u8]) -> Result<Self, StoreError> {
        let mut part = Self {
            pairs: Vec::new(),
            bytes: 0,
            ended: true,
        };
        let mut bytes = 0_usize;
        let range = (Bound::Excluded(from), Bound::Unbounded);
        tree.scan(range, Direction::Forward, &mut |key, value| {
            if part.pairs.len() >= KEYS_AT_ONCE || bytes >= BYTES_AT_ONCE {
                part.ended = false;
                return ControlFlow::Break(());
            }
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            part.pairs.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        part.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(part)
    }

    fn last(&self) -> Option<&Vec<u8>> {
        self.pairs.last().map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kv::LogKv;
    use proptest::prelude::*;

    fn all(kv: &dyn Kv) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut pairs = Vec::new();
        let everything = (Bound::Unbounded, Bound::Unbounded);
        kv.scan(everything, Direction::Forward, &mut |key, value| {
            pairs.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
        pairs
    }

    proptest! {
        #[test]
        fn a_copy_is_the_tree_whatever_is_committed_meanwhile(
            first in proptest::collection::btree_map(any::<u16>(), any::<u8>(), 300..900),
            commits in proptest::collection::vec(
                proptest::collection::btree_map(any::<u16>(), proptest::option::of(any::<u8>()), 1..40),
                0..12),
        ) {
            let batch = |changes: Vec<(u16, Option<u8>)>| KvBatch {
                changes: changes
                    .into_iter()
                    .map(|(key, value)| (key.to_be_bytes().to_vec(), value.map(|v| vec![v])))
                    .collect(),
            };
            let tree: Arc<dyn Kv> = Arc::new(LogKv::unlogged());
            tree.apply(&batch(first.into_iter().map(|(k, v)| (k, Some(v))).collect())).unwrap();
            let copy: Arc<dyn Kv> = Arc::new(LogKv::unlogged());
            let twin = Twin::new(Arc::clone(&tree), Arc::clone(&copy));
            let mut commits = commits.into_iter();
            loop {
                if let Some(commit) = commits.next() {
                    twin.apply(&batch(commit.into_iter().collect())).unwrap();
                }
                if matches!(twin.copy_some().unwrap(), Stride::Last(_)) {
                    break;
                }
            }
            for commit in commits {
                twin.apply(&batch(commit.into_iter().collect())).unwrap();
            }
            prop_assert_eq!(all(tree.as_ref()), all(copy.as_ref()));
            let mut from = Vec::new();
            while let Some(next) = twin.compare_some(&from).unwrap() {
                from = next;
            }
            let mut other = KvBatch::default();
            other.put(vec![0, 0], b"other".to_vec());
            copy.apply(&other).unwrap();
            prop_assert!(twin.compare_some(&[]).is_err());
        }
    }
}
