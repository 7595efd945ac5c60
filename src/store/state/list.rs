//! The list of conversations in memory, ordered by the newest activity.
//!
//! In the tree, the list would cost a removal and a put for each conversation that a commit touches: half of
//! all keys. Its order is therefore here, behind the readers' lock, and changes with each commit; it takes
//! about sixty bytes a conversation. After an opening, moves and pages in the tree give the order again:
//! `state/list_records.rs`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::ops::Bound;

use crate::model::Timestamp;
use crate::store::format::record::Print;
use crate::store::types::batch::Batch;
use crate::store::types::conversation::ListCursor;
use crate::store::types::position::ConversationNumber;

/// The conversations in the order of the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// Newest activity first; of one time, the one with the highest number.
    order: BTreeSet<(Reverse<Timestamp>, Reverse<ConversationNumber>)>,
    activities: BTreeMap<ConversationNumber, Timestamp>,
    /// See [`Print::sum`].
    sum: u64,
    /// The part of the list that is in no page of the tree yet.
    pub(crate) unwritten: Unwritten,
}

/// The part of the list that is in no page of the tree yet, but in moves at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unwritten {
    /// The pages that lack something.
    pub(crate) pages: BTreeSet<u32>,
    /// The slot of the next record of moves; so many records are behind the pages at most.
    pub(crate) next_slot: u8,
    /// Records that say something else, to be removed; there are some only when the list was made
    /// from the conversations' rows, and nothing in the tree tells it.
    pub(crate) wrong: Vec<Vec<u8>>,
    /// True if the tree tells another list than this.
    pub(crate) is_all: bool,
}

/// The new activity of each conversation that a commit moves in the list; none takes the conversation off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moves(pub(crate) BTreeMap<ConversationNumber, Option<Timestamp>>);

/// The record of a commit's moves.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) slot: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

/// So many numbers share a page.
pub(crate) const PAGE_NUMBERS: u32 = 128;

/// The page that a conversation is on.
pub(crate) const fn page_of(number: ConversationNumber) -> u32 {
    number.0 / PAGE_NUMBERS
}

impl List {
    /// The list in which each conversation has the given activity.
    pub(crate) fn of(activities: BTreeMap<ConversationNumber, Timestamp>) -> Self {
        let order = activities.iter();
        let order = order.map(|(number, activity)| (Reverse(*activity), Reverse(*number)));
        let hashes = activities.iter().map(|(number, at)| hash(*number, *at));
        Self {
            order: order.collect(),
            sum: hashes.fold(0, u64::wrapping_add),
            activities,
            unwritten: Unwritten::default(),
        }
    }

    /// Some conversations in the order of the list, and whether there are more behind them.
    pub(crate) fn page(
        &self,
        after: Option<ListCursor>,
        limit: usize,
    ) -> (Vec<(Timestamp, ConversationNumber)>, bool) {
        let from = after.map_or(Bound::Unbounded, |after| {
            Bound::Excluded((Reverse(after.activity), Reverse(after.number)))
        });
        let mut found = self.order.range((from, Bound::Unbounded));
        let page = found.by_ref().take(limit);
        let page = page.map(|(Reverse(activity), Reverse(number))| (*activity, *number));
        (page.collect(), found.next().is_some())
    }

    /// All conversations, newest activity first.
    pub(crate) fn all(&self) -> impl Iterator<Item = ConversationNumber> {
        self.order.iter().map(|(_, Reverse(number))| *number)
    }

    /// The time that orders a conversation in the list.
    pub(crate) fn activity(&self, number: ConversationNumber) -> Option<Timestamp> {
        self.activities.get(&number).copied()
    }

    /// The conversations of a page of the tree, by number.
    pub(crate) fn on_page(
        &self,
        page: u32,
    ) -> impl Iterator<Item = (ConversationNumber, Timestamp)> + '_ {
        let first = page.saturating_mul(PAGE_NUMBERS);
        let last = first.saturating_add(PAGE_NUMBERS.saturating_sub(1));
        let on_page = ConversationNumber(first)..=ConversationNumber(last);
        let found = self.activities.range(on_page);
        found.map(|(number, activity)| (*number, *activity))
    }

    /// The pages of the tree that hold a conversation.
    pub(crate) fn pages(&self) -> BTreeSet<u32> {
        self.activities
            .keys()
            .map(|number| page_of(*number))
            .collect()
    }

    /// The moves of a prepared batch.
    pub(crate) fn moves(&self, batch: &Batch) -> Moves {
        let changes = batch.conversations.iter();
        let moves = changes.map(|(number, change)| {
            let after = change.after.as_ref().map(|row| row.activity);
            (*number, after)
        });
        Moves(
            moves
                .filter(|(number, after)| self.activities.get(number) != after.as_ref())
                .collect(),
        )
    }

    /// The print that tells this list from any other.
    pub(crate) fn print(&self) -> Print {
        self.print_with(&Moves::default())
    }

    /// The print of the list once `moves` are made.
    pub(crate) fn print_with(&self, moves: &Moves) -> Print {
        let mut count = self.activities.len();
        let mut sum = self.sum;
        for (number, after) in &moves.0 {
            if let Some(before) = self.activities.get(number) {
                count -= 1;
                sum = sum.wrapping_sub(hash(*number, *before));
            }
            if let Some(after) = after {
                count += 1;
                sum = sum.wrapping_add(hash(*number, *after));
            }
        }
        Print {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            sum,
        }
    }

    /// Makes the moves of a commit.
    pub(crate) fn make(&mut self, moves: &Moves) {
        self.sum = self.print_with(moves).sum;
        for (number, after) in &moves.0 {
            let before = match after {
                Some(after) => self.activities.insert(*number, *after),
                None => self.activities.remove(number),
            };
            if let Some(before) = before {
                self.order.remove(&(Reverse(before), Reverse(*number)));
            }
            if let Some(after) = after {
                self.order.insert((Reverse(*after), Reverse(*number)));
            }
            self.unwritten.pages.insert(page_of(*number));
        }
    }
}

fn hash(number: ConversationNumber, activity: Timestamp) -> u64 {
    // On disk: the hash must be the same in every build.
    let mut hasher = siphasher::sip::SipHasher24::new();
    hasher.write(&number.0.to_le_bytes());
    hasher.write(&activity.as_millis().to_le_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moves() -> impl Strategy<Value = Moves> {
        let activity = proptest::option::weighted(0.8, -5..5_i64);
        proptest::collection::btree_map(0..300_u32, activity, 0..8).prop_map(|moves| {
            let each = moves.into_iter().map(|(number, activity)| {
                let activity = activity.map(Timestamp::from_millis);
                (ConversationNumber(number), activity)
            });
            Moves(each.collect())
        })
    }

    proptest! {
        #[test]
        fn a_list_that_was_moved_is_the_one_made_of_where_all_stand(
            steps in proptest::collection::vec(moves(), 0..12), limit in 1..20_usize
        ) {
            let mut list = List::default();
            let mut activities = BTreeMap::new();
            for moves in &steps {
                for (number, after) in &moves.0 {
                    match after {
                        Some(after) => activities.insert(*number, *after),
                        None => activities.remove(number),
                    };
                }
                let expected = list.print_with(moves);
                list.make(moves);
                prop_assert_eq!(list.print(), expected);
            }
            let made = List::of(activities.clone());
            prop_assert_eq!(list.print(), made.print());
            prop_assert_eq!(&list.order, &made.order);
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let (page, more) = list.page(after, limit);
                prop_assert!(page.len() == limit || !more);
                after = page.last().map(|(activity, number)| ListCursor {
                    activity: *activity,
                    number: *number,
                });
                paged.extend(page);
                if !more {
                    break;
                }
            }
            let mut expected: Vec<_> = activities.into_iter().map(|(n, at)| (at, n)).collect();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(paged, expected);
        }
    }

    #[test]
    fn lists_that_differ_in_one_place_have_different_prints() {
        let at = Timestamp::from_millis;
        let of = |activities: &[(u32, i64)]| {
            let each = activities.iter();
            List::of(
                each.map(|(n, ms)| (ConversationNumber(*n), at(*ms)))
                    .collect(),
            )
            .print()
        };
        let lists = [
            of(&[]),
            of(&[(0, 0)]),
            of(&[(1, 0)]),
            of(&[(0, 1)]),
            of(&[(0, 1), (1, 0)]),
            of(&[(0, 0), (1, 1)]),
        ];
        let distinct: BTreeSet<_> = lists.iter().map(|print| (print.count, print.sum)).collect();
        assert_eq!(distinct.len(), lists.len());
        assert_eq!(lists[0], Print::default());
    }
}
