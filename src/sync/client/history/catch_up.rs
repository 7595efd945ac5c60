//! [`CatchUp`]: the conversations that are behind, in the order in which their history is requested.
//!
//! A conversation is *wanted* from the moment it is known to be behind until its newest history is here, or
//! until the client gives up. At most [`IN_FLIGHT_MAX`] requests are in flight: first for the conversation that
//! the user looks at, then for the one with the newest activity. A refused request waits, longer each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::Timestamp;
use crate::store::ConversationNumber;
use crate::sync::client::history::refusals::Refusals;
use crate::wire::ServiceCode;

/// The most history queries of the catch-up on their way at once.
const IN_FLIGHT_MAX: usize = 4;

/// The conversations that are behind, and which of them are being caught up with.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct CatchUp {
    /// The time at which each was last active.
    wanted: BTreeMap<ConversationNumber, Option<Timestamp>>,
    /// The number of conversations that were behind since the session opened, the finished ones included.
    ever_wanted: u32,
    asked: BTreeSet<ConversationNumber>,
    refused: BTreeMap<ConversationNumber, Refusals>,
    /// The conversations whose history the service refused because this client is not in them.
    out_of_reach: BTreeSet<ConversationNumber>,
    focus: Option<ConversationNumber>,
}

impl CatchUp {
    /// The connection is gone: all is learnt anew but for the conversation that the user looks at.
    pub(in crate::sync::client) fn forget_connection(&mut self) {
        *self = Self {
            focus: self.focus,
            ..Self::default()
        };
    }

    /// Notes that a conversation is behind, and when it was last active.
    pub(in crate::sync::client) fn want(
        &mut self,
        number: ConversationNumber,
        active_at: Option<Timestamp>,
    ) {
        if self.wanted.insert(number, active_at).is_none() {
            self.ever_wanted += 1;
        }
    }

    /// Prefers a conversation: the one that the user looks at.
    pub(in crate::sync::client) const fn focus(&mut self, number: Option<ConversationNumber>) {
        self.focus = number;
    }

    /// True if the user looks at a conversation.
    pub(in crate::sync::client) fn is_in_view(&self, number: ConversationNumber) -> bool {
        self.focus == Some(number)
    }

    /// A conversation is not asked for any more, and does not count as caught up.
    pub(in crate::sync::client) fn give_up(&mut self, number: ConversationNumber) {
        if self.wanted.remove(&number).is_some() {
            debug_assert!(
                self.ever_wanted > 0,
                "every wanted conversation was counted"
            );
            self.ever_wanted = self.ever_wanted.saturating_sub(1);
        }
    }

    /// The newest history of a conversation is here, or the conversation is gone.
    pub(in crate::sync::client) fn end(&mut self, number: ConversationNumber) {
        self.asked.remove(&number);
        self.wanted.remove(&number);
        self.refused.remove(&number);
    }

    /// The service gives history of a conversation to members alone, and this client is none.
    pub(in crate::sync::client) fn out_of_reach(&mut self, number: ConversationNumber) {
        self.out_of_reach.insert(number);
    }

    /// History that was refused may be had now.
    pub(in crate::sync::client) fn within_reach(&mut self, number: ConversationNumber) {
        self.out_of_reach.remove(&number);
    }

    /// True if the service was not heard to refuse the history of a conversation to this client.
    pub(in crate::sync::client) fn is_within_reach(&self, number: ConversationNumber) -> bool {
        !self.out_of_reach.contains(&number)
    }

    /// The number of conversations that were caught up with since the session opened, and of those that are
    /// behind.
    pub(in crate::sync::client) fn counts(&self) -> (u32, u32) {
        let left = u32::try_from(self.wanted.len()).unwrap_or(u32::MAX);
        debug_assert!(
            left <= self.ever_wanted,
            "every wanted conversation was counted"
        );
        (self.ever_wanted.saturating_sub(left), left)
    }

    /// True if one more conversation may be asked for now.
    pub(in crate::sync::client) fn has_room(&self) -> bool {
        self.asked.len() < IN_FLIGHT_MAX
    }

    /// The conversation to ask for next, of those that may be asked for.
    pub(in crate::sync::client) fn next(
        &self,
        now: Duration,
        may: impl Fn(ConversationNumber) -> bool,
    ) -> Option<ConversationNumber> {
        let held =
            |number: &ConversationNumber| self.refused.get(number).is_some_and(|it| it.hold(now));
        let free = |number: &ConversationNumber| {
            !self.asked.contains(number) && !held(number) && may(*number)
        };
        let focus = self
            .focus
            .filter(|it| self.wanted.contains_key(it) && free(it));
        focus.or_else(|| {
            let open = self.wanted.iter().filter(|(number, _)| free(number));
            let newest = open.max_by_key(|(number, active_at)| (**active_at, **number));
            newest.map(|(number, _)| *number)
        })
    }

    /// A conversation is being asked for.
    pub(in crate::sync::client) fn asked(&mut self, number: ConversationNumber) {
        self.asked.insert(number);
    }

    /// The question for a conversation is answered, and it is behind still.
    pub(in crate::sync::client) fn answered(&mut self, number: ConversationNumber) {
        self.asked.remove(&number);
    }

    /// The service refused: the conversation is asked for later, or not at all in this session.
    pub(in crate::sync::client) fn refused(
        &mut self,
        number: ConversationNumber,
        now: Duration,
        code: ServiceCode,
    ) {
        let refused = self.refused.entry(number).or_default();
        if !refused.bear(now, code) {
            self.wanted.remove(&number);
        }
    }

    /// The time at which the next question may be asked, where the pace of history allows none before this
    /// time.
    pub(in crate::sync::client) fn wake(&self, pace: Duration, wakes: &mut Vec<Duration>) {
        if !self.wanted.is_empty() && self.has_room() {
            wakes.push(pace);
            let refused = self.refused.values();
            wakes.extend(refused.map(|refused| refused.not_before().max(pace)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;
    const ONE: ConversationNumber = ConversationNumber(1);
    const TWO: ConversationNumber = ConversationNumber(2);
    const THREE: ConversationNumber = ConversationNumber(3);

    fn behind() -> CatchUp {
        let mut catch_up = CatchUp::default();
        for (number, active_at) in [(ONE, 10), (TWO, 30), (THREE, 20)] {
            catch_up.want(number, Some(Timestamp::from_millis(active_at)));
        }
        catch_up
    }

    fn order(mut catch_up: CatchUp) -> Vec<ConversationNumber> {
        let mut order = Vec::new();
        while let Some(next) = catch_up.next(ZERO, |_| true) {
            catch_up.asked(next);
            order.push(next);
        }
        order
    }

    #[test]
    fn the_newest_comes_first_and_the_one_in_view_before_it() {
        assert_eq!(order(behind()), [TWO, THREE, ONE]);
        let mut catch_up = behind();
        catch_up.focus(Some(ONE));
        assert_eq!(order(catch_up), [ONE, TWO, THREE]);
    }

    #[test]
    fn no_more_than_four_are_asked_for_at_once() {
        let mut catch_up = CatchUp::default();
        for number in 0..6 {
            assert_eq!(catch_up.has_room(), number < 4);
            catch_up.want(ConversationNumber(number), None);
            catch_up.asked(ConversationNumber(number));
        }
    }

    #[test]
    fn a_refused_one_waits_and_the_others_do_not() {
        let mut catch_up = behind();
        let code = ServiceCode::CONVERSATION_QUERY_FAILED;
        catch_up.refused(TWO, ZERO, code);
        assert_eq!(catch_up.next(ZERO, |_| true), Some(THREE));
        let mut wakes = Vec::new();
        catch_up.wake(ZERO, &mut wakes);
        let later = wakes.into_iter().max().unwrap();
        assert!(later > ZERO);
        assert_eq!(catch_up.next(later, |_| true), Some(TWO));
        for _ in 0..20 {
            catch_up.refused(TWO, ZERO, code);
        }
        assert_eq!(catch_up.counts(), (1, 2), "one is given up in this session");
    }

    #[test]
    fn one_that_is_given_up_is_not_counted_as_caught_up() {
        let mut catch_up = behind();
        assert_eq!(catch_up.counts(), (0, 3));
        catch_up.end(ONE);
        assert_eq!(catch_up.counts(), (1, 2));
        catch_up.give_up(TWO);
        assert_eq!(catch_up.counts(), (1, 1));
        catch_up.focus(Some(THREE));
        catch_up.forget_connection();
        assert_eq!(catch_up.counts(), (0, 0));
        catch_up.want(ONE, Some(Timestamp::from_millis(99)));
        catch_up.want(THREE, None);
        assert_eq!(
            catch_up.next(ZERO, |_| true),
            Some(THREE),
            "it is in view still"
        );
    }
}
