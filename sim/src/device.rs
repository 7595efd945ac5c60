//! A device: an engine's connection and its client, on a disk that may fail, with a power switch.
//!
//! It runs the loop *drain, commit, send, tell* as the engine does, and hands out what it wants
//! done in the world: sockets, frames, answers to the app.

use std::collections::VecDeque;
use std::time::Duration;

use sampan::model::{ClientId, Now, SessionState};
use sampan::store::{Fault as DiskFault, MemoryDisk, StoreError};
use sampan::sync::link::{
    ClientSlot, ConnectionNumber, Delivery, Link, LinkEffect, LinkInput, LinkOptions, LinkStep,
    LookUpNumber,
};
use sampan::sync::{ClientInput, Effect, EffectId, Reply, Request, RequestError};
use sampan::wire::{Frame, Subprotocol};
use sampan::{ServerAddress, model::AppId};

use crate::desk::{Desk, Identity, Released};
use crate::dice::Dice;
use crate::ledger::Call;
use crate::mutation::Mutation;

/// Rounds that one input may cause before the device counts as spinning.
const ROUNDS_MAX: u32 = 1_000;

/// A device, running or off.
pub(crate) struct Device {
    pub(crate) index: usize,
    identity: Identity,
    app: AppId,
    pub(crate) disk: MemoryDisk,
    /// The copy of its files, and how far the ledger was written then.
    pub(crate) backup: Option<(MemoryDisk, (usize, usize))>,
    running: Option<Running>,
    /// Counts its lives: what was on the way to an earlier one finds nobody.
    pub(crate) boot: u32,
    dice: Dice,
    /// How far its wall clock is off, in seconds.
    pub(crate) skew: i64,
    /// Until when its disk keeps it from doing anything else.
    pub(crate) busy_until: Duration,
    /// Whether a failing disk is a power cut.
    pub(crate) crash_on_failure: bool,
    /// A call that is held back, to be handed in after the next one.
    held_back: Option<(Request, Call)>,
    /// Calls that will never be answered.
    pub(crate) unheard: Vec<Call>,
}

struct Running {
    link: Link,
    link_wake_at: Option<Duration>,
    desk: Desk,
    slots: u32,
    /// The socket that is open or opening.
    socket: Option<ConnectionNumber>,
    deliveries: VecDeque<(ClientSlot, Delivery)>,
    out: Vec<Out>,
}

/// What a device wants done in the world, in order.
#[derive(Debug)]
pub(crate) enum Out {
    LookUp(LookUpNumber),
    Connect(ConnectionNumber),
    Disconnect(ConnectionNumber),
    Send(ConnectionNumber, Frame<'static>),
    Answer(Call, Box<Result<Reply, RequestError>>),
    Sign(ClientSlot, EffectId),
    /// Something was committed and told.
    Committed(usize),
    Session(SessionState),
    /// The power failed in the middle of a write.
    Died,
    /// It went on without end.
    Spinning,
}

impl Device {
    pub(crate) fn new(index: usize, seed: u64, app: AppId, identity: Identity) -> Self {
        let mut dice = Dice::stream(seed, &format!("device {index}"));
        Self {
            index,
            identity,
            app,
            disk: MemoryDisk::new(dice.number()),
            backup: None,
            running: None,
            boot: 0,
            dice,
            skew: 0,
            busy_until: Duration::ZERO,
            crash_on_failure: false,
            held_back: None,
            unheard: Vec::new(),
        }
    }

    pub(crate) const fn client(&self) -> &ClientId {
        &self.identity.client
    }

    pub(crate) fn desk(&self) -> Option<&Desk> {
        self.running.as_ref().map(|running| &running.desk)
    }

    /// Switches it on. False when the disk does not let the store open yet.
    pub(crate) fn start(&mut self, now: Now) -> bool {
        let slot = ClientSlot(0);
        let randomness = self.dice.source();
        let opened = Desk::open(self.identity.clone(), slot, &self.disk, now, randomness);
        let Ok(desk) = opened else {
            return false;
        };
        let options = LinkOptions {
            app_id: self.app.clone(),
            server: ServerAddress::Router {
                url: "https://router".to_owned(),
            },
            subprotocol: Subprotocol::DEFAULT,
            limits: self.identity.limits.clone(),
        };
        self.boot += 1;
        let mut running = Running {
            link: Link::new(options, self.dice.source()),
            link_wake_at: None,
            desk,
            slots: 0,
            socket: None,
            deliveries: VecDeque::new(),
            out: Vec::new(),
        };
        running.attach(now);
        self.running = Some(running);
        true
    }

    /// Cuts the power: of what was not synced, chance decides what is left.
    pub(crate) fn cut_power(&mut self) {
        if let Some(mut running) = self.running.take() {
            self.unheard.extend(running.desk.take_calls());
        }
        self.held_back = None;
        self.crash_on_failure = false;
        self.disk.crash();
    }

    /// Lets operations of the disk fail from so many on; none mends it.
    pub(crate) fn break_disk(&mut self, after: Option<u64>) {
        let operation = |after: u64| self.disk.operations().saturating_add(after).max(1);
        let fault = after.map(|after| DiskFault::From {
            operation: operation(after),
        });
        self.disk.set_fault(fault);
    }

    /// When it wants to be looked at again.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let running = self.running.as_ref()?;
        let wakes = [running.link_wake_at, running.desk.deadline()];
        let earliest = wakes.into_iter().flatten().min()?;
        Some(earliest.max(self.busy_until))
    }

    /// The app calls.
    pub(crate) fn call(&mut self, now: Now, request: Request, call: Call) -> Vec<Out> {
        let swapped = self.identity.mutation == Some(Mutation::SwappedCalls)
            && matches!(request, Request::SendMessage { .. });
        if swapped && self.held_back.is_none() {
            self.held_back = Some((request, call));
            return Vec::new();
        }
        let after = self.held_back.take();
        self.round(now, move |running, now| {
            running.desk.call(now, request, call)?;
            match after {
                Some((request, call)) => running.desk.call(now, request, call),
                None => Ok(()),
            }
        })
    }

    /// Something happened to the connection.
    pub(crate) fn link(&mut self, now: Now, input: LinkInput) -> Vec<Out> {
        self.round(now, |running, now| {
            running.tell_link(now, input);
            Ok(())
        })
    }

    /// The app's signer answered.
    pub(crate) fn client_input(
        &mut self,
        now: Now,
        slot: ClientSlot,
        input: ClientInput,
    ) -> Vec<Out> {
        self.round(now, |running, now| {
            if running.desk.slot == slot {
                running.desk.handle(now, input)?;
            }
            Ok(())
        })
    }

    /// A timer may have come.
    pub(crate) fn wake(&mut self, now: Now) -> Vec<Out> {
        self.round(now, |_, _| Ok(()))
    }

    /// Brings everything to disk, as an app does that goes to the background.
    pub(crate) fn flush(&mut self, now: Now) -> Vec<Out> {
        self.round(now, |running, now| {
            let released = running.desk.flush()?;
            running.carry_out(now, released);
            Ok(())
        })
    }

    /// One round of the loop: an input, then everything that follows without waiting.
    fn round(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Running, Now) -> Result<(), StoreError>,
    ) -> Vec<Out> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let outcome = work(running, now).and_then(|()| running.fire_timers(now));
        self.settle(now, outcome);
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        if running.desk.probe_if_due(now, self.dice.source()) {
            // The rebuilt machine gets a new place on the link, which knows it no longer.
            running.attach(now);
            let outcome = running.desk.reconnect(now);
            self.settle(now, outcome);
        }
        let running = self.running.as_mut();
        running.map_or_else(Vec::new, |running| std::mem::take(&mut running.out))
    }

    /// Works until nothing is left to do without waiting, or the store fails for good.
    fn settle(&mut self, now: Now, outcome: Result<(), StoreError>) {
        let Some(running) = &mut self.running else {
            return;
        };
        let mut failed = outcome.is_err();
        for _ in 0..ROUNDS_MAX {
            if failed {
                if self.crash_on_failure {
                    running.out.push(Out::Died);
                    return;
                }
                self.unheard.extend(running.desk.take_calls());
                running.fail(now);
            }
            match running.settle(now) {
                Ok(true) => failed = false,
                Ok(false) => return,
                Err(_) => failed = true,
            }
        }
        running.out.push(Out::Spinning);
    }
}

impl Running {
    fn attach(&mut self, now: Now) {
        let slot = ClientSlot(self.slots);
        self.slots += 1;
        self.desk.slot = slot;
        let client = self.desk.client().clone();
        self.tell_link(now, LinkInput::Attach { slot, client });
    }

    fn fire_timers(&mut self, now: Now) -> Result<(), StoreError> {
        if self.link_wake_at.take_if(|at| *at <= now.elapsed).is_some() {
            self.tell_link(now, LinkInput::Woke);
        }
        self.desk.wake(now)?;
        let released = self.desk.flush_if_due(now)?;
        self.carry_out(now, released);
        Ok(())
    }

    /// Hands over what the link delivered, and commits. False when there was nothing to do.
    fn settle(&mut self, now: Now) -> Result<bool, StoreError> {
        let mut worked = false;
        while let Some((slot, delivery)) = self.deliveries.pop_front() {
            if slot == self.desk.slot {
                self.desk.handle(now, ClientInput::Delivered(delivery))?;
            }
            worked = true;
        }
        if self.desk.is_touched() {
            let released = self.desk.commit(now)?;
            self.out.push(Out::Committed(released.told));
            self.carry_out(now, released);
            worked = true;
        }
        Ok(worked)
    }

    fn carry_out(&mut self, now: Now, released: Released) {
        let answers = released.answers.into_iter();
        self.out
            .extend(answers.map(|(call, answer)| Out::Answer(call, Box::new(answer))));
        let slot = self.desk.slot;
        for request in released.requests {
            self.tell_link(now, LinkInput::Submit { slot, request });
        }
        for effect in released.effects {
            let Effect::Sign { effect, .. } = effect;
            self.out.push(Out::Sign(slot, effect));
        }
        if let Some(wish) = released.wish {
            self.tell_link(now, LinkInput::Wish { slot, wish });
        }
        self.out.extend(released.session.map(Out::Session));
    }

    fn tell_link(&mut self, now: Now, input: LinkInput) {
        if let LinkInput::Disconnected { connection, .. } = &input {
            self.socket.take_if(|socket| socket == connection);
        }
        let LinkStep {
            effects,
            deliveries,
            state: _,
            wake_after,
        } = self.link.handle(now, input);
        self.link_wake_at = wake_after.map(|after| now.elapsed + after);
        self.deliveries.extend(deliveries);
        for effect in effects {
            let out = match effect {
                LinkEffect::LookUp { lookup, .. } => Out::LookUp(lookup),
                LinkEffect::Connect { connection, .. } => {
                    self.socket = Some(connection);
                    Out::Connect(connection)
                }
                LinkEffect::Disconnect { connection } => {
                    self.socket.take_if(|socket| *socket == connection);
                    Out::Disconnect(connection)
                }
                LinkEffect::Send { connection, frame } => Out::Send(connection, frame),
            };
            self.out.push(out);
        }
    }

    /// After a failed write: the machine is gone, and the socket on which the service believes it
    /// present.
    fn fail(&mut self, now: Now) {
        self.desk.fail(now);
        if self.desk.is_working() {
            return;
        }
        let slot = self.desk.slot;
        self.tell_link(now, LinkInput::Detach { slot });
        if let Some(connection) = self.socket {
            self.out.push(Out::Disconnect(connection));
            let close = None;
            self.tell_link(now, LinkInput::Disconnected { connection, close });
        }
    }
}
