//! A folder in memory that forgets, tears and refuses on demand: for tests and the simulator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use crate::splitmix;
use crate::store::disk::{Disk, DiskFile};

/// A folder in memory. Clones share it, so it outlives the store and can be opened again.
///
/// Every operation that changes something has a number, counted from 1 over the disk's life. Writes that were
/// not synced are lost, or torn, at [`MemoryDisk::crash`]. The seed alone decides which of them are, so a run
/// replays.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Content>,
    seed: u64,
    operations: u64,
    accesses: u64,
    fault: Option<Fault>,
    locked: bool,
    /// Syncs of files whose names begin so do nothing.
    lies_about: Option<&'static str>,
}

/// The bytes of one file: as a reader sees them, as a power cut would leave them, and the writes
/// that are between the two.
#[derive(Clone, Default)]
struct Content {
    now: Bytes,
    durable: Bytes,
    unsynced: Vec<UnsyncedWrite>,
}

#[derive(Clone)]
enum UnsyncedWrite {
    Write { offset: usize, bytes: Bytes },
    Truncate { length: usize },
}

/// Bytes, of which the zeros at the end are not held: a file is filled up with zeros before it is used.
#[derive(Clone, Default)]
struct Bytes {
    /// The bytes before the zeros.
    held: Vec<u8>,
    length: usize,
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        let mut all = Self::default();
        all.overwrite(0, bytes);
        all
    }

    fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.saturating_add(bytes.len());
        self.length = self.length.max(end);
        if offset >= self.held.len() && are_zeros(bytes) {
            return;
        }
        self.hold(end);
        if let Some(place) = self.held.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
    }

    /// Holds so many bytes at least.
    fn hold(&mut self, length: usize) {
        let missing = length.saturating_sub(self.held.len());
        // Faster than `resize` in a build without optimisation, in which the tests run.
        self.held.append(&mut vec![0; missing]);
    }

    /// Writes the first bytes of others.
    fn overwrite_with(&mut self, offset: usize, bytes: &Self, many: usize) {
        let held = bytes.held.len().min(many);
        self.overwrite(offset, bytes.held.get(..held).unwrap_or_default());
        let zeros_from = offset.saturating_add(held);
        let end = offset.saturating_add(many.min(bytes.length));
        self.length = self.length.max(end);
        let before = self.held.len().min(end);
        if let Some(place) = self.held.get_mut(zeros_from..before) {
            place.fill(0);
        }
    }

    fn truncate(&mut self, length: usize) {
        self.held.truncate(length);
        self.length = self.length.min(length);
    }

    fn to_vec(&self) -> Vec<u8> {
        let mut all = self.held.clone();
        let zeros = self.length.saturating_sub(all.len());
        all.append(&mut vec![0; zeros]);
        all
    }

    /// Inverts the bits of a byte; false when there is no such byte.
    fn invert(&mut self, offset: usize) -> bool {
        if offset >= self.length {
            return false;
        }
        self.hold(offset.saturating_add(1));
        if let Some(byte) = self.held.get_mut(offset) {
            *byte = !*byte;
        }
        true
    }
}

/// True if all bytes are 0. The comparison of blocks is fast in a build without optimisation as well.
fn are_zeros(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4_096] = [0; 4_096];
    let mut blocks = bytes.chunks(ZEROS.len());
    blocks.all(|block| ZEROS.starts_with(block))
}

/// A fault of the disk, and the operation that it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation of this number fails once.
    Once {
        /// The number of the operation.
        operation: u64,
    },
    /// Every operation from this number on fails, as when the disk is full, until the fault is
    /// taken away.
    From {
        /// The number of the first operation that fails.
        operation: u64,
    },
    /// The access of this number fails once; reads, lookups and opens count too.
    AnyOnce {
        /// The number of the access.
        access: u64,
    },
    /// Every access from this number on fails, as of a device that is gone, until the fault is
    /// taken away.
    AnyFrom {
        /// The number of the first access that fails.
        access: u64,
    },
}

impl MemoryDisk {
    /// An empty folder; the seed decides what a crash tears.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            seed,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The number of operations that have changed something, or tried to.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The number of times that anything was asked of the disk: operations, and reading, looking and opening.
    #[must_use]
    pub fn accesses(&self) -> u64 {
        self.state().accesses
    }

    /// Makes operations fail; none mends the disk.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// From here on a sync of a file whose name begins with `prefix` says that it was done, and does
    /// nothing: a fault to plant, which checks must notice.
    pub fn lie_about_syncs(&self, prefix: &'static str) {
        self.state().lies_about = Some(prefix);
    }

    /// Cuts the power: the seed decides which of the writes that were not synced are left. The stores that
    /// have the disk open must be dropped first; the fault is taken away.
    pub fn crash(&self) {
        let mut state = self.state();
        state.fault = None;
        state.locked = false;
        let mut seed = state.seed.wrapping_add(state.operations);
        for content in state.files.values_mut() {
            content.crash(&mut seed);
        }
    }

    /// Inverts the bits of a byte of a file, as a failing device does. False when there is no such
    /// byte.
    pub fn damage(&self, name: &str, offset: usize) -> bool {
        let mut state = self.state();
        let Some(content) = state.files.get_mut(name) else {
            return false;
        };
        if !content.now.invert(offset) {
            return false;
        }
        content.durable = content.now.clone();
        content.unsynced.clear();
        true
    }

    /// A copy of the files as a reader sees them now, on a disk of its own: a backup. Nobody has
    /// it open, and nothing is wrong with it.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let state = self.state();
        let mut files = state.files.clone();
        files.values_mut().for_each(Content::sync);
        let copy = State {
            files,
            seed: state.seed,
            operations: state.operations,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(copy)),
        }
    }

    /// The names and lengths of the files, in order.
    #[must_use]
    pub fn files(&self) -> Vec<(String, usize)> {
        let state = self.state();
        state
            .files
            .iter()
            .map(|(name, content)| (name.clone(), content.now.length))
            .collect()
    }

    /// Takes the folder for one opener; false when somebody has it.
    pub(in crate::store) fn lock(&self) -> bool {
        let mut state = self.state();
        !std::mem::replace(&mut state.locked, true)
    }

    /// Gives the folder back.
    pub(in crate::store) fn unlock(&self) {
        self.state().locked = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk")
            .field("files", &self.files())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Counts an operation, and fails it if it is to fail.
    fn begin(&mut self) -> io::Result<()> {
        self.operations += 1;
        let fails = match self.fault {
            Some(Fault::Once { operation }) => self.operations == operation,
            Some(Fault::From { operation }) => self.operations >= operation,
            Some(Fault::AnyOnce { .. } | Fault::AnyFrom { .. }) | None => false,
        };
        if fails {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.access()
    }

    /// Counts an access, and fails it if it is to fail.
    fn access(&mut self) -> io::Result<()> {
        self.accesses += 1;
        let fails = match self.fault {
            Some(Fault::AnyOnce { access }) => self.accesses == access,
            Some(Fault::AnyFrom { access }) => self.accesses >= access,
            Some(Fault::Once { .. } | Fault::From { .. }) | None => false,
        };
        if fails {
            Err(io::Error::other("the device does not answer"))
        } else {
            Ok(())
        }
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.now.overwrite(offset, bytes);
        self.unsynced.push(UnsyncedWrite::Write {
            offset,
            bytes: Bytes::of(bytes),
        });
    }

    /// Takes time by the bytes written since the last sync, not by the length of the file.
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                UnsyncedWrite::Write { offset, bytes } => {
                    self.durable.overwrite_with(offset, &bytes, bytes.length);
                }
                UnsyncedWrite::Truncate { length } => self.durable.truncate(length),
            }
        }
    }

    /// Each unsynced write is lost, kept, or kept in part; later ones may survive earlier ones.
    fn crash(&mut self, seed: &mut u64) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                UnsyncedWrite::Write { offset, bytes } => match splitmix::next(seed) % 3 {
                    0 => {}
                    1 => self.durable.overwrite_with(offset, &bytes, bytes.length),
                    _ => {
                        let many = u64::try_from(bytes.length)
                            .unwrap_or(u64::MAX)
                            .saturating_add(1);
                        let kept = usize::try_from(splitmix::next(seed) % many).unwrap_or(0);
                        self.durable.overwrite_with(offset, &bytes, kept);
                    }
                },
                UnsyncedWrite::Truncate { length } => {
                    if splitmix::next(seed).is_multiple_of(2) {
                        self.durable.truncate(length);
                    }
                }
            }
        }
        self.now.clone_from(&self.durable);
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.access()?;
        state.files.entry(name.to_owned()).or_default();
        drop(state);
        Ok(Box::new(MemoryFile {
            disk: self.clone(),
            name: name.to_owned(),
        }))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut state = self.state();
        state.access()?;
        Ok(state.files.get(name).map(|content| content.now.to_vec()))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.begin()?;
        let content = state.files.entry(name.to_owned()).or_default();
        *content = Content {
            now: Bytes::of(bytes),
            durable: Bytes::of(bytes),
            unsynced: Vec::new(),
        };
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin()?;
        state.files.remove(name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin()?;
        let content = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.access()?;
        Ok(state.files.keys().cloned().collect())
    }

    fn sizes(&self) -> io::Result<Vec<(String, u64)>> {
        let sized = |(name, bytes)| (name, u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(self.files().into_iter().map(sized).collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.state().begin()
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    name: String,
}

impl MemoryFile {
    fn change(&self, apply: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin()?;
        apply(state.files.entry(self.name.clone()).or_default());
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.access()?;
        let length = state
            .files
            .get(&self.name)
            .map_or(0, |content| content.now.length);
        Ok(u64::try_from(length).unwrap_or(u64::MAX))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.change(|content| content.write(offset, bytes))
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.change(|content| {
            content.now.truncate(length);
            content.unsynced.push(UnsyncedWrite::Truncate { length });
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let lies_about = self.disk.state().lies_about;
        if lies_about.is_some_and(|prefix| self.name.starts_with(prefix)) {
            return self.disk.state().begin();
        }
        self.change(Content::sync)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_a_crash_whatever_the_seed() {
        for seed in 0..50 {
            let disk = MemoryDisk::new(seed);
            let mut file = disk.open("a").unwrap();
            file.write_at(0, b"synced").unwrap();
            file.sync().unwrap();
            file.write_at(6, b" and not").unwrap();
            disk.crash();
            let left = disk.read("a").unwrap().unwrap();
            assert!(left.starts_with(b"synced") && b"synced and not".starts_with(&left[..]));
        }
    }

    #[test]
    fn zeros_at_the_end_are_bytes_like_all_others() {
        let disk = MemoryDisk::new(1);
        let mut file = disk.open("a").unwrap();
        file.write_at(0, &[0; 100]).unwrap();
        file.write_at(10, b"words").unwrap();
        file.sync().unwrap();
        let mut expected = vec![0; 100];
        expected[10..15].copy_from_slice(b"words");
        assert_eq!(disk.read("a").unwrap().unwrap(), expected);
        file.write_at(12, &[0; 5]).unwrap();
        expected[12..17].fill(0);
        file.sync().unwrap();
        disk.crash();
        assert_eq!(disk.read("a").unwrap().unwrap(), expected);
        assert_eq!(disk.files(), [("a".to_owned(), 100)]);
        assert!(disk.damage("a", 99) && !disk.damage("a", 100));
        expected[99] = 255;
        assert_eq!(disk.read("a").unwrap().unwrap(), expected);
        file.truncate(50).unwrap();
        file.sync().unwrap();
        assert_eq!(disk.read("a").unwrap().unwrap(), expected[..50]);
    }

    #[test]
    fn an_operation_fails_when_its_number_comes_and_works_again_after() {
        let disk = MemoryDisk::new(1);
        disk.set_fault(Some(Fault::Once { operation: 2 }));
        let mut file = disk.open("a").unwrap();
        assert!(file.write_at(0, b"x").is_ok());
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        disk.set_fault(Some(Fault::From { operation: 4 }));
        assert!(file.sync().is_err() && file.sync().is_err());
    }
}
