//! The pace of requests: slow at first, twice as fast after each quiet time, half as fast after trouble, and
//! zero for a while after the service said "too many".
//!
//! Times are passed in, as time since the start. No limit on history reads is documented, so the pace finds the
//! limit out, and stays below a ceiling that the operator can move.

use std::time::Duration;

/// The pace never falls below this, however much trouble there is.
const SLOWEST_PER_MINUTE: f64 = 6.0;

/// The limits that an operator can set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Requests a minute at the start.
    pub start: f64,
    /// The most requests a minute.
    pub ceiling: f64,
    /// The time without a request after "too many requests", and the quiet time before the pace doubles.
    pub cool_down: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: 60.0,
            ceiling: 600.0,
            cool_down: Duration::from_secs(60),
        }
    }
}

/// The pace of all requests of a run.
#[derive(Clone, Debug)]
pub struct Pace {
    limits: Limits,
    per_minute: f64,
    /// The time at which the next request may start.
    next: Duration,
    /// The time until which nothing is asked.
    held_until: Option<Duration>,
    /// The time since which no trouble came.
    quiet_since: Duration,
    /// The last slow-down; trouble of requests that were on their way then counts once.
    slowed_at: Option<Duration>,
}

impl Pace {
    /// A pace at the start of a run.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let start = limits
            .start
            .clamp(SLOWEST_PER_MINUTE, limits.ceiling.max(SLOWEST_PER_MINUTE));
        Self {
            limits,
            per_minute: start,
            next: Duration::ZERO,
            held_until: None,
            quiet_since: Duration::ZERO,
            slowed_at: None,
        }
    }

    /// Requests a minute, now.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        self.per_minute
    }

    /// The time until which nothing is asked, not even by requests that have a place already.
    #[must_use]
    pub fn held_until(&self) -> Option<Duration> {
        self.held_until
    }

    /// Takes the next place in the row, and tells when it comes.
    pub fn reserve(&mut self, now: Duration) -> Duration {
        let at = self.next.max(now);
        self.next = at + Duration::from_secs_f64(60.0 / self.per_minute);
        at
    }

    /// A request was answered well.
    pub fn succeeded(&mut self, now: Duration) {
        let ceiling = self.limits.ceiling.max(SLOWEST_PER_MINUTE);
        if now.saturating_sub(self.quiet_since) >= self.limits.cool_down
            && self.per_minute < ceiling
        {
            self.per_minute = (self.per_minute * 2.0).min(ceiling);
            self.quiet_since = now;
        }
    }

    /// Takes a refusal of a request from `started` as one too many. No request is made until the cool-down, or
    /// the time that the service asks for, has passed.
    pub fn limited(&mut self, started: Duration, now: Duration, asked: Option<Duration>) {
        self.slow_down(started, now);
        let wait = self
            .limits
            .cool_down
            .max(asked.unwrap_or_default().min(Duration::from_secs(3600)));
        self.next = self.next.max(now + wait);
        self.held_until = self.held_until.max(Some(now + wait));
        self.quiet_since = self.quiet_since.max(now + wait);
    }

    /// A request that started at `started` met a service in trouble.
    pub fn failed(&mut self, started: Duration, now: Duration) {
        self.slow_down(started, now);
        self.quiet_since = self.quiet_since.max(now);
    }

    fn slow_down(&mut self, started: Duration, now: Duration) {
        if self.slowed_at.is_some_and(|at| started <= at) {
            return;
        }
        self.per_minute = (self.per_minute / 2.0).max(SLOWEST_PER_MINUTE);
        self.slowed_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn requests_keep_their_distance() {
        let mut pace = Pace::new(Limits::default());
        assert_eq!(pace.reserve(secs(5)), secs(5));
        assert_eq!(pace.reserve(secs(5)), secs(6));
        assert_eq!(pace.reserve(secs(5)), secs(7));
    }

    #[test]
    fn a_quiet_minute_doubles_the_pace_up_to_the_ceiling() {
        let mut pace = Pace::new(Limits::default());
        pace.succeeded(secs(59));
        assert_eq!(pace.per_minute(), 60.0);
        for minute in 1..=9 {
            pace.succeeded(secs(60 * minute));
        }
        assert_eq!(pace.per_minute(), 600.0);
    }

    #[test]
    fn too_many_requests_stop_everything_for_a_minute_and_halve_the_pace_once() {
        let mut pace = Pace::new(Limits::default());
        pace.limited(secs(9), secs(10), None);
        pace.limited(secs(9), secs(11), None);
        assert_eq!(pace.per_minute(), 30.0);
        assert_eq!(pace.held_until(), Some(secs(71)));
        assert_eq!(pace.reserve(secs(12)), secs(71));
        pace.succeeded(secs(100));
        assert_eq!(pace.per_minute(), 30.0, "the quiet begins after the stop");
        pace.succeeded(secs(131));
        assert_eq!(pace.per_minute(), 60.0);
    }

    #[test]
    fn what_the_service_asks_for_is_waited_for_if_it_is_longer() {
        let mut pace = Pace::new(Limits::default());
        pace.limited(secs(0), secs(1), Some(secs(120)));
        assert_eq!(pace.reserve(secs(2)), secs(121));
        // A service that asks for a year gets an hour.
        pace.limited(secs(200), secs(201), Some(secs(365 * 86_400)));
        assert_eq!(pace.reserve(secs(202)), secs(201 + 3_600));
    }

    #[test]
    fn trouble_never_stops_a_crawl_for_good() {
        let mut pace = Pace::new(Limits::default());
        for second in 1..100 {
            pace.failed(secs(second), secs(second));
        }
        assert_eq!(pace.per_minute(), SLOWEST_PER_MINUTE);
    }
}
