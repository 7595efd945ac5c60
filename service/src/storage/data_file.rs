//! One file of the database: its forms of rows, a commit, a committed state to read, and the copy of one into a new file.

use std::path::Path;
use std::sync::Arc;

use ::redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, TableError,
};

use super::StorageError;
use super::compaction::{self, Reached, Size};
use super::keyed::{Changes, Frozen, TakeRow};
use super::new_file::{self, for_owner_only};
use super::seal::{seal, unseal};

/// All rows with their checksums; the first byte of a key tells the kinds apart (see `key.rs`).
pub(super) const SEALED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("sealed rows");

/// All rows of data that an earlier build made: without checksums.
const PLAIN: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// The result of the copy that the file is: rows, their bytes, bytes of the disk. Without it a start makes a copy more.
const REACHED: TableDefinition<'_, (), (u64, u64, u64)> = TableDefinition::new("reached");

/// The row with the number of the newest commit; no row of the storage has this key.
pub(super) const COMMIT_KEY: &[u8] = &[0];

/// Memory for pages that were read: enough for the working set of some ten thousand clients, and
/// small beside the memory that their connections need.
pub(super) const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// An open database, and its newest committed state.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) database: Arc<Database>,
    /// The newest committed state; replaced after every commit, so reads open no transaction.
    pub(super) rows: Table,
    pub(super) form: Form,
    /// The number of the newest commit.
    commit: u64,
}

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
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

    pub(super) fn open<'a>(self, key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StorageError> {
        match self {
            Self::Sealed => Ok(unseal(key, value)?.0),
            Self::Plain => Ok(value),
        }
    }
}

impl Open {
    pub(super) fn file(file: &Path) -> Result<Self, StorageError> {
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

    pub(super) fn over(database: Database) -> Result<Self, StorageError> {
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
    pub(super) fn frozen(
        &self,
        database: Option<Arc<Database>>,
    ) -> Result<FrozenRows, StorageError> {
        let rows = self.database.begin_read()?.open_table(self.form.table())?;
        Ok(FrozenRows {
            rows,
            form: self.form,
            _database: database,
        })
    }

    /// The note about the copy that this file is. One that cannot be read is none.
    pub(super) fn reached(&self) -> Option<Reached> {
        let notes = self.database.begin_read().ok()?.open_table(REACHED).ok()?;
        let (rows, bytes, taken) = notes.get(()).ok()??.value();
        Some(Reached {
            rows: Size { rows, bytes },
            taken,
        })
    }

    fn note(&self, reached: Reached) -> Result<(), StorageError> {
        let Reached { rows, taken } = reached;
        let write = self.database.begin_write()?;
        write
            .open_table(REACHED)?
            .insert((), (rows.rows, rows.bytes, taken))?;
        Ok(write.commit()?)
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
pub(super) const OUT_OF_ORDER: StorageError = StorageError::Damaged {
    what: "rows are not in the order of their keys",
};

/// Rows that are put into a copy at a time.
const ROWS_AT_ONCE: usize = 10_000;

/// Committed rows in a file, as they were at one moment.
pub(super) struct FrozenRows {
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

/// Copies rows into a new file, notes the room that they take, and leaves the file open.
pub(super) fn copy_rows(
    file: &Path,
    rows: &dyn Frozen,
    mut seen: impl FnMut(&[u8], &[u8]),
) -> Result<(Open, Reached), StorageError> {
    for_owner_only(file)?;
    let mut copy = Open::file(file)?;
    let (mut some, mut size) = (Changes::new(), Size::default());
    rows.each(&mut |key, value| {
        seen(key, value);
        size.add(key, value);
        some.insert(key.to_vec(), Some(value.to_vec()));
        match some.len() < ROWS_AT_ONCE {
            true => Ok(()),
            false => copy.commit(&std::mem::take(&mut some)),
        }
    })?;
    copy.commit(&some)?;
    let reached = Reached {
        rows: size,
        taken: compaction::bytes_on_disk(file)?,
    };
    copy.note(reached)?;
    Ok((copy, reached))
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
