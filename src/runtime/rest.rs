//! Clients whose stores are shut while the app is in the background.
//!
//! A suspended engine has no file open. Whatever needs a store opens it again, in the background too:
//! a read asks for it, a call waits here until it is there. What is opened in the background is shut
//! again after [`LINGER`], so that an app which only looked something up is as clean as before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use super::arrival::Wishes;
use super::blocking;
use super::clients::ClientCore;
use super::door::{Door, Keys};
use super::inbox::Imports;
use super::mailbox::{Answer, Command, GuestSigner, Newcomer};
use crate::SampanError;
use crate::model::{ClientId, Event, Now, StoreHealth};
use crate::store::StoreKey;
use crate::sync::Backoff;
use crate::threads::Threads;

/// How long a store that was opened in the background stays open: long enough for the handful of
/// calls that answer a notification, short enough that it is shut before the system freezes the app.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The pauses before a store that did not open after a resume is tried again.
const RETRIES: Backoff = Backoff::plain(Duration::from_secs(1), Duration::from_secs(60));

/// A client without its store.
pub(super) struct Guest {
    pub(super) core: Arc<ClientCore>,
    pub(super) signer: GuestSigner,
    pub(super) wishes: Wishes,
    pub(super) imports: Imports,
    /// The key of the store, as it is by now.
    pub(super) key: SharedKey,
    /// Who waits for a compaction.
    pub(super) compactions: Vec<Answer<Result<(), SampanError>>>,
}

impl Guest {
    /// Tells whoever waits for a compaction what came of it.
    pub(super) fn tell_compacted(&mut self, outcome: &Result<(), SampanError>) {
        for done in self.compactions.drain(..) {
            // A caller that left is not told.
            let _ = done.send(outcome.clone());
        }
    }
}

/// A store's key, shared with what opens the store.
pub(super) type SharedKey = Arc<Mutex<Option<StoreKey>>>;

/// A store that was opened again, or why not.
pub(super) type Reopened = (ClientId, Result<Keys, SampanError>);

/// The clients at rest.
pub(super) struct Resting {
    clients: BTreeMap<ClientId, Rested>,
    opening: Openings,
}

/// Stores that are being opened again.
struct Openings {
    tasks: JoinSet<Reopened>,
    threads: Threads,
}

struct Rested {
    guest: Guest,
    commands: Vec<Command>,
    reads: Vec<Answer<Result<(), SampanError>>>,
    is_opening: bool,
    pause: Duration,
    retry_at: Option<Duration>,
}

impl Resting {
    /// Nobody rests. Stores are opened on `threads`.
    pub(super) fn new(threads: Threads) -> Self {
        Self {
            clients: BTreeMap::new(),
            opening: Openings {
                tasks: JoinSet::new(),
                threads,
            },
        }
    }

    /// Takes a client whose store was given up.
    pub(super) fn rest(&mut self, guest: Guest) {
        let rested = Rested {
            commands: Vec::new(),
            reads: Vec::new(),
            is_opening: false,
            pause: RETRIES.first,
            retry_at: None,
            guest,
        };
        self.clients.insert(rested.guest.core.id.clone(), rested);
    }

    /// The doors of all clients at rest.
    pub(super) fn doors(&self) -> impl Iterator<Item = &Arc<Door>> {
        self.clients.values().map(|rested| &rested.guest.core.door)
    }

    /// Opens a client's store for a command. One that is not here is closed: the command is dropped,
    /// and its answer with it.
    pub(super) fn defer(&mut self, client: &ClientId, command: Command) {
        if let Some(rested) = self.clients.get_mut(client) {
            rested.commands.push(command);
            rested.open(&mut self.opening);
        }
    }

    /// Opens a client's store for a read.
    pub(super) fn wake(&mut self, client: &ClientId, done: Answer<Result<(), SampanError>>) {
        if let Some(rested) = self.clients.get_mut(client) {
            rested.reads.push(done);
            rested.open(&mut self.opening);
        }
    }

    /// Opens all stores: the app is back.
    pub(super) fn wake_all(&mut self) {
        for rested in self.clients.values_mut() {
            rested.open(&mut self.opening);
        }
    }

    /// Forgets a client; what waits for it is dropped, which says that it is closed.
    pub(super) fn forget(&mut self, client: &ClientId) {
        self.clients.remove(client);
    }

    /// The next store that was opened, or did not open; waits for ever where none is being opened.
    pub(super) async fn next(&mut self) -> Reopened {
        loop {
            match self.opening.tasks.join_next().await {
                Some(Ok(reopened)) => return reopened,
                // Opening catches its own panics; a task that died all the same is one less.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// The next one that is there already.
    pub(super) fn try_next(&mut self) -> Option<Reopened> {
        self.opening.tasks.try_join_next()?.ok()
    }

    /// Takes what came of opening. With a store, the client is handed back with all that waits for
    /// it; without one, everybody who waits is told why.
    pub(super) fn opened(&mut self, now: Now, reopened: Reopened) -> Outcome {
        let (client, outcome) = reopened;
        let Some(mut rested) = self.clients.remove(&client) else {
            // It signed out meanwhile; the store is shut again beside the loop, if there is a thread.
            let _ = self.opening.threads.run(Box::new(move || drop(outcome)));
            return Outcome::Nothing;
        };
        match outcome {
            Ok(keys) => Outcome::Back(Box::new(rested.back(keys))),
            Err(error) => {
                log::warn!("the store of {client} did not open again: {error}");
                let event = rested.refuse(now, &error);
                self.clients.insert(client, rested);
                Outcome::Refused(Box::new(event))
            }
        }
    }

    /// When a store that did not open is tried again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let times = self.clients.values().filter_map(|rested| rested.retry_at);
        times.min()
    }

    /// Tries those again whose time has come.
    pub(super) fn retry_due(&mut self, now: Now) {
        for rested in self.clients.values_mut() {
            if rested.retry_at.take_if(|at| *at <= now.elapsed).is_some() {
                rested.open(&mut self.opening);
            }
        }
    }

    /// While the app is in the background nothing is tried again: only a need opens a store.
    pub(super) fn stop_retrying(&mut self) {
        for rested in self.clients.values_mut() {
            rested.retry_at = None;
        }
    }
}

/// What came of opening a store again.
pub(super) enum Outcome {
    Back(Box<Back>),
    /// The store did not open; the event says so.
    Refused(Box<Event>),
    /// Nobody is interested any more.
    Nothing,
}

/// A client that has its store again, and what waits for it.
pub(super) struct Back {
    pub(super) newcomer: Newcomer,
    pub(super) commands: Vec<Command>,
    pub(super) reads: Vec<Answer<Result<(), SampanError>>>,
}

impl Rested {
    fn open(&mut self, opening: &mut Openings) {
        if self.is_opening {
            return;
        }
        self.is_opening = true;
        self.retry_at = None;
        let client = self.guest.core.id.clone();
        let door = Arc::clone(&self.guest.core.door);
        let announced = door.announce();
        let threads = opening.threads.clone();
        opening.tasks.spawn(async move {
            // A read of before the rest may still hold the old store.
            door.emptied().await;
            let opened = blocking(&threads, move || door.open()).await;
            drop(announced);
            (client, opened)
        });
    }

    fn back(self, keys: Keys) -> Back {
        let newcomer = Newcomer {
            guest: self.guest,
            keys,
        };
        Back {
            newcomer,
            commands: self.commands,
            reads: self.reads,
        }
    }

    fn refuse(&mut self, now: Now, error: &SampanError) -> Event {
        self.is_opening = false;
        self.retry_at = Some(now.elapsed + self.pause);
        self.pause = RETRIES.after(self.pause);
        // A caller that left is not told.
        for command in self.commands.drain(..) {
            command.refuse(error);
        }
        for done in self.reads.drain(..) {
            let _ = done.send(Err(error.clone()));
        }
        let health = StoreHealth::ReadOnly {
            reason: error.to_string(),
        };
        self.guest.core.board.health.send_replace(health.clone());
        Event::StoreHealthChanged {
            client: self.guest.core.id.clone(),
            health,
        }
    }
}
