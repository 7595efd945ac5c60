//! Puts the changed messages of one conversation into their packs.
//!
//! The packs of a conversation have ranges of positions that do not overlap: a range begins at the pack's key
//! and ends at the next pack's. Each changed message therefore belongs to one pack. That pack is read,
//! changed and written, as one pack or several. Messages newer than all packs go to the tail, which is stored
//! with the row. A tail without room for them becomes a hot pack of its own, and another tail begins.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::error::StoreError;
use crate::store::format::conversation_value::{ROW_MAX, Tail};
use crate::store::format::frame::VALUE_MAX;
use crate::store::format::key;
use crate::store::format::messagepack::encode_onto;
use crate::store::format::pack::{Form, Pack, Slot};
use crate::store::format::pack_layout::{HOT_COUNT, Shaped, fits_tail, shape};
use crate::store::format::record_message::MessageRecord;
use crate::store::read::packs::{KeyedPack, PackHome};
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::Direction;
use crate::store::types::batch::Change;
use crate::store::types::conversation::ConversationRow;
use crate::store::types::link::link;
use crate::store::types::message::StoredMessage;
use crate::store::types::position::{ConversationNumber, Position};
use crate::store::write::pack_changes::{PackChange, PackChanges, TailAfter};

/// The largest message; a message of more than a pack's bytes sits alone.
const MESSAGE_MAX: usize = VALUE_MAX - 1024;

/// The size that most records of messages fit in, in bytes.
const RECORD_USUAL: usize = 512;

/// A changed message: its place, and its record if it is there from now on.
type Changed = (Position, Option<Bytes>);

/// Packs the changes of one conversation, in order.
pub(crate) struct Packer<'a, 's> {
    stored: &'a Snapshot<'s>,
    number: ConversationNumber,
    /// The newest message before the batch, as the row has it.
    newest: Option<Position>,
    /// The tail as the store has it.
    tail_before: Option<Tail>,
    /// The tail as it is to be, if it is to be another one.
    tail_after: Option<Option<Tail>>,
    /// The next pack, whose first message has another older neighbour now.
    relink: Option<(KeyedPack, Option<u32>)>,
    changes: &'a mut PackChanges,
}

/// The pack of some changes, and the pack behind it.
struct CoveringPack {
    cover: Option<KeyedPack>,
    /// None behind the last pack.
    next: Option<KeyedPack>,
}

impl<'a, 's> Packer<'a, 's> {
    pub(crate) fn new(
        stored: &'a Snapshot<'s>,
        number: ConversationNumber,
        newest: Option<Position>,
        changes: &'a mut PackChanges,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            stored,
            number,
            newest,
            tail_before: stored.tail(number)?,
            tail_after: None,
            relink: None,
            changes,
        })
    }

    /// Puts changed messages into their packs.
    pub(crate) fn pack(
        &mut self,
        messages: &BTreeMap<Position, Change<Arc<StoredMessage>>>,
    ) -> Result<(), StoreError> {
        let mut changed = Vec::with_capacity(messages.len());
        let mut scratch = Vec::with_capacity(RECORD_USUAL);
        for (position, change) in messages {
            let after = change.after.as_deref();
            let record = after.map(|message| encoded(message, &mut scratch));
            changed.push((position.clone(), record.transpose()?));
        }
        let mut changed = changed.into_iter().peekable();
        while let Some((position, _)) = changed.peek() {
            let place = self.place(position)?;
            let group = self.group(&mut changed, place.next.as_ref());
            self.change(place, group)?;
        }
        self.relink_next(None).map(drop)
    }

    /// The tail that is to lie with the row.
    pub(crate) fn finish(mut self, row: &ConversationRow) -> Result<TailAfter, StoreError> {
        let is_large = row.cost() > ROW_MAX;
        let tail = match &self.tail_after {
            Some(tail) => tail.clone(),
            None => self.tail_before.clone(),
        };
        let mut is_changed = self.tail_after.is_some();
        let tail = match tail {
            Some(tail) if is_large => {
                self.move_out(&tail)?;
                is_changed = true;
                None
            }
            tail => tail,
        };
        Ok(TailAfter { tail, is_changed })
    }

    fn place(&self, position: &Position) -> Result<CoveringPack, StoreError> {
        if let Some(tail) = &self.tail_before
            && tail.covers(self.number, position)
        {
            return Ok(CoveringPack {
                cover: Some(self.stored.opened_tail(self.number, tail)),
                next: None,
            });
        }
        let place = key::among_packs(self.number, position);
        let first = |from, direction| self.stored.first_pack(self.number, from, direction);
        Ok(CoveringPack {
            cover: first(Bound::Included(&place[..]), Direction::Backward)?,
            next: first(Bound::Excluded(&place[..]), Direction::Forward)?,
        })
    }

    /// Takes the changes before the next pack.
    fn group(
        &self,
        changed: &mut Peekable<impl Iterator<Item = Changed>>,
        next: Option<&KeyedPack>,
    ) -> Vec<Changed> {
        let is_before_next = |(position, _): &Changed| {
            next.is_none_or(|next| {
                let place = key::among_packs(self.number, position);
                key::range_of(&place) < key::range_of(&next.key)
            })
        };
        std::iter::from_fn(|| changed.next_if(is_before_next)).collect()
    }

    /// Applies a group of changes to its pack.
    fn change(&mut self, place: CoveringPack, mut group: Vec<Changed>) -> Result<(), StoreError> {
        let CoveringPack { cover, next } = place;
        let relinked = self.relink_next(cover.as_ref())?;
        let Some(KeyedPack { key, pack, home }) = cover else {
            if next.is_none() && self.newest.is_some() {
                return self.append_behind_hole(None, group);
            }
            let section = match next.as_ref().map(|next| key::section_of(&next.key)) {
                Some(Form::Hot) if group.len() > HOT_COUNT => Form::Sealed,
                Some(section) => section,
                None => Form::Hot,
            };
            let key = Bytes::from(key::pack(section, self.number, &[]));
            return self.write(PackRange::nothing(key, next), merge(&[], group));
        };
        let Some(pack) = pack else {
            return self.replace_damaged((key, home), next, group);
        };
        let last = pack.last().cloned();
        let mut behind = Vec::new();
        if next.is_none() && self.newest > last {
            let inside = group.partition_point(|(position, _)| Some(position) <= last.as_ref());
            behind = group.split_off(inside);
        }
        if !group.is_empty() {
            let slots = merge(&pack.slots, group);
            let location = PackRange {
                older: relinked.unwrap_or(pack.older),
                last: last.clone(),
                before: Some(pack),
                damaged: false,
                key,
                home,
                next,
            };
            self.write(location, slots)?;
        }
        self.append_behind_hole(last, behind)
    }

    /// Appends where the messages behind `last` have vanished: in a tail of its own, whose link
    /// leads to the newest of them, and so to nowhere.
    fn append_behind_hole(
        &mut self,
        last: Option<Position>,
        group: Vec<Changed>,
    ) -> Result<(), StoreError> {
        let slots = merge(&[], group);
        let Some(first) = slots.first().map(|slot| &slot.position) else {
            return Ok(());
        };
        if let Some(tail) = self.tail().cloned() {
            self.move_out(&tail)?;
            self.tail_after = Some(None);
        }
        let newest = self.newest.clone();
        let older = if newest.as_ref() < Some(first) {
            newest
        } else {
            // Late messages inside the hole: the other missing messages are unknown.
            self.changes.lost.push((self.number, last.clone(), None));
            last
        };
        let bound = older.as_ref().map(|older| key::separator(older, first));
        let key = key::pack(Form::Hot, self.number, &bound.unwrap_or_default());
        let mut location = PackRange::nothing(Bytes::from(key), None);
        location.older = older.as_ref().map(link);
        self.write(location, slots)
    }

    /// Puts the messages written to a damaged pack in its place. The old messages of that pack are not held any more.
    fn replace_damaged(
        &mut self,
        (key, home): (Bytes, PackHome),
        next: Option<KeyedPack>,
        group: Vec<Changed>,
    ) -> Result<(), StoreError> {
        let behind = group.first().is_some_and(|(first, _)| {
            next.is_none() && self.newest.as_ref().is_some_and(|newest| first > newest)
        });
        if behind {
            return self.append_behind_hole(None, group);
        }
        let slots = merge(&[], group);
        let before =
            self.stored
                .first_pack(self.number, Bound::Excluded(&key), Direction::Backward)?;
        let last = before.and_then(|before| before.pack?.last().cloned());
        let first = next.as_ref().and_then(|next| next.pack.as_ref());
        let first = first.and_then(|pack| pack.slots.first());
        let first = first.map(|slot| slot.position.clone());
        self.changes.lost.push((self.number, last.clone(), first));
        let mut location = PackRange::nothing(key, next);
        location.home = home;
        location.damaged = true;
        location.older = last.as_ref().map(link);
        self.write(location, slots)
    }

    /// Writes the present content of a pack's range.
    fn write(&mut self, location: PackRange, slots: Vec<Slot>) -> Result<(), StoreError> {
        let newest = slots.last().map(|slot| &slot.position);
        if newest != location.last.as_ref() {
            let neighbour = newest.map(link).or(location.older);
            self.relink = location.next.clone().map(|next| (next, neighbour));
        }
        let kept = match (location.home, &location.next) {
            (PackHome::Own, Some(_)) => slots.len(),
            (PackHome::Own, None) => {
                slots.partition_point(|slot| Some(&slot.position) <= location.last.as_ref())
            }
            (PackHome::Row, _) => 0,
        };
        let appends = kept < slots.len();
        let section = key::section_of(&location.key);
        let compressor = &self.stored.shared.codec.compressor;
        let packs = shape(slots, kept, location.older, section, compressor)?;
        let hot = packs.iter().map(|shaped| hot_of(shaped.pack())).sum();
        self.count_hot(hot, location.before.as_deref().map_or(0, hot_of));
        self.lay(location, packs, appends)
    }

    /// Puts the packs of a range at their places, and removes the old ones.
    fn lay(
        &mut self,
        location: PackRange,
        mut packs: Vec<Shaped>,
        appends: bool,
    ) -> Result<(), StoreError> {
        let is_last = appends && packs.last().is_some_and(|last| fits_tail(last.pack()));
        let tail = if is_last { packs.pop() } else { None };
        let own = location.home == PackHome::Own;
        if let Some(tail) = self
            .tail_before
            .clone()
            .filter(|_| !own && !packs.is_empty())
        {
            self.clear_behind(&tail)?;
        }
        let mut keys = PackKeys {
            first: Some(&location.key),
            number: self.number,
            behind: None,
        };
        let mut stays = false;
        for shaped in packs {
            let key = keys.next(shaped.pack());
            let is_first = own && key == location.key;
            stays |= is_first;
            if !is_first || location.before.as_deref() != Some(shaped.pack()) {
                let (_, payload) = shaped.encoded(&self.stored.shared.codec.compressor)?;
                self.push(&key, Some(payload));
            }
        }
        if own && !stays && (location.before.is_some() || location.damaged) {
            self.push(&location.key, None);
        }
        match tail {
            Some(Shaped::Hot(pack)) => {
                let (key, pack) = (keys.next(&pack), Arc::new(pack));
                let tail = match &self.tail_before {
                    Some(tail) if tail.key == key => tail.with(pack),
                    _ => Tail::new(key, pack),
                };
                self.tail_after = Some(Some(tail));
            }
            _ if !own => self.tail_after = Some(None),
            _ => {}
        }
        Ok(())
    }

    /// The tail, with the changes so far.
    fn tail(&self) -> Option<&Tail> {
        self.tail_after
            .as_ref()
            .unwrap_or(&self.tail_before)
            .as_ref()
    }

    /// Makes a tail a hot pack of its own; a damaged one is dropped.
    fn move_out(&mut self, tail: &Tail) -> Result<(), StoreError> {
        self.clear_behind(tail)?;
        if let Some(pack) = self.stored.opened_tail(self.number, tail).pack {
            let payload = pack.encode(&self.stored.shared.codec.compressor)?;
            self.push(&tail.key, Some(payload));
        }
        Ok(())
    }

    /// Removes the packs behind a tail that becomes a hot pack: they belong to another past.
    fn clear_behind(&mut self, tail: &Tail) -> Result<(), StoreError> {
        if tail.may_be_overtaken() {
            self.changes
                .remove_from(self.stored, &tail.key, self.number)?;
        }
        Ok(())
    }

    /// Gives the pack behind the last written one its link. Should it be changed next, the link is
    /// given back for that.
    fn relink_next(
        &mut self,
        cover: Option<&KeyedPack>,
    ) -> Result<Option<Option<u32>>, StoreError> {
        let Some((next, older)) = self.relink.take() else {
            return Ok(None);
        };
        if cover.is_some_and(|cover| cover.key == next.key) {
            return Ok(Some(older));
        }
        let Some(pack) = next.pack.filter(|pack| pack.older != older) else {
            return Ok(None);
        };
        let pack = Pack {
            older,
            ..(*pack).clone()
        };
        match next.home {
            PackHome::Own => {
                let payload = pack.encode(&self.stored.shared.codec.compressor)?;
                self.push(&next.key, Some(payload));
            }
            PackHome::Row => {
                let tail = self.tail().map(|tail| tail.with(Arc::new(pack)));
                self.tail_after = Some(tail);
            }
        }
        Ok(None)
    }

    fn push(&mut self, key: &[u8], after: Option<Vec<u8>>) {
        let key = key.to_vec();
        self.changes.packs.push(PackChange { key, after });
    }

    fn count_hot(&mut self, after: usize, before: usize) {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let hot = self.changes.hot.entry(self.number).or_default();
        *hot += signed(after) - signed(before);
    }
}

/// The keys of packs that follow one another, the first of which takes over a range.
struct PackKeys<'a> {
    first: Option<&'a Bytes>,
    number: ConversationNumber,
    /// The last message of the pack before.
    behind: Option<Position>,
}

impl PackKeys<'_> {
    fn next(&mut self, pack: &Pack) -> Bytes {
        let first = pack.slots.first().map(|slot| &slot.position);
        let behind = std::mem::replace(&mut self.behind, pack.last().cloned());
        match self.first.take() {
            Some(key) if key::section_of(key) == pack.form => key.clone(),
            Some(key) => Bytes::from(key::in_section(pack.form, key)),
            None => {
                let bound = behind.zip(first);
                let bound = bound.map(|(behind, first)| key::separator(&behind, first));
                let bound = bound.unwrap_or_default();
                Bytes::from(key::pack(pack.form, self.number, &bound))
            }
        }
    }
}

/// The range of a pack, as it is known before the pack is written.
struct PackRange {
    key: Bytes,
    home: PackHome,
    before: Option<Arc<Pack>>,
    /// True if a damaged pack is under the key.
    damaged: bool,
    /// The link to the message before the range.
    older: Option<u32>,
    /// The last message that was in the range.
    last: Option<Position>,
    next: Option<KeyedPack>,
}

impl PackRange {
    /// A range that holds nothing.
    const fn nothing(key: Bytes, next: Option<KeyedPack>) -> Self {
        Self {
            key,
            home: PackHome::Own,
            before: None,
            damaged: false,
            older: None,
            last: None,
            next,
        }
    }
}

fn hot_of(pack: &Pack) -> usize {
    match pack.form {
        Form::Hot => pack.slots.len(),
        Form::Sealed => 0,
    }
}

/// A message's record, encoded in `scratch` first, so the kept copy has no spare capacity.
fn encoded(message: &StoredMessage, scratch: &mut Vec<u8>) -> Result<Bytes, StoreError> {
    scratch.clear();
    encode_onto(&MessageRecord::of(message), scratch)?;
    let bytes = scratch.as_slice();
    if bytes.len() > MESSAGE_MAX {
        return Err(StoreError::TooLarge {
            kind: "message",
            actual: bytes.len(),
            limit: MESSAGE_MAX,
        });
    }
    Ok(Bytes::copy_from_slice(bytes))
}

/// The messages of a pack with the changes of its range; both in order.
fn merge(slots: &[Slot], changed: Vec<Changed>) -> Vec<Slot> {
    let mut merged = Vec::with_capacity(slots.len().saturating_add(changed.len()));
    let mut old = slots.iter().peekable();
    for (position, record) in changed {
        while let Some(slot) = old.next_if(|slot| slot.position < position) {
            merged.push(slot.clone());
        }
        old.next_if(|slot| slot.position == position);
        merged.extend(record.map(|record| Slot { position, record }));
    }
    merged.extend(old.cloned());
    merged
}
