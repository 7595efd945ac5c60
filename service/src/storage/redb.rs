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

use ::redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, TableError,
};

use super::compaction::{self, Compaction, Size};
use super::keyed::{Changes, Frozen, Keyed, Map, Row, TakeRow};
use super::new_file::{self, for_owner_only};
use super::seal::{seal, unseal};
use super::{Order, StorageError};

/// All rows with their checksums; the first byte of a key tells the kinds apart (see `key.rs`).
const SEALED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("sealed rows");

/// All rows of data that an earlier build made: without checksums.
const PLAIN: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// The row with the number of the newest commit; no row of the storage has this key.
pub(super) const COMMIT_KEY: &[u8] = &[0];

/// How long an opening waits for all rows to be read once; those of more data are read on while the
/// service serves.
const LOOK_FIRST: Duration = Duration::from_millis(1_500);

/// The file in the data folder.
const FILE: &str = "sampan-service.redb";

/// Memory for pages that were read: enough for the working set of some ten thousand clients, and
/// small beside the memory that their connections need.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

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
}

/// The findings of reading all rows once.
#[derive(Debug, Default)]
struct Looked {
    damage: OnceLock<&'static str>,
    size: OnceLock<Size>,
}

/// An open database, and its newest committed state.
#[derive(Debug)]
pub(super) struct Open {
    database: Arc<Database>,
    /// The newest committed state; replaced after every commit, so reads open no transaction.
    rows: Table,
    form: Form,
    /// The number of the newest commit.
    commit: u64,
}

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// With a checksum.
    Sealed,
    /// Without a checksum.
    Plain,
}

impl Form {
    const fn table(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        match self {
            Self::Sealed => SEALED,
            Self::Plain => PLAIN,
        }
    }

    /// The form of a database's contents; none if it has nothing.
    fn of(database: &impl ReadableDatabase) -> Result<Option<Self>, StorageError> {
        let read = database.begin_read()?;
        for form in [Self::Sealed, Self::Plain] {
            match read.open_table(form.table()) {
                Ok(_) => return Ok(Some(form)),
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn open<'a>(self, key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StorageError> {
        match self {
            Self::Sealed => Ok(unseal(key, value)?.0),
            Self::Plain => Ok(value),
        }
    }
}

impl RedbMap {
    pub(super) fn open(file: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            file: file.to_owned(),
            open: Some(Open::file(file)?),
            looked: Arc::default(),
            compaction: None,
            commits: 0,
        })
    }

    fn opened(&self) -> Result<&Open, StorageError> {
        self.open.as_ref().ok_or(StorageError::Closed)
    }

    /// Reads all rows once, on a thread beside. Waits a little: most data is looked through before
    /// anybody is served.
    fn look_through(&mut self) -> Result<(), StorageError> {
        let rows = self.opened()?.frozen(None)?;
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
                Ok(()) => looked.size.set(size).is_ok(),
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
    /// True if the file could be smaller by a good part. False where nobody has read all rows yet.
    fn has_gaps(&self) -> Result<bool, StorageError> {
        let Some(size) = self.looked.size.get() else {
            return Ok(false);
        };
        let full = size.of_rows(self.opened()?.rows.len()?);
        let gaps = compaction::bytes_on_disk(&self.file)?.saturating_sub(full);
        Ok(gaps >= GAPS_MIN && gaps >= full / GAPS_PART)
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
            .open_table(SEALED)
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
            Ok((open, mut size)) => {
                self.open = open;
                // Rows that fill no page leave gaps that no compaction closes: they count as bytes of the rows.
                let taken = compaction::bytes_on_disk(&self.file).unwrap_or_default();
                size.bytes = size.bytes.max(taken);
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
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(file)?;
    let map = RedbMap {
        file: PathBuf::new(),
        open: Some(Open::over(database)?),
        looked: Arc::default(),
        compaction: None,
        commits: 0,
    };
    RedbStorage::open(map)
}

impl Open {
    fn file(file: &Path) -> Result<Self, StorageError> {
        let is_new = !file.exists();
        if is_new {
            new_file::make(file, |new| {
                drop(Self::over(Database::create(new)?)?);
                Ok(())
            })?;
        }
        for_owner_only(file)?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(file)
            .map_err(in_use)?;
        let open = Self::over(database)?;
        if is_new {
            new_file::remove_unfinished(file);
        }
        Ok(open)
    }

    fn over(database: Database) -> Result<Self, StorageError> {
        let form = match Form::of(&database)? {
            Some(form) => form,
            None => {
                let first = database.begin_write()?;
                first.open_table(SEALED)?;
                first.commit()?;
                Form::Sealed
            }
        };
        let rows = database.begin_read()?.open_table(form.table())?;
        let commit = match rows.get(COMMIT_KEY)? {
            Some(number) => number_of(form.open(COMMIT_KEY, number.value())?)?,
            None => 0,
        };
        Ok(Self {
            database: Arc::new(database),
            rows,
            form,
            commit,
        })
    }

    /// The committed rows as they are now. They are there for as long as the database is held open.
    fn frozen(&self, database: Option<Arc<Database>>) -> Result<FrozenRows, StorageError> {
        let rows = self.database.begin_read()?.open_table(self.form.table())?;
        Ok(FrozenRows {
            rows,
            form: self.form,
            _database: database,
        })
    }

    pub(super) fn commit(&mut self, changes: &Changes) -> Result<(), StorageError> {
        let write = self.database.begin_write()?;
        let commit = self.commit + 1;
        {
            let mut rows = write.open_table(self.form.table())?;
            for (key, value) in changes {
                match (value, self.form) {
                    (Some(value), Form::Plain) => rows.insert(key.as_slice(), value.as_slice())?,
                    (Some(value), Form::Sealed) => {
                        rows.insert(key.as_slice(), seal(key, value, commit).as_slice())?
                    }
                    (None, _) => rows.remove(key.as_slice())?,
                };
            }
            if self.form == Form::Sealed {
                let number = seal(COMMIT_KEY, &commit.to_le_bytes(), commit);
                rows.insert(COMMIT_KEY, number.as_slice())?;
            }
        }
        write.commit()?;
        self.commit = commit;
        self.rows = self.database.begin_read()?.open_table(self.form.table())?;
        Ok(())
    }
}

/// The number of a commit, as its row has it.
fn number_of(bytes: &[u8]) -> Result<u64, StorageError> {
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| StorageError::Damaged {
        what: "the number of the newest commit is none",
    })?;
    Ok(u64::from_le_bytes(bytes))
}

/// A row that stands where the order of keys does not have it: a page came in the place of another.
const OUT_OF_ORDER: StorageError = StorageError::Damaged {
    what: "rows are not in the order of their keys",
};

/// Rows that are put into a copy at a time.
const ROWS_AT_ONCE: usize = 10_000;

/// Committed rows in a file, as they were at one moment.
struct FrozenRows {
    rows: Table,
    form: Form,
    /// Held open for as long as the rows are read.
    _database: Option<Arc<Database>>,
}

impl Frozen for FrozenRows {
    fn each(&self, take: &mut TakeRow<'_>) -> Result<(), StorageError> {
        let (mut last, mut count) = (Vec::new(), 0);
        for row in ReadableTable::iter(&self.rows)? {
            let (key, value) = row?;
            let key = key.value();
            if count > 0 && key <= last.as_slice() {
                return Err(OUT_OF_ORDER);
            }
            last.clear();
            last.extend_from_slice(key);
            count += 1;
            let value = self.form.open(key, value.value())?;
            if key != COMMIT_KEY {
                take(key, value)?;
            }
        }
        match count == self.rows.len()? {
            true => Ok(()),
            false => Err(StorageError::Damaged {
                what: "there are not as many rows as the database counted",
            }),
        }
    }

    fn has_checksums(&self) -> bool {
        self.form == Form::Sealed
    }
}

/// The error of an opening: another process is no fault of the data.
fn in_use(error: ::redb::DatabaseError) -> StorageError {
    match error {
        ::redb::DatabaseError::DatabaseAlreadyOpen => StorageError::InUse,
        other => other.into(),
    }
}

/// The rows of a file that nobody writes; the file is not changed.
pub(super) fn read_file(file: &Path) -> Result<Box<dyn Frozen>, StorageError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .open_read_only(file)
        .map_err(in_use)?;
    let form = Form::of(&database)?.ok_or(StorageError::Damaged {
        what: "the database has no rows",
    })?;
    let rows = database.begin_read()?.open_table(form.table())?;
    Ok(Box::new(FrozenRows {
        _database: None,
        rows,
        form,
    }))
}

/// Copies rows into a new file, which is durable and closed when this returns.
pub(super) fn write_file(
    file: &Path,
    rows: &dyn Frozen,
    seen: impl FnMut(&[u8], &[u8]),
) -> Result<(), StorageError> {
    copy_rows(file, rows, seen).map(drop)
}

/// Copies rows into a new file, and leaves it open.
pub(super) fn copy_rows(
    file: &Path,
    rows: &dyn Frozen,
    mut seen: impl FnMut(&[u8], &[u8]),
) -> Result<Open, StorageError> {
    for_owner_only(file)?;
    let mut copy = Open::file(file)?;
    let mut some = Changes::new();
    rows.each(&mut |key, value| {
        seen(key, value);
        some.insert(key.to_vec(), Some(value.to_vec()));
        match some.len() < ROWS_AT_ONCE {
            true => Ok(()),
            false => copy.commit(&std::mem::take(&mut some)),
        }
    })?;
    copy.commit(&some)?;
    Ok(copy)
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
        let open = self.open.as_mut().ok_or(StorageError::Closed)?;
        let result = open.commit(&changes);
        self.commits += 1;
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

/// One conversion per step of redb, all into its own sum of errors.
macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for StorageError {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })*
    };
}

from_redb!(
    ::redb::DatabaseError,
    ::redb::TransactionError,
    ::redb::TableError,
    ::redb::StorageError,
    ::redb::CommitError
);
