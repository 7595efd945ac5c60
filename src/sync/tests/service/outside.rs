//! The acts of clients that are on no device of the world.

use super::{Conversation, Outgoing, Service, Session, Socket};
use crate::model::Timestamp;
use crate::wire::generated::RcpCommand;
use crate::wire::generated::{
    ConvCommand, DirectCommand, PatchCommand, UnreadCommand, UnreadTuple,
};
use crate::wire::{Command, Envelope, Op, iso};

impl Service {
    /// A message by somebody who is on no device of the world.
    pub(in crate::sync::tests) fn post(
        &mut self,
        now: i64,
        cid: &str,
        from: &str,
        text: &str,
    ) -> Outgoing {
        let socket = Socket::MAX;
        let session = Session {
            client: from.to_owned(),
            device: None,
            tag: None,
        };
        self.sessions.insert(socket, session);
        let body = DirectCommand {
            cid: Some(cid.to_owned()),
            msg: Some(text.to_owned()),
            dt: Some(self.fresh("dt")),
            ..DirectCommand::default()
        };
        let envelope = Envelope::new(Command::direct(body));
        let mut out = self.handle(now, socket, envelope);
        self.sessions.remove(&socket);
        out.retain(|(to, _)| *to != socket);
        out
    }

    /// A message, delivered again with the words it had when it was sent.
    pub(in crate::sync::tests) fn again(
        &self,
        now: i64,
        cid: &str,
        index: usize,
        text: &str,
    ) -> Outgoing {
        let conversation = &self.conversations[cid];
        let body = DirectCommand {
            msg: Some(text.to_owned()),
            ..conversation.messages[index].direct(cid)
        };
        self.tell(now, &conversation.members, &Command::direct(body))
    }

    /// An edit by the sender from a device outside the world.
    pub(in crate::sync::tests) fn edit(
        &mut self,
        now: i64,
        cid: &str,
        id: &str,
        text: &str,
    ) -> Outgoing {
        let conversation = self.conversations.get_mut(cid).unwrap();
        let message = conversation
            .messages
            .iter_mut()
            .find(|it| it.id == id)
            .unwrap();
        message.text = text.to_owned();
        message.edited_at = Some(now);
        let body = PatchCommand {
            patches: vec![message.patch(cid)],
            last_patch_time: None,
        };
        let members = conversation.members.clone();
        self.tell(now, &members, &Command::patch(Op::Modify, body))
    }

    /// Somebody outside the world makes a conversation.
    pub(in crate::sync::tests) fn found(
        &mut self,
        now: i64,
        members: &[&str],
    ) -> (String, Outgoing) {
        let cid = self.fresh("c");
        let members: Vec<String> = members.iter().map(|it| (*it).to_owned()).collect();
        let conversation = Conversation {
            members: members.clone(),
            created_at: now,
            updated_at: now,
            ..Conversation::default()
        };
        self.conversations.insert(cid.clone(), conversation);
        let out = self.tell_members(now, &cid, "nobody", Op::Joined, &members);
        (cid, out)
    }

    /// Somebody outside the world removes a member.
    pub(in crate::sync::tests) fn remove(&mut self, now: i64, cid: &str, member: &str) -> Outgoing {
        let conversation = self.conversations.get_mut(cid).unwrap();
        conversation.members.retain(|it| it != member);
        conversation.updated_at = now;
        self.tell_members(now, cid, "nobody", Op::Left, &[member.to_owned()])
    }

    /// Somebody outside the world adds a member: nothing that was said before is unread for it.
    pub(in crate::sync::tests) fn add(&mut self, now: i64, cid: &str, member: &str) -> Outgoing {
        let conversation = self.conversations.get_mut(cid).unwrap();
        conversation.members.push(member.to_owned());
        conversation.updated_at = now.max(conversation.updated_at + 1);
        let at = conversation.updated_at;
        conversation.read.insert(member.to_owned(), at);
        conversation.marked_at.insert(member.to_owned(), at);
        self.tell_members(at, cid, "nobody", Op::Joined, &[member.to_owned()])
    }

    /// A client is told of its last coming or going, by its name among the members or by itself.
    pub(in crate::sync::tests) fn tell_change(
        &self,
        now: i64,
        cid: &str,
        member: &str,
        op: Op,
        timed: bool,
    ) -> Outgoing {
        let at = self.conversations[cid].updated_at;
        let body = ConvCommand {
            cid: Some(cid.to_owned()),
            m: vec![member.to_owned()],
            udate: timed.then(|| iso::format(Timestamp::from_millis(at))),
            ..ConvCommand::default()
        };
        self.tell(now, &[member.to_owned()], &Command::conv(op, body))
    }

    /// A sender is told that another has received a message, or read it.
    pub(in crate::sync::tests) fn tell_receipt(
        &self,
        now: i64,
        cid: &str,
        (to, by): (&str, &str),
        message: &str,
        read: bool,
    ) -> Outgoing {
        let body = RcpCommand {
            id: Some(message.to_owned()),
            cid: Some(cid.to_owned()),
            t: Some(now),
            read: read.then_some(true),
            from: Some(by.to_owned()),
        };
        self.tell(now, &[to.to_owned()], &Command::Rcp(body))
    }

    /// A client's devices are told something.
    pub(in crate::sync::tests) fn told(
        &self,
        now: i64,
        client: &str,
        command: &Command,
    ) -> Outgoing {
        self.tell(now, &[client.to_owned()], command)
    }

    pub(in crate::sync::tests) fn make_unique(&mut self, cid: &str) {
        self.conversations.get_mut(cid).unwrap().unique = true;
    }

    /// An unread count, told to all of a client's devices.
    pub(in crate::sync::tests) fn tell_unread(
        &self,
        now: i64,
        client: &str,
        tuple: UnreadTuple,
        told_at: i64,
    ) -> Outgoing {
        let body = UnreadCommand {
            convs: vec![tuple],
            notif_time: Some(told_at),
        };
        self.tell(now, &[client.to_owned()], &Command::Unread(body))
    }
}
