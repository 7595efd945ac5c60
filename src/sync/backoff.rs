//! The one rule for pauses between tries: the pause doubles with each failure, up to a longest one.

use std::time::Duration;

use super::Randomness;

/// The rule for the pauses between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
    /// The part of chance in the pause.
    pub jitter: Jitter,
}

/// The part of chance in a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// The pause is as long as the rule says.
    None,
    /// The pause is between half as long and as long, so that many devices that failed in the same
    /// moment do not come back in the same moment.
    Half,
}

impl Backoff {
    /// Pauses without chance.
    #[must_use]
    pub const fn plain(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            jitter: Jitter::None,
        }
    }

    /// Pauses that chance spreads.
    #[must_use]
    pub const fn spread(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            jitter: Jitter::Half,
        }
    }

    /// The longest pause after so many earlier failures: `first` after none, and never more than `max`.
    #[must_use]
    pub fn longest(&self, failures: u32) -> Duration {
        // 2 to the 31st seconds are 68 years: no pause is longer.
        let factor = 2_u32.saturating_pow(failures.min(31));
        self.first.saturating_mul(factor).min(self.max)
    }

    /// The longest pause after one that was followed by a failure.
    #[must_use]
    pub fn after(&self, last: Duration) -> Duration {
        last.saturating_mul(2).min(self.max)
    }

    /// The pause after so many earlier failures, with chance where the rule wants it.
    pub fn pause(&self, failures: u32, randomness: &mut Randomness) -> Duration {
        let longest = self.longest(failures);
        match self.jitter {
            Jitter::None => longest,
            Jitter::Half => {
                let half = longest / 2;
                let millis = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
                half.saturating_add(Duration::from_millis(randomness.below(millis)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pause_doubles_with_each_failure_up_to_the_longest() {
        let backoff = Backoff::plain(SECOND, SECOND * 5);
        let pauses = [0, 1, 2, 3, 31, u32::MAX].map(|failures| backoff.longest(failures));
        assert_eq!(pauses, [1, 2, 4, 5, 5, 5].map(Duration::from_secs));
        assert_eq!(backoff.after(SECOND * 2), SECOND * 4);
        assert_eq!(backoff.after(SECOND * 4), SECOND * 5);
        let for_ever = Backoff::plain(SECOND, Duration::MAX);
        assert_eq!(for_ever.longest(40), for_ever.longest(31));
    }

    #[test]
    fn chance_takes_half_of_a_pause_at_most() {
        let mut randomness = Randomness::seeded(5);
        let backoff = Backoff::spread(SECOND, SECOND * 300);
        for failures in (0..12).cycle().take(500) {
            let longest = backoff.longest(failures);
            let pause = backoff.pause(failures, &mut randomness);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
        let plain = Backoff::plain(SECOND, SECOND * 300);
        assert_eq!(plain.pause(3, &mut randomness), SECOND * 8);
    }
}
