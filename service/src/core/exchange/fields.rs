//! Fields of commands: ids as clients write them, contents as the wire carries them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan::model::{ClientId, MessageId};
use sampan::wire::ServiceCode;
use sampan::wire::generated::JsonObjectMessage;
use serde_json::Value;

use super::refusal::Refusal;
use crate::storage::Body;

/// The id of a message as a command names it.
pub(in crate::core) fn message_id(text: Option<&str>) -> Option<MessageId> {
    text.and_then(|text| MessageId::new(text).ok())
}

/// A body as the two fields of the wire, of which exactly one may be there.
pub(in crate::core) fn parts(body: &Body) -> (Option<String>, Option<Vec<u8>>) {
    match body {
        Body::Text(text) => (Some(text.clone()), None),
        Body::Binary(bytes) => (None, Some(bytes.clone())),
    }
}

/// A body as text, and whether the text is base64 of bytes.
pub(in crate::core) fn text_of(body: &Body) -> (String, bool) {
    match body {
        Body::Text(text) => (text.clone(), false),
        Body::Binary(bytes) => (STANDARD.encode(bytes), true),
    }
}

/// A JSON value as the wire carries it.
pub(in crate::core) fn json(value: Value) -> JsonObjectMessage {
    JsonObjectMessage {
        data: value.to_string(),
    }
}

/// The client ids of a list; a text that is no client id fails the command.
pub(in crate::core) fn client_ids(texts: &[String]) -> Result<Vec<ClientId>, Refusal> {
    texts
        .iter()
        .map(|text| {
            ClientId::new(text)
                .map_err(|error| Refusal::because(ServiceCode::INVALID_LOGIN, error.to_string()))
        })
        .collect()
}
