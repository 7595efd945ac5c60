//! Sealed packs that are read ahead, for a reader that pages back through a conversation.
//!
//! Sixteen sealed packs fill a page of the embedded database. Such a page is too large for the database's
//! cache, so each access to one pack reads the whole page from the system's file cache. When a reader
//! continues where its last access ended, the store therefore keeps the neighbouring packs too, as they are
//! in the tree, and the next accesses find them here.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::store::error::StoreError;
use crate::store::format::key::Tag;
use crate::store::read::snapshot::Snapshot;
use crate::store::state::read_ahead::{Run, Upper};
use crate::store::tree::{Direction, KeyRange, Visit};
use crate::store::types::position::ConversationNumber;

/// How many packs a first look takes: the one that was asked for, and the one that mostly is next.
const FIRST_COUNT: usize = 2;

/// How many a look takes that goes on where the last one ended: about what lies in one page.
const NEXT_COUNT: usize = 16;

/// No look takes more bytes, but for a single pack.
const BYTES_MAX: usize = 128 * 1024;

impl Snapshot<'_> {
    /// Visits the sealed packs of a conversation, newest first, from the end of a range until the
    /// visitor breaks off. The range begins where the conversation's sealed packs do.
    pub(in crate::store) fn visit_ahead(
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
            let Some(rest) = run.remaining() else {
                return Ok(());
            };
            upper = rest;
        }
    }

    /// The run with the next packs: the kept run, or one that is read now.
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
                bytes += value.len();
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
