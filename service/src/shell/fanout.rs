//! Carries effects out: to the queues of connections and to waiting HTTP requests.
//!
//! The fan-out is a trait, so a service of several processes can put a bus in its place. `fanout/suite.rs` is
//! the suite that the bus must pass.
//!
//! All queues together have a bound. A connection counts with all bytes that were passed to it and that its
//! socket has not taken. When the sum is too large, the connection that has taken nothing for longest is cut
//! off. Its client comes back and catches up. A service that kept everything for such a client would serve no
//! client in the end.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sampan::model::Priority;
use sampan::wire::CloseCode;
use tokio::sync::{Notify, oneshot};

use super::metrics::Levels;
use super::report::report;
use crate::core::{ConnectionId, Effect, Gap, HookCall, PushOrder, RestAnswer, Ticket};

/// Bytes that may wait on one connection when one more command is handed to it: more than the
/// longest answer, so that nobody is cut off for reading an answer that it asked for.
const QUEUE_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Bytes that may wait on all connections together.
const TOTAL_BYTES_MAX: usize = 48 * 1024 * 1024;

/// A connection on which so much waits is asked for nothing more: it is not read, and its commands that were
/// read already are not handled.
const HOLD_BYTES: usize = 256 * 1024;

/// The same where all connections together are half full.
const HOLD_BYTES_WHEN_CROWDED: usize = 16 * 1024;

/// The cost of a queued command beside its bytes.
const OVERHEAD_BYTES: usize = 96;

/// Carries out the core's decisions, after their commit. It never waits, because the core must not wait for one
/// client.
pub(super) trait FanOut: Send + Sync {
    /// Hands effects on, in order per connection.
    fn deliver(&self, effects: Vec<Outbound>);
}

/// An effect in the form in which it leaves: commands are bytes already, so their sum is known.
#[derive(Debug)]
pub(super) enum Outbound {
    /// A command, or the end, for a connection.
    To(ConnectionId, Outgoing),
    /// The answer to an HTTP request.
    Answer(Ticket, Box<RestAnswer>),
    /// A fault for the operator.
    Report(String),
    /// A hook is called, for the connection whose command waits for its answer, if one does.
    Hook(Option<ConnectionId>, Box<HookCall>),
    /// A message is pushed.
    Push(Box<PushOrder>),
}

impl From<Effect> for Outbound {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Send {
                connection,
                mut envelope,
                gap,
            } => {
                // The priority is for this process; clients have no use for it.
                let spare = envelope.priority.take() == Some(Priority::Low.number());
                let bytes = envelope.to_bytes();
                Self::To(connection, Outgoing::Write { bytes, gap, spare })
            }
            Effect::Close { connection, code } => Self::To(connection, Outgoing::Close(code)),
            Effect::Answer { ticket, answer } => Self::Answer(ticket, answer),
            Effect::Report(text) => Self::Report(text),
            Effect::Ask { connection, call } => Self::Hook(Some(connection), call),
            Effect::Tell(call) => Self::Hook(None, call),
            Effect::Push(order) => Self::Push(order),
        }
    }
}

/// The next work of a connection's task.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Write a command, already serialized.
    Write {
        bytes: Vec<u8>,
        gap: Gap,
        /// True for a message that is not written to a connection on which too much waits.
        spare: bool,
    },
    /// Close with a code.
    Close(CloseCode),
}

impl Outgoing {
    /// The bytes that the command counts for while it waits.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.capacity() + OVERHEAD_BYTES,
            Self::Close(_) => OVERHEAD_BYTES,
        }
    }

    /// The length of the command.
    fn bytes(&self) -> u64 {
        match self {
            Self::Write { bytes, .. } => bytes.len() as u64,
            Self::Close(_) => 0,
        }
    }
}

/// The receiving end of a connection's queue.
pub(super) struct Queue {
    connection: ConnectionId,
    outlets: Arc<LocalFanOut>,
    told: Arc<Notify>,
}

impl Queue {
    /// The next thing to do; `None` once the connection is to end at once. It counts as waiting
    /// until [`Queue::taken`] says that it left.
    pub(super) async fn next(&mut self) -> Option<Outgoing> {
        loop {
            match self.outlets.pop(self.connection) {
                None => return None,
                Some(Some(next)) => return Some(next),
                Some(None) => self.told.notified().await,
            }
        }
    }

    /// The next thing, if one waits already.
    pub(super) fn next_waiting(&mut self) -> Option<Outgoing> {
        self.outlets.pop(self.connection).flatten()
    }

    /// The socket took things of this weight.
    pub(super) fn taken(&mut self, weight: usize) {
        self.outlets.taken(self.connection, weight);
    }

    /// Waits until the connection is to end at once.
    pub(super) async fn ended(&self) {
        while lock(&self.outlets.outlets)
            .map
            .contains_key(&self.connection)
        {
            self.told.notified().await;
        }
    }

    /// True if so much waits that the connection is not to be read.
    pub(super) fn is_held(&self) -> bool {
        lock(&self.outlets.outlets).held.contains(&self.connection)
    }

    /// True if a client signed in on the connection.
    pub(super) fn is_welcome(&self) -> bool {
        let outlets = lock(&self.outlets.outlets);
        let outlet = outlets.map.get(&self.connection);
        outlet.is_some_and(|outlet| outlet.welcome)
    }
}

#[derive(Debug)]
struct Outlet {
    waiting: VecDeque<Outgoing>,
    /// The bytes that were handed to the connection and that its socket has not taken.
    weight: usize,
    /// The number of the delivery at which the connection last took something.
    took_at: u64,
    welcome: bool,
    told: Arc<Notify>,
}

/// The queues of all connections, and their sum.
#[derive(Debug, Default)]
struct Outlets {
    map: HashMap<ConnectionId, Outlet>,
    /// The connections on which too much waits to ask them for more.
    held: BTreeSet<ConnectionId>,
    total: usize,
    deliveries: u64,
    bytes: u64,
    cut: u64,
    stopping: bool,
}

impl Outlets {
    /// Forgets a queue with all that waits in it; its connection ends. Answers whether there was one.
    fn forget(&mut self, connection: ConnectionId) -> bool {
        let Some(outlet) = self.map.remove(&connection) else {
            return false;
        };
        debug_assert!(outlet.weight <= self.total, "the sum holds each queue");
        self.total = self.total.saturating_sub(outlet.weight);
        self.held.remove(&connection);
        outlet.told.notify_one();
        true
    }

    /// Ends a connection that takes too little.
    fn cut(&mut self, connection: ConnectionId) {
        self.cut += u64::from(self.forget(connection));
    }

    /// The connection that has taken nothing for longest, of those on which anything waits.
    fn slowest(&self) -> Option<ConnectionId> {
        let waiting = self.map.iter().filter(|(_, outlet)| outlet.weight > 0);
        let slowest = waiting.min_by_key(|(id, outlet)| (outlet.took_at, **id));
        slowest.map(|(connection, _)| *connection)
    }

    fn push(&mut self, connection: ConnectionId, next: Outgoing) {
        self.deliveries += 1;
        let Some(outlet) = self.map.get_mut(&connection) else {
            return;
        };
        if matches!(next, Outgoing::Write { spare: true, .. }) && self.held.contains(&connection) {
            // The more urgent messages of the chat room come through meanwhile.
            return;
        }
        if outlet.weight > QUEUE_BYTES_MAX {
            self.cut(connection);
            return;
        }
        if outlet.weight == 0 {
            outlet.took_at = self.deliveries;
        }
        let weight = next.weight();
        self.bytes += next.bytes();
        outlet.weight += weight;
        self.total += weight;
        outlet.waiting.push_back(next);
        outlet.told.notify_one();
        while self.total > TOTAL_BYTES_MAX
            && let Some(slowest) = self.slowest()
        {
            self.cut(slowest);
        }
        self.judge(connection);
    }

    /// Notes whether too much waits on a connection; answers whether that is over now.
    fn judge(&mut self, connection: ConnectionId) -> bool {
        let limit = match self.total > TOTAL_BYTES_MAX / 2 {
            true => HOLD_BYTES_WHEN_CROWDED,
            false => HOLD_BYTES,
        };
        match self.map.get(&connection) {
            Some(outlet) if outlet.weight > limit => {
                self.held.insert(connection);
                false
            }
            Some(_) => self.held.remove(&connection),
            None => false,
        }
    }
}

/// The connections and HTTP requests of this process.
#[derive(Debug, Default)]
pub(super) struct LocalFanOut {
    /// Held for a map operation or a push into a queue, never across a wait.
    outlets: Mutex<Outlets>,
    tickets: Mutex<HashMap<Ticket, oneshot::Sender<RestAnswer>>>,
    /// True if no new connection is taken; open connections go on.
    leaving: AtomicBool,
    /// Told whenever the last connection has gone.
    emptied: Notify,
    /// Told whenever a connection may be asked for more again.
    released: Notify,
}

impl LocalFanOut {
    /// Makes the queue of a new connection.
    pub(super) fn open(self: &Arc<Self>, connection: ConnectionId) -> Queue {
        let told = Arc::new(Notify::new());
        let mut outlets = lock(&self.outlets);
        // Without an outlet the queue ends at once.
        if !outlets.stopping {
            let outlet = Outlet {
                waiting: VecDeque::new(),
                weight: 0,
                took_at: outlets.deliveries,
                welcome: false,
                told: Arc::clone(&told),
            };
            outlets.map.insert(connection, outlet);
        }
        drop(outlets);
        Queue {
            connection,
            outlets: Arc::clone(self),
            told,
        }
    }

    /// Forgets a connection.
    pub(super) fn close(&self, connection: ConnectionId) {
        let mut outlets = lock(&self.outlets);
        outlets.forget(connection);
        if outlets.map.is_empty() {
            self.emptied.notify_waiters();
        }
        self.released.notify_one();
    }

    /// A client signed in on a connection.
    pub(super) fn welcome(&self, connection: ConnectionId) {
        if let Some(outlet) = lock(&self.outlets).map.get_mut(&connection) {
            outlet.welcome = true;
        }
    }

    /// The connections from which no commands are read until they have taken their waiting bytes.
    pub(super) fn held(&self) -> BTreeSet<ConnectionId> {
        lock(&self.outlets).held.clone()
    }

    /// The waiting and the delivered commands and bytes.
    pub(super) fn levels(&self) -> Levels {
        let outlets = lock(&self.outlets);
        Levels {
            commands_sent: outlets.deliveries,
            bytes_sent: outlets.bytes,
            queues_cut: outlets.cut,
            queue_bytes: outlets.total,
            queues_held: outlets.held.len(),
            input_bytes_waiting: 0,
        }
    }

    /// Waits until a connection may be asked for more again.
    pub(super) async fn released(&self) {
        self.released.notified().await;
    }

    /// From now on no new connection is taken.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// True if new connections are turned away.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Waits until no connection is left.
    pub(super) async fn empty(&self) {
        loop {
            // Made before the look: a connection that goes in between is not missed.
            let emptied = self.emptied.notified();
            if lock(&self.outlets).map.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Lets every connection end, and those that still come.
    pub(super) fn close_all(&self) {
        let mut outlets = lock(&self.outlets);
        outlets.stopping = true;
        outlets.held.clear();
        outlets.total = 0;
        for (_, outlet) in outlets.map.drain() {
            outlet.told.notify_one();
        }
        self.released.notify_one();
    }

    /// True if every connection has been told to end.
    pub(super) fn is_stopping(&self) -> bool {
        lock(&self.outlets).stopping
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

    /// The next thing of a connection, if one waits; none at all if the connection is to end.
    fn pop(&self, connection: ConnectionId) -> Option<Option<Outgoing>> {
        let mut outlets = lock(&self.outlets);
        let outlet = outlets.map.get_mut(&connection)?;
        Some(outlet.waiting.pop_front())
    }

    fn taken(&self, connection: ConnectionId, weight: usize) {
        let mut outlets = lock(&self.outlets);
        let deliveries = outlets.deliveries;
        let Some(outlet) = outlets.map.get_mut(&connection) else {
            return;
        };
        debug_assert!(weight <= outlet.weight, "it was in the queue");
        outlet.weight = outlet.weight.saturating_sub(weight);
        outlet.took_at = deliveries;
        debug_assert!(weight <= outlets.total, "the sum holds each queue");
        outlets.total = outlets.total.saturating_sub(weight);
        if outlets.judge(connection) {
            self.released.notify_one();
        }
    }
}

impl FanOut for LocalFanOut {
    fn deliver(&self, effects: Vec<Outbound>) {
        for effect in effects {
            match effect {
                Outbound::To(connection, next) => lock(&self.outlets).push(connection, next),
                Outbound::Answer(ticket, answer) => {
                    if let Some(sender) = lock(&self.tickets).remove(&ticket) {
                        // The asker may have gone.
                        let _ = sender.send(*answer);
                    }
                }
                Outbound::Report(text) => report(text),
                // The actor calls hooks.
                Outbound::Hook(..) | Outbound::Push(_) => {}
            }
        }
    }
}

/// A lock whose holder never panics while the guarded data is half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod suite;

#[cfg(test)]
mod tests {
    use sampan::wire::{Command, Envelope};

    use super::*;

    fn write(bytes: usize) -> Outgoing {
        Outgoing::Write {
            bytes: vec![0; bytes],
            gap: Gap::None,
            spare: false,
        }
    }

    /// Hands a message of a chat room to a connection; `low` is its priority.
    fn say(outlets: &LocalFanOut, to: u64, low: bool) {
        let mut envelope = Envelope::new(Command::Echo);
        envelope.priority = low.then_some(Priority::Low.number());
        let effect = Effect::Send {
            connection: ConnectionId(to),
            envelope: Box::new(envelope),
            gap: Gap::None,
        };
        outlets.deliver(vec![effect.into()]);
    }

    // S119
    #[test]
    fn a_connection_that_is_behind_is_spared_messages_of_low_priority_alone() {
        let outlets = Arc::new(LocalFanOut::default());
        let mut queue = outlets.open(ConnectionId(1));
        let waiting = || lock(&outlets.outlets).map[&ConnectionId(1)].waiting.len();
        say(&outlets, 1, true);
        assert_eq!(waiting(), 1, "a connection that keeps up gets all");
        send(&outlets, 1, HOLD_BYTES + 1);
        assert!(queue.is_held());
        say(&outlets, 1, true);
        assert_eq!(waiting(), 2);
        say(&outlets, 1, false);
        assert_eq!(waiting(), 3);
        while let Some(taken) = queue.next_waiting() {
            if let Outgoing::Write { bytes, .. } = &taken {
                let same = Envelope::new(Command::Echo).to_bytes();
                assert!(
                    bytes.len() > HOLD_BYTES || *bytes == same,
                    "no client sees priorities"
                );
            }
            queue.taken(taken.weight());
        }
        say(&outlets, 1, true);
        assert_eq!(waiting(), 1);
    }

    fn send(outlets: &LocalFanOut, to: u64, bytes: usize) {
        outlets.deliver(vec![Outbound::To(ConnectionId(to), write(bytes))]);
    }

    fn is_open(outlets: &LocalFanOut, connection: u64) -> bool {
        lock(&outlets.outlets)
            .map
            .contains_key(&ConnectionId(connection))
    }

    #[test]
    fn a_connection_that_takes_nothing_is_cut_off_and_what_waited_for_it_is_freed() {
        let outlets = Arc::new(LocalFanOut::default());
        let _queue = outlets.open(ConnectionId(1));
        let mut sent = 0;
        while is_open(&outlets, 1) {
            send(&outlets, 1, 5_000);
            sent += 5_000;
            assert!(sent <= QUEUE_BYTES_MAX + 10_000, "{sent} bytes wait");
        }
        assert_eq!(lock(&outlets.outlets).total, 0);
        assert_eq!(outlets.levels().queues_cut, 1);
        // A connection that ends by itself is not cut off.
        let _other = outlets.open(ConnectionId(2));
        outlets.close(ConnectionId(1));
        outlets.close(ConnectionId(2));
        assert_eq!(outlets.levels().queues_cut, 1);
    }

    #[test]
    fn of_many_slow_connections_the_slowest_is_cut_off_and_the_sum_stays_bounded() {
        let outlets = Arc::new(LocalFanOut::default());
        let mut queues: Vec<_> = (0..100).map(|n| outlets.open(ConnectionId(n))).collect();
        for _ in 0..120 {
            for number in 0..100 {
                send(&outlets, number, 5_000);
                // Only the last one reads.
                if number == 99
                    && let Some(taken) = queues[99].next_waiting()
                {
                    queues[99].taken(taken.weight());
                }
            }
            assert!(lock(&outlets.outlets).total <= TOTAL_BYTES_MAX);
        }
        assert!(is_open(&outlets, 99), "who reads was cut off");
        assert!(!is_open(&outlets, 0), "the slowest was kept");
    }

    #[test]
    fn a_connection_with_much_to_take_is_held_until_it_took_it() {
        let outlets = Arc::new(LocalFanOut::default());
        let mut queue = outlets.open(ConnectionId(1));
        send(&outlets, 1, HOLD_BYTES + 1);
        assert!(queue.is_held());
        let next = queue.next_waiting().unwrap();
        assert!(queue.is_held(), "handed out is not yet taken");
        queue.taken(next.weight());
        assert!(!queue.is_held());
    }
}
