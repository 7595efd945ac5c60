//! Saving whole records out of damaged files: a raw scan for frames, and a tree made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::model::{ConversationId, OutboxEntryId};
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::conversation_value::{Parts, join};
use crate::store::format::frame::{self, OpenedFrame};
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{decode, encode};
use crate::store::format::pack::{Form, FrameRank, Pack};
use crate::store::format::record::{IdRecord, MetaRecord, SessionRecord};
use crate::store::recovery::salvage_packs::{repack, staged};
use crate::store::tree::{Direction, Kv, KvBatch, apply};
use crate::store::types::conversation::{ConversationRow, Freshness, Held, UnreadTotals};
use crate::store::types::position::{ConversationNumber, HistoryEnd};

/// How many frames are written to the new tree at a time.
const FRAMES_AT_ONCE: usize = 500;

/// The counts of saved records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) conversations: u64,
    pub(crate) messages: u64,
    /// Messages whose conversation is lost.
    pub(crate) orphans: u64,
    /// Conversations of which messages are missing: links show where.
    pub(crate) torn_histories: u64,
}

/// A new tree that is filled with saved frames: of each key the newest.
pub(crate) struct Salvage<'a> {
    tree: Arc<dyn Kv>,
    codec: &'a Codec,
    /// Ids of conversations that are known otherwise, by their numbers.
    names: BTreeMap<u32, ConversationId>,
    waiting: BTreeMap<Vec<u8>, (FrameRank, Vec<u8>)>,
    /// The newest commit that any frame names, and the largest numbers that any counter held.
    meta: MetaRecord,
    /// Outbox rows: the newest commit and frame of each.
    outbox: BTreeMap<OutboxEntryId, (u64, Vec<u8>)>,
}

/// The content of a new tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rebuilt {
    pub(crate) meta: MetaRecord,
    pub(crate) totals: UnreadTotals,
    pub(crate) saved: Saved,
    /// Outbox rows, key to value, not in the tree: whether they are settled is not for the files
    /// to say.
    pub(crate) outbox: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Salvage<'a> {
    pub(crate) fn new(
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
    pub(crate) fn tree(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.tree)
    }

    /// Takes a frame that was found.
    pub(crate) fn add(&mut self, opened: &OpenedFrame, frame: &[u8]) -> Result<(), StoreError> {
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
            Some(Tag::Totals | Tag::Census | Tag::Moves | Tag::ListPage | Tag::Work) | None => {}
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
        }
        Ok(())
    }

    /// Takes the tail that lies with a conversation's row, as the hot pack that it would become: the
    /// newest row need not have the newest word on every message that a tail once held.
    fn add_tail(&mut self, opened: &OpenedFrame) -> Result<(), StoreError> {
        let parts = Parts::of(&opened.payload).ok();
        let tail = parts.and_then(|parts| parts.tail);
        let (Some((bound, payload)), Ok(number)) = (tail, key::parse_number(&opened.key)) else {
            return Ok(());
        };
        let key = key::pack(Form::Hot, number, bound);
        let frame = self.codec.frame(&key, payload, opened.seq)?;
        self.wait(staged(&key), (opened.seq, Form::Hot), frame)
    }

    fn wait(&mut self, key: Vec<u8>, rank: FrameRank, frame: Vec<u8>) -> Result<(), StoreError> {
        let waiting = self.waiting.get(&key);
        if waiting.is_none_or(|(newest, _)| *newest <= rank) {
            self.waiting.insert(key, (rank, frame));
        }
        if self.waiting.len() >= FRAMES_AT_ONCE {
            self.write()?;
        }
        Ok(())
    }

    /// Writes the waiting records, where the tree has nothing newer.
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
    pub(crate) fn finish(mut self) -> Result<Rebuilt, StoreError> {
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
                saved.torn_histories += 1;
                row.history.set_end(HistoryEnd::Behind);
                row.held.count = held.count;
            }
            row.freshness = Freshness::Stale;
            totals.replace(None, Some(&row));
            saved.conversations += 1;
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

    /// Puts the found messages into packs; answers the content of each conversation. Times of newest messages
    /// are raised to those of the packs.
    fn unpack(
        &self,
        rows: &mut BTreeMap<ConversationNumber, ConversationRow>,
        saved: &mut Saved,
    ) -> Result<BTreeMap<ConversationNumber, Held>, StoreError> {
        let known = rows.keys().copied().collect();
        let repacked = repack(self.tree.as_ref(), self.codec, self.meta.seq, &known)?;
        for (number, held) in &repacked.held {
            saved.messages += u64::from(held.count);
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
            let value = self.codec.frame(&key, payload, self.meta.seq)?;
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

    /// Lets the service tell all unread counts again: the last ones told may be lost.
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
        batch.put(
            key.clone(),
            self.codec.frame(&key, &payload, self.meta.seq)?,
        );
        self.apply(&batch)
    }

    fn each(&self, tag: Tag, visit: &mut dyn FnMut(&OpenedFrame)) -> Result<(), StoreError> {
        let prefix = [tag as u8];
        let end = key::after_prefix(&prefix).unwrap_or_default();
        let range = (Bound::Included(&prefix[..]), Bound::Excluded(&end[..]));
        self.tree
            .scan(range, Direction::Forward, &mut |key, value| {
                if let Ok(opened) = frame::open(key, value, self.codec.frame_context()) {
                    visit(&opened);
                }
                ControlFlow::Continue(())
            })
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), StoreError> {
        apply(self.tree.as_ref(), batch)
    }
}

fn rank_of(frame: &[u8], codec: &Codec) -> Option<FrameRank> {
    let (opened, _) = frame::open_first(frame, codec.frame_context()).ok()?;
    let form = match Tag::of(&opened.key) {
        Some(Tag::Pack | Tag::Hot) => Pack::form_of(&opened.payload),
        _ => Form::Hot,
    };
    Some((opened.seq, form))
}
