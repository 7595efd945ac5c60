//! The options of opening a client's store.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::{ClientId, Timestamp};
use crate::store::format::cipher::StoreKey;
use crate::store::tree::CACHE_BYTES;

/// The place of a client's store, and the way of opening it.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The folder, made if missing. One client, one folder.
    pub folder: PathBuf,
    /// The client whose store it is.
    pub owner: ClientId,
    /// Memory for the tree's cache, in bytes. The process needs about twice as much, and six tenths of it for
    /// decoded values: `docs/store.md` has the bounds.
    pub cache_bytes: u64,
    /// The most bytes that the store should take on disk; none for no limit.
    /// [`Writer::tend`](crate::store::Writer::tend) keeps to it, except for the data that must stay: see
    /// `docs/store.md`.
    pub disk_budget: Option<u64>,
    /// The key of an encrypted store; none for one that is not.
    pub key: Option<StoreKey>,
    /// The time now, to name files that are set aside.
    pub now: Timestamp,
    /// The time that opening the database may take before it counts as damaged. Default: 60 s, for a slow phone
    /// with a large store.
    pub open_timeout: Duration,
}

impl StoreOptions {
    /// Options with every default: a cache of 16 MiB, no disk budget, no encryption.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, owner: ClientId, now: Timestamp) -> Self {
        Self {
            folder: folder.into(),
            owner,
            cache_bytes: CACHE_BYTES,
            disk_budget: None,
            key: None,
            now,
            open_timeout: Duration::from_secs(60),
        }
    }
}
