//! One client's place at the loop: its store, its machine, and what waits for the next commit.
//!
//! ```text
//!             commit failed                     probe succeeded
//!   Working ────────────────▶ Failed (reads go on) ────────────▶ Working, rebuilt from the store
//! ```
//!
//! Inputs of a round go to the machine one by one and pile up in one batch and one step;
//! [`Seat::commit`] makes the batch durable and hands out what may be done now that it is.
//!
//! A seat knows no clock, no chance and no thread, and it is indifferent to what a call's answer is
//! given to: the engine and the simulator use the same seats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::arrival::{Arrival, Commits, Departure, Wishes};
use super::events;
use super::marks::Touched;
use super::progress::Telling;
use crate::model::{ClientId, CommitSeq, Event, Now, Operation, SessionState, StoreHealth, Tag};
use crate::store::{Batch, Overlay, Store, StoreError, Tended};
use crate::sync::link::{ClientSlot, LinkRequest, LinkWish};
use crate::sync::{
    Backoff, Client as Machine, ClientInput, ClientSettings, EffectId, Progress, Randomness, Reply,
    Request, RequestError, RequestId, Signing, Step,
};
use crate::views::SyncState;
use crate::{Limits, SampanError};

/// How long writes of the cache class may wait for the disk. The service's messages are
/// acknowledged after that; it is short, and gathers a catch-up into a few flushes.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// How long after a flush something is done about the store's size, if it is too large.
const TEND_AFTER: Duration = Duration::from_millis(500);

/// The pause between two steps of that: each takes some milliseconds, and calls wait for it.
const TEND_PAUSE: Duration = Duration::from_millis(10);

/// How many messages a round writes before it commits: while a commit is under way, calls wait, and
/// readers for a part of it.
const MESSAGES_MAX: usize = 100;

/// What the service's statistics see.
const USER_AGENT: &str = concat!("sampan/", env!("CARGO_PKG_VERSION"));

/// The pauses before writing is tried again.
const PROBES: Backoff = Backoff::plain(Duration::from_secs(1), Duration::from_secs(60));

/// A client's place at the loop. `C` is what a call's answer is given to.
pub(super) struct Seat<C, W> {
    client: ClientId,
    tag: Option<Tag>,
    signing: Signing,
    limits: Limits,
    /// Goes before the writer, which may hold a claim on the folder.
    store: Store,
    writer: W,
    calls: BTreeMap<RequestId, C>,
    /// Calls that hand the machine what other processes of the app left.
    imports: BTreeSet<RequestId>,
    /// When that is to be looked for; none until somebody says that there may be something.
    import_at: Option<Duration>,
    next_call: u64,
    /// What the app asked for last. A rebuilt machine is told.
    wishes: Wishes,
    /// What was told of the catch-up.
    telling: Telling,
    phase: Phase,
}

enum Phase {
    Working(Box<Working>),
    Failed(Failed),
}

/// A machine, and what it answered since the last commit.
struct Working {
    machine: Machine,
    batch: Option<Batch>,
    step: Option<Step>,
    wake_at: Option<Duration>,
    flush_at: Option<Duration>,
    /// When something is to be done about the store's size.
    tend_at: Option<Duration>,
    /// They leave when everything written is on disk.
    acknowledgements: Vec<LinkRequest>,
}

struct Failed {
    reason: SampanError,
    pause: Duration,
    probe_at: Duration,
}

/// What may be done once a commit has succeeded, or must be once one has failed, in this order.
pub(super) struct Released<C> {
    /// Readable state: a caller that has its answer may ask for it at once, so it comes first.
    pub(super) session: Option<SessionState>,
    pub(super) health: Option<StoreHealth>,
    pub(super) sync: Option<SyncState>,
    /// What of the store is different from before.
    pub(super) committed: Touched,
    /// The commit that made it so.
    pub(super) seq: CommitSeq,
    /// What came of what other processes of the app left.
    pub(super) imported: Vec<(RequestId, Result<Reply, RequestError>)>,
    /// Why nothing comes of it now.
    pub(super) not_imported: Option<SampanError>,
    /// What came of a compaction that the app asked for.
    pub(super) compacted: Option<Result<(), SampanError>>,
    pub(super) answers: Vec<(C, Result<Reply, SampanError>)>,
    pub(super) requests: Vec<LinkRequest>,
    pub(super) signatures: Vec<(EffectId, Operation)>,
    pub(super) wish: Option<LinkWish>,
    pub(super) events: Vec<Event>,
}

impl<C> Default for Released<C> {
    fn default() -> Self {
        Self {
            session: None,
            health: None,
            sync: None,
            committed: Touched::Nothing,
            seq: CommitSeq(0),
            imported: Vec::new(),
            not_imported: None,
            compacted: None,
            answers: Vec::new(),
            requests: Vec::new(),
            signatures: Vec::new(),
            wish: None,
            events: Vec::new(),
        }
    }
}

impl<C, W: Commits> Seat<C, W> {
    /// Builds the machine from the store. A store that can't be written is probed from the start.
    pub(super) fn new(now: Now, arrival: Arrival<W>, randomness: Randomness) -> Self {
        let mut seat = Self {
            client: arrival.client,
            tag: arrival.tag,
            signing: arrival.signing,
            limits: arrival.limits,
            store: arrival.store,
            writer: arrival.writer,
            calls: BTreeMap::new(),
            imports: BTreeSet::new(),
            import_at: None,
            next_call: 0,
            wishes: arrival.wishes,
            telling: Telling::default(),
            phase: Phase::Failed(Failed {
                reason: SampanError::Closed,
                pause: PROBES.first,
                probe_at: now.elapsed,
            }),
        };
        match seat.store.health() {
            StoreHealth::Good => seat.rebuild(now, randomness),
            StoreHealth::ReadOnly { reason } => {
                seat.rest(now, SampanError::StoreUnavailable { reason }, PROBES.first);
            }
        }
        seat
    }

    pub(super) const fn client(&self) -> &ClientId {
        &self.client
    }

    /// Whether the store takes writes.
    pub(super) fn health(&self) -> StoreHealth {
        self.store.health()
    }

    /// Gives the store up. Calls that wait for an answer of the service hear that it won't come.
    pub(super) fn leave(self) -> (Departure<W>, Vec<C>) {
        let departure = Departure {
            client: self.client,
            wishes: self.wishes,
            store: self.store,
            writer: self.writer,
        };
        (departure, self.calls.into_values().collect())
    }

    /// Whether the machine has answered something that is not carried out yet.
    pub(super) fn is_touched(&self) -> bool {
        matches!(&self.phase, Phase::Working(working) if working.step.is_some())
    }

    /// Whether it has written as much as one commit should have.
    pub(super) fn is_laden(&self) -> bool {
        let Phase::Working(working) = &self.phase else {
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
    ) -> Result<Released<C>, StoreError> {
        match &request {
            Request::Connect { mode } => self.wishes.online = Some(*mode),
            Request::Disconnect => self.wishes.online = None,
            Request::Focus { conversation } => self.wishes.focus.clone_from(conversation),
            _ => {}
        }
        if let Phase::Failed(failed) = &self.phase {
            let answers = vec![(call, Err(failed.reason.clone()))];
            return Ok(Released {
                answers,
                ..Released::default()
            });
        }
        let id = self.next_call();
        self.calls.insert(id, call);
        self.handle(now, ClientInput::Requested { id, request })?;
        Ok(Released::default())
    }

    /// Hands an input to the machine; without one the input is lost, as it was with the machine.
    pub(super) fn handle(&mut self, now: Now, input: ClientInput) -> Result<(), StoreError> {
        let Phase::Working(working) = &mut self.phase else {
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

    /// Has it looked for what other processes left, in this round.
    pub(super) const fn import_soon(&mut self, now: Now) {
        self.import_at = Some(now.elapsed);
    }

    /// Whether it is to be looked for, and can be taken.
    pub(super) fn imports_now(&self, now: Now) -> bool {
        let is_due = self.import_at.is_some_and(|at| at <= now.elapsed);
        is_due && matches!(self.phase, Phase::Working(_))
    }

    /// Begins to take what other processes left: gives the number of the request that hands it over.
    ///
    /// # Errors
    ///
    /// Why the store takes no writes.
    pub(super) fn begin_import(&mut self) -> Result<RequestId, SampanError> {
        if let Phase::Failed(failed) = &self.phase {
            return Err(failed.reason.clone());
        }
        self.import_at = None;
        let id = self.next_call();
        self.imports.insert(id);
        Ok(id)
    }

    /// For what is no commit: a change of the key.
    pub(super) const fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// When the seat wants to be looked at again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Working(working) => {
                let own = [working.wake_at, working.flush_at, working.tend_at];
                let other = [self.import_at, self.telling.due_at()];
                own.into_iter().chain(other).flatten().min()
            }
            Phase::Failed(failed) => Some(failed.probe_at),
        }
    }

    /// Hands the machine the wake that it asked for, if its time has come.
    pub(super) fn wake(&mut self, now: Now) -> Result<(), StoreError> {
        let Phase::Working(working) = &mut self.phase else {
            return Ok(());
        };
        if working.wake_at.take_if(|at| *at <= now.elapsed).is_none() {
            return Ok(());
        }
        self.handle(now, ClientInput::Woke)
    }

    /// Commits what the round wrote, answers the calls that waited for it, and hands out the rest.
    pub(super) fn commit(&mut self, now: Now) -> Result<Released<C>, StoreError> {
        let Phase::Working(working) = &mut self.phase else {
            return Ok(Released::default());
        };
        let Some(step) = working.step.take() else {
            return Ok(Released::default());
        };
        let mut events = Vec::new();
        let mut committed = Touched::Nothing;
        if let Some(batch) = working.batch.take().filter(|batch| !batch.is_empty()) {
            let class = batch.class();
            let touched = batch.touched();
            let commit = self.writer.commit(batch, class)?;
            committed = Touched::These(touched);
            let changes = commit.changes.into_iter();
            events.extend(changes.map(|change| events::of(&self.client, commit.seq, change)));
            if self.writer.is_dirty() && working.flush_at.is_none() {
                working.flush_at = Some(now.elapsed + FLUSH_AFTER);
            }
        }
        if let Some(state) = &step.session {
            self.wishes.follow(state);
        }
        let mut imports = |reply: &(RequestId, _)| self.imports.remove(&reply.0);
        let (imported, replies) = step.replies.into_iter().partition(|it| imports(it));
        let mut released = Released {
            sync: self.telling.note(now, working.machine.progress()),
            committed,
            seq: self.store.seq(),
            imported,
            answers: answers(&mut self.calls, replies),
            requests: step.requests,
            signatures: step.effects.into_iter().map(signature).collect(),
            wish: step.wish,
            events,
            ..Released::default()
        };
        working.acknowledgements.extend(step.acknowledgements);
        if working.flush_at.is_none() {
            released.requests.append(&mut working.acknowledgements);
        }
        self.tell(step.session, step.transient, &mut released);
        Ok(released)
    }

    /// Tells how far the machine has come, if it is time.
    pub(super) fn tell_progress_if_due(&mut self, now: Now) -> Released<C> {
        let due = self.telling.due_at().is_some_and(|at| at <= now.elapsed);
        let mut released = Released::default();
        if let (true, Phase::Working(working)) = (due, &self.phase) {
            released.sync = self.telling.note(now, working.machine.progress());
        }
        released
    }

    fn tell(
        &self,
        session: Option<SessionState>,
        transient: Vec<crate::model::Message>,
        released: &mut Released<C>,
    ) {
        let client = &self.client;
        let transient = transient.into_iter();
        released
            .events
            .extend(transient.map(|message| Event::TransientMessage {
                client: client.clone(),
                message,
            }));
        if let Some(state) = session {
            self.set_session(state, released);
        }
    }

    /// Brings what was committed to disk if it is time, and releases the acknowledgements that
    /// waited for that.
    pub(super) fn flush_if_due(&mut self, now: Now) -> Result<Released<C>, StoreError> {
        match &self.phase {
            Phase::Working(working) if working.flush_at.is_some_and(|at| at <= now.elapsed) => {
                let released = self.flush()?;
                if self.writer.wants_tending() {
                    self.tend_soon(now, TEND_AFTER);
                }
                Ok(released)
            }
            Phase::Working(_) | Phase::Failed(_) => Ok(Released::default()),
        }
    }

    /// Brings what was committed to disk now.
    pub(super) fn flush(&mut self) -> Result<Released<C>, StoreError> {
        let Phase::Working(working) = &mut self.phase else {
            return Ok(Released::default());
        };
        if working.flush_at.is_some() {
            self.writer.sync()?;
            working.flush_at = None;
        }
        Ok(Released {
            requests: std::mem::take(&mut working.acknowledgements),
            ..Released::default()
        })
    }

    /// Has something done about the store's size, after a pause or when it was to be done before.
    fn tend_soon(&mut self, now: Now, pause: Duration) {
        if let Phase::Working(working) = &mut self.phase {
            let at = now.elapsed + pause;
            working.tend_at = Some(working.tend_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Has the store compacted, from now on.
    ///
    /// # Errors
    ///
    /// Why the store takes no writes.
    pub(super) fn compact_soon(&mut self, now: Now) -> Result<(), SampanError> {
        if let Phase::Failed(failed) = &self.phase {
            return Err(failed.reason.clone());
        }
        self.writer.want_compaction();
        self.tend_soon(now, Duration::ZERO);
        Ok(())
    }

    /// Whether it is time to do something about the store's size.
    pub(super) fn tends_now(&self, now: Now) -> bool {
        matches!(&self.phase, Phase::Working(it) if it.tend_at.is_some_and(|at| at <= now.elapsed))
    }

    /// What the store takes, and what it should take at most.
    pub(super) fn store_bytes(&self) -> u64 {
        self.store.size_bytes().unwrap_or_default()
    }

    pub(super) fn set_disk_budget(&mut self, bytes: Option<u64>) {
        self.writer.set_disk_budget(bytes);
    }

    /// Does a little about the store's size, unless something waits to be committed.
    pub(super) fn tend(&mut self, now: Now) -> Result<Released<C>, StoreError> {
        let mut released = Released::default();
        let Phase::Working(working) = &mut self.phase else {
            return Ok(released);
        };
        working.tend_at = Some(now.elapsed + TEND_PAUSE);
        if working.batch.is_some() || working.step.is_some() {
            return Ok(released);
        }
        let was_wanted = self.writer.wants_compaction();
        let in_view: Vec<_> = self.wishes.focus.iter().cloned().collect();
        let before = self.store.seq();
        let tended = self.writer.tend(&in_view);
        if self.store.seq() != before {
            released.committed = Touched::Everything;
            released.seq = self.store.seq();
        }
        if tended != Ok(Tended::More) {
            working.tend_at = None;
        }
        if self.writer.is_dirty() && working.flush_at.is_none() {
            working.flush_at = Some(now.elapsed + FLUSH_AFTER);
        }
        if was_wanted && !self.writer.wants_compaction() {
            let outcome = tended.clone().map(drop);
            released.compacted = Some(outcome.map_err(SampanError::from));
        }
        match tended {
            Err(error) if self.store.health() != StoreHealth::Good => return Err(error),
            Err(error) => log::warn!("the store of {} stays large: {error}", self.client),
            Ok(_) => {}
        }
        Ok(released)
    }

    /// Drops the machine after a failed write: nothing that it said since the last commit happened.
    pub(super) fn fail(&mut self, now: Now, error: &StoreError) -> Released<C> {
        log::warn!(
            "the store of {} stopped taking writes: {error}",
            self.client
        );
        let reason = SampanError::from(error.clone());
        let calls = std::mem::take(&mut self.calls).into_values();
        let mut released = Released {
            sync: self.telling.note(now, Progress::Unknown),
            answers: calls.map(|call| (call, Err(reason.clone()))).collect(),
            not_imported: Some(reason.clone()),
            compacted: Some(Err(reason.clone())),
            ..Released::default()
        };
        self.rest(now, reason, PROBES.first);
        let reason = error.to_string();
        self.set_health(StoreHealth::ReadOnly { reason }, &mut released);
        let session = match self.wishes.online {
            Some(_) => SessionState::Opening,
            None => SessionState::Closed,
        };
        self.set_session(session, &mut released);
        released
    }

    /// Whether it is time to try whether writing works again.
    pub(super) fn is_probe_due(&self, now: Now) -> bool {
        matches!(&self.phase, Phase::Failed(failed) if failed.probe_at <= now.elapsed)
    }

    /// Tries to write. When writing works again there is a new machine, which knows nothing of the
    /// link yet, and something to tell.
    pub(super) fn probe(&mut self, now: Now, randomness: Randomness) -> Option<Released<C>> {
        let Phase::Failed(failed) = &self.phase else {
            return None;
        };
        let pause = failed.pause;
        if let Err(error) = self.writer.probe(now.wall) {
            self.rest(now, error.into(), PROBES.after(pause));
            return None;
        }
        log::info!("the store of {} takes writes again", self.client);
        self.rebuild(now, randomness);
        let mut released = Released::default();
        self.set_health(StoreHealth::Good, &mut released);
        Some(released)
    }

    /// Tells a rebuilt machine what the app wants. One that was signed in comes back by itself, so it
    /// does not push another device off its place.
    pub(super) fn reconnect(&mut self, now: Now) -> Result<(), StoreError> {
        let Wishes { online, focus } = self.wishes.clone();
        if let Some(mode) = online {
            self.want(now, Request::Connect { mode })?;
        }
        if focus.is_some() {
            let conversation = focus;
            self.want(now, Request::Focus { conversation })?;
        }
        Ok(())
    }

    /// Tells the service that the session is over, if there is one.
    pub(super) fn say_goodbye(&mut self, now: Now) -> Result<(), StoreError> {
        self.wishes.online = None;
        self.want(now, Request::Disconnect)
    }

    /// Asks the machine for something in the app's name; nobody waits for the answer.
    fn want(&mut self, now: Now, request: Request) -> Result<(), StoreError> {
        let id = self.next_call();
        self.handle(now, ClientInput::Requested { id, request })
    }

    fn rebuild(&mut self, now: Now, randomness: Randomness) {
        let settings = ClientSettings {
            client: self.client.clone(),
            tag: self.tag.clone(),
            user_agent: USER_AGENT.to_owned(),
            signing: self.signing,
            limits: self.limits.clone(),
        };
        self.phase = Phase::Working(Box::new(Working {
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
            acknowledgements: Vec::new(),
        }));
        self.imports.clear();
        self.import_soon(now);
    }

    fn rest(&mut self, now: Now, reason: SampanError, pause: Duration) {
        self.phase = Phase::Failed(Failed {
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

    fn set_session(&self, state: SessionState, released: &mut Released<C>) {
        released.session = Some(state.clone());
        released.events.push(Event::SessionChanged {
            client: self.client.clone(),
            state,
        });
    }

    fn set_health(&self, health: StoreHealth, released: &mut Released<C>) {
        released.health = Some(health.clone());
        released.events.push(Event::StoreHealthChanged {
            client: self.client.clone(),
            health,
        });
    }
}

/// The answers of a step, with what each is given to.
fn answers<C>(
    calls: &mut BTreeMap<RequestId, C>,
    replies: Vec<(RequestId, Result<Reply, RequestError>)>,
) -> Vec<(C, Result<Reply, SampanError>)> {
    let answer = |(id, answer): (_, Result<_, RequestError>)| {
        Some((calls.remove(&id)?, answer.map_err(SampanError::from)))
    };
    replies.into_iter().filter_map(answer).collect()
}

fn signature(effect: crate::sync::Effect) -> (EffectId, Operation) {
    match effect {
        crate::sync::Effect::Sign { effect, operation } => (effect, operation),
    }
}

/// The numbers of seats are never used again, so that what concerns an older one finds nobody.
#[derive(Debug, Default)]
pub(super) struct Slots {
    next: u32,
}

impl Slots {
    pub(super) fn take(&mut self) -> ClientSlot {
        let slot = ClientSlot(self.next);
        self.next += 1;
        slot
    }
}
