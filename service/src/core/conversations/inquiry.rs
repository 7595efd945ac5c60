//! The small operations: muting, counting and listing members, asking for one's own membership.

use std::collections::{BTreeMap, BTreeSet};

use sampan::model::{ClientId, ConversationId, Now};
use sampan::wire::generated::ConvCommand;
use sampan::wire::{Command, Op, ServiceCode, iso};
use serde_json::{Map, Value};

use crate::core::access::Operation;
use crate::core::exchange::decision::{Caller, Decision};
use crate::core::exchange::fields::json;
use crate::core::exchange::hook_call::HookName;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::gate::Admitted;
use crate::core::machine::Core;
use crate::storage::{Kind, Storage, Write};

/// Conversations that one `is_member` query may name.
const IS_MEMBER_MAX: usize = 100;

/// Clients inside a chat room, and members, of which one answer tells (the protocol, section 5.7).
const MEMBERS_TOLD: usize = 50;

/// The wish of a member to get push from a conversation, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum PushWish {
    Wanted,
    Muted,
}

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn mute(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
        push: PushWish,
    ) -> Result<Decision, Failure> {
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::Mute, body.cid.as_deref())
            .await?;
        let wanted = self.ask_hook(caller, HookName::ConversationUpdate, || {
            serde_json::json!({
                "initBy": caller.client().as_str(),
                "convId": admitted.conversation.id.as_str(),
                "mute": push == PushWish::Muted,
            })
        })?;
        let push = match wanted.get("mute").and_then(Value::as_bool) {
            Some(true) => PushWish::Muted,
            Some(false) => PushWish::Wanted,
            None => push,
        };
        Ok(decide_mute(caller, admitted, body, push)?)
    }

    pub(in crate::core) async fn count(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::Count, body.cid.as_deref())
            .await?;
        let conversation = admitted.conversation;
        let count = match conversation.kind {
            Kind::System => self
                .storage
                .members(&caller.app, &conversation.id, usize::MAX)
                .await?
                .iter()
                .filter(|member| !member.guest)
                .count(),
            _ => {
                let crowd = self.crowd(&caller.app, &conversation).await?;
                crowd.clients().len()
            }
        };
        Ok(Decision::reply(counted(body, count)))
    }

    pub(in crate::core) async fn list_members(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::ListMembers, body.cid.as_deref())
            .await?;
        let crowd = self.crowd(&caller.app, &admitted.conversation).await?;
        Ok(Decision::reply(listed(body, &crowd.clients())))
    }

    /// `is_member`: in which of these conversations the client is.
    pub(in crate::core) async fn is_member(
        &mut self,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let (app, client) = (&caller.app, caller.client());
        let mut answers = BTreeMap::new();
        for cid in body.cids.iter().take(IS_MEMBER_MAX) {
            let is_in = match ConversationId::new(cid) {
                Err(_) => false,
                Ok(id) => {
                    self.registry.is_inside(app, &id, client)
                        || self
                            .storage
                            .member(app, &id, client)
                            .await?
                            .is_some_and(|member| !member.guest)
                }
            };
            answers.insert(cid.clone(), is_in);
        }
        Ok(Decision::reply(memberships(answers)))
    }
}

fn decide_mute(
    caller: &Caller,
    admitted: Admitted,
    body: &ConvCommand,
    push: PushWish,
) -> Result<Decision, Refusal> {
    let conversation = admitted.conversation;
    let reply = ConvCommand {
        cid: body.cid.clone(),
        udate: Some(iso::format(conversation.updated_at)),
        ..ConvCommand::default()
    };
    let mut decision = Decision::reply(Command::conv(Op::Updated, reply));
    if conversation.kind != Kind::Room {
        // Nothing is pushed from a chat room: there is nothing to keep of it.
        let member = admitted.member;
        let mut member = member.ok_or(ServiceCode::CONVERSATION_UPDATE_REJECTED)?;
        member.muted = push == PushWish::Muted;
        let write = Write::PutMember(caller.app.clone(), conversation.id, member);
        decision.writes.push(write);
    }
    Ok(decision)
}

fn counted(body: &ConvCommand, count: usize) -> Command {
    let reply = ConvCommand {
        cid: body.cid.clone(),
        count: Some(i32::try_from(count).unwrap_or(i32::MAX)),
        ..ConvCommand::default()
    };
    Command::conv(Op::Result, reply)
}

fn listed(body: &ConvCommand, clients: &BTreeSet<ClientId>) -> Command {
    let asked = body.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = asked.unwrap_or(MEMBERS_TOLD).min(MEMBERS_TOLD);
    let told = clients.iter().take(limit);
    let reply = ConvCommand {
        cid: body.cid.clone(),
        m: told.map(ToString::to_string).collect(),
        ..ConvCommand::default()
    };
    Command::conv(Op::Result, reply)
}

fn memberships(answers: BTreeMap<String, bool>) -> Command {
    let answers: Map<String, Value> = answers
        .into_iter()
        .map(|(cid, is_in)| (cid, Value::Bool(is_in)))
        .collect();
    let reply = ConvCommand {
        results: Some(json(Value::Object(answers))),
        ..ConvCommand::default()
    };
    Command::conv(Op::Result, reply)
}
