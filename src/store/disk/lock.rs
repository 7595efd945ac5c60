//! The exclusive right to a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::disk::memory::MemoryDisk;

/// The folders that this process has open: on some systems the embedded database takes no lock,
/// and a lock of the system's would not keep two engines of one process apart everywhere.
static OPEN_HERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Told each time that a folder is given back.
static GIVEN_BACK: Condvar = Condvar::new();

/// How long an opener waits for another one of this process, which may be closing: an engine that was
/// dropped closes its stores on threads of its own.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The exclusive right to a folder, given back on drop.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: PathBuf,
    /// Holds the system's lock; the system lets go of it when the process dies, however it dies.
    file: Option<File>,
}

/// The reason why a folder cannot be had.
#[derive(Debug)]
pub(crate) enum LockRefusal {
    /// Somebody has it.
    Held(Option<u32>),
    /// The lock file cannot be made.
    Io(io::Error),
}

/// The lock file's name. It holds the pid of the holder, as text.
pub(crate) const LOCK_FILE: &str = "lock";

impl FolderLock {
    /// Takes the right to `folder`, or says who has it; waits up to 2 s for another opener of this
    /// process. A folder where no lock file can be written is locked within this process alone.
    pub(crate) fn take(folder: &Path) -> Result<(Self, Option<io::Error>), LockRefusal> {
        let folder = folder.canonicalize().map_err(LockRefusal::Io)?;
        let is_taken = |open: &mut Vec<PathBuf>| open.contains(&folder);
        let waited = GIVEN_BACK.wait_timeout_while(open_here(), WAIT_MAX, is_taken);
        let (mut open, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        if limit.timed_out() {
            return Err(LockRefusal::Held(Some(std::process::id())));
        }
        let (file, unwritable) = match lock_file(&folder) {
            Ok(file) => (Some(file), None),
            Err(LockRefusal::Io(error)) => (None, Some(error)),
            Err(held) => return Err(held),
        };
        open.push(folder.clone());
        Ok((Self { folder, file }, unwritable))
    }

    /// Takes the system's lock too, if it could not be had before.
    fn complete(&mut self) -> Result<(), LockRefusal> {
        if self.file.is_none() {
            self.file = Some(lock_file(&self.folder)?);
        }
        Ok(())
    }
}

fn open_here() -> MutexGuard<'static, Vec<PathBuf>> {
    OPEN_HERE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The system's lock first: an opener that is told below takes it at once. A process that is being
        // started has a copy of the file for a moment, and closing the file alone would leave it locked.
        if let Some(file) = self.file.take() {
            // The system releases the lock with the file where this fails.
            let _ = file.unlock();
        }
        open_here().retain(|folder| *folder != self.folder);
        GIVEN_BACK.notify_all();
    }
}

fn lock_file(folder: &Path) -> Result<File, LockRefusal> {
    let path = folder.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(LockRefusal::Io)?;
    // iOS kills an app that holds a lock while it is paused; there the process-wide list must
    // do, for the store lives in the app's private container.
    if !cfg!(target_os = "ios") {
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LockRefusal::Held(holder(&path))),
            Err(fs::TryLockError::Error(error)) => {
                if error.kind() != io::ErrorKind::Unsupported {
                    return Err(LockRefusal::Io(error));
                }
            }
        }
    }
    let pid = format!("{}\n", std::process::id());
    let length = u64::try_from(pid.len()).unwrap_or(0);
    file.write_all(pid.as_bytes()).map_err(LockRefusal::Io)?;
    // Only a longer one is cut: some file systems write a file out that was emptied and filled.
    if file.metadata().is_ok_and(|found| found.len() > length) {
        file.set_len(length).map_err(LockRefusal::Io)?;
    }
    Ok(file)
}

fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The right to a folder, given back when the last handle of the store is gone.
#[derive(Debug)]
pub(crate) enum FolderRight {
    /// A real folder.
    Folder(FolderLock),
    /// A folder in memory.
    Memory(#[expect(dead_code, reason = "held for its drop")] MemoryHold),
    /// There is no folder.
    Nothing,
}

/// The right to a folder in memory.
#[derive(Debug)]
pub(crate) struct MemoryHold(pub(crate) MemoryDisk);

impl Drop for MemoryHold {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl FolderRight {
    /// Makes sure that nobody else can open the folder: a store that was opened without the lock must
    /// not be written before it has it.
    pub(crate) fn complete(&mut self, folder: &Path) -> Result<(), LockRefusal> {
        match self {
            Self::Folder(lock) => lock.complete(),
            Self::Memory(_) => Ok(()),
            Self::Nothing => {
                let (lock, unwritable) = FolderLock::take(folder)?;
                *self = Self::Folder(lock);
                unwritable.map_or(Ok(()), |error| Err(LockRefusal::Io(error)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_opener_waits_for_one_of_the_same_process_that_is_closing() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let (first, _) = FolderLock::take(folder.path()).unwrap();
            let path = folder.path().to_path_buf();
            let second = thread::spawn(move || FolderLock::take(&path).is_ok());
            drop(first);
            assert!(second.join().unwrap());
        }
    }

    #[test]
    fn a_folder_that_was_given_back_can_be_had_while_a_started_process_still_has_the_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        let (first, _) = FolderLock::take(folder.path()).unwrap();
        // As a child has it between its start and its program.
        let copy = first.file.as_ref().unwrap().try_clone().unwrap();
        drop(first);
        FolderLock::take(folder.path()).unwrap();
        drop(copy);
    }

    #[test]
    fn an_opener_that_finds_a_folder_in_use_is_told_by_whom_after_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let _first = FolderLock::take(folder.path()).unwrap();
        let refusal = FolderLock::take(folder.path()).unwrap_err();
        let own = Some(std::process::id());
        assert!(matches!(refusal, LockRefusal::Held(pid) if pid == own));
    }
}
