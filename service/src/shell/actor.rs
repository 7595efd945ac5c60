//! The one loop: take all waiting inputs, decide for each client in its turn, commit once, and only then send
//! the effects.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use sampan::model::AppId;
use sampan::wire::CloseCode;

use super::asking::AskerNumber;
use super::clock::Clock;
use super::fanout::{FanOut, LocalFanOut, Outbound, Outgoing};
use super::hooks::HookCaller;
use super::observer::Observer;
use super::push::Pusher;
use super::report::report;
use super::turns::{Lane, Turn, Turns};
use crate::core::app::Apps;
use crate::core::{
    ConnectionId, Core, Effect, HookAnswer, Input, PushQuestion, PushTarget, RestAnswer, Ticket,
};
use crate::storage::{Snapshot, Storage, StorageError};

/// Letters that wait for the core. A connection that finds the box full waits, and is not read.
pub(super) const MAILBOX: usize = 4096;

/// Inputs that share one commit: enough that a busy service writes to disk some hundred times a
/// second and not once a message, few enough that nobody waits long for a reply.
const BATCH_INPUTS: usize = 512;

/// The cost of the inputs that share one commit, as the core counts it: about ten milliseconds.
const BATCH_COST: u64 = 10_000;

/// Bytes of commands that wait for one commit. One more answer may come on top.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that one connection may be answered in one batch before its other inputs wait.
const BATCH_BYTES_EACH: usize = 256 * 1024;

/// How long it takes until a storage that failed is opened anew once more.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// Bytes of commands that cost as much as one unit of the core's work.
const BYTES_A_UNIT: u64 = 128;

/// The letters of the core's mailbox.
#[derive(Debug)]
pub(super) enum Letter {
    /// Something to handle, and its payer.
    Input {
        input: Input,
        lane: Lane,
        /// Given up once the input is handled: its sender may send another one then.
        waits: Option<Waits>,
        /// The time at which it came in.
        came_at: Instant,
    },
    /// From now on these apps are served.
    Apps(Apps),
    /// A state of the data to copy, while the service goes on.
    Snapshot(oneshot::Sender<Result<Snapshot, StorageError>>),
    /// A hook answered, for the connection whose command waits for it.
    HookAnswer {
        connection: ConnectionId,
        answer: HookAnswer,
    },
    /// The devices of clients are asked for, to push to them.
    PushTargets {
        question: Box<PushQuestion>,
        answer: oneshot::Sender<Vec<PushTarget>>,
    },
    /// A vendor says that a device has this token no more.
    PushRefused {
        app: AppId,
        installation: String,
        token: String,
    },
    /// The service is about to end: every connection is told to discover another one.
    Leave,
    /// Somebody asks whether the core still works, and whether its data can be read and written.
    Check(oneshot::Sender<bool>),
}

/// An input's part in the bytes that wait for the core, for as long as it exists.
#[derive(Debug)]
pub(super) struct Waits {
    bytes: usize,
    sum: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Waits {
    /// Counts an input that came as `bytes`.
    pub(super) fn new(permit: OwnedSemaphorePermit, bytes: usize, sum: &Arc<AtomicUsize>) -> Self {
        sum.fetch_add(bytes, Ordering::Relaxed);
        Self {
            bytes,
            sum: Arc::clone(sum),
            _permit: permit,
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An input that waits for its turn.
#[derive(Debug)]
struct Waiting {
    input: Input,
    waits: Option<Waits>,
    came_at: Instant,
}

/// The results of the inputs that share a commit.
#[derive(Debug, Default)]
struct Batch {
    effects: Vec<Outbound>,
    inputs: usize,
    cost: u64,
    bytes: usize,
    /// Connections that got enough for one batch.
    sated: BTreeSet<ConnectionId>,
    answered: BTreeMap<ConnectionId, usize>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.inputs >= BATCH_INPUTS || self.cost >= BATCH_COST || self.bytes >= BATCH_BYTES
    }

    /// Takes the effects of one turn in; answers their weight.
    fn take(&mut self, effects: Vec<Effect>) -> usize {
        let before = self.bytes;
        for effect in effects {
            let effect = Outbound::from(effect);
            if let Outbound::To(connection, next) = &effect {
                let weight = next.weight();
                self.bytes += weight;
                let answered = self.answered.entry(*connection).or_default();
                *answered += weight;
                if *answered > BATCH_BYTES_EACH {
                    self.sated.insert(*connection);
                }
            }
            if let Outbound::Hook(Some(connection), _) = &effect {
                self.sated.insert(*connection);
            }
            self.effects.push(effect);
        }
        self.bytes - before
    }
}

/// The core with the inputs that wait for it.
pub(super) struct Actor<S> {
    core: Core<S>,
    mailbox: mpsc::Receiver<Letter>,
    clock: Clock,
    outlets: Arc<LocalFanOut>,
    observer: Observer,
    turns: Turns<Waiting>,
    leaving: bool,
    /// The apps to serve from the next batch on.
    apps: Option<Apps>,
    /// The time at which a storage that failed is opened anew.
    retry_at: Option<Duration>,
    hooks: HookCaller,
    pusher: Pusher,
    /// Connections whose command waits for the answer of a hook.
    asking: BTreeSet<ConnectionId>,
    /// The request of each asker that is answered in parts.
    reading: BTreeMap<AskerNumber, Ticket>,
}

impl<S: Storage> Actor<S> {
    pub(super) fn new(
        core: Core<S>,
        mailbox: mpsc::Receiver<Letter>,
        clock: Clock,
        outlets: Arc<LocalFanOut>,
        observer: Observer,
        (hooks, pusher): (HookCaller, Pusher),
    ) -> Self {
        Self {
            core,
            mailbox,
            clock,
            outlets,
            observer,
            turns: Turns::new(),
            leaving: false,
            apps: None,
            retry_at: None,
            hooks,
            pusher,
            asking: BTreeSet::new(),
            reading: BTreeMap::new(),
        }
    }

    /// Connections that may not go on: they have enough to take, or a hook to wait for.
    fn held(&self) -> BTreeSet<ConnectionId> {
        let mut held = self.outlets.held();
        held.extend(&self.asking);
        held
    }

    /// Runs until every sender of the mailbox is gone and all that came was handled.
    pub(super) async fn run(mut self) {
        let mut letters = Vec::new();
        loop {
            let held = self.held();
            let ended = self.gather(&mut letters, &held).await.is_break();
            for letter in letters.drain(..) {
                self.sort(letter).await;
            }
            self.observer.metrics().inputs_waiting(self.turns.len());
            if !self.core.is_sound() {
                self.stand_still().await;
                if ended {
                    return;
                }
                continue;
            }
            let batch = self.work(&self.held()).await;
            self.commit_and_tell(batch).await;
            if ended && self.turns.is_empty() {
                return;
            }
        }
    }

    /// Waits until there is work, and takes the letters that came.
    async fn gather(
        &mut self,
        letters: &mut Vec<Letter>,
        held: &BTreeSet<ConnectionId>,
    ) -> ControlFlow<()> {
        let patience = match self.retry_at {
            Some(retry_at) => self.clock.until(retry_at),
            None if self.turns.any(|lane| may_go(lane, held)) => Duration::ZERO,
            None => self.clock.until(self.core.wake_at()),
        };
        tokio::select! {
            biased;
            received = timeout(patience, self.mailbox.recv_many(letters, MAILBOX)) => {
                match received {
                    Ok(0) => ControlFlow::Break(()),
                    Ok(_) | Err(_) => ControlFlow::Continue(()),
                }
            }
            () = self.outlets.released() => ControlFlow::Continue(()),
        }
    }

    async fn sort(&mut self, letter: Letter) {
        match letter {
            Letter::Input {
                input,
                lane,
                waits,
                came_at,
            } => {
                let expected = input.expected_cost();
                let waiting = Waiting {
                    input,
                    waits,
                    came_at,
                };
                self.turns.push(lane, waiting, expected);
            }
            Letter::HookAnswer { connection, answer } => {
                self.asking.remove(&connection);
                self.core.hook_answered(connection, answer);
            }
            Letter::PushTargets { question, answer } => {
                let found = self.core.push_targets(&question).await;
                // The asker may have ended with the service.
                let _ = answer.send(self.told_of(found));
            }
            Letter::PushRefused {
                app,
                installation,
                token,
            } => {
                let forgotten = self.core.push_refused(&app, &installation, &token).await;
                self.told_of(forgotten);
            }
            Letter::Leave => self.leaving = true,
            Letter::Apps(apps) => {
                self.pusher.forget_senders();
                self.apps = Some(apps);
            }
            // Nothing of a batch is under way here: this is the state after the last commit.
            Letter::Snapshot(answer) => {
                let _ = answer.send(self.core.storage().snapshot());
            }
            Letter::Check(answer) => {
                let works = self.core.is_sound() && self.core.storage().clock().await.is_ok();
                // The asker may have given up waiting.
                let _ = answer.send(works);
            }
        }
    }

    /// The answer of the storage outside of a turn; a fault is told, and the answer is empty then. Nobody pays
    /// for the work: the pushes of all apps share one question at a time.
    fn told_of<T: Default>(&mut self, found: Result<T, StorageError>) -> T {
        self.core.take_cost();
        found.unwrap_or_else(|error| {
            report(format_args!(
                "a push lacks what is known of devices: {error}"
            ));
            T::default()
        })
    }

    /// Handles a failed storage: no client is served until the storage works again, and all are told to come
    /// back later. The storage is opened anew from time to time.
    async fn stand_still(&mut self) {
        let given_up = self.core.give_up_readings().into_iter();
        let mut effects: Vec<Outbound> = given_up.map(Outbound::from).collect();
        self.reading.clear();
        while let Some((lane, turn)) = self.turns.take(|_| true) {
            if let Turn::Next(waiting) = turn {
                effects.extend(turned_away(&waiting.input));
            }
            self.turns.charge(lane, 0, false);
        }
        let now = self.clock.now().elapsed;
        if self.retry_at.is_none_or(|at| at <= now) {
            let (report, retry_at) = match self.core.recover().await {
                Ok(()) => ("the data can be written again".to_owned(), None),
                Err(error) => {
                    let report = format!("the data cannot be written: {error}");
                    (report, Some(now.saturating_add(RETRY_EVERY)))
                }
            };
            self.retry_at = retry_at;
            effects.push(Outbound::Report(report));
        }
        self.outlets.deliver(effects);
    }

    /// Handles inputs, each lane in its turn, until the batch is full or nobody may go.
    async fn work(&mut self, held: &BTreeSet<ConnectionId>) -> Batch {
        let mut batch = Batch::default();
        if self.clock.until(self.core.wake_at()).is_zero() {
            let effects = self.core.handle(self.clock.now(), Input::Woke).await;
            self.observer.follows(None, &effects);
            batch.take(effects);
            batch.cost += self.core.take_cost();
        }
        if let Some(apps) = self.apps.take() {
            batch.take(self.core.serve_apps(self.clock.now(), apps));
        }
        if std::mem::take(&mut self.leaving) {
            batch.take(self.core.handle(self.clock.now(), Input::Leaving).await);
        }
        while !batch.is_full() {
            let sated = &batch.sated;
            let may = |lane| may_go(lane, held) && may_go(lane, sated);
            let Some((lane, turn)) = self.turns.take(may) else {
                break;
            };
            self.turn(lane, turn, &mut batch).await;
        }
        batch
    }

    /// Handles one input, or a part of it.
    async fn turn(&mut self, lane: Lane, turn: Turn<Waiting>, batch: &mut Batch) {
        let now = self.clock.now();
        let (mut lost, mut asked) = (false, None);
        let effects = match turn {
            // It waits no more at the end of this arm, when it is begun at least.
            Turn::Next(waiting) => {
                match &waiting.input {
                    Input::Lost { .. } => lost = true,
                    Input::Asked { ticket, .. } => asked = Some(*ticket),
                    _ => {}
                }
                self.observer.begins(&waiting.input, waiting.came_at);
                let effects = self.core.begin(now, waiting.input).await;
                drop(waiting.waits);
                effects
            }
            Turn::GoOn => match lane {
                Lane::Connection(connection) => self.core.go_on(now, connection).await,
                Lane::Http(asker) => {
                    asked = self.reading.remove(&asker);
                    match asked {
                        Some(ticket) => self.core.read_on(now, ticket).await,
                        None => Vec::new(),
                    }
                }
            },
        };
        if let Lane::Connection(connection) = lane {
            self.observer.follows(Some(connection), &effects);
            if !self.core.is_busy(connection) {
                self.observer.ends(connection);
            }
        }
        let told = batch.take(effects) as u64 / BYTES_A_UNIT;
        let cost = self.core.take_cost() + told;
        batch.inputs += 1;
        batch.cost += cost;
        match lane {
            Lane::Connection(_) if lost => self.turns.remove(lane),
            Lane::Connection(connection) => {
                if self.core.is_signed_in(connection) {
                    self.outlets.welcome(connection);
                }
                let unfinished = self.core.is_busy(connection);
                self.turns.charge(lane, cost, unfinished);
            }
            Lane::Http(asker) => {
                let unfinished = asked.filter(|ticket| self.core.is_reading(*ticket));
                self.reading
                    .extend(unfinished.map(|ticket| (asker, ticket)));
                self.turns.charge(lane, cost, unfinished.is_some());
            }
        }
    }

    /// Calls the hooks of a committed batch; a connection that waits for one may not go on.
    fn call_hooks(&mut self, hooks: Vec<Outbound>) {
        for hook in hooks {
            let (waits, call) = match hook {
                Outbound::Hook(waits, call) => (waits, call),
                Outbound::Push(order) => {
                    // Messages of an app that is no longer served are not pushed.
                    if let Some(app) = self.core.app(&order.app) {
                        self.pusher.push(app, *order);
                    }
                    continue;
                }
                _ => continue,
            };
            match self.core.app(&call.app) {
                Some(app) => {
                    self.asking.extend(waits);
                    self.hooks.call(app, waits, *call);
                }
                // The app is served no more: nobody answers.
                None => waits
                    .into_iter()
                    .for_each(|it| self.core.hook_answered(it, None)),
            }
        }
    }

    /// Commits the batch, and lets everybody know.
    async fn commit_and_tell(&mut self, batch: Batch) {
        let began = Instant::now();
        let committed = self.core.commit().await;
        let metrics = self.observer.metrics();
        if batch.inputs > 0 {
            metrics
                .commit_seconds
                .observe(began.elapsed().as_secs_f64());
            metrics.commit_inputs.observe(batch.inputs as f64);
        }
        metrics.storage_sound.set(i64::from(self.core.is_sound()));
        metrics.worked(self.core.storage().work());
        let online = self.core.online();
        metrics.online(self.core.sessions(), online);
        match committed {
            Ok(()) => {
                let is_hook = |it: &Outbound| matches!(it, Outbound::Hook(..) | Outbound::Push(_));
                let (hooks, effects) = batch.effects.into_iter().partition(is_hook);
                self.outlets.deliver(effects);
                self.call_hooks(hooks);
                self.observer.kept(Instant::now(), self.clock.now().wall);
            }
            Err(error) => {
                metrics.commits_failed.inc();
                self.observer.lost(Instant::now());
                if !self.core.is_sound() {
                    let now = self.clock.now().elapsed;
                    self.retry_at = Some(now.saturating_add(RETRY_EVERY));
                }
                let report = format!("nothing of a batch is kept: {error}");
                let mut effects = vec![Outbound::Report(report)];
                effects.extend(batch.effects.into_iter().filter_map(undone));
                self.asking.clear();
                self.reading.clear();
                effects.extend(self.core.abandon().into_iter().map(Outbound::from));
                self.outlets.deliver(effects);
            }
        }
    }
}

/// True if a lane belongs to none of these connections.
fn may_go(lane: Lane, not: &BTreeSet<ConnectionId>) -> bool {
    match lane {
        Lane::Connection(connection) => !not.contains(&connection),
        Lane::Http(_) => true,
    }
}

/// The answer to an input while nobody is served.
fn turned_away(input: &Input) -> Option<Outbound> {
    let code = CloseCode::READ_TIMEOUT;
    match input {
        Input::Connected { connection, .. } | Input::Received { connection, .. } => {
            Some(Outbound::To(*connection, Outgoing::Close(code)))
        }
        Input::Asked { ticket, .. } => {
            let answer = RestAnswer::refused(503, 1, "the data cannot be written");
            Some(Outbound::Answer(*ticket, Box::new(answer)))
        }
        Input::CameFrom { .. } | Input::Lost { .. } | Input::Woke | Input::Leaving => None,
    }
}

/// The rest of an effect whose batch was not committed: HTTP callers still get an answer.
fn undone(effect: Outbound) -> Option<Outbound> {
    match effect {
        Outbound::Answer(ticket, _) => {
            let answer = Box::new(RestAnswer::refused(500, 1, "internal error"));
            Some(Outbound::Answer(ticket, answer))
        }
        Outbound::Report(text) => Some(Outbound::Report(text)),
        Outbound::To(_, Outgoing::Write { .. } | Outgoing::Close(_))
        | Outbound::Hook(..)
        | Outbound::Push(_) => None,
    }
}
