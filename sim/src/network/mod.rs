//! The network between engines and service: sockets that keep the order of their frames, until a fault strikes
//! them.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | sockets, and the faults around each engine |
//! | `counters.rs` | the requests of each client |
//! | `refusals.rs` | requests that are refused, ignored or throttled before the service sees them |

pub(crate) mod counters;
pub(crate) mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sampan::sync::link::ConnectionNumber;
use sampan::wire::{Command, Envelope};
use sampan_service::core::ConnectionId;

use crate::dice::Dice;
use crate::faults::kinds::RouterTrouble;
use crate::shape::Limiter;
use counters::Counters;

/// The time that a slow disk takes for a commit, and the time until which it is slow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SlowDisk {
    pub(crate) pause: Duration,
    pub(crate) until: Duration,
}

/// The conditions around one engine. Each condition holds until a time; a past one is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) split_until: Duration,
    pub(crate) lag: Duration,
    pub(crate) lag_until: Duration,
    pub(crate) reorder_until: Duration,
    pub(crate) duplicate_until: Duration,
    pub(crate) ignore_until: Duration,
    pub(crate) mute_until: Duration,
    pub(crate) refuse: i32,
    pub(crate) refuse_until: Duration,
    pub(crate) refuse_sign_in: i32,
    pub(crate) refuse_sign_in_until: Duration,
    pub(crate) slow_disk: SlowDisk,
    pub(crate) forget_token: bool,
}

/// One socket, from the handshake on.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) engine: usize,
    pub(crate) boot: u32,
    pub(crate) number: ConnectionNumber,
    /// A deaf socket carries nothing, and neither end is told.
    pub(crate) deaf: bool,
    /// The time at which the last frame in each direction arrives: none overtakes another.
    up_at: Duration,
    down_at: Duration,
    /// Requests on the socket that were not answered yet.
    pub(crate) unanswered: usize,
    /// The time at which the service last heard from the engine.
    pub(crate) heard_at: Duration,
}

/// All sockets, and the chance that moves their frames.
pub(crate) struct Network {
    pub(crate) sockets: BTreeMap<ConnectionId, Socket>,
    pub(crate) weather: Vec<Weather>,
    pub(crate) limiter: Limiter,
    pub(crate) counters: Counters,
    /// The requests that each client sent, with any outcome.
    pub(crate) asked: Counters,
    /// The numbers of refusals that each engine was given.
    pub(crate) refused: BTreeMap<usize, BTreeSet<i32>>,
    /// The trouble of the router, and the time until which it lasts.
    pub(crate) router_trouble: Option<(RouterTrouble, Duration)>,
    /// The connections of users at other programs.
    pub(crate) others: BTreeMap<usize, ConnectionId>,
    /// Frames that went down, for the planted faults.
    pub(crate) downs: u64,
    dice: Vec<Dice>,
    next: u64,
}

impl Network {
    pub(crate) fn new(seed: u64, engines: usize, limiter: Limiter) -> Self {
        let dice = (0..engines).map(|engine| Dice::stream(seed, &format!("network {engine}")));
        Self {
            sockets: BTreeMap::new(),
            weather: vec![Weather::default(); engines],
            limiter,
            counters: Counters::default(),
            asked: Counters::default(),
            refused: BTreeMap::new(),
            router_trouble: None,
            others: BTreeMap::new(),
            downs: 0,
            dice: dice.collect(),
            next: 0,
        }
    }

    /// A connection of the service that nobody had before.
    pub(crate) fn fresh(&mut self) -> ConnectionId {
        self.next += 1;
        ConnectionId(self.next)
    }

    pub(crate) fn open(
        &mut self,
        now: Duration,
        engine: usize,
        boot: u32,
        number: ConnectionNumber,
    ) -> ConnectionId {
        let id = self.fresh();
        let socket = Socket {
            engine,
            boot,
            number,
            deaf: false,
            up_at: now,
            down_at: now,
            unanswered: 0,
            heard_at: now,
        };
        self.sockets.insert(id, socket);
        id
    }

    /// The connection of an engine's socket.
    pub(crate) fn of(
        &self,
        engine: usize,
        boot: u32,
        number: ConnectionNumber,
    ) -> Option<ConnectionId> {
        let found = self.sockets.iter().find(|(_, socket)| {
            socket.engine == engine && socket.boot == boot && socket.number == number
        });
        found.map(|(id, _)| *id)
    }

    /// Every connection of an engine.
    pub(crate) fn all_of(&self, engine: usize) -> Vec<ConnectionId> {
        let found = self.sockets.iter().filter(|(_, it)| it.engine == engine);
        found.map(|(id, _)| *id).collect()
    }

    /// Writes down the numbers with which a command to an engine refuses something.
    pub(crate) fn note_refusals(&mut self, engine: usize, command: &Command) {
        let codes = self.refused.entry(engine).or_default();
        match command {
            Command::Error(body) => codes.extend([body.code]),
            Command::Ack(body) => codes.extend(body.code),
            Command::Session { body, .. } => codes.extend(body.code),
            Command::Conv { body, .. } => codes.extend(body.failed_pids.iter().map(|it| it.code)),
            _ => {}
        }
    }

    pub(crate) fn is_split(&self, now: Duration, engine: usize) -> bool {
        self.weather(engine).split_until > now
    }

    pub(crate) fn weather(&self, engine: usize) -> Weather {
        self.weather.get(engine).cloned().unwrap_or_default()
    }

    /// The delay of anything on its way to or from an engine.
    pub(crate) fn delay(&mut self, now: Duration, engine: usize) -> Duration {
        let weather = self.weather(engine);
        let Some(dice) = self.dice.get_mut(engine) else {
            return Duration::ZERO;
        };
        let usual = dice.millis(5, 80);
        let lag = u64::try_from(weather.lag.as_millis()).unwrap_or(0);
        if weather.lag_until > now {
            usual + dice.millis(0, lag)
        } else {
            usual
        }
    }

    /// True for one of two, under the condition.
    pub(crate) fn strikes(&mut self, now: Duration, engine: usize, until: Duration) -> bool {
        until > now
            && self
                .dice
                .get_mut(engine)
                .is_some_and(|dice| dice.chance(500))
    }

    /// True if a page of history comes in another order than the service's.
    pub(crate) fn shuffles(&mut self, now: Duration, engine: usize) -> bool {
        let until = self.weather(engine).reorder_until;
        self.strikes(now, engine, until)
    }

    /// The time at which a frame from the engine arrives at the service; none if it never does.
    pub(crate) fn up(&mut self, now: Duration, id: ConnectionId) -> Option<Duration> {
        let engine = self.sockets.get(&id)?.engine;
        let delay = self.delay(now, engine);
        let socket = self.sockets.get_mut(&id).filter(|socket| !socket.deaf)?;
        socket.up_at = socket.up_at.max(now + delay);
        Some(socket.up_at)
    }

    /// The times at which a frame from the service arrives at the engine: once, twice, or never if the socket
    /// is deaf. Later frames may overtake an answer.
    pub(crate) fn down(
        &mut self,
        now: Duration,
        id: ConnectionId,
        envelope: &Envelope,
    ) -> Vec<Duration> {
        let Some(engine) = self.sockets.get(&id).map(|socket| socket.engine) else {
            return Vec::new();
        };
        let weather = self.weather(engine);
        let is_answer = envelope.serial.is_some();
        let opened = matches!(envelope.command, Command::Session { .. });
        if is_answer && !opened && self.strikes(now, engine, weather.mute_until) {
            return Vec::new();
        }
        let delay = self.delay(now, engine);
        let late = is_answer && !opened && self.strikes(now, engine, weather.reorder_until);
        let twice = self.strikes(now, engine, weather.duplicate_until);
        let extra = self.delay(now, engine) * 20;
        let Some(socket) = self.sockets.get_mut(&id).filter(|socket| !socket.deaf) else {
            return Vec::new();
        };
        let mut arrivals = Vec::new();
        if late {
            arrivals.push(socket.down_at.max(now + delay) + extra);
        } else {
            socket.down_at = socket.down_at.max(now + delay);
            arrivals.push(socket.down_at);
        }
        if twice {
            let again = socket.down_at + extra;
            arrivals.push(again);
        }
        arrivals
    }
}
