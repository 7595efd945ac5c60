//! The loop's reports of a client's catch-up: a few a second, each with a time.

use std::time::Duration;

use crate::model::{Count, Now, Timestamp};
use crate::sync::{CatchUpProgress, ElapsedHolds};
use crate::views::{self, Refused, SyncState};

/// A count that goes up is told at most four times a second.
const PAUSE: Duration = Duration::from_millis(250);

/// The last report of a client's catch-up, and when it was made.
#[derive(Debug, Default)]
pub(super) struct Telling {
    told: SyncState,
    told_at: Duration,
    /// The time of the next report, if one is delayed.
    due_at: Option<Duration>,
    /// The last report of the entries that are kept back.
    holds: ElapsedHolds,
}

impl Telling {
    /// The time of the next report, if one is delayed.
    pub(super) const fn due_at(&self) -> Option<Duration> {
        self.due_at
    }

    /// Takes the machine's progress; answers the report that is due now.
    pub(super) fn note(&mut self, now: Now, progress: CatchUpProgress) -> Option<SyncState> {
        let next = self.state(now.wall, progress);
        self.due_at = None;
        if next == self.told {
            return None;
        }
        let counts = |state| matches!(state, SyncState::CatchingUp { .. });
        let free_at = self.told_at.saturating_add(PAUSE);
        if counts(next) && counts(self.told) && now.elapsed < free_at {
            self.due_at = Some(free_at);
            return None;
        }
        self.told = next;
        self.told_at = now.elapsed;
        Some(next)
    }

    /// Takes the machine's delays; answers them by the device's clock, if they have changed.
    pub(super) fn hold(&mut self, now: Now, holds: ElapsedHolds) -> Option<views::Holds> {
        if holds == self.holds {
            return None;
        }
        self.holds = holds.clone();
        let wall = |at: Duration| now.wall.saturating_add(at.saturating_sub(now.elapsed));
        let refused = holds.refused.into_iter().map(|(number, lane)| {
            let until = wall(lane.until);
            let refusal = lane.refusal;
            (number, Refused { until, refusal })
        });
        Some(views::Holds {
            sends: holds.sends.map(wall),
            others: holds.others.map(wall),
            refused: refused.collect(),
            signing: holds.signing,
        })
    }

    /// A client that is up to date stays so until the session ends: later messages come by themselves.
    fn state(&self, wall: Timestamp, progress: CatchUpProgress) -> SyncState {
        match (progress, self.told) {
            (CatchUpProgress::Unknown, _) => SyncState::Unknown,
            (_, current @ SyncState::Current { .. }) => current,
            (CatchUpProgress::Current, _) => SyncState::Current { since: wall },
            (CatchUpProgress::CatchingUp { done, total }, _) => SyncState::CatchingUp {
                done: Count::from(done),
                total: Count::from(total),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now {
            elapsed: Duration::from_millis(millis),
            wall: Timestamp::from_millis(i64::try_from(millis).unwrap()),
        }
    }

    fn behind(done: u32) -> CatchUpProgress {
        CatchUpProgress::CatchingUp { done, total: 9 }
    }

    #[test]
    fn counts_are_told_four_times_a_second_and_the_end_at_once() {
        let mut telling = Telling::default();
        let mut told = Vec::new();
        for step in 0..=8 {
            told.extend(telling.note(at(u64::from(step) * 100), behind(step)));
        }
        assert_eq!(told.len(), 3, "at 0, 300 and 600 ms: {told:?}");
        assert_eq!(telling.due_at(), Some(Duration::from_millis(850)));
        let current = SyncState::Current {
            since: Timestamp::from_millis(801),
        };
        assert_eq!(
            telling.note(at(801), CatchUpProgress::Current),
            Some(current)
        );
        assert_eq!(telling.due_at(), None);
    }

    #[test]
    fn current_lasts_until_the_session_ends() {
        let mut telling = Telling::default();
        telling.note(at(1), CatchUpProgress::Current);
        assert_eq!(telling.note(at(2), behind(1)), None);
        let ended = telling.note(at(3), CatchUpProgress::Unknown);
        assert_eq!(ended, Some(SyncState::Unknown));
        assert!(telling.note(at(4), behind(1)).is_some());
    }
}
