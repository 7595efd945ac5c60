//! The spool: copies of files that wait to be uploaded, one for each outbox entry that has one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sealed::{FileKey, FileReader, FileWriter};

/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".new";

/// A folder of files, each under a name that its maker gave. Clones share it.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Files that are being added, or were added and have no entry yet: a sweep leaves them.
    adding: Arc<Mutex<BTreeSet<String>>>,
}

/// A file that has no entry yet: a sweep leaves it as long as this lives.
#[derive(Debug)]
pub struct Adding {
    spool: Spool,
    name: String,
}

impl Drop for Adding {
    fn drop(&mut self) {
        self.spool.adding().remove(&self.name);
    }
}

impl Spool {
    /// The spool in a folder, which is made when something is added.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            adding: Arc::default(),
        }
    }

    /// The path of a file.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name that is none of ours.
    pub fn path(&self, name: &str) -> io::Result<PathBuf> {
        let is_name = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_name {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no name of a file",
            ));
        }
        Ok(self.folder.join(name))
    }

    /// Keeps a file of this name from being swept until the value is dropped.
    #[must_use]
    pub fn begin(&self, name: &str) -> Adding {
        self.adding().insert(name.to_owned());
        Adding {
            spool: self.clone(),
            name: name.to_owned(),
        }
    }

    /// Adds a file; on return it is on disk under its name. `fill` writes its bytes.
    ///
    /// # Errors
    ///
    /// Those of the operating system, and those of `fill`: nothing is left then.
    pub fn add(
        &self,
        name: &str,
        key: Option<&FileKey>,
        fill: impl FnOnce(&mut FileWriter) -> io::Result<()>,
    ) -> io::Result<u64> {
        let path = self.path(name)?;
        if !self.folder.is_dir() {
            fs::create_dir_all(&self.folder)?;
            if let Some(parent) = self.folder.parent() {
                sync_folder(parent)?;
            }
        }
        let unfinished = self.folder.join(format!("{name}{UNFINISHED}"));
        let written = FileWriter::create(&unfinished, key).and_then(|mut writer| {
            fill(&mut writer)?;
            writer.finish()
        });
        let named = written.and_then(|bytes| {
            fs::rename(&unfinished, path)?;
            sync_folder(&self.folder)?;
            Ok(bytes)
        });
        if named.is_err() {
            // A sweep removes files that could not be removed now.
            let _ = fs::remove_file(&unfinished);
        }
        named
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn open(&self, name: &str, key: Option<&FileKey>) -> io::Result<FileReader> {
        FileReader::open(&self.path(name)?, key)
    }

    /// Removes a file; one that is gone is no error.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes every file except these and those that are being added.
    ///
    /// # Errors
    ///
    /// Those of the operating system; all other files are removed nevertheless.
    pub fn sweep(&self, keep: &BTreeSet<String>) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut outcome = Ok(());
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let base = name.strip_suffix(UNFINISHED).unwrap_or(&name);
            if keep.contains(&*name) || self.adding().contains(base) {
                continue;
            }
            let removed = fs::remove_file(entry.path());
            outcome = outcome.and(removed);
        }
        outcome
    }

    /// The sections under this lock change the set and nothing else.
    fn adding(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.adding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the names in a folder durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder can't be opened as a file; a rename there is durable by itself.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_leaves_what_is_named_and_what_is_being_added() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path().join("spool"));
        let put = |name: &str| spool.add(name, None, |file| file.write(b"words")).unwrap();
        for name in ["kept", "adding", "orphan"] {
            assert_eq!(put(name), 5);
        }
        fs::write(folder.path().join("spool/cut.new"), "half").unwrap();
        let adding = spool.begin("adding");
        spool.sweep(&BTreeSet::from(["kept".to_owned()])).unwrap();
        let there = |name: &str| spool.open(name, None).is_ok();
        assert!(there("kept") && there("adding") && !there("orphan"));
        drop(adding);
        spool.sweep(&BTreeSet::new()).unwrap();
        assert_eq!(
            fs::read_dir(folder.path().join("spool")).unwrap().count(),
            0
        );
        assert!(spool.remove("kept").is_ok(), "it is gone already");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_and_a_file_that_could_not_be_filled_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path().to_owned());
        for name in ["", "..", "../up", "a/b", "a.new", &"x".repeat(65)] {
            assert!(spool.path(name).is_err(), "{name}");
        }
        let failed = spool.add("half", None, |file| {
            file.write(b"wor")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
