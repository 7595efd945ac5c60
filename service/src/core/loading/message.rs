//! One message of a source, joined with the stored one.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan::model::{ClientId, ConversationId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Loaded, Loader, NOT_SAID_WHOSE};
use crate::storage::{Body, Claim, ContentRank, Message, Place, Storage, StorageError, Write};

/// A message as a source has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedMessage {
    /// The conversation.
    pub conversation: String,
    /// The id of the message.
    pub id: String,
    /// The time at which the old service took the message, in milliseconds since 1970.
    pub at: i64,
    /// The sender.
    pub from: Option<String>,
    /// The content: text, or base64 for a binary message.
    pub data: Option<String>,
    /// True if the content is binary.
    #[serde(default)]
    pub is_binary: bool,
    /// True if the content says that the message was recalled.
    #[serde(default)]
    pub is_recalled: bool,
    /// The time at which the message first reached somebody.
    #[serde(default)]
    pub delivered_at: Option<i64>,
    /// The only client who sees the message, besides its sender.
    #[serde(default)]
    pub reader: Option<String>,
    /// The time at which the source was read: a later reading counts more.
    pub as_of: i64,
    /// True if that reading did not find the message any more.
    #[serde(default)]
    pub is_gone: bool,
}

impl LoadedMessage {
    fn claim(&self) -> Claim {
        Claim {
            at: self.at,
            content: ContentRank {
                as_of: self.as_of,
                is_gone: self.is_gone,
                digest: self.digest(),
            },
            delivered_at: self.delivered_at.filter(|at| *at > 0),
            readers: self.reader.iter().cloned().collect(),
        }
    }

    /// The start of the hash of everything that the content is made of.
    fn digest(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update([u8::from(self.is_binary)]);
        hash.update(self.from.as_deref().unwrap_or_default());
        hash.update([0]);
        hash.update(self.data.as_deref().unwrap_or_default());
        let whole: [u8; 32] = hash.finalize().into();
        let mut start = [0; 16];
        start.copy_from_slice(whole.first_chunk::<16>().unwrap_or(&[0; 16]));
        start
    }

    /// The message as it is kept, or why it cannot be kept.
    fn storable(&self) -> Result<(ConversationId, Message), &'static str> {
        let conversation =
            ConversationId::new(&self.conversation).map_err(|_| "the conversation's id is none")?;
        let from = self.from.as_deref().ok_or("the message has no sender")?;
        let data = self.data.as_deref().ok_or("the message has no content")?;
        let body = match self.is_binary {
            false => Body::Text(data.to_owned()),
            true => Body::Binary(
                STANDARD
                    .decode(data)
                    .map_err(|_| "the binary content is no base64")?,
            ),
        };
        let message = Message {
            id: MessageId::new(&self.id).map_err(|_| "the message's id is none")?,
            sent_at: Timestamp::from_millis(self.at),
            from: ClientId::new(from).map_err(|_| "the sender's id is none")?,
            body,
            wants_receipt: false,
            mention_all: false,
            mentions: Vec::new(),
            patched_at: None,
            recalled: self.is_recalled,
            delivered_at: None,
            read_at: None,
            token: None,
            only_for: Vec::new(),
        };
        Ok((conversation, message))
    }
}

impl<S: Storage> Loader<'_, S> {
    /// Joins a message with the stored one.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when the storage fails.
    pub async fn message(&mut self, source: &LoadedMessage) -> Result<Loaded, StorageError> {
        let (conversation, message) = match source.storable() {
            Ok(storable) => storable,
            Err(reason) => return Ok(Loaded::Refused(reason.to_owned())),
        };
        let standing = self.standing(&conversation).await?;
        if standing.is_deleted {
            let reason = "the conversation was loaded before, and was deleted in this service";
            return Ok(Loaded::Refused(reason.to_owned()));
        }
        if standing.is_service && source.reader.is_none() {
            return Ok(Loaded::Refused(NOT_SAID_WHOSE.to_owned()));
        }
        self.join(&conversation, message, &source.claim()).await
    }

    async fn join(
        &mut self,
        conversation: &ConversationId,
        mut message: Message,
        claim: &Claim,
    ) -> Result<Loaded, StorageError> {
        let before = self
            .storage
            .claim(&self.app, conversation, &message.id)
            .await?;
        let joined = before
            .as_ref()
            .map_or_else(|| claim.clone(), |before| before.join(claim));
        if before.as_ref() == Some(&joined) {
            return Ok(Loaded::Known);
        }
        message.sent_at = Timestamp::from_millis(joined.at);
        message.delivered_at = joined.delivered_at.map(Timestamp::from_millis);
        message.only_for = clients(&joined.readers);
        let (app, id) = (self.app.clone(), message.id.clone());
        let put = Write::PutClaim(app, conversation.clone(), id, joined.clone());
        let mut writes = vec![put];
        let loaded = match before {
            None if joined.content.is_gone => Loaded::Deleted,
            None => {
                writes.push(Write::PutMessage(
                    self.app.clone(),
                    conversation.clone(),
                    message,
                ));
                Loaded::Stored
            }
            Some(before) => {
                let place = Place {
                    sent_at: Timestamp::from_millis(before.at),
                    id: message.id.clone(),
                };
                let there = self
                    .storage
                    .message(&self.app, conversation, &place)
                    .await?;
                writes.extend(self.replace(conversation, there, message, &before, &joined));
                Loaded::Merged
            }
        };
        self.storage.apply(writes).await?;
        Ok(loaded)
    }

    /// The writes that bring a message from one claim to the next.
    fn replace(
        &self,
        conversation: &ConversationId,
        there: Option<Message>,
        mut message: Message,
        before: &Claim,
        joined: &Claim,
    ) -> Vec<Write> {
        let place = there.as_ref().map(Message::place);
        match there {
            // The message was deleted in this service since, and stays deleted.
            None if !before.content.is_gone => return Vec::new(),
            // The message was edited or recalled in this service since: that counts more.
            Some(there) if there.patched_at.is_some() => {
                let only_for = message.only_for;
                message = Message { only_for, ..there };
                return vec![Write::PutMessage(
                    self.app.clone(),
                    conversation.clone(),
                    message,
                )];
            }
            Some(there) if joined.content == before.content => {
                message.from = there.from;
                message.body = there.body;
                message.recalled = there.recalled;
            }
            _ => {}
        }
        let mut writes = Vec::new();
        if let Some(place) = place
            && (joined.content.is_gone || place != message.place())
        {
            let (app, conversation) = (self.app.clone(), conversation.clone());
            writes.push(Write::DropMessage(app, conversation, place));
        }
        if !joined.content.is_gone {
            let (app, conversation) = (self.app.clone(), conversation.clone());
            writes.push(Write::PutMessage(app, conversation, message));
        }
        writes
    }
}

fn clients(names: &BTreeSet<String>) -> Vec<ClientId> {
    let ids = names.iter().map(ClientId::new);
    ids.filter_map(Result::ok).collect()
}
