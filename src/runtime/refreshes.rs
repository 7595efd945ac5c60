//! The number of running refreshes, and a flag that is true if the engine was woken for them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The refreshes of an engine that are under way.
#[derive(Debug, Default)]
pub(super) struct Refreshes(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    count: usize,
    /// True if the engine was woken for the refreshes, and the app has said nothing since.
    was_woken: bool,
}

impl Refreshes {
    fn running(&self) -> MutexGuard<'_, Running> {
        // The code under this lock moves values and nothing else.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a refresh begins; true if it is to wake the engine.
    pub(super) fn begin(&self, is_away: bool) -> bool {
        let mut running = self.running();
        running.count += 1;
        running.was_woken |= is_away;
        is_away
    }

    /// Notes that a refresh ends; true if the engine is to be paused again.
    pub(super) fn end(&self) -> bool {
        let mut running = self.running();
        debug_assert!(running.count > 0, "it began");
        running.count = running.count.saturating_sub(1);
        running.count == 0 && std::mem::take(&mut running.was_woken)
    }

    /// The app itself paused the engine or came back, so no refresh pauses it again.
    pub(super) fn overruled(&self) {
        self.running().was_woken = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refresh_pauses_the_engine_again_unless_the_app_said_something() {
        let refreshes = Refreshes::default();
        assert!(refreshes.begin(true), "the first one wakes the engine");
        assert!(!refreshes.begin(false));
        assert!(!refreshes.end(), "another one is under way");
        assert!(refreshes.end());
        assert!(!refreshes.begin(false));
        assert!(!refreshes.end(), "the app is in the foreground");
        refreshes.begin(true);
        refreshes.overruled();
        assert!(!refreshes.end(), "the app came back");
    }
}
