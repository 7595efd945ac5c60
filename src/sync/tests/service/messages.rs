//! Messages at the model: taken, refused, told; pages of them; how far they were received and read.

use super::{Outgoing, Service, Socket, Stored, notification};
use crate::wire::generated::{
    AckCommand, DirectCommand, ErrorCommand, LogsCommand, PatchCommand, RcpCommand, ReadCommand,
    UnreadCommand,
};
use crate::wire::{Command, Envelope, Op, ServiceCode};

impl Service {
    pub(super) fn direct(
        &mut self,
        now: i64,
        socket: Socket,
        client: &str,
        request: &Envelope,
        body: &DirectCommand,
    ) -> Outgoing {
        if self.ignores > 0 {
            self.ignores -= 1;
            return Vec::new();
        }
        let cid = body.cid.clone().unwrap();
        let answer = |body| (socket, request.reply(Command::ack(body)));
        if body.transient == Some(true) {
            let (id, told) = self.transient(now, client, &cid, body);
            let mut out = vec![answer(taken(&cid, &id, now))];
            out.extend(told);
            return out;
        }
        let token = (cid.clone(), client.to_owned(), body.dt.clone().unwrap());
        if let Some((id, at)) = self.tokens.get(&token).filter(|_| !self.forgets_tokens) {
            return vec![answer(taken(&cid, id, *at))];
        }
        if let Some(told) = self.is_too_many(now) {
            let code = ServiceCode::MESSAGE_SENT_QUOTA_EXCEEDED;
            return told.then(|| answer(refused(code))).into_iter().collect();
        }
        if let Some((words, code, times)) = &mut self.refuses_words
            && *times > 0
            && body.msg.as_ref() == Some(&*words)
        {
            *times -= 1;
            return vec![answer(refused(*code))];
        }
        let id = self.fresh("m");
        let conversation = self.conversations.get(&cid);
        if !conversation.is_some_and(|it| it.has(client)) {
            return vec![answer(refused(ServiceCode::INVALID_MESSAGING_TARGET))];
        }
        self.priorities.extend(request.priority);
        if body.will == Some(true) {
            self.wills
                .push((client.to_owned(), body.msg.clone().unwrap()));
            return vec![answer(taken(&cid, &id, now))];
        }
        let message = self.keep(now, client, id, body);
        self.tokens.insert(token, (message.id.clone(), message.at));
        let mut out = vec![answer(taken(&cid, &message.id, message.at))];
        if message.edited_at.is_some() {
            let told = PatchCommand {
                patches: vec![message.patch(&cid)],
                last_patch_time: None,
            };
            let told = Command::patch(Op::Modify, told);
            out.push((socket, notification(client, now, told)));
        }
        if self.forgets_answers > 0 {
            self.forgets_answers -= 1;
            out.clear();
        }
        out.extend(self.tell_message(now, socket, &cid, &message));
        out
    }

    /// A transient message: its id, and the frames that tell the others.
    fn transient(
        &mut self,
        now: i64,
        client: &str,
        cid: &str,
        body: &DirectCommand,
    ) -> (String, Outgoing) {
        let id = self.fresh("t");
        let told = Stored {
            at: now,
            id: id.clone(),
            from: client.to_owned(),
            text: body.msg.clone().unwrap(),
            edited_at: None,
            receipt: false,
        };
        let told = Command::direct(DirectCommand {
            transient: Some(true),
            ..told.direct(cid)
        });
        let others = self.conversations.get(cid).map(|it| it.members.clone());
        let mut others = others.unwrap_or_default();
        others.retain(|other| other != client);
        (id, self.tell(now, &others, &told))
    }

    /// Some if the message is beyond the limit of a minute; true if the sender is told.
    fn is_too_many(&mut self, now: i64) -> Option<bool> {
        let (most, answers) = self.allowed_a_minute?;
        self.sent_at.retain(|at| *at > now - 60_000);
        if self.sent_at.len() >= most {
            self.refused_a_minute += 1;
            return Some(answers);
        }
        self.sent_at.push(now);
        None
    }

    /// Stores a message of a member.
    fn keep(&mut self, now: i64, client: &str, id: String, body: &DirectCommand) -> Stored {
        let cid = body.cid.as_ref().unwrap();
        let conversation = self.conversations.get_mut(cid).unwrap();
        let at = conversation.next_time(now, self.granularity);
        let words = body.msg.clone().unwrap();
        let text = match self.masks {
            Some(masked) => words.replace(masked, "***"),
            None => words.clone(),
        };
        let message = Stored {
            at,
            id,
            from: client.to_owned(),
            edited_at: (text != words).then_some(at),
            text,
            receipt: body.r == Some(true),
        };
        conversation.insert(message.clone());
        message
    }

    fn tell_message(&self, now: i64, from: Socket, cid: &str, message: &Stored) -> Outgoing {
        let members = &self.conversations[cid].members;
        let copies = if self.delivers_twice { 2 } else { 1 };
        let mut out = Vec::new();
        for (other, session) in &self.sessions {
            if *other != from && members.contains(&session.client) {
                let command = Command::direct(message.direct(cid));
                let envelope = notification(&session.client, now, command);
                out.extend((0..copies).map(|_| (*other, envelope.clone())));
            }
        }
        out
    }

    pub(super) fn received(&self, now: i64, client: &str, body: &AckCommand) -> Outgoing {
        let (from, to) = (body.fromts.unwrap_or(0), body.tots.unwrap_or(i64::MAX));
        self.receipts(now, client, body.cid.as_ref().unwrap(), from, to, None)
    }

    fn receipts(
        &self,
        now: i64,
        client: &str,
        cid: &str,
        from: i64,
        to: i64,
        read: Option<bool>,
    ) -> Outgoing {
        let Some(conversation) = self.conversations.get(cid) else {
            return Vec::new();
        };
        let covered = conversation
            .messages
            .iter()
            .filter(|it| it.receipt && it.from != client && (from..=to).contains(&it.at));
        let mut out = Vec::new();
        for message in covered {
            let body = RcpCommand {
                id: Some(message.id.clone()),
                cid: Some(cid.to_owned()),
                t: Some(now),
                read,
                from: Some(client.to_owned()),
            };
            out.extend(self.tell(
                now,
                std::slice::from_ref(&message.from),
                &Command::Rcp(body),
            ));
        }
        out
    }

    pub(super) fn read(&mut self, now: i64, client: &str, body: &ReadCommand) -> Outgoing {
        let mut out = Vec::new();
        for mark in &body.convs {
            let cap = self.unread_cap;
            let Some(conversation) = self.conversations.get_mut(&mark.cid) else {
                continue;
            };
            let until = mark.timestamp.unwrap_or(i64::MAX);
            let before = conversation.read.insert(client.to_owned(), until);
            let until = until.max(before.unwrap_or(0));
            conversation.read.insert(client.to_owned(), until);
            conversation.marked_at.insert(client.to_owned(), now);
            let body = UnreadCommand {
                convs: vec![conversation.tuple(&mark.cid, client, cap)],
                notif_time: Some(now),
            };
            let me = [client.to_owned()];
            out.extend(self.tell(now, &me, &Command::Unread(body)));
            out.extend(self.receipts(now, client, &mark.cid, 0, until, Some(true)));
        }
        out
    }

    pub(super) fn logs(&self, client: &str, body: &LogsCommand) -> Command {
        let conversation = self.conversations.get(body.cid.as_ref().unwrap());
        let Some(conversation) = conversation.filter(|it| it.has(client)) else {
            let code = ServiceCode::CONVERSATION_LOG_REJECTED;
            return Command::Error(ErrorCommand {
                code: code.number(),
                reason: code.name().to_owned(),
                ..ErrorCommand::default()
            });
        };
        let limit = usize::try_from(body.limit.unwrap()).unwrap();
        let included = body.t_included == Some(true);
        let compare = |message: &&Stored| {
            let mid = body.mid.as_ref().filter(|_| !self.pages_by_time);
            let start = body.t.map(|t| match mid {
                Some(mid) => (message.at, &message.id).cmp(&(t, mid)),
                None => message.at.cmp(&t),
            });
            (start, included)
        };
        let newer = body.direction == Some(2);
        let mut page: Vec<&Stored> = conversation
            .messages
            .iter()
            .filter(|message| match (compare(message), newer) {
                ((None, _), _) => true,
                ((Some(order), included), _) if order.is_eq() => included,
                ((Some(order), _), true) => order.is_gt(),
                ((Some(order), _), false) => order.is_lt(),
            })
            .filter(|message| {
                body.tt.is_none_or(|end| match message.at.cmp(&end) {
                    order if order.is_eq() => body.tt_included == Some(true),
                    order => order.is_lt() == newer,
                })
            })
            .collect();
        if newer {
            page.truncate(limit);
        } else {
            page.drain(..page.len().saturating_sub(limit));
        }
        Command::logs(LogsCommand {
            logs: page.into_iter().map(Stored::item).collect(),
            ..LogsCommand::default()
        })
    }
}

/// The acknowledgement of a message that was taken.
fn taken(cid: &str, id: &str, at: i64) -> AckCommand {
    AckCommand {
        uid: Some(id.to_owned()),
        t: Some(at),
        cid: Some(cid.to_owned()),
        ..AckCommand::default()
    }
}

/// The acknowledgement that refuses a message.
fn refused(code: ServiceCode) -> AckCommand {
    AckCommand {
        code: Some(code.number()),
        reason: Some(code.name().to_owned()),
        ..AckCommand::default()
    }
}
