//! The two lists of a conversation: the blocked clients, and the silenced ones.

use std::collections::BTreeSet;

use sampan::model::{ClientId, ConversationId, Now};
use sampan::wire::generated::{BlacklistCommand, ConvCommand, ErrorCommand};
use sampan::wire::signature::SignedAction;
use sampan::wire::{Command, Op, ServiceCode};

use super::member::{failed, take_out};
use super::notices::about;
use crate::core::access::{Operation, Rank, rank};
use crate::core::apps::app::App;
use crate::core::exchange::decision::{Audience, Caller, Decision, Keeping, Notice};
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::gate::{Admitted, Crowd};
use crate::core::machine::{Core, unsupported_op};
use crate::storage::{Ban, Conversation, Kind, Storage, Write};

/// Clients on one list of a conversation.
const LIST_MAX: usize = 1000;

/// Entries of a page whose request names no number (the protocol, section 5.9).
const PAGE_DEFAULT: usize = 50;

/// Entries of a page at most (the protocol, section 5.9).
const PAGE_MAX: usize = 100;

/// The facts for a change of a list.
struct BanFacts {
    conversation: Conversation,
    crowd: Crowd,
    targets: BTreeSet<ClientId>,
    listed: BTreeSet<ClientId>,
    /// The rank of the client that changes the list.
    rank: Rank,
    /// True if the app has roles.
    roles: bool,
}

/// The direction of a change: clients are put on a list, or taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListChange {
    Put,
    Take,
}

impl<S: Storage> Core<S> {
    /// `blacklist` commands.
    pub(in crate::core) async fn blacklist(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        op: Op,
        body: &BlacklistCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        if !app.settings.features.blacklist {
            return Err(ServiceCode::BLACKLIST_FEATURE_DISABLED.into());
        }
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, operation, body.src_cid.as_deref())
            .await?;
        match op {
            Op::Block => {
                self.block(now, caller, &app, admitted, ListChange::Put, body)
                    .await
            }
            Op::Unblock => {
                self.block(now, caller, &app, admitted, ListChange::Take, body)
                    .await
            }
            Op::Query => {
                let id = &admitted.conversation.id;
                let (limit, next) = (body.limit, body.next.as_deref());
                let (blocked_pids, next) = self
                    .list_page(caller, id, Ban::Blocked, limit, next)
                    .await?;
                let reply = BlacklistCommand {
                    src_cid: body.src_cid.clone(),
                    blocked_pids,
                    next,
                    ..BlacklistCommand::default()
                };
                Ok(Decision::reply(Command::blacklist(Op::QueryResult, reply)))
            }
            Op::CheckBlock => {
                let id = &admitted.conversation.id;
                let reply = BlacklistCommand {
                    src_cid: body.src_cid.clone(),
                    blocked_pids: self.listed(caller, id, Ban::Blocked, &body.to_pids).await?,
                    ..BlacklistCommand::default()
                };
                Ok(Decision::reply(Command::blacklist(Op::CheckResult, reply)))
            }
            other => Err(unsupported_op("blacklist", other).into()),
        }
    }

    async fn block(
        &mut self,
        now: Now,
        caller: &Caller,
        app: &App,
        admitted: Admitted,
        change: ListChange,
        body: &BlacklistCommand,
    ) -> Result<Decision, Failure> {
        let sent = client_ids(&body.to_pids)?;
        let id = admitted.conversation.id.clone();
        let (conversation, members) = (&id, sent.as_slice());
        let (action, done) = match change {
            ListChange::Put => {
                let action = SignedAction::Block {
                    conversation,
                    members,
                };
                (action, Op::Blocked)
            }
            ListChange::Take => {
                let action = SignedAction::Unblock {
                    conversation,
                    members,
                };
                (action, Op::Unblocked)
            }
        };
        let signature = (body.t, body.n.as_deref(), body.s.as_deref());
        self.check_signed(app, caller.client(), action, signature)?;
        let facts = self
            .ban_facts(caller, admitted, &sent, Ban::Blocked)
            .await?;
        let outcome = decide_ban(now, caller, facts, Ban::Blocked, change)?;
        if change == ListChange::Put {
            self.put_outside(caller, &id, &outcome.allowed);
        }
        let reply = BlacklistCommand {
            src_cid: body.src_cid.clone(),
            allowed_pids: outcome.allowed.iter().map(ToString::to_string).collect(),
            failed_pids: outcome.failed,
            ..BlacklistCommand::default()
        };
        let mut decision = outcome.decision;
        decision.reply = Some(Command::blacklist(done, reply));
        Ok(decision)
    }

    /// Takes blocked clients out of a chat room: a blocked client cannot be inside.
    fn put_outside(&mut self, caller: &Caller, room: &ConversationId, blocked: &[ClientId]) {
        for session in self.registry.inside(&caller.app, room) {
            if blocked.contains(&session.client) {
                self.registry.leave_room(&caller.app, &session);
            }
        }
    }

    /// `conv` commands about silence.
    pub(in crate::core) async fn silence(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        op: Op,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let own = (&caller.app, caller.client());
        let admitted = self.admit(now, own, operation, body.cid.as_deref()).await?;
        let id = admitted.conversation.id.clone();
        let mut reply = ConvCommand {
            cid: body.cid.clone(),
            ..ConvCommand::default()
        };
        match op {
            Op::AddShutup | Op::RemoveShutup => {
                let (change, done) = match op {
                    Op::AddShutup => (ListChange::Put, Op::ShutupAdded),
                    _ => (ListChange::Take, Op::ShutupRemoved),
                };
                let targets = client_ids(&body.m)?;
                let facts = self
                    .ban_facts(caller, admitted, &targets, Ban::Silenced)
                    .await?;
                let outcome = decide_ban(now, caller, facts, Ban::Silenced, change)?;
                reply.allowed_pids = outcome.allowed.iter().map(ToString::to_string).collect();
                reply.failed_pids = outcome.failed;
                let mut decision = outcome.decision;
                decision.reply = Some(Command::conv(done, reply));
                Ok(decision)
            }
            Op::QueryShutup => {
                let (limit, next) = (body.limit, body.next.as_deref());
                (reply.m, reply.next) = self
                    .list_page(caller, &id, Ban::Silenced, limit, next)
                    .await?;
                Ok(Decision::reply(Command::conv(Op::ShutupResult, reply)))
            }
            _ => {
                reply.m = self.listed(caller, &id, Ban::Silenced, &body.m).await?;
                Ok(Decision::reply(Command::conv(Op::CheckResult, reply)))
            }
        }
    }

    /// A page of a list, and the cursor of the next one.
    async fn list_page(
        &self,
        caller: &Caller,
        id: &ConversationId,
        ban: Ban,
        limit: Option<i32>,
        next: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), Failure> {
        let app = &caller.app;
        let listed = self.storage.banned(app, id, ban, LIST_MAX).await?;
        Ok(page(&listed, limit, next))
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
        admitted: Admitted,
        targets: &[ClientId],
        ban: Ban,
    ) -> Result<BanFacts, Failure> {
        let (app, conversation) = (&caller.app, admitted.conversation);
        let id = &conversation.id;
        let listed = self.storage.banned(app, id, ban, LIST_MAX).await?;
        Ok(BanFacts {
            crowd: self.crowd(app, &conversation).await?,
            targets: targets.iter().cloned().collect(),
            listed: listed.into_iter().collect(),
            rank: admitted.standing.rank,
            roles: admitted.standing.roles,
            conversation,
        })
    }
}

/// The outcome of a change of a list; the command makes the reply.
struct Outcome {
    decision: Decision,
    allowed: Vec<ClientId>,
    failed: Vec<ErrorCommand>,
}

fn decide_ban(
    now: Now,
    caller: &Caller,
    facts: BanFacts,
    ban: Ban,
    change: ListChange,
) -> Result<Outcome, Refusal> {
    let (allowed, failed) = sort_out(caller.client(), &facts, ban, change);
    let unauthorized = ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED;
    let is_unauthorized = |it: &ErrorCommand| it.code == unauthorized.number();
    if allowed.is_empty() && !failed.is_empty() && failed.iter().all(is_unauthorized) {
        // SDKs take a reply that names failures for a success in part.
        return Err(unauthorized.into());
    }
    let mut decision = Decision::silent();
    let (app, id) = (&caller.app, &facts.conversation.id);
    decision.writes.extend(allowed.iter().map(|client| {
        let (app, id, client) = (app.clone(), id.clone(), client.clone());
        match change {
            ListChange::Put => Write::PutBan(app, id, ban, client),
            ListChange::Take => Write::DropBan(app, id, ban, client),
        }
    }));
    let changed: Vec<ClientId> = allowed
        .iter()
        .filter(|client| facts.listed.contains(client) == (change == ListChange::Take))
        .cloned()
        .collect();
    if !changed.is_empty() {
        let notices = tell_ban(now, caller.client(), &facts, ban, change, &changed);
        decision.notices.extend(notices);
    }
    if (ban, change) == (Ban::Blocked, ListChange::Put) {
        let members = facts.crowd.members();
        let is_member = |client: &&ClientId| members.iter().any(|it| it.client == **client);
        let removed = allowed.iter().filter(is_member).cloned().collect();
        let mut conversation = facts.conversation.clone();
        take_out(
            now,
            caller,
            &mut conversation,
            members,
            removed,
            &mut decision,
        );
    }
    Ok(Outcome {
        decision,
        allowed,
        failed,
    })
}

/// Parts the clients that a change is for from those for whom it fails.
fn sort_out(
    operator: &ClientId,
    facts: &BanFacts,
    ban: Ban,
    change: ListChange,
) -> (Vec<ClientId>, Vec<ErrorCommand>) {
    let (mut allowed, mut failures) = (Vec::new(), Vec::new());
    for target in &facts.targets {
        let own = facts.crowd.members().iter().find(|it| it.client == *target);
        let theirs = rank(&facts.conversation, own, target);
        let above = change == ListChange::Put && facts.roles && theirs >= facts.rank;
        let full = change == ListChange::Put && facts.listed.len() + allowed.len() >= LIST_MAX;
        let code = match (above || target == operator, full) {
            (true, _) => ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED,
            (false, true) if ban == Ban::Blocked => ServiceCode::BLACKLIST_FULL,
            (false, true) => ServiceCode::SILIENCED_MEMBER_LIST_FULL,
            (false, false) => {
                allowed.push(target.clone());
                continue;
            }
        };
        failures.push(failed(code, std::slice::from_ref(target)));
    }
    (allowed, failures)
}

fn tell_ban(
    now: Now,
    operator: &ClientId,
    facts: &BanFacts,
    ban: Ban,
    change: ListChange,
    changed: &[ClientId],
) -> [Notice; 2] {
    let (single, plural) = match (ban, change) {
        (Ban::Blocked, ListChange::Put) => (Op::Blocked, Op::MembersBlocked),
        (Ban::Blocked, ListChange::Take) => (Op::Unblocked, Op::MembersUnblocked),
        (Ban::Silenced, ListChange::Put) => (Op::Shutuped, Op::MembersShutuped),
        (Ban::Silenced, ListChange::Take) => (Op::Unshutuped, Op::MembersUnshutuped),
    };
    let about = about(now, &facts.conversation, operator);
    let m = changed.iter().map(ToString::to_string).collect();
    let told = Command::conv(plural, ConvCommand { m, ..about.clone() });
    let everybody = facts.crowd.clients().into_iter().collect();
    let keeping = match facts.conversation.kind {
        // A client that comes into a room later has missed nothing.
        Kind::Room => Keeping::Once,
        _ => Keeping::Members(facts.conversation.id.clone()),
    };
    let everybody = Notice::kept(keeping, Audience::Clients(everybody), told);
    let those = Audience::Clients(changed.to_vec());
    [
        Notice::kept(Keeping::Named, those, Command::conv(single, about)),
        everybody,
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
