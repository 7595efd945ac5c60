//! One client of a device, over all its lives: its disk, its app's view, its planted faults.
//!
//! The client's machine runs in the engine's own turn loop; this file holds the writer, in which
//! faults can be planted, and the observer.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sampan::Limits;
use sampan::SampanError;
use sampan::model::{
    ClientId, CommitSeq, ConversationId, DeviceTag, Event, LocalId, SessionState, StoreHealth,
    Timestamp,
};
use sampan::runtime::{ClientSetup, StoreWriter, Touched, Wishes};
use sampan::store::{
    Batch, Commit, CommitClass, Dropped, Fault as DiskFault, MemoryDisk, OpenReport, Opened,
    Position, Store, StoreError, TimelineItem, Writer,
};
use sampan::sync::{Reply, Request, Signing};
use sampan::wire::generated::AckCommand;

use crate::checks::ledger::{Call, Place};
use crate::checks::mirror::Mirror;
use crate::checks::screens::Screens;
use crate::devices::spool::Spool;
use crate::devices::wants::{Out, Wants};
use crate::faults::planted::Mutation;
use crate::faults::planted_calls;

/// A copy of a device's files, and how far the ledger was written then.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    pub(crate) disk: MemoryDisk,
    pub(crate) left: Vec<Dropped>,
    pub(crate) spool: Spool,
    pub(crate) place: Place,
}

/// The folder in which another process of the app leaves work. Each file is durable when its author
/// goes on, and another process may look at it at any time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox(Rc<RefCell<Vec<Dropped>>>);

impl Inbox {
    pub(crate) fn leave(&self, work: Dropped) {
        self.0.borrow_mut().push(work);
    }

    /// The oldest entries of the inbox, without the given ones.
    pub(crate) fn read(&self, but: &BTreeSet<LocalId>, many: usize) -> Vec<Dropped> {
        let left = self.0.borrow();
        let new = left.iter().filter(|work| !but.contains(&work.token));
        new.take(many).cloned().collect()
    }

    pub(crate) fn remove(&self, token: &LocalId) {
        self.0.borrow_mut().retain(|work| work.token != *token);
    }

    pub(crate) fn all(&self) -> Vec<Dropped> {
        self.0.borrow().clone()
    }

    pub(crate) fn replace(&self, with: Vec<Dropped>) {
        *self.0.borrow_mut() = with;
    }

    pub(crate) fn holds(&self, token: &LocalId) -> bool {
        self.0.borrow().iter().any(|work| work.token == *token)
    }
}

/// The newest messages of a conversation that are looked at when it is acknowledged.
const ACKNOWLEDGED_AT_ONCE: usize = 20;

/// The client of a device with its set-up, over all its lives.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) client: ClientId,
    pub(crate) tag: Option<DeviceTag>,
    pub(crate) signing: Signing,
    pub(crate) limits: Limits,
    pub(crate) mutation: Option<Mutation>,
}

/// A client on a device, whether it runs or not.
pub(crate) struct Device {
    pub(crate) index: usize,
    identity: Identity,
    pub(crate) disk: MemoryDisk,
    pub(crate) backup: Option<Backup>,
    /// The messages that another process of the app left for the engine.
    pub(crate) inbox: Inbox,
    /// The copies of files that messages wait for.
    pub(crate) spool: Spool,
    /// True if its files were replaced by older ones.
    pub(crate) restored: bool,
    /// The store of the present life; none while the device is off.
    store: Option<Store>,
    /// Messages that the service was told to be safe here, since the last power cut.
    acknowledged: BTreeSet<(ConversationId, Position)>,
    pub(crate) mirror: Mirror,
    screens: Screens,
    /// Commits that views were told of, for the planted faults.
    marked: u64,
    pub(crate) session: SessionState,
    /// The number of times that the user asked to be online again after everything had healed.
    pub(crate) asked_again: u32,
    /// True if the app was told that the store takes no writes.
    pub(crate) failing: bool,
    /// A call that is held back, to be handed in after the next one.
    held_back: Option<(Request, Call)>,
    /// Changes that were told, for the planted faults.
    told: u64,
}

impl Device {
    pub(crate) fn new(index: usize, identity: Identity, disk: MemoryDisk) -> Self {
        match identity.mutation {
            Some(Mutation::IntentNotSynced) => disk.lie_about_syncs("journal."),
            Some(Mutation::NeverSynced) => disk.lie_about_syncs("tree."),
            _ => {}
        }
        Self {
            index,
            identity,
            disk,
            backup: None,
            inbox: Inbox::default(),
            spool: Spool::default(),
            restored: false,
            store: None,
            acknowledged: BTreeSet::new(),
            mirror: Mirror::default(),
            screens: Screens::default(),
            marked: 0,
            session: SessionState::Closed,
            asked_again: 0,
            failing: false,
            held_back: None,
            told: 0,
        }
    }

    pub(crate) const fn client(&self) -> &ClientId {
        &self.identity.client
    }

    /// The store of the present life; none while the device is off.
    pub(crate) const fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Opens the store of the disk for a new life.
    ///
    /// # Errors
    ///
    /// The error of the store: the disk was told to fail.
    pub(crate) fn open(&mut self, wants: &Wants) -> Result<ClientSetup<FaultyWriter>, StoreError> {
        let Opened { store, writer, .. } =
            Store::in_memory(&self.disk, self.identity.client.clone())?;
        self.mirror = Mirror::of(&store);
        self.screens = Screens::default();
        self.session = SessionState::Closed;
        self.failing = store.health() != StoreHealth::Good;
        self.store = Some(store.clone());
        let writer = FaultyWriter {
            device: self.index,
            writer,
            mutation: self.identity.mutation,
            commits: 0,
            last: CommitSeq::default(),
            wants: wants.clone(),
        };
        Ok(ClientSetup {
            client: self.identity.client.clone(),
            tag: self.identity.tag.clone(),
            device_id: None,
            signing: self.identity.signing,
            limits: self.identity.limits.clone(),
            wishes: Wishes::default(),
            store,
            writer,
        })
    }

    /// Writes down which messages an acknowledgement to the service covers.
    pub(crate) fn acknowledges(&mut self, body: &AckCommand) {
        let millis = body.fromts.zip(body.tots);
        let (Some(store), Some((from, to)), Some(cid)) = (&self.store, millis, &body.cid) else {
            return;
        };
        let Ok(conversation) = ConversationId::new(cid) else {
            return;
        };
        let snapshot = store.snapshot();
        let Ok(Some(number)) = snapshot.number(&conversation) else {
            return;
        };
        let covered = snapshot.page_before(number, None, ACKNOWLEDGED_AT_ONCE);
        let items = covered.map(|page| page.items).unwrap_or_default();
        for item in items {
            if let TimelineItem::Message { position, .. } = item
                && (from..=to).contains(&position.sent_at.as_millis())
            {
                self.acknowledged.insert((conversation.clone(), position));
            }
        }
    }

    /// The messages that the service was told to be safe here and that are gone after a power cut.
    pub(crate) fn lost_after_acknowledging(&mut self) -> Vec<String> {
        // A store whose disk refuses to work when it opens shows its content later.
        let good = self.store.as_ref();
        let Some(store) = good.filter(|store| store.health() == StoreHealth::Good) else {
            return Vec::new();
        };
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let snapshot = store.snapshot();
        let held = |(conversation, position): &(ConversationId, Position)| {
            let number = snapshot.number(conversation).ok().flatten();
            number.is_some_and(|it| matches!(snapshot.message(it, position), Ok(Some(_))))
        };
        let lost = acknowledged.iter().filter(|it| !held(it));
        lost.map(|(conversation, position)| format!("{conversation}: {position:?}"))
            .collect()
    }

    /// The files were replaced by older ones: messages that were safe may be gone.
    pub(crate) fn forget_acknowledged(&mut self) {
        self.acknowledged.clear();
    }

    /// Lets the store of a life that did not begin go.
    pub(crate) fn close(&mut self) {
        self.store = None;
    }

    /// The power is cut: chance decides how much of the unsynced data is left.
    pub(crate) fn cut_power(&mut self) {
        self.close();
        self.held_back = None;
        self.session = SessionState::Closed;
        self.spool.crash();
        self.disk.crash();
    }

    /// The length of all its files together.
    pub(crate) fn bytes_on_disk(&self) -> usize {
        self.disk.files().iter().map(|(_, length)| length).sum()
    }

    /// Lets operations of the disk fail from so many on; none mends it.
    pub(crate) fn break_disk(&self, after: Option<u64>) {
        let operation = |after: u64| self.disk.operations().saturating_add(after).max(1);
        let fault = after.map(|after| DiskFault::From {
            operation: operation(after),
        });
        self.disk.set_fault(fault);
    }

    /// The calls that are to be handed in now, in order: the planted fault holds some back.
    pub(crate) fn calls(&mut self, request: Request, call: Call) -> Vec<(Request, Call)> {
        let request = planted_calls::taken(self.identity.mutation, request);
        let swapped = self.identity.mutation == Some(Mutation::SwappedCalls)
            && matches!(request, Request::SendMessage(_));
        if swapped && self.held_back.is_none() {
            self.held_back = Some((request, call));
            return Vec::new();
        }
        let after = self.held_back.take();
        std::iter::once((request, call)).chain(after).collect()
    }

    /// The observer is told.
    pub(crate) fn told(&mut self, events: Vec<Event>) {
        for event in events {
            if let Event::StoreHealthChanged { health, .. } = &event {
                self.health_changed(health);
                continue;
            }
            self.told += 1;
            let lost = self.identity.mutation == Some(Mutation::LostChange)
                && self.told.is_multiple_of(11);
            if !lost {
                self.mirror.apply(event);
            }
        }
    }

    /// Views are told which conversations a commit touched.
    pub(crate) fn touched(&mut self, seq: CommitSeq, touched: &Touched) {
        self.marked += 1;
        let lost =
            self.identity.mutation == Some(Mutation::LostMark) && self.marked.is_multiple_of(5);
        let touched = if lost { &Touched::Nothing } else { touched };
        self.screens.touched(seq, touched, self.store.as_ref());
    }

    /// The difference between the app's screens and a fresh view; none if they are equal.
    pub(crate) fn shown_wrong(&mut self) -> Option<String> {
        let store = self.store.as_ref()?;
        self.screens.difference(store)
    }

    fn health_changed(&mut self, health: &StoreHealth) {
        self.failing = *health != StoreHealth::Good;
        if let Some(store) = self.store.as_ref().filter(|_| !self.failing) {
            // The data below the readers may have changed: an observer reads again.
            self.mirror = Mirror::of(store);
            self.screens
                .touched(store.seq(), &Touched::Everything, None);
        }
    }
}

/// The writer of a device: the store's own, unless a fault is planted in it.
pub(crate) struct FaultyWriter {
    device: usize,
    writer: Writer,
    mutation: Option<Mutation>,
    /// StoreWriter so far; the planted faults strike every few of them.
    commits: u64,
    last: CommitSeq,
    wants: Wants,
}

impl StoreWriter for FaultyWriter {
    fn commit(&mut self, batch: Batch, class: CommitClass) -> Result<Commit, StoreError> {
        self.commits += 1;
        let nothing = Commit {
            seq: self.last,
            changes: Vec::new(),
        };
        let commit = match planted(self.mutation, self.commits, class) {
            Planted::As(class) => self.writer.commit(batch, class)?,
            Planted::Dropped => nothing,
            Planted::Believed => self.writer.commit(batch, class).unwrap_or_else(|_| {
                // A writer that goes on without a look at the error also takes up writing again.
                let _ = self.writer.probe(Timestamp::ZERO);
                nothing
            }),
        };
        self.last = commit.seq;
        let changes = commit.changes.len();
        let device = self.device;
        self.wants.push(Out::Committed { device, changes });
        Ok(commit)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.writer.sync()
    }

    fn probe(&mut self, wall: Timestamp) -> Result<OpenReport, StoreError> {
        self.writer.probe(wall)
    }

    fn is_dirty(&self) -> bool {
        self.writer.is_dirty()
    }
}

/// The result of a planted fault in a commit.
enum Planted {
    As(CommitClass),
    Dropped,
    /// A failure is taken for a success.
    Believed,
}

fn planted(mutation: Option<Mutation>, commits: u64, class: CommitClass) -> Planted {
    match (mutation, class) {
        (Some(Mutation::LostCacheCommit), CommitClass::Cache) if commits.is_multiple_of(5) => {
            Planted::Dropped
        }
        (Some(Mutation::LostIntentCommit), CommitClass::Intent) if commits.is_multiple_of(7) => {
            Planted::Dropped
        }
        (Some(Mutation::BelievedCommit), _) => Planted::Believed,
        _ => Planted::As(class),
    }
}

/// The way back of an answer to an app's call. If the caller is dropped before, the app never hears of the
/// answer.
pub(crate) struct Caller {
    device: usize,
    call: Option<Call>,
    /// True if the app knew already that its store takes no writes.
    while_failing: bool,
    wants: Wants,
}

impl Caller {
    pub(crate) fn new(device: &Device, call: Call, wants: &Wants) -> Self {
        Self {
            device: device.index,
            call: Some(call),
            while_failing: device.failing,
            wants: wants.clone(),
        }
    }

    /// Answers. A write that failed on its way to the disk may turn up after a power cut all the same.
    pub(crate) fn answer(mut self, answer: Result<Reply, SampanError>) {
        let unavailable = matches!(answer, Err(SampanError::StoreUnavailable { .. }));
        if unavailable && !self.while_failing {
            return;
        }
        if let Some(call) = self.call.take() {
            let device = self.device;
            let answer = Box::new(answer);
            self.wants.push(Out::Answer {
                device,
                call,
                answer,
            });
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let device = self.device;
            self.wants.push(Out::Unheard { device, call });
        }
    }
}
