//! The network between devices and service: sockets that keep the order of what they carry, until
//! something goes wrong with them.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::sync::link::ConnectionNumber;
use sampan::wire::generated::{AckCommand, ErrorCommand};
use sampan::wire::{Command, Envelope, Op, ServiceCode};
use sampan_service::core::ConnectionId;

use crate::dice::Dice;

/// What goes on around one device. Each condition holds until a time; a past one is none.
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
    pub(crate) slow_disk: Duration,
    pub(crate) slow_disk_until: Duration,
    pub(crate) forget_token: bool,
}

/// One socket, from the handshake on.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) device: usize,
    pub(crate) boot: u32,
    pub(crate) number: ConnectionNumber,
    /// A deaf socket carries nothing, and neither end is told.
    pub(crate) deaf: bool,
    /// When the last frame in each direction arrives: none overtakes another.
    up_at: Duration,
    down_at: Duration,
    /// When the service last heard from the device.
    pub(crate) heard_at: Duration,
}

/// All sockets, and the chance that moves their frames.
pub(crate) struct Network {
    pub(crate) sockets: BTreeMap<ConnectionId, Socket>,
    pub(crate) weather: Vec<Weather>,
    dice: Vec<Dice>,
    next: u64,
}

impl Network {
    pub(crate) fn new(seed: u64, devices: usize) -> Self {
        let dice = (0..devices).map(|device| Dice::stream(seed, &format!("network {device}")));
        Self {
            sockets: BTreeMap::new(),
            weather: vec![Weather::default(); devices],
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
        device: usize,
        boot: u32,
        number: ConnectionNumber,
    ) -> ConnectionId {
        let id = self.fresh();
        let socket = Socket {
            device,
            boot,
            number,
            deaf: false,
            up_at: now,
            down_at: now,
            heard_at: now,
        };
        self.sockets.insert(id, socket);
        id
    }

    /// The connection of a device's socket.
    pub(crate) fn of(
        &self,
        device: usize,
        boot: u32,
        number: ConnectionNumber,
    ) -> Option<ConnectionId> {
        let found = self.sockets.iter().find(|(_, socket)| {
            socket.device == device && socket.boot == boot && socket.number == number
        });
        found.map(|(id, _)| *id)
    }

    /// Every connection of a device.
    pub(crate) fn all_of(&self, device: usize) -> Vec<ConnectionId> {
        let found = self.sockets.iter().filter(|(_, it)| it.device == device);
        found.map(|(id, _)| *id).collect()
    }

    pub(crate) fn is_split(&self, now: Duration, device: usize) -> bool {
        self.weather(device).split_until > now
    }

    pub(crate) fn weather(&self, device: usize) -> Weather {
        self.weather.get(device).cloned().unwrap_or_default()
    }

    /// How long something takes to or from a device.
    pub(crate) fn delay(&mut self, now: Duration, device: usize) -> Duration {
        let weather = self.weather(device);
        let Some(dice) = self.dice.get_mut(device) else {
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

    /// One of two, under the condition.
    pub(crate) fn strikes(&mut self, now: Duration, device: usize, until: Duration) -> bool {
        until > now
            && self
                .dice
                .get_mut(device)
                .is_some_and(|dice| dice.chance(500))
    }

    /// When a frame from the device arrives at the service; none if it never does.
    pub(crate) fn up(&mut self, now: Duration, id: ConnectionId) -> Option<Duration> {
        let device = self.sockets.get(&id)?.device;
        let delay = self.delay(now, device);
        let socket = self.sockets.get_mut(&id).filter(|socket| !socket.deaf)?;
        socket.up_at = socket.up_at.max(now + delay);
        Some(socket.up_at)
    }

    /// When a frame from the service arrives at the device, once or twice; never if the socket is
    /// deaf. An answer may be overtaken by what is sent after it.
    pub(crate) fn down(
        &mut self,
        now: Duration,
        id: ConnectionId,
        envelope: &Envelope,
    ) -> Vec<Duration> {
        let Some(device) = self.sockets.get(&id).map(|socket| socket.device) else {
            return Vec::new();
        };
        let weather = self.weather(device);
        let is_answer = envelope.serial.is_some();
        let opened = matches!(envelope.command, Command::Session { .. });
        if is_answer && !opened && self.strikes(now, device, weather.mute_until) {
            return Vec::new();
        }
        let delay = self.delay(now, device);
        let late = is_answer && !opened && self.strikes(now, device, weather.reorder_until);
        let twice = self.strikes(now, device, weather.duplicate_until);
        let extra = self.delay(now, device) * 20;
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

    /// What the service's front does with a request of the device instead of serving it.
    pub(crate) fn meddle(
        &mut self,
        now: Duration,
        device: usize,
        envelope: &mut Envelope,
    ) -> Meddling {
        let weather = self.weather(device);
        if let Command::Session { op: Op::Open, body } = &mut envelope.command {
            if weather.forget_token && body.st.is_some() {
                body.st = Some("a token that nobody knows".to_owned());
                if let Some(weather) = self.weather.get_mut(device) {
                    weather.forget_token = false;
                }
            }
            return Meddling::None;
        }
        if envelope.serial.is_none() || matches!(envelope.command, Command::Echo) {
            return Meddling::None;
        }
        if self.strikes(now, device, weather.ignore_until) {
            return Meddling::Ignored;
        }
        if self.strikes(now, device, weather.refuse_until) {
            return Meddling::Answered(Box::new(refusal(envelope, weather.refuse)));
        }
        Meddling::None
    }
}

/// What becomes of a request before the service sees it.
pub(crate) enum Meddling {
    None,
    Ignored,
    Answered(Box<Envelope>),
}

fn refusal(request: &Envelope, code: i32) -> Envelope {
    let reason = ServiceCode::new(code).name().to_owned();
    let command = match &request.command {
        Command::Direct(_) => Command::ack(AckCommand {
            code: Some(code),
            reason: Some(reason),
            ..AckCommand::default()
        }),
        _ => Command::Error(ErrorCommand {
            code,
            reason,
            ..ErrorCommand::default()
        }),
    };
    request.reply(command)
}
