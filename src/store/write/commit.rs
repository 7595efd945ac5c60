//! Commits batches, atomically and in order: to the journal, to the tree, to the state that readers see.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::StoreTrouble;
use crate::model::{CommitSeq, StoreHealth};
use crate::store::error::StoreError;
use crate::store::format::pack_layout::SEALED_COUNT;
use crate::store::journal::Journal;
use crate::store::read::snapshot::Snapshot;
use crate::store::read::store::Store;
use crate::store::state::{Shared, Tables};
use crate::store::tree::{ApplyRequest, Kv, KvBatch};
use crate::store::types::batch::{Batch, CommitClass};
use crate::store::types::position::ConversationNumber;
use crate::store::write::change::{StoreChange, changes};
use crate::store::write::durability::Durability;
use crate::store::write::encode::{EncodedBatch, activities, encode_batch, set_activity};
use crate::store::write::links::{held, set_held};
use crate::store::write::pack_changes::PackChanges;
use crate::store::write::packs_of_batch::pack_changes;
use crate::store::write::seal::{HOT_MAX, Sealing, sealing};

/// The outcome of a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Its number; of an empty batch, the number of the commit before.
    pub seq: CommitSeq,
    /// The changes that observers are to be told.
    pub changes: Vec<StoreChange>,
}

/// Commits the batches of one store. Its files are let go when the last [`Store`] is gone too.
#[derive(Debug)]
pub(crate) struct Committer {
    // Declared first, dropped first: the folder is given back when nothing writes to it any more.
    journal: Option<Journal>,
    /// The durability of the commits.
    durability: Durability,
    /// The amount that was committed since the tree was opened.
    pub(crate) since_open: WrittenSinceOpen,
    /// Conversations with so many hot messages that the older ones are to be sealed.
    to_seal: BTreeSet<ConversationNumber>,
    pub(crate) shared: Arc<Shared>,
}

/// So many bytes of keys and values, committed since the tree was opened, are worth it: some ten
/// thousand messages, which would cost the next opening some ten milliseconds.
pub(crate) const MUCH: usize = 8 * 1024 * 1024;

/// The amount that was committed since the tree was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WrittenSinceOpen(pub(crate) usize);

impl WrittenSinceOpen {
    /// Adds so many bytes of keys and values.
    pub(crate) const fn add(&mut self, bytes: usize) {
        self.0 += bytes;
    }

    /// True if it is worth opening the tree anew.
    pub(crate) const fn is_much(self) -> bool {
        self.0 >= MUCH
    }
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, journal: Option<Journal>) -> Self {
        let durability = Durability::all(&shared.read().meta);
        Self {
            journal,
            durability,
            since_open: WrittenSinceOpen(0),
            to_seal: BTreeSet::new(),
            shared,
        }
    }

    /// Commits a batch: all of it or nothing. A batch of class [`CommitClass::Intent`] is durable when the call
    /// returns. The answer is the changes for observers.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure, until [`Writer::probe`] succeeds. [`StoreError::Io`]
    /// when the disk refuses: nothing was stored, readers see nothing of the batch, and the store is read-only
    /// from then on. (If the power is cut before the disk works again, a failed intent may still turn up.)
    /// [`StoreError::Damaged`] when the tree is found damaged: the store is read-only then too.
    /// [`StoreError::TooLarge`]; [`StoreError::InvalidArgument`] for a batch that was made against another
    /// commit than the last.
    pub(crate) fn commit(
        &mut self,
        mut batch: Batch,
        class: CommitClass,
    ) -> Result<Commit, StoreError> {
        if let StoreHealth::ReadOnly { trouble, reason } = self.shared.health() {
            return Err(StoreError::ReadOnly { trouble, reason });
        }
        let last = CommitSeq(self.shared.read().meta.seq);
        if batch.base != last {
            return Err(StoreError::InvalidArgument {
                reason: format!(
                    "a batch made against {:?} cannot follow {last:?}",
                    batch.base
                ),
            });
        }
        if batch.is_empty() {
            return Ok(Commit {
                seq: last,
                changes: Vec::new(),
            });
        }
        if self.shared.read().list.unwritten.is_too_much() {
            self.flush_tree().map_err(|error| self.fail(error))?;
        }
        let packs = self.prepare(&mut batch)?;
        let encoded = encode_batch(&batch, &packs, &self.shared.read(), &self.shared.codec)?;
        let seq = CommitSeq(encoded.meta.seq);
        self.since_open.add(encoded.changes.size());
        let begun = self.begin_journal();
        let committed = begun.and_then(|()| match class {
            CommitClass::Intent => self.commit_intent(&batch, &packs, encoded),
            CommitClass::Cache => self.commit_cache(&batch, &packs, encoded),
        });
        let told = committed.and_then(|()| changes(&batch, &self.snapshot(None)));
        let changes = told.map_err(|error| self.fail(error))?;
        Ok(Commit { seq, changes })
    }

    /// Starts the generation of the journal that an opening left to the first commit. The tree is made durable
    /// first, because earlier commits are not replayed any more.
    fn begin_journal(&mut self) -> Result<(), StoreError> {
        if !self.journal.as_ref().is_some_and(Journal::is_waiting) {
            return Ok(());
        }
        self.flush_tree()?;
        let seq = self.shared.read().meta.seq;
        let journal = self.journal.as_mut().ok_or_else(no_journal)?;
        journal.restart(&self.shared.codec, seq)
    }

    /// Fills in the fields that records need beside the batch, and computes the changes of packs.
    fn prepare(&self, batch: &mut Batch) -> Result<PackChanges, StoreError> {
        let packs = pack_changes(&self.snapshot(None), batch)?;
        let snapshot = self.snapshot(Some(batch));
        let at = activities(&snapshot, batch);
        let held = held(&snapshot, batch, &packs)?;
        let mut names = Vec::new();
        let entries = batch.outbox.values();
        for entry in entries.filter_map(|change| change.after.as_ref()) {
            let row = snapshot.conversation(entry.conversation)?;
            names.extend(row.map(|row| (entry.conversation, row.id)));
        }
        drop(snapshot);
        set_activity(batch, &at);
        set_held(batch, held, &packs);
        batch.entry_ids.extend(names);
        Ok(packs)
    }

    /// Journal first, durably; the tree is told with the next commit or flush, and if that never
    /// comes, the journal is replayed.
    fn commit_intent(
        &mut self,
        batch: &Batch,
        packs: &PackChanges,
        encoded: EncodedBatch,
    ) -> Result<(), StoreError> {
        if self.durability.must_flush_before(batch, &encoded.changes) {
            self.flush_tree()?;
        }
        let journal = self.journal.as_ref().ok_or_else(no_journal)?;
        let is_full = !journal.has_room_for(&encoded.changes);
        if is_full {
            self.flush_tree()?;
        }
        let journal = self.journal.as_mut().ok_or_else(no_journal)?;
        let (codec, seq) = (&self.shared.codec, encoded.meta.seq);
        if is_full {
            journal.restart(codec, seq.saturating_sub(1))?;
            journal.reserve_for(&encoded.changes)?;
        }
        let base = self.durability.base();
        journal.append_intent(codec, &encoded.changes, seq, base)?;
        let size = encoded.changes.size();
        self.durability.promised(&encoded.meta, size);
        let mut tables = self.shared.write();
        remember(&mut tables, batch, packs, &encoded);
        tables.pending.add(encoded.changes);
        drop(tables);
        self.note_hot(batch);
        Ok(())
    }

    /// Writes the tree first, then the outbox changes into the journal.
    fn commit_cache(
        &mut self,
        batch: &Batch,
        packs: &PackChanges,
        encoded: EncodedBatch,
    ) -> Result<(), StoreError> {
        // Not under the lock: readers go on while the disk works.
        let kv = Arc::clone(&self.shared.read().kv);
        kv.wait_flushed()?;
        self.durability.flight_ended();
        // The preparation of the next large commit takes long enough for the tree to have this one by then,
        // durably. An intent after a small commit should not have to wait, and the tree must not be behind the
        // journal's outbox.
        let is_large = batch.message_count() >= SEALED_COUNT && batch.outbox.is_empty();
        if is_large {
            return self.send_large(batch, packs, encoded, kv.as_ref());
        }
        let mut tables = self.shared.write();
        tables.apply(&encoded.changes)?;
        self.durability.told(&encoded.changes);
        remember(&mut tables, batch, packs, &encoded);
        drop(tables);
        self.note_hot(batch);
        let followed = self.seal_some(batch.message_count());
        match followed.and_then(|()| self.flush_tree()) {
            Ok(()) => {}
            Err(error) => return self.fail_behind(error),
        }
        if let Some(journal) = &mut self.journal {
            journal.append_outbox(&self.shared.codec, &encoded.changes, encoded.meta.seq);
        }
        Ok(())
    }

    /// The disk failed after a commit of class cache that readers already see. The commit stands, so observers
    /// get its events, and the next commit or sync fails in its place.
    fn fail_behind(&self, error: StoreError) -> Result<(), StoreError> {
        let error = self.fail(error);
        match self.shared.health() {
            StoreHealth::ReadOnly { .. } => Ok(()),
            StoreHealth::Good => Err(error),
        }
    }

    /// Sends a large commit on its way into the tree; readers see it at once.
    fn send_large(
        &mut self,
        batch: &Batch,
        packs: &PackChanges,
        encoded: EncodedBatch,
        kv: &dyn Kv,
    ) -> Result<(), StoreError> {
        debug_assert!(batch.outbox.is_empty(), "the journal would be ahead");
        let mut tables = self.shared.write();
        remember(&mut tables, batch, packs, &encoded);
        tables.pending.add(encoded.changes);
        tables.put_list_pages(&self.shared.codec)?;
        let request = ApplyRequest {
            batch: tables.pending.take(),
            seldom: self.durability.take_sealed(),
        };
        kv.begin_apply(request)?;
        drop(tables);
        self.durability.sent(&encoded.meta);
        // While it is in flight; the tree is told of these packs with the next batch.
        self.note_hot(batch);
        match self.seal_some(batch.message_count()) {
            Ok(()) => Ok(()),
            Err(error) => self.fail_behind(error),
        }
    }

    /// Notes which conversations have so many hot messages now that the older ones are to be sealed.
    fn note_hot(&mut self, batch: &Batch) {
        for (number, change) in &batch.conversations {
            let hot = change.after.as_ref().map_or(0, |row| row.held.hot);
            if hot >= HOT_MAX {
                self.to_seal.insert(*number);
            }
        }
    }

    /// Seals older messages of conversations that have too many hot ones. It seals more messages than the commit brought, so that
    /// it keeps up, and few more, so that no commit takes long. A sealing of long texts holds few messages.
    fn seal_some(&mut self, messages: usize) -> Result<(), StoreError> {
        let (mut sealed, most) = (0, messages.saturating_add(SEALED_COUNT));
        while sealed < most
            && let Some(number) = self.to_seal.pop_first()
        {
            let Some(sealing) = sealing(&self.snapshot(None), number)? else {
                continue;
            };
            sealed += sealing.messages.max(1);
            if sealing.more {
                self.to_seal.insert(number);
            }
            self.put_sealed(vec![(number, sealing)]);
        }
        Ok(())
    }

    /// Lays sealed packs over the tree, after the last commit; they go into the tree with the next write.
    pub(crate) fn put_sealed(&mut self, sealings: Vec<(ConversationNumber, Sealing)>) {
        if sealings.is_empty() {
            return;
        }
        let mut tables = self.shared.write();
        for (number, sealing) in sealings {
            let written = sealing.changes.changes.iter();
            let written = written.filter(|(_, value)| value.is_some());
            let keys = written.map(|(key, _)| key.clone());
            self.durability.sealed(keys);
            tables.pending.add(sealing.changes);
            for key in &sealing.packs {
                tables.packs.forget(key);
            }
            if let Some(row) = sealing.row {
                let cost = row.cost();
                tables.rows.put(number, row, cost);
            }
        }
    }

    /// Writes the pending batches into the tree, and the list's pages if many of their moves are missing there.
    fn apply_with_list(&mut self) -> Result<(), StoreError> {
        let mut tables = self.shared.write();
        tables.put_list_pages(&self.shared.codec)?;
        tables.apply(&KvBatch::default())?;
        let kv = Arc::clone(&tables.kv);
        drop(tables);
        self.durability.note_buffered();
        let sealed = self.durability.take_sealed();
        kv.let_go(&mut sealed.iter().map(Vec::as_slice))
    }

    /// Writes a record that no reader sees, beside the commits; durable with the next sync. Before the
    /// first commit nothing is: a tree without counters counts as damaged.
    pub(crate) fn write_aside(&mut self, key: Vec<u8>, payload: &[u8]) -> Result<(), StoreError> {
        let mut tables = self.shared.write();
        if tables.meta.seq == 0 {
            return Ok(());
        }
        let mut changes = KvBatch::default();
        let value = self.shared.codec.frame(&key, payload, tables.meta.seq)?;
        changes.put(key, value);
        let applied = tables.apply(&changes);
        drop(tables);
        applied.map_err(|error| self.fail(error))?;
        self.durability.note_buffered();
        Ok(())
    }

    /// Writes the pending batches into the tree, and begins to make them durable.
    pub(crate) fn begin_flush(&mut self) -> Result<(), StoreError> {
        self.apply_with_list().map_err(|error| self.fail(error))?;
        let kv = Arc::clone(&self.shared.read().kv);
        kv.begin_flush().map_err(|error| self.fail(error))
    }

    fn flush_tree(&mut self) -> Result<(), StoreError> {
        // Not under the lock: readers go on while the disk works.
        let kv = Arc::clone(&self.shared.read().kv);
        kv.wait_flushed()?;
        self.apply_with_list()?;
        kv.flush()?;
        self.note_durable();
        Ok(())
    }

    /// Makes every commit durable in the tree. Sealed packs say nothing new: behind a commit that is on its
    /// way they wait for the next batch.
    fn reach_tree(&mut self) -> Result<(), StoreError> {
        let kv = Arc::clone(&self.shared.read().kv);
        kv.wait_flushed()?;
        let last = self.shared.read().meta.seq;
        if !self.durability.is_in_flight(last) {
            return self.flush_tree();
        }
        self.note_durable();
        Ok(())
    }

    /// Notes that the tree is durable up to the last commit.
    fn note_durable(&mut self) {
        self.durability.reached(&self.shared.read().meta);
        if let Some(journal) = &mut self.journal {
            let seq = self.shared.read().meta.seq;
            journal.mark(&self.shared.codec, seq);
        }
    }

    /// Makes the store read-only, unless the failure is the batch's own.
    pub(crate) fn fail(&self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Io { .. } | StoreError::Damaged { .. }) {
            self.shared.set_health(error.health());
        }
        error
    }

    /// Makes every commit so far durable in the tree. Cheap when they are. Call it soon after a
    /// commit of class cache, before anything that depends on it is acknowledged to the service,
    /// and before the app is paused.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] after an earlier failure; [`StoreError::Io`] when the disk refuses:
    /// the store is read-only from then on.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        if let StoreHealth::ReadOnly { trouble, reason } = self.shared.health() {
            return Err(StoreError::ReadOnly { trouble, reason });
        }
        self.begin_journal().map_err(|error| self.fail(error))?;
        if self.durability.is_dirty() {
            self.reach_tree().map_err(|error| self.fail(error))?;
        }
        let synced = self.journal.as_mut().map_or(Ok(()), Journal::sync);
        synced.map_err(|error| self.fail(error))
    }

    /// True if there are commits that [`Writer::sync`] would write.
    pub(crate) fn is_dirty(&self) -> bool {
        self.durability.is_dirty()
    }

    /// Closes the journal, because the tree is about to be opened anew. The remains of a failed append are
    /// blanked first.
    pub(crate) fn close_journal(&mut self) -> Result<(), StoreError> {
        if let Some(journal) = &mut self.journal {
            journal.forget_unpromised()?;
        }
        self.journal = None;
        Ok(())
    }

    /// Goes on with tables that were just opened, and with their journal.
    pub(crate) fn go_on_with(&mut self, journal: Journal) -> Result<(), StoreError> {
        self.since_open = WrittenSinceOpen::default();
        self.durability = Durability::all(&self.shared.read().meta);
        self.journal = Some(journal);
        // A journal that can't be written must not be found out by the next commit.
        self.begin_journal()
    }

    /// Makes everything durable, without writing a store that was only read.
    pub(crate) fn sync_at_last(&mut self) -> Result<(), StoreError> {
        let is_waiting = self.journal.as_ref().is_some_and(Journal::is_waiting);
        if self.is_dirty() || !is_waiting {
            return self.sync();
        }
        Ok(())
    }

    /// The commit that a power cut goes back to at most, but for intents behind it.
    #[cfg(test)]
    pub(crate) fn durable_seq(&self) -> u64 {
        let last = self.shared.read().meta.seq;
        self.durability.base().unwrap_or(last)
    }

    /// The store that this writer writes.
    pub(crate) fn store(&self) -> Store {
        Store {
            shared: Arc::clone(&self.shared),
        }
    }

    fn snapshot<'a>(&'a self, batch: Option<&'a Batch>) -> Snapshot<'a> {
        Snapshot {
            tables: self.shared.read(),
            shared: &self.shared,
            batch,
        }
    }
}

/// Applies a commit to the state that readers see.
fn remember(tables: &mut Tables, batch: &Batch, packs: &PackChanges, encoded: &EncodedBatch) {
    remember_rows(tables, batch);
    remember_packs(tables, packs);
    tables.meta = encoded.meta;
    tables.totals = encoded.totals;
    tables.list.make_recorded(&encoded.moves, encoded.slot);
    if let Some(session) = &batch.session {
        tables.session = session.clone();
    }
    for (id, change) in &batch.outbox {
        match &change.after {
            Some(entry) => tables.outbox.put(Arc::clone(entry)),
            None => tables.outbox.remove(*id),
        }
    }
}

/// Takes over which rows readers find in memory.
fn remember_rows(tables: &Tables, batch: &Batch) {
    for (number, change) in &batch.conversations {
        match &change.after {
            Some(row) => tables.rows.put(*number, Arc::clone(row), row.cost()),
            None => tables.rows.remove(number),
        }
    }
}

/// Takes over which packs readers find in memory.
fn remember_packs(tables: &Tables, packs: &PackChanges) {
    for change in &packs.packs {
        tables.packs.forget(&change.key);
    }
    for (number, after) in &packs.tails {
        if after.is_changed {
            tables.packs.put_tail(*number, after.tail.clone());
        }
    }
}

fn no_journal() -> StoreError {
    StoreError::ReadOnly {
        trouble: StoreTrouble::Device,
        reason: "there is no journal".to_owned(),
    }
}
