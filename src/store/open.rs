//! Opening a store: which failures are the app's to mend, and what happened to everything else.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::model::{ClientId, StoreHealth, Timestamp};

use super::db::{DbOptions, SledKv, TREE_FOLDER};
use super::disk::{FolderLock, LockRefusal};
use super::disk_memory::MemoryDisk;
use super::encode::totals_of;
use super::key::{self, Tag};
use super::kv::{Direction, Kv, LogKv};
use super::outbox::Outbox;
use super::record::{MetaRecord, SessionRecord, TotalsRecord, decode};
use super::record_entry::EntryRecord;
use super::shared::{Codec, Shared, Tables};
use super::{SessionRow, Store, StoreError, StoreKey, UnreadTotals, Writer};

/// The schema that this version writes.
pub(super) const SCHEMA: u32 = 1;

/// Where a client's store is, and how it is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The folder, made if missing. One client, one folder.
    pub folder: PathBuf,
    /// The client whose store it is.
    pub owner: ClientId,
    /// Memory for the cache, in bytes; the process needs about twice as much.
    pub cache_bytes: u64,
    /// The key of an encrypted store; none for one that is not.
    pub key: Option<StoreKey>,
    /// The time now, to name what is set aside.
    pub now: Timestamp,
    /// How long opening the database may take before it counts as damaged. Default: 60 s, for a
    /// slow phone with a large store.
    pub open_timeout: Duration,
}

impl StoreOptions {
    /// Options with every default: a cache of 16 MiB, no encryption.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, owner: ClientId, now: Timestamp) -> Self {
        Self {
            folder: folder.into(),
            owner,
            cache_bytes: 16 * 1024 * 1024,
            key: None,
            now,
            open_timeout: Duration::from_secs(60),
        }
    }
}

/// An open store.
#[derive(Debug)]
pub struct Opened {
    /// To read.
    pub store: Store,
    /// To write; there is one.
    pub writer: Writer,
    /// What was found.
    pub report: OpenReport,
}

/// What opening a store found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the store was made just now.
    pub created: bool,
}

impl Store {
    /// Opens the store of a folder, or makes one.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] for a second opener, [`StoreError::TooNew`], [`StoreError::WrongKey`],
    /// [`StoreError::InvalidArgument`] when the folder is no folder. Everything else opens, and
    /// the report says what happened.
    pub fn open(options: &StoreOptions) -> Result<Opened, StoreError> {
        fs::create_dir_all(&options.folder)
            .map_err(|error| StoreError::io("making the folder", &error))?;
        let (lock, _) = FolderLock::take(&options.folder).map_err(|refusal| match refusal {
            LockRefusal::Held(holder) => StoreError::InUse { holder },
            LockRefusal::Io(error) => StoreError::io("locking the folder", &error),
        })?;
        let kv = SledKv::open(&DbOptions {
            folder: options.folder.join(TREE_FOLDER),
            cache_bytes: options.cache_bytes,
            open_timeout: options.open_timeout,
        })?;
        open_tree(options.owner.clone(), Arc::new(kv), Hold::Folder(lock))
    }

    /// Opens a store in memory, or makes one. It lives as long as the disk; opened again on the
    /// same disk it is as its last durable commit left it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] when it is open already; [`StoreError::Io`] when the disk was told to
    /// fail.
    pub fn in_memory(disk: &MemoryDisk, owner: ClientId) -> Result<Opened, StoreError> {
        if !disk.lock() {
            return Err(StoreError::InUse {
                holder: Some(std::process::id()),
            });
        }
        let hold = Hold::Memory(MemoryHold(disk.clone()));
        let kv = LogKv::open(Arc::new(disk.clone()))?;
        open_tree(owner, Arc::new(kv), hold)
    }
}

/// The right to a folder, given back when the last handle of the store is gone.
#[derive(Debug)]
pub(super) enum Hold {
    /// A real folder.
    Folder(#[expect(dead_code, reason = "held for its drop")] FolderLock),
    /// A folder in memory.
    Memory(#[expect(dead_code, reason = "held for its drop")] MemoryHold),
}

/// The right to a folder in memory.
#[derive(Debug)]
pub(super) struct MemoryHold(MemoryDisk);

impl Drop for MemoryHold {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

fn open_tree(owner: ClientId, kv: Arc<dyn Kv>, hold: Hold) -> Result<Opened, StoreError> {
    let codec = Codec::new(None);
    let meta: Option<MetaRecord> = record(kv.as_ref(), &codec, &key::meta())?;
    let created = meta.is_none();
    let meta = meta.unwrap_or(MetaRecord {
        schema: SCHEMA,
        next_entry: 1,
        ..Default::default()
    });
    if meta.schema > SCHEMA {
        return Err(StoreError::TooNew {
            found: meta.schema,
            supported: SCHEMA,
        });
    }
    let totals: Option<TotalsRecord> = record(kv.as_ref(), &codec, &key::totals())?;
    let session: Option<SessionRecord> = record(kv.as_ref(), &codec, &key::session())?;
    let outbox = outbox(kv.as_ref(), &codec)?;
    let tables = Tables {
        kv,
        meta,
        outbox,
        totals: totals.map_or(UnreadTotals::default(), totals_of),
        session: session.map_or(SessionRow::default(), SessionRecord::row),
    };
    let shared = Arc::new(Shared::new(owner, codec, tables, StoreHealth::Good, hold));
    let store = Store {
        shared: Arc::clone(&shared),
    };
    Ok(Opened {
        store,
        writer: Writer::new(shared),
        report: OpenReport { created },
    })
}

fn record<T: DeserializeOwned>(
    kv: &dyn Kv,
    codec: &Codec,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    let Some(value) = kv.value(key)? else {
        return Ok(None);
    };
    let payload = codec
        .open(key, &value)
        .map_err(|_| StoreError::damaged("a counter"))?;
    decode(&payload)
        .map(Some)
        .map_err(|_| StoreError::damaged("a counter"))
}

fn outbox(kv: &dyn Kv, codec: &Codec) -> Result<Outbox, StoreError> {
    let prefix = [Tag::Outbox as u8];
    let end = key::after_prefix(&prefix).unwrap_or_default();
    let range = (
        std::ops::Bound::Included(&prefix[..]),
        std::ops::Bound::Excluded(&end[..]),
    );
    let mut outbox = Outbox::default();
    kv.scan(range, Direction::Forward, &mut |key, value| {
        let id = key::parse_outbox(key).ok();
        let payload = codec.open(key, value).ok();
        let record: Option<EntryRecord> = payload.and_then(|payload| decode(&payload).ok());
        let entry = id
            .zip(record)
            .and_then(|(id, record)| record.entry(id).ok());
        if let Some(entry) = entry {
            outbox.put(Arc::new(entry));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(outbox)
}
