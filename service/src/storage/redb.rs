//! The storage on disk: one redb file, one table, one durable transaction a batch.

use std::path::{Path, PathBuf};

use ::redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use super::keyed::{Changes, Frozen, Keyed, Map, Row, TakeRow};
use super::{Order, StorageError};

/// All rows; their first byte tells the kinds apart (see `key.rs`).
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// The file in the data folder.
const FILE: &str = "sampan-service.redb";

/// Memory for pages that were read: enough for the working set of some ten thousand clients, and
/// small beside what their connections need.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

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
        Self::open(RedbMap::open(&Self::file_in(folder))?)
    }

    /// The file of the database in a data folder.
    #[must_use]
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }
}

/// Committed rows in a redb table.
///
/// redb refuses everything after a failure of the disk, also when the disk works again. Then the
/// file is opened anew: what was committed is there, and the batch that failed is not.
#[derive(Debug)]
pub struct RedbMap {
    file: PathBuf,
    /// None after a failure, until it could be opened anew.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    database: Database,
    /// The newest committed state; replaced after every commit, so reads open no transaction.
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl RedbMap {
    fn open(file: &Path) -> Result<Self, StorageError> {
        Ok(Self {
            file: file.to_owned(),
            open: Some(Open::file(file)?),
        })
    }

    fn rows(&self) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, StorageError> {
        let open = self.open.as_ref().ok_or(StorageError::Closed)?;
        Ok(&open.rows)
    }
}

impl Open {
    fn file(file: &Path) -> Result<Self, StorageError> {
        for_owner_only(file)?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(file)
            .map_err(|error| match error {
                ::redb::DatabaseError::DatabaseAlreadyOpen => StorageError::InUse,
                other => other.into(),
            })?;
        let first = database.begin_write()?;
        first.open_table(ROWS)?;
        first.commit()?;
        let rows = database.begin_read()?.open_table(ROWS)?;
        Ok(Self { database, rows })
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StorageError> {
        let write = self.database.begin_write()?;
        {
            let mut rows = write.open_table(ROWS)?;
            for (key, value) in changes {
                match value {
                    Some(value) => rows.insert(key.as_slice(), value.as_slice())?,
                    None => rows.remove(key.as_slice())?,
                };
            }
        }
        write.commit()?;
        self.rows = self.database.begin_read()?.open_table(ROWS)?;
        Ok(())
    }
}

/// Rows that are put into a copy at a time.
const ROWS_AT_ONCE: usize = 10_000;

/// Committed rows in a file, as they were at one moment.
struct FrozenRows(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Frozen for FrozenRows {
    fn each(&self, take: &mut TakeRow<'_>) -> Result<(), StorageError> {
        for row in ReadableTable::iter(&self.0)? {
            let (key, value) = row?;
            take(key.value(), value.value())?;
        }
        Ok(())
    }
}

/// The rows of a file that nobody writes; the file is not changed.
pub(super) fn read_file(file: &Path) -> Result<Box<dyn Frozen>, StorageError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .open_read_only(file)?;
    let rows = database.begin_read()?.open_table(ROWS)?;
    Ok(Box::new(FrozenRows(rows)))
}

/// Copies rows into a new file, which is durable and closed when this returns.
pub(super) fn write_file(
    file: &Path,
    rows: &dyn Frozen,
    mut seen: impl FnMut(&[u8], &[u8]),
) -> Result<(), StorageError> {
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
    copy.commit(&some)
}

/// Makes the file if it is missing, and readable for nobody but its owner: it holds what people say
/// to each other.
#[cfg(unix)]
fn for_owner_only(file: &Path) -> std::io::Result<()> {
    use std::fs::{OpenOptions, Permissions, set_permissions};
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)?;
    set_permissions(file, Permissions::from_mode(0o600))
}

/// Who may read a file is not said by its mode here.
#[cfg(not(unix))]
fn for_owner_only(_: &Path) -> std::io::Result<()> {
    Ok(())
}

impl Map for RedbMap {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.rows()?.get(key)?.map(|value| value.value().to_vec()))
    }

    fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
        order: Order,
    ) -> Result<Box<dyn Iterator<Item = Result<Row, StorageError>> + 'a>, StorageError> {
        let rows = ReadableTable::range::<&[u8]>(self.rows()?, from..to)?.map(|row| {
            let (key, value) = row?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        });
        Ok(match order {
            Order::OldestFirst => Box::new(rows),
            Order::NewestFirst => Box::new(rows.rev()),
        })
    }

    fn frozen(&self) -> Result<Box<dyn Frozen>, StorageError> {
        let open = self.open.as_ref().ok_or(StorageError::Closed)?;
        let rows = open.database.begin_read()?.open_table(ROWS)?;
        Ok(Box::new(FrozenRows(rows)))
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StorageError> {
        let open = self.open.as_mut().ok_or(StorageError::Closed)?;
        let result = open.commit(&changes);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn is_sound(&self) -> bool {
        self.open.is_some()
    }

    fn recover(&mut self) -> Result<(), StorageError> {
        // The old one has to let go of the file first.
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
