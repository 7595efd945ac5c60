//! The threads on which code of the app runs at the request of the engine.
//!
//! ```text
//!   the loop, reads ── wake ──▶ Relay ──▶ Callers ──▶ the app's waker: its continuation may run
//!   the loop ─────── spawn ──────────────▶ Callers ──▶ the app's signer
//! ```
//!
//! An app's waker may run any code of the app: Kotlin's `Dispatchers.Unconfined` resumes a coroutine inside it.
//! The engine therefore never calls an app's waker on a thread of its own. A future that the app polls is an
//! [`Outside`]: the future inside knows only a [`Relay`], which passes the app's waker to a caller thread. A
//! waker that blocks keeps one caller thread and delays no other code, as long as fewer than [`CALLERS_MAX`]
//! block.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::threads::{NoThread, Threads};

/// The receiver of a call's answer. For a caller that left, the answer is dropped.
pub(super) type Answer<T> = oneshot::Sender<T>;

/// How many pieces of the app's code may run, or block, at the same time; more wait for one to end.
const CALLERS_MAX: usize = 256;

/// The caller threads of one engine. Cloning the handle shares them.
#[derive(Clone, Debug)]
pub(crate) struct Callers {
    /// None in tests that play with the clock: they run everything at once, on their own thread.
    threads: Option<Threads>,
    polls: Arc<Polls>,
}

impl Callers {
    /// Starts the one thread that stays.
    ///
    /// # Errors
    ///
    /// [`NoThread`].
    pub(super) fn start() -> Result<Self, NoThread> {
        let threads = Threads::with_one_kept("sampan-caller", CALLERS_MAX)?;
        Ok(Self {
            threads: Some(threads),
            polls: Arc::default(),
        })
    }

    /// Runs everything on the thread that asks, for tests whose clock stands still.
    #[cfg(test)]
    pub(super) fn inline() -> Self {
        Self {
            threads: None,
            polls: Arc::default(),
        }
    }

    /// Runs code of the app on a caller thread.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        match &self.threads {
            Some(threads) => {
                let taken = threads.run(Box::new(work));
                debug_assert!(taken.is_ok(), "one thread stays as long as this");
            }
            None => work(),
        }
    }

    /// Polls no task from now on, and waits at most `patience` for running polls: timers and sockets end with
    /// the tokio runtime, which wakes the tasks. A task that is woken is dropped.
    pub(super) fn end_tasks(&self, patience: Duration) {
        let mut running = lock(&self.polls.running);
        running.is_over = true;
        let waited = self
            .polls
            .ended
            .wait_timeout_while(running, patience, |running| running.count > 0);
        drop(waited);
    }

    /// Calls a waker of the app on a caller thread.
    pub(super) fn wake(&self, waker: Waker) {
        self.run(move || waker.wake());
    }

    /// A future for the app to poll: the inner future wakes the app through a caller thread.
    pub(super) fn outside<F: Future>(&self, inner: F) -> Outside<F> {
        Outside {
            inner: Box::pin(inner),
            relay: Arc::new(Relay {
                callers: self.clone(),
                waker: Mutex::default(),
            }),
        }
    }

    /// Polls a future of the app on caller threads until it is done. The future may use the timers and sockets
    /// of the engine's tokio runtime.
    pub(super) fn spawn(&self, handle: &Handle, future: BoxFuture<'static, ()>) {
        let task = Arc::new(Task {
            callers: self.clone(),
            handle: handle.clone(),
            phase: Mutex::new(TaskPhase::Waiting(future)),
        });
        task.wake();
    }
}

/// The polls of tasks that run now.
#[derive(Debug, Default)]
struct Polls {
    running: Mutex<RunningPolls>,
    /// Told when one of the last polls ends.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct RunningPolls {
    count: usize,
    /// The tokio runtime of the tasks is about to end: none begins any more.
    is_over: bool,
}

/// A poll of a task, as long as this lives.
struct RunningPoll<'a>(&'a Polls);

impl Polls {
    /// Begins a poll; none when no task may be polled any more.
    fn begin(&self) -> Option<RunningPoll<'_>> {
        let mut running = lock(&self.running);
        if running.is_over {
            return None;
        }
        running.count += 1;
        Some(RunningPoll(self))
    }
}

impl Drop for RunningPoll<'_> {
    fn drop(&mut self) {
        let mut running = lock(&self.0.running);
        running.count -= 1;
        if running.is_over {
            self.0.ended.notify_all();
        }
    }
}

/// A future that the app polls.
#[derive(Debug)]
pub(crate) struct Outside<F> {
    inner: Pin<Box<F>>,
    relay: Arc<Relay>,
}

impl<F: Future> Future for Outside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.relay.keep(context.waker());
        let waker = Waker::from(Arc::clone(&self.relay));
        let polled = self.inner.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            drop(self.relay.take());
        }
        polled
    }
}

impl<F> Drop for Outside<F> {
    fn drop(&mut self) {
        drop(self.relay.take());
    }
}

/// Stands for the app's waker wherever the engine keeps one. It holds the app's only between a poll
/// and the wake that answers it, and gives it to a caller thread or to the thread that polls.
#[derive(Debug)]
struct Relay {
    callers: Callers,
    waker: Mutex<Option<Waker>>,
}

impl Relay {
    /// Remembers the app's waker. Cloning and dropping one is code of the app: never under the lock.
    fn keep(&self, waker: &Waker) {
        let waker = waker.clone();
        let before = lock(&self.waker).replace(waker);
        drop(before);
    }

    fn take(&self) -> Option<Waker> {
        lock(&self.waker).take()
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(waker) = self.take() {
            self.callers.wake(waker);
        }
    }
}

/// A future of the app that the engine has polled.
struct Task {
    callers: Callers,
    handle: Handle,
    phase: Mutex<TaskPhase>,
}

enum TaskPhase {
    /// The future waits to be woken.
    Waiting(BoxFuture<'static, ()>),
    /// A caller thread will poll it.
    Queued(BoxFuture<'static, ()>),
    /// A caller thread polls it now.
    Polled,
    /// A caller thread polls it now, and it was woken meanwhile.
    PolledAndWoken,
    Done,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut phase = lock(&self.phase);
        let (next, is_new) = match std::mem::replace(&mut *phase, TaskPhase::Done) {
            TaskPhase::Waiting(future) => (TaskPhase::Queued(future), true),
            TaskPhase::Polled => (TaskPhase::PolledAndWoken, false),
            other => (other, false),
        };
        *phase = next;
        drop(phase);
        if is_new {
            let callers = self.callers.clone();
            callers.run(move || self.poll());
        }
    }
}

impl Drop for Task {
    /// A future that is not done is dropped where it would have been polled.
    fn drop(&mut self) {
        let phase = self.phase.get_mut();
        let phase = phase.unwrap_or_else(PoisonError::into_inner);
        if let TaskPhase::Waiting(future) | TaskPhase::Queued(future) =
            std::mem::replace(phase, TaskPhase::Done)
        {
            self.callers.run(move || drop(future));
        }
    }
}

impl Task {
    fn poll(self: Arc<Self>) {
        let mut phase = lock(&self.phase);
        let TaskPhase::Queued(mut future) = std::mem::replace(&mut *phase, TaskPhase::Polled)
        else {
            debug_assert!(false, "only what is queued is polled");
            return;
        };
        drop(phase);
        let Some(running) = self.callers.polls.begin() else {
            *lock(&self.phase) = TaskPhase::Done;
            return drop(future);
        };
        let entered = self.handle.enter();
        let waker = Waker::from(Arc::clone(&self));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(entered);
        drop(running);
        let mut phase = lock(&self.phase);
        if polled.is_ready() {
            *phase = TaskPhase::Done;
            drop(phase);
            return drop(future);
        }
        let was_woken = matches!(*phase, TaskPhase::PolledAndWoken);
        *phase = TaskPhase::Waiting(future);
        drop(phase);
        if was_woken {
            self.wake();
        }
    }
}

/// The sections under these locks move a value and run no code of the app.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use tokio::sync::{Notify, oneshot};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A waker that says on which thread it is woken, then does what it was told.
    struct Told<F>(Mutex<Sender<String>>, F);

    impl<F: Fn() + Send + Sync> Wake for Told<F> {
        fn wake(self: Arc<Self>) {
            let thread = std::thread::current().name().unwrap_or_default().to_owned();
            lock(&self.0).send(thread).unwrap();
            (self.1)();
        }
    }

    fn poll<F: Future>(
        outside: &mut Outside<F>,
        told: &Sender<String>,
        then: impl Fn() + Send + Sync + 'static,
    ) -> Poll<F::Output> {
        let waker = Waker::from(Arc::new(Told(Mutex::new(told.clone()), then)));
        Pin::new(outside).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn an_apps_waker_runs_on_a_caller_thread_and_one_that_blocks_stops_no_other() {
        let callers = Callers::start().unwrap();
        let (told, heard) = channel();
        let (_stay, never) = channel::<()>();
        let block = Arc::new(Mutex::new(never));
        let mut ends = Vec::new();
        let mut calls = Vec::new();
        for _ in 0..40 {
            let (done, answer) = oneshot::channel::<()>();
            let mut call = callers.outside(answer);
            let block = Arc::clone(&block);
            let wait = move || assert!(lock(&block).recv().is_err());
            assert!(poll(&mut call, &told, wait).is_pending());
            ends.push(done);
            calls.push(call);
        }
        for done in ends {
            done.send(()).unwrap();
            assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "sampan-caller");
        }
        for mut call in calls {
            assert!(poll(&mut call, &told, || {}).is_ready());
        }
    }

    #[test]
    fn a_waker_is_let_go_by_the_thread_that_polled_when_the_call_is_given_up() {
        let callers = Callers::start().unwrap();
        let (told, heard) = channel();
        let (done, answer) = oneshot::channel::<()>();
        let mut call = callers.outside(answer);
        let guard = Arc::new(());
        let held = Arc::clone(&guard);
        assert!(poll(&mut call, &told, move || drop(Arc::clone(&held))).is_pending());
        drop(call);
        assert_eq!(Arc::strong_count(&guard), 1, "nothing of the app is kept");
        assert!(done.send(()).is_err());
        drop(told);
        assert!(heard.recv().is_err(), "and nobody is woken");
    }

    #[test]
    fn a_task_is_polled_on_caller_threads_once_for_any_number_of_wakes() {
        let callers = Callers::start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (told, heard) = channel();
        let go = Arc::new(Notify::new());
        let gone = Arc::clone(&go);
        let name = || std::thread::current().name().unwrap_or_default().to_owned();
        let future = async move {
            told.send(name()).unwrap();
            gone.notified().await;
            told.send(name()).unwrap();
        };
        callers.spawn(runtime.handle(), Box::pin(future));
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "sampan-caller");
        go.notify_one();
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "sampan-caller");
        assert!(heard.recv_timeout(PATIENCE).is_err(), "it is done and gone");
    }

    #[test]
    fn the_end_of_tasks_waits_for_a_poll_that_runs_and_lets_none_begin() {
        let callers = Callers::start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (told, heard) = channel();
        let (go, begin) = channel::<()>();
        let polled = told.clone();
        let work = async move {
            polled.send("begun").unwrap();
            let _ = begin.recv();
            polled.send("polled").unwrap();
        };
        callers.spawn(runtime.handle(), Box::pin(work));
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "begun");
        callers.end_tasks(Duration::ZERO);
        let ending = callers.clone();
        let ended = told.clone();
        let end = std::thread::spawn(move || {
            ending.end_tasks(PATIENCE);
            ended.send("ended").unwrap();
        });
        let late = told.clone();
        let work = async move { late.send("late").unwrap() };
        callers.spawn(runtime.handle(), Box::pin(work));
        drop((told, go));
        end.join().unwrap();
        let words: Vec<_> = heard.iter().collect();
        assert_eq!(words, ["polled", "ended"]);
    }
}
