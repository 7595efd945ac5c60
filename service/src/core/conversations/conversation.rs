//! Conversations: starting, looking up, changing attributes, the small operations.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};
use sampan::wire::generated::{ConvCommand, JsonObjectMessage};
use sampan::wire::signature::{SignedAction, hmac_sha1_hex};
use sampan::wire::{Command, Op, ServiceCode, iso};
use serde_json::{Map, Value};

use crate::core::apps::app::App;
use crate::core::columns::attributes::{self, AttributeError, Changes};
use crate::core::exchange::decision::{Audience, Caller, Decision, Notice};
use crate::core::exchange::fields::{client_ids, json};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::{Core, unsupported_op};
use crate::storage::{Conversation, Kind, Member, Storage, Write};

/// Conversations that one `is_member` query may name.
const IS_MEMBER_MAX: usize = 100;

/// Who is inside a chat room: this many are told (the protocol, section 5.7).
const ROOM_MEMBERS_TOLD: usize = 50;

impl<S: Storage> Core<S> {
    /// Any `conv` command.
    pub(in crate::core) async fn conversation(
        &mut self,
        now: Now,
        caller: &Caller,
        op: Op,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        match op {
            Op::Start => self.start(now, caller, body).await,
            Op::Query => self.search(now, caller, body).await,
            Op::Update => self.update(now, caller, body).await,
            Op::Add => self.add_members(now, caller, body).await,
            Op::Remove => self.remove_members(now, caller, body).await,
            Op::Mute => self.mute(now, caller, body, true).await,
            Op::Unmute => self.mute(now, caller, body, false).await,
            Op::Count => self.count(now, caller, body).await,
            Op::Members => self.list_members(now, caller, body).await,
            Op::IsMember => self.is_member(caller, body).await,
            Op::MaxRead => self.max_read(now, caller, body).await,
            Op::MemberInfoUpdate => self.update_role(now, caller, body).await,
            Op::AddShutup | Op::RemoveShutup | Op::QueryShutup | Op::CheckShutup => {
                self.silence(now, caller, op, body).await
            }
            other => Err(unsupported_op("conv", other).into()),
        }
    }

    /// The app of a caller: it was served when the session opened.
    pub(in crate::core) fn app_of(&self, caller: &Caller) -> Result<App, Refusal> {
        let app = self.apps.find(caller.app.as_str()).cloned();
        app.ok_or_else(|| ServiceCode::APP_NOT_AVAILABLE.into())
    }

    /// The conversation that a command names, if it is there and its time is not over.
    pub(in crate::core) async fn known(
        &self,
        now: Now,
        app: &AppId,
        cid: Option<&str>,
    ) -> Result<Conversation, Failure> {
        let id = cid.and_then(|cid| ConversationId::new(cid).ok());
        let id = id.ok_or(ServiceCode::CONVERSATION_NOT_FOUND)?;
        let found = self.storage.conversation(app, &id).await?;
        let live = found.filter(|found| found.expires_at.is_none_or(|ends| ends > now.wall));
        Ok(live.ok_or(ServiceCode::CONVERSATION_NOT_FOUND)?)
    }

    async fn start(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let sent = client_ids(&body.m)?;
        permit_conversation(
            &app,
            self.stamps.wall(),
            caller,
            SignedAction::Start { members: &sent },
            body,
        )?;
        let facts = StartFacts::read(&app, now, caller.client(), sent, body)?;
        if let Some(unique_id) = &facts.unique_id {
            let existing = self
                .storage
                .unique_conversation(&caller.app, unique_id)
                .await?;
            if let Some(id) = existing
                && let Ok(existing) = self.known(now, &caller.app, Some(id.as_str())).await
            {
                return Ok(Decision::reply(started(now, &existing, true)));
            }
        }
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
        Ok(decide_start(now, caller, id, facts, &queued))
    }

    /// Whether a queue of unacknowledged messages is kept for a client.
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

    async fn update(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        let members = self.all_members(&caller.app, &conversation).await?;
        let limit = app.settings.limits.attribute_bytes;
        let to = match conversation.kind {
            Kind::Room => Audience::Sessions(self.registry.inside(&caller.app, &conversation.id)),
            _ => Audience::Clients(members.iter().map(|member| member.client.clone()).collect()),
        };
        Ok(decide_update(
            now,
            caller,
            conversation,
            &members,
            body,
            (limit, to),
        )?)
    }

    /// The members of a conversation that has a bounded list of them.
    pub(in crate::core) async fn all_members(
        &self,
        app: &AppId,
        conversation: &Conversation,
    ) -> Result<Vec<Member>, Failure> {
        Ok(match conversation.kind {
            Kind::Normal | Kind::Temporary => {
                self.storage
                    .members(app, &conversation.id, usize::MAX)
                    .await?
            }
            Kind::Room | Kind::System => Vec::new(),
        })
    }

    async fn mute(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
        muted: bool,
    ) -> Result<Decision, Failure> {
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        if conversation.kind == Kind::Temporary {
            return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
        }
        let reply = ConvCommand {
            cid: body.cid.clone(),
            udate: Some(iso::format(conversation.updated_at)),
            ..ConvCommand::default()
        };
        if conversation.kind == Kind::Room {
            // Nothing is pushed from a chat room: there is nothing to keep.
            return Ok(Decision::reply(Command::conv(Op::Updated, reply)));
        }
        let member = self
            .storage
            .member(&caller.app, &conversation.id, caller.client())
            .await?;
        let mut member = member.ok_or(ServiceCode::CONVERSATION_UPDATE_REJECTED)?;
        member.muted = muted;
        Ok(Decision {
            writes: vec![Write::PutMember(
                caller.app.clone(),
                conversation.id,
                member,
            )],
            reply: Some(Command::conv(Op::Updated, reply)),
            notices: Vec::new(),
        })
    }

    async fn count(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        let count = match conversation.kind {
            Kind::Room => {
                let inside = self.registry.inside(&caller.app, &conversation.id);
                inside
                    .into_iter()
                    .map(|id| id.client)
                    .collect::<BTreeSet<_>>()
                    .len()
            }
            _ => self
                .storage
                .members(&caller.app, &conversation.id, usize::MAX)
                .await?
                .len(),
        };
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let cid = body.cid.clone();
        let reply = ConvCommand {
            cid,
            count: Some(count),
            ..ConvCommand::default()
        };
        Ok(Decision::reply(Command::conv(Op::Result, reply)))
    }

    async fn list_members(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        let asked = body.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = asked.unwrap_or(ROOM_MEMBERS_TOLD).min(ROOM_MEMBERS_TOLD);
        let clients: BTreeSet<ClientId> = match conversation.kind {
            Kind::Room => {
                let inside = self.registry.inside(&caller.app, &conversation.id);
                inside.into_iter().map(|id| id.client).collect()
            }
            _ => {
                let members = self
                    .storage
                    .members(&caller.app, &conversation.id, limit)
                    .await?;
                members.into_iter().map(|member| member.client).collect()
            }
        };
        let m = clients
            .iter()
            .take(limit)
            .map(ToString::to_string)
            .collect();
        let reply = ConvCommand {
            cid: body.cid.clone(),
            m,
            ..ConvCommand::default()
        };
        Ok(Decision::reply(Command::conv(Op::Result, reply)))
    }

    async fn is_member(
        &mut self,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let room = self
            .registry
            .session(&caller.session)
            .and_then(|it| it.room.clone());
        let mut answers = Map::new();
        for cid in body.cids.iter().take(IS_MEMBER_MAX) {
            let member = match ConversationId::new(cid) {
                Err(_) => false,
                Ok(id) if room.as_ref() == Some(&id) => true,
                Ok(id) => self
                    .storage
                    .member(&caller.app, &id, caller.client())
                    .await?
                    .is_some(),
            };
            answers.insert(cid.clone(), Value::Bool(member));
        }
        let results = Some(json(Value::Object(answers)));
        let reply = ConvCommand {
            results,
            ..ConvCommand::default()
        };
        Ok(Decision::reply(Command::conv(Op::Result, reply)))
    }
}

/// What starting a conversation is decided on.
struct StartFacts {
    kind: Kind,
    members: BTreeSet<ClientId>,
    columns: Map<String, Value>,
    unique_id: Option<String>,
    expires_at: Option<Timestamp>,
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

/// The id of a set of members: 32 hex digits, whatever the order they came in.
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

fn decide_start(
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
        notices.push(Notice::replayable(to(), Command::conv(Op::Joined, about)));
        notices.push(Notice::replayable(
            to(),
            Command::conv(Op::MembersJoined, joined),
        ));
    }
    writes.insert(0, Write::PutConversation(app.clone(), conversation));
    Decision {
        writes,
        reply: Some(reply),
        notices,
    }
}

/// What every notification about a conversation says.
pub(in crate::core) fn about(now: Now, conversation: &Conversation, by: &ClientId) -> ConvCommand {
    let temporary = conversation.expires_at.map(|ends| seconds_left(now, ends));
    ConvCommand {
        cid: Some(conversation.id.to_string()),
        init_by: Some(by.to_string()),
        temp_conv: temporary.map(|_| true),
        temp_conv_ttl: temporary,
        ..ConvCommand::default()
    }
}

/// Seconds until a temporary conversation ends, rounded up: it is live, so at least one.
pub(in crate::core) fn seconds_left(now: Now, ends: Timestamp) -> i32 {
    let left = ends.saturating_since(now.wall).as_millis().div_ceil(1000);
    i32::try_from(left).unwrap_or(i32::MAX)
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

fn decide_update(
    now: Now,
    caller: &Caller,
    mut conversation: Conversation,
    members: &[Member],
    body: &ConvCommand,
    (limit, to): (usize, Audience),
) -> Result<Decision, Refusal> {
    match conversation.kind {
        Kind::Temporary => return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into()),
        Kind::System => return Err(ServiceCode::CONVERSATION_UPDATE_REJECTED.into()),
        // A chat room has no members: its creator keeps it.
        Kind::Room if conversation.creator != *caller.client() => {
            return Err(ServiceCode::CONVERSATION_UPDATE_REJECTED.into());
        }
        Kind::Normal
            if !members
                .iter()
                .any(|member| member.client == *caller.client()) =>
        {
            return Err(ServiceCode::CONVERSATION_UPDATE_REJECTED.into());
        }
        Kind::Room | Kind::Normal => {}
    }
    let text = body.attr.as_ref().map_or("{}", |attr| attr.data.as_str());
    let changes = Changes::parse(text).map_err(refuse_attributes)?;
    let changed = changes
        .apply(&conversation.columns, limit)
        .map_err(refuse_attributes)?;
    conversation.columns = changed.columns;
    conversation.updated_at = later(conversation.updated_at, now.wall);
    let modified = Some(json(Value::Object(changed.modified)));
    let udate = Some(iso::format(conversation.updated_at));
    let reply = ConvCommand {
        cid: body.cid.clone(),
        udate: udate.clone(),
        attr_modified: modified.clone(),
        ..ConvCommand::default()
    };
    let told = ConvCommand {
        udate,
        attr: Some(JsonObjectMessage {
            data: text.to_owned(),
        }),
        attr_modified: modified,
        ..about(now, &conversation, caller.client())
    };
    Ok(Decision {
        reply: Some(Command::conv(Op::Updated, reply)),
        notices: vec![Notice::replayable(to, Command::conv(Op::Updated, told)).apart()],
        writes: vec![Write::PutConversation(caller.app.clone(), conversation)],
    })
}

/// Checks the signature of a conversation's operation, where the app asks for one.
pub(in crate::core) fn permit_conversation(
    app: &App,
    wall: Timestamp,
    caller: &Caller,
    action: SignedAction<'_>,
    body: &ConvCommand,
) -> Result<(), Refusal> {
    let sent = (body.t, body.n.as_deref(), body.s.as_deref());
    crate::core::apps::signature_check::check(app, wall, caller.client(), action, sent)
}

/// A time of change: now, and strictly later than the change before.
pub(in crate::core) fn later(before: Timestamp, wall: Timestamp) -> Timestamp {
    wall.max(before.saturating_add(std::time::Duration::from_millis(1)))
}

fn refuse_attributes(error: AttributeError) -> Refusal {
    Refusal::because(error.code(), error.to_string())
}
