//! The one writer of a store.

use std::sync::Arc;

use crate::model::{ConversationId, StoreHealth, Timestamp};
use crate::store::disk::identity::Identity;
use crate::store::error::StoreError;
use crate::store::format::cipher::StoreKey;
use crate::store::journal::Journal;
use crate::store::maintain::{Maintenance, MaintenanceState, Tended};
use crate::store::read::store::Store;
use crate::store::recovery::identify::confirm_identity;
use crate::store::recovery::recover::Check;
use crate::store::recovery::report::OpenReport;
use crate::store::state::Shared;
use crate::store::tree::location::{Location, TreeLocation};
use crate::store::tree::memory::memory_tree;
use crate::store::types::batch::Batch;
use crate::store::types::batch::CommitClass;
use crate::store::write::commit::{Commit, Committer};

/// The one writer of a store. It is not `Clone`. Dropping it does not close the store: the files are closed
/// when the last [`Store`] is dropped too.
#[derive(Debug)]
pub struct Writer {
    /// The knowledge of the store's size, and the work on it.
    maintenance: MaintenanceState,
    location: Location,
    identity: Identity,
    /// True if the work of closing is done.
    is_closed: bool,
    // Dropped last: it may hold the last right to the folder.
    committer: Committer,
}

impl Writer {
    pub(in crate::store) fn new(
        shared: Arc<Shared>,
        location: Location,
        identity: Identity,
        journal: Option<Journal>,
    ) -> Self {
        Self {
            maintenance: MaintenanceState::default(),
            location,
            identity,
            is_closed: false,
            committer: Committer::new(shared, journal),
        }
    }

    /// Commits a batch: all of it or nothing. A batch of class [`CommitClass::Intent`] is durable when the call
    /// returns. The answer is the changes for observers.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure, until [`Writer::probe`] succeeds. [`StoreError::Io`]
    /// when the disk refuses: nothing was stored, readers see nothing of the batch, and the store is read-only
    /// from then on. (If the power is cut before the disk works again, a failed intent may still turn up.)
    /// [`StoreError::Damaged`] when the tree is found damaged: the store is read-only then too.
    /// [`StoreError::TooLarge`]; [`StoreError::InvalidArgument`] for a batch that was made against another
    /// commit than the last.
    pub fn commit(&mut self, batch: Batch, class: CommitClass) -> Result<Commit, StoreError> {
        self.committer.commit(batch, class)
    }

    /// Closes the store: makes every commit durable in the tree, and opens a tree anew that much was
    /// written into, so that the next opening is quick. It blocks on the disk. Dropping a writer does the
    /// same and only logs a failure.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::sync`]. The store is closed all the same; intents are in the journal, and the
    /// next opening brings them into the tree.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.is_closed = true;
        let synced = self.committer.sync_at_last();
        let reopened = self.maintenance().reopen_at_last();
        synced.and(reopened)
    }

    /// Makes every commit so far durable in the tree. Cheap when they are. Call it soon after a
    /// commit of class cache, before anything that depends on it is acknowledged to the service,
    /// and before the app is paused.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure; [`StoreError::Io`] when the disk refuses:
    /// the store is read-only from then on.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.committer.sync()
    }

    /// True if there are commits that [`Writer::sync`] would write.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.committer.is_dirty()
    }

    /// Tries whether writing works again after a failure, by opening the files anew; readers wait meanwhile.
    /// When writing works, the store takes writes, and readers see the content of the disk: a caller that
    /// keeps state in memory builds it anew. The report holds the findings.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it does not work yet; the store can be read as before.
    pub fn probe(&mut self, now: Timestamp) -> Result<OpenReport, StoreError> {
        let mut report = OpenReport::default();
        if self.committer.shared.health() == StoreHealth::Good {
            return Ok(report);
        }
        self.location.try_writing()?;
        if let TreeLocation::Folder { folder, .. } = &self.location.tree {
            // A store that was opened without the lock gets it before it takes writes.
            self.committer.shared.complete_right(folder)?;
            confirm_identity(self.location.disk.as_ref(), &mut self.identity)?;
        }
        self.committer.close_journal()?;
        let shared = Arc::clone(&self.committer.shared);
        let mut tables = shared.write();
        // The old tree must be closed before it can be opened again.
        self.maintenance.forget();
        let meta = tables.meta;
        tables.kv = memory_tree();
        let codec = &shared.codec;
        let opened = self.location.open(codec, Check::Full, now, &mut report);
        let (mut opened, journal) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.location.show_readable(&mut tables, codec);
                return Err(error);
            }
        };
        // Numbers that were given out are not given out again.
        opened.meta.next_entry = opened.meta.next_entry.max(meta.next_entry);
        opened.meta.next_number = opened.meta.next_number.max(meta.next_number);
        *tables = opened;
        drop(tables);
        self.committer.go_on_with(journal?)?;
        shared.set_health(StoreHealth::Good);
        Ok(report)
    }

    /// Changes the app's key to an encrypted store: the data stays as it is, its own key is
    /// wrapped anew. Durable on return.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongKey`] when `old` is not the key, or the store is not encrypted;
    /// [`StoreError::Io`] when it cannot be written: one of the two keys opens the store then.
    pub fn change_key(&mut self, old: &StoreKey, new: &StoreKey) -> Result<(), StoreError> {
        let mut identity = self.identity.rewrapped(old, new)?;
        identity.write(self.location.disk.as_ref())?;
        self.identity = identity;
        Ok(())
    }

    /// True if the store is larger than it should be, so that [`Writer::tend`] has something to do. Cheap:
    /// the check asks for the size of a file.
    #[must_use]
    pub fn wants_tending(&self) -> bool {
        self.maintenance.is_wanted(&self.committer)
    }

    /// True if the store is over its budget, and [`Writer::tend`] can help: it should not wait then. Cheap,
    /// as [`Writer::wants_tending`].
    #[must_use]
    pub fn is_over_budget(&self) -> bool {
        self.maintenance.is_over_budget(&self.committer)
    }

    /// The most bytes that the store should take on disk; none for no limit.
    pub fn set_disk_budget(&mut self, bytes: Option<u64>) {
        self.committer.shared.set_budget(bytes);
    }

    /// Makes the next calls of [`Writer::tend`] compact the store, at any size.
    pub fn want_compaction(&mut self) {
        self.maintenance.want_compaction();
    }

    /// True if a compaction that was asked for is not done yet.
    #[must_use]
    pub const fn wants_compaction(&self) -> bool {
        self.maintenance.wants_compaction()
    }

    /// Does a little about the store's size. Nothing of a conversation in view is evicted. An eviction is a
    /// commit of class cache with a number of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure; [`StoreError::Io`] when the disk refuses.
    /// If the store takes no writes then, its health says so; else nothing but a compaction failed,
    /// for which there may be no room: it is tried again when the store has grown.
    pub fn tend(&mut self, in_view: &[ConversationId]) -> Result<Tended, StoreError> {
        self.maintenance().step(in_view)
    }

    /// Compacts the store now, and blocks until that is done.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::tend`].
    pub fn compact(&mut self) -> Result<(), StoreError> {
        self.want_compaction();
        while self.wants_compaction() {
            self.tend(&[])?;
        }
        Ok(())
    }

    /// Seals quiet conversations now, all but so many of the list's first.
    #[cfg(test)]
    pub(in crate::store) fn seal_idle_beside(&mut self, lively: usize) -> Result<(), StoreError> {
        self.maintenance().seal_idle_beside(lively)
    }

    /// The commit that a power cut goes back to at most, but for intents behind it.
    #[cfg(test)]
    pub(in crate::store) fn durable_seq(&self) -> u64 {
        self.committer.durable_seq()
    }

    /// The amount that was committed since the tree was opened.
    #[cfg(test)]
    pub(in crate::store) fn since_open(
        &mut self,
    ) -> &mut crate::store::write::commit::WrittenSinceOpen {
        &mut self.committer.since_open
    }

    /// The store that this writer writes.
    #[must_use]
    pub fn store(&self) -> Store {
        self.committer.store()
    }

    fn maintenance(&mut self) -> Maintenance<'_> {
        Maintenance {
            state: &mut self.maintenance,
            committer: &mut self.committer,
            location: &self.location,
        }
    }
}

impl Drop for Writer {
    /// The last resort for a writer that was not closed.
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        if let Err(error) = self.finish() {
            log::warn!("a store was not closed cleanly: {error}");
        }
    }
}
