//! Carrying out: what devices, service and network want done, and what comes of it.

use std::time::Duration;

use sampan::Secret;
use sampan::model::Now;
use sampan::sync::ClientInput;
use sampan::sync::Signature;
use sampan::sync::link::{ConnectionNumber, LinkInput};
use sampan::wire::generated::SessionCommand;
use sampan::wire::route::Route;
use sampan::wire::{
    CloseCode, Command, Direction, Encoding, Envelope, Frame, OfflineMode, Op, Subprotocol,
};
use sampan_service::core::{ConnectionId, Effect, Input};

use crate::check;
use crate::device::{Device, Out};
use crate::mutation::Mutation;
use crate::network::Meddling;
use crate::seam;
use crate::server::Broken;
use crate::world::{Address, Happening, READ_TIMEOUT, World};

/// How long a device is off after a power cut.
const OFF: Duration = Duration::from_secs(2);

impl World {
    /// Something planned happens.
    pub(crate) fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        let device = match &happening {
            Happening::Routed { device, .. }
            | Happening::Handshake { device, .. }
            | Happening::Signed { device, .. } => Some(*device),
            Happening::Down { to, .. } | Happening::DownClosed { to, .. } => Some(to.device),
            _ => None,
        };
        if let Some(until) = device.and_then(|device| self.busy(device)) {
            self.plan_for(until, happening);
            return Ok(());
        }
        match happening {
            Happening::Act(number) => self.act(number),
            Happening::Strike(number) => self.strike(number),
            Happening::Routed {
                device,
                boot,
                lookup,
            } => {
                let answer = (self.router_down_until <= self.now).then(route);
                let input = LinkInput::Routed { lookup, answer };
                self.tell_link(device, boot, input)
            }
            Happening::Handshake {
                device,
                boot,
                number,
            } => self.shake_hands(device, boot, number),
            Happening::Up { socket, frame } => self.arrive_up(socket, &frame),
            Happening::UpClosed { socket } => self.lose(socket),
            Happening::Down { to, frame } => self.arrive_down(to, frame),
            Happening::DownClosed { to, close } => {
                let connection = to.number;
                let input = LinkInput::Disconnected { connection, close };
                self.tell_link(to.device, to.boot, input)
            }
            Happening::Patience { socket } => self.lose_patience(socket),
            Happening::Signed {
                device,
                boot,
                slot,
                effect,
            } => {
                let outcome = if self.dice.chance(200) && !self.healed {
                    Err("the app's server is down".to_owned())
                } else {
                    Ok(Signature {
                        signature: Secret::new("00"),
                        timestamp: 0,
                        nonce: "nonce".to_owned(),
                    })
                };
                if self.is_boot(device, boot) {
                    let input = ClientInput::Signed { effect, outcome };
                    return self.answer_signed(device, slot, input);
                }
                Ok(())
            }
            Happening::Boot(device) => self.boot(device),
            Happening::MendDisk(device) => {
                if let Some(device) = self.devices.get_mut(device) {
                    device.break_disk(None);
                }
                Ok(())
            }
            Happening::Resume(device) => {
                self.with_device(device, |it, now| it.link(now, LinkInput::Resume))
            }
            Happening::ServiceUp => {
                self.server.start();
                self.busy_at = self.now;
                Ok(())
            }
        }
    }

    fn is_boot(&self, device: usize, boot: u32) -> bool {
        self.devices.get(device).is_some_and(|it| it.boot == boot)
    }

    fn tell_link(&mut self, device: usize, boot: u32, input: LinkInput) -> Result<(), Broken> {
        if !self.is_boot(device, boot) {
            return Ok(());
        }
        self.with_device(device, |it, now| it.link(now, input))
    }

    /// Switches a device on, now or as soon as its disk lets it.
    pub(crate) fn boot(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.device_now(index);
        let Some(device) = self.devices.get_mut(index) else {
            return Ok(());
        };
        if device.desk().is_some() {
            return Ok(());
        }
        self.busy_at = self.now;
        self.trace
            .note(self.now, "boot", index, &[], || format!("device {index}"));
        if !device.start(now) {
            let at = self.now + Duration::from_secs(1);
            self.plan_for(at, Happening::Boot(index));
            return Ok(());
        }
        // An app that was online when it died goes online when it starts.
        let online = device.boot > 1;
        if online {
            let mode = sampan::sync::SignIn::Yield;
            let request = sampan::sync::Request::Connect { mode };
            let call = crate::ledger::Call::Other;
            self.with_device(index, |it, now| it.call(now, request, call))?;
        }
        Ok(())
    }

    /// Cuts a device's power: its sockets break.
    pub(crate) fn cut_power(&mut self, index: usize) -> Result<(), Broken> {
        self.counts.crashes += 1;
        self.trace
            .note(self.now, "crash", index, &[], || format!("device {index}"));
        if let Some(device) = self.devices.get_mut(index) {
            device.cut_power();
            for call in std::mem::take(&mut device.unheard) {
                self.ledger.unheard(index, &call);
            }
        }
        for socket in self.network.all_of(index) {
            match self.network.up(self.now, socket) {
                Some(at) => self.plan_for(at, Happening::UpClosed { socket }),
                None => {
                    // A deaf socket stays, and the service finds out by itself.
                }
            }
        }
        Ok(())
    }

    /// Hands something to a device and carries out what follows.
    pub(crate) fn with_device(
        &mut self,
        index: usize,
        work: impl FnOnce(&mut Device, Now) -> Vec<Out>,
    ) -> Result<(), Broken> {
        let now = self.device_now(index);
        let Some(device) = self.devices.get_mut(index) else {
            return Ok(());
        };
        let out = work(device, now);
        let boot = device.boot;
        for call in std::mem::take(&mut device.unheard) {
            self.ledger.unheard(index, &call);
        }
        for out in out {
            self.carry_out(index, boot, out)?;
        }
        check::device_step(self, index);
        Ok(())
    }

    fn carry_out(&mut self, index: usize, boot: u32, out: Out) -> Result<(), Broken> {
        let from = self.busy(index).unwrap_or(self.now);
        match out {
            Out::LookUp(lookup) => {
                self.trace.note(self.now, "look-up", index, &[], || {
                    format!("device {index}")
                });
                if !self.network.is_split(self.now, index) {
                    let at = from + self.network.delay(self.now, index) * 2;
                    let device = index;
                    self.plan_for(
                        at,
                        Happening::Routed {
                            device,
                            boot,
                            lookup,
                        },
                    );
                }
            }
            Out::Connect(number) => {
                if !self.network.is_split(self.now, index) {
                    let at = from + self.network.delay(self.now, index) * 2;
                    let device = index;
                    self.plan_for(
                        at,
                        Happening::Handshake {
                            device,
                            boot,
                            number,
                        },
                    );
                }
            }
            Out::Disconnect(number) => {
                if let Some(socket) = self.network.of(index, boot, number)
                    && let Some(at) = self.network.up(from, socket)
                {
                    self.plan_for(at, Happening::UpClosed { socket });
                }
            }
            Out::Send(number, frame) => {
                if let Some(socket) = self.network.of(index, boot, number)
                    && let Some(at) = self.network.up(from, socket)
                {
                    self.plan_for(at, Happening::Up { socket, frame });
                }
            }
            Out::Answer(call, answer) => {
                self.trace.note(self.now, "answer", index, &[], || {
                    format!("device {index}: {call:?} -> {answer:?}")
                });
                self.ledger.answered(index, call, *answer);
            }
            Out::Sign(slot, effect) => {
                let at = from + self.dice.millis(5, 5_000);
                let device = index;
                self.plan_for(
                    at,
                    Happening::Signed {
                        device,
                        boot,
                        slot,
                        effect,
                    },
                );
            }
            Out::Committed(changes) => self.committed(index, changes),
            Out::Session(state) => {
                self.trace.note(self.now, "session", index, &[], || {
                    format!("device {index}: {state:?}")
                });
            }
            Out::Died => {
                self.cut_power(index)?;
                self.plan_for(self.now + OFF, Happening::Boot(index));
            }
            Out::Spinning => self.violate("bounded", format!("device {index} spins")),
        }
        Ok(())
    }

    fn committed(&mut self, index: usize, changes: usize) {
        self.counts.commits += 1;
        self.busy_at = self.now;
        let bytes = changes.to_le_bytes();
        self.trace.note(self.now, "commit", index, &bytes, || {
            format!("device {index}: {changes} changes")
        });
        let weather = self.network.weather(index);
        if weather.slow_disk_until > self.now
            && let Some(device) = self.devices.get_mut(index)
        {
            device.busy_until = self.now + weather.slow_disk;
        }
    }

    fn shake_hands(
        &mut self,
        device: usize,
        boot: u32,
        number: ConnectionNumber,
    ) -> Result<(), Broken> {
        if !self.is_boot(device, boot) || self.network.is_split(self.now, device) {
            return Ok(());
        }
        if self.refuse_until > self.now || !self.server.is_up() {
            let close = None;
            let connection = number;
            let input = LinkInput::Disconnected { connection, close };
            return self.tell_link(device, boot, input);
        }
        let connection = self.network.open(self.now, device, boot, number);
        let patience = self.now + READ_TIMEOUT;
        let socket = connection;
        self.plan_for(patience, Happening::Patience { socket });
        let mode = OfflineMode::Unread;
        self.service(Input::Connected { connection, mode })?;
        let input = LinkInput::Connected {
            connection: number,
            subprotocol: Some(Subprotocol::DEFAULT.name().to_owned()),
        };
        self.tell_link(device, boot, input)
    }

    /// A frame of a device reaches the service.
    fn arrive_up(&mut self, id: ConnectionId, frame: &Frame<'static>) -> Result<(), Broken> {
        let Some(socket) = self.network.sockets.get_mut(&id).filter(|it| !it.deaf) else {
            return Ok(());
        };
        socket.heard_at = self.now;
        let device = socket.device;
        self.counts.frames += 1;
        let decoded = frame.decode(Encoding::Binary, Direction::ToService);
        let mut envelope = decoded.map_err(|error| Broken(format!("a bad frame: {error}")))?;
        if !matches!(envelope.command, Command::Echo) {
            self.busy_at = self.now;
        }
        let bytes = frame_bytes(frame);
        self.trace.note(self.now, "up", device, bytes, || {
            format!(
                "device {device} -> service {id:?}: {}",
                described(&envelope)
            )
        });
        match self.network.meddle(self.now, device, &mut envelope) {
            Meddling::None => {}
            Meddling::Ignored => return Ok(()),
            Meddling::Answered(envelope) => {
                self.send_down(id, *envelope);
                return Ok(());
            }
        }
        let envelope = match self.plan.mutation {
            Some(mutation) => seam::up(mutation, envelope),
            None => Some(envelope),
        };
        match envelope {
            Some(envelope) => self.service(Input::Received {
                connection: id,
                envelope: Box::new(envelope),
            }),
            None => Ok(()),
        }
    }

    fn arrive_down(&mut self, to: Address, frame: Frame<'static>) -> Result<(), Broken> {
        if self
            .network
            .sockets
            .get(&to.socket)
            .is_some_and(|it| it.deaf)
        {
            return Ok(());
        }
        self.counts.frames += 1;
        let device = to.device;
        let bytes = frame_bytes(&frame);
        self.trace.note(self.now, "down", device, bytes, || {
            let decoded = frame.decode(Encoding::Binary, Direction::ToClient);
            let line = decoded.map_or_else(|error| error.to_string(), |it| described(&it));
            format!("service -> device {device} {:?}: {line}", to.socket)
        });
        let connection = to.number;
        self.tell_link(device, to.boot, LinkInput::Received { connection, frame })
    }

    /// The service hears nothing of a socket any more.
    pub(crate) fn lose(&mut self, socket: ConnectionId) -> Result<(), Broken> {
        if self.network.sockets.remove(&socket).is_none() {
            return Ok(());
        }
        self.service(Input::Lost { connection: socket })
    }

    fn lose_patience(&mut self, id: ConnectionId) -> Result<(), Broken> {
        let Some(socket) = self.network.sockets.get(&id) else {
            return Ok(());
        };
        let until = socket.heard_at + READ_TIMEOUT;
        if until > self.now {
            self.plan_for(until, Happening::Patience { socket: id });
            return Ok(());
        }
        self.close_down(id, Some(CloseCode::READ_TIMEOUT));
        self.lose(id)
    }

    /// The service ends a socket; the device hears of it unless the socket is deaf.
    pub(crate) fn close_down(&mut self, id: ConnectionId, close: Option<CloseCode>) {
        let Some(to) = self.address(id) else { return };
        let echo = Envelope::new(Command::Echo);
        let at = self.network.down(self.now, id, &echo).first().copied();
        if let Some(at) = at {
            self.plan_for(at, Happening::DownClosed { to, close });
        }
    }

    fn address(&self, id: ConnectionId) -> Option<Address> {
        let socket = self.network.sockets.get(&id)?;
        Some(Address {
            device: socket.device,
            boot: socket.boot,
            number: socket.number,
            socket: id,
        })
    }

    /// The service handles an input, commits, and lets everybody know.
    pub(crate) fn service(&mut self, input: Input) -> Result<(), Broken> {
        if !self.server.is_up() {
            return Ok(());
        }
        let now = self.service_now();
        let effects = self.server.handle(now, input)?;
        if self.service_disk_full && effects.iter().any(|it| matches!(it, Effect::Send { .. })) {
            self.service_disk_full = false;
            let effects = self.server.abandon();
            return self.carry_out_effects(effects);
        }
        if self.plan.mutation != Some(Mutation::ServiceTellsFirst) || !self.downs.is_multiple_of(3)
        {
            self.server.commit()?;
        }
        self.carry_out_effects(effects)
    }

    fn carry_out_effects(&mut self, effects: Vec<Effect>) -> Result<(), Broken> {
        for effect in effects {
            match effect {
                Effect::Send {
                    connection,
                    envelope,
                    ..
                } => self.send_down(connection, *envelope),
                Effect::Close { connection, code } => {
                    self.close_down(connection, Some(code));
                    self.others.retain(|_, other| *other != connection);
                    self.lose(connection)?;
                }
                Effect::Answer { .. } => {}
                Effect::Report(text) => self.violate("service", text),
            }
        }
        Ok(())
    }

    /// Sends a command to a device, as the network lets it through.
    pub(crate) fn send_down(&mut self, id: ConnectionId, envelope: Envelope) {
        let Some(to) = self.address(id) else { return };
        self.downs += 1;
        let envelope = match self.plan.mutation {
            Some(mutation) => seam::down(mutation, self.downs, envelope),
            None => Some(envelope),
        };
        let Some(envelope) = envelope else { return };
        if !matches!(envelope.command, Command::Echo) {
            self.busy_at = self.now;
        }
        let Ok(frame) = Frame::encode(&envelope, Encoding::Binary, Direction::ToClient) else {
            self.violate("service", "a frame that is too long".to_owned());
            return;
        };
        for at in self.network.down(self.now, id, &envelope) {
            let frame = frame.clone();
            self.plan_for(at, Happening::Down { to, frame });
        }
    }

    /// An operator sends a client away: its session is closed, and it is told why.
    pub(crate) fn kick(&mut self, device: usize) -> Result<(), Broken> {
        for id in self.network.all_of(device) {
            let Some(client) = self.devices.get(device).map(Device::client) else {
                continue;
            };
            let peer = client.as_str().to_owned();
            let body = SessionCommand {
                code: Some(4115),
                reason: Some("KICKED_BY_APP".to_owned()),
                ..SessionCommand::default()
            };
            let now = self.service_now();
            let closed = Command::session(Op::Closed, body);
            let closed = Envelope::notification(peer.clone(), now.wall, closed);
            let close = Command::session(Op::Close, SessionCommand::default());
            let close = Envelope::new(close).with_peer(peer);
            let input = Input::Received {
                connection: id,
                envelope: Box::new(close),
            };
            // The reply to what the operator did is not the device's.
            if self.server.is_up() {
                drop(self.server.handle(now, input)?);
                self.server.commit()?;
            }
            self.send_down(id, closed);
        }
        Ok(())
    }
}

fn frame_bytes<'a>(frame: &'a Frame<'static>) -> &'a [u8] {
    match frame {
        Frame::Binary(bytes) => bytes,
        Frame::Text(text) => text.as_bytes(),
    }
}

/// A command in a line. Its `Debug` shows no words of users.
fn described(envelope: &Envelope) -> String {
    let serial = envelope
        .serial
        .map_or_else(String::new, |serial| format!("#{serial} "));
    format!("{serial}{:?}", envelope.command)
}

fn route() -> Vec<u8> {
    let route = Route {
        server: "wss://service".to_owned(),
        secondary: None,
        ttl_secs: 3600,
    };
    route.encode().to_string().into_bytes()
}
