//! Sealing: hot packs that are no longer the newest become sealed packs. The tail still grows and is never
//! sealed.
//!
//! Sealing is a batch of its own, after the commit with too many hot messages. Readers see the same before
//! and after, so the batch has no commit number. A kill before the batch leaves hot packs, which the
//! conversation's next commit finds again.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::store::error::StoreError;
use crate::store::format::conversation_value::{Tail, join};
use crate::store::format::key;
use crate::store::format::pack::{Form, Slot};
use crate::store::format::pack_layout::{SEALED_COUNT, SEALED_RAW, seal};
use crate::store::read::packs::KeyedPack;
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::{Direction, KvBatch};
use crate::store::types::conversation::ConversationRow;
use crate::store::types::link::link;
use crate::store::types::position::ConversationNumber;

/// How many hot messages a conversation may have before its older ones are sealed.
pub(crate) const HOT_MAX: u32 = 56;

/// How many hot messages stay when older ones are sealed: about as many as a screen shows. More of
/// them would not fit the database's cache.
const HOT_KEPT: usize = 24;

/// A step of sealing.
#[derive(Debug, Default)]
pub(crate) struct Sealing {
    pub(crate) changes: KvBatch,
    /// The keys of packs that are written or removed.
    pub(crate) packs: Vec<Vec<u8>>,
    /// The row, with its new count of hot messages.
    pub(crate) row: Option<Arc<ConversationRow>>,
    /// How many messages are sealed.
    pub(crate) messages: usize,
    /// True if the conversation still has more than enough hot messages.
    pub(crate) more: bool,
}

/// Computes the next step for a conversation; none when there is nothing to do.
pub(crate) fn sealing(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
) -> Result<Option<Sealing>, StoreError> {
    let Some(row) = stored.row(number)? else {
        return Ok(None);
    };
    let mut row = (*row).clone();
    let tail = stored.tail(number)?;
    let packs = oldest_hot(stored, number, tail.as_ref(), SEALED_COUNT)?;
    let count = |packs: &[KeyedPack]| packs.iter().map(hot_of).fold(0, usize::saturating_add);
    let newest = tail.as_ref().map(|tail| stored.opened_tail(number, tail));
    let counted = count(&packs.keyed).saturating_add(newest.as_ref().map_or(0, hot_of));
    // The tail still grows and is never sealed.
    let hot = if packs.all {
        counted
    } else {
        counted.max(usize::try_from(row.held.hot).unwrap_or(usize::MAX))
    };
    let packs = packs.keyed;
    let mut sealing = Sealing::default();
    let packs = leave_damaged(stored, packs, &mut sealing)?;
    let taken = run(&packs, hot.saturating_sub(HOT_KEPT));
    sealing.messages = count(taken);
    let left = hot.saturating_sub(sealing.messages);
    seal_run(stored, number, taken, &mut sealing)?;
    row.held.hot = u32::try_from(left).unwrap_or(u32::MAX);
    sealing.more = !taken.is_empty() && row.held.hot >= HOT_MAX;
    put_row(stored, number, Arc::new(row), &mut sealing)?;
    Ok(Some(sealing))
}

/// Writes the row of a conversation whose packs are sealed, with its new count of hot messages.
pub(crate) fn put_row(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
    row: Arc<ConversationRow>,
    sealing: &mut Sealing,
) -> Result<(), StoreError> {
    let key = key::conversation(number);
    let tail = stored.tail(number)?;
    let seq = stored.tables.meta.seq;
    let payload = join(&row, tail.as_ref())?;
    let value = stored.shared.codec.frame(&key, &payload, seq)?;
    sealing.changes.put(key, value);
    sealing.row = Some(row);
    Ok(())
}

/// The oldest hot packs of a conversation.
#[derive(Default)]
pub(crate) struct Oldest {
    pub(crate) keyed: Vec<KeyedPack>,
    /// True if there are no others before the tail.
    pub(crate) all: bool,
}

/// The oldest hot packs of a conversation, with as many messages as asked for, if there are so many.
pub(crate) fn oldest_hot(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
    tail: Option<&Tail>,
    messages: usize,
) -> Result<Oldest, StoreError> {
    let mut packs = Vec::new();
    let mut many = 0_usize;
    let end = tail.map_or(Bound::Unbounded, |tail| Bound::Excluded(&tail.key[..]));
    let (range, direction) = ((Bound::Unbounded, end), Direction::Forward);
    let flow = stored.visit_section(Form::Hot, number, range, direction, &mut |keyed| {
        many += hot_of(&keyed);
        packs.push(keyed);
        if many < messages {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(Oldest {
        keyed: packs,
        all: flow.is_continue(),
    })
}

/// Moves damaged packs that are older than every hot one among the sealed ones, as they are: the
/// sections of a conversation never overlap.
pub(crate) fn leave_damaged(
    stored: &Snapshot<'_>,
    mut packs: Vec<KeyedPack>,
    sealing: &mut Sealing,
) -> Result<Vec<KeyedPack>, StoreError> {
    let whole = packs.iter().position(|keyed| keyed.pack.is_some());
    for KeyedPack { key, .. } in packs.drain(..whole.unwrap_or(0)) {
        if let Some(value) = stored.shared.noting(stored.tables.value(&key))? {
            let moved = key::in_section(Form::Sealed, &key);
            sealing.changes.put(moved.clone(), value);
            sealing.changes.remove(key.to_vec());
            sealing.packs.extend([moved, key.to_vec()]);
        }
    }
    Ok(packs)
}

pub(crate) fn hot_of(keyed: &KeyedPack) -> usize {
    let pack = keyed.pack.as_ref().filter(|pack| pack.form == Form::Hot);
    pack.map_or(0, |pack| pack.slots.len())
}

/// The first packs that become one: hot ones, each the neighbour of the one before, of at most
/// `limit` messages together.
fn run(packs: &[KeyedPack], limit: usize) -> &[KeyedPack] {
    let limit = limit.min(SEALED_COUNT);
    let (mut count, mut bytes) = (0_usize, 0_usize);
    let mut behind = None;
    let fits = packs.iter().take_while(|keyed| {
        let Some(pack) = keyed.pack.as_ref().filter(|_| hot_of(keyed) > 0) else {
            return false;
        };
        let joined = count == 0 || pack.older == behind;
        behind = pack.last().map(link);
        count += pack.slots.len();
        let size = pack.slots.iter().map(Slot::size);
        let size = size.fold(0, usize::saturating_add);
        bytes += size;
        joined && count <= limit && (bytes <= SEALED_RAW || bytes == size)
    });
    let many = fits.count();
    packs.get(..many).unwrap_or_default()
}

/// Makes sealed packs of some that are neighbours, under the key of the first.
pub(crate) fn seal_run(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
    taken: &[KeyedPack],
    sealing: &mut Sealing,
) -> Result<(), StoreError> {
    let Some(first) = taken.first() else {
        return Ok(());
    };
    let packs = || taken.iter().filter_map(|keyed| keyed.pack.as_ref());
    let slots: Vec<Slot> = packs()
        .flat_map(|pack| pack.slots.iter().cloned())
        .collect();
    let older = packs().next().and_then(|pack| pack.older);
    let codec = &stored.shared.codec;
    let seq = stored.tables.meta.seq;
    for keyed in taken {
        sealing.changes.remove(keyed.key.to_vec());
        sealing.packs.push(keyed.key.to_vec());
    }
    let mut behind = None;
    for (pack, payload) in seal(slots, older, &codec.compressor)? {
        let place = pack.slots.first().map(|slot| &slot.position);
        let key = match (&behind, place) {
            (Some(behind), Some(place)) => {
                key::pack(Form::Sealed, number, &key::separator(behind, place))
            }
            _ => key::in_section(Form::Sealed, &first.key),
        };
        behind = pack.last().cloned();
        let value = codec.frame(&key, &payload, seq)?;
        sealing.changes.put(key.clone(), value);
        sealing.packs.push(key);
    }
    Ok(())
}
