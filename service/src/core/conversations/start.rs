//! Starting a conversation, or finding the unique one of the same members.
//!
//! All members that a unique conversation ever had are its members now: when a member leaves, the conversation
//! stops being unique (`member.rs`). No client can therefore prepare the unique conversation of two others,
//! leave it, and come back to read it.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};
use sampan::wire::generated::ConvCommand;
use sampan::wire::signature::{SignedAction, hmac_sha1_hex};
use sampan::wire::{Command, Op, ServiceCode, iso};
use serde_json::{Map, Value, json};

use super::notices::{about, refuse_attributes, seconds_left, signature_of};
use crate::core::access::Operation;
use crate::core::apps::app::App;
use crate::core::columns::attributes;
use crate::core::exchange::decision::{Audience, Caller, Decision, Keeping, Notice};
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::hook_call::HookName;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Member, Storage, Write};

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn start(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let sent = client_ids(&body.m)?;
        self.check_start(&app, caller, &sent, body)?;
        self.start_checked(now, caller, sent, body).await
    }

    /// Starts a conversation whose signature was checked.
    pub(in crate::core) async fn start_checked(
        &mut self,
        now: Now,
        caller: &Caller,
        sent: Vec<ClientId>,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let facts = StartFacts::read(&app, now, caller.client(), sent, body)?;
        if let Some(unique_id) = &facts.unique_id {
            let existing = self
                .storage
                .unique_conversation(&caller.app, unique_id)
                .await?;
            if let Some(id) = existing
                && let Some(existing) = self.own_unique(now, caller, &id).await?
            {
                return Ok(Decision::reply(started(now, &existing, true)));
            }
        }
        self.ask_hook(caller, HookName::ConversationStart, || {
            let members: Vec<&str> = facts.members.iter().map(ClientId::as_str).collect();
            json!({
                "initBy": caller.client().as_str(),
                "members": members,
                "attr": facts.columns,
            })
        })?;
        let id = match facts.kind {
            Kind::Temporary => self.names.temporary(),
            _ => self.names.conversation(),
        };
        let id = id.map_err(|_| ServiceCode::CONVERSATION_INTERNAL_ERROR)?;
        let mut queued = BTreeSet::new();
        for client in &facts.members {
            if self.keeps_queue(&caller.app, client).await? {
                queued.insert(client.clone());
            }
        }
        if facts.kind == Kind::Room {
            self.registry.enter_room(&caller.app, &id, &caller.session);
        }
        self.tell_hook(
            &caller.app,
            HookName::ConversationStarted,
            || json!({ "convId": id.as_str() }),
        );
        Ok(decide_start(now, caller, id, facts, &queued))
    }

    /// Checks the signature of a start. Without members its text is that of a login: that is for
    /// chat rooms alone, which have none.
    fn check_start(
        &mut self,
        app: &App,
        caller: &Caller,
        members: &[ClientId],
        body: &ConvCommand,
    ) -> Result<(), Refusal> {
        let is_room = body.transient == Some(true);
        if app.settings.signatures.conversation && members.is_empty() && !is_room {
            let detail = "a signature for a start has to cover its members";
            let code = ServiceCode::CONVERSATION_SIGNATURE_FAILED;
            return Err(Refusal::because(code, detail));
        }
        let action = SignedAction::Start { members };
        self.check_signed(app, caller.client(), action, signature_of(body))?;
        Ok(())
    }

    /// The unique conversation with this id, if it is live and the client is a member. A client that is not a
    /// member has no right to the conversation, even if the unique id stands for a set of members that has the
    /// client.
    async fn own_unique(
        &self,
        now: Now,
        caller: &Caller,
        id: &ConversationId,
    ) -> Result<Option<Conversation>, Failure> {
        let own = (&caller.app, caller.client());
        let cid = Some(id.as_str());
        match self.admit(now, own, Operation::FindUnique, cid).await {
            Ok(admitted) => Ok(Some(admitted.conversation)),
            Err(Failure::Refused(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// True if a queue of unacknowledged messages is kept for a client.
    pub(in crate::core) async fn keeps_queue(
        &self,
        app: &AppId,
        client: &ClientId,
    ) -> Result<bool, Failure> {
        Ok(self
            .storage
            .client(app, client)
            .await?
            .is_some_and(|known| known.push_mode))
    }
}

/// The facts for starting a conversation.
pub(in crate::core) struct StartFacts {
    pub(in crate::core) kind: Kind,
    pub(in crate::core) members: BTreeSet<ClientId>,
    pub(in crate::core) columns: Map<String, Value>,
    pub(in crate::core) unique_id: Option<String>,
    pub(in crate::core) expires_at: Option<Timestamp>,
}

impl StartFacts {
    fn read(
        app: &App,
        now: Now,
        creator: &ClientId,
        sent: Vec<ClientId>,
        body: &ConvCommand,
    ) -> Result<Self, Refusal> {
        let limits = &app.settings.limits;
        let kind = match (body.temp_conv, body.transient) {
            (Some(true), _) => Kind::Temporary,
            (_, Some(true)) => Kind::Room,
            _ => Kind::Normal,
        };
        let mut members: BTreeSet<ClientId> = sent.into_iter().collect();
        members.insert(creator.clone());
        let most = match kind {
            Kind::Temporary => limits.temporary_members,
            _ => limits.members,
        };
        if kind == Kind::Room {
            members.clear();
        }
        if members.len() > most {
            return Err(ServiceCode::CONVERSATION_FULL.into());
        }
        let columns = match &body.attr {
            Some(attr) => attributes::initial(&attr.data, limits.attribute_bytes),
            None => Ok(Map::new()),
        };
        let unique = body.unique == Some(true) && kind != Kind::Room;
        let ends = || {
            now.wall
                .saturating_add(limits.temporary_ttl(body.temp_conv_ttl))
        };
        Ok(Self {
            kind,
            unique_id: unique.then(|| unique_id(kind, &members)),
            members,
            columns: columns.map_err(refuse_attributes)?,
            expires_at: (kind == Kind::Temporary).then(ends),
        })
    }
}

/// The id of a set of members: 32 hex digits, the same for each order.
pub(in crate::core) fn unique_id(kind: Kind, members: &BTreeSet<ClientId>) -> String {
    let names: Vec<&str> = members.iter().map(ClientId::as_str).collect();
    let key = match kind {
        Kind::Temporary => "temporary members",
        _ => "members",
    };
    // JSON tells ["a,b"] from ["a","b"], as joining by a comma would not.
    let digest = hmac_sha1_hex(key, &Value::from(names).to_string());
    digest.chars().take(32).collect()
}

pub(in crate::core) fn decide_start(
    now: Now,
    caller: &Caller,
    id: ConversationId,
    facts: StartFacts,
    queued: &BTreeSet<ClientId>,
) -> Decision {
    let conversation = Conversation {
        id: id.clone(),
        kind: facts.kind,
        creator: caller.client().clone(),
        columns: facts.columns,
        unique_id: facts.unique_id,
        created_at: now.wall,
        updated_at: now.wall,
        expires_at: facts.expires_at,
    };
    let app = &caller.app;
    let members = facts.members.iter().map(|client| {
        let member = Member {
            queued: queued.contains(client),
            ..Member::joined(client, now.wall)
        };
        Write::PutMember(app.clone(), id.clone(), member)
    });
    let mut writes: Vec<Write> = members.collect();
    let reply = started(now, &conversation, false);
    let mut notices = Vec::new();
    if conversation.kind != Kind::Room {
        let everybody: Vec<ClientId> = facts.members.into_iter().collect();
        let about = ConvCommand {
            udate: Some(iso::format(now.wall)),
            ..about(now, &conversation, caller.client())
        };
        let m = everybody.iter().map(ToString::to_string).collect();
        let joined = ConvCommand { m, ..about.clone() };
        let to = || Audience::Clients(everybody.clone());
        let keeping = || Keeping::Members(id.clone());
        let joined = [
            Command::conv(Op::Joined, about),
            Command::conv(Op::MembersJoined, joined),
        ];
        notices.extend(joined.map(|told| Notice::kept(keeping(), to(), told)));
    }
    writes.insert(0, Write::PutConversation(app.clone(), conversation));
    Decision {
        writes,
        reply: Some(reply),
        notices,
    }
}

fn started(now: Now, conversation: &Conversation, existing: bool) -> Command {
    let left = conversation.expires_at.map(|ends| seconds_left(now, ends));
    let body = ConvCommand {
        cid: Some(conversation.id.to_string()),
        cdate: Some(iso::format(conversation.created_at)),
        unique_id: conversation.unique_id.clone(),
        unique: conversation.unique_id.as_ref().map(|_| true),
        existing: existing.then_some(true),
        temp_conv: left.map(|_| true),
        temp_conv_ttl: left,
        transient: (conversation.kind == Kind::Room).then_some(true),
        ..ConvCommand::default()
    };
    Command::conv(Op::Started, body)
}
