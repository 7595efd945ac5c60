//! Queries of conversations: at the service, and over this device's store.

use crate::SampanError;
use crate::model::query::ConversationQuery;
use crate::model::{ConversationInfo, Count};
use crate::sync::{CountConversations, FindConversations};
use crate::views;

use super::client::Client;

#[uniffi::export]
impl Client {
    /// Asks the service for the conversations that a query finds, in its order. Without a condition these are the
    /// client's own; others are found too, by their ids, names or attributes, whoever is in them. Conversations
    /// that this device knows, and own ones, are brought up to date in the store; of the others the store keeps
    /// nothing: `fetch_conversation` stores one. Temporary conversations fit no query, and chat rooms only a condition
    /// on `tr`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a part of the query that can't be used, and for a query that needs a command of more than
    /// 5 KiB; `NotConnected`, `TimedOut`, `Refused`; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn query_conversations(
        &self,
        query: ConversationQuery,
    ) -> Result<Vec<ConversationInfo>, SampanError> {
        let found = self.request(FindConversations { query }).await?;
        Ok(found.conversations)
    }

    /// Asks the service how many conversations a query finds; its page does not matter. They are asked for in pages of
    /// a hundred, without their members, and counted up to 100,000.
    ///
    /// # Errors
    ///
    /// Those of `query_conversations`.
    pub async fn count_conversations(
        &self,
        query: ConversationQuery,
    ) -> Result<Count, SampanError> {
        let counted = self.request(CountConversations { query }).await?;
        Ok(Count::from(counted.count))
    }

    /// The conversations of this device that a query finds, in its order: the same conditions and the same order as
    /// at the service, over what this device knows, with the changes that wait in the outbox. `ListOptions` with
    /// `ConversationFilter.Query` shows them live.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a part of the query that can't be used; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn find_conversations(
        &self,
        query: ConversationQuery,
    ) -> Result<Vec<ConversationInfo>, SampanError> {
        self.read(move |store| {
            let found = views::find(&store.snapshot(), &query)?;
            found.map_err(|error| SampanError::InvalidArgument {
                reason: format!("query: {error}"),
            })
        })
        .await
    }
}
