//! The driver of a list of unsent work: reads the list when the app asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::live::{self, Live, WatchedView};
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::store::{ConversationNumber, Store};
use crate::views::{Holds, OutboxUpdate, OutboxView, Reach, Uploads, Version};

/// A list of unsent work that is being watched.
#[derive(Debug)]
pub(crate) struct LiveOutbox {
    live: Live,
    view: Mutex<OutboxView>,
}

impl LiveOutbox {
    /// Opens a list: its rows are read on return.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) async fn open(
        runtime: &Arc<Runtime>,
        client: &Arc<ClientCore>,
    ) -> Result<Arc<Self>, SampanError> {
        let outbox = Arc::new(Self {
            live: Live::new(runtime, client),
            view: Mutex::new(OutboxView::new()),
        });
        let (own, reach, holds) = (Arc::clone(&outbox), client.reach(), client.board.holds());
        let uploads = client.board.uploads();
        let first = runtime.read(client, move |store| {
            own.read(store, reach, &holds, &uploads)
        });
        first.await?;
        Ok(outbox)
    }

    fn view(&self) -> MutexGuard<'_, OutboxView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(
        &self,
        store: &Store,
        reach: Reach,
        holds: &Holds,
        uploads: &Arc<Uploads>,
    ) -> Result<(), SampanError> {
        let mut view = self.view();
        if view.is_fresh(store.seq(), reach, holds, uploads) {
            return Ok(());
        }
        Ok(view.refresh(&store.snapshot(), reach, holds, uploads)?)
    }

    /// The changes since a version, once there are any; none when the view has ended.
    pub(crate) async fn next(self: &Arc<Self>, have: Version) -> Option<OutboxUpdate> {
        live::next(self, have).await
    }

    /// Ends the view, and wakes the waiting calls.
    pub(crate) fn end(&self) {
        self.live.end();
    }
}

impl WatchedView for LiveOutbox {
    type Update = OutboxUpdate;

    fn live(&self) -> &Live {
        &self.live
    }

    fn concerns(&self) -> Option<ConversationNumber> {
        None
    }

    async fn refresh(self: &Arc<Self>) {
        let (Some(reach), Some(holds)) = (self.live.reach(), self.live.holds()) else {
            return;
        };
        let Some(uploads) = self.live.uploads() else {
            return;
        };
        let own = Arc::clone(self);
        let read = move |store: &Store| own.read(store, reach, &holds, &uploads);
        let read = self.live.read(read);
        if let Some(Err(error)) = read.await {
            log::warn!("the list of unsent work can't be read: {error}");
        }
    }

    fn update(&self, have: Version) -> Option<OutboxUpdate> {
        self.view().update(have)
    }
}
