//! What the store asks of a folder: files by name, written, synced, renamed.
//!
//! The embedded database does its own IO; everything else of the store (journal, key file, inbox,
//! the in-memory tree of tests) goes through this trait, so that a simulator can fail or cut any
//! single operation.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A folder of files.
pub(super) trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file for reading and writing, made if missing.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// The whole of a file; none if there is no such file.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Makes a file hold `bytes`, all or nothing, durable on return.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Removes a file, or a folder with everything in it, if there is one.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Gives a file or folder another name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// The names of everything in the folder, in order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// The names of everything in the folder, and the bytes it takes, folders with all in them.
    fn sizes(&self) -> io::Result<Vec<(String, u64)>>;
    /// Makes what was created and renamed in the folder durable.
    fn sync_folder(&self) -> io::Result<()>;
}

/// An open file.
pub(super) trait DiskFile: fmt::Debug + Send {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Writes all of `bytes` at `offset`, growing the file as needed. Not durable yet.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file off.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A real folder.
#[derive(Debug)]
pub(super) struct RealDisk {
    folder: PathBuf,
}

impl RealDisk {
    /// Uses `folder`, which must exist.
    pub(super) fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        Ok(Box::new(RealFile {
            file: file.open(self.path(name))?,
        }))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.path(&format!("{name}.new"));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, self.path(name))?;
        self.sync_folder()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn sizes(&self) -> io::Result<Vec<(String, u64)>> {
        let names = self.list()?.into_iter();
        names
            .map(|name| {
                let bytes = size_of(&self.path(&name))?;
                Ok((name, bytes))
            })
            .collect()
    }

    fn sync_folder(&self) -> io::Result<()> {
        sync_folder(&self.folder)
    }
}

/// The bytes of a file, or of all files in a folder. What goes away meanwhile has none.
fn size_of(path: &Path) -> io::Result<u64> {
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let kind = match fs::symlink_metadata(path) {
        Ok(kind) => kind,
        Err(error) if is_gone(&error) => return Ok(0),
        Err(error) => return Err(error),
    };
    if !kind.is_dir() {
        return Ok(kind.len());
    }
    let mut bytes = 0_u64;
    match fs::read_dir(path) {
        Ok(entries) => {
            for entry in entries {
                bytes = bytes.saturating_add(size_of(&entry?.path())?);
            }
        }
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(bytes)
}

/// Makes the names in a folder durable; other systems than Unix cannot open a folder to sync it.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The folders that this process has open: on some systems the embedded database takes no lock,
/// and a lock of the system's would not keep two engines of one process apart everywhere.
static OPEN_HERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The exclusive right to a folder, given back on drop.
#[derive(Debug)]
pub(super) struct FolderLock {
    folder: PathBuf,
    /// Holds the system's lock; the system lets go of it when the process dies, however it dies.
    _file: Option<File>,
}

/// Why a folder cannot be had.
#[derive(Debug)]
pub(super) enum LockRefusal {
    /// Somebody has it.
    Held(Option<u32>),
    /// The lock file cannot be made.
    Io(io::Error),
}

/// The lock file's name. It holds the pid of the holder, as text.
pub(super) const LOCK_FILE: &str = "lock";

impl FolderLock {
    /// Takes the right to `folder`, or says who has it. A folder where no lock file can be written
    /// is locked within this process alone.
    pub(super) fn take(folder: &Path) -> Result<(Self, Option<io::Error>), LockRefusal> {
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
