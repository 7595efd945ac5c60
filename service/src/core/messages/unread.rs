//! What a client missed while it was away: unread counts, or the messages themselves in push mode.

use std::collections::BTreeMap;

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};
use sampan::wire::Command;
use sampan::wire::generated::{UnreadCommand, UnreadTuple};

use super::send::direct;
use crate::core::access::Operation;
use crate::core::apps::settings::Settings;
use crate::core::exchange::decision::{Audience, Notice};
use crate::core::exchange::fields::parts;
use crate::core::exchange::input::{Effect, Gap, SessionId};
use crate::core::exchange::refusal::Failure;
use crate::core::machine::Core;
use crate::core::state::registry::Pushed;
use crate::storage::{
    Client, Conversation, Edge, Kind, Member, Message, Order, Pending, Span, Storage, StorageError,
    Write,
};

/// Conversations of one client that are looked at.
const MEMBERSHIPS_MAX: usize = 10_000;

/// Messages behind a read mark that are looked at: own ones among them do not count.
const SCANNED_MAX: usize = 1000;

/// Messages that a queue of push mode keeps for one conversation.
const QUEUE_MAX: usize = 100;

/// Rows of a queue that are read at a login.
const QUEUE_ROWS_MAX: usize = 20_000;

/// How often a message is pushed again on one connection before the next login has to do it.
pub(in crate::core) const PUSH_TRIES: u32 = 5;

/// An unread notification.
pub(in crate::core) fn notification(now: Now, convs: Vec<UnreadTuple>) -> Command {
    // Later than every message it counts: a conversation's times may run ahead of the clock.
    let newest = convs
        .iter()
        .filter_map(|tuple| tuple.timestamp)
        .max()
        .unwrap_or_default();
    let notif_time = Some(now.wall.as_millis().max(newest));
    Command::Unread(UnreadCommand { convs, notif_time })
}

/// Counts a conversation's messages behind a read mark; `messages` is newest first.
fn count_unread(
    conversation: &Conversation,
    client: &ClientId,
    messages: &[Message],
    cap: usize,
) -> UnreadTuple {
    let others = || messages.iter().filter(|message| message.from != *client);
    let count = others().count().min(cap);
    let mut tuple = UnreadTuple {
        cid: conversation.id.to_string(),
        unread: i32::try_from(count).unwrap_or(i32::MAX),
        conv_type: Some(conversation.kind.number()),
        mentioned: others()
            .any(|message| message.mentions(client))
            .then_some(true),
        ..UnreadTuple::default()
    };
    if let Some(newest) = others().next() {
        (tuple.data, tuple.binary_msg) = parts(&newest.body);
        tuple.mid = Some(newest.id.to_string());
        tuple.timestamp = Some(newest.sent_at.as_millis());
        tuple.from = Some(newest.from.to_string());
        tuple.patch_timestamp = newest.patched_at.map(Timestamp::as_millis);
    }
    tuple
}

impl<S: Storage> Core<S> {
    /// The unread state of one conversation, for a member whose mark stands as given.
    pub(in crate::core) async fn unread_of(
        &self,
        app: &AppId,
        conversation: &Conversation,
        member: &Member,
        cap: usize,
    ) -> Result<UnreadTuple, Failure> {
        let older = Some(Edge {
            at: member.read_until,
            id: None,
            included: false,
        });
        let span = Span { older, newer: None };
        let id = &conversation.id;
        let order = Order::NewestFirst;
        let messages = self
            .storage
            .messages(app, id, &span, order, SCANNED_MAX)
            .await?;
        Ok(count_unread(conversation, &member.client, &messages, cap))
    }

    /// The live conversations of a client that keep unread messages, with its part in them.
    async fn own_conversations(
        &self,
        now: Now,
        app: &AppId,
        client: &ClientId,
    ) -> Result<Vec<(Conversation, Member)>, Failure> {
        let mut own = Vec::new();
        for id in self
            .storage
            .memberships(app, client, MEMBERSHIPS_MAX)
            .await?
        {
            let Some(member) = self.storage.member(app, &id, client).await? else {
                continue;
            };
            let Some(conversation) = self.storage.conversation(app, &id).await? else {
                continue;
            };
            let live = conversation.expires_at.is_none_or(|ends| ends > now.wall);
            if live && conversation.kind != Kind::Room {
                own.push((conversation, member));
            }
        }
        Ok(own)
    }

    /// The unread notification after a login: what came since the client's last one, or all that is
    /// unread, and what was read on another device since `read_since`.
    pub(in crate::core) async fn unread_snapshot(
        &self,
        now: Now,
        app: &AppId,
        id: &SessionId,
        since: Option<i64>,
        read_since: Option<i64>,
    ) -> Result<Vec<Notice>, Failure> {
        let limits = self.settings_of(app).limits;
        let since = since.map(Timestamp::from_millis);
        let read_since = read_since.map(Timestamp::from_millis);
        let mut tuples = Vec::new();
        for (conversation, member) in self.own_conversations(now, app, &id.client).await? {
            let tuple = self
                .unread_of(app, &conversation, &member, limits.unread_count)
                .await?;
            let newest = tuple.timestamp.map(Timestamp::from_millis);
            let is_news = match since {
                None => tuple.unread > 0,
                Some(since) => newest.is_some_and(|at| at >= since),
            };
            // A count that another device cleared meanwhile is news too.
            let was_read = read_since.is_some_and(|since| member.read_marked_at >= since);
            if is_news || was_read {
                tuples.push((newest.unwrap_or(member.read_marked_at), tuple));
            }
        }
        if tuples.is_empty() {
            return Ok(Vec::new());
        }
        tuples.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        tuples.truncate(limits.unread_conversations);
        let convs = tuples.into_iter().map(|(_, tuple)| tuple).collect();
        let to = Audience::Session(id.clone());
        Ok(vec![Notice::once(to, notification(now, convs))])
    }

    /// The messages a client in push mode has not acknowledged: the newest few of each
    /// conversation, oldest first.
    pub(in crate::core) async fn push_offline(
        &mut self,
        now: Now,
        app: &AppId,
        id: &SessionId,
    ) -> Result<Vec<Notice>, Failure> {
        if !self.keeps_queue(app, &id.client).await? {
            self.begin_queue(now, app, &id.client).await?;
        }
        let mut queues: BTreeMap<ConversationId, Vec<Pending>> = BTreeMap::new();
        for row in self
            .storage
            .pending(app, &id.client, QUEUE_ROWS_MAX)
            .await?
        {
            queues
                .entry(row.conversation.clone())
                .or_default()
                .push(row);
        }
        let limits = self.settings_of(app).limits;
        let (mut notices, mut writes) = (Vec::new(), Vec::new());
        for (conversation, mut queue) in queues {
            let over = queue.len().saturating_sub(QUEUE_MAX);
            let dropped = queue.drain(..over);
            writes.extend(dropped.map(|row| Write::DropPending(app.clone(), row)));
            let own = (app, &id.client);
            let cid = Some(conversation.as_str());
            let admitted = match self.admit(now, own, Operation::PushAgain, cid).await {
                Ok(admitted) => admitted,
                Err(Failure::Refused(_)) => {
                    // The client is no member any more, or the conversation is over.
                    let rows = queue.into_iter();
                    writes.extend(rows.map(|row| Write::DropPending(app.clone(), row)));
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let conversation = admitted.conversation;
            let more = queue.len() > limits.pushed_messages;
            let skipped = queue.len().saturating_sub(limits.pushed_messages);
            for row in queue.into_iter().skip(skipped) {
                let message = self
                    .storage
                    .message(app, &conversation.id, &row.place)
                    .await?;
                let Some(message) = message else {
                    writes.push(Write::DropPending(app.clone(), row));
                    continue;
                };
                let mut down = direct(&conversation, &message);
                down.offline = Some(true);
                down.has_more = more.then_some(true);
                let to = Audience::Session(id.clone());
                notices.push(Notice::once(to, Command::direct(down)));
            }
        }
        self.storage.apply(writes).await?;
        Ok(notices)
    }

    /// The first login in push mode: the queue begins with what is unread, and grows from now on.
    async fn begin_queue(
        &mut self,
        now: Now,
        app: &AppId,
        client: &ClientId,
    ) -> Result<(), Failure> {
        let known = Client { push_mode: true };
        let mut writes = vec![Write::PutClient(app.clone(), client.clone(), known)];
        for (conversation, mut member) in self.own_conversations(now, app, client).await? {
            let older = Some(Edge {
                at: member.read_until,
                id: None,
                included: false,
            });
            let span = Span { older, newer: None };
            let cid = &conversation.id;
            let order = Order::NewestFirst;
            let unread = self
                .storage
                .messages(app, cid, &span, order, QUEUE_MAX)
                .await?;
            for message in unread.iter().filter(|message| message.from != *client) {
                let (client, conversation) = (client.clone(), cid.clone());
                let row = Pending {
                    client,
                    conversation,
                    place: message.place(),
                };
                writes.push(Write::PutPending(app.clone(), row));
            }
            member.queued = true;
            writes.push(Write::PutMember(app.clone(), cid.clone(), member));
        }
        Ok(self.storage.apply(writes).await?)
    }

    /// Notes that a message went out on a connection in push mode, to be pushed again.
    pub(in crate::core) fn note_push(
        &mut self,
        now: Now,
        app: &AppId,
        id: &SessionId,
        pending: Pending,
    ) {
        let wait = self.settings_of(app).limits.redelivery();
        let at = now.elapsed.saturating_add(wait);
        self.registry.await_ack(
            id,
            at,
            Pushed {
                pending,
                tries_left: PUSH_TRIES,
            },
        );
    }

    /// Pushes again what nobody acknowledged.
    pub(in crate::core) async fn push_again(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StorageError> {
        for (id, pushed) in self.registry.take_due(now.elapsed) {
            let link = self.registry.link(id.connection);
            let Some(app) = link.and_then(|link| link.app.clone()) else {
                continue;
            };
            let row = &pushed.pending;
            let own = (&app, &id.client);
            let cid = Some(row.conversation.as_str());
            let conversation = match self.admit(now, own, Operation::PushAgain, cid).await {
                Ok(admitted) => admitted.conversation,
                Err(Failure::Refused(_)) => continue,
                Err(Failure::Storage(error)) => return Err(error),
            };
            let message = self
                .storage
                .message(&app, &row.conversation, &row.place)
                .await?;
            let Some(message) = message else {
                continue;
            };
            let command = Command::direct(direct(&conversation, &message));
            let envelope =
                sampan::wire::Envelope::notification(id.client.as_str(), now.wall, command);
            let connection = id.connection;
            let envelope = Box::new(envelope);
            effects.push(Effect::Send {
                connection,
                envelope,
                gap: Gap::None,
            });
            if pushed.tries_left > 1 {
                let wait = self.settings_of(&app).limits.redelivery();
                let tries_left = pushed.tries_left - 1;
                let pending = pushed.pending;
                let at = now.elapsed.saturating_add(wait);
                self.registry.await_ack(
                    &id,
                    at,
                    Pushed {
                        pending,
                        tries_left,
                    },
                );
            }
        }
        Ok(())
    }

    /// The settings of an app that is served.
    pub(in crate::core) fn settings_of(&self, app: &AppId) -> Settings {
        self.apps
            .find(app.as_str())
            .map(|app| app.settings.clone())
            .unwrap_or_default()
    }
}
