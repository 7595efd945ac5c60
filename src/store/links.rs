//! Links between neighbours, so that a message which vanished shows as a gap.
//!
//! Spans say what ought to be held together; they live in the conversation's row. Should damage
//! take messages away and leave the row, or put a part of the tree back to an older state, the
//! spans alone would show a hole as whole history. So a pack carries a hash of the position of the
//! message before its first, kept up to date by every commit, and the row names the newest message;
//! inside a pack neighbours are neighbours, for it has one checksum. A reader joins two neighbours
//! only where span and link agree.

use std::collections::BTreeMap;
use std::hash::Hasher;

use super::batch::Batch;
use super::kv::Direction;
use super::pack_changes::PackChanges;
use super::{ConversationNumber, Position, Snapshot, StoreError};

/// What a conversation's row knows of the messages it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// How many there are.
    pub(super) count: u32,
    /// The newest of them.
    pub(super) newest: Option<Position>,
    /// How many of them are in hot packs; sealing begins when they are many. It is made right by
    /// sealing, should damage have made it wrong.
    pub(super) hot: u32,
}

/// The hash by which a message names its older neighbour; never zero.
pub(super) fn link(position: &Position) -> u32 {
    // On disk: the hash must be the same in every build.
    let mut hasher = siphasher::sip::SipHasher24::new();
    hasher.write(&position.sent_at.as_millis().to_le_bytes());
    hasher.write(position.id.as_str().as_bytes());
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// What a message says of the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Older {
    /// There is none.
    #[default]
    None,
    /// It is in the same pack, here: no hash is needed to know it.
    Beside(Position),
    /// It is in another pack, or was; this is the link to it.
    Linked(u32),
}

impl Older {
    /// Whether the message before is the one at a position, or none.
    pub(super) fn is(&self, position: Option<&Position>) -> bool {
        match (self, position) {
            (Self::None, None) => true,
            (Self::Beside(beside), Some(position)) => beside == position,
            (Self::Linked(older), Some(position)) => *older == link(position),
            _ => false,
        }
    }
}

/// What each conversation that a batch changes messages of holds afterwards; `snapshot` is the
/// store with the batch on top.
pub(super) fn held(
    snapshot: &Snapshot<'_>,
    batch: &Batch,
    packs: &PackChanges,
) -> Result<BTreeMap<ConversationNumber, Held>, StoreError> {
    let mut all = BTreeMap::new();
    for (number, messages) in &batch.messages {
        let row = batch.conversations.get(number);
        let before = row.and_then(|change| change.before.as_deref());
        let mut held = before.map(|row| row.held.clone()).unwrap_or_default();
        let mut newest_removed = false;
        for (position, change) in messages {
            match (change.before.is_some(), change.after.is_some()) {
                (false, true) => held.count = held.count.saturating_add(1),
                (true, false) => held.count = held.count.saturating_sub(1),
                (true, true) | (false, false) => {}
            }
            if change.after.is_some() {
                held.newest = held.newest.max(Some(position.clone()));
            } else {
                newest_removed |= held.newest.as_ref() == Some(position);
            }
        }
        if newest_removed {
            let newest = snapshot.messages(*number, None, Direction::Backward, 1)?;
            held.newest = newest.into_iter().next().map(|(position, _)| position);
        }
        let more = packs.hot.get(number).copied().unwrap_or_default();
        let hot = i64::from(held.hot).saturating_add(more).max(0);
        held.hot = u32::try_from(hot).unwrap_or(u32::MAX);
        all.insert(*number, held);
    }
    Ok(all)
}

/// Writes into the rows of a batch what they hold, and cuts their spans where messages are lost.
pub(super) fn set_held(
    batch: &mut Batch,
    held: BTreeMap<ConversationNumber, Held>,
    packs: &PackChanges,
) {
    for (number, older, newer) in &packs.lost {
        if let Some(row) = batch.row_mut(*number) {
            row.history.forget(older.as_ref(), newer.as_ref());
        }
    }
    for (number, held) in held {
        if let Some(row) = batch.row_mut(number) {
            row.held = held;
        }
    }
}
