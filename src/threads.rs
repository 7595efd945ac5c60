//! Threads that start when there is work and end when there is none.
//!
//! A [`Threads`] takes jobs and runs each on one of at most `max` threads. A job that blocks keeps only its own
//! thread: as long as fewer than `max` jobs run, the next job starts at once. Further jobs wait in order. A
//! thread without work ends after [`IDLE`].
//!
//! When the last handle is dropped, the threads finish the waiting jobs and end. The drop does not wait for
//! them, so a job may drop the last handle.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread waits for another job before it ends.
const IDLE: Duration = Duration::from_secs(5);

/// One piece of work.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The system gives this process no thread, and none runs here that would take the job later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no thread to spare")]
pub(crate) struct NoThread;

impl From<NoThread> for crate::SampanError {
    fn from(error: NoThread) -> Self {
        Self::NoResources {
            reason: error.to_string(),
        }
    }
}

/// A bounded set of threads. Cloning the handle shares them.
#[derive(Clone, Debug)]
pub(crate) struct Threads(Arc<Owner>);

/// Ends the threads when the last handle is dropped; the threads themselves hold the pool only.
#[derive(Debug)]
struct Owner(Arc<Pool>);

struct Pool {
    name: &'static str,
    max: usize,
    idle: Duration,
    /// The stack of each thread in bytes; none for the platform's usual one.
    stack_bytes: Option<usize>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that run.
    running: usize,
    /// Threads of these that wait for a job, or are about to look for one.
    free: usize,
    /// This many threads stay, however long there is no job.
    kept: usize,
    /// Every handle is gone.
    is_over: bool,
}

impl Threads {
    /// At most `max` threads of this name, of which none runs yet.
    pub(crate) fn new(name: &'static str, max: usize) -> Self {
        Self::with(name, max, IDLE, None)
    }

    /// Threads that the system never gives: no address space holds their stacks.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self::with("none", 1, IDLE, Some(1 << 60))
    }

    fn with(name: &'static str, max: usize, idle: Duration, stack_bytes: Option<usize>) -> Self {
        debug_assert!(max > 0, "somebody must do the work");
        Self(Arc::new(Owner(Arc::new(Pool {
            name,
            max,
            idle,
            stack_bytes,
            state: Mutex::default(),
            work: Condvar::new(),
        }))))
    }

    /// At most `max` threads of this name. One is started now and stays as long as the handle, so
    /// that [`Threads::run`] never fails.
    ///
    /// # Errors
    ///
    /// [`NoThread`] when that one can't be started.
    pub(crate) fn with_one_kept(name: &'static str, max: usize) -> Result<Self, NoThread> {
        let threads = Self::new(name, max);
        let pool = &threads.0.0;
        let mut state = pool.state();
        state.kept = 1;
        Pool::start(pool, &mut state)?;
        drop(state);
        Ok(threads)
    }

    /// Has a thread run `job`, soon. A job that panics is logged.
    ///
    /// # Errors
    ///
    /// [`NoThread`]; the job is dropped then. Where a thread runs and no further one can be started,
    /// the job waits for that one instead.
    pub(crate) fn run(&self, job: Job) -> Result<(), NoThread> {
        let pool = &self.0.0;
        let mut state = pool.state();
        if state.free == 0 && state.running < pool.max {
            let started = Pool::start(pool, &mut state);
            if started.is_err() && state.running == 0 {
                drop(state);
                return Err(NoThread);
            }
        }
        state.jobs.push_back(job);
        drop(state);
        pool.work.notify_one();
        Ok(())
    }

    /// The number of threads that run now.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.0.0.state().running
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.work.notify_all();
    }
}

impl Pool {
    /// The sections under this lock leave the state whole, and no job runs in one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(pool: &Arc<Self>, state: &mut State) -> Result<(), NoThread> {
        let own = Arc::clone(pool);
        let mut thread = std::thread::Builder::new().name(pool.name.to_owned());
        if let Some(bytes) = pool.stack_bytes {
            thread = thread.stack_size(bytes);
        }
        // Nothing is logged here: the pool is locked, and a logger may have a pool of its own.
        thread.spawn(move || own.work()).map_err(|_| NoThread)?;
        state.running += 1;
        state.free += 1;
        Ok(())
    }

    fn work(self: Arc<Self>) {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.free -= 1;
                if state.free == 0 && !state.jobs.is_empty() && state.running < self.max {
                    // Without another thread the jobs wait for this one.
                    let _ = Self::start(&self, &mut state);
                }
                drop(state);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    log::error!("a job of {} panicked", self.name);
                }
                state = self.state();
                state.free += 1;
                continue;
            }
            if state.is_over {
                break;
            }
            if state.running <= state.kept {
                let woken = self.work.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let woken = self.work.wait_timeout(state, self.idle);
            let (next, waited) = woken.unwrap_or_else(PoisonError::into_inner);
            state = next;
            if waited.timed_out() && state.jobs.is_empty() && state.running > state.kept {
                break;
            }
        }
        state.free -= 1;
        state.running -= 1;
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Has a thread wait until the sender of the given receiver is dropped.
    fn block(threads: &Threads, until: Receiver<()>) {
        let (begun, has_begun) = channel();
        let job = move || {
            begun.send(()).unwrap();
            let _ = until.recv();
        };
        threads.run(Box::new(job)).unwrap();
        has_begun.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn jobs_that_block_hold_up_no_other_job_until_the_bound_is_reached() {
        let threads = Threads::new("test", 4);
        let (ends, waits): (Vec<_>, Vec<_>) = (0..3).map(|_| channel::<()>()).unzip();
        for wait in waits {
            block(&threads, wait);
        }
        let (done, is_done) = channel();
        for n in 0..100 {
            let done = done.clone();
            threads
                .run(Box::new(move || done.send(n).unwrap()))
                .unwrap();
        }
        let told: Vec<_> = (0..100)
            .map(|_| is_done.recv_timeout(PATIENCE).unwrap())
            .collect();
        assert_eq!(told, (0..100).collect::<Vec<_>>(), "one thread keeps order");
        assert_eq!(threads.running(), 4);
        drop(ends);
    }

    #[test]
    fn many_short_jobs_do_not_start_a_thread_each_and_a_panic_ends_none() {
        let threads = Threads::new("test", 64);
        let (done, is_done) = channel();
        for n in 0..50 {
            let done = done.clone();
            let job = move || {
                done.send(()).unwrap();
                assert!(n % 7 != 0, "a job may fail");
            };
            threads.run(Box::new(job)).unwrap();
            is_done.recv_timeout(PATIENCE).unwrap();
        }
        assert!(threads.running() < 50, "{}", threads.running());
    }

    #[test]
    fn threads_without_work_end_and_one_is_kept_where_that_was_asked_for() {
        for kept in [0, 1] {
            let threads = Threads::with("test", 8, Duration::from_millis(1), None);
            threads.0.0.state().kept = kept;
            let (ends, waits): (Vec<_>, Vec<_>) = (0..5).map(|_| channel::<()>()).unzip();
            for wait in waits {
                block(&threads, wait);
            }
            drop(ends);
            while threads.running() > kept {
                std::thread::yield_now();
            }
            let (done, is_done) = channel();
            threads
                .run(Box::new(move || done.send(()).unwrap()))
                .unwrap();
            is_done.recv_timeout(PATIENCE).unwrap();
        }
    }

    #[test]
    fn a_system_without_threads_is_an_error_and_drops_the_job() {
        let threads = Threads::none();
        let (done, is_done) = channel::<()>();
        let job = move || done.send(()).unwrap();
        assert_eq!(threads.run(Box::new(job)), Err(NoThread));
        assert!(is_done.recv().is_err(), "nobody keeps the job");
        assert_eq!(threads.running(), 0);
    }

    #[test]
    fn a_job_may_drop_the_last_handle_and_what_waits_is_done_all_the_same() {
        let threads = Threads::new("test", 1);
        let own = threads.clone();
        let (done, is_done) = channel();
        let (go, begin) = channel::<()>();
        threads
            .run(Box::new(move || {
                let _ = begin.recv();
                drop(own);
            }))
            .unwrap();
        threads
            .run(Box::new(move || done.send(()).unwrap()))
            .unwrap();
        let pool = Arc::downgrade(&threads.0.0);
        drop(threads);
        drop(go);
        is_done.recv_timeout(PATIENCE).unwrap();
        while pool.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
