//! Sending: who may, what is kept, who gets it, and that a repeated send stays one message.

use sampan::model::{ClientId, ConversationId, Now, Timestamp};
use sampan::wire::generated::{AckCommand, DirectCommand};
use sampan::wire::{Command, ServiceCode};

use crate::core::exchange::decision::{Audience, Caller, Decision, Notice};
use crate::core::exchange::fields::parts;
use crate::core::exchange::input::SessionId;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::core::state::registry::Will;
use crate::storage::{
    Ban, Body, Conversation, Kind, Member, Message, Order, Pending, Place, Span, Storage, Write,
};

/// Characters of an idempotency token; SDKs send a uuid.
const TOKEN_BYTES_MAX: usize = 128;

/// What sending is decided on.
struct SendFacts {
    conversation: Conversation,
    members: Vec<Member>,
    /// The sessions inside, for a chat room.
    inside: Vec<SessionId>,
    blocked: bool,
    silenced: bool,
    place: Place,
}

impl<S: Storage> Core<S> {
    /// `direct`. A refusal is an acknowledgement with a code, as the protocol wants it.
    pub(in crate::core) async fn send(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &DirectCommand,
    ) -> Result<Decision, Failure> {
        match self.try_send(now, caller, body).await {
            Err(Failure::Refused(refusal)) => {
                // Some SDKs want an id on a failed message too.
                let id = self
                    .names
                    .message()
                    .map_err(|_| ServiceCode::INTERNAL_ERROR)?;
                let place = Place {
                    sent_at: now.wall,
                    id,
                };
                Ok(Decision::reply(refused(body, &place, &refusal)))
            }
            other => other,
        }
    }

    async fn try_send(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &DirectCommand,
    ) -> Result<Decision, Failure> {
        let known = self.known(now, &caller.app, body.cid.as_deref()).await;
        let conversation = known.map_err(|failure| no_target(failure, body.cid.as_deref()))?;
        if let Some(earlier) = self.repeated(caller, &conversation.id, body).await? {
            return Ok(Decision::reply(accepted(body, &earlier)));
        }
        let app = &caller.app;
        let id = &conversation.id;
        let members = self.all_members(app, &conversation).await?;
        let blocked = self
            .storage
            .is_banned(app, id, Ban::Blocked, caller.client())
            .await?;
        let silenced = self
            .storage
            .is_banned(app, id, Ban::Silenced, caller.client())
            .await?;
        let newest = Span::default();
        let last = self
            .storage
            .messages(app, id, &newest, Order::NewestFirst, 1)
            .await?;
        // Later than the last change of members too: who joined then counts it as unread.
        let floor = last
            .first()
            .map(|last| last.sent_at)
            .max(Some(conversation.updated_at));
        let sent_at = self.stamps.message(app, id, floor);
        let message_id = self
            .names
            .message()
            .map_err(|_| ServiceCode::INTERNAL_ERROR)?;
        let facts = SendFacts {
            inside: self.registry.inside(app, id),
            place: Place {
                sent_at,
                id: message_id,
            },
            conversation,
            members,
            blocked,
            silenced,
        };
        let (decision, will) = decide_send(caller, body, facts)?;
        if let (Some(will), Some(session)) = (will, self.registry.session_mut(&caller.session)) {
            session.will = Some(Box::new(will));
        }
        Ok(decision)
    }

    /// The place of the message that this very send made before, if it did.
    async fn repeated(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        body: &DirectCommand,
    ) -> Result<Option<Place>, Failure> {
        let Some(token) = token_of(body)? else {
            return Ok(None);
        };
        let app = &caller.app;
        Ok(self
            .storage
            .sent_with(app, conversation, caller.client(), &token)
            .await?)
    }
}

/// Sending to what does not exist is a wrong target. A temporary conversation that is over is not
/// found: that is how SDKs know that its time has come.
fn no_target(failure: Failure, cid: Option<&str>) -> Failure {
    let temporary = cid.is_some_and(|cid| cid.starts_with(ConversationId::TEMPORARY_PREFIX));
    match failure {
        Failure::Refused(_) if temporary => ServiceCode::CONVERSATION_NOT_FOUND.into(),
        Failure::Refused(_) => ServiceCode::INVALID_MESSAGING_TARGET.into(),
        storage @ Failure::Storage(_) => storage,
    }
}

fn token_of(body: &DirectCommand) -> Result<Option<String>, Refusal> {
    if body.transient == Some(true) || body.will == Some(true) {
        return Ok(None);
    }
    match body.dt.as_deref().filter(|token| !token.is_empty()) {
        Some(token) if token.len() > TOKEN_BYTES_MAX => {
            let detail = "the deduplication token is too long";
            Err(Refusal::because(
                ServiceCode::UNPARSEABLE_RAW_MESSAGE,
                detail,
            ))
        }
        token => Ok(token.map(str::to_owned)),
    }
}

fn decide_send(
    caller: &Caller,
    body: &DirectCommand,
    facts: SendFacts,
) -> Result<(Decision, Option<Will>), Refusal> {
    let sender = caller.client();
    let kind = facts.conversation.kind;
    if facts.blocked {
        return Err(ServiceCode::BLOCKED_BY_CONV.into());
    }
    let is_member = facts.members.iter().any(|member| member.client == *sender);
    if matches!(kind, Kind::Normal | Kind::Temporary) && !is_member {
        return Err(ServiceCode::INVALID_MESSAGING_TARGET.into());
    }
    if facts.silenced {
        return Err(ServiceCode::SILIENCED.into());
    }
    let transient = body.transient == Some(true);
    let will = body.will == Some(true);
    let message = Message {
        id: facts.place.id.clone(),
        sent_at: facts.place.sent_at,
        from: sender.clone(),
        body: match (&body.binary_msg, &body.msg) {
            (Some(bytes), _) => Body::Binary(bytes.clone()),
            (None, text) => Body::Text(text.clone().unwrap_or_default()),
        },
        wants_receipt: body.r == Some(true) && kind != Kind::Room && !transient && !will,
        mention_all: body.mention_all == Some(true),
        mentions: body
            .mention_pids
            .iter()
            .filter_map(|it| ClientId::new(it).ok())
            .collect(),
        patched_at: None,
        recalled: false,
        delivered_at: None,
        read_at: None,
        token: token_of(body)?,
    };
    let mut down = direct(&facts.conversation, &message);
    down.transient = (transient || will).then_some(true);
    let reply = accepted(body, &facts.place);
    if will {
        let conversation = facts.conversation.id;
        let command = Command::direct(down);
        return Ok((
            Decision::reply(reply),
            Some(Will {
                conversation,
                command,
            }),
        ));
    }
    let mut decision = Decision::reply(reply);
    let to = match kind {
        Kind::Normal | Kind::Temporary => {
            let clients = facts
                .members
                .iter()
                .map(|member| member.client.clone())
                .collect();
            Audience::Others(clients, caller.session.clone())
        }
        Kind::Room => {
            let inside = facts.inside.into_iter();
            Audience::Sessions(inside.filter(|it| *it != caller.session).collect())
        }
        // What clients say to a service is its operator's to read, not the other subscribers'.
        Kind::System => Audience::Sessions(Vec::new()),
    };
    decision
        .notices
        .push(Notice::once(to, Command::direct(down)));
    if !transient && kind != Kind::System {
        let queued = facts
            .members
            .iter()
            .filter(|it| it.queued && it.client != *sender);
        for member in queued {
            let client = member.client.clone();
            let conversation = facts.conversation.id.clone();
            let pending = Pending {
                client,
                conversation,
                place: facts.place.clone(),
            };
            decision
                .writes
                .push(Write::PutPending(caller.app.clone(), pending));
        }
        let id = facts.conversation.id;
        decision
            .writes
            .push(Write::PutMessage(caller.app.clone(), id, message));
    }
    Ok((decision, None))
}

/// A message on its way down.
pub(in crate::core) fn direct(conversation: &Conversation, message: &Message) -> DirectCommand {
    let (msg, binary_msg) = parts(&message.body);
    DirectCommand {
        msg,
        binary_msg,
        cid: Some(conversation.id.to_string()),
        id: Some(message.id.to_string()),
        from_peer_id: Some(message.from.to_string()),
        timestamp: Some(message.sent_at.as_millis()),
        patch_timestamp: message.patched_at.map(Timestamp::as_millis),
        mention_pids: message.mentions.iter().map(ToString::to_string).collect(),
        mention_all: message.mention_all.then_some(true),
        conv_type: Some(conversation.kind.number()),
        ..DirectCommand::default()
    }
}

fn accepted(body: &DirectCommand, place: &Place) -> Command {
    Command::ack(AckCommand {
        cid: body.cid.clone(),
        t: Some(place.sent_at.as_millis()),
        uid: Some(place.id.to_string()),
        ..AckCommand::default()
    })
}

fn refused(body: &DirectCommand, place: &Place, refusal: &Refusal) -> Command {
    Command::ack(AckCommand {
        code: Some(refusal.code.number()),
        reason: Some(refusal.code.name().to_owned()),
        cid: body.cid.clone(),
        t: Some(place.sent_at.as_millis()),
        uid: Some(place.id.to_string()),
        ..AckCommand::default()
    })
}
