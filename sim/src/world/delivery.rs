//! Carries out the effects of devices, service and network.

use std::time::Duration;

use sampan::Secret;
use sampan::sync::link::{ConnectionNumber, LinkInput};
use sampan::sync::{Connect, OperationSignature, SignIn};
use sampan::wire::generated::SessionCommand;
use sampan::wire::route::Route;
use sampan::wire::{CloseCode, Command, Direction, Encoding, Envelope, Frame, Op, Subprotocol};
use sampan_service::core::{ConnectionId, Effect, Input};

use crate::checks::ledger::Call;
use crate::devices::engine::{Engine, SERVICE};
use crate::devices::wants::Destination;
use crate::faults::kinds::{CommitPart, RouterTrouble};
use crate::faults::planted::Mutation;
use crate::faults::planted_frames;
use crate::network::refusals::Meddling;
use crate::service::Broken;
use crate::trace::terse;
use crate::world::{Address, Happening, READ_TIMEOUT, World};

/// The most requests on a socket that may wait for answers, lost ones included.
const UNANSWERED_MAX: usize = 500;

/// The address to which a router in trouble sends engines.
const NOWHERE: &str = "wss://nowhere";

impl World {
    /// The time until which a happening has to wait for an engine: its disk is slow, or others wait already.
    fn waits_until(&mut self, engine: usize) -> Option<Duration> {
        let now = self.now;
        let engine = self.engines.get_mut(engine)?;
        let until = engine.busy_until.max(engine.waiting_until);
        engine.waiting_until = until;
        Some(until).filter(|until| *until > now)
    }

    /// Something planned happens.
    pub(crate) fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        let engine = happening.engine();
        if let Some(until) = engine.and_then(|engine| self.waits_until(engine)) {
            self.plan_for(until, happening);
            return Ok(());
        }
        match happening {
            Happening::Act(number) => self.act(number),
            Happening::Strike(number) => self.strike(number),
            Happening::Routed {
                engine,
                boot,
                lookup,
            } => {
                let answer = match self.router_trouble() {
                    Some(RouterTrouble::Down) => None,
                    Some(RouterTrouble::Nonsense) => Some(b"<html>come in</html>".to_vec()),
                    Some(RouterTrouble::Elsewhere) => Some(route(NOWHERE, Some(SERVICE))),
                    Some(RouterTrouble::Slow) | None => Some(route(SERVICE, None)),
                };
                let input = LinkInput::Routed { lookup, answer };
                self.tell_link(engine, boot, input)
            }
            Happening::Handshake {
                engine,
                boot,
                number,
                place,
            } => self.shake_hands(engine, boot, number, place),
            Happening::Up { socket, frame } => self.arrive_up(socket, &frame),
            Happening::UpClosed { socket } => self.lose(socket),
            Happening::Down { to, frame } => self.arrive_down(to, frame),
            Happening::DownClosed { to, close } => {
                let connection = to.number;
                let input = LinkInput::Disconnected { connection, close };
                self.tell_link(to.engine, to.boot, input)
            }
            Happening::Patience { socket } => self.lose_patience(socket),
            Happening::Signed {
                engine,
                boot,
                slot,
                effect,
            } => {
                let outcome = if self.dice.chance(200) && !self.healed {
                    Err("the app's server is down".to_owned())
                } else {
                    Ok(OperationSignature {
                        signature: Secret::new("00"),
                        timestamp: 0,
                        nonce: "nonce".to_owned(),
                        allowed: None,
                    })
                };
                if !self.is_boot(engine, boot) {
                    return Ok(());
                }
                self.with_engine(engine, |it, now| it.signed(now, slot, effect, outcome))
            }
            Happening::Upload {
                device,
                boot,
                slot,
                effect,
                upload,
            } => {
                self.upload(device, boot, (slot, effect), &upload);
                Ok(())
            }
            Happening::Uploaded {
                engine,
                boot,
                slot,
                effect,
                outcome,
            } => {
                if !self.is_boot(engine, boot) {
                    return Ok(());
                }
                self.with_engine(engine, |it, now| it.uploaded(now, slot, effect, outcome))
            }
            Happening::Boot(engine) => self.boot(engine),
            Happening::Ask(device) => {
                let mode = SignIn::TakeOver;
                self.call(device, Connect { mode }, Call::Other)
            }
            Happening::MendDisk(device) => {
                if let Some(device) = self.devices.get(device) {
                    device.break_disk(None);
                }
                Ok(())
            }
            Happening::Resume(engine) => self.with_engine(engine, Engine::resume),
            Happening::ServiceUp => {
                self.server.start();
                self.busy_at = self.now;
                Ok(())
            }
        }
    }

    /// The trouble of the router now.
    pub(crate) fn router_trouble(&self) -> Option<RouterTrouble> {
        let (trouble, until) = self.network.router_trouble?;
        (until > self.now).then_some(trouble)
    }

    /// Records a violation if a size of an engine is above its bound.
    pub(crate) fn bounded(&mut self, engine: usize, what: &str, many: usize, most: usize) {
        if many > most {
            self.violate("bounded", format!("engine {engine}: {many} {what}"));
        }
    }

    pub(crate) fn is_boot(&self, engine: usize, boot: u32) -> bool {
        self.engines
            .get(engine)
            .is_some_and(|it| it.boot == boot && it.is_on())
    }

    fn tell_link(&mut self, engine: usize, boot: u32, input: LinkInput) -> Result<(), Broken> {
        if !self.is_boot(engine, boot) {
            return Ok(());
        }
        self.with_engine(engine, |it, now| it.link(now, input))
    }

    fn shake_hands(
        &mut self,
        engine: usize,
        boot: u32,
        number: ConnectionNumber,
        place: Destination,
    ) -> Result<(), Broken> {
        if !self.is_boot(engine, boot) || self.network.is_split(self.now, engine) {
            return Ok(());
        }
        let elsewhere = place == Destination::Nowhere;
        if elsewhere || self.server.refuse_until > self.now || !self.server.is_up() {
            self.record
                .trace
                .note(self.now, "refused", engine, &[], || {
                    format!("engine {engine}: nobody shakes hands")
                });
            let close = None;
            let connection = number;
            let input = LinkInput::Disconnected { connection, close };
            return self.tell_link(engine, boot, input);
        }
        let connection = self.network.open(self.now, engine, boot, number);
        let patience = self.now + READ_TIMEOUT;
        let socket = connection;
        self.plan_for(patience, Happening::Patience { socket });
        let mode = self.plan.shape.offline_mode();
        self.service(Input::Connected { connection, mode })?;
        let subprotocol = Subprotocol {
            offline_mode: mode,
            ..Subprotocol::DEFAULT
        };
        let input = LinkInput::Connected {
            connection: number,
            subprotocol: Some(subprotocol.name().to_owned()),
        };
        self.tell_link(engine, boot, input)
    }

    /// A frame of a device reaches the service.
    fn arrive_up(&mut self, id: ConnectionId, frame: &Frame<'static>) -> Result<(), Broken> {
        let Some(socket) = self.network.sockets.get_mut(&id).filter(|it| !it.deaf) else {
            return Ok(());
        };
        socket.heard_at = self.now;
        let engine = socket.engine;
        self.record.counts.frames += 1;
        let decoded = frame.decode(Encoding::Binary, Direction::ToService);
        let mut envelope = decoded.map_err(|error| Broken(format!("a bad frame: {error}")))?;
        if envelope.serial.is_some() {
            socket.unanswered += 1;
            let unanswered = socket.unanswered;
            self.bounded(
                engine,
                "frames without an answer",
                unanswered,
                UNANSWERED_MAX,
            );
            self.record.counts.most_unanswered = self.record.counts.most_unanswered.max(unanswered);
        }
        if !matches!(envelope.command, Command::Echo) {
            self.busy_at = self.now;
        }
        let bytes = frame_bytes(frame);
        self.record.trace.note(self.now, "up", engine, bytes, || {
            format!(
                "engine {engine} -> service, socket {}: {}",
                id.0,
                described(&envelope)
            )
        });
        match self.network.meddle(self.now, engine, &mut envelope) {
            Meddling::None => {}
            Meddling::Ignored => return Ok(()),
            Meddling::Answered(envelope) => {
                self.send_down(id, *envelope);
                return Ok(());
            }
        }
        let envelope = match self.plan.mutation {
            Some(mutation) => planted_frames::up(mutation, envelope),
            None => Some(envelope),
        };
        let mutation = self.plan.mutation;
        let again = envelope.as_ref().zip(mutation);
        let again = again.and_then(|(it, planted)| {
            planted_frames::again(planted, self.record.counts.frames, it)
        });
        for envelope in envelope.into_iter().chain(again) {
            self.service(Input::Received {
                connection: id,
                envelope: Box::new(envelope),
            })?;
        }
        Ok(())
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
        self.record.counts.frames += 1;
        let engine = to.engine;
        let bytes = frame_bytes(&frame);
        self.record.trace.note(self.now, "down", engine, bytes, || {
            let decoded = frame.decode(Encoding::Binary, Direction::ToClient);
            let line = decoded.map_or_else(|error| error.to_string(), |it| described(&it));
            format!("service -> engine {engine}, socket {}: {line}", to.socket.0)
        });
        let connection = to.number;
        self.tell_link(
            to.engine,
            to.boot,
            LinkInput::Received { connection, frame },
        )
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
            engine: socket.engine,
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
        if self.server.disk_full && effects.iter().any(|it| matches!(it, Effect::Send { .. })) {
            self.server.disk_full = false;
            let effects = self.server.abandon();
            return self.carry_out_effects(effects);
        }
        let tells = effects.iter().any(|it| matches!(it, Effect::Send { .. }));
        if let Some((part, lasting)) = self.server.crash_at_commit.take_if(|_| tells) {
            if part == CommitPart::All {
                self.server.commit()?;
            }
            // Nobody hears of it.
            self.crash_service(lasting);
            return Ok(());
        }
        if self.plan.mutation != Some(Mutation::ServiceTellsFirst)
            || !self.network.downs.is_multiple_of(3)
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
                    self.network.others.retain(|_, other| *other != connection);
                    self.lose(connection)?;
                }
                Effect::Answer { .. } | Effect::Ask { .. } | Effect::Tell(_) | Effect::Push(_) => {}
                Effect::Report(text) => self.violate("service", text),
            }
        }
        Ok(())
    }

    /// Sends a command to a device, as the network lets it through.
    pub(crate) fn send_down(&mut self, id: ConnectionId, envelope: Envelope) {
        let Some(to) = self.address(id) else { return };
        self.network.downs += 1;
        self.network.note_refusals(to.engine, &envelope.command);
        let envelope = match self.plan.mutation {
            Some(mutation) => planted_frames::down(mutation, self.network.downs, envelope),
            None => Some(envelope),
        };
        let Some(mut envelope) = envelope else { return };
        if let Some(socket) = self.network.sockets.get_mut(&id) {
            let answers = usize::from(envelope.serial.is_some());
            socket.unanswered = socket.unanswered.saturating_sub(answers);
        }
        if let Command::Logs(page) = &mut envelope.command
            && self.network.shuffles(self.now, to.engine)
        {
            page.logs.reverse();
        }
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
        let Some(peer) = self.devices.get(device).map(|it| it.client().to_string()) else {
            return Ok(());
        };
        for id in self.network.all_of(self.engine_of(device)) {
            let peer = peer.clone();
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
            // The reply to the operator is not the device's.
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
    let command = terse(&format!("{:?}", envelope.command));
    let peer = envelope.peer_id.as_deref().unwrap_or_default();
    format!("{serial}{peer} {command}")
}

fn route(server: &str, secondary: Option<&str>) -> Vec<u8> {
    let route = Route {
        server: server.to_owned(),
        secondary: secondary.map(str::to_owned),
        ttl_secs: 3600,
    };
    route.encode().to_string().into_bytes()
}
