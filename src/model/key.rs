//! The keys of rows in views. A key never changes, so a screen never confuses two rows.
//!
//! | key | text | of |
//! |---|---|---|
//! | [`MessageKey`] | `l:<local id>` | a message that this device made: unsent, sent, edited or recalled |
//! | [`MessageKey`] | `m:<milliseconds>:<message id>` | any other message |
//! | [`ItemKey`] | that of its message | a message in a timeline |
//! | [`ItemKey`] | `g:<number>` | missing history, while one view lives |
//! | [`ItemKey`] | `u` | the mark before the first unread message |
//!
//! An app must not parse the texts. Keys of messages are the same after a restart.

use std::fmt;

use super::{LocalId, Message, MessageId, Timestamp};

/// The key of a message; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey(Named);

/// The two forms of a message's permanent name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// By the id that this device gave it.
    Local(LocalId),
    /// By the service's time and id.
    Service {
        /// The service's time of the message.
        sent_at: Timestamp,
        /// The service's id of the message.
        id: MessageId,
    },
}

/// The key of an item in a timeline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKey {
    /// The key of a message.
    Message(MessageKey),
    /// The key of missing history: a number that the view counts.
    Gap(u64),
    /// The key of the mark before the first unread message.
    FirstUnread,
}

/// The key of a conversation in a client's store. It stays the same when the service gives the conversation an
/// id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationKey(pub u64);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key that Sampan made")]
pub struct InvalidKey;

impl MessageKey {
    const LOCAL: &'static str = "l:";
    const SERVICE: &'static str = "m:";

    /// The key of a message that this device made.
    #[must_use]
    pub const fn local(id: LocalId) -> Self {
        Self(Named::Local(id))
    }

    /// The key of a message that this device did not make.
    #[must_use]
    pub const fn service(sent_at: Timestamp, id: MessageId) -> Self {
        Self(Named::Service { sent_at, id })
    }

    /// The key of a message; none for a message with neither a local id nor the service's.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        if let Some(id) = &message.local_id {
            return Some(Self::local(id.clone()));
        }
        let id = message.id.clone()?;
        Some(Self::service(message.sent_at, id))
    }

    /// The name of the message.
    #[must_use]
    pub const fn named(&self) -> &Named {
        &self.0
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        if let Some(id) = text.strip_prefix(Self::LOCAL) {
            let id = LocalId::new(id).map_err(|_| InvalidKey)?;
            return Ok(Self::local(id));
        }
        let rest = text.strip_prefix(Self::SERVICE).ok_or(InvalidKey)?;
        let (millis, id) = rest.split_once(':').ok_or(InvalidKey)?;
        let sent_at: i64 = millis.parse().map_err(|_| InvalidKey)?;
        let id = MessageId::new(id).map_err(|_| InvalidKey)?;
        let key = Self::service(Timestamp::from_millis(sent_at), id);
        // One message has one text, so `m:+1:a` and `m:01:a` are not valid.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(InvalidKey)
        }
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Named::Local(id) => write!(f, "{}{id}", Self::LOCAL),
            Named::Service { sent_at, id } => {
                write!(f, "{}{}:{id}", Self::SERVICE, sent_at.as_millis())
            }
        }
    }
}

impl ItemKey {
    const GAP: &'static str = "g:";
    const FIRST_UNREAD: &'static str = "u";

    /// The key of the item's message, if the item is a message.
    #[must_use]
    pub const fn message(&self) -> Option<&MessageKey> {
        match self {
            Self::Message(key) => Some(key),
            Self::Gap(_) | Self::FirstUnread => None,
        }
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        if text == Self::FIRST_UNREAD {
            return Ok(Self::FirstUnread);
        }
        let Some(number) = text.strip_prefix(Self::GAP) else {
            return MessageKey::parse(text).map(Self::Message);
        };
        let key = Self::Gap(number.parse().map_err(|_| InvalidKey)?);
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(InvalidKey)
        }
    }
}

impl From<MessageKey> for ItemKey {
    fn from(key: MessageKey) -> Self {
        Self::Message(key)
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(key) => key.fmt(f),
            Self::Gap(number) => write!(f, "{}{number}", Self::GAP),
            Self::FirstUnread => f.write_str(Self::FIRST_UNREAD),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message_keys() -> impl Strategy<Value = MessageKey> {
        let local = ".{1,20}".prop_map(|id| MessageKey::local(LocalId::new(id).unwrap()));
        let service = (any::<i64>(), ".{1,20}").prop_map(|(millis, id)| {
            MessageKey::service(Timestamp::from_millis(millis), MessageId::new(id).unwrap())
        });
        prop_oneof![local, service]
    }

    proptest! {
        #[test]
        fn a_key_comes_back_from_its_text(key in message_keys(), number in any::<u64>()) {
            prop_assert_eq!(MessageKey::parse(&key.to_string()), Ok(key.clone()));
            for item in [ItemKey::Message(key), ItemKey::Gap(number), ItemKey::FirstUnread] {
                prop_assert_eq!(ItemKey::parse(&item.to_string()), Ok(item));
            }
        }

        #[test]
        fn a_text_is_one_key_or_none(text in "[lmgu]:?[0-9+-]{0,3}:?.{0,5}") {
            if let Ok(key) = ItemKey::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }

    #[test]
    fn texts_that_are_no_keys_are_refused() {
        let long = format!("l:{}", "x".repeat(65));
        for text in [
            "", "l:", "m:1", "m::a", "m:01:a", "g:-1", "g:01", "u1", "x:1", &long,
        ] {
            assert_eq!(ItemKey::parse(text), Err(InvalidKey), "{text}");
        }
    }
}
