//! The service's own clock. It never goes back, for any wall clock of the machine and any restart, and no
//! client can push it.
//!
//! Clients come back with times that they were told and ask for everything after them. The clock therefore
//! follows the wall clock forward at once. When the wall clock goes back, the service's clock goes on at half
//! speed until the wall clock has caught up. The newest time is kept with the data, in the commit of the
//! changes that were told under it.
//!
//! Messages of a conversation have increasing times. A conversation with more than one message in a millisecond
//! therefore runs ahead, and the clock with it, by at most [`LEAD_MAX`]. Beyond that its messages share a
//! millisecond, and the counter in their ids orders them.
//!
//! A wall clock may be wrong by years, and a deletion is for ever. Nothing is therefore deleted by the wall
//! clock alone: the *proven* time has to agree, which follows the wall clock at twice the speed of the time
//! that the service has really run.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::model::{AppId, ConversationId, Now, Timestamp};

use crate::storage::Clock;

/// How many conversations are remembered before those whose last time is past are forgotten.
const REMEMBERED_MAX: usize = 4096;

const TICK: Duration = Duration::from_millis(1);

/// How far times of messages and openings may be ahead of the clock.
const LEAD_MAX: Duration = Duration::from_secs(1);

/// How far times of changes may be ahead of the clock.
const CHANGE_LEAD_MAX: Duration = Duration::from_secs(10);

/// Gives out times.
#[derive(Debug, Default)]
pub(in crate::core) struct Stamps {
    /// The time that the clock shows, by the wall clock and the time that went by.
    base: Timestamp,
    /// The time at which it showed that, in elapsed time.
    at: Duration,
    /// The newest time that was given to a message or an opening, where it is ahead of `base`.
    shown: Timestamp,
    /// The time that is proven, and when it was, in elapsed time; none before the first reading.
    proven: Option<(Timestamp, Duration)>,
    /// The machine's wall clock, as it is.
    wall: Timestamp,
    /// The last time of a change. Changes may run ahead of the clock and do not push it.
    last: Timestamp,
    /// The last time given out in a conversation, where it may still be in the future.
    messages: BTreeMap<(AppId, ConversationId), Timestamp>,
    kept: Kept,
}

/// The state of the clock in the storage.
#[derive(Debug, Default)]
enum Kept {
    /// The clock was not read yet.
    #[default]
    Unread,
    /// This; `due` where somebody was told a time without a write that would carry it along.
    Known { clock: Clock, due: bool },
}

impl Stamps {
    /// True if the clock of the storage has still to be read.
    pub(in crate::core) const fn is_unread(&self) -> bool {
        matches!(self.kept, Kept::Unread)
    }

    /// Goes on from the clock that the storage keeps.
    pub(in crate::core) fn go_on_from(&mut self, clock: Clock, elapsed: Duration) {
        self.base = self.base.max(clock.shown);
        self.shown = self.shown.max(clock.shown);
        self.last = self.last.max(clock.last);
        self.at = elapsed;
        // Data of an elder build tell how far the clock came, and nothing of the proven time.
        let proven = clock
            .proven
            .or_else(|| (clock.shown > Timestamp::ZERO).then_some(clock.shown));
        self.proven = proven.map(|proven| (proven, elapsed));
        self.kept = Kept::Known { clock, due: false };
    }

    /// The machine's clocks, with the service's own in the place of the wall clock.
    pub(in crate::core) fn read(&mut self, now: Now) -> Now {
        self.wall = now.wall;
        self.prove(now);
        // While it is ahead it goes half as fast; whole milliseconds, so that no reading is lost.
        let steps = now.elapsed.saturating_sub(self.at).as_millis() / 2;
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.at += Duration::from_millis(steps.saturating_mul(2));
        let slewed = self.base.saturating_add(Duration::from_millis(steps));
        if now.wall >= slewed {
            self.at = now.elapsed;
        }
        self.base = slewed.max(now.wall);
        self.shown = self.shown.max(self.base);
        Now {
            wall: self.shown,
            ..now
        }
    }

    fn prove(&mut self, now: Now) {
        let proven = match self.proven {
            None => now.wall,
            Some((proven, at)) => {
                let ran = now.elapsed.saturating_sub(at);
                proven.saturating_add(ran.saturating_mul(2)).min(now.wall)
            }
        };
        self.proven = Some((proven, now.elapsed));
    }

    /// A time that has come by the wall clock and by the time that the service has run: things that ended or
    /// got too old by then may be deleted.
    pub(in crate::core) fn proven(&self) -> Timestamp {
        self.proven.map(|(proven, _)| proven).unwrap_or_default()
    }

    /// The newest time that may have been told; a client that names a later one was told it by a
    /// clock that was wrong.
    pub(in crate::core) fn newest(&self) -> Timestamp {
        self.shown.max(self.last)
    }

    /// The machine's wall clock, for a comparison with the times of others' clocks.
    pub(in crate::core) const fn wall(&self) -> Timestamp {
        self.wall
    }

    /// A time later than every one before it from here, and than every message and opening: for
    /// changes and notifications, which clients ask for again by "everything after". More than
    /// thousands a second share a time.
    pub(in crate::core) fn next(&mut self) -> Timestamp {
        let next = self.shown.max(self.last).saturating_add(TICK);
        let most = self.base.saturating_add(CHANGE_LEAD_MAX);
        self.last = next.min(most).max(self.last);
        self.last
    }

    /// The time at which a session opens: no earlier than any message before it, and earlier than
    /// every message and every change after it, unless very many open in a second.
    pub(in crate::core) fn opening(&mut self) -> Timestamp {
        let at = self.shown;
        self.push(at.saturating_add(TICK));
        if let Kept::Known { due, .. } = &mut self.kept {
            *due = true;
        }
        at
    }

    /// The time that a message of the conversation would have: later than every one before it, or
    /// the same where the conversation is too far ahead. `stored` is that of the newest kept.
    pub(in crate::core) fn next_message(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        stored: Option<Timestamp>,
    ) -> Timestamp {
        let key = (app.clone(), conversation.clone());
        let last = self.messages.get(&key).copied().max(stored);
        let Some(last) = last else { return self.shown };
        let next = self.shown.max(last.saturating_add(TICK));
        let most = self.base.saturating_add(LEAD_MAX);
        match last > most {
            // The conversation was written by a clock that was ahead: it goes on from there.
            true => next,
            false => next.min(most).max(last),
        }
    }

    /// A message got the time that [`Stamps::next_message`] said.
    pub(in crate::core) fn message(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        at: Timestamp,
    ) {
        if self.messages.len() >= REMEMBERED_MAX {
            // A past time needs no remembering: the clock is ahead of it anyway.
            self.messages.retain(|_, last| *last >= self.base);
        }
        if self.messages.len() < 2 * REMEMBERED_MAX {
            self.messages
                .insert((app.clone(), conversation.clone()), at);
        }
        self.push(at);
    }

    /// A time was told that may be ahead of the clock.
    fn push(&mut self, at: Timestamp) {
        let most = self.base.saturating_add(LEAD_MAX);
        self.shown = self.shown.max(at.min(most));
    }

    /// The clock that the storage has to keep with a batch; none if the storage has it, or if nobody was told.
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
            proven: match self.proven {
                Some((proven, _)) => Some(proven),
                None => None,
            },
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

    fn take(
        stamps: &mut Stamps,
        app: &AppId,
        conversation: &ConversationId,
        stored: Option<Timestamp>,
    ) -> Timestamp {
        let at = stamps.next_message(app, conversation, stored);
        stamps.message(app, conversation, at);
        at
    }

    #[test]
    fn no_flood_of_messages_openings_and_changes_pushes_the_clock_far_ahead() {
        let (app, cid) = (AppId::new("a").unwrap(), ConversationId::new("c").unwrap());
        let mut stamps = Stamps::default();
        stamps.read(now(0, 50_000));
        let mut last = Timestamp::ZERO;
        for _ in 0..20_000 {
            let at = take(&mut stamps, &app, &cid, None);
            assert!(at >= last);
            last = at;
            stamps.opening();
            stamps.next();
        }
        assert_eq!(stamps.read(now(1, 50_001)).wall.as_millis(), 51_000);
        assert!(last.as_millis() <= 51_000);
        assert!(stamps.next().as_millis() <= 60_001);
        // When the flood is over, the wall clock catches up.
        assert_eq!(stamps.read(now(2_000, 52_000)).wall.as_millis(), 52_000);
    }

    #[test]
    fn a_conversation_that_a_wrong_clock_dated_ahead_takes_nobody_along() {
        let (app, cid) = (AppId::new("a").unwrap(), ConversationId::new("c").unwrap());
        let mut stamps = Stamps::default();
        stamps.read(now(0, 50_000));
        let far = Some(Timestamp::from_millis(9_000_000));
        assert_eq!(take(&mut stamps, &app, &cid, far).as_millis(), 9_000_001);
        assert_eq!(take(&mut stamps, &app, &cid, far).as_millis(), 9_000_002);
        assert!(stamps.read(now(0, 50_000)).wall.as_millis() <= 51_000);
    }

    #[test]
    fn a_wall_clock_that_jumps_ahead_proves_no_more_than_the_time_that_went_by() {
        const YEARS: i64 = 315_360_000_000;
        let mut stamps = Stamps::default();
        let clock = Clock {
            shown: Timestamp::from_millis(1_000),
            last: Timestamp::ZERO,
            proven: Some(Timestamp::from_millis(1_000)),
        };
        stamps.go_on_from(clock, Duration::ZERO);
        stamps.read(now(0, YEARS));
        assert_eq!(stamps.proven().as_millis(), 1_000);
        stamps.read(now(86_400_000, YEARS + 86_400_000));
        assert_eq!(stamps.proven().as_millis(), 1_000 + 2 * 86_400_000);
        // And where the wall clock is put right, that counts.
        stamps.read(now(86_400_000, 5_000));
        assert_eq!(stamps.proven().as_millis(), 5_000);
    }

    #[test]
    fn times_of_messages_increase_although_the_clock_stands_or_goes_back() {
        let (app, cid) = (AppId::new("a").unwrap(), ConversationId::new("c").unwrap());
        let mut stamps = Stamps::default();
        stamps.read(now(0, 1000));
        let stored = Some(Timestamp::from_millis(1500));
        let first = take(&mut stamps, &app, &cid, stored);
        stamps.read(now(0, 10));
        let second = take(&mut stamps, &app, &cid, stored);
        assert_eq!((first.as_millis(), second.as_millis()), (1501, 1502));
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
        let before = take(&mut stamps, &app, &cid, None);
        let opened = stamps.opening();
        let after = ConversationId::new("d").unwrap();
        assert!(before <= opened);
        assert!(opened < take(&mut stamps, &app, &after, None));
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
