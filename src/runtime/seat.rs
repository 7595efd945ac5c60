//! One client's place at the loop: its store, its machine, and what waits for the next commit.
//!
//! ```text
//!             commit failed                     probe succeeded
//!   Working ────────────────▶ Failed (reads go on) ────────────▶ Working, rebuilt from the store
//! ```
//!
//! Inputs of a round go to the machine one by one and pile up in one batch and one step;
//! [`Seat::commit`] makes the batch durable and hands out what may be done now that it is.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::door::{Door, Inside, Keys};
use super::inbox::{Asked, Imported, Imports};
use super::mailbox::{Answer, ClientBoard, Newcomer, Signer};
use super::rest::{Guest, SharedKey, Wishes};
use super::{clock, events};
use crate::model::{ClientId, Event, Now, SessionState, StoreHealth, Tag};
use crate::store::{Batch, CommitClass, Overlay, Store, StoreError, StoreKey, Writer};
use crate::sync::link::{ClientSlot, LinkRequest, LinkWish};
use crate::sync::{
    Client as Machine, ClientInput, ClientSettings, Durability, EffectId, Reply, Request,
    RequestId, SignedOperation, Signing, Step,
};
use crate::{Limits, SampanError};

/// How long writes of the cache class may wait for the disk. The service's messages are
/// acknowledged after that; it is short, and gathers a catch-up into a few flushes.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// What the service's statistics see.
const USER_AGENT: &str = concat!("sampan/", env!("CARGO_PKG_VERSION"));

/// The first pause before writing is tried again; it doubles.
const PROBE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause before writing is tried again.
const PROBE_MAX: Duration = Duration::from_secs(60);

/// A client's place at the loop.
pub(super) struct Seat {
    client: ClientId,
    tag: Option<Tag>,
    limits: Limits,
    store: Store,
    writer: Writer,
    signer: Option<Signer>,
    imports: Imports,
    /// When the inbox is to be looked at; none until somebody says that there may be something.
    import_at: Option<Duration>,
    key: SharedKey,
    board: Arc<ClientBoard>,
    calls: BTreeMap<RequestId, Answer<Result<Reply, SampanError>>>,
    next_call: u64,
    /// What the app asked for last. A rebuilt machine is told.
    wishes: Wishes,
    phase: Phase,
    door: Arc<Door>,
    /// Goes last: the files are free then.
    inside: Inside,
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
    /// They leave when everything written is on disk.
    acknowledgements: Vec<LinkRequest>,
}

struct Failed {
    reason: SampanError,
    pause: Duration,
    probe_at: Duration,
}

/// What may be done once a commit has succeeded, in this order.
#[derive(Default)]
pub(super) struct Released {
    pub(super) requests: Vec<LinkRequest>,
    pub(super) signatures: Vec<(EffectId, SignedOperation)>,
    pub(super) wish: Option<LinkWish>,
    pub(super) events: Vec<Event>,
}

impl Seat {
    /// Builds the machine from the store. A store that can't be written is probed from the start.
    pub(super) fn new(now: Now, newcomer: Newcomer, limits: Limits) -> Self {
        let Newcomer { guest, keys } = newcomer;
        let mut seat = Self {
            client: guest.client,
            tag: guest.tag,
            limits,
            store: keys.store,
            writer: keys.writer,
            signer: guest.signer,
            imports: guest.imports,
            import_at: None,
            key: guest.key,
            board: guest.board,
            calls: BTreeMap::new(),
            next_call: 0,
            wishes: guest.wishes,
            phase: Phase::Failed(Failed {
                reason: SampanError::Closed,
                pause: PROBE_FIRST,
                probe_at: now.elapsed,
            }),
            door: guest.door,
            inside: keys.inside,
        };
        let health = seat.store.health();
        seat.board.health.send_replace(health.clone());
        match health {
            StoreHealth::Good => seat.rebuild(now),
            StoreHealth::ReadOnly { reason } => {
                seat.rest(now, SampanError::StoreUnavailable { reason }, PROBE_FIRST);
            }
        }
        seat
    }

    pub(super) const fn client(&self) -> &ClientId {
        &self.client
    }

    pub(super) const fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    pub(super) const fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Gives the store up: what is left is the client, and the store's last handles, whose drop
    /// blocks. Calls that wait for an answer of the service hear that it won't come.
    pub(super) fn leave(self) -> (Guest, Keys) {
        for (_, done) in self.calls {
            // A caller that left is not told.
            let _ = done.send(Err(SampanError::NotConnected));
        }
        self.door.rest();
        let guest = Guest {
            client: self.client,
            tag: self.tag,
            signer: self.signer,
            board: self.board,
            door: self.door,
            wishes: self.wishes,
            imports: self.imports,
            key: self.key,
        };
        let keys = Keys {
            store: self.store,
            writer: self.writer,
            inside: self.inside,
        };
        (guest, keys)
    }

    /// Whether the machine has answered something that is not carried out yet.
    pub(super) fn is_touched(&self) -> bool {
        matches!(&self.phase, Phase::Working(working) if working.step.is_some())
    }

    /// Takes a call of the API. While the store takes no writes the answer is at once that.
    pub(super) fn call(
        &mut self,
        now: Now,
        request: Request,
        done: Answer<Result<Reply, SampanError>>,
    ) -> Result<(), StoreError> {
        match &request {
            Request::Connect { mode } => self.wishes.online = Some(*mode),
            Request::Disconnect => self.wishes.online = None,
            Request::Focus { conversation } => self.wishes.focus.clone_from(conversation),
            _ => {}
        }
        if let Phase::Failed(failed) = &self.phase {
            // A caller that left is not told.
            let _ = done.send(Err(failed.reason.clone()));
            return Ok(());
        }
        let id = self.next_call();
        self.calls.insert(id, done);
        self.handle(now, ClientInput::Requested { id, request })
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

    /// Takes what other processes of the app left; `asked` is told when that is durable.
    pub(super) fn import(&mut self, now: Now, asked: Option<Asked>) -> Result<(), StoreError> {
        asked.into_iter().for_each(|asked| self.imports.wait(asked));
        if let Phase::Failed(failed) = &self.phase {
            self.imports.fail(&failed.reason);
            return Ok(());
        }
        self.import_at = None;
        let id = self.next_call();
        match self.imports.fetch(id, now.wall) {
            Some(dropped) => {
                let request = Request::Import { dropped };
                self.handle(now, ClientInput::Requested { id, request })
            }
            None => Ok(()),
        }
    }

    /// Has the inbox looked at in this round.
    pub(super) fn import_soon(&mut self, now: Now) {
        if self.imports.has_inbox() {
            self.import_at = Some(now.elapsed);
        }
    }

    /// Whether there may be something in the inbox that can be taken now.
    pub(super) const fn imports_now(&self) -> bool {
        self.import_at.is_some() && matches!(self.phase, Phase::Working(_))
    }

    /// Takes what other processes left, if it is time.
    pub(super) fn import_if_due(&mut self, now: Now) -> Result<(), StoreError> {
        if self.imports_now() && self.import_at.is_some_and(|at| at <= now.elapsed) {
            self.import(now, None)
        } else {
            Ok(())
        }
    }

    /// Changes the key of the store, and of the inbox with it.
    pub(super) fn change_key(&mut self, old: &StoreKey, new: &StoreKey) -> Result<(), SampanError> {
        self.writer.change_key(old, new)?;
        self.imports.change_key(new);
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        *key = Some(new.clone());
        Ok(())
    }

    /// When the seat wants to be looked at again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Working(working) => [working.wake_at, working.flush_at, self.import_at]
                .into_iter()
                .flatten()
                .min(),
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
    pub(super) fn commit(&mut self, now: Now) -> Result<Released, StoreError> {
        let Phase::Working(working) = &mut self.phase else {
            return Ok(Released::default());
        };
        let Some(step) = working.step.take() else {
            return Ok(Released::default());
        };
        let mut events = Vec::new();
        if let Some(batch) = working.batch.take().filter(|batch| !batch.is_empty()) {
            let class = match step.durability {
                Durability::Intent => CommitClass::Intent,
                Durability::None | Durability::Cache => CommitClass::Cache,
            };
            let commit = self.writer.commit(batch, class)?;
            let changes = commit.changes.into_iter();
            events.extend(changes.map(|change| events::of(&self.client, commit.seq, change)));
            if self.writer.is_dirty() && working.flush_at.is_none() {
                working.flush_at = Some(now.elapsed + FLUSH_AFTER);
            }
        }
        // A caller that has its answer may ask for the state at once, so the state comes first.
        if let Some(state) = &step.session {
            self.board.session.send_replace(state.clone());
            self.wishes.follow(state);
        }
        for (id, answer) in step.replies {
            if let Some(imported) = self.imports.finish(id, &answer) {
                match imported {
                    Imported::More => self.import_at = Some(now.elapsed),
                    Imported::All(total) => drop(self.board.inbox.send_replace(total)),
                }
            }
            if let Some(done) = self.calls.remove(&id) {
                // A caller that left is not told.
                let _ = done.send(answer.map_err(SampanError::from));
            }
        }
        let mut released = Released {
            requests: step.requests,
            signatures: step.effects.into_iter().map(signature).collect(),
            wish: step.wish,
            events,
        };
        working.acknowledgements.extend(step.acknowledgements);
        if working.flush_at.is_none() {
            released.requests.append(&mut working.acknowledgements);
        }
        self.tell(step.session, step.transient, &mut released.events);
        Ok(released)
    }

    fn tell(
        &self,
        session: Option<SessionState>,
        transient: Vec<crate::model::Message>,
        events: &mut Vec<Event>,
    ) {
        let client = &self.client;
        events.extend(
            transient
                .into_iter()
                .map(|message| Event::TransientMessage {
                    client: client.clone(),
                    message,
                }),
        );
        if let Some(state) = session {
            self.set_session(state, events);
        }
    }

    /// Brings what was committed to disk if it is time, and releases the acknowledgements that
    /// waited for that.
    pub(super) fn flush_if_due(&mut self, now: Now) -> Result<Released, StoreError> {
        match &self.phase {
            Phase::Working(working) if working.flush_at.is_some_and(|at| at <= now.elapsed) => {
                self.flush()
            }
            Phase::Working(_) | Phase::Failed(_) => Ok(Released::default()),
        }
    }

    /// Brings what was committed to disk now.
    pub(super) fn flush(&mut self) -> Result<Released, StoreError> {
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

    /// Drops the machine after a failed write: nothing that it said since the last commit happened.
    pub(super) fn fail(&mut self, now: Now, error: &StoreError) -> Vec<Event> {
        log::warn!(
            "the store of {} stopped taking writes: {error}",
            self.client
        );
        let reason = SampanError::from(error.clone());
        for (_, done) in std::mem::take(&mut self.calls) {
            // A caller that left is not told.
            let _ = done.send(Err(reason.clone()));
        }
        self.imports.fail(&reason);
        self.rest(now, reason, PROBE_FIRST);
        let mut events = Vec::new();
        self.set_health(
            StoreHealth::ReadOnly {
                reason: error.to_string(),
            },
            &mut events,
        );
        let session = match self.wishes.online {
            Some(_) => SessionState::Opening,
            None => SessionState::Closed,
        };
        self.set_session(session, &mut events);
        events
    }

    /// Tries to write, if it is time. True when writing works again: then there is a new machine,
    /// which knows nothing of the link yet.
    pub(super) fn probe_if_due(&mut self, now: Now) -> Option<Vec<Event>> {
        let Phase::Failed(failed) = &self.phase else {
            return None;
        };
        if failed.probe_at > now.elapsed {
            return None;
        }
        let pause = failed.pause;
        if let Err(error) = self.writer.probe(now.wall) {
            self.rest(now, error.into(), (pause * 2).min(PROBE_MAX));
            return None;
        }
        log::info!("the store of {} takes writes again", self.client);
        self.rebuild(now);
        let mut events = Vec::new();
        self.set_health(StoreHealth::Good, &mut events);
        Some(events)
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

    /// Asks the machine for something in the app's name; nobody waits for the answer.
    fn want(&mut self, now: Now, request: Request) -> Result<(), StoreError> {
        let id = self.next_call();
        self.handle(now, ClientInput::Requested { id, request })
    }

    fn rebuild(&mut self, now: Now) {
        let signing = match self.signer {
            Some(_) => Signing::Signed,
            None => Signing::Unsigned,
        };
        let settings = ClientSettings {
            client: self.client.clone(),
            tag: self.tag.clone(),
            user_agent: USER_AGENT.to_owned(),
            signing,
            limits: self.limits.clone(),
        };
        self.phase = Phase::Working(Box::new(Working {
            machine: Machine::rebuild(settings, &self.store, clock::randomness()),
            batch: None,
            step: None,
            // A machine that has just been made may have work; it says so when it is asked.
            wake_at: Some(now.elapsed),
            flush_at: None,
            acknowledgements: Vec::new(),
        }));
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

    fn set_session(&self, state: SessionState, events: &mut Vec<Event>) {
        self.board.session.send_replace(state.clone());
        events.push(Event::SessionChanged {
            client: self.client.clone(),
            state,
        });
    }

    fn set_health(&self, health: StoreHealth, events: &mut Vec<Event>) {
        self.board.health.send_replace(health.clone());
        events.push(Event::StoreHealthChanged {
            client: self.client.clone(),
            health,
        });
    }
}

fn signature(effect: crate::sync::Effect) -> (EffectId, SignedOperation) {
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
