//! The content of the journal's files: every intact record of them.
//!
//! `journal/mod.rs` describes the layout of the files and the times of writing.

use std::collections::BTreeMap;
use std::io;

use crate::store::disk::Disk;
use crate::store::format::codec::Codec;
use crate::store::format::frame::{self, MAGIC};
use crate::store::format::key::Tag;
use crate::store::tree::KvBatch;

/// The journal's two files.
pub(crate) const JOURNAL_FILES: [&str; 2] = ["journal.0", "journal.1"];

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RecordKind {
    /// The image of everything unsettled; the first record of a file.
    Start,
    /// The whole batch of a commit of class intent; it follows on the commit before it.
    Intent,
    /// The same of a commit that changes the outbox alone: the record can follow on the last commit that was
    /// durable when it was made.
    Apart,
    /// The changes of a commit of class cache to the outbox.
    Outbox,
    /// The tree is durable up to this commit.
    Mark,
}

impl RecordKind {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Start => b'S',
            Self::Intent => b'I',
            Self::Apart => b'A',
            Self::Outbox => b'O',
            Self::Mark => b'M',
        }
    }

    /// Its name, for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Intent => "intent",
            Self::Apart => "intent apart",
            Self::Outbox => "outbox",
            Self::Mark => "mark",
        }
    }

    pub(crate) const fn of(byte: u8) -> Option<Self> {
        match byte {
            b'S' => Some(Self::Start),
            b'I' => Some(Self::Intent),
            b'A' => Some(Self::Apart),
            b'O' => Some(Self::Outbox),
            b'M' => Some(Self::Mark),
            _ => None,
        }
    }
}

/// One intact record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JournalRecord {
    pub(crate) generation: u64,
    pub(crate) seq: u64,
    pub(crate) kind: RecordKind,
    /// The commit that it can follow on, if it stands apart; else the one before its own.
    pub(crate) base: u64,
    pub(crate) batch: KvBatch,
}

/// Everything intact that the two files hold, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct JournalContent {
    pub(crate) records: Vec<JournalRecord>,
    /// Records whose start was found and whose rest is damaged; a torn tail is one too.
    pub(crate) broken: usize,
    /// The files with content but without a record of the unsettled entries.
    pub(crate) unread: Vec<&'static str>,
}

impl JournalContent {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// When the operating system refuses: that is not to be taken for a journal that says nothing.
    pub(crate) fn read(disk: &dyn Disk, codec: &Codec) -> io::Result<Self> {
        let mut recovered = Self::default();
        for name in JOURNAL_FILES {
            let bytes = disk.read(name)?.unwrap_or_default();
            let before = recovered.records.len();
            recovered.gather(&bytes, codec);
            let mut found = recovered.records.iter().skip(before);
            if !found.any(|r| r.kind == RecordKind::Start) && bytes.iter().any(|byte| *byte != 0) {
                recovered.unread.push(name);
            }
        }
        recovered
            .records
            .sort_by_key(|r| (r.generation, r.kind != RecordKind::Start, r.seq, r.kind));
        Ok(recovered)
    }

    /// True if no file has a start record, or a file with bytes has none.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_lost() || !self.unread.is_empty()
    }

    /// True if no file has a start record, so the unsettled entries are unknown.
    pub(crate) fn is_lost(&self) -> bool {
        !self
            .records
            .iter()
            .any(|record| record.kind == RecordKind::Start)
    }

    fn gather(&mut self, bytes: &[u8], codec: &Codec) {
        let mut rest = bytes;
        while let Some(start) = frame::find_magic(rest) {
            rest = rest.get(start..).unwrap_or_default();
            let length = match frame::open_first(rest, codec.frame_context()) {
                Ok((opened, length)) => {
                    match parse(&opened) {
                        Some(record) => self.records.push(record),
                        None => self.broken += 1,
                    }
                    length
                }
                Err(_) => {
                    self.broken += 1;
                    MAGIC.len()
                }
            };
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// The generation that rules.
    pub(crate) fn generation(&self) -> u64 {
        self.records
            .iter()
            .map(|record| record.generation)
            .max()
            .unwrap_or(0)
    }

    /// The records of the generation that rules.
    pub(crate) fn current(&self) -> impl Iterator<Item = &JournalRecord> {
        let generation = self.generation();
        self.records
            .iter()
            .filter(move |record| record.generation == generation)
    }

    /// The unsettled rows, by the journal alone: key to value.
    pub(crate) fn image(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut image = BTreeMap::new();
        for record in &self.records {
            if record.kind == RecordKind::Start {
                image.clear();
            }
            fold(&mut image, &record.batch);
        }
        image
    }
}

fn parse(opened: &frame::OpenedFrame) -> Option<JournalRecord> {
    let (kind, generation) = opened.key.split_first()?;
    let kind = RecordKind::of(*kind)?;
    let (base, batch) = match kind {
        RecordKind::Apart => {
            let (base, batch) = opened.payload.split_first_chunk::<8>()?;
            (u64::from_le_bytes(*base), batch)
        }
        _ => (opened.seq.saturating_sub(1), opened.payload.as_slice()),
    };
    Some(JournalRecord {
        generation: u64::from_be_bytes(generation.try_into().ok()?),
        seq: opened.seq,
        kind,
        base,
        batch: KvBatch::from_bytes(batch)?,
    })
}

/// True if the journal keeps the rows of a key: those that exist nowhere but on this device.
pub(crate) fn keeps(key: &[u8]) -> bool {
    Tag::of(key) == Some(Tag::Outbox)
}

/// Puts a batch's changes of unsettled rows into an image.
pub(crate) fn fold(image: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: &KvBatch) {
    for (key, value) in batch.changes.iter().filter(|(key, _)| keeps(key)) {
        match value {
            Some(value) => image.insert(key.clone(), value.clone()),
            None => image.remove(key),
        };
    }
}
