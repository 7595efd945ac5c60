//! The one writer of a store: commits batches, atomically and in order.

use std::sync::Arc;

use crate::model::{CommitSeq, StoreHealth};

use super::batch::Batch;
use super::change::changes;
use super::encode::{activities, encode_batch, set_activity};
use super::shared::Shared;
use super::{Snapshot, Store, StoreChange, StoreError};

/// How soon a commit must be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitClass {
    /// What the app was promised: durable before the call returns.
    Intent,
    /// What the service has too: durable soon, at the latest after [`Writer::sync`]. Call that
    /// before anything that depends on it is acknowledged to the service.
    Cache,
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Its number; of an empty batch, the number of the commit before.
    pub seq: CommitSeq,
    /// What observers are to be told.
    pub changes: Vec<StoreChange>,
}

/// The one writer of a store. It is not `Clone`, and dropping it does not close the store: the
/// files are let go when the last [`Store`] is gone too.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    /// Whether something applied is not durable yet.
    unsynced: bool,
}

impl Writer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            unsynced: false,
        }
    }

    /// Commits a batch: all of it or nothing. Of class [`CommitClass::Intent`] it is durable when
    /// the call returns. The changes are what observers are to be told.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure, until [`Writer::probe`] succeeds;
    /// [`StoreError::Io`] when the disk refuses: nothing was stored, and the store is read-only
    /// from then on; [`StoreError::TooLarge`]; [`StoreError::InvalidArgument`] for a batch that was
    /// made against another commit than the last.
    pub fn commit(&mut self, mut batch: Batch, class: CommitClass) -> Result<Commit, StoreError> {
        if let StoreHealth::ReadOnly { reason } = self.shared.health() {
            return Err(StoreError::ReadOnly { reason });
        }
        let last = CommitSeq(self.shared.read().meta.seq);
        if batch.base != last {
            return Err(StoreError::InvalidArgument {
                reason: format!(
                    "a batch made against {:?} cannot follow {last:?}",
                    batch.base
                ),
            });
        }
        if batch.is_empty() {
            return Ok(Commit {
                seq: last,
                changes: Vec::new(),
            });
        }
        self.prepare(&mut batch)?;
        let (meta, totals) = {
            let tables = self.shared.read();
            (tables.meta, tables.totals)
        };
        let encoded = encode_batch(&batch, meta, totals, &self.shared.codec)?;
        let applied = self.apply(&batch, &encoded, class);
        if let Err(error) = applied {
            self.shared.set_health(StoreHealth::ReadOnly {
                reason: error.to_string(),
            });
            return Err(error);
        }
        let changes = changes(&batch, &self.snapshot(None))?;
        Ok(Commit {
            seq: CommitSeq(encoded.meta.seq),
            changes,
        })
    }

    /// Fills in what the records need beside the batch itself.
    fn prepare(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let snapshot = self.snapshot(Some(batch));
        let at = activities(&snapshot, batch);
        let mut names = Vec::new();
        for entry in batch
            .outbox
            .values()
            .filter_map(|change| change.after.as_ref())
        {
            let row = snapshot.conversation(entry.conversation)?;
            names.extend(row.map(|row| (entry.conversation, row.id)));
        }
        drop(snapshot);
        set_activity(batch, &at);
        batch.entry_ids.extend(names);
        Ok(())
    }

    fn apply(
        &mut self,
        batch: &Batch,
        encoded: &super::encode::Encoded,
        class: CommitClass,
    ) -> Result<(), StoreError> {
        let kv = {
            let mut tables = self.shared.write();
            tables.kv.apply(&encoded.changes)?;
            tables.meta = encoded.meta;
            tables.totals = encoded.totals;
            if let Some(session) = &batch.session {
                tables.session = session.clone();
            }
            for (id, change) in &batch.outbox {
                match &change.after {
                    Some(entry) => tables.outbox.put(Arc::clone(entry)),
                    None => tables.outbox.remove(*id),
                }
            }
            Arc::clone(&tables.kv)
        };
        self.unsynced = true;
        // On Linux, writes that are not synced can destroy ones that were: sync them all.
        if class == CommitClass::Intent || cfg!(target_os = "linux") {
            kv.flush()?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Makes every commit so far durable. Cheap when they are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the disk refuses; the store is read-only from then on.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if !self.unsynced {
            return Ok(());
        }
        let kv = Arc::clone(&self.shared.read().kv);
        if let Err(error) = kv.flush() {
            self.shared.set_health(StoreHealth::ReadOnly {
                reason: error.to_string(),
            });
            return Err(error);
        }
        self.unsynced = false;
        Ok(())
    }

    /// Tries whether writing works again after a failure. When it does, the store takes writes, and
    /// what readers see is what is on disk: whoever keeps state in memory builds it anew.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it does not work yet.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        if self.shared.health() == StoreHealth::Good {
            return Ok(());
        }
        let kv = Arc::clone(&self.shared.read().kv);
        kv.flush()?;
        self.unsynced = false;
        self.shared.set_health(StoreHealth::Good);
        Ok(())
    }

    /// Whether there are commits that are not durable yet.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.unsynced
    }

    /// The store that this writer writes.
    #[must_use]
    pub fn store(&self) -> Store {
        Store {
            shared: Arc::clone(&self.shared),
        }
    }

    fn snapshot<'a>(&'a self, batch: Option<&'a Batch>) -> Snapshot<'a> {
        Snapshot {
            tables: self.shared.read(),
            shared: &self.shared,
            batch,
        }
    }
}
