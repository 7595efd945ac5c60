//! Refusals of this client's own requests: such a request is repeated, later and later, and a limited number of
//! times.

use std::time::Duration;

use crate::sync::Backoff;
use crate::wire::{Retry, ServiceCode};

/// The pauses after refusals.
const PAUSES: Backoff = Backoff::plain(Duration::from_secs(5), Duration::from_secs(120));

/// How often a refusal for good is borne in one session: hooks and plans of an app change, but what
/// is not allowed is not asked for all day.
const BORNE_MAX: u32 = 6;

/// The refusals of one kind of question since its last answer.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sync::client) struct Refusals {
    for_now: u32,
    for_good: u32,
    not_before: Duration,
}

impl Refusals {
    /// Notes a refusal; false when it is time to give up until the next session.
    pub(in crate::sync::client) fn bear(&mut self, now: Duration, code: ServiceCode) -> bool {
        let pause = PAUSES.longest(self.for_now.saturating_add(self.for_good));
        self.not_before = now.saturating_add(pause);
        match code.retry() {
            Retry::Later | Retry::AfterOpen => {
                self.for_now += 1;
                true
            }
            Retry::DropToken | Retry::Never | Retry::DoNotReconnect => {
                self.for_good += 1;
                self.for_good < BORNE_MAX
            }
        }
    }

    /// True if it is too early to ask again.
    pub(in crate::sync::client) fn hold(&self, now: Duration) -> bool {
        now < self.not_before
    }

    /// From when on it may be asked again.
    pub(in crate::sync::client) const fn not_before(&self) -> Duration {
        self.not_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_held_back_until_its_pause_is_over_and_not_longer() {
        let mut refusals = Refusals::default();
        assert!(!refusals.hold(Duration::ZERO));
        refusals.bear(Duration::from_secs(1), ServiceCode::INTERNAL_ERROR);
        let end = refusals.not_before();
        assert_eq!(end, Duration::from_secs(6));
        assert!(refusals.hold(end.saturating_sub(Duration::from_millis(1))));
        assert!(!refusals.hold(end));
    }

    #[test]
    fn a_refusal_for_good_is_borne_a_few_times_and_one_for_now_always() {
        let mut refusals = Refusals::default();
        let borne = (0..20)
            .take_while(|_| refusals.bear(Duration::ZERO, ServiceCode::CONVERSATION_QUERY_FAILED));
        assert_eq!(borne.count(), 5);
        let mut refusals = Refusals::default();
        for _ in 0..50 {
            assert!(refusals.bear(Duration::ZERO, ServiceCode::INTERNAL_ERROR));
        }
        assert_eq!(refusals.not_before(), PAUSES.max);
    }
}
