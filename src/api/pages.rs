//! Single reads of a conversation, for the tests and tools of this repository: an app follows a timeline.

use crate::model::{ConversationId, LocalId, Message};
use crate::store::Position;
use crate::sync::{FetchHistory, Focus};
use crate::{SampanError, Subject};

use super::client::Client;
use super::conversation::{Conversation, gone};
use super::views::{
    ConversationsCursor, ConversationsPage, TimelineGap, TimelinePage, TimelinePlace,
};

/// The most conversations of one page.
const PAGE_MAX: u32 = 500;

/// The outcome of fetching a page of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedHistory {
    /// The number of its messages that were not on this device before.
    pub added: u32,
    /// True if the conversation has nothing older.
    pub start_reached: bool,
}

#[doc(hidden)]
impl Conversation {
    /// A page of the timeline on this device, at most 500 items, oldest first: the newest items, or with `before`
    /// the items before that place. Missing history shows as gaps.
    ///
    /// # Errors
    ///
    /// `NotFound` when the conversation is gone from this device; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn page(
        &self,
        before: Option<TimelinePlace>,
        limit: u32,
    ) -> Result<TimelinePage, SampanError> {
        self.read(move |snapshot, number| {
            let before = before.map(Into::into);
            let page = snapshot.page_before(number, before.as_ref(), limit as usize)?;
            Ok(page.into())
        })
        .await
    }

    /// A page of the timeline on this device in the other direction, at most 500 items, oldest first: the oldest
    /// items, or with `after` the items after that place.
    ///
    /// # Errors
    ///
    /// Those of `page`.
    pub async fn page_after(
        &self,
        after: Option<TimelinePlace>,
        limit: u32,
    ) -> Result<TimelinePage, SampanError> {
        self.read(move |snapshot, number| {
            let after = after.map(Into::into);
            let page = snapshot.page_after(number, after.as_ref(), limit as usize)?;
            Ok(page.into())
        })
        .await
    }

    /// Asks the service for history older than the unbroken history on this device, and stores it.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn fetch_older(&self, limit: u32) -> Result<FetchedHistory, SampanError> {
        let before = self.read(|snapshot, number| {
            let row = snapshot.conversation(number)?.ok_or_else(gone)?;
            Ok(row.history.newest().map(|span| span.from.clone()))
        });
        let before = before.await?;
        self.fetch(before, limit).await
    }

    /// Asks the service for a page of the missing history of a gap, from the gap's newer edge backwards, and stores
    /// it.
    ///
    /// # Errors
    ///
    /// Those of `fetch_older`.
    pub async fn fetch_gap(
        &self,
        gap: TimelineGap,
        limit: u32,
    ) -> Result<FetchedHistory, SampanError> {
        let before = gap.newer.map(|edge| Position {
            sent_at: edge.sent_at,
            id: edge.id,
        });
        self.fetch(before, limit).await
    }

    /// The present message of a local id that this device gave.
    ///
    /// # Errors
    ///
    /// `NotFound`; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn message_by_local_id(&self, id: LocalId) -> Result<Message, SampanError> {
        self.read(move |snapshot, _| {
            let message = snapshot.message_by_local_id(&id)?;
            message.ok_or(SampanError::NotFound {
                what: Subject::Message,
            })
        })
        .await
    }

    pub(super) async fn fetch(
        &self,
        before: Option<Position>,
        limit: u32,
    ) -> Result<FetchedHistory, SampanError> {
        let call = FetchHistory {
            conversation: self.name(),
            before,
            limit,
        };
        let fetched = self.request(call).await?;
        Ok(FetchedHistory {
            added: fetched.added,
            start_reached: fetched.start_reached,
        })
    }
}

#[doc(hidden)]
impl Client {
    /// A page of the conversations on this device, at most 500, newest activity first: the first page, or with
    /// `after` the page that follows. `after` is the `next` of the page before.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn conversations(
        &self,
        after: Option<ConversationsCursor>,
        limit: u32,
    ) -> Result<ConversationsPage, SampanError> {
        self.read(move |store| {
            let limit = limit.clamp(1, PAGE_MAX) as usize;
            let page = store
                .snapshot()
                .conversations(after.map(Into::into), limit)?;
            let infos = page.conversations.into_iter().map(|(_, info)| info);
            Ok(ConversationsPage {
                conversations: infos.collect(),
                next: page.next.map(Into::into),
            })
        })
        .await
    }

    /// Names the conversation that the user looks at, or none. That conversation is caught up with first.
    ///
    /// # Errors
    ///
    /// `NotFound`; `SignedOut`, `ShutDown`.
    pub async fn focus(&self, conversation: Option<ConversationId>) -> Result<(), SampanError> {
        self.request(Focus { conversation }).await.map(|_| ())
    }
}
