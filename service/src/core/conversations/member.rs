//! Who belongs to a conversation: adding, joining, removing, quitting, roles.

use std::collections::BTreeSet;

use sampan::model::{ClientId, Now};
use sampan::wire::generated::{ConvCommand, ConvMemberInfo, ErrorCommand};
use sampan::wire::signature::{SignedAction, hmac_sha1_hex};
use sampan::wire::{Command, Op, ServiceCode, iso};

use super::conversation::{about, later, permit_conversation, unique_id};
use crate::core::apps::settings::Settings;
use crate::core::exchange::decision::{Audience, Caller, Decision, Notice};
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::{Ban, Conversation, Kind, Member, Role, Storage, Write};

/// What a change of members is decided on.
pub(in crate::core) struct MemberFacts<'a> {
    pub(in crate::core) settings: &'a Settings,
    pub(in crate::core) conversation: Conversation,
    pub(in crate::core) members: Vec<Member>,
    /// Who is to be added or removed, each once.
    pub(in crate::core) targets: BTreeSet<ClientId>,
    /// Those of them who are on the conversation's block list.
    pub(in crate::core) blocked: BTreeSet<ClientId>,
    /// Those of them for whom a queue is kept.
    pub(in crate::core) queued: BTreeSet<ClientId>,
    /// Whether another conversation has the unique id that the changed set of members would have.
    pub(in crate::core) taken: bool,
}

impl MemberFacts<'_> {
    fn is_member(&self, client: &ClientId) -> bool {
        self.members.iter().any(|member| member.client == *client)
    }

    fn is_alone(&self, client: &ClientId) -> bool {
        self.targets.len() == 1 && self.targets.contains(client)
    }
}

/// What a client may do in a conversation, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::core) enum Rank {
    Outside,
    Member,
    Manager,
    Owner,
}

/// The rank of a client.
pub(in crate::core) fn rank(
    conversation: &Conversation,
    members: &[Member],
    client: &ClientId,
) -> Rank {
    match members.iter().find(|member| member.client == *client) {
        None => Rank::Outside,
        Some(_) if conversation.creator == *client => Rank::Owner,
        Some(member) if member.role == Role::Manager => Rank::Manager,
        Some(_) => Rank::Member,
    }
}

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn add_members(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        let sent = client_ids(&body.m)?;
        let action = SignedAction::Invite {
            conversation: &conversation.id,
            members: &sent,
        };
        permit_conversation(&app, self.stamps.wall(), caller, action, body)?;
        let targets: BTreeSet<ClientId> = sent.into_iter().collect();
        match conversation.kind {
            Kind::Room => self.enter(now, caller, &conversation, &targets).await,
            Kind::System => self.subscribe(now, caller, &conversation, &targets).await,
            Kind::Normal | Kind::Temporary => {
                let facts = self.member_facts(caller, &app.settings, conversation, targets, true);
                Ok(decide_add(now, caller, facts.await?)?)
            }
        }
    }

    pub(in crate::core) async fn remove_members(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        let sent = client_ids(&body.m)?;
        let targets: BTreeSet<ClientId> = sent.iter().cloned().collect();
        let quits = targets.len() == 1 && targets.contains(caller.client());
        if !quits {
            let action = SignedAction::Kick {
                conversation: &conversation.id,
                members: &sent,
            };
            permit_conversation(&app, self.stamps.wall(), caller, action, body)?;
        }
        match conversation.kind {
            Kind::Room => {
                self.registry.leave_room(&caller.app, &caller.session);
                Ok(Decision::reply(changed(
                    now,
                    Op::Removed,
                    &conversation,
                    &targets,
                    &[],
                )))
            }
            Kind::System if quits => {
                let client = caller.client().clone();
                let write = Write::DropMember(caller.app.clone(), conversation.id.clone(), client);
                let reply = changed(now, Op::Removed, &conversation, &targets, &[]);
                Ok(Decision {
                    writes: vec![write],
                    ..Decision::reply(reply)
                })
            }
            Kind::System => Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into()),
            Kind::Normal | Kind::Temporary => {
                let facts = self.member_facts(caller, &app.settings, conversation, targets, false);
                Ok(decide_remove(now, caller, facts.await?)?)
            }
        }
    }

    async fn member_facts<'a>(
        &self,
        caller: &Caller,
        settings: &'a Settings,
        conversation: Conversation,
        targets: BTreeSet<ClientId>,
        adding: bool,
    ) -> Result<MemberFacts<'a>, Failure> {
        let app = &caller.app;
        let members = self.all_members(app, &conversation).await?;
        let mut after: BTreeSet<ClientId> = members.iter().map(|it| it.client.clone()).collect();
        let (mut blocked, mut queued) = (BTreeSet::new(), BTreeSet::new());
        for client in &targets {
            if !adding {
                after.remove(client);
            } else if self
                .storage
                .is_banned(app, &conversation.id, Ban::Blocked, client)
                .await?
            {
                blocked.insert(client.clone());
            } else {
                after.insert(client.clone());
                if self.keeps_queue(app, client).await? {
                    queued.insert(client.clone());
                }
            }
        }
        let taken = match &conversation.unique_id {
            None => false,
            Some(_) => {
                let next = unique_id(conversation.kind, &after);
                let owner = self.storage.unique_conversation(app, &next).await?;
                owner.is_some_and(|owner| owner != conversation.id)
            }
        };
        Ok(MemberFacts {
            settings,
            conversation,
            members,
            targets,
            blocked,
            queued,
            taken,
        })
    }

    /// Entering a chat room.
    async fn enter(
        &mut self,
        now: Now,
        caller: &Caller,
        room: &Conversation,
        targets: &BTreeSet<ClientId>,
    ) -> Result<Decision, Failure> {
        if targets.iter().any(|target| target != caller.client()) {
            return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
        }
        let client = caller.client();
        if self
            .storage
            .is_banned(&caller.app, &room.id, Ban::Blocked, client)
            .await?
        {
            let failed = [failed(
                ServiceCode::BLOCKED_BY_CONV,
                std::slice::from_ref(client),
            )];
            return Ok(Decision::reply(changed(
                now,
                Op::Added,
                room,
                &BTreeSet::new(),
                &failed,
            )));
        }
        self.registry
            .enter_room(&caller.app, &room.id, &caller.session);
        Ok(Decision::reply(changed(now, Op::Added, room, targets, &[])))
    }

    /// Subscribing to a service conversation.
    async fn subscribe(
        &mut self,
        now: Now,
        caller: &Caller,
        system: &Conversation,
        targets: &BTreeSet<ClientId>,
    ) -> Result<Decision, Failure> {
        if targets.iter().any(|target| target != caller.client()) {
            return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
        }
        let known = self
            .storage
            .member(&caller.app, &system.id, caller.client())
            .await?;
        let queued = self.keeps_queue(&caller.app, caller.client()).await?;
        let member = known.unwrap_or_else(|| Member {
            queued,
            ..Member::joined(caller.client(), now.wall)
        });
        let write = Write::PutMember(caller.app.clone(), system.id.clone(), member);
        let reply = changed(now, Op::Added, system, targets, &[]);
        Ok(Decision {
            writes: vec![write],
            ..Decision::reply(reply)
        })
    }

    pub(in crate::core) async fn update_role(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        let members = self.all_members(&caller.app, &conversation).await?;
        Ok(decide_role(
            caller,
            &app.settings,
            &conversation,
            &members,
            body,
        )?)
    }
}

fn decide_add(now: Now, caller: &Caller, facts: MemberFacts<'_>) -> Result<Decision, Refusal> {
    let operator = caller.client();
    if facts.conversation.kind == Kind::Temporary {
        return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
    }
    if !facts.is_member(operator) && !facts.is_alone(operator) {
        return Err(ServiceCode::CONVERSATION_MEMBERSHIP_REQUIRED.into());
    }
    let allowed: BTreeSet<ClientId> = facts.targets.difference(&facts.blocked).cloned().collect();
    let new: Vec<ClientId> = allowed
        .iter()
        .filter(|client| !facts.is_member(client))
        .cloned()
        .collect();
    if facts.members.len() + new.len() > facts.settings.limits.members {
        return Err(ServiceCode::CONVERSATION_FULL.into());
    }
    let blocked: Vec<ClientId> = facts.blocked.iter().cloned().collect();
    let failed: Vec<ErrorCommand> = match blocked.is_empty() {
        true => Vec::new(),
        false => vec![failed(ServiceCode::BLOCKED_BY_CONV, &blocked)],
    };
    let mut conversation = facts.conversation;
    let mut clients: BTreeSet<ClientId> = facts
        .members
        .iter()
        .map(|member| member.client.clone())
        .collect();
    clients.extend(new.iter().cloned());
    let mut decision = Decision::silent();
    if !new.is_empty() {
        conversation.updated_at = later(conversation.updated_at, now.wall);
        renew_unique_id(&mut conversation, &clients, facts.taken);
        for client in &new {
            let queued = facts.queued.contains(client);
            let member = Member {
                queued,
                ..Member::joined(client, now.wall)
            };
            let id = conversation.id.clone();
            decision
                .writes
                .push(Write::PutMember(caller.app.clone(), id, member));
        }
        decision.writes.push(Write::PutConversation(
            caller.app.clone(),
            conversation.clone(),
        ));
        let everybody = clients.into_iter().collect();
        decision.notices.extend(tell_change(
            now,
            &conversation,
            operator,
            (Op::Joined, Op::MembersJoined),
            new,
            everybody,
        ));
    }
    decision.reply = Some(changed(now, Op::Added, &conversation, &allowed, &failed));
    Ok(decision)
}

fn decide_remove(now: Now, caller: &Caller, facts: MemberFacts<'_>) -> Result<Decision, Refusal> {
    let operator = caller.client();
    let quits = facts.is_alone(operator);
    if facts.conversation.kind == Kind::Temporary {
        return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
    }
    let own = rank(&facts.conversation, &facts.members, operator);
    if own == Rank::Outside && !quits {
        return Err(ServiceCode::CONVERSATION_MEMBERSHIP_REQUIRED.into());
    }
    let roles = facts.settings.features.roles;
    if roles && !quits && own < Rank::Manager {
        return Err(ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED.into());
    }
    let (mut allowed, mut removed, mut failures) = (BTreeSet::new(), Vec::new(), Vec::new());
    for target in &facts.targets {
        let theirs = rank(&facts.conversation, &facts.members, target);
        if roles && theirs == Rank::Owner {
            let client = std::slice::from_ref(target);
            failures.push(failed(ServiceCode::CONVERSATION_NEED_OWNER, client));
        } else if roles && target != operator && theirs >= own {
            let client = std::slice::from_ref(target);
            failures.push(failed(
                ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED,
                client,
            ));
        } else {
            allowed.insert(target.clone());
            if theirs != Rank::Outside {
                removed.push(target.clone());
            }
        }
    }
    let mut conversation = facts.conversation;
    let mut decision = Decision::silent();
    let leaving = Leaving {
        members: &facts.members,
        removed,
        taken: facts.taken,
    };
    take_out(now, caller, &mut conversation, leaving, &mut decision);
    decision.reply = Some(changed(
        now,
        Op::Removed,
        &conversation,
        &allowed,
        &failures,
    ));
    Ok(decision)
}

/// Members that go, and what their going is decided on.
pub(in crate::core) struct Leaving<'a> {
    pub(in crate::core) members: &'a [Member],
    pub(in crate::core) removed: Vec<ClientId>,
    /// Whether another conversation has the unique id that those who stay would have.
    pub(in crate::core) taken: bool,
}

/// Takes members out of a conversation and tells everybody, if there are any to take out.
pub(in crate::core) fn take_out(
    now: Now,
    caller: &Caller,
    conversation: &mut Conversation,
    leaving: Leaving<'_>,
    decision: &mut Decision,
) {
    if leaving.removed.is_empty() {
        return;
    }
    let clients = leaving.members.iter().map(|member| member.client.clone());
    let staying: BTreeSet<ClientId> = clients
        .filter(|client| !leaving.removed.contains(client))
        .collect();
    conversation.updated_at = later(conversation.updated_at, now.wall);
    renew_unique_id(conversation, &staying, leaving.taken);
    let app = &caller.app;
    let dropped = leaving
        .removed
        .iter()
        .map(|client| Write::DropMember(app.clone(), conversation.id.clone(), client.clone()));
    decision.writes.extend(dropped);
    let changed = Write::PutConversation(app.clone(), conversation.clone());
    decision.writes.push(changed);
    decision.notices.extend(tell_change(
        now,
        conversation,
        caller.client(),
        (Op::Left, Op::MembersLeft),
        leaving.removed,
        staying.into_iter().collect(),
    ));
}

/// A unique conversation is found by its members of now; where another one already is, it keeps
/// being found and this one becomes a plain conversation.
fn renew_unique_id(conversation: &mut Conversation, members: &BTreeSet<ClientId>, taken: bool) {
    let kind = conversation.kind;
    conversation.unique_id = conversation
        .unique_id
        .take()
        .filter(|_| !taken)
        .map(|_| unique_id(kind, members));
}

/// What a change of members tells: to those it happens to, and to the others.
fn tell_change(
    now: Now,
    conversation: &Conversation,
    operator: &ClientId,
    (single, plural): (Op, Op),
    changed: Vec<ClientId>,
    others: Vec<ClientId>,
) -> [Notice; 2] {
    let about = ConvCommand {
        udate: Some(iso::format(conversation.updated_at)),
        ..about(now, conversation, operator)
    };
    let m = changed.iter().map(ToString::to_string).collect();
    let told = Command::conv(plural, ConvCommand { m, ..about.clone() });
    [
        Notice::replayable(Audience::Clients(changed), Command::conv(single, about)),
        Notice::replayable(Audience::Clients(others), told),
    ]
}

fn failed(code: ServiceCode, clients: &[ClientId]) -> ErrorCommand {
    let pids = clients.iter().map(ToString::to_string).collect();
    ErrorCommand {
        pids,
        ..Refusal::from(code).to_error()
    }
}

fn changed(
    now: Now,
    op: Op,
    conversation: &Conversation,
    allowed: &BTreeSet<ClientId>,
    failed: &[ErrorCommand],
) -> Command {
    let updated_at = match conversation.kind {
        Kind::Normal | Kind::Temporary => conversation.updated_at,
        // Nothing of these is stored that would have a time of change.
        Kind::Room | Kind::System => now.wall,
    };
    let body = ConvCommand {
        cid: Some(conversation.id.to_string()),
        udate: Some(iso::format(updated_at)),
        allowed_pids: allowed.iter().map(ToString::to_string).collect(),
        failed_pids: failed.to_vec(),
        ..ConvCommand::default()
    };
    Command::conv(op, body)
}

fn decide_role(
    caller: &Caller,
    settings: &Settings,
    conversation: &Conversation,
    members: &[Member],
    body: &ConvCommand,
) -> Result<Decision, Refusal> {
    if !settings.features.roles {
        return Err(ServiceCode::CONVERSATION_MEMBER_INFO_FEATURE_DISABLED.into());
    }
    if conversation.kind != Kind::Normal {
        return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
    }
    let info = body.info.as_ref();
    let named = body
        .target_client_id
        .as_ref()
        .or_else(|| info.and_then(|info| info.pid.as_ref()));
    let role = match info.and_then(|info| info.role.as_deref()) {
        Some("Manager") => Role::Manager,
        Some("Member") => Role::Member,
        _ => return Err(ServiceCode::UNKNOWN_CONVERSATION_ROLE.into()),
    };
    if rank(conversation, members, caller.client()) != Rank::Owner {
        return Err(ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED.into());
    }
    let target = named.and_then(|named| members.iter().find(|it| it.client.as_str() == named));
    let mut target = target
        .cloned()
        .ok_or(ServiceCode::CONVERSATION_MEMBERSHIP_REQUIRED)?;
    if target.client == conversation.creator {
        return Err(ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED.into());
    }
    target.role = role;
    let told = ConvCommand {
        cid: Some(conversation.id.to_string()),
        init_by: Some(caller.client().to_string()),
        info: Some(ConvMemberInfo {
            pid: Some(target.client.to_string()),
            role: Some(role_name(role).to_owned()),
            info_id: Some(info_id(conversation, &target.client)),
        }),
        ..ConvCommand::default()
    };
    let to = Audience::Clients(members.iter().map(|member| member.client.clone()).collect());
    let reply = ConvCommand {
        cid: body.cid.clone(),
        ..ConvCommand::default()
    };
    Ok(Decision {
        writes: vec![Write::PutMember(
            caller.app.clone(),
            conversation.id.clone(),
            target,
        )],
        reply: Some(Command::conv(Op::MemberInfoUpdated, reply)),
        notices: vec![Notice::replayable(
            to,
            Command::conv(Op::MemberInfoChanged, told),
        )],
    })
}

/// The name of a role on the wire.
pub(in crate::core) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "Member",
        Role::Manager => "Manager",
    }
}

/// The object id that clients know a member's row by: the same one every time.
pub(in crate::core) fn info_id(conversation: &Conversation, client: &ClientId) -> String {
    hmac_sha1_hex(conversation.id.as_str(), client.as_str())
        .chars()
        .take(24)
        .collect()
}
