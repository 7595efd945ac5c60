//! The settings of hooks: functions of an app's own server that the service calls before an operation or after
//! it (the protocol, appendix B); and the words that the service masks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::core::exchange::hook_call::HookName;

/// The URL of an app's hooks, and their names. By default there are none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// The URL below which each function is, with `http` or `https`.
    pub url: Option<String>,
    /// The functions that the app has; no other is called. Default none.
    pub functions: BTreeSet<HookName>,
    /// The time that a function may take before an operation, in milliseconds, 100 to 8000: SDKs wait for 10
    /// seconds. Default 3000.
    pub timeout_ms: u64,
    /// True if an operation is refused when the function that was asked about it fails. Default false: the
    /// operation is done.
    pub strict: bool,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            url: None,
            functions: BTreeSet::new(),
            timeout_ms: 3000,
            strict: false,
        }
    }
}

impl Hooks {
    /// True if the app has a function.
    #[must_use]
    pub fn has(&self, hook: HookName) -> bool {
        self.url.is_some() && self.functions.contains(&hook)
    }

    /// The time that a function may take before an operation.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// The fault of the settings, if there is one.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match &self.url {
            None if !self.functions.is_empty() => Some("hooks.functions needs hooks.url"),
            Some(url) if !is_url(url) => Some("hooks.url must look like https://HOST/PATH"),
            _ => None,
        }
    }
}

pub(super) fn is_url(url: &str) -> bool {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let is_plain = |it: char| it.is_ascii_graphic() && it != '?' && it != '#';
    matches!(scheme, "http" | "https") && !rest.is_empty() && rest.chars().all(is_plain)
}

/// Words of one app.
const WORDS_MAX: usize = 10_000;

/// Characters of a word.
const WORD_CHARS_MAX: usize = 64;

/// Words that are masked in messages, in upper and lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct MaskedWords {
    /// The words in small letters, by their first one, the longest first.
    by_first: Arc<BTreeMap<char, Vec<Vec<char>>>>,
}

impl TryFrom<Vec<String>> for MaskedWords {
    type Error = &'static str;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        if words.len() > WORDS_MAX {
            return Err("there are more than 10000 masked words");
        }
        let mut by_first: BTreeMap<char, Vec<Vec<char>>> = BTreeMap::new();
        for word in words {
            let word: Vec<char> = word.chars().map(small).collect();
            let Some(first) = word.first().filter(|_| word.len() <= WORD_CHARS_MAX) else {
                return Err("a masked word must have 1 to 64 characters");
            };
            by_first.entry(*first).or_default().push(word);
        }
        for words in by_first.values_mut() {
            words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        }
        let by_first = Arc::new(by_first);
        Ok(Self { by_first })
    }
}

impl MaskedWords {
    /// True if there is no such word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// The text with each character of such a word replaced by `*`; none if it has no such word.
    #[must_use]
    pub fn mask(&self, text: &str) -> Option<String> {
        let letters: Vec<char> = text.chars().map(small).collect();
        let mut masked: Vec<char> = text.chars().collect();
        let (mut at, mut found) = (0, false);
        while let Some(rest) = letters.get(at..).filter(|rest| !rest.is_empty()) {
            let words = rest.first().and_then(|first| self.by_first.get(first));
            let word = words.and_then(|words| words.iter().find(|word| rest.starts_with(word)));
            let length = word.map_or(0, Vec::len);
            if let Some(span) = masked.get_mut(at..at.saturating_add(length)) {
                span.fill('*');
            }
            found |= length > 0;
            at += length.max(1);
        }
        found.then(|| masked.into_iter().collect())
    }
}

/// The small form of a letter, where that is one letter.
fn small(letter: char) -> char {
    let mut small = letter.to_lowercase();
    match (small.next(), small.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> MaskedWords {
        let words: Vec<String> = words.iter().map(|&it| it.to_owned()).collect();
        MaskedWords::try_from(words).unwrap()
    }

    #[test]
    fn s343_a_word_is_masked_whatever_its_case_and_the_longest_first() {
        let words = words(&["Gold", "goldmine", "船"]);
        assert_eq!(
            words.mask("GOLDMINE, gold; 船!").as_deref(),
            Some("********, ****; *!")
        );
        assert_eq!(words.mask("silver"), None);
        assert_eq!(words.mask(""), None);
        assert_eq!(words.mask("ggold").as_deref(), Some("g****"));
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        for (text, is_right) in [
            (
                r#"{"url":"https://hooks.example/im","functions":["_messageReceived"]}"#,
                true,
            ),
            (r#"{"url":"http://127.0.0.1:3000"}"#, true),
            (r#"{"functions":["_messageReceived"]}"#, false),
            (r#"{"url":"hooks.example"}"#, false),
            (r#"{"url":"https://hooks.example?x"}"#, false),
            (r#"{"url":"ftp://hooks.example"}"#, false),
        ] {
            let hooks: Hooks = serde_json::from_str(text).unwrap();
            assert_eq!(hooks.fault().is_none(), is_right, "{text}");
        }
        assert!(serde_json::from_str::<Hooks>(r#"{"functions":["_noSuch"]}"#).is_err());
        assert!(serde_json::from_str::<MaskedWords>(r#"[""]"#).is_err());
    }
}
