//! Read marks: coalesced; no other entry waits for them.
//!
//! The service does not answer a `read`. An echo that follows the `read` on the same connection is answered
//! when the service has read both, so its answer settles the marks before it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{MessageId, Named, OutboxEntryId, OutboxState, SendFailure, Timestamp};
use crate::store::{ConversationNumber, Entry, Intent, ReadIntent, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::incoming::unread::{self, waiting_mark};
use crate::sync::client::outgoing::lane::REFUSED;
use crate::sync::client::outgoing::verdict::Verdict;
use crate::sync::client::{Answered, Client, Purpose, Turn, requeue};
use crate::sync::link::{RequestTag, Unanswered};
use crate::sync::{Done, MarkAllRead, MarkRead, MarkReadMessage, RequestError};
use crate::wire::Command;
use crate::wire::generated::{ReadCommand, ReadTuple};

/// The most marks in one command: 30 of them stay well below the 5 KiB of a command.
const MARKS_MAX: usize = 30;

/// Marks of the same second go together, as in the official JavaScript SDK.
const GATHER: Duration = Duration::from_secs(1);

/// The read marks that wait, and those that are on their way.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Reads {
    waiting: BTreeSet<OutboxEntryId>,
    sent: Option<Sent>,
    not_before: Duration,
}

#[derive(Debug)]
struct Sent {
    barrier: RequestTag,
    marks: Vec<(OutboxEntryId, Timestamp)>,
}

impl Reads {
    /// The marks among a store's unsent entries.
    pub(in crate::sync::client) fn of_entries(entries: &[Arc<Entry>]) -> Self {
        let reads = entries.iter().filter(|entry| {
            let waits = !matches!(entry.state, OutboxState::Failed { .. });
            waits && matches!(entry.intent, Intent::Read(_))
        });
        Self {
            waiting: reads.map(|entry| entry.id).collect(),
            ..Self::default()
        }
    }

    pub(in crate::sync::client) fn add(&mut self, id: OutboxEntryId) {
        self.waiting.insert(id);
    }

    pub(in crate::sync::client) fn remove(&mut self, id: OutboxEntryId) {
        self.waiting.remove(&id);
    }

    pub(in crate::sync::client) fn forget_connection(&mut self) {
        self.sent = None;
        self.not_before = Duration::ZERO;
    }
}

impl Client {
    /// Clears the unread count at once and enqueues the mark for the service. A mark covers no
    /// message that is still to be said: it reaches no further than the newest message that is known,
    /// or than `at_most`, where that is later.
    pub(in crate::sync::client) fn mark_read(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: &MarkRead,
        at_most: Option<Timestamp>,
    ) -> Answered<Done> {
        let snapshot = turn.overlay.snapshot();
        let Some((number, row)) = snapshot.conversation_by_id(&call.conversation)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let newest = snapshot.newest_message(number)?;
        drop(snapshot);
        let newest_at = newest.as_ref().map(|(position, _)| position.sent_at);
        let known = newest_at.max(row.last_message_at);
        let wanted = call.until.or(known);
        let Some(until) = wanted.min(known.max(at_most)) else {
            return Ok(Ok(Done));
        };
        if row.read_until_self >= Some(until) && row.unread.is_none() {
            return Ok(Ok(Done));
        }
        if !self.may_hold_mark(turn, number) {
            return Ok(Err(self.outbox_full()));
        }
        unread::read_until(turn, number, until)?;
        turn.overlay.intend();
        let told = row.id.is_local() || row.is_closed();
        if !told {
            let others = newest.filter(|(position, message)| {
                position.sent_at <= until && &message.sender != self.me()
            });
            let message = others.map(|(position, _)| position.id);
            self.enqueue_mark(turn, number, until, message)?;
        }
        Ok(Ok(Done))
    }

    /// Marks a conversation read up to and including a message.
    pub(in crate::sync::client) fn mark_read_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: MarkReadMessage,
    ) -> Answered<Done> {
        let MarkReadMessage {
            conversation,
            message,
        } = call;
        let until = match message.named() {
            // The time gives the position, also when the message is no longer stored.
            Named::Service { sent_at, .. } => Some(*sent_at),
            Named::Local(_) => {
                let snapshot = turn.overlay.snapshot();
                let Some(number) = snapshot.number(&conversation)? else {
                    return Ok(Err(RequestError::UnknownConversation));
                };
                let Some(found) = snapshot.message_by_key(number, &message)? else {
                    return Ok(Err(RequestError::UnknownMessage));
                };
                // An unsent message stands behind all others, and has the time of this device.
                found.id.is_some().then_some(found.sent_at)
            }
        };
        let call = MarkRead {
            conversation,
            until,
        };
        self.mark_read(turn, &call, None)
    }

    /// Marks several conversations read, all or none.
    pub(in crate::sync::client) fn mark_all_read(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: MarkAllRead,
    ) -> Answered<Done> {
        let mut new_marks = 0_usize;
        for conversation in &call.conversations {
            let Some(number) = turn.overlay.snapshot().number(conversation)? else {
                return Ok(Err(RequestError::UnknownConversation));
            };
            let is_new = waiting_mark(turn, number).is_none();
            new_marks += usize::from(is_new);
        }
        let entries = turn
            .overlay
            .snapshot()
            .outbox_len()
            .saturating_add(new_marks);
        if u32::try_from(entries).unwrap_or(u32::MAX) > self.settings.limits.outbox_max {
            return Ok(Err(self.outbox_full()));
        }
        for conversation in call.conversations {
            let until = None;
            let call = MarkRead {
                conversation,
                until,
            };
            if let Err(error) = self.mark_read(turn, &call, None)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(Done))
    }

    /// A mark that replaces a waiting one takes no room.
    fn may_hold_mark(&self, turn: &Turn<'_, '_>, number: ConversationNumber) -> bool {
        !self.outbox_is_full(turn) || waiting_mark(turn, number).is_some()
    }

    fn enqueue_mark(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        until: Timestamp,
        message: Option<MessageId>,
    ) -> Result<(), StoreError> {
        if let Some(entry) = waiting_mark(turn, number) {
            turn.overlay.update_entry(entry.id, |entry| {
                if let Intent::Read(mark) = &mut entry.intent
                    && mark.until < until
                {
                    mark.until = until;
                    mark.message = message;
                }
            });
            return Ok(());
        }
        // A mark that failed is overtaken.
        let entries = turn.overlay.snapshot().outbox_of(number);
        for entry in entries {
            if matches!(entry.intent, Intent::Read(_)) {
                turn.overlay.settle(entry.id);
            }
        }
        let token = self.randomness.local_id();
        let intent = Intent::Read(ReadIntent { until, message });
        let entry = turn.overlay.enqueue(number, token, turn.now.wall, intent)?;
        self.reads.add(entry);
        Ok(())
    }

    /// The service did not take marks that were sent: they wait for another try, later and later, or fail.
    /// Which of them is at fault is not told.
    fn marks_not_taken(
        &mut self,
        turn: &mut Turn<'_, '_>,
        marks: &[(OutboxEntryId, Timestamp)],
        failure: impl Fn(u32) -> SendFailure,
    ) -> Result<(), StoreError> {
        let mut most = 0;
        for (id, _) in marks {
            turn.overlay.update_entry(*id, |entry| entry.tries += 1);
            let Some(entry) = turn.overlay.snapshot().entry(*id) else {
                continue;
            };
            most = most.max(entry.tries);
            if entry.tries >= self.settings.limits.send_tries_max {
                self.fail_entry(turn, &entry, failure(entry.tries))?;
            }
        }
        let pause = REFUSED.longest(most.saturating_sub(1));
        self.reads.not_before = turn.elapsed().saturating_add(pause);
        Ok(())
    }

    pub(in crate::sync::client) fn pump_reads(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let now = turn.elapsed();
        let due = self.reads.not_before <= now && self.paces.others.allows(now);
        if self.reads.sent.is_some() || self.reads.waiting.is_empty() || !due {
            return Ok(());
        }
        let mut marks = Vec::new();
        let mut tuples = Vec::new();
        for id in self.reads.waiting.clone() {
            if marks.len() >= MARKS_MAX {
                break;
            }
            let snapshot = turn.overlay.snapshot();
            let Some(entry) = snapshot.entry(id) else {
                self.reads.waiting.remove(&id);
                continue;
            };
            let row = snapshot.conversation(entry.conversation)?;
            let (Intent::Read(mark), Some(row)) = (&entry.intent, row) else {
                continue;
            };
            if row.id.is_local() {
                continue;
            }
            marks.push((id, mark.until));
            tuples.push(ReadTuple {
                cid: row.id.as_str().to_owned(),
                timestamp: Some(mark.until.as_millis()),
                mid: mark.message.as_ref().map(ToString::to_string),
            });
        }
        if marks.is_empty() {
            return Ok(());
        }
        Self::tell(
            turn,
            Command::Read(ReadCommand {
                convs: tuples,
                ..ReadCommand::default()
            }),
        );
        self.paces.others.note(now);
        let barrier = self.submit(turn, Command::Echo, Purpose::ReadBarrier);
        self.reads.sent = Some(Sent { barrier, marks });
        self.reads.not_before = now.saturating_add(GATHER);
        Ok(())
    }

    /// The time at which marks may have to be sent.
    pub(in crate::sync::client) fn reads_wake(&self, wakes: &mut Vec<Duration>) {
        if self.reads.sent.is_none() && !self.reads.waiting.is_empty() {
            wakes.push(self.reads.not_before);
            wakes.push(self.paces.others.ready_at());
        }
    }

    pub(in crate::sync::client) fn reads_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        answer: &Answer,
    ) -> Result<(), StoreError> {
        if self
            .reads
            .sent
            .as_ref()
            .is_none_or(|sent| sent.barrier != tag)
        {
            return Ok(());
        }
        let marks = self.reads.sent.take().map_or_else(Vec::new, |it| it.marks);
        match answer {
            Answer::Said(_) => self.paces.others.answered(),
            Answer::Unanswered(Unanswered::TimedOut) => {
                self.paces.others.throttled(turn.elapsed());
                return self
                    .marks_not_taken(turn, &marks, |tries| SendFailure::TriesExhausted { tries });
            }
            Answer::Refused { code, reason } => {
                self.marks_not_taken(turn, &marks, |_| {
                    SendFailure::refused(code.number(), reason.as_str())
                })?;
                match Verdict::on(*code) {
                    Verdict::SlowDown => self.paces.others.throttled(turn.elapsed()),
                    Verdict::Stop => self.end_session(turn, *code, reason.clone())?,
                    _ => {}
                }
                return Ok(());
            }
            Answer::Unanswered(_) => return Ok(()),
        }
        for (id, until) in marks {
            let Some(entry) = turn.overlay.snapshot().entry(id) else {
                continue;
            };
            // A mark that moved on meanwhile waits for the next command.
            if matches!(&entry.intent, Intent::Read(mark) if mark.until <= until) {
                turn.overlay.settle(id);
                self.reads.remove(id);
                // The service has told the unread messages after the mark by now.
                self.make_count_exact(turn, entry.conversation)?;
            } else {
                requeue(turn, id);
            }
        }
        Ok(())
    }
}
