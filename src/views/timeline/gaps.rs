//! The keys of gaps. A gap keeps its key while it shrinks from either side; if a gap is split, the newer part
//! keeps the key.

use crate::store::{Gap, Position};

/// The last shown gaps of a view, with their keys.
#[derive(Debug, Default)]
pub(super) struct GapKeys {
    /// Oldest first.
    known: Vec<(u64, Gap)>,
    last: u64,
}

impl GapKeys {
    /// Gives each gap of a window its key; `gaps` are oldest first.
    pub(super) fn assign(&mut self, gaps: Vec<Gap>) -> Vec<u64> {
        let mut free = std::mem::take(&mut self.known);
        let mut keys = Vec::with_capacity(gaps.len());
        for gap in gaps.iter().rev() {
            let inherited = free.iter().rposition(|(_, known)| overlap(known, gap));
            keys.push(match inherited {
                Some(at) => free.remove(at).0,
                None => self.fresh(),
            });
        }
        keys.reverse();
        self.known = keys.iter().copied().zip(gaps).collect();
        keys
    }

    /// The gap of a key.
    pub(super) fn gap(&self, key: u64) -> Option<&Gap> {
        let known = self.known.iter().find(|(known, _)| *known == key);
        known.map(|(_, gap)| gap)
    }

    /// A key that no gap had.
    pub(super) const fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// True if two gaps have history in common: an end without a message is open.
fn overlap(one: &Gap, other: &Gap) -> bool {
    let is_before = |end: &Option<Position>, begin: &Option<Position>| match (end, begin) {
        (Some(end), Some(begin)) => end <= begin,
        _ => false,
    };
    !is_before(&one.newer, &other.older) && !is_before(&other.newer, &one.older)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MessageId, Timestamp};

    fn gap(older: i64, newer: i64) -> Gap {
        let at = |millis| {
            Some(Position {
                sent_at: Timestamp::from_millis(millis),
                id: MessageId::new("a").unwrap(),
            })
        };
        Gap {
            older: at(older),
            newer: at(newer),
        }
    }

    #[test]
    fn a_gap_keeps_its_key_while_it_shrinks_from_either_side() {
        let mut keys = GapKeys::default();
        let first = keys.assign(vec![gap(0, 100)]);
        assert_eq!(keys.assign(vec![gap(0, 60)]), first);
        assert_eq!(keys.assign(vec![gap(20, 60)]), first);
        assert_eq!(keys.gap(first[0]), Some(&gap(20, 60)));
    }

    #[test]
    fn the_newer_part_of_a_gap_that_is_split_keeps_the_key() {
        let mut keys = GapKeys::default();
        let first = keys.assign(vec![gap(0, 100)]);
        let both = keys.assign(vec![gap(0, 40), gap(60, 100)]);
        assert_eq!(both[1], first[0]);
        assert_ne!(both[0], first[0]);
    }

    #[test]
    fn gaps_with_nothing_in_common_have_keys_of_their_own() {
        let mut keys = GapKeys::default();
        let first = keys.assign(vec![gap(0, 100)]);
        let next = keys.assign(vec![gap(100, 200)]);
        assert_ne!(next, first);
        assert_eq!(keys.gap(first[0]), None);
    }
}
