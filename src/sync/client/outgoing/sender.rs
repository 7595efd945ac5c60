//! The lanes of the outbox, and their entries in flight.
//!
//! A conversation has a content lane and two state lanes. Of each lane one entry is in flight at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{OutboxEntryId, OutboxState, ServiceRefusal, Timestamp};
use crate::store::{ConversationNumber, Entry, Intent};
use crate::sync::client::Turn;
use crate::sync::client::outgoing::flight::FlightStep;
use crate::sync::client::outgoing::holds::RefusedLane;
use crate::sync::link::RequestTag;
use crate::sync::step::EffectId;

/// The most requests that timed out whose late answer is still understood.
const OVERDUE_MAX: usize = 64;

/// The lanes and their entries in flight.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Sender {
    lanes: BTreeMap<LaneName, Lane>,
    in_flight: BTreeMap<OutboxEntryId, InFlight>,
    overdue: BTreeMap<RequestTag, OutboxEntryId>,
    /// Entries that left for the first time on the present session: if the service has them, it
    /// took them since the session opened.
    first_sent: BTreeSet<OutboxEntryId>,
    /// Entries from before the machine was built. The store may have been restored from an older copy, so these
    /// entries may have been sent although nothing says so.
    inherited: BTreeSet<OutboxEntryId>,
}

/// A lane of one conversation.
type LaneName = (ConversationNumber, LaneKind);

/// The order of waiting: entries of one lane wait for each other, entries of two lanes never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sync::client) enum LaneKind {
    /// Creation, members, messages, edits and recalls, in the order of enqueueing.
    Content,
    /// Name and attributes.
    Details,
    /// Mute and unmute.
    Mute,
}

impl LaneKind {
    /// The lane of an intent; none of read marks, which go together (`read_marks.rs`), and none of a message
    /// that waits for its file (`uploads.rs`).
    pub(in crate::sync::client) const fn of(intent: &Intent) -> Option<Self> {
        match intent {
            Intent::Send(send) if send.upload.is_some() => None,
            Intent::Create(_) | Intent::Send(_) | Intent::Patch(_) | Intent::Members(_) => {
                Some(Self::Content)
            }
            Intent::Details(_) => Some(Self::Details),
            Intent::Mute(_) => Some(Self::Mute),
            Intent::Read(_) => None,
        }
    }
}

fn lane_of(entry: &Entry) -> Option<LaneName> {
    Some((entry.conversation, LaneKind::of(&entry.intent)?))
}

/// The unsent entries of one lane, failed ones apart.
#[derive(Debug, Default)]
struct Lane {
    queue: BTreeSet<OutboxEntryId>,
    busy: Option<OutboxEntryId>,
    not_before: Duration,
    /// The service's refusal for the time being.
    refusal: Option<ServiceRefusal>,
}

/// An entry on its way.
#[derive(Debug)]
struct InFlight {
    step: FlightStep,
    /// The time since which the entry was in doubt before this sending.
    doubted_before: Option<Timestamp>,
}

impl Sender {
    /// The lanes of a store's unsent entries.
    pub(in crate::sync::client) fn of_entries(entries: &[Arc<Entry>]) -> Self {
        let mut sender = Self::default();
        for entry in entries {
            let waits = !matches!(entry.state, OutboxState::Failed { .. });
            if waits && lane_of(entry).is_some() {
                sender.add(entry);
                sender.inherited.insert(entry.id);
            }
        }
        sender
    }

    pub(in crate::sync::client) fn add(&mut self, entry: &Entry) {
        if let Some(lane) = lane_of(entry) {
            self.lanes.entry(lane).or_default().queue.insert(entry.id);
        }
    }

    pub(in crate::sync::client) fn remove(&mut self, entry: &Entry) {
        let id = entry.id;
        self.in_flight.remove(&id);
        self.first_sent.remove(&id);
        self.inherited.remove(&id);
        let Some(name) = lane_of(entry) else { return };
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.queue.remove(&id);
            lane.busy.take_if(|busy| *busy == id);
            if lane.queue.is_empty() {
                self.lanes.remove(&name);
            }
        }
    }

    /// Takes an entry out of its lane until it is added again; it stays in the outbox.
    pub(in crate::sync::client) fn set_aside(&mut self, entry: &Entry) {
        if let Some(lane) = self.lane_mut(entry) {
            lane.queue.remove(&entry.id);
        }
    }

    fn lane_mut(&mut self, entry: &Entry) -> Option<&mut Lane> {
        self.lanes.get_mut(&lane_of(entry)?)
    }

    /// Forgets all that waits in a conversation.
    pub(in crate::sync::client) fn remove_lanes(&mut self, number: ConversationNumber) {
        let names = self.lanes_of(number);
        let lanes = names
            .into_iter()
            .filter_map(|name| self.lanes.remove(&name));
        for id in lanes.flat_map(|lane| lane.queue).collect::<Vec<_>>() {
            self.in_flight.remove(&id);
            self.first_sent.remove(&id);
            self.inherited.remove(&id);
        }
    }

    /// Moves the waiting entries of one conversation to another, in the order of enqueueing.
    pub(in crate::sync::client) fn move_lanes(
        &mut self,
        from: ConversationNumber,
        to: ConversationNumber,
    ) {
        for name in self.lanes_of(from) {
            if let Some(lane) = self.lanes.remove(&name) {
                let moved = self.lanes.entry((to, name.1)).or_default();
                moved.queue.extend(lane.queue);
            }
        }
    }

    fn lanes_of(&self, number: ConversationNumber) -> Vec<LaneName> {
        let range = (number, LaneKind::Content)..=(number, LaneKind::Mute);
        self.lanes.range(range).map(|(name, _)| *name).collect()
    }

    pub(in crate::sync::client) fn is_inherited(&self, id: OutboxEntryId) -> bool {
        self.inherited.contains(&id)
    }

    /// The entry was looked for: its earlier state does not matter any more.
    pub(in crate::sync::client) fn looked_for(&mut self, id: OutboxEntryId) {
        self.inherited.remove(&id);
    }

    pub(in crate::sync::client) fn is_busy_with(&self, id: OutboxEntryId) -> bool {
        self.in_flight.contains_key(&id)
    }

    /// True if an entry of the conversation is being cleared of doubt: its message may be in the history that
    /// would be fetched now.
    pub(in crate::sync::client) fn clears_doubt(&self, number: ConversationNumber) -> bool {
        let lane = self.lanes.get(&(number, LaneKind::Content));
        let busy = lane.and_then(|lane| lane.busy);
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

    /// The entries that wait for a signature.
    pub(in crate::sync::client) fn unsigned(&self) -> BTreeSet<OutboxEntryId> {
        let flights = self.in_flight.iter();
        let unsigned = flights.filter(|(_, flight)| matches!(flight.step, FlightStep::Signing(_)));
        unsigned.map(|(id, _)| *id).collect()
    }

    /// True if this request is the one that carries the entry now.
    pub(in crate::sync::client) fn carries(&self, tag: RequestTag, id: OutboxEntryId) -> bool {
        let flight = self.in_flight.get(&id);
        flight.is_some_and(|flight| flight.step == FlightStep::Asked(tag))
    }

    /// The entry is not on its way any more, but still wants to be sent.
    pub(in crate::sync::client) fn release(&mut self, entry: &Entry) {
        self.in_flight.remove(&entry.id);
        if let Some(lane) = self.lane_mut(entry) {
            lane.busy.take_if(|busy| *busy == entry.id);
        }
    }

    pub(in crate::sync::client) fn postpone(
        &mut self,
        entry: &Entry,
        until: Duration,
        refusal: ServiceRefusal,
    ) {
        if let Some(lane) = self.lane_mut(entry) {
            lane.not_before = until;
            lane.refusal = Some(refusal);
        }
    }

    /// The content lanes that rest after a refusal.
    pub(in crate::sync::client) fn refused(
        &self,
        now: Duration,
    ) -> BTreeMap<ConversationNumber, RefusedLane> {
        let resting = self.lanes.iter().filter(|((_, kind), lane)| {
            *kind == LaneKind::Content && lane.busy.is_none() && lane.not_before > now
        });
        let refused = resting.filter_map(|((number, _), lane)| {
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
        if let Some(lane) = self.lane_mut(entry) {
            lane.busy = Some(entry.id);
        }
    }

    /// The heads of lanes that may be sent now, oldest first.
    pub(in crate::sync::client) fn heads(&self, now: Duration) -> Vec<OutboxEntryId> {
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

    /// True if nothing waits.
    pub(in crate::sync::client) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The number of entries that are on their way.
    pub(in crate::sync::client) fn in_flight_len(&self) -> usize {
        self.in_flight.len()
    }

    /// The times at which delayed lanes may go on.
    pub(in crate::sync::client) fn wakes(&self) -> impl Iterator<Item = Duration> + '_ {
        let free = self.lanes.values().filter(|lane| lane.busy.is_none());
        free.map(|lane| lane.not_before)
    }

    /// Notes that an entry left for the first time on the present session.
    pub(in crate::sync::client) fn note_first(&mut self, id: OutboxEntryId) {
        self.first_sent.insert(id);
    }

    /// True if an entry left for the first time on the present session.
    pub(in crate::sync::client) fn is_first(&self, id: OutboxEntryId) -> bool {
        self.first_sent.contains(&id)
    }

    /// The time since which an entry on its way was in doubt before this sending.
    pub(in crate::sync::client) fn doubted_before(&self, id: OutboxEntryId) -> Option<Timestamp> {
        self.in_flight.get(&id)?.doubted_before
    }

    /// A request timed out: its late answer is still understood.
    pub(in crate::sync::client) fn note_overdue(&mut self, tag: RequestTag, id: OutboxEntryId) {
        self.overdue.insert(tag, id);
        while self.overdue.len() > OVERDUE_MAX {
            self.overdue.pop_first();
        }
    }

    /// The entry of a request that timed out.
    pub(in crate::sync::client) fn take_overdue(
        &mut self,
        tag: RequestTag,
    ) -> Option<OutboxEntryId> {
        self.overdue.remove(&tag)
    }

    /// Handles the loss of the connection: no entry is in flight any more. Answers the entries that were.
    pub(in crate::sync::client) fn forget_connection(&mut self) -> Vec<OutboxEntryId> {
        self.first_sent.clear();
        for lane in self.lanes.values_mut() {
            lane.busy = None;
            lane.not_before = Duration::ZERO;
            lane.refusal = None;
        }
        std::mem::take(&mut self.in_flight).into_keys().collect()
    }
}
