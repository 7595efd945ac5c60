//! What the readers and the writer of one store share.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::model::{ClientId, StoreHealth};

use super::cache::Cache;
use super::cipher::Cipher;
use super::disk::Disk;
use super::frame::{self, BadFrame, Seal};
use super::key::HashKey;
use super::kv::{Direction, KeyRange, Kv, KvBatch, Visit};
use super::list::List;
use super::open::Hold;
use super::outbox::Outbox;
use super::packs::PackCache;
use super::record::MetaRecord;
use super::squeeze::Squeeze;
use super::unapplied::Unapplied;
use super::{ConversationNumber, ConversationRow, SessionRow, StoreError, UnreadTotals};

/// How much of conversations' rows is kept in memory, in parts of the tree's cache: 3 MiB beside
/// 16 MiB, those of a thousand and more that messages come to.
pub(super) const ROW_SHARE: u64 = 6;

/// What readers see, as the last commit left it.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) kv: Arc<dyn Kv>,
    /// What lies over it: see there. Reads go through [`Tables::value`] and [`Tables::scan`].
    pub(super) unapplied: Unapplied,
    pub(super) meta: MetaRecord,
    pub(super) outbox: Outbox,
    pub(super) totals: UnreadTotals,
    pub(super) session: SessionRow,
    /// The order of the conversations.
    pub(super) list: List,
    /// Conversations' rows as they were read or written last.
    pub(super) rows: Cache<ConversationNumber, Arc<ConversationRow>>,
    /// Packs as they were read or written last.
    pub(super) packs: PackCache,
}

impl Tables {
    /// The value of a key.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.unapplied.value(self.kv.as_ref(), key)
    }

    /// Visits the keys of a range, in the given direction, until the visitor breaks off.
    pub(super) fn scan(
        &self,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        self.unapplied
            .scan(self.kv.as_ref(), range, direction, visit)
    }

    /// Lays the list's pages over the tree, if there is much that they lack.
    pub(super) fn put_list_pages(&mut self, codec: &Codec) -> Result<(), StoreError> {
        if self.list.unwritten.is_much() {
            let mut pages = KvBatch::default();
            self.list.put_pages(&mut pages, codec, self.meta.seq)?;
            self.unapplied.add(pages);
            self.list.wrote_pages();
        }
        Ok(())
    }

    /// Applies a batch, and before it whatever the tree has not been told yet.
    pub(super) fn apply(&mut self, batch: &KvBatch) -> Result<(), StoreError> {
        self.unapplied.apply_with(batch, self.kv.as_ref())
    }
}

/// How values are framed and names hashed in this store.
pub(super) struct Codec {
    /// The store's own random number, in every frame.
    pub(super) store: u64,
    pub(super) cipher: Option<Cipher>,
    pub(super) hash_key: HashKey,
    pub(super) squeeze: Squeeze,
}

impl Codec {
    pub(super) fn new(store: u64, cipher: Option<Cipher>) -> Self {
        let hash_key = cipher
            .as_ref()
            .map(|cipher| *cipher.hash_key())
            .unwrap_or_default();
        Self {
            store,
            cipher,
            hash_key,
            squeeze: Squeeze::default(),
        }
    }

    /// What this store's frames have in common.
    pub(super) fn frames(&self) -> Seal<'_> {
        Seal {
            store: self.store,
            cipher: self.cipher.as_ref(),
        }
    }

    /// Puts a record's bytes into the frame of its key.
    pub(super) fn seal(&self, key: &[u8], payload: &[u8], seq: u64) -> Result<Vec<u8>, StoreError> {
        frame::seal(key, payload, seq, self.frames())
    }

    /// The record's bytes in the value of a key.
    pub(super) fn open<'a>(&self, key: &[u8], value: &'a [u8]) -> Result<Cow<'a, [u8]>, BadFrame> {
        frame::payload(key, value, self.frames())
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("encrypted", &self.cipher.is_some())
            .finish()
    }
}

/// Everything that outlives a single call.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) owner: ClientId,
    pub(super) codec: Codec,
    tables: RwLock<Tables>,
    health: Mutex<StoreHealth>,
    damaged: AtomicU64,
    /// The store's folder, to ask what it takes.
    pub(super) disk: Arc<dyn Disk>,
    /// The most bytes that the store should take on disk; all ones for no limit.
    budget: AtomicU64,
    /// Dropped last: fields drop in order, and the files must be closed before the folder is free.
    _hold: Hold,
}

impl Shared {
    pub(super) fn new(
        owner: ClientId,
        codec: Codec,
        tables: Tables,
        health: StoreHealth,
        disk: Arc<dyn Disk>,
        hold: Hold,
    ) -> Self {
        Self {
            owner,
            codec,
            tables: RwLock::new(tables),
            health: Mutex::new(health),
            damaged: AtomicU64::new(0),
            disk,
            budget: AtomicU64::new(u64::MAX),
            _hold: hold,
        }
    }

    /// The tables to read. A writer that panicked left them whole: it changes them by moves only.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables to change; waits until every snapshot is gone.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> StoreHealth {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_health(&self, health: StoreHealth) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// Notes a read that found the tree damaged: nothing more is written to it until a probe has
    /// mended it.
    pub(super) fn noting<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Damaged { .. }) = &read {
            self.set_health(StoreHealth::ReadOnly {
                reason: error.to_string(),
            });
        }
        read
    }

    /// The most bytes that the store should take on disk.
    pub(super) fn budget(&self) -> Option<u64> {
        Some(self.budget.load(Ordering::Relaxed)).filter(|bytes| *bytes < u64::MAX)
    }

    pub(super) fn set_budget(&self, bytes: Option<u64>) {
        let bytes = bytes.unwrap_or(u64::MAX);
        self.budget.store(bytes, Ordering::Relaxed);
    }

    /// Counts a record that was dropped because it is damaged.
    pub(super) fn count_damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }
}
