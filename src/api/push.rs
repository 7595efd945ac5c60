//! Pushes: [`read_push`], and the facts about conversations that an extension may read without a store.

use crate::SampanError;
use crate::model::{ClientId, ConversationId, Json, PushDevice, PushHint, Timestamp, Unread};
use crate::runtime::wall;
use crate::store::Arrival;
use crate::views::UnreadSummary;

use super::client::Client;
use super::inbox::ExtensionInbox;

/// Reads the payload of a push; none for a payload that names no conversation, such as another sender's. The call
/// opens no file and asks no server.
///
/// `sampan-service` describes the message of a push under the key `sampan`. For other services the call reads the
/// conversation from `convId` (or `conversationId`, `conversation`, `cid`), the sender from `fromClientId`, the
/// time from `timestamp` and the message from `messageId`, at the top or below `data`. A service with this push
/// template is therefore understood: `{"alert": "…", "badge": "Increment", "convId": "${convId}", "fromClientId":
/// "${fromClientId}", "timestamp": "${timestamp}"}`.
///
/// # Errors
///
/// None of its own: a payload that is no JSON can't be given.
#[uniffi::export]
pub fn read_push(payload: Json) -> Result<Option<PushHint>, SampanError> {
    Ok(PushHint::read(&payload))
}

#[uniffi::export]
impl Client {
    /// Registers this device at the service. The service then pushes messages that arrive while this client is
    /// offline, until the client goes offline by `go_offline` or signs out. Call it with each new token and at each
    /// start; a repeated registration changes nothing. `badge` is the number on the app's icon.
    ///
    /// The call needs the service; this device stores nothing of it.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the service is not reached, or this client was never online on this device; `Refused`;
    /// `InvalidArgument` when no address of the REST interface is configured (`Config.api_url`); `SignedOut`,
    /// `ShutDown`.
    pub async fn register_push(&self, device: PushDevice) -> Result<(), SampanError> {
        self.runtime.register_push(&self.core, device).await
    }
}

/// A conversation as a notification shows it, from the engine's last writing.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Glance {
    /// Its name, cut after 32 bytes.
    pub name: Option<String>,
    /// The other member of a conversation of two.
    pub peer: Option<ClientId>,
    /// True if the client muted the conversation.
    pub muted: bool,
    /// The unread messages in it.
    pub unread: Unread,
    /// The time up to which the client read the conversation, by the service's clock.
    pub read_until: Option<Timestamp>,
    /// The time of the engine's writing, by the device's clock.
    pub as_of: Timestamp,
}

#[uniffi::export]
impl ExtensionInbox {
    /// The last state of a conversation that the engine wrote. None for a conversation that is not among the 2000
    /// newest, and where the engine never wrote, or wrote under another key. The call reads one file of at most
    /// some hundred kilobytes on the calling thread.
    ///
    /// # Errors
    ///
    /// None of its own: for a file that can't be read the answer is none.
    pub fn glance(&self, conversation: ConversationId) -> Result<Option<Glance>, SampanError> {
        let Some(book) = self.inbox.read_glance() else {
            return Ok(None);
        };
        let as_of = book.as_of;
        let mut rows = book.rows.into_iter();
        let row = rows.find(|row| row.conversation == conversation);
        Ok(row.map(|row| Glance {
            name: row.name,
            peer: row.peer,
            muted: row.muted,
            unread: row.unread,
            read_until: row.read_until,
            as_of,
        }))
    }

    /// The sums of unread counts: those of the engine's last writing, plus the pushes that `arrived` counted since.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub fn unread(&self) -> Result<UnreadSummary, SampanError> {
        Ok(self.inbox.totals_with_arrivals().into())
    }

    /// Counts a push, once for any number of calls, and answers the sums: `unmuted.messages` is the badge. The
    /// engine counts the messages that it receives, and then their pushes no longer count here.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the push can't be recorded.
    pub fn arrived(&self, hint: PushHint) -> Result<UnreadSummary, SampanError> {
        let message = match hint.message {
            Some(id) => id.as_str().to_owned(),
            None => hint.sent_at.unwrap_or_else(wall).as_millis().to_string(),
        };
        let sent_at = match hint.sent_at {
            Some(at) => at,
            None => self.just_after_known(&hint.conversation),
        };
        self.inbox.note_arrival(&Arrival {
            conversation: hint.conversation,
            message,
            sent_at,
        })?;
        self.unread()
    }
}

impl ExtensionInbox {
    /// The time of a push without a time: it counts until the engine knows of a newer message in the conversation.
    /// The device's clock is not used, because it may be ahead of the service's.
    fn just_after_known(&self, conversation: &ConversationId) -> Timestamp {
        let book = self.inbox.read_glance().unwrap_or_default();
        let mut rows = book.rows.iter();
        let row = rows.find(|row| row.conversation == *conversation);
        let known = row.and_then(|row| row.newest.max(row.read_until));
        let millis = known.unwrap_or_default().as_millis();
        Timestamp::from_millis(millis.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{GlanceBook, GlanceRow, Inbox};

    #[test]
    fn a_push_without_a_time_counts_until_the_engine_knows_more() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path(), ClientId::new("ann").unwrap(), None);
        let extension = ExtensionInbox { inbox };
        let knows_until = |millis| {
            let row = GlanceRow {
                conversation: ConversationId::new("c").unwrap(),
                name: None,
                peer: None,
                muted: false,
                unread: Unread::NONE,
                read_until: None,
                newest: Some(Timestamp::from_millis(millis)),
            };
            let rows = vec![row];
            let book = GlanceBook {
                rows,
                ..GlanceBook::default()
            };
            extension.inbox.write_glance(&book).unwrap();
        };
        let payload = |id: &str| format!(r#"{{"convId":"{id}","messageId":"m{id}"}}"#);
        let badge = || extension.unread().unwrap().unmuted.messages;
        knows_until(1000);
        for id in ["c", "new"] {
            let hint = read_push(Json::parse(payload(id)).unwrap()).unwrap();
            extension.arrived(hint.unwrap()).unwrap();
        }
        assert_eq!(badge(), 2);
        knows_until(2000);
        assert_eq!(badge(), 1, "one of a conversation that nobody knows");
    }
}
