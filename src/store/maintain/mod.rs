//! Keeping a store small: what its writer does about its size between commits, a little at a time.
//!
//! ```text
//!   much came? ──▶ seal quiet conversations
//!   too large? ──▶ count what is alive ──▶ evict old messages ──▶ compact ──▶ done
//!                                          (over a budget only)
//! ```
//!
//! Whoever drives the writer asks [`Writer::wants_tending`](crate::store::Writer::wants_tending) now and then and calls [`Writer::tend`](crate::store::Writer::tend)
//! until it is done, best while nothing else is to do. Each call takes some milliseconds; the one in
//! which a compacted tree takes its place takes some ten, and readers wait for that one.

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
use crate::store::maintain::compact::{Compaction, Progress, Swapped};
use crate::store::maintain::evict::{Evictor, Found};
use crate::store::maintain::seal_idle::Quieting;
use crate::store::maintain::usage::{Census, Count, Need, need};
use crate::store::tree::location::Ground;
use crate::store::write::commit::{CommitClass, Committer, Unsettled};

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// There is: call again, soon.
    More,
    /// There is not, until the store has grown.
    Done,
}

/// What a writer knows of its store's size.
#[derive(Debug, Default)]
pub(crate) struct Tending {
    census: Option<Census>,
    /// Whether it was looked for what an earlier count said.
    recalled: bool,
    counting: Option<Count>,
    /// How many messages had come when quiet conversations were sealed last.
    quieted: u64,
    quieting: Option<Quieting>,
    evictor: Evictor,
    compaction: Option<Compaction>,
    /// Somebody asked for a compaction.
    wanted: bool,
    /// The size at which nothing more could be done; it is tried again when the tree has grown.
    given_up_at: Option<u64>,
}

impl Tending {
    /// Whether a compaction is under way.
    pub(crate) const fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// Whether a step has something to do. Cheap: it asks for the size of a file.
    pub(crate) fn is_wanted(&self, committer: &Committer) -> bool {
        if self.wanted || self.compaction.is_some() || committer.unsettled.is_much() {
            return true;
        }
        let (census, quieted) = if self.recalled {
            (self.census, self.quieted)
        } else {
            recalled(committer).unwrap_or_default()
        };
        if self.quieting.is_some() || seal_idle::is_due(arrived(committer), quieted) {
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

    /// Has the store compacted by the next steps, whatever its size.
    pub(crate) const fn want_compaction(&mut self) {
        self.wanted = true;
    }

    /// Whether a compaction that was asked for is not done yet.
    pub(crate) const fn wants_compaction(&self) -> bool {
        self.wanted
    }

    /// Forgets what is under way: the tree is another one now.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            wanted: self.wanted,
            ..Self::default()
        };
    }

    /// Whether a size is so near to one at which nothing could be done that trying again is idle.
    fn has_given_up(&self, file: u64) -> bool {
        self.given_up_at
            .is_some_and(|at| file < at.saturating_add(at / 8).max(1))
    }
}

/// Keeps one store small.
pub(crate) struct Maintenance<'w> {
    pub(crate) tending: &'w mut Tending,
    pub(crate) committer: &'w mut Committer,
    pub(crate) ground: &'w Ground,
}

impl Maintenance<'_> {
    /// Does a little about the store's size. Nothing of a conversation in view is evicted. What is
    /// evicted is a commit of class cache with a number of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure; [`StoreError::Io`] when the disk refuses.
    /// If the store takes no writes then, its health says so; else nothing but a compaction failed,
    /// for which there may be no room: it is tried again when the store has grown.
    pub(crate) fn step(&mut self, in_view: &[ConversationId]) -> Result<Tended, StoreError> {
        if let StoreHealth::ReadOnly { reason } = self.committer.shared.health() {
            return Err(StoreError::ReadOnly { reason });
        }
        if self.tending.compaction.is_some() {
            return self.go_on_compacting();
        }
        self.recall()?;
        if self.tending.quieting.is_some()
            || seal_idle::is_due(arrived(self.committer), self.tending.quieted)
        {
            let quieted = self.quieten(in_view);
            return quieted.map_err(|error| self.committer.fail(error));
        }
        if self.tending.wanted {
            return self.begin_compacting();
        }
        let file = tree_bytes(self.committer)?;
        if self.tending.has_given_up(file) {
            return self.rest();
        }
        match need(file, self.tending.census, self.committer.shared.budget()) {
            Need::Nothing => self.rest(),
            Need::Census => self.count(file),
            Need::Evict { .. } => self.evict(in_view, file),
            Need::Compact => self.begin_compacting(),
        }
    }

    /// The size is right; what is left is to make the next opening cheap.
    fn rest(&mut self) -> Result<Tended, StoreError> {
        if self.committer.unsettled.is_much() {
            self.settle()?;
        }
        Ok(Tended::Done)
    }

    /// Seals quiet conversations now, all but so many of the list's first.
    #[cfg(test)]
    pub(crate) fn quieten_beside(&mut self, lively: usize) -> Result<(), StoreError> {
        self.tending.quieting = Some(Quieting::beside(&self.committer.store(), lively)?);
        while self.tending.quieting.is_some() {
            self.quieten(&[])?;
        }
        Ok(())
    }

    /// Takes over what was counted before the store was opened.
    fn recall(&mut self) -> Result<(), StoreError> {
        if !self.tending.recalled {
            (self.tending.census, self.tending.quieted) = recalled(self.committer)?;
            self.tending.recalled = true;
        }
        Ok(())
    }

    /// Seals some quiet conversations.
    fn quieten(&mut self, in_view: &[ConversationId]) -> Result<Tended, StoreError> {
        let store = self.committer.store();
        let mut quieting = match self.tending.quieting.take() {
            Some(quieting) => quieting,
            None => Quieting::begin(&store)?,
        };
        let quieted = quieting.step(&store, in_view)?;
        if !quieted.sealings.is_empty() {
            self.committer.put_sealed(quieted.sealings);
            self.committer.begin_flush()?;
        }
        if quieted.ended {
            self.tending.quieted = quieting.arrived;
            self.write_down()?;
        } else {
            self.tending.quieting = Some(quieting);
        }
        Ok(Tended::More)
    }

    fn count(&mut self, file: u64) -> Result<Tended, StoreError> {
        let mut count = self.tending.counting.take().unwrap_or_default();
        let tables = self.committer.shared.read();
        let ended = count.go_on(&tables, &self.committer.shared.codec);
        drop(tables);
        if self.committer.shared.noting(ended)? {
            let census = Census::new(count.live, file, self.tending.census);
            self.remember(census)?;
        } else {
            self.tending.counting = Some(count);
        }
        Ok(Tended::More)
    }

    /// Writes down what is alive, for the next who opens the store.
    fn remember(&mut self, census: Census) -> Result<(), StoreError> {
        self.tending.census = Some(census);
        self.write_down()
    }

    fn write_down(&mut self) -> Result<(), StoreError> {
        let quieted = self.tending.quieted;
        let record = match self.tending.census {
            Some(census) => census.record(quieted),
            None => CensusRecord {
                quieted,
                ..CensusRecord::default()
            },
        };
        self.committer.write_aside(key::census(), &encode(&record)?)
    }

    fn evict(&mut self, in_view: &[ConversationId], file: u64) -> Result<Tended, StoreError> {
        let store = self.committer.store();
        match self.tending.evictor.step(&store, in_view)? {
            Found::Looking => {}
            Found::Evicted { batch, bytes } => {
                // Observers are told nothing: what they were shown stays right.
                self.committer.commit(*batch, CommitClass::Cache)?;
                if let Some(census) = &mut self.tending.census {
                    census.live = census.live.saturating_sub(bytes);
                }
            }
            Found::Nothing => {
                // What is left has to stay. A compaction gives back what can be.
                let shrinks = self.tending.census.is_some_and(|it| it.would_shrink(file));
                if shrinks {
                    return self.begin_compacting();
                }
                self.tending.given_up_at = Some(file);
                return Ok(Tended::Done);
            }
        }
        Ok(Tended::More)
    }

    fn begin_compacting(&mut self) -> Result<Tended, StoreError> {
        let tree = Arc::clone(&self.committer.shared.read().kv);
        let begun = Compaction::begin(self.ground, tree);
        let compaction = begun.map_err(|error| self.give_up(error))?;
        self.committer.shared.write().kv = compaction.both();
        self.tending.compaction = Some(compaction);
        Ok(Tended::More)
    }

    fn go_on_compacting(&mut self) -> Result<Tended, StoreError> {
        let Some(mut compaction) = self.tending.compaction.take() else {
            return Ok(Tended::More);
        };
        let stepped = compaction.step(self.ground);
        let ready = match self.committer.shared.noting(stepped) {
            Ok(Progress::More) => {
                self.tending.compaction = Some(compaction);
                return Ok(Tended::More);
            }
            Ok(Progress::Ready) => compaction.settle(self.ground),
            Err(error) => Err(error),
        };
        if let Err(error) = ready {
            compaction.abandon(self.ground, &mut self.committer.shared.write());
            return Err(self.give_up(error));
        }
        self.take_over(compaction)?;
        Ok(Tended::More)
    }

    /// Lets the copy be the tree.
    fn take_over(&mut self, compaction: Compaction) -> Result<(), StoreError> {
        let live = compaction.live();
        let mut tables = self.committer.shared.write();
        let swapped = compaction.swap(self.ground, &mut tables);
        if swapped.is_err() {
            // Nothing is open any more. What can be read without opening is shown until a probe
            // has mended it.
            *tables = self.ground.readable(&self.committer.shared.codec);
        }
        drop(tables);
        match swapped {
            Ok(Swapped::Done) => {}
            Ok(Swapped::Undone(error)) => return Err(self.give_up(error)),
            Err(error) => {
                self.give_up(error.clone());
                let reason = error.to_string();
                self.committer
                    .shared
                    .set_health(StoreHealth::ReadOnly { reason });
                return Err(error);
            }
        }
        self.ground.remove_old();
        self.tending.wanted = false;
        self.committer.unsettled = Unsettled::default();
        self.tending.counting = None;
        self.tending.recalled = true;
        let file = tree_bytes(self.committer)?;
        self.remember(Census::compacted(live, file))
    }

    /// A compaction failed, most likely for want of room: not again until the store has grown.
    fn give_up(&mut self, error: StoreError) -> StoreError {
        self.tending.wanted = false;
        self.tending.given_up_at = tree_bytes(self.committer).ok();
        error
    }
}

fn arrived(committer: &Committer) -> u64 {
    committer.shared.read().meta.arrived
}

fn tree_bytes(committer: &Committer) -> Result<u64, StoreError> {
    committer.shared.read().kv.size_bytes()
}

/// What was counted, and how many messages had come when quiet conversations were sealed last.
fn recalled(committer: &Committer) -> Result<(Option<Census>, u64), StoreError> {
    let value = committer.shared.read().value(&key::census())?;
    let codec = &committer.shared.codec;
    let value = value.as_deref();
    let payload = value.and_then(|value| codec.open(&key::census(), value).ok());
    let record = payload.and_then(|payload| decode::<CensusRecord>(&payload).ok());
    let quieted = record.map_or(0, |record| record.quieted);
    let counted = record.filter(|record| record.file > 0);
    Ok((counted.map(Census::of_record), quieted))
}
