//! The exclusive right to a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::store::disk::memory::MemoryDisk;

/// The folders that this process has open: on some systems the embedded database takes no lock,
/// and a lock of the system's would not keep two engines of one process apart everywhere.
static OPEN_HERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The exclusive right to a folder, given back on drop.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: PathBuf,
    /// Holds the system's lock; the system lets go of it when the process dies, however it dies.
    _file: Option<File>,
}

/// Why a folder cannot be had.
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
    /// Takes the right to `folder`, or says who has it. A folder where no lock file can be written
    /// is locked within this process alone.
    pub(crate) fn take(folder: &Path) -> Result<(Self, Option<io::Error>), LockRefusal> {
        let folder = folder.canonicalize().map_err(LockRefusal::Io)?;
        let mut open = OPEN_HERE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if open.contains(&folder) {
            return Err(LockRefusal::Held(Some(std::process::id())));
        }
        let (file, unwritable) = match lock_file(&folder) {
            Ok(file) => (Some(file), None),
            Err(LockRefusal::Io(error)) => (None, Some(error)),
            Err(held) => return Err(held),
        };
        open.push(folder.clone());
        Ok((
            Self {
                folder,
                _file: file,
            },
            unwritable,
        ))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        let mut open = OPEN_HERE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        open.retain(|folder| *folder != self.folder);
    }
}

fn lock_file(folder: &Path) -> Result<File, LockRefusal> {
    let path = folder.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(LockRefusal::Io)?;
    // iOS kills an app that holds a lock while it is suspended; there the process-wide list must
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
pub(crate) enum Hold {
    /// A real folder.
    Folder(#[expect(dead_code, reason = "held for its drop")] FolderLock),
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
