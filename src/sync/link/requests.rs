//! Serials, time-outs, and the receiver of each answer.

use std::collections::BTreeMap;
use std::time::Duration;

use super::step::{ClientSlot, RequestTag};
use crate::wire::Serial;

/// The most timed-out requests whose late answers are still told apart; older ones are forgotten.
const OVERDUE_MAX: usize = 256;

/// The requests of one connection that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: i32,
    pending: BTreeMap<Serial, Pending>,
    overdue: BTreeMap<Serial, (ClientSlot, RequestTag)>,
}

#[derive(Debug)]
struct Pending {
    slot: ClientSlot,
    tag: RequestTag,
    deadline: Duration,
}

impl Requests {
    /// A serial that no pending request has: 1, 2, 3 … and after the largest, 1 again.
    pub(super) fn fresh_serial(&mut self) -> Serial {
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            let serial = Serial(self.last);
            if !self.pending.contains_key(&serial) {
                self.overdue.remove(&serial);
                return serial;
            }
        }
    }

    /// Remembers the receiver of the answer and the deadline.
    pub(super) fn expect(
        &mut self,
        serial: Serial,
        slot: ClientSlot,
        tag: RequestTag,
        deadline: Duration,
    ) {
        let pending = Pending {
            slot,
            tag,
            deadline,
        };
        self.pending.insert(serial, pending);
    }

    /// The receiver of this answer, late answers included. A second answer has no receiver.
    pub(super) fn answered(&mut self, serial: Serial) -> Option<(ClientSlot, RequestTag)> {
        match self.pending.remove(&serial) {
            Some(pending) => Some((pending.slot, pending.tag)),
            None => self.overdue.remove(&serial),
        }
    }

    /// The requests whose time is over. A late answer still finds them.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<(ClientSlot, RequestTag)> {
        let expired: Vec<Serial> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.deadline <= now)
            .map(|(serial, _)| *serial)
            .collect();
        let mut waiting = Vec::with_capacity(expired.len());
        for serial in expired {
            if let Some(pending) = self.pending.remove(&serial) {
                self.overdue.insert(serial, (pending.slot, pending.tag));
                waiting.push((pending.slot, pending.tag));
            }
        }
        while self.overdue.len() > OVERDUE_MAX {
            self.overdue.pop_first();
        }
        waiting
    }

    /// Ends the connection: gives the receivers that waited, in the order of asking. Serials start again.
    pub(super) fn lose_all(&mut self) -> Vec<(ClientSlot, RequestTag)> {
        let lost = std::mem::take(self);
        let pending = lost.pending.into_values();
        pending.map(|pending| (pending.slot, pending.tag)).collect()
    }

    /// Removes a client: nobody waits for its answers any more.
    pub(super) fn forget(&mut self, slot: ClientSlot) {
        self.pending.retain(|_, pending| pending.slot != slot);
        self.overdue.retain(|_, (waiting, _)| *waiting != slot);
    }

    /// The time of the next time-out.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.pending.values().map(|pending| pending.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: ClientSlot = ClientSlot(1);

    #[test]
    fn a_late_answer_is_told_once_and_a_second_one_is_nobodys() {
        let mut requests = Requests::default();
        let serial = requests.fresh_serial();
        requests.expect(serial, SLOT, RequestTag(7), Duration::from_secs(20));
        assert!(requests.expire(Duration::from_secs(19)).is_empty());
        assert_eq!(
            requests.expire(Duration::from_secs(20)),
            [(SLOT, RequestTag(7))]
        );
        assert_eq!(requests.answered(serial), Some((SLOT, RequestTag(7))));
        assert_eq!(requests.answered(serial), None);
    }

    #[test]
    fn serials_start_at_one_and_start_again_after_the_largest() {
        let mut requests = Requests::default();
        assert_eq!(requests.fresh_serial(), Serial(1));
        requests.expect(Serial(1), SLOT, RequestTag(0), Duration::ZERO);
        requests.last = i32::MAX;
        assert_eq!(requests.fresh_serial(), Serial(2));
        assert_eq!(requests.lose_all(), [(SLOT, RequestTag(0))]);
        assert_eq!(requests.fresh_serial(), Serial(1));
    }
}
