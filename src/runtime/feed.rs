//! Numbered events for a program that must not miss one: an event is kept until the next call names its number.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::callers::Callers;
use super::publish::{QUEUE_MAX, Scope, Subscriber};
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{ConversationId, Count, Event, EventKind, Json};

/// The most events of one batch.
const BATCH_MAX: usize = 1024;

/// Some events of a feed, in order.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct EventBatch {
    /// The number of the last event: the next call names it, and lets all up to it go.
    pub last: u64,
    /// The number of dropped events between the named number and the first of these: the feed keeps 8,192
    /// events that nobody took. Read the followed data again.
    pub missed: Count,
    /// The events.
    pub events: Vec<Event>,
}

/// The events of one client that were not taken yet.
#[derive(Debug)]
pub(crate) struct Feed {
    scope: Scope,
    wanted: Wanted,
    state: Mutex<FeedState>,
    /// Rings when there are new events, and at the end.
    bell: watch::Sender<u64>,
    /// True if the client signed out.
    is_closed: watch::Receiver<bool>,
    callers: Callers,
}

/// The wanted events of the client.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The wanted sorts of events; none for all.
    only: Option<Vec<EventKind>>,
    /// Those of the conversation with one of these ids; none for all.
    conversation: Option<Mutex<BTreeSet<ConversationId>>>,
}

impl Wanted {
    /// Events of these sorts; none for all.
    pub(crate) const fn of(only: Option<Vec<EventKind>>) -> Self {
        Self {
            only,
            conversation: None,
        }
    }

    /// The wanted events of one conversation, by all ids that the conversation has.
    pub(crate) fn within(mut self, ids: impl IntoIterator<Item = ConversationId>) -> Self {
        self.conversation = Some(Mutex::new(ids.into_iter().collect()));
        self
    }

    fn includes(&self, event: &Event) -> bool {
        self.concerns(event)
            && self
                .only
                .as_ref()
                .is_none_or(|only| only.iter().any(|kind| kind.includes(event)))
    }

    /// True if an event belongs to the conversation. When the service's id takes over, both ids belong to it.
    fn concerns(&self, event: &Event) -> bool {
        let Some(ids) = &self.conversation else {
            return true;
        };
        // The section under this lock compares and moves ids.
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::ConversationIdAssigned { local, id, .. } = event
            && (ids.contains(local) || ids.contains(id))
        {
            ids.extend([local.clone(), id.clone()]);
        }
        event.conversation().is_some_and(|id| ids.contains(id))
    }
}

#[derive(Debug, Default)]
struct FeedState {
    events: VecDeque<Event>,
    /// The number of the newest event; the first has number one.
    last: u64,
    is_over: bool,
}

impl Runtime {
    /// Hands an event of the app to those who follow a client.
    ///
    /// # Errors
    ///
    /// [`SampanError::InvalidArgument`] for an empty name; [`SampanError::SignedOut`], [`SampanError::ShutDown`].
    pub(crate) fn emit(
        &self,
        core: &ClientCore,
        name: String,
        data: Option<Json>,
    ) -> Result<(), SampanError> {
        if name.is_empty() {
            return Err(SampanError::InvalidArgument {
                reason: "name: an event needs one".to_owned(),
            });
        }
        if core.store.is_closed() {
            return Err(self.board.ended());
        }
        let client = core.id.clone();
        self.publisher
            .publish(&[Event::Emitted { client, name, data }]);
        Ok(())
    }
}

impl Feed {
    /// A feed of a client's events from now on.
    pub(crate) fn open(runtime: &Runtime, client: &ClientCore, wanted: Wanted) -> Arc<Self> {
        let feed = Arc::new(Self {
            scope: Scope::Client(client.id.clone()),
            wanted,
            state: Mutex::default(),
            bell: watch::Sender::default(),
            is_closed: client.store.watch_closed(),
            callers: runtime.callers.clone(),
        });
        runtime.publisher.add(&feed);
        feed
    }

    fn state(&self) -> MutexGuard<'_, FeedState> {
        // The sections under this lock move values and nothing else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        self.bell
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The events after a number, once there is one; none at the end of the feed.
    pub(crate) async fn next(&self, after: u64, limit: u32) -> Option<EventBatch> {
        self.callers.outside(self.taken(after, limit)).await
    }

    async fn taken(&self, after: u64, limit: u32) -> Option<EventBatch> {
        let limit = usize::try_from(limit).unwrap_or(BATCH_MAX);
        let mut is_closed = self.is_closed.clone();
        loop {
            let mut bell = self.bell.subscribe();
            if *is_closed.borrow_and_update() {
                return None;
            }
            if let Some(known) = self.state().answer(after, limit.clamp(1, BATCH_MAX)) {
                return known;
            }
            let changed = tokio::select! {
                changed = bell.changed() => changed,
                changed = is_closed.changed() => changed,
            };
            changed.ok()?;
        }
    }

    /// The events after a number that are there already.
    pub(super) fn take(&self, after: u64, limit: usize) -> Option<EventBatch> {
        self.state().take(after, limit)
    }

    /// Ends the feed: waiting events are dropped.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.events.clear();
        state.is_over = true;
        drop(state);
        self.ring();
    }
}

impl Subscriber for Feed {
    fn push(&self, events: &[Event]) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        let wanted = |event: &&Event| self.scope.includes(event) && self.wanted.includes(event);
        for event in events.iter().filter(wanted) {
            state.push(event.clone());
        }
        drop(state);
        self.ring();
    }

    fn end(&self) {
        self.state().is_over = true;
        self.ring();
    }
}

impl FeedState {
    fn push(&mut self, event: Event) {
        if self.events.len() >= QUEUE_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.last += 1;
    }

    /// The answer to a call, where it has not to wait: a batch, or none at the end.
    fn answer(&mut self, after: u64, limit: usize) -> Option<Option<EventBatch>> {
        let batch = self.take(after, limit);
        (batch.is_some() || self.is_over).then_some(batch)
    }

    /// Lets the events up to a number go, and answers some after it; none where there is none.
    fn take(&mut self, after: u64, limit: usize) -> Option<EventBatch> {
        // A number that was not given out yet stands for the newest.
        let after = after.min(self.last);
        let gone = self.gone();
        let named = usize::try_from(after.saturating_sub(gone)).unwrap_or(usize::MAX);
        self.events.drain(..named.min(self.events.len()));
        let events: Vec<_> = self.events.iter().take(limit).cloned().collect();
        if events.is_empty() {
            return None;
        }
        let gone = self.gone();
        Some(EventBatch {
            last: gone.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX)),
            missed: Count(gone.saturating_sub(after)),
            events,
        })
    }

    /// The number of the newest event that is not kept any more.
    fn gone(&self) -> u64 {
        let kept = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        debug_assert!(kept <= self.last, "each event has a number");
        self.last.saturating_sub(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClientId, CommitSeq, OutboxEntryId};

    fn event(number: u64) -> Event {
        Event::OutboxSettled {
            client: ClientId::new("ann").unwrap(),
            seq: CommitSeq(number),
            entry: OutboxEntryId(number),
        }
    }

    #[test]
    fn a_feed_of_a_conversation_follows_it_to_the_services_id() {
        let (local, id) = ("local:1", "5f0c1d2e3a4b5c6d7e8f9a0b");
        let [local, id] = [local, id].map(|it| ConversationId::new(it).unwrap());
        let gone = |conversation: &ConversationId| Event::ConversationRemoved {
            client: ClientId::new("ann").unwrap(),
            seq: CommitSeq(1),
            conversation: conversation.clone(),
        };
        let wanted = Wanted::of(Some(vec![EventKind::Conversation])).within([local.clone()]);
        assert!(wanted.includes(&gone(&local)) && !wanted.includes(&gone(&id)));
        let assigned = Event::ConversationIdAssigned {
            client: ClientId::new("ann").unwrap(),
            seq: CommitSeq(2),
            local: local.clone(),
            id: id.clone(),
        };
        assert!(wanted.includes(&assigned));
        assert!(wanted.includes(&gone(&local)) && wanted.includes(&gone(&id)));
        assert!(!wanted.includes(&event(1)), "another sort");
        assert!(Wanted::default().includes(&event(1)));
    }

    fn filled(count: u64) -> FeedState {
        let mut state = FeedState::default();
        (1..=count).for_each(|number| state.push(event(number)));
        state
    }

    #[test]
    fn events_are_kept_until_the_next_call_names_their_number() {
        let mut state = filled(5);
        let first = state.take(0, 2).unwrap();
        assert_eq!((first.last, first.missed), (2, Count(0)));
        assert_eq!(
            state.take(0, 2),
            Some(first),
            "nobody received it: the same again"
        );
        let next = state.take(2, 10).unwrap();
        assert_eq!(next.events, [event(3), event(4), event(5)]);
        assert_eq!((next.last, next.missed), (5, Count(0)));
        assert_eq!(state.take(5, 10), None);
        assert_eq!(state.take(99, 10), None, "a number that is not given out");
        assert!(state.events.is_empty());
    }

    #[test]
    fn what_overflowed_is_counted_as_missed_and_the_numbers_go_on() {
        let most = QUEUE_MAX as u64;
        let mut state = filled(most + 10);
        let batch = state.take(3, 1).unwrap();
        assert_eq!((batch.last, batch.missed), (11, Count(7)));
        assert_eq!(batch.events, [event(11)]);
        assert_eq!(state.events.len(), QUEUE_MAX, "no more than that is kept");
    }
}
