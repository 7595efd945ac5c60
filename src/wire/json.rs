//! JSON from the wire: parsed within a budget, and read leniently.

use serde_json::{Map, Value};

use super::error::WireError;
use super::iso;
use crate::model::{ClientId, Timestamp, without_halves};

/// The most memory that a piece of JSON may take when parsed, by estimate: 64 MiB. The largest
/// legitimate piece, a page of 999 conversations with 500 members each, takes about half of it.
pub const JSON_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes that a value takes besides its text, and an object besides its first value.
const VALUE_BYTES: usize = 64;
const OBJECT_BYTES: usize = 640;

/// Parses a piece of JSON whose tree stays within [`JSON_BYTES_MAX`]. `part` names it in errors.
///
/// # Errors
///
/// [`WireError::MalformedJson`], also when it is nested more than 128 deep.
pub fn parse(part: &'static str, text: &str) -> Result<Value, WireError> {
    let malformed = |reason: String| WireError::MalformedJson { part, reason };
    if estimate(text) > JSON_BYTES_MAX {
        return Err(malformed("it has too many values".to_owned()));
    }
    // The JavaScript SDK may cut an emoji in two: the rest of the text is worth reading.
    serde_json::from_str(&without_halves(text)).map_err(|error| {
        // The parser's own words may repeat the input; its place and class do not.
        malformed(format!(
            "{:?} error in line {}, column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    })
}

/// Parses a piece that must be an object.
///
/// # Errors
///
/// As [`parse`], and when it is another kind of value.
pub fn parse_object(part: &'static str, text: &str) -> Result<Map<String, Value>, WireError> {
    match parse(part, text)? {
        Value::Object(map) => Ok(map),
        _ => Err(WireError::MalformedJson {
            part,
            reason: "it is not an object".to_owned(),
        }),
    }
}

/// The most bytes that the tree of a text takes: an object of one letter makes a node of some hundred bytes, so the
/// length of the text alone says too little.
fn estimate(text: &str) -> usize {
    let (mut inside_text, mut escaped) = (false, false);
    let mut bytes = text.len();
    for byte in text.bytes() {
        if inside_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => inside_text = true,
            b'{' => bytes = bytes.saturating_add(OBJECT_BYTES),
            b'[' | b',' => bytes = bytes.saturating_add(VALUE_BYTES),
            _ => {}
        }
    }
    bytes
}

/// Takes a text out of an object; anything else stays there.
pub(super) fn take_text(map: &mut Map<String, Value>, key: &str) -> Option<String> {
    take_if(map, key, |value| value.as_str().map(str::to_owned))
}

/// Takes a value out of an object if `read` accepts it; otherwise the value stays there.
pub(super) fn take_if<T>(
    map: &mut Map<String, Value>,
    key: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let read = read(map.get(key)?)?;
    map.remove(key);
    Some(read)
}

/// A whole number, also when it is written as `640.0`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is checked to be whole and in the range where f64 counts exactly"
)]
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let exact = number.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(&number);
        exact.then_some(number as u64)
    })
}

/// A date in any of the forms that the service has used: ISO text, a date object, milliseconds.
pub(super) fn date(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => iso::parse(text),
        Value::Number(number) => number.as_i64().map(Timestamp::from_millis),
        Value::Object(map) => iso::parse(map.get("iso")?.as_str()?),
        _ => None,
    }
}

/// A date as an object, as storage columns hold it.
#[must_use]
pub fn date_object(time: Timestamp) -> Value {
    serde_json::json!({ "__type": "Date", "iso": iso::format(time) })
}

/// A list of client ids; entries that cannot be one are left out.
pub(super) fn clients(value: &Value) -> Option<Vec<ClientId>> {
    let entries = value.as_array()?.iter();
    Some(
        entries
            .filter_map(|it| ClientId::new(it.as_str()?).ok())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_objects_is_refused_before_it_is_parsed() {
        let crowd = format!("[{}{{}}]", "{},".repeat(JSON_BYTES_MAX / OBJECT_BYTES));
        assert!(matches!(
            parse("results", &crowd),
            Err(WireError::MalformedJson {
                part: "results",
                ..
            })
        ));
        // Braces within a text are words.
        let words = format!("\"\\\"{}\"", "{},".repeat(JSON_BYTES_MAX / OBJECT_BYTES));
        assert!(parse("results", &words).is_ok());
    }

    #[test]
    fn nesting_has_an_end_and_an_error_does_not_repeat_the_input() {
        let deep = "[".repeat(100_000);
        assert!(parse("where", &deep).is_err());
        let error = parse("where", "{\"a\": hunter2}").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
