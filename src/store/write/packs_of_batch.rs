//! The changes that a batch makes to packs: packs are written, split, or removed.
//!
//! They follow from the store's content and the batch alone, so a commit stays one atomic batch.
//! `packs_of_conversation.rs` puts the messages of one conversation into packs.

use crate::store::error::StoreError;
use crate::store::read::snapshot::Snapshot;
use crate::store::types::batch::Batch;
use crate::store::write::pack_changes::PackChanges;
use crate::store::write::packs_of_conversation::Packer;

/// Computes a batch's changes of packs; `stored` is the store without the batch.
pub(crate) fn pack_changes(
    stored: &Snapshot<'_>,
    batch: &Batch,
) -> Result<PackChanges, StoreError> {
    let mut changes = PackChanges::default();
    for (number, change) in &batch.conversations {
        let Some(row) = &change.after else {
            if change.before.is_some() {
                changes.remove_all(stored, *number)?;
            }
            continue;
        };
        let before = change.before.as_deref();
        let newest = before.and_then(|row| row.held.newest.clone());
        let mut packer = Packer::new(stored, *number, newest, &mut changes)?;
        if let Some(messages) = batch.messages.get(number) {
            packer.pack(messages)?;
        }
        let tail = packer.finish(row)?;
        changes.tails.insert(*number, tail);
    }
    // In a conversation whose row is lost, messages can only be removed; the tail is lost with the row.
    for (number, messages) in &batch.messages {
        if !batch.conversations.contains_key(number) {
            Packer::new(stored, *number, None, &mut changes)?.pack(messages)?;
        }
    }
    Ok(changes)
}
