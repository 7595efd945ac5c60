//! A message: its sender, content, place and time, and how far it got.

use super::{
    ClientId, ConversationId, LocalId, MessageContent, MessageId, MessageRef, Refusal, Timestamp,
    UploadFailure,
};

/// One message of a conversation, as this device's store has it: events carry it. A screen shows a `sampan::Message`.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
#[uniffi(name = "MessageRecord")]
pub struct Message {
    /// The conversation it is in.
    pub conversation: ConversationId,
    /// The service's id; none until the service has acknowledged it.
    pub id: Option<MessageId>,
    /// The id this device gave it when it was enqueued; kept for ever, none for others' messages.
    pub local_id: Option<LocalId>,
    /// The sender.
    pub sender: ClientId,
    /// The service's time; of an unsent message, this device's when it was enqueued.
    pub sent_at: Timestamp,
    /// The content.
    pub content: MessageContent,
    /// The clients that are mentioned by name.
    pub mentions: Mentions,
    /// How far it got.
    pub state: MessageState,
    /// When it was last edited or recalled, by the service's clock.
    pub edited_at: Option<Timestamp>,
    /// True if it was for those online only; such a message is not kept.
    pub transient: bool,
    /// An edit or a recall by this device that the service has not acknowledged: while it waits,
    /// `content` shows its effect; once it failed for good, `content` is what it was before.
    pub change: Option<PendingChange>,
}

impl Message {
    /// Where the service finds this message; none while it is unsent.
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

/// How far a message got. Others' messages are always `Sent`.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum MessageState {
    /// In the outbox: durable on this device, not acknowledged by the service yet.
    Pending,
    /// The service has it.
    Sent,
    /// Another member's device has it.
    Delivered {
        /// When, by the service's clock; where the service told only how far the conversation got,
        /// the message's own time.
        at: Timestamp,
    },
    /// Another member has read it.
    Read {
        /// When, by the service's clock; where the service told only how far the conversation got,
        /// the message's own time.
        at: Timestamp,
    },
    /// It failed for good; it stays in the outbox until the app retries or discards it.
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
        /// Why it failed for good; none while it waits. `Conversation.retry` tries it again,
        /// `Conversation.discard` gives it up.
        failure: Option<SendFailure>,
    },
    /// The message is taken back.
    Recall {
        /// Why it failed for good; none while it waits. `Conversation.retry` tries it again,
        /// `Conversation.discard` gives it up.
        failure: Option<SendFailure>,
    },
}

/// Why an outbox entry failed for good.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SendFailure {
    /// The service refused it; the codes are in `docs/wire.md`.
    Refused {
        /// The sort of refusal.
        refusal: Refusal,
        /// The service's number.
        code: i32,
        /// The service's name of the number, or the app's hook's words.
        reason: String,
    },
    /// It was tried as often as allowed on a live link without an answer.
    TriesExhausted {
        /// How often it was tried.
        tries: u32,
    },
    /// The message may or may not have arrived, and the service no longer knows its token.
    Ambiguous,
    /// The service did it for some members and refused others. The entry holds the refused ones: to
    /// retry it tries those again.
    MembersRefused {
        /// The refused members, each with the reason.
        refused: Vec<RefusedMember>,
    },
    /// Its file could not be uploaded; the message was never sent.
    NotUploaded {
        /// The reason.
        failure: UploadFailure,
    },
    /// It can't be sent as it is, such as one larger than a frame. Of a message that the app itself kept as failed
    /// (`Conversation.keep_failed`), the reason is the app's.
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
    /// The service's number.
    pub code: i32,
    /// The service's name of the number.
    pub reason: String,
}

impl SendFailure {
    /// A refusal of the service, with its number and the number's name.
    #[must_use]
    pub fn refused(code: i32, reason: impl Into<String>) -> Self {
        Self::Refused {
            refusal: Refusal::of_code(code),
            code,
            reason: reason.into(),
        }
    }
}

/// The clients that a message calls by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Mentions {
    /// Everybody.
    #[uniffi(default)]
    pub all: bool,
    /// The clients of a list.
    #[uniffi(default)]
    pub clients: Vec<ClientId>,
}

impl Mentions {
    /// True if `client` is called.
    #[must_use]
    pub fn include(&self, client: &ClientId) -> bool {
        self.all || self.clients.contains(client)
    }

    /// True if nobody is called.
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
