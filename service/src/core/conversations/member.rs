//! The members of a conversation: adding, joining, removing, quitting.

use std::collections::BTreeSet;

use sampan::model::{ClientId, ConversationId, Now};
use sampan::wire::generated::{ConvCommand, ErrorCommand};
use sampan::wire::signature::SignedAction;
use sampan::wire::{Command, Op, ServiceCode, iso};
use serde_json::{Value, json};

use super::notices::{about, later, signature_of};
use super::start::unique_id;
use crate::core::access::{Operation, Rank, rank};
use crate::core::apps::settings::Settings;
use crate::core::exchange::decision::{Audience, Caller, Decision, Keeping, Notice};
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::hook_call::HookName;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::gate::Admitted;
use crate::core::machine::Core;
use crate::storage::{Ban, Conversation, Kind, Member, Storage, Write};

/// The parameters that hooks are told about a change of members.
fn about_members(
    caller: &Caller,
    id: &ConversationId,
    members: impl Iterator<Item = impl ToString>,
) -> Value {
    let members: Vec<String> = members.map(|it| it.to_string()).collect();
    json!({
        "initBy": caller.client().as_str(),
        "members": members,
        "convId": id.as_str(),
    })
}

/// The facts for adding members.
struct AddFacts<'a> {
    settings: &'a Settings,
    conversation: Conversation,
    members: Vec<Member>,
    /// The clients to add, each once.
    targets: BTreeSet<ClientId>,
    /// Those of them who are on the conversation's block list.
    blocked: BTreeSet<ClientId>,
    /// Those of them for whom a queue is kept.
    queued: BTreeSet<ClientId>,
    /// True if another conversation has the unique id that the larger set of members would have.
    taken: bool,
}

impl AddFacts<'_> {
    fn is_member(&self, client: &ClientId) -> bool {
        self.members.iter().any(|member| member.client == *client)
    }
}

/// The facts for removing members.
struct RemoveFacts {
    /// The rank of the client that removes them.
    rank: Rank,
    /// True if the app has roles.
    roles: bool,
    conversation: Conversation,
    members: Vec<Member>,
    /// The members to remove, each once.
    targets: BTreeSet<ClientId>,
}

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn add_members(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let own = (&caller.app, caller.client());
        let admitted = self.admit(now, own, operation, body.cid.as_deref()).await?;
        let conversation = &admitted.conversation;
        let sent = client_ids(&body.m)?;
        let action = SignedAction::Invite {
            conversation: &conversation.id,
            members: &sent,
        };
        self.check_signed(&app, caller.client(), action, signature_of(body))?;
        self.add_admitted(now, caller, admitted, sent).await
    }

    /// Adds members for a client that was let in and whose signature was checked.
    pub(in crate::core) async fn add_admitted(
        &mut self,
        now: Now,
        caller: &Caller,
        admitted: Admitted,
        sent: Vec<ClientId>,
    ) -> Result<Decision, Failure> {
        match admitted.conversation.kind {
            Kind::Room => Ok(self.enter(now, caller, &admitted)),
            Kind::System => self.subscribe(now, caller, admitted).await,
            Kind::Normal | Kind::Temporary => {
                let app = self.app_of(caller)?;
                let targets: BTreeSet<ClientId> = sent.into_iter().collect();
                let id = admitted.conversation.id.clone();
                self.ask_hook(caller, HookName::ConversationAdd, || {
                    about_members(caller, &id, targets.iter())
                })?;
                let facts =
                    self.facts_to_add(caller, &app.settings, admitted.conversation, targets);
                let decision = decide_add(now, caller, facts.await?)?;
                self.tell_members(caller, HookName::ConversationAdded, &id, &decision);
                Ok(decision)
            }
        }
    }

    pub(in crate::core) async fn remove_members(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let own = (&caller.app, caller.client());
        let admitted = self.admit(now, own, operation, body.cid.as_deref()).await?;
        let conversation = &admitted.conversation;
        let sent = client_ids(&body.m)?;
        if operation != Operation::Quit {
            let action = SignedAction::Kick {
                conversation: &conversation.id,
                members: &sent,
            };
            self.check_signed(&app, caller.client(), action, signature_of(body))?;
        }
        self.remove_admitted(now, caller, admitted, sent).await
    }

    /// Removes members for a client that was let in and whose signature was checked.
    pub(in crate::core) async fn remove_admitted(
        &mut self,
        now: Now,
        caller: &Caller,
        admitted: Admitted,
        sent: Vec<ClientId>,
    ) -> Result<Decision, Failure> {
        let conversation = &admitted.conversation;
        let targets: BTreeSet<ClientId> = sent.into_iter().collect();
        match conversation.kind {
            Kind::Room => {
                let inside = self.registry.room_of(&caller.session);
                if inside == Some(&conversation.id) {
                    self.registry.leave_room(&caller.app, &caller.session);
                }
                let reply = changed(now, Op::Removed, conversation, &targets, &[]);
                Ok(Decision::reply(reply))
            }
            Kind::System => Ok(decide_unsubscribe(now, caller, conversation)),
            Kind::Normal | Kind::Temporary => {
                let id = conversation.id.clone();
                let is_quitting = targets.iter().all(|target| target == caller.client());
                if !is_quitting {
                    self.ask_hook(caller, HookName::ConversationRemove, || {
                        about_members(caller, &id, targets.iter())
                    })?;
                }
                let members = self
                    .crowd(&caller.app, conversation)
                    .await?
                    .members()
                    .to_vec();
                let facts = RemoveFacts {
                    rank: admitted.standing.rank,
                    roles: admitted.standing.roles,
                    conversation: admitted.conversation,
                    members,
                    targets,
                };
                let decision = decide_remove(now, caller, facts);
                self.tell_members(caller, HookName::ConversationRemoved, &id, &decision);
                Ok(decision)
            }
        }
    }

    async fn facts_to_add<'a>(
        &self,
        caller: &Caller,
        settings: &'a Settings,
        conversation: Conversation,
        targets: BTreeSet<ClientId>,
    ) -> Result<AddFacts<'a>, Failure> {
        let app = &caller.app;
        let members = self.crowd(app, &conversation).await?.members().to_vec();
        let mut after: BTreeSet<ClientId> = members.iter().map(|it| it.client.clone()).collect();
        let (mut blocked, mut queued) = (BTreeSet::new(), BTreeSet::new());
        for client in &targets {
            let id = &conversation.id;
            if self
                .storage
                .is_banned(app, id, Ban::Blocked, client)
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
        Ok(AddFacts {
            settings,
            conversation,
            members,
            targets,
            blocked,
            queued,
            taken,
        })
    }

    /// Tells the app of members that came or went, as the reply names them.
    fn tell_members(
        &mut self,
        caller: &Caller,
        hook: HookName,
        id: &ConversationId,
        decision: &Decision,
    ) {
        let Some(Command::Conv { body, .. }) = &decision.reply else {
            return;
        };
        if !body.allowed_pids.is_empty() {
            let allowed = body.allowed_pids.iter();
            self.tell_hook(&caller.app, hook, || about_members(caller, id, allowed));
        }
    }

    /// Entering a chat room.
    fn enter(&mut self, now: Now, caller: &Caller, admitted: &Admitted) -> Decision {
        let room = &admitted.conversation;
        let own = BTreeSet::from([caller.client().clone()]);
        if admitted.standing.blocked {
            let failed = [failed(
                ServiceCode::BLOCKED_BY_CONV,
                &[caller.client().clone()],
            )];
            let reply = changed(now, Op::Added, room, &BTreeSet::new(), &failed);
            return Decision::reply(reply);
        }
        self.registry
            .enter_room(&caller.app, &room.id, &caller.session);
        Decision::reply(changed(now, Op::Added, room, &own, &[]))
    }

    /// Subscribing to a service conversation.
    pub(in crate::core) async fn subscribe(
        &mut self,
        now: Now,
        caller: &Caller,
        admitted: Admitted,
    ) -> Result<Decision, Failure> {
        let queued = self.keeps_queue(&caller.app, caller.client()).await?;
        Ok(decide_subscribe(now, caller, admitted, queued))
    }
}

pub(in crate::core) fn decide_subscribe(
    now: Now,
    caller: &Caller,
    admitted: Admitted,
    queued: bool,
) -> Decision {
    let system = admitted.conversation;
    let subscribed = admitted.member.filter(|member| !member.guest);
    let member = subscribed.unwrap_or_else(|| Member {
        queued,
        ..Member::joined(caller.client(), now.wall)
    });
    let own = BTreeSet::from([caller.client().clone()]);
    let reply = changed(now, Op::Added, &system, &own, &[]);
    Decision {
        writes: vec![Write::PutMember(caller.app.clone(), system.id, member)],
        ..Decision::reply(reply)
    }
}

pub(in crate::core) fn decide_unsubscribe(
    now: Now,
    caller: &Caller,
    system: &Conversation,
) -> Decision {
    let client = caller.client().clone();
    let own = BTreeSet::from([client.clone()]);
    let reply = changed(now, Op::Removed, system, &own, &[]);
    let write = Write::DropMember(caller.app.clone(), system.id.clone(), client);
    Decision {
        writes: vec![write],
        ..Decision::reply(reply)
    }
}

fn decide_add(now: Now, caller: &Caller, facts: AddFacts<'_>) -> Result<Decision, Refusal> {
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
    let mut decision = Decision::silent();
    let mut conversation = facts.conversation.clone();
    if !new.is_empty() {
        put_in(now, caller, &mut conversation, &facts, new, &mut decision);
    }
    decision.reply = Some(changed(now, Op::Added, &conversation, &allowed, &failed));
    Ok(decision)
}

/// Puts new members into a conversation and tells everybody.
fn put_in(
    now: Now,
    caller: &Caller,
    conversation: &mut Conversation,
    facts: &AddFacts<'_>,
    new: Vec<ClientId>,
    decision: &mut Decision,
) {
    let before = facts.members.iter().map(|member| member.client.clone());
    let clients: BTreeSet<ClientId> = before.chain(new.iter().cloned()).collect();
    conversation.updated_at = later(conversation.updated_at, now.wall);
    // The larger set finds this conversation from now on, unless it has another one already.
    conversation.unique_id = conversation
        .unique_id
        .take()
        .filter(|_| !facts.taken)
        .map(|_| unique_id(conversation.kind, &clients));
    let app = &caller.app;
    decision.writes.extend(new.iter().map(|client| {
        let member = Member {
            queued: facts.queued.contains(client),
            ..Member::joined(client, now.wall)
        };
        Write::PutMember(app.clone(), conversation.id.clone(), member)
    }));
    let put = Write::PutConversation(app.clone(), conversation.clone());
    decision.writes.push(put);
    decision.notices.extend(tell_change(
        now,
        conversation,
        caller.client(),
        (Op::Joined, Op::MembersJoined),
        new,
        clients.into_iter().collect(),
    ));
}

fn decide_remove(now: Now, caller: &Caller, facts: RemoveFacts) -> Decision {
    let (mut allowed, mut removed, mut failures) = (BTreeSet::new(), Vec::new(), Vec::new());
    for target in &facts.targets {
        let own = facts.members.iter().find(|it| it.client == *target);
        let theirs = rank(&facts.conversation, own, target);
        let code = if facts.roles && theirs == Rank::Owner {
            ServiceCode::CONVERSATION_NEED_OWNER
        } else if facts.roles && target != caller.client() && theirs >= facts.rank {
            ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED
        } else {
            allowed.insert(target.clone());
            if theirs != Rank::Outside {
                removed.push(target.clone());
            }
            continue;
        };
        failures.push(failed(code, std::slice::from_ref(target)));
    }
    let mut conversation = facts.conversation;
    let mut decision = Decision::silent();
    let members = &facts.members;
    take_out(
        now,
        caller,
        &mut conversation,
        members,
        removed,
        &mut decision,
    );
    decision.reply = Some(changed(
        now,
        Op::Removed,
        &conversation,
        &allowed,
        &failures,
    ));
    decision
}

/// Takes members out of a conversation and tells everybody, if there are any to take out.
///
/// A unique conversation stops to be unique with that: the clients that left have read its messages, so the
/// conversation must not become the unique one of the clients that stay.
pub(in crate::core) fn take_out(
    now: Now,
    caller: &Caller,
    conversation: &mut Conversation,
    members: &[Member],
    removed: Vec<ClientId>,
    decision: &mut Decision,
) {
    if removed.is_empty() {
        return;
    }
    let staying = members
        .iter()
        .map(|member| member.client.clone())
        .filter(|client| !removed.contains(client))
        .collect();
    conversation.updated_at = later(conversation.updated_at, now.wall);
    conversation.unique_id = None;
    let app = &caller.app;
    let dropped = removed
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
        removed,
        staying,
    ));
}

/// The notices of a change of members: one for the clients that it happens to, one for the others.
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
        // A client that was taken out is no member any more.
        Notice::kept(
            Keeping::Named,
            Audience::Clients(changed),
            Command::conv(single, about),
        ),
        Notice::kept(
            Keeping::Members(conversation.id.clone()),
            Audience::Clients(others),
            told,
        ),
    ]
}

/// A failure within a reply, for these clients.
pub(in crate::core) fn failed(code: ServiceCode, clients: &[ClientId]) -> ErrorCommand {
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
