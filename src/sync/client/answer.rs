//! The outcome of a request: answered, refused, or without an answer.

use crate::sync::link::Unanswered;
use crate::sync::request::RequestError;
use crate::wire::frame::TO_SERVICE_BYTES_MAX;
use crate::wire::generated::AckCommand;
use crate::wire::{Command, Envelope, Op, ServiceCode};

/// The outcome of a request. The service says no in several forms; here they are one.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once an answer and taken apart; the large one is the common one"
)]
pub(super) enum Answer {
    /// The service answered.
    Said(Envelope),
    /// The service refused.
    Refused {
        /// Its number.
        code: ServiceCode,
        /// Its name of the number, or the words of the app's hook.
        reason: String,
    },
    /// No answer came.
    Unanswered(Unanswered),
}

impl Answer {
    pub(super) fn of(outcome: Result<Envelope, Unanswered>) -> Self {
        let envelope = match outcome {
            Ok(envelope) => envelope,
            Err(reason) => return Self::Unanswered(reason),
        };
        let (code, reason) = match &envelope.command {
            Command::Error(error) => {
                let words = error.app_msg.as_ref().unwrap_or(&error.reason);
                (error.code, Some(words.clone()))
            }
            Command::Ack(ack) if is_taken_changed(ack) => return Self::Said(envelope),
            // Swift and Java take the presence of either code as failure, even of 0.
            Command::Ack(ack) if ack.code.is_some() || ack.app_code.is_some() => {
                let hook = ServiceCode::MESSAGE_REJECTED_BY_APP.number();
                let words = ack.app_msg.clone().or_else(|| ack.reason.clone());
                (ack.code.unwrap_or(hook), words)
            }
            Command::Session {
                op: Op::Closed,
                body,
            } => match body.code {
                Some(code) => (code, body.reason.clone()),
                None => return Self::Said(envelope),
            },
            _ => return Self::Said(envelope),
        };
        let code = ServiceCode::new(code);
        let reason = reason.unwrap_or_else(|| code.name().to_owned());
        Self::Refused { code, reason }
    }

    /// The failure of an API call that waited for this answer.
    pub(super) fn into_error(self) -> RequestError {
        match self {
            Self::Refused { code, reason } => RequestError::Refused { code, reason },
            Self::Unanswered(Unanswered::NotConnected) => RequestError::NotConnected,
            // The same call again would be as large.
            Self::Unanswered(Unanswered::TooLong) => RequestError::InvalidArgument {
                reason: format!("it needs a command of more than {TO_SERVICE_BYTES_MAX} bytes"),
            },
            // An answer that does not fit the question is as good as none.
            Self::Said(_) | Self::Unanswered(_) => RequestError::Unanswered,
        }
    }
}

/// True if a message was taken with other words than it was sent with: these follow as an edit.
fn is_taken_changed(ack: &AckCommand) -> bool {
    let changed = ServiceCode::MESSAGE_MODIFIED_BY_CENSORSHIP.number();
    ack.code.is_some_and(|code| code.abs() == changed) && ack.uid.is_some() && ack.t.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SampanError;
    use crate::wire::generated::SessionCommand;

    #[test]
    fn a_call_that_is_too_large_is_no_call_without_an_answer() {
        let error = SampanError::from(Answer::Unanswered(Unanswered::TooLong).into_error());
        assert!(matches!(error, SampanError::InvalidArgument { .. }));
        assert!(!error.is_retryable());
    }

    fn code_of(command: Command) -> Option<i32> {
        match Answer::of(Ok(Envelope::new(command))) {
            Answer::Refused { code, .. } => Some(code.number()),
            Answer::Said(_) | Answer::Unanswered(_) => None,
        }
    }

    #[test]
    fn an_acknowledgement_with_a_code_or_a_hooks_code_is_a_refusal() {
        let ack = |code, app_code| {
            Command::ack(AckCommand {
                code,
                app_code,
                ..AckCommand::default()
            })
        };
        assert_eq!(code_of(ack(None, None)), None);
        assert_eq!(code_of(ack(Some(4401), None)), Some(4401));
        assert_eq!(code_of(ack(None, Some(1))), Some(4402));
        // 4408 with an id and a time: taken, with other words.
        let changed = |code, t| {
            Command::ack(AckCommand {
                code: Some(code),
                uid: Some("m".to_owned()),
                t,
                ..AckCommand::default()
            })
        };
        assert_eq!(code_of(changed(4408, Some(1))), None);
        assert_eq!(code_of(changed(-4408, Some(1))), None);
        assert_eq!(code_of(changed(4408, None)), Some(4408));
    }

    #[test]
    fn a_closed_session_is_a_refusal_only_with_a_code() {
        let closed = |code| {
            let body = SessionCommand {
                code,
                ..SessionCommand::default()
            };
            Command::session(Op::Closed, body)
        };
        assert_eq!(code_of(closed(None)), None);
        assert_eq!(code_of(closed(Some(4111))), Some(4111));
    }
}
