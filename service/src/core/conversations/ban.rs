//! The two lists of a conversation: who is blocked, and who is silenced.

use std::collections::BTreeSet;

use sampan::model::{ClientId, ConversationId, Now};
use sampan::wire::generated::{BlacklistCommand, ConvCommand, ErrorCommand};
use sampan::wire::signature::SignedAction;
use sampan::wire::{Command, Op, ServiceCode};

use super::conversation::about;
use super::member::{Leaving, Rank, rank, take_out};
use crate::core::exchange::decision::{Audience, Caller, Decision, Keeping, Notice};
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::{Core, unsupported_op};
use crate::storage::{Ban, Conversation, Kind, Member, Storage, Write};

/// Clients on one list of a conversation.
const LIST_MAX: usize = 1000;

/// Entries of a page: without a wish, and at most (the protocol, section 5.9).
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;

/// What a change of a list is decided on.
struct BanFacts {
    conversation: Conversation,
    members: Vec<Member>,
    targets: BTreeSet<ClientId>,
    listed: BTreeSet<ClientId>,
    /// Who is inside, for a chat room: it has no members.
    inside: BTreeSet<ClientId>,
    roles: bool,
    /// Whether another conversation has the unique id that the changed set of members would have.
    taken: bool,
}

/// Whether clients are put on a list or taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Put,
    Take,
}

impl<S: Storage> Core<S> {
    /// `blacklist` commands.
    pub(in crate::core) async fn blacklist(
        &mut self,
        now: Now,
        caller: &Caller,
        op: Op,
        body: &BlacklistCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        if !app.settings.features.blacklist {
            return Err(ServiceCode::BLACKLIST_FEATURE_DISABLED.into());
        }
        let conversation = self
            .known(now, &caller.app, body.src_cid.as_deref())
            .await?;
        let id = conversation.id.clone();
        let mut reply = BlacklistCommand {
            src_cid: body.src_cid.clone(),
            ..BlacklistCommand::default()
        };
        match op {
            Op::Block | Op::Unblock => {
                let sent = client_ids(&body.to_pids)?;
                let (action, change, done) = match op {
                    Op::Block => {
                        let action = SignedAction::Block {
                            conversation: &id,
                            members: &sent,
                        };
                        (action, Change::Put, Op::Blocked)
                    }
                    _ => {
                        let action = SignedAction::Unblock {
                            conversation: &id,
                            members: &sent,
                        };
                        (action, Change::Take, Op::Unblocked)
                    }
                };
                let signature = (body.t, body.n.as_deref(), body.s.as_deref());
                crate::core::apps::signature_check::check(
                    &app,
                    self.stamps.wall(),
                    caller.client(),
                    action,
                    signature,
                )?;
                let targets = sent.iter().cloned().collect();
                let facts = self
                    .ban_facts(caller, conversation, targets, Ban::Blocked)
                    .await?;
                let (mut decision, allowed, failed) =
                    decide_ban(now, caller, facts, Ban::Blocked, change)?;
                if change == Change::Put {
                    self.put_outside(caller, &id, &allowed);
                }
                reply.allowed_pids = allowed;
                reply.failed_pids = failed;
                decision.reply = Some(Command::blacklist(done, reply));
                Ok(decision)
            }
            Op::Query => {
                let listed = self
                    .storage
                    .banned(&caller.app, &id, Ban::Blocked, LIST_MAX)
                    .await?;
                let (page, next) = page(&listed, body.limit, body.next.as_deref());
                reply.blocked_pids = page;
                reply.next = next;
                Ok(Decision::reply(Command::blacklist(Op::QueryResult, reply)))
            }
            Op::CheckBlock => {
                reply.blocked_pids = self
                    .listed(caller, &id, Ban::Blocked, &body.to_pids)
                    .await?;
                Ok(Decision::reply(Command::blacklist(Op::CheckResult, reply)))
            }
            other => Err(unsupported_op("blacklist", other).into()),
        }
    }

    /// Takes blocked clients out of a chat room: who is blocked cannot be inside.
    fn put_outside(&mut self, caller: &Caller, room: &ConversationId, blocked: &[String]) {
        for session in self.registry.inside(&caller.app, room) {
            if blocked
                .iter()
                .any(|client| client == session.client.as_str())
            {
                self.registry.leave_room(&caller.app, &session);
            }
        }
    }

    /// `conv` commands about silence.
    pub(in crate::core) async fn silence(
        &mut self,
        now: Now,
        caller: &Caller,
        op: Op,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let conversation = self.known(now, &caller.app, body.cid.as_deref()).await?;
        let id = conversation.id.clone();
        let mut reply = ConvCommand {
            cid: body.cid.clone(),
            ..ConvCommand::default()
        };
        match op {
            Op::AddShutup | Op::RemoveShutup => {
                let (change, done) = match op {
                    Op::AddShutup => (Change::Put, Op::ShutupAdded),
                    _ => (Change::Take, Op::ShutupRemoved),
                };
                let targets = client_ids(&body.m)?.into_iter().collect();
                let facts = self
                    .ban_facts(caller, conversation, targets, Ban::Silenced)
                    .await?;
                let (mut decision, allowed, failed) =
                    decide_ban(now, caller, facts, Ban::Silenced, change)?;
                reply.allowed_pids = allowed;
                reply.failed_pids = failed;
                decision.reply = Some(Command::conv(done, reply));
                Ok(decision)
            }
            Op::QueryShutup => {
                let listed = self
                    .storage
                    .banned(&caller.app, &id, Ban::Silenced, LIST_MAX)
                    .await?;
                let (page, next) = page(&listed, body.limit, body.next.as_deref());
                reply.m = page;
                reply.next = next;
                Ok(Decision::reply(Command::conv(Op::ShutupResult, reply)))
            }
            _ => {
                reply.m = self.listed(caller, &id, Ban::Silenced, &body.m).await?;
                Ok(Decision::reply(Command::conv(Op::CheckResult, reply)))
            }
        }
    }

    /// Those of the clients asked about who are on a list.
    async fn listed(
        &self,
        caller: &Caller,
        id: &ConversationId,
        ban: Ban,
        asked: &[String],
    ) -> Result<Vec<String>, Failure> {
        let mut listed = Vec::new();
        for client in client_ids(asked)?.into_iter().take(PAGE_MAX) {
            if self
                .storage
                .is_banned(&caller.app, id, ban, &client)
                .await?
            {
                listed.push(client.to_string());
            }
        }
        Ok(listed)
    }

    async fn ban_facts(
        &self,
        caller: &Caller,
        conversation: Conversation,
        targets: BTreeSet<ClientId>,
        ban: Ban,
    ) -> Result<BanFacts, Failure> {
        let app = &caller.app;
        let members = self.all_members(app, &conversation).await?;
        let listed = self
            .storage
            .banned(app, &conversation.id, ban, LIST_MAX)
            .await?;
        let stay = members.iter().map(|member| member.client.clone());
        let stay: BTreeSet<ClientId> = stay.filter(|client| !targets.contains(client)).collect();
        let next = super::conversation::unique_id(conversation.kind, &stay);
        let owner = self.storage.unique_conversation(app, &next).await?;
        Ok(BanFacts {
            taken: owner.is_some_and(|owner| owner != conversation.id),
            roles: self.settings_of(app).features.roles,
            listed: listed.into_iter().collect(),
            inside: self
                .registry
                .inside(app, &conversation.id)
                .into_iter()
                .map(|session| session.client)
                .collect(),
            conversation,
            members,
            targets,
        })
    }
}

type Outcome = (Decision, Vec<String>, Vec<ErrorCommand>);

fn decide_ban(
    now: Now,
    caller: &Caller,
    facts: BanFacts,
    ban: Ban,
    change: Change,
) -> Result<Outcome, Refusal> {
    let BanFacts {
        mut conversation,
        members,
        targets,
        listed,
        inside,
        roles,
        taken,
    } = facts;
    if matches!(conversation.kind, Kind::Temporary | Kind::System) {
        return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
    }
    let operator = caller.client();
    let own = match conversation.kind {
        // A chat room has no members: its creator keeps order.
        Kind::Room if conversation.creator == *operator => Rank::Owner,
        _ => rank(&conversation, &members, operator),
    };
    let least = if roles { Rank::Manager } else { Rank::Member };
    if own < least {
        return Err(ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED.into());
    }
    let (mut allowed, mut failures) = (Vec::new(), Vec::new());
    for target in &targets {
        let above = change == Change::Put && rank(&conversation, &members, target) >= own;
        let full = change == Change::Put && listed.len() + allowed.len() >= LIST_MAX;
        let code = match (above || target == operator, full) {
            (true, _) => ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED,
            (false, true) if ban == Ban::Blocked => ServiceCode::BLACKLIST_FULL,
            (false, true) => ServiceCode::SILIENCED_MEMBER_LIST_FULL,
            (false, false) => {
                allowed.push(target.clone());
                continue;
            }
        };
        let pids = vec![target.to_string()];
        failures.push(ErrorCommand {
            pids,
            ..Refusal::from(code).to_error()
        });
    }
    let mut decision = Decision::silent();
    let app = &caller.app;
    for client in &allowed {
        let (app, id, client) = (app.clone(), conversation.id.clone(), client.clone());
        decision.writes.push(match change {
            Change::Put => Write::PutBan(app, id, ban, client),
            Change::Take => Write::DropBan(app, id, ban, client),
        });
    }
    let changed: Vec<ClientId> = allowed
        .iter()
        .filter(|client| listed.contains(client) == (change == Change::Take))
        .cloned()
        .collect();
    if !changed.is_empty() {
        let everybody = match conversation.kind {
            Kind::Room => inside.into_iter().collect(),
            _ => members.iter().map(|member| member.client.clone()).collect(),
        };
        let [single, mut plural] = tell_ban(
            now,
            &conversation,
            operator,
            ban,
            change,
            &changed,
            everybody,
        );
        if conversation.kind == Kind::Room {
            // Who comes into a room later has missed nothing.
            plural.keeping = Keeping::Once;
        }
        decision.notices.extend([single, plural]);
    }
    let is_member = |client: &&ClientId| members.iter().any(|member| member.client == **client);
    let removed: Vec<ClientId> = match (ban, change) {
        (Ban::Blocked, Change::Put) => allowed.iter().filter(is_member).cloned().collect(),
        _ => Vec::new(),
    };
    let leaving = Leaving {
        members: &members,
        removed,
        taken,
    };
    take_out(now, caller, &mut conversation, leaving, &mut decision);
    let allowed = allowed.iter().map(ToString::to_string).collect();
    Ok((decision, allowed, failures))
}

fn tell_ban(
    now: Now,
    conversation: &Conversation,
    operator: &ClientId,
    ban: Ban,
    change: Change,
    changed: &[ClientId],
    everybody: Vec<ClientId>,
) -> [Notice; 2] {
    let (single, plural) = match (ban, change) {
        (Ban::Blocked, Change::Put) => (Op::Blocked, Op::MembersBlocked),
        (Ban::Blocked, Change::Take) => (Op::Unblocked, Op::MembersUnblocked),
        (Ban::Silenced, Change::Put) => (Op::Shutuped, Op::MembersShutuped),
        (Ban::Silenced, Change::Take) => (Op::Unshutuped, Op::MembersUnshutuped),
    };
    let about = about(now, conversation, operator);
    let m = changed.iter().map(ToString::to_string).collect();
    let told = Command::conv(plural, ConvCommand { m, ..about.clone() });
    [
        Notice::replayable(
            Audience::Clients(changed.to_vec()),
            Command::conv(single, about),
        ),
        Notice::replayable(Audience::Clients(everybody), told),
    ]
}

/// A page of a list. The cursor is a decimal offset: one SDK makes it by itself.
fn page(
    listed: &[ClientId],
    limit: Option<i32>,
    next: Option<&str>,
) -> (Vec<String>, Option<String>) {
    let asked = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0);
    let limit = asked.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    let skip = next
        .and_then(|next| next.parse::<usize>().ok())
        .unwrap_or(0);
    let page: Vec<String> = listed
        .iter()
        .skip(skip)
        .take(limit)
        .map(ToString::to_string)
        .collect();
    let end = skip.saturating_add(page.len());
    let next = (end < listed.len()).then(|| end.to_string());
    (page, next)
}
