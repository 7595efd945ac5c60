//! The common part of all live views: their waits, their reads, their ends.
//!
//! Nothing here keeps an engine or a client alive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::callers::{Callers, Outside};
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{Count, SessionState, StoreHealth};
use crate::store::{ConversationNumber, Store};
use crate::sync::Call;
use crate::views::{Holds, Reach, Typing, Uploads, Version};

/// A view's ties to the client whose store it shows.
#[derive(Debug)]
pub(super) struct Live {
    runtime: Weak<Runtime>,
    client: Weak<ClientCore>,
    callers: Callers,
    /// Rings when the view shows something else without a commit, and at its end.
    bell: watch::Sender<u64>,
    has_ended: AtomicBool,
}

/// Everything that may change a view, watched from one moment on.
pub(super) struct Changes {
    bell: watch::Receiver<u64>,
    commits: watch::Receiver<u64>,
    is_away: watch::Receiver<bool>,
    session: watch::Receiver<SessionState>,
    health: watch::Receiver<StoreHealth>,
    holds: watch::Receiver<Holds>,
    typing: watch::Receiver<Arc<Typing>>,
    uploads: watch::Receiver<Arc<Uploads>>,
}

/// A live view, with everything that a collector of any view needs.
pub(super) trait WatchedView: Send + Sync {
    /// The update that a collector is told.
    type Update: Send;

    /// The view's ties.
    fn live(&self) -> &Live;

    /// The conversation whose commits change it; none for all.
    fn concerns(&self) -> Option<ConversationNumber>;

    /// Reads the view again, if something changed since it was read.
    fn refresh(self: &Arc<Self>) -> impl Future<Output = ()> + Send;

    /// The changes since a version; none when that version is the newest.
    fn update(&self, have: Version) -> Option<Self::Update>;
}

/// The changes of a view since a version, once there are any; none when the view has ended.
pub(super) async fn next<W: WatchedView>(view: &Arc<W>, have: Version) -> Option<W::Update> {
    let changed = async {
        loop {
            let changes = view.live().changes(view.concerns())?;
            view.refresh().await;
            if view.live().is_over() {
                return None;
            }
            if let Some(update) = view.update(have) {
                return Some(update);
            }
            changes.any().await?;
        }
    };
    view.live().outside(changed).await
}

/// A view that shows its first rows, as many as the app asked for.
pub(super) trait GrowingView: WatchedView {
    /// Makes the window larger, from the next reading on.
    fn grow(&self, rows: u32);

    /// The number of rows that are shown.
    fn shown(&self) -> usize;
}

/// Makes the window of a view larger; answers how many rows came.
///
/// # Errors
///
/// [`SampanError::ViewEnded`] when the view has ended.
pub(super) async fn load_more<V: GrowingView>(
    view: &Arc<V>,
    rows: u32,
) -> Result<Count, SampanError> {
    if view.live().is_over() {
        return Err(SampanError::ViewEnded);
    }
    let before = view.shown();
    view.grow(rows);
    view.live().outside(view.refresh()).await;
    view.live().tell();
    Ok(Count::from(view.shown().saturating_sub(before)))
}

impl Live {
    pub(super) fn new(runtime: &Arc<Runtime>, client: &Arc<ClientCore>) -> Self {
        Self {
            runtime: Arc::downgrade(runtime),
            client: Arc::downgrade(client),
            callers: runtime.callers.clone(),
            bell: watch::Sender::default(),
            has_ended: AtomicBool::new(false),
        }
    }

    /// A future for the app to poll.
    pub(super) fn outside<F: Future>(&self, inner: F) -> Outside<F> {
        self.callers.outside(inner)
    }

    /// Wakes the waiting calls, because the view has changed.
    pub(super) fn tell(&self) {
        self.bell
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Ends the view, and wakes the waiting calls.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
        self.tell();
    }

    /// True if nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        let client = self.client.upgrade();
        self.has_ended.load(Ordering::Relaxed)
            || client.is_none_or(|client| client.store.is_closed())
    }

    /// The client's reach; none when the client is gone.
    pub(super) fn reach(&self) -> Option<Reach> {
        Some(self.client.upgrade()?.reach())
    }

    /// Everything that may change the view from now on: commits that touch a conversation, or all.
    pub(super) fn changes(&self, of: Option<ConversationNumber>) -> Option<Changes> {
        let (runtime, client) = (self.runtime.upgrade()?, self.client.upgrade()?);
        let marks = client.store.marks();
        Some(Changes {
            bell: self.bell.subscribe(),
            commits: match of {
                Some(number) => marks.watch_conversation(number),
                None => marks.watch(),
            },
            is_away: runtime.board.is_away.subscribe(),
            session: client.board.session.subscribe(),
            health: client.board.health.subscribe(),
            holds: client.board.holds.subscribe(),
            typing: client.board.typing.subscribe(),
            uploads: client.board.uploads.subscribe(),
        })
    }

    /// The clients that write, by conversation; none when this client is gone.
    pub(super) fn typing(&self) -> Option<Arc<Typing>> {
        Some(self.client.upgrade()?.board.typing())
    }

    /// The files that are being uploaded; none when the client is gone.
    pub(super) fn uploads(&self) -> Option<Arc<Uploads>> {
        Some(self.client.upgrade()?.board.uploads())
    }

    /// The entries that the client keeps back although it is signed in; none when the client is gone.
    pub(super) fn holds(&self) -> Option<Holds> {
        Some(self.client.upgrade()?.board.holds())
    }

    /// Reads from the store, on a thread for reads; none while it is shut, because the app is in the
    /// background, and none at the end.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, SampanError> + Send + 'static,
    ) -> Option<Result<T, SampanError>> {
        let (runtime, client) = (self.runtime.upgrade()?, self.client.upgrade()?);
        runtime.read_if_open(&client, read).await
    }

    /// The engine and the client.
    ///
    /// # Errors
    ///
    /// [`SampanError::ViewEnded`] when one of them is gone.
    pub(super) fn owners(&self) -> Result<(Arc<Runtime>, Arc<ClientCore>), SampanError> {
        match (self.runtime.upgrade(), self.client.upgrade()) {
            (Some(runtime), Some(client)) => Ok((runtime, client)),
            _ => Err(SampanError::ViewEnded),
        }
    }

    /// Asks the client's machine.
    pub(super) async fn request<C: Call>(&self, call: C) -> Result<C::Answer, SampanError> {
        let (runtime, client) = self.owners()?;
        runtime.mailbox.request(&client.id, call).await
    }
}

impl Changes {
    /// True if the app is in the background.
    pub(super) fn is_away(&self) -> bool {
        *self.is_away.borrow()
    }

    /// Waits for the next commit; none when none can come any more.
    pub(super) async fn commit(mut self) -> Option<()> {
        self.commits.changed().await.ok()
    }

    /// Waits for the next one; none when none can come any more.
    pub(super) async fn any(mut self) -> Option<()> {
        let changed: Result<(), watch::error::RecvError> = tokio::select! {
            changed = self.bell.changed() => changed,
            changed = self.commits.changed() => changed,
            changed = self.is_away.changed() => changed,
            changed = self.session.changed() => changed,
            changed = self.health.changed() => changed,
            changed = self.holds.changed() => changed,
            changed = self.typing.changed() => changed,
            changed = self.uploads.changed() => changed,
        };
        changed.ok()
    }
}
