//! The questions of [`Storage`], answered from rows.

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};
use serde::de::DeserializeOwned;

use super::claim::{Claim, Known};
use super::codec::decode;
use super::key::{self, Key, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map, Row};
use super::record::{
    Ban, Broadcast, Client, Clock, Conversation, Installation, Member, Message, Missed, Place,
    Revocation, Token, Write,
};
use super::{Edge, Order, Snapshot, Span, Storage, StorageError, Work};

impl<M: Map> Storage for Keyed<M> {
    async fn token(&self, app: &AppId, digest: &str) -> Result<Option<Token>, StorageError> {
        self.record(&key::token(app, digest))
    }

    async fn revocation(
        &self,
        app: &AppId,
        client: Option<&ClientId>,
    ) -> Result<Option<Revocation>, StorageError> {
        self.record(&key::revocation(app, client))
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
        self.whole_conversation(app, id)
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
        let heads = self.rows(&from, &all.end(), Order::OldestFirst, limit)?;
        let whole = heads.iter().map(|(_, head)| self.whole(app, decode(head)?));
        whole.collect()
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
        after: Option<&ConversationId>,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StorageError> {
        let prefix = key::memberships(app, client);
        let from = match after {
            Some(id) => key::membership(app, client, id).next(),
            None => prefix.clone().into_bytes(),
        };
        let to = prefix.clone().end();
        self.rows(&from, &to, Order::OldestFirst, limit)?
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
        self.message_at(app, conversation, place)
    }

    async fn claim(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        id: &MessageId,
    ) -> Result<Option<Claim>, StorageError> {
        self.record(&key::claim(app, conversation, id))
    }

    async fn known(
        &self,
        app: &AppId,
        conversation: &ConversationId,
    ) -> Result<Option<Known>, StorageError> {
        self.record(&key::known(app, conversation))
    }

    async fn message_place(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        id: &MessageId,
    ) -> Result<Option<Place>, StorageError> {
        self.place_of(app, conversation, id)
    }

    async fn sent_with(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        from: &ClientId,
        token: &str,
    ) -> Result<Option<Place>, StorageError> {
        self.place_sent_with(app, conversation, from, token)
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
        self.messages_between(app, conversation, (&from, &to), (order, limit))
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
            patched.extend(self.message_at(app, conversation, &place)?);
        }
        Ok(patched)
    }

    async fn notifications(
        &self,
        app: &AppId,
        client: &ClientId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Missed, StorageError> {
        self.missed(app, client, since, limit)
    }

    async fn noticed(
        &self,
        after: Option<&(AppId, ConversationId)>,
        limit: usize,
    ) -> Result<Vec<(AppId, ConversationId)>, StorageError> {
        let all = key::all_notices();
        let mut from = match after {
            Some((app, conversation)) => key::notices(app, conversation).end(),
            None => all.clone().into_bytes(),
        };
        let to = all.clone().end();
        let mut conversations = Vec::new();
        while conversations.len() < limit {
            let rows = self.rows(&from, &to, Order::OldestFirst, 1)?;
            let Some((row, _)) = rows.first() else { break };
            let mut parts = Parts::after(row, all.len())?;
            let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let id = ConversationId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            from = key::notices(&app, &id).end();
            conversations.push((app, id));
        }
        Ok(conversations)
    }

    async fn noticed_before(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        newer: usize,
    ) -> Result<Option<Timestamp>, StorageError> {
        self.time_before(&key::notices(app, conversation), newer)
    }

    async fn notified(
        &self,
        after: Option<&(AppId, ClientId)>,
        limit: usize,
    ) -> Result<Vec<(AppId, ClientId)>, StorageError> {
        let next = |all: Key, of: fn(&AppId, &ClientId) -> Key| {
            let from = match after {
                Some((app, client)) => of(app, client).end(),
                None => all.clone().into_bytes(),
            };
            self.first_clients(&all, from, of, limit)
        };
        let own = next(key::all_notifications(), key::notifications)?;
        let named = next(key::all_references(), key::references)?;
        let mut clients: Vec<_> = own.into_iter().chain(named).collect();
        // By the order of their keys, so that the next call goes on behind the last.
        let place = |it: &(AppId, ClientId)| key::notifications(&it.0, &it.1).into_bytes();
        clients.sort_by_cached_key(place);
        clients.dedup();
        clients.truncate(limit);
        Ok(clients)
    }

    async fn notified_before(
        &self,
        app: &AppId,
        client: &ClientId,
        newer: usize,
    ) -> Result<Option<Timestamp>, StorageError> {
        let own = self.time_before(&key::notifications(app, client), newer)?;
        let named = self.time_before(&key::references(app, client), newer)?;
        Ok(own.max(named))
    }

    async fn broadcasts(
        &self,
        app: &AppId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<Broadcast>, StorageError> {
        let from = key::broadcasts_at(app, since).end();
        let to = key::broadcasts(app).end();
        records(&self.rows(&from, &to, Order::NewestFirst, limit)?)
    }

    async fn installation(
        &self,
        app: &AppId,
        id: &str,
    ) -> Result<Option<Installation>, StorageError> {
        self.device_row(app, id)
    }

    async fn installation_named(
        &self,
        app: &AppId,
        name: &str,
    ) -> Result<Option<Installation>, StorageError> {
        self.device_named(app, name)
    }

    async fn installations_of(
        &self,
        app: &AppId,
        client: &ClientId,
        limit: usize,
    ) -> Result<Vec<Installation>, StorageError> {
        self.devices_of(app, client, limit)
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

    async fn clock(&self) -> Result<Option<Clock>, StorageError> {
        let Some(bytes) = self.get(&key::clock())? else {
            return Ok(None);
        };
        let mut times = bytes.chunks(8).map(time_of);
        let mut time = || times.next().transpose();
        let missing = StorageError::Damaged {
            what: "the clock has no time",
        };
        let (Some(shown), Some(last)) = (time()?, time()?) else {
            return Err(missing);
        };
        Ok(Some(Clock {
            shown,
            last,
            proven: time()?,
        }))
    }

    fn work(&self) -> Work {
        self.work_so_far()
    }

    fn has_changes(&self) -> bool {
        !self.batch.is_empty()
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

    fn is_sound(&self) -> bool {
        self.map_is_sound()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(Snapshot(self.frozen()?))
    }

    async fn rest(&mut self) -> Result<bool, StorageError> {
        self.rest_now()
    }

    async fn recover(&mut self) -> Result<(), StorageError> {
        self.recover_now()
    }
}

impl<M: Map> Keyed<M> {
    /// The time of the newest row behind a prefix that `newer` others come after.
    fn time_before(&self, prefix: &Key, newer: usize) -> Result<Option<Timestamp>, StorageError> {
        let (from, to) = (prefix.clone().into_bytes(), prefix.clone().end());
        let rows = self.rows(&from, &to, Order::NewestFirst, newer.saturating_add(1))?;
        rows.get(newer)
            .map(|(row, _)| Parts::after(row, prefix.len())?.time())
            .transpose()
    }

    /// Clients that have rows of a kind, each once.
    fn first_clients(
        &self,
        all: &Key,
        mut from: Vec<u8>,
        of: fn(&AppId, &ClientId) -> Key,
        limit: usize,
    ) -> Result<Vec<(AppId, ClientId)>, StorageError> {
        let to = all.clone().end();
        let mut clients = Vec::new();
        while clients.len() < limit {
            // One row of each client, and on behind its last.
            let rows = self.rows(&from, &to, Order::OldestFirst, 1)?;
            let Some((row, _)) = rows.first() else { break };
            let mut parts = Parts::after(row, all.len())?;
            let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let client = ClientId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            from = of(&app, &client).end();
            clients.push((app, client));
        }
        Ok(clients)
    }
}

/// A time that is a value.
pub(super) fn time_of(bytes: &[u8]) -> Result<Timestamp, StorageError> {
    <[u8; 8]>::try_from(bytes)
        .map(|bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)))
        .map_err(|_| StorageError::Damaged {
            what: "a time could not be decoded",
        })
}

fn records<T: DeserializeOwned>(rows: &[Row]) -> Result<Vec<T>, StorageError> {
    rows.iter().map(|(_, value)| decode(value)).collect()
}

/// The place where a stretch begins and ends, as keys.
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
