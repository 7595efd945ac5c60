//! Opening a store: the failures that an app can mend, and the report of all others.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use crate::model::{ClientId, Timestamp};
use crate::store::disk::RealDisk;
use crate::store::disk::identity::Identity;
use crate::store::disk::lock::{FolderLock, FolderRight, LockRefusal, MemoryHold};
use crate::store::disk::memory::MemoryDisk;
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::key::Tag;
use crate::store::format::record::SCHEMA;
use crate::store::format::record_entry::IntentRecord;
use crate::store::journal::Journal;
use crate::store::journal::reader::JournalContent;
use crate::store::read::store::Store;
use crate::store::recovery::identify::{Identified, clear_names, identify};
use crate::store::recovery::load::entry_record;
use crate::store::recovery::options::StoreOptions;
use crate::store::recovery::recover::Check;
use crate::store::recovery::report::OpenReport;
use crate::store::state::{Shared, Tables};
use crate::store::tree::location::{Location, TreeLocation};
use crate::store::tree::sled::{DbOptions, TREE_FOLDER};
use crate::store::writer::Writer;

/// An open store.
#[derive(Debug)]
pub struct Opened {
    /// The store, for reading.
    pub store: Store,
    /// The store's one writer.
    pub writer: Writer,
    /// The findings of the opening.
    pub report: OpenReport,
}

impl Store {
    /// Opens the store of a folder, or makes one. Blocks; a first open after long use may take some hundred
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] for a second opener, [`StoreError::TooNew`], [`StoreError::WrongKey`].
    /// [`StoreError::Io`] when an existing file can't be read now, as on a device that was not unlocked yet:
    /// nothing was changed, and a later call finds everything. In all other cases the store opens: damaged
    /// files are set aside and salvaged, and a folder that cannot be written gives a store that can only be
    /// read. The report has the findings.
    pub fn open(options: &StoreOptions) -> Result<Opened, StoreError> {
        let mut report = OpenReport::default();
        let disk = Arc::new(RealDisk::new(&options.folder));
        clear_names(&options.folder, disk.as_ref(), options.now, &mut report);
        let lock = fs::create_dir_all(&options.folder)
            .map_err(LockRefusal::Io)
            .and_then(|()| FolderLock::take(&options.folder));
        let (hold, unwritable) = match lock {
            Ok((lock, unwritable)) => (FolderRight::Folder(lock), unwritable),
            Err(LockRefusal::Held(holder)) => return Err(StoreError::InUse { holder }),
            Err(LockRefusal::Io(error)) => (FolderRight::Nothing, Some(error)),
        };
        let location = Location {
            disk,
            tree: TreeLocation::Folder {
                folder: options.folder.clone(),
                options: DbOptions {
                    folder: options.folder.join(TREE_FOLDER),
                    cache_bytes: options.cache_bytes,
                    open_timeout: options.open_timeout,
                },
            },
        };
        let Identified {
            identity,
            unwritten,
        } = identify(location.disk.as_ref(), options, &mut report)?;
        let codec = identity.codec(options.key.as_ref())?;
        let refused = unwritable.map(|error| StoreError::io("locking the folder", &error));
        let foundation = Foundation {
            location,
            identity,
            codec,
            hold,
        };
        if let Some(error) = refused.or(unwritten) {
            return foundation.degraded(options.owner.clone(), &error, report);
        }
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
        let hold = FolderRight::Memory(MemoryHold(disk.clone()));
        let location = Location {
            disk: Arc::new(disk.clone()),
            tree: TreeLocation::Memory,
        };
        // A fixed number: runs of a simulator must replay to the byte.
        let identity = Identity::new(Some(MEMORY_STORE), SCHEMA, None)?;
        let codec = identity.codec(None)?;
        let foundation = Foundation {
            location,
            identity,
            codec,
            hold,
        };
        foundation.open(owner, Timestamp::ZERO, OpenReport::default())
    }
}

/// The number of every store in memory.
const MEMORY_STORE: u64 = 0x5361_6D70_616E_2021;

/// The parts that are known before the tree is opened.
struct Foundation {
    location: Location,
    identity: Identity,
    codec: Codec,
    hold: FolderRight,
}

impl Foundation {
    fn open(
        mut self,
        owner: ClientId,
        now: Timestamp,
        mut report: OpenReport,
    ) -> Result<Opened, StoreError> {
        let opened = self
            .location
            .open(&self.codec, Check::Quick, now, &mut report);
        match opened {
            Ok((tables, journal)) => {
                if self.identity.schema < SCHEMA {
                    self.identity.schema = SCHEMA;
                    // Should this fail, the next open does it: the tree itself is brought forward.
                    let _ = self.identity.write(self.location.disk.as_ref());
                }
                let error = journal.as_ref().err();
                report.health = error.map(StoreError::health).unwrap_or_default();
                Ok(self.assemble(owner, tables, journal.ok(), report))
            }
            Err(error @ (StoreError::TooNew { .. } | StoreError::InUse { .. })) => Err(error),
            Err(error) => self.degraded(owner, &error, report),
        }
    }

    fn assemble(
        self,
        owner: ClientId,
        tables: Tables,
        journal: Option<Journal>,
        report: OpenReport,
    ) -> Opened {
        let health = report.health.clone();
        let disk = Arc::clone(&self.location.disk);
        let shared = Shared::new(owner, self.codec, tables, health, disk, self.hold);
        let shared = Arc::new(shared);
        let store = Store {
            shared: Arc::clone(&shared),
        };
        let writer = Writer::new(shared, self.location, self.identity, journal);
        Opened {
            store,
            writer,
            report,
        }
    }

    /// A store that can only be read, because the folder cannot be written: its readable content is held in
    /// memory.
    fn degraded(
        self,
        owner: ClientId,
        error: &StoreError,
        mut report: OpenReport,
    ) -> Result<Opened, StoreError> {
        report.health = error.health();
        let tables = self.location.readable(&self.codec)?;
        Ok(self.assemble(owner, tables, None, report))
    }
}

/// A store's folder, looked at without opening the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFolder {
    /// True if the store is encrypted.
    pub is_encrypted: bool,
    /// The bytes of everything in the folder.
    pub bytes: u64,
    /// The unsent work that a user would miss; none where the journal can't be read without a key, or not whole.
    pub unsent: Option<usize>,
}

impl StoreFolder {
    /// Looks at a folder; none when it holds no store.
    #[must_use]
    pub fn look(folder: &Path) -> Option<Self> {
        let disk = RealDisk::new(folder);
        let identity = Identity::read(&disk).ok()??;
        Some(Self {
            is_encrypted: identity.is_encrypted(),
            bytes: bytes_in(folder),
            unsent: unsent(&disk, &identity),
        })
    }

    /// Removes a store's folder with everything in it, if no process has it open.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`]; [`StoreError::Io`] when a part of it could not be removed.
    pub fn remove(folder: &Path) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("removing a store", &error);
        let lock = match FolderLock::take(folder) {
            Ok((lock, _)) => Some(lock),
            Err(LockRefusal::Held(holder)) => return Err(StoreError::InUse { holder }),
            Err(LockRefusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(LockRefusal::Io(error)) => return Err(failed(error)),
        };
        let removed = fs::remove_dir_all(folder).map_err(failed);
        drop(lock);
        removed
    }
}

/// The unsent work that the journal of a store tells of. The journal is never behind the tree.
fn unsent(disk: &RealDisk, identity: &Identity) -> Option<usize> {
    let codec = identity.codec(None).ok()?;
    let journal = JournalContent::read(disk, &codec).ok()?;
    if journal.is_damaged() {
        return None;
    }
    let mut count = 0;
    for (key, value) in journal.image() {
        if key.first() != Some(&(Tag::Outbox as u8)) {
            continue;
        }
        let (_, entry) = entry_record(&key, &value, &codec)?;
        count += usize::from(!matches!(entry.intent, IntentRecord::Read { .. }));
    }
    Some(count)
}

/// The bytes of the files in a folder and in those under it. A file that can't be read counts nothing.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_in(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |it| it.len()),
        _ => 0,
    });
    sizes.fold(0, u64::saturating_add)
}
