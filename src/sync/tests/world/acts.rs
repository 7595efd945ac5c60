//! The acts of the apps: calls to the engine.

use std::time::Duration;

use super::{Device, World};
use crate::model::{
    ClientId, ConversationId, ConversationKind, LocalId, MessageContent, MessageKey,
    NewConversation, NewMessage, OutboxEntryId, Timestamp, Uniqueness,
};
use crate::store::{Dropped, Intent, Position, ReadIntent};
use crate::sync::{
    Call, Caller, ClientInput, Connect, CreateConversation, Done, EditMessage, FetchHistory,
    HistoryFetched, Import, MarkRead, RecallMessage, Reply, RequestError, RequestId, SendMessage,
    SignIn,
};

impl World {
    /// A call that is answered at once, later, or never.
    pub(in crate::sync::tests) fn call<C: Call>(
        &mut self,
        device: Device,
        call: C,
    ) -> Caller<C::Answer> {
        let machine = &mut self.machines[device.0];
        machine.last_request += 1;
        let id = RequestId(machine.last_request);
        let caller = Caller::of(&call, id);
        let request = call.into();
        self.client(device, vec![ClientInput::Requested { id, request }]);
        caller
    }

    pub(in crate::sync::tests) fn answer<A: TryFrom<Reply, Error = Reply>>(
        &self,
        device: Device,
        caller: Caller<A>,
    ) -> Option<Result<A, RequestError>> {
        let answer = self.machines[device.0].answers.get(&caller.id())?.clone();
        Some(answer.map(|reply| A::try_from(reply).expect("an answer to this call")))
    }

    /// A call that is answered at once.
    pub(in crate::sync::tests) fn ask<C: Call>(
        &mut self,
        device: Device,
        call: C,
    ) -> Result<C::Answer, RequestError> {
        let caller = self.call(device, call);
        self.answer(device, caller).expect("an answer at once")
    }

    pub(in crate::sync::tests) fn connect(&mut self, device: Device) {
        let mode = SignIn::TakeOver;
        self.ask(device, Connect { mode }).unwrap();
    }

    pub(in crate::sync::tests) fn create(
        &mut self,
        device: Device,
        members: &[&str],
    ) -> ConversationId {
        let conversation = NewConversation {
            members: members
                .iter()
                .map(|it| ClientId::new(it).unwrap())
                .collect(),
            uniqueness: Uniqueness::Separate,
            ..NewConversation::default()
        };
        self.create_as(device, conversation)
    }

    pub(in crate::sync::tests) fn create_as(
        &mut self,
        device: Device,
        conversation: NewConversation,
    ) -> ConversationId {
        let created = self.ask(device, CreateConversation { conversation });
        created.unwrap().conversation
    }

    /// A conversation of a kind, which the service does not know yet.
    pub(in crate::sync::tests) fn create_kind(
        &mut self,
        device: Device,
        kind: ConversationKind,
        members: &[&str],
    ) -> ConversationId {
        let members = members.iter().map(|it| ClientId::new(*it).unwrap());
        let conversation = NewConversation {
            kind,
            members: members.collect(),
            uniqueness: Uniqueness::Separate,
            ..NewConversation::default()
        };
        self.create_as(device, conversation)
    }

    /// A conversation of a kind, by the service's id.
    pub(in crate::sync::tests) fn make_kind(
        &mut self,
        device: Device,
        kind: ConversationKind,
        members: &[&str],
    ) -> ConversationId {
        let made = self.create_kind(device, kind, members);
        self.moment();
        self.service_id(device, &made)
    }

    /// One device of ann, in a conversation that somebody else made.
    pub(in crate::sync::tests) fn with_room(seed: u64) -> (Self, Device, ConversationId) {
        let mut world = Self::seeded(seed);
        let [ann] = world.devices(["ann"]);
        let room = world.found(&["ann", "ben"]);
        world.settle();
        (world, ann, room)
    }

    pub(in crate::sync::tests) fn say(
        &mut self,
        device: Device,
        conversation: &ConversationId,
        text: &str,
    ) -> (OutboxEntryId, LocalId) {
        let call = SendMessage {
            conversation: conversation.clone(),
            message: NewMessage::new(MessageContent::Plain { text: text.into() }),
        };
        let enqueued = self.ask(device, call).unwrap();
        (enqueued.entry.unwrap(), enqueued.local_id)
    }

    /// Edits a message that the device sent.
    pub(in crate::sync::tests) fn rewrite(
        &mut self,
        device: Device,
        conversation: &ConversationId,
        message: &LocalId,
        text: &str,
    ) -> Result<Done, RequestError> {
        let request = EditMessage {
            conversation: conversation.clone(),
            message: MessageKey::local(message.clone()),
            content: MessageContent::Plain { text: text.into() },
        };
        self.ask(device, request)
    }

    /// Recalls a message that the device sent.
    pub(in crate::sync::tests) fn take_back(
        &mut self,
        device: Device,
        conversation: &ConversationId,
        message: &LocalId,
    ) -> Result<Done, RequestError> {
        let request = RecallMessage {
            conversation: conversation.clone(),
            message: MessageKey::local(message.clone()),
        };
        self.ask(device, request)
    }

    pub(in crate::sync::tests) fn mark_read(
        &mut self,
        device: Device,
        conversation: &ConversationId,
    ) {
        let request = MarkRead {
            conversation: conversation.clone(),
            until: None,
        };
        self.ask(device, request).unwrap();
    }

    /// Hands in the intent that an extension of the app left: a read mark.
    pub(in crate::sync::tests) fn import_mark(
        &mut self,
        device: Device,
        id: &ConversationId,
        until: i64,
    ) {
        let dropped = Dropped {
            token: self.randomness.local_id(),
            conversation: id.clone(),
            intent: Intent::Read(ReadIntent {
                until: Timestamp::from_millis(until),
                message: None,
            }),
            dropped_at: Timestamp::from_millis(self.wall()),
        };
        let dropped = vec![dropped];
        self.ask(device, Import { dropped }).unwrap();
    }

    pub(in crate::sync::tests) fn history_request(
        &self,
        id: &ConversationId,
        limit: u32,
    ) -> FetchHistory {
        FetchHistory {
            conversation: id.clone(),
            before: None,
            limit,
        }
    }

    /// Asks for a page of history and lets it come.
    pub(in crate::sync::tests) fn fetch(
        &mut self,
        device: Device,
        id: &ConversationId,
        before: Option<Position>,
        limit: u32,
    ) -> Result<HistoryFetched, RequestError> {
        let call = FetchHistory {
            conversation: id.clone(),
            before,
            limit,
        };
        let caller = self.call(device, call);
        self.pass(Duration::from_secs(10));
        self.answer(device, caller).expect("an answer")
    }
}
