//! A tree in memory, logged to a file if it is to be kept.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use crate::store::disk::{Disk, DiskFile};
use crate::store::error::StoreError;
use crate::store::format::frame;
use crate::store::tree::{Direction, KeyRange, Kv, KvBatch, Visit, is_empty};

/// A tree in memory that logs its batches to a file of the given disk: plain, for tests and the
/// simulator. Opening reads the whole log; a torn batch at its end never happened.
#[derive(Debug)]
pub(crate) struct LogKv {
    /// Where the log is; none for a tree that is not kept.
    disk: Option<Arc<dyn Disk>>,
    /// The log's name in the folder.
    name: String,
    state: RwLock<LogState>,
}

#[derive(Debug)]
struct LogState {
    tree: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the next batch goes.
    end: u64,
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
            // What is behind a torn batch must not be taken for a later one after the next append.
            cut(disk.as_ref(), name, end).map_err(|e| StoreError::io("mending the log", &e))?;
        }
        let state = LogState { tree, end };
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
        };
        Self {
            disk: None,
            name: String::new(),
            state: RwLock::new(state),
        }
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

impl Kv for LogKv {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.tree.get(key).cloned())
    }

    fn scan(
        &self,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        if is_empty(range) {
            return Ok(());
        }
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = state.tree.range::<[u8], _>(range);
        loop {
            let next = match direction {
                Direction::Forward => found.next(),
                Direction::Backward => found.next_back(),
            };
            let Some((key, value)) = next else {
                return Ok(());
            };
            if visit(key, value).is_break() {
                return Ok(());
            }
        }
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = frame::build(&[], &batch.to_bytes(), 0, LOG)?;
        let end = state.end;
        let written = self
            .log()
            .and_then(|log| log.map_or(Ok(()), |mut f| f.write_at(end, &bytes)));
        written.map_err(|e| StoreError::io("the commit", &e))?;
        state.end = state
            .end
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        apply(&mut state.tree, batch);
        Ok(())
    }

    fn wants_each_flushed(&self) -> bool {
        false
    }

    fn flush(&self) -> Result<(), StoreError> {
        let synced = self
            .log()
            .and_then(|log| log.map_or(Ok(()), |mut file| file.sync()));
        synced.map_err(|e| StoreError::io("the flush", &e))
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(self
            .state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .end)
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

    fn wants_each_flushed(&self) -> bool {
        false
    }

    fn flush(&self) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        Err(self.0.clone())
    }
}
