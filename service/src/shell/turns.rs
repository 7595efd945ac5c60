//! The next input of the core: fair queuing by counted cost.
//!
//! Each connection has a lane. A lane's next input may begin at a point of virtual time, and its expected cost
//! puts its end that much later. The lane with the earliest end goes first, and the real cost puts the
//! beginning of its next input that much later. A lane that was idle begins now. A client with few requests
//! therefore waits for at most one turn of another client, for any number of others with many requests, and
//! those share the rest equally.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::asking::AskerNumber;
use crate::core::ConnectionId;

/// The payer for an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// A WebSocket.
    Connection(ConnectionId),
    /// Requests over HTTP for one app from one address.
    Http(AskerNumber),
}

/// The work of a lane in its turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<T> {
    /// Handle the next input.
    Next(T),
    /// Go on with the input that was not finished.
    GoOn,
}

/// The lanes that have something to do.
#[derive(Debug)]
pub(super) struct Turns<T> {
    lanes: BTreeMap<Lane, Queued<T>>,
    /// The same lanes in the order of their turns: by expected end, then by arrival.
    order: BTreeSet<(u64, u64, Lane)>,
    /// Lanes with nothing to do whose last turn still costs them a delay.
    resting: BTreeMap<Lane, u64>,
    /// The virtual time at which the last turn began.
    time: u64,
    /// Decides among equal times: first come, first served.
    arrivals: u64,
}

#[derive(Debug)]
struct Queued<T> {
    /// Each input with its expected cost.
    inputs: VecDeque<(T, u64)>,
    unfinished: bool,
    start: u64,
    place: (u64, u64),
}

/// The expected cost of a part of an unfinished input.
pub(super) const PART: u64 = 3_000;

/// The most that a lane with waiting inputs may be behind its share.
const OWED_MAX: u64 = 4 * PART;

/// Lanes that rest are looked through for those whose delay is over when there are this many.
const RESTING_MAX: usize = 4096;

impl<T> Turns<T> {
    pub(super) fn new() -> Self {
        Self {
            lanes: BTreeMap::new(),
            order: BTreeSet::new(),
            resting: BTreeMap::new(),
            time: 0,
            arrivals: 0,
        }
    }

    /// True if no lane has anything to do.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The number of inputs that wait.
    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(|queued| queued.inputs.len()).sum()
    }

    /// True if any of the lanes that `may_go` has something to do.
    pub(super) fn any(&self, may_go: impl Fn(Lane) -> bool) -> bool {
        self.order.iter().any(|(_, _, lane)| may_go(*lane))
    }

    /// Adds an input at the end of its lane.
    pub(super) fn push(&mut self, lane: Lane, input: T, expected: u64) {
        if let Some(queued) = self.lanes.get_mut(&lane) {
            queued.inputs.push_back((input, expected));
            return;
        }
        let rested = self.resting.remove(&lane).unwrap_or_default();
        self.queue(lane, rested, VecDeque::from([(input, expected)]), false);
    }

    /// The next turn among the lanes that `may_go`; [`Turns::charge`] is due after it.
    pub(super) fn take(&mut self, may_go: impl Fn(Lane) -> bool) -> Option<(Lane, Turn<T>)> {
        let (_, _, lane) = *self.order.iter().find(|(_, _, lane)| may_go(*lane))?;
        let queued = self.lanes.get_mut(&lane)?;
        let turn = match queued.unfinished {
            true => Turn::GoOn,
            false => Turn::Next(queued.inputs.pop_front()?.0),
        };
        self.time = self.time.max(queued.start);
        Some((lane, turn))
    }

    /// Puts a lane back by the cost of its turn. An `unfinished` input goes on in the next one.
    pub(super) fn charge(&mut self, lane: Lane, cost: u64, unfinished: bool) {
        let Some(queued) = self.lanes.remove(&lane) else {
            return;
        };
        let (end, arrival) = queued.place;
        self.order.remove(&(end, arrival, lane));
        // A lane that was held up for long is not owed all that it could have had.
        let start = queued.start.max(self.time.saturating_sub(OWED_MAX));
        let next = start.saturating_add(cost.max(1));
        if unfinished || !queued.inputs.is_empty() {
            self.queue(lane, next, queued.inputs, unfinished);
        } else {
            self.rest(lane, next);
        }
    }

    /// Forgets a lane with all its inputs.
    pub(super) fn remove(&mut self, lane: Lane) {
        if let Some(queued) = self.lanes.remove(&lane) {
            let (end, arrival) = queued.place;
            self.order.remove(&(end, arrival, lane));
        }
        self.resting.remove(&lane);
    }

    fn queue(&mut self, lane: Lane, start: u64, inputs: VecDeque<(T, u64)>, unfinished: bool) {
        self.arrivals += 1;
        let start = start.max(self.time);
        let expected = match (unfinished, inputs.front()) {
            (false, Some((_, expected))) => *expected,
            _ => PART,
        };
        let place = (start.saturating_add(expected), self.arrivals);
        self.order.insert((place.0, place.1, lane));
        let queued = Queued {
            inputs,
            unfinished,
            start,
            place,
        };
        self.lanes.insert(lane, queued);
    }

    fn rest(&mut self, lane: Lane, until: u64) {
        if self.resting.len() >= RESTING_MAX {
            let time = self.time;
            self.resting.retain(|_, until| *until > time);
        }
        self.resting.insert(lane, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAVY: u64 = 5_000;
    const LIGHT: u64 = 20;

    fn lane(number: u64) -> Lane {
        Lane::Connection(ConnectionId(number))
    }

    /// Takes a turn for the lane that is next; answers the lane, and the cost.
    fn step(turns: &mut Turns<u64>) -> Option<(Lane, u64)> {
        let (lane, turn) = turns.take(|_| true)?;
        let Turn::Next(cost) = turn else {
            panic!("nothing was left unfinished")
        };
        turns.charge(lane, cost, false);
        Some((lane, cost))
    }

    #[test]
    fn a_light_client_waits_for_one_turn_however_many_heavy_ones_there_are() {
        let mut turns = Turns::new();
        for attacker in 1..=100 {
            for _ in 0..32 {
                turns.push(lane(attacker), HEAVY, HEAVY);
            }
        }
        for _ in 0..1_000 {
            // While its client thinks, others go on.
            let (who, _) = step(&mut turns).unwrap();
            turns.push(who, HEAVY, HEAVY);
            turns.push(lane(0), LIGHT, LIGHT);
            let mut waited = 0;
            while let Some((who, cost)) = step(&mut turns) {
                if who == lane(0) {
                    break;
                }
                waited += cost;
                turns.push(who, HEAVY, HEAVY);
            }
            assert!(waited <= HEAVY, "it waited for {waited}");
        }
    }

    #[test]
    fn who_asks_for_much_shares_equally_by_cost_and_not_by_number() {
        let mut turns = Turns::new();
        let mut served = [0_u64; 2];
        turns.push(lane(0), 10, 10);
        turns.push(lane(1), 1_000, 1_000);
        for _ in 0..10_000 {
            let (who, cost) = step(&mut turns).unwrap();
            let number = usize::from(who == lane(1));
            served[number] += cost;
            turns.push(who, cost, cost);
        }
        assert!(served[0].abs_diff(served[1]) <= 1_010, "{served:?}");
    }

    #[test]
    fn an_idle_client_saves_nothing_up_and_a_new_connection_jumps_no_queue_twice() {
        let mut turns = Turns::new();
        turns.push(lane(1), HEAVY, LIGHT);
        assert_eq!(step(&mut turns), Some((lane(1), HEAVY)));
        // A lane that leaves the queue and comes back has still to wait for its turn.
        turns.push(lane(1), HEAVY, LIGHT);
        turns.push(lane(2), HEAVY, LIGHT);
        assert_eq!(step(&mut turns).unwrap().0, lane(2));
    }

    #[test]
    fn inputs_of_a_lane_stay_in_order_and_an_unfinished_one_goes_on_first() {
        let mut turns = Turns::new();
        turns.push(lane(1), 1, 1);
        turns.push(lane(1), 2, 1);
        assert_eq!(turns.take(|_| true), Some((lane(1), Turn::Next(1))));
        turns.charge(lane(1), 1, true);
        assert_eq!(turns.take(|_| true), Some((lane(1), Turn::GoOn)));
        turns.charge(lane(1), 1, false);
        assert_eq!(turns.take(|_| true), Some((lane(1), Turn::Next(2))));
        turns.charge(lane(1), 1, false);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_lane_that_may_not_go_keeps_its_place_and_holds_nobody_up() {
        let mut turns = Turns::new();
        turns.push(lane(1), 1, 1);
        turns.push(lane(2), 2, 1);
        assert_eq!(
            turns.take(|it| it != lane(1)),
            Some((lane(2), Turn::Next(2)))
        );
        turns.charge(lane(2), 1, false);
        assert_eq!(turns.take(|it| it != lane(1)), None);
        assert_eq!(turns.take(|_| true), Some((lane(1), Turn::Next(1))));
    }
}
