//! Compaction: the tree is copied into a new one, which takes its place.
//!
//! The embedded database never gives space back; a copy takes what is alive. It is made in small
//! parts while commits go on (`twin.rs`), made durable, opened anew from the disk and compared with
//! the tree, and then changes places with it:
//!
//! ```text
//!   tree   copy            copying; a kill leaves a copy that the next open removes
//!   old    copy            the tree was renamed; a kill: the next open renames it back
//!   old    tree            the copy was renamed; a kill: the next open removes the old one
//!          tree
//! ```
//!
//! Readers wait while the two change places, some ten milliseconds, and never else.

use std::sync::Arc;

use super::StoreError;
use super::db::{DbOptions, SledKv, TREE_FOLDER};
use super::kv::{Kv, LOG_FILE, LogKv};
use super::open::memory_tree;
use super::recover::{Ground, TreeSource};
use super::shared::Tables;
use super::twin::{Stride, Twin, of_copy};

/// The cache of a copy while it is made, in bytes: it is written once, and read once.
const COPY_CACHE: u64 = 4 * 1024 * 1024;

/// Which of the trees that a folder may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that is used.
    Tree,
    /// The one that is to take its place.
    Copy,
    /// The one whose place was taken.
    Old,
}

/// A compaction under way.
#[derive(Debug)]
pub(super) struct Compaction {
    twin: Arc<Twin>,
    phase: Phase,
    /// The bytes of keys and values that were copied.
    live: u64,
}

#[derive(Debug)]
enum Phase {
    Copying,
    /// It is to be opened anew, from what is on disk.
    Copied,
    /// Compared up to this key.
    Comparing(Vec<u8>),
}

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Another one.
    More,
    /// The copy can take the tree's place.
    Ready,
}

/// What became of a change of places.
#[derive(Debug)]
pub(super) enum Swapped {
    /// The copy is the tree.
    Done,
    /// The tree is what it was, for this reason.
    Undone(StoreError),
}

impl Compaction {
    /// Begins with an empty copy; from the next commit on, commits must go to [`Compaction::both`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when no new tree can be made.
    pub(super) fn begin(ground: &Ground, tree: Arc<dyn Kv>) -> Result<Self, StoreError> {
        ground.remove_tree(Which::Copy)?;
        let copy = ground.open_copy()?;
        let twin = Arc::new(Twin::new(tree, copy));
        Ok(Self {
            twin,
            phase: Phase::Copying,
            live: 0,
        })
    }

    /// The tree and its copy as one.
    pub(super) fn both(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.twin) as Arc<dyn Kv>
    }

    /// Does a little: some milliseconds, and once some ten, when the copy is opened anew.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the tree is; [`StoreError::Io`] for whatever is wrong with the
    /// copy: then [`Compaction::abandon`] it.
    pub(super) fn step(&mut self, ground: &Ground) -> Result<Progress, StoreError> {
        match &self.phase {
            Phase::Copying => match self.twin.copy_some()? {
                Stride::More(bytes) => self.live = self.live.saturating_add(bytes),
                Stride::Last(bytes) => {
                    self.live = self.live.saturating_add(bytes);
                    self.phase = Phase::Copied;
                }
            },
            Phase::Copied => {
                self.twin.shut_copy()?;
                self.twin.open_copy(ground.open_copy()?);
                self.phase = Phase::Comparing(Vec::new());
            }
            Phase::Comparing(from) => match self.twin.compare_some(from)? {
                Some(next) => self.phase = Phase::Comparing(next),
                None => return Ok(Progress::Ready),
            },
        }
        Ok(Progress::More)
    }

    /// The bytes of keys and values that were copied.
    pub(super) const fn live(&self) -> u64 {
        self.live
    }

    /// Makes the copy durable, so that it can take the tree's place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when that fails.
    pub(super) fn settle(&self, ground: &Ground) -> Result<(), StoreError> {
        self.twin.shut_copy()?;
        ground.sync_copy()
    }

    /// Puts the copy in the tree's place, or the tree back where that fails. Readers wait meanwhile:
    /// the caller holds the lock.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when no tree is open any more: there is nothing
    /// to read then.
    pub(super) fn swap(self, ground: &Ground, tables: &mut Tables) -> Result<Swapped, StoreError> {
        // The last handles of the old tree: it is closed before its folder is renamed.
        tables.kv = memory_tree();
        drop(self.twin);
        let swapped = ground.swap();
        if swapped.is_err() {
            ground.settle_swap()?;
        }
        tables.kv = ground.open_kv(Which::Tree)?;
        Ok(match swapped {
            Ok(()) => Swapped::Done,
            Err(error) => Swapped::Undone(error),
        })
    }

    /// Gives it up: the tree goes on alone, and the copy is removed, now or by the next open.
    pub(super) fn abandon(self, ground: &Ground, tables: &mut Tables) {
        tables.kv = self.twin.tree();
        drop(self.twin);
        let _ = ground.remove_tree(Which::Copy);
    }
}

impl Ground {
    /// The name of one of the trees in the store's folder.
    pub(super) fn tree_name(&self, which: Which) -> String {
        let name = match &self.tree {
            TreeSource::Folder { .. } => TREE_FOLDER,
            TreeSource::Memory => LOG_FILE,
        };
        match which {
            Which::Tree => name.to_owned(),
            Which::Copy => format!("{name}.new"),
            Which::Old => format!("{name}.old"),
        }
    }

    /// Opens one of the trees, or makes it.
    pub(super) fn open_kv(&self, which: Which) -> Result<Arc<dyn Kv>, StoreError> {
        Ok(match &self.tree {
            TreeSource::Folder { folder, options } => Arc::new(SledKv::open(&DbOptions {
                folder: folder.join(self.tree_name(which)),
                cache_bytes: match which {
                    Which::Tree | Which::Old => options.cache_bytes,
                    Which::Copy => options.cache_bytes.min(COPY_CACHE),
                },
                ..options.clone()
            })?),
            TreeSource::Memory => {
                let name = self.tree_name(which);
                Arc::new(LogKv::open(Arc::clone(&self.disk), &name)?)
            }
        })
    }

    fn open_copy(&self) -> Result<Arc<dyn Kv>, StoreError> {
        self.open_kv(Which::Copy).map_err(|error| of_copy(&error))
    }

    fn sync_copy(&self) -> Result<(), StoreError> {
        let synced = match &self.tree {
            TreeSource::Folder { folder, .. } => {
                super::db::sync_tree(&folder.join(self.tree_name(Which::Copy)))
            }
            TreeSource::Memory => self.disk.sync_folder(),
        };
        synced.map_err(|error| StoreError::io("compaction", &error))
    }

    fn remove_tree(&self, which: Which) -> Result<(), StoreError> {
        self.disk
            .remove(&self.tree_name(which))
            .map_err(|error| StoreError::io("compaction", &error))
    }

    /// The two renames, each durable before what follows.
    fn swap(&self) -> Result<(), StoreError> {
        let [tree, copy, old] = [Which::Tree, Which::Copy, Which::Old].map(|w| self.tree_name(w));
        let renamed = self
            .disk
            .rename(&tree, &old)
            .and_then(|()| self.disk.sync_folder())
            .and_then(|()| self.disk.rename(&copy, &tree))
            .and_then(|()| self.disk.sync_folder());
        renamed.map_err(|error| StoreError::io("compaction", &error))
    }

    /// Finishes or undoes what a kill left of a compaction, before the tree is opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the tree's name cannot be given back to it.
    pub(super) fn settle_swap(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("opening the store", &error);
        let [tree, copy, old] = [Which::Tree, Which::Copy, Which::Old].map(|w| self.tree_name(w));
        let names = self.disk.list().map_err(failed)?;
        let is_there = names.contains(&tree);
        if !is_there && names.contains(&old) {
            self.disk.rename(&old, &tree).map_err(failed)?;
            self.disk.sync_folder().map_err(failed)?;
        }
        if (is_there || names.contains(&old)) && names.contains(&copy) {
            // It was not finished, and is in nobody's way if it can't be removed.
            let _ = self.disk.remove(&copy);
        }
        Ok(())
    }

    /// Removes the tree whose place was taken, once the new one has opened.
    pub(super) fn remove_old(&self) {
        let old = self.tree_name(Which::Old);
        if matches!(self.disk.list(), Ok(names) if names.contains(&old)) {
            // The next open tries again.
            let _ = self.disk.remove(&old);
        }
    }
}
