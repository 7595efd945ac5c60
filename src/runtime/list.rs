//! The driver of a list of conversations: reads the list when the app asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::live::{self, GrowingView, Live, WatchedView};
use super::marks::Unread;
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::Count;
use crate::store::{ConversationNumber, Store};
use crate::views::{ListOptions, ListUpdate, ListView, Reach, Typing, Version};

/// A list that is being watched.
#[derive(Debug)]
pub(crate) struct LiveList {
    live: Live,
    view: Mutex<ListView>,
    /// The commits since the view was read.
    unread: Arc<Unread>,
}

impl LiveList {
    /// Opens a list: its first window is read on return.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) async fn open(
        runtime: &Arc<Runtime>,
        client: &Arc<ClientCore>,
        options: ListOptions,
    ) -> Result<Arc<Self>, SampanError> {
        check(&options)?;
        let list = Arc::new(Self {
            live: Live::new(runtime, client),
            view: Mutex::new(ListView::new(options)),
            unread: client.store.marks().collect(),
        });
        let (own, reach, typing) = (Arc::clone(&list), client.reach(), client.board.typing());
        let first = runtime.read(client, move |store| own.read(store, reach, typing));
        first.await?;
        Ok(list)
    }

    fn view(&self) -> MutexGuard<'_, ListView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, store: &Store, reach: Reach, typing: Arc<Typing>) -> Result<(), SampanError> {
        let mut view = self.view();
        view.set_typing(typing);
        if view.is_fresh(store.seq(), reach) {
            return Ok(());
        }
        let snapshot = store.snapshot();
        let dirty = self.unread.take(snapshot.seq());
        let read = view.refresh(&snapshot, &dirty, reach);
        if read.is_err() {
            self.unread.forget();
        }
        Ok(read?)
    }

    /// The changes since a version, once there are any; none when the view has ended.
    pub(crate) async fn next(self: &Arc<Self>, have: Version) -> Option<ListUpdate> {
        live::next(self, have).await
    }

    /// Makes the window larger; answers how many rows came.
    ///
    /// # Errors
    ///
    /// [`SampanError::ViewEnded`] when the view has ended.
    pub(crate) async fn load_more(self: &Arc<Self>, limit: u32) -> Result<Count, SampanError> {
        live::load_more(self, limit).await
    }

    /// Shows others, or the same in another order.
    ///
    /// # Errors
    ///
    /// [`SampanError::InvalidArgument`] when a condition of the filter can't be used.
    pub(crate) fn show(&self, options: ListOptions) -> Result<(), SampanError> {
        check(&options)?;
        self.view().show(options);
        self.live.tell();
        Ok(())
    }

    /// Ends the view, and wakes the waiting calls.
    pub(crate) fn end(&self) {
        self.live.end();
    }
}

fn check(options: &ListOptions) -> Result<(), SampanError> {
    options
        .check()
        .map_err(|error| SampanError::InvalidArgument {
            reason: format!("filter: {error}"),
        })
}

impl GrowingView for LiveList {
    fn grow(&self, rows: u32) {
        self.view().grow(rows);
    }

    fn shown(&self) -> usize {
        self.view().len()
    }
}

impl WatchedView for LiveList {
    type Update = ListUpdate;

    fn live(&self) -> &Live {
        &self.live
    }

    fn concerns(&self) -> Option<ConversationNumber> {
        None
    }

    async fn refresh(self: &Arc<Self>) {
        let (Some(reach), Some(typing)) = (self.live.reach(), self.live.typing()) else {
            return;
        };
        let own = Arc::clone(self);
        let read = self.live.read(move |store| own.read(store, reach, typing));
        if let Some(Err(error)) = read.await {
            log::warn!("a list of conversations can't be read: {error}");
        }
    }

    fn update(&self, have: Version) -> Option<ListUpdate> {
        self.view().update(have)
    }
}
