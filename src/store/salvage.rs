//! Saving what is whole out of damaged files: a raw scan for frames, and a tree made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{ConversationId, OutboxEntryId};

use super::frame::{self, BadFrame, HEADER, Opened, VALUE_MAX};
use super::key::{self, KEY_MAX, Tag};
use super::kv::{Direction, Kv, KvBatch};
use super::links::Held;
use super::pack::{Form, Pack};
use super::place::HistoryEnd;
use super::record::{IdRecord, MetaRecord, SessionRecord, decode, encode};
use super::row::Freshness;
use super::salvage_packs::{packed_single, repack, staged};
use super::shared::Codec;
use super::tail::{Parts, join};
use super::{ConversationNumber, ConversationRow, StoreError, UnreadTotals};

/// No frame is longer.
const FRAME_MAX: usize = HEADER + KEY_MAX + VALUE_MAX;

/// How much of a file is read at a time.
const CHUNK: usize = 1024 * 1024;

/// How many frames are written to the new tree at a time.
const FRAMES_AT_ONCE: usize = 500;

/// What takes each whole frame that a scan finds, opened and as it lay there.
pub(super) type Found<'a> = &'a mut dyn FnMut(&Opened, &[u8]) -> Result<(), StoreError>;

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Whole frames, old versions of records included.
    pub(super) frames: u64,
    /// Places that begin like a frame and are none any more.
    pub(super) broken: u64,
    /// Files that could not be read to their end.
    pub(super) unreadable: u64,
}

/// Scans every file of a folder, and of the folders in it, for frames of this store.
pub(super) fn scan_folder(
    folder: &Path,
    codec: &Codec,
    found: Found<'_>,
) -> Result<Scanned, StoreError> {
    let mut scanned = Scanned::default();
    for path in files(folder) {
        let Ok(mut file) = File::open(&path) else {
            scanned.unreadable = scanned.unreadable.saturating_add(1);
            continue;
        };
        scan(&mut file, codec, &mut scanned, found)?;
    }
    Ok(scanned)
}

/// Scans bytes for frames of this store.
pub(super) fn scan_bytes(
    mut bytes: &[u8],
    codec: &Codec,
    found: Found<'_>,
) -> Result<Scanned, StoreError> {
    let mut scanned = Scanned::default();
    scan(&mut bytes, codec, &mut scanned, found)?;
    Ok(scanned)
}

/// The store's number as most whole frames of a folder tell it, for a store whose identity is lost.
pub(super) fn store_of_folder(folder: &Path) -> Option<u64> {
    let mut votes: BTreeMap<u64, u64> = BTreeMap::new();
    for path in files(folder) {
        // The head of a file is enough to know whose it is.
        let mut head = Vec::new();
        let Ok(file) = File::open(path) else { continue };
        let _ = file.take(4 * CHUNK as u64).read_to_end(&mut head);
        let mut rest = head.as_slice();
        while let Some(start) = frame::find_magic(rest) {
            rest = rest.get(start..).unwrap_or_default();
            if let Some(store) = frame::store_of(rest) {
                let votes = votes.entry(store).or_default();
                *votes = votes.saturating_add(1);
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    votes
        .into_iter()
        .max_by_key(|(_, votes)| *votes)
        .map(|(store, _)| store)
}

/// Every file of a folder, and of the folders in it, in order.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    // A file may stand where a folder belongs.
    if folder.is_file() {
        return vec![folder.to_path_buf()];
    }
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}

fn scan(
    file: &mut dyn Read,
    codec: &Codec,
    scanned: &mut Scanned,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let mut unreadable = 0;
    let walked = walk(file, &mut unreadable, &mut |rest| {
        take(rest, codec, scanned, found)
    });
    scanned.unreadable = scanned.unreadable.saturating_add(unreadable);
    walked
}

/// Goes through one file, a window at a time, from one place that begins like a frame to the next.
/// The visitor sees all bytes that a frame there may have, and says how far to go on.
pub(super) fn walk(
    file: &mut dyn Read,
    unreadable: &mut u64,
    visit: &mut dyn FnMut(&[u8]) -> Result<usize, StoreError>,
) -> Result<(), StoreError> {
    let mut window: Vec<u8> = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match file.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                *unreadable = unreadable.saturating_add(1);
                0
            }
        };
        window.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let ended = read == 0;
        let mut from = 0_usize;
        loop {
            let rest = window.get(from..).unwrap_or_default();
            let Some(start) = frame::find_magic(rest) else {
                // The magic itself may be cut in two by the window's end.
                from = window
                    .len()
                    .saturating_sub(frame::MAGIC.len().saturating_sub(1))
                    .max(from);
                break;
            };
            from = from.saturating_add(start);
            let rest = window.get(from..).unwrap_or_default();
            if rest.len() < FRAME_MAX && !ended {
                break;
            }
            from = from.saturating_add(visit(rest)?);
        }
        window.drain(..from.min(window.len()));
        if ended {
            return Ok(());
        }
    }
}

/// Takes the frame at the start of `rest`, if it is whole; gives how far to go on.
fn take(
    rest: &[u8],
    codec: &Codec,
    scanned: &mut Scanned,
    found: Found<'_>,
) -> Result<usize, StoreError> {
    match frame::open_first(rest, codec.frames()) {
        Ok((opened, length)) => {
            scanned.frames = scanned.frames.saturating_add(1);
            found(&opened, rest.get(..length).unwrap_or_default())?;
            Ok(length)
        }
        Err(BadFrame::Damaged | BadFrame::Foreign | BadFrame::Sealed) => {
            scanned.broken = scanned.broken.saturating_add(1);
            Ok(frame::MAGIC.len())
        }
    }
}

/// What was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) conversations: u64,
    pub(super) messages: u64,
    /// Messages whose conversation is lost.
    pub(super) orphans: u64,
    /// Conversations of which messages are missing: links show where.
    pub(super) torn_histories: u64,
}

/// A new tree that is filled with saved frames: of each key the newest.
pub(super) struct Salvage<'a> {
    tree: Arc<dyn Kv>,
    codec: &'a Codec,
    /// Ids of conversations that are known otherwise, by their numbers.
    names: BTreeMap<u32, ConversationId>,
    waiting: BTreeMap<Vec<u8>, (Rank, Vec<u8>)>,
    /// The newest commit that any frame names, and the largest numbers that any counter held.
    meta: MetaRecord,
    /// Outbox rows: the newest commit and frame of each.
    outbox: BTreeMap<OutboxEntryId, (u64, Vec<u8>)>,
}

/// What a new tree was filled with.
#[derive(Clone, Debug, Default)]
pub(super) struct Rebuilt {
    pub(super) meta: MetaRecord,
    pub(super) totals: UnreadTotals,
    pub(super) saved: Saved,
    /// Outbox rows, key to value, not in the tree: whether they are settled is not for the files
    /// to say.
    pub(super) outbox: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Salvage<'a> {
    pub(super) fn new(
        tree: Arc<dyn Kv>,
        codec: &'a Codec,
        schema: u32,
        names: BTreeMap<u32, ConversationId>,
    ) -> Self {
        let meta = MetaRecord {
            schema,
            next_entry: 1,
            ..MetaRecord::default()
        };
        Self {
            tree,
            codec,
            names,
            waiting: BTreeMap::new(),
            meta,
            outbox: BTreeMap::new(),
        }
    }

    /// The tree that is filled.
    pub(super) fn tree(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.tree)
    }

    /// Takes a frame that was found.
    pub(super) fn add(&mut self, opened: &Opened, frame: &[u8]) -> Result<(), StoreError> {
        self.meta.seq = self.meta.seq.max(opened.seq);
        match Tag::of(&opened.key) {
            Some(Tag::Meta) => {
                if let Ok(meta) = decode::<MetaRecord>(&opened.payload) {
                    self.meta.next_number = self.meta.next_number.max(meta.next_number);
                    self.meta.next_entry = self.meta.next_entry.max(meta.next_entry);
                }
            }
            Some(Tag::Outbox) => {
                if let Ok(id) = key::parse_outbox(&opened.key) {
                    let newer = self
                        .outbox
                        .get(&id)
                        .is_none_or(|(seq, _)| *seq <= opened.seq);
                    if newer {
                        self.outbox.insert(id, (opened.seq, frame.to_vec()));
                    }
                }
            }
            // Derived: made anew.
            Some(
                Tag::Totals | Tag::Census | Tag::Moves | Tag::ListPage | Tag::List | Tag::Work,
            )
            | None => {}
            Some(Tag::Session | Tag::Id | Tag::Awaiting | Tag::Local) => {
                let rank = (opened.seq, Form::Hot);
                self.wait(opened.key.clone(), rank, frame.to_vec())?;
            }
            Some(Tag::Conversation) => {
                let rank = (opened.seq, Form::Hot);
                self.wait(opened.key.clone(), rank, frame.to_vec())?;
                self.add_tail(opened)?;
            }
            Some(Tag::Pack | Tag::Hot) => {
                let rank = (opened.seq, Pack::form_of(&opened.payload));
                self.wait(staged(&opened.key), rank, frame.to_vec())?;
            }
            Some(Tag::Single) => {
                if let Ok((key, payload)) = packed_single(opened, self.codec) {
                    let frame = self.codec.seal(&key, &payload, opened.seq)?;
                    self.wait(staged(&key), (opened.seq, Form::Hot), frame)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the tail that lies with a conversation's row, as the hot pack that it would become: the
    /// newest row need not have the newest word on every message that a tail once held.
    fn add_tail(&mut self, opened: &Opened) -> Result<(), StoreError> {
        let parts = Parts::of(&opened.payload).ok();
        let tail = parts.and_then(|parts| parts.tail);
        let (Some((bound, payload)), Ok(number)) = (tail, key::parse_number(&opened.key)) else {
            return Ok(());
        };
        let key = key::pack(Form::Hot, number, bound);
        let frame = self.codec.seal(&key, payload, opened.seq)?;
        self.wait(staged(&key), (opened.seq, Form::Hot), frame)
    }

    fn wait(&mut self, key: Vec<u8>, rank: Rank, frame: Vec<u8>) -> Result<(), StoreError> {
        let waiting = self.waiting.get(&key);
        if waiting.is_none_or(|(newest, _)| *newest <= rank) {
            self.waiting.insert(key, (rank, frame));
        }
        if self.waiting.len() >= FRAMES_AT_ONCE {
            self.write()?;
        }
        Ok(())
    }

    /// Writes what waits, where the tree has nothing newer.
    fn write(&mut self) -> Result<(), StoreError> {
        let mut batch = KvBatch::default();
        for (key, (rank, value)) in std::mem::take(&mut self.waiting) {
            let there = self.tree.value(&key)?;
            let there = there.and_then(|there| rank_of(&there, self.codec));
            if there.is_none_or(|there| there <= rank) {
                batch.put(key, value);
            }
        }
        self.apply(&batch)
    }

    /// Finishes: makes the derived records, and lets no history look whole that is not.
    pub(super) fn finish(mut self) -> Result<Rebuilt, StoreError> {
        self.write()?;
        self.meta.seq = self.meta.seq.saturating_add(1);
        let mut saved = Saved::default();
        let mut rows = self.rows()?;
        let mut held = self.unpack(&mut rows, &mut saved)?;
        let mut totals = UnreadTotals::default();
        for (number, mut row) in rows {
            let held = held.remove(&number).unwrap_or_default();
            row.held.hot = 0;
            if row.held != held {
                saved.torn_histories = saved.torn_histories.saturating_add(1);
                row.history.set_end(HistoryEnd::Behind);
                row.held.count = held.count;
            }
            row.freshness = Freshness::Stale;
            totals.replace(None, Some(&row));
            saved.conversations = saved.conversations.saturating_add(1);
            self.meta.next_number = self.meta.next_number.max(number.0.saturating_add(1));
            self.write_row(number, &row)?;
        }
        self.forget_cursors()?;
        let entry = self.outbox.keys().next_back().map_or(0, |id| id.0);
        self.meta.next_entry = self.meta.next_entry.max(entry.saturating_add(1));
        let outbox = self.outbox.into_iter();
        let outbox = outbox
            .map(|(id, (_, value))| (key::outbox(id), value))
            .collect();
        Ok(Rebuilt {
            meta: self.meta,
            totals,
            saved,
            outbox,
        })
    }

    /// The saved conversations. One whose row is lost and whose id is known begins anew.
    fn rows(&self) -> Result<BTreeMap<ConversationNumber, ConversationRow>, StoreError> {
        let mut rows = BTreeMap::new();
        let mut removed = BTreeSet::new();
        let mut named = Vec::new();
        self.each(Tag::Conversation, &mut |opened| {
            let number = key::parse_number(&opened.key);
            if opened.payload.is_empty() {
                removed.extend(number);
                return;
            }
            let row = Parts::of(&opened.payload).and_then(|parts| parts.row());
            if let (Ok(number), Ok(row)) = (number, row) {
                rows.insert(number, row);
            }
        })?;
        self.each(Tag::Id, &mut |opened| {
            named.extend(decode::<IdRecord>(&opened.payload))
        })?;
        for name in named {
            let number = ConversationNumber(name.number);
            if let (Ok(id), false) = (ConversationId::new(&name.id), removed.contains(&number)) {
                rows.entry(number)
                    .or_insert_with(|| ConversationRow::unknown(id));
            }
        }
        for (number, id) in &self.names {
            let number = ConversationNumber(*number);
            if !removed.contains(&number) && !rows.values().any(|row| row.id == *id) {
                rows.entry(number)
                    .or_insert_with(|| ConversationRow::unknown(id.clone()));
            }
        }
        Ok(rows)
    }

    /// Puts the messages that were found into packs; gives what each conversation holds. Times of
    /// newest messages are raised to what is there.
    fn unpack(
        &self,
        rows: &mut BTreeMap<ConversationNumber, ConversationRow>,
        saved: &mut Saved,
    ) -> Result<BTreeMap<ConversationNumber, Held>, StoreError> {
        let known = rows.keys().copied().collect();
        let repacked = repack(self.tree.as_ref(), self.codec, self.meta.seq, &known)?;
        for (number, held) in &repacked.held {
            saved.messages = saved.messages.saturating_add(held.count.into());
            if let Some(row) = rows.get_mut(number) {
                let newest = held.newest.as_ref().map(|newest| newest.sent_at);
                row.last_message_at = row.last_message_at.max(newest);
            }
        }
        saved.orphans = repacked.orphans;
        Ok(repacked.held)
    }

    fn write_row(
        &self,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Result<(), StoreError> {
        let mut batch = KvBatch::default();
        let mut put = |key: Vec<u8>, payload: &[u8]| -> Result<(), StoreError> {
            let value = self.codec.seal(&key, payload, self.meta.seq)?;
            batch.put(key, value);
            Ok(())
        };
        let activity = row.last_message_at.or(row.created_at).unwrap_or_default();
        let row = ConversationRow {
            activity,
            ..row.clone()
        };
        // Its messages are in packs of their own, the newest too.
        put(key::conversation(number), &join(&row, None)?)?;
        put(key::work(number), &[])?;
        let ids: BTreeSet<&ConversationId> = std::iter::once(&row.id)
            .chain(row.local_id.as_ref())
            .collect();
        for id in ids {
            let record = IdRecord {
                id: id.as_str().to_owned(),
                number: number.0,
            };
            let key = key::hashed(Tag::Id, id.as_str(), &self.codec.hash_key);
            put(key, &encode(&record)?)?;
        }
        self.apply(&batch)
    }

    /// Lets the service tell all unread counts again: what was told may be lost.
    fn forget_cursors(&self) -> Result<(), StoreError> {
        let key = key::session();
        let Some(value) = self.tree.value(&key)? else {
            return Ok(());
        };
        let payload = self.codec.open(&key, &value).ok();
        let record = payload.and_then(|payload| decode::<SessionRecord>(&payload).ok());
        let mut row = record.unwrap_or_default().row();
        row.last_unread_notif_at = None;
        row.missed_until = None;
        let mut batch = KvBatch::default();
        let payload = encode(&SessionRecord::of(&row))?;
        batch.put(key.clone(), self.codec.seal(&key, &payload, self.meta.seq)?);
        self.apply(&batch)
    }

    fn each(&self, tag: Tag, visit: &mut dyn FnMut(&Opened)) -> Result<(), StoreError> {
        let prefix = [tag as u8];
        let end = key::after_prefix(&prefix).unwrap_or_default();
        let range = (Bound::Included(&prefix[..]), Bound::Excluded(&end[..]));
        self.tree
            .scan(range, Direction::Forward, &mut |key, value| {
                if let Ok(opened) = frame::open(key, value, self.codec.frames()) {
                    visit(&opened);
                }
                ControlFlow::Continue(())
            })
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), StoreError> {
        apply(self.tree.as_ref(), batch)
    }
}

/// Applies a batch, and flushes it where that must be.
pub(super) fn apply(tree: &dyn Kv, batch: &KvBatch) -> Result<(), StoreError> {
    tree.apply(batch)?;
    if tree.wants_each_flushed() {
        tree.flush()?;
    }
    Ok(())
}

/// Removes all keys that begin with a prefix, some at a time.
pub(super) fn remove_all(tree: &dyn Kv, prefix: &[u8]) -> Result<(), StoreError> {
    let end = key::after_prefix(prefix).unwrap_or_default();
    let range = (Bound::Included(prefix), Bound::Excluded(&end[..]));
    loop {
        let mut batch = KvBatch::default();
        tree.scan(range, Direction::Forward, &mut |key, _| {
            batch.remove(key.to_vec());
            if batch.changes.len() < REMOVED_AT_ONCE {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if batch.changes.is_empty() {
            return Ok(());
        }
        apply(tree, &batch)?;
    }
}

const REMOVED_AT_ONCE: usize = 1024;

/// Of two frames of one key, the greater is the newer: by commit, and by form, for sealing has no
/// commit of its own.
type Rank = (u64, Form);

fn rank_of(frame: &[u8], codec: &Codec) -> Option<Rank> {
    let (opened, _) = frame::open_first(frame, codec.frames()).ok()?;
    let form = match Tag::of(&opened.key) {
        Some(Tag::Pack | Tag::Hot) => Pack::form_of(&opened.payload),
        _ => Form::Hot,
    };
    Some((opened.seq, form))
}
