//! Regular expressions as the SDKs write them, matched in linear time.
//!
//! The SDKs write Java's and Perl's dialect: unanchored, case-sensitive, with `\Q…\E` around text
//! that is meant literally (`^\Q…\E` for "starts with"), where an `\E` inside the text is split as
//! `\E\\E\Q`. The engine behind it has no backtracking, so no pattern can be slow; what needs
//! backtracking (look-around, back-references, possessive and atomic groups) is a typed error.
//! `\w`, `\d`, `\s` and `(?i)` know all of Unicode.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// The longest regular expression in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// The most memory one compiled regular expression may take; the same again for its cache.
pub const MAX_COMPILED_BYTES: usize = 1024 * 1024;

/// How deep groups may nest.
pub const MAX_GROUP_DEPTH: u32 = 32;

/// Why a regular expression is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than [`MAX_PATTERN_BYTES`].
    #[error("$regex is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// It is no regular expression, or one that needs backtracking.
    #[error("$regex has a syntax that is not supported")]
    Unsupported,
    /// Compiled it would take more than [`MAX_COMPILED_BYTES`].
    #[error("$regex is too expensive")]
    TooExpensive,
    /// An option other than `i`, `m`, `s`, `x` and `u`.
    #[error("$options may only have i, m, s, x and u")]
    Options,
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles `text` under the letters of `$options`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] tells what cannot be used.
    pub fn parse(text: &str, options: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        let mut builder = RegexBuilder::new(&translate(text)?);
        for option in options.chars() {
            match option {
                'i' => builder.case_insensitive(true),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                'x' => builder.ignore_whitespace(true),
                // Unicode is always on.
                'u' => &mut builder,
                _ => return Err(PatternError::Options),
            };
        }
        builder
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_COMPILED_BYTES);
        match builder.nest_limit(MAX_GROUP_DEPTH).build() {
            Ok(regex) => Ok(Self(regex)),
            Err(regex::Error::CompiledTooBig(_)) => Err(PatternError::TooExpensive),
            Err(_) => Err(PatternError::Unsupported),
        }
    }

    /// Whether the pattern is found anywhere in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Writes the pattern in the engine's dialect: quotes resolved, what it would misread refused.
fn translate(text: &str) -> Result<String, PatternError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut class_depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => translate_escape(&mut chars, &mut out)?,
            // A possessive quantifier would be read as a repetition of a repetition.
            '*' | '+' | '?' | '}' if class_depth == 0 && chars.peek() == Some(&'+') => {
                return Err(PatternError::Unsupported);
            }
            _ => {
                match c {
                    '[' => class_depth += 1,
                    ']' => class_depth = class_depth.saturating_sub(1),
                    _ => {}
                }
                out.push(c);
            }
        }
    }
    Ok(out)
}

fn translate_escape(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), PatternError> {
    match chars.next() {
        Some('Q') => push_quoted(chars, out),
        // An end without a beginning means nothing in Perl.
        Some('E') => {}
        Some('Z') => out.push_str(r"(?:\n?\z)"),
        Some('z') => out.push_str(r"\z"),
        Some(c) => {
            out.push('\\');
            out.push(c);
        }
        None => return Err(PatternError::Unsupported),
    }
    Ok(())
}

/// Copies up to `\E` or the end, so that each character means itself, also under `x`.
fn push_quoted(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = chars.next() {
        if c == '\\' && chars.next_if_eq(&'E').is_some() {
            return;
        }
        if c.is_alphanumeric() {
            out.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, r"\x{{{:x}}}", u32::from(c));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pattern: &str, options: &str, text: &str) -> bool {
        Pattern::parse(pattern, options).unwrap().is_match(text)
    }

    /// Quotes a text as the SDKs do.
    fn quoted(text: &str) -> String {
        format!(r"\Q{}\E", text.replace(r"\E", r"\E\\E\Q"))
    }

    #[test]
    fn a_quoted_text_is_literal_and_may_be_anchored() {
        assert!(found(r"\Qa.b*\E", "", "xa.b*y"));
        assert!(!found(r"\Qa.b*\E", "", "xaabby"));
        assert!(found(r"^\Qtea\E", "", "tea time") && !found(r"^\Qtea\E", "", "no tea"));
        assert!(found(r"\Qtea\E$", "", "no tea") && !found(r"\Qtea\E$", "", "tea time"));
        assert!(found(r"\Qopen [end", "", "an open [end"));
    }

    #[test]
    fn an_end_of_quote_inside_the_text_is_found() {
        assert_eq!(quoted(r"a\Eb"), r"\Qa\E\\E\Qb\E");
        assert!(found(&quoted(r"a\Eb"), "", r"xa\Eby"));
        assert!(!found(&quoted(r"a\Eb"), "", "xaby"));
    }

    #[test]
    fn options_are_those_of_perl() {
        assert!(found("TEA", "i", "tea") && !found("TEA", "", "tea"));
        assert!(found("^b", "m", "a\nb") && !found("^b", "", "a\nb"));
        assert!(found("a.b", "s", "a\nb") && !found("a.b", "", "a\nb"));
        assert!(found("a b # c", "x", "ab") && found(r"\Qa b\E", "x", "a b"));
        assert_eq!(Pattern::parse("a", "g").unwrap_err(), PatternError::Options);
    }

    #[test]
    fn what_needs_backtracking_is_refused() {
        for pattern in [
            "(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?>a)", "a++", "a*+", "a{2}+", r"\",
        ] {
            assert_eq!(
                Pattern::parse(pattern, "").unwrap_err(),
                PatternError::Unsupported,
                "{pattern}"
            );
        }
        assert!(found("[*+]+", "", "+"));
    }

    #[test]
    fn a_pattern_that_compiles_to_megabytes_or_nests_too_deep_is_refused() {
        assert_eq!(
            Pattern::parse("(a{900}){900}", "").unwrap_err(),
            PatternError::TooExpensive
        );
        let deep = format!("{}a{}", "(".repeat(200), ")".repeat(200));
        assert_eq!(
            Pattern::parse(&deep, "").unwrap_err(),
            PatternError::Unsupported
        );
        assert_eq!(
            Pattern::parse(&"a".repeat(1025), "").unwrap_err(),
            PatternError::TooLong
        );
        assert!(Pattern::parse(r"^\w+@\w+\.\w{2,4}$", "i").is_ok());
    }

    proptest! {
        #[test]
        fn a_quoted_text_is_found_exactly_where_the_text_is(
            needle in r"[a-c\\EQ.*+ \[\]{}()#船\n]{0,8}",
            hay in r"[a-c\\EQ.*+ \[\]{}()#船\n]{0,24}",
        ) {
            prop_assert_eq!(found(&quoted(&needle), "", &hay), hay.contains(&needle));
            let around = format!("{hay}{needle}{hay}");
            prop_assert!(found(&quoted(&needle), "x", &around));
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(text in r"(?s).{0,64}", options in "[imsxuq]{0,2}") {
            if let Ok(pattern) = Pattern::parse(&text, &options) {
                let _ = pattern.is_match(&text);
            }
        }

        #[test]
        fn any_syntax_is_a_pattern_or_an_error(text in r"[ab\\QEZz1()\[\]{}?*+|^$.:=!<>,0-9-]{0,40}") {
            if let Ok(pattern) = Pattern::parse(&text, "") {
                let _ = pattern.is_match("abba");
            }
        }
    }
}
