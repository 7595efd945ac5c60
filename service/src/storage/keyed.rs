//! [`Keyed`]: a storage over any ordered map of bytes, with the batch as an overlay.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;

use serde::de::DeserializeOwned;

use super::codec::decode;
use super::key::{self, Key};
use super::{Order, StorageError, Work};

/// The schema that this build writes.
const SCHEMA: u8 = 3;

/// A key with its value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// The changes of a batch: for each key a new value, or none.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An ordered map of bytes: the two embedded storages differ in it alone. Takes a batch of changes at once.
pub trait Map {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The rows from `from` (included) to `to` (not included).
    fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
        order: Order,
    ) -> Result<Box<dyn Iterator<Item = Result<Row, StorageError>> + 'a>, StorageError>;

    /// The committed rows, to be read on another thread.
    fn frozen(&self) -> Result<Box<dyn Frozen>, StorageError>;

    /// Makes all changes durable together.
    fn commit(&mut self, changes: Changes) -> Result<(), StorageError>;

    /// Puts the map in order, a little, at rest; answers whether it is not done yet.
    fn rest(&mut self) -> Result<bool, StorageError> {
        Ok(false)
    }

    /// True if the map works, as far as is known.
    fn is_sound(&self) -> bool {
        true
    }

    /// Opens the map anew after a failure.
    fn recover(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Committed rows as they were at one moment.
pub trait Frozen: Send {
    /// Hands out all rows in the order of their keys.
    fn each(&self, take: &mut TakeRow<'_>) -> Result<(), StorageError>;

    /// True if each row has a checksum that is looked at when the row is read.
    fn has_checksums(&self) -> bool {
        false
    }
}

/// Takes a row: its key and its value.
pub(super) type TakeRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StorageError> + 'a;

/// The storage over a map. Applied writes lie in `batch` until they are committed.
#[derive(Debug)]
pub struct Keyed<M> {
    map: M,
    pub(super) batch: Changes,
    /// The work of reading so far; reading changes nothing else.
    read: Cell<Work>,
    written: u64,
}

impl<M: Map> Keyed<M> {
    /// Opens the storage: checks the schema, or writes it into an empty map.
    pub(super) fn open(map: M) -> Result<Self, StorageError> {
        let mut storage = Self {
            map,
            batch: Changes::new(),
            read: Cell::default(),
            written: 0,
        };
        let schema = key::schema().into_bytes();
        match storage.map.get(&schema)?.as_deref() {
            Some(&[SCHEMA]) => {}
            Some(&[1 | 2]) => {
                storage.upgrade()?;
                storage.batch.insert(schema, Some(vec![SCHEMA]));
                storage.commit_now()?;
            }
            Some(&[found]) if found > SCHEMA => {
                return Err(StorageError::NewerSchema {
                    found,
                    known: SCHEMA,
                });
            }
            Some(_) => {
                return Err(StorageError::Damaged {
                    what: "the schema number is unknown",
                });
            }
            None => {
                // Empty, or saved from a damaged file, which an older build may have written.
                storage.upgrade()?;
                storage.batch.insert(schema, Some(vec![SCHEMA]));
                storage.commit_now()?;
            }
        }
        Ok(storage)
    }

    /// Ends, and gives the map back.
    #[cfg(test)]
    pub(super) fn into_map(self) -> M {
        self.map
    }

    #[cfg(test)]
    pub(super) const fn map_mut(&mut self) -> &mut M {
        &mut self.map
    }

    pub(super) fn commit_now(&mut self) -> Result<(), StorageError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.map.commit(std::mem::take(&mut self.batch))
    }

    pub(super) fn frozen(&self) -> Result<Box<dyn Frozen>, StorageError> {
        self.map.frozen()
    }

    pub(super) fn rest_now(&mut self) -> Result<bool, StorageError> {
        self.map.rest()
    }

    pub(super) fn map_is_sound(&self) -> bool {
        self.map.is_sound()
    }

    /// Opens the map anew, and tries whether it keeps new data.
    pub(super) fn recover_now(&mut self) -> Result<(), StorageError> {
        self.batch.clear();
        self.map.recover()?;
        self.batch
            .insert(key::schema().into_bytes(), Some(vec![SCHEMA]));
        self.commit_now()
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        let key = key.clone().into_bytes();
        let found = match self.batch.get(&key) {
            Some(changed) => changed.clone(),
            None => self.map.get(&key)?,
        };
        self.count_read(1, found.as_ref().map_or(0, Vec::len));
        Ok(found)
    }

    /// Everything that was read and written so far.
    pub(super) fn work_so_far(&self) -> Work {
        Work {
            written_bytes: self.written,
            ..self.read.get()
        }
    }

    fn count_read(&self, rows: usize, bytes: usize) {
        let mut read = self.read.get();
        read.rows += rows as u64;
        read.bytes += bytes as u64;
        self.read.set(read);
    }

    fn count_written(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    pub(super) fn record<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StorageError> {
        self.get(key)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Up to `limit` rows of map and batch together.
    pub(super) fn rows(
        &self,
        from: &[u8],
        to: &[u8],
        order: Order,
        limit: usize,
    ) -> Result<Vec<Row>, StorageError> {
        let mut rows = Vec::new();
        if from >= to || limit == 0 {
            return Ok(rows);
        }
        let below = self.map.range(from, to, order)?;
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let above = self.batch.range::<[u8], _>(bounds);
        match order {
            Order::OldestFirst => merge(below, above, order, limit, &mut rows)?,
            Order::NewestFirst => merge(below, above.rev(), order, limit, &mut rows)?,
        }
        let bytes = rows.iter().map(|(key, value)| key.len() + value.len());
        self.count_read(rows.len() + 1, bytes.sum());
        Ok(rows)
    }

    /// Up to `limit` rows whose keys start with `prefix`.
    pub(super) fn under(&self, prefix: &Key, limit: usize) -> Result<Vec<Row>, StorageError> {
        let (from, to) = (prefix.clone().into_bytes(), prefix.clone().end());
        self.rows(&from, &to, Order::OldestFirst, limit)
    }

    pub(super) fn put(&mut self, key: Key, value: Vec<u8>) {
        self.count_written(key.len() + value.len());
        self.batch.insert(key.into_bytes(), Some(value));
    }

    pub(super) fn drop_row(&mut self, key: Key) {
        self.drop_bytes(key.into_bytes());
    }

    pub(super) fn drop_bytes(&mut self, key: Vec<u8>) {
        self.count_written(key.len());
        self.batch.insert(key, None);
    }

    pub(super) fn drop_under(&mut self, prefix: &Key) -> Result<(), StorageError> {
        for (key, _) in self.under(prefix, usize::MAX)? {
            self.drop_bytes(key);
        }
        Ok(())
    }
}

/// A row that names a text that can be no id.
pub(super) const DAMAGED_ID: StorageError = StorageError::Damaged {
    what: "a row has an illegal id",
};

/// Merges two ordered runs of rows; the upper one wins where both have a key.
fn merge<'a>(
    below: impl Iterator<Item = Result<Row, StorageError>>,
    above: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    order: Order,
    limit: usize,
    rows: &mut Vec<Row>,
) -> Result<(), StorageError> {
    let mut below = below.peekable();
    let mut above = above.peekable();
    while rows.len() < limit {
        let from_above = match (below.peek(), above.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => false,
            (None, Some(_)) | (Some(Err(_)), Some(_)) => true,
            (Some(Ok((lower, _))), Some((upper, _))) => match order {
                Order::OldestFirst => *upper <= lower,
                Order::NewestFirst => *upper >= lower,
            },
        };
        if from_above {
            let Some((key, value)) = above.next() else {
                return Ok(());
            };
            // The same key below is hidden by the one above.
            below.next_if(|row| row.as_ref().is_ok_and(|(lower, _)| lower == key));
            if let Some(value) = value {
                rows.push((key.clone(), value.clone()));
            }
        } else if let Some(row) = below.next() {
            rows.push(row?);
        }
    }
    Ok(())
}
