//! The payload of a message, in the four forms that commands have for it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The text or the bytes of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Text: a typed message's JSON, or any other.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Payload {
    /// From the two fields of a `direct` command or an unread tuple: bytes win, as in the SDKs.
    #[must_use]
    pub fn from_fields(text: Option<String>, bytes: Option<Vec<u8>>) -> Option<Self> {
        bytes.map(Self::Binary).or_else(|| text.map(Self::Text))
    }

    /// From the two fields of a patch. Its text is bytes in the schema; bytes that are not UTF-8 there are the binary
    /// content that the Java SDK writes into the wrong field.
    #[must_use]
    pub fn from_patch(data: Option<Vec<u8>>, bytes: Option<Vec<u8>>) -> Option<Self> {
        bytes.map(Self::Binary).or_else(|| {
            data.map(|data| match String::from_utf8(data) {
                Ok(text) => Self::Text(text),
                Err(error) => Self::Binary(error.into_bytes()),
            })
        })
    }

    /// From the two fields of a history item or a conversation row: base64 if it is binary. Data that claims to be
    /// base64 and is not stays text.
    #[must_use]
    pub fn from_data(data: String, binary: bool) -> Self {
        if binary && let Ok(bytes) = STANDARD.decode(&data) {
            return Self::Binary(bytes);
        }
        Self::Text(data)
    }

    /// For the two fields of a `direct` command or an unread tuple: text and bytes, one of them
    /// absent. No bytes become empty text, for the bytes' field is never written empty.
    #[must_use]
    pub fn into_fields(self) -> (Option<String>, Option<Vec<u8>>) {
        match self {
            Self::Text(text) => (Some(text), None),
            Self::Binary(bytes) if bytes.is_empty() => (Some(String::new()), None),
            Self::Binary(bytes) => (None, Some(bytes)),
        }
    }

    /// For the two fields of a history item or a conversation row: the text, or the base64 of the
    /// bytes, and whether it is binary.
    #[must_use]
    pub fn to_data(&self) -> (String, bool) {
        match self {
            Self::Text(text) => (text.clone(), false),
            Self::Binary(bytes) => (STANDARD.encode(bytes), true),
        }
    }

    /// The number of bytes that it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// True if it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Payload {
    /// Shows the length only: people's words never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self {
            Self::Text(_) => "text",
            Self::Binary(_) => "binary",
        };
        write!(f, "Payload({form}, {} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_comes_back_from_each_form() {
        for payload in [Payload::Text("船".into()), Payload::Binary(vec![0, 255])] {
            let (text, bytes) = payload.clone().into_fields();
            let patch = Payload::from_patch(text.clone().map(String::into_bytes), bytes.clone());
            assert_eq!(patch.as_ref(), Some(&payload));
            assert_eq!(Payload::from_fields(text, bytes).as_ref(), Some(&payload));
            let (data, binary) = payload.to_data();
            assert_eq!(Payload::from_data(data, binary), payload);
        }
    }

    #[test]
    fn the_length_of_a_payload_is_counted_in_bytes() {
        for (payload, length) in [
            (Payload::Text(String::new()), 0),
            (Payload::Binary(Vec::new()), 0),
            (Payload::Text("船".into()), 3),
            (Payload::Binary(vec![0, 255]), 2),
        ] {
            assert_eq!((payload.len(), payload.is_empty()), (length, length == 0));
        }
    }

    #[test]
    fn bytes_in_the_text_of_a_patch_are_binary_content() {
        let payload = Payload::from_patch(Some(vec![0xff, 0xfe]), None);
        assert_eq!(payload, Some(Payload::Binary(vec![0xff, 0xfe])));
    }

    #[test]
    fn data_that_is_no_base64_is_kept_as_it_is() {
        let payload = Payload::from_data("not base64!".into(), true);
        assert_eq!(payload, Payload::Text("not base64!".into()));
    }
}
