//! Sealed packs that are read ahead, for whoever pages back through a conversation.
//!
//! Sixteen sealed packs fill a page of the embedded database, which is too large for its cache: each
//! look for one pack reads the whole page from the disk's. So whoever goes on where the last look
//! ended is given the neighbours too, as they lie in the tree, and the next looks find them here.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::cache::Cache;
use super::key::{self, Tag};
use super::kv::{Direction, KeyRange, Visit};
use super::{ConversationNumber, Snapshot, StoreError};

/// How many packs a first look takes: the one that was asked for, and the one that mostly is next.
const FIRST_COUNT: usize = 2;

/// How many a look takes that goes on where the last one ended: about what lies in one page.
const NEXT_COUNT: usize = 16;

/// No look takes more bytes, but for a single pack.
const BYTES_MAX: usize = 128 * 1024;

/// What was read ahead of each conversation.
#[derive(Debug)]
pub(super) struct Ahead(Cache<ConversationNumber, Arc<Run>>);

impl Ahead {
    /// Keeps the ways back of some conversations, in a share of the memory for caches.
    pub(super) fn sharing(cache_bytes: u64, parts: u64) -> Self {
        Self(Cache::sharing(cache_bytes, parts))
    }

    /// Takes note of a change: a pack of a key was written, or removed.
    pub(super) fn forget(&self, key: &[u8]) {
        if let (Some(Tag::Pack), Ok(number)) = (Tag::of(key), key::parse_pack(key)) {
            self.0.remove(&number);
        }
    }
}

/// The end of a range of keys: a key, and whether it is in the range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Upper {
    key: Vec<u8>,
    is_in: bool,
}

impl Upper {
    fn holds(&self, key: &[u8]) -> bool {
        key < self.key.as_slice() || self.is_in && key == self.key
    }

    fn bound(&self) -> Bound<&[u8]> {
        if self.is_in {
            Bound::Included(&self.key)
        } else {
            Bound::Excluded(&self.key)
        }
    }
}

/// Neighbouring packs of a conversation: none lies between them.
#[derive(Debug)]
struct Run {
    /// From here down there is none before the first.
    top: Upper,
    /// Keys and values, the newest first.
    packs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether there is none behind the last.
    ended: bool,
}

impl Run {
    /// The packs from an end of a range down; none if they are not known.
    fn below(&self, upper: &Upper) -> Option<&[(Vec<u8>, Vec<u8>)]> {
        let skipped = self.packs.partition_point(|(key, _)| !upper.holds(key));
        let packs = self.packs.get(skipped..)?;
        let is_known = *upper <= self.top && (self.ended || !packs.is_empty());
        is_known.then_some(packs)
    }

    /// What it lacks: the range behind its last pack.
    fn rest(&self) -> Option<Upper> {
        let (key, _) = self.packs.last().filter(|_| !self.ended)?;
        Some(Upper {
            key: key.clone(),
            is_in: false,
        })
    }

    /// Whether somebody who asks for a range goes on where this one ends.
    fn leads_to(&self, upper: &Upper) -> bool {
        let last = self.packs.last();
        last.is_some_and(|(key, _)| *upper <= self.top && key >= &upper.key)
    }

    fn cost(&self) -> usize {
        let packs = self
            .packs
            .iter()
            .map(|(key, value)| key.len().saturating_add(value.len()));
        packs.fold(100, |sum, size| sum.saturating_add(size).saturating_add(50))
    }
}

impl Snapshot<'_> {
    /// Visits the sealed packs of a conversation, newest first, from the end of a range until the
    /// visitor breaks off. The range begins where the conversation's sealed packs do.
    pub(super) fn visit_ahead(
        &self,
        number: ConversationNumber,
        (low, high): KeyRange<'_>,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let mut upper = match high {
            Bound::Included(key) | Bound::Excluded(key) => Upper {
                key: key.to_vec(),
                is_in: matches!(high, Bound::Included(_)),
            },
            Bound::Unbounded => return Ok(()),
        };
        loop {
            let run = self.run(number, low, &upper)?;
            for (key, value) in run.below(&upper).unwrap_or_default() {
                if visit(key, value).is_break() {
                    return Ok(());
                }
            }
            let Some(rest) = run.rest() else {
                return Ok(());
            };
            upper = rest;
        }
    }

    /// The run that knows what is next: the one that is kept, or one that is read now.
    fn run(
        &self,
        number: ConversationNumber,
        low: Bound<&[u8]>,
        upper: &Upper,
    ) -> Result<Arc<Run>, StoreError> {
        let runs = &self.tables.packs.ahead.0;
        let kept = runs.value(&number);
        if let Some(run) = kept.as_ref().filter(|run| run.below(upper).is_some()) {
            return Ok(Arc::clone(run));
        }
        let goes_on = kept.is_some_and(|run| run.leads_to(upper));
        let count = if goes_on { NEXT_COUNT } else { FIRST_COUNT };
        let run = Arc::new(self.read_run(low, upper, count)?);
        runs.put(number, Arc::clone(&run), run.cost());
        Ok(run)
    }

    fn read_run(&self, low: Bound<&[u8]>, upper: &Upper, count: usize) -> Result<Run, StoreError> {
        let mut run = Run {
            top: upper.clone(),
            packs: Vec::with_capacity(count),
            ended: true,
        };
        let mut bytes = 0_usize;
        self.scan(
            Tag::Pack,
            low,
            upper.bound(),
            Direction::Backward,
            &mut |key, value| {
                run.packs.push((key.to_vec(), value.to_vec()));
                bytes = bytes.saturating_add(value.len());
                if run.packs.len() >= count || bytes >= BYTES_MAX {
                    run.ended = false;
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(run)
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

    fn below(run: &Run, upper: &Upper) -> Option<Vec<u8>> {
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
        assert_eq!(run.rest(), Some(upper(4, false)));
    }

    #[test]
    fn a_run_that_ended_knows_that_nothing_is_behind_its_last() {
        let run = run(upper(9, true), &[8], true);
        assert_eq!(below(&run, &upper(8, false)), Some(vec![]));
        assert_eq!(run.rest(), None);
    }

    #[test]
    fn who_goes_on_where_a_run_ends_is_known_from_one_who_begins_elsewhere() {
        let run = run(upper(9, false), &[8, 6], false);
        assert!(run.leads_to(&upper(6, false)));
        assert!(!run.leads_to(&upper(7, false)), "it knows that itself");
        assert!(!run.leads_to(&upper(9, true)));
    }
}
