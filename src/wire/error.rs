//! The reasons why a frame, or a piece of JSON in it, could not be read or written.

use super::code::ServiceCode;
use super::generated::CommandType;
use super::serial::Serial;
use super::subprotocol::Encoding;
use crate::error::SampanError;

/// The reason why a frame, or a piece of JSON in it, could not be read or written.
///
/// No error repeats texts of the frame: errors name fields and numbers, never values. Errors that come after
/// the frame was parsed have the serial of the request, so the answer can have it too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The frame is longer than its direction allows; it was not decoded.
    #[error("a frame of {actual} bytes is longer than {limit}")]
    TooLong {
        /// The most bytes allowed, of the form that was measured.
        limit: usize,
        /// The actual size.
        actual: usize,
    },
    /// The frame has more fields than any command needs; it was not decoded.
    #[error("a frame has more than {limit} fields")]
    TooManyFields {
        /// The most fields allowed.
        limit: usize,
    },
    /// A text frame on a binary connection, or the other way round.
    #[error("the connection speaks {expected} frames")]
    WrongEncoding {
        /// The encoding that the connection's subprotocol asks for.
        expected: Encoding,
    },
    /// The text of a frame is not standard base64 with padding.
    #[error("the text of the frame is not base64")]
    NotBase64,
    /// The bytes are not protobuf of the schema.
    #[error("malformed protobuf: {reason}")]
    Malformed {
        /// The place, in terms of the schema.
        reason: String,
    },
    /// The command's number is missing.
    #[error("the command has no number")]
    MissingCommand {
        /// The serial of the request, if it had one.
        serial: Option<Serial>,
    },
    /// The schema has no command of this number.
    #[error("unknown command {number}")]
    UnknownCommand {
        /// The number.
        number: i32,
        /// The serial of the request, if it had one.
        serial: Option<Serial>,
    },
    /// The command needs an operation and has none.
    #[error("{command:?} without an operation")]
    MissingOp {
        /// The command.
        command: CommandType,
        /// The serial of the request, if it had one.
        serial: Option<Serial>,
    },
    /// The schema has no operation of this number.
    #[error("{command:?} with unknown operation {number}")]
    UnknownOp {
        /// The command.
        command: CommandType,
        /// The number.
        number: i32,
        /// The serial of the request, if it had one.
        serial: Option<Serial>,
    },
    /// The command's body is missing.
    #[error("{command:?} without its body")]
    MissingBody {
        /// The command.
        command: CommandType,
        /// The serial of the request, if it had one.
        serial: Option<Serial>,
    },
    /// A field is missing that the schema requires.
    #[error("{field} is missing")]
    MissingField {
        /// Message and field, as the schema names them.
        field: &'static str,
        /// The serial of the request, if it had one.
        serial: Option<Serial>,
    },
    /// A field holds a value that it may not hold, such as an id that is empty or too long.
    #[error("{field} is not legal")]
    IllegalField {
        /// Message and field, as the schema names them.
        field: &'static str,
    },
    /// A piece of JSON does not parse, or is of a wrong kind for its place.
    #[error("malformed JSON in {part}: {reason}")]
    MalformedJson {
        /// The name of the piece.
        part: &'static str,
        /// The fault; never the contents.
        reason: String,
    },
}

impl WireError {
    /// The serial of the request that failed, where the frame could be read that far.
    #[must_use]
    pub const fn serial(&self) -> Option<Serial> {
        match self {
            Self::MissingCommand { serial }
            | Self::UnknownCommand { serial, .. }
            | Self::MissingOp { serial, .. }
            | Self::UnknownOp { serial, .. }
            | Self::MissingBody { serial, .. }
            | Self::MissingField { serial, .. } => *serial,
            Self::TooLong { .. }
            | Self::TooManyFields { .. }
            | Self::WrongEncoding { .. }
            | Self::NotBase64
            | Self::Malformed { .. }
            | Self::IllegalField { .. }
            | Self::MalformedJson { .. } => None,
        }
    }

    /// The code with which a service answers a client that sent such a frame.
    #[must_use]
    pub const fn code(&self) -> ServiceCode {
        match self {
            Self::TooLong { .. } => ServiceCode::FRAME_TOO_LONG,
            _ => ServiceCode::UNPARSEABLE_RAW_MESSAGE,
        }
    }
}

impl From<WireError> for SampanError {
    /// The app can mend a frame that is too long; no other error is the app's.
    fn from(error: WireError) -> Self {
        let reason = error.to_string();
        match error {
            WireError::TooLong { .. } => Self::InvalidArgument { reason },
            _ => Self::Internal { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_can_mend_a_command_that_is_too_long_and_no_other() {
        let too_long = WireError::TooLong {
            limit: 5_120,
            actual: 5_121,
        };
        let error = SampanError::from(too_long);
        assert!(
            matches!(&error, SampanError::InvalidArgument { reason } if reason.contains("5121")),
            "{error}"
        );
        let error = SampanError::from(WireError::NotBase64);
        assert!(matches!(error, SampanError::Internal { .. }), "{error}");
    }
}
