//! Opening a store: which failures are the app's to mend, and what happened to everything else.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{ClientId, StoreHealth, Timestamp};

use super::cache::Cache;
use super::claim::{Claim, claim, make_way};
use super::db::{DbOptions, TREE_FOLDER};
use super::disk::{FolderLock, LockRefusal, RealDisk};
use super::disk_memory::MemoryDisk;
use super::identity::Identity;
use super::journal::Journal;
use super::kv::{CACHE_BYTES, Kv, LogKv};
use super::list::{List, Print};
use super::migrate::SCHEMA;
use super::outbox::Outbox;
use super::packs::PackCache;
use super::record::MetaRecord;
use super::recover::{Check, Ground, TreeSource};
use super::salvage::{Saved, Scanned};
use super::shared::{Codec, ROW_SHARE, Shared, Tables};
use super::unapplied::Unapplied;
use super::{SessionRow, Store, StoreError, StoreKey, UnreadTotals, Writer};

/// Where a client's store is, and how it is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The folder, made if missing. One client, one folder.
    pub folder: PathBuf,
    /// The client whose store it is.
    pub owner: ClientId,
    /// Memory for the tree's cache, in bytes; the process needs about twice as much, and six tenths
    /// of it for what is kept decoded: `docs/store.md` has the bounds.
    pub cache_bytes: u64,
    /// The most bytes that the store should take on disk; none for no limit. [`Writer::tend`] keeps
    /// to it as far as what must stay leaves it: see `docs/store.md`.
    pub disk_budget: Option<u64>,
    /// The key of an encrypted store; none for one that is not.
    pub key: Option<StoreKey>,
    /// The time now, to name what is set aside.
    pub now: Timestamp,
    /// How long opening the database may take before it counts as damaged. Default: 60 s, for a
    /// slow phone with a large store.
    pub open_timeout: Duration,
}

impl StoreOptions {
    /// Options with every default: a cache of 16 MiB, no disk budget, no encryption.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, owner: ClientId, now: Timestamp) -> Self {
        Self {
            folder: folder.into(),
            owner,
            cache_bytes: CACHE_BYTES,
            disk_budget: None,
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

/// What opening a store found and did. Nothing of it needs the app to act, but an app may want to
/// tell its user, or its makers.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the store was made just now.
    pub created: bool,
    /// Damaged files that were set aside, and what was saved out of them.
    pub set_aside: Vec<SetAside>,
    /// Whether the tree was older than the journal: commits that were durable are gone, as when a
    /// backup was put back. What was lost is asked for again.
    pub rolled_back: bool,
    /// Promises that the tree had not seen yet: the normal traces of a kill.
    pub intents_replayed: u64,
    /// Whether the journal was gone or unreadable: promises that it alone held are lost, and nobody
    /// can say how many.
    pub journal_lost: bool,
    /// Unsent entries that only the journal had.
    pub entries_recovered: u64,
    /// Unsent entries that are damaged beyond reading.
    pub entries_lost: u64,
    /// Why the store takes no writes, if it takes none.
    pub read_only: Option<String>,
}

impl OpenReport {
    /// Whether anything was damaged.
    #[must_use]
    pub const fn found_damage(&self) -> bool {
        !self.set_aside.is_empty() || self.rolled_back || self.journal_lost || self.entries_lost > 0
    }
}

/// Damaged files that were set aside: they are kept, under another name, for they may hold more
/// than could be saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
#[non_exhaustive]
pub struct SetAside {
    /// Their name in the store's folder now.
    pub name: String,
    /// Conversations that were saved.
    pub conversations: u64,
    /// Messages that were saved.
    pub messages: u64,
    /// Messages that were saved and dropped again, for nobody knows their conversation any more.
    pub orphans: u64,
    /// Conversations of which messages are missing: their history has gaps now.
    pub torn_histories: u64,
    /// Places that looked like a record and held none any more.
    pub broken_records: u64,
}

impl SetAside {
    pub(super) fn new(name: String, saved: Saved, scanned: Scanned) -> Self {
        Self {
            name,
            conversations: saved.conversations,
            messages: saved.messages,
            orphans: saved.orphans,
            torn_histories: saved.torn_histories,
            broken_records: scanned.broken.saturating_add(scanned.unreadable),
        }
    }
}

impl Store {
    /// Opens the store of a folder, or makes one. Blocks; a first open after long use may take
    /// some hundred milliseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] for a second opener, [`StoreError::TooNew`], [`StoreError::WrongKey`].
    /// Everything else opens: damaged files are set aside and saved from, a folder that cannot be
    /// written gives a store that can only be read. The report says what happened.
    pub fn open(options: &StoreOptions) -> Result<Opened, StoreError> {
        let mut report = OpenReport::default();
        let disk = Arc::new(RealDisk::new(&options.folder));
        make_way(&options.folder, disk.as_ref(), options.now, &mut report);
        let lock = fs::create_dir_all(&options.folder)
            .map_err(LockRefusal::Io)
            .and_then(|()| FolderLock::take(&options.folder));
        let (hold, unwritable) = match lock {
            Ok((lock, unwritable)) => (Hold::Folder(lock), unwritable),
            Err(LockRefusal::Held(holder)) => return Err(StoreError::InUse { holder }),
            Err(LockRefusal::Io(error)) => (Hold::Nothing, Some(error)),
        };
        let ground = Ground {
            disk,
            tree: TreeSource::Folder {
                folder: options.folder.clone(),
                options: DbOptions {
                    folder: options.folder.join(TREE_FOLDER),
                    cache_bytes: options.cache_bytes,
                    open_timeout: options.open_timeout,
                },
            },
        };
        let Claim {
            identity,
            unwritten,
        } = claim(ground.disk.as_ref(), options, &mut report)?;
        let codec = identity.codec(options.key.as_ref())?;
        let refused = unwritable.map(|error| StoreError::io("locking the folder", &error));
        if let Some(error) = refused.or(unwritten) {
            return Ok(degraded(
                options.owner.clone(),
                ground,
                identity,
                codec,
                hold,
                &error,
                report,
            ));
        }
        let foundation = Foundation {
            ground,
            identity,
            codec,
            hold,
        };
        let mut opened = foundation.open(options.owner.clone(), options.now, report)?;
        opened.writer.set_disk_budget(options.disk_budget);
        Ok(opened)
    }

    /// Opens a store in memory, or makes one. It lives as long as the disk; opened again on the
    /// same disk it is as its last durable commit left it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] when it is open already.
    pub fn in_memory(disk: &MemoryDisk, owner: ClientId) -> Result<Opened, StoreError> {
        if !disk.lock() {
            return Err(StoreError::InUse {
                holder: Some(std::process::id()),
            });
        }
        let hold = Hold::Memory(MemoryHold(disk.clone()));
        let ground = Ground {
            disk: Arc::new(disk.clone()),
            tree: TreeSource::Memory,
        };
        // A fixed number: runs of a simulator must replay to the byte.
        let identity = Identity::new(Some(MEMORY_STORE), SCHEMA, None)?;
        let codec = identity.codec(None)?;
        let foundation = Foundation {
            ground,
            identity,
            codec,
            hold,
        };
        foundation.open(owner, Timestamp::ZERO, OpenReport::default())
    }
}

/// The number of every store in memory.
const MEMORY_STORE: u64 = 0x5361_6D70_616E_2021;

/// What is known before the tree is opened.
struct Foundation {
    ground: Ground,
    identity: Identity,
    codec: Codec,
    hold: Hold,
}

impl Foundation {
    fn open(
        self,
        owner: ClientId,
        now: Timestamp,
        mut report: OpenReport,
    ) -> Result<Opened, StoreError> {
        let Self {
            ground,
            mut identity,
            codec,
            hold,
        } = self;
        match ground.open(&codec, Check::Quick, now, &mut report) {
            Ok((tables, journal)) => {
                if identity.schema < SCHEMA {
                    identity.schema = SCHEMA;
                    // Should this fail, the next open does it: the tree itself is brought forward.
                    let _ = identity.write(ground.disk.as_ref());
                }
                let error = journal.as_ref().err().cloned();
                report.read_only = error.map(|error| error.to_string());
                Ok(assemble(
                    owner,
                    ground,
                    identity,
                    codec,
                    hold,
                    tables,
                    journal.ok(),
                    report,
                ))
            }
            Err(error @ (StoreError::TooNew { .. } | StoreError::InUse { .. })) => Err(error),
            Err(error) => Ok(degraded(
                owner, ground, identity, codec, hold, &error, report,
            )),
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a store meet here and nowhere else"
)]
fn assemble(
    owner: ClientId,
    ground: Ground,
    identity: Identity,
    codec: Codec,
    hold: Hold,
    tables: Tables,
    journal: Option<Journal>,
    report: OpenReport,
) -> Opened {
    let health = match &report.read_only {
        Some(reason) => StoreHealth::ReadOnly {
            reason: reason.clone(),
        },
        None => StoreHealth::Good,
    };
    let disk = Arc::clone(&ground.disk);
    let shared = Arc::new(Shared::new(owner, codec, tables, health, disk, hold));
    let store = Store {
        shared: Arc::clone(&shared),
    };
    let writer = Writer::new(shared, ground, identity, journal);
    Opened {
        store,
        writer,
        report,
    }
}

/// A store that can only be read, because the folder cannot be written: what is readable in it is
/// held in memory, and what can't be read is missing.
fn degraded(
    owner: ClientId,
    ground: Ground,
    identity: Identity,
    codec: Codec,
    hold: Hold,
    error: &StoreError,
    mut report: OpenReport,
) -> Opened {
    report.read_only = Some(error.to_string());
    let tables = ground.readable(&codec);
    assemble(owner, ground, identity, codec, hold, tables, None, report)
}

/// Tables over nothing.
pub(super) fn empty_tables() -> Tables {
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
        unapplied: Unapplied::default(),
    }
}

/// A tree in memory that is not kept.
pub(super) fn memory_tree() -> Arc<dyn Kv> {
    Arc::new(LogKv::unlogged())
}

/// The right to a folder, given back when the last handle of the store is gone.
#[derive(Debug)]
pub(super) enum Hold {
    /// A real folder.
    Folder(#[expect(dead_code, reason = "held for its drop")] FolderLock),
    /// A folder in memory.
    Memory(#[expect(dead_code, reason = "held for its drop")] MemoryHold),
    /// There is no folder.
    Nothing,
}

/// The right to a folder in memory.
#[derive(Debug)]
pub(super) struct MemoryHold(MemoryDisk);

impl Drop for MemoryHold {
    fn drop(&mut self) {
        self.0.unlock();
    }
}
