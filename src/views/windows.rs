//! The last windows of a view, each with its version. A collector's window is compared with the newest one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::diff::{Edit, Keyed, difference};

/// How many windows a view keeps. A collector that holds an older one is given everything anew.
const KEPT: usize = 4;

/// The number of a view's state. It grows with each change. Zero is the version of a collector without a
/// window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of a collector without a window.
    pub const NONE: Self = Self(0);

    /// The version of the next state.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The last windows of one view.
#[derive(Debug)]
pub struct Windows<T> {
    /// Oldest first.
    kept: VecDeque<(Version, Vec<T>)>,
    version: Version,
}

impl<T> Default for Windows<T> {
    fn default() -> Self {
        Self {
            kept: VecDeque::with_capacity(KEPT),
            version: Version::NONE,
        }
    }
}

impl<T: Keyed + Clone + PartialEq> Windows<T> {
    /// The newest version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The newest window; empty before there is one.
    #[must_use]
    pub fn newest(&self) -> &[T] {
        self.kept.back().map_or(&[], |(_, items)| items)
    }

    /// True if there is no window: none was read yet, or all were forgotten.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds a window as the newest.
    pub fn push(&mut self, items: Vec<T>) {
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.version = self.version.next();
        self.kept.push_back((self.version, items));
    }

    /// Drops all windows but the newest: a collector with another window then gets a reset.
    pub fn forget_older(&mut self) {
        let older = self.kept.len().saturating_sub(1);
        self.kept.drain(..older);
    }

    /// Drops all windows: every collector then gets a reset.
    pub fn forget_all(&mut self) {
        self.kept.clear();
    }

    /// The edits from the window of version `have` to the newest one.
    #[must_use]
    pub fn since(&self, have: Version) -> Vec<Edit<T>> {
        let held = self.kept.iter().find(|(version, _)| *version == have);
        match held {
            Some((_, items)) => difference(items, self.newest()),
            None => vec![Edit::Reset {
                items: self.newest().to_vec(),
            }],
        }
    }
}

impl<T: Keyed + Clone + PartialEq> Windows<Arc<T>> {
    /// The newest version and the edits that lead there from version `have`; none when `have` is the newest.
    #[must_use]
    pub fn news<E: From<Edit<T>>>(&self, have: Version) -> Option<(Version, Vec<E>)> {
        if have == self.version {
            return None;
        }
        let plain = |item: Arc<T>| (*item).clone();
        let edits = self.since(have).into_iter();
        let edits = edits.map(|edit| E::from(edit.map(plain)));
        Some((self.version, edits.collect()))
    }

    /// True if the newest window shows the same. Shared items are compared by their address. After all windows
    /// were dropped the answer is false, also for an empty window.
    #[must_use]
    pub fn is_newest(&self, items: &[Arc<T>]) -> bool {
        let Some((_, newest)) = self.kept.back() else {
            return false;
        };
        let is_same = |(a, b): (&Arc<T>, &Arc<T>)| Arc::ptr_eq(a, b) || a == b;
        items.len() == newest.len() && items.iter().zip(newest).all(is_same)
    }

    /// Replaces items by equal ones of the newest window, so each is kept once.
    #[must_use]
    pub fn shared(&self, items: Vec<Arc<T>>) -> Vec<Arc<T>> {
        let before = self.newest().iter().map(|item| (item.key(), item));
        let before: HashMap<_, _> = before.collect();
        let shared = items.into_iter().map(|item| match before.get(item.key()) {
            Some(known) if ***known == *item => Arc::clone(known),
            _ => item,
        });
        shared.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::diff::apply;
    use super::*;

    impl Keyed for u32 {
        type Key = Self;

        fn key(&self) -> &Self {
            self
        }
    }

    #[test]
    fn a_collector_of_a_kept_window_gets_edits_and_of_an_older_one_a_reset() {
        let mut windows = Windows::default();
        for count in 1..=6 {
            windows.push((0..count).collect());
        }
        for have in 0..=6 {
            let edits = windows.since(Version(have));
            let is_reset = matches!(edits.as_slice(), [Edit::Reset { .. }]);
            assert_eq!(is_reset, have < 3, "version {have}");
            let mut held: Vec<u32> = if is_reset {
                Vec::new()
            } else {
                (0..u32::try_from(have).unwrap()).collect()
            };
            for edit in edits {
                apply(&mut held, edit);
            }
            assert_eq!(held, windows.newest());
        }
        windows.forget_older();
        assert!(matches!(
            windows.since(Version(5)).as_slice(),
            [Edit::Reset { .. }]
        ));
        assert_eq!(windows.since(Version(6)), []);
    }

    #[test]
    fn nothing_is_the_newest_window_where_all_were_forgotten() {
        let mut windows: Windows<Arc<u32>> = Windows::default();
        assert!(!windows.is_newest(&[]), "there was none yet");
        windows.push(vec![Arc::new(1)]);
        assert!(windows.is_newest(&[Arc::new(1)]));
        windows.forget_all();
        assert!(!windows.is_newest(&[]), "the collector holds one");
    }
}
