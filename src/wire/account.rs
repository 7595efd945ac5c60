//! The signature of a log-in with the session of an account, over HTTP.

use serde_json::{Value, json};

use super::error::WireError;
use super::json::{parse_object, take_text};
use crate::Secret;
use crate::model::OperationSignature;

/// Where the signature is asked for, below the service's address.
pub const SIGN_PATH: &str = "/1.1/rtm/sign";

/// The body that asks for the signature.
#[must_use]
pub fn sign_request(session: &Secret) -> String {
    json!({ "session_token": session.reveal() }).to_string()
}

/// Reads the signature.
///
/// # Errors
///
/// [`WireError::MalformedJson`] when the text is no object, or lacks a part of the signature.
pub fn signature(text: &str) -> Result<OperationSignature, WireError> {
    const PART: &str = "signature";
    let missing = |key: &str| WireError::MalformedJson {
        part: PART,
        reason: format!("{key} is missing"),
    };
    let mut map = parse_object(PART, text)?;
    let signature = take_text(&mut map, "signature").ok_or_else(|| missing("signature"))?;
    let nonce = take_text(&mut map, "nonce").ok_or_else(|| missing("nonce"))?;
    let timestamp = map.get("timestamp").and_then(Value::as_i64);
    Ok(OperationSignature {
        signature: Secret::new(signature),
        timestamp: timestamp.ok_or_else(|| missing("timestamp"))?,
        nonce,
        allowed: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_whole_or_not_at_all() {
        let whole = r#"{"signature":"ab","timestamp":7,"nonce":"n","client_id":"Tom"}"#;
        let read = signature(whole).unwrap();
        assert_eq!(read.signature.reveal(), "ab");
        assert_eq!((read.timestamp, read.nonce.as_str()), (7, "n"));
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"timestamp":7,"nonce":"n"}"#,
            r#"{"signature":"ab","timestamp":"7","nonce":"n"}"#,
            r#"{"signature":"ab","timestamp":7}"#,
        ] {
            assert!(signature(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_shows_the_session_and_nothing_else() {
        let request = sign_request(&Secret::new("s\"1"));
        assert_eq!(request, r#"{"session_token":"s\"1"}"#);
    }
}
