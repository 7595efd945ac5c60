//! The window's items and edges, read from a snapshot. The reading is the window and a little more, for any
//! length of the conversation.

use std::collections::VecDeque;

use crate::model::{MessageId, Timestamp};
use crate::store::{ConversationNumber, Place, Position, Snapshot, StoreError, TimelineItem};

/// How many messages are read at once where it is not known how many are wanted.
const PAGE: usize = 100;

/// How many more than the last time are read at once: mostly a few messages came.
const GROWTH: usize = 8;

/// How many messages behind the window are counted.
const BELOW_MAX: usize = 100;

/// The part of a conversation that a window shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The oldest message; none while there is none.
    pub(super) from: Option<Lower>,
    /// The newest message; none at the live end, where echoes stand too.
    pub(super) to: Option<Position>,
}

/// The beginning of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lower {
    pub(super) position: Position,
    /// True if the missing history before it is an item of the window.
    pub(super) with_gap: bool,
}

/// The history beyond an end of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Beyond {
    #[default]
    End,
    Held,
    Missing {
        /// The message at the newer end of what is missing; none where that is the live end.
        before: Option<Position>,
        /// True if messages are held beyond it.
        held_behind: bool,
    },
}

/// The size of a reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// The items that the window had; for a window without a beginning, the items that it is to have.
    pub(super) expected: usize,
    /// The most items.
    pub(super) most: usize,
}

/// The window at one commit.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Oldest first. A gap comes first only if the bounds ask for it.
    pub(super) items: Vec<TimelineItem>,
    pub(super) older: Beyond,
    pub(super) newer: Beyond,
    /// The number of messages behind the window, up to a limit.
    pub(super) behind: usize,
    /// True if the reading stopped before the window's beginning, because there was too much.
    pub(super) is_cut: bool,
}

/// The window of a conversation.
///
/// # Errors
///
/// [`StoreError::NoSuchConversation`]; [`StoreError::Io`] or [`StoreError::Damaged`] when the store
/// can't be read.
pub(super) fn read(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    bounds: &Bounds,
    sizes: Sizes,
) -> Result<Reading, StoreError> {
    let mut gathered = Gathered::default();
    gathered.back_to(snapshot, number, bounds, sizes)?;
    if let Some(to) = &bounds.to {
        gathered.end_at(to);
    }
    let mut reading = gathered.begin_at(bounds.from.as_ref());
    if let Some(to) = &bounds.to {
        let beyond = snapshot.page_after(number, Some(&Place::Message(to.clone())), BELOW_MAX)?;
        reading.newer = match beyond.items.first() {
            None => Beyond::End,
            Some(TimelineItem::Gap(gap)) => Beyond::Missing {
                before: gap.newer.clone(),
                held_behind: beyond.items.len() > 1,
            },
            Some(_) => Beyond::Held,
        };
        reading.behind = count_messages(beyond.items.iter());
    }
    Ok(reading)
}

/// The place after all messages of a time, and before all later ones.
pub(super) fn after_time(time: Timestamp) -> Option<Place> {
    // The least id there is.
    let id = MessageId::new("\0").ok()?;
    let sent_at = Timestamp::from_millis(time.as_millis().saturating_add(1));
    Some(Place::Message(Position { sent_at, id }))
}

pub(super) fn count_messages<'a>(items: impl Iterator<Item = &'a TimelineItem>) -> usize {
    items.filter(|item| item.message().is_some()).count()
}

/// The items that were read so far.
#[derive(Default)]
struct Gathered {
    items: VecDeque<TimelineItem>,
    /// True if the store has messages before them.
    more: bool,
    is_cut: bool,
}

impl Gathered {
    /// Reads pages backwards until the window's beginning is among them.
    fn back_to(
        &mut self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
        bounds: &Bounds,
        sizes: Sizes,
    ) -> Result<(), StoreError> {
        let mut before = bounds.to.as_ref().and_then(|to| after_time(to.sent_at));
        let from = bounds.from.as_ref().map(|from| &from.position);
        let growth = if from.is_some() { GROWTH } else { 0 };
        let mut wanted = sizes.expected.saturating_add(growth).min(sizes.most);
        let mut count = 0_usize;
        loop {
            let limit = wanted.clamp(1, Snapshot::PAGE_MAX);
            let page = snapshot.page_before(number, before.as_ref(), limit)?;
            self.more = page.more;
            count += count_messages(page.items.iter());
            let oldest = page.items.iter().find_map(TimelineItem::place);
            for item in page.items.into_iter().rev() {
                self.items.push_front(item);
            }
            let reached = match (&oldest, from) {
                (Some(Place::Message(oldest)), Some(from)) => oldest <= from,
                (Some(_), None) => count >= sizes.expected,
                (Some(Place::Echo(_)), Some(_)) => false,
                (None, _) => true,
            };
            if reached || !self.more {
                return Ok(());
            }
            if count >= sizes.most {
                self.is_cut = from.is_some();
                return Ok(());
            }
            before = oldest;
            wanted = match from {
                Some(_) => PAGE.min(sizes.most.saturating_sub(count)),
                None => sizes.expected.saturating_sub(count),
            };
        }
    }

    /// Leaves out the items behind the window's end.
    fn end_at(&mut self, to: &Position) {
        let is_inside = |item: &TimelineItem| matches!(item, TimelineItem::Message { position, .. } if position <= to);
        let kept = self.items.iter().rposition(is_inside);
        self.items
            .truncate(kept.map_or(0, |last| last.saturating_add(1)));
    }

    /// Leaves out the items before the window's beginning, and answers the history before it.
    fn begin_at(mut self, from: Option<&Lower>) -> Reading {
        let is_inside = |item: &TimelineItem| match item {
            TimelineItem::Message { position, .. } => {
                from.is_none_or(|from| *position >= from.position)
            }
            TimelineItem::Echo { .. } => true,
            TimelineItem::Gap(_) => false,
        };
        let first = self.items.iter().position(is_inside);
        let first = first.unwrap_or(self.items.len());
        let before: Vec<_> = self.items.drain(..first).collect();
        let held = self.more || count_messages(before.iter()) > 0;
        let mut older = if held { Beyond::Held } else { Beyond::End };
        if let Some(TimelineItem::Gap(gap)) = before.last() {
            if from.is_some_and(|from| from.with_gap) && gap.older.is_some() {
                self.items.push_front(TimelineItem::Gap(gap.clone()));
            } else {
                older = Beyond::Missing {
                    before: gap.newer.clone(),
                    held_behind: gap.older.is_some(),
                };
            }
        }
        Reading {
            items: self.items.into(),
            older,
            newer: Beyond::End,
            behind: 0,
            is_cut: self.is_cut,
        }
    }
}
