//! Events to subscribers: one bounded queue each, and the treatment of a slow subscriber.
//!
//! The loop pushes a batch of events into every subscriber's queue and goes on. The loop never waits for a
//! subscriber and never runs an app's code. A full queue is emptied and holds one [`Event::Lagged`] instead:
//! the subscriber then reads everything again. An observer's callback runs on a thread of its own; the owner of
//! a stream polls it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;

use super::callers::Callers;
use crate::SampanError;
use crate::model::{ClientId, Event};
use crate::threads::NoThread;

/// How many events may wait for one subscriber. A catch-up of a busy account makes some thousand.
pub(crate) const QUEUE_MAX: usize = 8192;

/// How many events one callback gets at most: enough that the cost of a call does not matter, and
/// little enough that an app can show something meanwhile.
pub(crate) const BATCH_MAX: usize = 512;

/// Whose events a subscriber gets.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// All of the engine's.
    Engine,
    /// Those of one client, and those that concern the connection.
    Client(ClientId),
}

impl Scope {
    pub(super) fn includes(&self, event: &Event) -> bool {
        match (self, event.client()) {
            (Self::Engine, _) | (Self::Client(_), None) => true,
            (Self::Client(mine), Some(client)) => mine == client,
        }
    }
}

/// Hands events to the subscribers of one engine. Cloning it shares them.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    subscribers: Arc<Mutex<Vec<Weak<dyn Subscriber>>>>,
    callers: Callers,
}

impl Publisher {
    pub(super) fn new(callers: Callers) -> Self {
        Self {
            subscribers: Arc::default(),
            callers,
        }
    }

    /// Subscribes; events of later commits arrive in the queue.
    pub(crate) fn subscribe(&self, scope: Scope) -> Arc<Queue> {
        let queue = Arc::new(Queue {
            scope,
            state: Mutex::new(QueueState::default()),
            filled: Condvar::new(),
            callers: self.callers.clone(),
        });
        self.add(&queue);
        queue
    }

    /// Hands later events to a subscriber too, for as long as somebody holds it.
    pub(super) fn add<S: Subscriber + 'static>(&self, subscriber: &Arc<S>) {
        let subscriber = Arc::downgrade(subscriber);
        lock(&self.subscribers).push(subscriber);
    }

    /// Passes events to the subscribers. Subscribers that left are forgotten.
    pub(crate) fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut subscribers = lock(&self.subscribers);
        subscribers.retain(|subscriber| subscriber.strong_count() > 0);
        let present: Vec<_> = subscribers.iter().filter_map(Weak::upgrade).collect();
        drop(subscribers);
        // Subscribers are woken without a lock, because they may do anything.
        for subscriber in present {
            subscriber.push(events);
        }
    }

    /// Ends all subscriptions, once their waiting events are taken.
    pub(crate) fn end(&self) {
        let subscribers = std::mem::take(&mut *lock(&self.subscribers));
        for subscriber in subscribers.iter().filter_map(Weak::upgrade) {
            subscriber.end();
        }
    }
}

/// A receiver of events. Neither call may block.
pub(super) trait Subscriber: std::fmt::Debug + Send + Sync {
    /// Takes events.
    fn push(&self, events: &[Event]);

    /// No more events will come.
    fn end(&self);
}

/// The events that wait for one subscriber.
#[derive(Debug)]
pub(crate) struct Queue {
    scope: Scope,
    state: Mutex<QueueState>,
    filled: Condvar,
    callers: Callers,
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<Event>,
    waker: Option<Waker>,
    phase: QueuePhase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum QueuePhase {
    #[default]
    Open,
    /// No new event comes; the events that are there may be taken.
    Ended,
    /// The subscriber does not want any more.
    Cancelled,
}

impl Subscriber for Queue {
    fn push(&self, events: &[Event]) {
        let mut state = lock(&self.state);
        if state.phase != QueuePhase::Open {
            return;
        }
        for event in events.iter().filter(|event| self.scope.includes(event)) {
            state.push(event);
        }
        self.wake(state);
    }

    fn end(&self) {
        let mut state = lock(&self.state);
        if state.phase == QueuePhase::Open {
            state.phase = QueuePhase::Ended;
        }
        self.wake(state);
    }
}

impl Queue {
    /// Ends the subscription: waiting events are dropped.
    pub(crate) fn cancel(&self) {
        let mut state = lock(&self.state);
        state.phase = QueuePhase::Cancelled;
        state.events.clear();
        self.wake(state);
    }

    /// Wakes the subscriber, without the lock; a stream's waker on a caller thread.
    fn wake(&self, mut state: MutexGuard<'_, QueueState>) {
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_one();
        if let Some(waker) = waker {
            self.callers.wake(waker);
        }
    }

    /// Waits for events; none when the subscription is over.
    fn wait(&self) -> Option<Vec<Event>> {
        let mut state = lock(&self.state);
        loop {
            if !state.events.is_empty() {
                let count = state.events.len().min(BATCH_MAX);
                return Some(state.events.drain(..count).collect());
            }
            if state.phase != QueuePhase::Open {
                return None;
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl QueueState {
    /// Appends an event, or makes one notice of all that waited when there is no room.
    fn push(&mut self, event: &Event) {
        if self.events.len() < QUEUE_MAX {
            self.events.push_back(event.clone());
            return;
        }
        let missed = self.events.drain(..).map(|event| match event {
            Event::Lagged { missed } => missed,
            _ => 1,
        });
        let missed = missed.sum::<u64>() + 1;
        self.events.push_back(Event::Lagged { missed });
    }
}

/// Runs `callback` with each batch of events, on a thread of its own, until the queue ends.
///
/// A callback that panics or fails is logged and called again with the next batch.
pub(crate) fn notify(
    queue: Arc<Queue>,
    callback: impl Fn(Vec<Event>) -> Result<(), SampanError> + Send + 'static,
) -> Result<(), SampanError> {
    let run = move || {
        while let Some(events) = queue.wait() {
            match catch_unwind(AssertUnwindSafe(|| callback(events))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::warn!("an observer failed: {error}"),
                Err(_) => log::warn!("an observer panicked"),
            }
        }
    };
    std::thread::Builder::new()
        .name("sampan-notifier".to_owned())
        .spawn(run)
        .map(|_| ())
        .map_err(|_| NoThread.into())
}

/// Events as a stream: it ends when the engine does. Dropping it unsubscribes.
///
/// The stream may be polled on any executor. A stream that is polled too rarely gets [`Event::Lagged`].
#[derive(Debug)]
pub struct EventStream {
    queue: Arc<Queue>,
}

impl EventStream {
    pub(crate) const fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }
}

impl Drop for EventStream {
    /// The app's waker goes with the stream, and is not left to the thread that looks next.
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        // Cloning and dropping a waker is code of the app: not under the lock.
        let mut waker = Some(context.waker().clone());
        let mut state = lock(&self.queue.state);
        let polled = if let Some(event) = state.events.pop_front() {
            Poll::Ready(Some(event))
        } else if state.phase == QueuePhase::Open {
            std::mem::swap(&mut state.waker, &mut waker);
            Poll::Pending
        } else {
            Poll::Ready(None)
        };
        drop(state);
        polled
    }
}

/// The sections under these locks are short and leave the data whole, even if one panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::StreamExt;

    use super::*;
    use crate::model::{CommitSeq, ConnectionState, OutboxEntryId};

    fn settled(client: &str, entry: u64) -> Event {
        Event::OutboxSettled {
            client: ClientId::new(client).unwrap(),
            seq: CommitSeq(entry),
            entry: OutboxEntryId(entry),
        }
    }

    #[test]
    fn a_slow_subscriber_gets_one_notice_and_what_came_after_it() {
        let publisher = Publisher::new(Callers::inline());
        let queue = publisher.subscribe(Scope::Engine);
        let many: Vec<_> = (0..=QUEUE_MAX as u64).map(|n| settled("ann", n)).collect();
        publisher.publish(&many);
        publisher.publish(&[settled("ann", 7)]);
        let missed = many.len() as u64;
        let expected = vec![Event::Lagged { missed }, settled("ann", 7)];
        assert_eq!(queue.wait(), Some(expected));
    }

    #[test]
    fn notices_of_a_very_slow_subscriber_add_up() {
        let publisher = Publisher::new(Callers::inline());
        let queue = publisher.subscribe(Scope::Engine);
        let many: Vec<_> = (0..QUEUE_MAX as u64).map(|n| settled("ann", n)).collect();
        for _ in 0..3 {
            publisher.publish(&many);
        }
        let told: u64 = std::iter::from_fn(|| {
            publisher.end();
            queue.end();
            queue.wait()
        })
        .flatten()
        .map(|event| match event {
            Event::Lagged { missed } => missed,
            _ => 1,
        })
        .sum();
        assert_eq!(told, 3 * QUEUE_MAX as u64);
    }

    #[test]
    fn a_clients_subscriber_hears_of_that_client_and_the_connection_only() {
        let publisher = Publisher::new(Callers::inline());
        let queue = publisher.subscribe(Scope::Client(ClientId::new("ann").unwrap()));
        let connected = Event::ConnectionChanged {
            state: ConnectionState::Connected,
        };
        publisher.publish(&[settled("ann", 1), settled("ben", 2), connected.clone()]);
        assert_eq!(queue.wait(), Some(vec![settled("ann", 1), connected]));
    }

    #[test]
    fn an_observer_that_panics_or_fails_gets_the_next_batch() {
        let publisher = Publisher::new(Callers::inline());
        let queue = publisher.subscribe(Scope::Engine);
        let (seen, heard) = mpsc::channel();
        notify(queue, move |events| {
            seen.send(events.len()).unwrap();
            match events.len() {
                1 => panic!("the app is broken"),
                2 => Err(SampanError::ShutDown),
                _ => Ok(()),
            }
        })
        .unwrap();
        for count in [1, 2, 3] {
            publisher.publish(&vec![settled("ann", 1); count]);
            assert_eq!(heard.recv().unwrap(), count);
        }
        publisher.end();
        assert!(heard.recv().is_err(), "its thread ends with the engine");
    }

    #[test]
    fn a_callback_may_cancel_its_own_subscription() {
        let publisher = Publisher::new(Callers::inline());
        let queue = publisher.subscribe(Scope::Engine);
        let own = Arc::clone(&queue);
        let (seen, heard) = mpsc::channel();
        notify(queue, move |events| {
            own.cancel();
            seen.send(events.len()).unwrap();
            Ok(())
        })
        .unwrap();
        publisher.publish(&[settled("ann", 1)]);
        assert_eq!(heard.recv().unwrap(), 1);
        assert!(heard.recv().is_err(), "it ended by itself");
    }

    /// A waker that uses everything that its wake could be locked by.
    struct Busy(Publisher, Arc<Queue>, mpsc::Sender<()>);

    impl std::task::Wake for Busy {
        fn wake(self: Arc<Self>) {
            drop(self.0.subscribe(Scope::Engine));
            self.0.publish(&[settled("ann", 2)]);
            self.1.push(&[settled("ann", 3)]);
            self.2.send(()).unwrap();
        }
    }

    #[test]
    fn a_waker_is_called_under_no_lock() {
        let ends: [fn(&Publisher, &Queue); 4] = [
            |publisher, _| publisher.publish(&[settled("ann", 1)]),
            |publisher, _| publisher.end(),
            |_, queue| queue.end(),
            |_, queue| queue.cancel(),
        ];
        for end in ends {
            let publisher = Publisher::new(Callers::inline());
            let queue = publisher.subscribe(Scope::Engine);
            let mut stream = EventStream::new(Arc::clone(&queue));
            let (woken, is_woken) = mpsc::channel();
            let busy = Busy(publisher.clone(), Arc::clone(&queue), woken);
            let waker = Waker::from(Arc::new(busy));
            let polled = Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker));
            assert_eq!(polled, Poll::Pending);
            // On a thread of its own, for a lock would hold it for ever.
            std::thread::spawn(move || end(&publisher, &queue));
            let woken = is_woken.recv_timeout(std::time::Duration::from_secs(60));
            // Dropping it takes the lock, which is held for ever where the waker did not come through.
            std::mem::forget(stream);
            assert_eq!(woken, Ok(()), "the waker came through");
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_engine_after_what_waited() {
        let publisher = Publisher::new(Callers::inline());
        let mut stream = EventStream::new(publisher.subscribe(Scope::Engine));
        publisher.publish(&[settled("ann", 1)]);
        publisher.end();
        assert_eq!(stream.next().await, Some(settled("ann", 1)));
        assert_eq!(stream.next().await, None);
    }
}
