//! The ledger of earlier loads, with the time of each fact: a file beside the service's data. The service's own
//! records have no place for these facts, and without them a second source could not be joined.
//!
//! | tag | key after the tag | value |
//! |---|---|---|
//! | `m` | app, conversation, message | a [`Claim`], 42 bytes |
//! | `c` | app, conversation | a [`Known`], as JSON |
//! | `r` | app, conversation, message | the clients who alone see the message, as JSON |
//!
//! The ledger is written after the service's data. A crash between the two costs nothing: rows that are loaded
//! again are the same.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, TableDefinition};
use sampan::model::AppId;

use super::LoadError;
use crate::core::join::{Claim, ContentRank, Known};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("ledger");

/// The file in the data folder.
const FILE: &str = "sampan-migrate.redb";

pub(super) struct Ledger {
    path: PathBuf,
    database: Database,
    rows: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    batch: HashMap<Vec<u8>, Vec<u8>>,
}

impl Ledger {
    pub(super) fn open(data: &Path) -> Result<Self, LoadError> {
        let path = data.join(FILE);
        let failed = |error: &dyn Display| LoadError::Ledger {
            path: path.clone(),
            reason: error.to_string(),
        };
        let database = Database::create(&path).map_err(|error| failed(&error))?;
        let rows = (|| {
            let first = database.begin_write()?;
            first.open_table(ROWS)?;
            first.commit()?;
            Ok::<_, redb::Error>(database.begin_read()?.open_table(ROWS)?)
        })();
        let rows = rows.map_err(|error| failed(&error))?;
        Ok(Self {
            path,
            database,
            rows,
            batch: HashMap::new(),
        })
    }

    pub(super) fn claim(
        &self,
        app: &AppId,
        conversation: &str,
        id: &str,
    ) -> Result<Option<Claim>, LoadError> {
        let found = self.value(&message_key(b'm', app, conversation, id))?;
        let claim =
            found.map(|bytes| decode(&bytes).ok_or_else(|| self.failed(&"a row is damaged")));
        claim.transpose()
    }

    pub(super) fn put_claim(&mut self, app: &AppId, conversation: &str, id: &str, claim: &Claim) {
        self.batch
            .insert(message_key(b'm', app, conversation, id), encode(claim));
    }

    /// The clients who alone see a message; none for a message that every member sees.
    pub(super) fn readers(
        &self,
        app: &AppId,
        conversation: &str,
        id: &str,
    ) -> Result<BTreeSet<String>, LoadError> {
        let found = self.value(&message_key(b'r', app, conversation, id))?;
        let readers =
            found.map(|bytes| serde_json::from_slice(&bytes).map_err(|error| self.failed(&error)));
        Ok(readers.transpose()?.unwrap_or_default())
    }

    pub(super) fn put_readers(
        &mut self,
        app: &AppId,
        conversation: &str,
        id: &str,
        readers: &BTreeSet<String>,
    ) -> Result<(), LoadError> {
        let value = serde_json::to_vec(readers).map_err(|error| self.failed(&error))?;
        self.batch
            .insert(message_key(b'r', app, conversation, id), value);
        Ok(())
    }

    pub(super) fn known(
        &self,
        app: &AppId,
        conversation: &str,
    ) -> Result<Option<Known>, LoadError> {
        let found = self.value(&key(b'c', app, conversation))?;
        let known =
            found.map(|bytes| serde_json::from_slice(&bytes).map_err(|error| self.failed(&error)));
        known.transpose()
    }

    pub(super) fn put_known(
        &mut self,
        app: &AppId,
        conversation: &str,
        known: &Known,
    ) -> Result<(), LoadError> {
        let value = serde_json::to_vec(known).map_err(|error| self.failed(&error))?;
        self.batch.insert(key(b'c', app, conversation), value);
        Ok(())
    }

    /// Makes all new entries durable, together.
    pub(super) fn commit(&mut self) -> Result<(), LoadError> {
        let mut batch: Vec<_> = std::mem::take(&mut self.batch).into_iter().collect();
        batch.sort_unstable();
        let committed = (|| {
            let write = self.database.begin_write()?;
            {
                let mut rows = write.open_table(ROWS)?;
                for (key, value) in &batch {
                    rows.insert(key.as_slice(), value.as_slice())?;
                }
            }
            write.commit()?;
            Ok::<_, redb::Error>(self.database.begin_read()?.open_table(ROWS)?)
        })();
        self.rows = committed.map_err(|error| self.failed(&error))?;
        Ok(())
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LoadError> {
        if let Some(value) = self.batch.get(key) {
            return Ok(Some(value.clone()));
        }
        let found = self.rows.get(key).map_err(|error| self.failed(&error))?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn failed(&self, error: &dyn Display) -> LoadError {
        LoadError::Ledger {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}

/// Texts carry their length in front, so one key is never another's.
fn key(tag: u8, app: &AppId, conversation: &str) -> Vec<u8> {
    let mut key = vec![tag];
    for text in [app.as_str(), conversation] {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        key.extend_from_slice(&length.to_be_bytes());
        key.extend_from_slice(text.as_bytes());
    }
    key
}

fn message_key(tag: u8, app: &AppId, conversation: &str, id: &str) -> Vec<u8> {
    let mut key = key(tag, app, conversation);
    key.extend_from_slice(id.as_bytes());
    key
}

fn encode(claim: &Claim) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(42);
    bytes.extend_from_slice(&claim.at.to_be_bytes());
    bytes.extend_from_slice(&claim.content.as_of.to_be_bytes());
    bytes.push(u8::from(claim.content.is_gone));
    bytes.extend_from_slice(&claim.content.digest);
    bytes.push(u8::from(claim.delivered_at.is_some()));
    bytes.extend_from_slice(&claim.delivered_at.unwrap_or(0).to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Claim> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = bytes.split_first_chunk::<N>()?;
        *bytes = rest;
        Some(*head)
    }
    let mut bytes = bytes;
    let at = i64::from_be_bytes(take(&mut bytes)?);
    let as_of = i64::from_be_bytes(take(&mut bytes)?);
    let [is_gone] = take(&mut bytes)?;
    let digest = take(&mut bytes)?;
    let [has_delivered] = take(&mut bytes)?;
    let delivered_at = i64::from_be_bytes(take(&mut bytes)?);
    Some(Claim {
        at,
        content: ContentRank {
            as_of,
            is_gone: is_gone != 0,
            digest,
        },
        delivered_at: (has_delivered != 0).then_some(delivered_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_comes_back_as_it_went() {
        for delivered_at in [None, Some(5)] {
            let content = ContentRank {
                as_of: -3,
                is_gone: true,
                digest: [7; 16],
            };
            let claim = Claim {
                at: 9,
                content,
                delivered_at,
            };
            assert_eq!(decode(&encode(&claim)), Some(claim));
        }
        assert_eq!(decode(b"short"), None);
    }
}
