//! Compaction: at rest the data file is written anew, without its gaps, while the service goes on.
//!
//! The database fills its pages by half where rows come in between others, as messages of many conversations do,
//! and its file does not shrink. A thread beside copies the committed rows, in order, into a new file, whose pages
//! are full. Changes that are committed meanwhile go into the old file, as ever, and are remembered. At the end they are
//! written into the new file, and when that is on disk it takes the name of the old one. So there is one whole file
//! under the name at each moment. A compaction that fails leaves the old file as it is.
//!
//! Commits go first. A compaction begins only where the disk has room for it and a reserve, ends where less than the
//! reserve is left, and is given up for a commit that the full disk refuses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::StorageError;
use super::backup::sync_folder;
use super::data_file::{Open, copy_rows};
use super::keyed::{Changes, Frozen, TakeRow};
use super::salvage::guarded;

/// Bytes of changes that are remembered while rows are copied. Where there are more, the service is not at rest.
const REMEMBERED_MAX: usize = 8 * 1024 * 1024;

/// Bytes that the database and our checksum add to a row.
pub(super) const ROW_OVERHEAD: u64 = 17;

/// Bytes of the disk that a compaction leaves free.
const RESERVE: u64 = 32 * 1024 * 1024;

/// Rows from one look at the free room to the next.
const ROWS_A_LOOK: u32 = 10_000;

/// The rows of some data: how many, and how large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Size {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        self.bytes += (key.len() + value.len()) as u64 + ROW_OVERHEAD;
    }

    /// The size of so many rows that are like these.
    pub(super) fn of_rows(self, rows: u64) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(rows) / u128::from(self.rows.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// The result of copying all rows in order. It stays in the file: after a start it tells which gaps no compaction
/// closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) rows: Size,
    /// Bytes of the disk that they took.
    pub(super) taken: u64,
}

impl Reached {
    /// The bytes that these rows take without the gaps that a compaction closes. Rows of another length than those
    /// that were copied leave other gaps: then none is counted.
    pub(super) fn full(self, now: Size) -> Size {
        let like = now.of_rows(self.rows.rows);
        if like.abs_diff(self.rows.bytes) > like / 4 || self.taken <= self.rows.bytes {
            return now;
        }
        let bytes = u128::from(now.bytes) * u128::from(self.taken);
        let bytes = bytes / u128::from(self.rows.bytes.max(1));
        Size {
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            ..now
        }
    }
}

/// A compaction that is under way.
#[derive(Debug)]
pub(super) struct Compaction {
    /// The new file.
    part: PathBuf,
    /// The changes that were committed since the copied state.
    changes: Changes,
    remembered: usize,
    is_off: Arc<AtomicBool>,
    copying: Option<JoinHandle<Result<(Open, Reached), StorageError>>>,
}

impl Compaction {
    pub(super) fn start(file: &Path, rows: Box<dyn Frozen>) -> Result<Self, StorageError> {
        let part = part_of(file);
        remove_part(file)?;
        let is_off = Arc::new(AtomicBool::new(false));
        let rows = Stoppable {
            rows,
            is_off: Arc::clone(&is_off),
            part: part.clone(),
        };
        let to = part.clone();
        let copy = move || {
            let copied = guarded(|| copy_rows(&to, &rows, |_, _| {}));
            if copied.is_err() {
                // Its room is free at once. The compaction removes the part in any case.
                let _ = std::fs::remove_file(&to);
            }
            copied
        };
        let thread = std::thread::Builder::new().name("compaction".to_owned());
        Ok(Self {
            copying: Some(thread.spawn(copy)?),
            part,
            changes: Changes::new(),
            remembered: 0,
            is_off,
        })
    }

    /// Remembers committed changes; false where they are too many to go on.
    pub(super) fn remember(&mut self, changes: Changes) -> bool {
        let bytes = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
            key.len() + value.as_ref().map_or(0, Vec::len)
        };
        self.remembered += changes.iter().map(bytes).sum::<usize>();
        self.changes.extend(changes);
        self.remembered <= REMEMBERED_MAX
    }

    /// True if all rows are copied, or the copying failed.
    pub(super) fn is_copied(&self) -> bool {
        self.copying.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Puts the new file in the place of the old one. After an error the old file is there as it was. The database is
    /// none where it is not sure that the new file keeps its name: nothing may be written into it then, before it was
    /// opened anew.
    pub(super) fn finish(mut self, file: &Path) -> Result<(Option<Open>, Size), StorageError> {
        let copied = self.copying.take().map(JoinHandle::join);
        let Some(Ok(copied)) = copied else {
            return Err(StorageError::Closed);
        };
        let (mut open, reached) = copied?;
        open.commit(&self.changes)?;
        std::fs::rename(&self.part, file)?;
        let synced = sync_folder(file.parent().unwrap_or_else(|| Path::new(".")));
        Ok((synced.ok().map(|()| open), reached.full(reached.rows)))
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        self.is_off.store(true, Ordering::Relaxed);
        if let Some(copying) = self.copying.take() {
            // An error of a copy that nobody wants is none.
            let _ = copying.join();
        }
        // After a rename there is no such file.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// Removes what a process left that ended during a compaction.
pub(super) fn remove_part(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(part_of(file)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn part_of(file: &Path) -> PathBuf {
    file.with_extension("compaction")
}

/// True if the disk of a file has room for a copy of so many bytes, and a reserve.
pub(super) fn has_room(file: &Path, bytes: u64) -> std::io::Result<bool> {
    let free = bytes_free(file.parent().unwrap_or_else(|| Path::new(".")))?;
    Ok(bytes.saturating_add(RESERVE) <= free)
}

/// The bytes of the disk under a folder that this process may still take.
#[cfg(unix)]
fn bytes_free(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Here nobody tells: the disk itself says that it is full.
#[cfg(not(unix))]
fn bytes_free(_: &Path) -> std::io::Result<u64> {
    Ok(u64::MAX)
}

/// The bytes of the disk that a file takes: a database makes its file longer before it fills it.
#[cfg(unix)]
pub(crate) fn bytes_on_disk(file: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(file)?.blocks() * 512)
}

/// Here the length is all that is known.
#[cfg(not(unix))]
pub(crate) fn bytes_on_disk(file: &Path) -> std::io::Result<u64> {
    Ok(std::fs::metadata(file)?.len())
}

/// Rows that are handed out until somebody says that they are not wanted, or the disk is nearly full.
struct Stoppable {
    rows: Box<dyn Frozen>,
    is_off: Arc<AtomicBool>,
    part: PathBuf,
}

impl Frozen for Stoppable {
    fn each(&self, take: &mut TakeRow<'_>) -> Result<(), StorageError> {
        let mut count: u32 = 0;
        self.rows.each(&mut |key, value| {
            if self.is_off.load(Ordering::Relaxed) {
                return Err(StorageError::Closed);
            }
            if count.is_multiple_of(ROWS_A_LOOK) && !has_room(&self.part, 0)? {
                return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
            }
            count = count.wrapping_add(1);
            take(key, value)
        })
    }
}
