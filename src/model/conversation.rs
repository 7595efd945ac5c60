//! A conversation, the place where messages go, and its properties.

use super::{ClientId, CommitSeq, ConversationId, Json, Message, Timestamp, Unread};

/// The kinds of conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum ConversationKind {
    /// Two to 500 members, with history.
    #[default]
    Normal,
    /// A chat room ("transient" on the wire): no member list, no unread count, no receipts.
    ChatRoom,
    /// A service account with subscribers ("system" on the wire).
    Service,
    /// At most ten members, who do not change, and a limited life.
    Temporary,
}

impl ConversationKind {
    /// The number on the wire, 1 to 4 (the protocol, section 5.1).
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Normal => 1,
            Self::ChatRoom => 2,
            Self::Service => 3,
            Self::Temporary => 4,
        }
    }

    /// The kind of a number on the wire; none for an unknown number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Normal),
            2 => Some(Self::ChatRoom),
            3 => Some(Self::Service),
            4 => Some(Self::Temporary),
            _ => None,
        }
    }

    /// True if the service keeps a list of its members. In a conversation without such a list, a client may
    /// send and read without being inside.
    #[must_use]
    pub const fn has_member_list(self) -> bool {
        matches!(self, Self::Normal | Self::Temporary)
    }

    /// True if messages in it are counted as unread.
    #[must_use]
    pub const fn counts_unread(self) -> bool {
        !matches!(self, Self::ChatRoom)
    }
}

/// A conversation as this device knew it at one commit.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ConversationInfo {
    /// The service's id, or a local id while the conversation exists on this device alone.
    pub id: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Its name, shared by all members.
    pub name: Option<String>,
    /// The creator; none until the service has told it.
    pub creator: Option<ClientId>,
    /// The members; empty for chat rooms.
    pub members: Vec<ClientId>,
    /// The app's own attributes: a JSON object.
    pub attributes: Option<Json>,
    /// Other columns: a JSON object, kept as it came.
    pub columns: Option<Json>,
    /// True if there is one such conversation per set of members.
    pub unique: bool,
    /// True if this client muted the conversation.
    pub muted: bool,
    /// The time of its creation, by the service's clock; none while the conversation exists on this device
    /// alone.
    pub created_at: Option<Timestamp>,
    /// The time of its last change, by the service's clock.
    pub updated_at: Option<Timestamp>,
    /// The time of its last message, by the service's clock.
    pub last_message_at: Option<Timestamp>,
    /// The newest message on this device, local echoes included.
    pub last_message: Option<Message>,
    /// The end of a temporary conversation's life, by the service's clock; none for every other kind, and until
    /// the service has told it.
    pub expires_at: Option<Timestamp>,
    /// The unread messages.
    pub unread: Unread,
    /// The time up to which others have received this client's messages.
    pub delivered_until: Option<Timestamp>,
    /// The time up to which others have read this client's messages.
    pub read_until: Option<Timestamp>,
    /// The state of the conversation at the service.
    pub state: ConversationState,
    /// The commit of this device's store that was read. The value shows every write whose own commit number is
    /// not greater. Zero in an event, which names its own commit, and in an answer of the service.
    pub seq: CommitSeq,
}

impl ConversationInfo {
    /// The same conversation, with the commit at which it was read.
    #[must_use]
    pub fn as_of(self, seq: CommitSeq) -> Self {
        Self { seq, ..self }
    }

    /// True if it is a group of the first generation: an ordinary conversation that a client made, whose
    /// members change.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.kind == ConversationKind::Normal && !self.unique && !self.id.is_of_peers()
    }
}

/// The state of a conversation at the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum ConversationState {
    /// The service has it.
    #[default]
    Live,
    /// The conversation was made offline, and its creation waits in the outbox; messages to it wait behind the
    /// creation.
    Creating,
    /// The service refused to make the conversation.
    CreationFailed {
        /// The reason.
        failure: super::SendFailure,
    },
    /// This client is not in the conversation. In an ordinary or temporary conversation this client left or was
    /// removed, and earlier messages stay readable. In a chat room this client is outside. In a service
    /// conversation this client is not subscribed.
    Left,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_rooms_and_service_conversations_have_no_list_of_members() {
        let kinds = (1..=4).filter_map(ConversationKind::from_number);
        let listed: Vec<ConversationKind> = kinds.filter(|kind| kind.has_member_list()).collect();
        assert_eq!(
            listed,
            [ConversationKind::Normal, ConversationKind::Temporary]
        );
    }

    #[test]
    fn every_kind_has_its_own_number_and_comes_back_from_it() {
        for number in 1..=4 {
            assert_eq!(
                ConversationKind::from_number(number).unwrap().number(),
                number
            );
        }
        assert_eq!(ConversationKind::from_number(0), None);
        assert_eq!(ConversationKind::from_number(5), None);
    }
}
