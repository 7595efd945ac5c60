//! [`Storage`] over any ordered map of bytes: the questions become keys, the batch an overlay.

use std::collections::BTreeMap;
use std::ops::Bound;

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};
use serde::de::DeserializeOwned;

use super::codec::{decode, encode};
use super::key::{self, Key, Parts};
use super::record::{
    Ban, Client, Conversation, Member, Message, Notification, Pending, Place, Token, Write,
};
use super::{Edge, Order, Span, Storage, StorageError};

/// The schema that this build writes.
const SCHEMA: u8 = 1;

/// Messages that one write forgets.
const DROPPED_AT_ONCE: usize = 1000;

/// A key with its value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// What a batch does to a key: a new value, or none.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An ordered map of bytes: what the two embedded storages differ in. It can take a batch of changes at once.
pub trait Map {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The rows from `from` (included) to `to` (not included).
    fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
        order: Order,
    ) -> Result<Box<dyn Iterator<Item = Result<Row, StorageError>> + 'a>, StorageError>;

    /// Makes all changes durable together.
    fn commit(&mut self, changes: Changes) -> Result<(), StorageError>;
}

/// The storage over a map. What is applied lies in `batch` until it is committed.
#[derive(Debug)]
pub struct Keyed<M> {
    map: M,
    batch: Changes,
}

impl<M: Map> Keyed<M> {
    /// Opens the storage: checks the schema, or writes it into an empty map.
    pub(super) fn open(map: M) -> Result<Self, StorageError> {
        let mut storage = Self {
            map,
            batch: Changes::new(),
        };
        let schema = key::schema().into_bytes();
        match storage.map.get(&schema)?.as_deref() {
            Some(&[SCHEMA]) => {}
            Some(&[found]) if found > SCHEMA => {
                return Err(StorageError::NewerSchema {
                    found,
                    known: SCHEMA,
                });
            }
            Some(_) => {
                return Err(StorageError::Damaged {
                    what: "the schema number is unknown",
                });
            }
            None => {
                storage.batch.insert(schema, Some(vec![SCHEMA]));
                storage.commit_now()?;
            }
        }
        Ok(storage)
    }

    fn commit_now(&mut self) -> Result<(), StorageError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.map.commit(std::mem::take(&mut self.batch))
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        let key = key.clone().into_bytes();
        match self.batch.get(&key) {
            Some(changed) => Ok(changed.clone()),
            None => self.map.get(&key),
        }
    }

    fn record<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StorageError> {
        self.get(key)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Up to `limit` rows of map and batch together.
    fn rows(
        &self,
        from: &[u8],
        to: &[u8],
        order: Order,
        limit: usize,
    ) -> Result<Vec<Row>, StorageError> {
        let mut rows = Vec::new();
        if from >= to || limit == 0 {
            return Ok(rows);
        }
        let below = self.map.range(from, to, order)?;
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let above = self.batch.range::<[u8], _>(bounds);
        match order {
            Order::OldestFirst => merge(below, above, order, limit, &mut rows)?,
            Order::NewestFirst => merge(below, above.rev(), order, limit, &mut rows)?,
        }
        Ok(rows)
    }

    /// Up to `limit` rows whose keys start with `prefix`.
    fn under(&self, prefix: &Key, limit: usize) -> Result<Vec<Row>, StorageError> {
        let (from, to) = (prefix.clone().into_bytes(), prefix.clone().end());
        self.rows(&from, &to, Order::OldestFirst, limit)
    }

    fn put(&mut self, key: Key, value: Vec<u8>) {
        self.batch.insert(key.into_bytes(), Some(value));
    }

    fn drop_row(&mut self, key: Key) {
        self.batch.insert(key.into_bytes(), None);
    }

    fn drop_under(&mut self, prefix: &Key) -> Result<(), StorageError> {
        for (key, _) in self.under(prefix, usize::MAX)? {
            self.batch.insert(key, None);
        }
        Ok(())
    }

    fn write(&mut self, write: Write) -> Result<(), StorageError> {
        match write {
            Write::PutToken(app, digest, token) => {
                self.drop_token(&app, &digest)?;
                self.put(key::token_end(token.expires_at, &app, &digest), Vec::new());
                self.put(key::token(&app, &digest), encode(&token)?);
            }
            Write::DropToken(app, digest) => self.drop_token(&app, &digest)?,
            Write::PutClient(app, id, client) => {
                self.put(key::client(&app, &id), encode(&client)?);
            }
            Write::PutConversation(app, conversation) => {
                self.put_conversation(&app, &conversation)?;
            }
            Write::DropConversation(app, id) => self.drop_conversation(&app, &id)?,
            Write::PutMember(app, conversation, member) => {
                let belongs = key::membership(&app, &member.client, &conversation);
                self.put(belongs, Vec::new());
                self.put(
                    key::member(&app, &conversation, &member.client),
                    encode(&member)?,
                );
            }
            Write::DropMember(app, conversation, client) => {
                self.drop_row(key::membership(&app, &client, &conversation));
                self.drop_row(key::member(&app, &conversation, &client));
            }
            Write::PutMessage(app, conversation, message) => {
                self.put_message(&app, &conversation, &message)?;
            }
            Write::DropMessage(app, conversation, place) => {
                self.drop_message(&app, &conversation, &place)?;
            }
            Write::DropMessages(app, id, until) => self.drop_messages(&app, &id, until)?,
            Write::PutPending(app, row) => self.put(key::pending(&app, &row), Vec::new()),
            Write::DropPending(app, row) => self.drop_row(key::pending(&app, &row)),
            Write::PutNotification(app, row) => {
                let key = key::notification(&app, &row.client, row.at, row.sequence);
                self.put(key, encode(&row)?);
            }
            Write::DropNotifications(app, client, until) => {
                let from = key::notifications(&app, &client).into_bytes();
                let to = key::notifications_at(&app, &client, until).end();
                for (key, _) in self.rows(&from, &to, Order::OldestFirst, usize::MAX)? {
                    self.batch.insert(key, None);
                }
            }
            Write::PutBan(app, conversation, ban, client) => {
                self.put(key::ban(&app, &conversation, ban, &client), Vec::new());
            }
            Write::DropBan(app, conversation, ban, client) => {
                self.drop_row(key::ban(&app, &conversation, ban, &client));
            }
        }
        Ok(())
    }

    fn drop_messages(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        until: Timestamp,
    ) -> Result<(), StorageError> {
        let from = key::messages(app, conversation).into_bytes();
        let to = key::messages_at(app, conversation, until).end();
        for (row, value) in self.rows(&from, &to, Order::OldestFirst, DROPPED_AT_ONCE)? {
            let message: Message = decode(&value)?;
            self.drop_row(key::message_id(app, conversation, &message.id));
            if let Some(token) = &message.token {
                self.drop_row(key::sent_token(app, conversation, &message.from, token));
            }
            if let Some(at) = message.patched_at {
                self.drop_row(key::patch(app, conversation, at, &message.id));
            }
            self.batch.insert(row, None);
        }
        Ok(())
    }

    fn drop_token(&mut self, app: &AppId, digest: &str) -> Result<(), StorageError> {
        if let Some(token) = self.record::<Token>(&key::token(app, digest))? {
            self.drop_row(key::token_end(token.expires_at, app, digest));
        }
        self.drop_row(key::token(app, digest));
        Ok(())
    }

    fn put_conversation(&mut self, app: &AppId, row: &Conversation) -> Result<(), StorageError> {
        if let Some(unique_id) = &row.unique_id {
            self.put(
                key::unique(app, unique_id),
                row.id.as_str().as_bytes().to_vec(),
            );
        }
        if let Some(ends) = row.expires_at {
            self.put(key::expiry(ends, app, &row.id), Vec::new());
        }
        self.put(key::conversation(app, &row.id), encode(row)?);
        Ok(())
    }

    fn drop_conversation(&mut self, app: &AppId, id: &ConversationId) -> Result<(), StorageError> {
        if let Some(row) = self.record::<Conversation>(&key::conversation(app, id))? {
            if let Some(ends) = row.expires_at {
                self.drop_row(key::expiry(ends, app, id));
            }
            if let Some(unique_id) = row.unique_id {
                self.drop_unique(app, &unique_id, id)?;
            }
        }
        let members = key::members(app, id);
        for (row, _) in self.under(&members, usize::MAX)? {
            let client = Parts::after(&row, members.len())?.rest()?;
            let client = ClientId::new(client).map_err(|_| DAMAGED_ID)?;
            self.drop_row(key::membership(app, &client, id));
        }
        self.drop_under(&members)?;
        self.drop_under(&key::messages(app, id))?;
        self.drop_under(&key::message_ids(app, id))?;
        self.drop_under(&key::sent_tokens(app, id))?;
        self.drop_under(&key::patches(app, id))?;
        self.drop_under(&key::all_bans(app, id))?;
        self.drop_row(key::conversation(app, id));
        Ok(())
    }

    /// Takes a unique id from a conversation; it may belong to a successor by now.
    fn drop_unique(
        &mut self,
        app: &AppId,
        unique_id: &str,
        id: &ConversationId,
    ) -> Result<(), StorageError> {
        let unique = key::unique(app, unique_id);
        if self.get(&unique)?.as_deref() == Some(id.as_str().as_bytes()) {
            self.drop_row(unique);
        }
        Ok(())
    }

    fn put_message(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        message: &Message,
    ) -> Result<(), StorageError> {
        let place = message.place();
        let row = key::message(app, conversation, &place);
        let before = self.record::<Message>(&row)?;
        match before {
            None => {
                let time = message.sent_at.as_millis().to_be_bytes().to_vec();
                self.put(key::message_id(app, conversation, &message.id), time);
                if let Some(token) = &message.token {
                    let sent = key::sent_token(app, conversation, &message.from, token);
                    self.put(sent, encode(&place)?);
                }
            }
            Some(before) => {
                if let Some(at) = before
                    .patched_at
                    .filter(|at| Some(*at) != message.patched_at)
                {
                    self.drop_row(key::patch(app, conversation, at, &message.id));
                }
            }
        }
        if let Some(at) = message.patched_at {
            let time = message.sent_at.as_millis().to_be_bytes().to_vec();
            self.put(key::patch(app, conversation, at, &message.id), time);
        }
        self.put(row, encode(message)?);
        Ok(())
    }

    fn drop_message(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        place: &Place,
    ) -> Result<(), StorageError> {
        let row = key::message(app, conversation, place);
        let Some(message) = self.record::<Message>(&row)? else {
            return Ok(());
        };
        if let Some(token) = &message.token {
            let sent = key::sent_token(app, conversation, &message.from, token);
            self.drop_row(sent);
        }
        if let Some(at) = message.patched_at {
            self.drop_row(key::patch(app, conversation, at, &message.id));
        }
        self.drop_row(key::message_id(app, conversation, &message.id));
        self.drop_row(row);
        Ok(())
    }
}

const DAMAGED_ID: StorageError = StorageError::Damaged {
    what: "a row has an illegal id",
};

/// Merges two ordered runs of rows; the upper one wins where both have a key.
fn merge<'a>(
    below: impl Iterator<Item = Result<Row, StorageError>>,
    above: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    order: Order,
    limit: usize,
    rows: &mut Vec<Row>,
) -> Result<(), StorageError> {
    let mut below = below.peekable();
    let mut above = above.peekable();
    while rows.len() < limit {
        let from_above = match (below.peek(), above.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => false,
            (None, Some(_)) | (Some(Err(_)), Some(_)) => true,
            (Some(Ok((lower, _))), Some((upper, _))) => match order {
                Order::OldestFirst => *upper <= lower,
                Order::NewestFirst => *upper >= lower,
            },
        };
        if from_above {
            let Some((key, value)) = above.next() else {
                return Ok(());
            };
            // The same key below is hidden by the one above.
            below.next_if(|row| row.as_ref().is_ok_and(|(lower, _)| lower == key));
            if let Some(value) = value {
                rows.push((key.clone(), value.clone()));
            }
        } else if let Some(row) = below.next() {
            rows.push(row?);
        }
    }
    Ok(())
}

/// A time that is a value.
fn time_of(bytes: &[u8]) -> Result<Timestamp, StorageError> {
    <[u8; 8]>::try_from(bytes)
        .map(|bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)))
        .map_err(|_| StorageError::Damaged {
            what: "a time could not be decoded",
        })
}

fn records<T: DeserializeOwned>(rows: &[Row]) -> Result<Vec<T>, StorageError> {
    rows.iter().map(|(_, value)| decode(value)).collect()
}

/// Where a stretch begins and ends, as keys.
fn span_keys(app: &AppId, conversation: &ConversationId, span: &Span) -> (Vec<u8>, Vec<u8>) {
    let at = |edge: &Edge| key::messages_at(app, conversation, edge.at);
    let exactly = |edge: &Edge, id: &MessageId| {
        key::message(
            app,
            conversation,
            &Place {
                sent_at: edge.at,
                id: id.clone(),
            },
        )
    };
    let from = match &span.older {
        None => key::messages(app, conversation).into_bytes(),
        Some(edge) => match (&edge.id, edge.included) {
            (None, true) => at(edge).into_bytes(),
            (None, false) => at(edge).end(),
            (Some(id), true) => exactly(edge, id).into_bytes(),
            (Some(id), false) => exactly(edge, id).next(),
        },
    };
    let to = match &span.newer {
        None => key::messages(app, conversation).end(),
        Some(edge) => match (&edge.id, edge.included) {
            (None, true) => at(edge).end(),
            (None, false) => at(edge).into_bytes(),
            (Some(id), true) => exactly(edge, id).next(),
            (Some(id), false) => exactly(edge, id).into_bytes(),
        },
    };
    (from, to)
}

impl<M: Map> Storage for Keyed<M> {
    async fn token(&self, app: &AppId, digest: &str) -> Result<Option<Token>, StorageError> {
        self.record(&key::token(app, digest))
    }

    async fn ended_tokens(
        &self,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(AppId, String)>, StorageError> {
        let from = key::token_ends(Timestamp::from_millis(i64::MIN)).into_bytes();
        let to = key::token_ends(until).end();
        let skip = key::token_ends(until).len();
        let mut ended = Vec::new();
        for (key, _) in self.rows(&from, &to, Order::OldestFirst, limit)? {
            let mut parts = Parts::after(&key, skip)?;
            let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            ended.push((app, parts.rest()?.to_owned()));
        }
        Ok(ended)
    }

    async fn client(&self, app: &AppId, client: &ClientId) -> Result<Option<Client>, StorageError> {
        self.record(&key::client(app, client))
    }

    async fn conversation(
        &self,
        app: &AppId,
        id: &ConversationId,
    ) -> Result<Option<Conversation>, StorageError> {
        self.record(&key::conversation(app, id))
    }

    async fn unique_conversation(
        &self,
        app: &AppId,
        unique_id: &str,
    ) -> Result<Option<ConversationId>, StorageError> {
        self.get(&key::unique(app, unique_id))?
            .map(|bytes| {
                let text = str::from_utf8(&bytes).map_err(|_| DAMAGED_ID)?;
                ConversationId::new(text).map_err(|_| DAMAGED_ID)
            })
            .transpose()
    }

    async fn conversations(
        &self,
        app: &AppId,
        after: Option<&ConversationId>,
        limit: usize,
    ) -> Result<Vec<Conversation>, StorageError> {
        let all = key::conversations(app);
        let from = match after {
            Some(id) => key::conversation(app, id).next(),
            None => all.clone().into_bytes(),
        };
        records(&self.rows(&from, &all.end(), Order::OldestFirst, limit)?)
    }

    async fn ended_conversations(
        &self,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(AppId, ConversationId)>, StorageError> {
        let from = key::expiries(Timestamp::from_millis(i64::MIN)).into_bytes();
        let to = key::expiries(until).end();
        let skip = key::expiries(until).len();
        let mut ended = Vec::new();
        for (key, _) in self.rows(&from, &to, Order::OldestFirst, limit)? {
            let mut parts = Parts::after(&key, skip)?;
            let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let id = ConversationId::new(parts.rest()?).map_err(|_| DAMAGED_ID)?;
            ended.push((app, id));
        }
        Ok(ended)
    }

    async fn members(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<Member>, StorageError> {
        records(&self.under(&key::members(app, conversation), limit)?)
    }

    async fn member(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        client: &ClientId,
    ) -> Result<Option<Member>, StorageError> {
        self.record(&key::member(app, conversation, client))
    }

    async fn memberships(
        &self,
        app: &AppId,
        client: &ClientId,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StorageError> {
        let prefix = key::memberships(app, client);
        self.under(&prefix, limit)?
            .iter()
            .map(|(key, _)| {
                let id = Parts::after(key, prefix.len())?.rest()?;
                ConversationId::new(id).map_err(|_| DAMAGED_ID)
            })
            .collect()
    }

    async fn message(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        place: &Place,
    ) -> Result<Option<Message>, StorageError> {
        self.record(&key::message(app, conversation, place))
    }

    async fn message_place(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        id: &MessageId,
    ) -> Result<Option<Place>, StorageError> {
        self.get(&key::message_id(app, conversation, id))?
            .map(|bytes| {
                Ok(Place {
                    sent_at: time_of(&bytes)?,
                    id: id.clone(),
                })
            })
            .transpose()
    }

    async fn sent_with(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        from: &ClientId,
        token: &str,
    ) -> Result<Option<Place>, StorageError> {
        self.record(&key::sent_token(app, conversation, from, token))
    }

    async fn messages(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        span: &Span,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Message>, StorageError> {
        let (from, to) = span_keys(app, conversation, span);
        records(&self.rows(&from, &to, order, limit)?)
    }

    async fn patched_since(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StorageError> {
        let from = key::patches_at(app, conversation, since).end();
        let to = key::patches(app, conversation).end();
        let skip = key::patches_at(app, conversation, since).len();
        let mut patched = Vec::new();
        for (key, time) in self.rows(&from, &to, Order::OldestFirst, limit)? {
            let id = Parts::after(&key, skip)?.rest()?;
            let id = MessageId::new(id).map_err(|_| DAMAGED_ID)?;
            let place = Place {
                sent_at: time_of(&time)?,
                id,
            };
            patched.extend(self.record::<Message>(&key::message(app, conversation, &place))?);
        }
        Ok(patched)
    }

    async fn pending(
        &self,
        app: &AppId,
        client: &ClientId,
        limit: usize,
    ) -> Result<Vec<Pending>, StorageError> {
        let prefix = key::pendings(app, client);
        let mut queue = Vec::new();
        for (key, _) in self.under(&prefix, limit)? {
            let mut parts = Parts::after(&key, prefix.len())?;
            let conversation = ConversationId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let sent_at = parts.time()?;
            let id = MessageId::new(parts.rest()?).map_err(|_| DAMAGED_ID)?;
            let place = Place { sent_at, id };
            queue.push(Pending {
                client: client.clone(),
                conversation,
                place,
            });
        }
        Ok(queue)
    }

    async fn notifications(
        &self,
        app: &AppId,
        client: &ClientId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notification>, StorageError> {
        let from = key::notifications_at(app, client, since).end();
        let to = key::notifications(app, client).end();
        records(&self.rows(&from, &to, Order::OldestFirst, limit)?)
    }

    async fn banned(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        ban: Ban,
        limit: usize,
    ) -> Result<Vec<ClientId>, StorageError> {
        let prefix = key::bans(app, conversation, ban);
        self.under(&prefix, limit)?
            .iter()
            .map(|(key, _)| {
                let client = Parts::after(key, prefix.len())?.rest()?;
                ClientId::new(client).map_err(|_| DAMAGED_ID)
            })
            .collect()
    }

    async fn is_banned(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        ban: Ban,
        client: &ClientId,
    ) -> Result<bool, StorageError> {
        Ok(self
            .get(&key::ban(app, conversation, ban, client))?
            .is_some())
    }

    async fn apply(&mut self, writes: Vec<Write>) -> Result<(), StorageError> {
        writes.into_iter().try_for_each(|write| self.write(write))
    }

    async fn commit(&mut self) -> Result<(), StorageError> {
        self.commit_now()
    }

    fn rollback(&mut self) {
        self.batch.clear();
    }
}
