//! Regular expressions as the SDKs write them, matched in a counted number of steps.
//!
//! The SDKs write Java's and Perl's dialect: unanchored, case-sensitive, with `\Q…\E` around literal text
//! (`^\Q…\E` for "starts with"). An `\E` inside the text is split as `\E\\E\Q`. The engine behind it has no
//! backtracking, so the time of a match grows linearly with the text. A byte of text may still cost as much as
//! the size of the pattern, so the steps are counted as they are taken, and the match gives up when a [`Steps`]
//! is used up. A pattern that needs backtracking (look-around, back-references, possessive and atomic groups)
//! is a typed error. `\w`, `\d`, `\s` and `(?i)` know all of Unicode.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchError};

/// The longest regular expression in bytes.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// The most memory one compiled regular expression may take.
pub const MAX_COMPILED_BYTES: usize = 1024 * 1024;

/// Memory for the part of a pattern's automaton that was met in texts.
const CACHE_BYTES: usize = 256 * 1024;

/// How deep groups may nest.
pub const MAX_GROUP_DEPTH: u32 = 32;

/// The most steps that one text may take: some ten milliseconds.
pub const MAX_STEPS_A_TEXT: u64 = 1_000_000;

/// The reason why a regular expression is refused.
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

/// The steps that a filter may still take, and the steps that it took. A step is a byte of text, a state of a
/// pattern's automaton, or a comparison of two values.
#[derive(Debug)]
pub struct Steps {
    left: Cell<u64>,
    taken: Cell<u64>,
}

impl Steps {
    /// Steps with this number left.
    #[must_use]
    pub const fn new(left: u64) -> Self {
        Self {
            left: Cell::new(left),
            taken: Cell::new(0),
        }
    }

    /// True if more steps were wanted than were left. The filter's answers after that mean nothing.
    #[must_use]
    pub fn are_used_up(&self) -> bool {
        self.left.get() == 0
    }

    /// The number of steps taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Takes steps; true if there were enough.
    pub(super) fn take(&self, count: u64) -> bool {
        let left = self.left.get().saturating_sub(count);
        self.left.set(left);
        self.taken.set(self.taken.get().saturating_add(count));
        left > 0
    }
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    automaton: DFA,
    /// The states of the automaton that texts have reached; made with the first text.
    cache: RefCell<Option<Cache>>,
    /// The cost of a state of the automaton that no text has reached.
    states: u64,
}

/// The reason why a match has no result.
enum NoResult {
    /// The steps are used up.
    UsedUp,
    /// This engine cannot tell for this text.
    Unknown,
}

impl From<MatchError> for NoResult {
    fn from(_: MatchError) -> Self {
        Self::Unknown
    }
}

impl Pattern {
    /// Compiles `text` under the letters of `$options`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with the part that cannot be used.
    pub fn parse(text: &str, options: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        let syntax = syntax_of(options)?;
        let limits = thompson::Config::new().nfa_size_limit(Some(MAX_COMPILED_BYTES));
        let mut compiler = thompson::Compiler::new();
        compiler.syntax(syntax).configure(limits);
        let nfa = compiler.build(&translate(text)?).map_err(|error| {
            match error.size_limit().is_some() {
                true => PatternError::TooExpensive,
                false => PatternError::Unsupported,
            }
        })?;
        let states = nfa.states().len() as u64;
        let cached = DFA::config()
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            .unicode_word_boundary(true);
        let automaton = DFA::builder().configure(cached).build_from_nfa(nfa);
        Ok(Self {
            automaton: automaton.map_err(|_| PatternError::TooExpensive)?,
            cache: RefCell::new(None),
            states,
        })
    }

    /// True if the pattern occurs anywhere in `text`; `false` also when the steps are used up.
    #[must_use]
    pub fn is_match(&self, text: &str, steps: &Steps) -> bool {
        let own = Steps::new(MAX_STEPS_A_TEXT.min(steps.left.get()));
        let mut cache = self.cache.borrow_mut();
        let cache = cache.get_or_insert_with(|| self.automaton.create_cache());
        let found = match self.search(cache, text, &own) {
            Err(NoResult::Unknown) => self.simulate(text, &own),
            other => other,
        };
        steps.take(own.taken());
        found.unwrap_or_else(|_| {
            steps.left.set(0);
            false
        })
    }

    /// Walks the automaton along the text, and builds the states that it reaches for the first time.
    fn search(&self, cache: &mut Cache, text: &str, steps: &Steps) -> Result<bool, NoResult> {
        let automaton = &self.automaton;
        let pay = |count| match steps.take(count) {
            true => Ok(()),
            false => Err(NoResult::UsedUp),
        };
        pay(self.states)?;
        let mut state = automaton.start_state_forward(cache, &Input::new(text))?;
        for &byte in text.as_bytes() {
            pay(1)?;
            let known = (!state.is_tagged())
                .then(|| automaton.next_state_untagged(cache, state, byte))
                .filter(|next| !next.is_unknown());
            state = match known {
                Some(next) => next,
                None => {
                    pay(self.states)?;
                    automaton
                        .next_state(cache, state, byte)
                        .map_err(|_| NoResult::Unknown)?
                }
            };
            if state.is_match() {
                return Ok(true);
            }
            if state.is_dead() {
                return Ok(false);
            }
            if state.is_quit() {
                return Err(NoResult::Unknown);
            }
        }
        pay(self.states)?;
        let end = automaton
            .next_eoi_state(cache, state)
            .map_err(|_| NoResult::Unknown)?;
        Ok(end.is_match())
    }

    /// The slow way, for boundaries of words in texts that are not ASCII: all states at each byte.
    fn simulate(&self, text: &str, steps: &Steps) -> Result<bool, NoResult> {
        let all = self.states.saturating_mul(text.len() as u64 + 1);
        if !steps.take(all) {
            return Err(NoResult::UsedUp);
        }
        let nfa: NFA = self.automaton.get_nfa().clone();
        let machine = PikeVM::new_from_nfa(nfa).map_err(|_| NoResult::UsedUp)?;
        Ok(machine.is_match(&mut machine.create_cache(), text))
    }
}

fn syntax_of(options: &str) -> Result<syntax::Config, PatternError> {
    let start = syntax::Config::new().nest_limit(MAX_GROUP_DEPTH);
    options.chars().try_fold(start, |config, option| {
        Ok(match option {
            'i' => config.case_insensitive(true),
            'm' => config.multi_line(true),
            's' => config.dot_matches_new_line(true),
            'x' => config.ignore_whitespace(true),
            // Unicode is always on.
            'u' => config,
            _ => return Err(PatternError::Options),
        })
    })
}

/// Writes the pattern in the engine's dialect: quotes are resolved, parts that it would misread are refused.
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
        let steps = Steps::new(u64::MAX);
        let found = Pattern::parse(pattern, options)
            .unwrap()
            .is_match(text, &steps);
        assert!(
            !steps.are_used_up(),
            "{pattern} is too expensive for {text}"
        );
        found
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

    #[test]
    fn boundaries_of_words_are_found_in_any_script() {
        assert!(found(r"\btea\b", "", "a tea, please") && !found(r"\btea\b", "", "teapot"));
        assert!(found(r"\b船\b", "", "a 船 sails") && !found(r"\b船\b", "", "船船"));
    }

    #[test]
    fn a_match_gives_up_when_its_steps_are_used_up_and_counts_what_it_took() {
        // Each byte leads to a state that no text led to before, and the pattern is large.
        let large = Pattern::parse(r"\w{1,9}(?:a|b)*a(?:a|b){14}x", "i").unwrap();
        let mut dice = 1_u64;
        let text: String = std::iter::repeat_with(|| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if dice >> 40 & 1 == 0 { 'a' } else { 'b' }
        })
        .take(16_000)
        .collect();
        let steps = Steps::new(u64::MAX);
        assert!(!large.is_match(&text, &steps));
        assert!(steps.are_used_up());
        assert!(
            steps.taken() <= MAX_STEPS_A_TEXT + large.states,
            "{}",
            steps.taken()
        );
        let small = Pattern::parse("tea$", "").unwrap();
        let steps = Steps::new(u64::MAX);
        assert!(!small.is_match(&text, &steps));
        assert!(steps.taken() < 20_000, "{}", steps.taken());
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
                let _ = pattern.is_match(&text, &Steps::new(10_000));
            }
        }

        #[test]
        fn any_syntax_is_a_pattern_or_an_error(text in r"[ab\\QEZz1()\[\]{}?*+|^$.:=!<>,0-9-]{0,40}") {
            if let Ok(pattern) = Pattern::parse(&text, "") {
                let _ = pattern.is_match("abba", &Steps::new(10_000));
            }
        }
    }
}
