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
    /// How many of its messages were not on this device before.
    pub added: u32,
    /// Whether the conversation has nothing older.
    pub start_reached: bool,
}

#[doc(hidden)]
impl Conversation {
    /// A page of the timeline on this device: the newest items without `before`, else those before
    /// that place; oldest first, at most 500. Missing history shows as gaps.
    ///
    /// # Errors
    ///
    /// `NotFound` when it is gone from this device; `StoreUnavailable`; `SignedOut`, `ShutDown`.
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

    /// A page of the timeline on this device that goes forward: the oldest items without `after`,
    /// else those after that place; oldest first, at most 500.
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

    /// Asks the service for older history than this device holds without a hole, and stores it.
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

    /// Asks the service for a page of the history that is missing at a gap, from its newer edge
    /// backwards, and stores it.
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

    /// The message that this device once gave a local id, wherever it is by now.
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
    /// A page of the conversations on this device, newest activity first: the first page without
    /// `after`, the next with the `next` of the page before. At most 500 at a time.
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

    /// The conversation that the user looks at now, or none: it catches up before the others.
    ///
    /// # Errors
    ///
    /// `NotFound`; `SignedOut`, `ShutDown`.
    pub async fn focus(&self, conversation: Option<ConversationId>) -> Result<(), SampanError> {
        self.request(Focus { conversation }).await.map(|_| ())
    }
}
