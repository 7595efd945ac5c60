//! How many bytes each app has, counted once and then kept up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::name::AppFolder;
use super::store::{FileStore, StoreError};

/// The bytes of all apps that were asked for.
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

/// Bytes that an upload takes; given back when it fails.
#[derive(Debug)]
pub(super) struct Reserved {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Reserved {
    pub(super) const fn new(used: Arc<AtomicU64>) -> Self {
        Self { used, bytes: 0 }
    }

    /// Takes more bytes, where the app has then no more than `max`.
    pub(super) fn take(&mut self, more: u64, max: u64) -> bool {
        let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= max);
        let order = Ordering::Relaxed;
        let taken = self.used.fetch_update(order, order, fits).is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// The bytes stay.
    pub(super) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        give_back(&self.used, self.bytes);
    }
}

/// Bytes that are gone.
pub(super) fn give_back(used: &AtomicU64, bytes: u64) {
    let less = |used: u64| Some(used.saturating_sub(bytes));
    // Some number always comes out of it.
    let _ = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}
