//! The number of requests of each client, by the hosted service's kinds of request.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sampan::wire::{Command, ServiceCode};

/// The window in which the hosted service counts requests.
const WINDOW: Duration = Duration::from_secs(60);

/// The kinds of request that the hosted service counts, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Send,
    History,
    Other,
}

impl Class {
    pub(crate) const fn of(command: &Command) -> Self {
        match command {
            Command::Direct(_) => Self::Send,
            Command::Logs(_) => Self::History,
            _ => Self::Other,
        }
    }

    /// The number of requests of this kind that a client has in a minute.
    const fn allowed(self) -> usize {
        match self {
            Self::Send => 60,
            Self::History => 120,
            Self::Other => 30,
        }
    }

    pub(super) const fn code(self) -> ServiceCode {
        match self {
            Self::Send => ServiceCode::MESSAGE_SENT_QUOTA_EXCEEDED,
            Self::History | Self::Other => ServiceCode::CONVERSATION_API_QUOTA_EXCEEDED,
        }
    }
}

/// The time at which each client on each device asked, within the window.
#[derive(Debug, Default)]
pub(crate) struct Counters(BTreeMap<(usize, String, Class), VecDeque<Duration>>);

impl Counters {
    /// Counts a request; false when it is one too many.
    pub(crate) fn admit(&mut self, now: Duration, engine: usize, peer: &str, class: Class) -> bool {
        let asked = self.0.entry((engine, peer.to_owned(), class)).or_default();
        while asked.front().is_some_and(|at| *at + WINDOW <= now) {
            asked.pop_front();
        }
        if asked.len() >= class.allowed() {
            return false;
        }
        asked.push_back(now);
        true
    }

    /// An engine lost its power, and with it the memory of its requests.
    pub(crate) fn forget(&mut self, engine: usize) {
        self.0.retain(|(of, _, _), _| *of != engine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_ask_again_when_the_oldest_request_is_a_minute_old() {
        let mut counters = Counters::default();
        let at = Duration::from_secs;
        for _ in 0..30 {
            assert!(counters.admit(at(1), 0, "ann", Class::Other));
        }
        assert!(!counters.admit(at(60), 0, "ann", Class::Other));
        assert!(counters.admit(at(60), 0, "ann", Class::Send));
        assert!(counters.admit(at(60), 1, "ann", Class::Other));
        assert!(counters.admit(at(61), 0, "ann", Class::Other));
    }
}
