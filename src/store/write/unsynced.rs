//! What was committed and a power cut may take: the commits of class cache that are not synced yet.
//!
//! An intent is replayed on top of whatever of them a power cut left. Mostly that is why they are synced
//! before it. One that changes the outbox alone need not wait: no cursor moves with it, no message or
//! count depends on it, so it is as right on the last commit that is durable as on the one before it.
//! What it says of that commit must be untouched since, and its conversations must be there.

use std::collections::BTreeSet;

use crate::store::format::key::Tag;
use crate::store::format::record::MetaRecord;
use crate::store::journal::reader::keeps;
use crate::store::tree::KvBatch;
use crate::store::types::batch::Batch;
use crate::store::types::position::ConversationNumber;

/// What is not synced.
#[derive(Debug)]
pub(crate) struct Afloat {
    durable: Reached,
    /// What will be durable when the sync that is under way ends.
    syncing: Option<(Reached, BTreeSet<Vec<u8>>)>,
    /// The outbox rows that were changed behind both.
    changed: BTreeSet<Vec<u8>>,
}

/// How far the tree is durable: a commit, and the first number that no conversation had then.
#[derive(Clone, Copy, Debug)]
struct Reached {
    seq: u64,
    next_number: ConversationNumber,
}

impl Reached {
    const fn of(meta: &MetaRecord) -> Self {
        Self {
            seq: meta.seq,
            next_number: ConversationNumber(meta.next_number),
        }
    }
}

impl Afloat {
    /// Nothing is afloat: the tree is durable up to its last commit.
    pub(crate) const fn behind(meta: &MetaRecord) -> Self {
        Self {
            durable: Reached::of(meta),
            syncing: None,
            changed: BTreeSet::new(),
        }
    }

    /// Notes what a commit of class cache told the tree.
    pub(crate) fn told(&mut self, changes: &KvBatch) {
        let keys = changes.changes.keys().filter(|key| keeps(key));
        self.changed.extend(keys.cloned());
    }

    /// Notes that a sync of everything up to the last commit has begun.
    pub(crate) fn begun(&mut self, meta: &MetaRecord) {
        let mut changed = std::mem::take(&mut self.changed);
        if let Some((_, before)) = self.syncing.take() {
            changed.extend(before);
        }
        self.syncing = Some((Reached::of(meta), changed));
    }

    /// Notes that the sync that had begun, if one had, is over and went well.
    pub(crate) fn synced(&mut self) {
        if let Some((durable, _)) = self.syncing.take() {
            self.durable = durable;
        }
    }

    /// Notes an intent over nothing that is afloat: what it made is durable too.
    pub(crate) const fn promised(&mut self, meta: &MetaRecord) {
        self.durable.next_number = ConversationNumber(meta.next_number);
    }

    /// The last commit that is durable in the tree for sure.
    pub(crate) const fn base(&self) -> u64 {
        self.durable.seq
    }

    /// Whether a batch can follow on the last durable commit as well as on the one before it.
    pub(crate) fn spares(&self, batch: &Batch, changes: &KvBatch) -> bool {
        let is_afloat = |key: &Vec<u8>| {
            let syncing = self.syncing.as_ref();
            self.changed.contains(key) || syncing.is_some_and(|(_, keys)| keys.contains(key))
        };
        let is_free = |key: &Vec<u8>| match Tag::of(key) {
            Some(Tag::Meta | Tag::Moves) => true,
            Some(Tag::Outbox) => !is_afloat(key),
            _ => false,
        };
        let entries = batch.outbox.values();
        let mut entries = entries.filter_map(|change| change.after.as_ref());
        changes.changes.keys().all(is_free)
            && entries.all(|entry| entry.conversation < self.durable.next_number)
    }
}
