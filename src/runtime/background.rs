//! Clients whose stores are closed while the app is in the background.
//!
//! A paused engine has no file open. A read or a call that needs a store has it opened, in the background too:
//! the call waits here until the store is open. A store that is opened in the background is closed again after
//! [`LINGER`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::blocking::blocking;
use super::callers::Answer;
use super::client_parts::{ClientParts, OpenedClient};
use super::mailbox::Command;
use super::store_handle::{OpenStore, StoreHandle};
use crate::SampanError;
use crate::model::{ClientId, Event, Now, StoreHealth};
use crate::sync::Backoff;
use crate::threads::Threads;

/// How long a store that was opened in the background stays open: long enough for the handful of
/// calls that answer a notification, short enough that it is shut before the system freezes the app.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The pauses before a store that did not open after a resume is tried again.
const RETRIES: Backoff = Backoff::plain(Duration::from_secs(1), Duration::from_secs(60));

/// A store that was opened again, or why not.
pub(super) type Reopened = (ClientId, Result<OpenStore, SampanError>);

/// The clients whose stores are shut.
pub(super) struct BackgroundClients {
    clients: BTreeMap<ClientId, BackgroundClient>,
    opening: Openings,
}

/// Stores that are being opened again.
struct Openings {
    tasks: JoinSet<Reopened>,
    threads: Threads,
}

/// A client whose store is shut or being opened, and the calls that wait for the store.
struct BackgroundClient {
    parts: ClientParts,
    commands: Vec<Command>,
    reads: Vec<Answer<Result<(), SampanError>>>,
    is_opening: bool,
    pause: Duration,
    retry_at: Option<Duration>,
}

impl BackgroundClients {
    /// No client yet. Stores are opened on `threads`.
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
    pub(super) fn add(&mut self, parts: ClientParts) {
        let client = BackgroundClient {
            commands: Vec::new(),
            reads: Vec::new(),
            is_opening: false,
            pause: RETRIES.first,
            retry_at: None,
            parts,
        };
        self.clients.insert(client.parts.core.id.clone(), client);
    }

    /// The store handles of all clients here.
    pub(super) fn stores(&self) -> impl Iterator<Item = &Arc<StoreHandle>> {
        self.clients.values().map(|client| &client.parts.core.store)
    }

    /// Opens a client's store for a command. One that is not here is closed: the command is dropped,
    /// and its answer with it.
    pub(super) fn defer(&mut self, client: &ClientId, command: Command) {
        if let Some(client) = self.clients.get_mut(client) {
            client.commands.push(command);
            client.open(&mut self.opening);
        }
    }

    /// Opens a client's store for a read.
    pub(super) fn wake(&mut self, client: &ClientId, done: Answer<Result<(), SampanError>>) {
        if let Some(client) = self.clients.get_mut(client) {
            client.reads.push(done);
            client.open(&mut self.opening);
        }
    }

    /// Opens all stores: the app is back.
    pub(super) fn wake_all(&mut self) {
        for client in self.clients.values_mut() {
            client.open(&mut self.opening);
        }
    }

    /// Forgets a client. Its waiting calls are dropped, which tells them that it is closed.
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

    /// The next opening that has ended already.
    pub(super) fn try_next(&mut self) -> Option<Reopened> {
        self.opening.tasks.try_join_next()?.ok()
    }

    /// Takes the outcome of opening. With a store, the client is handed back with the calls that wait for
    /// it; without a store, every call that waits is told why.
    pub(super) fn opened(&mut self, now: Now, reopened: Reopened) -> AfterReopen {
        let (id, outcome) = reopened;
        let Some(mut client) = self.clients.remove(&id) else {
            // The client signed out. The store is closed again beside the loop, if there is a thread.
            let _ = self.opening.threads.run(Box::new(move || drop(outcome)));
            return AfterReopen::Nothing;
        };
        match outcome {
            Ok(open) => AfterReopen::Opened(Box::new(client.reopened(open))),
            Err(error) => {
                log::warn!("the store of {id} did not open again: {error}");
                let event = client.refuse(now, &error);
                self.clients.insert(id, client);
                AfterReopen::Refused(Box::new(event))
            }
        }
    }

    /// The time at which a store that did not open is tried again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let times = self.clients.values().filter_map(|client| client.retry_at);
        times.min()
    }

    /// Tries those again whose time has come.
    pub(super) fn retry_due(&mut self, now: Now) {
        for client in self.clients.values_mut() {
            if client.retry_at.take_if(|at| *at <= now.elapsed).is_some() {
                client.open(&mut self.opening);
            }
        }
    }

    /// While the app is in the background nothing is tried again: only a need opens a store.
    pub(super) fn stop_retrying(&mut self) {
        for client in self.clients.values_mut() {
            client.retry_at = None;
        }
    }
}

/// The outcome of opening a store again.
pub(super) enum AfterReopen {
    /// The client takes part again.
    Opened(Box<ReopenedClient>),
    /// The store did not open; the event says so.
    Refused(Box<Event>),
    /// The client signed out meanwhile.
    Nothing,
}

/// A client that has its store again, and the calls that wait for it.
pub(super) struct ReopenedClient {
    pub(super) client: OpenedClient,
    pub(super) commands: Vec<Command>,
    pub(super) reads: Vec<Answer<Result<(), SampanError>>>,
}

impl BackgroundClient {
    fn open(&mut self, opening: &mut Openings) {
        if self.is_opening {
            return;
        }
        self.is_opening = true;
        self.retry_at = None;
        let client = self.parts.core.id.clone();
        let store = Arc::clone(&self.parts.core.store);
        let announced = store.announce();
        let threads = opening.threads.clone();
        opening.tasks.spawn(async move {
            // A read that began before the store was shut may still hold the old store.
            store.emptied().await;
            let opened = blocking(&threads, move || store.open()).await;
            drop(announced);
            (client, opened)
        });
    }

    fn reopened(self, open: OpenStore) -> ReopenedClient {
        let client = OpenedClient {
            parts: self.parts,
            open,
        };
        ReopenedClient {
            client,
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
            trouble: error.trouble(),
            reason: error.to_string(),
        };
        self.parts.core.board.health.send_replace(health.clone());
        Event::StoreHealthChanged {
            client: self.parts.core.id.clone(),
            health,
        }
    }
}
