//! A message as a screen shows it.

use crate::model::{
    ClientId, ConversationId, LocalId, Mentions, Message, MessageContent, MessageKey, MessageRef,
    MessageState, OutboxEntryId, PendingChange, Timestamp,
};
use crate::store::{ConversationRow, Snapshot, TimelineItem};

use super::delivery::{Delivery, Reach};
use super::quote::Quote;

/// A message as a timeline shows it.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct TimelineMessage {
    /// Its key, for ever: the same while it is unsent, when it is sent, edited and recalled.
    pub key: MessageKey,
    /// The conversation it is in.
    pub conversation: ConversationId,
    /// Where the service finds it; none while it is unsent.
    pub reference: Option<MessageRef>,
    /// The id this device gave it; none for messages that other devices sent.
    pub local_id: Option<LocalId>,
    /// Who sent it.
    pub sender: ClientId,
    /// Whether this client sent it, from whatever device.
    pub is_own: bool,
    /// The service's time; of an unsent message, this device's when it was enqueued.
    pub sent_at: Timestamp,
    /// What it says.
    pub content: MessageContent,
    /// The message that it answers; none of one that is no reply.
    pub reply_to: Option<Quote>,
    /// Who is called by name.
    pub mentions: Mentions,
    /// Whether somebody else calls this client by name.
    pub mentions_me: bool,
    /// How far it got; none of others' messages.
    pub delivery: Option<Delivery>,
    /// Its outbox entry, to retry or discard it; none once it is sent.
    pub entry: Option<OutboxEntryId>,
    /// When it was last edited or recalled, by the service's clock.
    pub edited_at: Option<Timestamp>,
    /// An edit or a recall by this device that the service has not acknowledged: while it waits,
    /// `content` shows its effect; once it failed for good, `content` is what it was before.
    pub change: Option<PendingChange>,
}

impl TimelineMessage {
    /// A message or echo of a conversation; none of a gap.
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

    /// The message as `me` sees it, once the service has it; none of one without any id.
    fn sent(message: Message, me: &ClientId, reply_to: Option<Quote>) -> Option<Self> {
        let delivery = match message.state {
            MessageState::Pending | MessageState::Sent => Delivery::Sent,
            MessageState::Delivered { at } => Delivery::Delivered { at },
            MessageState::Read { at } => Delivery::Read { at },
            MessageState::Failed { ref failure } => Delivery::failed(failure.clone()),
        };
        let is_own = message.sender == *me;
        Self::of(message, me, is_own.then_some(delivery), None, reply_to)
    }

    fn of(
        message: Message,
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
