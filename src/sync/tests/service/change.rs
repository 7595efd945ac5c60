//! Changes of a conversation: its members, its name and attributes, who muted it.

use serde_json::{Value, json};

use super::{Outgoing, Service, Socket};
use crate::model::Timestamp;
use crate::wire::generated::{ConvCommand, ErrorCommand};
use crate::wire::{Command, Envelope, Op, ServiceCode, iso};

impl Service {
    pub(super) fn change(
        &mut self,
        now: i64,
        socket: Socket,
        client: &str,
        request: &Envelope,
        op: Op,
        body: &ConvCommand,
    ) -> Outgoing {
        let cid = body.cid.clone().unwrap();
        let refuse = |code: ServiceCode| {
            let error = ErrorCommand {
                code: code.number(),
                reason: code.name().to_owned(),
                ..ErrorCommand::default()
            };
            vec![(socket, request.reply(Command::Error(error)))]
        };
        if self.wants_signatures && matches!(op, Op::Add | Op::Remove) && body.s.is_none() {
            let leaves = op == Op::Remove && body.m == [client];
            if !leaves {
                return refuse(ServiceCode::CONVERSATION_SIGNATURE_FAILED);
            }
        }
        let joins = op == Op::Add && body.m == [client];
        let known = self.conversations.get(&cid);
        let Some(conversation) = known.filter(|it| joins || it.has(client)) else {
            return refuse(ServiceCode::CONVERSATION_UPDATE_REJECTED);
        };
        let at = now.max(conversation.updated_at + 1);
        match op {
            Op::Add | Op::Remove => self.change_members(at, socket, client, request, op, body),
            _ => self.change_details(at, socket, client, request, op, body),
        }
    }

    fn change_members(
        &mut self,
        at: i64,
        socket: Socket,
        client: &str,
        request: &Envelope,
        op: Op,
        body: &ConvCommand,
    ) -> Outgoing {
        let cid = body.cid.clone().unwrap();
        let adds = op == Op::Add;
        let unwanted = self.unwanted.clone();
        let (failed, done): (Vec<_>, Vec<_>) = body
            .m
            .iter()
            .cloned()
            .partition(|member| adds && unwanted.contains(member));
        let conversation = self.conversations.get_mut(&cid).unwrap();
        conversation.updated_at = at;
        // Of those who are in or out already nobody is told.
        let changed = done.iter().filter(|it| conversation.has(it) != adds);
        let changed: Vec<_> = changed.cloned().collect();
        for member in &done {
            if adds && !conversation.has(member) {
                conversation.members.push(member.clone());
                conversation.read.insert(member.clone(), at);
                conversation.marked_at.insert(member.clone(), at);
            }
            if !adds {
                conversation.members.retain(|it| it != member);
            }
            let verb = if adds { "added" } else { "removed" };
            self.changes.push(format!("{client} {verb} {member}"));
        }
        let udate = Some(iso::format(Timestamp::from_millis(at)));
        let code = ServiceCode::BLOCKED_BY_CONV;
        let failures = (!failed.is_empty()).then(|| ErrorCommand {
            code: code.number(),
            reason: code.name().to_owned(),
            pids: failed,
            ..ErrorCommand::default()
        });
        let answer = ConvCommand {
            cid: Some(cid.clone()),
            udate,
            allowed_pids: done.clone(),
            failed_pids: failures.into_iter().collect(),
            ..ConvCommand::default()
        };
        let (answered, told) = if adds {
            (Op::Added, Op::Joined)
        } else {
            (Op::Removed, Op::Left)
        };
        let mut out = vec![(socket, request.reply(Command::conv(answered, answer)))];
        out.extend(self.tell_members(at, &cid, client, told, &changed));
        let members = self.conversations[&cid].members.clone();
        let others = ConvCommand {
            cid: Some(cid),
            init_by: Some(client.to_owned()),
            m: changed,
            udate: Some(iso::format(Timestamp::from_millis(at))),
            ..ConvCommand::default()
        };
        let told = if adds {
            Op::MembersJoined
        } else {
            Op::MembersLeft
        };
        out.extend(self.tell(at, &members, &Command::conv(told, others)));
        out
    }

    fn change_details(
        &mut self,
        at: i64,
        socket: Socket,
        client: &str,
        request: &Envelope,
        op: Op,
        body: &ConvCommand,
    ) -> Outgoing {
        let cid = body.cid.clone().unwrap();
        let conversation = self.conversations.get_mut(&cid).unwrap();
        conversation.updated_at = at;
        let udate = Some(iso::format(Timestamp::from_millis(at)));
        let mut changed = String::new();
        match op {
            Op::Mute => {
                conversation.muted.insert(client.to_owned());
            }
            Op::Unmute => {
                conversation.muted.remove(client);
            }
            _ => {
                changed = body.attr.as_ref().unwrap().data.clone();
                let Value::Object(changes) = serde_json::from_str(&changed).unwrap() else {
                    panic!("attributes are an object: {changed}");
                };
                for (key, value) in changes {
                    conversation.set(&key, value);
                }
            }
        }
        self.changes.push(format!("{client} {op:?} {changed}"));
        let answer = ConvCommand {
            cid: Some(cid.clone()),
            udate: udate.clone(),
            ..ConvCommand::default()
        };
        let mut out = vec![(socket, request.reply(Command::conv(Op::Updated, answer)))];
        if op == Op::Update {
            let members = self.conversations[&cid].members.clone();
            let told = ConvCommand {
                cid: Some(cid),
                init_by: Some(client.to_owned()),
                udate,
                ..ConvCommand::default()
            };
            out.extend(self.tell(at, &members, &Command::conv(Op::Updated, told)));
        }
        out
    }
}

impl super::Conversation {
    fn set(&mut self, key: &str, value: Value) {
        let deletes = value == json!({"__op": "Delete"});
        match key.strip_prefix("attr.") {
            None => {
                assert_eq!(key, "name", "the model knows no column {key}");
                self.name = value.as_str().map(ToOwned::to_owned);
            }
            Some(key) => {
                let attributes = self.attributes.get_or_insert_with(|| json!({}));
                let attributes = attributes.as_object_mut().unwrap();
                if deletes {
                    attributes.remove(key);
                } else {
                    attributes.insert(key.to_owned(), value);
                }
            }
        }
    }
}
