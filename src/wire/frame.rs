//! A frame: one command as a WebSocket message, in the form that the subprotocol asks for.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::command::Envelope;
use super::error::WireError;
use super::subprotocol::Encoding;

/// The most bytes of a serialized command from a client to the service: 5 KiB, the limit that the
/// official Swift and Objective-C SDKs check and the service enforces with 4109.
pub const TO_SERVICE_BYTES_MAX: usize = 5 * 1024;

/// The most bytes of a serialized command from the service to a client: 16 MiB.
///
/// The protocol states none; the largest answer is a page of 999 conversations with 500 members
/// each, a little below this.
pub const TO_CLIENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The direction of a frame; each direction has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a client to the service.
    ToService,
    /// From the service to a client.
    ToClient,
}

impl Direction {
    /// The most bytes of a serialized command that goes this way.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::ToService => TO_SERVICE_BYTES_MAX,
            Self::ToClient => TO_CLIENT_BYTES_MAX,
        }
    }

    /// The most bytes of a WebSocket message that goes this way: base64 makes four of three.
    #[must_use]
    pub const fn message_bytes_max(self, encoding: Encoding) -> usize {
        match encoding {
            Encoding::Binary => self.bytes_max(),
            Encoding::Text => self.bytes_max().div_ceil(3) * 4,
        }
    }
}

/// One WebSocket message, borrowed or owned.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A text message.
    Text(Cow<'a, str>),
}

impl<'a> Frame<'a> {
    /// A binary message that is lent.
    #[must_use]
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }

    /// A text message that is lent.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// Makes the frame of a command.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`] when the serialized command exceeds the limit of its direction.
    pub fn encode(
        envelope: &Envelope,
        encoding: Encoding,
        direction: Direction,
    ) -> Result<Frame<'static>, WireError> {
        let bytes = envelope.to_bytes();
        check_length(bytes.len(), direction.bytes_max())?;
        Ok(match encoding {
            Encoding::Binary => Frame::Binary(Cow::Owned(bytes)),
            Encoding::Text => Frame::Text(Cow::Owned(STANDARD.encode(bytes))),
        })
    }

    /// Reads the command of a frame on a connection of this encoding. The length is checked before
    /// anything is allocated.
    ///
    /// # Errors
    ///
    /// Every variant of [`WireError`] but those about JSON.
    pub fn decode(&self, encoding: Encoding, direction: Direction) -> Result<Envelope, WireError> {
        let limit = direction.message_bytes_max(encoding);
        match (self, encoding) {
            (Self::Binary(bytes), Encoding::Binary) => {
                check_length(bytes.len(), limit)?;
                Envelope::from_bytes(bytes)
            }
            (Self::Text(text), Encoding::Text) => {
                check_length(text.len(), limit)?;
                let bytes = STANDARD
                    .decode(text.as_bytes())
                    .map_err(|_| WireError::NotBase64)?;
                check_length(bytes.len(), direction.bytes_max())?;
                Envelope::from_bytes(&bytes)
            }
            _ => Err(WireError::WrongEncoding { expected: encoding }),
        }
    }

    /// The number of bytes that the message has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Binary(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }

    /// True if the message has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Frame<'_> {
    /// Shows the length only: a frame holds tokens and texts of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = match self {
            Self::Binary(_) => Encoding::Binary,
            Self::Text(_) => Encoding::Text,
        };
        write!(f, "Frame({encoding}, {} bytes)", self.len())
    }
}

const fn check_length(actual: usize, limit: usize) -> Result<(), WireError> {
    if actual > limit {
        Err(WireError::TooLong { limit, actual })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::command::Command;
    use crate::wire::generated::DirectCommand;

    #[test]
    fn a_frame_of_the_other_encoding_is_refused() {
        let expected = Encoding::Binary;
        assert_eq!(
            Frame::text("CA4=").decode(expected, Direction::ToService),
            Err(WireError::WrongEncoding { expected })
        );
        let expected = Encoding::Text;
        assert_eq!(
            Frame::binary(&[8, 14]).decode(expected, Direction::ToService),
            Err(WireError::WrongEncoding { expected })
        );
        let echo = Frame::text("CA4=").decode(expected, Direction::ToService);
        assert_eq!(echo.unwrap().command, Command::Echo);
        let unpadded = Frame::text("CA4").decode(expected, Direction::ToService);
        assert_eq!(unpadded, Err(WireError::NotBase64));
    }

    #[test]
    fn a_frame_has_as_many_bytes_as_its_message() {
        for (frame, length) in [
            (Frame::text(""), 0),
            (Frame::binary(&[]), 0),
            (Frame::text("船"), 3),
            (Frame::binary(&[8, 14]), 2),
        ] {
            assert_eq!((frame.len(), frame.is_empty()), (length, length == 0));
        }
    }

    /// A message that is too long is not even decoded: its length is told, whatever the message says.
    #[test]
    fn a_message_beyond_its_limit_is_refused_before_it_is_read() {
        for direction in [Direction::ToService, Direction::ToClient] {
            let limit = direction.message_bytes_max(Encoding::Text);
            let text = "!".repeat(limit + 1);
            let refused = Frame::text(&text).decode(Encoding::Text, direction);
            let actual = limit + 1;
            assert_eq!(refused, Err(WireError::TooLong { limit, actual }));
            let within = Frame::text(text.get(1..).unwrap()).decode(Encoding::Text, direction);
            assert_eq!(within, Err(WireError::NotBase64));
        }
    }

    #[test]
    fn the_limit_falls_between_5120_bytes_and_one_more_in_both_encodings() {
        let of_length = |length| {
            let body = DirectCommand {
                msg: Some("x".repeat(length)),
                ..DirectCommand::default()
            };
            Envelope::new(Command::direct(body))
        };
        let longest = of_length(5 * 1024 - 9);
        assert_eq!(longest.to_bytes().len(), TO_SERVICE_BYTES_MAX);
        let longer = of_length(5 * 1024 - 8);
        for encoding in [Encoding::Binary, Encoding::Text] {
            let frame = Frame::encode(&longest, encoding, Direction::ToService).unwrap();
            assert_eq!(
                frame.decode(encoding, Direction::ToService),
                Ok(longest.clone())
            );
            let refused = Frame::encode(&longer, encoding, Direction::ToService).unwrap_err();
            assert_eq!(refused.code().number(), 4109);
            let frame = Frame::encode(&longer, encoding, Direction::ToClient).unwrap();
            assert_eq!(frame.decode(encoding, Direction::ToService), Err(refused));
        }
    }
}
