//! The content lane: its entries are sent in the order of enqueueing, one in flight per conversation.
//!
//! An entry that is sent is *in doubt* from then on: it may have arrived, whatever happens to the connection.
//! The doubt is durable before the frame leaves. The machine resolves a doubt by sending the entry again with
//! the same token, or, when the service may have forgotten the token, by searching for it first
//! (`in_doubt.rs`).

use std::time::Duration;

use crate::model::{
    Message, MessageId, MessageState, OutboxEntryId, OutboxState, Priority, Refusal, SendFailure,
    ServiceRefusal, Timestamp,
};
use crate::store::{Entry, Intent, Position, SendIntent, StoreError};
use crate::sync::Backoff;
use crate::sync::client::answer::Answer;
use crate::sync::client::history::join::Taken;
use crate::sync::client::outgoing::flight::{Doubt, FlightStep};
use crate::sync::client::outgoing::pace::Pace;
use crate::sync::client::outgoing::replies::name_answered;
use crate::sync::client::outgoing::verdict::Verdict;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::link::{RequestTag, Unanswered};
use crate::wire::generated::AckCommand;
use crate::wire::{Command, Envelope, ServiceCode};

/// The most entries in flight over all conversations: enough to fill a slow line, few enough to
/// be sent again cheaply.
const IN_FLIGHT_MAX: usize = 16;

/// How often an entry is tried that the service refuses because too much is sent: with the pauses
/// between, for over half an hour.
const SLOWED_TRIES_MAX: u32 = 20;

/// The pauses of a lane after the service refused for the time being.
pub(in crate::sync::client) const REFUSED: Backoff =
    Backoff::plain(Duration::from_secs(2), Duration::from_secs(120));

impl Client {
    pub(in crate::sync::client) fn pump_sends(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let now = turn.elapsed();
        if self.sender.is_empty() {
            return Ok(());
        }
        for id in self.sender.heads(now) {
            if self.sender.in_flight_len() >= IN_FLIGHT_MAX {
                break;
            }
            let Some(entry) = turn.overlay.snapshot().entry(id) else {
                continue;
            };
            match &entry.intent {
                Intent::Create(intent) => {
                    if self.paces.others.allows(now) {
                        self.dispatch_creation(turn, &entry, intent);
                    }
                }
                Intent::Send(intent) => self.dispatch_message(turn, &entry, intent)?,
                Intent::Patch(intent) => self.dispatch_patch(turn, &entry, intent)?,
                Intent::Members(intent) => self.dispatch_members(turn, &entry, intent)?,
                Intent::Details(_) | Intent::Mute(_) => self.dispatch_state(turn, &entry)?,
                Intent::Read(_) => {}
            }
        }
        Ok(())
    }

    /// The time at which the outbox may have something to do by itself.
    pub(in crate::sync::client) fn sends_wake(&self, wakes: &mut Vec<Duration>) {
        let lanes = wakes.len();
        wakes.extend(self.sender.wakes());
        if wakes.len() > lanes {
            wakes.push(self.paces.sends.ready_at());
            wakes.push(self.paces.others.ready_at());
            wakes.push(self.paces.history.ready_at());
        }
    }

    fn dispatch_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &SendIntent,
    ) -> Result<(), StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(entry.conversation)? else {
            return Ok(());
        };
        if row.id.is_local() {
            // Its creation failed and waits for the app.
            return Ok(());
        }
        match self.doubt_of(turn, entry) {
            Doubt::Forgotten { since } => self.search_message(turn, entry, &row.id, since),
            Doubt::None | Doubt::Remembered => {
                let waits = self.awaits_watching(turn, &row);
                if !waits && self.paces.sends.allows(turn.elapsed()) {
                    let named = name_answered(turn, entry, intent)?;
                    let intent = named.as_ref().unwrap_or(intent);
                    let body = self.direct_to(&row, intent, &entry.token);
                    self.paces.sends.note(turn.elapsed());
                    let purpose = Purpose::Send(entry.id);
                    self.dispatch(turn, entry, Command::direct(body), purpose);
                }
            }
        }
        Ok(())
    }

    /// Lets an entry go: from now on it is in doubt, and that is durable before the frame leaves.
    pub(in crate::sync::client) fn dispatch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        command: Command,
        purpose: Purpose,
    ) {
        let now = self.clock.now(turn.now);
        turn.overlay.update_entry(entry.id, |it| {
            it.tries += 1;
            it.in_doubt_since = it.in_doubt_since.or(Some(now));
            it.state = OutboxState::InFlight;
        });
        // A service that never forgets a token may be asked again at any time: then nothing is
        // lost when a crash loses the doubt.
        let by_token =
            matches!(entry.intent, Intent::Send(_)) && self.settings.limits.token_memory.is_none();
        if !by_token {
            turn.overlay.intend();
        }
        if entry.in_doubt_since.is_none() {
            self.sender.note_first(entry.id);
        }
        let priority = match &entry.intent {
            Intent::Send(send) => send.priority,
            _ => None,
        };
        let envelope = Envelope {
            priority: priority.map(Priority::number),
            ..Envelope::new(command)
        };
        let tag = self.submit_envelope(turn, envelope, purpose);
        self.sender.depart(entry, FlightStep::Asked(tag));
    }

    pub(in crate::sync::client) fn send_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        id: OutboxEntryId,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(());
        };
        let ack = acknowledged(&answer);
        if let (Intent::Send(_), Some((message_id, sent_at))) = (&entry.intent, ack) {
            self.paces.sends.answered();
            let taken = if self.sender.is_first(id) {
                self.tails.taken(sent_at)
            } else {
                Taken::Sometime
            };
            return self.settle_send(turn, &entry, message_id, sent_at, taken);
        }
        self.not_done(turn, tag, &entry, answer)
    }

    /// A late acknowledgement settles its entry like one in time; anything else late is nothing.
    pub(in crate::sync::client) fn answered_late(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Some(id) = self.sender.take_overdue(tag) else {
            return Ok(());
        };
        let entry = turn.overlay.snapshot().entry(id);
        match entry.as_deref().map(|entry| &entry.intent) {
            Some(Intent::Send(_)) => self.send_answered(turn, tag, id, answer),
            Some(Intent::Create(_)) => self.create_answered(turn, tag, id, answer),
            Some(Intent::Patch(_)) => self.patch_answered(turn, tag, id, answer),
            Some(Intent::Members(_)) => self.members_answered(turn, tag, id, answer),
            _ => Ok(()),
        }
    }

    /// The service has the message: the echo becomes the message, and keeps its local id.
    pub(in crate::sync::client) fn settle_send(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        id: MessageId,
        sent_at: Timestamp,
        taken: Taken,
    ) -> Result<(), StoreError> {
        let Intent::Send(intent) = &entry.intent else {
            return Ok(());
        };
        let number = entry.conversation;
        let position = Position {
            sent_at,
            id: id.clone(),
        };
        let snapshot = turn.overlay.snapshot();
        let row = snapshot.conversation(number)?;
        let held = snapshot.message(number, &position)?;
        let held = held.filter(|_| entry.has_echo());
        drop(snapshot);
        let echo = row.and_then(|row| entry.echo(row.id, self.me().clone()));
        // A message that came meanwhile from the service is newer than the echo: it may have been edited.
        let acknowledged = echo.map(|echo| Message {
            id: Some(id),
            sent_at,
            state: MessageState::Sent,
            ..echo
        });
        let message = held.or(acknowledged);
        self.sender.remove(entry);
        self.peers_are_reached(turn, number)?;
        self.resume_patches(turn, entry)?;
        let Some(message) = message else {
            turn.overlay.settle(entry.id);
            if intent.will {
                self.wills.set(&entry.token, number, intent);
            }
            return Ok(());
        };
        let message = self.early_edits.apply(Message {
            local_id: Some(entry.token.clone()),
            ..message
        });
        turn.overlay.acknowledge(entry.id, number, &message)?;
        if intent.receipt {
            turn.overlay.await_receipt(number, position.clone());
        }
        self.join(turn, number, &position, taken)?;
        self.tails.acknowledged(number, sent_at, turn.elapsed());
        Ok(())
    }

    /// The answer does not say that the entry is done. It counts if it answers the sending that is under way.
    pub(in crate::sync::client) fn not_done(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        entry: &Entry,
        answer: Answer,
    ) -> Result<(), StoreError> {
        if self.sender.carries(tag, entry.id) {
            self.not_sent(turn, tag, entry, answer)
        } else {
            Ok(())
        }
    }

    /// The app's signer failed: the entry waits for another try, as after trouble of the service.
    pub(in crate::sync::client) fn not_signed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        reason: String,
    ) -> Result<(), StoreError> {
        self.sender.release(entry);
        self.refused(turn, entry, ServiceCode::INTERNAL_ERROR, reason)
    }

    /// The entry was refused or is not answered: it waits for another try, or fails.
    pub(in crate::sync::client) fn not_sent(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        entry: &Entry,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let doubted_before = self.sender.doubted_before(entry.id);
        self.sender.release(entry);
        match answer {
            Answer::Refused { code, reason } => {
                // This sending did not arrive, unless the service was in trouble; of earlier ones
                // a refusal says nothing.
                if !Verdict::on(code).leaves_doubt() {
                    turn.overlay
                        .update_entry(entry.id, |it| it.in_doubt_since = doubted_before);
                }
                self.refused(turn, entry, code, reason)
            }
            Answer::Unanswered(Unanswered::NotConnected) => {
                // It did not leave: there is no more doubt than before.
                turn.overlay.update_entry(entry.id, |it| {
                    take_try_back(it);
                    it.in_doubt_since = doubted_before;
                });
                requeue(turn, entry.id);
                Ok(())
            }
            Answer::Unanswered(Unanswered::ConnectionLost) => {
                // A broken connection is not the entry's fault.
                cut_off(turn, entry.id);
                Ok(())
            }
            Answer::Unanswered(Unanswered::TooLong) => {
                turn.overlay
                    .update_entry(entry.id, |it| it.in_doubt_since = doubted_before);
                let reason = "it is larger than a command may be".to_owned();
                self.fail_unsendable(turn, entry, reason)
            }
            Answer::Said(_) | Answer::Unanswered(Unanswered::TimedOut) => {
                self.timed_out(turn, tag, entry)
            }
        }
    }

    /// No answer on a live link: the service throttles. Slow down and keep the order.
    fn timed_out(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let now = turn.elapsed();
        self.pace_of(entry).throttled(now);
        self.sender.note_overdue(tag, entry.id);
        if entry.tries >= self.settings.limits.send_tries_max {
            let tries = entry.tries;
            return self.fail_entry(turn, entry, SendFailure::TriesExhausted { tries });
        }
        requeue(turn, entry.id);
        Ok(())
    }

    pub(in crate::sync::client) fn refused(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        code: ServiceCode,
        reason: String,
    ) -> Result<(), StoreError> {
        let refusal = ServiceRefusal {
            refusal: Refusal::of_code(code.number()),
            code: code.number(),
            reason,
        };
        let tries_max = match Verdict::on(code) {
            Verdict::Later => self.settings.limits.send_tries_max,
            Verdict::SlowDown => {
                self.pace_of(entry).throttled(turn.elapsed());
                SLOWED_TRIES_MAX
            }
            // The tries of entries that wait for a session are counted where the session is opened anew.
            Verdict::SignInFirst => {
                requeue(turn, entry.id);
                return Ok(());
            }
            Verdict::Stop => {
                requeue(turn, entry.id);
                return self.end_session(turn, code, refusal.reason);
            }
            Verdict::SignAgain if self.settings.signing.is_signed() && entry.tries < 2 => {
                requeue(turn, entry.id);
                return Ok(());
            }
            Verdict::SignAgain | Verdict::Fail => 0,
        };
        if entry.tries >= tries_max {
            let ServiceRefusal {
                refusal,
                code,
                reason,
            } = refusal;
            let failure = SendFailure::Refused {
                refusal,
                code,
                reason,
            };
            return self.fail_entry(turn, entry, failure);
        }
        let pause = REFUSED.longest(entry.tries.saturating_sub(1));
        let until = turn.elapsed().saturating_add(pause);
        self.sender.postpone(entry, until, refusal);
        // Counted even where nothing was sent, so that a signer that fails for ever ends.
        if entry.state == OutboxState::Queued {
            turn.overlay.update_entry(entry.id, |it| it.tries += 1);
        }
        requeue(turn, entry.id);
        Ok(())
    }

    /// The session has to be opened anew before an entry is sent again. One that was refused for that as
    /// often as allowed fails: the next session would not help it either. A refusal of an earlier sending counts
    /// for nothing.
    pub(in crate::sync::client) fn entry_wants_session(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        id: OutboxEntryId,
        code: ServiceCode,
        reason: &str,
    ) -> Result<(), StoreError> {
        let entry = turn.overlay.snapshot().entry(id);
        let Some(entry) = entry.filter(|_| self.sender.carries(tag, id)) else {
            return Ok(());
        };
        let doubted_before = self.sender.doubted_before(id);
        turn.overlay.update_entry(id, |it| {
            it.in_doubt_since = doubted_before;
            // A search for an entry does not send the entry, and is counted all the same.
            if it.state == OutboxState::Queued {
                it.tries += 1;
            }
        });
        // The entry is not cut off together with the others: its try counts.
        self.sender.release(&entry);
        requeue(turn, id);
        if entry.tries < self.settings.limits.send_tries_max {
            return Ok(());
        }
        let failure = SendFailure::refused(code.number(), reason);
        self.fail_entry(turn, &entry, failure)
    }

    fn pace_of(&mut self, entry: &Entry) -> &mut Pace {
        match entry.intent {
            Intent::Send(_) => &mut self.paces.sends,
            _ => &mut self.paces.others,
        }
    }

    /// The connection or the session is gone: the entries in flight wait again, in doubt.
    pub(in crate::sync::client) fn requeue_in_flight(&mut self, turn: &mut Turn<'_, '_>) {
        for id in self.sender.forget_connection() {
            cut_off(turn, id);
        }
    }
}

/// Puts an entry that was in flight back into the queue.
pub(in crate::sync::client) fn requeue(turn: &mut Turn<'_, '_>, entry: OutboxEntryId) {
    // An entry that ended meanwhile is not there any more.
    let _ = turn.overlay.update_entry(entry, |entry| {
        if entry.state == OutboxState::InFlight {
            entry.state = OutboxState::Queued;
        }
    });
}

/// Puts an entry back into the queue whose connection, session or process ended before the answer. The sending
/// counts for no try.
pub(in crate::sync::client) fn cut_off(turn: &mut Turn<'_, '_>, entry: OutboxEntryId) {
    turn.overlay.update_entry(entry, |entry| {
        if entry.state == OutboxState::InFlight {
            take_try_back(entry);
            entry.state = OutboxState::Queued;
        }
    });
}

/// The sending counts for none: it did not leave, or its connection broke.
fn take_try_back(entry: &mut Entry) {
    debug_assert!(entry.tries > 0, "a sent entry was tried");
    entry.tries = entry.tries.saturating_sub(1);
}

/// The id and time that an acknowledgement gives a message.
pub(in crate::sync::client) fn acknowledged(answer: &Answer) -> Option<(MessageId, Timestamp)> {
    let Answer::Said(Envelope {
        command: Command::Ack(ack),
        ..
    }) = answer
    else {
        return None;
    };
    let AckCommand { uid, t, .. } = ack.as_ref();
    let id = MessageId::new(uid.as_deref()?).ok()?;
    Some((id, Timestamp::from_millis((*t)?)))
}
