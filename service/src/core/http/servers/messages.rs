//! Messages in the name of any client, for an app's own servers: sent, edited, recalled, deleted.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, Now, Priority};
use sampan::wire::generated::PatchCommand;
use sampan::wire::{Command, Op, ServiceCode};
use serde_json::{Value, json};

use super::fields::NAMED_MAX;
use super::{Answered, bad};
use crate::core::exchange::decision::{Audience, Notice};
use crate::core::exchange::input::{Effect, SessionId};
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::server_call::{ServerCall, ServerRequest};
use crate::core::http::records::{self, RecordsPage};
use crate::core::machine::Core;
use crate::core::messages::patch::{RECALLED, told};
use crate::core::messages::send::direct;
use crate::storage::{Body, Conversation, Kind, Member, Message, Order, Place, Storage, Write};

/// Bytes of a message with its push data (the protocol, section 12).
const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// The receivers of a message of an app's own server.
pub(super) struct Receivers {
    /// The sessions that it goes to now.
    pub(super) sessions: Vec<SessionId>,
    /// The only clients that may read the message; empty: everybody in the conversation.
    pub(super) only_for: Vec<ClientId>,
    /// The clients that are pushed to where they are offline.
    pub(super) clients: Vec<ClientId>,
}

impl<S: Storage> Core<S> {
    /// Sends a message. Its sender need not be a member, nor be online.
    pub(super) async fn send_as(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let kind = match request.call {
            ServerCall::Send(kind) => kind,
            _ => Kind::System,
        };
        let conversation = self.server_conversation(now, app, kind, request).await?;
        let from = request.client_in_body("from_client")?;
        let receivers = self.receivers(app, &conversation, &from, request).await?;
        let transient = request.flag("transient")?;
        for client in &receivers.only_for {
            if !transient
                && self
                    .storage
                    .member(app, &conversation.id, client)
                    .await?
                    .is_none()
            {
                let guest = Member {
                    guest: true,
                    queued: self.keeps_queue(app, client).await?,
                    ..Member::joined(client, conversation.created_at)
                };
                // Earlier messages are not unread; this message is.
                let guest = Member {
                    read_until: self.newest_of(app, &conversation).await?,
                    ..guest
                };
                let (app, id) = (app.clone(), conversation.id.clone());
                self.storage
                    .apply(vec![Write::PutMember(app, id, guest)])
                    .await?;
            }
        }
        self.put_and_tell(now, app, &conversation, from, receivers, request, effects)
            .await
    }

    async fn newest_of(
        &self,
        app: &AppId,
        conversation: &Conversation,
    ) -> Result<sampan::model::Timestamp, Failure> {
        let span = crate::storage::Span::default();
        let last = self
            .storage
            .messages(app, &conversation.id, &span, Order::NewestFirst, 1)
            .await?;
        Ok(last
            .first()
            .map_or(conversation.created_at, |it| it.sent_at))
    }

    /// Keeps a message of an app's own server, and sends it to those who are online.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another part of one send"
    )]
    pub(super) async fn put_and_tell(
        &mut self,
        now: Now,
        app: &AppId,
        conversation: &Conversation,
        from: ClientId,
        receivers: Receivers,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let text = request.text("message")?.filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| bad("message is missing"))?;
        let push = push_of(request);
        if text.len() + push.map_or(0, |it| it.to_string().len()) > MESSAGE_BYTES_MAX {
            return Err(ServiceCode::FRAME_TOO_LONG.into());
        }
        let transient = request.flag("transient")?;
        let place = self.next_place(app, conversation).await?;
        let message = Message {
            id: place.id.clone(),
            sent_at: place.sent_at,
            from,
            body: Body::Text(text.to_owned()),
            wants_receipt: false,
            mention_all: request.flag("mention_all")?,
            mentions: request.clients("mention_client_ids", NAMED_MAX)?,
            patched_at: None,
            recalled: false,
            delivered_at: None,
            read_at: None,
            token: None,
            only_for: receivers.only_for,
        };
        let mut down = direct(conversation, &message);
        down.transient = transient.then_some(true);
        if !transient {
            self.stamps.message(app, &conversation.id, place.sent_at);
            let (app, id) = (app.clone(), conversation.id.clone());
            let put = Write::PutMessage(app, id, message.clone());
            self.storage.apply(vec![put]).await?;
        }
        if !transient && conversation.kind != Kind::Room {
            let push_data = push.map(|it| match it {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            let mut offline = receivers.clients;
            offline.retain(|it| *it != message.from && !self.registry.is_online(app, it));
            if !offline.is_empty() {
                self.order_push(
                    app,
                    &conversation.id,
                    offline,
                    push_data.as_deref(),
                    &message,
                );
            }
        }
        let to = Audience::Sessions(receivers.sessions);
        let notice = Notice::once(to, Command::direct(down)).with_priority(priority_of(request));
        self.tell_all(now, app, vec![notice], effects).await?;
        Ok(json!({ "msg-id": place.id.as_str(), "timestamp": place.sent_at.as_millis() }))
    }

    async fn receivers(
        &self,
        app: &AppId,
        conversation: &Conversation,
        from: &ClientId,
        request: &ServerRequest,
    ) -> Result<Receivers, Failure> {
        let only_for = match request.call {
            ServerCall::Send(Kind::System) => {
                let clients = request.clients("to_clients", NAMED_MAX)?;
                if clients.is_empty() {
                    return Err(bad("to_clients names nobody"));
                }
                clients
            }
            _ => Vec::new(),
        };
        let own = self.registry.sessions_of(app, from);
        let clients: BTreeSet<ClientId> = match conversation.kind {
            Kind::System if only_for.is_empty() => {
                let all = self
                    .storage
                    .members(app, &conversation.id, usize::MAX)
                    .await?;
                let subscribed = all.into_iter().filter(|member| !member.guest);
                subscribed.map(|member| member.client).collect()
            }
            Kind::System => only_for.iter().cloned().collect(),
            Kind::Room => BTreeSet::new(),
            Kind::Normal | Kind::Temporary => self.crowd(app, conversation).await?.clients(),
        };
        let of_clients = clients.iter();
        let of_clients = of_clients.flat_map(|it| self.registry.sessions_of(app, it));
        let mut sessions: Vec<SessionId> = match conversation.kind {
            Kind::Room => self.registry.inside(app, &conversation.id),
            _ => of_clients.collect(),
        };
        if matches!(conversation.kind, Kind::Normal | Kind::Temporary) {
            let outside = own.iter().filter(|it| !clients.contains(&it.client));
            sessions.extend(outside.cloned());
        }
        if conversation.kind == Kind::Room || request.flag("no_sync")? {
            sessions.retain(|session| session.client != *from);
        }
        Ok(Receivers {
            sessions,
            only_for,
            clients: clients.into_iter().collect(),
        })
    }

    /// Edits or recalls a message; its readers are told as if its sender had done it.
    pub(super) async fn patch_as(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let conversation = self.server_conversation(now, app, kind, request).await?;
        let from = request.client_in_body("from_client")?;
        let at = request.time("timestamp")?;
        let place = Place {
            sent_at: at.ok_or_else(|| bad("timestamp is missing"))?,
            id: request.message_in_path()?,
        };
        let mut message = self.message_from(app, &conversation, &place, &from).await?;
        message.patched_at = Some(self.stamps.next());
        match request.call {
            ServerCall::Recall(_) => {
                message.body = Body::Text(RECALLED.to_owned());
                message.recalled = true;
                message.mention_all = false;
                message.mentions.clear();
            }
            _ => {
                let text = request.text("message")?.filter(|text| !text.is_empty());
                let text = text.ok_or_else(|| bad("message is missing"))?;
                if text.len() > MESSAGE_BYTES_MAX {
                    return Err(ServiceCode::FRAME_TOO_LONG.into());
                }
                message.body = Body::Text(text.to_owned());
                message.recalled = false;
            }
        }
        let patches = PatchCommand {
            patches: vec![told(&conversation, &message)],
            ..PatchCommand::default()
        };
        let audience = match conversation.kind {
            Kind::System if message.only_for.is_empty() => {
                let all = self
                    .storage
                    .members(app, &conversation.id, usize::MAX)
                    .await?;
                Audience::Clients(all.into_iter().map(|it| it.client).collect())
            }
            Kind::System => Audience::Clients(message.only_for.clone()),
            _ => self.crowd(app, &conversation).await?.audience(),
        };
        let write = Write::PutMessage(app.clone(), conversation.id.clone(), message);
        self.storage.apply(vec![write]).await?;
        let notices = vec![Notice::once(audience, Command::patch(Op::Modify, patches))];
        self.tell_all(now, app, notices, effects).await?;
        Ok(json!({}))
    }

    /// The message at a place, if it is this client's.
    async fn message_from(
        &self,
        app: &AppId,
        conversation: &Conversation,
        place: &Place,
        from: &ClientId,
    ) -> Result<Message, Failure> {
        let message = self.storage.message(app, &conversation.id, place).await?;
        let message = message.ok_or(ServiceCode::MESSAGE_NOT_FOUND)?;
        match message.from == *from {
            true => Ok(message),
            false => Err(ServiceCode::MESSAGE_OWNERSHIP_REQUIRED.into()),
        }
    }

    /// Deletes the service's copy of a message: clients hear nothing.
    pub(super) async fn delete_message(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
    ) -> Answered {
        let conversation = self.server_conversation(now, app, kind, request).await?;
        let from = request.query.get("from_client").map_or("", String::as_str);
        let from = ClientId::new(from).map_err(|_| bad("from_client is missing"))?;
        let at = request.number("timestamp")?;
        let place = Place {
            sent_at: sampan::model::Timestamp::from_millis(
                at.ok_or_else(|| bad("timestamp is missing"))?,
            ),
            id: request.message_in_path()?,
        };
        self.message_from(app, &conversation, &place, &from).await?;
        let write = Write::DropMessage(app.clone(), conversation.id, place);
        self.storage.apply(vec![write]).await?;
        Ok(json!({}))
    }

    /// The messages of a service conversation that one client can read, in the rows of all histories.
    pub(super) async fn list_for(
        &mut self,
        (app, conversation): (&AppId, Conversation),
        request: &ServerRequest,
    ) -> Answered {
        let client = request.client_in_path("client")?;
        let page = RecordsPage::read(&request.query).map_err(bad)?;
        let (mut span, order, limit) = page.into_parts();
        let mut rows: Vec<Value> = Vec::new();
        loop {
            let id = &conversation.id;
            let some = self
                .storage
                .messages(app, id, &span, order, records::PAGE_MAX)
                .await?;
            let is_last = some.len() < records::PAGE_MAX;
            for message in &some {
                if rows.len() == limit {
                    return Ok(rows.into());
                }
                if message.is_for(&client) {
                    rows.push(records::row(id, message));
                }
            }
            let Some(last) = some.last().filter(|_| !is_last) else {
                return Ok(rows.into());
            };
            let edge = Some(crate::storage::Edge {
                at: last.sent_at,
                id: Some(last.id.clone()),
                included: false,
            });
            match order {
                Order::NewestFirst => span.newer = edge,
                Order::OldestFirst => span.older = edge,
            }
        }
    }

    /// Takes a message that was sent to given clients away from one of them.
    pub(super) async fn delete_for(
        &mut self,
        (app, conversation): (&AppId, Conversation),
        request: &ServerRequest,
    ) -> Answered {
        let client = request.client_in_path("client")?;
        let (id, mid) = (&conversation.id, request.message_in_path()?);
        let place = self.storage.message_place(app, id, &mid).await?;
        let place = place.ok_or(ServiceCode::MESSAGE_NOT_FOUND)?;
        let message = self.storage.message(app, id, &place).await?;
        let message = message.filter(|it| it.only_for.contains(&client));
        let mut message = message.ok_or(ServiceCode::MESSAGE_NOT_FOUND)?;
        message.only_for.retain(|it| *it != client);
        let (app, id) = (app.clone(), id.clone());
        let write = match message.only_for.is_empty() {
            true => Write::DropMessage(app, id, place),
            false => Write::PutMessage(app, id, message),
        };
        self.storage.apply(vec![write]).await?;
        Ok(json!({}))
    }
}

/// The push of a message, which stands instead of the template of the app. A message to all subscribers names the field
/// otherwise.
fn push_of(request: &ServerRequest) -> Option<&Value> {
    let push = request
        .body
        .get("push_data")
        .or_else(|| request.body.get("push"));
    push.filter(|it| !it.is_null())
}

/// The priority of a message, as its number on the wire.
fn priority_of(request: &ServerRequest) -> Option<i32> {
    let priority = match request.body.get("priority")?.as_str()? {
        "high" => Priority::High,
        "normal" => Priority::Normal,
        "low" => Priority::Low,
        _ => return None,
    };
    Some(priority.number())
}
