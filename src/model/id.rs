//! Ids: each is checked when it is made, and trusted afterwards.

use std::fmt;
use std::sync::Arc;

use super::Timestamp;

/// A text that is not a valid id of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {min} to {max} characters long, got {actual}")]
pub struct InvalidId {
    /// The kind of id.
    pub kind: &'static str,
    /// The fewest characters of the kind.
    pub min: usize,
    /// The most characters of the kind.
    pub max: usize,
    /// The characters of the text.
    pub actual: usize,
}

/// Defines a text newtype with a length rule. Cloning one is a reference count, not a copy.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $min:literal..=$max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters such an id may have.
            pub const MAX_CHARS: usize = $max;

            /// Checks `text` and makes the id.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] when the text is too short or too long.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                let actual = text.chars().count();
                if ($min..=$max).contains(&actual) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { kind: $kind, min: $min, max: $max, actual })
                }
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;

            fn try_from(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// An application of the service.
    AppId, "an app id", 1..=128
}

text_id! {
    /// An identity that signs in: 1 to 64 characters, chosen by the app (protocol.md, section 12).
    ClientId, "a client id", 1..=64
}

text_id! {
    /// A device tag. Of the devices of one client with the same tag, one is signed in at a time.
    DeviceTag, "a tag", 1..=64
}

text_id! {
    /// A conversation: the service's id, or a local one until the service has made it.
    ConversationId, "a conversation id", 1..=64
}

text_id! {
    /// The service's id of a message.
    MessageId, "a message id", 1..=64
}

text_id! {
    /// The id that this device gave a message when it enqueued the message. It never changes.
    ///
    /// The id travels as the idempotency token of the send, so a retry never makes a second message.
    LocalId, "a local id", 1..=64
}

impl ConversationId {
    /// The beginning of the ids of temporary conversations (protocol.md, section 5.10).
    pub const TEMPORARY_PREFIX: &'static str = "_tmp:";

    /// The beginning of the ids that a device gives to conversations made offline.
    pub const LOCAL_PREFIX: &'static str = "local:";

    /// Characters of the id of a conversation of peers: an MD5 in hexadecimal.
    const PEERS_DIGITS: usize = 32;

    /// True if the service made this a temporary conversation.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.as_str().starts_with(Self::TEMPORARY_PREFIX)
    }

    /// True if it has the form of the id of a conversation of peers, which is computed from their ids: 32
    /// lower-case hexadecimal digits. Ids of all other conversations differ by their length or their prefix.
    #[must_use]
    pub fn is_of_peers(&self) -> bool {
        let mut digits = self.as_str().bytes();
        self.as_str().len() == Self::PEERS_DIGITS
            && digits.all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    }

    /// True if this device made the id; the service does not know such an id.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.as_str().starts_with(Self::LOCAL_PREFIX)
    }
}

impl DeviceTag {
    /// The reserved tag that means "no tag" (protocol.md, section 4.5).
    pub const DEFAULT: &'static str = "default";

    /// True if at most one device with this tag is signed in.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.as_str() != Self::DEFAULT
    }
}

/// The place of a message at the service: the protocol always names all three.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Record)]
pub struct MessageRef {
    /// The conversation the message is in.
    pub conversation: ConversationId,
    /// The service's time of the message; it never changes.
    pub sent_at: Timestamp,
    /// The service's id of the message.
    pub id: MessageId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_has_one_to_64_characters_whatever_their_bytes() {
        assert_eq!(ClientId::new("").unwrap_err().actual, 0);
        assert!(ClientId::new("船".repeat(64)).is_ok());
        assert_eq!(ClientId::new("x".repeat(65)).unwrap_err().actual, 65);
    }

    #[test]
    fn the_kind_of_a_conversation_id_is_read_off_its_prefix() {
        let temporary = ConversationId::new("_tmp:1a2b").unwrap();
        let local = ConversationId::new("local:1a2b").unwrap();
        assert!(temporary.is_temporary() && !temporary.is_local());
        assert!(local.is_local() && !local.is_temporary());
    }
}
