//! The number of bytes of each app: counted in the store once, then changed with each upload and removal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::name::AppFolder;
use super::store::{FileStore, StoreError};

/// The numbers of bytes of the apps that were asked for.
#[derive(Debug, Default)]
pub(super) struct Usage(Mutex<HashMap<AppFolder, Arc<OnceCell<Arc<AtomicU64>>>>>);

impl Usage {
    /// The bytes of an app, counted in the store the first time.
    pub(super) async fn of(
        &self,
        app: AppFolder,
        store: &dyn FileStore,
    ) -> Result<Arc<AtomicU64>, StoreError> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(app).or_default())
        };
        let count = async || {
            store
                .usage(app)
                .await
                .map(|bytes| Arc::new(AtomicU64::new(bytes)))
        };
        cell.get_or_try_init(count).await.map(Arc::clone)
    }
}

/// Bytes that are counted for an upload, and given back if the upload fails.
#[derive(Debug)]
pub(super) struct Reserved {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Reserved {
    pub(super) const fn new(used: Arc<AtomicU64>) -> Self {
        Self { used, bytes: 0 }
    }

    /// Counts more bytes, if the app has no more than `max` then.
    pub(super) fn take(&mut self, more: u64, max: u64) -> bool {
        let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= max);
        let order = Ordering::Relaxed;
        let taken = self.used.fetch_update(order, order, fits).is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// The upload succeeded: the bytes stay counted.
    pub(super) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        give_back(&self.used, self.bytes);
    }
}

/// Subtracts bytes that were removed.
pub(super) fn give_back(used: &AtomicU64, bytes: u64) {
    let less = |used: u64| Some(used.saturating_sub(bytes));
    // The function always gives a number, so the update never fails.
    let _ = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}
