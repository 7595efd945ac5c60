//! Queries of conversations: at the service, and over this device's store.

use crate::SampanError;
use crate::model::query::ConversationQuery;
use crate::model::{ConversationInfo, Count};
use crate::sync::{CountConversations, FindConversations};
use crate::views;

use super::client::Client;

#[uniffi::export]
impl Client {
    /// Asks the service for the conversations of a query, in the query's order. Without a condition these are the
    /// client's own. A condition on ids, names or attributes also finds conversations of others. The store updates
    /// the conversations that it has, and own ones. It keeps nothing of the others: `fetch_conversation` stores
    /// one. No query finds temporary conversations, and only a condition on `tr` finds chat rooms.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a part of the query that can't be used, and for a query that needs a command of more
    /// than 5 KiB; `NotConnected`, `TimedOut`, `Refused`; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn query_conversations(
        &self,
        query: ConversationQuery,
    ) -> Result<Vec<ConversationInfo>, SampanError> {
        let found = self.request(FindConversations { query }).await?;
        Ok(found.conversations)
    }

    /// Asks the service for the number of conversations of a query; the query's page has no effect. The call asks
    /// in pages of a hundred, without members, and counts up to 100,000.
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

    /// The conversations on this device that a query finds, in the query's order. Conditions and order work as at
    /// the service, over the data of this device and the changes that wait in the outbox. `ListOptions` with
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
