//! Sealed packs that were read ahead, in the form that they have in the tree.

use std::ops::Bound;
use std::sync::Arc;

use crate::store::format::key::{self, Tag};
use crate::store::state::cache::Cache;
use crate::store::types::position::ConversationNumber;

/// The packs that were read ahead, by conversation.
#[derive(Debug)]
pub(crate) struct ReadAhead(pub(crate) Cache<ConversationNumber, Arc<Run>>);

impl ReadAhead {
    /// Keeps the ways back of some conversations, in a share of the memory for caches.
    pub(crate) fn sharing(cache_bytes: u64, parts: u64) -> Self {
        Self(Cache::sharing(cache_bytes, parts))
    }

    /// Takes note of a change: a pack of a key was written, or removed.
    pub(crate) fn forget(&self, key: &[u8]) {
        if let (Some(Tag::Pack), Ok(number)) = (Tag::of(key), key::parse_pack(key)) {
            self.0.remove(&number);
        }
    }
}

/// The end of a range of keys: a key, and whether it is in the range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Upper {
    pub(crate) key: Vec<u8>,
    pub(crate) is_in: bool,
}

impl Upper {
    fn holds(&self, key: &[u8]) -> bool {
        key < self.key.as_slice() || self.is_in && key == self.key
    }

    pub(crate) fn bound(&self) -> Bound<&[u8]> {
        if self.is_in {
            Bound::Included(&self.key)
        } else {
            Bound::Excluded(&self.key)
        }
    }
}

/// Neighbouring packs of a conversation: none lies between them.
#[derive(Debug)]
pub(crate) struct Run {
    /// From here down there is none before the first.
    pub(crate) top: Upper,
    /// Keys and values, the newest first.
    pub(crate) packs: Vec<(Vec<u8>, Vec<u8>)>,
    /// True if there is none behind the last.
    pub(crate) ended: bool,
}

impl Run {
    /// The packs from an end of a range down; none if they are not known.
    pub(crate) fn below(&self, upper: &Upper) -> Option<&[(Vec<u8>, Vec<u8>)]> {
        let skipped = self.packs.partition_point(|(key, _)| !upper.holds(key));
        let packs = self.packs.get(skipped..)?;
        let is_known = *upper <= self.top && (self.ended || !packs.is_empty());
        is_known.then_some(packs)
    }

    /// The range that the run lacks: the one behind its last pack.
    pub(crate) fn remaining(&self) -> Option<Upper> {
        let (key, _) = self.packs.last().filter(|_| !self.ended)?;
        Some(Upper {
            key: key.clone(),
            is_in: false,
        })
    }

    /// True if a reader who asks for a range goes on where this run ends.
    pub(crate) fn leads_to(&self, upper: &Upper) -> bool {
        let last = self.packs.last();
        last.is_some_and(|(key, _)| *upper <= self.top && key >= &upper.key)
    }

    pub(crate) fn cost(&self) -> usize {
        let packs = self
            .packs
            .iter()
            .map(|(key, value)| key.len().saturating_add(value.len()));
        packs.fold(100, |sum, size| sum.saturating_add(size).saturating_add(50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper(key: u8, is_in: bool) -> Upper {
        let key = vec![key];
        Upper { key, is_in }
    }

    fn run(top: Upper, keys: &[u8], ended: bool) -> Run {
        let packs = keys.iter().map(|key| (vec![*key], vec![])).collect();
        Run { top, packs, ended }
    }

    pub(crate) fn below(run: &Run, upper: &Upper) -> Option<Vec<u8>> {
        let packs = run.below(upper)?;
        Some(packs.iter().map(|(key, _)| key[0]).collect())
    }

    #[test]
    fn a_run_knows_what_is_below_its_top_and_not_what_is_behind_its_last() {
        let run = run(upper(9, false), &[8, 6, 4], false);
        assert_eq!(below(&run, &upper(9, false)), Some(vec![8, 6, 4]));
        assert_eq!(below(&run, &upper(6, true)), Some(vec![6, 4]));
        assert_eq!(below(&run, &upper(6, false)), Some(vec![4]));
        assert_eq!(below(&run, &upper(9, true)), None, "above its top");
        assert_eq!(below(&run, &upper(4, false)), None, "behind its last");
        assert_eq!(run.remaining(), Some(upper(4, false)));
    }

    #[test]
    fn a_run_that_ended_knows_that_nothing_is_behind_its_last() {
        let run = run(upper(9, true), &[8], true);
        assert_eq!(below(&run, &upper(8, false)), Some(vec![]));
        assert_eq!(run.remaining(), None);
    }

    #[test]
    fn who_goes_on_where_a_run_ends_is_known_from_one_who_begins_elsewhere() {
        let run = run(upper(9, false), &[8, 6], false);
        assert!(run.leads_to(&upper(6, false)));
        assert!(!run.leads_to(&upper(7, false)), "it knows that itself");
        assert!(!run.leads_to(&upper(9, true)));
    }
}
