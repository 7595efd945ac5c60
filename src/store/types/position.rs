//! Positions: a conversation's number, a message's position, the stored parts of a history.

use std::fmt;

use crate::model::{MessageId, OutboxEntryId, Timestamp};

/// A conversation's number in one store. It never changes, not even when the service's id takes
/// over a local one, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationNumber(pub u32);

impl fmt::Display for ConversationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conversation {}", self.0)
    }
}

/// The place of a message in its conversation, if the service knows the message: a timeline is ordered by the
/// service's time first, then by the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The service's time of the message.
    pub sent_at: Timestamp,
    /// The service's id of the message.
    pub id: MessageId,
}

/// The place of an item in a timeline: messages by position, then local echoes in outbox order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A message that the service knows.
    Message(Position),
    /// A message in the outbox.
    Echo(OutboxEntryId),
}

/// A stretch of history without a hole: every message of the conversation from `from` to `to`,
/// both included, is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The oldest message of the stretch.
    pub from: Position,
    /// The newest message of the stretch.
    pub to: Position,
}

/// The parts of a conversation's history that the store holds without holes.
///
/// Two neighbours in the store are neighbours in the conversation only if one span covers both;
/// else a timeline shows a gap between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Oldest first; they neither touch nor overlap.
    spans: Vec<Span>,
    /// The start of the history: the oldest held message may be the first of the conversation.
    start: HistoryStart,
    /// The end of the history: the service may have messages newer than the newest span.
    end: HistoryEnd,
    /// The newest stored message when the history fell behind: the catch-up goes back to it, however often it
    /// is interrupted. None where no message was stored, and where the history is current.
    behind_since: Option<Position>,
    /// Messages held at this position and before it may have been edited or recalled while nobody told this device.
    unchecked: Option<Position>,
    /// Stretches between which nothing is missing, as caches of older SDKs claim; oldest first. No cache
    /// proves it.
    claimed: Vec<Span>,
}

/// The knowledge of history that is older than the oldest held message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryStart {
    /// The service may have older messages.
    #[default]
    Unknown,
    /// The service has none older than the oldest in the store.
    Reached,
}

/// The knowledge of history that is newer than the newest held message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryEnd {
    /// Nothing newer was missed, as far as is known.
    #[default]
    Current,
    /// The service has, or may have, newer messages that were not received.
    Behind,
}

impl History {
    /// The most spans that are kept; the oldest is forgotten beyond that, and its messages count
    /// as lone ones with gaps around them. 256 spans take about 16 kB in a record.
    pub const SPANS_MAX: usize = 256;

    /// Makes a history from its parts; spans that overlap are merged.
    #[must_use]
    pub fn new(spans: Vec<Span>, start: HistoryStart, end: HistoryEnd) -> Self {
        let mut history = Self {
            spans: Vec::new(),
            start,
            end,
            behind_since: None,
            unchecked: None,
            claimed: Vec::new(),
        };
        for span in spans {
            history.hold(span.from, span.to);
        }
        history
    }

    /// The spans, oldest first.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The knowledge of history that is older than the oldest span.
    #[must_use]
    pub const fn start(&self) -> HistoryStart {
        self.start
    }

    /// The knowledge of history that is newer than the newest span.
    #[must_use]
    pub const fn end(&self) -> HistoryEnd {
        self.end
    }

    /// Says whether there is older history.
    pub const fn set_start(&mut self, start: HistoryStart) {
        self.start = start;
    }

    /// Sets if there is newer history. Where some was missing before, the position that the catch-up goes back
    /// to stays.
    pub fn set_end(&mut self, end: HistoryEnd) {
        match (self.end, end) {
            (HistoryEnd::Current, HistoryEnd::Behind) => {
                self.behind_since = self.newest().map(|span| span.to.clone());
            }
            (HistoryEnd::Behind, HistoryEnd::Behind) => {}
            (_, HistoryEnd::Current) => self.behind_since = None,
        }
        self.end = end;
    }

    /// The newest message that was held when the history fell behind.
    #[must_use]
    pub const fn behind_since(&self) -> Option<&Position> {
        self.behind_since.as_ref()
    }

    /// The same history, which fell behind after this message.
    #[must_use]
    pub fn with_behind_since(mut self, since: Option<Position>) -> Self {
        self.behind_since = since.filter(|_| self.end == HistoryEnd::Behind);
        self
    }

    /// The newest held message of those that may have been edited or recalled while nobody told this device of it:
    /// all that are older may have been too.
    #[must_use]
    pub const fn unchecked(&self) -> Option<&Position> {
        self.unchecked.as_ref()
    }

    /// Says which held messages may have been edited or recalled while nobody told this device: this one and all
    /// before it, or none.
    pub fn set_unchecked(&mut self, newest: Option<Position>) {
        self.unchecked = newest;
    }

    /// The same history, of which the held messages at this position and before it are unchecked.
    #[must_use]
    pub fn with_unchecked(mut self, newest: Option<Position>) -> Self {
        self.unchecked = newest;
        self
    }

    /// Records that every message between the two is stored, both included; merges spans that touch.
    pub fn hold(&mut self, one: Position, other: Position) {
        if merge_into(&mut self.spans, one, other) == Merged::OldestForgotten {
            self.start = HistoryStart::Unknown;
        }
    }

    /// Records that a cache claims to have every message between the two, both included.
    pub fn claim(&mut self, one: Position, other: Position) {
        merge_into(&mut self.claimed, one, other);
    }

    /// The stretches that caches claim, oldest first.
    #[must_use]
    pub fn claimed(&self) -> &[Span] {
        &self.claimed
    }

    /// True if two neighbours are shown as such because a cache claims so. The claim does not count at the
    /// place where the history that the service gave begins. There the service can be asked, and its answers
    /// move that place back, page by page.
    #[must_use]
    pub fn claims(&self, older: &Position, newer: &Position) -> bool {
        let after = self.claimed.partition_point(|span| span.to < *newer);
        let claimed = self
            .claimed
            .get(after)
            .is_some_and(|span| span.from <= *older);
        claimed && self.span_of(newer).is_none()
    }

    /// Records that nothing is known to be held between the two, both left out; none stands for the
    /// beginning or the end of the conversation.
    pub fn forget(&mut self, older: Option<&Position>, newer: Option<&Position>) {
        if older.is_none() {
            self.start = HistoryStart::Unknown;
        }
        if newer.is_none() {
            self.set_end(HistoryEnd::Behind);
            let since = self.behind_since.take();
            self.behind_since = since.min(older.cloned());
        }
        let mut kept = Vec::with_capacity(self.spans.len().saturating_add(1));
        for Span { from, to } in std::mem::take(&mut self.spans) {
            if let Some(older) = older.filter(|older| from <= **older) {
                let to = to.clone().min(older.clone());
                let from = from.clone();
                kept.push(Span { from, to });
            }
            if let Some(newer) = newer.filter(|newer| **newer <= to) {
                let from = from.max(newer.clone());
                kept.push(Span { from, to });
            }
        }
        self.spans = kept;
    }

    /// True if one span covers both positions, so that nothing is missing between them.
    #[must_use]
    pub fn joins(&self, one: &Position, other: &Position) -> bool {
        let (from, to) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        self.span_of(from).is_some_and(|span| *to <= span.to)
    }

    /// The span that covers a position.
    #[must_use]
    pub fn span_of(&self, position: &Position) -> Option<&Span> {
        let after = self.spans.partition_point(|span| span.to < *position);
        self.spans.get(after).filter(|span| span.from <= *position)
    }

    /// The newest span.
    #[must_use]
    pub fn newest(&self) -> Option<&Span> {
        self.spans.last()
    }
}

/// The fate of the oldest stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merged {
    Kept,
    OldestForgotten,
}

/// Puts a stretch among others; those that it touches become one with it.
fn merge_into(spans: &mut Vec<Span>, one: Position, other: Position) -> Merged {
    let (mut from, mut to) = if one <= other {
        (one, other)
    } else {
        (other, one)
    };
    let mut kept = Vec::with_capacity(spans.len().saturating_add(1));
    for span in std::mem::take(spans) {
        if span.to < from || span.from > to {
            kept.push(span);
        } else {
            from = from.min(span.from);
            to = to.max(span.to);
        }
    }
    let at = kept.partition_point(|span| span.to < from);
    kept.insert(at, Span { from, to });
    let mut merged = Merged::Kept;
    if kept.len() > History::SPANS_MAX {
        kept.remove(0);
        merged = Merged::OldestForgotten;
    }
    *spans = kept;
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_joins_neighbours_until_the_service_was_asked_there() {
        let mut history = History::default();
        history.claim(at(1), at(5));
        history.claim(at(9), at(5));
        assert!(history.claims(&at(4), &at(6)) && !history.claims(&at(9), &at(10)));
        assert!(!history.joins(&at(4), &at(6)), "a claim proves nothing");
        history.hold(at(6), at(20));
        assert!(
            !history.claims(&at(5), &at(6)),
            "here the service can be asked"
        );
        assert!(history.claims(&at(4), &at(5)));
        history.hold(at(3), at(6));
        assert!(history.joins(&at(4), &at(6)) && history.claims(&at(1), &at(2)));
        assert!(!history.claims(&at(2), &at(3)));
    }

    fn at(n: i64) -> Position {
        Position {
            sent_at: Timestamp::from_millis(n),
            id: MessageId::new(format!("m{n:04}")).unwrap(),
        }
    }

    #[test]
    fn spans_that_touch_become_one_and_others_stay_apart() {
        let mut history = History::default();
        history.hold(at(1), at(5));
        history.hold(at(20), at(10));
        assert!(history.joins(&at(1), &at(5)) && !history.joins(&at(5), &at(10)));
        history.hold(at(5), at(10));
        assert_eq!(history.spans().len(), 1);
        assert!(history.joins(&at(20), &at(1)));
    }

    #[test]
    fn what_is_forgotten_is_a_hole_between_its_ends() {
        let held = |spans: &[(i64, i64)]| {
            let spans = spans.iter().map(|(from, to)| Span {
                from: at(*from),
                to: at(*to),
            });
            spans.collect::<Vec<_>>()
        };
        let mut history = History::default();
        history.set_start(HistoryStart::Reached);
        history.hold(at(1), at(20));
        history.hold(at(30), at(40));
        history.forget(Some(&at(5)), Some(&at(9)));
        assert_eq!(history.spans(), held(&[(1, 5), (9, 20), (30, 40)]));
        history.forget(Some(&at(10)), Some(&at(35)));
        assert_eq!(history.spans(), held(&[(1, 5), (9, 10), (35, 40)]));
        assert_eq!(history.start(), HistoryStart::Reached);
        history.forget(None, Some(&at(9)));
        assert_eq!(history.spans(), held(&[(9, 10), (35, 40)]));
        assert_eq!(history.start(), HistoryStart::Unknown);
        history.forget(Some(&at(36)), None);
        assert_eq!(history.spans(), held(&[(9, 10), (35, 36)]));
        assert_eq!(history.end(), HistoryEnd::Behind);
    }

    #[test]
    fn the_place_to_catch_up_from_is_where_history_first_fell_behind() {
        let mut history = History::default();
        history.hold(at(1), at(5));
        history.set_end(HistoryEnd::Behind);
        history.hold(at(8), at(9));
        history.set_end(HistoryEnd::Behind);
        assert_eq!(history.behind_since(), Some(&at(5)));
        history.forget(Some(&at(7)), None);
        assert_eq!(history.behind_since(), Some(&at(5)));
        history.forget(Some(&at(3)), None);
        assert_eq!(history.behind_since(), Some(&at(3)));
        history.set_end(HistoryEnd::Current);
        assert_eq!(history.behind_since(), None);
        history.forget(Some(&at(2)), None);
        assert_eq!(history.behind_since(), Some(&at(2)));
    }

    #[test]
    fn the_oldest_span_is_forgotten_beyond_the_limit() {
        let mut history = History::default();
        history.set_start(HistoryStart::Reached);
        for n in 0..=i64::try_from(History::SPANS_MAX).unwrap() {
            history.hold(at(n * 2), at(n * 2));
        }
        assert_eq!(history.spans().len(), History::SPANS_MAX);
        assert_eq!(history.start(), HistoryStart::Unknown);
        assert!(history.span_of(&at(0)).is_none());
    }
}
