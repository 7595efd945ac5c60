//! A message: its sender, content, place and time, and its delivery.

use super::{
    ClientId, ConversationId, LocalId, MessageContent, MessageId, MessageRef, Refusal, Timestamp,
    UploadFailure,
};

/// One message of a conversation, as this device's store has it. Events carry it; a screen shows a
/// `sampan::Message`.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
#[uniffi(name = "MessageRecord")]
pub struct Message {
    /// The conversation of the message.
    pub conversation: ConversationId,
    /// The service's id; none until the service has acknowledged the message.
    pub id: Option<MessageId>,
    /// The id that this device gave the message when it was enqueued. It never changes; none for others'
    /// messages.
    pub local_id: Option<LocalId>,
    /// The sender.
    pub sender: ClientId,
    /// The service's time. For an unsent message, this device's time of the enqueueing.
    pub sent_at: Timestamp,
    /// The content.
    pub content: MessageContent,
    /// The clients that are mentioned by name.
    pub mentions: Mentions,
    /// The delivery of the message.
    pub state: MessageState,
    /// The time of the last edit or recall, by the service's clock.
    pub edited_at: Option<Timestamp>,
    /// True if the message was only for clients that were online; no store keeps such a message.
    pub transient: bool,
    /// An edit or a recall by this device that the service has not acknowledged. While it waits, `content`
    /// shows its effect; after it failed for good, `content` is the old content again.
    pub change: Option<PendingChange>,
}

impl Message {
    /// The place of the message at the service; none while the message is unsent.
    #[must_use]
    pub fn reference(&self) -> Option<MessageRef> {
        let id = self.id.clone()?;
        Some(MessageRef {
            conversation: self.conversation.clone(),
            sent_at: self.sent_at,
            id,
        })
    }
}

/// The delivery of a message. Others' messages are always `Sent`.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum MessageState {
    /// In the outbox: durable on this device, not yet acknowledged by the service.
    Pending,
    /// The service has the message.
    Sent,
    /// The device of another member has the message.
    Delivered {
        /// The time, by the service's clock. Where the service told only a mark of the conversation, the
        /// message's own time.
        at: Timestamp,
    },
    /// Another member has read the message.
    Read {
        /// The time, by the service's clock. Where the service told only a mark of the conversation, the
        /// message's own time.
        at: Timestamp,
    },
    /// The message failed for good. It stays in the outbox until the app retries or discards it.
    Failed {
        /// The reason.
        failure: SendFailure,
    },
}

impl MessageState {
    /// True if another member has the message, or has read it.
    #[must_use]
    pub const fn is_receipt(&self) -> bool {
        matches!(self, Self::Delivered { .. } | Self::Read { .. })
    }
}

/// An edit or a recall that the service has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum PendingChange {
    /// New content.
    Edit {
        /// The reason of its failure for good; none while it waits. `Conversation.retry` tries it again,
        /// `Conversation.discard` discards it.
        failure: Option<SendFailure>,
    },
    /// A recall of the message.
    Recall {
        /// The reason of its failure for good; none while it waits. `Conversation.retry` tries it again,
        /// `Conversation.discard` discards it.
        failure: Option<SendFailure>,
    },
}

/// The reason why an outbox entry failed for good.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SendFailure {
    /// The service refused the entry; `docs/wire.md` lists the codes.
    Refused {
        /// The kind of refusal.
        refusal: Refusal,
        /// The service's code.
        code: i32,
        /// The service's name of the code, or the text of the app's hook.
        reason: String,
    },
    /// The entry used all its tries on a live link without an answer.
    TriesExhausted {
        /// The number of tries.
        tries: u32,
    },
    /// The message may or may not have arrived, and the service no longer knows its token.
    Ambiguous,
    /// The service accepted some members and refused others. The entry holds the refused ones; a retry tries
    /// those again.
    MembersRefused {
        /// The refused members, each with the reason.
        refused: Vec<RefusedMember>,
    },
    /// The message's file could not be uploaded; the message was never sent.
    NotUploaded {
        /// The reason.
        failure: UploadFailure,
    },
    /// The message can't be sent as it is, for instance because it is larger than a frame. For a message of
    /// `Conversation.keep_failed`, the reason is the app's.
    Unsendable {
        /// The fault.
        reason: String,
    },
}

/// A member that the service did not add or remove.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct RefusedMember {
    /// The member.
    pub client: ClientId,
    /// The service's code.
    pub code: i32,
    /// The service's name of the code.
    pub reason: String,
}

impl SendFailure {
    /// A refusal of the service, with its code and the code's name.
    #[must_use]
    pub fn refused(code: i32, reason: impl Into<String>) -> Self {
        Self::Refused {
            refusal: Refusal::of_code(code),
            code,
            reason: reason.into(),
        }
    }
}

/// The clients that a message mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Mentions {
    /// True if all members are mentioned.
    #[uniffi(default)]
    pub all: bool,
    /// The clients that are mentioned by name.
    #[uniffi(default)]
    pub clients: Vec<ClientId>,
}

impl Mentions {
    /// True if `client` is mentioned.
    #[must_use]
    pub fn include(&self, client: &ClientId) -> bool {
        self.all || self.clients.contains(client)
    }

    /// True if no client is mentioned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.clients.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_of_all_includes_everybody_and_one_by_name_only_that_client() {
        let (ann, ben) = (ClientId::new("ann").unwrap(), ClientId::new("ben").unwrap());
        let all = Mentions {
            all: true,
            clients: Vec::new(),
        };
        let only_ann = Mentions {
            all: false,
            clients: vec![ann.clone()],
        };
        assert!(all.include(&ben));
        assert!(only_ann.include(&ann) && !only_ann.include(&ben));
    }
}
