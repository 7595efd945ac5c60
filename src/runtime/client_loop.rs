//! One client in the loop: its store, its machine, and the effects that wait for the next commit.
//!
//! ```text
//!             commit failed                     probe succeeded
//!   Working ────────────────▶ Failed (reads go on) ────────────▶ Working, rebuilt from the store
//! ```
//!
//! The inputs of a turn go to the machine one by one, and add to one batch and one step. [`ClientLoop::commit`]
//! makes the batch durable and gives [`AfterCommit`]: the effects that may be carried out now.
//!
//! [`ClientLoop`] knows no clock, no chance, no thread and no receiver of answers. The engine and the simulator
//! both use it.

mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::after_commit::AfterCommit;
use super::attach::{ClientSetup, DetachedClient, StoreWriter, Wishes};
use super::events;
use super::marks::Touched;
use super::progress::Telling;
use crate::model::{ClientId, DeviceTag, Event, Now, SessionState, StoreHealth};
use crate::store::{Batch, Overlay, Store, StoreError};
use crate::sync::link::LinkRequest;
use crate::sync::{
    Backoff, CatchUpProgress, Client as Machine, ClientInput, ClientSettings, Connect, Disconnect,
    Focus, Randomness, Reply, Request, RequestError, RequestId, Signing, Step,
};
use crate::{Limits, SampanError, sync};

/// How long writes of the cache class may wait for the disk. The service's messages are
/// acknowledged after that; it is short, and gathers a catch-up into a few flushes.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// How long after a flush something is done about the store's size, if it is too large.
const TEND_AFTER: Duration = Duration::from_millis(500);

/// How many messages a turn writes before it commits: while a commit is under way, calls wait, and
/// readers for a part of it.
const MESSAGES_MAX: usize = 100;

/// The name of the engine in the service's statistics.
const USER_AGENT: &str = concat!("sampan/", env!("CARGO_PKG_VERSION"));

/// The pauses before writing is tried again.
const PROBES: Backoff = Backoff::plain(Duration::from_secs(1), Duration::from_secs(60));

/// A client in the loop. `C` takes a call's answer.
pub(super) struct ClientLoop<C, W> {
    client: ClientId,
    tag: Option<DeviceTag>,
    device_id: Option<String>,
    signing: Signing,
    limits: Limits,
    /// Goes before the writer, which may hold a claim on the folder.
    store: Store,
    writer: W,
    calls: BTreeMap<RequestId, C>,
    /// Requests that hand the machine an extension inbox.
    imports: BTreeSet<RequestId>,
    /// The time of the next import of the extension inbox; none until the inbox may hold work.
    import_at: Option<Duration>,
    next_call: u64,
    /// The app's last wishes. A rebuilt machine is told.
    wishes: Wishes,
    /// The last report of the catch-up.
    telling: Telling,
    phase: ClientPhase,
}

enum ClientPhase {
    Working(Box<Working>),
    Failed(Failed),
}

/// A machine, and its answers since the last commit.
struct Working {
    machine: Machine,
    batch: Option<Batch>,
    step: Option<Step>,
    wake_at: Option<Duration>,
    flush_at: Option<Duration>,
    /// The time of the next work on the store's size.
    tend_at: Option<Duration>,
    /// The messages that were committed since the store was last tended.
    came: usize,
    /// They leave when everything written is on disk.
    acknowledgements: Vec<LinkRequest>,
}

struct Failed {
    reason: SampanError,
    pause: Duration,
    probe_at: Duration,
}

impl<C, W: StoreWriter> ClientLoop<C, W> {
    /// Builds the machine from the store. A store that can't be written is probed from the start.
    pub(super) fn new(now: Now, setup: ClientSetup<W>, randomness: Randomness) -> Self {
        let mut this = Self {
            client: setup.client,
            tag: setup.tag,
            device_id: setup.device_id,
            signing: setup.signing,
            limits: setup.limits,
            store: setup.store,
            writer: setup.writer,
            calls: BTreeMap::new(),
            imports: BTreeSet::new(),
            import_at: None,
            next_call: 0,
            wishes: setup.wishes,
            telling: Telling::default(),
            phase: ClientPhase::Failed(Failed {
                reason: SampanError::ShutDown,
                pause: PROBES.first,
                probe_at: now.elapsed,
            }),
        };
        match this.store.health() {
            StoreHealth::Good => this.rebuild(now, randomness),
            StoreHealth::ReadOnly { trouble, reason } => {
                let failed = SampanError::StoreUnavailable { trouble, reason };
                this.set_failed(now, failed, PROBES.first);
            }
        }
        this
    }

    pub(super) const fn id(&self) -> &ClientId {
        &self.client
    }

    /// The store's health: it takes writes, or it does not.
    pub(super) fn health(&self) -> StoreHealth {
        self.store.health()
    }

    /// Gives the store up. Calls that wait for an answer of the service hear that it won't come.
    pub(super) fn detach(self) -> (DetachedClient<W>, Vec<C>) {
        let detached = DetachedClient {
            client: self.client,
            wishes: self.wishes,
            store: self.store,
            writer: self.writer,
        };
        (detached, self.calls.into_values().collect())
    }

    /// True if the machine has answered something that is not carried out yet.
    pub(super) fn is_touched(&self) -> bool {
        matches!(&self.phase, ClientPhase::Working(working) if working.step.is_some())
    }

    /// True if one commit's worth of messages is written.
    pub(super) fn is_full(&self) -> bool {
        let ClientPhase::Working(working) = &self.phase else {
            return false;
        };
        let written = working.batch.as_ref().map_or(0, Batch::message_count);
        written >= MESSAGES_MAX
    }

    /// Takes a call of the API. While the store takes no writes the answer is at once that.
    pub(super) fn call(
        &mut self,
        now: Now,
        request: Request,
        call: C,
    ) -> Result<AfterCommit<C>, StoreError> {
        match &request {
            Request::Connect(call) => self.wishes.online = Some(call.mode),
            Request::Disconnect(_) => self.wishes.online = None,
            Request::Focus(call) => self.wishes.focus.clone_from(&call.conversation),
            _ => {}
        }
        if let ClientPhase::Failed(failed) = &self.phase {
            let answers = vec![(call, Err(failed.reason.clone()))];
            return Ok(AfterCommit {
                answers,
                ..AfterCommit::default()
            });
        }
        let id = self.next_call();
        self.calls.insert(id, call);
        self.handle(now, ClientInput::Requested { id, request })?;
        Ok(AfterCommit::default())
    }

    /// Hands an input to the machine; without one the input is lost, as it was with the machine.
    pub(super) fn handle(&mut self, now: Now, input: ClientInput) -> Result<(), StoreError> {
        let ClientPhase::Working(working) = &mut self.phase else {
            return Ok(());
        };
        let mut overlay = match working.batch.take() {
            Some(batch) => Overlay::with_batch(&self.store, batch),
            None => Overlay::new(&self.store),
        };
        let step = working.machine.handle(now, input, &mut overlay)?;
        working.batch = Some(overlay.into_batch());
        working.wake_at = step.wake_after.map(|after| now.elapsed + after);
        match &mut working.step {
            Some(earlier) => earlier.absorb(step),
            none => *none = Some(step),
        }
        Ok(())
    }

    /// Has the extension inbox read in this turn.
    pub(super) const fn import_soon(&mut self, now: Now) {
        self.import_at = Some(now.elapsed);
    }

    /// True if the extension inbox is to be read now, and can be taken.
    pub(super) fn imports_now(&self, now: Now) -> bool {
        let is_due = self.import_at.is_some_and(|at| at <= now.elapsed);
        is_due && matches!(self.phase, ClientPhase::Working(_))
    }

    /// Begins to take the extension inbox: gives the number of the request that hands it over.
    ///
    /// # Errors
    ///
    /// Why the store takes no writes.
    pub(super) fn begin_import(&mut self) -> Result<RequestId, SampanError> {
        if let ClientPhase::Failed(failed) = &self.phase {
            return Err(failed.reason.clone());
        }
        self.import_at = None;
        let id = self.next_call();
        self.imports.insert(id);
        Ok(id)
    }

    /// The writer, for work that is no commit: a change of the key.
    pub(super) const fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// The time at which the client needs a turn even without an input.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.phase {
            ClientPhase::Working(working) => {
                let own = [working.wake_at, working.flush_at, working.tend_at];
                let other = [self.import_at, self.telling.due_at()];
                own.into_iter().chain(other).flatten().min()
            }
            ClientPhase::Failed(failed) => Some(failed.probe_at),
        }
    }

    /// Hands the machine the wake that it asked for, if its time has come.
    pub(super) fn wake(&mut self, now: Now) -> Result<(), StoreError> {
        let ClientPhase::Working(working) = &mut self.phase else {
            return Ok(());
        };
        if working.wake_at.take_if(|at| *at <= now.elapsed).is_none() {
            return Ok(());
        }
        self.handle(now, ClientInput::Woke)
    }

    /// Commits the writes of the turn, answers the calls that waited for it, and passes the other effects on.
    pub(super) fn commit(&mut self, now: Now) -> Result<AfterCommit<C>, StoreError> {
        let ClientPhase::Working(working) = &mut self.phase else {
            return Ok(AfterCommit::default());
        };
        let Some(step) = working.step.take() else {
            return Ok(AfterCommit::default());
        };
        let mut committed = Touched::Nothing;
        let mut changed = Vec::new();
        if let Some(batch) = working.batch.take().filter(|batch| !batch.is_empty()) {
            let class = batch.class();
            let touched = batch.touched();
            working.came += batch.message_count();
            let commit = self.writer.commit(batch, class)?;
            committed = Touched::These(touched);
            let changes = commit.changes.into_iter();
            changed.extend(changes.map(|change| events::of(&self.client, commit.seq, change)));
            if self.writer.is_dirty() && working.flush_at.is_none() {
                working.flush_at = Some(now.elapsed + FLUSH_AFTER);
            }
        }
        if let Some(state) = &step.session {
            self.wishes.follow(state);
        }
        // A client that comes into a conversation is told of that before the messages there.
        let seq = self.store.seq();
        let notices = step.notices.into_iter();
        let mut events: Vec<_> = notices
            .map(|notice| events::of_members(&self.client, seq, notice))
            .collect();
        events.append(&mut changed);
        let mut imports = |reply: &(RequestId, _)| self.imports.remove(&reply.0);
        let (imported, replies) = step.replies.into_iter().partition(|it| imports(it));
        let mut after = AfterCommit {
            sync: self.telling.note(now, working.machine.progress()),
            holds: self.telling.hold(now, working.machine.holds(now.elapsed)),
            typing: step.typing,
            committed,
            seq,
            imported,
            answers: answers(&mut self.calls, replies),
            requests: step.requests,
            effects: step.effects,
            wish: step.wish,
            events,
            ..AfterCommit::default()
        };
        working.acknowledgements.extend(step.acknowledgements);
        if working.flush_at.is_none() {
            after.requests.append(&mut working.acknowledgements);
        }
        self.tell(step.session, step.transient, step.presence, &mut after);
        Ok(after)
    }

    /// Tells how far the machine has come, if it is time.
    pub(super) fn tell_progress_if_due(&mut self, now: Now) -> AfterCommit<C> {
        let due = self.telling.due_at().is_some_and(|at| at <= now.elapsed);
        let mut after = AfterCommit::default();
        if let (true, ClientPhase::Working(working)) = (due, &self.phase) {
            after.sync = self.telling.note(now, working.machine.progress());
        }
        after
    }

    fn tell(
        &self,
        session: Option<SessionState>,
        transient: Vec<crate::model::Message>,
        presence: Vec<crate::model::WatchedClient>,
        after: &mut AfterCommit<C>,
    ) {
        let client = &self.client;
        after
            .events
            .extend(presence.into_iter().map(|it| Event::PresenceChanged {
                client: client.clone(),
                peer: it.client,
                presence: it.presence,
            }));
        let transient = transient.into_iter();
        after
            .events
            .extend(transient.map(|message| Event::TransientMessage {
                client: client.clone(),
                message,
            }));
        if let Some(state) = session {
            self.set_session(state, after);
        }
    }

    /// Drops the machine after a failed write: nothing that it said since the last commit happened.
    pub(super) fn fail(&mut self, now: Now, error: &StoreError) -> AfterCommit<C> {
        log::warn!(
            "the store of {} stopped taking writes: {error}",
            self.client
        );
        let reason = SampanError::from(error.clone());
        let calls = std::mem::take(&mut self.calls).into_values();
        let mut after = AfterCommit {
            sync: self.telling.note(now, CatchUpProgress::Unknown),
            holds: self.telling.hold(now, sync::ElapsedHolds::default()),
            typing: Some(sync::TypingClients::new()),
            answers: calls.map(|call| (call, Err(reason.clone()))).collect(),
            not_imported: Some(reason.clone()),
            compacted: Some(Err(reason.clone())),
            ..AfterCommit::default()
        };
        self.set_failed(now, reason, PROBES.first);
        self.set_health(error.health(), &mut after);
        let session = match self.wishes.online {
            Some(_) => SessionState::Opening,
            None => SessionState::Closed,
        };
        self.set_session(session, &mut after);
        after
    }

    /// True if it is time to try writing again.
    pub(super) fn is_probe_due(&self, now: Now) -> bool {
        matches!(&self.phase, ClientPhase::Failed(failed) if failed.probe_at <= now.elapsed)
    }

    /// Tests if the disk takes writes. When writing works again there is a new machine, which knows nothing of
    /// the link yet, and a change of health to tell.
    pub(super) fn probe(&mut self, now: Now, randomness: Randomness) -> Option<AfterCommit<C>> {
        let ClientPhase::Failed(failed) = &self.phase else {
            return None;
        };
        let pause = failed.pause;
        if let Err(error) = self.writer.probe(now.wall) {
            self.set_failed(now, error.into(), PROBES.after(pause));
            return None;
        }
        log::info!("the store of {} takes writes again", self.client);
        self.rebuild(now, randomness);
        let mut after = AfterCommit::default();
        self.set_health(StoreHealth::Good, &mut after);
        Some(after)
    }

    /// Gives a rebuilt machine the app's wishes. A client that was signed in comes back by itself, so it does
    /// not end the session of another device.
    pub(super) fn reconnect(&mut self, now: Now) -> Result<(), StoreError> {
        let Wishes { online, focus } = self.wishes.clone();
        if let Some(mode) = online {
            self.want(now, Connect { mode })?;
        }
        if focus.is_some() {
            let conversation = focus;
            self.want(now, Focus { conversation })?;
        }
        Ok(())
    }

    /// Tells the service that the session is over, if there is one.
    pub(super) fn say_goodbye(&mut self, now: Now) -> Result<(), StoreError> {
        self.wishes.online = None;
        self.want(now, Disconnect)
    }

    /// Makes a request of the machine in the app's name, without a caller for the answer.
    fn want(&mut self, now: Now, call: impl Into<Request>) -> Result<(), StoreError> {
        let (id, request) = (self.next_call(), call.into());
        self.handle(now, ClientInput::Requested { id, request })
    }

    fn rebuild(&mut self, now: Now, randomness: Randomness) {
        let settings = ClientSettings {
            client: self.client.clone(),
            tag: self.tag.clone(),
            device_id: self.device_id.clone(),
            user_agent: USER_AGENT.to_owned(),
            signing: self.signing,
            limits: self.limits.clone(),
        };
        self.phase = ClientPhase::Working(Box::new(Working {
            machine: Machine::rebuild(settings, &self.store, randomness),
            batch: None,
            step: None,
            // A machine that has just been made may have work; it says so when it is asked.
            wake_at: Some(now.elapsed),
            flush_at: None,
            tend_at: self
                .writer
                .wants_tending()
                .then(|| now.elapsed + TEND_AFTER),
            came: 0,
            acknowledgements: Vec::new(),
        }));
        self.imports.clear();
        self.import_soon(now);
    }

    fn set_failed(&mut self, now: Now, reason: SampanError, pause: Duration) {
        self.phase = ClientPhase::Failed(Failed {
            reason,
            pause,
            probe_at: now.elapsed + pause,
        });
    }

    fn next_call(&mut self) -> RequestId {
        let id = RequestId(self.next_call);
        self.next_call += 1;
        id
    }

    fn set_session(&self, state: SessionState, after: &mut AfterCommit<C>) {
        after.session = Some(state.clone());
        after.events.push(Event::SessionChanged {
            client: self.client.clone(),
            state,
        });
    }

    fn set_health(&self, health: StoreHealth, after: &mut AfterCommit<C>) {
        after.health = Some(health.clone());
        after.events.push(Event::StoreHealthChanged {
            client: self.client.clone(),
            health,
        });
    }
}

/// The answers of a step, each with its receiver.
fn answers<C>(
    calls: &mut BTreeMap<RequestId, C>,
    replies: Vec<(RequestId, Result<Reply, RequestError>)>,
) -> Vec<(C, Result<Reply, SampanError>)> {
    let answer = |(id, answer): (_, Result<_, RequestError>)| {
        Some((calls.remove(&id)?, answer.map_err(SampanError::from)))
    };
    replies.into_iter().filter_map(answer).collect()
}
