//! [`RequestError`]: the reason why a call of an app failed.

use crate::error::{Obstacle, SampanError, Subject};
use crate::wire::{self, ServiceCode};

/// The reason why an API call failed.
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
    /// The message is not on this device.
    #[error("the message is not on this device")]
    UnknownMessage,
    /// The present state does not allow the call.
    #[error("not possible now: {obstacle}")]
    NotPossible {
        /// The obstacle.
        obstacle: Obstacle,
    },
    /// The message is larger than a command may be.
    #[error("the message needs {actual} bytes and {limit} are allowed")]
    TooLarge {
        /// The most bytes of a command.
        limit: usize,
        /// The bytes that it needs, the rest of the command included.
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
        /// The argument, and the rule for it.
        reason: String,
    },
    /// The app's signer failed.
    #[error("the signer failed: {reason}")]
    Signer {
        /// The signer's words.
        reason: String,
    },
    /// Another request took this one's place, or the client went offline meanwhile.
    #[error("the client went offline")]
    Cancelled,
}

impl From<RequestError> for SampanError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotConnected | RequestError::Cancelled => Self::NotConnected,
            RequestError::Unanswered => Self::TimedOut,
            RequestError::Refused { code, reason } => Self::refused(code.number(), reason),
            RequestError::UnknownConversation => Self::NotFound {
                what: Subject::Conversation,
            },
            RequestError::UnknownEntry => Self::NotFound {
                what: Subject::OutboxEntry,
            },
            RequestError::UnknownMessage => Self::NotFound {
                what: Subject::Message,
            },
            RequestError::NotPossible { obstacle } => Self::NotPossible { obstacle },
            RequestError::TooLarge { limit, actual } => Self::TooLarge {
                limit: limit.into(),
                actual: actual.into(),
            },
            RequestError::OutboxFull { max } => Self::OutboxFull { max: max.into() },
            RequestError::InvalidArgument { reason } => Self::InvalidArgument { reason },
            RequestError::Signer { reason } => Self::Callback { reason },
        }
    }
}

impl From<wire::WireError> for RequestError {
    /// An argument that the wire cannot carry is not legal.
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
