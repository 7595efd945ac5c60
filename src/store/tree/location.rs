//! The places of a store: its folder, and the trees that may be in it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::tree::Kv;
use crate::store::tree::copying::of_copy;
use crate::store::tree::memory::{LOG_FILE, LogKv};
use crate::store::tree::sled::{DbOptions, SledKv, TREE_FOLDER, sync_tree};

/// The places of a store's files.
#[derive(Debug)]
pub(crate) struct Location {
    /// The folder, for everything but the tree.
    pub(crate) disk: Arc<dyn Disk>,
    /// The place of the tree.
    pub(crate) tree: TreeLocation,
}

/// The place of a tree.
#[derive(Clone, Debug)]
pub(crate) enum TreeLocation {
    /// In a folder of its own, inside the given one.
    Folder {
        /// The store's folder.
        folder: PathBuf,
        /// The tree's.
        options: DbOptions,
    },
    /// In memory, logged to the location's disk.
    Memory,
}

/// The cache of a copy while it is made, in bytes: it is written once, and read once.
const COPY_CACHE: u64 = 4 * 1024 * 1024;

/// The trees that a folder may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeName {
    /// The tree in use.
    Tree,
    /// The tree that is to replace the tree in use.
    Copy,
    /// The tree that was replaced.
    Old,
}

impl Location {
    /// The name of one of the trees in the store's folder.
    pub(crate) fn tree_name(&self, which: TreeName) -> String {
        let name = match &self.tree {
            TreeLocation::Folder { .. } => TREE_FOLDER,
            TreeLocation::Memory => LOG_FILE,
        };
        match which {
            TreeName::Tree => name.to_owned(),
            TreeName::Copy => format!("{name}.new"),
            TreeName::Old => format!("{name}.old"),
        }
    }

    /// Opens one of the trees, or makes it.
    pub(crate) fn open_kv(&self, which: TreeName) -> Result<Arc<dyn Kv>, StoreError> {
        Ok(match &self.tree {
            TreeLocation::Folder { folder, options } => Arc::new(SledKv::open(&DbOptions {
                folder: folder.join(self.tree_name(which)),
                cache_bytes: match which {
                    TreeName::Tree | TreeName::Old => options.cache_bytes,
                    TreeName::Copy => options.cache_bytes.min(COPY_CACHE),
                },
                ..options.clone()
            })?),
            TreeLocation::Memory => {
                let name = self.tree_name(which);
                Arc::new(LogKv::open(Arc::clone(&self.disk), &name)?)
            }
        })
    }

    pub(crate) fn open_copy(&self) -> Result<Arc<dyn Kv>, StoreError> {
        self.open_kv(TreeName::Copy)
            .map_err(|error| of_copy(&error))
    }

    pub(crate) fn sync_copy(&self) -> Result<(), StoreError> {
        let synced = match &self.tree {
            TreeLocation::Folder { folder, .. } => {
                sync_tree(&folder.join(self.tree_name(TreeName::Copy)))
            }
            TreeLocation::Memory => self.disk.sync_folder(),
        };
        synced.map_err(|error| StoreError::io("compaction", &error))
    }

    pub(crate) fn remove_tree(&self, which: TreeName) -> Result<(), StoreError> {
        self.disk
            .remove(&self.tree_name(which))
            .map_err(|error| StoreError::io("compaction", &error))
    }

    /// The two renames, each durable before the next step.
    pub(crate) fn swap(&self) -> Result<(), StoreError> {
        let [tree, copy, old] =
            [TreeName::Tree, TreeName::Copy, TreeName::Old].map(|w| self.tree_name(w));
        let renamed = self
            .disk
            .rename(&tree, &old)
            .and_then(|()| self.disk.sync_folder())
            .and_then(|()| self.disk.rename(&copy, &tree))
            .and_then(|()| self.disk.sync_folder());
        renamed.map_err(|error| StoreError::io("compaction", &error))
    }

    /// Finishes or undoes a compaction that a kill interrupted, before the tree is opened.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the tree cannot get its name back.
    pub(crate) fn finish_swap(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("opening the store", &error);
        let [tree, copy, old] =
            [TreeName::Tree, TreeName::Copy, TreeName::Old].map(|w| self.tree_name(w));
        let names = self.disk.list().map_err(failed)?;
        let is_there = names.contains(&tree);
        if !is_there && names.contains(&old) {
            self.disk.rename(&old, &tree).map_err(failed)?;
            self.disk.sync_folder().map_err(failed)?;
        }
        if (is_there || names.contains(&old)) && names.contains(&copy) {
            // The copy was not finished, and does no harm if it can't be removed.
            let _ = self.disk.remove(&copy);
        }
        Ok(())
    }

    /// Removes the tree whose place was taken, once the new one has opened.
    pub(crate) fn remove_old(&self) {
        let old = self.tree_name(TreeName::Old);
        if matches!(self.disk.list(), Ok(names) if names.contains(&old)) {
            // The next open tries again.
            let _ = self.disk.remove(&old);
        }
    }
}
