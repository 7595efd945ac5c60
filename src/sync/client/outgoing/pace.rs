//! The rate of commands of one kind.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::Backoff;

/// The service counts per minute; a second more makes up for what the way takes.
const WINDOW: Duration = Duration::from_secs(61);

/// The pauses after time-outs on a live link.
const SLOW: Backoff = Backoff::plain(Duration::from_secs(5), Duration::from_secs(60));

/// The pace of one kind of command: so many in any minute, and slower while the service leaves
/// commands unanswered.
#[derive(Debug)]
pub(in crate::sync::client) struct Pace {
    per_minute: u32,
    sent_at: VecDeque<Duration>,
    timeouts: u32,
    hold_until: Duration,
}

impl Pace {
    pub(in crate::sync::client) const fn new(per_minute: u32) -> Self {
        Self {
            per_minute,
            sent_at: VecDeque::new(),
            timeouts: 0,
            hold_until: Duration::ZERO,
        }
    }

    /// True if a command may be sent now.
    pub(in crate::sync::client) fn allows(&self, now: Duration) -> bool {
        self.ready_at() <= now
    }

    /// From when on a command may be sent.
    pub(in crate::sync::client) fn ready_at(&self) -> Duration {
        let full = usize::try_from(self.per_minute).is_ok_and(|most| self.sent_at.len() >= most);
        match self.sent_at.front() {
            Some(oldest) if full => oldest.saturating_add(WINDOW).max(self.hold_until),
            _ => self.hold_until,
        }
    }

    /// A command was sent.
    pub(in crate::sync::client) fn note(&mut self, now: Duration) {
        if self.per_minute == u32::MAX {
            return;
        }
        self.sent_at.push_back(now);
        let most = usize::try_from(self.per_minute).unwrap_or(usize::MAX);
        while self.sent_at.len() > most {
            self.sent_at.pop_front();
        }
    }

    /// A command was not answered on a live link: the service throttles us.
    pub(in crate::sync::client) fn throttled(&mut self, now: Duration) {
        self.hold_until = now.saturating_add(SLOW.longest(self.timeouts));
        self.timeouts += 1;
    }

    /// A command was answered: the service keeps up.
    pub(in crate::sync::client) fn answered(&mut self) {
        self.timeouts = 0;
        self.hold_until = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_ever_sees_more_than_allowed() {
        let mut pace = Pace::new(3);
        let mut sent = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..12 {
            now = now.max(pace.ready_at());
            assert!(pace.allows(now));
            pace.note(now);
            sent.push(now);
            now += Duration::from_millis(10);
        }
        for window in sent.windows(4) {
            assert!(window[3] - window[0] > Duration::from_secs(60));
        }
    }

    #[test]
    fn unanswered_commands_slow_the_pace_until_one_is_answered() {
        let mut pace = Pace::new(u32::MAX);
        pace.throttled(Duration::ZERO);
        assert_eq!(pace.ready_at(), Duration::from_secs(5));
        for _ in 0..20 {
            pace.throttled(Duration::ZERO);
        }
        assert_eq!(pace.ready_at(), Duration::from_secs(60));
        pace.answered();
        assert!(pace.allows(Duration::ZERO));
    }
}
