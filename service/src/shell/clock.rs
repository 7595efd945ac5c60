//! The only reader of clocks in the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sampan::model::{Now, Timestamp};

/// Makes [`Now`] from the system's clocks.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    started: Instant,
    /// The number of milliseconds that the wall clock is ahead of the system's: none but in tests.
    ahead: Arc<AtomicU64>,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that reads the clocks"
    )]
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            ahead: Arc::default(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that reads the clocks"
    )]
    pub(super) fn now(&self) -> Now {
        // A clock before 1970 is no clock: times then start at zero.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let ahead = Duration::from_millis(self.ahead.load(Ordering::Relaxed));
        let since_epoch = since_epoch.saturating_add(ahead);
        let wall = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Now {
            elapsed: self.started.elapsed(),
            wall: Timestamp::from_millis(wall),
        }
    }

    /// Sets the wall clock ahead; timers, which go by elapsed time, don't notice.
    pub(super) fn set_ahead(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    /// The time from now to `at`, in elapsed time.
    pub(super) fn until(&self, at: Duration) -> Duration {
        at.saturating_sub(self.started.elapsed())
    }
}

/// Random bytes of the operating system.
#[derive(Debug)]
pub(super) struct SystemEntropy;

impl crate::core::Entropy for SystemEntropy {
    #[expect(
        clippy::expect_used,
        reason = "a system without randomness can make no tokens"
    )]
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
