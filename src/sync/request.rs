//! What the API asks of a client's machine, and what it is answered.

use crate::error::SampanError;
use crate::model::{
    ConversationId, LocalId, Message, NewConversation, NewMessage, OutboxEntryId, Timestamp,
};
use crate::store::{Dropped, Position};
use crate::wire::ServiceCode;
use crate::{Secret, wire};

/// The number of an API call; the caller chooses it and finds the answer by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// An API call on one client.
///
/// Calls of the first group are writes: they work offline and are answered when they are durable.
/// Calls of the second group need the service: without an open session they fail at once.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once and handed over; the large one is the common one"
)]
pub enum Request {
    /// Go online, and stay so over broken connections.
    Connect {
        /// Whether other devices with the same tag are signed out.
        mode: SignIn,
    },
    /// Go offline: close the session and forget the wish to be online.
    Disconnect,
    /// Enqueue the making of a conversation; it can be used at once by its local id.
    CreateConversation {
        /// What to make.
        conversation: NewConversation,
    },
    /// Enqueue a message.
    SendMessage {
        /// Where to.
        conversation: ConversationId,
        /// What to send.
        message: NewMessage,
    },
    /// Clear the unread count at once and enqueue the read mark for the service.
    MarkRead {
        /// Which conversation.
        conversation: ConversationId,
        /// Up to and including this time of a message; none for the newest message held.
        until: Option<Timestamp>,
    },
    /// Enqueue a failed entry again, at its old place; of an ambiguous one this accepts that the
    /// message may arrive twice.
    RetryEntry {
        /// Which entry.
        entry: OutboxEntryId,
    },
    /// Give up a failed entry, or cancel one that was never sent. With a failed creation go the
    /// conversation and all that waits for it.
    DiscardEntry {
        /// Which entry.
        entry: OutboxEntryId,
    },
    /// Enqueue what another process of the app left, each piece once: it is known by its token.
    Import {
        /// The pieces, in the order in which they were left.
        dropped: Vec<Dropped>,
    },
    /// Prefer one conversation when catching up: the one the user looks at.
    Focus {
        /// Which; none when no timeline is open.
        conversation: Option<ConversationId>,
    },

    /// Ask for a page of history and store it: older than a message, or the newest.
    FetchHistory {
        /// Which conversation.
        conversation: ConversationId,
        /// Older than this message; of a gap, its newer edge. None for the newest page.
        before: Option<Position>,
        /// How many, 1 to 100; more are asked for in several pages.
        limit: u32,
    },
    /// Ask for conversations by id and store them.
    FetchConversations {
        /// Which; at most 50.
        conversations: Vec<ConversationId>,
    },
    /// Ask how far the others received and read a conversation, and store the marks.
    FetchReceipts {
        /// Which conversation.
        conversation: ConversationId,
    },
    /// A session token that the service's HTTP side accepts, refreshed if it has expired.
    FreshToken,
}

/// Whether a sign-in sends other devices with the same tag away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignIn {
    /// The user signs in here: another device with the same tag is signed out.
    #[default]
    TakeOver,
    /// The app comes back by itself: if another device took over meanwhile, it keeps the place and
    /// this session ends with a conflict.
    Yield,
}

/// What an API call is answered.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once a call and handed over; the large one is the common one"
)]
pub enum Reply {
    /// It is done, or will be done without further word.
    Done,
    /// The creation is durable in the outbox, or there was such a conversation.
    Created {
        /// Its id: a local one that keeps resolving when the service's takes over.
        conversation: ConversationId,
        /// The outbox entry; none when the conversation existed on this device.
        entry: Option<OutboxEntryId>,
    },
    /// The message is durable in the outbox.
    Enqueued {
        /// Its outbox entry.
        entry: OutboxEntryId,
        /// Its local id.
        local_id: LocalId,
        /// The local echo.
        message: Message,
    },
    /// What was left by another process is durable in the outbox, or was before.
    Imported {
        /// How many pieces were not known before.
        imported: u32,
        /// The tokens of those that the outbox has no room for.
        left: Vec<LocalId>,
    },
    /// The page is stored.
    History {
        /// How many of its messages were not on this device before.
        added: u32,
        /// Whether the conversation has nothing older.
        start_reached: bool,
    },
    /// The conversations are stored.
    Conversations {
        /// Those the service knows.
        found: Vec<ConversationId>,
    },
    /// The session token.
    Token {
        /// The token.
        token: Secret,
    },
}

/// Why an API call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no open session and the call needs one.
    #[error("there is no open session")]
    NotConnected,
    /// The service did not answer in time, or the connection broke before it did.
    #[error("the service did not answer")]
    Unanswered,
    /// The service refused.
    #[error("the service refused with {code}: {reason}")]
    Refused {
        /// Its number.
        code: ServiceCode,
        /// Its name of the number.
        reason: String,
    },
    /// The conversation is not on this device.
    #[error("the conversation is not on this device")]
    UnknownConversation,
    /// The outbox has no such entry.
    #[error("the outbox has no such entry")]
    UnknownEntry,
    /// The entry was sent or is not failed: it can be neither cancelled nor retried now.
    #[error("the entry is on its way")]
    EntryOnItsWay,
    /// The client left the conversation, or the service refused to make it.
    #[error("the conversation takes no messages")]
    ConversationClosed,
    /// The message is larger than a command may be.
    #[error("the message needs {actual} bytes and {limit} are allowed")]
    TooLarge {
        /// The most bytes of a command.
        limit: usize,
        /// How many it needs, the rest of the command included.
        actual: usize,
    },
    /// The outbox is full.
    #[error("the outbox holds {max} entries already")]
    OutboxFull {
        /// The configured limit.
        max: u32,
    },
    /// An argument is not legal.
    #[error("{reason}")]
    InvalidArgument {
        /// Which, and what it must be.
        reason: String,
    },
    /// The app's signer failed.
    #[error("the signer failed: {reason}")]
    Signer {
        /// What it said.
        reason: String,
    },
    /// Another request took this one's place, or the client went offline meanwhile.
    #[error("the client went offline")]
    Cancelled,
}

impl From<RequestError> for SampanError {
    fn from(error: RequestError) -> Self {
        let text = error.to_string();
        match error {
            RequestError::NotConnected | RequestError::Cancelled => Self::NotConnected,
            RequestError::Unanswered => Self::TimedOut,
            RequestError::Refused { code, reason } => Self::Refused {
                code: u16::from(code),
                reason,
            },
            RequestError::UnknownConversation => Self::NotFound {
                what: "the conversation".into(),
            },
            RequestError::UnknownEntry => Self::NotFound {
                what: "the outbox entry".into(),
            },
            RequestError::EntryOnItsWay
            | RequestError::ConversationClosed
            | RequestError::TooLarge { .. }
            | RequestError::OutboxFull { .. }
            | RequestError::InvalidArgument { .. } => Self::InvalidArgument { reason: text },
            RequestError::Signer { reason } => Self::Callback { reason },
        }
    }
}

impl From<wire::WireError> for RequestError {
    /// What an app gave and the wire cannot carry is an argument that is not legal.
    fn from(error: wire::WireError) -> Self {
        match error {
            wire::WireError::TooLong { limit, actual } => Self::TooLarge { limit, actual },
            other => Self::InvalidArgument {
                reason: other.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_never_came_may_be_asked_for_again_and_a_refusal_not() {
        let unanswered = SampanError::from(RequestError::Unanswered);
        assert!(unanswered.is_retryable());
        let refused = SampanError::from(RequestError::Refused {
            code: ServiceCode::CONVERSATION_NOT_FOUND,
            reason: "CONVERSATION_NOT_FOUND".into(),
        });
        assert!(!refused.is_retryable());
    }
}
