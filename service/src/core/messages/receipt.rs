//! Receiving and reading: acknowledgements, read marks, receipts, `max_read`.

use std::collections::{BTreeMap, VecDeque};

use sampan::model::{ClientId, Now, Timestamp};
use sampan::wire::generated::{
    AckCommand, ConvCommand, MaxReadTuple, RcpCommand, ReadCommand, ReadTuple, UnreadTuple,
};
use sampan::wire::{Command, Op};

use crate::core::access::Operation;
use crate::core::exchange::decision::{Audience, Caller, Decision, Keeping, Notice, Part};
use crate::core::exchange::fields::message_id;
use crate::core::exchange::refusal::Failure;
use crate::core::gate::Admitted;
use crate::core::machine::Core;
use crate::storage::{Conversation, Edge, Member, Message, Order, Span, Storage, Write};

/// Messages that one acknowledgement or read mark touches: the newest of those it covers. The
/// marks of the member cover all; this bounds only which messages learn when they arrived.
const TOUCHED_MAX: usize = 200;

/// Conversations that one `read` may name.
const READ_MAX: usize = 500;

/// Counts that share one notification after read marks.
const COUNTS_AT_ONCE: usize = 100;

/// A `read` in progress: it raises the client's marks in one conversation after the other. It has no reply, but
/// all the client's devices get the new counts.
#[derive(Debug)]
pub(in crate::core) struct Marking {
    left: VecDeque<ReadTuple>,
    counts: Vec<UnreadTuple>,
}

impl Marking {
    pub(in crate::core) fn of(body: &ReadCommand) -> Self {
        let whole = body.cid.iter().chain(&body.cids);
        let whole = whole.map(|cid| ReadTuple {
            cid: cid.clone(),
            ..ReadTuple::default()
        });
        let all = whole.chain(body.convs.iter().cloned());
        Self {
            left: all.take(READ_MAX).collect(),
            counts: Vec::new(),
        }
    }

    /// Sets a part of the marks.
    pub(in crate::core) async fn part<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        now: Now,
        caller: &Caller,
    ) -> Result<Part, Failure> {
        let mut decision = Decision::silent();
        while let Some(tuple) = self.left.pop_front() {
            let count = core.read_one(now, caller, &tuple, &mut decision).await?;
            self.counts.extend(count);
            if core.is_part_over() {
                break;
            }
        }
        let is_end = self.left.is_empty();
        if is_end || self.counts.len() >= COUNTS_AT_ONCE {
            let counts = std::mem::take(&mut self.counts);
            if !counts.is_empty() {
                let to = Audience::Counting(caller.client().clone());
                let command = super::unread::notification(now, counts);
                decision.notices.push(Notice::once(to, command));
            }
        }
        Ok(Part::of(decision, is_end))
    }
}

/// The kind of mark that a message gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Delivered,
    Read,
}

impl<S: Storage> Core<S> {
    /// `ack` of a receiver: it gets no reply in any case.
    pub(in crate::core) async fn acknowledge(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &AckCommand,
    ) -> Result<Decision, Failure> {
        let own = (&caller.app, caller.client());
        let (conversation, mut member) = match self
            .admit(now, own, Operation::Acknowledge, body.cid.as_deref())
            .await
        {
            Ok(Admitted {
                conversation,
                member: Some(member),
                ..
            }) => (conversation, member),
            Ok(_) | Err(Failure::Refused(_)) => return Ok(Decision::silent()),
            Err(failure) => return Err(failure),
        };
        let id = &conversation.id;
        let messages = self.acknowledged(caller, &conversation, body).await?;
        let mut decision = Decision::silent();
        let others = messages
            .iter()
            .filter(|message| message.from != member.client);
        let newest = others.clone().map(|message| message.sent_at).max();
        if let Some(newest) = newest.filter(|newest| *newest > member.received_until) {
            member.received_until = newest;
            let put = Write::PutMember(caller.app.clone(), id.clone(), member.clone());
            decision.writes.push(put);
        }
        for message in others {
            let place = message.place();
            self.registry
                .acknowledged(&caller.app, caller.client(), id, &place);
        }
        mark(
            now,
            caller,
            &conversation,
            messages,
            Mark::Delivered,
            &mut decision,
        );
        Ok(decision)
    }

    /// The messages that an acknowledgement covers, newest first.
    async fn acknowledged(
        &self,
        caller: &Caller,
        conversation: &Conversation,
        body: &AckCommand,
    ) -> Result<Vec<Message>, Failure> {
        let (app, id) = (&caller.app, &conversation.id);
        if let Some(mid) = message_id(body.mid.as_deref()) {
            let Some(place) = self.storage.message_place(app, id, &mid).await? else {
                return Ok(Vec::new());
            };
            return Ok(self
                .storage
                .message(app, id, &place)
                .await?
                .into_iter()
                .collect());
        }
        let Some(newer) = body.tots.filter(|at| *at > 0) else {
            return Ok(Vec::new());
        };
        let edge = |at: i64| Edge {
            at: Timestamp::from_millis(at),
            id: None,
            included: true,
        };
        let older = body.fromts.filter(|at| *at > 0).map(edge);
        let span = Span {
            older,
            newer: Some(edge(newer)),
        };
        Ok(self
            .storage
            .messages(app, id, &span, Order::NewestFirst, TOUCHED_MAX)
            .await?)
    }

    async fn read_one(
        &mut self,
        now: Now,
        caller: &Caller,
        tuple: &ReadTuple,
        decision: &mut Decision,
    ) -> Result<Option<UnreadTuple>, Failure> {
        let app = &caller.app;
        let own = (app, caller.client());
        let (conversation, mut member) = match self
            .admit(now, own, Operation::MarkRead, Some(&tuple.cid))
            .await
        {
            Ok(Admitted {
                conversation,
                member: Some(member),
                ..
            }) => (conversation, member),
            Ok(_) | Err(Failure::Refused(_)) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let id = &conversation.id;
        let newer = tuple.timestamp.filter(|at| *at > 0).map(|at| Edge {
            at: Timestamp::from_millis(at),
            id: None,
            included: true,
        });
        // Messages before the mark were marked when it was set: only messages behind it are new.
        let older = Some(Edge {
            at: member.read_until,
            id: None,
            included: false,
        });
        let span = Span { older, newer };
        let read = self
            .storage
            .messages(app, id, &span, Order::NewestFirst, TOUCHED_MAX)
            .await?;
        if let Some(newest) = read.first() {
            member.read_until = member.read_until.max(newest.sent_at);
        }
        let others = read.iter().find(|message| message.from != member.client);
        if let Some(newest) = others {
            member.seen_until = member.seen_until.max(newest.sent_at);
            member.received_until = member.received_until.max(newest.sent_at);
        }
        member.read_marked_at = now.wall;
        let put = Write::PutMember(app.clone(), id.clone(), member.clone());
        // The count is taken from the messages after this mark, within the same batch.
        let limits = self.app_of(caller)?.settings.limits;
        let tuple = self
            .unread_of(app, &conversation, &member, limits.unread_count)
            .await?;
        // At once, not with the decision: the same command may name the conversation again.
        self.storage.apply(vec![put]).await?;
        mark(now, caller, &conversation, read, Mark::Read, decision);
        Ok(Some(tuple))
    }

    pub(in crate::core) async fn max_read(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::AskMarks, body.cid.as_deref())
            .await?;
        let crowd = self.crowd(&caller.app, &admitted.conversation).await?;
        let reply = max_read(caller.client(), crowd.members(), body);
        Ok(Decision::reply(reply))
    }
}

fn max_read(own: &ClientId, members: &[Member], body: &ConvCommand) -> Command {
    let others = || members.iter().filter(|member| member.client != *own);
    let mut reply = ConvCommand {
        cid: body.cid.clone(),
        ..ConvCommand::default()
    };
    if body.query_all_members == Some(true) {
        reply.max_read_tuples = members
            .iter()
            .map(|member| MaxReadTuple {
                pid: Some(member.client.to_string()),
                max_ack_timestamp: Some(member.received_until.as_millis()),
                max_read_timestamp: Some(member.seen_until.as_millis()),
            })
            .collect();
    } else {
        // With more than one other member, the marks that all of them have reached.
        let least = |of: fn(&Member) -> Timestamp| others().map(of).min().unwrap_or_default();
        reply.max_ack_timestamp = Some(least(|member| member.received_until).as_millis());
        reply.max_read_timestamp = Some(least(|member| member.seen_until).as_millis());
    }
    Command::conv(Op::MaxRead, reply)
}

/// Marks messages of others as arrived or read, and tells senders who asked.
fn mark(
    now: Now,
    caller: &Caller,
    conversation: &Conversation,
    messages: Vec<Message>,
    mark: Mark,
    decision: &mut Decision,
) {
    let mut told: BTreeMap<ClientId, Vec<Message>> = BTreeMap::new();
    for mut message in messages
        .into_iter()
        .filter(|it| it.from != *caller.client())
    {
        let missing =
            message.delivered_at.is_none() || (mark == Mark::Read && message.read_at.is_none());
        if !missing {
            continue;
        }
        message.delivered_at.get_or_insert(now.wall);
        if mark == Mark::Read {
            message.read_at.get_or_insert(now.wall);
        }
        if message.wants_receipt {
            told.entry(message.from.clone())
                .or_default()
                .push(message.clone());
        }
        let id = conversation.id.clone();
        decision
            .writes
            .push(Write::PutMessage(caller.app.clone(), id, message));
    }
    for (sender, messages) in told {
        // Oldest first; of messages that were read, one receipt for the newest covers all before it.
        let count = match mark {
            Mark::Delivered => messages.len(),
            Mark::Read => 1,
        };
        for message in messages.iter().take(count).rev() {
            let receipt = RcpCommand {
                id: Some(message.id.to_string()),
                cid: Some(conversation.id.to_string()),
                t: Some(now.wall.as_millis()),
                read: (mark == Mark::Read).then_some(true),
                from: Some(caller.client().to_string()),
            };
            let to = Audience::Clients(vec![sender.clone()]);
            decision
                .notices
                .push(Notice::kept(Keeping::Each, to, Command::Rcp(receipt)));
        }
    }
}
