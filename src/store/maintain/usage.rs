//! The size of a store on disk: its measurement, and its consequences for maintenance.

use std::ops::{Bound, ControlFlow};

use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::conversation_value::Parts;
use crate::store::format::key::Tag;
use crate::store::format::record::CensusRecord;
use crate::store::read::store::Store;
use crate::store::state::Tables;
use crate::store::tree::Direction;

/// The space that a store takes on this device's disk, and the uses of that space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
#[non_exhaustive]
pub struct StorageUsage {
    /// The bytes of all its files.
    pub file_bytes: u64,
    /// The bytes of the content: less than the files, which give space back when they are compacted.
    pub live_bytes: u64,
    /// The bytes of damaged files that were set aside, which the budget does not count.
    pub set_aside_bytes: u64,
    /// The budget that the store keeps to; none without one.
    pub budget_bytes: Option<u64>,
    /// Conversations held.
    pub conversations: u64,
    /// Messages held, unsent ones apart.
    pub messages: u64,
    /// Entries of the outbox.
    pub unsent: u64,
}

/// How many keys are counted at a time: readers and the writer wait for no more.
const KEYS_AT_ONCE: usize = 512;

/// How many bytes of keys and values are counted at a time.
const BYTES_AT_ONCE: usize = 512 * 1024;

/// A count of a tree under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    /// The bytes of keys and values.
    pub(crate) live: u64,
    pub(crate) conversations: u64,
    pub(crate) messages: u64,
    /// The last key that was counted.
    from: Vec<u8>,
}

impl Count {
    /// Counts some more. True when nothing is left.
    pub(crate) fn go_on(&mut self, tables: &Tables, codec: &Codec) -> Result<bool, StoreError> {
        let from = std::mem::take(&mut self.from);
        let (mut keys, mut bytes, mut ended) = (0_usize, 0_usize, true);
        let mut seen = Vec::new();
        let range = (Bound::Excluded(&from[..]), Bound::Unbounded);
        tables.scan(range, Direction::Forward, &mut |key, value| {
            if keys >= KEYS_AT_ONCE || bytes >= BYTES_AT_ONCE {
                ended = false;
                return ControlFlow::Break(());
            }
            keys += 1;
            bytes += key.len() + value.len();
            self.from = key.to_vec();
            seen.push(key.to_vec());
            if Tag::of(key) == Some(Tag::Conversation) {
                self.conversation(key, value, codec);
            }
            ControlFlow::Continue(())
        })?;
        tables.kv.let_go(&mut seen.iter().map(Vec::as_slice))?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.live += bytes;
        Ok(ended)
    }

    /// A removed conversation has no payload, and a damaged one is not counted.
    fn conversation(&mut self, key: &[u8], value: &[u8], codec: &Codec) {
        let payload = codec.open(key, value).unwrap_or_default();
        if let Ok(row) = Parts::of(&payload).and_then(|parts| parts.row()) {
            self.conversations += 1;
            self.messages += u64::from(row.held_count());
        }
    }
}

impl Store {
    /// The space that the store takes on disk, counted now: every value is looked at, in small parts between
    /// which commits go on. The count blocks, for about a second where a million messages are held.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store can't be read.
    pub fn usage(&self) -> Result<StorageUsage, StoreError> {
        let mut count = Count::default();
        loop {
            let tables = self.shared.read();
            let counted = count.go_on(&tables, &self.shared.codec);
            if self.shared.noting(counted)? {
                break;
            }
        }
        let sizes = self.shared.disk.sizes();
        let sizes =
            sizes.map_err(|error| StoreError::io("looking at the store's files", &error))?;
        let sum = |set_aside: bool| {
            let some = sizes
                .iter()
                .filter(|(name, _)| !set_aside || is_set_aside(name));
            some.map(|(_, bytes)| *bytes).fold(0, u64::saturating_add)
        };
        Ok(StorageUsage {
            file_bytes: sum(false),
            live_bytes: count.live,
            set_aside_bytes: sum(true),
            budget_bytes: self.shared.budget(),
            conversations: count.conversations,
            messages: count.messages,
            unsent: u64::try_from(self.snapshot().outbox_len()).unwrap_or(u64::MAX),
        })
    }
}

fn is_set_aside(name: &str) -> bool {
    name.contains(".bad-")
}

/// A tree that is smaller is left alone, however little of it is alive.
const SMALL: u64 = 16 * 1024 * 1024;

/// The bytes of the smallest tree on disk: a segment.
const FLOOR: u64 = 512 * 1024;

/// The most bytes that a compacted tree takes beside [`FLOOR`] and its live bytes, however much is alive:
/// segments that its copying left free, which the next messages fill.
const FREE_MAX: u64 = 6 * 1024 * 1024;

/// The size of a compacted tree in thousandths of its live bytes, until the size was measured.
const SPREAD: u64 = 1_080;

/// The next thing to do about a tree's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// The live bytes are unknown.
    Census,
    /// Old messages have to go, so many bytes.
    Evict {
        /// The bytes.
        bytes: u64,
    },
    /// A compaction would make the tree much smaller.
    Compact,
}

/// The live bytes of the tree at a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) live: u64,
    pub(crate) file: u64,
    pub(crate) spread: u64,
}

impl Census {
    pub(crate) fn of_record(record: CensusRecord) -> Self {
        let spread = if record.spread == 0 {
            SPREAD
        } else {
            record.spread
        };
        Self {
            live: record.live,
            file: record.file,
            spread: spread.clamp(1_000, 32_000),
        }
    }

    pub(crate) const fn record(self, idle_sealed_at: u64) -> CensusRecord {
        CensusRecord {
            live: self.live,
            file: self.file,
            spread: self.spread,
            idle_sealed_at,
        }
    }

    /// The census of a tree that was just counted, or just compacted; a compacted tree shows the size that
    /// compacting leaves.
    pub(crate) fn new(live: u64, file: u64, before: Option<Self>) -> Self {
        Self {
            live,
            file,
            spread: before.map_or(SPREAD, |before| before.spread),
        }
    }

    pub(crate) fn compacted(live: u64, file: u64) -> Self {
        let spread = file.saturating_sub(beside(live)).saturating_mul(1_000) / live.max(1);
        Self::of_record(CensusRecord {
            live,
            file,
            spread: spread.max(1_000),
            idle_sealed_at: 0,
        })
    }

    /// True if compacting a tree of that size gives space back worth mentioning.
    pub(crate) fn would_shrink(self, file: u64) -> bool {
        file.saturating_sub(self.expected()) >= file / 8
    }

    /// The bytes that the tree would take if it were compacted.
    fn expected(self) -> u64 {
        let spread = self.live.saturating_mul(self.spread) / 1_000;
        spread.saturating_add(beside(self.live))
    }
}

/// The bytes that a compacted tree takes beside its live bytes.
fn beside(live: u64) -> u64 {
    FLOOR.saturating_add(live.min(FREE_MAX))
}

/// True if a tree of that size is too large for the budget: messages still come while room is made, so the last
/// sixteenth is for them.
pub(crate) const fn is_over(file: u64, budget: u64) -> bool {
    file > budget - budget / 16
}

/// Decides the work on a tree that takes `file` bytes. A budget is kept with a quarter to spare. Without a
/// budget a compaction must give back a quarter. Both keep compactions rare, because a compaction writes twice
/// the live bytes.
pub(crate) fn need(file: u64, census: Option<Census>, budget: Option<u64>) -> Need {
    let over = budget.filter(|budget| is_over(file, *budget));
    if over.is_none() && file <= SMALL {
        return Need::Nothing;
    }
    // So often as the tree has grown by a quarter.
    let counted = census.filter(|it| file < it.file.saturating_add(it.file / 4).max(1));
    let Some(census) = counted else {
        return Need::Census;
    };
    let expected = census.expected();
    let Some(budget) = over else {
        return if expected <= file / 4 * 3 {
            Need::Compact
        } else {
            Need::Nothing
        };
    };
    let low = budget / 4 * 3;
    if expected > low {
        let excess = expected.saturating_sub(low).saturating_mul(1_000);
        let bytes = excess.div_ceil(census.spread);
        return Need::Evict {
            bytes: bytes.max(1),
        };
    }
    if census.would_shrink(file) {
        Need::Compact
    } else {
        Need::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1024 * 1024;

    fn census(live: u64, file: u64) -> Option<Census> {
        Some(Census::new(live, file, None))
    }

    #[test]
    fn a_small_tree_is_left_alone_and_a_large_one_is_counted_as_often_as_it_has_grown() {
        assert_eq!(need(16 * MB, None, None), Need::Nothing);
        assert_eq!(need(17 * MB, None, None), Need::Census);
        let counted = census(70 * MB, 80 * MB);
        assert_eq!(need(80 * MB, counted, None), Need::Nothing);
        assert_eq!(need(99 * MB, counted, None), Need::Nothing);
        assert_eq!(need(100 * MB, counted, None), Need::Census);
    }

    #[test]
    fn a_tree_is_compacted_if_that_gives_a_quarter_of_it_back() {
        assert_eq!(need(80 * MB, census(50 * MB, 80 * MB), None), Need::Nothing);
        assert_eq!(need(80 * MB, census(49 * MB, 80 * MB), None), Need::Compact);
    }

    #[test]
    fn what_was_compacted_is_not_compacted_again_before_it_has_grown_by_a_third() {
        for (live, file) in [(1, 20), (10, 17), (40, 49), (40, 80), (400, 450)] {
            let compacted = Some(Census::compacted(live * MB, file * MB));
            for more in 0..33 {
                let file = (file + file * more / 100) * MB;
                let need = need(file, compacted, None);
                assert_ne!(need, Need::Compact, "{live} in {file}");
            }
        }
    }

    #[test]
    fn over_the_budget_it_is_compacted_if_that_is_enough_and_else_old_messages_go() {
        let budget = Some(40 * MB);
        // The last sixteenth of the budget is for what comes meanwhile.
        assert_eq!(
            need(37 * MB, census(30 * MB, 37 * MB), budget),
            Need::Nothing
        );
        assert_eq!(need(38 * MB, None, budget), Need::Census);
        assert_eq!(need(41 * MB, None, budget), Need::Census);
        assert_eq!(
            need(41 * MB, census(15 * MB, 41 * MB), budget),
            Need::Compact
        );
        let Need::Evict { bytes } = need(41 * MB, census(30 * MB, 41 * MB), budget) else {
            panic!("nothing is evicted");
        };
        let left = census(30 * MB - bytes, 41 * MB);
        assert_eq!(need(41 * MB, left, budget), Need::Compact);
    }

    #[test]
    fn what_a_compaction_measured_is_believed_from_then_on() {
        let budget = Some(40 * MB);
        let measured = Census::compacted(15 * MB, 45 * MB);
        assert!(matches!(
            need(45 * MB, Some(measured), budget),
            Need::Evict { .. }
        ));
        let record = measured.record(7);
        assert_eq!(Census::of_record(record), measured);
    }
}
