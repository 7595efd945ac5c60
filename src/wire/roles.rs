//! The roles of the members of a conversation, over HTTP.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::error::WireError;
use super::json::parse_object;
use crate::model::{ClientId, ConversationId};

/// The most rows that are asked for at once: a conversation has no more managers.
const ROWS_MAX: usize = 1000;

/// The path and query that ask a service for the roles in a conversation, below the service's address.
#[must_use]
pub fn roles_path(client: &ClientId, conversation: &ConversationId) -> String {
    let condition = json!({ "cid": conversation.as_str() }).to_string();
    let (client, condition) = (encoded(client.as_str()), encoded(&condition));
    format!(
        "/1.1/classes/_ConversationMemberInfo?client_id={client}&where={condition}&limit={ROWS_MAX}"
    )
}

/// Reads the members with the role of a manager. A row that says something else is passed over.
///
/// # Errors
///
/// [`WireError::MalformedJson`] when the text is no object with a list of rows.
pub fn managers(text: &str) -> Result<Vec<ClientId>, WireError> {
    const PART: &str = "roles";
    let map = parse_object(PART, text)?;
    let rows = map.get("results").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| WireError::MalformedJson {
        part: PART,
        reason: "results is missing".to_owned(),
    })?;
    let manager = |row: &Value| {
        let is_manager = row.get("role")?.as_str()? == "Manager";
        let client = ClientId::new(row.get("clientId")?.as_str()?).ok()?;
        is_manager.then_some(client)
    };
    Ok(rows.iter().take(ROWS_MAX).filter_map(manager).collect())
}

/// A text as it may stand in a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_carries_any_id_safely() {
        let client = ClientId::new("Tom & Jerry").unwrap();
        let conversation = ConversationId::new("5f2a9b1c2d3e4f5061728394").unwrap();
        let path = roles_path(&client, &conversation);
        assert_eq!(
            path,
            "/1.1/classes/_ConversationMemberInfo?client_id=Tom%20%26%20Jerry\
             &where=%7B%22cid%22%3A%225f2a9b1c2d3e4f5061728394%22%7D&limit=1000"
        );
    }

    #[test]
    fn managers_are_read_and_what_is_odd_is_passed_over() {
        let text = r#"{"results":[{"clientId":"a","role":"Manager"},{"clientId":"b","role":"Owner"},
            {"clientId":"","role":"Manager"},{"role":"Manager"},7,{"clientId":"c","role":"Manager"}]}"#;
        let named: Vec<String> = managers(text)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(named, ["a", "c"]);
        for odd in ["", "[]", "{}", r#"{"results":7}"#] {
            assert!(managers(odd).is_err(), "{odd}");
        }
    }
}
