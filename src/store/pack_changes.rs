//! What a batch does to packs: which are written anew, which are split, which go.
//!
//! A pure function of what the store holds and what the batch says, so a commit stays one atomic
//! batch. How the messages of one conversation come into their packs: `packer.rs`.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::batch::Batch;
use super::key;
use super::kv::Direction;
use super::pack::Form;
use super::packer::Packer;
use super::tail::Tail;
use super::{ConversationNumber, Position, Snapshot, StoreError};

/// What a commit does to packs.
#[derive(Debug, Default)]
pub(super) struct PackChanges {
    /// Each pack under its own key that is written, or removed; of two changes of a key the later.
    pub(super) packs: Vec<PackChange>,
    /// The tail of each conversation of the batch, for it lies in one value with the row.
    pub(super) tails: BTreeMap<ConversationNumber, TailAfter>,
    /// By how much the hot messages of each conversation become more.
    pub(super) hot: BTreeMap<ConversationNumber, i64>,
    /// Where packs are damaged that a message was written to: between the two nothing is held.
    pub(super) lost: Vec<(ConversationNumber, Option<Position>, Option<Position>)>,
}

/// A pack that is written, or removed.
#[derive(Debug)]
pub(super) struct PackChange {
    pub(super) key: Vec<u8>,
    /// The payload; none removes the pack.
    pub(super) after: Option<Vec<u8>>,
}

/// The tail of a conversation as a commit leaves it.
#[derive(Debug)]
pub(super) struct TailAfter {
    pub(super) tail: Option<Tail>,
    /// Whether it is another one than before.
    pub(super) is_changed: bool,
}

/// Computes what a batch does to packs; `stored` is the store without the batch.
pub(super) fn pack_changes(
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
    // Of conversations whose rows are lost, messages can be removed alone; the tail is lost with the
    // row.
    for (number, messages) in &batch.messages {
        if !batch.conversations.contains_key(number) {
            Packer::new(stored, *number, None, &mut changes)?.pack(messages)?;
        }
    }
    Ok(changes)
}

impl PackChanges {
    fn remove_all(
        &mut self,
        stored: &Snapshot<'_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        for section in [Form::Sealed, Form::Hot] {
            self.remove_from(stored, &key::packs_of(section, number), number)?;
        }
        let gone = TailAfter {
            tail: None,
            is_changed: true,
        };
        self.tails.insert(number, gone);
        Ok(())
    }

    /// Removes the packs of a conversation from a key on, to the end of the key's section.
    pub(super) fn remove_from(
        &mut self,
        stored: &Snapshot<'_>,
        from: &[u8],
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        let section = key::section_of(from);
        let end = key::after_prefix(&key::packs_of(section, number)).unwrap_or_default();
        let (low, high) = (Bound::Included(from), Bound::Excluded(&end[..]));
        let (tag, direction) = (key::section_tag(section), Direction::Forward);
        stored.scan(tag, low, high, direction, &mut |key, _| {
            let key = key.to_vec();
            self.packs.push(PackChange { key, after: None });
            ControlFlow::Continue(())
        })
    }
}
