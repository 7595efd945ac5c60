//! The only reader of the system's clocks, and of its entropy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::{Now, Timestamp};
use crate::sync::Randomness;

/// A clock whose elapsed time counts from its making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts counting. The loop sleeps by this clock, so a test can move both at once.
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
        // All our platforms have entropy. If one lacks it for a moment after booting, the clock and an address
        // of this process distinguish two devices well enough for ids.
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
