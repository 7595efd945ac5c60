//! A tree that is being copied: reads go to the tree, writes go to the tree and to the copied part.
//!
//! The copy grows in the order of keys. A commit during the copying is applied to the tree, and to the copy
//! up to the last copied key. The later keys are copied with the values that the commit left. The copy
//! therefore equals the tree at its end, after any number of commits. A copy that fails does no harm: the
//! tree goes on alone.
//!
//! # The passes
//!
//! The embedded database logs each change of a page by itself, every tenth time the whole page instead, and
//! both halves of a page that reaches seventeen keys. A new tree that is filled key by key writes three times
//! its bytes, and live bytes lie between dead ones, in segments that are too full to be freed: the tree takes
//! 1.8 times its content. A copy therefore goes through the keys three times:
//!
//! 1. *Outline*: the keys, with empty values. Pages split while they are small, and have nine keys.
//! 2. *Fill*: a stretch of values, each logged once. One key of each page is left out and gets a mark.
//! 3. *Rewrite*: the same stretch again. Values that are present are not written twice. The values in place
//!    of the marks are the tenth change of each page, so the database logs the whole page. The log of the
//!    fill is then dead, in segments of its own, which the next stretch reuses.
//!
//! This writes twice the live bytes, and leaves 1.1 times as much and some free segments. If commits come in
//! between, or the database counts differently one day, the copy is larger; nothing else changes.

use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::error::StoreError;
use crate::store::tree::{ApplyRequest, Direction, KeyRange, Kv, KvBatch, Visit};

/// How many keys are read at a time: a few milliseconds.
const KEYS_AT_ONCE: usize = 256;

/// How many bytes of keys and values are read at a time.
const BYTES_AT_ONCE: usize = 128 * 1024;

/// So many bytes are filled before they are rewritten: eight segments. With two the dead and the
/// living share segments, and more are lost to what is free in the end.
const STRETCH: usize = 4 * 1024 * 1024;

/// A page of the embedded database that was filled in the order of keys has so many.
const KEYS_A_PAGE: usize = 9;

/// Stands for a value that is still to come; none is so short.
const MARK: &[u8] = &[0];

/// A tree and its copy.
#[derive(Debug)]
pub(crate) struct CopiedTree {
    tree: Arc<dyn Kv>,
    copy: Mutex<Copy>,
    /// The number of bytes that are filled before they are rewritten.
    stretch: usize,
}

#[derive(Debug)]
struct Copy {
    /// None while it is shut.
    kv: Option<Arc<dyn Kv>>,
    stage: Stage,
    failed: Option<StoreError>,
}

/// The progress of the copy.
#[derive(Debug)]
enum Stage {
    /// The keys up to this one are there, without values.
    Outline(Vec<u8>),
    /// The values up to a key are there, but for the marks of a stretch.
    Fill(Stretch),
    /// The stretch is gone through again, up to this key so far.
    Rewrite(Stretch, Vec<u8>),
    End,
}

/// Values that are filled, and then rewritten.
#[derive(Clone, Debug, Default)]
struct Stretch {
    /// It begins behind this key.
    from: Vec<u8>,
    /// The last key that was filled.
    upto: Vec<u8>,
    /// The bytes that were filled.
    bytes: usize,
    /// The keys since the last mark.
    unmarked: usize,
    /// True if the stretch is the tree's last one.
    ended: bool,
}

/// The outcome of a step of copying or comparing.
#[derive(Debug)]
pub(crate) enum CopyStep {
    /// So many bytes; there is more.
    More(u64),
    /// So many bytes, the last ones.
    Last(u64),
}

impl CopiedTree {
    /// Begins to copy a tree into an empty one.
    pub(crate) fn new(tree: Arc<dyn Kv>, copy: Arc<dyn Kv>) -> Self {
        let copy = Copy {
            kv: Some(copy),
            stage: Stage::Outline(Vec::new()),
            failed: None,
        };
        Self {
            tree,
            copy: Mutex::new(copy),
            stretch: STRETCH,
        }
    }

    /// Copies the next part.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the tree is damaged; [`StoreError::Io`] for any fault of the copy.
    pub(crate) fn copy_some(&self) -> Result<CopyStep, StoreError> {
        let mut copy = self.lock();
        let (next, bytes) = match &copy.stage {
            Stage::Outline(upto) => (self.outline(&copy, upto)?, 0),
            Stage::Fill(stretch) => self.fill(&copy, stretch.clone())?,
            Stage::Rewrite(stretch, upto) => (self.rewrite(&copy, stretch, upto)?, 0),
            Stage::End => (Stage::End, 0),
        };
        if std::mem::discriminant(&copy.stage) != std::mem::discriminant(&next) {
            // A segment is free again once its replacement is written.
            copy.open()?.flush().map_err(|e| of_copy(&e))?;
        }
        copy.stage = next;
        Ok(match copy.stage {
            Stage::End => CopyStep::Last(bytes),
            _ => CopyStep::More(bytes),
        })
    }

    fn outline(&self, copy: &Copy, upto: &[u8]) -> Result<Stage, StoreError> {
        let part = Part::read(self.tree.as_ref(), upto)?;
        let last = part.last().cloned().filter(|_| !part.ended);
        let keys = part.pairs.into_iter().map(|(key, _)| (key, Vec::new()));
        copy.fill(keys)?;
        Ok(last.map_or_else(|| Stage::Fill(Stretch::default()), Stage::Outline))
    }

    fn fill(&self, copy: &Copy, mut stretch: Stretch) -> Result<(Stage, u64), StoreError> {
        let part = Part::read(self.tree.as_ref(), &stretch.upto)?;
        let bytes = part.bytes;
        stretch.bytes += usize::try_from(bytes).unwrap_or(usize::MAX);
        stretch.ended = part.ended;
        stretch.upto = part.last().cloned().unwrap_or(stretch.upto);
        let pairs = part.pairs.into_iter().map(|(key, value)| {
            stretch.unmarked = (stretch.unmarked + 1) % KEYS_A_PAGE;
            let is_marked = stretch.unmarked == 0;
            (key, if is_marked { MARK.to_vec() } else { value })
        });
        copy.fill(pairs)?;
        let next = if stretch.ended || stretch.bytes >= self.stretch {
            let from = stretch.from.clone();
            Stage::Rewrite(stretch, from)
        } else {
            Stage::Fill(stretch)
        };
        Ok((next, bytes))
    }

    fn rewrite(&self, copy: &Copy, stretch: &Stretch, upto: &[u8]) -> Result<Stage, StoreError> {
        let part = Part::read(self.tree.as_ref(), upto)?;
        let last = part.last().cloned().filter(|last| *last < stretch.upto);
        let pairs = part.pairs.into_iter();
        copy.fill(pairs.take_while(|(key, _)| *key <= stretch.upto))?;
        Ok(match last {
            Some(last) => Stage::Rewrite(stretch.clone(), last),
            None if stretch.ended => Stage::End,
            None => Stage::Fill(Stretch {
                from: stretch.upto.clone(),
                upto: stretch.upto.clone(),
                unmarked: stretch.unmarked,
                ..Stretch::default()
            }),
        })
    }

    /// Makes the copy durable and shuts it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when that fails, or anything failed before.
    pub(crate) fn shut_copy(&self) -> Result<(), StoreError> {
        let mut copy = self.lock();
        copy.open()?.flush().map_err(|e| of_copy(&e))?;
        copy.kv = None;
        Ok(())
    }

    /// Gives the copy back that was shut; no commit may have come between.
    pub(crate) fn open_copy(&self, kv: Arc<dyn Kv>) {
        self.lock().kv = Some(kv);
    }

    /// Compares tree and copy behind a key, some keys at a time; gives the last one compared, none
    /// when all are.
    ///
    /// # Errors
    ///
    /// Those of [`CopiedTree::copy_some`]; [`StoreError::Io`] too when the two differ.
    pub(crate) fn compare_some(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let copy = self.lock();
        let here = Part::read(self.tree.as_ref(), from)?;
        let there = Part::read(copy.open()?.as_ref(), from).map_err(|e| of_copy(&e))?;
        if here.pairs != there.pairs {
            return Err(StoreError::device(
                "compaction",
                "the copy is not what was copied",
            ));
        }
        Ok(here.last().cloned().filter(|_| !here.ended))
    }

    /// The tree itself.
    pub(crate) fn tree(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.tree)
    }

    fn lock(&self) -> MutexGuard<'_, Copy> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a copy, which harms the copy alone.
pub(crate) fn of_copy(error: &StoreError) -> StoreError {
    StoreError::Io {
        during: "compaction",
        trouble: error.trouble(),
        reason: error.to_string(),
    }
}

impl Copy {
    /// The copy, if nothing is wrong with it.
    fn open(&self) -> Result<&Arc<dyn Kv>, StoreError> {
        match (&self.failed, &self.kv) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(kv)) => Ok(kv),
            (None, None) => Err(StoreError::device("compaction", "the copy is shut")),
        }
    }

    /// Writes pairs that the tree has.
    fn fill(&self, pairs: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
        let mut batch = KvBatch::default();
        let pairs = pairs.map(|(key, value)| (key, Some(value)));
        batch.changes.extend(pairs);
        self.open()?.fill(&batch).map_err(|e| of_copy(&e))
    }

    /// True if a key's value was copied, or would have been, were it there already.
    fn has_reached(&self, key: &[u8]) -> bool {
        match &self.stage {
            Stage::Outline(_) => false,
            Stage::Fill(stretch) | Stage::Rewrite(stretch, _) => {
                stretch.ended || key <= stretch.upto.as_slice()
            }
            Stage::End => true,
        }
    }

    /// Applies a commit's batch to the copy. A removal always goes to the copy, because the outline may have
    /// the key.
    fn mirror(&mut self, batch: &KvBatch) {
        let changes = batch.changes.iter();
        let changes = changes.filter(|(key, value)| value.is_none() || self.has_reached(key));
        let part = KvBatch {
            changes: changes
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
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

impl Kv for CopiedTree {
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

    fn let_go(&self, keys: &mut dyn Iterator<Item = &[u8]>) -> Result<(), StoreError> {
        self.tree.let_go(keys)
    }

    fn begin_apply(&self, request: ApplyRequest) -> Result<(), StoreError> {
        let batch = request.batch.clone();
        self.tree.begin_apply(request)?;
        self.lock().mirror(&batch);
        Ok(())
    }

    fn begin_flush(&self) -> Result<(), StoreError> {
        self.tree.begin_flush()
    }

    fn wait_flushed(&self) -> Result<(), StoreError> {
        self.tree.wait_flushed()
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        self.tree.size_bytes()
    }

    fn cache_bytes(&self) -> u64 {
        self.tree.cache_bytes()
    }
}

/// Some neighbouring keys of a tree with their values.
struct Part {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: u64,
    /// True if they are the tree's last.
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
            bytes += key.len() + value.len();
            part.pairs.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        part.bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        tree.let_go(&mut part.pairs.iter().map(|(key, _)| key.as_slice()))?;
        Ok(part)
    }

    fn last(&self) -> Option<&Vec<u8>> {
        self.pairs.last().map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::tree::memory::LogKv;
    use crate::store::tree::sled::{DbOptions, SledKv};
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
            stretch in 1_usize..2_000,
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
            let mut copied = CopiedTree::new(Arc::clone(&tree), Arc::clone(&copy));
            copied.stretch = stretch;
            let mut commits = commits.into_iter();
            loop {
                if let Some(commit) = commits.next() {
                    copied.apply(&batch(commit.into_iter().collect())).unwrap();
                }
                if matches!(copied.copy_some().unwrap(), CopyStep::Last(_)) {
                    break;
                }
            }
            for commit in commits {
                copied.apply(&batch(commit.into_iter().collect())).unwrap();
            }
            prop_assert_eq!(all(tree.as_ref()), all(copy.as_ref()));
            let mut from = Vec::new();
            while let Some(next) = copied.compare_some(&from).unwrap() {
                from = next;
            }
            let mut other = KvBatch::default();
            other.put(vec![0, 0], b"other".to_vec());
            copy.apply(&other).unwrap();
            prop_assert!(copied.compare_some(&[]).is_err());
        }
    }

    #[test]
    fn a_copy_takes_little_more_than_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            SledKv::open(&DbOptions {
                folder: folder.path().join(name),
                cache_bytes: 4 << 20,
                open_timeout: Duration::from_secs(60),
            })
            .unwrap()
        };
        let tree: Arc<dyn Kv> = Arc::new(LogKv::unlogged());
        for from in (0..4_000_u32).step_by(100) {
            let mut batch = KvBatch::default();
            for n in from..from + 100 {
                batch.put(n.to_be_bytes().to_vec(), vec![n as u8; 5_000]);
            }
            tree.apply(&batch).unwrap();
        }
        let copy: Arc<dyn Kv> = Arc::new(open("copy"));
        let copied = CopiedTree::new(Arc::clone(&tree), Arc::clone(&copy));
        let mut live = 0;
        loop {
            match copied.copy_some().unwrap() {
                CopyStep::More(bytes) => live += bytes,
                CopyStep::Last(bytes) => break live += bytes,
            }
        }
        copy.flush().unwrap();
        assert_eq!(live, 4_000 * 5_004);
        let file = copy.size_bytes().unwrap();
        assert!(file < live / 10 * 11 + 10 * 1024 * 1024, "{file} of {live}");
        assert_eq!(all(tree.as_ref()), all(copy.as_ref()));
    }
}
