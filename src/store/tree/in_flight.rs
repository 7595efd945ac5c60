//! A batch in flight: readers see the batch before the tree has it.
//!
//! The thread that syncs puts a large commit into the tree, while the engine prepares the next commit. Until
//! then the batch lies over the tree, like intents that the tree does not have yet (`tree/pending.rs`). A
//! reader sees all of the batch or nothing, however much of it the tree has.

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
