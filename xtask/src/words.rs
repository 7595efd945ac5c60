//! The work on generated code that is the same for Swift and for Kotlin: documentation in the words of the
//! language that reads it, and types by the names that they have there.

use std::collections::BTreeMap;

/// A language's way to tell the errors of a function.
pub(crate) struct Speech {
    /// The text before the errors of a function.
    pub(crate) throws: &'static str,
    /// True if cases of an error begin with a small letter.
    pub(crate) small_cases: bool,
}

/// Rust's names of types, each with the language's own name of the type.
pub(crate) type Renamed<'a> = &'a [(&'a str, &'a str)];

/// The default of a field of an input record.
#[derive(Debug)]
pub(crate) enum Default {
    /// The answer of a function of the library.
    Call(&'static str),
    /// A variant of an enumeration.
    Variant(String, String),
}

/// The records that an app fills in, and a default of which the generator knows nothing.
const INPUTS: [&str; 2] = ["Config", "NewConversation"];

/// The default variants of enumerations, read from their sources.
#[derive(Debug)]
pub(crate) struct Defaults {
    variants: BTreeMap<String, String>,
}

impl Defaults {
    /// Reads Rust sources: the variant behind `#[default]` of each public enumeration.
    pub(crate) fn read(sources: &str) -> Self {
        let mut variants = BTreeMap::new();
        let mut name = "";
        let mut is_next = false;
        for line in sources.lines() {
            if let Some(rest) = line.strip_prefix("pub enum ") {
                name = rest.trim_end_matches(['{', ' ']);
            } else if line.trim() == "#[default]" {
                is_next = true;
            } else if is_next {
                is_next = false;
                let variant = line.trim().trim_end_matches([',', '{', ' ']);
                variants.insert(name.to_owned(), variant.to_owned());
            }
        }
        Self { variants }
    }

    /// The default of a field of a kind in a record.
    pub(crate) fn of(&self, record: &str, kind: &str) -> Option<Default> {
        if !INPUTS.contains(&record) {
            return None;
        }
        if kind == "Limits" {
            return Some(Default::Call("hostedLimits"));
        }
        let variant = self.variants.get(kind)?;
        Some(Default::Variant(kind.to_owned(), variant.clone()))
    }
}

/// Rewrites the documentation: names as the language writes them, errors as it lists them.
pub(crate) fn documented(code: &str, speech: &Speech, cases: &[String]) -> String {
    let mut lines = Vec::new();
    let mut errors = false;
    for line in code.lines() {
        if !is_comment(line) {
            errors = false;
            lines.push(line.to_owned());
            continue;
        }
        let text = comment_text(line);
        if text == "# Errors" {
            errors = true;
            continue;
        }
        if errors && text.is_empty() {
            continue;
        }
        let line = in_ticks(line, |word| spelt(word, speech, cases));
        if errors {
            let indent = line.len() - line.trim_start().len();
            let (margin, rest) = line.split_at(indent);
            let rest = rest.trim_start_matches('*').trim_start();
            lines.push(format!("{margin}* {}{rest}", speech.throws));
            errors = false;
        } else {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

/// Takes types by their own names: an alias for a type that the language has says nothing.
pub(crate) fn unaliased(code: &str, renamed: Renamed<'_>) -> String {
    let is_alias = |line: &str| {
        let alias = line.strip_prefix("public typealias ");
        let name = alias.and_then(|alias| alias.split_whitespace().next());
        name.is_some_and(|name| renamed.iter().any(|(old, _)| *old == name))
    };
    let mut lines = Vec::new();
    for line in code.lines().filter(|line| !is_alias(line)) {
        lines.push(if is_comment(line) {
            line.to_owned()
        } else {
            words_replaced(line, |word| {
                let found = renamed.iter().find(|(old, _)| *old == word);
                found.map(|(_, new)| (*new).to_owned())
            })
        });
    }
    lines.join("\n") + "\n"
}

/// Replaces whole words of a line.
pub(crate) fn words_replaced(line: &str, new: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(line.len());
    let mut word = String::new();
    for letter in line.chars() {
        if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
            continue;
        }
        out.push_str(&new(&word).unwrap_or_else(|| word.clone()));
        word.clear();
        out.push(letter);
    }
    out.push_str(&new(&word).unwrap_or_else(|| word.clone()));
    out
}

/// `small_caps` as Swift and Kotlin write it: `smallCaps`.
pub(crate) fn camel(word: &str) -> String {
    let mut parts = word.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// `LargeFirst` with a small first letter.
pub(crate) fn small(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("* ") || line == "*" || line.starts_with("/**") || line.starts_with("///")
}

fn comment_text(line: &str) -> &str {
    line.trim().trim_start_matches('*').trim()
}

/// A name in the documentation, as the language writes it.
fn spelt(word: &str, speech: &Speech, cases: &[String]) -> String {
    let is_name = word
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | ':'));
    if !is_name || word.contains(".md") {
        return word.to_owned();
    }
    let parts = word.replace("::", ".");
    let parts = parts.split('.').map(|part| {
        let is_case = cases.iter().any(|case| case == part);
        if speech.small_cases && is_case {
            small(part)
        } else if part.contains('_') && part.chars().any(|letter| letter.is_ascii_lowercase()) {
            camel(part)
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join(".")
}

/// Changes the text between two backticks.
fn in_ticks(line: &str, change: impl Fn(&str) -> String) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let last = parts.len() - 1;
    let changed = parts.iter().enumerate().map(|(at, part)| {
        if at % 2 == 1 && at < last {
            change(part)
        } else {
            (*part).to_owned()
        }
    });
    changed.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_speaks_the_readers_language() {
        let speech = Speech {
            throws: "- Throws: ",
            small_cases: true,
        };
        let code = "    /**\n     * As `fetch_older`, see `Client.wait_online` and `docs/a_b.md`.\n     *\n     \
                    * # Errors\n     *\n     * `NotFound`; those of\n     * `mark_read`.\n     */\n    func `a_b`()\n";
        let cases = ["NotFound".to_owned()];
        assert_eq!(
            documented(code, &speech, &cases),
            "    /**\n     * As `fetchOlder`, see `Client.waitOnline` and `docs/a_b.md`.\n     *\n     \
             * - Throws: `notFound`; those of\n     * `markRead`.\n     */\n    func `a_b`()\n"
        );
    }

    #[test]
    fn types_of_the_language_have_one_name() {
        let code = "/**\n * A Secret.\n */\nvar key: Secret = FfiConverterTypeSecret.lift(x)\npublic typealias Secret = Hidden\n";
        assert_eq!(
            unaliased(code, &[("Secret", "Hidden")]),
            "/**\n * A Secret.\n */\nvar key: Hidden = FfiConverterTypeSecret.lift(x)\n"
        );
    }
}
