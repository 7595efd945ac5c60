//! [`DiskFiles`]: files in a folder.
//!
//! Bytes arrive in a file of `incoming/`, are synced, and then get their name; a folder is synced after each
//! change to it. A name therefore stands for whole bytes, also after a power cut. `incoming/` is emptied at the
//! start.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::task::spawn_blocking;

use super::name::{AppFolder, BlobName};
use super::store::{ByteStream, FileStore, Incoming, Later, StoreError};

/// Bytes that wait in memory before they are written together.
const WRITE_BYTES: usize = 256 * 1024;

/// Bytes that are read at a time.
const READ_BYTES: u64 = 128 * 1024;

/// The age after which bytes that no record names are removed. Younger ones may belong to an upload under way.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of uploads that are not whole yet.
const INCOMING: &str = "incoming";

/// Files in a folder.
#[derive(Debug)]
pub struct DiskFiles {
    root: Arc<Path>,
    /// Numbers the uploads that come in.
    numbers: AtomicU64,
}

impl DiskFiles {
    /// Opens the folder, which is made if it is not there. One process at a time.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn open(root: &Path) -> io::Result<Self> {
        let incoming = root.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        if let Some(parent) = root.parent().filter(|it| !it.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        sync_folder(root)?;
        Ok(Self {
            root: root.into(),
            numbers: AtomicU64::new(0),
        })
    }

    fn path(&self, name: BlobName) -> PathBuf {
        let (folder, file) = name.folder_and_file();
        self.root.join(folder).join(file)
    }

    fn part(&self) -> PartPath {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        PartPath(self.root.join(INCOMING).join(format!("{number}.part")))
    }
}

/// A file that is removed when this value is dropped.
struct PartPath(PathBuf);

impl Drop for PartPath {
    fn drop(&mut self) {
        // If the removal fails, the next start removes the file.
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs work that waits for the disk on a thread that may wait.
fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Later<'static, T> {
    let done = async move {
        match spawn_blocking(work).await {
            Ok(done) => done.map_err(StoreError::Io),
            Err(error) => Err(io::Error::other(error).into()),
        }
    };
    done.boxed()
}

impl FileStore for DiskFiles {
    fn create(&self, name: BlobName) -> Later<'_, Box<dyn Incoming>> {
        let (root, path, part) = (Arc::clone(&self.root), self.path(name), self.part());
        on_disk(move || {
            let file = File::create_new(&part.0)?;
            let incoming: Box<dyn Incoming> = Box::new(DiskIncoming {
                root,
                file: Arc::new(file),
                part,
                path,
                waiting: Vec::new(),
            });
            Ok(incoming)
        })
    }

    fn claim(&self, name: BlobName, bytes: Bytes) -> Later<'_, bool> {
        let (root, path, part) = (Arc::clone(&self.root), self.path(name), self.part());
        on_disk(move || {
            let mut file = File::create_new(&part.0)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            let folder = make_folder(&root, &path)?;
            // A link, unlike a rename, never takes the place of a file that is there.
            match fs::hard_link(&part.0, &path) {
                Ok(()) => {
                    sync_folder(&folder)?;
                    Ok(true)
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn read(&self, name: BlobName, range: Range<u64>) -> Later<'_, Option<ByteStream>> {
        let path = self.path(name);
        on_disk(move || {
            let Some(mut file) = if_there(File::open(path))? else {
                return Ok(None);
            };
            file.seek(SeekFrom::Start(range.start))?;
            let left = range.end.saturating_sub(range.start);
            Ok(Some(stream::try_unfold((file, left), next_piece).boxed()))
        })
    }

    fn read_small(&self, name: BlobName) -> Later<'_, Option<Bytes>> {
        let path = self.path(name);
        on_disk(move || Ok(if_there(fs::read(path))?.map(Bytes::from)))
    }

    fn remove(&self, name: BlobName) -> Later<'_, bool> {
        let path = self.path(name);
        on_disk(move || {
            let is_gone = if_there(fs::remove_file(&path))?.is_some();
            if let Some(folder) = path.parent().filter(|_| is_gone) {
                sync_folder(folder)?;
            }
            Ok(is_gone)
        })
    }

    fn usage(&self, app: AppFolder) -> Later<'_, u64> {
        let folder = self.root.join(app.to_string());
        on_disk(move || {
            let mut bytes = 0;
            for entry in entries(&folder)? {
                bytes += usage_of(&entry.path())?;
            }
            Ok(bytes)
        })
    }
}

/// Reads the next bytes of a file of which `left` are wanted.
async fn next_piece((file, left): (File, u64)) -> io::Result<Option<(Bytes, (File, u64))>> {
    if left == 0 {
        return Ok(None);
    }
    let read = move || {
        let mut bytes = Vec::new();
        let wanted = left.min(READ_BYTES);
        (&file).take(wanted).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>((bytes, file))
    };
    let (bytes, file) = spawn_blocking(read).await.map_err(io::Error::other)??;
    let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if read == 0 {
        // The file is shorter than its record says: a reader must not take it for whole.
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((
        Bytes::from(bytes),
        (file, left.saturating_sub(read)),
    )))
}

struct DiskIncoming {
    root: Arc<Path>,
    file: Arc<File>,
    part: PartPath,
    path: PathBuf,
    /// Copies the pieces into one buffer. A piece by itself would keep the whole buffer of the socket in memory.
    waiting: Vec<u8>,
}

impl DiskIncoming {
    fn flush(&mut self) -> Later<'static, ()> {
        let waiting = std::mem::take(&mut self.waiting);
        let file = Arc::clone(&self.file);
        on_disk(move || (&*file).write_all(&waiting))
    }
}

impl Incoming for DiskIncoming {
    fn write(&mut self, bytes: Bytes) -> Later<'_, ()> {
        self.waiting.extend_from_slice(&bytes);
        if self.waiting.len() < WRITE_BYTES {
            return futures_util::future::ready(Ok(())).boxed();
        }
        self.flush()
    }

    fn finish(mut self: Box<Self>) -> Later<'static, ()> {
        let ended = async move {
            self.flush().await?;
            let keep = move || {
                self.file.sync_all()?;
                let folder = make_folder(&self.root, &self.path)?;
                fs::rename(&self.part.0, &self.path)?;
                sync_folder(&folder)
            };
            on_disk(keep).await
        };
        ended.boxed()
    }
}

/// Makes the folder of a path below the root, durably.
fn make_folder(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().unwrap_or(root);
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        for above in folder.ancestors().skip(1) {
            sync_folder(above)?;
            if above == root {
                break;
            }
        }
    }
    Ok(folder.to_owned())
}

#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Other systems can't sync a folder.
#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// None if the file or folder is not there.
pub(super) fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match if_there(fs::read_dir(folder))? {
        None => Ok(Vec::new()),
        Some(entries) => entries.collect(),
    }
}

/// The bytes in one folder of files. Bytes that no record names are taken away once they are old.
fn usage_of(folder: &Path) -> io::Result<u64> {
    let found: Vec<(String, fs::DirEntry)> = entries(folder)?
        .into_iter()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)))
        .collect();
    let of_record = |name: &str| name.strip_suffix(".json").map(str::to_owned);
    let records: BTreeSet<String> = found.iter().filter_map(|(it, _)| of_record(it)).collect();
    let mut bytes = 0;
    for (name, entry) in &found {
        let Some(about) = if_there(entry.metadata())? else {
            continue;
        };
        let of_bytes = name
            .strip_suffix(".bytes")
            .and_then(|it| it.split_once('-'));
        let is_named = of_bytes.is_none_or(|(file, _)| records.contains(file));
        // If the clock was set back, the age is unknown and the bytes stay.
        let age = about.modified()?.elapsed().unwrap_or_default();
        match is_named || age < ORPHAN_AGE {
            true => bytes += about.len(),
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(bytes)
}
