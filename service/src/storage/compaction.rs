//! Compaction: at rest the data file is written anew, without its gaps, while the service goes on.
//!
//! The database fills its pages by half where rows come in between others, as messages of many conversations do,
//! and its file does not shrink. A thread beside copies the committed rows, in order, into a new file, whose pages
//! are full. Changes that are committed meanwhile go into the old file, as ever, and are remembered. At the end they are
//! written into the new file, and when that is on disk it takes the name of the old one. So there is one whole file
//! under the name at each moment. A compaction that fails leaves the old file as it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::StorageError;
use super::backup::sync_folder;
use super::keyed::{Changes, Frozen, TakeRow};
use super::redb::{Open, copy_rows};
use super::salvage::guarded;

/// Bytes of changes that are remembered while rows are copied. Where there are more, the service is not at rest.
const REMEMBERED_MAX: usize = 8 * 1024 * 1024;

/// Bytes that the database and our checksum add to a row.
pub(super) const ROW_OVERHEAD: u64 = 17;

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

/// A compaction that is under way.
#[derive(Debug)]
pub(super) struct Compaction {
    /// The new file.
    part: PathBuf,
    /// The changes that were committed since the copied state.
    changes: Changes,
    remembered: usize,
    is_off: Arc<AtomicBool>,
    copying: Option<JoinHandle<Result<(Open, Size), StorageError>>>,
}

impl Compaction {
    pub(super) fn start(file: &Path, rows: Box<dyn Frozen>) -> Result<Self, StorageError> {
        let part = part_of(file);
        remove_part(file)?;
        let is_off = Arc::new(AtomicBool::new(false));
        let rows = Stoppable {
            rows,
            is_off: Arc::clone(&is_off),
        };
        let to = part.clone();
        let copy = move || {
            guarded(|| {
                let mut size = Size::default();
                let open = copy_rows(&to, &rows, |key, value| size.add(key, value))?;
                Ok((open, size))
            })
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
        let (mut open, size) = copied?;
        open.commit(&self.changes)?;
        std::fs::rename(&self.part, file)?;
        let synced = sync_folder(file.parent().unwrap_or_else(|| Path::new(".")));
        Ok((synced.ok().map(|()| open), size))
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

/// Rows that are handed out until somebody says that they are not wanted.
struct Stoppable {
    rows: Box<dyn Frozen>,
    is_off: Arc<AtomicBool>,
}

impl Frozen for Stoppable {
    fn each(&self, take: &mut TakeRow<'_>) -> Result<(), StorageError> {
        self.rows.each(
            &mut |key, value| match self.is_off.load(Ordering::Relaxed) {
                true => Err(StorageError::Closed),
                false => take(key, value),
            },
        )
    }
}
