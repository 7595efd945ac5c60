//! The upkeep of a client's disk by its loop: flushing commits, and keeping the store small.

use std::time::Duration;

use super::{ClientLoop, ClientPhase, FLUSH_AFTER, TEND_AFTER};
use crate::SampanError;
use crate::model::{Now, StoreHealth};
use crate::runtime::after_commit::AfterCommit;
use crate::runtime::attach::StoreWriter;
use crate::runtime::marks::Touched;
use crate::store::{StoreError, Tended};

/// The pause between two steps that make the store smaller: each takes some milliseconds, and calls wait for it.
const TEND_PAUSE: Duration = Duration::from_millis(10);

/// How many steps follow each other without a pause while the store is over its budget and messages come faster than steps
/// with pauses make room.
const HURRIED_STEPS: usize = 64;

/// So many messages between two steps come too fast for pauses.
const MANY: usize = 8;

impl<C, W: StoreWriter> ClientLoop<C, W> {
    /// Makes the commits so far durable if it is time, and releases the acknowledgements that waited for that.
    pub(in crate::runtime) fn flush_if_due(
        &mut self,
        now: Now,
    ) -> Result<AfterCommit<C>, StoreError> {
        match &self.phase {
            ClientPhase::Working(working)
                if working.flush_at.is_some_and(|at| at <= now.elapsed) =>
            {
                let after = self.flush()?;
                if self.writer.is_over_budget() {
                    self.tend_soon(now, Duration::ZERO);
                } else if self.writer.wants_tending() {
                    self.tend_soon(now, TEND_AFTER);
                }
                Ok(after)
            }
            ClientPhase::Working(_) | ClientPhase::Failed(_) => Ok(AfterCommit::default()),
        }
    }

    /// Makes the commits so far durable now.
    pub(in crate::runtime) fn flush(&mut self) -> Result<AfterCommit<C>, StoreError> {
        let ClientPhase::Working(working) = &mut self.phase else {
            return Ok(AfterCommit::default());
        };
        if working.flush_at.is_some() {
            self.writer.sync()?;
            working.flush_at = None;
        }
        Ok(AfterCommit {
            requests: std::mem::take(&mut working.acknowledgements),
            ..AfterCommit::default()
        })
    }

    /// Has something done about the store's size, after a pause or when it was to be done before.
    fn tend_soon(&mut self, now: Now, pause: Duration) {
        if let ClientPhase::Working(working) = &mut self.phase {
            let at = now.elapsed + pause;
            working.tend_at = Some(working.tend_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Has the store compacted, from now on.
    ///
    /// # Errors
    ///
    /// Why the store takes no writes.
    pub(in crate::runtime) fn compact_soon(&mut self, now: Now) -> Result<(), SampanError> {
        if let ClientPhase::Failed(failed) = &self.phase {
            return Err(failed.reason.clone());
        }
        self.writer.want_compaction();
        self.tend_soon(now, Duration::ZERO);
        Ok(())
    }

    /// True if it is time to do something about the store's size.
    pub(in crate::runtime) fn tends_now(&self, now: Now) -> bool {
        matches!(&self.phase, ClientPhase::Working(it) if it.tend_at.is_some_and(|at| at <= now.elapsed))
    }

    /// The bytes that the store takes now.
    pub(in crate::runtime) fn store_bytes(&self) -> u64 {
        self.store.size_bytes().unwrap_or_default()
    }

    pub(in crate::runtime) fn set_disk_budget(&mut self, bytes: Option<u64>) {
        self.writer.set_disk_budget(bytes);
    }

    /// Does a little about the store's size, unless something waits to be committed.
    pub(in crate::runtime) fn tend(&mut self, now: Now) -> Result<AfterCommit<C>, StoreError> {
        let mut after = AfterCommit::default();
        let ClientPhase::Working(working) = &mut self.phase else {
            return Ok(after);
        };
        working.tend_at = Some(now.elapsed + TEND_PAUSE);
        if working.batch.is_some() || working.step.is_some() {
            return Ok(after);
        }
        let hurries = std::mem::take(&mut working.came) >= MANY;
        let was_wanted = self.writer.wants_compaction();
        let in_view: Vec<_> = self.wishes.focus.iter().cloned().collect();
        let before = self.store.seq();
        let mut tended = self.writer.tend(&in_view);
        let steps = if hurries { HURRIED_STEPS } else { 1 };
        for _ in 1..steps {
            if tended != Ok(Tended::More) || !self.writer.is_over_budget() {
                break;
            }
            tended = self.writer.tend(&in_view);
        }
        if self.store.seq() != before {
            after.committed = Touched::Everything;
            after.seq = self.store.seq();
        }
        if tended != Ok(Tended::More) {
            working.tend_at = None;
        }
        if self.writer.is_dirty() && working.flush_at.is_none() {
            working.flush_at = Some(now.elapsed + FLUSH_AFTER);
        }
        if was_wanted && !self.writer.wants_compaction() {
            let outcome = tended.clone().map(drop);
            after.compacted = Some(outcome.map_err(SampanError::from));
        }
        match tended {
            Err(error) if self.store.health() != StoreHealth::Good => return Err(error),
            Err(error) => log::warn!("the store of {} stays large: {error}", self.client),
            Ok(_) => {}
        }
        Ok(after)
    }
}
