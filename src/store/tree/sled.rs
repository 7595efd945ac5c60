//! The embedded database: the only file that names sled.
//!
//! sled is fast and its log is atomic. The store works around these points, each measured or read in sled's
//! source:
//!
//! - A snapshot or configuration file that a kill cut off makes sled refuse to open for ever. The store
//!   deletes such files first; they are only an index.
//! - Damaged bytes make sled panic. The store catches the panic.
//! - On Linux sled's flush never calls fsync. The store does, after every batch and before the next, because
//!   unsynced writes can destroy synced ones (`tree/sync_thread.rs`).
//! - sled never syncs the files that it creates. The store does after opening, beside the first reads.
//! - sled's background flusher wakes an idle phone, or does not exist. The store turns it off.

use std::fs::{self, File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{io, thread};

use crate::store::disk::sync_folder;
use crate::store::error::StoreError;
use crate::store::format::frame;
use crate::store::tree::in_flight::InFlight;
use crate::store::tree::pending::{scan_over, value_over};
use crate::store::tree::segment_cleaner::SegmentCleaner;
use crate::store::tree::sync_thread::SyncThread;
use crate::store::tree::{ApplyRequest, Direction, KeyRange, Kv, KvBatch, Visit, is_empty};

/// The embedded database's folder inside the store's.
pub(crate) const TREE_FOLDER: &str = "db";

/// The options of opening the database.
#[derive(Clone, Debug)]
pub(crate) struct DbOptions {
    /// The folder, made if missing.
    pub(crate) folder: PathBuf,
    /// The cache, in bytes; the process needs about twice as much.
    pub(crate) cache_bytes: u64,
    /// The time that opening may take before the folder counts as beyond opening.
    pub(crate) open_timeout: Duration,
}

impl DbOptions {
    /// The file that holds the data.
    pub(crate) fn data_file(&self) -> PathBuf {
        self.folder.join("db")
    }
}

/// An open database.
#[derive(Debug)]
pub(crate) struct SledKv {
    cleaner: Arc<SegmentCleaner>,
    db: sled::Db,
    in_flight: InFlight,
    /// Applies the batch in flight, flushes and syncs.
    sync_thread: SyncThread,
    cache_bytes: u64,
    /// Dropped last.
    _end: UntilClosed,
}

/// Waits, when it is dropped, until a database that was dropped before it has closed its data file: sled
/// closes the file on threads of its own, and the caller that closes a store wants to know that it is closed.
#[derive(Debug)]
struct UntilClosed(PathBuf);

impl Drop for UntilClosed {
    fn drop(&mut self) {
        for _ in 0..LOCK_TRIES {
            // sled holds the file's lock as long as it has it open. One that was moved away or
            // can't be opened any more is not waited for.
            match File::open(&self.0).map(|file| file.try_lock()) {
                Ok(Err(TryLockError::WouldBlock)) => thread::sleep(LOCK_PAUSE),
                _ => return,
            }
        }
    }
}

impl SledKv {
    /// Heals the folder, opens the database and begins to make everything durable that the opening wrote, the
    /// names of files included. The next batch waits for that; reads do not.
    ///
    /// A database that hangs is left on its thread and reported as damaged, so the caller can move the folder
    /// away and go on. A database that hangs or panics because of its surroundings is a failure of the system:
    /// see [`open_database`].
    pub(crate) fn open(options: &DbOptions) -> Result<Self, StoreError> {
        let failed = |e: io::Error| io_or_damage("opening the database", &e);
        fs::create_dir_all(&options.folder).map_err(failed)?;
        heal(&options.folder).map_err(failed)?;
        let db = open_database(options)?;
        let data = File::open(options.data_file()).map_err(failed)?;
        let folder = options.folder.clone();
        let cleaner = Arc::new(SegmentCleaner::default());
        let in_flight = InFlight::default();
        let before = {
            let (db, cleaner) = (db.clone(), Arc::clone(&cleaner));
            let in_flight = in_flight.clone();
            move || arrived(&db, &cleaner, &in_flight).map_err(io::Error::other)
        };
        let whole = move || sync_tree(&folder);
        let each = move || make_durable(&data);
        let sync_thread = SyncThread::start(before, whole, each).map_err(failed)?;
        let _end = UntilClosed(options.data_file());
        let cache_bytes = options.cache_bytes;
        Ok(Self {
            cleaner,
            db,
            in_flight,
            sync_thread,
            cache_bytes,
            _end,
        })
    }
}

/// How often a key is touched: nine keys a page, or more, make more than half a list full.
const TOUCHES: usize = 4;

/// Reads a key some more times. For every 256th page sled notes the readers, and checks the size of its cache
/// when the note has 64 entries. A walk that reads each page once would therefore load the whole tree into
/// memory. A tree of 237 MB took 222 MB of memory; with touched keys the walk takes 25 MB and a quarter of the
/// time.
fn touch(db: &sled::Db, key: &[u8]) -> Result<(), sled::Error> {
    (0..TOUCHES).try_for_each(|_| db.get(key).map(drop))
}

/// Applies batches, each over the one before it, in one of sled's.
fn apply(db: &sled::Db, batches: &[&KvBatch]) -> Result<(), StoreError> {
    let mut changes = sled::Batch::default();
    for (key, value) in batches.iter().flat_map(|batch| &batch.changes) {
        match value {
            Some(value) => changes.insert(key.as_slice(), value.as_slice()),
            None => changes.remove(key.as_slice()),
        }
    }
    guarded("the commit", || db.apply_batch(changes))
}

/// Puts the batch under way into the database, and writes out all of it.
fn arrived(
    db: &sled::Db,
    cleaner: &SegmentCleaner,
    in_flight: &InFlight,
) -> Result<(), StoreError> {
    if let Some(load) = in_flight.load() {
        apply(db, &[&load.batch])?;
        in_flight.arrived();
        guarded("a read", || {
            load.seldom.iter().try_for_each(|key| touch(db, key))
        })?;
    }
    flushed(db, cleaner)
}

/// The failure of an attempt to open a database.
enum OpenFailure {
    /// For a reason that the database or the system named.
    Named(StoreError),
    /// The database panicked.
    GaveUp,
    /// The database did not come back in time.
    Hangs,
}

/// Opens a database.
///
/// A panic or a hang does not tell if the bytes or the surroundings are the cause: a clock before 1970, or a
/// missing thread, makes the database panic too. In this case a new, empty database is opened beside it. If
/// that fails as well, the system is the cause, and the error is [`StoreError::Io`]. Otherwise the folder has a
/// second chance after a panic, and counts as damaged after that.
fn open_database(options: &DbOptions) -> Result<sled::Db, StoreError> {
    let damaged = |failure| match failure {
        OpenFailure::Named(error) => error,
        OpenFailure::GaveUp => StoreError::damaged("the database gave up during opening"),
        OpenFailure::Hangs => StoreError::damaged("the database hangs while opening"),
    };
    match try_opening(options) {
        Ok(db) => Ok(db),
        Err(OpenFailure::Named(error)) => Err(error),
        Err(OpenFailure::Hangs) => {
            open_trial(options)?;
            Err(damaged(OpenFailure::Hangs))
        }
        Err(OpenFailure::GaveUp) => {
            open_trial(options)?;
            try_opening(options).map_err(damaged)
        }
    }
}

/// Opens a new database beside a folder, and removes it again.
///
/// # Errors
///
/// [`StoreError::Io`] when no database can be opened here now.
pub(crate) fn open_trial(options: &DbOptions) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::io("opening the database", &error);
    let mut folder = options.folder.clone().into_os_string();
    folder.push(TRIAL_SUFFIX);
    let trial = DbOptions {
        folder: PathBuf::from(folder),
        open_timeout: options.open_timeout.min(TRIAL_TIMEOUT),
        ..options.clone()
    };
    let remove = || match fs::remove_dir_all(&trial.folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    };
    remove()?;
    fs::create_dir_all(&trial.folder).map_err(failed)?;
    let opened = try_opening(&trial);
    let during = "opening the database";
    let refusal = match &opened {
        Ok(_) => None,
        Err(OpenFailure::Named(error)) => Some(StoreError::Io {
            during,
            trouble: error.trouble(),
            reason: error.to_string(),
        }),
        Err(OpenFailure::GaveUp) => Some(StoreError::device(
            during,
            "no database can be opened here now",
        )),
        Err(OpenFailure::Hangs) => {
            Some(StoreError::device(during, "no database opens here in time"))
        }
    };
    let closed = UntilClosed(trial.data_file());
    drop(opened);
    drop(closed);
    // One that can't be removed is in nobody's way, and is tried again the next time.
    let _ = remove();
    refusal.map_or(Ok(()), Err)
}

/// The end of a trial's name.
pub(crate) const TRIAL_SUFFIX: &str = ".trial";

/// How long a trial may take, at most.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a database on a thread of its own, so that a hang can be told.
fn try_opening(options: &DbOptions) -> Result<sled::Db, OpenFailure> {
    let failed = |e: io::Error| OpenFailure::Named(io_or_damage("opening the database", &e));
    let (done, opened) = mpsc::sync_channel(1);
    let config = options.clone();
    thread::Builder::new()
        .name("sampan-store-open".to_owned())
        .spawn(move || {
            // Nobody waits any more when the open came too late; the database closes then.
            let _ = done.send(open_caught(&config));
        })
        .map_err(failed)?;
    match opened.recv_timeout(options.open_timeout) {
        Ok(opened) => opened,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(OpenFailure::Hangs),
        // The thread ended without a word: it panicked.
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(OpenFailure::GaveUp),
    }
}

fn open_caught(options: &DbOptions) -> Result<sled::Db, OpenFailure> {
    let config = sled::Config::new()
        .path(&options.folder)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(None);
    // A database that was dropped a moment ago may still hold its lock in a thread of its own;
    // our lock on the store's folder says that nobody else has it.
    for _ in 0..LOCK_TRIES {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            surroundings::meet(&options.folder);
            guarded_errors("opening the database", config.open())
        }));
        match opened {
            Err(_) => return Err(OpenFailure::GaveUp),
            Ok(Err(StoreError::Io { reason, .. })) if reason.contains("could not acquire lock") => {
                thread::sleep(LOCK_PAUSE);
            }
            Ok(done) => return done.map_err(OpenFailure::Named),
        }
    }
    Err(OpenFailure::Named(StoreError::InUse { holder: None }))
}

/// How often a lock that is still held is tried again: 2 s in all.
const LOCK_TRIES: u32 = 400;

/// The pause between two tries of a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Runs a call of sled, its panics turned into damage and its errors into ours.
fn guarded<T>(
    during: &'static str,
    call: impl FnOnce() -> Result<T, sled::Error>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(called) => guarded_errors(during, called),
        Err(_) => Err(StoreError::damaged(format!(
            "the database gave up during {during}"
        ))),
    }
}

/// Turns errors of sled into ours.
fn guarded_errors<T>(
    during: &'static str,
    called: Result<T, sled::Error>,
) -> Result<T, StoreError> {
    called.map_err(|error| match error {
        sled::Error::Io(error) => io_or_damage(during, &error),
        sled::Error::Corruption { .. } => StoreError::damaged("the database"),
        error => StoreError::damaged(format!("the database: {error}")),
    })
}

/// The surroundings of a database, for tests: a clock before 1970, or no thread to be had.
#[cfg(test)]
pub(crate) mod surroundings {
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    /// The failure of each database that is opened below a folder.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Failing {
        /// It panics.
        Panics,
        /// It never comes back.
        Hangs,
    }

    static FAILING: Mutex<Vec<(PathBuf, Failing)>> = Mutex::new(Vec::new());

    /// Lets every database below a folder fail so, or none any more.
    pub(crate) fn set(folder: &Path, failing: Option<Failing>) {
        let mut all = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(other, _)| other != folder);
        all.extend(failing.map(|failing| (folder.to_path_buf(), failing)));
    }

    pub(super) fn meet(folder: &Path) {
        let all = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|(below, _)| folder.starts_with(below));
        let failing = found.map(|(_, failing)| *failing);
        drop(all);
        match failing {
            None => {}
            Some(Failing::Panics) => panic!("the clock is before 1970"),
            Some(Failing::Hangs) => loop {
                thread::park();
            },
        }
    }
}

/// Writes out the database's buffers, and moves the pages that are to be moved before.
fn flushed(db: &sled::Db, cleaner: &SegmentCleaner) -> Result<(), StoreError> {
    let mut tree = None;
    guarded("the flush", || {
        cleaner.clean(|change| {
            if tree.is_none() {
                tree = Some(db.open_tree(CLEANING)?);
            }
            tree.iter()
                .try_for_each(|tree| tree.insert([], &[change]).map(drop))
        })?;
        db.flush().map(drop)
    })
}

/// The tree in which nothing is ever looked up: see `tree/segment_cleaner.rs`.
const CLEANING: &str = "cleaning";

/// A failure of the flush, or of the sync behind it.
fn of_flush(error: io::Error) -> StoreError {
    let told = error.downcast::<StoreError>();
    told.unwrap_or_else(|error| StoreError::io("the flush", &error))
}

/// A failure of the files: missing bytes and wrong files are damage; everything else is a refusal of the
/// operating system.
pub(crate) fn io_or_damage(during: &'static str, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidData => {
            StoreError::damaged(format!("the database's files: {error}"))
        }
        _ => StoreError::io(during, error),
    }
}

/// Visits the keys of a range.
fn scan(
    db: &sled::Db,
    range: KeyRange<'_>,
    direction: Direction,
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    if is_empty(range) {
        return Ok(());
    }
    guarded("a scan", || {
        let mut found = db.range::<&[u8], _>(range);
        loop {
            let next = match direction {
                Direction::Forward => found.next(),
                Direction::Backward => found.next_back(),
            };
            let Some(pair) = next else { return Ok(()) };
            let (key, value) = pair?;
            if visit(&key, &value).is_break() {
                return Ok(());
            }
        }
    })
}

impl Kv for SledKv {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let below = || {
            let found = guarded("a read", || self.db.get(key))?;
            Ok(found.map(|value| value.to_vec()))
        };
        match self.in_flight.load() {
            Some(load) => value_over(&load.batch.changes, key, below),
            None => below(),
        }
    }

    fn scan(
        &self,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let below = |visit: Visit<'_>| scan(&self.db, range, direction, visit);
        match self.in_flight.load() {
            Some(load) => scan_over(&load.batch.changes, range, direction, visit, below),
            None => below(visit),
        }
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), StoreError> {
        self.wait_flushed()?;
        // Also a batch that failed may have written something.
        self.sync_thread.note_written();
        self.cleaner.owe(batch.size());
        let Some(before) = self.in_flight.load() else {
            return apply(&self.db, &[batch]);
        };
        // It failed, and is told now: it comes first.
        apply(&self.db, &[&before.batch, batch])?;
        self.in_flight.arrived();
        Ok(())
    }

    fn fill(&self, batch: &KvBatch) -> Result<(), StoreError> {
        self.sync_thread.note_written();
        // A batch of sled's would be applied in the order of a hash.
        batch.changes.iter().try_for_each(|(key, value)| {
            guarded("a copy", || {
                match value {
                    Some(value) => self.db.insert(key, value.as_slice())?,
                    None => self.db.remove(key)?,
                };
                touch(&self.db, key)
            })
        })
    }

    fn let_go(&self, keys: &mut dyn Iterator<Item = &[u8]>) -> Result<(), StoreError> {
        guarded("a read", || {
            for key in keys {
                touch(&self.db, key)?;
            }
            Ok(())
        })
    }

    fn begin_apply(&self, mut load: ApplyRequest) -> Result<(), StoreError> {
        self.wait_flushed()?;
        self.sync_thread.note_written();
        self.cleaner.owe(load.batch.size());
        // One that is still under way failed, and comes first.
        if let Some(before) = self.in_flight.load() {
            let later = std::mem::replace(&mut load.batch, before.batch.clone());
            load.batch.changes.extend(later.changes);
        }
        self.in_flight.send(load);
        self.sync_thread.begin().map_err(of_flush)
    }

    fn begin_flush(&self) -> Result<(), StoreError> {
        self.sync_thread.begin().map_err(of_flush)
    }

    fn wait_flushed(&self) -> Result<(), StoreError> {
        self.sync_thread.wait().map_err(of_flush)
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        guarded("a read", || self.db.size_on_disk())
    }

    fn cache_bytes(&self) -> u64 {
        self.cache_bytes
    }
}

/// Deletes files that a kill may have left half written: unfinished or torn snapshots, a torn configuration.
/// The database makes both anew from the log.
fn heal(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unfinished = name.starts_with("snap.") && name.ends_with(".generating");
        let torn = (name.starts_with("snap.") && !is_whole(&entry.path(), 12)?)
            || (name == "conf" && !is_whole(&entry.path(), 8)?);
        if torn && frame::find_magic(&fs::read(entry.path())?).is_some() {
            // The files changed places: this file is not an index, and must not be lost.
            return Err(io::ErrorKind::InvalidData.into());
        }
        if unfinished || torn {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// True if the last four bytes of a file are the CRC32 of the rest, less the other bytes of the
/// `trailer`. sled writes a snapshot with a trailer of 12 bytes (a length and the CRC), and a
/// configuration, longer than 8 bytes, with one of 4.
fn is_whole(path: &Path, longer_than: usize) -> io::Result<bool> {
    let bytes = fs::read(path)?;
    if bytes.len() <= longer_than {
        return Ok(false);
    }
    let Some((rest, crc)) = bytes.split_last_chunk::<4>() else {
        return Ok(false);
    };
    let uncounted = if longer_than == 12 { 8 } else { 0 };
    let counted = rest
        .get(..rest.len().saturating_sub(uncounted))
        .unwrap_or_default();
    Ok(crc32fast::hash(counted) == u32::from_le_bytes(*crc))
}

/// Makes the data file durable after the database has written it. This is the only difference between
/// platforms: on Linux the database's own flush does not sync, on others it does.
fn make_durable(data: &File) -> io::Result<()> {
    if cfg!(target_os = "linux") {
        data.sync_data()
    } else {
        Ok(())
    }
}

/// Makes every file of the folder, and the folder's names, durable.
pub(crate) fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    sync_folder(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests;
