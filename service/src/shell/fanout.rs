//! Carrying effects out: to the queues of connections and to waiting HTTP requests.
//!
//! Behind a trait, so that a service of several processes can put a bus in its place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sampan::wire::CloseCode;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::core::{ConnectionId, Effect, Gap, RestAnswer, Ticket};

/// Commands that may wait on one connection for a client that reads slowly.
const QUEUE_COMMANDS: usize = 1024;

/// Bytes that may wait on one connection. One command more may be longer than this alone.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;

/// Carries out what the core decided, after its commit. Never waits: the core must not stand still
/// for one client.
pub(super) trait FanOut: Send + Sync {
    /// Hands effects on, in order per connection.
    fn deliver(&self, effects: Vec<Effect>);
}

/// What a connection's task has to do next.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Write a command, already serialized.
    Write { bytes: Vec<u8>, gap: Gap },
    /// Close with a code.
    Close(CloseCode),
}

/// The receiving end of a connection's queue.
pub(super) struct Queue {
    commands: mpsc::Receiver<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

impl Queue {
    /// The next thing to do; `None` once the connection is to end at once.
    pub(super) async fn next(&mut self) -> Option<Outgoing> {
        let next = self.commands.recv().await;
        self.taken(next)
    }

    /// The next thing, if one waits already.
    pub(super) fn next_waiting(&mut self) -> Option<Outgoing> {
        let next = self.commands.try_recv().ok();
        self.taken(next)
    }

    fn taken(&self, next: Option<Outgoing>) -> Option<Outgoing> {
        if let Some(Outgoing::Write { bytes, .. }) = &next {
            self.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        next
    }
}

#[derive(Debug)]
struct Outlet {
    commands: mpsc::Sender<Outgoing>,
    bytes: Arc<AtomicUsize>,
}

/// The connections and HTTP requests of this process.
#[derive(Debug, Default)]
pub(super) struct LocalFanOut {
    /// Held for a map operation or a push into a queue, never across a wait.
    outlets: Mutex<HashMap<ConnectionId, Outlet>>,
    tickets: Mutex<HashMap<Ticket, oneshot::Sender<RestAnswer>>>,
    /// No new connection is taken; those that stand go on.
    leaving: AtomicBool,
    stopping: AtomicBool,
    /// Told whenever the last connection has gone.
    emptied: Notify,
}

impl LocalFanOut {
    /// Makes the queue of a new connection.
    pub(super) fn open(&self, connection: ConnectionId) -> Queue {
        let (sender, receiver) = mpsc::channel(QUEUE_COMMANDS);
        let bytes = Arc::new(AtomicUsize::new(0));
        let outlet = Outlet {
            commands: sender,
            bytes: Arc::clone(&bytes),
        };
        let mut outlets = lock(&self.outlets);
        // Without an outlet the queue ends at once.
        if !self.stopping.load(Ordering::Relaxed) {
            outlets.insert(connection, outlet);
        }
        Queue {
            commands: receiver,
            bytes,
        }
    }

    /// Forgets a connection.
    pub(super) fn close(&self, connection: ConnectionId) {
        let mut outlets = lock(&self.outlets);
        outlets.remove(&connection);
        if outlets.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// From now on no new connection is taken.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether new connections are turned away.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Waits until no connection is left.
    pub(super) async fn empty(&self) {
        loop {
            // Made before the look: who goes in between is not missed.
            let emptied = self.emptied.notified();
            if lock(&self.outlets).is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Lets every connection end, and those that still come.
    pub(super) fn close_all(&self) {
        let mut outlets = lock(&self.outlets);
        self.stopping.store(true, Ordering::Relaxed);
        outlets.clear();
    }

    /// Waits for the answer to an HTTP request.
    pub(super) fn expect(&self, ticket: Ticket) -> oneshot::Receiver<RestAnswer> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.tickets).insert(ticket, sender);
        receiver
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&self, ticket: Ticket) {
        lock(&self.tickets).remove(&ticket);
    }

    /// Queues something. A client whose queue is full is cut off: it comes back and catches up,
    /// while a service that waits for it, or keeps everything for it, serves nobody in the end.
    fn push(&self, connection: ConnectionId, next: Outgoing) {
        let mut outlets = lock(&self.outlets);
        let Some(outlet) = outlets.get(&connection) else {
            return;
        };
        let length = match &next {
            Outgoing::Write { bytes, .. } => bytes.len(),
            Outgoing::Close(_) => 0,
        };
        let waiting = outlet.bytes.fetch_add(length, Ordering::Relaxed);
        let too_long = waiting > QUEUE_BYTES;
        if too_long || outlet.commands.try_send(next).is_err() {
            outlets.remove(&connection);
        }
    }
}

impl FanOut for LocalFanOut {
    fn deliver(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send {
                    connection,
                    envelope,
                    gap,
                } => {
                    let bytes = envelope.to_bytes();
                    self.push(connection, Outgoing::Write { bytes, gap });
                }
                Effect::Close { connection, code } => {
                    self.push(connection, Outgoing::Close(code));
                }
                Effect::Answer { ticket, answer } => {
                    if let Some(sender) = lock(&self.tickets).remove(&ticket) {
                        // Who asked may have gone.
                        let _ = sender.send(*answer);
                    }
                }
                Effect::Report(text) => eprintln!("sampan-service: {text}"),
            }
        }
    }
}

/// A lock whose holder never panics while what it guards is half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
