//! Loads the state in memory, which readers need, from a tree.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::model::OutboxEntryId;
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{decode, encode};
use crate::store::format::record::{
    MetaRecord, Print, SCHEMA, SessionRecord, TotalsRecord, totals_of, totals_record,
};
use crate::store::format::record_entry::EntryRecord;
use crate::store::state::cache::Cache;
use crate::store::state::list::List;
use crate::store::state::outbox::Outbox;
use crate::store::state::pack_cache::PackCache;
use crate::store::state::{ROW_SHARE, Tables};
use crate::store::tree::pending::PendingChanges;
use crate::store::tree::{Direction, Kv, KvBatch};
use crate::store::types::conversation::{SessionRow, UnreadTotals};
use crate::store::types::entry::Entry;

/// Rows of the tree: key to value.
pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Puts the counters of the whole store.
pub(crate) fn put_counters(
    batch: &mut KvBatch,
    codec: &Codec,
    meta: &MetaRecord,
    totals: UnreadTotals,
) -> Result<(), StoreError> {
    put(batch, codec, key::meta(), &encode(meta)?, meta.seq)?;
    let totals = encode(&totals_record(totals))?;
    put(batch, codec, key::totals(), &totals, meta.seq)
}

pub(crate) fn put(
    batch: &mut KvBatch,
    codec: &Codec,
    key: Vec<u8>,
    payload: &[u8],
    seq: u64,
) -> Result<(), StoreError> {
    let value = codec.frame(&key, payload, seq)?;
    batch.put(key, value);
    Ok(())
}

/// Loads the state in memory that readers need.
pub(crate) fn load(kv: Arc<dyn Kv>, codec: &Codec) -> Result<Tables, StoreError> {
    let meta: Option<MetaRecord> = record(kv.as_ref(), codec, &key::meta())?;
    let fresh = MetaRecord {
        schema: SCHEMA,
        next_entry: 1,
        list: Some(Print::default()),
        ..MetaRecord::default()
    };
    if meta.is_none() && !is_blank(kv.as_ref())? {
        return Err(StoreError::damaged("the counters"));
    }
    let meta = meta.unwrap_or(fresh);
    if meta.schema > SCHEMA {
        return Err(StoreError::TooNew {
            found: meta.schema,
            supported: SCHEMA,
        });
    }
    let totals: Option<TotalsRecord> = record(kv.as_ref(), codec, &key::totals())?;
    let session: Option<SessionRecord> = record(kv.as_ref(), codec, &key::session())?;
    let outbox = load_outbox(kv.as_ref(), codec)?;
    let list = if meta.schema == SCHEMA {
        List::load(kv.as_ref(), codec, &meta, &outbox)?
    } else {
        // Made when the tree has been brought forward.
        List::default()
    };
    let cache_bytes = kv.cache_bytes();
    Ok(Tables {
        kv,
        meta,
        outbox,
        totals: totals.map_or_else(UnreadTotals::default, totals_of),
        session: session.map_or_else(SessionRow::default, SessionRecord::row),
        list,
        rows: Cache::sharing(cache_bytes, ROW_SHARE),
        packs: PackCache::new(cache_bytes),
        pending: PendingChanges::default(),
    })
}

fn is_blank(kv: &dyn Kv) -> Result<bool, StoreError> {
    let mut blank = true;
    let all = (Bound::Unbounded, Bound::Unbounded);
    kv.scan(all, Direction::Forward, &mut |_, _| {
        blank = false;
        ControlFlow::Break(())
    })?;
    Ok(blank)
}

fn record<T: DeserializeOwned>(
    kv: &dyn Kv,
    codec: &Codec,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    let Some(value) = kv.value(key)? else {
        return Ok(None);
    };
    let payload = codec
        .open(key, &value)
        .map_err(|_| StoreError::damaged("the counters"))?;
    decode(&payload)
        .map(Some)
        .map_err(|_| StoreError::damaged("the counters"))
}

/// The outbox's rows, as they are in the tree.
pub(crate) fn outbox_rows(kv: &dyn Kv) -> Result<Rows, StoreError> {
    let prefix = [Tag::Outbox as u8];
    let end = key::after_prefix(&prefix).unwrap_or_default();
    let range = (Bound::Included(&prefix[..]), Bound::Excluded(&end[..]));
    let mut rows = BTreeMap::new();
    kv.scan(range, Direction::Forward, &mut |key, value| {
        rows.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

pub(crate) fn entry_record(
    key: &[u8],
    value: &[u8],
    codec: &Codec,
) -> Option<(OutboxEntryId, EntryRecord<'static>)> {
    let id = key::parse_outbox(key).ok()?;
    let payload = codec.open(key, value).ok()?;
    Some((id, decode(&payload).ok()?))
}

/// The outbox; a row that is damaged makes the tree damaged, for the journal has it whole.
pub(crate) fn load_outbox(kv: &dyn Kv, codec: &Codec) -> Result<Outbox, StoreError> {
    let mut outbox = Outbox::default();
    for (key, value) in outbox_rows(kv)? {
        let entry: Option<Entry> =
            entry_record(&key, &value, codec).and_then(|(id, record)| record.entry(id).ok());
        let entry = entry.ok_or_else(|| StoreError::damaged("the outbox"))?;
        outbox.put(Arc::new(entry));
    }
    Ok(outbox)
}
