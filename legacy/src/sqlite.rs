//! A copy of a SQLite file with its journals, and the rows in it.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::facts::{Cache, Damage, Kind};
use crate::row::{Cell, Row};
use crate::{LegacyError, Watch};

/// The endings of the files that belong to a SQLite file.
const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The rows between two questions to the watcher.
const WATCH_EVERY: u64 = 500;

/// A copy that is open; it is removed in the end.
pub(crate) struct Database {
    connection: Connection,
    _copy: Copy,
}

/// The files of a copy.
struct Copy {
    file: PathBuf,
}

impl Drop for Copy {
    fn drop(&mut self) {
        for ending in std::iter::once("").chain(JOURNALS) {
            // A missing file needs no removal.
            let _ = fs::remove_file(beside(&self.file, ending));
        }
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Database {
    /// Copies the file with its journals and opens the copy for writing, so SQLite merges the journals.
    pub(crate) fn copy_of(path: &Path, scratch: &Path) -> Result<Self, LegacyError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| LegacyError::Io { path, source }
        };
        fs::create_dir_all(scratch).map_err(fail(scratch))?;
        let copy = Copy {
            file: scratch.join("legacy-cache.sqlite"),
        };
        for ending in std::iter::once("").chain(JOURNALS) {
            let (from, to) = (beside(path, ending), beside(&copy.file, ending));
            match fs::copy(&from, &to) {
                Ok(_) => {}
                Err(error)
                    if !ending.is_empty() && error.kind() == std::io::ErrorKind::NotFound =>
                {
                    // A copy that an earlier try left must not lend its journal.
                    let _ = fs::remove_file(&to);
                }
                Err(error) => return Err(fail(&from)(error)),
            }
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&copy.file, flags).map_err(no_database)?;
        // A database without tables is a database too; a file of another kind fails here.
        connection
            .query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
            .map_err(no_database)?;
        Ok(Self {
            connection,
            _copy: copy,
        })
    }

    /// The SDK whose tables are there.
    pub(crate) fn kind(&self) -> Result<Option<Kind>, LegacyError> {
        let columns = |table| self.columns(table).map_err(no_database);
        let has = |columns: &[String], name: &str| columns.iter().any(|column| column == name);
        let message = columns("message")?;
        if has(&message, "sent_timestamp") {
            return Ok(Some(Kind::Swift));
        }
        if has(&message, "payload") {
            return Ok(Some(Kind::ObjectiveC));
        }
        let is_java =
            has(&columns("messages")?, "payload") || has(&columns("conversations")?, "lm");
        Ok(is_java.then_some(Kind::Java))
    }

    /// The number of rows to read, as far as they can be counted.
    pub(crate) fn count(&self, kind: Option<Kind>) -> u64 {
        let tables: &[&str] = match kind {
            None => &[],
            Some(Kind::Swift) => &["conversation", "message", "last_message"],
            Some(Kind::ObjectiveC) => &["conversation", "conversation_v2", "message"],
            Some(Kind::Java) => &["conversations", "messages"],
        };
        let count = |table: &&str| {
            let asked = format!("SELECT count(*) FROM \"{table}\"");
            let count = self
                .connection
                .query_row(&asked, [], |row| row.get::<_, i64>(0));
            count.map_or(0, |count| u64::try_from(count).unwrap_or(0))
        };
        tables.iter().map(count).sum()
    }

    /// The columns of a table; none for a table that is not there.
    fn columns(&self, table: &str) -> rusqlite::Result<Vec<String>> {
        let asked = format!("PRAGMA table_info(\"{table}\")");
        let mut statement = self.connection.prepare(&asked)?;
        let names = statement.query_map([], |row| row.get::<_, String>(1))?;
        names.collect()
    }

    /// Reads a table, oldest row first. If a page is damaged, the rest is read from the newest row back to the
    /// damage, and the damage is noted in the cache.
    pub(crate) fn rows(
        &self,
        table: &'static str,
        cache: &mut Cache,
        progress: &mut Progress<'_>,
        each: impl Fn(&mut Cache, Row<'_>),
    ) -> Result<(), LegacyError> {
        let columns = match self.columns(table) {
            Ok(columns) if columns.is_empty() => return Ok(()),
            Ok(columns) => columns,
            Err(error) => {
                note(cache, table, &error);
                return Ok(());
            }
        };
        let mut last = None;
        let Err(error) = self.pass(table, &columns, "ASC", progress, |row| {
            last = Some(row.number);
            each(cache, row);
            ControlFlow::Continue(())
        })?
        else {
            return Ok(());
        };
        note(cache, table, &error);
        // This pass ends at the damage too, unless the rows of the first pass come before.
        let _ = self.pass(table, &columns, "DESC", progress, |row| {
            if last.is_some_and(|last| row.number <= last) {
                return ControlFlow::Break(());
            }
            each(cache, row);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    fn pass(
        &self,
        table: &str,
        columns: &[String],
        order: &str,
        progress: &mut Progress<'_>,
        mut each: impl FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<rusqlite::Result<()>, LegacyError> {
        let asked = format!("SELECT rowid, * FROM \"{table}\" ORDER BY rowid {order}");
        let mut statement = match self.connection.prepare(&asked) {
            Ok(statement) => statement,
            Err(error) => return Ok(Err(error)),
        };
        let mut rows = match statement.query([]) {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            progress.note()?;
            let cells = (1..=columns.len()).map(|at| row.get_ref(at).map_or(Cell::Null, cell));
            let row = Row {
                number: row.get(0).unwrap_or(0),
                columns,
                cells: cells.collect(),
            };
            if each(row).is_break() {
                return Ok(Ok(()));
            }
        }
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => Cell::Text(bytes.to_vec()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    }
}

fn no_database(error: rusqlite::Error) -> LegacyError {
    LegacyError::NoDatabase {
        reason: error.to_string(),
    }
}

fn note(cache: &mut Cache, table: &'static str, error: &rusqlite::Error) {
    cache.damage.push(Damage {
        table,
        reason: error.to_string(),
    });
}

/// Counts rows and asks the watcher now and then.
pub(crate) struct Progress<'a> {
    rows: u64,
    all: u64,
    watch: Watch<'a>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(all: u64, watch: Watch<'a>) -> Self {
        Self {
            rows: 0,
            all,
            watch,
        }
    }

    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    fn note(&mut self) -> Result<(), LegacyError> {
        if self.rows.is_multiple_of(WATCH_EVERY) && (self.watch)(self.rows, self.all).is_break() {
            return Err(LegacyError::Stopped);
        }
        self.rows += 1;
        Ok(())
    }
}
