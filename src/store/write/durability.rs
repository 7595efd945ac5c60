//! The progress of commits on their way to the disk: one state machine without any IO.
//!
//! ```text
//!   intent        ──▶ journal, synced ──▶ laid over the tree ─┐
//!   small commit  ──▶ tree ───────────────────────────────────┼─▶ flush of the tree ──▶ durable
//!   large commit  ──▶ laid over the tree ──▶ in flight ───────┤
//!   sealed packs  ──▶ laid over the tree ─────────────────────┘
//! ```
//!
//! An intent is durable with the journal's sync. After a power cut it is replayed on top of the commits that
//! the tree has then, so the commits before it must be durable first. One kind of intent need not wait: it
//! changes the outbox alone, no later commit changed its outbox rows, and its conversations existed in the
//! last durable commit. Such an intent is as right on the last durable commit as on the one before it. Its
//! record names that durable commit, its *base*.

use std::collections::BTreeSet;

use crate::store::format::key::Tag;
use crate::store::format::record::MetaRecord;
use crate::store::journal::reader::keeps;
use crate::store::tree::KvBatch;
use crate::store::types::batch::Batch;
use crate::store::types::position::ConversationNumber;

/// The most bytes of intents that may lie over the tree: well below the size of the tree's buffers, so that the
/// tree does not write unsynced bytes by itself, and a reader has little to go through.
const INTENT_BYTES_MAX: usize = 64 * 1024;

/// The durability of the commits of one store.
#[derive(Debug)]
pub(crate) struct Durability {
    /// The last commit that is durable in the tree for sure.
    durable: Reached,
    progress: Progress,
    /// The keys of sealed packs that lie over the tree.
    sealed: Vec<Vec<u8>>,
    /// The bytes of intents that lie over the tree; the journal has them.
    intent_bytes: usize,
    /// The outbox rows that commits changed since, but for those in flight.
    changed: BTreeSet<Vec<u8>>,
}

/// The part of the commits that is not durable, intents apart.
#[derive(Debug)]
enum Progress {
    /// Nothing.
    Durable,
    /// Something lies over the tree, or in its buffers.
    Buffered,
    /// A large commit is in flight. It is durable when the wait for it ends without an error.
    InFlight {
        upto: Reached,
        /// The outbox rows that are changed by it, or before it.
        changed: BTreeSet<Vec<u8>>,
    },
}

/// A commit, and the first number that no conversation had then.
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

impl Durability {
    /// Everything up to the last commit is durable in the tree.
    pub(crate) const fn all(meta: &MetaRecord) -> Self {
        Self {
            durable: Reached::of(meta),
            progress: Progress::Durable,
            sealed: Vec::new(),
            intent_bytes: 0,
            changed: BTreeSet::new(),
        }
    }

    /// True if a flush of the tree would make anything more durable than it is, intents included.
    pub(crate) const fn is_dirty(&self) -> bool {
        !matches!(self.progress, Progress::Durable) || self.intent_bytes > 0
    }

    /// The last commit that is durable in the tree for sure.
    #[cfg(test)]
    pub(crate) const fn durable_seq(&self) -> u64 {
        self.durable.seq
    }

    /// True if the wait for the commit in flight is all that makes the last commit durable.
    pub(crate) const fn is_in_flight(&self, last: u64) -> bool {
        matches!(&self.progress, Progress::InFlight { upto, .. } if upto.seq == last)
    }

    /// True if the tree must be flushed before an intent: the intent would stand on commits that a power cut may
    /// take.
    pub(crate) fn must_flush_before(&self, batch: &Batch, changes: &KvBatch) -> bool {
        let can_follow = !self.may_lose() || self.spares(batch, changes);
        !can_follow || self.intent_bytes > INTENT_BYTES_MAX
    }

    /// The base of an intent that follows now; none if nothing before it can be lost.
    pub(crate) fn base(&self) -> Option<u64> {
        self.may_lose().then_some(self.durable.seq)
    }

    /// Notes an intent, which the journal has and which lies over the tree.
    pub(crate) fn promised(&mut self, meta: &MetaRecord, size: usize) {
        self.intent_bytes += size;
        if !self.may_lose() {
            // The conversations that the intent made are durable with the intent.
            self.durable.next_number = ConversationNumber(meta.next_number);
        }
    }

    /// Notes a commit that the tree was told of.
    pub(crate) fn told(&mut self, changes: &KvBatch) {
        let keys = changes.changes.keys().filter(|key| keeps(key));
        self.changed.extend(keys.cloned());
        self.note_buffered();
    }

    /// Notes a change over the tree, or in its buffers, that is not a commit.
    pub(crate) fn note_buffered(&mut self) {
        match &mut self.progress {
            Progress::Durable => self.progress = Progress::Buffered,
            Progress::Buffered => {}
            Progress::InFlight { changed, .. } => {
                self.changed.append(changed);
                self.progress = Progress::Buffered;
            }
        }
    }

    /// Notes that everything up to a commit is in flight; the commit itself changes no outbox row.
    pub(crate) fn sent(&mut self, meta: &MetaRecord) {
        debug_assert!(
            !matches!(self.progress, Progress::InFlight { .. }),
            "one commit is in flight at a time"
        );
        self.progress = Progress::InFlight {
            upto: Reached::of(meta),
            changed: std::mem::take(&mut self.changed),
        };
    }

    /// Notes that the wait for the commit in flight, if there is one, ended well.
    pub(crate) fn flight_ended(&mut self) {
        if let Progress::InFlight { upto, .. } = &self.progress {
            debug_assert!(upto.seq >= self.durable.seq, "the tree never goes back");
            self.durable = *upto;
            self.progress = if self.sealed.is_empty() && self.changed.is_empty() {
                Progress::Durable
            } else {
                Progress::Buffered
            };
        }
    }

    /// Notes sealed packs that lie over the tree. They say nothing new: no sync has to wait for them, but an
    /// intent does not follow on them.
    pub(crate) fn sealed(&mut self, keys: impl Iterator<Item = Vec<u8>>) {
        self.sealed.extend(keys);
        if matches!(self.progress, Progress::Durable) {
            self.progress = Progress::Buffered;
        }
    }

    /// Takes the keys of sealed packs, because the tree gets them now.
    pub(crate) fn take_sealed(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sealed)
    }

    /// Notes that the last commit is durable in the tree. Sealed packs may still lie over it.
    pub(crate) fn reached(&mut self, meta: &MetaRecord) {
        debug_assert!(meta.seq >= self.durable.seq, "the tree never goes back");
        let sealed = self.take_sealed();
        *self = Self {
            sealed,
            ..Self::all(meta)
        };
    }

    /// True if a power cut may take something that is not an intent.
    fn may_lose(&self) -> bool {
        !matches!(self.progress, Progress::Durable) || !self.sealed.is_empty()
    }

    /// True if an intent is as right on the last durable commit as on the one before it.
    fn spares(&self, batch: &Batch, changes: &KvBatch) -> bool {
        let is_changed = |key: &Vec<u8>| {
            let in_flight = match &self.progress {
                Progress::InFlight { changed, .. } => changed.contains(key),
                Progress::Durable | Progress::Buffered => false,
            };
            in_flight || self.changed.contains(key)
        };
        let is_free = |key: &Vec<u8>| match Tag::of(key) {
            Some(Tag::Meta | Tag::Moves) => true,
            Some(Tag::Outbox) => !is_changed(key),
            _ => false,
        };
        let entries = batch.outbox.values();
        let mut entries = entries.filter_map(|change| change.after.as_ref());
        changes.changes.keys().all(is_free)
            && entries.all(|entry| entry.conversation < self.durable.next_number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{CommitSeq, OutboxEntryId, OutboxState};
    use crate::store::format::key;
    use crate::store::tests::{at, local, send};
    use crate::store::types::batch::Change;
    use crate::store::types::entry::Entry;

    /// An act of a writer.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        /// Promises work of an entry.
        Intent {
            entry: u64,
        },
        /// Commits messages, and changes an entry.
        Small {
            entry: u64,
        },
        /// Commits many messages.
        Large,
        Seal,
        Sync,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0..4_u64).prop_map(|entry| Act::Intent { entry }),
            (0..4_u64).prop_map(|entry| Act::Small { entry }),
            Just(Act::Large),
            Just(Act::Seal),
            Just(Act::Sync),
        ]
    }

    /// The outbox as each commit left it: entry to the commit that wrote it last.
    type Rows = BTreeMap<u64, u64>;

    /// A record of the journal.
    struct Promise {
        seq: u64,
        base: Option<u64>,
        entry: u64,
    }

    /// A writer over a tree and a journal of which only the essence is there.
    struct World {
        machine: Durability,
        meta: MetaRecord,
        /// The outbox after each commit.
        history: Vec<Rows>,
        /// The commit that the tree has durably.
        durable: u64,
        /// The commit in flight.
        in_flight: Option<u64>,
        journal: Vec<Promise>,
    }

    impl World {
        fn new() -> Self {
            let meta = MetaRecord {
                next_number: 9,
                ..MetaRecord::default()
            };
            Self {
                machine: Durability::all(&meta),
                meta,
                history: vec![Rows::new()],
                durable: 0,
                in_flight: None,
                journal: Vec::new(),
            }
        }

        fn last(&self) -> Rows {
            self.history.last().cloned().unwrap_or_default()
        }

        fn push(&mut self, entry: Option<u64>) {
            self.meta.seq += 1;
            let mut rows = self.last();
            rows.extend(entry.map(|entry| (entry, self.meta.seq)));
            self.history.push(rows);
        }

        fn flight_ends(&mut self) {
            self.durable = self.in_flight.take().unwrap_or(self.durable);
            self.machine.flight_ended();
        }

        fn flush(&mut self) {
            self.flight_ends();
            self.machine.take_sealed();
            self.durable = self.meta.seq;
            self.machine.reached(&self.meta);
        }

        fn act(&mut self, act: Act) {
            match act {
                Act::Intent { entry } => {
                    let (batch, changes) = intent(entry);
                    if self.machine.must_flush_before(&batch, &changes) {
                        self.flush();
                    }
                    let base = self.machine.base();
                    self.push(Some(entry));
                    let seq = self.meta.seq;
                    self.journal.push(Promise { seq, base, entry });
                    self.machine.promised(&self.meta, 100);
                }
                Act::Small { entry } => {
                    self.flight_ends();
                    self.push(Some(entry));
                    self.machine.told(&intent(entry).1);
                    self.flush();
                }
                Act::Large => {
                    self.flight_ends();
                    self.push(None);
                    self.machine.take_sealed();
                    self.machine.sent(&self.meta);
                    self.in_flight = Some(self.meta.seq);
                }
                Act::Seal => self.machine.sealed(std::iter::once(vec![b'b'])),
                Act::Sync => {
                    if self.machine.is_in_flight(self.meta.seq) {
                        self.flight_ends();
                        self.machine.reached(&self.meta);
                    } else if self.machine.is_dirty() {
                        self.flush();
                    }
                }
            }
            assert!(self.machine.durable_seq() <= self.durable);
        }

        /// Cuts the power where the tree comes back as of one commit; gives the outbox.
        fn cut(&self, tree: u64) -> Result<Rows, String> {
            let mut rows = self.history[usize::try_from(tree).unwrap()].clone();
            let mut whole = tree;
            for promise in self.journal.iter().filter(|it| it.seq > tree) {
                match promise.base {
                    None if promise.seq > whole + 1 => {
                        return Err(format!("{} stands on lost commits", promise.seq));
                    }
                    Some(base) if base > tree => {
                        return Err(format!("{} lacks its base {base}", promise.seq));
                    }
                    _ => {}
                }
                if promise.seq == whole + 1 {
                    whole = promise.seq;
                }
                rows.insert(promise.entry, promise.seq);
            }
            Ok(rows)
        }
    }

    fn intent(entry: u64) -> (Batch, KvBatch) {
        let id = OutboxEntryId(entry);
        let mut batch = Batch::new(CommitSeq(0), 9, 9);
        let after = Some(Arc::new(Entry {
            id,
            conversation: ConversationNumber(1),
            token: local("l"),
            enqueued_at: at(1),
            tries: 0,
            in_doubt_since: None,
            state: OutboxState::Queued,
            intent: send("x"),
        }));
        batch.outbox.insert(
            id,
            Change {
                before: None,
                after,
            },
        );
        let mut changes = KvBatch::default();
        changes.put(key::meta(), Vec::new());
        changes.put(key::outbox(id), Vec::new());
        (batch, changes)
    }

    proptest! {
        /// After each act the power is cut, with each commit that the tree may come back to.
        #[test]
        fn a_power_cut_at_any_edge_loses_no_promise(
            acts in proptest::collection::vec(act(), 1..30)
        ) {
            let mut world = World::new();
            for act in acts {
                world.act(act);
                let upto = world.in_flight.unwrap_or(world.durable);
                for tree in [world.durable, upto] {
                    let left = world.cut(tree);
                    prop_assert!(left.is_ok(), "{:?} at {} after {:?}", left.err(), tree, act);
                    let left = left.unwrap_or_default();
                    for promise in &world.journal {
                        let there = left.get(&promise.entry).copied();
                        prop_assert!(there >= Some(promise.seq), "{} is lost", promise.seq);
                    }
                }
            }
        }
    }
}
