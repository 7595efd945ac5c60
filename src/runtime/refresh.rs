//! A refresh in the background: connect, send, catch up, and restore the state from before.
//!
//! A refresh wakes a paused engine. When the last refresh ends, the engine is paused again, unless the app came
//! back meanwhile. In the same way a client that was offline is offline again. A refresh ends early when its
//! caller leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::feed::{Feed, Wanted};
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{
    self, ClientId, Count, Event, EventKind, MessageKey, OutboxEntryId, OutboxState,
};
use crate::store::{Snapshot, Store};
use crate::views::{LinkState, Message, Reach, SyncState, UnreadSummary};

/// The most messages that a refresh names.
const ARRIVED_MAX: usize = 20;

/// The most events that are read at once.
const EVENTS: usize = 1024;

/// The outcome of a refresh.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Record)]
pub struct Refreshed {
    /// True if everything that was missed is on this device and nothing waits to be sent.
    pub complete: bool,
    /// The number of pieces of unsent work that went out.
    pub sent: Count,
    /// The number of entries that still wait.
    pub unsent: Count,
    /// The number of entries that have failed and wait for the app.
    pub failed: Count,
    /// The unread messages now.
    pub unread: UnreadSummary,
    /// The newest unread messages of others that came in conversations which are not muted, oldest first: at most
    /// 20.
    pub arrived: Vec<Message>,
}

/// The state of a client before a refresh.
struct Before {
    waiting: BTreeSet<OutboxEntryId>,
    events: Arc<Feed>,
}

impl Runtime {
    /// Connects, sends, catches up, and leaves everything as it was, within a time.
    ///
    /// # Errors
    ///
    /// [`SampanError::SignedOut`], [`SampanError::ShutDown`]; those of reading.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        core: &Arc<ClientCore>,
        within: Duration,
    ) -> Result<Refreshed, SampanError> {
        let (done, outcome) = oneshot::channel();
        let (runtime, client) = (Arc::clone(self), Arc::clone(core));
        let work = async move { runtime.refreshing(&client, within, done).await };
        self.callers.spawn(&self.tasks, Box::pin(work));
        let outcome = self.callers.outside(outcome).await;
        outcome.unwrap_or_else(|_| Err(self.board.ended()))
    }

    async fn refreshing(
        &self,
        core: &Arc<ClientCore>,
        within: Duration,
        mut done: oneshot::Sender<Result<Refreshed, SampanError>>,
    ) {
        let until = Instant::now().checked_add(within);
        let woke = self.refreshes.begin(self.board.is_away());
        let began = self.begin_refresh(core, woke).await;
        let outcome = match began {
            Ok(before) => {
                let complete = tokio::select! {
                    complete = self.is_in_sync(core) => complete,
                    () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => false,
                    () = done.closed() => false,
                };
                let outcome = self.refreshed(core, &before, complete).await;
                self.leave(core);
                outcome
            }
            Err(error) => Err(error),
        };
        if self.refreshes.end() {
            // An engine that was shut down meanwhile has no file open.
            let _ = self.mailbox.pause().await;
        }
        let _ = done.send(outcome);
    }

    async fn begin_refresh(
        &self,
        core: &Arc<ClientCore>,
        wakes: bool,
    ) -> Result<Before, SampanError> {
        let events = Feed::open(self, core, Wanted::of(Some(vec![EventKind::MessageAdded])));
        let waiting = self
            .read(core, |store| Ok(waiting(&store.snapshot())))
            .await?;
        if wakes {
            let mut is_away = self.board.is_away.subscribe();
            self.mailbox.resume().await?;
            let back = is_away.wait_for(|is_away| !is_away).await;
            back.map_err(|_| self.board.ended())?;
        }
        self.visit(core)?;
        Ok(Before { waiting, events })
    }

    /// Waits until no message is missing and no work is unsent; false if that can't happen now.
    async fn is_in_sync(&self, core: &ClientCore) -> bool {
        let mut state = self.client_state(core);
        loop {
            match state.link {
                LinkState::Ended { .. } | LinkState::Off | LinkState::Background => return false,
                LinkState::Online
                    if matches!(state.sync, SyncState::Current { .. })
                        && state.outbox.waiting == Count(0) =>
                {
                    return true;
                }
                _ => {}
            }
            match self.next_client_state(core, state.version).await {
                Some(newer) => state = newer,
                None => return false,
            }
        }
    }

    async fn refreshed(
        &self,
        core: &ClientCore,
        before: &Before,
        complete: bool,
    ) -> Result<Refreshed, SampanError> {
        let told = messages(&before.events);
        let had = before.waiting.clone();
        let read = move |store: &Store| {
            let snapshot = store.snapshot();
            let (waiting, left) = (waiting(&snapshot), snapshot.outbox_len());
            let is_unsent = |id: &&OutboxEntryId| snapshot.entry(**id).is_some();
            let sent = had.iter().filter(|id| !is_unsent(id)).count();
            Ok(Refreshed {
                complete,
                sent: Count::from(sent),
                unsent: Count::from(waiting.len()),
                failed: Count::from(left.saturating_sub(waiting.len())),
                unread: snapshot.unread_totals().into(),
                arrived: arrived(&snapshot, told)?,
            })
        };
        self.read(core, read).await
    }
}

/// The unsent work that has not failed.
fn waiting(snapshot: &Snapshot<'_>) -> BTreeSet<OutboxEntryId> {
    let entries = snapshot.outbox();
    let waiting = entries
        .iter()
        .filter(|entry| !matches!(entry.state, OutboxState::Failed { .. }));
    waiting.map(|entry| entry.id).collect()
}

/// The messages that the events of a feed name.
fn messages(events: &Feed) -> Vec<model::Message> {
    let mut messages = Vec::new();
    let mut after = 0;
    while let Some(batch) = events.take(after, EVENTS) {
        after = batch.last;
        messages.extend(batch.events.into_iter().filter_map(|event| match event {
            Event::MessageAdded { message, .. } => Some(message),
            _ => None,
        }));
    }
    messages
}

/// The messages of which a user would want a notification, as they are now.
fn arrived(
    snapshot: &Snapshot<'_>,
    told: Vec<model::Message>,
) -> Result<Vec<Message>, SampanError> {
    let me: &ClientId = snapshot.owner();
    let (mut arrived, mut unread) = (Vec::new(), BTreeMap::new());
    for message in told.into_iter().filter(|message| message.sender != *me) {
        let Some(number) = snapshot.number(&message.conversation)? else {
            continue;
        };
        let Some(row) = snapshot.conversation(number)? else {
            continue;
        };
        if row.muted || row.read_until_self >= Some(message.sent_at) {
            continue;
        }
        let Some(key) = MessageKey::of(&message) else {
            continue;
        };
        if row.kind.counts_unread() && !row.unread.at_least {
            unread.insert(number, row.unread.count);
        }
        let now = Message::by_key(snapshot, number, &key, Reach::Online)?;
        let now = now.filter(|message| !message.content.is_recalled());
        arrived.extend(now.map(|message| (number, message)));
    }
    arrived.sort_by(|(_, a), (_, b)| (b.sent_at, &b.key).cmp(&(a.sent_at, &a.key)));
    // The count alone tells the reads of another device: this many of the newest are unread.
    arrived.retain(|(number, _)| match unread.get_mut(number) {
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
        None => true,
    });
    let named = arrived.into_iter().take(ARRIVED_MAX);
    let mut named: Vec<_> = named.map(|(_, message)| message).collect();
    named.reverse();
    Ok(named)
}
