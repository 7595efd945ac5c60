//! A batch on its way into the tree: readers see it before it is there.
//!
//! A large commit is put into the tree by the thread that syncs, while the next one is made ready.
//! Until then it lies over the tree, as what the tree was not told lies over it (`tree/pending.rs`):
//! a reader sees all of it or nothing, however much of it the tree has.

use std::sync::{Arc, PoisonError, RwLock};

use crate::store::tree::ApplyRequest;

/// The batch on its way, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<RwLock<Option<Arc<ApplyRequest>>>>);

impl InFlight {
    /// Sends a batch on its way.
    pub(crate) fn send(&self, load: ApplyRequest) {
        self.put(Some(Arc::new(load)));
    }

    /// The batch on its way. A batch that did not come through is still on its way.
    pub(crate) fn load(&self) -> Option<Arc<ApplyRequest>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The tree has it.
    pub(crate) fn arrived(&self) {
        self.put(None);
    }

    fn put(&self, load: Option<Arc<ApplyRequest>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = load;
    }
}
