//! The driver of a list of members: reads the list when the app asks for the changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::live::{self, GrowingView, Live, WatchedView};
use super::{ClientCore, Runtime};
use crate::model::{ConversationId, Count};
use crate::store::{ConversationNumber, Store};
use crate::sync::{FetchConversations, MemberBan, RefreshBan};
use crate::views::{MemberGroup, MemberListOptions, MemberUpdate, MemberView, Version};
use crate::{SampanError, Subject};

/// A list of members that an app watches.
#[derive(Debug)]
pub(crate) struct LiveMembers {
    live: Live,
    conversation: ConversationId,
    /// The number under which the conversation was read last. A conversation that was made offline may become another one.
    number: Mutex<ConversationNumber>,
    view: Mutex<MemberView>,
}

impl LiveMembers {
    /// Opens a list: its first window is read on return.
    ///
    /// # Errors
    ///
    /// Those of reading; [`SampanError::NotFound`] when the conversation is not on this device.
    pub(crate) async fn open(
        runtime: &Arc<Runtime>,
        client: &Arc<ClientCore>,
        conversation: ConversationId,
        options: MemberListOptions,
    ) -> Result<Arc<Self>, SampanError> {
        let id = conversation.clone();
        let first = move |store: &Store| {
            let snapshot = store.snapshot();
            let number = snapshot.number(&id)?.ok_or(SampanError::NotFound {
                what: Subject::Conversation,
            })?;
            let mut view = MemberView::new(options);
            view.refresh(&snapshot, number)?;
            Ok((number, view))
        };
        let (number, view) = runtime.read(client, first).await?;
        Ok(Arc::new(Self {
            live: Live::new(runtime, client),
            conversation,
            number: Mutex::new(number),
            view: Mutex::new(view),
        }))
    }

    fn view(&self) -> MutexGuard<'_, MemberView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> MutexGuard<'_, ConversationNumber> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, store: &Store) -> Result<(), SampanError> {
        let mut view = self.view();
        if view.is_fresh(store.seq()) {
            return Ok(());
        }
        let snapshot = store.snapshot();
        let mut number = self.number();
        if let Some(now) = snapshot.number(&self.conversation)? {
            *number = now;
        }
        Ok(view.refresh(&snapshot, *number)?)
    }

    /// The changes since a version, once there are any; none when the view has ended.
    pub(crate) async fn next(self: &Arc<Self>, have: Version) -> Option<MemberUpdate> {
        live::next(self, have).await
    }

    /// Makes the window larger; gives the number of new rows.
    ///
    /// # Errors
    ///
    /// [`SampanError::ViewEnded`] when the view has ended.
    pub(crate) async fn load_more(self: &Arc<Self>, limit: u32) -> Result<Count, SampanError> {
        live::load_more(self, limit).await
    }

    /// Asks the service for all that the view shows, and stores it.
    ///
    /// # Errors
    ///
    /// Those of the questions.
    pub(crate) async fn ask(&self) -> Result<(), SampanError> {
        let conversation = self.conversation.clone();
        let group = self.view().group();
        let ban = |list| RefreshBan {
            conversation: conversation.clone(),
            list,
        };
        match group {
            MemberGroup::Silenced => self.live.request(ban(MemberBan::Silenced)).await.map(drop),
            MemberGroup::Blocked => self.live.request(ban(MemberBan::Blocked)).await.map(drop),
            MemberGroup::Members | MemberGroup::Managers => {
                let conversations = vec![conversation.clone()];
                let call = FetchConversations { conversations };
                self.live.request(call).await?;
                let (runtime, client) = self.live.owners()?;
                runtime.ask_roles(&client, conversation).await
            }
        }
    }

    /// Ends the view. Calls that wait for changes end.
    pub(crate) fn end(&self) {
        self.live.end();
    }
}

impl GrowingView for LiveMembers {
    fn grow(&self, rows: u32) {
        self.view().grow(rows);
    }

    fn shown(&self) -> usize {
        self.view().len()
    }
}

impl WatchedView for LiveMembers {
    type Update = MemberUpdate;

    fn live(&self) -> &Live {
        &self.live
    }

    fn concerns(&self) -> Option<ConversationNumber> {
        Some(*self.number())
    }

    async fn refresh(self: &Arc<Self>) {
        let own = Arc::clone(self);
        let read = self.live.read(move |store| own.read(store));
        if let Some(Err(error)) = read.await {
            log::warn!("a list of members can't be read: {error}");
        }
    }

    fn update(&self, have: Version) -> Option<MemberUpdate> {
        self.view().update(have)
    }
}
