//! Joins arriving messages to the stored history. This file alone decides which messages are joined.
//!
//! A message is joined to the span before it only where the service's order proves that no message lies
//! between. Three things prove this:
//!
//! - A page of history covers the messages within it (`pages.rs`).
//! - A message that the service accepted while this session was open continues a history that reached the
//!   present when the session opened, because every message between was pushed here too.
//! - Such a message also continues the tail: the stretch that an earlier such message or a page of this session
//!   began.
//!
//! Every other message is stored and joined to nothing, such as an old message that a repeated sending is
//! acknowledged with, or the last message of a conversation's row. It stands alone until history is read around
//! it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{ConversationKind, Message, Timestamp};
use crate::store::{
    ConversationNumber, ConversationRow, HistoryEnd, HistoryStart, Place, Position, Span,
    StoreError, TimelineItem,
};
use crate::sync::client::history::pages::fall_behind;
use crate::sync::client::{Client, Turn};

/// The time for which an own acknowledgement may overtake an older message: for so long the tail of its
/// conversation is not trusted when the connection breaks.
const OVERTAKING: Duration = Duration::from_secs(30);

/// The time at which the service took a message, as far as the way on which it came proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::client) enum Taken {
    /// While this session was open.
    Now,
    /// At any time.
    Sometime,
}

/// The beginning of each conversation's unbroken end, in the present session.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Tails {
    /// The time at which the session opened, where the service said so.
    opened_at: Option<Timestamp>,
    /// For each conversation, the oldest message from which on everything to the present is stored.
    from: BTreeMap<ConversationNumber, Position>,
    /// The number of times that this client went out of a conversation on this session, or was found to have
    /// been out of it.
    absences: BTreeMap<ConversationNumber, u64>,
    /// The time at which own messages were last acknowledged.
    acknowledged: BTreeMap<ConversationNumber, Duration>,
    /// The newest own message that was acknowledged and is not known to have overtaken nothing, and
    /// when that will be known.
    unsettled: Option<(Timestamp, Duration)>,
    past: Past,
}

/// The conversations that an earlier process left: looked at already, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Past {
    /// No session was open since the machine was built: nobody may have noticed how the last
    /// connection ended.
    #[default]
    Unseen,
    Seen,
}

/// The most conversations, newest first, that are looked at for what a killed process left.
const LEFT_MAX: usize = 100;

/// The most own messages at the end of a conversation that are told apart.
const RUN_MAX: usize = 100;

impl Tails {
    pub(in crate::sync::client) const fn opened(&mut self, at: Option<Timestamp>) {
        self.opened_at = at;
    }

    pub(in crate::sync::client) fn of(&self, number: ConversationNumber) -> Option<&Position> {
        self.from.get(&number)
    }

    /// Everything from this position to the present is held.
    pub(in crate::sync::client) fn begin(&mut self, number: ConversationNumber, from: Position) {
        self.from.insert(number, from);
    }

    /// New messages do not come here any more.
    pub(in crate::sync::client) fn end(&mut self, number: ConversationNumber) {
        self.from.remove(&number);
        let absences = self.absences.entry(number).or_default();
        *absences = absences.wrapping_add(1);
    }

    /// The number of times that the tail of a conversation has ended. A page of history that was asked for
    /// before the tail last ended does not reach the present.
    pub(in crate::sync::client) fn absences(&self, number: ConversationNumber) -> u64 {
        self.absences.get(&number).copied().unwrap_or(0)
    }

    /// A message that came as only one of the present does. One that has an older time than the
    /// session is not believed: it may have been kept back somewhere.
    pub(in crate::sync::client) fn taken(&self, sent_at: Timestamp) -> Taken {
        if self.opened_at.is_some_and(|opened_at| sent_at < opened_at) {
            Taken::Sometime
        } else {
            Taken::Now
        }
    }

    pub(in crate::sync::client) fn acknowledged(
        &mut self,
        number: ConversationNumber,
        sent_at: Timestamp,
        at: Duration,
    ) {
        self.acknowledged.insert(number, at);
        let newest = self
            .unsettled
            .map_or(sent_at, |(newest, _)| newest.max(sent_at));
        self.unsettled = Some((newest, at.saturating_add(OVERTAKING)));
    }

    /// The time after which own messages surely overtook nothing.
    pub(in crate::sync::client) fn wake(&self, wakes: &mut Vec<Duration>) {
        wakes.extend(self.unsettled.map(|(_, due)| due));
    }
}

impl Client {
    /// Joins a message that was just stored to the stored history, as far as the order proves it.
    pub(in crate::sync::client) fn join(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        position: &Position,
        taken: Taken,
    ) -> Result<(), StoreError> {
        let tail = self.tail_held(turn, number)?;
        let taken = self.taken_in(turn, number, position, taken)?;
        let other = match (tail, taken) {
            (Some(from), _) if *position >= from => from,
            // The message that began the tail overtook this one.
            (Some(from), Taken::Now) => {
                self.tails.begin(number, position.clone());
                from
            }
            (None, Taken::Now) => self.begin_tail(turn, number, position)?,
            (_, Taken::Sometime) => return self.stand_alone(turn, number, position),
        };
        turn.overlay
            .update_conversation(number, |row| row.history.hold(other, position.clone()))?;
        Ok(())
    }

    /// A message that was accepted before this client went out of its conversation, and is pushed afterwards,
    /// proves nothing: later messages were not pushed.
    fn taken_in(
        &self,
        turn: &Turn<'_, '_>,
        number: ConversationNumber,
        position: &Position,
        taken: Taken,
    ) -> Result<Taken, StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        let out = row.filter(|row| row.is_closed());
        let before = out.is_some_and(|row| Some(position.sent_at) <= row.updated_at);
        Ok(if before { Taken::Sometime } else { taken })
    }

    /// The beginning of the unbroken end. If its oldest messages were evicted since, the end begins at its
    /// remaining part.
    fn tail_held(
        &self,
        turn: &Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<Option<Position>, StoreError> {
        let Some(from) = self.tails.of(number).cloned() else {
            return Ok(None);
        };
        let row = turn.overlay.snapshot().conversation(number)?;
        let newest = row.as_ref().and_then(|row| row.history.newest());
        Ok(Some(match newest {
            Some(span) if span.from > from => span.from.clone(),
            _ => from,
        }))
    }

    /// The beginning of the unbroken end that a message continues: the stored history, if nothing can have been
    /// missed since; the message itself, if the catch-up has not decided yet.
    fn begin_tail(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Position, StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(position.clone());
        };
        let reaches_present = self.reaches_present(number, &row);
        let newest = row.history.newest().map(|span| span.to.clone());
        // The missing part is recorded before the message is: where nothing is held, the message's beginning is
        // missing too.
        let from = newest
            .filter(|_| reaches_present)
            .unwrap_or_else(|| position.clone());
        self.tails.begin(number, from.clone().min(position.clone()));
        if !reaches_present {
            self.fall_behind(turn, number, &row)?;
        }
        Ok(from)
    }

    /// Leaves a message that nothing is proved of without neighbours, and asks for the history
    /// around it unless a recorded gap is around it anyway.
    pub(in crate::sync::client) fn stand_alone(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<(), StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        let history = &row.history;
        let newest = history.newest().map(|span| span.to.sent_at);
        let covered = history.span_of(position).is_some();
        if covered || Some(position.sent_at) < newest {
            return Ok(());
        }
        self.fall_behind(turn, number, &row)
    }

    /// Records that newer messages may be missing, also where they cannot be asked for.
    fn fall_behind(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Result<(), StoreError> {
        if row.history.spans().is_empty() && row.kind == ConversationKind::ChatRoom {
            // A chat room is not caught up with, so that only its beginning can be missing.
            turn.overlay.update_conversation(number, |row| {
                let end = row.history.end();
                fall_behind(&mut row.history);
                row.history.set_end(end);
            })?;
        }
        self.want_history(turn, number)
    }

    /// True if the stored history of a conversation reaches the present: it was not behind when the service
    /// told the changed conversations. A conversation without stored messages must have none at the service.
    fn reaches_present(&self, number: ConversationNumber, row: &ConversationRow) -> bool {
        self.directory.has_told(number, &row.id)
            && row.history.end() == HistoryEnd::Current
            && row.kind != ConversationKind::ChatRoom
            && !row.is_closed()
            && !nothing_known(row)
    }

    /// Takes the time of a message that the service has: if the message is newer than the stored history, the
    /// history is behind.
    pub(in crate::sync::client) fn tail_reaches(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        newest: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        let span = row.as_ref().and_then(|row| row.history.newest());
        let held = span.map(|span| span.to.sent_at);
        if newest > held {
            self.want_history(turn, number)?;
        }
        Ok(())
    }

    /// Handles the loss of the connection. An acknowledgement may overtake an older message. If the connection
    /// breaks then, that message is missing although a newer one is stored. Conversations in which that may
    /// have happened are caught up with.
    pub(in crate::sync::client) fn forget_tails(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let since = turn.elapsed().saturating_sub(OVERTAKING);
        let tails = std::mem::take(&mut self.tails);
        self.tails.past = tails.past;
        // From here on the store says by itself where something may have been overtaken.
        trust_until(turn, tails.unsettled.map(|(newest, _)| newest));
        for (number, at) in tails.acknowledged {
            let known = turn.overlay.snapshot().conversation(number)?.is_some();
            if at >= since && known {
                turn.overlay.update_conversation(number, |row| {
                    fall_behind(&mut row.history);
                })?;
            }
        }
        Ok(())
    }
}

impl Client {
    /// Notes that own messages overtook nothing, when enough time has passed.
    pub(in crate::sync::client) fn pump_tails(&mut self, turn: &mut Turn<'_, '_>) {
        let now = turn.elapsed();
        let settled = self.tails.unsettled.take_if(|(_, due)| *due <= now);
        trust_until(turn, settled.map(|(newest, _)| newest));
    }

    /// Handles the first session of the machine. The process before may have been killed right after an
    /// acknowledgement, before it could note that the acknowledgement may have overtaken a message. This may be
    /// so in a conversation whose newest message is an own, unsettled one, about as new as any stored message.
    pub(in crate::sync::client) fn suspect_the_past(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.tails.past, Past::Seen) == Past::Seen {
            return Ok(());
        }
        let snapshot = turn.overlay.snapshot();
        let settled = snapshot.session().settled_until;
        let newest = snapshot.conversations(None, LEFT_MAX)?;
        drop(snapshot);
        let mut ends = Vec::new();
        for (number, info) in newest.conversations {
            ends.extend(info.last_message.map(|message| (number, message)));
        }
        let life = ends.iter().map(|(_, message)| message.sent_at).max();
        for (number, message) in ends {
            let age = life.unwrap_or_default().saturating_since(message.sent_at);
            let unsettled = Some(message.sent_at) > settled && age <= OVERTAKING;
            if unsettled && self.was_acknowledged_here(&message) {
                turn.overlay
                    .update_conversation(number, |row| fall_behind(&mut row.history))?;
            }
        }
        trust_until(turn, life);
        Ok(())
    }

    /// The position that the catch-up of a conversation must meet: the newest message that is surely stored
    /// without holes; none for nothing. Own messages at the end are taken out of the stored history: the
    /// messages that they overtook are known only when history was read around them.
    pub(in crate::sync::client) fn sure_end(
        &self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Result<Option<Position>, StoreError> {
        let Some(span) = self.span_before_tail(number, row) else {
            return Ok(None);
        };
        let (run, before) = self.own_run(turn, number, &span)?;
        if run == 0 || row.history.end() == HistoryEnd::Current {
            return Ok(Some(span.to));
        }
        let spans = row.history.spans().iter().rev();
        let mut earlier = spans.filter(|it| it.to < span.from).map(|it| it.to.clone());
        let sure = before.or_else(|| earlier.next());
        turn.overlay.update_conversation(number, |row| {
            row.history.forget(sure.as_ref(), Some(&span.to));
        })?;
        Ok(sure)
    }

    /// The number of own messages of the last moments that stand at the end of a stretch, and the message of
    /// the stretch before them.
    fn own_run(
        &self,
        turn: &Turn<'_, '_>,
        number: ConversationNumber,
        span: &Span,
    ) -> Result<(usize, Option<Position>), StoreError> {
        let snapshot = turn.overlay.snapshot();
        let newest = snapshot.message(number, &span.to)?;
        let before = Place::Message(span.to.clone());
        let page = snapshot.page_before(number, Some(&before), RUN_MAX)?;
        let older = page.items.into_iter().rev().filter_map(|item| match item {
            TimelineItem::Message { position, message } => Some((position, message)),
            _ => None,
        });
        let newest = newest.map(|message| (span.to.clone(), message));
        let mut run = 0;
        for (position, message) in newest.into_iter().chain(older) {
            let age = span.to.sent_at.saturating_since(position.sent_at);
            if position < span.from {
                break;
            }
            if age > OVERTAKING || !self.was_acknowledged_here(&message) {
                return Ok((run, Some(position)));
            }
            run += 1;
        }
        Ok((run, None))
    }

    fn was_acknowledged_here(&self, message: &Message) -> bool {
        &message.sender == self.me() && message.local_id.is_some() && message.id.is_some()
    }

    /// The newest stretch that was stored before this session. Where history is behind, it is the stretch that
    /// was the newest when it fell behind, with its extent of that time: sessions that ended before the
    /// catch-up did may have left newer ones.
    fn span_before_tail(&self, number: ConversationNumber, row: &ConversationRow) -> Option<Span> {
        let tail = self.tails.of(number);
        let since = match row.history.end() {
            HistoryEnd::Current => row.history.newest().map(|span| &span.to),
            HistoryEnd::Behind => row.history.behind_since(),
        }?;
        let mut spans = row.history.spans().iter().rev();
        let span =
            spans.find(|span| span.from <= *since && tail.is_none_or(|tail| span.to < *tail))?;
        Some(Span {
            from: span.from.clone(),
            to: span.to.clone().min(since.clone()),
        })
    }
}

/// Own messages up to this time need not be suspected any more.
fn trust_until(turn: &mut Turn<'_, '_>, newest: Option<Timestamp>) {
    if newest > turn.overlay.snapshot().session().settled_until {
        turn.overlay
            .update_session(|row| row.settled_until = newest);
    }
}

/// True if not even the beginning of the conversation is known.
fn nothing_known(row: &ConversationRow) -> bool {
    row.history.spans().is_empty() && row.history.start() == HistoryStart::Unknown
}
