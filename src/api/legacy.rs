//! The caches that older SDKs left on this device.

use std::sync::Arc;

use crate::SampanError;
use crate::runtime::{Import, LegacyProgress, LegacyReport, LegacySource, Watched};

use super::client::Client;

/// Shows the progress of an import and cancels it: pass one to `import_legacy` and keep it.
#[derive(Debug, uniffi::Object)]
pub struct LegacyWatch {
    watched: Arc<Watched>,
}

#[uniffi::export]
impl LegacyWatch {
    /// A watch for one import.
    #[uniffi::constructor]
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            watched: Arc::default(),
        })
    }

    /// The present progress.
    #[must_use]
    pub fn progress(&self) -> LegacyProgress {
        self.watched.progress()
    }

    /// Cancels the import soon: the call then returns a report of everything that was stored.
    pub fn cancel(&self) {
        self.watched.cancel();
    }
}

#[uniffi::export]
impl Client {
    /// Imports the cache of an older SDK on this device for this client: conversations, messages, and messages that
    /// were never sent. Works without a connection.
    ///
    /// The file is not changed: the call reads a copy of the file and its journals in the client's folder, and
    /// removes the copy. The device needs room for the copy and for the messages. Messages keep their ids and
    /// times, so the service's history brings no second copy of them. Data from the service win over a cache, and a
    /// later edit wins over an earlier one. Caches may be imported in any order and repeatedly. Imported messages
    /// do not count as unread. Where a cache claims that nothing is missing between two of its messages, no gap
    /// shows there until the service has answered for that part of the history.
    ///
    /// A message that was never sent becomes a failed entry of the outbox and is never sent by itself: the app
    /// retries or discards it. A discarded message does not come back with a second import. A file of such a message
    /// that the old SDK had not uploaded is copied into the client's folder, and is uploaded when the app retries the
    /// message. Where that file is gone, the failure says so.
    ///
    /// 100,000 messages take some seconds. Everything that the report counts as stored is durable on return.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file; `InvalidArgument` when the file is no database, or its name belongs
    /// to another client or another app; `StoreUnavailable` when there is no room, or while the store takes no
    /// writes: the same call again continues; `SignedOut`, `ShutDown`.
    #[uniffi::method(default(watch = None))]
    pub async fn import_legacy(
        &self,
        source: LegacySource,
        watch: Option<Arc<LegacyWatch>>,
    ) -> Result<LegacyReport, SampanError> {
        let watched = watch.map_or_else(Arc::default, |watch| Arc::clone(&watch.watched));
        let import = Import { source, watched };
        let (runtime, core) = self.parts();
        runtime.outside(runtime.import_legacy(core, import)).await
    }
}
