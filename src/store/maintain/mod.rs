//! Maintenance keeps a store small. The writer does it between commits, a little at a time.
//!
//! ```text
//!   many new messages? ──▶ seal idle conversations
//!   too large?         ──▶ count the live bytes ──▶ evict old messages ──▶ compact ──▶ done
//!                                                   (over a budget only)
//! ```
//!
//! The writer's driver asks [`Writer::wants_tending`](crate::store::Writer::wants_tending) now and then, and
//! calls [`Writer::tend`](crate::store::Writer::tend) in idle time until the work is done. Each call takes
//! some milliseconds. The call in which a compacted tree takes the place of the old one takes some ten, and
//! readers wait for that call.

pub(super) mod compact;
pub(super) mod evict;
pub(super) mod reopen;
pub(super) mod seal_idle;
pub(super) mod usage;

use std::sync::Arc;

use crate::model::{ConversationId, StoreHealth};
use crate::store::error::StoreError;
use crate::store::format::key;
use crate::store::format::messagepack::{decode, encode};
use crate::store::format::record::CensusRecord;
use crate::store::maintain::compact::{Compaction, CompactionStep, Swapped};
use crate::store::maintain::evict::{Eviction, Evictor};
use crate::store::maintain::seal_idle::IdleSealing;
use crate::store::maintain::usage::{Census, Count, Need, is_over, need};
use crate::store::tree::location::Location;
use crate::store::types::batch::CommitClass;
use crate::store::write::commit::{Committer, WrittenSinceOpen};

/// The outcome of tending: there is more to do, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// Work is left: call again, soon.
    More,
    /// No work is left until the store has grown.
    Done,
}

/// A writer's knowledge of its store's size.
#[derive(Debug, Default)]
pub(crate) struct MaintenanceState {
    census: Option<Census>,
    /// True if the result of an earlier count was looked for.
    recalled: bool,
    counting: Option<Count>,
    /// The number of messages that had come when quiet conversations were sealed last.
    idle_sealed_at: u64,
    idle_sealing: Option<IdleSealing>,
    evictor: Evictor,
    compaction: Option<Compaction>,
    /// Somebody asked for a compaction.
    wanted: bool,
    /// The size at which nothing more could be done; it is tried again when the tree has grown.
    given_up_at: Option<u64>,
}

impl MaintenanceState {
    /// True if a compaction is under way.
    pub(crate) const fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// True if a step has something to do. Cheap: the check asks for the size of a file.
    pub(crate) fn is_wanted(&self, committer: &Committer) -> bool {
        if self.wanted || self.compaction.is_some() || committer.since_open.is_much() {
            return true;
        }
        let (census, idle_sealed_at) = if self.recalled {
            (self.census, self.idle_sealed_at)
        } else {
            recalled(committer).unwrap_or_default()
        };
        if self.idle_sealing.is_some() || seal_idle::is_due(arrived(committer), idle_sealed_at) {
            return true;
        }
        match tree_bytes(committer) {
            Ok(file) => {
                !self.has_given_up(file)
                    && need(file, census, committer.shared.budget()) != Need::Nothing
            }
            Err(_) => false,
        }
    }

    /// True if the tree's file is too large for the budget, and a step can help.
    pub(crate) fn is_over_budget(&self, committer: &Committer) -> bool {
        let Some(budget) = committer.shared.budget() else {
            return false;
        };
        tree_bytes(committer).is_ok_and(|file| is_over(file, budget) && !self.has_given_up(file))
    }

    /// Makes the next steps compact the store, at any size.
    pub(crate) const fn want_compaction(&mut self) {
        self.wanted = true;
    }

    /// True if a compaction that was asked for is not done yet.
    pub(crate) const fn wants_compaction(&self) -> bool {
        self.wanted
    }

    /// Forgets the work under way: the tree is another one now.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            wanted: self.wanted,
            ..Self::default()
        };
    }

    /// True if a size is so near to one at which nothing could be done that trying again is idle.
    fn has_given_up(&self, file: u64) -> bool {
        self.given_up_at
            .is_some_and(|at| file < at.saturating_add(at / 8).max(1))
    }
}

/// Keeps one store small.
pub(crate) struct Maintenance<'w> {
    pub(crate) state: &'w mut MaintenanceState,
    pub(crate) committer: &'w mut Committer,
    pub(crate) location: &'w Location,
}

impl Maintenance<'_> {
    /// Does a little about the store's size. Nothing of a conversation in view is evicted. An eviction is a
    /// commit of class cache with a number of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure; [`StoreError::Io`] when the disk refuses.
    /// If the store takes no writes then, its health says so; else nothing but a compaction failed,
    /// for which there may be no room: it is tried again when the store has grown.
    pub(crate) fn step(&mut self, in_view: &[ConversationId]) -> Result<Tended, StoreError> {
        if let StoreHealth::ReadOnly { trouble, reason } = self.committer.shared.health() {
            return Err(StoreError::ReadOnly { trouble, reason });
        }
        if self.state.compaction.is_some() {
            return self.go_on_compacting();
        }
        self.recall()?;
        if self.state.idle_sealing.is_some()
            || seal_idle::is_due(arrived(self.committer), self.state.idle_sealed_at)
        {
            let sealed = self.seal_some_idle(in_view);
            return sealed.map_err(|error| self.committer.fail(error));
        }
        if self.state.wanted {
            return self.begin_compacting();
        }
        let file = tree_bytes(self.committer)?;
        if self.state.has_given_up(file) {
            return self.finish_step();
        }
        match need(file, self.state.census, self.committer.shared.budget()) {
            Need::Nothing => self.finish_step(),
            Need::Census => self.count(file),
            Need::Evict { .. } => self.evict(in_view, file),
            Need::Compact => self.begin_compacting(),
        }
    }

    /// The size is right; the remaining work is to make the next opening cheap.
    fn finish_step(&mut self) -> Result<Tended, StoreError> {
        if self.committer.since_open.is_much() {
            self.reopen_tree()?;
        }
        Ok(Tended::Done)
    }

    /// Seals quiet conversations now, all but so many of the list's first.
    #[cfg(test)]
    pub(crate) fn seal_idle_beside(&mut self, lively: usize) -> Result<(), StoreError> {
        self.state.idle_sealing = Some(IdleSealing::beside(&self.committer.store(), lively)?);
        while self.state.idle_sealing.is_some() {
            self.seal_some_idle(&[])?;
        }
        Ok(())
    }

    /// Takes over the count from before the store was opened.
    fn recall(&mut self) -> Result<(), StoreError> {
        if !self.state.recalled {
            (self.state.census, self.state.idle_sealed_at) = recalled(self.committer)?;
            self.state.recalled = true;
        }
        Ok(())
    }

    /// Seals some quiet conversations.
    fn seal_some_idle(&mut self, in_view: &[ConversationId]) -> Result<Tended, StoreError> {
        let store = self.committer.store();
        let mut idle_sealing = match self.state.idle_sealing.take() {
            Some(idle_sealing) => idle_sealing,
            None => IdleSealing::begin(&store)?,
        };
        let step = idle_sealing.step(&store, in_view)?;
        if !step.sealings.is_empty() {
            self.committer.put_sealed(step.sealings);
            self.committer.begin_flush()?;
        }
        if step.ended {
            self.state.idle_sealed_at = idle_sealing.arrived;
            self.write_down()?;
        } else {
            self.state.idle_sealing = Some(idle_sealing);
        }
        Ok(Tended::More)
    }

    fn count(&mut self, file: u64) -> Result<Tended, StoreError> {
        let mut count = self.state.counting.take().unwrap_or_default();
        let tables = self.committer.shared.read();
        let ended = count.go_on(&tables, &self.committer.shared.codec);
        drop(tables);
        if self.committer.shared.noting(ended)? {
            let census = Census::new(count.live, file, self.state.census);
            self.remember(census)?;
        } else {
            self.state.counting = Some(count);
        }
        Ok(Tended::More)
    }

    /// Writes down the census, for the next opening of the store.
    fn remember(&mut self, census: Census) -> Result<(), StoreError> {
        self.state.census = Some(census);
        self.write_down()
    }

    fn write_down(&mut self) -> Result<(), StoreError> {
        let idle_sealed_at = self.state.idle_sealed_at;
        let record = match self.state.census {
            Some(census) => census.record(idle_sealed_at),
            None => CensusRecord {
                idle_sealed_at,
                ..CensusRecord::default()
            },
        };
        self.committer.write_aside(key::census(), &encode(&record)?)
    }

    fn evict(&mut self, in_view: &[ConversationId], file: u64) -> Result<Tended, StoreError> {
        let store = self.committer.store();
        match self.state.evictor.step(&store, in_view)? {
            Eviction::Looking => {}
            Eviction::Evicted { batch, bytes } => {
                // Observers get no event: the visible messages stay right.
                self.committer.commit(*batch, CommitClass::Cache)?;
                if let Some(census) = &mut self.state.census {
                    census.live = census.live.saturating_sub(bytes);
                }
            }
            Eviction::Nothing => {
                // The remaining messages must stay, so only a compaction can give space back.
                let shrinks = self.state.census.is_some_and(|it| it.would_shrink(file));
                if shrinks {
                    return self.begin_compacting();
                }
                self.state.given_up_at = Some(file);
                return Ok(Tended::Done);
            }
        }
        Ok(Tended::More)
    }

    fn begin_compacting(&mut self) -> Result<Tended, StoreError> {
        let tree = Arc::clone(&self.committer.shared.read().kv);
        let begun = Compaction::begin(self.location, tree);
        let compaction = begun.map_err(|error| self.give_up(error))?;
        self.committer.shared.write().kv = compaction.both();
        self.state.compaction = Some(compaction);
        Ok(Tended::More)
    }

    fn go_on_compacting(&mut self) -> Result<Tended, StoreError> {
        let Some(mut compaction) = self.state.compaction.take() else {
            return Ok(Tended::More);
        };
        let stepped = compaction.step(self.location);
        let ready = match self.committer.shared.noting(stepped) {
            Ok(CompactionStep::More) => {
                self.state.compaction = Some(compaction);
                return Ok(Tended::More);
            }
            Ok(CompactionStep::Ready) => compaction.make_durable(self.location),
            Err(error) => Err(error),
        };
        if let Err(error) = ready {
            compaction.abandon(self.location, &mut self.committer.shared.write());
            return Err(self.give_up(error));
        }
        self.take_over(compaction)?;
        Ok(Tended::More)
    }

    /// Lets the copy be the tree.
    fn take_over(&mut self, compaction: Compaction) -> Result<(), StoreError> {
        let live = compaction.live();
        let mut tables = self.committer.shared.write();
        let swapped = compaction.swap(self.location, &mut tables);
        if swapped.is_err() {
            // Nothing is open any more. Readers see the part that can be read without opening until a probe
            // has mended the store.
            self.location
                .show_readable(&mut tables, &self.committer.shared.codec);
        }
        drop(tables);
        match swapped {
            Ok(Swapped::Done) => {}
            Ok(Swapped::Undone(error)) => return Err(self.give_up(error)),
            Err(error) => {
                self.give_up(error.clone());
                self.committer.shared.set_health(error.health());
                return Err(error);
            }
        }
        self.location.remove_old();
        self.state.wanted = false;
        self.committer.since_open = WrittenSinceOpen::default();
        self.state.counting = None;
        self.state.recalled = true;
        let file = tree_bytes(self.committer)?;
        self.remember(Census::compacted(live, file))
    }

    /// A compaction failed, most likely for want of room: not again until the store has grown.
    fn give_up(&mut self, error: StoreError) -> StoreError {
        self.state.wanted = false;
        self.state.given_up_at = tree_bytes(self.committer).ok();
        error
    }
}

fn arrived(committer: &Committer) -> u64 {
    committer.shared.read().meta.arrived
}

fn tree_bytes(committer: &Committer) -> Result<u64, StoreError> {
    committer.shared.read().kv.size_bytes()
}

/// The last count, and how many messages had come when quiet conversations were sealed last.
fn recalled(committer: &Committer) -> Result<(Option<Census>, u64), StoreError> {
    let value = committer.shared.read().value(&key::census())?;
    let codec = &committer.shared.codec;
    let value = value.as_deref();
    let payload = value.and_then(|value| codec.open(&key::census(), value).ok());
    let record = payload.and_then(|payload| decode::<CensusRecord>(&payload).ok());
    let idle_sealed_at = record.map_or(0, |record| record.idle_sealed_at);
    let counted = record.filter(|record| record.file > 0);
    Ok((counted.map(Census::of_record), idle_sealed_at))
}
