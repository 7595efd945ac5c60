//! The difference of two windows by key, and its application.
//!
//! Edits are applied one after the other. An index is valid for the edit that holds it and for no other. Each
//! usual change is one edit: a row that moves to the top, a page before the others, an echo that becomes a sent
//! message.

use std::collections::HashMap;
use std::hash::Hash;

/// An item that keeps its key while it changes.
pub trait Keyed {
    /// The type of the key.
    type Key: Eq + Hash;

    /// The key; no two items of a window have the same key.
    fn key(&self) -> &Self::Key;
}

impl<T: Keyed> Keyed for std::sync::Arc<T> {
    type Key = T::Key;

    fn key(&self) -> &T::Key {
        (**self).key()
    }
}

/// One edit of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<T> {
    /// All items, in place of the old ones. A reset comes first and alone.
    Reset {
        /// The items.
        items: Vec<T>,
    },
    /// Adds neighbouring items.
    Insert {
        /// The index of the first of them after the edit.
        at: usize,
        /// The items.
        items: Vec<T>,
    },
    /// Removes neighbouring items.
    Remove {
        /// The index of the first of them.
        at: usize,
        /// The number of neighbours.
        count: usize,
    },
    /// Replaces an item by one with the same key.
    Replace {
        /// The index of the item.
        at: usize,
        /// The new item.
        item: T,
    },
    /// Moves an item.
    Move {
        /// The old index of the item.
        from: usize,
        /// The new index, counted after the item was removed.
        to: usize,
        /// The new item.
        item: T,
    },
}

impl<T> Edit<T> {
    /// The same edit of other items.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Edit<U> {
        let all = |items: Vec<T>| items.into_iter().map(&change).collect();
        match self {
            Self::Reset { items } => Edit::Reset { items: all(items) },
            Self::Insert { at, items } => Edit::Insert {
                at,
                items: all(items),
            },
            Self::Remove { at, count } => Edit::Remove { at, count },
            Self::Replace { at, item } => Edit::Replace {
                at,
                item: change(item),
            },
            Self::Move { from, to, item } => Edit::Move {
                from,
                to,
                item: change(item),
            },
        }
    }
}

/// Applies an edit. An edit that does not fit the items comes from another window; that is a mistake of the
/// caller, and the impossible part of the edit is left out.
pub fn apply<T>(items: &mut Vec<T>, edit: Edit<T>) {
    let len = items.len();
    match edit {
        Edit::Reset { items: all } => *items = all,
        Edit::Insert { at, items: new } => {
            debug_assert!(at <= len, "an insertion at {at} of {len}");
            let at = at.min(len);
            items.splice(at..at, new);
        }
        Edit::Remove { at, count } => {
            let end = at.saturating_add(count);
            debug_assert!(end <= len, "a removal up to {end} of {len}");
            items.drain(at.min(len)..end.min(len));
        }
        Edit::Replace { at, item } => {
            debug_assert!(at < len, "a replacement at {at} of {len}");
            if let Some(old) = items.get_mut(at) {
                *old = item;
            }
        }
        Edit::Move { from, to, item } => {
            debug_assert!(
                from < len && to < len,
                "a move from {from} to {to} of {len}"
            );
            if from < len {
                items.remove(from);
                items.insert(to.min(items.len()), item);
            }
        }
    }
}

/// The edits that turn `old` into `new`, without a reset.
pub fn difference<T: Keyed + Clone + PartialEq>(old: &[T], new: &[T]) -> Vec<Edit<T>> {
    let mut edits = Vec::new();
    let both = old.iter().zip(new);
    let before = both.take_while(|(a, b)| a.key() == b.key()).count();
    replaced(&mut edits, 0, old.iter().zip(new).take(before));
    let (old_rest, new_rest) = (tail(old, before), tail(new, before));
    let both = old_rest.iter().rev().zip(new_rest.iter().rev());
    let behind = both.take_while(|(a, b)| a.key() == b.key()).count();
    let (old_middle, old_end) = split(old_rest, behind);
    let (new_middle, new_end) = split(new_rest, behind);
    Middle::new(old_middle, new_middle, before).edit(&mut edits);
    let end = before.saturating_add(new_middle.len());
    replaced(&mut edits, end, old_end.iter().zip(new_end));
    edits
}

fn tail<T>(items: &[T], from: usize) -> &[T] {
    items.get(from..).unwrap_or_default()
}

fn split<T>(items: &[T], behind: usize) -> (&[T], &[T]) {
    items.split_at(items.len().saturating_sub(behind))
}

/// Items that keep their index and may have changed.
fn replaced<'a, T: Clone + PartialEq + 'a>(
    edits: &mut Vec<Edit<T>>,
    first: usize,
    pairs: impl Iterator<Item = (&'a T, &'a T)>,
) {
    for (at, (old, new)) in pairs.enumerate() {
        if old != new {
            edits.push(Edit::Replace {
                at: first.saturating_add(at),
                item: new.clone(),
            });
        }
    }
}

/// The parts of two windows between equal items at both ends.
struct Middle<'a, T> {
    new: &'a [T],
    /// The index of the part in its window.
    first: usize,
    /// The items after the edits so far; items that are removed in the end have no goal.
    now: Vec<Standing<'a, T>>,
    /// For each new item, true if the old window had it.
    was_there: Vec<bool>,
}

struct Standing<'a, T> {
    item: &'a T,
    /// The item's index in the end.
    goal: Option<usize>,
}

impl<'a, T: Keyed + Clone + PartialEq> Middle<'a, T> {
    fn new(old: &'a [T], new: &'a [T], first: usize) -> Self {
        let goals = new.iter().enumerate().map(|(at, item)| (item.key(), at));
        // A window that only grew or shrank needs no table.
        let goals: HashMap<_, _> = if old.is_empty() {
            HashMap::new()
        } else {
            goals.collect()
        };
        let mut was_there = vec![false; new.len()];
        let standing = old.iter().map(|item| {
            let goal = goals.get(item.key()).copied();
            if let Some(there) = goal.and_then(|at| was_there.get_mut(at)) {
                *there = true;
            }
            Standing { item, goal }
        });
        let now = standing.collect();
        Self {
            new,
            first,
            now,
            was_there,
        }
    }

    fn edit(mut self, edits: &mut Vec<Edit<T>>) {
        self.remove_gone(edits);
        let mut at = 0;
        while let Some(item) = self.new.get(at) {
            if !self.is_kept(at) {
                at = self.insert_run(at, edits);
            } else if self.goal_at(at) == Some(at) {
                if self.now.get(at).is_some_and(|it| it.item != item) {
                    edits.push(Edit::Replace {
                        at: self.first.saturating_add(at),
                        item: item.clone(),
                    });
                }
                at += 1;
            } else if self.is_in_the_way(at) {
                self.move_down(at, edits);
            } else {
                self.move_here(at, item, edits);
                at += 1;
            }
        }
    }

    fn is_kept(&self, at: usize) -> bool {
        self.was_there.get(at).is_some_and(|there| *there)
    }

    fn goal_at(&self, at: usize) -> Option<usize> {
        self.now.get(at).and_then(|standing| standing.goal)
    }

    /// Removes the items that are gone: in runs, the last run first.
    fn remove_gone(&mut self, edits: &mut Vec<Edit<T>>) {
        let mut run: Option<(usize, usize)> = None;
        let mut flush = |run: Option<(usize, usize)>| {
            edits.extend(run.map(|(at, count)| Edit::Remove {
                at: self.first.saturating_add(at),
                count,
            }));
        };
        for (at, standing) in self.now.iter().enumerate().rev() {
            run = match (standing.goal, run) {
                (None, Some((_, count))) => Some((at, count.saturating_add(1))),
                (None, None) => Some((at, 1)),
                (Some(_), ended) => {
                    flush(ended);
                    None
                }
            };
        }
        flush(run);
        self.now.retain(|standing| standing.goal.is_some());
    }

    /// Inserts an item that is new, with its new neighbours.
    fn insert_run(&mut self, at: usize, edits: &mut Vec<Edit<T>>) -> usize {
        let is_new = |(place, _): &(usize, &T)| !self.is_kept(*place);
        let fresh = self.new.iter().enumerate().skip(at).take_while(is_new);
        let fresh: Vec<_> = fresh.collect();
        let end = at.saturating_add(fresh.len());
        edits.push(Edit::Insert {
            at: self.first.saturating_add(at),
            items: fresh.iter().map(|(_, item)| (*item).clone()).collect(),
        });
        let standing = fresh.into_iter().map(|(goal, item)| Standing {
            item,
            goal: Some(goal),
        });
        self.now.splice(at..at, standing);
        end
    }

    /// True if this item goes further down and leaves the right item in its place.
    fn is_in_the_way(&self, at: usize) -> bool {
        let next = self.goal_at(at.saturating_add(1));
        let goal = self.goal_at(at);
        next == Some(at) && goal.is_some_and(|goal| goal > at.saturating_add(1))
    }

    /// Moves this item behind those that stand before its goal.
    fn move_down(&mut self, at: usize, edits: &mut Vec<Edit<T>>) {
        let moved = self.now.remove(at);
        let rest = tail(&self.now, at).iter();
        let passed = rest.take_while(|it| it.goal < moved.goal).count();
        let to = at.saturating_add(passed);
        let item = moved.goal.and_then(|goal| self.new.get(goal));
        self.push_move(at, to, item.unwrap_or(moved.item), edits);
        self.now.insert(
            to,
            Standing {
                item: item.unwrap_or(moved.item),
                goal: moved.goal,
            },
        );
    }

    /// Moves the item that belongs here up from further down.
    fn move_here(&mut self, at: usize, item: &'a T, edits: &mut Vec<Edit<T>>) {
        let rest = tail(&self.now, at).iter();
        let ahead = rest.take_while(|it| it.goal != Some(at)).count();
        let from = at.saturating_add(ahead);
        debug_assert!(from < self.now.len(), "a kept item stands somewhere");
        self.now.remove(from);
        self.push_move(from, at, item, edits);
        self.now.insert(
            at,
            Standing {
                item,
                goal: Some(at),
            },
        );
    }

    fn push_move(&self, from: usize, to: usize, item: &T, edits: &mut Vec<Edit<T>>) {
        edits.push(Edit::Move {
            from: self.first.saturating_add(from),
            to: self.first.saturating_add(to),
            item: item.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Item {
        key: u32,
        revision: u32,
    }

    impl Keyed for Item {
        type Key = u32;

        fn key(&self) -> &u32 {
            &self.key
        }
    }

    fn items(keys: impl IntoIterator<Item = u32>) -> Vec<Item> {
        let item = |key| Item { key, revision: 0 };
        keys.into_iter().map(item).collect()
    }

    fn applied(mut items: Vec<Item>, edits: Vec<Edit<Item>>) -> Vec<Item> {
        for edit in edits {
            apply(&mut items, edit);
        }
        items
    }

    /// A seeded source of numbers: xorshift.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, most: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 11).unwrap() % most.max(1)
        }

        /// Some items of a pool, in any order.
        fn draw(&mut self, pool: &mut Vec<u32>, count: usize) -> Vec<Item> {
            let keys: Vec<_> = (0..count)
                .map(|_| pool.swap_remove(self.below(pool.len())))
                .collect();
            items(keys)
        }

        fn disturb(&mut self, window: &mut Vec<Item>, pool: &mut Vec<u32>) {
            let at = self.below(window.len());
            match self.below(4) {
                0 => {
                    let new = self.draw(pool, 1);
                    window.splice(at..at, new);
                }
                _ if window.is_empty() => {}
                1 => drop(window.remove(at)),
                2 => window[at].revision += 1,
                _ => {
                    let item = window.remove(at);
                    let to = self.below(window.len() + 1);
                    window.insert(to, item);
                }
            }
        }
    }

    #[test]
    fn applying_the_difference_yields_the_new_window() {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let mut edits_made = 0;
        for _ in 0..200_000 {
            let mut pool: Vec<u32> = (0..24).collect();
            let count = dice.below(14);
            let old = dice.draw(&mut pool, count);
            let mut new = old.clone();
            for _ in 0..dice.below(7) {
                dice.disturb(&mut new, &mut pool);
            }
            let edits = difference(&old, &new);
            edits_made += edits.len();
            assert_eq!(applied(old.clone(), edits), new, "from {old:?}");
        }
        assert!(edits_made < 500_000, "{edits_made} edits are too many");
    }

    #[test]
    fn applying_the_difference_of_any_two_windows_yields_the_second() {
        let mut dice = Dice(7);
        for _ in 0..100_000 {
            let (mut one, mut other) = ((0..12).collect(), (0..12).collect());
            let (few, many) = (dice.below(12), dice.below(12));
            let old = dice.draw(&mut one, few);
            let mut new = dice.draw(&mut other, many);
            for item in &mut new {
                item.revision = u32::try_from(dice.below(2)).unwrap();
            }
            assert_eq!(
                applied(old.clone(), difference(&old, &new)),
                new,
                "from {old:?}"
            );
        }
    }

    #[test]
    fn each_usual_change_is_one_edit() {
        let window = items(0..600);
        let mut to_the_top = window.clone();
        let row = to_the_top.remove(400);
        to_the_top.insert(0, row);
        let mut down = window.clone();
        let row = down.remove(0);
        down.insert(300, row);
        let mut paged = items(1000..1050);
        paged.extend(window.clone());
        let mut placed = window.clone();
        let mut echo = placed.pop().unwrap();
        echo.revision = 1;
        placed.insert(597, echo);
        let mut acknowledged = window.clone();
        acknowledged[599].revision = 1;
        let mut cut = window.clone();
        cut.drain(..50);
        for (name, new) in [
            ("a row to the top", to_the_top),
            ("a row down", down),
            ("a page of older items", paged),
            ("an echo that takes its place", placed),
            ("an echo that stays in its place", acknowledged),
            ("a cut", cut),
        ] {
            let edits = difference(&window, &new);
            assert_eq!(edits.len(), 1, "{name}: {edits:?}");
            assert_eq!(applied(window.clone(), edits), new, "{name}");
        }
    }

    #[test]
    fn equal_windows_have_no_difference() {
        assert_eq!(difference(&items(0..50), &items(0..50)), []);
    }
}
