//! The world: one queue of events, one clock, one thread.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | a run: chaos, healing, rest, checks |
//! | `schedule.rs` | the events to come, in the order of their times |
//! | `apps.rs` | the actions of apps in the plan |
//! | `other_programs.rs` | users at other programs, who speak to the service without an engine |
//! | `strike.rs` | the faults in the plan |
//! | `files.rs` | apps send files, uploads reach the storage, spools are emptied |
//! | `power.rs` | engines boot, get calls, and lose their power |
//! | `delivery.rs` | frames, answers and closes arrive |
//! | `verdict.rs` | the promises, as checks |
//! | `unsent.rs` | the promises about unsent messages, as checks |

mod apps;
mod delivery;
mod files;
mod other_programs;
mod power;
mod rare_writes;
mod schedule;
mod strike;
mod unsent;
mod verdict;

use std::time::Duration;

use sampan::Limits;
use sampan::model::{ClientId, DeviceTag, Now, SessionState, Timestamp};
use sampan::store::MemoryDisk;
use sampan::sync::link::{LinkInput, NetworkChange};
use sampan::sync::{Connect, Disconnect, Request, SignIn, Signing};
use sampan_service::core::Input;

use crate::checks::Violation;
use crate::checks::ledger::{Call, Ledger};
use crate::checks::mirror::Mirror;
use crate::devices::device::{Device, Identity};
use crate::devices::engine::{Engine, Setup};
use crate::dice::Dice;
use crate::faults::planted::Mutation;
use crate::network::Network;
use crate::plan::Plan;
use crate::service::files::Files;
use crate::service::{Broken, Server, app};
use crate::shape::{Offline, Pace, Shape, Signer, Tags};
use crate::trace::{Telling, Trace};
pub(crate) use schedule::{Address, Happening, Schedule};

/// The time of the wall clocks when a run begins.
const START_MILLIS: i64 = 1_700_000_000_000;

/// The quiet time after which the world counts as at rest: longer than every pause after which a device tries
/// again.
const REST: Duration = Duration::from_secs(400);

/// The most wakes of an engine by itself in that time: for its heartbeats, for the time-outs of their answers,
/// and for its delayed work.
const RINGS_MAX: u32 = 12;

/// The longest time in which a healed world must come to rest.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// The most steps of a run: a bound on work and memory, far above the need of any run.
const STEPS_MAX: u64 = 400_000;

/// The time for which the service keeps a connection on which it hears nothing, as its shell does.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(400);

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The promises that do not hold; none when all is well.
    pub violations: Vec<Violation>,
    /// The record of the run.
    pub trace: Trace,
    /// The counts of the run.
    pub counts: Counts,
}

/// The counts of a run, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Things that happened.
    pub steps: u64,
    /// Frames that arrived.
    pub frames: u64,
    /// Commits of devices.
    pub commits: u64,
    /// Messages that the service holds at the end.
    pub messages: u64,
    /// Answers to apps.
    pub answers: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Power cuts of devices, those of the final check included.
    pub crashes: u64,
    /// Virtual milliseconds.
    pub millis: u64,
    /// The most wakes of an engine while nothing happened.
    pub most_rings: u32,
    /// The most frames of one socket that waited for an answer.
    pub most_unanswered: usize,
    /// The most things that followed from one input of an engine.
    pub most_effects: usize,
    /// The most bytes on the disk of a device.
    pub most_bytes: usize,
}

impl Counts {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.frames += other.frames;
        self.commits += other.commits;
        self.messages += other.messages;
        self.answers += other.answers;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.millis += other.millis;
        self.most_rings = self.most_rings.max(other.most_rings);
        self.most_unanswered = self.most_unanswered.max(other.most_unanswered);
        self.most_effects = self.most_effects.max(other.most_effects);
        self.most_bytes = self.most_bytes.max(other.most_bytes);
    }
}

/// The record of a run: promises, happenings, violations.
pub(crate) struct Record {
    pub(crate) ledger: Ledger,
    pub(crate) trace: Trace,
    pub(crate) violations: Vec<Violation>,
    pub(crate) counts: Counts,
}

/// Everything there is in a run.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Duration,
    pub(crate) schedule: Schedule,
    /// The clients, and the engines on which they run.
    pub(crate) devices: Vec<Device>,
    pub(crate) engines: Vec<Engine>,
    /// An engine that was handed something and has not acted on it: more waits for it.
    pub(crate) handed: Option<usize>,
    pub(crate) server: Server,
    pub(crate) files: Files,
    pub(crate) network: Network,
    pub(crate) record: Record,
    /// The time of the last happening that was not a heartbeat.
    pub(crate) busy_at: Duration,
    /// Numbers for words and names that nobody else uses.
    pub(crate) fresh: u64,
    pub(crate) healed: bool,
    pub(crate) dice: Dice,
}

/// Carries a plan out, to the end and through all checks.
pub(crate) fn run(plan: &Plan, telling: Telling) -> Outcome {
    let trace = Trace::new(telling);
    match World::new(plan, trace.clone()) {
        Ok(world) => world.run(),
        Err(Broken(what)) => Outcome {
            violations: vec![Violation::new("simulator", what)],
            trace,
            counts: Counts::default(),
        },
    }
}

impl World {
    fn new(plan: &Plan, trace: Trace) -> Result<Self, Broken> {
        let shape = &plan.shape;
        let mut devices = Vec::new();
        let mut disks = Dice::stream(plan.seed, "disks");
        for index in 0..shape.devices {
            let disk = MemoryDisk::new(disks.number());
            devices.push(Device::new(index, identity(plan, index)?, disk));
        }
        let setup = Setup {
            app: app()?,
            limits: limits(shape, plan.mutation),
            mode: shape.offline_mode(),
            mutation: plan.mutation,
        };
        let engines = 0..shape.engines();
        let engine = |index| Engine::new(index, plan.seed, setup.clone());
        let mut world = Self {
            now: Duration::ZERO,
            schedule: Schedule::default(),
            devices,
            engines: engines.map(engine).collect(),
            handed: None,
            server: Server::new(plan.seed, shape)?,
            files: Files::new(plan.seed, plan.mutation),
            network: Network::new(plan.seed, shape.engines(), shape.limiter),
            record: Record {
                ledger: Ledger::default(),
                trace,
                violations: Vec::new(),
                counts: Counts::default(),
            },
            busy_at: Duration::ZERO,
            fresh: 0,
            healed: false,
            dice: Dice::stream(plan.seed, "world"),
            plan: plan.clone(),
        };
        world.import()?;
        Ok(world)
    }

    fn run(mut self) -> Outcome {
        if let Err(Broken(what)) = self.live() {
            self.violate("simulator", what);
        }
        self.record.counts.millis = u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        self.record.counts.answers = self.record.ledger.answers;
        Outcome {
            violations: self.record.violations,
            trace: self.record.trace,
            counts: self.record.counts,
        }
    }

    /// Chaos, healing, rest, checks; then every device loses its power, comes back, and must be as it was.
    fn live(&mut self) -> Result<(), Broken> {
        for index in 0..self.engines.len() {
            self.boot(index)?;
        }
        for (number, action) in self.plan.actions.iter().enumerate() {
            self.schedule.add(action.at, Happening::Act(number));
        }
        for (number, fault) in self.plan.faults.iter().enumerate() {
            self.schedule.add(fault.at, Happening::Strike(number));
        }
        self.run_until(self.plan.shape.chaos)?;
        self.heal()?;
        self.come_to_rest()?;
        self.check_everything()?;
        self.check_files()?;
        if !self.record.violations.is_empty() {
            return Ok(());
        }
        let before: Vec<_> = self.devices.iter().map(snapshot_of).collect();
        for index in 0..self.engines.len() {
            self.cut_power(index)?;
            self.boot(index)?;
        }
        self.connect_all()?;
        self.come_to_rest()?;
        self.check_everything()?;
        self.check_files()?;
        for (device, before) in self.devices.iter().zip(before) {
            let pushed = self.plan.shape.offline == Offline::Push;
            let shared = self.shares_client(device);
            let difference = snapshot_of(device).and_then(|now| {
                let (mut now, mut before) = (now, before?);
                if shared {
                    (now, before) = (now.without_mutes(), before.without_mutes());
                }
                // At each sign-in the service pushes more of the missed messages.
                let now = if pushed { now.within(&before) } else { now };
                before.difference_of(&now.no_further_than(&before))
            });
            if let Some(difference) = difference {
                let what = format!("device {}: {difference}", device.index);
                self.record.violations.push(Violation::new("rebuilt", what));
            }
        }
        Ok(())
    }

    /// True if another device belongs to the same client.
    fn shares_client(&self, device: &Device) -> bool {
        let of_client = |it: &&Device| it.client() == device.client();
        self.devices.iter().filter(of_client).count() > 1
    }

    /// Lets everything happen until a time.
    fn run_until(&mut self, until: Duration) -> Result<(), Broken> {
        while let Some(at) = self.next_time().filter(|at| *at <= until) {
            if !self.step(at)? {
                return Ok(());
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Lets everything happen until nothing does any more.
    fn come_to_rest(&mut self) -> Result<(), Broken> {
        let deadline = self.now + PATIENCE;
        self.busy_at = self.now;
        while let Some(at) = self.next_time() {
            if at > self.busy_at + REST {
                self.now = self.busy_at + REST;
                self.is_quiet();
                return Ok(());
            }
            if at > deadline {
                self.violate("rest", "the healed world does not come to rest".to_owned());
                return Ok(());
            }
            if !self.step(at)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// At rest an engine wakes for its heartbeats and for nothing else.
    fn is_quiet(&mut self) {
        let rings: Vec<_> = self.engines.iter().map(Engine::rings).collect();
        for (index, rings) in rings.into_iter().enumerate() {
            self.record.counts.most_rings = self.record.counts.most_rings.max(rings);
            if rings > RINGS_MAX {
                let what = format!("engine {index} woke {rings} times while nothing happened");
                self.violate("idle", what);
            }
        }
    }

    fn next_time(&self) -> Option<Duration> {
        let queued = self.schedule.next_time();
        let engines = self.engines.iter().filter_map(Engine::deadline);
        let service = self.server.wake_at();
        engines.chain(queued).chain(service).min()
    }

    /// One thing happens. False when the run has to end.
    fn step(&mut self, at: Duration) -> Result<bool, Broken> {
        self.now = self.now.max(at);
        self.record.counts.steps += 1;
        if self.record.counts.steps > STEPS_MAX {
            self.violate("bounded", format!("more than {STEPS_MAX} steps"));
            return Ok(false);
        }
        if let Some(happening) = self.schedule.take_due(self.now) {
            self.happen(happening)?;
            if let Some(index) = self.handed.filter(|index| !self.next_is_for(*index)) {
                self.run_engine(index)?;
            }
            return Ok(self.record.violations.len() < 10);
        }
        if self.server.wake_at().is_some_and(|at| at <= self.now) {
            self.service(Input::Woke)?;
            return Ok(true);
        }
        let due = |engine: &Engine| engine.deadline().is_some_and(|at| at <= self.now);
        if let Some(index) = self.engines.iter().position(due) {
            let busy_at = self.busy_at;
            if let Some(engine) = self.engines.get_mut(index) {
                engine.rang(busy_at);
            }
            self.run_engine(index)?;
        }
        Ok(self.record.violations.len() < 10)
    }

    /// True if the next happening is there already, and is handed to this engine.
    pub(crate) fn next_is_for(&self, engine: usize) -> bool {
        let next = self.schedule.due(self.now);
        next.is_some_and(|happening| happening.engine() == Some(engine))
    }

    /// Plans something.
    pub(crate) fn plan_for(&mut self, at: Duration, what: Happening) {
        self.schedule.add(at, what);
    }

    /// The time until which a happening has to wait for an engine whose disk is slow.
    pub(crate) fn busy(&self, engine: usize) -> Option<Duration> {
        let engine = self.engines.get(engine)?;
        Some(engine.busy_until).filter(|until| *until > self.now)
    }

    pub(crate) fn violate(&mut self, check: &'static str, what: String) {
        self.record.violations.push(Violation::new(check, what));
    }

    /// The clocks of an engine's device.
    pub(crate) fn engine_now(&self, index: usize) -> Now {
        let skew = self.engines.get(index).map_or(0, |engine| engine.skew);
        self.clocks(skew)
    }

    /// The service's clocks.
    pub(crate) fn service_now(&self) -> Now {
        self.clocks(self.server.skew)
    }

    fn clocks(&self, skew: i64) -> Now {
        let elapsed = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
        Now {
            elapsed: self.now,
            wall: Timestamp::from_millis(START_MILLIS + elapsed + skew * 1000),
        }
    }

    /// Mends all trouble, and lets every app go online.
    fn heal(&mut self) -> Result<(), Broken> {
        self.healed = true;
        self.record
            .trace
            .note(self.now, "heal", 0, &[], || "everything heals".to_owned());
        for weather in &mut self.network.weather {
            *weather = crate::network::Weather::default();
        }
        self.network.router_trouble = None;
        self.files.trouble = None;
        self.server.crash_at_commit = None;
        self.server.refuse_until = Duration::ZERO;
        self.server.disk_full = false;
        if !self.server.is_up() {
            self.happen(Happening::ServiceUp)?;
        }
        self.devices
            .iter()
            .for_each(|device| device.break_disk(None));
        for index in 0..self.engines.len() {
            self.with_engine(index, |engine, now| {
                engine.crash_on_failure = false;
                engine.crash_at = None;
                engine.link(now, LinkInput::Network(NetworkChange::Back));
                engine.resume(now);
            })?;
        }
        self.connect_all()
    }

    /// Every app goes online; of devices that push each other off, the last of each user.
    fn connect_all(&mut self) -> Result<(), Broken> {
        let users = self.plan.shape.users;
        let many = self.devices.len();
        for index in 0..many {
            let stays = self.plan.shape.tags == Tags::None || index + users >= many;
            let request = if stays {
                Request::from(Connect {
                    mode: SignIn::TakeOver,
                })
            } else {
                Disconnect.into()
            };
            self.call(index, request, Call::Other)?;
        }
        Ok(())
    }

    /// The devices that are to be online when everything has healed.
    pub(crate) fn is_online_device(&self, index: usize) -> bool {
        let online = index + self.plan.shape.users >= self.devices.len();
        self.plan.shape.tags == Tags::None || online
    }

    /// The name of a user, by number.
    pub(crate) fn user_name(user: usize) -> Result<ClientId, Broken> {
        ClientId::new(format!("u{user}")).map_err(|error| Broken(error.to_string()))
    }

    /// The session's state of a device, as the app knows it.
    pub(crate) fn session_of(&self, index: usize) -> SessionState {
        let device = self.devices.get(index);
        device.map_or(SessionState::Closed, |device| device.session.clone())
    }
}

fn snapshot_of(device: &Device) -> Option<Mirror> {
    device
        .store()
        .map(|store| Mirror::of(store).without_times())
}

pub(crate) fn limits(shape: &Shape, mutation: Option<Mutation>) -> Limits {
    let limits = match shape.pace {
        Pace::Hosted if mutation == Some(Mutation::HastyPace) => Limits {
            token_memory: Limits::default().token_memory,
            ..Limits::unthrottled()
        },
        Pace::Hosted => Limits::default(),
        Pace::Unthrottled => Limits::unthrottled(),
    };
    Limits {
        unread_cap: shape.unread_cap,
        catch_up_max: shape.catch_up_max,
        ..limits
    }
}

fn identity(plan: &Plan, index: usize) -> Result<Identity, Broken> {
    let shape = &plan.shape;
    let tag = match shape.tags {
        Tags::None => None,
        Tags::Shared => Some(DeviceTag::new("phone").map_err(|error| Broken(error.to_string()))?),
    };
    Ok(Identity {
        client: World::user_name(index % shape.users.max(1))?,
        tag,
        signing: match shape.signer {
            Signer::None => Signing::Unsigned,
            Signer::Slow => Signing::Signed,
        },
        limits: limits(shape, plan.mutation),
        mutation: plan.mutation,
    })
}
