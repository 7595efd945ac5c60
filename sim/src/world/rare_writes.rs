//! Writes that apps make now and then: joining and leaving, marks up to a message, messages that they send again,
//! and messages that they keep and take out themselves.

use sampan::model::{
    ConversationState, ForeignMessage, Mentions, MessageContent, MessageKey, NewMessage,
    SendOptions,
};
use sampan::store::{Intent, MembersChange};
use sampan::sync::{
    ChangeMembers, KeepFailed, KeepForeign, MarkReadMessage, RemoveMessage, SendMessage,
};

use crate::checks::ledger::{Call, Fate};
use crate::devices::device::Device;
use crate::dice::nth;
use crate::service::Broken;
use crate::world::World;
use crate::world::verdict::content_of;

impl World {
    /// The app leaves a conversation whose members may change.
    pub(super) fn quit(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let mut conversations = self.conversations(device);
        conversations.retain(|info| !info.unique && info.state == ConversationState::Live);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let request = ChangeMembers {
            conversation: info.id.clone(),
            change: MembersChange::Quit,
            members: Vec::new(),
        };
        self.call(device, request, Call::Other)
    }

    /// The app joins a conversation whose members may change.
    pub(super) fn join(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let truth = self.server.places()?;
        let open = truth.conversations.values();
        let open = open.filter(|held| held.conversation.unique_id.is_none());
        let ids: Vec<_> = open.map(|held| held.conversation.id.clone()).collect();
        let Some(conversation) = nth(&ids, pick).cloned() else {
            return Ok(());
        };
        let request = ChangeMembers {
            conversation,
            change: MembersChange::Join,
            members: Vec::new(),
        };
        self.call(device, request, Call::Other)
    }

    /// The app marks a conversation read up to a message that it shows.
    pub(super) fn read_until(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let conversations = self.conversations(device);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let Some(store) = self.devices.get(device).and_then(Device::store) else {
            return Ok(());
        };
        let snapshot = store.snapshot();
        let number = snapshot.number(&info.id).ok().flatten();
        let page = number.and_then(|number| snapshot.page_before(number, None, 20).ok());
        let items = page.map(|page| page.items).unwrap_or_default();
        let keys = items
            .iter()
            .filter_map(|item| MessageKey::of(item.message()?));
        let keys: Vec<_> = keys.collect();
        drop(snapshot);
        let Some(message) = nth(&keys, pick / 7).cloned() else {
            return Ok(());
        };
        let request = MarkReadMessage {
            conversation: info.id.clone(),
            message,
        };
        self.call(device, request, Call::Other)
    }

    /// The app keeps a message that it could not make ready.
    pub(super) fn keep_failed(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let mut conversations = self.conversations(device);
        conversations.retain(|info| info.state == ConversationState::Live);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let number = self.fresh();
        let words = format!("k{device}.{number}");
        let request = KeepFailed {
            conversation: info.id.clone(),
            message: NewMessage::new(MessageContent::text(words.clone())),
            reason: "no photo".to_owned(),
        };
        self.call(device, request, Call::Keep { words, number })
    }

    /// The app stores a message that came by another way, such as a push.
    pub(super) fn keep_foreign(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let Some(client) = self.devices.get(device).map(|it| it.client().clone()) else {
            return Ok(());
        };
        let truth = self.server.truth()?;
        let held = truth.of(&client);
        let Some(held) = nth(&held, pick) else {
            return Ok(());
        };
        let others: Vec<_> = held
            .messages
            .iter()
            .filter(|it| it.from != client)
            .collect();
        let Some(message) = nth(&others, pick / 7) else {
            return Ok(());
        };
        let message = ForeignMessage {
            conversation: held.conversation.id.clone(),
            id: message.id.clone(),
            sender: message.from.clone(),
            sent_at: message.sent_at,
            content: content_of(message),
            mentions: Mentions {
                all: message.mention_all,
                clients: message.mentions.clone(),
            },
        };
        self.call(device, KeepForeign { message }, Call::Other)
    }

    /// The app sends a message of before again, under its local id.
    pub(super) fn send_again(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let conversations = self.conversations(device);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let own = self.own_messages(device, &info.id);
        let Some(local_id) = nth(&own, pick / 7).cloned() else {
            return Ok(());
        };
        let mut due = self.record.ledger.messages.iter();
        let said =
            due.find(|it| it.device == device && it.fate == Fate::Due && it.local_id == local_id);
        let Some(words) = said.map(|promise| promise.words.clone()) else {
            return Ok(());
        };
        let message = NewMessage {
            options: SendOptions {
                local_id: Some(local_id),
                ..SendOptions::default()
            },
            ..NewMessage::new(MessageContent::text(words))
        };
        let request = SendMessage {
            conversation: info.id.clone(),
            message,
        };
        self.call(device, request, Call::Other)
    }

    /// The app takes out a message that was not sent.
    pub(super) fn remove(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let Some(store) = self.devices.get(device).and_then(Device::store) else {
            return Ok(());
        };
        let snapshot = store.snapshot();
        let mut unsent = snapshot.outbox();
        unsent.retain(|entry| matches!(entry.intent, Intent::Send(_)));
        let Some(entry) = nth(&unsent, pick).cloned() else {
            return Ok(());
        };
        let row = snapshot.conversation(entry.conversation).ok().flatten();
        drop(snapshot);
        let Some(row) = row else { return Ok(()) };
        let request = RemoveMessage {
            conversation: row.id.clone(),
            message: MessageKey::local(entry.token.clone()),
        };
        let call = Call::Remove {
            entry: entry.id,
            message: entry.token.clone(),
        };
        self.call(device, request, call)
    }
}
