//! Questions to the service about any part of a conversation's history.

use crate::SampanError;
use crate::model::{HistoryQuery, Message};
use crate::sync::QueryHistory;

use super::conversation::Conversation;

#[uniffi::export]
impl Conversation {
    /// Asks the service for messages of any part of the history: of an interval, of one type, in either direction.
    /// They come in order of time, those that this device holds as it shows them. Nothing is stored: a timeline reads
    /// and fills the history without holes.
    ///
    /// A page with fewer messages than `limit` is not the end: there is nothing more where a page is empty.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `InvalidArgument` for a limit of 0 or over 1000, and where `since` is
    /// later than `until`; `NotFound`, also where `behind` is a local id that was never sent; `StoreUnavailable`;
    /// `SignedOut`, `ShutDown`.
    pub async fn query_history(&self, query: HistoryQuery) -> Result<Vec<Message>, SampanError> {
        let conversation = self.name();
        let call = QueryHistory {
            conversation,
            query,
        };
        Ok(self.request(call).await?.messages)
    }
}
