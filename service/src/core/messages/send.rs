//! Sending: the rights, the record, the receivers, and a repeated send that stays one message.

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};
use sampan::wire::generated::{AckCommand, DirectCommand};
use sampan::wire::{Command, ServiceCode};

use crate::core::access::Operation;
use crate::core::exchange::decision::{Audience, Caller, Decision, Notice};
use crate::core::exchange::fields::parts;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::gate::Crowd;
use crate::core::hooks::messages::{Alteration, altered_at};
use crate::core::machine::Core;
use crate::core::messages::patch::told;
use crate::core::state::registry::Will;
use crate::storage::{Body, Conversation, Kind, Message, Order, Place, Span, Storage, Write};

/// Characters of an idempotency token; SDKs send a uuid.
const TOKEN_BYTES_MAX: usize = 128;

/// The facts for sending: the gate let the sender in.
struct SendFacts {
    conversation: Conversation,
    crowd: Crowd,
    /// The message as the app's hook and the masked words leave it.
    message: Message,
    altered: Option<Alteration>,
}

/// The result of sending.
enum SendDecision {
    /// The message is on its way.
    Message(Decision),
    /// The message waits for its sender's connection to break.
    Will(Decision, Will),
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
            Err(Failure::Refused(refusal)) => Ok(self.refuse_send(now, body, &refusal)?),
            other => other,
        }
    }

    /// The refusal of a message. Some SDKs want an id on a failed message too.
    pub(in crate::core) fn refuse_send(
        &mut self,
        now: Now,
        body: &DirectCommand,
        refusal: &Refusal,
    ) -> Result<Decision, Refusal> {
        let id = self.names.message(now.wall);
        let place = Place {
            sent_at: now.wall,
            id: id.map_err(|_| ServiceCode::INTERNAL_ERROR)?,
        };
        Ok(Decision::reply(refused(body, &place, refusal)))
    }

    async fn try_send(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &DirectCommand,
    ) -> Result<Decision, Failure> {
        if let Some(earlier) = self.repeated(now, caller, body).await? {
            return Ok(Decision::reply(accepted(body, &earlier)));
        }
        let app = &caller.app;
        let own = (app, caller.client());
        let admitted = self
            .admit(now, own, Operation::Send, body.cid.as_deref())
            .await?;
        let conversation = admitted.conversation;
        let id = &conversation.id.clone();
        let crowd = self.hearers(app, &conversation).await?;
        let place = self.next_place(app, &conversation).await?;
        let sent_at = place.sent_at;
        let (transient, is_will) = (body.transient == Some(true), body.will == Some(true));
        let mut message = message(caller.client(), body, conversation.kind, place)?;
        let altered = match is_will {
            // The app is asked about a message that is delivered now.
            true => self.mask(caller, &mut message),
            false => self.review(caller, &conversation, &crowd, transient, &mut message)?,
        };
        if altered.is_some() {
            message.patched_at = Some(altered_at(sent_at));
        }
        let facts = SendFacts {
            conversation,
            crowd,
            message,
            altered,
        };
        match decide_send(caller, body, &facts) {
            SendDecision::Message(decision) => {
                // Only a message that is kept needs a time of its own: a transient one moves no clock.
                if !decision.writes.is_empty() {
                    self.stamps.message(app, id, sent_at);
                }
                let SendFacts {
                    conversation,
                    crowd,
                    message,
                    ..
                } = facts;
                let how = (transient, body.push_data.as_deref());
                self.tell_sent(caller, &conversation, &crowd, how, &message);
                Ok(decision)
            }
            SendDecision::Will(decision, will) => {
                if let Some(session) = self.registry.session_mut(&caller.session) {
                    session.will = Some(Box::new(will));
                }
                Ok(decision)
            }
        }
    }

    /// The place of a conversation's next message.
    pub(in crate::core) async fn next_place(
        &mut self,
        app: &AppId,
        conversation: &Conversation,
    ) -> Result<Place, Failure> {
        let (id, newest) = (&conversation.id, Span::default());
        let last = self
            .storage
            .messages(app, id, &newest, Order::NewestFirst, 1)
            .await?;
        // Later than the last change of members too: a client that joined then counts it as unread.
        let floor = last
            .first()
            .map(|last| last.sent_at)
            .max(Some(conversation.updated_at));
        let sent_at = self.stamps.next_message(app, id, floor);
        let id = self.names.message(sent_at);
        Ok(Place {
            sent_at,
            id: id.map_err(|_| ServiceCode::INTERNAL_ERROR)?,
        })
    }

    /// The place of the message that this very send made before, if it did.
    async fn repeated(
        &self,
        now: Now,
        caller: &Caller,
        body: &DirectCommand,
    ) -> Result<Option<Place>, Failure> {
        let cid = body.cid.as_deref();
        let Some(conversation) = cid.and_then(|cid| ConversationId::new(cid).ok()) else {
            return Ok(None);
        };
        let Some(token) = token_of(body)? else {
            return Ok(None);
        };
        let (app, sender) = (&caller.app, caller.client());
        let earlier = self
            .storage
            .sent_with(app, &conversation, sender, &token)
            .await?;
        let memory = self.settings_of(app).retention.message_tokens();
        Ok(earlier.filter(|place| {
            let age = now.wall.saturating_since(place.sent_at);
            memory.is_none_or(|memory| age < memory)
        }))
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

fn decide_send(caller: &Caller, body: &DirectCommand, facts: &SendFacts) -> SendDecision {
    let SendFacts {
        conversation,
        crowd,
        message,
        altered,
    } = facts;
    let transient = body.transient == Some(true);
    let is_will = body.will == Some(true);
    let mut down = direct(conversation, message);
    down.transient = (transient || is_will).then_some(true);
    let mut decision = Decision::reply(accepted(body, &message.place()));
    if is_will {
        let will = Will {
            conversation: conversation.id.clone(),
            command: Command::direct(down),
        };
        return SendDecision::Will(decision, will);
    }
    let is_service = conversation.kind == Kind::System;
    if !is_service {
        let to = audience(crowd, caller, message);
        let notice = Notice::once(to, Command::direct(down));
        decision.notices.push(notice);
    }
    if let Some(altered) = altered.clone() {
        let notice = altered.notice(caller, told(conversation, message));
        decision.notices.push(notice);
    }
    let mut message = message.clone();
    // A client's message to a service is for the operator alone, not for the other subscribers.
    if is_service {
        message.only_for = vec![message.from.clone()];
    }
    if !transient {
        let put = Write::PutMessage(caller.app.clone(), conversation.id.clone(), message);
        decision.writes.push(put);
    }
    SendDecision::Message(decision)
}

/// The sessions that are sent a message: all but the sending one, or only those that the app's hook named.
fn audience(crowd: &Crowd, caller: &Caller, message: &Message) -> Audience {
    match crowd.audience_without(&caller.session) {
        Audience::Others(mut clients, session) => {
            clients.retain(|client| message.is_for(client));
            Audience::Others(clients, session)
        }
        Audience::Sessions(mut sessions) => {
            sessions.retain(|session| message.is_for(&session.client));
            Audience::Sessions(sessions)
        }
        other => other,
    }
}

/// The message that a command sends.
fn message(
    sender: &ClientId,
    body: &DirectCommand,
    kind: Kind,
    place: Place,
) -> Result<Message, Refusal> {
    let transient = body.transient == Some(true) || body.will == Some(true);
    let mentions = body.mention_pids.iter();
    Ok(Message {
        id: place.id,
        sent_at: place.sent_at,
        from: sender.clone(),
        body: match (&body.binary_msg, &body.msg) {
            (Some(bytes), _) => Body::Binary(bytes.clone()),
            (None, text) => Body::Text(text.clone().unwrap_or_default()),
        },
        wants_receipt: body.r == Some(true) && kind != Kind::Room && !transient,
        mention_all: body.mention_all == Some(true),
        mentions: mentions.filter_map(|it| ClientId::new(it).ok()).collect(),
        patched_at: None,
        recalled: false,
        delivered_at: None,
        read_at: None,
        token: token_of(body)?,
        only_for: Vec::new(),
    })
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
        app_code: refusal.app_code,
        app_msg: refusal.app_msg.clone(),
        cid: body.cid.clone(),
        t: Some(place.sent_at.as_millis()),
        uid: Some(place.id.to_string()),
        ..AckCommand::default()
    })
}
