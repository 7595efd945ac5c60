//! The last windows of a view, each with its version: what a collector holds is compared with the
//! newest.

use std::collections::VecDeque;

use super::diff::{Edit, Keyed, difference};

/// How many windows a view keeps. A collector that holds an older one is given everything anew.
const KEPT: usize = 4;

/// The number of a state of a view: it grows with each change. Zero is the version of a collector
/// that has nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of a collector that has nothing yet.
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

    /// Takes a window as the newest.
    pub fn push(&mut self, items: Vec<T>) {
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.version = self.version.next();
        self.kept.push_back((self.version, items));
    }

    /// Forgets all windows but the newest: whoever holds another one is given everything anew.
    pub fn forget_older(&mut self) {
        let older = self.kept.len().saturating_sub(1);
        self.kept.drain(..older);
    }

    /// Forgets all windows: the next one is given anew to everybody.
    pub fn forget_all(&mut self) {
        self.kept.clear();
    }

    /// The edits that make the newest window of the one that `have` names.
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
}
