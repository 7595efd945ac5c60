//! The bytes of a batch: the keys that a commit puts and removes.

use std::sync::Arc;

use crate::model::Timestamp;
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::conversation_value::join;
use crate::store::format::frame::VALUE_MAX;
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{encode, encode_compact};
use crate::store::format::record::{
    IdRecord, MetaRecord, PointerRecord, SessionRecord, totals_record,
};
use crate::store::format::record_entry::EntryRecord;
use crate::store::read::snapshot::Snapshot;
use crate::store::state::Tables;
use crate::store::state::list::Moves;
use crate::store::tree::KvBatch;
use crate::store::types::batch::{Batch, Change};
use crate::store::types::conversation::{ConversationRow, Freshness, UnreadTotals};
use crate::store::types::position::{ConversationNumber, HistoryEnd, Position};
use crate::store::write::pack_changes::{PackChange, PackChanges, TailAfter};

/// A batch as bytes, and the counters that go with it.
#[derive(Debug)]
pub(crate) struct EncodedBatch {
    pub(crate) changes: KvBatch,
    pub(crate) meta: MetaRecord,
    pub(crate) totals: UnreadTotals,
    /// The moves of the batch in the list.
    pub(crate) moves: Moves,
    /// The slot of the record of these moves.
    pub(crate) slot: Option<u8>,
}

/// Encodes a batch that the writer prepared.
pub(crate) fn encode_batch(
    batch: &Batch,
    packs: &PackChanges,
    tables: &Tables,
    codec: &Codec,
) -> Result<EncodedBatch, StoreError> {
    let (meta, totals) = (tables.meta, tables.totals);
    let moves = tables.list.moves(batch);
    let meta = MetaRecord {
        seq: meta.seq.saturating_add(1),
        next_number: batch.next_number,
        next_entry: batch.next_entry,
        arrived: meta
            .arrived
            .saturating_add(u64::try_from(batch.message_count()).unwrap_or(u64::MAX)),
        list: Some(tables.list.print_with(&moves)),
        ..meta
    };
    let mut encoder = Encoder {
        codec,
        seq: meta.seq,
        changes: KvBatch::default(),
    };
    let mut after = totals;
    for (number, change) in &batch.conversations {
        encoder.conversation(*number, change, packs.tails.get(number))?;
        after.replace(change.before.as_deref(), change.after.as_deref());
    }
    encoder.names(batch)?;
    for change in &packs.packs {
        encoder.pack(change)?;
    }
    encoder.outbox(batch)?;
    if let Some(session) = &batch.session {
        let record = encode(&SessionRecord::of(session))?;
        encoder.put(key::session(), &record, "session")?;
    }
    if after != totals {
        encoder.put(key::totals(), &encode(&totals_record(after))?, "totals")?;
    }
    let record = tables.list.record_of(&moves);
    let slot = record.as_ref().map(|record| record.slot);
    if let Some(record) = record {
        encoder.put(record.key, &record.payload, "list")?;
    }
    encoder.put(key::meta(), &encode(&meta)?, "meta")?;
    Ok(EncodedBatch {
        changes: encoder.changes,
        meta,
        totals: after,
        moves,
        slot,
    })
}

/// Sets the place in the list of each conversation of a batch.
pub(crate) fn set_activity(batch: &mut Batch, at: &[(ConversationNumber, Timestamp)]) {
    for (number, activity) in at {
        if let Some(row) = batch.row_mut(*number) {
            row.activity = *activity;
        }
    }
}

/// The activities of a batch's conversations, which order them in the list.
pub(crate) fn activities(
    snapshot: &Snapshot<'_>,
    batch: &Batch,
) -> Vec<(ConversationNumber, Timestamp)> {
    let rows = batch.conversations.iter();
    let rows = rows.filter_map(|(number, change)| Some((*number, change.after.as_ref()?)));
    rows.map(|(number, row)| {
        let echo = snapshot.newest_echo(number).map(|entry| entry.enqueued_at);
        (number, row.activity_with(echo))
    })
    .collect()
}

struct Encoder<'a> {
    codec: &'a Codec,
    seq: u64,
    changes: KvBatch,
}

impl Encoder<'_> {
    fn put(&mut self, key: Vec<u8>, payload: &[u8], kind: &'static str) -> Result<(), StoreError> {
        let value = self.codec.frame(&key, payload, self.seq)?;
        if value.len() > VALUE_MAX {
            return Err(StoreError::TooLarge {
                kind,
                actual: value.len(),
                limit: VALUE_MAX,
            });
        }
        self.changes.put(key, value);
        Ok(())
    }

    fn conversation(
        &mut self,
        number: ConversationNumber,
        change: &Change<Arc<ConversationRow>>,
        tail: Option<&TailAfter>,
    ) -> Result<(), StoreError> {
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        // A conversation that moved in the list and changed in nothing else is written to the list alone.
        let is_same = match (before, after) {
            (Some(before), Some(after)) => before.is_same_but_for_activity(after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if is_same && !tail.is_some_and(|tail| tail.is_changed) {
            return Ok(());
        }
        match after {
            Some(row) => {
                let tail = tail.and_then(|after| after.tail.as_ref());
                let payload = join(row, tail)?;
                self.put(key::conversation(number), &payload, "conversation")?;
            }
            // A tombstone: a salvage must not bring it back from an older version.
            None => self.put(key::conversation(number), &[], "conversation")?,
        }
        match (before.is_some_and(has_work), after.is_some_and(has_work)) {
            (false, true) => self.put(key::work(number), &[], "work")?,
            (true, false) => self.changes.remove(key::work(number)),
            (true, true) | (false, false) => {}
        }
        Ok(())
    }

    /// The indexes by name: conversation ids, local ids, messages that await receipts.
    fn names(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for (id, number) in &batch.ids {
            let key = key::hashed(Tag::Id, id.as_str(), &self.codec.hash_key);
            match number {
                Some(number) => {
                    let record = IdRecord {
                        id: id.as_str().to_owned(),
                        number: number.0,
                    };
                    self.put(key, &encode(&record)?, "id")?;
                }
                None => self.changes.remove(key),
            }
        }
        for (local, (number, position)) in &batch.locals {
            let key = key::hashed(Tag::Local, local.as_str(), &self.codec.hash_key);
            let record = pointer(local.as_str(), *number, position);
            self.put(key, &encode_compact(&record)?, "local id")?;
        }
        for (id, place) in &batch.awaiting {
            let key = key::hashed(Tag::Awaiting, id.as_str(), &self.codec.hash_key);
            match place {
                Some((number, position)) => {
                    let record = pointer(id.as_str(), *number, position);
                    self.put(key, &encode_compact(&record)?, "awaiting")?;
                }
                None => self.changes.remove(key),
            }
        }
        Ok(())
    }

    fn pack(&mut self, change: &PackChange) -> Result<(), StoreError> {
        match &change.after {
            Some(payload) => self.put(change.key.clone(), payload, "pack"),
            None => {
                self.changes.remove(change.key.clone());
                Ok(())
            }
        }
    }

    fn outbox(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for (id, change) in &batch.outbox {
            match &change.after {
                Some(entry) => {
                    let name = batch.entry_ids.get(&entry.conversation);
                    let name = name.ok_or(StoreError::NoSuchConversation)?;
                    let record = encode(&EntryRecord::of(entry, name))?;
                    self.put(key::outbox(*id), &record, "outbox")?;
                }
                None => self.changes.remove(key::outbox(*id)),
            }
        }
        Ok(())
    }
}

fn has_work(row: &ConversationRow) -> bool {
    row.freshness == Freshness::Stale
        || row.history.end() == HistoryEnd::Behind
        || row.history.unchecked().is_some()
}

fn pointer(name: &str, number: ConversationNumber, position: &Position) -> PointerRecord {
    PointerRecord {
        name: name.to_owned(),
        number: number.0,
        sent_at_ms: position.sent_at.as_millis(),
        id: position.id.as_str().to_owned(),
    }
}
