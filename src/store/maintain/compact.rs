//! Compaction copies the tree into a new one and puts the copy in place of the tree.
//!
//! The embedded database never gives space back; a copy takes only the live bytes. The copy is made in small
//! parts while commits go on (`tree/copying.rs`), made durable, opened anew from the disk and compared with
//! the tree. Then the copy takes the tree's place:
//!
//! ```text
//!   tree   copy            copying; after a kill the next opening removes the copy
//!   old    copy            the tree was renamed; after a kill the next opening renames it back
//!   old    tree            the copy was renamed; after a kill the next opening removes the old tree
//!          tree
//! ```
//!
//! Readers wait only for the last steps, some ten milliseconds.

use std::sync::Arc;

use crate::store::error::StoreError;
use crate::store::state::Tables;
use crate::store::tree::Kv;
use crate::store::tree::copying::{CopiedTree, CopyStep};
use crate::store::tree::location::{Location, TreeName};
use crate::store::tree::memory::memory_tree;

/// A compaction under way.
#[derive(Debug)]
pub(crate) struct Compaction {
    copied: Arc<CopiedTree>,
    phase: Phase,
    /// The bytes of keys and values that were copied.
    live: u64,
}

#[derive(Debug)]
enum Phase {
    Copying,
    /// The copy is to be opened anew, from the disk.
    Copied,
    /// Compared up to this key.
    Comparing(Vec<u8>),
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompactionStep {
    /// Another step follows.
    More,
    /// The copy can take the tree's place.
    Ready,
}

/// The outcome of a change of places.
#[derive(Debug)]
pub(crate) enum Swapped {
    /// The copy is the tree.
    Done,
    /// The tree is unchanged, for this reason.
    Undone(StoreError),
}

impl Compaction {
    /// Begins with an empty copy; from the next commit on, commits must go to [`Compaction::both`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when no new tree can be made.
    pub(crate) fn begin(location: &Location, tree: Arc<dyn Kv>) -> Result<Self, StoreError> {
        location.remove_tree(TreeName::Copy)?;
        let copy = location.open_copy()?;
        let copied = Arc::new(CopiedTree::new(tree, copy));
        Ok(Self {
            copied,
            phase: Phase::Copying,
            live: 0,
        })
    }

    /// The tree and its copy as one.
    pub(crate) fn both(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.copied) as Arc<dyn Kv>
    }

    /// Does a part of the work: some milliseconds, and once some ten, when the copy is opened anew.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the tree is damaged. [`StoreError::Io`] for any fault of the copy: then
    /// [`Compaction::abandon`] it.
    pub(crate) fn step(&mut self, location: &Location) -> Result<CompactionStep, StoreError> {
        match &self.phase {
            Phase::Copying => match self.copied.copy_some()? {
                CopyStep::More(bytes) => self.live += bytes,
                CopyStep::Last(bytes) => {
                    self.live += bytes;
                    self.phase = Phase::Copied;
                }
            },
            Phase::Copied => {
                self.copied.shut_copy()?;
                self.copied.open_copy(location.open_copy()?);
                self.phase = Phase::Comparing(Vec::new());
            }
            Phase::Comparing(from) => match self.copied.compare_some(from)? {
                Some(next) => self.phase = Phase::Comparing(next),
                None => return Ok(CompactionStep::Ready),
            },
        }
        Ok(CompactionStep::More)
    }

    /// The bytes of keys and values that were copied.
    pub(crate) const fn live(&self) -> u64 {
        self.live
    }

    /// Makes the copy durable, so that it can take the tree's place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when that fails.
    pub(crate) fn make_durable(&self, location: &Location) -> Result<(), StoreError> {
        self.copied.shut_copy()?;
        location.sync_copy()
    }

    /// Puts the copy in the tree's place, or the tree back where that fails. Readers wait meanwhile:
    /// the caller holds the lock.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when no tree is open any more: there is nothing
    /// to read then.
    pub(crate) fn swap(
        self,
        location: &Location,
        tables: &mut Tables,
    ) -> Result<Swapped, StoreError> {
        // The last handles of the old tree: it is closed before its folder is renamed.
        tables.kv = memory_tree();
        drop(self.copied);
        let swapped = location.swap();
        if swapped.is_err() {
            location.finish_swap()?;
        }
        tables.kv = location.open_kv(TreeName::Tree)?;
        Ok(match swapped {
            Ok(()) => Swapped::Done,
            Err(error) => Swapped::Undone(error),
        })
    }

    /// Gives it up: the tree goes on alone, and the copy is removed, now or by the next open.
    pub(crate) fn abandon(self, location: &Location, tables: &mut Tables) {
        tables.kv = self.copied.tree();
        drop(self.copied);
        let _ = location.remove_tree(TreeName::Copy);
    }
}
