//! The changes of packs in a commit: packs are written, split, or removed.
//!
//! They follow from the store's content and the batch alone, so a commit stays one atomic batch.
//! `write/packs_of_conversation.rs` puts the messages of one conversation into packs.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::store::error::StoreError;
use crate::store::format::conversation_value::Tail;
use crate::store::format::key;
use crate::store::format::pack::Form;
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::Direction;
use crate::store::types::position::{ConversationNumber, Position};

/// The changes of a commit to packs.
#[derive(Debug, Default)]
pub(crate) struct PackChanges {
    /// Each pack under its own key that is written, or removed; of two changes of a key the later.
    pub(crate) packs: Vec<PackChange>,
    /// The tail of each conversation of the batch, because it is stored with the row.
    pub(crate) tails: BTreeMap<ConversationNumber, TailAfter>,
    /// By how much the hot messages of each conversation become more.
    pub(crate) hot: BTreeMap<ConversationNumber, i64>,
    /// The damaged packs that a message was written to: between the two positions nothing is held.
    pub(crate) lost: Vec<(ConversationNumber, Option<Position>, Option<Position>)>,
}

/// A pack that is written, or removed.
#[derive(Debug)]
pub(crate) struct PackChange {
    pub(crate) key: Vec<u8>,
    /// The payload; none removes the pack.
    pub(crate) after: Option<Vec<u8>>,
}

/// The tail of a conversation as a commit leaves it.
#[derive(Debug)]
pub(crate) struct TailAfter {
    pub(crate) tail: Option<Tail>,
    /// True if the tail is another one than before.
    pub(crate) is_changed: bool,
}

impl PackChanges {
    pub(crate) fn remove_all(
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
    pub(crate) fn remove_from(
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
