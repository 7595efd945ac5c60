//! Reads of packs: where a position is, and messages in order.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::cache::Cache;
use super::key;
use super::kv::Direction;
use super::pack::{Form, Pack};
use super::record::BadRecord;
use super::record_message::MessageRecord;
use super::{ConversationNumber, Position, Snapshot, StoreError};

/// A pack of the tree by its key; none in place of a damaged one.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) key: Vec<u8>,
    pub(super) pack: Option<Arc<Pack>>,
}

/// The most bytes of packs that are kept in memory: enough for the last packs of a thousand
/// conversations that messages come to.
pub(super) const PACK_CACHE: usize = 6 * 1024 * 1024;

/// Packs as they were read or written last.
#[derive(Debug)]
pub(super) struct PackCache {
    /// The last pack of a conversation: what grows, and what is read first.
    tails: Cache<ConversationNumber, Keyed>,
    /// Other packs, by key.
    others: Cache<Vec<u8>, Arc<Pack>>,
}

impl PackCache {
    /// Keeps at most `limit` bytes: two thirds of them tails, for ingest needs one for each
    /// conversation that messages come to.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            tails: Cache::new(limit / 3 * 2),
            others: Cache::new(limit / 3),
        }
    }

    pub(super) fn put_tail(&self, number: ConversationNumber, tail: Keyed) {
        let cost = tail.pack.as_ref().map_or(0, |pack| pack.cost());
        self.tails.put(number, tail, cost);
    }

    /// Takes note of a change: the pack of a key was written, or removed.
    pub(super) fn forget(&self, number: ConversationNumber, key: &[u8]) {
        self.others.remove(key);
        let tail = self.tails.value(&number);
        if tail.is_some_and(|tail| key::range_of(key) >= key::range_of(&tail.key)) {
            self.tails.remove(&number);
        }
    }
}

impl Snapshot<'_> {
    /// Visits the packs of a conversation from `from`, a key of its own range, in the given
    /// direction, until the visitor breaks off: the sealed ones are the older ones.
    pub(super) fn visit_packs(
        &self,
        number: ConversationNumber,
        from: Bound<&[u8]>,
        direction: Direction,
        visit: &mut dyn FnMut(Keyed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let sections = match direction {
            Direction::Forward => [Form::Sealed, Form::Hot],
            Direction::Backward => [Form::Hot, Form::Sealed],
        };
        for section in sections {
            if self
                .visit_section(section, number, from, direction, visit)?
                .is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// Visits the sealed, or the hot, packs of a conversation; tells whether the visitor broke off.
    pub(super) fn visit_section(
        &self,
        section: Form,
        number: ConversationNumber,
        from: Bound<&[u8]>,
        direction: Direction,
        visit: &mut dyn FnMut(Keyed) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let all = key::packs_of(section, number);
        let end = key::after_prefix(&all).unwrap_or_default();
        let from = from.map(|from| key::in_section(section, from));
        let from = match &from {
            Bound::Included(from) => Bound::Included(&from[..]),
            Bound::Excluded(from) => Bound::Excluded(&from[..]),
            Bound::Unbounded => Bound::Unbounded,
        };
        let (low, high) = match direction {
            Direction::Forward if from != Bound::Unbounded => (from, Bound::Excluded(&end[..])),
            Direction::Backward if from != Bound::Unbounded => (Bound::Included(&all[..]), from),
            _ => (Bound::Included(&all[..]), Bound::Excluded(&end[..])),
        };
        let tag = key::section_tag(section);
        let mut flow = ControlFlow::Continue(());
        self.scan(tag, low, high, direction, &mut |key, value| {
            flow = visit(Keyed {
                key: key.to_vec(),
                pack: self.opened_pack(number, key, value),
            });
            flow
        })?;
        Ok(flow)
    }

    /// The first pack that a visit finds.
    pub(super) fn first_pack(
        &self,
        number: ConversationNumber,
        from: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<Option<Keyed>, StoreError> {
        let mut found = None;
        self.visit_packs(number, from, direction, &mut |keyed| {
            found = Some(keyed);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The last pack of a conversation.
    pub(super) fn tail(&self, number: ConversationNumber) -> Result<Option<Keyed>, StoreError> {
        if let Some(tail) = self.tables.packs.tails.value(&number) {
            return Ok(Some(tail));
        }
        let tail = self.first_pack(number, Bound::Unbounded, Direction::Backward)?;
        if let Some(tail) = &tail {
            self.tables.packs.put_tail(number, tail.clone());
        }
        Ok(tail)
    }

    /// The pack that has a position, if any has.
    pub(super) fn covering(
        &self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Option<Keyed>, StoreError> {
        let place = key::among_packs(number, position);
        match self.tail(number)? {
            Some(tail) if key::range_of(&tail.key) <= key::range_of(&place) => Ok(Some(tail)),
            Some(_) => self.first_pack(number, Bound::Included(&place), Direction::Backward),
            None => Ok(None),
        }
    }

    /// A pack out of its value; a damaged one is counted and none.
    fn opened_pack(
        &self,
        number: ConversationNumber,
        key: &[u8],
        value: &[u8],
    ) -> Option<Arc<Pack>> {
        let cache = &self.tables.packs;
        let tail = cache.tails.value(&number).filter(|tail| tail.key == key);
        if let Some(pack) = tail.and_then(|tail| tail.pack) {
            return Some(pack);
        }
        if let Some(pack) = cache.others.value(key) {
            return Some(pack);
        }
        let codec = &self.shared.codec;
        let payload = codec.open(key, value).map_err(|_| BadRecord);
        let pack = payload.and_then(|payload| Pack::decode(payload, &codec.squeeze));
        let pack = Arc::new(self.intact(pack)?);
        cache
            .others
            .put(key.to_vec(), Arc::clone(&pack), pack.cost());
        Some(pack)
    }

    /// The committed record of a message.
    pub(super) fn stored_message(
        &self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Option<MessageRecord>, StoreError> {
        let keyed = self.covering(number, position)?;
        let Some(pack) = keyed.and_then(|keyed| keyed.pack) else {
            return Ok(None);
        };
        // Most look-ups are for messages that are new: behind the last one.
        let index = match pack.last() {
            Some(last) if last < position => None,
            _ => pack.search(position).ok(),
        };
        Ok(index.and_then(|index| self.intact(pack.record(index))))
    }

    /// Committed messages from a position on, the position itself left out. A message whose record
    /// is damaged stands as none at its place; those of a damaged pack are left out, and the links
    /// show that they are missing.
    pub(super) fn stored_messages(
        &self,
        number: ConversationNumber,
        from: Option<&Position>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Position, Option<MessageRecord>)>, StoreError> {
        let mut found = Vec::with_capacity(limit.min(Self::PAGE_MAX));
        let place = from.map(|from| key::among_packs(number, from));
        let first = match (&place, direction) {
            (None, _) => None,
            (Some(place), Direction::Backward) => Some(place.clone()),
            (Some(place), Direction::Forward) => {
                // The messages behind it begin in its own pack.
                let cover = self.first_pack(number, Bound::Included(place), Direction::Backward)?;
                cover.map(|cover| cover.key)
            }
        };
        let start = match (&first, direction) {
            (None, _) => Bound::Unbounded,
            (Some(key), Direction::Backward) => Bound::Excluded(key.as_slice()),
            (Some(key), Direction::Forward) => Bound::Included(key.as_slice()),
        };
        self.visit_packs(number, start, direction, &mut |keyed| {
            if let Some(pack) = &keyed.pack {
                self.take(pack, from, direction, limit, &mut found);
            }
            if found.len() >= limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(found)
    }

    /// Takes what a pack has of a page.
    fn take(
        &self,
        pack: &Pack,
        from: Option<&Position>,
        direction: Direction,
        limit: usize,
        found: &mut Vec<(Position, Option<MessageRecord>)>,
    ) {
        let room = limit.saturating_sub(found.len());
        let mut one = |index: usize| {
            if let Some(slot) = pack.slots.get(index) {
                let record = self.intact(pack.record(index));
                found.push((slot.position.clone(), record));
            }
        };
        match direction {
            Direction::Backward => {
                let end = from.map_or(pack.slots.len(), |from| {
                    pack.search(from).unwrap_or_else(|at| at)
                });
                (0..end).rev().take(room).for_each(&mut one);
            }
            Direction::Forward => {
                let start = from.map_or(0, |from| match pack.search(from) {
                    Ok(at) => at.saturating_add(1),
                    Err(at) => at,
                });
                (start..pack.slots.len()).take(room).for_each(&mut one);
            }
        }
    }
}
