//! An engine on a device: the real turn loop over a network, disks and clocks that fail, with a power switch.
//!
//! The engine's effects on the world come out in the engine's order: sockets, frames, answers to apps, events
//! for observers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sampan::model::{
    AppId, ClientId, CommitSeq, ConnectionState, Event, LocalId, Now, SessionState, SigningRequest,
    StoreHealth,
};
use sampan::runtime::{InboxRemainder, Ports, Touched, TurnLoop, TurnProgress};
use sampan::store::Dropped;
use sampan::sync::link::{ClientSlot, LinkEffect, LinkInput, LinkOptions};
use sampan::sync::{
    EffectId, Imported, MediaEffect, OperationSignature, Randomness, Reply, Request, RequestError,
    RequestId, UploadError, Uploaded,
};
use sampan::wire::{OfflineMode, Subprotocol};
use sampan::{Limits, SampanError, ServerAddress};

use crate::checks::ledger::Call;
use crate::devices::device::{Caller, Device, FaultyWriter, Inbox};
use crate::devices::wants::{Destination, Out, Wants};
use crate::dice::Dice;
use crate::faults::kinds::Moment;
use crate::faults::planted::Mutation;

/// The address of the service.
pub(crate) const SERVICE: &str = "wss://service";

/// Turns that one input may cause before the engine counts as spinning.
const TURNS_MAX: u32 = 1_000;

/// The set-up of engines.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) app: AppId,
    pub(crate) limits: Limits,
    pub(crate) mode: OfflineMode,
    pub(crate) mutation: Option<Mutation>,
}

/// An engine, running or off.
pub(crate) struct Engine {
    setup: Setup,
    turns: Option<TurnLoop<EnginePorts>>,
    wants: Wants,
    /// Counts its lives: messages on the way to an earlier life find nobody.
    pub(crate) boot: u32,
    dice: Dice,
    /// The error of its wall clock, in seconds.
    pub(crate) skew: i64,
    /// The time until which its disk keeps it from doing anything else.
    pub(crate) busy_until: Duration,
    /// The time until which frames and answers wait that came while the disk was slow: a call is not held up by them,
    /// and none that comes later overtakes them.
    pub(crate) waiting_until: Duration,
    /// True if a failing disk is a power cut.
    pub(crate) crash_on_failure: bool,
    /// The kind and the number of effects after which the power fails.
    pub(crate) crash_at: Option<(Moment, u32)>,
    /// The time at which the world was last busy, and the number of times that the engine rang since.
    rings: (Duration, u32),
}

impl Engine {
    pub(crate) fn new(index: usize, seed: u64, setup: Setup) -> Self {
        Self {
            setup,
            turns: None,
            wants: Wants::default(),
            boot: 0,
            dice: Dice::stream(seed, &format!("device {index}")),
            skew: 0,
            busy_until: Duration::ZERO,
            waiting_until: Duration::ZERO,
            crash_on_failure: false,
            crash_at: None,
            rings: (Duration::ZERO, 0),
        }
    }

    /// Notes that the engine woke by itself. The count starts anew if the world was busy meanwhile.
    pub(crate) fn rang(&mut self, busy_at: Duration) {
        if self.rings.0 != busy_at {
            self.rings = (busy_at, 0);
        }
        self.rings.1 += 1;
    }

    /// The number of times that the engine rang since the world was last busy.
    pub(crate) const fn rings(&self) -> u32 {
        self.rings.1
    }

    /// True if the power fails right after this effect.
    pub(crate) fn dies_after(&mut self, out: &Out) -> bool {
        let Some((moment, left)) = &mut self.crash_at else {
            return false;
        };
        if !out.is(*moment) {
            return false;
        }
        let dies = *left <= 1;
        *left -= u32::from(!dies);
        if dies {
            self.crash_at = None;
        }
        dies
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.turns.is_some()
    }

    /// Switches it on with its clients. False when a disk does not let its store open yet.
    pub(crate) fn start<'a>(
        &mut self,
        now: Now,
        owners: impl Iterator<Item = &'a mut Device>,
    ) -> bool {
        let mut setups = Vec::new();
        let mut devices = BTreeMap::new();
        let mut visits = BTreeMap::new();
        for device in owners {
            let Ok(setup) = device.open(&self.wants) else {
                return false;
            };
            devices.insert(device.client().clone(), device.index);
            let visit = Visit {
                inbox: device.inbox.clone(),
                under_way: BTreeMap::new(),
                done: BTreeSet::new(),
            };
            visits.insert(device.client().clone(), visit);
            setups.push(setup);
        }
        let ports = EnginePorts {
            now,
            dice: Dice::stream(self.dice.number(), "life"),
            mutation: self.setup.mutation,
            devices,
            visits,
            crash_on_failure: self.crash_on_failure,
            died: false,
            wants: self.wants.clone(),
        };
        let mut turns = TurnLoop::new(ports, self.options());
        for setup in setups {
            turns.attach(setup);
        }
        self.turns = Some(turns);
        self.boot += 1;
        true
    }

    fn options(&self) -> LinkOptions {
        LinkOptions {
            app_id: self.setup.app.clone(),
            server: ServerAddress::Router {
                url: "https://router".to_owned(),
            },
            subprotocol: Subprotocol {
                offline_mode: self.setup.mode,
                ..Subprotocol::DEFAULT
            },
            limits: self.setup.limits.clone(),
        }
    }

    /// Cuts the power. Effects that were wanted and not carried out are wanted no more, but for calls that
    /// nobody will answer.
    pub(crate) fn cut_power(&mut self) -> Vec<Out> {
        self.turns = None;
        self.crash_on_failure = false;
        self.crash_at = None;
        let mut left = self.wants.take();
        left.retain(|out| matches!(out, Out::Unheard { .. }));
        left
    }

    /// The time at which the engine wants to be looked at again.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        if self.setup.mutation == Some(Mutation::LostTimer) {
            return None;
        }
        let turns = self.turns.as_ref()?;
        let mut deadline = turns.deadline();
        if self.setup.mutation == Some(Mutation::BusyTimer) {
            let soon = turns.ports().now.elapsed + Duration::from_secs(20);
            deadline = Some(deadline.map_or(soon, |at| at.min(soon)));
        }
        Some(deadline?.max(self.busy_until))
    }

    /// The app of a client calls.
    pub(crate) fn call(&mut self, now: Now, device: &mut Device, request: Request, call: Call) {
        for (request, call) in device.calls(request, call) {
            let caller = Caller::new(device, call, &self.wants);
            let client = device.client().clone();
            self.take(now, |turns| {
                // A call that comes back is dropped, and with it the hope of an answer.
                let _ = turns.call(&client, request, caller);
            });
        }
    }

    /// The app says that something was left for it.
    pub(crate) fn import(&mut self, now: Now, client: &ClientId) {
        self.take(now, |turns| turns.import(client));
    }

    /// The app is back from the background: the engine looks for messages that were left meanwhile.
    pub(crate) fn resume(&mut self, now: Now) {
        self.take(now, |turns| {
            turns.link(LinkInput::Resume);
            turns.import_soon();
        });
    }

    /// Something happened to the connection.
    pub(crate) fn link(&mut self, now: Now, input: LinkInput) {
        self.take(now, |turns| turns.link(input));
    }

    /// A client's signer answered.
    pub(crate) fn signed(
        &mut self,
        now: Now,
        slot: ClientSlot,
        effect: EffectId,
        outcome: Result<OperationSignature, String>,
    ) {
        self.take(now, |turns| turns.signed(slot, effect, outcome));
    }

    /// A step of an upload is over.
    pub(crate) fn uploaded(
        &mut self,
        now: Now,
        slot: ClientSlot,
        effect: EffectId,
        outcome: Result<Uploaded, UploadError>,
    ) {
        self.take(now, |turns| turns.uploaded(slot, effect, outcome));
    }

    /// Everything is brought to disk, as when the app goes to the background.
    pub(crate) fn flush(&mut self, now: Now) {
        self.take(now, |turns| {
            turns.work_until_idle();
            turns.flush_all();
        });
    }

    fn take(&mut self, now: Now, work: impl FnOnce(&mut TurnLoop<EnginePorts>)) {
        if let Some(turns) = &mut self.turns {
            let ports = turns.ports_mut();
            ports.now = now;
            ports.crash_on_failure = self.crash_on_failure;
            work(turns);
        }
    }

    /// Works on everything that was handed in, and returns the effects that are wanted in the world.
    pub(crate) fn work(&mut self, now: Now) -> Vec<Out> {
        let rings = self.setup.mutation != Some(Mutation::LostTimer);
        let mut left = TURNS_MAX;
        self.take(now, |turns| {
            if rings {
                turns.fire_timers();
            }
            while left > 0 && turns.turn() == TurnProgress::Made {
                left -= 1;
            }
        });
        if left == 0 {
            self.wants.push(Out::Spinning);
        }
        if self.turns.as_ref().is_some_and(|it| it.ports().died) {
            self.wants.push(Out::Died);
        }
        self.wants.take()
    }
}

/// The most files of an inbox that are taken at once.
const FILES_AT_ONCE: usize = 3;

/// An engine's view of an inbox, for one life.
struct Visit {
    inbox: Inbox,
    under_way: BTreeMap<RequestId, Vec<LocalId>>,
    /// In the outbox, and perhaps still in the folder.
    done: BTreeSet<LocalId>,
}

/// The ports of an engine's turn loop.
struct EnginePorts {
    now: Now,
    dice: Dice,
    mutation: Option<Mutation>,
    devices: BTreeMap<ClientId, usize>,
    visits: BTreeMap<ClientId, Visit>,
    crash_on_failure: bool,
    /// The power failed: nothing that follows happens.
    died: bool,
    wants: Wants,
}

impl EnginePorts {
    fn want(&self, out: Out) {
        if !self.died {
            self.wants.push(out);
        }
    }

    fn device(&self, client: &ClientId) -> usize {
        self.devices.get(client).copied().unwrap_or(usize::MAX)
    }
}

impl Ports for EnginePorts {
    type Writer = FaultyWriter;
    type Call = Caller;

    fn now(&self) -> Now {
        self.now
    }

    fn randomness(&mut self) -> Randomness {
        self.dice.source()
    }

    fn carry_out(&mut self, effect: LinkEffect) -> Option<LinkInput> {
        self.want(match effect {
            LinkEffect::LookUp { lookup, .. } => Out::LookUp(lookup),
            LinkEffect::Connect {
                connection, url, ..
            } => {
                let there = url.starts_with(SERVICE);
                let place = if there {
                    Destination::Service
                } else {
                    Destination::Nowhere
                };
                Out::Connect(connection, place)
            }
            LinkEffect::Disconnect { connection } => Out::Disconnect(connection),
            LinkEffect::Send { connection, frame } => Out::Send(connection, frame),
        });
        None
    }

    fn connection_changed(&mut self, _state: &ConnectionState) {}

    fn session_changed(&mut self, client: &ClientId, state: &SessionState) {
        self.want(Out::Session(self.device(client), state.clone()));
    }

    fn committed(&mut self, client: &ClientId, seq: CommitSeq, touched: &Touched) {
        self.want(Out::Touched(self.device(client), seq, touched.clone()));
    }

    /// The first word of a failed commit.
    fn health_changed(&mut self, _client: &ClientId, health: &StoreHealth) {
        self.died |= self.crash_on_failure && *health != StoreHealth::Good;
    }

    fn answer(&mut self, call: Caller, _seq: CommitSeq, answer: Result<Reply, SampanError>) {
        if !self.died {
            call.answer(answer);
        }
    }

    fn sign(
        &mut self,
        slot: ClientSlot,
        _client: &ClientId,
        effect: EffectId,
        _operation: SigningRequest,
    ) {
        self.want(Out::Sign(slot, effect));
    }

    fn media(&mut self, slot: ClientSlot, client: &ClientId, effect: MediaEffect) {
        self.want(Out::Media(self.device(client), slot, Box::new(effect)));
    }

    fn fetch_inbox(&mut self, client: &ClientId, id: RequestId) -> Option<Vec<Dropped>> {
        let visit = self.visits.get_mut(client)?;
        let dropped = visit.inbox.read(&visit.done, FILES_AT_ONCE);
        let tokens = dropped.iter().map(|work| work.token.clone()).collect();
        visit.under_way.insert(id, tokens);
        if self.mutation == Some(Mutation::ForgottenImport) {
            return Some(Vec::new());
        }
        Some(dropped)
    }

    fn inbox_taken(
        &mut self,
        client: &ClientId,
        id: RequestId,
        reply: &Result<Reply, RequestError>,
    ) -> InboxRemainder {
        let device = self.device(client);
        let visit = self.visits.get_mut(client);
        let (Some(visit), Ok(Reply::Imported(Imported { left, .. }))) = (visit, reply) else {
            return InboxRemainder::Nothing;
        };
        let mut tokens = visit.under_way.remove(&id).unwrap_or_default();
        let more = tokens.len() == FILES_AT_ONCE && left.is_empty();
        tokens.retain(|token| !left.contains(token));
        visit.done.extend(tokens.iter().cloned());
        self.want(Out::Taken(device, tokens));
        if more {
            InboxRemainder::More
        } else {
            InboxRemainder::Nothing
        }
    }

    fn inbox_not_taken(&mut self, client: &ClientId, _reason: &SampanError) {
        if let Some(visit) = self.visits.get_mut(client) {
            visit.under_way.clear();
        }
    }

    fn publish(&mut self, events: Vec<Event>) {
        let client = events.iter().find_map(Event::client);
        if let Some(client) = client {
            self.want(Out::Told(self.device(client), events));
        }
    }
}
