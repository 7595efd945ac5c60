//! Operations of an app's operator on sessions and clients: the list of sessions, the barring of a client from
//! the app, and the erasing of a client's data.

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Now, Timestamp};
use serde_json::{Value, json};

use super::{Answered, bad};
use crate::core::exchange::input::Effect;
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::server_call::ServerRequest;
use crate::core::machine::Core;
use crate::storage::{Ban, Conversation, Edge, Order, Place, Revocation, Span, Storage, Write};

/// Sessions on a page.
const SESSIONS: usize = 100;

/// Sessions on a page at most.
const SESSIONS_MAX: usize = 1000;

/// Messages that one call of an erasure looks at: a few milliseconds of the core's time.
const MESSAGES_A_CALL: usize = 1000;

/// Conversations that one call of an erasure looks at.
const CONVERSATIONS_A_CALL: usize = 100;

/// Characters of a reason that a client is told.
const REASON_MAX: usize = 20;

/// A time that does not come.
const FOR_EVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// The progress of an erasure.
struct Cursor {
    conversation: ConversationId,
    /// The message that was looked at last; none when the conversation is done.
    place: Option<Place>,
}

/// The numbers of things that an erasure took away.
#[derive(Default)]
struct Erased {
    messages: usize,
    memberships: usize,
    bans: usize,
}

impl<S: Storage> Core<S> {
    /// The sessions of the app, in the order of their clients' ids.
    pub(super) fn list_sessions(&self, app: &AppId, request: &ServerRequest) -> Answered {
        let limit = request.limit(SESSIONS, SESSIONS_MAX)?;
        let after = request.query.get("cursor").map(String::as_str);
        let named = request.query.get("client_id").map(ClientId::new);
        let all = match named.transpose() {
            Ok(Some(client)) => self.registry.sessions_of(app, &client),
            Ok(None) => self.registry.sessions_of_app(app),
            Err(error) => return Err(bad(&error.to_string())),
        };
        let key = |client: &str, connection: u64| format!("{connection}:{client}");
        // The cursor names a session; those of one client are not parted by it.
        let after = after.and_then(|after| after.split_once(':'));
        let after = after.and_then(|(number, client)| Some((client, number.parse::<u64>().ok()?)));
        let is_next = |id: &&crate::core::SessionId| {
            after.is_none_or(|after| (id.client.as_str(), id.connection.0) > after)
        };
        let mut rest = all.iter().filter(is_next);
        let mut rows = Vec::new();
        let mut cursor = None;
        for id in rest.by_ref().take(limit) {
            let Some(session) = self.registry.session(id) else {
                continue;
            };
            cursor = Some(key(id.client.as_str(), id.connection.0));
            rows.push(json!({
                "client_id": id.client.as_str(),
                "connection": id.connection.0,
                "tag": session.tag.as_ref().map(|tag| tag.as_str()),
                "device_id": session.device,
                "authenticated_at": session.proof.authenticated_at.as_millis(),
                "signed": session.proof.signed,
                "room": session.room.as_ref().map(|room| room.as_str()),
            }));
        }
        let is_more = rest.next().is_some();
        let mut body = json!({ "results": rows });
        if let (true, Some(body)) = (is_more, body.as_object_mut()) {
            body.insert("cursor".to_owned(), json!(cursor));
        }
        Ok(body)
    }

    /// Keeps a client out of the app, until a time or for good; its sessions and tokens end.
    pub(super) async fn bar_client(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let client = request.client_in_path("id")?;
        let until = request.time("until")?.unwrap_or(FOR_EVER);
        if until <= now.wall {
            return Err(bad("until must be a time that is to come"));
        }
        let reason = request.text("reason")?.unwrap_or("barred from the app");
        let reason: String = reason.chars().take(REASON_MAX).collect();
        let ended = self
            .revoke(now, app, Some(&client), None, Some(&reason), effects)
            .await?;
        self.set_bar(app, &client, Some(until)).await?;
        self.unbind_client(app, &client).await?;
        Ok(json!({ "sessions": ended }))
    }

    /// Lets a client in again.
    pub(super) async fn unbar_client(&mut self, app: &AppId, request: &ServerRequest) -> Answered {
        let client = request.client_in_path("id")?;
        self.set_bar(app, &client, None).await?;
        Ok(json!({}))
    }

    async fn set_bar(
        &mut self,
        app: &AppId,
        client: &ClientId,
        barred_until: Option<Timestamp>,
    ) -> Result<(), Failure> {
        let before = self.storage.revocation(app, Some(client)).await?;
        let revocation = Revocation {
            barred_until,
            ..before.unwrap_or_default()
        };
        let write = Write::PutRevocation(app.clone(), Some(client.clone()), revocation);
        Ok(self.storage.apply(vec![write]).await?)
    }

    /// Takes away a bounded part of everything that a client left: its sessions, tokens and notifications
    /// first, then, conversation by conversation, its messages, its membership with its receipts, and its place
    /// on lists. The answer tells the numbers of deleted things, and by a cursor where the next call goes on.
    pub(super) async fn erase_client(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let client = request.client_in_path("id")?;
        let cursor = match request.query.get("cursor") {
            None => None,
            Some(text) => {
                Some(Cursor::parse(text).ok_or_else(|| bad("the cursor is none of ours"))?)
            }
        };
        let mut sessions = 0;
        if cursor.is_none() {
            sessions = self
                .revoke(now, app, Some(&client), None, None, effects)
                .await?;
            let (app, client) = (app.clone(), client.clone());
            let notifications = Write::DropNotifications(app.clone(), client.clone(), FOR_EVER);
            let known = Write::DropClient(app.clone(), client.clone());
            self.storage.apply(vec![notifications, known]).await?;
            self.unbind_client(&app, &client).await?;
        }
        let mut erased = Erased::default();
        let next = self.erase_on(app, &client, cursor, &mut erased).await?;
        let mut body = json!({
            "sessions": sessions,
            "messages": erased.messages,
            "memberships": erased.memberships,
            "bans": erased.bans,
        });
        if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
            body.insert("cursor".to_owned(), Value::String(next.to_text()));
        }
        Ok(body)
    }

    async fn erase_on(
        &mut self,
        app: &AppId,
        client: &ClientId,
        cursor: Option<Cursor>,
        erased: &mut Erased,
    ) -> Result<Option<Cursor>, Failure> {
        let mut left = MESSAGES_A_CALL;
        let mut after = None;
        if let Some(Cursor {
            conversation,
            place,
        }) = cursor
        {
            if place.is_some() {
                let found = self.storage.conversation(app, &conversation).await?;
                if let Some(found) = found
                    && let Some(place) = self
                        .erase_in(app, client, &found, place, &mut left, erased)
                        .await?
                {
                    return Ok(Some(Cursor {
                        conversation,
                        place: Some(place),
                    }));
                }
            }
            after = Some(conversation);
        }
        let some = self
            .storage
            .conversations(app, after.as_ref(), CONVERSATIONS_A_CALL)
            .await?;
        let is_last = some.len() < CONVERSATIONS_A_CALL;
        for conversation in some {
            if left == 0 {
                return Ok(after.map(|conversation| Cursor {
                    conversation,
                    place: None,
                }));
            }
            let stopped = self
                .erase_in(app, client, &conversation, None, &mut left, erased)
                .await?;
            after = Some(conversation.id.clone());
            if stopped.is_some() {
                return Ok(Some(Cursor {
                    conversation: conversation.id,
                    place: stopped,
                }));
            }
        }
        let more = after.filter(|_| !is_last);
        Ok(more.map(|conversation| Cursor {
            conversation,
            place: None,
        }))
    }

    /// Goes on in one conversation; answers where it stopped, if that was not at its end.
    async fn erase_in(
        &mut self,
        app: &AppId,
        client: &ClientId,
        conversation: &Conversation,
        from: Option<Place>,
        left: &mut usize,
        erased: &mut Erased,
    ) -> Result<Option<Place>, Failure> {
        let id = &conversation.id;
        if from.is_none() {
            self.erase_membership(app, client, conversation, erased)
                .await?;
        }
        let older = from.map(|place| Edge {
            at: place.sent_at,
            id: Some(place.id),
            included: false,
        });
        let span = Span { older, newer: None };
        // One row more than may be looked at tells whether the conversation ends there.
        let limit = *left + 1;
        let mut rows = self
            .storage
            .messages(app, id, &span, Order::OldestFirst, limit)
            .await?;
        let is_cut = rows.len() > *left;
        rows.truncate(*left);
        *left -= rows.len();
        let last = rows.last().map(crate::storage::Message::place);
        let own = rows.iter().filter(|row| row.from == *client);
        let writes: Vec<Write> = own
            .map(|row| Write::DropMessage(app.clone(), id.clone(), row.place()))
            .collect();
        erased.messages += writes.len();
        self.storage.apply(writes).await?;
        Ok(last.filter(|_| is_cut))
    }

    async fn erase_membership(
        &mut self,
        app: &AppId,
        client: &ClientId,
        conversation: &Conversation,
        erased: &mut Erased,
    ) -> Result<(), Failure> {
        let id = &conversation.id;
        let mut writes = Vec::new();
        if self.storage.member(app, id, client).await?.is_some() {
            writes.push(Write::DropMember(app.clone(), id.clone(), client.clone()));
            erased.memberships += 1;
            if conversation.unique_id.is_some() {
                // The conversation is not the unique one of these members any more.
                let changed = Conversation {
                    unique_id: None,
                    ..conversation.clone()
                };
                writes.push(Write::PutConversation(app.clone(), changed));
            }
        }
        for ban in [Ban::Blocked, Ban::Silenced] {
            if self.storage.is_banned(app, id, ban, client).await? {
                writes.push(Write::DropBan(app.clone(), id.clone(), ban, client.clone()));
                erased.bans += 1;
            }
        }
        Ok(self.storage.apply(writes).await?)
    }
}

impl Cursor {
    /// The cursor as text: the conversation, and the place after slashes.
    fn to_text(&self) -> String {
        let conversation = self.conversation.as_str();
        match &self.place {
            None => conversation.to_owned(),
            Some(place) => {
                let (at, id) = (place.sent_at.as_millis(), place.id.as_str());
                format!("{conversation}/{at}/{id}")
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let conversation = ConversationId::new(parts.next()?).ok()?;
        let place = match (parts.next(), parts.next()) {
            (Some(at), Some(id)) => Some(Place {
                sent_at: Timestamp::from_millis(at.parse().ok()?),
                id: MessageId::new(id).ok()?,
            }),
            _ => None,
        };
        Some(Self {
            conversation,
            place,
        })
    }
}
