//! The driver of a list of members: reads the list when the app asks for the changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::live::{self, GrowingView, Live, WatchedView};
use super::{ClientCore, Runtime};
use crate::model::{ConversationId, Count, SessionState};
use crate::store::{ConversationNumber, Store};
use crate::sync::{FetchConversations, MemberBan, RefreshBan, WhoIsOnline};
use crate::views::{MemberGroup, MemberListOptions, MemberUpdate, MemberView, Version};
use crate::{SampanError, Subject};

/// Clients that are asked about in one request, which the machine cuts into the service's parts.
const ASKED_AT_ONCE: usize = 1000;

/// The pause between two questions for the presence of members.
const ONLINE_EVERY: Duration = Duration::from_secs(60);

/// A list of members that an app watches.
#[derive(Debug)]
pub(crate) struct LiveMembers {
    live: Live,
    conversation: ConversationId,
    /// The number under which the conversation was read last. A conversation that was made offline may become another one.
    number: Mutex<ConversationNumber>,
    view: Mutex<MemberView>,
    /// Rings when the window may hold clients of whom the service was not asked if they are online.
    shows_more: watch::Sender<()>,
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
        let group = options.group.unwrap_or_default();
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
        let view = Arc::new(Self {
            live: Live::new(runtime, client),
            conversation,
            number: Mutex::new(number),
            view: Mutex::new(view),
            shows_more: watch::Sender::default(),
        });
        if matches!(group, MemberGroup::Members | MemberGroup::Managers) || options.online {
            let (session, more) = (client.board.watch_session(), view.shows_more.subscribe());
            let kept = attend(Arc::downgrade(&view), session, more, options.online);
            runtime.tasks.spawn(kept);
        }
        Ok(view)
    }

    /// Asks for what only the service knows. A refusal or a lost connection leaves the list as it is.
    async fn ask_by_itself(&self, group: MemberGroup, is_new: bool) {
        if is_new
            && matches!(group, MemberGroup::Members | MemberGroup::Managers)
            && let Ok((runtime, client)) = self.live.owners()
        {
            let roles = runtime.ask_roles(&client, self.conversation.clone()).await;
            roles.unwrap_or_else(|error| log::debug!("roles are not known: {error}"));
        }
        self.ask_online().await.unwrap_or_else(|error| {
            log::debug!("it is not known who is online: {error}");
        });
    }

    /// Asks which clients of the window are online, where the app wants to know.
    async fn ask_online(&self) -> Result<(), SampanError> {
        let wanted = self.view().wants_online();
        let Some(clients) = wanted.filter(|it| !it.is_empty()) else {
            return Ok(());
        };
        let mut online = Vec::new();
        for part in clients.chunks(ASKED_AT_ONCE) {
            let clients = part.to_vec();
            online.extend(self.live.request(WhoIsOnline { clients }).await?.clients);
        }
        if self.view().note_online(clients, &online) {
            self.live.tell();
        }
        Ok(())
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
        let more = live::load_more(self, limit).await;
        self.shows_more.send_replace(());
        more
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
            MemberGroup::Silenced => {
                self.live.request(ban(MemberBan::Silenced)).await?;
            }
            MemberGroup::Blocked => {
                self.live.request(ban(MemberBan::Blocked)).await?;
            }
            MemberGroup::Members | MemberGroup::Managers => {
                let conversations = vec![conversation.clone()];
                let call = FetchConversations { conversations };
                self.live.request(call).await?;
                let (runtime, client) = self.live.owners()?;
                runtime.ask_roles(&client, conversation).await?;
            }
        }
        self.ask_online().await
    }

    /// Ends the view. Calls that wait for changes end.
    pub(crate) fn end(&self) {
        self.live.end();
        self.shows_more.send_replace(());
    }
}

/// Keeps a list up to date with what only the service knows, until the view has ended: the roles whenever a session
/// opens, and who is online, where the app wants to know.
async fn attend(
    view: Weak<LiveMembers>,
    mut session: watch::Receiver<SessionState>,
    mut more: watch::Receiver<()>,
    wants_online: bool,
) {
    let mut was_open = false;
    loop {
        let is_open = *session.borrow_and_update() == SessionState::Open;
        more.borrow_and_update();
        {
            let Some(view) = view.upgrade().filter(|it| !it.live.is_over()) else {
                return;
            };
            let group = view.view().group();
            if is_open {
                view.ask_by_itself(group, !was_open).await;
            }
        }
        was_open = is_open;
        let next = async {
            tokio::select! {
                changed = session.changed() => changed.is_ok(),
                changed = more.changed() => changed.is_ok(),
            }
        };
        let goes_on = match wants_online && is_open {
            true => timeout(ONLINE_EVERY, next).await.unwrap_or(true),
            false => next.await,
        };
        if !goes_on {
            return;
        }
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
