//! The journal: the promises to the app, each on disk before the call that made it returns.
//!
//! There are two files, and one is written at a time. A file begins with a *start* record: the image of
//! everything unsettled at that moment, under a generation of its own. The intact start of the highest
//! generation is valid. The records of commits follow:
//!
//! - the whole batch of an *intent*, synced before the batch is applied to the tree;
//! - the *outbox* part of any other commit that touches the outbox, written after the commit and synced with
//!   the next record;
//! - a *mark* after each flush of the tree, with the commit up to which the tree is durable, so a tree that
//!   comes back older is recognised.
//!
//! When a file is full, the tree is flushed and the other file gets a new start. The same happens before the
//! first commit after an opening; until then the journal is not written.
//!
//! Files are preallocated, so a sync writes data only. A record is a frame (`format/frame.rs`) whose key is
//! the kind and the generation (8 bytes, big-endian) and whose payload is a batch (`tree/mod.rs`). The record
//! is therefore encrypted when the store is, and a scan finds it by its magic. The generation distinguishes a
//! file's older records.

pub(super) mod reader;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::store::disk::{Disk, DiskFile};
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::frame::HEADER;
use crate::store::journal::reader::{JOURNAL_FILES, RecordKind, fold, keeps};
use crate::store::tree::KvBatch;

/// How large a file is made at first, in bytes: some hundred unsent messages.
const CAPACITY_FIRST: usize = 256 * 1024;

/// The file whose turn it is with a generation.
const fn file_of(generation: u64) -> &'static str {
    let [even, odd] = JOURNAL_FILES;
    if generation.is_multiple_of(2) {
        even
    } else {
        odd
    }
}

/// The journal, open to append.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    generation: u64,
    /// The offset of the next record.
    end: u64,
    capacity: u64,
    /// The rows that are unsettled now.
    image: BTreeMap<Vec<u8>, Vec<u8>>,
    /// True if an append or sync failed: the bytes behind the file's last good record are unknown, so nothing
    /// more is appended to it.
    suspect: bool,
    /// The length of the record whose append failed: the record may be in the file all the same.
    unpromised: usize,
    /// True if there are records that are not synced yet.
    unsynced: bool,
}

impl Journal {
    /// A journal that a store just opened may need, or not: the next generation begins with
    /// [`Journal::restart`], and has room for nothing before.
    pub(crate) fn waiting(
        disk: Arc<dyn Disk>,
        generation: u64,
        image: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<Self, StoreError> {
        let file = disk.open(file_of(generation));
        let file = file.map_err(|error| StoreError::io("opening the journal", &error))?;
        Ok(Self {
            disk,
            file,
            generation,
            end: 0,
            capacity: 0,
            image,
            suspect: false,
            unpromised: 0,
            unsynced: false,
        })
    }

    /// True if this generation has not begun: nothing may be appended to its file.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.capacity == 0
    }

    /// Starts a new generation with an image; durable on return.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        codec: &Codec,
        generation: u64,
        image: BTreeMap<Vec<u8>, Vec<u8>>,
        seq: u64,
    ) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::io("starting the journal", &error);
        let mut journal = Self::waiting(disk, generation, image)?;
        let changes = journal
            .image
            .iter()
            .map(|(k, v)| (k.clone(), Some(v.clone())))
            .collect();
        let image = KvBatch { changes }.to_bytes();
        let start = journal.frame(codec, RecordKind::Start, &image, seq)?;
        journal.reserve(start.len()).map_err(failed)?;
        journal.write(&start).map_err(failed)?;
        journal.file.sync().map_err(failed)?;
        journal.disk.sync_folder().map_err(failed)?;
        journal.unsynced = false;
        Ok(journal)
    }

    /// True if a batch fits into the file; if not, flush the tree and [`Journal::restart`].
    pub(crate) fn has_room_for(&self, batch: &KvBatch) -> bool {
        let room = self.capacity.saturating_sub(self.end);
        !self.suspect && u64::try_from(record_size(batch)).is_ok_and(|size| size <= room)
    }

    /// Starts the next generation in the other file. The tree must have been flushed: the records
    /// of this generation are not replayed any more.
    pub(crate) fn restart(&mut self, codec: &Codec, seq: u64) -> Result<(), StoreError> {
        let next = self.generation.saturating_add(1);
        let image = std::mem::take(&mut self.image);
        match Self::start(Arc::clone(&self.disk), codec, next, image.clone(), seq) {
            Ok(journal) => {
                *self = journal;
                Ok(())
            }
            Err(error) => {
                // The other file may hold that start all the same: nothing more is appended to
                // this one, and the next attempt overwrites the other.
                self.image = image;
                self.suspect = true;
                Err(error)
            }
        }
    }

    /// Makes room for a record that is larger than the first size of a file.
    pub(crate) fn reserve_for(&mut self, batch: &KvBatch) -> Result<(), StoreError> {
        if self.has_room_for(batch) {
            return Ok(());
        }
        let used = usize::try_from(self.end).unwrap_or(usize::MAX);
        self.reserve(used.saturating_add(record_size(batch)))
            .map_err(|error| StoreError::io("growing the journal", &error))
    }

    /// Appends the batch of an intent; durable on return. When it fails, nothing was promised. With a
    /// `base`, it can follow on that commit as well as on the one before it.
    pub(crate) fn append_intent(
        &mut self,
        codec: &Codec,
        batch: &KvBatch,
        seq: u64,
        base: Option<u64>,
    ) -> Result<(), StoreError> {
        let batch_bytes = batch.to_bytes();
        let frame = match base {
            None => self.frame(codec, RecordKind::Intent, &batch_bytes, seq),
            Some(base) => {
                let payload = [&base.to_le_bytes(), batch_bytes.as_slice()].concat();
                self.frame(codec, RecordKind::Apart, &payload, seq)
            }
        }?;
        let end = self.end;
        let written = self.write(&frame).and_then(|()| self.file.sync());
        if let Err(error) = written {
            self.suspect = true;
            self.end = end;
            self.unpromised = frame.len();
            // The record must not be replayed, for its call fails. If the disk refuses this too,
            // a probe tries again; should the power be cut before, it may turn up.
            let _ = self.forget_unpromised();
            return Err(StoreError::io("the journal", &error));
        }
        self.unsynced = false;
        fold(&mut self.image, batch);
        Ok(())
    }

    /// Overwrites the record of an append that failed.
    pub(crate) fn forget_unpromised(&mut self) -> Result<(), StoreError> {
        if self.unpromised > 0 {
            let blank = vec![0; self.unpromised];
            let blanked = self
                .file
                .write_at(self.end, &blank)
                .and_then(|()| self.file.sync());
            blanked.map_err(|error| StoreError::io("the journal", &error))?;
            self.unpromised = 0;
        }
        Ok(())
    }

    /// Notes that the tree is durable up to a commit. The note itself need not last: one that is
    /// lost is only a comparison less.
    pub(crate) fn mark(&mut self, codec: &Codec, seq: u64) {
        let nothing = KvBatch::default();
        if self.has_room_for(&nothing)
            && let Ok(frame) = self.frame(codec, RecordKind::Mark, &[], seq)
        {
            self.suspect |= self.write(&frame).is_err();
        }
    }

    /// Appends the outbox changes of a commit that is already in the tree. After a failure the journal restarts
    /// before the next intent.
    pub(crate) fn append_outbox(&mut self, codec: &Codec, batch: &KvBatch, seq: u64) {
        let changes = batch.changes.iter().filter(|(key, _)| keeps(key));
        let changes = changes
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let part = KvBatch { changes };
        if part.changes.is_empty() {
            return;
        }
        fold(&mut self.image, &part);
        let fits = self.has_room_for(&part);
        let frame = self.frame(codec, RecordKind::Outbox, &part.to_bytes(), seq);
        let written = match frame {
            Ok(frame) if fits => self.write(&frame).is_ok(),
            _ => false,
        };
        self.suspect |= !written;
        self.unsynced |= written;
    }

    /// Makes every record durable.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        if self.unsynced {
            self.file.sync().map_err(|error| {
                self.suspect = true;
                StoreError::io("the journal", &error)
            })?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn frame(
        &self,
        codec: &Codec,
        kind: RecordKind,
        payload: &[u8],
        seq: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let mut key = vec![kind.byte()];
        key.extend_from_slice(&self.generation.to_be_bytes());
        codec.frame(&key, payload, seq)
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_at(self.end, frame)?;
        self.end += u64::try_from(frame.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Fills the file up with zeros, real ones, to at least twice the start record.
    fn reserve(&mut self, start: usize) -> io::Result<()> {
        let wanted = start
            .saturating_mul(2)
            .max(CAPACITY_FIRST)
            .next_power_of_two();
        let length = usize::try_from(self.file.length()?).unwrap_or(usize::MAX);
        if length < wanted {
            let offset = u64::try_from(length).unwrap_or(u64::MAX);
            let zeros = wanted.saturating_sub(length);
            self.file.write_zeros(offset, zeros)?;
        }
        self.capacity = u64::try_from(length.max(wanted)).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// No record of a batch is longer.
fn record_size(batch: &KvBatch) -> usize {
    let each = batch.changes.len().saturating_mul(8);
    let frame = HEADER
        .saturating_add(16 + 8)
        .saturating_add(crate::store::format::cipher::Cipher::OVERHEAD);
    batch.size().saturating_add(each).saturating_add(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OutboxEntryId;
    use crate::store::disk::memory::{Fault, MemoryDisk};
    use crate::store::format::key;
    use crate::store::journal::reader::JournalContent;

    fn codec() -> Codec {
        Codec::new(7, None)
    }

    fn entry(n: u64, value: Option<&str>) -> KvBatch {
        let mut batch = KvBatch::default();
        let changes = &mut batch.changes;
        changes.insert(
            key::outbox(OutboxEntryId(n)),
            value.map(|v| v.as_bytes().to_vec()),
        );
        batch
    }

    fn journal(disk: &MemoryDisk) -> Journal {
        Journal::start(Arc::new(disk.clone()), &codec(), 1, BTreeMap::new(), 0).unwrap()
    }

    fn unsettled(disk: &MemoryDisk) -> Vec<u64> {
        let image = JournalContent::read(disk, &codec()).unwrap().image();
        image
            .keys()
            .map(|key| key::parse_outbox(key).unwrap().0)
            .collect()
    }

    #[test]
    fn an_intent_survives_a_crash_and_a_settlement_ends_it() {
        let disk = MemoryDisk::new(3);
        let mut journal = journal(&disk);
        journal
            .append_intent(&codec(), &entry(1, Some("a")), 1, None)
            .unwrap();
        journal
            .append_intent(&codec(), &entry(2, Some("b")), 2, None)
            .unwrap();
        journal.append_outbox(&codec(), &entry(1, None), 3);
        journal.sync().unwrap();
        disk.crash();
        assert_eq!(unsettled(&disk), [2]);
    }

    #[test]
    fn a_crash_in_the_middle_of_a_restart_loses_nothing() {
        for operation in 0..8 {
            let disk = MemoryDisk::new(operation);
            let mut journal = journal(&disk);
            journal
                .append_intent(&codec(), &entry(1, Some("a")), 1, None)
                .unwrap();
            disk.set_fault(Some(Fault::From {
                operation: disk.operations() + operation,
            }));
            let _ = journal.restart(&codec(), 1);
            drop(journal);
            disk.crash();
            assert_eq!(unsettled(&disk), [1], "cut at operation {operation}");
        }
    }

    #[test]
    fn a_full_file_says_so_and_the_next_generation_holds_the_image() {
        let disk = MemoryDisk::new(1);
        let mut journal = journal(&disk);
        let text = "x".repeat(10_000);
        for n in 1..=100 {
            let batch = entry(n, Some(&text));
            if !journal.has_room_for(&batch) {
                journal.restart(&codec(), n).unwrap();
            }
            journal.append_intent(&codec(), &batch, n, None).unwrap();
        }
        assert_eq!(unsettled(&disk).len(), 100);
        assert!(JournalContent::read(&disk, &codec()).unwrap().generation() > 1);
    }

    #[test]
    fn a_failed_append_is_not_found_again_and_the_journal_asks_for_a_restart() {
        let disk = MemoryDisk::new(1);
        let mut journal = journal(&disk);
        let sync = disk.operations() + 2;
        disk.set_fault(Some(Fault::Once { operation: sync }));
        assert!(
            journal
                .append_intent(&codec(), &entry(1, Some("a")), 1, None)
                .is_err()
        );
        assert!(!journal.has_room_for(&entry(2, Some("b"))));
        journal.restart(&codec(), 0).unwrap();
        journal
            .append_intent(&codec(), &entry(2, Some("b")), 1, None)
            .unwrap();
        assert_eq!(unsettled(&disk), [2]);
    }

    #[test]
    fn every_record_but_the_damaged_one_is_recovered() {
        let disk = MemoryDisk::new(1);
        let mut journal = journal(&disk);
        let mut ends = vec![journal.end];
        for n in 1..=5 {
            journal
                .append_intent(&codec(), &entry(n, Some("text")), n, None)
                .unwrap();
            ends.push(journal.end);
        }
        let middle = usize::try_from((ends[2] + ends[3]) / 2).unwrap();
        assert!(disk.damage(JOURNAL_FILES[1], middle));
        assert_eq!(unsettled(&disk), [1, 2, 4, 5]);
    }
}
