//! A tree in memory, logged to a file if it is to be kept: for tests and the simulator.
//!
//! The tree has no thread. A batch whose application was begun lies over the tree until a caller waits for
//! it. A power cut before that takes the batch, as it may with the database.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::store::disk::{Disk, DiskFile};
use crate::store::error::StoreError;
use crate::store::format::frame;
use crate::store::tree::pending::{scan_over, value_over};
use crate::store::tree::{ApplyRequest, Direction, KeyRange, Kv, KvBatch, Visit, is_empty};

/// A tree in memory that logs its batches to a file of the given disk: plain, for tests and the
/// simulator. Opening reads the whole log; a torn batch at its end never happened.
#[derive(Debug)]
pub(crate) struct LogKv {
    /// The disk of the log; none for a tree that is not kept.
    disk: Option<Arc<dyn Disk>>,
    /// The log's name in the folder.
    name: String,
    state: RwLock<LogState>,
}

#[derive(Debug)]
struct LogState {
    tree: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The offset of the next batch.
    end: u64,
    /// A batch that lies over the tree until a caller waits for it.
    in_flight: Option<KvBatch>,
}

/// The log's frames carry batches, whose values carry the store's own frames.
const LOG: frame::FrameContext<'static> = frame::FrameContext {
    store: 0,
    cipher: None,
};

/// The log's name in the folder, but for one that is being copied.
pub(crate) const LOG_FILE: &str = "tree.log";

impl LogKv {
    /// Opens the log of that name, or begins one.
    pub(crate) fn open(disk: Arc<dyn Disk>, name: &str) -> Result<Self, StoreError> {
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
            // The bytes behind a torn batch must not be taken for a later one after the next append.
            cut(disk.as_ref(), name, end).map_err(|e| StoreError::io("mending the log", &e))?;
        }
        let state = LogState {
            tree,
            end,
            in_flight: None,
        };
        Ok(Self {
            disk: Some(disk),
            name: name.to_owned(),
            state: RwLock::new(state),
        })
    }

    /// A tree that is not kept.
    pub(crate) fn unlogged() -> Self {
        let state = LogState {
            tree: BTreeMap::new(),
            end: 0,
            in_flight: None,
        };
        Self {
            disk: None,
            name: String::new(),
            state: RwLock::new(state),
        }
    }

    /// Puts a batch into the log, then into the tree.
    fn put(&self, state: &mut LogState, batch: &KvBatch) -> Result<(), StoreError> {
        let bytes = frame::build(&[], &batch.to_bytes(), 0, LOG)?;
        let end = state.end;
        let written = self
            .log()
            .and_then(|log| log.map_or(Ok(()), |mut f| f.write_at(end, &bytes)));
        written.map_err(|e| StoreError::io("the commit", &e))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        state.end += length;
        apply(&mut state.tree, batch);
        Ok(())
    }

    /// Makes the log durable.
    fn sync(&self) -> Result<(), StoreError> {
        let synced = self
            .log()
            .and_then(|log| log.map_or(Ok(()), |mut file| file.sync()));
        synced.map_err(|e| StoreError::io("the flush", &e))
    }

    /// Lets the batch in flight arrive, durably. Should that fail, it stays in flight.
    fn land(&self, state: &mut LogState) -> Result<(), StoreError> {
        let Some(batch) = state.in_flight.take() else {
            return Ok(());
        };
        let landed = self.put(state, &batch).and_then(|()| self.sync());
        if landed.is_err() {
            state.in_flight = Some(batch);
        }
        landed
    }

    fn read(&self) -> RwLockReadGuard<'_, LogState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, LogState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
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

/// Visits the keys of a range of a map.
fn scan(
    tree: &BTreeMap<Vec<u8>, Vec<u8>>,
    range: KeyRange<'_>,
    direction: Direction,
    visit: Visit<'_>,
) {
    if is_empty(range) {
        return;
    }
    let mut found = tree.range::<[u8], _>(range);
    loop {
        let next = match direction {
            Direction::Forward => found.next(),
            Direction::Backward => found.next_back(),
        };
        let Some((key, value)) = next else { return };
        if visit(key, value).is_break() {
            return;
        }
    }
}

impl Kv for LogKv {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.read();
        let below = || Ok(state.tree.get(key).cloned());
        match &state.in_flight {
            Some(batch) => value_over(&batch.changes, key, below),
            None => below(),
        }
    }

    fn scan(
        &self,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let state = self.read();
        let below = |visit: Visit<'_>| {
            scan(&state.tree, range, direction, visit);
            Ok(())
        };
        match &state.in_flight {
            Some(batch) => scan_over(&batch.changes, range, direction, visit, below),
            None => below(visit),
        }
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), StoreError> {
        let mut state = self.write();
        self.land(&mut state)?;
        self.put(&mut state, batch)
    }

    fn begin_apply(&self, request: ApplyRequest) -> Result<(), StoreError> {
        let mut state = self.write();
        self.land(&mut state)?;
        state.in_flight = Some(request.batch);
        Ok(())
    }

    fn begin_flush(&self) -> Result<(), StoreError> {
        self.land(&mut self.write())?;
        self.sync()
    }

    fn wait_flushed(&self) -> Result<(), StoreError> {
        self.land(&mut self.write())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.read().end)
    }
}

/// A tree in memory that is not kept.
pub(crate) fn memory_tree() -> Arc<dyn Kv> {
    Arc::new(LogKv::unlogged())
}

/// A tree that can't be read now: each call fails for this reason.
#[derive(Debug)]
pub(crate) struct UnreadableTree(pub(crate) StoreError);

impl Kv for UnreadableTree {
    fn value(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Err(self.0.clone())
    }

    fn scan(&self, _: KeyRange<'_>, _: Direction, _: Visit<'_>) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn apply(&self, _: &KvBatch) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn begin_apply(&self, _: ApplyRequest) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn begin_flush(&self) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn wait_flushed(&self) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Err(self.0.clone())
    }
}
