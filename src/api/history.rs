//! Questions to the service about any part of a conversation's history.

use crate::SampanError;
use crate::model::{HistoryQuery, Message};
use crate::sync::QueryHistory;

use super::conversation::Conversation;

#[uniffi::export]
impl Conversation {
    /// Asks the service for messages of any part of the history: of an interval, of one type, in either direction.
    /// The answer is in order of time. A message that this device has comes as this device shows it. The call
    /// stores nothing; use a timeline to read and fill the history without holes.
    ///
    /// A page with fewer messages than `limit` is not the end. The end is an empty page.
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
