//! Reads of packs: the pack of a position, and messages in order.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use crate::store::error::StoreError;
use crate::store::format::conversation_value::Tail;
use crate::store::format::key;
use crate::store::format::messagepack::BadRecord;
use crate::store::format::pack::{Form, Pack};
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::Direction;
use crate::store::types::message::StoredMessage;
use crate::store::types::position::{ConversationNumber, Position};

/// A pack of the tree by its key; none in place of a damaged one.
#[derive(Clone, Debug)]
pub(crate) struct KeyedPack {
    /// Its key; of a tail, the one that it has once it is a hot pack of its own.
    pub(crate) key: Bytes,
    pub(crate) pack: Option<Arc<Pack>>,
    pub(crate) home: PackHome,
}

/// The home of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackHome {
    /// Under its own key.
    Own,
    /// With the row of its conversation: the tail.
    Row,
}

/// Messages for which a page has room at once: more than most pages have, and less than a large allocation.
const USUAL_PAGE: usize = 64;

/// How many messages of a page are looked at for the sender of the next.
const NEAR: usize = 4;

/// From one key to another.
type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

impl Snapshot<'_> {
    /// Visits the packs of a conversation from `from`, a key of its own range, in the given direction, until
    /// the visitor breaks off. The sealed packs are the oldest, and the tail is the newest. A pack behind the
    /// tail belongs to a past that the row does not know, and is skipped.
    pub(in crate::store) fn visit_packs(
        &self,
        number: ConversationNumber,
        from: Bound<&[u8]>,
        direction: Direction,
        visit: &mut dyn FnMut(KeyedPack) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let tail = self.tail(number)?;
        let is_in = |tail: &&Tail| reaches(from, direction, &tail.key);
        let visited = tail.as_ref().filter(is_in);
        let end = tail.as_ref();
        let end = end.map_or(Bound::Unbounded, |tail| Bound::Excluded(&tail.key[..]));
        match direction {
            Direction::Forward => {
                for section in [Form::Sealed, Form::Hot] {
                    let range = (from, end);
                    let flow = self.visit_section(section, number, range, direction, visit)?;
                    if flow.is_break() {
                        return Ok(());
                    }
                }
                if let Some(tail) = visited {
                    let _ = visit(self.opened_tail(number, tail));
                }
            }
            Direction::Backward => {
                let mut to = from;
                if let Some(tail) = visited {
                    if visit(self.opened_tail(number, tail)).is_break() {
                        return Ok(());
                    }
                    to = end;
                }
                for section in [Form::Hot, Form::Sealed] {
                    let range = (Bound::Unbounded, to);
                    let flow = self.visit_section(section, number, range, direction, visit)?;
                    if flow.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Visits the sealed, or the hot, packs of a conversation under keys of their own; tells whether
    /// the visitor broke off.
    pub(in crate::store) fn visit_section(
        &self,
        section: Form,
        number: ConversationNumber,
        (low, high): Range<'_>,
        direction: Direction,
        visit: &mut dyn FnMut(KeyedPack) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let all = key::packs_of(section, number);
        let end = key::after_prefix(&all).unwrap_or_default();
        let low = low.map(|low| key::in_section(section, low));
        let high = high.map(|high| key::in_section(section, high));
        let low = match &low {
            Bound::Unbounded => Bound::Included(&all[..]),
            low => low.as_ref().map(Vec::as_slice),
        };
        let high = match &high {
            Bound::Unbounded => Bound::Excluded(&end[..]),
            high => high.as_ref().map(Vec::as_slice),
        };
        let tag = key::section_tag(section);
        let mut flow = ControlFlow::Continue(());
        let mut each = |key: &[u8], value: &[u8]| {
            flow = visit(KeyedPack {
                key: Bytes::copy_from_slice(key),
                pack: self.opened_pack(section, key, value),
                home: PackHome::Own,
            });
            flow
        };
        match (section, direction) {
            (Form::Sealed, Direction::Backward) if low == Bound::Included(&all[..]) => {
                self.visit_ahead(number, (low, high), &mut each)?;
            }
            _ => self.scan(tag, low, high, direction, &mut each)?,
        }
        Ok(flow)
    }

    /// The first pack that a visit finds.
    pub(in crate::store) fn first_pack(
        &self,
        number: ConversationNumber,
        from: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<Option<KeyedPack>, StoreError> {
        let mut found = None;
        self.visit_packs(number, from, direction, &mut |keyed| {
            found = Some(keyed);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The pack that has a position, if any has.
    pub(in crate::store) fn covering(
        &self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Option<KeyedPack>, StoreError> {
        if let Some(tail) = self.tail(number)?
            && tail.covers(number, position)
        {
            return Ok(Some(self.opened_tail(number, &tail)));
        }
        let place = key::among_packs(number, position);
        self.first_pack(number, Bound::Included(&place), Direction::Backward)
    }

    /// A pack out of its value; a damaged one is counted and none. Sealed ones are kept, for they have
    /// to be expanded.
    fn opened_pack(&self, section: Form, key: &[u8], value: &[u8]) -> Option<Arc<Pack>> {
        let cache = &self.tables.packs.sealed;
        if section == Form::Sealed
            && let Some(pack) = cache.value(key)
        {
            return Some(pack);
        }
        let codec = &self.shared.codec;
        let payload = codec.open(key, value).map_err(|_| BadRecord);
        let pack = payload.and_then(|payload| Pack::decode(payload, &codec.compressor));
        let pack = Arc::new(self.intact(pack)?);
        if section == Form::Sealed {
            cache.put(key.to_vec(), Arc::clone(&pack), pack.cost());
        }
        Some(pack)
    }

    /// A committed message.
    pub(in crate::store) fn stored_message(
        &self,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Option<StoredMessage>, StoreError> {
        let keyed = self.covering(number, position)?;
        let Some(pack) = keyed.and_then(|keyed| keyed.pack) else {
            return Ok(None);
        };
        // Most look-ups are for messages that are new: behind the last one.
        let index = match pack.last() {
            Some(last) if last < position => None,
            _ => pack.search(position).ok(),
        };
        Ok(index.and_then(|index| self.intact(pack.message(index, &[]))))
    }

    /// Committed messages from a position on, the position itself left out. A message whose record
    /// is damaged stands as none at its place; those of a damaged pack are left out, and the links
    /// show that they are missing.
    pub(in crate::store) fn stored_messages(
        &self,
        number: ConversationNumber,
        from: Option<&Position>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Position, Option<StoredMessage>)>, StoreError> {
        let mut found = Vec::with_capacity(limit.min(USUAL_PAGE));
        let place = from.map(|from| key::among_packs(number, from));
        let first = match (&place, direction) {
            (None, _) => None,
            (Some(place), Direction::Backward) => Some(Bytes::copy_from_slice(place)),
            (Some(place), Direction::Forward) => {
                // The messages behind it begin in its own pack.
                let cover = self.first_pack(number, Bound::Included(place), Direction::Backward)?;
                cover.map(|cover| cover.key)
            }
        };
        let start = match (&first, direction) {
            (None, _) => Bound::Unbounded,
            (Some(key), Direction::Backward) => Bound::Excluded(&key[..]),
            (Some(key), Direction::Forward) => Bound::Included(&key[..]),
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

    /// Takes a pack's part of a page.
    fn take(
        &self,
        pack: &Pack,
        from: Option<&Position>,
        direction: Direction,
        limit: usize,
        found: &mut Vec<(Position, Option<StoredMessage>)>,
    ) {
        let room = limit.saturating_sub(found.len());
        let mut one = |index: usize| {
            if let Some(slot) = pack.slots.get(index) {
                let near = found.len().saturating_sub(NEAR);
                let near = found.get(near..).unwrap_or_default();
                let message = self.intact(pack.message(index, near));
                found.push((slot.position.clone(), message));
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

/// True if a visit from a key in a direction comes to another key.
fn reaches(from: Bound<&[u8]>, direction: Direction, key: &[u8]) -> bool {
    let key = key::range_of(key);
    match (from.map(key::range_of), direction) {
        (Bound::Unbounded, _) => true,
        (Bound::Included(from), Direction::Forward) => from <= key,
        (Bound::Excluded(from), Direction::Forward) => from < key,
        (Bound::Included(from), Direction::Backward) => key <= from,
        (Bound::Excluded(from), Direction::Backward) => key < from,
    }
}
