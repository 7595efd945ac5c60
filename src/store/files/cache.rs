//! The cache of files that this device downloaded or uploaded: bounded, with the least recently used file
//! removed first.
//!
//! A file is named after a hash of its URL. An unfinished file has another ending, and stays until it is
//! whole or the cache needs the room. The file system's time of the last change tells when a file was last
//! used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use sha1::{Digest, Sha1};

use super::sealed::{FileKey, FileReader};
use crate::model::Timestamp;

/// The ending of a file that is not whole.
const PART: &str = "part";

/// The ending of the file that names the version of which a part is.
const VERSION: &str = "version";

/// The folder of copies in the clear, in an encrypted store's cache.
const CLEAR_FOLDER: &str = "clear";

/// The most bytes of a version's name.
const VERSION_BYTES_MAX: u64 = 1024;

/// A folder of downloaded files. Clones share it.
#[derive(Clone, Debug)]
pub struct FileCache {
    folder: PathBuf,
    in_use: Arc<Mutex<BTreeMap<String, usize>>>,
    /// The number of unencrypted copies so far; each has a name of its own.
    copies: Arc<AtomicU64>,
}

/// The files of one URL, which stay as long as this lives.
#[derive(Debug)]
pub struct CacheEntry {
    cache: FileCache,
    hash: String,
    ending: String,
}

impl Drop for CacheEntry {
    fn drop(&mut self) {
        let mut in_use = self.cache.in_use();
        if let Some(count) = in_use.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                in_use.remove(&self.hash);
            }
        }
    }
}

impl FileCache {
    /// The cache in a folder, which is made when something is added.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            in_use: Arc::default(),
            copies: Arc::default(),
        }
    }

    /// The place of the file at a URL. `name` gives the file its ending.
    #[must_use]
    pub fn entry(&self, url: &str, name: &str) -> CacheEntry {
        let hash = Sha1::digest(url.as_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        *self.in_use().entry(hash.clone()).or_default() += 1;
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let ending = ending.filter(|it| {
            (1..=8).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let ending = ending.map(str::to_ascii_lowercase);
        let ending = ending.filter(|it| it != PART && it != VERSION);
        CacheEntry {
            cache: self.clone(),
            hash,
            ending: ending.unwrap_or_else(|| "file".to_owned()),
        }
    }

    /// Removes the files used longest ago until the rest takes at most so many bytes. Files in use stay.
    ///
    /// # Errors
    ///
    /// Those of the operating system; every file that can be removed is removed all the same.
    pub fn evict(&self, bytes_max: u64) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut files = Vec::new();
        let mut bytes: u64 = 0;
        for entry in entries {
            let entry = entry?;
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                continue;
            }
            bytes += found.len();
            files.push((found.modified().ok(), found.len(), entry.path()));
        }
        files.sort();
        let mut outcome = Ok(());
        for (_, length, path) in files {
            if bytes <= bytes_max {
                break;
            }
            let name = path.file_stem().map(|it| it.to_string_lossy().into_owned());
            if name.is_some_and(|name| self.in_use().contains_key(&name)) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => bytes -= length,
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Removes the copies in the clear that a crash left.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn clear_away(&self) -> io::Result<()> {
        let folder = self.folder.join(CLEAR_FOLDER);
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut outcome = Ok(());
        for entry in entries {
            let path = entry?.path();
            let name = path.file_stem().map(|it| it.to_string_lossy().into_owned());
            let hash = name.as_deref().and_then(|name| name.split('-').next());
            if hash.is_none_or(|hash| !self.in_use().contains_key(hash)) {
                let removed = remove(&path);
                outcome = outcome.and(removed);
            }
        }
        outcome
    }

    /// The sections under this lock change the map and nothing else.
    fn in_use(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheEntry {
    /// The path of the whole file, which may not be there yet.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.with(&self.ending)
    }

    /// The path of the unfinished file.
    #[must_use]
    pub fn part(&self) -> PathBuf {
        self.with(PART)
    }

    /// The whole file, if it is there; notes that it is used.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn find(&self, now: Timestamp) -> io::Result<Option<PathBuf>> {
        let path = self.path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let millis = u64::try_from(now.as_millis()).unwrap_or_default();
        // A disk that takes no writes keeps the order that it had.
        let _ = file.set_modified(UNIX_EPOCH + Duration::from_millis(millis));
        Ok(Some(path))
    }

    /// The version of which the part is, as its host named it.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let path = self.with(VERSION);
        let length = fs::metadata(&path).ok()?.len();
        if length > VERSION_BYTES_MAX {
            return None;
        }
        fs::read_to_string(path).ok()
    }

    /// Begins a part of a version, or of none that its host names.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn begin(&self, version: Option<&str>) -> io::Result<()> {
        fs::create_dir_all(&self.cache.folder)?;
        remove(&self.part())?;
        match version {
            Some(version) => fs::write(self.with(VERSION), version),
            None => remove(&self.with(VERSION)),
        }
    }

    /// The part is whole: it gets its name.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn complete(&self) -> io::Result<PathBuf> {
        let path = self.path();
        fs::rename(self.part(), &path)?;
        remove(&self.with(VERSION))?;
        Ok(path)
    }

    /// Takes a file that is whole already.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn adopt(&self, file: &Path) -> io::Result<()> {
        fs::create_dir_all(&self.cache.folder)?;
        fs::rename(file, self.path())
    }

    /// Removes a file that is of no use, a part or a whole one.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn discard(&self) -> io::Result<()> {
        remove(&self.path())?;
        remove(&self.part())?;
        remove(&self.with(VERSION))
    }

    /// The same place once more.
    #[must_use]
    pub fn again(&self) -> Self {
        *self.cache.in_use().entry(self.hash.clone()).or_default() += 1;
        Self {
            cache: self.cache.clone(),
            hash: self.hash.clone(),
            ending: self.ending.clone(),
        }
    }

    /// The cache that it is in.
    #[must_use]
    pub fn cache(&self) -> FileCache {
        self.cache.clone()
    }

    /// Makes a copy in the clear of a sealed file; the copy goes with the value.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn clear_copy(&self, sealed: &Path, key: &FileKey) -> io::Result<ClearCopy> {
        let folder = self.cache.folder.join(CLEAR_FOLDER);
        fs::create_dir_all(&folder)?;
        // The end of another copy of the same file leaves this one.
        let number = self.cache.copies.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}.{}", self.hash, self.ending));
        let copy = ClearCopy(path.clone());
        let mut reader = FileReader::open(sealed, Some(key))?;
        let mut file = File::create(path)?;
        while let Some(bytes) = reader.read_next()? {
            file.write_all(&bytes)?;
        }
        Ok(copy)
    }

    fn with(&self, ending: &str) -> PathBuf {
        self.cache.folder.join(format!("{}.{ending}", self.hash))
    }
}

/// A file in the clear, as long as this lives.
#[derive(Debug)]
pub struct ClearCopy(PathBuf);

impl ClearCopy {
    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ClearCopy {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            log::warn!("a copy in the clear stays until the client is opened next: {error}");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::sealed::FileWriter;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FileCache::new(folder.path().join("files"));
        let put = |url: &str, when: i64| {
            let entry = cache.entry(url, "x.png");
            entry.begin(None).unwrap();
            fs::write(entry.part(), [7; 100]).unwrap();
            entry.complete().unwrap();
            assert!(entry.find(at(when)).unwrap().is_some());
        };
        for (url, when) in [("a", 1000), ("b", 2000), ("c", 3000), ("d", 4000)] {
            put(url, when);
        }
        let there = |url: &str| cache.entry(url, "x.png").path().exists();
        let used = cache.entry("a", "x.png");
        cache.evict(200).unwrap();
        assert_eq!(["a", "b", "c", "d"].map(there), [true, false, false, true]);
        drop(used);
        cache.entry("a", "x.png").find(at(9000)).unwrap();
        cache.evict(100).unwrap();
        assert_eq!(["a", "d"].map(there), [true, false]);
        cache.evict(0).unwrap();
        assert_eq!(
            fs::read_dir(folder.path().join("files")).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_part_keeps_its_version_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FileCache::new(folder.path().to_owned());
        let entry = cache.entry("https://example.org/a?b=../..", "../../evil.sh/..");
        assert_eq!(entry.path().parent(), Some(folder.path()));
        entry.begin(Some("v1")).unwrap();
        fs::write(entry.part(), "half").unwrap();
        assert_eq!(entry.version().as_deref(), Some("v1"));
        assert_eq!(entry.find(at(1)).unwrap(), None);
        entry.begin(None).unwrap();
        assert!(!entry.part().exists() && entry.version().is_none());
        fs::write(entry.part(), "whole").unwrap();
        let path = entry.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(entry.find(at(1)).unwrap(), Some(path));
    }

    #[test]
    fn the_end_of_a_copy_in_the_clear_leaves_another_of_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FileCache::new(folder.path().to_owned());
        let (entry, key) = (cache.entry("a", "x.txt"), FileKey::new([7; 32]));
        entry.begin(None).unwrap();
        let mut writer = FileWriter::create(&entry.part(), Some(&key)).unwrap();
        writer.write(b"words").unwrap();
        writer.finish().unwrap();
        let path = entry.complete().unwrap();
        let [first, second] = [(); 2].map(|()| entry.clear_copy(&path, &key).unwrap());
        drop(first);
        assert_eq!(fs::read(second.path()).unwrap(), b"words");
        cache.clear_away().unwrap();
        assert!(second.path().exists(), "it is in use");
        drop(entry);
        cache.clear_away().unwrap();
        assert!(!second.path().exists(), "a crash left it");
    }
}
