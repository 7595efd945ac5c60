//! A message in the store: made of the model's types, between its record and the app's message.

use crate::model::{
    ClientId, ConversationId, LocalId, Mentions, Message, MessageContent, MessageState, Receipt,
    Timestamp,
};
use crate::store::types::link::Older;
use crate::store::types::origin::Origin;
use crate::store::types::position::Position;

/// A message that the service knows, its place apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredMessage {
    pub(crate) sender: ClientId,
    pub(crate) local_id: Option<LocalId>,
    pub(crate) content: MessageContent,
    pub(crate) mentions: Mentions,
    pub(crate) delivered_at: Option<Timestamp>,
    pub(crate) read_at: Option<Timestamp>,
    pub(crate) edited_at: Option<Timestamp>,
    /// The older neighbour, as the pack tells it.
    pub(crate) older: Older,
    /// The origin of an imported message; none for a message that the service told of.
    pub(crate) origin: Option<Box<Origin>>,
}

impl StoredMessage {
    /// The part of a message that is kept.
    pub(crate) fn of(message: &Message) -> Self {
        let (delivered_at, read_at) = match message.state {
            MessageState::Delivered { at } => (Some(at), None),
            MessageState::Read { at } => (None, Some(at)),
            MessageState::Pending | MessageState::Sent | MessageState::Failed { .. } => {
                (None, None)
            }
        };
        Self {
            sender: message.sender.clone(),
            local_id: message.local_id.clone(),
            content: message.content.clone(),
            mentions: message.mentions.clone(),
            delivered_at,
            read_at,
            edited_at: message.edited_at,
            older: Older::None,
            origin: None,
        }
    }

    /// The message, as the receipts of its conversation make it look.
    pub(crate) fn message(
        self,
        conversation: &ConversationId,
        position: &Position,
        owner: &ClientId,
        receipt: Receipt,
    ) -> Message {
        let state = if self.sender == *owner {
            self.state(position.sent_at, receipt)
        } else {
            MessageState::Sent
        };
        Message {
            conversation: conversation.clone(),
            id: Some(position.id.clone()),
            local_id: self.local_id,
            sender: self.sender,
            sent_at: position.sent_at,
            content: self.content,
            mentions: self.mentions,
            state,
            edited_at: self.edited_at,
            transient: false,
            change: None,
        }
    }

    /// The delivery of an own message: by its own marks, or by its conversation's marks, whichever is further.
    ///
    /// A conversation's mark moves on with every receipt and does not tell when an earlier message arrived. In
    /// that case the message's own time is used, which does not move.
    fn state(&self, sent_at: Timestamp, receipt: Receipt) -> MessageState {
        let covering = |mark: Option<Timestamp>| mark.filter(|it| *it >= sent_at).map(|_| sent_at);
        let read = self.read_at.or_else(|| covering(receipt.read_until));
        let delivered = self
            .delivered_at
            .or_else(|| covering(receipt.delivered_until));
        match (read, delivered) {
            (Some(at), _) => MessageState::Read { at },
            (None, Some(at)) => MessageState::Delivered { at },
            (None, None) => MessageState::Sent,
        }
    }

    /// True if a reader sees the same: the link and the origin are nobody's but the store's.
    pub(crate) fn shows_same(&self, other: &Self) -> bool {
        // Taken apart, so that a new field is not forgotten here.
        let Self {
            sender,
            local_id,
            content,
            mentions,
            delivered_at,
            read_at,
            edited_at,
            older: _,
            origin: _,
        } = self;
        *sender == other.sender
            && *local_id == other.local_id
            && *content == other.content
            && *mentions == other.mentions
            && *delivered_at == other.delivered_at
            && *read_at == other.read_at
            && *edited_at == other.edited_at
    }

    /// True if the message counts as unread for `owner`: others' messages that were not recalled do.
    pub(crate) fn counts_for(&self, owner: &ClientId) -> bool {
        self.sender != *owner && !self.content.is_recalled()
    }

    /// True if the message mentions `owner`.
    pub(crate) fn mentions(&self, owner: &ClientId) -> bool {
        self.mentions.all || self.mentions.clients.contains(owner)
    }
}
