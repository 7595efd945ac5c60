//! The only reader of the system's clocks, and of its entropy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::{Now, Timestamp};
use crate::sync::Randomness;

/// Tells what time it is; elapsed time counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts counting. It is the clock by which the loop sleeps, so a test can move both at once.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// The time that machines are told.
    pub(crate) fn now(&self) -> Now {
        Now {
            elapsed: self.elapsed(),
            wall: wall(),
        }
    }

    /// The time since the clock was started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The wall clock. A clock before 1970 reads as 1970: it only labels things.
#[expect(
    clippy::disallowed_methods,
    reason = "this file is where the engine reads the clocks"
)]
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A source of chance that no other device or run has.
pub(crate) fn randomness() -> Randomness {
    let mut seed = [0; 32];
    if getrandom::fill(&mut seed).is_err() {
        // No platform of ours is without entropy. Should one be, for a moment after booting, then
        // the clock and an address of this process keep two devices apart well enough for ids.
        let words = [
            wall().as_millis().to_be_bytes(),
            i64::from(std::process::id()).to_be_bytes(),
        ];
        for (place, byte) in seed.iter_mut().zip(words.concat()) {
            *place = byte;
        }
    }
    Randomness::new(seed)
}
