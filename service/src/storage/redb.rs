//! The storage on disk: one redb file, one table, one durable transaction a batch.
//!
//! At rest the file is written anew without its gaps (`compaction.rs`).
//!
//! Each row has a checksum of ours (`seal.rs`), which every read checks. After an opening a thread reads all
//! rows once, so damage in unused rows is found too. Rows of an earlier build have no checksum; they stay
//! readable and writable.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::redb::{ReadableTable, ReadableTableMetadata};

use super::compaction::{self, Compaction, Size};
use super::data_file::{OUT_OF_ORDER, Open};
use super::keyed::{Changes, Frozen, Keyed, Map, Row};
use super::{Order, StorageError};

/// How long an opening waits for all rows to be read once; those of more data are read on while the
/// service serves.
const LOOK_FIRST: Duration = Duration::from_millis(1_500);

/// The file in the data folder.
const FILE: &str = "sampan-service.redb";

/// Commits in a minute up to which the service is at rest.
const COMMITS_AT_REST: u32 = 600;

/// Bytes of gaps for which a compaction is worth its while.
const GAPS_MIN: u64 = 4 * 1024 * 1024;

/// And the part of the rows that the gaps have to be: a fifth.
const GAPS_PART: u64 = 5;

/// A [`Storage`](super::Storage) that survives power loss: a commit returns after fsync.
pub type RedbStorage = Keyed<RedbMap>;

impl RedbStorage {
    /// Opens the database in `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`StorageError::Folder`] when the folder cannot be made, [`StorageError::Database`] when
    /// the file is damaged beyond redb's own repair or another process holds it, and
    /// [`StorageError::NewerSchema`] when a newer service wrote it.
    pub fn open_folder(folder: &Path) -> Result<Self, StorageError> {
        std::fs::create_dir_all(folder)?;
        super::salvage::guarded(|| {
            let file = Self::file_in(folder);
            compaction::remove_part(&file)?;
            let mut map = RedbMap::open(&file)?;
            map.look_through()?;
            Self::open(map)
        })
    }

    /// The file of the database in a data folder.
    #[must_use]
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }
}

/// Committed rows in a redb table.
///
/// redb refuses everything after a failure of the disk, also when the disk works again. Then the file is opened
/// anew: all committed data is there, and the batch that failed is not.
#[derive(Debug)]
pub struct RedbMap {
    file: PathBuf,
    /// None after a failure, until it could be opened anew.
    open: Option<Open>,
    /// The findings of the thread beside.
    looked: Arc<Looked>,
    compaction: Option<Compaction>,
    /// Commits since it was last asked whether the service is at rest.
    commits: u32,
    /// The disk is full for as long as there is a compaction.
    #[cfg(test)]
    pub(super) is_full_with_part: bool,
}

/// The findings of reading all rows once.
#[derive(Debug, Default)]
struct Looked {
    damage: OnceLock<&'static str>,
    size: OnceLock<Size>,
}

impl RedbMap {
    pub(super) fn open(file: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            file: file.to_owned(),
            open: Some(Open::file(file)?),
            looked: Arc::default(),
            compaction: None,
            commits: 0,
            #[cfg(test)]
            is_full_with_part: false,
        })
    }

    fn opened(&self) -> Result<&Open, StorageError> {
        self.open.as_ref().ok_or(StorageError::Closed)
    }

    /// Reads all rows once, on a thread beside. Waits a little: most data is looked through before
    /// anybody is served.
    fn look_through(&mut self) -> Result<(), StorageError> {
        let rows = self.opened()?.frozen(None)?;
        let reached = self.opened()?.reached();
        let looked = Arc::clone(&self.looked);
        let (done, is_done) = mpsc::channel();
        let look = move || {
            let mut size = Size::default();
            let add = &mut |key: &[u8], value: &[u8]| {
                size.add(key, value);
                Ok(())
            };
            let result = super::salvage::guarded(|| rows.each(add));
            // Only the first damage is reported.
            let _ = match &result {
                Ok(()) => {
                    let full = reached.map_or(size, |reached| reached.full(size));
                    looked.size.set(full).is_ok()
                }
                Err(StorageError::Damaged { what }) => looked.damage.set(what).is_ok(),
                Err(_) => false,
            };
            // Nobody may wait any more.
            let _ = done.send(result);
        };
        std::thread::Builder::new()
            .name("look-through".to_owned())
            .spawn(look)?;
        match is_done.recv_timeout(LOOK_FIRST) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

impl RedbMap {
    /// True if the file could be smaller by a good part, and the disk has room for the copy. False where nobody has
    /// read all rows yet.
    fn has_gaps(&self) -> Result<bool, StorageError> {
        let Some(size) = self.looked.size.get() else {
            return Ok(false);
        };
        let full = size.of_rows(self.opened()?.rows.len()?);
        let gaps = compaction::bytes_on_disk(&self.file)?.saturating_sub(full);
        if gaps < GAPS_MIN || gaps < full / GAPS_PART {
            return Ok(false);
        }
        let has_room = compaction::has_room(&self.file, full)?;
        if !has_room {
            tracing::debug!(full, "no room to write the data file anew");
        }
        Ok(has_room)
    }

    fn try_commit(&mut self, changes: &Changes) -> Result<(), StorageError> {
        let open = self.open.as_mut().ok_or(StorageError::Closed)?;
        #[cfg(test)]
        if self.is_full_with_part && self.compaction.is_some() {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
        }
        open.commit(changes)
    }

    pub(super) fn begin_compaction(&mut self) -> Result<(), StorageError> {
        let rows = self.frozen()?;
        self.compaction = Some(Compaction::start(&self.file, rows)?);
        Ok(())
    }

    /// Puts a row in as it is.
    #[cfg(test)]
    pub(super) fn plant(&mut self, key: &[u8], value: &[u8]) {
        let write = self.opened().unwrap().database.begin_write().unwrap();
        write
            .open_table(super::data_file::SEALED)
            .unwrap()
            .insert(key, value)
            .unwrap();
        write.commit().unwrap();
    }

    /// Goes on with the new file, or with the old one where there is no new one.
    fn end_compaction(&mut self) {
        let Some(compaction) = self.compaction.take() else {
            return;
        };
        match compaction.finish(&self.file) {
            Ok((open, size)) => {
                self.open = open;
                let looked = Looked::default();
                let _ = looked.size.set(size);
                self.looked = Arc::new(looked);
                tracing::info!(
                    rows = size.rows,
                    bytes = size.bytes,
                    "the data file was written anew"
                );
            }
            Err(StorageError::Damaged { what }) => {
                let _ = self.looked.damage.set(what);
            }
            Err(error) => {
                // The gaps do no harm. Without a size no other compaction begins until the next start.
                self.looked = Arc::default();
                tracing::warn!("the data file keeps its gaps: {error}");
            }
        }
    }
}

/// Opens a database over a file of a test's own.
#[cfg(test)]
pub(super) fn open_backend(file: impl ::redb::StorageBackend) -> Result<RedbStorage, StorageError> {
    let database = ::redb::Database::builder().create_with_backend(file)?;
    let map = RedbMap {
        file: PathBuf::new(),
        open: Some(Open::over(database)?),
        looked: Arc::default(),
        compaction: None,
        commits: 0,
        is_full_with_part: false,
    };
    RedbStorage::open(map)
}

impl Map for RedbMap {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let open = self.opened()?;
        let found = open.rows.get(key)?;
        let value = found.map(|value| Ok(open.form.open(key, value.value())?.to_vec()));
        value.transpose()
    }

    fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
        order: Order,
    ) -> Result<Box<dyn Iterator<Item = Result<Row, StorageError>> + 'a>, StorageError> {
        let open = self.opened()?;
        let (first, end) = (from.to_vec(), to.to_vec());
        let rows = ReadableTable::range::<&[u8]>(&open.rows, from..to)?.map(move |row| {
            let (key, value) = row?;
            let key = key.value();
            if key < first.as_slice() || key >= end.as_slice() {
                return Err(OUT_OF_ORDER);
            }
            Ok((key.to_vec(), open.form.open(key, value.value())?.to_vec()))
        });
        Ok(match order {
            Order::OldestFirst => Box::new(rows),
            Order::NewestFirst => Box::new(rows.rev()),
        })
    }

    fn frozen(&self) -> Result<Box<dyn Frozen>, StorageError> {
        let open = self.opened()?;
        let held = Arc::clone(&open.database);
        Ok(Box::new(open.frozen(Some(held))?))
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StorageError> {
        let mut result = self.try_commit(&changes);
        self.commits += 1;
        let is_full = result.as_ref().is_err_and(StorageError::is_disk_full);
        if is_full && self.compaction.take().is_some() {
            // The part is gone, so there is room. The database refuses everything until it was opened anew; changes
            // that are written a second time change nothing.
            self.open = None;
            result = Open::file(&self.file).and_then(|open| {
                self.open = Some(open);
                self.try_commit(&changes)
            });
            // No other compaction begins until the next start.
            self.looked = Arc::default();
            tracing::warn!("the disk is full: the data file keeps its gaps");
        }
        if result.is_err() {
            self.open = None;
            self.compaction = None;
        } else if let Some(under_way) = &mut self.compaction
            && !under_way.remember(changes)
        {
            self.compaction = None;
        }
        result
    }

    fn rest(&mut self) -> Result<bool, StorageError> {
        let commits = std::mem::take(&mut self.commits);
        if self.compaction.as_ref().is_some_and(Compaction::is_copied) {
            self.end_compaction();
        } else if self.compaction.is_none() && commits <= COMMITS_AT_REST && self.has_gaps()? {
            self.begin_compaction()?;
        }
        Ok(self.compaction.is_some())
    }

    fn is_sound(&self) -> bool {
        self.open.is_some() && self.looked.damage.get().is_none()
    }

    fn recover(&mut self) -> Result<(), StorageError> {
        // Nothing heals a row; a service that goes on could take a missing row for one that never was.
        if let Some(what) = self.looked.damage.get() {
            return Err(StorageError::Damaged { what });
        }
        // The old one has to let go of the file first.
        self.compaction = None;
        self.open = None;
        self.open = Some(Open::file(&self.file)?);
        Ok(())
    }
}
