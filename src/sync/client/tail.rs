//! Joining what is newly learnt to the history that is held: the one place where that is decided.
//!
//! A message is joined to the span before it only where the service's order proves that nothing lies
//! between. Three things prove it. A page of history covers what lies within it (`catch_up.rs`). A
//! message that the service took while this session was open continues a history that reached the
//! present when the session opened, for whatever came between was pushed here too. And it continues
//! the tail: the stretch that such a message or a page of this session began.
//!
//! Everything else, such as an old message that a repeated sending is acknowledged with, or the last
//! message of a conversation's row, is stored and joined to nothing: it stands alone until history
//! is read around it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::catch_up::fall_behind;
use super::{Client, Turn};
use crate::model::{ConversationKind, ConversationState, Timestamp};
use crate::store::{
    ConversationNumber, ConversationRow, HistoryEnd, HistoryStart, Position, StoreError,
};
use crate::sync::step::Durability;

/// How long an own message may overtake one that came before it: for so long the tail of its
/// conversation is not trusted when the connection breaks.
const OVERTAKING: Duration = Duration::from_secs(30);

/// When the service took a message, as far as the way on which it came proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// While this session was open.
    Now,
    /// At any time.
    Sometime,
}

/// Where each conversation's unbroken end begins, on the present session.
#[derive(Debug, Default)]
pub(super) struct Tails {
    /// When the session opened, where the service said so.
    opened_at: Option<Timestamp>,
    /// Of each conversation, the oldest message from which on everything is held to the present.
    from: BTreeMap<ConversationNumber, Position>,
    /// When own messages were last acknowledged.
    acknowledged: BTreeMap<ConversationNumber, Duration>,
}

impl Tails {
    pub(super) const fn opened(&mut self, at: Option<Timestamp>) {
        self.opened_at = at;
    }

    pub(super) fn of(&self, number: ConversationNumber) -> Option<&Position> {
        self.from.get(&number)
    }

    /// Everything from this position to the present is held.
    pub(super) fn begin(&mut self, number: ConversationNumber, from: Position) {
        self.from.insert(number, from);
    }

    /// What is said now does not come here any more.
    pub(super) fn end(&mut self, number: ConversationNumber) {
        self.from.remove(&number);
    }

    /// A message that came as only one of the present does. One that has an older time than the
    /// session is not believed: it may have been kept back somewhere.
    pub(super) fn taken(&self, sent_at: Timestamp) -> Taken {
        if self.opened_at.is_some_and(|opened_at| sent_at < opened_at) {
            Taken::Sometime
        } else {
            Taken::Now
        }
    }

    pub(super) fn acknowledged(&mut self, number: ConversationNumber, at: Duration) {
        self.acknowledged.insert(number, at);
    }
}

impl Client {
    /// Joins a message that was just stored to what is held, as far as that is proved.
    pub(super) fn join(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        position: &Position,
        taken: Taken,
    ) -> Result<(), StoreError> {
        let tail = self.tails.of(number).cloned();
        let other = match (tail, taken) {
            (Some(from), _) if *position >= from => from,
            // It was overtaken by the message that began the tail.
            (Some(from), Taken::Now) => {
                self.tails.begin(number, position.clone());
                from
            }
            (None, Taken::Now) => self.begin_tail(turn, number, position)?,
            (_, Taken::Sometime) => return self.stand_alone(turn, number, position),
        };
        turn.overlay
            .update_conversation(number, |row| row.history.hold(other, position.clone()))?;
        turn.step.wrote(Durability::Cache);
        Ok(())
    }

    /// Where the unbroken end begins that a message continues: at what is held, if nothing can
    /// have been missed since; at the message itself, if the catch-up has still to say.
    fn begin_tail(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        position: &Position,
    ) -> Result<Position, StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(position.clone());
        };
        let reaches_present = self.reaches_present(&row);
        let newest = row.history.newest().map(|span| span.to.clone());
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
    fn stand_alone(
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
            // Where nothing is held, the beginning is among what is missing.
            turn.overlay.update_conversation(number, |row| {
                let end = row.history.end();
                fall_behind(&mut row.history);
                row.history.set_end(end);
            })?;
            turn.step.wrote(Durability::Cache);
        }
        self.want_history(turn, number)
    }

    /// Whether the held history of a conversation reaches the present: it was not behind when the
    /// service told which conversations changed, and where nothing is held nothing was said.
    fn reaches_present(&self, row: &ConversationRow) -> bool {
        self.directory.is_listed()
            && row.history.end() == HistoryEnd::Current
            && row.kind != ConversationKind::ChatRoom
            && row.state != ConversationState::Left
            && !nothing_known(row)
    }

    /// The service has a message of this time: if it is newer than what is held, history is behind.
    pub(super) fn tail_reaches(
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
        let left = row.is_some_and(|row| row.state == ConversationState::Left);
        if newest > held && left {
            // This client is in it again, or was when that was said: the list will tell.
            turn.overlay
                .update_conversation(number, |row| fall_behind(&mut row.history))?;
            turn.step.wrote(Durability::Cache);
        }
        Ok(())
    }

    /// The connection is gone. An acknowledgement may overtake a message that is older than what it
    /// acknowledges; if the connection breaks then, the message is missed though a newer one is
    /// held. Conversations where that may have happened are caught up with.
    pub(super) fn forget_tails(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let since = turn.elapsed().saturating_sub(OVERTAKING);
        let tails = std::mem::take(&mut self.tails);
        for (number, at) in tails.acknowledged {
            let known = turn.overlay.snapshot().conversation(number)?.is_some();
            if at >= since && known {
                turn.overlay.update_conversation(number, |row| {
                    fall_behind(&mut row.history);
                })?;
                turn.step.wrote(Durability::Cache);
            }
        }
        Ok(())
    }
}

/// Whether not even the beginning of the conversation is known.
fn nothing_known(row: &ConversationRow) -> bool {
    row.history.spans().is_empty() && row.history.start() == HistoryStart::Unknown
}
