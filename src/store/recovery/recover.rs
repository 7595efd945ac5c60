//! The steps from the files on disk to an open store.
//!
//! 1. The journal is read: every intact record of both files.
//! 2. The tree is opened. If it cannot be opened, it is set aside, and a new tree is filled with every whole
//!    record that a raw scan finds (`recovery/rebuild.rs`).
//! 3. Intents that the tree has not seen are replayed, if they follow its last commit.
//! 4. If the tree is new, or older than the journal says, the journal alone tells the unsettled entries.
//!    Otherwise the tree tells them, because it is never behind the journal.
//! 5. The journal starts a new generation: at once if anything was damaged, replayed or migrated, otherwise
//!    with the first commit. A store that is only read therefore writes nothing.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::model::{ConversationId, Timestamp};
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::frame;
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{decode, encode};
use crate::store::format::record::{ConversationRecord, FailureRecord, IdRecord, SCHEMA};
use crate::store::format::record_entry::{EntryRecord, EntryStateRecord};
use crate::store::journal::Journal;
use crate::store::journal::reader::{JournalContent, RecordKind};
use crate::store::recovery::aside::set_aside;
use crate::store::recovery::load::{
    Rows, entry_record, load, load_outbox, outbox_rows, put, put_counters,
};
use crate::store::recovery::migrate::migrate;
use crate::store::recovery::rebuild::Unfinished;
use crate::store::recovery::report::OpenReport;
use crate::store::recovery::salvage::{Rebuilt, Salvage};
use crate::store::recovery::scan::scan_folder;
use crate::store::recovery::segment_check::{LogEnd, look};
use crate::store::state::{Tables, empty_tables};
use crate::store::tree::location::{Location, TreeLocation, TreeName};
use crate::store::tree::memory::{UnreadableTree, memory_tree};
use crate::store::tree::{Direction, Kv, KvBatch};
use crate::store::types::conversation::ConversationRow;
use crate::store::types::position::ConversationNumber;

/// The file that is written to see whether writing works, and how large it is.
pub(crate) const PROBE_FILE: &str = "probe";
const PROBE_BYTES: usize = 1024 * 1024;

/// How many bytes of records, old versions included, are held in memory for a folder that cannot
/// be written.
const PEEK_MAX: usize = 64 * 1024 * 1024;

/// The depth of a check of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Its counters and the outbox: a few reads.
    Quick,
    /// Every value.
    Full,
}

/// The condition of a tree.
enum TreeCondition {
    /// The tree is as it was closed; nothing has to be written.
    AsClosed(Tables),
    /// Intents were replayed on it, or it has a newer schema now.
    BroughtForward(Tables),
    /// The tree is damaged or too old; a new one has to be made.
    Lost,
}

impl Location {
    /// Opens everything, repairs damage, and starts the journal anew.
    pub(crate) fn open(
        &self,
        codec: &Codec,
        check: Check,
        now: Timestamp,
        report: &mut OpenReport,
    ) -> Result<(Tables, Result<Journal, StoreError>), StoreError> {
        self.finish_swap()?;
        let disk = self.disk.as_ref();
        let journal = JournalContent::read(disk, codec);
        let journal = journal.map_err(|e| StoreError::io("reading the journal", &e))?;
        let unfinished = Unfinished::read(disk)?;
        let (tail, opened) = self.look_and_open(codec, check, &unfinished);
        let read = opened.and_then(|tables| {
            let beside = (&journal, &tail);
            self.brought_forward(tables, codec, beside, report)
        });
        let condition = match read {
            Err(StoreError::Damaged { .. }) => TreeCondition::Lost,
            read => read?,
        };
        let (mut tables, is_as_closed) = match condition {
            TreeCondition::AsClosed(tables) => (tables, true),
            TreeCondition::BroughtForward(tables) => (tables, false),
            TreeCondition::Lost => {
                let found = (&tail, &journal, unfinished);
                (self.made_anew(codec, found, now, report)?, false)
            }
        };
        let is_ordinary = is_as_closed && !journal.is_damaged();
        let is_list_new = tables.list.unwritten.is_all;
        if is_list_new {
            make_list(&mut tables, codec)?;
            let Tables { kv, list, meta, .. } = &mut tables;
            list.write_all(kv.as_ref(), codec, meta)?;
        }
        if is_list_new || !is_ordinary {
            tables.kv.flush()?;
        }
        if lacks_promises(&journal, tables.meta.seq) {
            report.journal_lost = true;
            for name in &journal.unread {
                set_aside(disk, name, now, report);
            }
        }
        let image = outbox_rows(tables.kv.as_ref())?;
        let generation = journal.generation();
        let disk = Arc::clone(&self.disk);
        tables.outbox = load_outbox(tables.kv.as_ref(), codec)?;
        let started = if is_ordinary {
            Journal::waiting(disk, generation, image)
        } else {
            let next = generation.saturating_add(1);
            Journal::start(disk, codec, next, image, tables.meta.seq)
        };
        Ok((tables, started))
    }

    /// Looks at the tree's files, then opens it. A tree that was being filled is not opened.
    fn look_and_open(
        &self,
        codec: &Codec,
        check: Check,
        unfinished: &Unfinished,
    ) -> (LogEnd, Result<Tables, StoreError>) {
        let looked = match &self.tree {
            TreeLocation::Folder { options, .. } => look(&options.data_file()),
            TreeLocation::Memory => Ok(LogEnd::default()),
        };
        let is_half_filled = *unfinished != Unfinished::default();
        match looked {
            Ok(_) if is_half_filled => {
                let half = StoreError::damaged("a tree half filled");
                (LogEnd::default(), Err(half))
            }
            Ok(tail) => (tail, self.open_tree(codec, check)),
            Err(error) => (LogEnd::default(), Err(error)),
        }
    }

    /// Replays the journal on a tree that opened, and migrates the tree to the schema of this version. A tree
    /// counts as lost when it is older than the journal says, or empty over files that are not.
    fn brought_forward(
        &self,
        mut tables: Tables,
        codec: &Codec,
        (journal, tail): (&JournalContent, &LogEnd),
        report: &mut OpenReport,
    ) -> Result<TreeCondition, StoreError> {
        let blank = tables.meta.seq == 0;
        report.created = blank && journal.records.is_empty();
        // Before anything is replayed, for that is in the files at once.
        let is_emptied = blank && self.holds_records(codec)?;
        if is_emptied
            || replay(&mut tables, codec, journal, report)? == Replay::TreeIsOlder
            // A damaged journal does not tell the tree's last commit; the tree's files do.
            || (journal.is_damaged() && tail.newest_commit(codec) > tables.meta.seq)
        {
            report.rolled_back = true;
            report.created = false;
            return Ok(TreeCondition::Lost);
        }
        let is_old = tables.meta.schema < SCHEMA;
        let tables = forward(tables, codec)?;
        self.remove_old();
        Ok(if is_old || report.intents_replayed > 0 {
            TreeCondition::BroughtForward(tables)
        } else {
            TreeCondition::AsClosed(tables)
        })
    }

    /// Makes a new tree from the whole records in the old tree's files and in the journal.
    fn made_anew(
        &self,
        codec: &Codec,
        found: (&LogEnd, &JournalContent, Unfinished),
        now: Timestamp,
        report: &mut OpenReport,
    ) -> Result<Tables, StoreError> {
        let journal = found.1;
        let (mut tables, salvaged) = self.rebuild(codec, found, now, report)?;
        restore_outbox(&mut tables, codec, journal, salvaged, report)?;
        tables.kv.flush()?;
        Unfinished::finish(self.disk.as_ref())?;
        Ok(tables)
    }

    /// True if a raw scan finds a record in the tree's files.
    fn holds_records(&self, codec: &Codec) -> Result<bool, StoreError> {
        let TreeLocation::Folder { options, .. } = &self.tree else {
            return Ok(false);
        };
        let found = StoreError::damaged("found one");
        let scanned = scan_folder(&options.folder, codec, &mut |_, _| Err(found.clone()));
        match scanned {
            Ok(_) => Ok(false),
            Err(error) if error == found => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Fails if the folder can't be written now.
    pub(crate) fn try_writing(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("trying to write", &error);
        if let TreeLocation::Folder { folder, .. } = &self.tree {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        // Reserves the size of a journal, so the following steps do not fail half-way.
        self.disk
            .replace(PROBE_FILE, &vec![0; PROBE_BYTES])
            .map_err(failed)?;
        self.disk.remove(PROBE_FILE).map_err(failed)
    }

    /// The tables that can be read without opening a file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when a file can't be read now, because its content must not look lost.
    pub(crate) fn readable(&self, codec: &Codec) -> Result<Tables, StoreError> {
        match self.peek(codec) {
            Err(StoreError::Damaged { .. }) => Ok(empty_tables()),
            peeked => peeked,
        }
    }

    /// Lets readers see the tables that can be read without opening anything, after opening failed. If not
    /// even those can be read now, the tables in memory stay, and all other reads fail.
    pub(crate) fn show_readable(&self, tables: &mut Tables, codec: &Codec) {
        match self.readable(codec) {
            Ok(readable) => *tables = readable,
            Err(error) => tables.kv = Arc::new(UnreadableTree(error)),
        }
    }

    /// The tables that can be read without writing: the whole records of the tree, in memory, and the
    /// unsettled rows of the journal. At most [`PEEK_MAX`] of a large tree.
    fn peek(&self, codec: &Codec) -> Result<Tables, StoreError> {
        let kv = memory_tree();
        let mut salvage = Salvage::new(Arc::clone(&kv), codec, SCHEMA, BTreeMap::new());
        let mut bytes = 0_usize;
        if let TreeLocation::Folder { folder, options } = &self.tree {
            let unfinished = Unfinished::read(self.disk.as_ref())?;
            let aside = unfinished.0.iter().map(|name| folder.join(name));
            let old = folder.join(self.tree_name(TreeName::Old));
            let tree = if options.folder.exists() {
                options.folder.clone()
            } else {
                old
            };
            for source in std::iter::once(tree).chain(aside) {
                let scanned = scan_folder(&source, codec, &mut |opened, frame| {
                    bytes += frame.len();
                    if bytes > PEEK_MAX {
                        return Err(StoreError::damaged("too large to hold in memory"));
                    }
                    salvage.add(opened, frame)
                });
                // The records gathered until the limit are still worth showing.
                if !matches!(scanned, Ok(_) | Err(StoreError::Damaged { .. })) {
                    scanned?;
                }
            }
        }
        let Rebuilt {
            meta,
            totals,
            outbox,
            ..
        } = salvage.finish()?;
        let mut batch = KvBatch::default();
        put_counters(&mut batch, codec, &meta, totals)?;
        kv.apply(&batch)?;
        let mut tables = load(kv, codec)?;
        let journal = JournalContent::read(self.disk.as_ref(), codec);
        let journal = journal.map_err(|e| StoreError::io("reading the journal", &e))?;
        let mut unread = OpenReport::default();
        restore_outbox(&mut tables, codec, &journal, outbox, &mut unread)?;
        make_list(&mut tables, codec)?;
        Ok(tables)
    }

    fn open_tree(&self, codec: &Codec, check: Check) -> Result<Tables, StoreError> {
        let tables = load(self.open_kv(TreeName::Tree)?, codec)?;
        if check == Check::Full {
            verify(tables.kv.as_ref(), codec)?;
        }
        Ok(tables)
    }
}

/// Makes the list from the rows and from the outbox that the tree has now.
fn make_list(tables: &mut Tables, codec: &Codec) -> Result<(), StoreError> {
    let kv = tables.kv.as_ref();
    tables.outbox = load_outbox(kv, codec)?;
    tables.list.make_anew(kv, codec, &tables.outbox)
}

/// Makes the tree's outbox equal to the unsettled entries of the journal. With a lost journal, the rows that
/// were found elsewhere are kept as failed, and the app decides.
fn restore_outbox(
    tables: &mut Tables,
    codec: &Codec,
    journal: &JournalContent,
    found: Rows,
    report: &mut OpenReport,
) -> Result<(), StoreError> {
    let knows = journal
        .records
        .iter()
        .any(|record| record.kind == RecordKind::Start);
    let seq = tables.meta.seq.max(last_seq(journal)).saturating_add(1);
    tables.meta.seq = seq;
    let mut batch = KvBatch::default();
    let in_tree = outbox_rows(tables.kv.as_ref())?;
    let image = if knows { journal.image() } else { found };
    for key in in_tree.keys().filter(|key| !image.contains_key(*key)) {
        batch.remove(key.clone());
    }
    for (key, value) in image {
        let Some((id, mut record)) = entry_record(&key, &value, codec) else {
            report.entries_lost += 1;
            continue;
        };
        if !knows {
            // The entry may have been settled long ago, so the app decides.
            record.state = EntryStateRecord::Failed(FailureRecord::Ambiguous);
        }
        find_conversation(tables, codec, &mut record, &mut batch)?;
        tables.meta.next_entry = tables.meta.next_entry.max(id.0.saturating_add(1));
        put(&mut batch, codec, key, &encode(&record)?, seq)?;
        report.entries_recovered += 1;
    }
    put(&mut batch, codec, key::meta(), &encode(&tables.meta)?, seq)?;
    tables.kv.apply(&batch)
}

/// Finds the conversation of a recovered entry, or makes one that is to be asked for.
fn find_conversation(
    tables: &mut Tables,
    codec: &Codec,
    record: &mut EntryRecord<'_>,
    batch: &mut KvBatch,
) -> Result<(), StoreError> {
    let bad = || StoreError::damaged("an entry's conversation id");
    let id = ConversationId::new(&record.conversation_id).map_err(|_| bad())?;
    let id_key = key::hashed(Tag::Id, id.as_str(), &codec.hash_key);
    let pending = batch.changes.get(&id_key).cloned().flatten();
    let known = match pending {
        Some(value) => Some(value),
        None => tables.kv.value(&id_key)?,
    };
    let known = known.as_deref();
    let known = known.and_then(|value| codec.open(&id_key, value).ok());
    if let Some(known) = known.and_then(|payload| decode::<IdRecord>(&payload).ok()) {
        record.conversation = known.number;
        return Ok(());
    }
    let number = ConversationNumber(tables.meta.next_number);
    tables.meta.next_number = tables.meta.next_number.saturating_add(1);
    record.conversation = number.0;
    let mut row = ConversationRow::unknown(id.clone());
    if id.is_local() {
        row.state = crate::model::ConversationState::Creating;
    }
    row.activity = Timestamp::from_millis(record.enqueued_at_ms);
    let seq = tables.meta.seq;
    let name = IdRecord {
        id: id.as_str().to_owned(),
        number: number.0,
    };
    put(batch, codec, id_key, &encode(&name)?, seq)?;
    let record = encode(&ConversationRecord::of(&row))?;
    put(batch, codec, key::conversation(number), &record, seq)?;
    put(batch, codec, key::work(number), &[], seq)
}

/// The outcome of replaying the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replay {
    /// The tree has everything that was promised.
    Done,
    /// The tree lacks commits that were durable: it was damaged, or put back.
    TreeIsOlder,
}

/// Applies the intents that the tree has not seen.
fn replay(
    tables: &mut Tables,
    codec: &Codec,
    journal: &JournalContent,
    report: &mut OpenReport,
) -> Result<Replay, StoreError> {
    let before = tables.meta.seq;
    let mut seen = before;
    // Up to here no commit is missing: an intent that stands apart may follow on a missing one.
    let mut whole = before;
    for record in journal.current() {
        match record.kind {
            RecordKind::Start | RecordKind::Mark if record.seq > whole => {
                return Ok(Replay::TreeIsOlder);
            }
            RecordKind::Intent if record.seq > whole.saturating_add(1) => {
                return Ok(Replay::TreeIsOlder);
            }
            // It stands on commits that were durable then, and on none that was not.
            RecordKind::Apart if record.base > before => return Ok(Replay::TreeIsOlder),
            RecordKind::Intent | RecordKind::Apart if record.seq > seen => {
                tables.kv.apply(&record.batch)?;
                seen = record.seq;
                if record.seq == whole.saturating_add(1) {
                    whole = record.seq;
                }
                report.intents_replayed += 1;
            }
            // Seen already; or part of a commit that was to be durable only soon, and is lost: its
            // settlements are undone and will be done again.
            RecordKind::Start
            | RecordKind::Intent
            | RecordKind::Apart
            | RecordKind::Outbox
            | RecordKind::Mark => {}
        }
    }
    if seen > before {
        *tables = load(Arc::clone(&tables.kv), codec)?;
    }
    Ok(Replay::Done)
}

fn last_seq(journal: &JournalContent) -> u64 {
    journal
        .records
        .iter()
        .map(|record| record.seq)
        .max()
        .unwrap_or(0)
}

/// True if promises may have been in the journal that are not there any more, given the last commit of the
/// tree. A start that a power cut has torn is no such loss: the tree was flushed before that start, and
/// nothing was promised since.
fn lacks_promises(journal: &JournalContent, seq: u64) -> bool {
    journal.is_lost() && seq > 0 || journal.is_damaged() && seq > last_seq(journal)
}

/// Brings a tree to the schema of this version. Not before the journal was replayed: its intents
/// are of the schema that the tree had.
fn forward(tables: Tables, codec: &Codec) -> Result<Tables, StoreError> {
    if tables.meta.schema >= SCHEMA {
        return Ok(tables);
    }
    migrate(tables.kv.as_ref(), codec, tables.meta)?;
    load(tables.kv, codec)
}

/// Looks at every value of the tree.
fn verify(kv: &dyn Kv, codec: &Codec) -> Result<(), StoreError> {
    let mut damaged = 0_u64;
    let all = (Bound::Unbounded, Bound::Unbounded);
    kv.scan(all, Direction::Forward, &mut |key, value| {
        if frame::open(key, value, codec.frame_context()).is_err() {
            damaged += 1;
        }
        ControlFlow::Continue(())
    })?;
    if damaged == 0 {
        Ok(())
    } else {
        Err(StoreError::damaged(format!("{damaged} values of the tree")))
    }
}
