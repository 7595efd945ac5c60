//! The driver of a timeline: reads it when the app asks, loads the wanted history, marks visible messages read.
//!
//! ```text
//!   commits, sessions ──▶ flags ──▶ next: reads the window, answers the changes
//!   seen, loads ────────▶ worker ─▶ steps of loads, questions for history, read marks
//! ```
//!
//! The worker is a future on the threads for callers, one for each timeline. It sleeps until there is work, and
//! ends with the timeline or the client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::live::{self, Changes, Live, WatchedView};
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{ConversationId, ItemKey, Timestamp};
use crate::store::{ConversationNumber, Position, Snapshot, Store, StoreError};
use crate::sync::{FetchConversations, FetchHistory, FetchNewer, Focus, MarkRead};
use crate::views::{
    FillFailure, Loaded, Next, Side, TimelineOptions, TimelineStart, TimelineUpdate, TimelineView,
    Version, Wish,
};

/// The shortest time between two read marks of a timeline that is seen.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// So long after a message was seen last, the conversation counts as looked at.
const IN_VIEW: Duration = Duration::from_secs(60);

/// A timeline that is being watched.
#[derive(Debug)]
pub(crate) struct LiveTimeline {
    live: Live,
    conversation: ConversationId,
    view: Mutex<TimelineView>,
    /// Wakes the worker.
    work: Notify,
    /// The items on the screen, until the worker takes note of them.
    seen: Mutex<Option<(ItemKey, ItemKey)>>,
}

/// The worker's memory.
#[derive(Default)]
struct Pace {
    /// The time at which a read mark may leave again.
    read_at: Option<Instant>,
    /// The time until which the conversation counts as looked at.
    in_view_until: Option<Instant>,
}

/// The worker's next task.
enum TimelineTask {
    Load(Side),
    MarkRead(Timestamp),
    Focus,
    Unfocus,
    Wait(Changes),
    End,
}

impl LiveTimeline {
    /// Opens a timeline: its first window is read on return. A conversation that is not on this device is
    /// asked for.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) async fn open(
        runtime: &Arc<Runtime>,
        client: &Arc<ClientCore>,
        conversation: ConversationId,
        options: TimelineOptions,
    ) -> Result<Arc<Self>, SampanError> {
        let timeline = Arc::new(Self {
            live: Live::new(runtime, client),
            conversation,
            view: Mutex::new(TimelineView::new(options)),
            work: Notify::new(),
            seen: Mutex::default(),
        });
        let reach = client.reach();
        let own = Arc::clone(&timeline);
        let first = move |store: &Store| {
            let snapshot = store.snapshot();
            Ok(own.view().refresh(&snapshot, &own.conversation, reach)?)
        };
        runtime.read(client, first).await?;
        let worker = Box::pin(work(Arc::clone(&timeline)));
        runtime.callers.spawn(&runtime.tasks, worker);
        Ok(timeline)
    }

    fn view(&self) -> MutexGuard<'_, TimelineView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The changes since a version, once there are any; none when the view has ended.
    pub(crate) async fn next(self: &Arc<Self>, have: Version) -> Option<TimelineUpdate> {
        live::next(self, have).await
    }

    /// Loads, and waits for the outcome. The load goes on when the caller leaves.
    pub(crate) async fn load(
        &self,
        side: Side,
        limit: u32,
    ) -> Result<Result<Loaded, FillFailure>, SampanError> {
        let number = self.view().begin(side, limit);
        self.ring();
        self.live.outside(self.loaded(side, number)).await
    }

    async fn loaded(
        &self,
        side: Side,
        number: u64,
    ) -> Result<Result<Loaded, FillFailure>, SampanError> {
        loop {
            let changes = self.changes().ok_or(SampanError::ViewEnded)?;
            if self.live.is_over() {
                return Err(SampanError::ViewEnded);
            }
            if let Some(outcome) = self.view().outcome(side, number) {
                return Ok(outcome);
            }
            changes.any().await.ok_or(SampanError::ViewEnded)?;
        }
    }

    /// The missing history that a key names, if it is in the window.
    pub(crate) fn gap_of(&self, key: &ItemKey) -> Option<Side> {
        self.view().gap_of(key)
    }

    /// Begins anew somewhere else.
    pub(crate) fn jump(&self, to: TimelineStart) {
        self.view().jump(to);
        self.ring();
    }

    /// Notes the items on the screen.
    pub(crate) fn see(&self, first: ItemKey, last: ItemKey) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((first, last));
        drop(seen);
        self.work.notify_one();
    }

    /// Reads the items on the screen. True when they are new.
    fn take_seen(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((first, last)) = seen.take() else {
            return false;
        };
        drop(seen);
        self.view().see(&first, &last);
        self.live.tell();
        true
    }

    /// Ends the view, and wakes the waiting calls.
    pub(crate) fn end(&self) {
        self.live.end();
        self.work.notify_one();
    }

    /// Tells those who wait, and the worker.
    fn ring(&self) {
        self.live.tell();
        self.work.notify_one();
    }

    /// True if the app is in the background, or the engine or the client is gone.
    fn is_away(&self) -> bool {
        self.changes().is_none_or(|changes| changes.is_away())
    }

    fn changes(&self) -> Option<Changes> {
        let number = self.view().number();
        self.live.changes(number)
    }

    /// Works on the view with the store, on a thread for blocking work; none while the store is shut.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut TimelineView, &Store, &ConversationId) -> Result<T, StoreError>
        + Send
        + 'static,
    ) -> Option<Result<T, SampanError>> {
        let own = Arc::clone(self);
        let read = move |store: &Store| {
            let mut view = own.view();
            Ok(work(&mut view, store, &own.conversation)?)
        };
        self.live.read(read).await
    }

    /// One step of a load.
    async fn step(self: &Arc<Self>, side: Side) {
        let Some(reach) = self.live.reach() else {
            return;
        };
        let advance = self.read(move |view, store, conversation| {
            let snapshot: Snapshot<'_> = store.snapshot();
            view.advance(side, &snapshot, conversation, reach)
        });
        match advance.await {
            Some(Ok(Next::Fetch { before, limit })) => self.fetch(side, before, limit).await,
            Some(Ok(Next::FetchNewer { after, limit })) => {
                self.fetch_newer(side, after, limit).await;
            }
            Some(Ok(Next::FetchConversation)) => self.fetch_conversation(side).await,
            Some(Ok(Next::Done)) => {}
            Some(Err(error)) => {
                let failure = FillFailure::Store {
                    trouble: error.trouble(),
                    reason: error.to_string(),
                };
                self.view().answered(side, Err(failure));
            }
            // The store is shut: the load waits for it.
            None => self.view().interrupted(side),
        }
        self.live.tell();
    }

    async fn fetch(&self, side: Side, before: Option<Position>, limit: u32) {
        // The screen shows that it is being fetched.
        self.live.tell();
        let call = FetchHistory {
            conversation: self.conversation.clone(),
            before,
            limit,
        };
        let fetched = self.live.request(call).await;
        self.fetched(side, fetched.map(|page| page.added));
    }

    async fn fetch_newer(&self, side: Side, after: Position, limit: u32) {
        self.live.tell();
        let call = FetchNewer {
            conversation: self.conversation.clone(),
            after,
            limit,
        };
        let fetched = self.live.request(call).await;
        self.fetched(side, fetched.map(|page| page.added));
    }

    async fn fetch_conversation(&self, side: Side) {
        self.live.tell();
        let conversations = vec![self.conversation.clone()];
        let fetched = self
            .live
            .request(FetchConversations { conversations })
            .await;
        self.fetched(
            side,
            fetched.map(|answer| u32::from(!answer.found.is_empty())),
        );
    }

    /// Notes the outcome of a question to the service.
    fn fetched(&self, side: Side, outcome: Result<u32, SampanError>) {
        let failure = match outcome {
            Ok(added) => return self.view().answered(side, Ok(added)),
            Err(
                SampanError::NotConnected
                | SampanError::SignedOut
                | SampanError::ShutDown
                | SampanError::ViewEnded,
            ) => {
                return self.view().interrupted(side);
            }
            Err(SampanError::TimedOut) => FillFailure::TimedOut,
            Err(SampanError::Refused {
                refusal,
                code,
                reason,
            }) => FillFailure::Refused {
                refusal,
                code,
                reason,
            },
            Err(error) => FillFailure::Store {
                trouble: error.trouble(),
                reason: error.to_string(),
            },
        };
        self.view().answered(side, Err(failure));
    }

    async fn focus(&self, conversation: Option<ConversationId>) {
        // If this fails, nothing is lost: the focus is a preference.
        let _ = self.live.request(Focus { conversation }).await;
    }

    async fn mark_read(&self, until: Timestamp) {
        let call = MarkRead {
            conversation: self.conversation.clone(),
            until: Some(until),
        };
        if let Err(error) = self.live.request(call).await {
            log::warn!("what was seen could not be marked read: {error}");
        }
        // A failed mark is not tried for ever: the next message that is seen brings another mark.
        self.view().marked_read(until);
    }

    /// Waits until the worker may have something to do.
    async fn wait(&self, changes: Changes, wake_at: Option<Instant>) {
        tokio::select! {
            _ = changes.any() => {}
            () = self.work.notified() => {}
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
        }
    }

    /// The worker's task now.
    fn task(&self, pace: &mut Pace) -> TimelineTask {
        let now = Instant::now();
        let changes = self.changes();
        let (false, Some(changes)) = (self.live.is_over(), changes) else {
            return TimelineTask::End;
        };
        let is_away = changes.is_away();
        if let Some(reach) = self.live.reach()
            && self.view().reached(reach)
        {
            self.live.tell();
        }
        // In the background nothing is asked of the client: that would open its store.
        if !is_away && self.take_seen() {
            let is_new = pace.in_view_until.is_none();
            pace.in_view_until = Some(now + IN_VIEW);
            if is_new {
                return TimelineTask::Focus;
            }
        }
        let is_out_of_view = |until: &mut Instant| !is_away && *until <= now;
        if pace.in_view_until.take_if(is_out_of_view).is_some() {
            return TimelineTask::Unfocus;
        }
        let may_read = !is_away && pace.read_at.is_none_or(|at| at <= now);
        match self.view().wish() {
            Some(Wish::Load(side)) if !is_away => TimelineTask::Load(side),
            Some(Wish::MarkRead { until }) if may_read => TimelineTask::MarkRead(until),
            _ => TimelineTask::Wait(changes),
        }
    }
}

impl WatchedView for LiveTimeline {
    type Update = TimelineUpdate;

    fn live(&self) -> &Live {
        &self.live
    }

    fn concerns(&self) -> Option<ConversationNumber> {
        self.view().number()
    }

    /// Reads the window, if something changed since it was read. A store that is closed, because the app is in
    /// the background, stays closed, and the window stays.
    async fn refresh(self: &Arc<Self>) {
        let (Some(reach), Some(typing)) = (self.live.reach(), self.live.typing()) else {
            return;
        };
        self.view().set_typing(&typing);
        if let Some(uploads) = self.live.uploads() {
            self.view().set_uploads(&uploads);
        }
        let reading = self.read(move |view, store, conversation| {
            if view.is_fresh(store.seq(), reach) {
                return Ok(());
            }
            view.refresh(&store.snapshot(), conversation, reach)
        });
        match reading.await {
            Some(Err(error)) => log::warn!("a timeline can't be read: {error}"),
            // The view may want more pages now.
            Some(Ok(())) if self.view().wish().is_some() => self.work.notify_one(),
            Some(Ok(())) | None => {}
        }
    }

    fn update(&self, have: Version) -> Option<TimelineUpdate> {
        self.view().update(have)
    }
}

/// Does the work that a timeline wants, until it ends.
async fn work(timeline: Arc<LiveTimeline>) {
    let mut pace = Pace::default();
    loop {
        match timeline.task(&mut pace) {
            TimelineTask::Load(side) => timeline.step(side).await,
            TimelineTask::MarkRead(until) => {
                timeline.mark_read(until).await;
                pace.read_at = Some(Instant::now() + READ_PAUSE);
            }
            TimelineTask::Focus => timeline.focus(Some(timeline.conversation.clone())).await,
            TimelineTask::Unfocus => timeline.focus(None).await,
            TimelineTask::End => {
                if pace.in_view_until.is_some() && !timeline.is_away() {
                    timeline.focus(None).await;
                }
                return;
            }
            TimelineTask::Wait(changes) => {
                let read_at = timeline.view().wants_read().and(pace.read_at);
                let wake_at = read_at.into_iter().chain(pace.in_view_until).min();
                let wake_at = wake_at.filter(|_| !changes.is_away());
                timeline.wait(changes, wake_at).await;
            }
        }
    }
}
