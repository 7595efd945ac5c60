//! One client of a device: its store, its machine, and what waits for the next commit.
//!
//! It carries out what the machine says in the order that the engine's loop keeps: commit, then
//! answer and send, then tell. The planted faults of that order are planted here.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::Limits;
use sampan::model::{ClientId, Now, SessionState, StoreHealth, Tag};
use sampan::store::{
    Batch, CommitClass, MemoryDisk, Opened, Overlay, Store, StoreChange, StoreError, Writer,
};
use sampan::sync::link::{ClientSlot, LinkRequest, LinkWish};
use sampan::sync::{
    Client, ClientInput, ClientSettings, Durability, Effect, Randomness, Reply, Request,
    RequestError, RequestId, SignIn, Signing, Step,
};

use crate::ledger::Call;
use crate::mirror::Mirror;
use crate::mutation::Mutation;

/// How long writes of the cache class wait for the disk, as in the engine's loop.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// The pauses between tries of a disk that refused, as in the engine's loop.
const PROBE_FIRST: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(60);

/// Who a desk is for, over all its lives.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) client: ClientId,
    pub(crate) tag: Option<Tag>,
    pub(crate) signing: Signing,
    pub(crate) limits: Limits,
    pub(crate) mutation: Option<Mutation>,
}

/// A client's place in a device that runs.
pub(crate) struct Desk {
    identity: Identity,
    pub(crate) slot: ClientSlot,
    store: Store,
    writer: Writer,
    phase: Phase,
    online: Option<SignIn>,
    calls: BTreeMap<RequestId, Call>,
    next_call: u64,
    pub(crate) mirror: Mirror,
    pub(crate) session: SessionState,
    /// Commits so far; the planted faults strike every few of them.
    commits: u64,
}

enum Phase {
    Working(Box<Working>),
    Failed { pause: Duration, probe_at: Duration },
}

struct Working {
    machine: Client,
    batch: Option<Batch>,
    step: Option<Step>,
    wake_at: Option<Duration>,
    flush_at: Option<Duration>,
    acknowledgements: Vec<LinkRequest>,
}

/// What may be done once a commit has succeeded.
#[derive(Default)]
pub(crate) struct Released {
    pub(crate) answers: Vec<(Call, Result<Reply, RequestError>)>,
    pub(crate) requests: Vec<LinkRequest>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) wish: Option<LinkWish>,
    /// How many changes observers were told.
    pub(crate) told: usize,
    pub(crate) session: Option<SessionState>,
}

impl Desk {
    /// Opens the store of the disk and builds the machine from it.
    ///
    /// # Errors
    ///
    /// What the store says: the disk was told to fail.
    pub(crate) fn open(
        identity: Identity,
        slot: ClientSlot,
        disk: &MemoryDisk,
        now: Now,
        randomness: Randomness,
    ) -> Result<Self, StoreError> {
        let Opened { store, writer, .. } = Store::in_memory(disk, identity.client.clone())?;
        let mirror = Mirror::of(&store);
        let mut desk = Self {
            identity,
            slot,
            store,
            writer,
            phase: Phase::Failed {
                pause: PROBE_FIRST,
                probe_at: now.elapsed,
            },
            online: None,
            calls: BTreeMap::new(),
            next_call: 0,
            mirror,
            session: SessionState::Closed,
            commits: 0,
        };
        if desk.store.health() == StoreHealth::Good {
            desk.rebuild(now, randomness);
        }
        Ok(desk)
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) const fn client(&self) -> &ClientId {
        &self.identity.client
    }

    /// Whether the machine answered something that is not carried out yet.
    pub(crate) fn is_touched(&self) -> bool {
        matches!(&self.phase, Phase::Working(working) if working.step.is_some())
    }

    /// Whether the store takes writes.
    pub(crate) const fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working(_))
    }

    /// An app's call. While the store takes no writes it fails at once, and is not heard of again.
    pub(crate) fn call(
        &mut self,
        now: Now,
        request: Request,
        call: Call,
    ) -> Result<(), StoreError> {
        match &request {
            Request::Connect { mode } => self.online = Some(*mode),
            Request::Disconnect => self.online = None,
            _ => {}
        }
        if !self.is_working() {
            return Ok(());
        }
        let id = self.fresh_call();
        self.calls.insert(id, call);
        self.handle(now, ClientInput::Requested { id, request })
    }

    /// Hands an input to the machine.
    pub(crate) fn handle(&mut self, now: Now, input: ClientInput) -> Result<(), StoreError> {
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

    /// When the desk wants to be looked at again.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Working(working) => {
                let wakes = [working.wake_at, working.flush_at];
                wakes.into_iter().flatten().min()
            }
            Phase::Failed { probe_at, .. } => Some(*probe_at),
        }
    }

    /// Wakes the machine if it asked for that.
    pub(crate) fn wake(&mut self, now: Now) -> Result<(), StoreError> {
        let Phase::Working(working) = &mut self.phase else {
            return Ok(());
        };
        if working.wake_at.take_if(|at| *at <= now.elapsed).is_none() {
            return Ok(());
        }
        if self.identity.mutation == Some(Mutation::LostTimer) {
            return Ok(());
        }
        self.handle(now, ClientInput::Woke)
    }

    /// Commits what the round wrote and hands out what may follow.
    pub(crate) fn commit(&mut self, now: Now) -> Result<Released, StoreError> {
        let Phase::Working(working) = &mut self.phase else {
            return Ok(Released::default());
        };
        let Some(step) = working.step.take() else {
            return Ok(Released::default());
        };
        let mut changes = Vec::new();
        if let Some(batch) = working.batch.take().filter(|batch| !batch.is_empty()) {
            self.commits += 1;
            let class = match step.durability {
                Durability::Intent => CommitClass::Intent,
                Durability::None | Durability::Cache => CommitClass::Cache,
            };
            changes = match planted(self.identity.mutation, self.commits, class) {
                Planted::Nothing => self.writer.commit(batch, class)?.changes,
                Planted::As(class) => self.writer.commit(batch, class)?.changes,
                Planted::Dropped => Vec::new(),
            };
            if self.writer.is_dirty() && working.flush_at.is_none() {
                working.flush_at = Some(now.elapsed + FLUSH_AFTER);
            }
        }
        let mut released = Released {
            answers: self.answers(step.replies),
            requests: step.requests,
            effects: step.effects,
            wish: step.wish,
            told: changes.len(),
            session: step.session,
        };
        if let Phase::Working(working) = &mut self.phase {
            working.acknowledgements.extend(step.acknowledgements);
            if working.flush_at.is_none() {
                released.requests.append(&mut working.acknowledgements);
            }
        }
        self.tell(changes);
        if let Some(session) = &released.session {
            self.session = session.clone();
        }
        Ok(released)
    }

    fn answers(
        &mut self,
        replies: Vec<(RequestId, Result<Reply, RequestError>)>,
    ) -> Vec<(Call, Result<Reply, RequestError>)> {
        let answers = replies.into_iter();
        answers
            .filter_map(|(id, answer)| Some((self.calls.remove(&id)?, answer)))
            .collect()
    }

    fn tell(&mut self, changes: Vec<StoreChange>) {
        for (number, change) in changes.into_iter().enumerate() {
            let lost = self.identity.mutation == Some(Mutation::LostChange)
                && (self.commits + u64::try_from(number).unwrap_or(0)).is_multiple_of(11);
            if !lost {
                self.mirror.apply(change);
            }
        }
    }

    /// Brings what was committed to disk if it is time.
    pub(crate) fn flush_if_due(&mut self, now: Now) -> Result<Released, StoreError> {
        match &self.phase {
            Phase::Working(working) if working.flush_at.is_some_and(|at| at <= now.elapsed) => {
                self.flush()
            }
            Phase::Working(_) | Phase::Failed { .. } => Ok(Released::default()),
        }
    }

    /// Brings what was committed to disk now.
    pub(crate) fn flush(&mut self) -> Result<Released, StoreError> {
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

    /// The calls that nobody will answer any more.
    pub(crate) fn take_calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls).into_values().collect()
    }

    /// After a failed write nothing of what the machine said since the last commit happens.
    pub(crate) fn fail(&mut self, now: Now) {
        if self.identity.mutation == Some(Mutation::KeptMachine) {
            // The machine goes on with what it believes, and nobody probes the disk.
            let _ = self.writer.probe(now.wall);
            return;
        }
        self.phase = Phase::Failed {
            pause: PROBE_FIRST,
            probe_at: now.elapsed + PROBE_FIRST,
        };
        self.session = match self.online {
            Some(_) => SessionState::Opening,
            None => SessionState::Closed,
        };
    }

    /// Tries whether the disk takes writes again, if it is time. True when there is a new machine.
    pub(crate) fn probe_if_due(&mut self, now: Now, randomness: Randomness) -> bool {
        let Phase::Failed { pause, probe_at } = self.phase else {
            return false;
        };
        if probe_at > now.elapsed {
            return false;
        }
        if self.writer.probe(now.wall).is_err() {
            let pause = (pause * 2).min(PROBE_MAX);
            let probe_at = now.elapsed + pause;
            self.phase = Phase::Failed { pause, probe_at };
            return false;
        }
        // What readers see may have changed below them: an observer reads again.
        self.mirror = Mirror::of(&self.store);
        self.rebuild(now, randomness);
        true
    }

    /// Tells a rebuilt machine what the app wants.
    pub(crate) fn reconnect(&mut self, now: Now) -> Result<(), StoreError> {
        if self.online.is_none() {
            return Ok(());
        }
        let id = self.fresh_call();
        let mode = SignIn::Yield;
        let request = Request::Connect { mode };
        self.handle(now, ClientInput::Requested { id, request })
    }

    fn rebuild(&mut self, now: Now, randomness: Randomness) {
        let settings = ClientSettings {
            client: self.identity.client.clone(),
            tag: self.identity.tag.clone(),
            user_agent: "sampan-sim".to_owned(),
            signing: self.identity.signing,
            limits: self.identity.limits.clone(),
        };
        self.phase = Phase::Working(Box::new(Working {
            machine: Client::rebuild(settings, &self.store, randomness),
            batch: None,
            step: None,
            wake_at: Some(now.elapsed),
            flush_at: None,
            acknowledgements: Vec::new(),
        }));
    }

    fn fresh_call(&mut self) -> RequestId {
        let id = RequestId(self.next_call);
        self.next_call += 1;
        id
    }
}

/// What a planted fault makes of a commit.
enum Planted {
    Nothing,
    As(CommitClass),
    Dropped,
}

fn planted(mutation: Option<Mutation>, commits: u64, class: CommitClass) -> Planted {
    match mutation {
        Some(Mutation::IntentNotSynced) => Planted::As(CommitClass::Cache),
        Some(Mutation::LostCacheCommit)
            if class == CommitClass::Cache && commits.is_multiple_of(5) =>
        {
            Planted::Dropped
        }
        Some(Mutation::LostIntentCommit)
            if class == CommitClass::Intent && commits.is_multiple_of(7) =>
        {
            Planted::Dropped
        }
        _ => Planted::Nothing,
    }
}
