//! Times that only move forward, out of a wall clock that may not.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::model::{AppId, ConversationId, Timestamp};

/// How many conversations are remembered before those whose last time is past are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// Gives out times.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    last: Timestamp,
    /// The last time given out in a conversation, where it may still be in the future.
    messages: BTreeMap<(AppId, ConversationId), Timestamp>,
}

const TICK: Duration = Duration::from_millis(1);

impl Stamps {
    /// A time later than every one before it from here: for changes and notifications, which
    /// clients ask for again by "everything after".
    pub(super) fn next(&mut self, wall: Timestamp) -> Timestamp {
        self.last = wall.max(self.last.saturating_add(TICK));
        self.last
    }

    /// A time later than every message of the conversation; `stored` is that of the newest kept.
    pub(super) fn message(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        stored: Option<Timestamp>,
        wall: Timestamp,
    ) -> Timestamp {
        if self.messages.len() >= REMEMBERED_MAX {
            // What is past needs no remembering: the wall clock is ahead of it anyway.
            self.messages.retain(|_, last| *last >= wall);
        }
        let key = (app.clone(), conversation.clone());
        let last = self.messages.get(&key).copied().max(stored);
        let at = last.map_or(wall, |last| wall.max(last.saturating_add(TICK)));
        self.messages.insert(key, at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_messages_increase_although_the_clock_stands_or_goes_back() {
        let (app, cid) = (AppId::new("a").unwrap(), ConversationId::new("c").unwrap());
        let mut stamps = Stamps::default();
        let wall = Timestamp::from_millis(1000);
        let stored = Some(Timestamp::from_millis(2000));
        let first = stamps.message(&app, &cid, stored, wall);
        let second = stamps.message(&app, &cid, stored, Timestamp::from_millis(10));
        assert_eq!((first.as_millis(), second.as_millis()), (2001, 2002));
    }

    #[test]
    fn two_changes_in_one_millisecond_have_different_times() {
        let mut stamps = Stamps::default();
        let wall = Timestamp::from_millis(5);
        assert!(stamps.next(wall) < stamps.next(wall));
    }
}
