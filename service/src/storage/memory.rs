//! The storage in memory: the same rows and the same rules, gone with the process.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::keyed::{Changes, Frozen, Keyed, Map, Row, TakeRow};
use super::{Order, StorageError};

/// A [`Storage`](super::Storage) that keeps everything in memory and never waits.
pub type MemoryStorage = Keyed<MemoryMap>;

impl MemoryStorage {
    /// An empty storage.
    ///
    /// # Errors
    ///
    /// None in practice; the signature is that of any storage that opens.
    pub fn empty() -> Result<Self, StorageError> {
        Self::open(MemoryMap::default())
    }

    /// A storage of these rows.
    #[cfg(test)]
    pub(super) fn of_rows(rows: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Self, StorageError> {
        Self::open(MemoryMap(rows))
    }

    /// All rows that were committed.
    #[cfg(test)]
    pub(super) fn into_rows(self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.into_map().0
    }
}

/// Committed rows in a sorted map.
#[derive(Clone, Debug, Default)]
pub struct MemoryMap(BTreeMap<Vec<u8>, Vec<u8>>);

impl Map for MemoryMap {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.get(key).cloned())
    }

    fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
        order: Order,
    ) -> Result<Box<dyn Iterator<Item = Result<Row, StorageError>> + 'a>, StorageError> {
        let rows = self
            .0
            .range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
            .map(|(key, value)| Ok((key.clone(), value.clone())));
        Ok(match order {
            Order::OldestFirst => Box::new(rows),
            Order::NewestFirst => Box::new(rows.rev()),
        })
    }

    fn frozen(&self) -> Result<Box<dyn Frozen>, StorageError> {
        Ok(Box::new(self.clone()))
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StorageError> {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        Ok(())
    }
}

impl Frozen for MemoryMap {
    fn each(&self, take: &mut TakeRow<'_>) -> Result<(), StorageError> {
        self.0.iter().try_for_each(|(key, value)| take(key, value))
    }
}
