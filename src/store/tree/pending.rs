//! Intents that the tree does not have yet.
//!
//! An intent is durable when it is in the journal. Writing it into the tree takes longer, and the caller need
//! not wait for that. The changes lie over the tree, where every read sees them, and go into the tree with
//! the next commit or flush.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::store::error::StoreError;
use crate::store::tree::{Direction, KeyRange, Kv, KvBatch, Visit, is_empty};

/// Changes that lie over the tree: the last word on each key.
#[derive(Debug, Default)]
pub(crate) struct PendingChanges {
    changes: Changes,
}

impl PendingChanges {
    /// Lays a batch over the pending ones.
    pub(crate) fn add(&mut self, batch: KvBatch) {
        self.changes.extend(batch.changes);
    }

    /// Puts everything into the tree, together with a batch that comes after it: all or nothing.
    /// When it fails, everything stays as it was.
    pub(crate) fn apply_with(&mut self, batch: &KvBatch, kv: &dyn Kv) -> Result<(), StoreError> {
        if self.changes.is_empty() {
            return if batch.changes.is_empty() {
                Ok(())
            } else {
                kv.apply(batch)
            };
        }
        let mut all = KvBatch {
            changes: self.changes.clone(),
        };
        let later = batch.changes.iter();
        all.changes
            .extend(later.map(|(key, value)| (key.clone(), value.clone())));
        kv.apply(&all)?;
        self.changes.clear();
        Ok(())
    }

    /// Gives everything away, to be put into the tree.
    pub(crate) fn take(&mut self) -> KvBatch {
        KvBatch {
            changes: std::mem::take(&mut self.changes),
        }
    }

    /// The value of a key, as a reader is to see it.
    pub(crate) fn value(&self, kv: &dyn Kv, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        value_over(&self.changes, key, || kv.value(key))
    }

    /// Visits the keys of a range, as a reader is to see them.
    pub(crate) fn scan(
        &self,
        kv: &dyn Kv,
        range: KeyRange<'_>,
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        scan_over(&self.changes, range, direction, visit, |visit| {
            kv.scan(range, direction, visit)
        })
    }
}

/// The last word on each key; none removes it.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The value of a key under changes, which `below` does not know.
pub(crate) fn value_over(
    changes: &Changes,
    key: &[u8],
    below: impl FnOnce() -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Option<Vec<u8>>, StoreError> {
    match changes.get(key) {
        Some(value) => Ok(value.clone()),
        None => below(),
    }
}

/// Visits the keys of a range under changes, of which `below`, which visits the same range, knows
/// nothing or a part.
pub(crate) fn scan_over(
    changes: &Changes,
    range: KeyRange<'_>,
    direction: Direction,
    visit: Visit<'_>,
    below: impl FnOnce(Visit<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if is_empty(range) {
        return Ok(());
    }
    let over = changes.range::<[u8], _>(range);
    let mut over: Vec<(&[u8], Option<&[u8]>)> = over
        .map(|(key, value)| (key.as_slice(), value.as_deref()))
        .collect();
    if over.is_empty() {
        return below(visit);
    }
    // The next one is the last, to be taken off.
    if direction == Direction::Forward {
        over.reverse();
    }
    let is_due = |over: &[u8], key: &[u8]| match direction {
        Direction::Forward => over <= key,
        Direction::Backward => over >= key,
    };
    let mut flow = ControlFlow::Continue(());
    below(&mut |key, value| {
        let mut is_replaced = false;
        while let Some((first, change)) = over.pop_if(|(first, _)| is_due(first, key)) {
            is_replaced |= first == key;
            flow = change.map_or(flow, |value| visit(first, value));
            if flow.is_break() {
                return flow;
            }
        }
        if !is_replaced {
            flow = visit(key, value);
        }
        flow
    })?;
    while flow.is_continue()
        && let Some((key, change)) = over.pop()
    {
        flow = change.map_or(flow, |value| visit(key, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use proptest::prelude::*;

    use super::*;
    use crate::store::tree::memory::memory_tree;

    type Pairs = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    fn pairs() -> impl Strategy<Value = Pairs> {
        let key = proptest::collection::vec(0_u8..4, 0..3);
        let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3));
        proptest::collection::btree_map(key, value, 0..12)
    }

    /// Everything a scan shows until the visitor has seen enough.
    fn seen(
        scan: impl FnOnce(Visit<'_>) -> Result<(), StoreError>,
        enough: usize,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut seen = Vec::new();
        scan(&mut |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            if seen.len() < enough {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .unwrap();
        seen
    }

    proptest! {
        #[test]
        fn what_lies_over_the_tree_reads_as_if_it_were_in_it(
            (below, over, later) in (pairs(), pairs(), pairs()),
            from in proptest::collection::vec(0_u8..4, 0..3),
            enough in 1_usize..8,
            forward in any::<bool>(),
        ) {
            let (tree, whole) = (memory_tree(), memory_tree());
            let mut pending = PendingChanges::default();
            tree.apply(&KvBatch { changes: below.clone() }).unwrap();
            whole.apply(&KvBatch { changes: below }).unwrap();
            whole.apply(&KvBatch { changes: over.clone() }).unwrap();
            pending.add(KvBatch { changes: over });
            let direction = if forward { Direction::Forward } else { Direction::Backward };
            let range = (Bound::Included(from.as_slice()), Bound::Unbounded);
            prop_assert_eq!(
                seen(|visit| pending.scan(tree.as_ref(), range, direction, visit), enough),
                seen(|visit| whole.scan(range, direction, visit), enough)
            );
            prop_assert_eq!(pending.value(tree.as_ref(), &from).unwrap(), whole.value(&from).unwrap());
            let later = KvBatch { changes: later };
            whole.apply(&later).unwrap();
            pending.apply_with(&later, tree.as_ref()).unwrap();
            let all = (Bound::Unbounded, Bound::Unbounded);
            prop_assert_eq!(
                seen(|visit| tree.scan(all, Direction::Forward, visit), 100),
                seen(|visit| whole.scan(all, Direction::Forward, visit), 100)
            );
        }
    }
}
