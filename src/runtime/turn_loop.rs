//! The engine's loop, turn by turn: all consequences of an input that need no waiting.
//!
//! ```text
//!   calls, frames, timers ──▶ machines (writes add up) ───▶ one commit a client
//!            ▲                                                     │
//!            └──────────── deliveries ◀── link ◀── requests ◀──────┤
//!                                          │                       ├──▶ answers
//!                                          └──▶ ports              └──▶ events
//! ```
//!
//! [`TurnLoop`] holds no policy: the machines decide the consequences of an input and their durability.
//! [`TurnLoop`] never waits, and reaches the world through its [`Ports`] alone, clocks and chance included. The
//! engine and the simulator therefore share one loop: the engine's thread drives it over sockets and files, the
//! simulator over a network and disks that fail on demand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::after_commit::AfterCommit;
use super::attach::{ClientSetup, DetachedClient};
use super::client_loop::ClientLoop;
use super::marks::Touched;
use super::ports::{InboxRemainder, Ports};
use crate::SampanError;
use crate::model::{ClientId, CommitSeq, Event, Now};
use crate::store::StoreError;
use crate::sync::link::{
    ClientSlot, ConnectionNumber, Delivery, Link, LinkEffect, LinkInput, LinkOptions, LinkStep,
};
use crate::sync::{
    ClientInput, Effect, EffectId, Import, OperationSignature, Request, UploadError, Uploaded,
};
use crate::wire::Envelope;

/// The work that a turn left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnProgress {
    /// Something was done, and more may follow from it.
    Made,
    /// Nothing is left to do without waiting.
    None,
}

/// Numbers for clients on the link. No number is used again, so news for an older client finds none.
#[derive(Debug, Default)]
struct Slots {
    next: u32,
}

impl Slots {
    fn take(&mut self) -> ClientSlot {
        let slot = ClientSlot(self.next);
        self.next += 1;
        slot
    }
}

/// The link, its clients, and the deliveries and requests between them.
pub struct TurnLoop<P: Ports> {
    link: Link,
    link_wake_at: Option<Duration>,
    /// The socket that is open or being opened.
    socket: Option<ConnectionNumber>,
    clients: BTreeMap<ClientSlot, ClientLoop<P::Call, P::Writer>>,
    slots: Slots,
    deliveries: VecDeque<(ClientSlot, Delivery)>,
    /// The most bytes that all stores together should take; none for no limit.
    disk_budget: Option<u64>,
    ports: P,
}

impl<P: Ports> TurnLoop<P> {
    /// A link that nobody is attached to.
    pub fn new(mut ports: P, options: LinkOptions) -> Self {
        Self {
            link: Link::new(options, ports.randomness()),
            link_wake_at: None,
            socket: None,
            clients: BTreeMap::new(),
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

    /// Drops everything but the ports.
    pub fn into_ports(self) -> P {
        self.ports
    }

    /// The time at which the next turn is due even without an input; none for never.
    pub fn deadline(&self) -> Option<Duration> {
        let clients = self.clients.values().filter_map(ClientLoop::deadline);
        clients.chain(self.link_wake_at).min()
    }

    /// The most bytes that the stores of all clients here should take together; none for no limit.
    pub const fn set_disk_budget(&mut self, bytes: Option<u64>) {
        self.disk_budget = bytes;
    }

    /// Adds a client. On return its outbox holds the work from its extension inbox, and its machine has the
    /// app's earlier wishes.
    pub fn attach(&mut self, setup: ClientSetup<P::Writer>) {
        let now = self.ports.now();
        let client = ClientLoop::new(now, setup, self.ports.randomness());
        self.ports.health_changed(client.id(), &client.health());
        let slot = self.insert(client);
        self.share_disk();
        self.import_at_once(slot);
        self.tell_client(slot, |client, now| client.reconnect(now));
    }

    /// True if a client takes part.
    pub fn has(&self, client: &ClientId) -> bool {
        self.slot_of(client).is_some()
    }

    /// Lets a client go that signs out: all that it was promised is on disk by then, or its disk has
    /// failed. The service is told where the line is good; its answer is not waited for.
    pub fn sign_out(&mut self, client: &ClientId) {
        let Some(slot) = self.slot_of(client) else {
            return;
        };
        self.work_until_idle();
        self.tell_client(slot, ClientLoop::say_goodbye);
        self.work_until_idle();
        self.work(slot, |client, _| client.flush());
        self.work_until_idle();
        self.clients.remove(&slot);
        self.ports.end_media(slot);
        self.share_disk();
        self.link(LinkInput::Detach { slot });
    }

    /// Brings everything to disk and lets all clients go. Calls that wait for an answer of the
    /// service hear that it won't come.
    pub fn detach_all(&mut self) -> Vec<DetachedClient<P::Writer>> {
        self.flush_all();
        self.work_until_idle();
        let mut detached = Vec::new();
        for (slot, client) in std::mem::take(&mut self.clients) {
            let (client, calls) = client.detach();
            for call in calls {
                let error = Err(SampanError::NotConnected);
                self.ports.answer(call, CommitSeq::default(), error);
            }
            detached.push(client);
            self.ports.end_media(slot);
            self.link(LinkInput::Detach { slot });
        }
        detached
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
        self.work(slot, |client, now| client.call(now, request, call));
        Ok(())
    }

    /// Takes the extension inbox of a client; the ports are told the outcome.
    pub fn import(&mut self, client: &ClientId) {
        if let Some(slot) = self.slot_of(client) {
            self.import_inbox(slot);
        }
    }

    /// Has the extension inboxes of all clients read in the next turn.
    pub fn import_soon(&mut self) {
        let now = self.ports.now();
        self.clients
            .values_mut()
            .for_each(|client| client.import_soon(now));
    }

    /// Has a client's store compacted in the background; the ports are told the outcome.
    pub fn compact(&mut self, client: &ClientId) {
        let now = self.ports.now();
        let slot = self.slot_of(client);
        let found = slot.and_then(|slot| self.clients.get_mut(&slot));
        if let Some(Err(reason)) = found.map(|found| found.compact_soon(now)) {
            self.ports.compacted(client, Err(reason));
        }
    }

    /// The writer of a client whose key changes. The extension inbox under the old key is taken before.
    pub fn changing_key(&mut self, client: &ClientId) -> Option<&mut P::Writer> {
        let slot = self.slot_of(client)?;
        self.import_at_once(slot);
        self.clients.get_mut(&slot).map(ClientLoop::writer_mut)
    }

    /// Hands in a signer's answer.
    pub fn signed(
        &mut self,
        slot: ClientSlot,
        effect: EffectId,
        outcome: Result<OperationSignature, String>,
    ) {
        self.tell_client(slot, |client, now| {
            client.handle(now, ClientInput::Signed { effect, outcome })
        });
    }

    /// Hands in what a client missed; nothing if the service was not reached.
    pub fn missed(&mut self, slot: ClientSlot, effect: EffectId, told: Vec<Envelope>) {
        self.tell_client(slot, |client, now| {
            client.handle(now, ClientInput::MissedTold { effect, told })
        });
    }

    /// Hands in the service's refusal of the session of an account.
    pub fn account_refused(
        &mut self,
        slot: ClientSlot,
        effect: EffectId,
        (code, reason): (i32, String),
    ) {
        self.tell_client(slot, |client, now| {
            let input = ClientInput::AccountRefused {
                effect,
                code,
                reason,
            };
            client.handle(now, input)
        });
    }

    /// Passes in the result of a step of an upload.
    pub fn uploaded(
        &mut self,
        slot: ClientSlot,
        effect: EffectId,
        outcome: Result<Uploaded, UploadError>,
    ) {
        self.tell_client(slot, |client, now| {
            client.handle(now, ClientInput::Uploaded { effect, outcome })
        });
    }

    /// Passes an input to the link and carries out the consequences.
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

    /// Takes turns until nothing is left to do without waiting.
    pub fn work_until_idle(&mut self) {
        self.fire_timers();
        while self.turn() == TurnProgress::Made {}
    }

    /// One turn: hands over some of the link's deliveries, unless writes wait to be committed already;
    /// then commits the writes, sends, tells. So a call of the app waits for no more than one commit
    /// of deliveries, and is no part of that commit.
    pub fn turn(&mut self) -> TurnProgress {
        let mut is_full = self.clients.values().any(ClientLoop::is_touched);
        while !is_full && let Some((slot, delivery)) = self.deliveries.pop_front() {
            self.tell_client(slot, |client, now| {
                client.handle(now, ClientInput::Delivered(delivery))
            });
            is_full = self.clients.get(&slot).is_some_and(ClientLoop::is_full);
        }
        let touched = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_touched());
        let touched: Vec<_> = touched.map(|(slot, _)| *slot).collect();
        for slot in &touched {
            self.work(*slot, |client, now| client.commit(now));
        }
        if touched.is_empty() && self.deliveries.is_empty() {
            TurnProgress::None
        } else {
            TurnProgress::Made
        }
    }

    /// Looks at all timers: those of the machines, the disk's, and that of a disk that failed.
    pub fn fire_timers(&mut self) {
        let now = self.ports.now();
        if self.link_wake_at.take_if(|at| *at <= now.elapsed).is_some() {
            self.link(LinkInput::Woke);
        }
        for slot in self.slots() {
            self.tell_client(slot, |client, now| client.wake(now));
            self.import_if_due(slot);
            self.work(slot, |client, now| client.flush_if_due(now));
            self.work(slot, |client, now| Ok(client.tell_progress_if_due(now)));
            self.tend_if_due(slot);
            self.probe_if_due(slot);
        }
    }

    fn tend_if_due(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        if self.clients.get(&slot).is_some_and(|it| it.tends_now(now)) {
            self.share_disk();
            self.work(slot, |client, now| client.tend(now));
        }
    }

    /// Shares the disk budget: each store gets the part that the others leave, and an even part at least.
    fn share_disk(&mut self) {
        let Some(budget) = self.disk_budget else {
            return;
        };
        let sizes: Vec<_> = self.clients.values().map(ClientLoop::store_bytes).collect();
        let all = sizes.iter().copied().fold(0, u64::saturating_add);
        let even = budget / u64::try_from(sizes.len()).unwrap_or(1).max(1);
        for (client, size) in self.clients.values_mut().zip(sizes) {
            let others = all.saturating_sub(size);
            let share = budget.saturating_sub(others).max(even);
            client.set_disk_budget(Some(share));
        }
    }

    /// Makes all commits durable, and releases the effects that waited for that.
    pub fn flush_all(&mut self) {
        for slot in self.slots() {
            self.work(slot, |client, _| client.flush());
        }
    }

    fn slots(&self) -> Vec<ClientSlot> {
        self.clients.keys().copied().collect()
    }

    fn slot_of(&self, client: &ClientId) -> Option<ClientSlot> {
        self.clients
            .iter()
            .find(|(_, one)| one.id() == client)
            .map(|(slot, _)| *slot)
    }

    /// Gives a client a number on the link.
    fn insert(&mut self, client: ClientLoop<P::Call, P::Writer>) -> ClientSlot {
        let slot = self.slots.take();
        let id = client.id().clone();
        self.clients.insert(slot, client);
        self.link(LinkInput::Attach { slot, client: id });
        slot
    }

    /// Takes everything that is in a client's extension inbox, and commits it.
    fn import_at_once(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        if let Some(client) = self.clients.get_mut(&slot) {
            client.import_soon(now);
        }
        while self.import_if_due(slot) == TurnProgress::Made {
            self.work(slot, |client, now| client.commit(now));
        }
    }

    fn import_if_due(&mut self, slot: ClientSlot) -> TurnProgress {
        let now = self.ports.now();
        if !self
            .clients
            .get(&slot)
            .is_some_and(|it| it.imports_now(now))
        {
            return TurnProgress::None;
        }
        self.import_inbox(slot);
        TurnProgress::Made
    }

    fn import_inbox(&mut self, slot: ClientSlot) {
        let Some(client) = self.clients.get_mut(&slot) else {
            return;
        };
        let id = client.id().clone();
        match client.begin_import() {
            Ok(number) => {
                if let Some(dropped) = self.ports.fetch_inbox(&id, number) {
                    let request = Import { dropped }.into();
                    let input = ClientInput::Requested {
                        id: number,
                        request,
                    };
                    self.tell_client(slot, |client, now| client.handle(now, input));
                }
            }
            Err(reason) => self.ports.inbox_not_taken(&id, &reason),
        }
    }

    fn probe_if_due(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        let Some(client) = self
            .clients
            .get_mut(&slot)
            .filter(|it| it.is_probe_due(now))
        else {
            return;
        };
        if let Some(after) = client.probe(now, self.ports.randomness()) {
            self.carry_out(slot, after);
            self.attach_again(slot);
        }
    }

    /// Gives a client whose machine was rebuilt a new number on the link, which forgot the client.
    fn attach_again(&mut self, slot: ClientSlot) {
        if let Some(client) = self.clients.remove(&slot) {
            // A client whose store was read-only from the start is on the link under its old number.
            self.link(LinkInput::Detach { slot });
            let slot = self.insert(client);
            self.tell_client(slot, |client, now| client.reconnect(now));
        }
    }

    /// Tells a client something. A client whose store fails loses its machine.
    fn tell_client(
        &mut self,
        slot: ClientSlot,
        tell: impl FnOnce(&mut ClientLoop<P::Call, P::Writer>, Now) -> Result<(), StoreError>,
    ) {
        self.work(slot, |client, now| {
            tell(client, now).map(|()| AfterCommit::default())
        });
    }

    /// Does work on a client, and carries out the consequences.
    fn work(
        &mut self,
        slot: ClientSlot,
        work: impl FnOnce(
            &mut ClientLoop<P::Call, P::Writer>,
            Now,
        ) -> Result<AfterCommit<P::Call>, StoreError>,
    ) {
        let now = self.ports.now();
        let Some(client) = self.clients.get_mut(&slot) else {
            return;
        };
        match work(client, now) {
            Ok(after) => self.carry_out(slot, after),
            Err(error) => self.fail(slot, &error),
        }
    }

    /// Answer and send, then tell.
    fn carry_out(&mut self, slot: ClientSlot, after: AfterCommit<P::Call>) {
        let Some(client) = self.clients.get(&slot).map(|client| client.id().clone()) else {
            return;
        };
        if let Some(health) = &after.health {
            self.ports.health_changed(&client, health);
        }
        if let Some(session) = &after.session {
            self.ports.session_changed(&client, session);
        }
        if let Some(sync) = after.sync {
            self.ports.sync_changed(&client, sync);
        }
        if let Some(typing) = after.typing {
            self.ports.typing_changed(&client, typing);
        }
        if let Some(holds) = after.holds {
            self.ports.holds_changed(&client, holds);
        }
        if after.committed != Touched::Nothing {
            let (seq, touched) = (after.seq, &after.committed);
            self.ports.committed(&client, seq, touched);
        }
        if let Some(reason) = &after.not_imported {
            self.ports.inbox_not_taken(&client, reason);
        }
        for (id, reply) in &after.imported {
            if self.ports.inbox_taken(&client, *id, reply) == InboxRemainder::More {
                self.import_again(slot);
            }
        }
        if let Some(outcome) = after.compacted {
            self.ports.compacted(&client, outcome);
        }
        for (call, answer) in after.answers {
            self.ports.answer(call, after.seq, answer);
        }
        for request in after.requests {
            self.link(LinkInput::Submit { slot, request });
        }
        let mut unasked = None;
        for effect in after.effects {
            match effect {
                Effect::Sign { effect, operation } => {
                    self.ports.sign(slot, &client, effect, operation);
                }
                Effect::Media(effect) => self.ports.media(slot, &client, effect),
                Effect::AskMissed(question) => {
                    let effect = question.effect;
                    let asks = self.ports.ask_missed(slot, &client, question);
                    unasked = (!asks).then_some(effect);
                }
            }
        }
        if let Some(wish) = after.wish {
            self.link(LinkInput::Wish { slot, wish });
        }
        if !after.events.is_empty() {
            self.ports.publish(after.events);
        }
        if let Some(effect) = unasked {
            self.missed(slot, effect, Vec::new());
        }
    }

    fn import_again(&mut self, slot: ClientSlot) {
        let now = self.ports.now();
        if let Some(client) = self.clients.get_mut(&slot) {
            client.import_soon(now);
        }
    }

    /// After a failed write nothing the machine wanted happens: it is dropped, and the socket with
    /// it, on which the service believes it present.
    fn fail(&mut self, slot: ClientSlot, error: &StoreError) {
        let now = self.ports.now();
        if let Some(client) = self.clients.get_mut(&slot) {
            let after = client.fail(now, error);
            self.carry_out(slot, after);
        }
        self.ports.end_media(slot);
        self.link(LinkInput::Detach { slot });
        if let Some(connection) = self.socket.take() {
            // Nothing more is wanted from the connection: the port's news of it is told below.
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
