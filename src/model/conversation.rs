//! A conversation, the place where messages go, and its properties.

use super::{ClientId, CommitSeq, ConversationId, Json, Message, Timestamp, Unread};

/// The kinds of conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum ConversationKind {
    /// Two to 500 members, kept history.
    #[default]
    Normal,
    /// A chat room ("transient" on the wire): no member list, no unread count, no receipts.
    ChatRoom,
    /// A service account that members subscribe to ("system" on the wire).
    Service,
    /// At most ten members, fixed, and gone after its time.
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

    /// The kind of a number on the wire, if it is one.
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

    /// True if the service keeps a list of its members. Where it keeps none, nobody has to be inside to
    /// send and to read.
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

/// A conversation as it is known at one moment.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ConversationInfo {
    /// Its id: the service's, or a local one while it exists on this device alone.
    pub id: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Its name, shared by all members.
    pub name: Option<String>,
    /// The creator; none until the service has told.
    pub creator: Option<ClientId>,
    /// The members; empty for chat rooms.
    pub members: Vec<ClientId>,
    /// The app's own attributes: a JSON object.
    pub attributes: Option<Json>,
    /// Columns beside the ones above: a JSON object, kept as it came.
    pub columns: Option<Json>,
    /// True if there is one such conversation per set of members.
    pub unique: bool,
    /// True if this client asked not to be notified about it.
    pub muted: bool,
    /// When the service made it; none while it exists on this device alone.
    pub created_at: Option<Timestamp>,
    /// When it last changed, by the service's clock.
    pub updated_at: Option<Timestamp>,
    /// When its last message was sent, by the service's clock.
    pub last_message_at: Option<Timestamp>,
    /// The newest message this device knows, local echoes included.
    pub last_message: Option<Message>,
    /// Until when a temporary conversation lives, by the service's clock; none for every other kind, and until
    /// the service has told.
    pub expires_at: Option<Timestamp>,
    /// The unread messages.
    pub unread: Unread,
    /// Until when others have received what this client sent.
    pub delivered_until: Option<Timestamp>,
    /// Until when others have read what this client sent.
    pub read_until: Option<Timestamp>,
    /// How far the service knows the conversation.
    pub state: ConversationState,
    /// The commit of this device's store at which it was read: it shows every write that answered this number or a
    /// smaller one. Zero in an event, which names its own commit, and in an answer of the service.
    pub seq: CommitSeq,
}

impl ConversationInfo {
    /// The same, read at a commit.
    #[must_use]
    pub fn as_of(self, seq: CommitSeq) -> Self {
        Self { seq, ..self }
    }

    /// True if it is a group of the first generation: an ordinary conversation that somebody made, with members who
    /// come and go.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.kind == ConversationKind::Normal && !self.unique && !self.id.is_of_peers()
    }
}

/// How far the service knows a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum ConversationState {
    /// The service has it.
    #[default]
    Live,
    /// It was made offline and waits in the outbox; messages to it wait behind it.
    Creating,
    /// The service refused to make it.
    CreationFailed {
        /// The reason.
        failure: super::SendFailure,
    },
    /// This client is not in it. An ordinary or temporary conversation: this client left or was removed, and
    /// messages until then stay readable. A chat room: this client is outside. A service conversation:
    /// this client is not subscribed.
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
