//! What a batch does to packs: which are written anew, which are split, which go.
//!
//! The packs of a conversation have ranges of positions that do not overlap: from a pack's key to
//! the next one's. So each changed message has one pack; that is read, changed and written, in as
//! many packs as it takes. A pure function of what the store holds and what the batch says, so a
//! commit stays one atomic batch.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use super::batch::{Batch, Change};
use super::frame::VALUE_MAX;
use super::key;
use super::kv::Direction;
use super::links::link;
use super::pack::{Form, Pack, Slot};
use super::pack_shape::{HOT_COUNT, shape};
use super::packs::Keyed;
use super::record::encode_compact;
use super::record_message::MessageRecord;
use super::{ConversationNumber, Position, Snapshot, StoreError};

/// The largest message; a message of more than a pack's bytes sits alone.
const MESSAGE_MAX: usize = VALUE_MAX - 1024;

/// What a commit does to packs.
#[derive(Debug, Default)]
pub(super) struct PackChanges {
    /// Each pack that is written, or removed.
    pub(super) packs: Vec<PackChange>,
    /// By how much the hot messages of each conversation become more.
    pub(super) hot: BTreeMap<ConversationNumber, i64>,
    /// Where packs are damaged that a message was written to: between the two nothing is held.
    pub(super) lost: Vec<(ConversationNumber, Option<Position>, Option<Position>)>,
}

/// A pack that is written, or removed.
#[derive(Debug)]
pub(super) struct PackChange {
    pub(super) number: ConversationNumber,
    pub(super) key: Vec<u8>,
    /// The payload, and the pack that it spells; none removes the pack.
    pub(super) after: Option<(Vec<u8>, Arc<Pack>)>,
    /// Whether it is the conversation's last.
    pub(super) tail: bool,
}

/// Computes what a batch does to packs; `stored` is the store without the batch.
pub(super) fn pack_changes(
    stored: &Snapshot<'_>,
    batch: &Batch,
) -> Result<PackChanges, StoreError> {
    let mut changes = PackChanges::default();
    for (number, change) in &batch.conversations {
        if change.before.is_some() && change.after.is_none() {
            changes.remove_all(stored, *number)?;
        }
    }
    for (number, messages) in &batch.messages {
        let row = batch.conversations.get(number);
        if row.is_some_and(|row| row.after.is_none()) {
            continue;
        }
        let before = row.and_then(|row| row.before.as_deref());
        let newest = before.and_then(|row| row.held.newest.clone());
        Packer {
            stored,
            number: *number,
            newest,
            relink: None,
            changes: &mut changes,
        }
        .pack(messages)?;
    }
    Ok(changes)
}

impl PackChanges {
    fn remove_all(
        &mut self,
        stored: &Snapshot<'_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        let packs = &mut self.packs;
        for section in [Form::Sealed, Form::Hot] {
            let low = key::packs_of(section, number);
            let high = key::after_prefix(&low).unwrap_or_default();
            let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
            let (tag, direction) = (key::section_tag(section), Direction::Forward);
            stored.scan(tag, low, high, direction, &mut |key, _| {
                packs.push(PackChange {
                    number,
                    key: key.to_vec(),
                    after: None,
                    tail: false,
                });
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }
}

/// A changed message: its place, and its record if it is there from now on.
type Changed = (Position, Option<Bytes>);

/// Packs the changes of one conversation, in order.
struct Packer<'a, 's> {
    stored: &'a Snapshot<'s>,
    number: ConversationNumber,
    /// The newest message before the batch, as the row has it.
    newest: Option<Position>,
    /// The next pack, whose first message has another older neighbour now.
    relink: Option<(Keyed, Option<u32>)>,
    changes: &'a mut PackChanges,
}

/// The pack of some changes, and what is behind it.
struct Place {
    cover: Option<Keyed>,
    /// None behind the last pack.
    next: Option<Keyed>,
}

impl Packer<'_, '_> {
    fn pack(
        mut self,
        messages: &BTreeMap<Position, Change<MessageRecord>>,
    ) -> Result<(), StoreError> {
        let mut changed = Vec::with_capacity(messages.len());
        for (position, change) in messages {
            let record = change.after.as_ref().map(encoded).transpose()?;
            changed.push((position.clone(), record));
        }
        let mut changed = changed.into_iter().peekable();
        while let Some((position, _)) = changed.peek() {
            let place = self.place(position)?;
            let group = self.group(&mut changed, place.next.as_ref());
            self.change(place, group)?;
        }
        self.relink_next(None).map(drop)
    }

    fn place(&self, position: &Position) -> Result<Place, StoreError> {
        let cover = self.stored.covering(self.number, position)?;
        let tail = self.stored.tail(self.number)?;
        let at_end = match (&cover, &tail) {
            (Some(cover), Some(tail)) => cover.key == tail.key,
            (_, None) => true,
            (None, Some(_)) => false,
        };
        let next = if at_end {
            None
        } else {
            let from = key::among_packs(self.number, position);
            self.stored
                .first_pack(self.number, Bound::Excluded(&from), Direction::Forward)?
        };
        Ok(Place { cover, next })
    }

    /// Takes the changes before the next pack.
    fn group(
        &self,
        changed: &mut Peekable<impl Iterator<Item = Changed>>,
        next: Option<&Keyed>,
    ) -> Vec<Changed> {
        let is_before_next = |(position, _): &Changed| {
            next.is_none_or(|next| {
                let place = key::among_packs(self.number, position);
                key::range_of(&place) < key::range_of(&next.key)
            })
        };
        std::iter::from_fn(|| changed.next_if(is_before_next)).collect()
    }

    /// Does what a group of changes does to its pack.
    fn change(&mut self, place: Place, group: Vec<Changed>) -> Result<(), StoreError> {
        let Place { cover, next } = place;
        let relinked = self.relink_next(cover.as_ref())?;
        let Some(Keyed { key, pack }) = cover else {
            if next.is_none() && self.newest.is_some() {
                return self.append_behind_hole(None, group);
            }
            let section = match next.as_ref().map(|next| key::section_of(&next.key)) {
                Some(Form::Hot) if group.len() > HOT_COUNT => Form::Sealed,
                Some(section) => section,
                None => Form::Hot,
            };
            let key = key::pack(section, self.number, &[]);
            return self.write(Ground::nothing(key, next), merge(&[], group));
        };
        let Some(pack) = pack else {
            return self.replace_damaged(key, next, group);
        };
        let last = pack.last();
        let behind = group.first().is_some_and(|(first, _)| Some(first) > last);
        if next.is_none() && behind && self.newest.as_ref() > last {
            return self.append_behind_hole(last.cloned(), group);
        }
        let slots = merge(&pack.slots, group);
        let ground = Ground {
            older: relinked.unwrap_or(pack.older),
            last: last.cloned(),
            before: Some(pack),
            damaged: false,
            key,
            next,
        };
        self.write(ground, slots)
    }

    /// Appends where the messages behind `last` have vanished: in a pack of its own, whose link
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
        let newest = self.newest.clone();
        let older = if newest.as_ref() < Some(first) {
            newest
        } else {
            // Late ones, inside the hole: what else is missing there is not known.
            self.changes.lost.push((self.number, last.clone(), None));
            last
        };
        let bound = older.as_ref().map(|older| key::separator(older, first));
        let key = key::pack(Form::Hot, self.number, &bound.unwrap_or_default());
        let mut ground = Ground::nothing(key, None);
        ground.older = older.as_ref().map(link);
        self.write(ground, slots)
    }

    /// Puts what is written to a damaged pack in its place. What was in it is not held any more.
    fn replace_damaged(
        &mut self,
        key: Vec<u8>,
        next: Option<Keyed>,
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
        let mut ground = Ground::nothing(key, next);
        ground.damaged = true;
        ground.older = last.as_ref().map(link);
        self.write(ground, slots)
    }

    /// Writes what a pack's range holds now.
    fn write(&mut self, ground: Ground, slots: Vec<Slot>) -> Result<(), StoreError> {
        let Ground {
            key,
            before,
            damaged,
            older,
            last,
            next,
        } = ground;
        let newest = slots.last().map(|slot| slot.position.clone());
        if newest != last {
            let neighbour = newest.as_ref().map(link).or(older);
            self.relink = next.clone().map(|next| (next, neighbour));
        }
        let hot_before = before.as_ref().map_or(0, |pack| hot_of(pack));
        if slots.is_empty() {
            self.count_hot(0, hot_before);
            if before.is_some() {
                self.push(key, None, false);
            }
            return Ok(());
        }
        let section = key::section_of(&key);
        let squeeze = &self.stored.shared.codec.squeeze;
        let packs = shape(
            slots,
            older,
            (section, last.as_ref()),
            next.is_none(),
            squeeze,
        )?;
        let hot = packs.iter().map(|(pack, _)| hot_of(pack)).sum();
        self.count_hot(hot, hot_before);
        let many = packs.len();
        let moves = packs.first().is_some_and(|(pack, _)| pack.form != section);
        if moves && (before.is_some() || damaged) {
            self.push(key.clone(), None, false);
        }
        let mut first_key = Some(key);
        let mut behind: Option<Position> = None;
        for (index, (pack, payload)) in packs.into_iter().enumerate() {
            let first = pack.slots.first().map(|slot| &slot.position);
            let bound = behind.zip(first);
            let bound = bound.map(|(behind, first)| key::separator(&behind, first));
            let key = match first_key.take() {
                Some(key) => key::in_section(pack.form, &key),
                None => key::pack(pack.form, self.number, &bound.unwrap_or_default()),
            };
            behind = pack.last().cloned();
            if index == 0 && before.as_deref() == Some(&pack) {
                continue;
            }
            let is_tail = next.is_none() && index.saturating_add(1) == many;
            self.push(key, Some((payload, pack)), is_tail);
        }
        Ok(())
    }

    /// Gives the pack behind the last written one its link. Should it be changed next, the link is
    /// given back for that.
    fn relink_next(&mut self, cover: Option<&Keyed>) -> Result<Option<Option<u32>>, StoreError> {
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
        let payload = pack.encode(&self.stored.shared.codec.squeeze)?;
        self.push(next.key, Some((payload, pack)), false);
        Ok(None)
    }

    fn push(&mut self, key: Vec<u8>, after: Option<(Vec<u8>, Pack)>, tail: bool) {
        let after = after.map(|(payload, pack)| (payload, Arc::new(pack)));
        self.changes.packs.push(PackChange {
            number: self.number,
            key,
            after,
            tail,
        });
    }

    fn count_hot(&mut self, after: usize, before: usize) {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let more = signed(after).saturating_sub(signed(before));
        let hot = self.changes.hot.entry(self.number).or_default();
        *hot = hot.saturating_add(more);
    }
}

/// What is known of a pack's range before it is written.
struct Ground {
    key: Vec<u8>,
    before: Option<Arc<Pack>>,
    /// Whether a damaged pack is under the key.
    damaged: bool,
    /// The link to the message before the range.
    older: Option<u32>,
    /// The last message that was in the range.
    last: Option<Position>,
    next: Option<Keyed>,
}

impl Ground {
    /// A range that holds nothing.
    const fn nothing(key: Vec<u8>, next: Option<Keyed>) -> Self {
        Self {
            key,
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

fn encoded(record: &MessageRecord) -> Result<Bytes, StoreError> {
    let bytes = encode_compact(record)?;
    if bytes.len() > MESSAGE_MAX {
        return Err(StoreError::TooLarge {
            kind: "message",
            actual: bytes.len(),
            limit: MESSAGE_MAX,
        });
    }
    Ok(Bytes::from(bytes))
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
