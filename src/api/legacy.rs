//! The caches that older SDKs left on this device.

use std::sync::Arc;

use crate::SampanError;
use crate::runtime::{Import, LegacyProgress, LegacyReport, LegacySource, Watched};

use super::client::Client;

/// How far an import is, and the way to cancel it: hand one to `import_legacy` and keep it.
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

    /// How far it is now.
    #[must_use]
    pub fn progress(&self) -> LegacyProgress {
        self.watched.progress()
    }

    /// Ends the import soon: the call returns a report of what was stored until then.
    pub fn cancel(&self) {
        self.watched.cancel();
    }
}

#[uniffi::export]
impl Client {
    /// Takes over what an older SDK cached on this device for this client: conversations, messages, and
    /// messages that were never sent. Works without a connection.
    ///
    /// The file is not changed: a copy in the client's folder is read, with its journals, and removed. The
    /// device needs room for the copy and for the messages. Messages keep their ids and times, so the
    /// service's history meets the same messages. The service's word counts more than a cache's, and a later edit
    /// more than an earlier one; caches may be imported in any order and again. Nothing is counted as unread. Where a
    /// cache claims that nothing is missing between two of its messages, no gap is shown there, until the service is
    /// asked for that part of the history.
    ///
    /// A message that was never sent is in the outbox as a failed one and is never sent by itself: the app retries or
    /// discards it. A discarded message does not come back with a second import.
    ///
    /// 100,000 messages take some seconds. Everything that the report counts as stored is durable on return.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file; `InvalidArgument` when it is no database, or its name says that
    /// it is another client's or another app's; `StoreUnavailable` when there is no room, or while the store
    /// takes no writes: the same call again goes on; `SignedOut`, `ShutDown`.
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
