//! The service's own clock: it never goes back, whatever the machine's wall clock and restarts do.
//!
//! Clients come back with times that they were told and ask for everything after them. So the
//! clock follows the wall clock forward at once, and where that goes back, it goes on at half speed
//! until the wall clock has caught up. How far it came is kept with the data, in the commit of what
//! was told under it.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::model::{AppId, ConversationId, Now, Timestamp};

use crate::storage::Clock;

/// How many conversations are remembered before those whose last time is past are forgotten.
const REMEMBERED_MAX: usize = 4096;

const TICK: Duration = Duration::from_millis(1);

/// Gives out times.
#[derive(Debug, Default)]
pub(in crate::core) struct Stamps {
    /// What the clock shows: no message has a later time.
    shown: Timestamp,
    /// When it showed that, in elapsed time.
    at: Duration,
    /// The machine's wall clock, as it is.
    wall: Timestamp,
    /// The last time of a change. Changes are more than messages may be in a millisecond, so they
    /// may run ahead of the clock and do not push it.
    last: Timestamp,
    /// The last time given out in a conversation, where it may still be in the future.
    messages: BTreeMap<(AppId, ConversationId), Timestamp>,
    kept: Kept,
}

/// What of the clock is in the storage.
#[derive(Debug, Default)]
enum Kept {
    /// It was not read yet.
    #[default]
    Unread,
    /// This; `due` where somebody was told a time without a write that would carry it along.
    Known { clock: Clock, due: bool },
}

impl Stamps {
    /// Whether what the storage keeps has still to be handed in.
    pub(in crate::core) const fn is_unread(&self) -> bool {
        matches!(self.kept, Kept::Unread)
    }

    /// Goes on from what the storage keeps.
    pub(in crate::core) fn go_on_from(&mut self, clock: Clock, elapsed: Duration) {
        self.shown = self.shown.max(clock.shown);
        self.last = self.last.max(clock.last);
        self.at = elapsed;
        self.kept = Kept::Known { clock, due: false };
    }

    /// The machine's clocks, with the service's own in the place of the wall clock.
    pub(in crate::core) fn read(&mut self, now: Now) -> Now {
        self.wall = now.wall;
        // While it is ahead it goes half as fast; whole milliseconds, so that no reading is lost.
        let steps = now.elapsed.saturating_sub(self.at).as_millis() / 2;
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.at = self
            .at
            .saturating_add(Duration::from_millis(steps.saturating_mul(2)));
        let slewed = self.shown.saturating_add(Duration::from_millis(steps));
        if now.wall >= slewed {
            self.at = now.elapsed;
        }
        self.shown = slewed.max(now.wall);
        Now {
            wall: self.shown,
            ..now
        }
    }

    /// The machine's wall clock, for what is compared with the times of others' clocks.
    pub(in crate::core) const fn wall(&self) -> Timestamp {
        self.wall
    }

    /// A time later than every one before it from here, and than every message and opening: for
    /// changes and notifications, which clients ask for again by "everything after".
    pub(in crate::core) fn next(&mut self) -> Timestamp {
        self.last = self.shown.max(self.last).saturating_add(TICK);
        self.last
    }

    /// The time at which a session opens: no earlier than any message before it, and earlier than
    /// every message and every change after it.
    pub(in crate::core) fn opening(&mut self) -> Timestamp {
        let at = self.shown;
        self.shown = at.saturating_add(TICK);
        if let Kept::Known { due, .. } = &mut self.kept {
            *due = true;
        }
        at
    }

    /// A time later than every message of the conversation; `stored` is that of the newest kept.
    pub(in crate::core) fn message(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        stored: Option<Timestamp>,
    ) -> Timestamp {
        if self.messages.len() >= REMEMBERED_MAX {
            // What is past needs no remembering: the clock is ahead of it anyway.
            self.messages.retain(|_, last| *last >= self.shown);
        }
        let key = (app.clone(), conversation.clone());
        let last = self.messages.get(&key).copied().max(stored);
        let at = last.map_or(self.shown, |last| self.shown.max(last.saturating_add(TICK)));
        self.messages.insert(key, at);
        self.shown = self.shown.max(at);
        at
    }

    /// What the storage has to keep with a batch; none if it has it, or if nobody was told.
    pub(in crate::core) fn to_keep(&self, batch_has_changes: bool) -> Option<Clock> {
        let clock = self.clock();
        match &self.kept {
            Kept::Known { clock: kept, due } => {
                (*kept != clock && (*due || batch_has_changes)).then_some(clock)
            }
            Kept::Unread => None,
        }
    }

    /// The storage keeps this now.
    pub(in crate::core) fn is_kept(&mut self, clock: Clock) {
        self.kept = Kept::Known { clock, due: false };
    }

    const fn clock(&self) -> Clock {
        Clock {
            shown: self.shown,
            last: self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(elapsed: u64, wall: i64) -> Now {
        Now {
            elapsed: Duration::from_millis(elapsed),
            wall: Timestamp::from_millis(wall),
        }
    }

    fn shown(stamps: &mut Stamps, elapsed: u64, wall: i64) -> i64 {
        stamps.read(now(elapsed, wall)).wall.as_millis()
    }

    #[test]
    fn times_of_messages_increase_although_the_clock_stands_or_goes_back() {
        let (app, cid) = (AppId::new("a").unwrap(), ConversationId::new("c").unwrap());
        let mut stamps = Stamps::default();
        stamps.read(now(0, 1000));
        let stored = Some(Timestamp::from_millis(2000));
        let first = stamps.message(&app, &cid, stored);
        stamps.read(now(0, 10));
        let second = stamps.message(&app, &cid, stored);
        assert_eq!((first.as_millis(), second.as_millis()), (2001, 2002));
        let other = ConversationId::new("d").unwrap();
        assert!(stamps.message(&app, &other, None) >= second);
    }

    #[test]
    fn two_changes_in_one_millisecond_have_different_times() {
        let mut stamps = Stamps::default();
        stamps.read(now(0, 5));
        assert!(stamps.next() < stamps.next());
    }

    #[test]
    fn the_clock_follows_forward_at_once_and_back_at_half_speed() {
        let mut stamps = Stamps::default();
        assert_eq!(shown(&mut stamps, 0, 10_000), 10_000);
        assert_eq!(shown(&mut stamps, 1_000, 11_000), 11_000);
        // An hour back: it goes on, and more slowly.
        let back = |elapsed: u64| i64::try_from(elapsed).unwrap() + 10_000 - 3_600_000;
        assert_eq!(shown(&mut stamps, 2_000, back(2_000)), 11_500);
        for elapsed in 2_001..=3_000 {
            shown(&mut stamps, elapsed, back(elapsed));
        }
        assert_eq!(shown(&mut stamps, 3_000, back(3_000)), 12_000);
        let later = 2 * 3_600_000 + 3_000;
        assert_eq!(shown(&mut stamps, later, back(later)), back(later));
        assert_eq!(shown(&mut stamps, later, 99_000_000), 99_000_000);
    }

    #[test]
    fn what_follows_an_opening_is_later_and_what_went_before_is_not() {
        let (app, cid) = (AppId::new("a").unwrap(), ConversationId::new("c").unwrap());
        let mut stamps = Stamps::default();
        stamps.read(now(0, 1000));
        let before = stamps.message(&app, &cid, None);
        let opened = stamps.opening();
        let after = ConversationId::new("d").unwrap();
        assert!(before <= opened);
        assert!(opened < stamps.message(&app, &after, None));
        assert!(opened < stamps.next());
    }

    #[test]
    fn a_time_that_was_told_is_kept_though_nothing_was_written() {
        let mut stamps = Stamps::default();
        stamps.go_on_from(Clock::default(), Duration::ZERO);
        stamps.read(now(0, 1000));
        assert_eq!(stamps.to_keep(false), None);
        assert!(stamps.to_keep(true).is_some());
        stamps.opening();
        let clock = stamps.to_keep(false).unwrap();
        stamps.is_kept(clock);
        assert_eq!(stamps.to_keep(true), None);
        let mut again = Stamps::default();
        again.go_on_from(clock, Duration::from_secs(9));
        assert!(again.read(now(9_000, 10)).wall > Timestamp::from_millis(1000));
    }
}
