//! Links to messages: for the payload of a push, a universal link, a place that an app saves.
//!
//! A link is `sampan:<conversation>/<milliseconds>/<message id>`. Every byte of the two ids that is no letter, digit,
//! `-`, `.`, `_` or `~` is written as `%` and two hexadecimal digits, so that a link is a URL.

use std::fmt::Write as _;

use super::{ConversationId, MessageId, MessageRef, Timestamp};

const SCHEME: &str = "sampan:";

/// A text that is not a link to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a link to a message")]
pub struct InvalidLink;

#[uniffi::export]
impl MessageRef {
    /// A link to the message, such as `sampan:5f0c1d2e3a4b5c6d7e8f9a0b/1700000000123/aQ~3`: for the payload of
    /// a push, a universal link, or a place that the app saves. The link keeps the exact milliseconds.
    /// `parseMessageLink` reads it.
    #[must_use]
    pub fn link(&self) -> String {
        let (conversation, id) = (
            escaped(self.conversation.as_str()),
            escaped(self.id.as_str()),
        );
        format!("{SCHEME}{conversation}/{}/{id}", self.sent_at.as_millis())
    }
}

impl MessageRef {
    /// The message of a link.
    ///
    /// # Errors
    ///
    /// [`InvalidLink`] for any text that [`Self::link`] does not make.
    pub fn from_link(link: &str) -> Result<Self, InvalidLink> {
        let parts = link.strip_prefix(SCHEME).ok_or(InvalidLink)?;
        let mut parts = parts.split('/');
        let (Some(conversation), Some(millis), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidLink);
        };
        let millis = millis.parse().map_err(|_| InvalidLink)?;
        let found = Self {
            conversation: ConversationId::new(plain(conversation)?).map_err(|_| InvalidLink)?,
            sent_at: Timestamp::from_millis(millis),
            id: MessageId::new(plain(id)?).map_err(|_| InvalidLink)?,
        };
        // Only one spelling of a message is its link.
        if found.link() == link {
            Ok(found)
        } else {
            Err(InvalidLink)
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn plain(text: &str) -> Result<String, InvalidLink> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()].map(|digit| char::from(digit.unwrap_or(b' ')));
        let [high, low] = digits.map(|digit| digit.to_digit(16));
        let value = high.zip(low).map(|(high, low)| high * 16 + low);
        let value = value.and_then(|value| u8::try_from(value).ok());
        bytes.push(value.ok_or(InvalidLink)?);
    }
    String::from_utf8(bytes).map_err(|_| InvalidLink)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(conversation: &str, millis: i64, id: &str) -> MessageRef {
        MessageRef {
            conversation: ConversationId::new(conversation).unwrap(),
            sent_at: Timestamp::from_millis(millis),
            id: MessageId::new(id).unwrap(),
        }
    }

    #[test]
    fn a_link_leads_to_its_message_and_loses_no_millisecond() {
        let plain = message("5f0c1d2e3a4b5c6d7e8f9a0b", 1_700_000_000_123, "aQ~3-_x");
        let link = "sampan:5f0c1d2e3a4b5c6d7e8f9a0b/1700000000123/aQ~3-_x";
        assert_eq!(plain.link(), link);
        let odd = message("_tmp:a/b %é😀", -1, "x/y?#&");
        assert!(odd.link().is_ascii() && odd.link().matches('/').count() == 2);
        for message in [plain, odd] {
            assert_eq!(MessageRef::from_link(&message.link()), Ok(message));
        }
    }

    #[test]
    fn anything_else_is_no_link() {
        for wrong in [
            "",
            "sampan:",
            "sampan:a/1",
            "sampan:a/1/b/c",
            "sampan:a/x/b",
            "sampan:a/+1/b",
            "sampan:a/1/%",
            "sampan:a/1/%2",
            "sampan:a/1/%+1",
            "sampan:a/1/%ff",
            "sampan:a/1/%62",
            "sampan:a/1/b c",
            "https://a/1/b",
            "sampan:/1/b",
            "sampan:a/99999999999999999999/b",
        ] {
            assert_eq!(MessageRef::from_link(wrong), Err(InvalidLink), "{wrong}");
        }
    }
}
