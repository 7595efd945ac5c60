//! The loop: drain, commit, send, tell.
//!
//! ```text
//!   calls, frames, timers ──▶ machines (writes pile up) ──▶ one commit a client
//!            ▲                                                     │
//!            └──────────── deliveries ◀── link ◀── requests ◀──────┤
//!                                          │                       ├──▶ answers
//!                                          └──▶ sockets            └──▶ events
//! ```
//!
//! It holds no policy: what follows from an input is for the machines to say, and how durable it must
//! be. A round goes on until nothing is left to do without waiting. Every queue it reads is bounded,
//! and it takes a bounded number of inputs before it commits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::clock::{self, Clock};
use super::mailbox::{Answer, Command, EngineBoard, Newcomer};
use super::publish::Publisher;
use super::rest::{LINGER, Outcome, Reopened, Resting};
use super::seat::{Released, Seat, Slots};
use super::sockets::{Failures, Sockets};
use crate::model::{ClientId, Event, Now};
use crate::net::Transport;
use crate::store::StoreError;
use crate::sync::link::{ClientSlot, Delivery, Link, LinkInput, LinkOptions, LinkStep};
use crate::sync::{ClientInput, EffectId, Signature, SignedOperation};
use crate::wire::{self, Encoding, Subprotocol};
use crate::{Config, OfflineMode, PayloadEncoding};

/// How many inputs one round takes before it commits.
const ROUND_MAX: usize = 256;

/// How long the app's signer may take. It asks the app's own server, over whatever network there is.
const SIGN_TIMEOUT: Duration = Duration::from_secs(60);

/// A signer's answer, and whose it is.
type Signed = (ClientSlot, EffectId, Result<Signature, String>);

/// The loop's state. One thread owns it.
pub(super) struct Driver {
    config: Config,
    clock: Clock,
    mailbox: mpsc::Receiver<Command>,
    link: Link,
    link_wake_at: Option<Duration>,
    sockets: Sockets,
    seats: BTreeMap<ClientSlot, Seat>,
    slots: Slots,
    /// Clients whose stores are shut.
    resting: Resting,
    lifecycle: Lifecycle,
    signing: JoinSet<Signed>,
    deliveries: VecDeque<(ClientSlot, Delivery)>,
    publisher: Publisher,
    board: Arc<EngineBoard>,
}

/// Where the app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    Foreground,
    /// In the background, where stores are shut; those that were opened again are so at the time.
    Background {
        rest_at: Option<Duration>,
    },
}

/// What the loop waits for.
enum Input {
    Command(Command),
    Link(LinkInput),
    Signed(Signed),
    Reopened(Box<Reopened>),
    /// A time that somebody asked for has come.
    Timer,
}

/// Whether the loop goes on.
enum Flow {
    Continue,
    Stop(Option<Answer<()>>),
}

impl Driver {
    pub(super) fn new(
        config: Config,
        transport: Arc<dyn Transport>,
        mailbox: mpsc::Receiver<Command>,
        publisher: Publisher,
        board: Arc<EngineBoard>,
    ) -> Self {
        let options = LinkOptions {
            app_id: config.app_id.clone(),
            server: config.server.clone(),
            subprotocol: subprotocol(&config),
            limits: config.limits.clone(),
        };
        Self {
            clock: Clock::start(),
            mailbox,
            link: Link::new(options, clock::randomness()),
            link_wake_at: None,
            sockets: Sockets::new(
                transport,
                config.app_id.clone(),
                config.limits.clone(),
                Failures::new(Arc::clone(&board), publisher.clone()),
            ),
            seats: BTreeMap::new(),
            slots: Slots::default(),
            resting: Resting::default(),
            lifecycle: Lifecycle::Foreground,
            signing: JoinSet::new(),
            deliveries: VecDeque::new(),
            publisher,
            board,
            config,
        }
    }

    /// Runs until the API asks for the end or is gone.
    pub(super) async fn run(mut self) {
        let done = loop {
            let mut input = Some(self.wait().await);
            let mut flow = Flow::Continue;
            let mut taken = 0;
            while let Some(next) = input {
                flow = self.take(next);
                taken += 1;
                let full = taken >= ROUND_MAX || matches!(flow, Flow::Stop(_));
                input = if full { None } else { self.next_waiting() };
            }
            self.settle();
            self.rest_if_due();
            if let Flow::Stop(done) = flow {
                break done;
            }
        };
        self.flush_all();
        self.settle();
        self.sockets.disconnect_any();
        self.sockets.goodbye().await;
        self.resting.forget_all();
        // The stores close before the caller hears of it.
        for (_, seat) in std::mem::take(&mut self.seats) {
            seat.door().close();
            drop(seat);
        }
        self.publisher.end();
        if let Some(done) = done {
            // A caller that left is not told.
            let _ = done.send(());
        }
    }

    /// Waits for the next input. With no timer armed, an idle engine sleeps.
    async fn wait(&mut self) -> Input {
        let pause = self
            .deadline()
            .map(|at| at.saturating_sub(self.clock.elapsed()));
        tokio::select! {
            command = self.mailbox.recv() => match command {
                Some(command) => Input::Command(command),
                None => Input::Command(Command::Shutdown { done: None }),
            },
            input = self.sockets.next() => Input::Link(input),
            Some(Ok(signed)) = self.signing.join_next() => Input::Signed(signed),
            reopened = self.resting.next() => Input::Reopened(Box::new(reopened)),
            () = sleep(pause.unwrap_or_default()), if pause.is_some() => Input::Timer,
        }
    }

    /// The next input that is there already.
    fn next_waiting(&mut self) -> Option<Input> {
        if let Ok(command) = self.mailbox.try_recv() {
            return Some(Input::Command(command));
        }
        if let Some(input) = self.sockets.try_next() {
            return Some(Input::Link(input));
        }
        if let Some(reopened) = self.resting.try_next() {
            return Some(Input::Reopened(Box::new(reopened)));
        }
        match self.signing.try_join_next() {
            Some(Ok(signed)) => Some(Input::Signed(signed)),
            Some(Err(_)) | None => None,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let rest_at = match self.lifecycle {
            Lifecycle::Background { rest_at } => rest_at,
            Lifecycle::Foreground => None,
        };
        let others = [self.link_wake_at, rest_at, self.resting.deadline()];
        let seats = self.seats.values().filter_map(Seat::deadline);
        seats.chain(others.into_iter().flatten()).min()
    }

    /// Hands one input to whom it concerns.
    fn take(&mut self, input: Input) -> Flow {
        let now = self.clock.now();
        match input {
            Input::Command(command) => return self.obey(now, command),
            Input::Link(input) => self.tell_link(now, input),
            Input::Signed((slot, effect, outcome)) => {
                self.tell_seat(now, slot, |seat| {
                    seat.handle(now, ClientInput::Signed { effect, outcome })
                });
            }
            Input::Reopened(reopened) => self.reopened(now, *reopened),
            // The timers are looked at in every round anyway.
            Input::Timer => {}
        }
        Flow::Continue
    }

    fn obey(&mut self, now: Now, command: Command) -> Flow {
        match command {
            Command::Attach { newcomer, done } => {
                self.attach(now, *newcomer);
                // A caller that left is not told; nor below.
                let _ = done.send(());
            }
            Command::Request {
                client,
                request,
                done,
            } => match self.slot_of(&client) {
                Some(slot) => self.tell_seat(now, slot, |seat| seat.call(now, *request, done)),
                None => self.defer(Command::Request {
                    client,
                    request,
                    done,
                }),
            },
            Command::Wake { client, done } => match self.slot_of(&client) {
                // A caller that left is not told.
                Some(_) => drop(done.send(Ok(()))),
                None => self.resting.wake(&client, done),
            },
            Command::Import { client, done } => match self.slot_of(&client) {
                Some(slot) => self.tell_seat(now, slot, |seat| seat.import(now, Some(done))),
                None => self.defer(Command::Import { client, done }),
            },
            Command::ChangeKey {
                client,
                old,
                new,
                done,
            } => match self.slot_of(&client) {
                Some(slot) => {
                    // What was left under the old key is read under it.
                    self.import_at_once(now, slot);
                    if let Some(seat) = self.seats.get_mut(&slot) {
                        let _ = done.send(seat.change_key(&old, &new));
                    }
                }
                None => self.defer(Command::ChangeKey {
                    client,
                    old,
                    new,
                    done,
                }),
            },
            Command::Detach { client, done } => {
                self.settle();
                self.resting.forget(&client);
                if let Some(slot) = self.slot_of(&client) {
                    self.flush_seat(slot);
                    self.settle();
                    if let Some(seat) = self.seats.remove(&slot) {
                        seat.door().close();
                    }
                    self.tell_link(now, LinkInput::Detach { slot });
                }
                let _ = done.send(());
            }
            Command::Network(hint) => self.tell_link(now, LinkInput::Network(hint)),
            Command::Suspend { done } => self.suspend(now, done),
            Command::Resume => self.resume(now),
            Command::Shutdown { done } => return Flow::Stop(done),
        }
        Flow::Continue
    }

    /// Closes the socket and shuts every store; the caller hears when no file is open.
    fn suspend(&mut self, now: Now, done: Answer<()>) {
        self.tell_link(now, LinkInput::Suspend);
        self.settle();
        self.lifecycle = Lifecycle::Background { rest_at: None };
        self.rest_all();
        self.resting.stop_retrying();
        let goodbye = self.sockets.goodbye();
        let doors: Vec<_> = self.resting.doors().map(Arc::clone).collect();
        tokio::spawn(async move {
            goodbye.await;
            for door in doors {
                door.freed().await;
            }
            // A caller that left is not told.
            let _ = done.send(());
        });
    }

    fn resume(&mut self, now: Now) {
        self.lifecycle = Lifecycle::Foreground;
        self.tell_link(now, LinkInput::Resume);
        self.seats
            .values_mut()
            .for_each(|seat| seat.import_soon(now));
        self.resting.wake_all();
    }

    /// Shuts the stores that were opened in the background, if it is time.
    fn rest_if_due(&mut self) {
        let now = self.clock.now();
        if let Lifecycle::Background { rest_at } = &mut self.lifecycle
            && rest_at.take_if(|at| *at <= now.elapsed).is_some()
        {
            self.rest_all();
        }
    }

    /// Brings everything to disk and gives the stores up; the clients rest without them.
    fn rest_all(&mut self) {
        self.flush_all();
        self.settle();
        let now = self.clock.now();
        for (slot, seat) in std::mem::take(&mut self.seats) {
            let (guest, keys) = seat.leave();
            self.resting.rest(guest);
            // Closing the files blocks.
            spawn_blocking(move || drop(keys));
            self.tell_link(now, LinkInput::Detach { slot });
        }
    }

    /// Takes a client back whose store was opened again, and does what waited for that.
    fn reopened(&mut self, now: Now, reopened: Reopened) {
        let back = match self.resting.opened(now, reopened) {
            Outcome::Back(back) => *back,
            Outcome::Refused(event) => return self.publisher.publish(&[*event]),
            Outcome::Nothing => return,
        };
        let board = Arc::clone(&back.newcomer.guest.board);
        let before = board.health();
        let slot = self.attach(now, back.newcomer);
        if board.health() != before
            && let Some(seat) = self.seats.get(&slot)
        {
            self.publisher.publish(&[Event::StoreHealthChanged {
                client: seat.client().clone(),
                health: board.health(),
            }]);
        }
        self.tell_seat(now, slot, |seat| seat.reconnect(now));
        for command in back.commands {
            // What needs a store never stops the loop.
            let _ = self.obey(now, command);
        }
        for done in back.reads {
            // A caller that left is not told.
            let _ = done.send(Ok(()));
        }
    }

    /// Lets a client take part. In the background it rests again soon.
    fn attach(&mut self, now: Now, newcomer: Newcomer) -> ClientSlot {
        if let Lifecycle::Background { rest_at } = &mut self.lifecycle {
            rest_at.get_or_insert(now.elapsed + LINGER);
        }
        let seat = Seat::new(now, newcomer, self.config.limits.clone());
        let slot = self.seat(now, seat);
        // Whoever opened the client finds in the outbox what was left for it.
        self.import_at_once(now, slot);
        slot
    }

    /// Takes everything that other processes of the app left for a client.
    fn import_at_once(&mut self, now: Now, slot: ClientSlot) {
        if let Some(seat) = self.seats.get_mut(&slot) {
            seat.import_soon(now);
        }
        while self.seats.get(&slot).is_some_and(Seat::imports_now) {
            self.tell_seat(now, slot, |seat| seat.import_if_due(now));
            self.commit(now, slot);
        }
    }

    /// Opens a client's store for a command that needs it, and keeps the command until then. Those
    /// of a client that is not here are dropped with their answers: it is closed.
    fn defer(&mut self, command: Command) {
        if let Some(client) = command.client().cloned() {
            self.resting.defer(&client, command);
        }
    }

    /// Gives a seat a number on the link.
    fn seat(&mut self, now: Now, seat: Seat) -> ClientSlot {
        let slot = self.slots.take();
        let client = seat.client().clone();
        self.seats.insert(slot, seat);
        self.tell_link(now, LinkInput::Attach { slot, client });
        slot
    }

    fn slot_of(&self, client: &ClientId) -> Option<ClientSlot> {
        let mut seats = self.seats.iter();
        seats
            .find(|(_, seat)| seat.client() == client)
            .map(|(slot, _)| *slot)
    }

    /// Works until nothing is left to do without waiting.
    fn settle(&mut self) {
        self.fire_timers();
        loop {
            let now = self.clock.now();
            while let Some((slot, delivery)) = self.deliveries.pop_front() {
                self.tell_seat(now, slot, |seat| {
                    seat.handle(now, ClientInput::Delivered(delivery))
                });
            }
            let touched: Vec<_> = self
                .seats
                .iter()
                .filter(|(_, seat)| seat.is_touched())
                .map(|(slot, _)| *slot)
                .collect();
            if touched.is_empty() {
                return;
            }
            for slot in touched {
                self.commit(now, slot);
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = self.clock.now();
        if self.link_wake_at.take_if(|at| *at <= now.elapsed).is_some() {
            self.tell_link(now, LinkInput::Woke);
        }
        self.resting.retry_due(now);
        let slots: Vec<_> = self.seats.keys().copied().collect();
        for slot in slots {
            self.tell_seat(now, slot, |seat| seat.wake(now));
            self.tell_seat(now, slot, |seat| seat.import_if_due(now));
            self.release(now, slot, |seat| seat.flush_if_due(now));
            let events = self
                .seats
                .get_mut(&slot)
                .and_then(|seat| seat.probe_if_due(now));
            if let Some(events) = events {
                self.publisher.publish(&events);
                self.reseat(now, slot);
            }
        }
    }

    /// Gives a client whose machine was rebuilt a new place on the link, which knows it no longer.
    fn reseat(&mut self, now: Now, slot: ClientSlot) {
        if let Some(seat) = self.seats.remove(&slot) {
            // One that could not be written from the start is on the link under its old number.
            self.tell_link(now, LinkInput::Detach { slot });
            let slot = self.seat(now, seat);
            self.tell_seat(now, slot, |seat| seat.reconnect(now));
        }
    }

    fn commit(&mut self, now: Now, slot: ClientSlot) {
        self.release(now, slot, |seat| seat.commit(now));
    }

    fn flush_seat(&mut self, slot: ClientSlot) {
        let now = self.clock.now();
        self.release(now, slot, Seat::flush);
    }

    fn flush_all(&mut self) {
        let slots: Vec<_> = self.seats.keys().copied().collect();
        for slot in slots {
            self.flush_seat(slot);
        }
    }

    /// Does something with a seat's store, and carries out what that releases.
    fn release(
        &mut self,
        now: Now,
        slot: ClientSlot,
        work: impl FnOnce(&mut Seat) -> Result<Released, StoreError>,
    ) {
        let Some(seat) = self.seats.get_mut(&slot) else {
            return;
        };
        match work(seat) {
            Ok(released) => self.carry_out(now, slot, released),
            Err(error) => self.fail(now, slot, &error),
        }
    }

    /// Send, then tell.
    fn carry_out(&mut self, now: Now, slot: ClientSlot, released: Released) {
        for request in released.requests {
            self.tell_link(now, LinkInput::Submit { slot, request });
        }
        for (effect, operation) in released.signatures {
            self.sign(slot, effect, operation);
        }
        if let Some(wish) = released.wish {
            self.tell_link(now, LinkInput::Wish { slot, wish });
        }
        self.publisher.publish(&released.events);
    }

    /// Hands an input to the link and carries out what follows.
    fn tell_link(&mut self, now: Now, input: LinkInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let LinkStep {
                effects,
                deliveries,
                state,
                wake_after,
            } = self.link.handle(now, input);
            self.link_wake_at = wake_after.map(|after| now.elapsed + after);
            self.deliveries.extend(deliveries);
            for effect in effects {
                inputs.extend(self.sockets.carry_out(effect));
            }
            if let Some(state) = state {
                self.board.connection.send_replace(state.clone());
                self.publisher
                    .publish(&[Event::ConnectionChanged { state }]);
            }
        }
    }

    /// Hands a seat something; one whose store fails loses its machine.
    fn tell_seat(
        &mut self,
        now: Now,
        slot: ClientSlot,
        tell: impl FnOnce(&mut Seat) -> Result<(), StoreError>,
    ) {
        let Some(seat) = self.seats.get_mut(&slot) else {
            return;
        };
        if let Err(error) = tell(seat) {
            self.fail(now, slot, &error);
        }
    }

    /// After a failed write nothing the machine wanted happens: it is dropped, and the socket with
    /// it, on which the service believes it present.
    fn fail(&mut self, now: Now, slot: ClientSlot, error: &StoreError) {
        if let Some(seat) = self.seats.get_mut(&slot) {
            let events = seat.fail(now, error);
            self.publisher.publish(&events);
        }
        self.tell_link(now, LinkInput::Detach { slot });
        if let Some(connection) = self.sockets.disconnect_any() {
            let close = None;
            self.tell_link(now, LinkInput::Disconnected { connection, close });
        }
    }

    /// Asks the app's signer, beside the loop.
    fn sign(&mut self, slot: ClientSlot, effect: EffectId, operation: SignedOperation) {
        let signer = self.seats.get(&slot).and_then(Seat::signer).cloned();
        self.signing.spawn(async move {
            let Some(signer) = signer else {
                return (slot, effect, Err("the app gave no signer".to_owned()));
            };
            // An app's code that panics fails this signature and nothing else.
            let asked = std::panic::AssertUnwindSafe(async move { signer(operation).await });
            let outcome = match timeout(SIGN_TIMEOUT, asked.catch_unwind()).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err("the signer panicked".to_owned()),
                Err(_) => Err("the signer did not answer in time".to_owned()),
            };
            (slot, effect, outcome)
        });
    }
}

/// The subprotocol that the configuration asks for.
const fn subprotocol(config: &Config) -> Subprotocol {
    Subprotocol {
        encoding: match config.payload {
            PayloadEncoding::Binary => Encoding::Binary,
            PayloadEncoding::Text => Encoding::Text,
        },
        offline_mode: match config.offline_mode {
            OfflineMode::Unread => wire::OfflineMode::Unread,
            OfflineMode::Push => wire::OfflineMode::Push,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerAddress;
    use crate::model::AppId;
    use crate::net::MemoryTransport;
    use crate::runtime::mailbox::Mailbox;
    use crate::store::MemoryDisk;
    use crate::sync::Request;

    #[tokio::test]
    async fn an_idle_loop_without_a_connection_wants_no_wake() {
        let server = ServerAddress::Socket {
            url: "ws://memory/".to_owned(),
        };
        let config = Config::new(AppId::new("app").unwrap(), "key", server, "/nowhere");
        let (transport, _peer) = MemoryTransport::pair();
        let (_mailbox, waiting) = Mailbox::new();
        let board = Arc::new(EngineBoard::default());
        let transport = Arc::new(transport);
        let mut driver = Driver::new(config, transport, waiting, Publisher::default(), board);
        let ann = ClientId::new("ann").unwrap();
        let newcomer = Newcomer::in_memory(&MemoryDisk::new(7), &ann);
        driver.attach(driver.clock.now(), newcomer);
        let (done, answer) = tokio::sync::oneshot::channel();
        let conversation = crate::model::NewConversation::default();
        driver.take(Input::Command(Command::Request {
            client: ann,
            request: Box::new(Request::CreateConversation { conversation }),
            done,
        }));
        driver.settle();
        answer.await.unwrap().unwrap();
        driver.flush_all();
        assert_eq!(
            driver.deadline(),
            None,
            "unsent work waits for a connection, not for time"
        );
    }
}
