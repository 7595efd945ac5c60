//! [`ServiceClock`]: the time by the service's clock, learnt from its frames.

use std::time::Duration;

use crate::model::{Now, Timestamp};

/// The service's clock, as it was last shown.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sync::client) struct ServiceClock {
    /// The time that the service showed, and the elapsed time of that moment.
    shown: Option<(Timestamp, Duration)>,
}

impl ServiceClock {
    /// Notes the time that a frame shows, if it shows one.
    pub(in crate::sync::client) fn observe(&mut self, now: Now, shown: Option<Timestamp>) {
        self.shown = shown.map(|shown| (shown, now.elapsed)).or(self.shown);
    }

    /// The time by the service's clock if it is known, otherwise by the device's.
    pub(in crate::sync::client) fn now(self, now: Now) -> Timestamp {
        self.shown.map_or(now.wall, |(shown, at)| {
            shown.saturating_add(now.elapsed.saturating_sub(at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_clock_goes_on_from_what_it_last_showed() {
        let now = |wall, elapsed| Now {
            wall: Timestamp::from_millis(wall),
            elapsed: Duration::from_millis(elapsed),
        };
        let mut clock = ServiceClock::default();
        assert_eq!(clock.now(now(70, 1)).as_millis(), 70);
        clock.observe(now(70, 1), Some(Timestamp::from_millis(1_000)));
        clock.observe(now(80, 2), None);
        assert_eq!(clock.now(now(9, 11)).as_millis(), 1_010);
    }
}
