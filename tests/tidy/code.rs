//! Reads Rust source as far as the rules need it: without comments, strings and tests, as words.

/// The code of a file, with comments and the insides of literals blanked out. Line breaks stay, so
/// that a line's number is still its number.
pub(crate) fn code_only(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let end = literal_end(&letters, at);
        if end > at {
            let inside = letters.get(at..end).unwrap_or_default();
            code.extend(
                inside
                    .iter()
                    .map(|&one| if one == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        } else {
            code.push(letter);
            at += 1;
        }
    }
    code
}

/// The end of the comment or literal that starts at `at`; `at` itself when none starts there.
fn literal_end(letters: &[char], at: usize) -> usize {
    let is = |offset: usize, wanted: char| letters.get(at + offset) == Some(&wanted);
    if is(0, '/') && is(1, '/') {
        return letters
            .iter()
            .skip(at)
            .position(|&one| one == '\n')
            .map_or(letters.len(), |n| at + n);
    }
    if is(0, '/') && is(1, '*') {
        return block_end(letters, at);
    }
    if is(0, '"') {
        return quoted_end(letters, at);
    }
    let word_before = at.checked_sub(1).and_then(|before| letters.get(before));
    if is(0, 'r') && !word_before.is_some_and(|&one| is_word(one)) {
        return raw_end(letters, at);
    }
    // A character, not a lifetime: its quote closes after one letter or an escape.
    if is(0, '\'') && (is(2, '\'') || is(1, '\\')) {
        let escaped = if is(1, '\\') { 3 } else { 2 };
        let close = letters
            .iter()
            .skip(at + escaped)
            .position(|&one| one == '\'');
        return close.map_or(letters.len(), |n| at + escaped + n + 1);
    }
    at
}

fn block_end(letters: &[char], at: usize) -> usize {
    let (mut depth, mut here) = (0_usize, at);
    while let Some(pair) = letters.get(here..here + 2) {
        match pair {
            ['/', '*'] => (depth, here) = (depth + 1, here + 2),
            ['*', '/'] => (depth, here) = (depth - 1, here + 2),
            _ => here += 1,
        }
        if depth == 0 {
            return here;
        }
    }
    letters.len()
}

fn quoted_end(letters: &[char], at: usize) -> usize {
    let mut here = at + 1;
    while let Some(letter) = letters.get(here) {
        match letter {
            '\\' => here += 2,
            '"' => return here + 1,
            _ => here += 1,
        }
    }
    letters.len()
}

/// The end of `r#"…"#` with any number of `#`.
fn raw_end(letters: &[char], at: usize) -> usize {
    let hashes = letters
        .iter()
        .skip(at + 1)
        .take_while(|&&one| one == '#')
        .count();
    if letters.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    let start = at + hashes + 2;
    let inside = letters.get(start..).unwrap_or_default();
    let found = inside
        .windows(close.len())
        .position(|window| window == close.as_slice());
    found.map_or(letters.len(), |n| start + n + close.len())
}

/// The part of a file that is not its module of tests, which stands last. A module of tests in a file of
/// its own (`mod tests;`) ends nothing.
pub(crate) fn without_tests(code: &str) -> &str {
    let start = code.match_indices("#[cfg(test)]").find(|&(at, mark)| {
        let rest = code.get(at + mark.len()..).unwrap_or_default().trim_start();
        let opens = rest.find(['{', ';']).and_then(|end| rest.get(end..=end));
        rest.starts_with("mod ") && opens == Some("{")
    });
    start.map_or(code, |(at, _)| code.get(..at).unwrap_or_default())
}

/// A word or a sign of the code, and the line it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// The words and signs of code; `::` is one sign.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|letter: char| !is_word(letter))
                    .unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (text, after) = rest.split_at(length);
            tokens.push(Token {
                text,
                line: index + 1,
            });
            rest = after.trim_start();
        }
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The names that a path goes on with after its `::`: one, or those of a group in braces.
pub(crate) fn next_names<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    match tokens.split_first() {
        Some((first, rest)) if first.text == "{" => group_names(rest),
        Some((first, _)) => vec![*first],
        None => Vec::new(),
    }
}

/// The first name of each entry of a group, up to its closing brace.
fn group_names<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let (mut depth, mut expected) = (0_usize, true);
    let mut names = Vec::new();
    for token in tokens {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => expected = true,
            _ if expected && depth == 0 => {
                names.push(*token);
                expected = false;
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text =
            "a // sled\n/* tokio /* x */ y */ b \"sled \\\" \n c\" 'x' '\\'' r#\"\"sled\"# 'a d";
        let code = code_only(text);
        let words: Vec<&str> = tokens(&code).iter().map(|token| token.text).collect();
        assert_eq!(words, ["a", "b", "'", "a", "d"]);
        assert_eq!(code_only(text).lines().count(), text.lines().count());
    }

    #[test]
    fn a_group_of_imports_is_read_at_its_first_level() {
        let code = "use crate::{model::{self, Id}, wire, store::Key as K};";
        let tokens = tokens(code);
        let names: Vec<&str> = next_names(tokens.get(3..).unwrap())
            .iter()
            .map(|token| token.text)
            .collect();
        assert_eq!(names, ["model", "wire", "store"]);
    }

    #[test]
    fn the_module_of_tests_is_cut_off_and_other_uses_of_its_mark_are_not() {
        let code = "#[cfg(test)]\nuse x;\nfn a() {}\n#[cfg(test)]\nmod tests { use sled; }";
        assert!(without_tests(code).contains("fn a"));
        assert!(!without_tests(code).contains("sled"));
    }
}
