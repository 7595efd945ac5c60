//! What happens outside the devices: others speak, edit, come and go.

use super::World;
use crate::model::ConversationId;
use crate::wire::generated::UnreadTuple;

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
