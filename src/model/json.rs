//! JSON as text: checked when it enters, unchanged afterwards.
//!
//! Parsers differ over half of a surrogate pair, a number beyond a double, and depth. A text that one parser
//! refuses would be visible to the sender alone. The call therefore refuses an app's JSON unless every reader
//! accepts it ([`Json::parse`]). JSON of others is repaired ([`Json::carried`]).

use std::borrow::Cow;
use std::fmt;

/// How deep an app's JSON may nest: it travels inside envelopes, and readers take 127 levels at most.
pub const JSON_DEPTH_MAX: usize = 64;

/// JSON text that is known to parse. Only the app gives it a meaning.
///
/// The model keeps JSON as text, so unknown keys and digits stay unchanged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(String);

/// A text that is not JSON, or JSON that some readers refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON that everybody reads: {fault} at line {line}, column {column}")]
pub struct InvalidJson {
    /// The fault.
    pub fault: JsonFault,
    /// The line of the first offence, from 1.
    pub line: usize,
    /// The column of the first offence, from 1, in bytes.
    pub column: usize,
}

/// A fault of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// The text is not JSON.
    #[error("the text breaks off or is malformed")]
    Malformed,
    /// The text has an escape of half a surrogate pair, for instance from a cut emoji. Half a pair is no
    /// character.
    #[error("half of a surrogate pair stands alone")]
    HalfSurrogate,
    /// A number beyond the range of a double, such as `1e400`.
    #[error("a number is beyond every range")]
    NumberRange,
    /// The text nests deeper than [`JSON_DEPTH_MAX`].
    #[error("it nests deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
}

impl Json {
    /// Checks that `text` is one JSON value that every reader accepts, and keeps the text.
    ///
    /// # Errors
    ///
    /// [`InvalidJson`] with the fault and the place of the first offence.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidJson> {
        let text = text.into();
        check_syntax(&text)?;
        let found = Findings::of(&text);
        let faults = [
            (JsonFault::HalfSurrogate, found.halves.first().copied()),
            (JsonFault::NumberRange, found.unbounded),
            (JsonFault::TooDeep, found.too_deep),
        ];
        match faults
            .into_iter()
            .find_map(|(fault, at)| Some((fault, at?)))
        {
            Some((fault, at)) => Err(InvalidJson::at(&text, fault, at)),
            None => Ok(Self(text)),
        }
    }

    /// Keeps JSON from elsewhere, such as another client or the store. Half surrogates become U+FFFD;
    /// everything else stays.
    ///
    /// # Errors
    ///
    /// [`InvalidJson`] for a text that is not JSON.
    pub fn carried(text: impl Into<String>) -> Result<Self, InvalidJson> {
        let text = text.into();
        check_syntax(&text)?;
        Ok(match without_halves(&text) {
            Cow::Borrowed(_) => Self(text),
            Cow::Owned(mended) => Self(mended),
        })
    }

    /// The JSON of a parsed value; it cannot fail.
    #[must_use]
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self(value.to_string())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the text.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        // An app's JSON always gives a tree; JSON of others that is too deep reads as null.
        serde_json::from_str(&self.0).unwrap_or(serde_json::Value::Null)
    }

    /// True if the text is a JSON object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.trim_start().starts_with('{')
    }

    /// True if readers that hold numbers in 64 bits, such as the service's columns, read the same value, and
    /// the text nests at most `depth_max` levels deep.
    #[must_use]
    pub fn fits_columns(&self, depth_max: usize) -> bool {
        let found = Findings::of(&self.0);
        found.deepest <= depth_max && !found.has_long_integer
    }
}

/// The text with U+FFFD in place of each single half of a surrogate pair.
#[must_use]
pub fn without_halves(text: &str) -> Cow<'_, str> {
    let halves = Findings::of(text).halves;
    if halves.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut mended = String::with_capacity(text.len());
    let mut rest = 0;
    for at in halves {
        mended.push_str(text.get(rest..at).unwrap_or_default());
        mended.push_str("\\ufffd");
        rest = at + ESCAPE_BYTES;
    }
    mended.push_str(text.get(rest..).unwrap_or_default());
    Cow::Owned(mended)
}

fn check_syntax(text: &str) -> Result<(), InvalidJson> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(InvalidJson {
            fault: JsonFault::Malformed,
            line: error.line(),
            column: error.column(),
        }),
    }
}

impl InvalidJson {
    fn at(text: &str, fault: JsonFault, at: usize) -> Self {
        let before = text.get(..at).unwrap_or_default();
        Self {
            fault,
            line: before.matches('\n').count() + 1,
            column: at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1,
        }
    }
}

/// The bytes of an escape by number: a backslash, a `u` and four digits.
const ESCAPE_BYTES: usize = 6;

/// The parts of a text over which readers differ, found in one pass. Places are in bytes.
#[derive(Debug, Default)]
struct Findings {
    halves: Vec<usize>,
    unbounded: Option<usize>,
    has_long_integer: bool,
    deepest: usize,
    too_deep: Option<usize>,
}

impl Findings {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        let bytes = text.as_bytes();
        let (mut at, mut depth) = (0, 0_usize);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = found.string(bytes, at + 1),
                b'[' | b'{' => {
                    depth += 1;
                    found.deepest = found.deepest.max(depth);
                    if depth > JSON_DEPTH_MAX {
                        found.too_deep.get_or_insert(at);
                    }
                    at += 1;
                }
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    at += 1;
                }
                b'-' | b'0'..=b'9' => at = found.number(text, at),
                _ => at += 1,
            }
        }
        found
    }

    /// Reads a string from behind its quote; answers the place behind its end.
    fn string(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at = self.escape(bytes, at),
                _ => at += 1,
            }
        }
        at
    }

    fn escape(&mut self, bytes: &[u8], at: usize) -> usize {
        match unit(bytes, at) {
            None => at + 2,
            Some(0xd800..=0xdbff) => {
                let next = unit(bytes, at + ESCAPE_BYTES);
                if next.is_some_and(|unit| (0xdc00..=0xdfff).contains(&unit)) {
                    return at + 2 * ESCAPE_BYTES;
                }
                self.halves.push(at);
                at + ESCAPE_BYTES
            }
            Some(0xdc00..=0xdfff) => {
                self.halves.push(at);
                at + ESCAPE_BYTES
            }
            Some(_) => at + ESCAPE_BYTES,
        }
    }

    fn number(&mut self, text: &str, at: usize) -> usize {
        let rest = text.get(at..).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let digits = rest.get(..length).unwrap_or_default();
        if digits.parse::<f64>().is_ok_and(f64::is_infinite) {
            self.unbounded.get_or_insert(at);
        }
        let is_whole = !digits.contains(['.', 'e', 'E']);
        if is_whole && digits.parse::<i64>().is_err() && digits.parse::<u64>().is_err() {
            self.has_long_integer = true;
        }
        at + length
    }
}

/// The number of the escape at a place.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at.checked_add(ESCAPE_BYTES)?)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0_u16, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

impl fmt::Debug for Json {
    /// Shows the length only: the text may be that of a message, and messages never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> JsonFault {
        Json::parse(text).unwrap_err().fault
    }

    #[test]
    fn json_that_breaks_off_is_refused_with_its_place() {
        assert_eq!(
            Json::parse("{\"a\":").unwrap_err(),
            InvalidJson {
                fault: JsonFault::Malformed,
                line: 1,
                column: 5
            }
        );
        assert_eq!(Json::parse("[1, 2]").unwrap().as_str(), "[1, 2]");
    }

    #[test]
    fn json_that_another_reader_refuses_is_refused_with_its_place() {
        let half = Json::parse("{\"n\":\n\"ann \\ud83d\"}").unwrap_err();
        assert_eq!(
            (half.fault, half.line, half.column),
            (JsonFault::HalfSurrogate, 2, 6)
        );
        for text in [
            r#""\udc00""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\ud83dx""#,
            r#"{"\udfff":1}"#,
        ] {
            assert_eq!(fault(text), JsonFault::HalfSurrogate, "{text}");
        }
        for text in ["1e400", "[-1E+999]", &"9".repeat(400)] {
            assert_eq!(fault(text), JsonFault::NumberRange, "{text}");
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(fault(&nested(JSON_DEPTH_MAX + 1)), JsonFault::TooDeep);
        assert_eq!(fault(&nested(100_000)), JsonFault::TooDeep);
        assert!(Json::parse(nested(JSON_DEPTH_MAX)).is_ok());
        for text in [
            r#""\ud83d\ude00""#,
            r#""\\ud83d""#,
            "123456789012345678901234567890",
            "1e-999",
            r#""[[[[""#,
        ] {
            assert_eq!(Json::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn halves_of_others_are_shown_as_the_replacement_character() {
        let json = Json::carried(r#"{"n":"ann \ud83d","m":"\ud83d\ude00"}"#).unwrap();
        assert_eq!(json.as_str(), r#"{"n":"ann \ufffd","m":"\ud83d\ude00"}"#);
        assert_eq!(json.to_value()["n"], "ann \u{fffd}");
    }

    #[test]
    fn long_integers_and_depth_do_not_fit_columns() {
        let fits = |text: &str| Json::parse(text).unwrap().fits_columns(3);
        assert!(fits(
            r#"{"a":[18446744073709551615,-9223372036854775808,1e30,0.1]}"#
        ));
        assert!(!fits("[18446744073709551616]"));
        assert!(!fits("[[[[]]]]"));
    }

    #[test]
    fn debug_output_never_shows_the_text() {
        assert!(!format!("{:?}", Json::parse("\"secret\"").unwrap()).contains("secret"));
    }

    proptest! {
        /// Accepted text makes a tree; carried text is JSON without half characters.
        #[test]
        fn any_text_is_refused_or_readable(text in "[\\[\\]{}:,\"0-9eE.+-]{0,12}|.{0,20}|\"(\\\\u[dD][89a-fA-F][0-9]{2}|x){0,5}\"") {
            if let Ok(json) = Json::parse(&*text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(json.as_str()).is_ok());
            }
            if let Ok(json) = Json::carried(&*text) {
                prop_assert!(Findings::of(json.as_str()).halves.is_empty());
            }
        }
    }
}
