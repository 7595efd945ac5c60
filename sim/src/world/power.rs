//! Driving the engines: their power, their calls, and the effects that they want in the world.

use std::collections::BTreeSet;
use std::time::Duration;

use sampan::SampanError;
use sampan::model::{Now, SessionState};
use sampan::sync::link::LinkInput;
use sampan::sync::{Connect, Reply, Request, SignIn};
use sampan::wire::{Command, Direction, Encoding, Envelope, Frame};

use crate::checks::ledger::Call;
use crate::devices::engine::Engine;
use crate::devices::wants::Out;
use crate::faults::kinds::RouterTrouble;
use crate::network::counters::Class;
use crate::network::refusals::is_counted;
use crate::service::Broken;
use crate::shape::Pace;
use crate::world::{Happening, World};

/// The time for which a device is off after a power cut.
pub(crate) const OFF: Duration = Duration::from_secs(2);

/// The most effects that may follow from the inputs that an engine takes at once.
const EFFECTS_MAX: usize = 2_000;

/// The delay of a slow router: longer than an engine waits for it.
const TOO_LATE: Duration = Duration::from_secs(25);

/// The most times that a user asks again when a session has ended in a healed world.
const ASKED_AGAIN_MAX: u32 = 3;

impl World {
    /// The engine on which a client runs.
    pub(crate) const fn engine_of(&self, device: usize) -> usize {
        self.plan.shape.engine_of(device)
    }

    /// The clients of an engine.
    pub(crate) fn devices_of(&self, engine: usize) -> Vec<usize> {
        let all = 0..self.devices.len();
        all.filter(|device| self.engine_of(*device) == engine)
            .collect()
    }

    /// Switches an engine on, now or as soon as its disks let it.
    pub(crate) fn boot(&mut self, index: usize) -> Result<(), Broken> {
        let now = self.engine_now(index);
        let mine = self.devices_of(index);
        let Some(engine) = self.engines.get_mut(index).filter(|it| !it.is_on()) else {
            return Ok(());
        };
        self.busy_at = self.now;
        self.record
            .trace
            .note(self.now, "boot", index, &[], || format!("engine {index}"));
        let devices = self.devices.iter_mut();
        let devices = devices.filter(|device| mine.contains(&device.index));
        if !engine.start(now, devices) {
            let left = engine.cut_power();
            for device in &mine {
                self.devices.get_mut(*device).into_iter().for_each(|it| {
                    it.close();
                });
            }
            self.carry_out_all(index, 0, left)?;
            let at = self.now + Duration::from_secs(1);
            self.plan_for(at, Happening::Boot(index));
            return Ok(());
        }
        let boot = engine.boot;
        for device in &mine {
            self.check_acknowledged(*device);
        }
        // An app that was online when it died goes online when it starts.
        if boot > 1 {
            for device in mine {
                let mode = SignIn::Yield;
                self.call(device, Connect { mode }, Call::Other)?;
            }
        }
        self.run_engine(index)
    }

    /// Cuts an engine's power: its sockets break.
    pub(crate) fn cut_power(&mut self, index: usize) -> Result<(), Broken> {
        self.record.counts.crashes += 1;
        self.record
            .trace
            .note(self.now, "crash", index, &[], || format!("engine {index}"));
        self.network.asked.forget(index);
        let left = self.engines.get_mut(index).map(Engine::cut_power);
        for device in self.devices_of(index) {
            if let Some(device) = self.devices.get_mut(device) {
                device.cut_power();
            }
        }
        self.carry_out_all(index, 0, left.unwrap_or_default())?;
        for socket in self.network.all_of(index) {
            // A deaf socket stays, and the service finds out by itself.
            if let Some(at) = self.network.up(self.now, socket) {
                self.plan_for(at, Happening::UpClosed { socket });
            }
        }
        Ok(())
    }

    /// The app of a client calls.
    pub(crate) fn call(
        &mut self,
        device: usize,
        request: impl Into<Request>,
        call: Call,
    ) -> Result<(), Broken> {
        let index = self.engine_of(device);
        let now = self.engine_now(index);
        let (engine, device) = (self.engines.get_mut(index), self.devices.get_mut(device));
        if let (Some(engine), Some(device)) = (engine, device) {
            // A call waits in the mailbox of a loop that waits for its disk; it is simply later.
            engine.busy_until = engine.busy_until.min(self.now);
            engine.call(now, device, request.into(), call);
        }
        self.run_engine_unless_more(index)
    }

    /// Hands something to an engine and carries out the effects.
    pub(crate) fn with_engine(
        &mut self,
        index: usize,
        work: impl FnOnce(&mut Engine, Now),
    ) -> Result<(), Broken> {
        let now = self.engine_now(index);
        if let Some(engine) = self.engines.get_mut(index) {
            work(engine, now);
        }
        self.run_engine_unless_more(index)
    }

    /// Settles the engine, unless more waits for it: waiting inputs are drained before anything is committed.
    fn run_engine_unless_more(&mut self, index: usize) -> Result<(), Broken> {
        if self.next_is_for(index) {
            self.handed = Some(index);
            return Ok(());
        }
        self.run_engine(index)
    }

    /// An engine works until nothing is left to do without waiting.
    pub(crate) fn run_engine(&mut self, index: usize) -> Result<(), Broken> {
        self.handed.take_if(|handed| *handed == index);
        let now = self.engine_now(index);
        let Some(engine) = self.engines.get_mut(index) else {
            return Ok(());
        };
        let out = engine.work(now);
        let boot = engine.boot;
        self.carry_out_all(index, boot, out)
    }

    fn carry_out_all(&mut self, index: usize, boot: u32, out: Vec<Out>) -> Result<(), Broken> {
        let many = out.len();
        self.record.counts.most_effects = self.record.counts.most_effects.max(many);
        self.bounded(index, "effects of one input", many, EFFECTS_MAX);
        let mut told = BTreeSet::new();
        let mut out = out.into_iter();
        while let Some(next) = out.next() {
            if let Out::Told(device, _) = &next {
                told.insert(*device);
            }
            let engine = self.engines.get_mut(index);
            let dies = engine.is_some_and(|engine| engine.dies_after(&next));
            self.carry_out(index, boot, next)?;
            if dies {
                out.for_each(|never| self.never_happens(never));
                self.cut_power(index)?;
                self.plan_for(self.now + OFF, Happening::Boot(index));
                return Ok(());
            }
        }
        // Only now do observers know of every commit that was made.
        for device in told {
            self.check_now_and_then(device);
        }
        Ok(())
    }

    /// Drops an effect that an engine wanted: the power failed before.
    fn never_happens(&mut self, out: Out) {
        if let Out::Answer { device, call, .. } | Out::Unheard { device, call } = out {
            self.record.ledger.unheard(device, &call);
        }
    }

    fn carry_out(&mut self, index: usize, boot: u32, out: Out) -> Result<(), Broken> {
        match out {
            Out::Answer {
                device,
                call,
                answer,
            } => {
                self.file_answered(device, &call, answer.is_ok());
                self.answered(device, call, *answer);
            }
            Out::Unheard { device, call } => {
                self.file_answered(device, &call, false);
                self.record.ledger.unheard(device, &call);
            }
            Out::Media(device, slot, effect) => self.media(device, boot, slot, *effect),
            Out::Committed { device, changes } => self.committed(index, device, changes),
            Out::Taken(device, tokens) => {
                if let Some(device) = self.devices.get(device) {
                    tokens.iter().for_each(|token| device.inbox.remove(token));
                }
            }
            Out::Touched(device, seq, touched) => {
                if let Some(device) = self.devices.get_mut(device) {
                    device.touched(seq, &touched);
                }
            }
            Out::Session(device, state) => {
                self.record
                    .trace
                    .note(self.now, "session", device, &[], || {
                        format!("device {device}: {state:?}")
                    });
                let ended = matches!(state, SessionState::Ended { .. });
                if let Some(device) = self.devices.get_mut(device) {
                    device.session = state;
                }
                if ended {
                    self.ask_again(device);
                }
            }
            Out::Told(device, events) => {
                if let Some(device) = self.devices.get_mut(device) {
                    device.told(events);
                }
            }
            Out::Died => {
                self.cut_power(index)?;
                self.plan_for(self.now + OFF, Happening::Boot(index));
            }
            Out::Spinning => self.violate("bounded", format!("engine {index} spins")),
            network => self.ask_network(index, boot, network),
        }
        Ok(())
    }

    /// Carries out an engine's wishes of the network and of the app's own server.
    fn ask_network(&mut self, engine: usize, boot: u32, out: Out) {
        let from = self.busy(engine).unwrap_or(self.now);
        let reachable = !self.network.is_split(self.now, engine);
        match out {
            Out::LookUp(lookup) => {
                self.record
                    .trace
                    .note(self.now, "look-up", engine, &[], || {
                        format!("engine {engine}")
                    });
                if reachable {
                    let mut at = from + self.network.delay(self.now, engine) * 2;
                    if self.router_trouble() == Some(RouterTrouble::Slow) {
                        at += TOO_LATE;
                    }
                    let happening = Happening::Routed {
                        engine,
                        boot,
                        lookup,
                    };
                    self.plan_for(at, happening);
                }
            }
            Out::Connect(number, place) if reachable => {
                let at = from + self.network.delay(self.now, engine) * 2;
                let happening = Happening::Handshake {
                    engine,
                    boot,
                    number,
                    place,
                };
                self.plan_for(at, happening);
            }
            Out::Disconnect(number) => {
                if let Some(socket) = self.network.of(engine, boot, number)
                    && let Some(at) = self.network.up(from, socket)
                {
                    self.plan_for(at, Happening::UpClosed { socket });
                }
            }
            Out::Send(number, frame) => {
                self.note_frame(engine, &frame);
                if let Some(socket) = self.network.of(engine, boot, number)
                    && let Some(at) = self.network.up(from, socket)
                {
                    self.plan_for(at, Happening::Up { socket, frame });
                }
            }
            Out::Sign(slot, effect) => {
                let at = from + self.dice.millis(5, 5_000);
                let happening = Happening::Signed {
                    engine,
                    boot,
                    slot,
                    effect,
                };
                self.plan_for(at, happening);
            }
            _ => {}
        }
    }

    /// When everything has healed, a user whose session ended asks to be online once more. Several tries may be
    /// needed: sessions of before that the service still holds push the user off.
    fn ask_again(&mut self, device: usize) {
        let online = self.healed && self.is_online_device(device);
        if let Some(owner) = self.devices.get_mut(device).filter(|_| online)
            && owner.asked_again < ASKED_AGAIN_MAX
        {
            owner.asked_again += 1;
            self.plan_for(self.now + Duration::from_secs(1), Happening::Ask(device));
        }
    }

    /// A frame leaves an engine: the client keeps its pace, and the service will believe the acknowledgement.
    fn note_frame(&mut self, engine: usize, frame: &Frame<'static>) {
        let Ok(envelope) = frame.decode(Encoding::Binary, Direction::ToService) else {
            return;
        };
        self.check_pace(engine, &envelope);
        let (Command::Ack(body), Some(peer)) = (&envelope.command, &envelope.peer_id) else {
            return;
        };
        let here = self.devices_of(engine);
        let mut devices = self.devices.iter_mut();
        let device = devices.find(|it| here.contains(&it.index) && it.client().as_str() == peer);
        if let Some(device) = device {
            device.acknowledges(body);
        }
    }

    /// A client of the hosted service asks no more often than that service allows.
    fn check_pace(&mut self, engine: usize, envelope: &Envelope) {
        if self.plan.shape.pace != Pace::Hosted || !is_counted(envelope) {
            return;
        }
        let class = Class::of(&envelope.command);
        let peer = envelope.peer_id.as_deref().unwrap_or_default();
        if !self.network.asked.admit(self.now, engine, peer, class) {
            let what = format!("engine {engine}: {peer} sends too many of {class:?} in a minute");
            self.violate("paced", what);
        }
    }

    fn answered(&mut self, device: usize, call: Call, answer: Result<Reply, SampanError>) {
        self.record.trace.note(self.now, "answer", device, &[], || {
            format!("device {device}: {call:?} -> {answer:?}")
        });
        self.record.ledger.answered(device, call, answer);
    }

    fn committed(&mut self, index: usize, device: usize, changes: usize) {
        self.record.counts.commits += 1;
        self.busy_at = self.now;
        let bytes = changes.to_le_bytes();
        self.record
            .trace
            .note(self.now, "commit", device, &bytes, || {
                format!("device {device}: {changes} changes")
            });
        let slow = self.network.weather(index).slow_disk;
        if slow.until > self.now
            && let Some(engine) = self.engines.get_mut(index)
        {
            engine.busy_until = self.now + slow.pause;
        }
    }

    /// The app of a client goes to the background for a time, and its engine with it.
    pub(crate) fn pause(&mut self, device: usize, lasting: Duration) -> Result<(), Broken> {
        let index = self.engine_of(device);
        self.with_engine(index, |it, now| {
            it.link(now, LinkInput::Pause);
            it.flush(now);
        })?;
        self.plan_for(self.now + lasting, Happening::Resume(index));
        Ok(())
    }
}
