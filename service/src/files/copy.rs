//! Copies of all files for a backup, and the proof that they are whole.
//!
//! A backup has the files in a folder like that of [`DiskFiles`](super::DiskFiles), and a list of them with their digests in
//! the form that `sha256sum --check` reads. A file never changes, so a file that an earlier backup has is linked and
//! not copied again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::disk::{entries, if_there, sync_folder};
use super::library::hex;
use super::name::AppFolder;
use super::record::FileRecord;

/// The folder of files, in a data folder and in a backup.
pub const FILES: &str = "files";

/// The list of a backup's files.
const LIST: &str = "files.sha256";

/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// The files of a backup, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesNote {
    /// Entries of the list: each file has two, its bytes and its record.
    pub count: u64,
    /// Bytes of all entries.
    pub bytes: u64,
    /// SHA-256 over the list, in hexadecimal.
    pub digest: String,
}

/// Why files cannot be copied or are not whole.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The list is not the one of which the note was made.
    #[error("the list of files, files.sha256, is damaged")]
    List,
    /// A file is not the one that was copied, or not the one that its record tells of.
    #[error("the file {0} is missing or has changed")]
    Changed(String),
    /// A file cannot be read, written or linked.
    #[error("the files cannot be copied: {0}")]
    Io(#[from] io::Error),
}

/// Copies the files of a data folder into a backup; those of the backup `since` are linked. A file that is taken away
/// meanwhile may be missing. When this returns, all is on disk.
///
/// # Errors
///
/// [`CopyError`]; the backup is not whole then.
pub fn copy(data: &Path, backup: &Path, since: Option<&Path>) -> Result<FilesNote, CopyError> {
    let mut copy = Copy {
        to: backup.join(FILES),
        since: since.map(|it| it.join(FILES)),
        known: since.map_or_else(|| Ok(BTreeMap::new()), read_list)?,
        ..Copy::default()
    };
    copy.take_all(&data.join(FILES))?;
    copy.finish(backup)
}

/// Takes the files of a data folder over into another one. Answers how many entries there are.
///
/// # Errors
///
/// [`CopyError::Io`].
pub fn take_over(data: &Path, into: &Path) -> Result<u64, CopyError> {
    let mut copy = Copy {
        to: into.join(FILES),
        ..Copy::default()
    };
    copy.take_all(&data.join(FILES))?;
    copy.sync()?;
    Ok(copy.note.count)
}

/// Reads all files of a backup and compares them with its list, and the list with the note.
///
/// # Errors
///
/// [`CopyError`] with the first fault.
pub fn check(backup: &Path, note: &FilesNote) -> Result<(), CopyError> {
    let list = fs::read(backup.join(LIST))?;
    if hex(Sha256::new_with_prefix(&list)) != note.digest {
        return Err(CopyError::List);
    }
    for (name, digest) in read_list(backup)? {
        let found = if_there(File::open(backup.join(FILES).join(&name)))?;
        let found = found.map(|file| digest_of(file, &mut io::sink()));
        if found.transpose()?.is_none_or(|(found, _)| found != digest) {
            return Err(CopyError::Changed(name));
        }
    }
    Ok(())
}

/// Brings the files of a backup, which was checked, into a data folder. When this returns, all is on disk.
///
/// # Errors
///
/// [`CopyError`].
pub fn restore(backup: &Path, data: &Path) -> Result<(), CopyError> {
    let mut copy = Copy {
        to: data.join(FILES),
        ..Copy::default()
    };
    for name in read_list(backup)?.into_keys() {
        if !copy.take(&backup.join(FILES), &name)? {
            return Err(CopyError::Changed(name));
        }
    }
    Ok(copy.sync()?)
}

/// Compares all files of a data folder with their records; answers how many files there are. Changes nothing.
///
/// # Errors
///
/// [`CopyError::Changed`] with the first file that is not whole.
pub fn check_records(data: &Path) -> Result<u64, CopyError> {
    let files = data.join(FILES);
    let mut count = 0;
    for folder in folders(&files)? {
        for name in names(&files, &folder, ".json")? {
            let Some(record) = if_there(fs::read(files.join(&name)))? else {
                continue;
            };
            let damaged = |_| CopyError::Changed(name.clone());
            let record: FileRecord = serde_json::from_slice(&record).map_err(damaged)?;
            count += 1;
            let Some(number) = record.blob else { continue };
            let name = format!("{folder}/{}-{number:016x}.bytes", record.id);
            let bytes = if_there(File::open(files.join(&name)))?;
            let found = bytes.map(|file| digest_of(file, &mut io::sink()));
            let told = record.digest.map(|digest| (digest, record.size));
            if found.transpose()? != told {
                return Err(CopyError::Changed(name));
            }
        }
    }
    Ok(count)
}

/// A copy that is being made.
#[derive(Default)]
struct Copy {
    to: PathBuf,
    /// The files of an earlier copy, and their digests.
    since: Option<PathBuf>,
    known: BTreeMap<String, String>,
    list: BTreeMap<String, String>,
    /// Folders with new names.
    changed: BTreeSet<PathBuf>,
    note: FilesNote,
}

impl Copy {
    /// Takes all files of a folder of files. Bytes are listed after the records and copied before them: so a record
    /// that is copied has its bytes in the copy, though files come and go meanwhile.
    fn take_all(&mut self, files: &Path) -> Result<(), CopyError> {
        for folder in folders(files)? {
            let records = names(files, &folder, ".json")?;
            let bytes = names(files, &folder, ".bytes")?;
            for name in bytes.iter().chain(&records) {
                self.take(files, name)?;
            }
        }
        Ok(())
    }

    /// Takes one file; false where it is gone.
    fn take(&mut self, files: &Path, name: &str) -> Result<bool, CopyError> {
        let (from, to) = (files.join(name), self.to.join(name));
        let Some(about) = if_there(fs::metadata(&from))? else {
            return Ok(false);
        };
        let folder = to.parent().unwrap_or(&self.to).to_owned();
        fs::create_dir_all(&folder)?;
        self.changed.insert(folder);
        // A try that was killed may have left a link into an earlier copy, which must not be written into.
        if_there(fs::remove_file(&to))?;
        let (digest, bytes) = match self.link(name, about.len(), &to) {
            Some(digest) => (digest, about.len()),
            None => match if_there(File::open(&from))? {
                Some(file) => copied(file, &to)?,
                None => return Ok(false),
            },
        };
        self.note.count += 1;
        self.note.bytes += bytes;
        self.list.insert(name.to_owned(), digest);
        Ok(true)
    }

    /// Links a file of the earlier copy, and answers its digest; none where it has to be copied.
    fn link(&self, name: &str, bytes: u64, to: &Path) -> Option<String> {
        let earlier = self.since.as_ref()?.join(name);
        let digest = self.known.get(name)?;
        let is_same = fs::metadata(&earlier).is_ok_and(|it| it.len() == bytes);
        // Links do not reach another file system, nor are there more than some thousands of one file.
        (is_same && fs::hard_link(&earlier, to).is_ok()).then(|| digest.clone())
    }

    /// Makes the names of all files durable.
    fn sync(&self) -> io::Result<()> {
        let above = self.changed.iter().flat_map(|it| it.ancestors().take(4));
        for folder in above.collect::<BTreeSet<_>>() {
            sync_folder(folder)?;
        }
        Ok(())
    }

    /// Writes the list.
    fn finish(mut self, backup: &Path) -> Result<FilesNote, CopyError> {
        self.sync()?;
        let line = |(name, digest)| format!("{digest}  {FILES}/{name}\n");
        let list: String = self.list.iter().map(line).collect();
        let mut file = File::create(backup.join(LIST))?;
        file.write_all(list.as_bytes())?;
        file.sync_all()?;
        self.note.digest = hex(Sha256::new_with_prefix(&list));
        Ok(self.note)
    }
}

/// The folders that hold files, relative, in order: `APP/PART`.
fn folders(files: &Path) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let named = |entry: &fs::DirEntry| entry.file_name().into_string().ok();
    let apps = entries(files)?.iter().filter_map(named).collect::<Vec<_>>();
    for app in apps.iter().filter(|it| AppFolder::parse(it).is_ok()) {
        let parts = entries(&files.join(app))?;
        let parts = parts.iter().filter_map(named).filter(|it| is_part(it));
        found.extend(parts.map(|part| format!("{app}/{part}")));
    }
    Ok(found)
}

/// The files of a folder that have this ending, by their relative names, in order.
fn names(files: &Path, folder: &str, ending: &str) -> io::Result<BTreeSet<String>> {
    let found = entries(&files.join(folder))?;
    let named = found
        .iter()
        .filter_map(|it| it.file_name().into_string().ok());
    let wanted = named.filter(|name| is_file(name) && name.ends_with(ending));
    Ok(wanted.map(|name| format!("{folder}/{name}")).collect())
}

fn is_part(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_file(name: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    !name.starts_with('.') && name.bytes().all(may_stand)
}

/// Reads the list of a backup: the digest of each file by its relative name. An older backup has none.
fn read_list(backup: &Path) -> Result<BTreeMap<String, String>, CopyError> {
    let list = if_there(fs::read_to_string(backup.join(LIST)))?.unwrap_or_default();
    let entry = |line: &str| {
        let (digest, path) = line.split_once("  ")?;
        let name = path.strip_prefix(FILES)?.strip_prefix('/')?;
        let (app, rest) = name.split_once('/')?;
        let (part, file) = rest.split_once('/')?;
        // No name leads out of the folder.
        let is_name = AppFolder::parse(app).is_ok() && is_part(part) && is_file(file);
        is_name.then(|| (name.to_owned(), digest.to_owned()))
    };
    list.lines()
        .map(|line| entry(line).ok_or(CopyError::List))
        .collect()
}

/// Copies a file durably; answers its digest and its length.
fn copied(from: File, to: &Path) -> io::Result<(String, u64)> {
    let mut copy = File::create_new(to)?;
    let told = digest_of(from, &mut copy)?;
    copy.sync_all()?;
    Ok(told)
}

/// Reads a file to its end into `to`; answers its digest and its length.
fn digest_of(mut file: File, to: &mut dyn io::Write) -> io::Result<(String, u64)> {
    let (mut digest, mut length) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => return Ok((hex(digest), length)),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let some = piece.get(..count).unwrap_or_default();
        digest.update(some);
        to.write_all(some)?;
        length += count as u64;
    }
}
