//! Idle sealing: a conversation without new messages is sealed almost whole.
//!
//! Sealing (`write/seal.rs`) begins when a conversation has enough hot messages, and most conversations never
//! do. After some thousand new messages the store therefore goes through all conversations, some at a time,
//! in idle time. In each it turns all hot packs into sealed ones, and leaves the tail, which still grows.
//! Conversations on the first pages of the list and those in view are left out. A sealed pack with room takes
//! the hot packs after it in, so many short visits leave few small packs.
//!
//! Like sealing, the batch has no commit number, because readers see the same before and after. A kill leaves
//! hot packs, which the next walk finds again.

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::model::ConversationId;
use crate::store::error::StoreError;
use crate::store::format::frame;
use crate::store::format::key::{self, Tag};
use crate::store::format::pack::Form;
use crate::store::format::pack_layout::{SEALED_BYTES, SEALED_COUNT};
use crate::store::read::packs::KeyedPack;
use crate::store::read::snapshot::Snapshot;
use crate::store::read::store::Store;
use crate::store::tree::Direction;
use crate::store::types::link::link;
use crate::store::types::position::ConversationNumber;
use crate::store::write::seal::{Sealing, hot_of, leave_damaged, oldest_hot, put_row, seal_run};

/// So many messages have to come before the next sealing: the hot messages until then are some hundred KiB.
const EVERY: u64 = 2_000;

/// The conversations that stay as they are: with the newest activity, a few screens of the list.
const LIVELY: usize = 256;

/// How many hot messages of a conversation are sealed in a step.
const MESSAGES_AT_ONCE: usize = 4 * SEALED_COUNT;

/// How many conversations a step seals: a few milliseconds.
const SEALED_AT_ONCE: usize = 12;

/// How many conversations a step looks at: a few milliseconds.
const LOOKS_AT_ONCE: usize = 96;

/// True if enough messages have arrived since the last time. `arrived` is smaller than `last` when a damaged
/// store lost its counters.
pub(crate) const fn is_due(arrived: u64, last: u64) -> bool {
    arrived < last || arrived.saturating_sub(last) >= EVERY
}

/// One way through all conversations.
#[derive(Debug)]
pub(crate) struct IdleSealing {
    /// The conversation that is looked at next.
    next: ConversationNumber,
    lively: BTreeSet<ConversationNumber>,
    /// The number of messages that had come when it began.
    pub(crate) arrived: u64,
}

/// The findings of a step.
#[derive(Debug)]
pub(crate) struct IdleSealingStep {
    /// The sealings that are to be written, by conversation.
    pub(crate) sealings: Vec<(ConversationNumber, Sealing)>,
    /// True if every conversation was looked at.
    pub(crate) ended: bool,
}

impl IdleSealing {
    /// Begins.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the list can't be read.
    pub(crate) fn begin(store: &Store) -> Result<Self, StoreError> {
        Self::beside(store, LIVELY)
    }

    /// Begins, and leaves the first conversations of the list as they are.
    pub(crate) fn beside(store: &Store, lively: usize) -> Result<Self, StoreError> {
        let snapshot = store.snapshot();
        let mut numbers = BTreeSet::new();
        if lively > 0 {
            let page = snapshot.conversations(None, lively)?;
            numbers.extend(page.conversations.iter().map(|(number, _)| *number));
        }
        Ok(Self {
            next: ConversationNumber(0),
            lively: numbers,
            arrived: snapshot.tables.meta.arrived,
        })
    }

    /// Looks at some conversations.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store can't be read.
    pub(crate) fn step(
        &mut self,
        store: &Store,
        in_view: &[ConversationId],
    ) -> Result<IdleSealingStep, StoreError> {
        let snapshot = store.snapshot();
        let mut viewed = BTreeSet::new();
        for id in in_view {
            viewed.extend(snapshot.number(id)?);
        }
        let mut step = IdleSealingStep {
            sealings: Vec::new(),
            ended: false,
        };
        for _ in 0..LOOKS_AT_ONCE {
            let Some(number) = next_hot(&snapshot, self.next)? else {
                step.ended = true;
                break;
            };
            if !self.lively.contains(&number) && !viewed.contains(&number) {
                let sealing = seal_one(&snapshot, number)?;
                step.sealings.extend(sealing.map(|it| (number, it)));
            }
            let Some(next) = number.0.checked_add(1) else {
                step.ended = true;
                break;
            };
            self.next = ConversationNumber(next);
            if step.sealings.len() >= SEALED_AT_ONCE {
                break;
            }
        }
        Ok(step)
    }
}

/// The first conversation from a number on that has a hot pack.
fn next_hot(
    stored: &Snapshot<'_>,
    from: ConversationNumber,
) -> Result<Option<ConversationNumber>, StoreError> {
    let mut found = None;
    stored.scan(
        Tag::Hot,
        Bound::Included(&key::packs_of(Form::Hot, from)),
        Bound::Unbounded,
        Direction::Forward,
        &mut |key, _| {
            found = key::parse_pack(key).ok();
            ControlFlow::Break(())
        },
    )?;
    Ok(found)
}

/// The sealing of all but a conversation's tail, or of all but its last pack if it has no tail; none when there is
/// nothing to do.
fn seal_one(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
) -> Result<Option<Sealing>, StoreError> {
    let Some(row) = stored.row(number)? else {
        return Ok(None);
    };
    let tail = stored.tail(number)?;
    // With one more than is sealed, the messages left out are never the last of all.
    let oldest = oldest_hot(stored, number, tail.as_ref(), MESSAGES_AT_ONCE + 1)?;
    let mut packs = oldest.keyed;
    if tail.is_none() || !oldest.all {
        packs.pop();
    }
    let many = packs.len();
    let mut sealing = Sealing::default();
    let packs = leave_damaged(stored, packs, &mut sealing)?;
    // A damaged one between others, and all behind it, are left for the next time.
    let whole = packs.iter().take_while(|keyed| keyed.pack.is_some());
    let mut rest = packs.get(..whole.count()).unwrap_or_default();
    if rest.is_empty() && packs.len() == many {
        return Ok(None);
    }
    let mut hot = usize::try_from(row.held.hot).unwrap_or(usize::MAX);
    let mut roomy = roomy(stored, number)?;
    while !rest.is_empty() {
        let (run, behind) = rest.split_at(joined(rest).min(rest.len()));
        rest = behind;
        hot = hot.saturating_sub(run.iter().map(hot_of).sum());
        let before = roomy.take().filter(|it| is_joined(it, run.first()));
        let run: Vec<KeyedPack> = before.into_iter().chain(run.iter().cloned()).collect();
        seal_run(stored, number, &run, &mut sealing)?;
    }
    let mut row = (*row).clone();
    row.held.hot = u32::try_from(hot).unwrap_or(u32::MAX);
    put_row(stored, number, Arc::new(row), &mut sealing)?;
    Ok(Some(sealing))
}

/// The number of the first packs that are neighbours, each of the one before.
fn joined(packs: &[KeyedPack]) -> usize {
    let pairs = packs.iter().zip(packs.iter().skip(1));
    let joined = pairs.take_while(|(one, next)| is_joined(one, Some(next)));
    joined.count().saturating_add(1)
}

/// True if no message is missing between two packs.
fn is_joined(one: &KeyedPack, next: Option<&KeyedPack>) -> bool {
    let last = one.pack.as_ref().and_then(|pack| pack.last()).map(link);
    let older = next.and_then(|next| next.pack.as_ref()?.older);
    last.is_some() && last == older
}

/// The last sealed pack of a conversation, if it is at most half full. One that was written behind
/// the last commit is not taken: of two frames of one key and one commit, a salvage could not tell
/// the newer.
fn roomy(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
) -> Result<Option<KeyedPack>, StoreError> {
    let mut found = None;
    let (range, direction) = ((Bound::Unbounded, Bound::Unbounded), Direction::Backward);
    let _ = stored.visit_section(Form::Sealed, number, range, direction, &mut |keyed| {
        found = Some(keyed);
        ControlFlow::Break(())
    })?;
    let Some(keyed) = found else {
        return Ok(None);
    };
    let is_short = matches!(&keyed.pack, Some(pack) if pack.slots.len() < SEALED_COUNT);
    let value = stored.shared.noting(stored.tables.value(&keyed.key))?;
    let value = value.unwrap_or_default();
    let is_older = frame::seq_of(&value).is_some_and(|seq| seq < stored.tables.meta.seq);
    Ok(Some(keyed).filter(|_| is_short && is_older && value.len() <= SEALED_BYTES / 2))
}
