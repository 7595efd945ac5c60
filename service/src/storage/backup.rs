//! A copy of a committed state of the data, with a proof that the copy is whole.
//!
//! A backup is a folder with the database, in the form of a data folder, the clients' files (`files/copy.rs`), and a
//! note (`backup.json`) with the number of rows and a digest of all of them. The note comes last, when everything is
//! on disk: a folder with a note is a whole backup.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::StorageError;
use super::data_file::{read_file, write_file};
use super::keyed::Frozen;
use super::redb::RedbStorage;
use crate::files::copy::{self, CopyError, FilesNote};

/// The note in a backup.
const NOTE: &str = "backup.json";

/// A file that is not finished.
const PART: &str = "part";

/// A committed state of the data, to be read while the service goes on.
pub struct Snapshot(pub(super) Box<dyn Frozen>);

/// The contents of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Rows of the data.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// SHA-256 over all keys and values with their lengths, in hexadecimal.
    pub digest: String,
    /// The version of the program that wrote it.
    pub version: String,
    /// The files that clients uploaded; none in a backup of an earlier build.
    #[serde(default)]
    pub files: Option<FilesNote>,
}

/// The reason why a backup cannot be made, read or brought back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder holds a backup or the data of a service, and neither is written over.
    #[error("{} holds data already", .0.display())]
    Occupied(PathBuf),
    /// The folder has no note, so it is no backup, or one that was never finished.
    #[error("{folder} is no whole backup: {reason}", folder = folder.display())]
    NoNote {
        /// The folder.
        folder: PathBuf,
        /// The fault of the note.
        reason: String,
    },
    /// The rows are not those of which the note was made.
    #[error("the backup is damaged: the note tells of {} rows, {} are there, and the digest {}",
        .noted.rows, .found.rows, if .noted.digest == .found.digest { "agrees" } else { "differs" })]
    Damaged {
        /// The contents that the note tells of.
        noted: Box<Backup>,
        /// The contents that were found.
        found: Box<Backup>,
    },
    /// The files of the backup are not whole, or cannot be copied.
    #[error(transparent)]
    Files(#[from] CopyError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file cannot be read, written or moved.
    #[error("the folder cannot be used: {0}")]
    Folder(#[from] io::Error),
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot(…)")
    }
}

/// Sums up rows as they pass.
struct Sum {
    rows: u64,
    bytes: u64,
    digest: Sha256,
}

impl Sum {
    fn new() -> Self {
        Self {
            rows: 0,
            bytes: 0,
            digest: Sha256::new(),
        }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        for part in [key, value] {
            self.bytes += part.len() as u64;
            self.digest.update((part.len() as u64).to_be_bytes());
            self.digest.update(part);
        }
    }

    fn finish(self) -> Backup {
        let digest = self.digest.finalize();
        Backup {
            rows: self.rows,
            bytes: self.bytes,
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            files: None,
        }
    }
}

impl Snapshot {
    /// Writes a backup into a folder, which is made if it is missing. When the call returns, all of it is on
    /// disk. It takes as long as reading all data; the service goes on meanwhile. The clients' files
    /// are those in the data folder; files that the backup `since` has are linked and not copied.
    ///
    /// # Errors
    ///
    /// [`BackupError::Occupied`] where the folder has a backup or data; [`BackupError::NoNote`] where `since` is no
    /// backup; otherwise the error of the disk.
    pub fn write_to(
        &self,
        folder: &Path,
        data: &Path,
        since: Option<&Path>,
    ) -> Result<Backup, BackupError> {
        let (file, note) = (RedbStorage::file_in(folder), folder.join(NOTE));
        if file.exists() || note.exists() {
            return Err(BackupError::Occupied(folder.to_owned()));
        }
        if let Some(since) = since {
            Backup::noted(since)?;
        }
        fs::create_dir_all(folder)?;
        // The rows are of an earlier moment: a file comes before the message that names it.
        let files = copy::copy(data, folder, since)?;
        let part = file.with_extension(PART);
        remove_if_there(&part)?;
        let mut sum = Sum::new();
        write_file(&part, self.0.as_ref(), |key, value| sum.add(key, value))?;
        let backup = Backup {
            files: Some(files),
            ..sum.finish()
        };
        fs::rename(&part, &file)?;
        let text = serde_json::to_vec_pretty(&backup).map_err(io::Error::other)?;
        write_durably(&note, &text)?;
        sync_folder(folder)?;
        Ok(backup)
    }
}

impl Backup {
    /// Reads all of a backup and compares it with its note. Nothing is changed.
    ///
    /// # Errors
    ///
    /// [`BackupError::NoNote`], [`BackupError::Damaged`] and [`BackupError::Files`]; otherwise the error of the database.
    pub fn check(folder: &Path) -> Result<Self, BackupError> {
        let noted = Self::noted(folder)?;
        if let Some(files) = &noted.files {
            copy::check(folder, files)?;
        }
        let rows = read_file(&RedbStorage::file_in(folder))?;
        let mut sum = Sum::new();
        rows.each(&mut |key, value| {
            sum.add(key, value);
            Ok(())
        })?;
        let found = sum.finish();
        match found.rows == noted.rows && found.digest == noted.digest {
            true => Ok(noted),
            false => Err(BackupError::Damaged {
                noted: Box::new(noted),
                found: Box::new(found),
            }),
        }
    }

    /// The note of a backup.
    fn noted(folder: &Path) -> Result<Self, BackupError> {
        let no_note = |reason: String| BackupError::NoNote {
            folder: folder.to_owned(),
            reason,
        };
        let text = fs::read(folder.join(NOTE)).map_err(|error| no_note(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| no_note(error.to_string()))
    }

    /// Brings a backup back into a data folder, which is made if it is not there; the backup is
    /// checked first, and stays. When this returns, all of it is on disk and a service can start.
    ///
    /// # Errors
    ///
    /// Those of [`Backup::check`], and [`BackupError::Occupied`] where the folder has data.
    pub fn restore(from: &Path, data: &Path) -> Result<Self, BackupError> {
        let file = RedbStorage::file_in(data);
        if file.exists() {
            return Err(BackupError::Occupied(data.to_owned()));
        }
        let backup = Self::check(from)?;
        fs::create_dir_all(data)?;
        if backup.files.is_some() {
            copy::restore(from, data)?;
        }
        let part = file.with_extension(PART);
        fs::copy(RedbStorage::file_in(from), &part)?;
        File::open(&part)?.sync_all()?;
        fs::rename(&part, &file)?;
        sync_folder(data)?;
        Ok(backup)
    }
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_durably(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = file.with_extension(PART);
    fs::write(&part, bytes)?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, file)
}

/// A file's name is durable once its folder is.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder cannot be flushed here; the system does it by itself.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
