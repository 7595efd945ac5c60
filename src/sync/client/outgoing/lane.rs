//! The content lane: what is written down is sent, one entry in flight per conversation, in the
//! order of enqueueing.
//!
//! An entry that is sent is *in doubt* from then on: it may have arrived, whatever happens to the
//! connection. That is durable before the frame leaves. What became of an entry in doubt is found
//! out by sending it again with the same token, or, when the service may have forgotten the token,
//! by looking for it first (`in_doubt.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Message, MessageId, MessageState, OutboxEntryId, OutboxState, Refusal, SendFailure,
    ServiceRefusal, Timestamp,
};
use crate::store::{ConversationNumber, Entry, Intent, Position, SendIntent, StoreError};
use crate::sync::Backoff;
use crate::sync::client::answer::Answer;
use crate::sync::client::history::join::Taken;
use crate::sync::client::outgoing::flight::{Doubt, FlightStep};
use crate::sync::client::outgoing::holds::RefusedLane;
use crate::sync::client::outgoing::requests::direct_command;
use crate::sync::client::{Client, Purpose, Turn, requeue};
use crate::sync::link::{RequestTag, Unanswered};
use crate::sync::step::EffectId;
use crate::wire::generated::AckCommand;
use crate::wire::{Command, Envelope, Retry, ServiceCode};

/// The most entries in flight over all conversations: enough to fill a slow line, few enough to
/// be sent again cheaply.
const IN_FLIGHT_MAX: usize = 16;

/// The most requests that timed out whose late answer is still understood.
const OVERDUE_MAX: usize = 64;

/// The pauses of a lane after the service refused for the time being.
const REFUSED: Backoff = Backoff::plain(Duration::from_secs(2), Duration::from_secs(120));

/// The content lanes and what of them is in flight.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Sender {
    lanes: BTreeMap<ConversationNumber, Lane>,
    in_flight: BTreeMap<OutboxEntryId, InFlight>,
    overdue: BTreeMap<RequestTag, OutboxEntryId>,
    /// Entries that left for the first time on the present session: if the service has them, it
    /// took them since the session opened.
    first_sent: BTreeSet<OutboxEntryId>,
    /// Entries from before the machine was built. The store may have been restored from a copy that
    /// is older than what this device did since: they may have been sent though nothing says so.
    inherited: BTreeSet<OutboxEntryId>,
}

/// The unsent content of one conversation, failed entries apart.
#[derive(Debug, Default)]
struct Lane {
    queue: BTreeSet<OutboxEntryId>,
    busy: Option<OutboxEntryId>,
    not_before: Duration,
    /// What the service said when it refused for the time being.
    refusal: Option<ServiceRefusal>,
}

/// An entry on its way.
#[derive(Debug)]
struct InFlight {
    step: FlightStep,
    /// Since when the entry was in doubt before this sending.
    doubted_before: Option<Timestamp>,
}

impl Sender {
    /// The lanes of a store's unsent entries.
    pub(in crate::sync::client) fn of_entries(entries: &[Arc<Entry>]) -> Self {
        let mut sender = Self::default();
        for entry in entries {
            let waits = !matches!(entry.state, OutboxState::Failed { .. });
            if waits && !matches!(entry.intent, Intent::Read(_)) {
                sender.add(entry.conversation, entry.id);
                sender.inherited.insert(entry.id);
            }
        }
        sender
    }

    pub(in crate::sync::client) fn add(&mut self, number: ConversationNumber, id: OutboxEntryId) {
        self.lanes.entry(number).or_default().queue.insert(id);
    }

    pub(in crate::sync::client) fn remove(
        &mut self,
        number: ConversationNumber,
        id: OutboxEntryId,
    ) {
        self.in_flight.remove(&id);
        self.first_sent.remove(&id);
        self.inherited.remove(&id);
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.queue.remove(&id);
            lane.busy.take_if(|busy| *busy == id);
            if lane.queue.is_empty() {
                self.lanes.remove(&number);
            }
        }
    }

    /// Takes an entry out of its lane until it is added again; it stays in the outbox.
    pub(in crate::sync::client) fn set_aside(
        &mut self,
        number: ConversationNumber,
        id: OutboxEntryId,
    ) {
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.queue.remove(&id);
        }
    }

    pub(in crate::sync::client) fn remove_lane(&mut self, number: ConversationNumber) {
        for id in self
            .lanes
            .remove(&number)
            .into_iter()
            .flat_map(|lane| lane.queue)
        {
            self.in_flight.remove(&id);
            self.first_sent.remove(&id);
            self.inherited.remove(&id);
        }
    }

    /// Moves what waits in one conversation to another, in the order of enqueueing.
    pub(in crate::sync::client) fn move_lane(
        &mut self,
        from: ConversationNumber,
        to: ConversationNumber,
    ) {
        if let Some(lane) = self.lanes.remove(&from) {
            self.lanes.entry(to).or_default().queue.extend(lane.queue);
        }
    }

    pub(in crate::sync::client) fn is_inherited(&self, id: OutboxEntryId) -> bool {
        self.inherited.contains(&id)
    }

    /// The entry was looked for: what it was before does not matter any more.
    pub(in crate::sync::client) fn looked_for(&mut self, id: OutboxEntryId) {
        self.inherited.remove(&id);
    }

    pub(in crate::sync::client) fn is_busy_with(&self, id: OutboxEntryId) -> bool {
        self.in_flight.contains_key(&id)
    }

    /// Whether an entry of the conversation is being cleared of doubt: its message may be in the
    /// history that would be fetched now.
    pub(in crate::sync::client) fn clears_doubt(&self, number: ConversationNumber) -> bool {
        let busy = self.lanes.get(&number).and_then(|lane| lane.busy);
        busy.and_then(|id| self.in_flight.get(&id))
            .is_some_and(|flight| flight.doubted_before.is_some())
    }

    /// The creations that wait; each stands at the head of its conversation's lane.
    pub(in crate::sync::client) fn creations(&self, turn: &Turn<'_, '_>) -> Vec<Arc<Entry>> {
        let snapshot = turn.overlay.snapshot();
        let heads = self.lanes.values().filter_map(|lane| lane.queue.first());
        heads
            .filter_map(|id| snapshot.entry(*id))
            .filter(|entry| matches!(entry.intent, Intent::Create(_)))
            .collect()
    }

    /// The entry that waits for this signature.
    pub(in crate::sync::client) fn signing(&self, effect: EffectId) -> Option<OutboxEntryId> {
        let mut flights = self.in_flight.iter();
        let found = flights.find(|(_, flight)| flight.step == FlightStep::Signing(effect));
        found.map(|(id, _)| *id)
    }

    /// Whether this request is the one that carries the entry now.
    pub(in crate::sync::client) fn carries(&self, tag: RequestTag, id: OutboxEntryId) -> bool {
        let flight = self.in_flight.get(&id);
        flight.is_some_and(|flight| flight.step == FlightStep::Asked(tag))
    }

    /// The entry is not on its way any more, but still wants to be sent.
    pub(in crate::sync::client) fn release(
        &mut self,
        number: ConversationNumber,
        id: OutboxEntryId,
    ) {
        self.in_flight.remove(&id);
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.busy.take_if(|busy| *busy == id);
        }
    }

    fn postpone(&mut self, number: ConversationNumber, until: Duration, refusal: ServiceRefusal) {
        if let Some(lane) = self.lanes.get_mut(&number) {
            lane.not_before = until;
            lane.refusal = Some(refusal);
        }
    }

    /// Whether nothing of the content lanes is unsent.
    pub(in crate::sync::client) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The lanes that rest after a refusal.
    pub(in crate::sync::client) fn refused(
        &self,
        now: Duration,
    ) -> BTreeMap<ConversationNumber, RefusedLane> {
        let resting = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.busy.is_none() && lane.not_before > now);
        let refused = resting.filter_map(|(number, lane)| {
            let refusal = lane.refusal.clone()?;
            let until = lane.not_before;
            Some((*number, RefusedLane { until, refusal }))
        });
        refused.collect()
    }

    /// The entry is on its way, and its lane waits for it.
    pub(in crate::sync::client) fn depart(&mut self, entry: &Entry, step: FlightStep) {
        let doubted_before = entry.in_doubt_since;
        let flight = InFlight {
            step,
            doubted_before,
        };
        self.in_flight.insert(entry.id, flight);
        if let Some(lane) = self.lanes.get_mut(&entry.conversation) {
            lane.busy = Some(entry.id);
        }
    }

    /// The heads of lanes that may be sent now, oldest first.
    fn heads(&self, now: Duration) -> Vec<OutboxEntryId> {
        let free = self
            .lanes
            .values()
            .filter(|lane| lane.busy.is_none() && lane.not_before <= now);
        let mut heads: Vec<_> = free
            .filter_map(|lane| lane.queue.first().copied())
            .collect();
        heads.sort_unstable();
        heads
    }
}

impl Client {
    pub(in crate::sync::client) fn pump_sends(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let now = turn.elapsed();
        if self.sender.lanes.is_empty() {
            return Ok(());
        }
        for id in self.sender.heads(now) {
            if self.sender.in_flight.len() >= IN_FLIGHT_MAX {
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
                Intent::Read(_) => {}
            }
        }
        Ok(())
    }

    /// When the outbox may have something to do by itself.
    pub(in crate::sync::client) fn sends_wake(&self, wakes: &mut Vec<Duration>) {
        let free = self
            .sender
            .lanes
            .values()
            .filter(|lane| lane.busy.is_none());
        let lanes = wakes.len();
        wakes.extend(free.map(|lane| lane.not_before));
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
                if self.paces.sends.allows(turn.elapsed()) {
                    let body = direct_command(&row.id, intent, &entry.token);
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
        let now = self.service_now(turn.now);
        turn.overlay.update_entry(entry.id, |it| {
            it.tries = it.tries.saturating_add(1);
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
            self.sender.first_sent.insert(entry.id);
        }
        let tag = self.submit(turn, command, purpose);
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
            let taken = if self.sender.first_sent.contains(&id) {
                self.tails.taken(sent_at)
            } else {
                Taken::Sometime
            };
            return self.settle_send(turn, &entry, message_id, sent_at, taken);
        }
        if self.sender.carries(tag, id) {
            self.not_sent(turn, tag, &entry, answer)
        } else {
            Ok(())
        }
    }

    /// A late acknowledgement settles its entry like one in time; anything else late is nothing.
    pub(in crate::sync::client) fn answered_late(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Some(id) = self.sender.overdue.remove(&tag) else {
            return Ok(());
        };
        let entry = turn.overlay.snapshot().entry(id);
        match entry.as_deref().map(|entry| &entry.intent) {
            Some(Intent::Send(_)) => self.send_answered(turn, tag, id, answer),
            Some(Intent::Create(_)) => self.create_answered(turn, tag, id, answer),
            Some(Intent::Patch(_)) => self.patch_answered(turn, tag, id, answer),
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
        drop(snapshot);
        let echo = row.and_then(|row| entry.echo(row.id, self.me().clone()));
        // What came meanwhile from the service is newer than the echo: it may have been edited.
        let acknowledged = echo.map(|echo| Message {
            id: Some(id),
            sent_at,
            state: MessageState::Sent,
            ..echo
        });
        let message = held.or(acknowledged);
        self.sender.remove(number, entry.id);
        self.resume_patches(turn, entry)?;
        let Some(message) = message else {
            turn.overlay.settle(entry.id);
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

    /// The entry was refused or is not answered: it waits for another try, or fails.
    pub(in crate::sync::client) fn not_sent(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        entry: &Entry,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let doubted_before = self
            .sender
            .in_flight
            .get(&entry.id)
            .and_then(|flight| flight.doubted_before);
        self.sender.release(entry.conversation, entry.id);
        match answer {
            Answer::Refused { code, reason } => {
                // This sending did not arrive, unless the service was in trouble; of earlier ones
                // a refusal says nothing.
                if code.retry() != Retry::Later {
                    turn.overlay
                        .update_entry(entry.id, |it| it.in_doubt_since = doubted_before);
                }
                self.refused(turn, entry, code, reason)
            }
            Answer::Unanswered(Unanswered::NotConnected) => {
                // It did not leave: there is no more doubt than before.
                turn.overlay.update_entry(entry.id, |it| {
                    it.tries = it.tries.saturating_sub(1);
                    it.in_doubt_since = doubted_before;
                });
                requeue(turn, entry.id);
                Ok(())
            }
            Answer::Unanswered(Unanswered::ConnectionLost) => {
                // A broken connection is not the entry's fault.
                turn.overlay
                    .update_entry(entry.id, |it| it.tries = it.tries.saturating_sub(1));
                requeue(turn, entry.id);
                Ok(())
            }
            Answer::Unanswered(Unanswered::TooLong) => {
                turn.overlay
                    .update_entry(entry.id, |it| it.in_doubt_since = doubted_before);
                let reason = "it is larger than a command may be".to_owned();
                self.fail_entry(turn, entry, SendFailure::Unsendable { reason })
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
        match entry.intent {
            Intent::Send(_) => self.paces.sends.throttled(now),
            _ => self.paces.others.throttled(now),
        }
        self.sender.overdue.insert(tag, entry.id);
        while self.sender.overdue.len() > OVERDUE_MAX {
            self.sender.overdue.pop_first();
        }
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
        match code.retry() {
            Retry::AfterOpen => {
                turn.overlay
                    .update_entry(entry.id, |it| it.tries = it.tries.saturating_sub(1));
                requeue(turn, entry.id);
                Ok(())
            }
            Retry::Later if entry.tries < self.settings.limits.send_tries_max => {
                let pause = REFUSED.longest(entry.tries.saturating_sub(1));
                let until = turn.elapsed().saturating_add(pause);
                self.sender.postpone(entry.conversation, until, refusal);
                // Counted even where nothing was sent, so that a signer that fails for ever ends.
                if entry.state == OutboxState::Queued {
                    turn.overlay
                        .update_entry(entry.id, |it| it.tries = it.tries.saturating_add(1));
                }
                requeue(turn, entry.id);
                Ok(())
            }
            Retry::Later | Retry::DropToken | Retry::Never | Retry::DoNotReconnect => {
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
                self.fail_entry(turn, entry, failure)
            }
        }
    }

    /// The connection is gone: what was in flight waits again, in doubt.
    pub(in crate::sync::client) fn requeue_in_flight(&mut self, turn: &mut Turn<'_, '_>) {
        for id in std::mem::take(&mut self.sender.in_flight).into_keys() {
            requeue(turn, id);
        }
        self.sender.first_sent.clear();
        for lane in self.sender.lanes.values_mut() {
            lane.busy = None;
            lane.not_before = Duration::ZERO;
            lane.refusal = None;
        }
    }
}

/// The id and time that an acknowledgement gives a message.
fn acknowledged(answer: &Answer) -> Option<(MessageId, Timestamp)> {
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
