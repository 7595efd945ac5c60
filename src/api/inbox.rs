//! [`ExtensionInbox`]: an extension of the app leaves work for the engine without opening a store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{AppId, ClientId, ConversationId, LocalId, NewMessage, Timestamp};
use crate::runtime::{inbox_of, leave, leave_as};
use crate::store::{Inbox, Intent, ReadIntent, SendIntent};
use crate::{SampanError, Secret};

use super::client_options::store_key;

/// A folder in which an extension of the app (a share sheet, the reply field of a notification) leaves work for the
/// engine.
///
/// The inbox opens no store, starts no thread and holds no lock. An extension may therefore be killed at any
/// moment, and may run beside the app. The engine imports each piece of work once: when the client opens, when the
/// engine resumes, and when `Client.import_inbox` is called.
#[derive(Debug, uniffi::Object)]
pub struct ExtensionInbox {
    pub(super) inbox: Inbox,
}

#[uniffi::export]
impl ExtensionInbox {
    /// Names the inbox of one client. `folder` is the `inbox_folder` of the app's `Config`, in a place that both
    /// processes reach, such as the container of an app group. `store_key` is the key of the client's
    /// `ClientOptions`, if it has one. The call reads and writes nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the key is not 64 hexadecimal digits.
    #[uniffi::constructor]
    pub fn open(
        folder: PathBuf,
        app_id: AppId,
        client: ClientId,
        store_key: Option<Secret>,
    ) -> Result<Arc<Self>, SampanError> {
        let key = parse(store_key.as_ref())?;
        let inbox = inbox_of(&folder, &app_id, &client, key);
        Ok(Arc::new(Self { inbox }))
    }

    /// Leaves a text for a conversation. Returns when the text is durable, after some milliseconds of disk work on
    /// the calling thread. Answers the local id that the message will have.
    ///
    /// # Errors
    ///
    /// Those of `send`.
    pub fn send_text(
        &self,
        conversation: ConversationId,
        text: String,
    ) -> Result<LocalId, SampanError> {
        self.send(conversation, NewMessage::text(text))
    }

    /// Leaves a message for a conversation; durable as by `send_text`. A message that the service can't take
    /// becomes a failed entry of the outbox at the import.
    ///
    /// # Errors
    ///
    /// `TooLarge` for a message of more than 32 KiB; `OutboxFull` when 1000 pieces of work wait already;
    /// `InvalidArgument` for a transient message and a will; `StoreUnavailable` when the message can't be made
    /// durable.
    pub fn send(
        &self,
        conversation: ConversationId,
        message: NewMessage,
    ) -> Result<LocalId, SampanError> {
        if message.options.transient || message.options.will {
            return Err(SampanError::InvalidArgument {
                reason: "options: what an extension leaves is neither transient nor a will"
                    .to_owned(),
            });
        }
        let intent = SendIntent {
            content: message.content,
            mentions: message.mentions,
            receipt: false,
            transient: false,
            push: message.push,
            priority: message.options.priority,
            will: false,
            upload: None,
        };
        let intent = Intent::Send(intent);
        match message.options.local_id {
            Some(id) => leave_as(&self.inbox, conversation, id, intent),
            None => leave(&self.inbox, conversation, intent),
        }
    }

    /// Leaves a read mark for a conversation: up to and including that time of the service. Returns when the mark
    /// is durable.
    ///
    /// # Errors
    ///
    /// `OutboxFull` and `StoreUnavailable`, as of `send`.
    pub fn mark_read(
        &self,
        conversation: ConversationId,
        until: Timestamp,
    ) -> Result<(), SampanError> {
        let message = None;
        let intent = Intent::Read(ReadIntent { until, message });
        leave(&self.inbox, conversation, intent).map(|_| ())
    }
}

fn parse(digits: Option<&Secret>) -> Result<Option<crate::store::StoreKey>, SampanError> {
    digits.map(|digits| store_key(digits.reveal())).transpose()
}
