//! The store's view of a folder: files by name, written, synced, renamed.
//!
//! The embedded database does its own IO. Everything else in the store (journal, identity, inbox, the
//! in-memory tree of tests) goes through this trait, so a simulator can fail or cut any single operation.

pub(super) mod identity;
pub(super) mod lock;
pub(super) mod memory;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder of files.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
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
    /// Makes the files created and renamed in the folder durable.
    fn sync_folder(&self) -> io::Result<()>;
}

/// An open file.
pub(crate) trait DiskFile: fmt::Debug + Send {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Writes all of `bytes` at `offset`, growing the file as needed. Not durable yet.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes so many zeros at `offset`, as [`DiskFile::write_at`] does.
    fn write_zeros(&mut self, offset: u64, many: usize) -> io::Result<()> {
        self.write_at(offset, &vec![0; many])
    }
    /// Cuts the file off.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Makes the written bytes durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A real folder.
#[derive(Debug)]
pub(crate) struct RealDisk {
    folder: PathBuf,
}

impl RealDisk {
    /// Uses `folder`, which must exist.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
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
            Err(error) if is_absent(&error) => Ok(None),
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

/// True if an error says that there is no such file, as opposed to a file that can't be read now.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The bytes of a file, or of all files in a folder. A file that goes away meanwhile has none.
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
                bytes += size_of(&entry?.path())?;
            }
        }
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(bytes)
}

/// Makes the names in a folder durable; other systems than Unix cannot open a folder to sync it.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
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
