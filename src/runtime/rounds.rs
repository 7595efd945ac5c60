//! The rounds of the loop: everything that follows from an input without waiting.
//!
//! ```text
//!   calls, frames, timers ──▶ machines (writes pile up) ──▶ one commit a client
//!            ▲                                                     │
//!            └──────────── deliveries ◀── link ◀── requests ◀──────┤
//!                                          │                       ├──▶ answers
//!                                          └──▶ ports              └──▶ events
//! ```
//!
//! It holds no policy: what follows from an input is for the machines to say, and how durable it
//! must be. It never waits, and it knows the world by its [`Ports`] alone, clocks and chance
//! included. So there is one loop and not two: the engine's thread drives it over sockets and files,
//! the simulator over a network and disks that fail on demand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::arrival::{Arrival, Commits, Departure};
use super::marks::Touched;
use super::seat::{Released, Seat, Slots};
use crate::SampanError;
use crate::model::{
    ClientId, CommitSeq, ConnectionState, Event, Now, Operation, SessionState, StoreHealth,
};
use crate::store::{Dropped, StoreError};
use crate::sync::link::{
    ClientSlot, ConnectionNumber, Delivery, Link, LinkEffect, LinkInput, LinkOptions, LinkStep,
};
use crate::sync::{
    ClientInput, EffectId, OperationSignature, Randomness, Reply, Request, RequestError, RequestId,
};
use crate::views::SyncState;

/// What the rounds ask of the world around them. Nothing here waits.
pub trait Ports {
    /// Where the commits of a client go.
    type Writer: Commits;
    /// What a call's answer is given to.
    type Call;

    /// What the clocks show.
    fn now(&self) -> Now;

    /// A source of chance for a machine that is being made.
    fn randomness(&mut self) -> Randomness;

    /// Carries out what the link asks of the network. What comes of it is handed in later, except
    /// that a socket which can't take a frame any more is answered with its end at once.
    fn carry_out(&mut self, effect: LinkEffect) -> Option<LinkInput>;

    /// Makes the state of the connection readable.
    fn connection_changed(&mut self, state: &ConnectionState);

    /// Makes the state of a client's session readable.
    fn session_changed(&mut self, client: &ClientId, state: &SessionState);

    /// Makes it readable whether a client's store takes writes.
    fn health_changed(&mut self, client: &ClientId, health: &StoreHealth);

    /// Makes it readable how far a client has come with what it missed.
    fn sync_changed(&mut self, _client: &ClientId, _state: SyncState) {}

    /// A client's store has another state than before: those who watch it look again.
    fn committed(&mut self, _client: &ClientId, _seq: CommitSeq, _touched: &Touched) {}

    /// Answers a call.
    fn answer(&mut self, call: Self::Call, answer: Result<Reply, SampanError>);

    /// Asks a client's signer; the outcome is handed to [`Rounds::signed`].
    fn sign(&mut self, slot: ClientSlot, client: &ClientId, effect: EffectId, operation: Operation);

    /// Looks for what other processes of the app left for a client; what is found is the machine's to
    /// enqueue, under the given number. None when nobody leaves anything, or it can't be read.
    fn fetch_left(&mut self, client: &ClientId, id: RequestId) -> Option<Vec<Dropped>>;

    /// What the machine made of that is durable.
    fn left_taken(
        &mut self,
        client: &ClientId,
        id: RequestId,
        reply: &Result<Reply, RequestError>,
    ) -> Left;

    /// It can't be taken now: the store takes no writes.
    fn left_untaken(&mut self, client: &ClientId, reason: &SampanError);

    /// A compaction that was asked for by [`Rounds::compact`] is done, or can't be.
    fn compacted(&mut self, _client: &ClientId, _outcome: Result<(), SampanError>) {}

    /// Tells observers, in this order.
    fn publish(&mut self, events: Vec<Event>);
}

/// Whether other processes of the app left more than was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// There is more to fetch.
    More,
    /// All that can be taken was.
    Nothing,
}

/// Whether a round left something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something was done, and more may follow from it.
    Made,
    /// Nothing is left to do without waiting.
    None,
}

/// The link, the clients at it, and what is on its way between them.
pub struct Rounds<P: Ports> {
    link: Link,
    link_wake_at: Option<Duration>,
    /// The socket that is open or being opened.
    socket: Option<ConnectionNumber>,
    seats: BTreeMap<ClientSlot, Seat<P::Call, P::Writer>>,
    slots: Slots,
    deliveries: VecDeque<(ClientSlot, Delivery)>,
    /// The most bytes that all stores together should take; none for no limit.
    disk_budget: Option<u64>,
    ports: P,
}

impl<P: Ports> Rounds<P> {
    /// A link that nobody is attached to.
    pub fn new(mut ports: P, options: LinkOptions) -> Self {
        Self {
            link: Link::new(options, ports.randomness()),
            link_wake_at: None,
            socket: None,
            seats: BTreeMap::new(),
            slots: Slots::default(),
            deliveries: VecDeque::new(),
            disk_budget: None,
            ports,
        }
    }

    /// The world around.
    pub const fn ports(&self) -> &P {
        &self.ports
    }

    /// The world around, to bring news from it.
    pub const fn ports_mut(&mut self) -> &mut P {
        &mut self.ports
    }

    /// Gives everything up but the world around.
    pub fn into_ports(self) -> P {
        self.ports
    }

    /// When the rounds want to be gone through again, whatever happens; none for never.
    pub fn deadline(&self) -> Option<Duration> {
        let seats = self.seats.values().filter_map(Seat::deadline);
        seats.chain(self.link_wake_at).min()
    }

    /// The most bytes that the stores of all clients here should take together; none for no limit.
    pub const fn set_disk_budget(&mut self, bytes: Option<u64>) {
        self.disk_budget = bytes;
    }

    /// Lets a client take part. Whoever lets it finds in its outbox what was left for it; its machine
    /// is told what the app asked for before.
    pub fn attach(&mut self, arrival: Arrival<P::Writer>) {
        let now = self.ports.now();
        let seat = Seat::new(now, arrival, self.ports.randomness());
        self.ports.health_changed(seat.client(), &seat.health());
        let slot = self.seat(seat);
        self.share_disk();
        self.import_at_once(slot);
        self.tell_seat(slot, |seat, now| seat.reconnect(now));
    }

    /// Whether a client takes part.
    pub fn has(&self, client: &ClientId) -> bool {
        self.slot_of(client).is_some()
    }

    /// Lets a client go that signs out: all that it was promised is on disk by then, or its disk has
    /// failed. The service is told where the line is good; its answer is not waited for.
    pub fn sign_out(&mut self, client: &ClientId) {
        let Some(slot) = self.slot_of(client) else {
            return;
        };
        self.settle();
        self.tell_seat(slot, Seat::say_goodbye);
        self.settle();
        self.release(slot, |seat, _| seat.flush());
        self.settle();
        self.seats.remove(&slot);
        self.share_disk();
        self.link(LinkInput::Detach { slot });
    }

    /// Brings everything to disk and lets all clients go. Calls that wait for an answer of the
    /// service hear that it won't come.
    pub fn detach_all(&mut self) -> Vec<Departure<P::Writer>> {
        self.flush_all();
        self.settle();
        let mut departures = Vec::new();
        for (slot, seat) in std::mem::take(&mut self.seats) {
            let (departure, calls) = seat.leave();
            for call in calls {
                self.ports.answer(call, Err(SampanError::NotConnected));
            }
            departures.push(departure);
            self.link(LinkInput::Detach { slot });
        }
        departures
    }

    /// Hands in a call of the API. A call of a client that does not take part comes back.
    ///
    /// # Errors
    ///
    /// The call: nobody will answer it.
    pub fn call(
        &mut self,
        client: &ClientId,
        request: Request,
        call: P::Call,
    ) -> Result<(), P::Call> {
        let Some(slot) = self.slot_of(client) else {
            return Err(call);
        };
        self.release(slot, |seat, now| seat.call(now, request, call));
        Ok(())
    }

    /// Takes what other processes of the app left for a client; what comes of it the ports are told.
    pub fn import(&mut self, client: &ClientId) {
        if let Some(slot) = self.slot_of(client) {
            self.import_left(slot);
        }
    }

    /// Has it looked for what other processes left for any client.
    pub fn import_soon(&mut self) {
        let now = self.ports.now();
        self.seats
            .values_mut()
            .for_each(|seat| seat.import_soon(now));
    }

    /// Has a client's store compacted in the background; what comes of it the ports are told.
    pub fn compact(&mut self, client: &ClientId) {
        let now = self.ports.now();
        let slot = self.slot_of(client);
        let seat = slot.and_then(|slot| self.seats.get_mut(&slot));
        if let Some(Err(reason)) = seat.map(|seat| seat.compact_soon(now)) {
            self.ports.compacted(client, Err(reason));
        }
    }

    /// The writer of a client whose key changes. What was left for it under the old key is taken
    /// before.
    pub fn changing_key(&mut self, client: &ClientId) -> Option<&mut P::Writer> {
        let slot = self.slot_of(client)?;
        self.import_at_once(slot);
        self.seats.get_mut(&slot).map(Seat::writer_mut)
    }

    /// Hands in a signer's answer.
    pub fn signed(
        &mut self,
        slot: ClientSlot,
        effect: EffectId,
        outcome: Result<OperationSignature, String>,
    ) {
        self.tell_seat(slot, |seat, now| {
            seat.handle(now, ClientInput::Signed { effect, outcome })
        });
    }

    /// Hands an input to the link and carries out what follows.
    pub fn link(&mut self, input: LinkInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if let LinkInput::Disconnected { connection, .. } = &input {
                self.socket.take_if(|socket| socket == connection);
            }
            let now = self.ports.now();
            let LinkStep {
                effects,
                deliveries,
                state,
                wake_after,
            } = self.link.handle(now, input);
            self.link_wake_at = wake_after.map(|after| now.elapsed + after);
            self.deliveries.extend(deliveries);
            for effect in effects {
                self.note_socket(&effect);
                inputs.extend(self.ports.carry_out(effect));
            }
            if let Some(state) = state {
                self.ports.connection_changed(&state);
                self.ports.publish(vec![Event::ConnectionChanged { state }]);
            }
        }
    }

    /// Works until nothing is left to do without waiting.
    pub fn settle(&mut self) {
        self.fire_timers();
        while self.round() == Progress::Made {}
    }

    /// One round: hands over some of what the link delivered, unless something waits to be committed
    /// already; then commits what was written, sends, tells. So what the app asked for waits for no
    /// more than one commit of what the service brought, and is no part of it.
    pub fn round(&mut self) -> Progress {
        let mut is_full = self.seats.values().any(Seat::is_touched);
        while !is_full && let Some((slot, delivery)) = self.deliveries.pop_front() {
            self.tell_seat(slot, |seat, now| {
                seat.handle(now, ClientInput::Delivered(delivery))
            });
            is_full = self.seats.get(&slot).is_some_and(Seat::is_laden);
        }
        let touched = self.seats.iter().filter(|(_, seat)| seat.is_touched());
        let touched: Vec<_> = touched.map(|(slot, _)| *slot).collect();
        for slot in &touched {
            self.release(*slot, |seat, now| seat.commit(now));
        }
        if touched.is_empty() && self.deliveries.is_empty() {
            Progress::None
        } else {
            Progress::Made
        }
    }

    /// Looks at all timers: those of the machines, the disk's, and that of a disk that failed.
    pub fn fire_timers(&mut self) {
        let now = self.ports.now();
        if self.link_wake_at.take_if(|at| *at <= now.elapsed).is_some() {
            self.link(LinkInput::Woke);
        }
        for slot in self.places() {
            self.tell_seat(slot, |seat, now| seat.wake(now));
            self.import_if_due(slot);
            self.release(slot, |seat, now| seat.flush_if_due(now));
            self.release(slot, |seat, now| Ok(seat.tell_progress_if_due(now)));
            self.tend_if_due(slot);
            self.probe_if_due(slot);
        }
    }

    fn tend_if_due(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        if self.seats.get(&slot).is_some_and(|it| it.tends_now(now)) {
            self.share_disk();
            self.release(slot, |seat, now| seat.tend(now));
        }
    }

    /// Shares the disk budget out: to each store what the others leave, and an even part at least.
    fn share_disk(&mut self) {
        let Some(budget) = self.disk_budget else {
            return;
        };
        let sizes: Vec<_> = self.seats.values().map(Seat::store_bytes).collect();
        let all = sizes.iter().copied().fold(0, u64::saturating_add);
        let even = budget / u64::try_from(sizes.len()).unwrap_or(1).max(1);
        for (seat, size) in self.seats.values_mut().zip(sizes) {
            let others = all.saturating_sub(size);
            let share = budget.saturating_sub(others).max(even);
            seat.set_disk_budget(Some(share));
        }
    }

    /// Brings everything that was committed to disk, and releases what waited for that.
    pub fn flush_all(&mut self) {
        for slot in self.places() {
            self.release(slot, |seat, _| seat.flush());
        }
    }

    fn places(&self) -> Vec<ClientSlot> {
        self.seats.keys().copied().collect()
    }

    fn slot_of(&self, client: &ClientId) -> Option<ClientSlot> {
        let mut seats = self.seats.iter();
        seats
            .find(|(_, seat)| seat.client() == client)
            .map(|(slot, _)| *slot)
    }

    /// Gives a seat a number on the link.
    fn seat(&mut self, seat: Seat<P::Call, P::Writer>) -> ClientSlot {
        let slot = self.slots.take();
        let client = seat.client().clone();
        self.seats.insert(slot, seat);
        self.link(LinkInput::Attach { slot, client });
        slot
    }

    /// Takes everything that other processes left for a client, and commits it.
    fn import_at_once(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        if let Some(seat) = self.seats.get_mut(&slot) {
            seat.import_soon(now);
        }
        while self.import_if_due(slot) == Progress::Made {
            self.release(slot, |seat, now| seat.commit(now));
        }
    }

    fn import_if_due(&mut self, slot: ClientSlot) -> Progress {
        let now = self.ports.now();
        if !self.seats.get(&slot).is_some_and(|it| it.imports_now(now)) {
            return Progress::None;
        }
        self.import_left(slot);
        Progress::Made
    }

    fn import_left(&mut self, slot: ClientSlot) {
        let Some(seat) = self.seats.get_mut(&slot) else {
            return;
        };
        let client = seat.client().clone();
        match seat.begin_import() {
            Ok(id) => {
                if let Some(dropped) = self.ports.fetch_left(&client, id) {
                    let request = Request::Import { dropped };
                    let input = ClientInput::Requested { id, request };
                    self.tell_seat(slot, |seat, now| seat.handle(now, input));
                }
            }
            Err(reason) => self.ports.left_untaken(&client, &reason),
        }
    }

    fn probe_if_due(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        let Some(seat) = self.seats.get_mut(&slot).filter(|it| it.is_probe_due(now)) else {
            return;
        };
        if let Some(released) = seat.probe(now, self.ports.randomness()) {
            self.carry_out(slot, released);
            self.reseat(slot);
        }
    }

    /// Gives a client whose machine was rebuilt a new place on the link, which knows it no longer.
    fn reseat(&mut self, slot: ClientSlot) {
        if let Some(seat) = self.seats.remove(&slot) {
            // One that could not be written from the start is on the link under its old number.
            self.link(LinkInput::Detach { slot });
            let slot = self.seat(seat);
            self.tell_seat(slot, |seat, now| seat.reconnect(now));
        }
    }

    /// Hands a seat something; one whose store fails loses its machine.
    fn tell_seat(
        &mut self,
        slot: ClientSlot,
        tell: impl FnOnce(&mut Seat<P::Call, P::Writer>, Now) -> Result<(), StoreError>,
    ) {
        self.release(slot, |seat, now| {
            tell(seat, now).map(|()| Released::default())
        });
    }

    /// Does something with a seat, and carries out what that releases.
    fn release(
        &mut self,
        slot: ClientSlot,
        work: impl FnOnce(&mut Seat<P::Call, P::Writer>, Now) -> Result<Released<P::Call>, StoreError>,
    ) {
        let now = self.ports.now();
        let Some(seat) = self.seats.get_mut(&slot) else {
            return;
        };
        match work(seat, now) {
            Ok(released) => self.carry_out(slot, released),
            Err(error) => self.fail(slot, &error),
        }
    }

    /// Answer and send, then tell.
    fn carry_out(&mut self, slot: ClientSlot, released: Released<P::Call>) {
        let Some(client) = self.seats.get(&slot).map(|seat| seat.client().clone()) else {
            return;
        };
        if let Some(health) = &released.health {
            self.ports.health_changed(&client, health);
        }
        if let Some(session) = &released.session {
            self.ports.session_changed(&client, session);
        }
        if let Some(sync) = released.sync {
            self.ports.sync_changed(&client, sync);
        }
        if released.committed != Touched::Nothing {
            let (seq, touched) = (released.seq, &released.committed);
            self.ports.committed(&client, seq, touched);
        }
        if let Some(reason) = &released.not_imported {
            self.ports.left_untaken(&client, reason);
        }
        for (id, reply) in &released.imported {
            if self.ports.left_taken(&client, *id, reply) == Left::More {
                self.import_again(slot);
            }
        }
        if let Some(outcome) = released.compacted {
            self.ports.compacted(&client, outcome);
        }
        for (call, answer) in released.answers {
            self.ports.answer(call, answer);
        }
        for request in released.requests {
            self.link(LinkInput::Submit { slot, request });
        }
        for (effect, operation) in released.signatures {
            self.ports.sign(slot, &client, effect, operation);
        }
        if let Some(wish) = released.wish {
            self.link(LinkInput::Wish { slot, wish });
        }
        if !released.events.is_empty() {
            self.ports.publish(released.events);
        }
    }

    fn import_again(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        if let Some(seat) = self.seats.get_mut(&slot) {
            seat.import_soon(now);
        }
    }

    /// After a failed write nothing the machine wanted happens: it is dropped, and the socket with
    /// it, on which the service believes it present.
    fn fail(&mut self, slot: ClientSlot, error: &StoreError) {
        let now = self.ports.now();
        if let Some(seat) = self.seats.get_mut(&slot) {
            let released = seat.fail(now, error);
            self.carry_out(slot, released);
        }
        self.link(LinkInput::Detach { slot });
        if let Some(connection) = self.socket.take() {
            // Nothing more is wanted from it: what the port says of it now is said below.
            let _ = self.ports.carry_out(LinkEffect::Disconnect { connection });
            let close = None;
            self.link(LinkInput::Disconnected { connection, close });
        }
    }

    fn note_socket(&mut self, effect: &LinkEffect) {
        match effect {
            LinkEffect::Connect { connection, .. } => self.socket = Some(*connection),
            LinkEffect::Disconnect { connection } => {
                self.socket.take_if(|socket| socket == connection);
            }
            LinkEffect::LookUp { .. } | LinkEffect::Send { .. } => {}
        }
    }
}
