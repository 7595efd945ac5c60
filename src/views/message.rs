//! A message as a screen shows it.

use crate::model::{
    self, ClientId, ConversationId, LocalId, Mentions, MessageContent, MessageKey, MessageRef,
    MessageState, OutboxEntryId, PendingChange, Timestamp,
};
use crate::store::{ConversationNumber, ConversationRow, Snapshot, StoreError, TimelineItem};

use super::delivery::{Blocker, Delivery, Reach};
use super::quote::Quote;

/// A message as an app shows it.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Message {
    /// The key of the message. It stays the same when the message is sent, edited and recalled.
    pub key: MessageKey,
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// The place of the message at the service; none while the message is unsent.
    pub reference: Option<MessageRef>,
    /// The id that this device gave the message; none for messages from other devices.
    pub local_id: Option<LocalId>,
    /// The sender.
    pub sender: ClientId,
    /// True if this client sent it, from any device.
    pub is_own: bool,
    /// The service's time. For an unsent message, this device's time of the enqueueing.
    pub sent_at: Timestamp,
    /// The content.
    pub content: MessageContent,
    /// The answered message; none for a message that is no reply.
    pub reply_to: Option<Quote>,
    /// The clients that are mentioned by name.
    pub mentions: Mentions,
    /// True if another client mentions this client.
    pub mentions_me: bool,
    /// The delivery; none for others' messages.
    pub delivery: Option<Delivery>,
    /// The outbox entry of the message, to retry or discard it; none once the message is sent.
    pub entry: Option<OutboxEntryId>,
    /// The time of the last edit or recall, by the service's clock.
    pub edited_at: Option<Timestamp>,
    /// An edit or a recall by this device that the service has not acknowledged. While it waits, `content`
    /// shows its effect; after it failed for good, `content` is the old content again.
    pub change: Option<PendingChange>,
}

impl Message {
    /// The message or echo of an item; none for a gap.
    #[must_use]
    pub fn of_item(
        snapshot: &Snapshot<'_>,
        row: &ConversationRow,
        item: TimelineItem,
        reach: Reach,
    ) -> Option<Self> {
        let me = snapshot.owner();
        match item {
            TimelineItem::Message { message, .. } => {
                let quote = Quote::of(snapshot, row, &message.content);
                Self::sent(message, me, quote)
            }
            TimelineItem::Echo { entry, message } => {
                let delivery = Delivery::of(&*snapshot.entry(entry)?, row, reach);
                let quote = Quote::of(snapshot, row, &message.content);
                Self::of(message, me, Some(delivery), Some(entry), quote)
            }
            TimelineItem::Gap(_) => None,
        }
    }

    /// The message of a key, sent or not; none where this device has none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store can't be read.
    pub fn by_key(
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
        key: &MessageKey,
        reach: Reach,
    ) -> Result<Option<Self>, StoreError> {
        let Some(row) = snapshot.conversation(number)? else {
            return Ok(None);
        };
        let Some(message) = snapshot.message_by_key(number, key)? else {
            return Ok(None);
        };
        let is_echo = message.id.is_none();
        let entries = snapshot.outbox_of(number).into_iter();
        let mut echoes = entries.filter(|entry| is_echo && entry.has_echo());
        let entry = echoes.find(|entry| entry.local_id() == message.local_id.as_ref());
        let quote = Quote::of(snapshot, &row, &message.content);
        Ok(match entry {
            Some(entry) => {
                let delivery = Delivery::of(&entry, &row, reach);
                Self::of(
                    message,
                    snapshot.owner(),
                    Some(delivery),
                    Some(entry.id),
                    quote,
                )
            }
            None => Self::sent(message, snapshot.owner(), quote),
        })
    }

    /// A message that was just enqueued, or failed after this number of tries, or is at the service; none for a
    /// message without any id.
    #[must_use]
    pub fn enqueued(
        message: model::Message,
        me: &ClientId,
        entry: Option<OutboxEntryId>,
        tries: u32,
        reach: Reach,
        quote: Option<Quote>,
    ) -> Option<Self> {
        let blocker = match reach {
            Reach::Offline => Blocker::Offline,
            Reach::ReadOnly => Blocker::Store,
            Reach::Online if message.conversation.is_local() => Blocker::Creation,
            Reach::Online => Blocker::Turn,
        };
        let delivery = match &message.state {
            MessageState::Pending => Delivery::Waiting { blocker },
            MessageState::Failed { failure } => Delivery::failed(failure.clone(), tries),
            _ => {
                let told = Self::sent(message, me, quote)?;
                return Some(Self { entry, ..told });
            }
        };
        Self::of(message, me, Some(delivery), entry, quote)
    }

    /// The message as `me` sees it, once the service has it; none for a message without any id.
    fn sent(message: model::Message, me: &ClientId, reply_to: Option<Quote>) -> Option<Self> {
        let delivery = match message.state {
            MessageState::Pending | MessageState::Sent => Delivery::Sent,
            MessageState::Delivered { at } => Delivery::Delivered { at },
            MessageState::Read { at } => Delivery::Read { at },
            MessageState::Failed { ref failure } => Delivery::failed(failure.clone(), 1),
        };
        let is_own = message.sender == *me;
        Self::of(message, me, is_own.then_some(delivery), None, reply_to)
    }

    fn of(
        message: model::Message,
        me: &ClientId,
        delivery: Option<Delivery>,
        entry: Option<OutboxEntryId>,
        reply_to: Option<Quote>,
    ) -> Option<Self> {
        let key = MessageKey::of(&message)?;
        let is_own = message.sender == *me;
        Some(Self {
            key,
            reference: message.reference(),
            is_own,
            mentions_me: !is_own && message.mentions.include(me),
            delivery,
            entry,
            conversation: message.conversation,
            local_id: message.local_id,
            sender: message.sender,
            sent_at: message.sent_at,
            content: message.content,
            reply_to,
            mentions: message.mentions,
            edited_at: message.edited_at,
            change: message.change,
        })
    }
}
