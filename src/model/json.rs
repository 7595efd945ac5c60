//! JSON as text: checked where it enters, carried as it is.

use std::fmt;

/// JSON text that is known to parse; what it means is the app's affair.
///
/// The model keeps JSON as text so that keys nobody here knows travel through unchanged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(String);

/// A text that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: the text breaks off or is malformed at line {line}, column {column}")]
pub struct InvalidJson {
    /// The line of the first offence, from 1.
    pub line: usize,
    /// The column of the first offence, from 1.
    pub column: usize,
}

impl Json {
    /// Checks that `text` is one JSON value and keeps it.
    ///
    /// # Errors
    ///
    /// [`InvalidJson`] with the place of the first offence.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidJson> {
        let text = text.into();
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(InvalidJson {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// The JSON of a value already parsed; it cannot fail.
    #[must_use]
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self(value.to_string())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value that the text spells.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        // It parsed when it was made; a nesting too deep for a tree reads as null.
        serde_json::from_str(&self.0).unwrap_or(serde_json::Value::Null)
    }
}

impl fmt::Debug for Json {
    /// Shows the length only: the text may be a message's, and those never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_breaks_off_is_refused_with_its_place() {
        assert_eq!(
            Json::parse("{\"a\":").unwrap_err(),
            InvalidJson { line: 1, column: 5 }
        );
        assert_eq!(Json::parse("[1, 2]").unwrap().as_str(), "[1, 2]");
    }

    #[test]
    fn debug_output_never_shows_the_text() {
        assert!(!format!("{:?}", Json::parse("\"secret\"").unwrap()).contains("secret"));
    }
}
