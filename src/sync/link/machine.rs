//! The states of the connection, and the effect of each input in them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::requests::Requests;
use super::route::{Addresses, Way};
use super::step::{
    ClientSlot, ConnectionNumber, Delivery, LinkEffect, LinkInput, LinkOptions, LinkRequest,
    LinkStep, LinkWish, LookUpNumber, Unanswered,
};
use crate::model::{ClientId, ConnectionState, NetworkChange, Now};
use crate::sync::{Backoff, Randomness};
use crate::wire::{CloseCode, Command, Direction, Envelope, Frame, Op, ServiceCode, WireError};

/// The machine of the engine's one connection.
#[derive(Debug)]
pub struct Link {
    options: LinkOptions,
    randomness: Randomness,
    clients: BTreeMap<ClientSlot, Attached>,
    network: Network,
    lifecycle: Lifecycle,
    addresses: Addresses,
    requests: Requests,
    phase: LinkPhase,
    /// Attempts that failed since a frame last came.
    failures: u32,
    last_lookup: u64,
    last_connection: u64,
    reported: ConnectionState,
}

#[derive(Debug)]
struct Attached {
    client: ClientId,
    wish: LinkWish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// There is a network, as far as is known.
    Up,
    /// The operating system said that there is none.
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    Active,
    Paused,
    /// The service refuses the application; a new wish is a new chance.
    Refused,
}

/// The state of the connection, with the data that only this state has.
#[derive(Debug)]
enum LinkPhase {
    Idle,
    /// No network; a hint will end it.
    Offline,
    LookingUp {
        lookup: LookUpNumber,
        deadline: Duration,
    },
    Connecting {
        connection: ConnectionNumber,
        deadline: Duration,
    },
    Connected(Socket),
    Waiting {
        until: Duration,
        delay: Duration,
    },
}

/// An open socket and when it last showed life.
#[derive(Debug)]
struct Socket {
    connection: ConnectionNumber,
    /// The time at which the last frame came, or the socket opened.
    heard_at: Duration,
    /// The time at which the last heartbeat was sent.
    echoed_at: Option<Duration>,
    /// The time by which a frame must come, because the socket may be dead.
    doubted_until: Option<Duration>,
}

impl Link {
    /// A link that nobody wants yet.
    #[must_use]
    pub fn new(options: LinkOptions, randomness: Randomness) -> Self {
        Self {
            addresses: Addresses::new(&options.server),
            options,
            randomness,
            clients: BTreeMap::new(),
            network: Network::Up,
            lifecycle: Lifecycle::Active,
            requests: Requests::default(),
            phase: LinkPhase::Idle,
            failures: 0,
            last_lookup: 0,
            last_connection: 0,
            reported: ConnectionState::Idle,
        }
    }

    /// One input in, one step out.
    pub fn handle(&mut self, now: Now, input: LinkInput) -> LinkStep {
        let mut step = LinkStep::default();
        let now = now.elapsed;
        match input {
            LinkInput::Attach { slot, client } => {
                let wish = LinkWish::Idle;
                self.clients.insert(slot, Attached { client, wish });
            }
            LinkInput::Detach { slot } => {
                self.clients.remove(&slot);
                self.requests.forget(slot);
            }
            LinkInput::Wish { slot, wish } => self.wish(slot, wish, &mut step),
            LinkInput::Submit { slot, request } => self.submit(now, slot, request, &mut step),
            LinkInput::Pause => self.lifecycle = Lifecycle::Paused,
            LinkInput::Resume => self.resume(now, &mut step),
            LinkInput::Network(hint) => self.hint(now, hint, &mut step),
            LinkInput::Routed { lookup, answer } => self.routed(now, lookup, answer, &mut step),
            LinkInput::Connected {
                connection,
                subprotocol,
            } => self.connected(now, connection, subprotocol.as_deref(), &mut step),
            LinkInput::Disconnected { connection, close } => {
                self.disconnected(now, connection, close, &mut step);
            }
            LinkInput::Received { connection, frame } => {
                self.received(now, connection, &frame, &mut step);
            }
            LinkInput::Woke => self.woke(now, &mut step),
        }
        self.pursue(now, &mut step);
        self.report(&mut step);
        step.wake_after = self.next_wake().map(|at| at.saturating_sub(now));
        step
    }

    fn wish(&mut self, slot: ClientSlot, wish: LinkWish, step: &mut LinkStep) {
        let Some(attached) = self.clients.get_mut(&slot) else {
            return;
        };
        attached.wish = wish;
        if wish == LinkWish::Idle {
            return;
        }
        if self.lifecycle == Lifecycle::Refused {
            self.lifecycle = Lifecycle::Active;
        }
        self.addresses.doubt_if_failing();
        // Said again even if it was so already: the client may have gone and come in one round.
        if matches!(self.phase, LinkPhase::Connected(_)) {
            step.deliveries.push((slot, Delivery::Connected));
        }
    }

    fn submit(
        &mut self,
        now: Duration,
        slot: ClientSlot,
        request: LinkRequest,
        step: &mut LinkStep,
    ) {
        let outcome = self.send(now, slot, &request, step);
        if let (Some(tag), Err(reason)) = (request.tag, outcome) {
            let outcome = Err(reason);
            step.deliveries
                .push((slot, Delivery::Reply { tag, outcome }));
        }
    }

    fn send(
        &mut self,
        now: Duration,
        slot: ClientSlot,
        request: &LinkRequest,
        step: &mut LinkStep,
    ) -> Result<(), Unanswered> {
        let (LinkPhase::Connected(socket), Some(attached)) = (&self.phase, self.clients.get(&slot))
        else {
            return Err(Unanswered::NotConnected);
        };
        let connection = socket.connection;
        let mut envelope = request.envelope.clone().with_peer(attached.client.as_str());
        if let Command::Session { op: Op::Open, .. } = envelope.command {
            envelope.app_id = Some(self.options.app_id.as_str().to_owned());
        }
        let serial = request.tag.map(|tag| (self.requests.fresh_serial(), tag));
        envelope.serial = serial.map(|(serial, _)| serial);
        let frame = self.encode(&envelope).map_err(|_| Unanswered::TooLong)?;
        if let Some((serial, tag)) = serial {
            let deadline = now.saturating_add(self.options.limits.request_timeout);
            self.requests.expect(serial, slot, tag, deadline);
        }
        step.effects.push(LinkEffect::Send { connection, frame });
        Ok(())
    }

    fn encode(&self, envelope: &Envelope) -> Result<Frame<'static>, WireError> {
        let encoding = self.options.subprotocol.encoding;
        Frame::encode(envelope, encoding, Direction::ToService)
    }

    /// The app is back: a socket that slept may be dead, and a pause need not be waited for.
    fn resume(&mut self, now: Duration, step: &mut LinkStep) {
        if self.lifecycle == Lifecycle::Paused {
            self.lifecycle = Lifecycle::Active;
        }
        self.addresses.doubt_if_failing();
        self.hurry();
        self.doubt(now, step);
    }

    fn hint(&mut self, now: Duration, hint: NetworkChange, step: &mut LinkStep) {
        match hint {
            NetworkChange::Lost => self.network = Network::Down,
            NetworkChange::Back | NetworkChange::Switched => {
                self.network = Network::Up;
                self.addresses.doubt();
                self.hurry();
                if hint == NetworkChange::Switched {
                    self.doubt(now, step);
                }
            }
        }
    }

    /// Ends a pause between attempts: something changed for the better.
    fn hurry(&mut self) {
        if matches!(self.phase, LinkPhase::Waiting { .. }) {
            self.failures = 0;
            self.phase = LinkPhase::Idle;
        }
    }

    /// Asks an open socket for a sign of life, to be given within a request's time.
    fn doubt(&mut self, now: Duration, step: &mut LinkStep) {
        let timeout = self.options.limits.request_timeout;
        if let LinkPhase::Connected(socket) = &mut self.phase
            && socket.doubted_until.is_none()
        {
            socket.doubted_until = Some(now.saturating_add(timeout));
            self.echo(now, step);
        }
    }

    fn echo(&mut self, now: Duration, step: &mut LinkStep) {
        let LinkPhase::Connected(socket) = &mut self.phase else {
            return;
        };
        socket.echoed_at = Some(now);
        let connection = socket.connection;
        let serial = self.requests.fresh_serial();
        let echo = Envelope::new(Command::Echo).with_serial(serial);
        if let Ok(frame) = self.encode(&echo) {
            step.effects.push(LinkEffect::Send { connection, frame });
        }
    }

    fn routed(
        &mut self,
        now: Duration,
        answered: LookUpNumber,
        answer: Option<Vec<u8>>,
        step: &mut LinkStep,
    ) {
        match &self.phase {
            LinkPhase::LookingUp { lookup, .. } if *lookup == answered => {}
            _ => return,
        }
        match self.addresses.learn(now, answer.as_deref()) {
            Some(url) => self.connect(now, url, step),
            None => self.wait(now),
        }
    }

    fn connect(&mut self, now: Duration, url: String, step: &mut LinkStep) {
        self.last_connection += 1;
        let connection = ConnectionNumber(self.last_connection);
        let deadline = now.saturating_add(self.options.limits.connect_timeout);
        self.phase = LinkPhase::Connecting {
            connection,
            deadline,
        };
        step.effects.push(LinkEffect::Connect {
            connection,
            url,
            subprotocol: self.options.subprotocol,
        });
    }

    fn connected(
        &mut self,
        now: Duration,
        opened: ConnectionNumber,
        subprotocol: Option<&str>,
        step: &mut LinkStep,
    ) {
        match &self.phase {
            LinkPhase::Connecting { connection, .. } if *connection == opened => {}
            _ => return,
        }
        if subprotocol != Some(self.options.subprotocol.name()) {
            // A service that does not echo the proposed subprotocol would not understand our frames.
            self.drop_socket(now, step);
            return;
        }
        self.phase = LinkPhase::Connected(Socket {
            connection: opened,
            heard_at: now,
            echoed_at: None,
            doubted_until: None,
        });
        self.tell_all(&Delivery::Connected, step);
    }

    fn disconnected(
        &mut self,
        now: Duration,
        closed: ConnectionNumber,
        close: Option<CloseCode>,
        step: &mut LinkStep,
    ) {
        if self.phase.connection() != Some(closed) {
            return;
        }
        self.lose(step);
        match close {
            Some(code) if !code.allows_reconnect() => self.refuse(code.service_code(), step),
            _ => {
                self.addresses.failed();
                self.wait(now);
            }
        }
    }

    fn refuse(&mut self, code: ServiceCode, step: &mut LinkStep) {
        self.phase = LinkPhase::Idle;
        self.lifecycle = Lifecycle::Refused;
        self.tell_all(&Delivery::Refused { code }, step);
    }

    /// Answers everyone who waits and tells the clients, if the socket was open.
    fn lose(&mut self, step: &mut LinkStep) {
        if !matches!(self.phase, LinkPhase::Connected(_)) {
            return;
        }
        for (slot, tag) in self.requests.lose_all() {
            let outcome = Err(Unanswered::ConnectionLost);
            step.deliveries
                .push((slot, Delivery::Reply { tag, outcome }));
        }
        self.tell_all(&Delivery::Disconnected, step);
    }

    /// Gives a socket up that is open or opening, and plans the next attempt.
    fn drop_socket(&mut self, now: Duration, step: &mut LinkStep) {
        self.close(step);
        self.addresses.failed();
        self.wait(now);
    }

    /// Closes the socket, if there is one.
    fn close(&mut self, step: &mut LinkStep) {
        self.lose(step);
        if let Some(connection) = self.phase.connection() {
            step.effects.push(LinkEffect::Disconnect { connection });
        }
        self.phase = LinkPhase::Idle;
    }

    /// Plans the next attempt after a failure: the pause doubles, and chance spreads it, so that
    /// many devices do not come back in the same moment.
    fn wait(&mut self, now: Duration) {
        let limits = &self.options.limits;
        let backoff = Backoff::spread(limits.backoff_first, limits.backoff_max);
        let delay = backoff.pause(self.failures, &mut self.randomness);
        self.failures += 1;
        self.phase = LinkPhase::Waiting {
            until: now.saturating_add(delay),
            delay,
        };
    }

    fn received(
        &mut self,
        now: Duration,
        on: ConnectionNumber,
        frame: &Frame<'static>,
        step: &mut LinkStep,
    ) {
        match &mut self.phase {
            LinkPhase::Connected(socket) if socket.connection == on => {
                socket.heard_at = now;
                socket.echoed_at = None;
                socket.doubted_until = None;
            }
            _ => return,
        }
        self.failures = 0;
        self.addresses.proved();
        // A frame that cannot be read is dropped: it harms one request at most, which then times out.
        let encoding = self.options.subprotocol.encoding;
        if let Ok(envelope) = frame.decode(encoding, Direction::ToClient) {
            self.dispatch(now, envelope, step);
        }
    }

    fn dispatch(&mut self, now: Duration, envelope: Envelope, step: &mut LinkStep) {
        if let Some(serial) = envelope.serial {
            if let Some((slot, tag)) = self.requests.answered(serial) {
                let outcome = Ok(envelope);
                step.deliveries
                    .push((slot, Delivery::Reply { tag, outcome }));
            }
            return;
        }
        match envelope.command {
            Command::Goaway => {
                self.close(step);
                self.addresses.forget();
                self.wait(now);
            }
            Command::Echo => {}
            _ => self.notify(envelope, step),
        }
    }

    /// Hands a notification to the client it names; without a name to the only one there is.
    fn notify(&mut self, envelope: Envelope, step: &mut LinkStep) {
        let messaging = Envelope::SERVICE_MESSAGING;
        if envelope.service.is_some_and(|service| service != messaging) {
            return;
        }
        let mut online = self
            .clients
            .iter()
            .filter(|(_, attached)| attached.wish == LinkWish::Online);
        let slot = match &envelope.peer_id {
            Some(peer) => online
                .find(|(_, attached)| attached.client.as_str() == peer)
                .map(|(slot, _)| *slot),
            None => match (online.next(), online.next()) {
                (Some((slot, _)), None) => Some(*slot),
                _ => None,
            },
        };
        if let Some(slot) = slot {
            step.deliveries.push((slot, Delivery::Notified(envelope)));
        }
    }

    fn tell_all(&self, delivery: &Delivery, step: &mut LinkStep) {
        for (slot, attached) in &self.clients {
            if attached.wish == LinkWish::Online {
                step.deliveries.push((*slot, delivery.clone()));
            }
        }
    }

    fn woke(&mut self, now: Duration, step: &mut LinkStep) {
        for (slot, tag) in self.requests.expire(now) {
            let outcome = Err(Unanswered::TimedOut);
            step.deliveries
                .push((slot, Delivery::Reply { tag, outcome }));
        }
        match &self.phase {
            LinkPhase::Waiting { until, .. } if *until <= now => self.phase = LinkPhase::Idle,
            LinkPhase::LookingUp { deadline, .. } if *deadline <= now => {
                match self.addresses.learn(now, None) {
                    Some(url) => self.connect(now, url, step),
                    None => self.wait(now),
                }
            }
            LinkPhase::Connecting { deadline, .. } if *deadline <= now => {
                self.drop_socket(now, step)
            }
            LinkPhase::Connected(socket) if socket.dead_at(&self.options) <= now => {
                self.drop_socket(now, step);
            }
            LinkPhase::Connected(socket) if socket.echo_at(&self.options) <= now => {
                self.echo(now, step);
            }
            _ => {}
        }
    }

    /// Starts the wanted work that is not in progress, and stops the rest.
    fn pursue(&mut self, now: Duration, step: &mut LinkStep) {
        let wanted = self.lifecycle == Lifecycle::Active
            && self.clients.values().any(|it| it.wish == LinkWish::Online);
        match (&self.phase, wanted, self.network) {
            (LinkPhase::Idle, false, _) => {}
            (_, false, _) => {
                self.close(step);
                self.failures = 0;
            }
            // An open socket is the better witness: it stays until it is dead.
            (LinkPhase::Connected(_) | LinkPhase::Offline, true, Network::Down) => {}
            (_, true, Network::Down) => {
                self.close(step);
                self.phase = LinkPhase::Offline;
            }
            (LinkPhase::Idle | LinkPhase::Offline, true, Network::Up) => self.attempt(now, step),
            (_, true, Network::Up) => {}
        }
    }

    fn attempt(&mut self, now: Duration, step: &mut LinkStep) {
        match self.addresses.way(now) {
            Way::Try(url) => self.connect(now, url, step),
            Way::Ask(base) => {
                self.last_lookup += 1;
                let lookup = LookUpNumber(self.last_lookup);
                let deadline = now.saturating_add(self.options.limits.connect_timeout);
                self.phase = LinkPhase::LookingUp { lookup, deadline };
                step.effects.push(LinkEffect::LookUp { lookup, base });
            }
        }
    }

    fn report(&mut self, step: &mut LinkStep) {
        let attempt = self.failures;
        let state = match &self.phase {
            LinkPhase::Idle => ConnectionState::Idle,
            LinkPhase::Offline => ConnectionState::Offline,
            LinkPhase::LookingUp { .. } | LinkPhase::Connecting { .. } => {
                ConnectionState::Connecting { attempt }
            }
            LinkPhase::Connected(_) => ConnectionState::Connected,
            LinkPhase::Waiting { delay, .. } => ConnectionState::Waiting {
                attempt,
                delay: *delay,
            },
        };
        if state != self.reported {
            self.reported = state.clone();
            step.state = Some(state);
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        let phase = match &self.phase {
            LinkPhase::Idle | LinkPhase::Offline => None,
            LinkPhase::LookingUp { deadline, .. } | LinkPhase::Connecting { deadline, .. } => {
                Some(*deadline)
            }
            LinkPhase::Connected(socket) => Some(
                socket
                    .echo_at(&self.options)
                    .min(socket.dead_at(&self.options)),
            ),
            LinkPhase::Waiting { until, .. } => Some(*until),
        };
        let requests = self.requests.next_deadline();
        phase.into_iter().chain(requests).min()
    }
}

impl LinkPhase {
    /// The socket that is open or opening.
    const fn connection(&self) -> Option<ConnectionNumber> {
        match self {
            Self::Connecting { connection, .. } => Some(*connection),
            Self::Connected(socket) => Some(socket.connection),
            Self::Idle | Self::Offline | Self::LookingUp { .. } | Self::Waiting { .. } => None,
        }
    }
}

impl Socket {
    /// The time at which a heartbeat is due: after a silence, and again as long as the silence lasts.
    fn echo_at(&self, options: &LinkOptions) -> Duration {
        let silent_since = self.echoed_at.unwrap_or(self.heard_at);
        silent_since.saturating_add(options.limits.heartbeat_interval)
    }

    /// The time at which the socket counts as dead.
    fn dead_at(&self, options: &LinkOptions) -> Duration {
        let silent = self.heard_at.saturating_add(options.limits.dead_after);
        self.doubted_until.map_or(silent, |doubt| doubt.min(silent))
    }
}
