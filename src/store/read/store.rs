//! A store to read.

use std::sync::Arc;

use crate::model::{ClientId, CommitSeq, StoreHealth};
use crate::store::error::StoreError;
use crate::store::files::FileKey;
use crate::store::read::snapshot::Snapshot;
use crate::store::state::Shared;

/// A client's store, to read. Clones are cheap and share it; any thread may read at any time.
#[derive(Clone, Debug)]
pub struct Store {
    pub(in crate::store) shared: Arc<Shared>,
}

impl Store {
    /// Everything as the last commit left it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            tables: self.shared.read(),
            shared: &self.shared,
            batch: None,
        }
    }

    /// The client whose store this is.
    #[must_use]
    pub fn owner(&self) -> &ClientId {
        &self.shared.owner
    }

    /// The last commit.
    #[must_use]
    pub fn seq(&self) -> CommitSeq {
        self.shared.read().seq()
    }

    /// The health of the store: only a good store takes writes.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.shared.health()
    }

    /// The number of reads that met a damaged record since the store was opened. Such a record is dropped,
    /// never returned; in a timeline a gap takes its place.
    #[must_use]
    pub fn damaged_reads(&self) -> u64 {
        self.shared.damaged()
    }

    /// The bytes that the store takes on disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the operating system does not say.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        self.shared.read().kv.size_bytes()
    }

    /// The key of the files beside the store; none without encryption. A change of the app's key does not
    /// change this key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the key can't be derived.
    pub fn file_key(&self) -> Result<Option<FileKey>, StoreError> {
        let Some(cipher) = &self.shared.codec.cipher else {
            return Ok(None);
        };
        let key = cipher.file_key();
        let key = key.ok_or_else(|| StoreError::damaged("no key for files"))?;
        Ok(Some(FileKey::new(key)))
    }
}
