//! Links between neighbours: each stored message names the one before it, so that a message which
//! vanished shows as a gap.
//!
//! Spans say what ought to be held together; they live in the conversation's row. Should damage
//! take messages away and leave the row, or put a part of the tree back to an older state, the
//! spans alone would show a hole as whole history. So a message's record carries a hash of the
//! position of its older neighbour in the store, kept up to date by every commit, and the row
//! names the newest message. A reader joins two neighbours only where span and link agree.

use std::collections::BTreeMap;
use std::hash::Hasher;

use super::batch::{Batch, Change};
use super::kv::Direction;
use super::record_message::MessageRecord;
use super::{ConversationNumber, Position, Snapshot, StoreError};

/// What a conversation's row knows of the messages it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// How many there are.
    pub(super) count: u32,
    /// The newest of them.
    pub(super) newest: Option<Position>,
}

/// The hash by which a message names its older neighbour.
pub(super) fn link(position: &Position) -> u32 {
    // On disk: the hash must be the same in every build.
    let mut hasher = siphasher::sip::SipHasher24::new();
    hasher.write(&position.sent_at.as_millis().to_le_bytes());
    hasher.write(position.id.as_str().as_bytes());
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// What a batch has to say about neighbours beside the messages themselves.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Each message whose older neighbour is another one now, with its record if the batch does
    /// not write it otherwise.
    messages: Vec<(
        ConversationNumber,
        Position,
        Option<MessageRecord>,
        Option<u32>,
    )>,
    /// What each conversation holds now.
    held: Vec<(ConversationNumber, Held)>,
}

/// Computes the links of a batch; `snapshot` is the store with the batch on top.
pub(super) fn links(snapshot: &Snapshot<'_>, batch: &Batch) -> Result<Links, StoreError> {
    let mut links = Links::default();
    for (number, messages) in &batch.messages {
        let row = batch.conversations.get(number);
        let before = row.and_then(|change| change.before.as_ref());
        let mut linker = Linker {
            snapshot,
            number: *number,
            newest: before.and_then(|row| row.held.newest.as_ref()),
            messages,
            last_added: None,
            links: &mut links,
        };
        let mut held = before.map(|row| row.held.clone()).unwrap_or_default();
        for (position, change) in messages {
            match (change.before.is_some(), change.after.is_some()) {
                (false, true) => {
                    linker.added(position)?;
                    held.count = held.count.saturating_add(1);
                }
                (true, false) => {
                    linker.removed(position)?;
                    held.count = held.count.saturating_sub(1);
                }
                (true, true) | (false, false) => {}
            }
        }
        held.newest = match linker.newest_after() {
            Newest::Known(newest) => newest,
            Newest::Look => {
                let newest = snapshot.messages(*number, None, Direction::Backward, 1)?;
                newest.into_iter().next().map(|(position, _)| position)
            }
        };
        links.held.push((*number, held));
    }
    Ok(links)
}

enum Newest {
    Known(Option<Position>),
    /// The newest was removed: what is newest now must be looked up.
    Look,
}

struct Linker<'a, 's> {
    snapshot: &'a Snapshot<'s>,
    number: ConversationNumber,
    /// What the batch does to the conversation's messages.
    messages: &'a BTreeMap<Position, Change<MessageRecord>>,
    /// The newest message before the batch.
    newest: Option<&'a Position>,
    /// The newest that the batch added so far.
    last_added: Option<&'a Position>,
    links: &'a mut Links,
}

impl<'a> Linker<'a, '_> {
    fn added(&mut self, position: &'a Position) -> Result<(), StoreError> {
        let appended = self.newest.is_none_or(|newest| position > newest);
        // Behind everything that was there, the neighbour is known. It is so even if it vanished
        // since: then the link leads nowhere, and the hole shows.
        let known = self
            .last_added
            .max(self.newest.filter(|newest| !self.is_removed(newest)));
        let older = match known {
            Some(known) if appended => Some(known.clone()),
            _ => self
                .neighbour(position, Direction::Backward)?
                .map(|(older, _)| older),
        };
        let older = older.as_ref().map(link);
        self.links
            .messages
            .push((self.number, position.clone(), None, older));
        self.last_added = Some(position);
        if !appended {
            let newer = self.neighbour(position, Direction::Forward)?;
            self.relink(newer, Some(link(position)));
        }
        Ok(())
    }

    fn removed(&mut self, position: &Position) -> Result<(), StoreError> {
        let newer = self.neighbour(position, Direction::Forward)?;
        let older = self.neighbour(position, Direction::Backward)?;
        self.relink(newer, older.map(|(older, _)| link(&older)));
        Ok(())
    }

    fn neighbour(
        &self,
        position: &Position,
        direction: Direction,
    ) -> Result<Option<(Position, Option<MessageRecord>)>, StoreError> {
        let found = self
            .snapshot
            .messages(self.number, Some(position), direction, 1)?;
        Ok(found.into_iter().next())
    }

    fn relink(&mut self, newer: Option<(Position, Option<MessageRecord>)>, older: Option<u32>) {
        if let Some((position, Some(record))) = newer {
            self.links
                .messages
                .push((self.number, position, Some(record), older));
        }
    }

    fn is_removed(&self, position: &Position) -> bool {
        let change = self.messages.get(position);
        change.is_some_and(|change| change.after.is_none())
    }

    fn newest_after(&self) -> Newest {
        match self.newest.max(self.last_added) {
            Some(newest) if self.is_removed(newest) => Newest::Look,
            newest => Newest::Known(newest.cloned()),
        }
    }
}

impl Links {
    /// Writes the links into the batch.
    pub(super) fn write(self, batch: &mut Batch) {
        for (number, position, record, older) in self.messages {
            let messages = batch.messages.entry(number).or_default();
            let change = match (messages.get_mut(&position), record) {
                (Some(change), _) => change,
                (None, Some(record)) => messages.entry(position).or_insert_with(|| Change {
                    before: Some(record.clone()),
                    after: Some(record),
                }),
                (None, None) => continue,
            };
            if let Some(record) = &mut change.after {
                record.older = older;
            }
        }
        for (number, held) in self.held {
            let change = batch.conversations.get_mut(&number);
            if let Some(row) = change.and_then(|change| change.after.as_mut()) {
                row.held = held;
            }
        }
    }
}
