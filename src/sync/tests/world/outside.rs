//! Events outside the devices: other users speak, edit, come and go.

use super::super::service::Outgoing;
use super::{Device, World};
use crate::model::ConversationId;
use crate::wire::generated::{CommandType, UnreadTuple};
use crate::wire::{Command, Op, ServiceCode};

impl World {
    /// A message by a client that is on no device of the world.
    pub(in crate::sync::tests) fn post(&mut self, id: &ConversationId, from: &str, text: &str) {
        let wall = self.wall();
        let out = self.service.post(wall, id.as_str(), from, text);
        self.deliver(out);
    }

    /// The same, but the frames that tell of it are still on their way when their connections break.
    pub(in crate::sync::tests) fn post_unheard(
        &mut self,
        id: &ConversationId,
        from: &str,
        text: &str,
    ) {
        let wall = self.wall();
        self.service.post(wall, id.as_str(), from, text);
    }

    /// An app puts a file into the spool, to send it.
    pub(in crate::sync::tests) fn put_into_spool(&mut self, device: Device, file: &str) {
        self.machines[device.0].spool.insert(file.to_owned());
    }

    /// The service delivers a message again as it was when it was sent.
    pub(in crate::sync::tests) fn deliver_again(
        &mut self,
        id: &ConversationId,
        index: usize,
        text: &str,
    ) {
        let wall = self.wall();
        let out = self.service.again(wall, id.as_str(), index, text);
        self.deliver(out);
    }

    /// Somebody outside the world makes a conversation.
    pub(in crate::sync::tests) fn found(&mut self, members: &[&str]) -> ConversationId {
        let wall = self.wall();
        let (cid, out) = self.service.found(wall, members);
        self.deliver(out);
        ConversationId::new(cid).unwrap()
    }

    /// The sender edits a message on a device outside the world.
    pub(in crate::sync::tests) fn edit(&mut self, id: &ConversationId, before: &str, after: &str) {
        let wall = self.wall();
        let conversation = &self.service.conversations[id.as_str()];
        let mut messages = conversation.messages.iter();
        let message = messages.find(|it| it.text == before).unwrap().id.clone();
        let out = self.service.edit(wall, id.as_str(), &message, after);
        self.deliver(out);
    }

    /// Somebody outside the world removes a member.
    pub(in crate::sync::tests) fn remove_member(&mut self, id: &ConversationId, member: &str) {
        let wall = self.wall();
        let out = self.service.remove(wall, id.as_str(), member);
        self.deliver(out);
    }

    /// Somebody outside the world adds a member.
    pub(in crate::sync::tests) fn add_member(&mut self, id: &ConversationId, member: &str) {
        let wall = self.wall();
        let out = self.service.add(wall, id.as_str(), member);
        self.deliver(out);
    }

    /// The same, and nobody is told.
    pub(in crate::sync::tests) fn remove_quietly(&mut self, id: &ConversationId, member: &str) {
        let wall = self.wall();
        self.service.remove(wall, id.as_str(), member);
    }

    /// Somebody outside the world adds a member; the word of that is still to be delivered.
    pub(in crate::sync::tests) fn add_member_quietly(
        &mut self,
        id: &ConversationId,
        member: &str,
    ) -> Outgoing {
        let wall = self.wall();
        self.service.add(wall, id.as_str(), member)
    }

    /// A client is told, in the list of members, that it came or went by the last change.
    pub(in crate::sync::tests) fn tell_of_members(
        &mut self,
        id: &ConversationId,
        member: &str,
        op: Op,
    ) {
        let wall = self.wall();
        let out = self
            .service
            .tell_change(wall, id.as_str(), member, op, true);
        self.deliver(out);
    }

    /// A client is told of the last change, and not when it was.
    pub(in crate::sync::tests) fn tell_without_time(
        &mut self,
        id: &ConversationId,
        member: &str,
        op: Op,
    ) {
        let wall = self.wall();
        let out = self
            .service
            .tell_change(wall, id.as_str(), member, op, false);
        self.deliver(out);
    }

    /// The service tells a sender that a message was read.
    pub(in crate::sync::tests) fn tell_receipt(
        &mut self,
        id: &ConversationId,
        to: &str,
        by: &str,
        message: &str,
    ) {
        self.tell_receipt_of(id, to, by, message, true);
    }

    /// A sender is told that a message was delivered, or read.
    pub(in crate::sync::tests) fn tell_receipt_of(
        &mut self,
        id: &ConversationId,
        to: &str,
        by: &str,
        message: &str,
        read: bool,
    ) {
        let wall = self.wall();
        let parties = (to, by);
        let out = self
            .service
            .tell_receipt(wall, id.as_str(), parties, message, read);
        self.deliver(out);
    }

    /// The service refuses commands of a kind.
    pub(in crate::sync::tests) fn refuse(&mut self, kind: CommandType, code: ServiceCode) {
        self.service.refuses = Some((kind, code));
    }

    /// Somebody outside the world makes a unique conversation.
    pub(in crate::sync::tests) fn found_unique(&mut self, members: &[&str]) -> ConversationId {
        let room = self.found(members);
        self.service.make_unique(room.as_str());
        room
    }

    /// The service tells a client's devices something of the test's own.
    pub(in crate::sync::tests) fn tell(&mut self, client: &str, command: &Command) {
        let wall = self.wall();
        let out = self.service.told(wall, client, command);
        self.deliver(out);
    }

    /// The service tells a client an unread count, of the time when it counted.
    pub(in crate::sync::tests) fn tell_unread(
        &mut self,
        client: &str,
        tuple: UnreadTuple,
        told_at: i64,
    ) {
        let wall = self.wall();
        let out = self.service.tell_unread(wall, client, tuple, told_at);
        self.deliver(out);
    }
}
