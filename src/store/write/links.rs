//! Links between neighbours, which show vanished messages as a gap.
//!
//! Spans in the conversation's row say which messages belong together. Damage may take messages and leave the
//! row, or put a part of the tree back to an older state. The spans alone would then show a hole as whole
//! history. A pack therefore has a hash of the position of the message before its first, which every commit
//! keeps up to date, and the row names the newest message. Inside a pack neighbours are neighbours, because
//! the pack has one checksum. A reader joins two neighbours only where span and link agree.

use std::collections::BTreeMap;

use crate::store::error::StoreError;
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::Direction;
use crate::store::types::batch::Batch;
use crate::store::types::conversation::Held;
use crate::store::types::position::ConversationNumber;
use crate::store::write::pack_changes::PackChanges;

/// The stored messages after a batch, for each conversation whose messages the batch changes; `snapshot` is the
/// store with the batch on top.
pub(crate) fn held(
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
                (false, true) => held.count += 1,
                // A row that was damaged is begun anew, and its packs stay uncounted.
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

/// Writes the stored messages into the rows of a batch, and cuts their spans where messages are lost.
pub(crate) fn set_held(
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
