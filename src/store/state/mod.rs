//! The state that the readers and the writer of one store share.

pub(super) mod cache;
pub(super) mod list;
pub(super) mod list_records;
pub(super) mod outbox;
pub(super) mod pack_cache;
pub(super) mod read_ahead;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::model::{ClientId, CommitSeq, StoreHealth};
use crate::store::disk::Disk;
use crate::store::disk::lock::{FolderRight, LockRefusal};
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::record::{MetaRecord, Print, SCHEMA};
use crate::store::state::cache::Cache;
use crate::store::state::list::List;
use crate::store::state::outbox::Outbox;
use crate::store::state::pack_cache::PackCache;
use crate::store::tree::memory::memory_tree;
use crate::store::tree::pending::PendingChanges;
use crate::store::tree::{CACHE_BYTES, Direction, KeyRange, Kv, KvBatch, Visit};
use crate::store::types::conversation::{ConversationRow, SessionRow, UnreadTotals};
use crate::store::types::position::ConversationNumber;

/// How much of conversations' rows is kept in memory, in parts of the tree's cache: 3 MiB beside
/// 16 MiB, those of a thousand and more that messages come to.
pub(crate) const ROW_SHARE: u64 = 6;

/// The tables that readers see, as the last commit left them.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) kv: Arc<dyn Kv>,
    /// The changes that lie over the tree. Reads go through [`Tables::value`] and [`Tables::scan`].
    pub(crate) pending: PendingChanges,
    pub(crate) meta: MetaRecord,
    pub(crate) outbox: Outbox,
    pub(crate) totals: UnreadTotals,
    pub(crate) session: SessionRow,
    /// The order of the conversations.
    pub(crate) list: List,
    /// Conversations' rows as they were read or written last.
    pub(crate) rows: Cache<ConversationNumber, Arc<ConversationRow>>,
    /// Packs as they were read or written last.
    pub(crate) packs: PackCache,
}

impl Tables {
    /// The number of the last commit.
    pub(crate) const fn seq(&self) -> CommitSeq {
        CommitSeq(self.meta.seq)
    }

    /// The value of a key.
    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.pending.value(self.kv.as_ref(), key)
    }

    /// Visits the keys of a range, in the given direction, until the visitor breaks off.
    pub(crate) fn scan(
        &self,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        self.pending.scan(self.kv.as_ref(), range, direction, visit)
    }

    /// Lays the list's pages over the tree, if there is much that they lack.
    pub(crate) fn put_list_pages(&mut self, codec: &Codec) -> Result<(), StoreError> {
        if self.list.unwritten.is_much() {
            let mut pages = KvBatch::default();
            self.list.put_pages(&mut pages, codec, self.meta.seq)?;
            self.pending.add(pages);
            self.list.wrote_pages();
        }
        Ok(())
    }

    /// Applies a batch, and before it everything that the tree has not been told yet.
    pub(crate) fn apply(&mut self, batch: &KvBatch) -> Result<(), StoreError> {
        self.pending.apply_with(batch, self.kv.as_ref())
    }
}

/// Everything that outlives a single call.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) owner: ClientId,
    pub(crate) codec: Codec,
    tables: RwLock<Tables>,
    health: Mutex<StoreHealth>,
    damaged: AtomicU64,
    /// The store's folder, to measure its size.
    pub(crate) disk: Arc<dyn Disk>,
    /// The most bytes that the store should take on disk; all ones for no limit.
    budget: AtomicU64,
    /// Dropped last: fields drop in order, and the files must be closed before the folder is free.
    right: Mutex<FolderRight>,
}

impl Shared {
    pub(crate) fn new(
        owner: ClientId,
        codec: Codec,
        tables: Tables,
        health: StoreHealth,
        disk: Arc<dyn Disk>,
        right: FolderRight,
    ) -> Self {
        Self {
            owner,
            codec,
            tables: RwLock::new(tables),
            health: Mutex::new(health),
            damaged: AtomicU64::new(0),
            disk,
            budget: AtomicU64::new(u64::MAX),
            right: Mutex::new(right),
        }
    }

    /// The tables to read. A writer that panicked left them whole: it changes them by moves only.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables to change; waits until every snapshot is gone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that nobody else can open the folder.
    pub(crate) fn complete_right(&self, folder: &Path) -> Result<(), StoreError> {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.complete(folder).map_err(|refusal| match refusal {
            LockRefusal::Held(holder) => StoreError::InUse { holder },
            LockRefusal::Io(error) => StoreError::io("locking the folder", &error),
        })
    }

    pub(crate) fn health(&self) -> StoreHealth {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_health(&self, health: StoreHealth) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// Notes a read that found the tree damaged: nothing more is written to it until a probe has
    /// mended it.
    pub(crate) fn noting<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Damaged { .. }) = &read {
            self.set_health(error.health());
        }
        read
    }

    /// The most bytes that the store should take on disk.
    pub(crate) fn budget(&self) -> Option<u64> {
        Some(self.budget.load(Ordering::Relaxed)).filter(|bytes| *bytes < u64::MAX)
    }

    pub(crate) fn set_budget(&self, bytes: Option<u64>) {
        let bytes = bytes.unwrap_or(u64::MAX);
        self.budget.store(bytes, Ordering::Relaxed);
    }

    /// Counts a record that was dropped because it is damaged.
    pub(crate) fn count_damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }
}

/// Tables over nothing.
pub(crate) fn empty_tables() -> Tables {
    Tables {
        kv: memory_tree(),
        meta: MetaRecord {
            schema: SCHEMA,
            next_entry: 1,
            list: Some(Print::default()),
            ..MetaRecord::default()
        },
        outbox: Outbox::default(),
        totals: UnreadTotals::default(),
        session: SessionRow::default(),
        list: List::default(),
        rows: Cache::sharing(CACHE_BYTES, ROW_SHARE),
        packs: PackCache::new(CACHE_BYTES),
        pending: PendingChanges::default(),
    }
}
