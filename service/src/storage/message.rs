//! The rows of a message: the message itself, and what it is found by.
//!
//! A row repeats nothing that its key has: the key tells time and id, the row the rest, under names of one letter.
//! A message is found by its id through the time in the id (`dated.rs`), by its token through a row of its own.
//! docs/decisions/0015-a-message-in-few-bytes.md has the figures.

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};

use super::codec::{bytes_opt, decode, encode, short, short_list, short_opt};
use super::dated::time_in;
use super::key::{self, Key, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map, Row};
use super::record::{Body, Message, Place};
use super::{Order, StorageError};

/// A message without its time and its id. Times are differences from its time, which are small.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "f", with = "short")]
    from: ClientId,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(
        rename = "b",
        default,
        with = "bytes_opt",
        skip_serializing_if = "Option::is_none"
    )]
    binary: Option<Vec<u8>>,
    #[serde(rename = "r", default, skip_serializing_if = "is_false")]
    wants_receipt: bool,
    #[serde(rename = "a", default, skip_serializing_if = "is_false")]
    mention_all: bool,
    #[serde(
        rename = "m",
        default,
        with = "short_list",
        skip_serializing_if = "Vec::is_empty"
    )]
    mentions: Vec<ClientId>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    patched_after: Option<i64>,
    #[serde(rename = "x", default, skip_serializing_if = "is_false")]
    recalled: bool,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    delivered_after: Option<i64>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    read_after: Option<i64>,
    #[serde(
        rename = "k",
        default,
        with = "short_opt",
        skip_serializing_if = "Option::is_none"
    )]
    token: Option<String>,
    #[serde(
        rename = "o",
        default,
        with = "short_list",
        skip_serializing_if = "Vec::is_empty"
    )]
    only_for: Vec<ClientId>,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

impl Stored {
    fn of(message: &Message) -> Self {
        let (text, binary) = match &message.body {
            Body::Text(text) => (Some(text.clone()), None),
            Body::Binary(bytes) => (None, Some(bytes.clone())),
        };
        let after = |time: Timestamp| time.as_millis().wrapping_sub(message.sent_at.as_millis());
        Self {
            from: message.from.clone(),
            text,
            binary,
            wants_receipt: message.wants_receipt,
            mention_all: message.mention_all,
            mentions: message.mentions.clone(),
            patched_after: message.patched_at.map(after),
            recalled: message.recalled,
            delivered_after: message.delivered_at.map(after),
            read_after: message.read_at.map(after),
            token: message.token.clone(),
            only_for: message.only_for.clone(),
        }
    }

    fn at(self, place: Place) -> Result<Message, StorageError> {
        let body = match (self.text, self.binary) {
            (Some(text), None) => Body::Text(text),
            (None, Some(bytes)) => Body::Binary(bytes),
            _ => {
                return Err(StorageError::Damaged {
                    what: "a message has no content, or two",
                });
            }
        };
        let sent_at = place.sent_at.as_millis();
        let time = |after: i64| Timestamp::from_millis(sent_at.wrapping_add(after));
        Ok(Message {
            id: place.id,
            sent_at: place.sent_at,
            from: self.from,
            body,
            wants_receipt: self.wants_receipt,
            mention_all: self.mention_all,
            mentions: self.mentions,
            patched_at: self.patched_after.map(time),
            recalled: self.recalled,
            delivered_at: self.delivered_after.map(time),
            read_at: self.read_after.map(time),
            token: self.token,
            only_for: self.only_for,
        })
    }
}

/// The place that the rest of a message's key tells.
pub(super) fn place_in(mut parts: Parts<'_>) -> Result<Place, StorageError> {
    let sent_at = parts.time()?;
    let id = MessageId::new(parts.rest()?).map_err(|_| DAMAGED_ID)?;
    Ok(Place { sent_at, id })
}

/// The message of a row at a place.
pub(super) fn message_of(place: Place, value: &[u8]) -> Result<Message, StorageError> {
    decode::<Stored>(value)?.at(place)
}

/// The rows by which a message is found.
pub(super) fn found_by(
    app: &AppId,
    conversation: &ConversationId,
    message: &Message,
) -> Vec<(Key, Vec<u8>)> {
    let time = message.sent_at.as_millis().to_be_bytes().to_vec();
    let mut rows = Vec::new();
    let is_dated = time_in(&message.id) == Some(message.sent_at);
    if !is_dated {
        let key = key::message_id(app, conversation, &message.id);
        rows.push((key, time.clone()));
    }
    if let Some(token) = &message.token {
        let mut value = time.clone();
        if !is_dated {
            value.extend_from_slice(message.id.as_str().as_bytes());
        }
        let key = key::sent_token(app, conversation, &message.from, token);
        rows.push((key, value));
    }
    if let Some(at) = message.patched_at {
        rows.push((key::patch(app, conversation, at, &message.id), time));
    }
    rows
}

impl<M: Map> Keyed<M> {
    pub(super) fn message_at(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        place: &Place,
    ) -> Result<Option<Message>, StorageError> {
        let row = self.get(&key::message(app, conversation, place))?;
        row.map(|row| message_of(place.clone(), &row)).transpose()
    }

    /// The messages between two keys of a conversation.
    pub(super) fn messages_between(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        (from, to): (&[u8], &[u8]),
        (order, limit): (Order, usize),
    ) -> Result<Vec<Message>, StorageError> {
        let skip = key::messages(app, conversation).len();
        let message = |(key, value): &Row| message_of(place_in(Parts::after(key, skip)?)?, value);
        let rows = self.rows(from, to, order, limit)?;
        rows.iter().map(message).collect()
    }

    pub(super) fn place_of(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        id: &MessageId,
    ) -> Result<Option<Place>, StorageError> {
        let place = |sent_at| Place {
            sent_at,
            id: id.clone(),
        };
        if let Some(dated) = time_in(id).map(place)
            && self
                .get(&key::message(app, conversation, &dated))?
                .is_some()
        {
            return Ok(Some(dated));
        }
        let row = self.get(&key::message_id(app, conversation, id))?;
        row.map(|row| Parts::after(&row, 0)?.plain_time().map(place))
            .transpose()
    }

    /// Where the message stands that was sent with a token.
    pub(super) fn place_sent_with(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        from: &ClientId,
        token: &str,
    ) -> Result<Option<Place>, StorageError> {
        let key = key::sent_token(app, conversation, from, token);
        let Some(row) = self.get(&key)? else {
            return Ok(None);
        };
        let mut parts = Parts::after(&row, 0)?;
        let sent_at = parts.plain_time()?;
        let id = parts.rest()?;
        if !id.is_empty() {
            let id = MessageId::new(id).map_err(|_| DAMAGED_ID)?;
            return Ok(Some(Place { sent_at, id }));
        }
        // One message of a conversation has a time, unless a history was brought along.
        let at = key::messages_at(app, conversation, sent_at);
        let (first, last) = (at.clone().into_bytes(), at.end());
        let all = (Order::OldestFirst, usize::MAX);
        let found = self.messages_between(app, conversation, (&first, &last), all)?;
        let is_it = |it: &&Message| it.from == *from && it.token.as_deref() == Some(token);
        Ok(found.iter().find(is_it).map(Message::place))
    }

    pub(super) fn put_message(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        message: &Message,
    ) -> Result<(), StorageError> {
        let place = message.place();
        match self.message_at(app, conversation, &place)? {
            None => {
                for (key, value) in found_by(app, conversation, message) {
                    self.put(key, value);
                }
            }
            Some(before) => {
                if let Some(at) = before
                    .patched_at
                    .filter(|at| Some(*at) != message.patched_at)
                {
                    self.drop_row(key::patch(app, conversation, at, &message.id));
                }
                if let Some(at) = message.patched_at {
                    let time = message.sent_at.as_millis().to_be_bytes().to_vec();
                    self.put(key::patch(app, conversation, at, &message.id), time);
                }
            }
        }
        let row = encode(&Stored::of(message))?;
        self.put(key::message(app, conversation, &place), row);
        Ok(())
    }

    pub(super) fn drop_message(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        place: &Place,
    ) -> Result<(), StorageError> {
        let Some(message) = self.message_at(app, conversation, place)? else {
            return Ok(());
        };
        if let Some(token) = &message.token {
            let (from, sent) = (&message.from, place);
            // It may be a later message's by now, where tokens are remembered for a shorter time than messages.
            if self
                .place_sent_with(app, conversation, from, token)?
                .as_ref()
                == Some(sent)
            {
                self.drop_row(key::sent_token(app, conversation, from, token));
            }
        }
        if let Some(at) = message.patched_at {
            self.drop_row(key::patch(app, conversation, at, &message.id));
        }
        if time_in(&message.id) != Some(message.sent_at) {
            self.drop_row(key::message_id(app, conversation, &message.id));
        }
        self.drop_row(key::message(app, conversation, place));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
