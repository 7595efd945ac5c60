//! The tests in the sources, of every language, and the ids of rows that they carry.

use crate::repository::Source;
use std::collections::BTreeSet;

/// One test in the sources, of any language.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) file: String,
    pub(crate) name: String,
    /// The rows whose ids stand in its name or in the comment above it.
    pub(crate) ids: BTreeSet<String>,
    /// True if the name is only the beginning of the name under which the test runs.
    pub(crate) is_beginning: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Any,
}

/// The way in which a language declares tests.
struct Language {
    ending: &'static str,
    /// The word before the name.
    keyword: &'static str,
    /// Marks one of which must stand above a test, or before it on its line.
    marks: &'static [&'static str],
    /// The prefix of a name that needs no mark.
    prefix: Option<&'static str>,
    /// The beginnings of lines that belong to the declaration below them.
    above: &'static [&'static str],
    /// Marks of a test that does not run, and so checks nothing.
    switched_off: &'static [&'static str],
}

const LANGUAGES: [Language; 5] = [
    Language {
        ending: ".rs",
        keyword: "fn ",
        marks: &["#[test]", "#[tokio::test", "#[test_"],
        prefix: None,
        above: &["//", "#["],
        switched_off: &["#[ignore"],
    },
    Language {
        ending: ".java",
        keyword: "void ",
        marks: &["@Test", "@ParameterizedTest", "@RepeatedTest"],
        prefix: None,
        above: &["//", "/*", "*", "@"],
        switched_off: &["@Disabled"],
    },
    Language {
        ending: ".kt",
        keyword: "fun ",
        marks: &["@Test", "@ParameterizedTest"],
        prefix: None,
        above: &["//", "/*", "*", "@"],
        switched_off: &["@Disabled", "@Ignore"],
    },
    Language {
        ending: ".swift",
        keyword: "func ",
        marks: &["@Test"],
        prefix: Some("test"),
        above: &["//", "/*", "*", "@"],
        switched_off: &[".disabled"],
    },
    Language {
        ending: ".py",
        keyword: "def ",
        marks: &[],
        prefix: Some("test"),
        above: &["#", "@"],
        switched_off: &["@unittest.skip"],
    },
];

/// Every check of a file.
pub(crate) fn checks(source: &Source) -> Vec<Check> {
    if source.path.ends_with(".mjs") || source.path.ends_with(".js") {
        return javascript_checks(source);
    }
    let language = LANGUAGES
        .iter()
        .find(|language| source.path.ends_with(language.ending));
    language.map_or_else(Vec::new, |language| language.checks(source))
}

impl Language {
    fn checks(&self, source: &Source) -> Vec<Check> {
        let mut found = Vec::new();
        let mut above = String::new();
        for line in source.text.lines().map(str::trim) {
            if let Some(name) = self.declared(line, &above) {
                let mut ids = ids_in(&above, Case::Upper);
                ids.extend(ids_in(&name, Case::Any));
                found.push(Check {
                    file: source.path.clone(),
                    name,
                    ids,
                    is_beginning: false,
                });
                above.clear();
            } else if self.above.iter().any(|start| line.starts_with(start)) {
                above.push_str(line);
                above.push('\n');
            } else {
                above.clear();
            }
        }
        found
    }

    /// The name of the test that a line declares, if it does.
    fn declared(&self, line: &str, above: &str) -> Option<String> {
        if ["//", "*", "/*"]
            .iter()
            .any(|comment| line.starts_with(comment))
        {
            return None;
        }
        let (before, rest) = line.split_once(self.keyword)?;
        let name = match rest.strip_prefix('`') {
            Some(quoted) => quoted.split('`').next()?,
            None => rest
                .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .next()?,
        };
        let context = format!("{above}{before}");
        let marked = self.marks.iter().any(|mark| context.contains(mark))
            || self.prefix.is_some_and(|prefix| name.starts_with(prefix));
        let runs = !self.switched_off.iter().any(|mark| context.contains(mark));
        (marked && runs && !name.is_empty()).then(|| name.to_owned())
    }
}

/// The tests of a JavaScript file: calls of `test`, `it` or `check` with a title, which may stand
/// on the next line. The title is the literal up to its end or to the first `${`.
fn javascript_checks(source: &Source) -> Vec<Check> {
    let mut found = Vec::new();
    let mut above = String::new();
    let mut rest = source.text.as_str();
    while !rest.is_empty() {
        let line = rest.split('\n').next().unwrap_or_default();
        if let Some((name, is_beginning)) = javascript_title(rest) {
            let mut ids = ids_in(&above, Case::Upper);
            ids.extend(ids_in(&name, Case::Upper));
            found.push(Check {
                file: source.path.clone(),
                name,
                ids,
                is_beginning,
            });
        }
        let text = line.trim();
        if ["//", "/*", "*"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            above.push_str(text);
        } else {
            above.clear();
        }
        rest = rest.get(line.len() + 1..).unwrap_or_default();
    }
    found
}

/// The title, when a call of a test starts on the first line of `text`, and whether the source makes
/// more of it.
fn javascript_title(text: &str) -> Option<(String, bool)> {
    let text = text.trim_start_matches([' ', '\t']);
    let text = text.strip_prefix("await ").unwrap_or(text);
    let call = ["test(", "it(", "check("]
        .iter()
        .find_map(|call| text.strip_prefix(call))?;
    let argument = call.trim_start();
    let quote = argument
        .chars()
        .next()
        .filter(|letter| ['\'', '"', '`'].contains(letter))?;
    let mut title = String::new();
    let mut letters = argument.chars().skip(1).peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => title.extend(letters.next()),
            '$' if quote == '`' && letters.peek() == Some(&'{') => {
                return Some((title, true));
            }
            letter if letter == quote => return Some((title, false)),
            letter => title.push(letter),
        }
    }
    None
}

/// The ids in a text, with ranges such as `S099–S102` filled in.
pub(crate) fn ids_in(text: &str, case: Case) -> BTreeSet<String> {
    let text = if case == Case::Any {
        text.to_uppercase()
    } else {
        text.to_owned()
    };
    let words: Vec<&str> = text
        .split(|letter: char| !letter.is_alphanumeric())
        .collect();
    let mut found: BTreeSet<String> = words
        .iter()
        .filter(|word| number_of(word).is_some())
        .map(|&word| word.to_owned())
        .collect();
    for dash in ['–', '-'] {
        for (before, after) in text.match_indices(dash).map(|(at, dash)| {
            (
                text.get(..at).unwrap_or_default(),
                text.get(at + dash.len()..).unwrap_or_default(),
            )
        }) {
            let first = before
                .rsplit(|letter: char| !letter.is_alphanumeric())
                .next();
            let last = after.split(|letter: char| !letter.is_alphanumeric()).next();
            found.extend(range(first.unwrap_or_default(), last.unwrap_or_default()));
        }
    }
    found
}

/// The ids from one to another of the same kind.
fn range(first: &str, last: &str) -> Vec<String> {
    match (number_of(first), number_of(last)) {
        (Some((kind, from)), Some((same, to))) if kind == same => (from..=to)
            .map(|number| match kind {
                'S' => format!("S{number:03}"),
                _ => format!("D{number:02}"),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// An id's letter and number. S has three digits, D two.
fn number_of(word: &str) -> Option<(char, u32)> {
    let (kind, digits) = match word.strip_prefix('S') {
        Some(digits) if digits.len() == 3 => ('S', digits),
        Some(_) => return None,
        None => (
            'D',
            word.strip_prefix('D').filter(|digits| digits.len() == 2)?,
        ),
    };
    let digits = Some(digits).filter(|digits| digits.chars().all(|one| one.is_ascii_digit()))?;
    Some((kind, digits.parse().ok()?))
}

impl Check {
    /// True if a reference means this check.
    pub(crate) fn is_named(&self, reference: &str) -> bool {
        if let Some((file, title)) = reference.split_once(": ") {
            return self.file == file && self.name == title;
        }
        let Some((place, name)) = reference.rsplit_once("::") else {
            return false;
        };
        if self.name != name {
            return false;
        }
        self.file == place || files_of_module(place).contains(&self.file)
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let between = if self.file.ends_with(".rs") {
            "::"
        } else {
            ": "
        };
        write!(out, "`{}{between}{}`", self.file, self.name)
    }
}

/// The files in which a module may be written: its own, or its parent's for an inline one.
fn files_of_module(module: &str) -> Vec<String> {
    let mut parts = module.split("::");
    let folder = match parts.next() {
        Some("sampan") => "src",
        Some("sampan_service") => "service/src",
        Some("xtask") => "xtask/src",
        _ => return Vec::new(),
    };
    let mut path = folder.to_owned();
    let mut files = vec![format!("{path}/lib.rs"), format!("{path}/main.rs")];
    for part in parts.filter(|&part| part != "tests") {
        path = format!("{path}/{part}");
        files = vec![format!("{path}.rs"), format!("{path}/mod.rs")];
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_at(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn ids_are_read_from_names_lists_and_ranges() {
        let ids = |text: &str, case| ids_in(text, case).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(ids("s191_a_receipt_comes", Case::Any), "S191");
        assert_eq!(
            ids("/// S099–S101 and D02: who is told", Case::Upper),
            "D02 S099 S100 S101"
        );
        assert_eq!(ids("S0191, S19, AS191, sha256, s191", Case::Upper), "");
    }

    #[test]
    fn tests_of_every_language_are_found() {
        let names = |path: &str, text: &str| {
            checks(&source_at(path, text))
                .into_iter()
                .map(|check| check.name)
                .collect::<Vec<_>>()
        };
        let begun = checks(&source_at("a.mjs", "test(`S001 to ${name}`, f)"));
        assert!(begun.iter().all(|check| check.is_beginning));
        let javascript =
            "// S001\ncheck('S002 it\\'s sent', async () => {\n  it(\n    `S003 to ${name}`)";
        assert_eq!(
            names("a.test.mjs", javascript),
            ["S002 it's sent", "S003 to "]
        );
        assert_eq!(
            names(
                "ATest.java",
                "  @Test\n  void sends() {\n  }\n  void helps() {}"
            ),
            ["sends"]
        );
        assert_eq!(
            names("A.kt", "@Test fun `S004 sends`() = runTest {}\nfun no() {}"),
            ["S004 sends"]
        );
        assert_eq!(
            names(
                "A.swift",
                "func testSends() {}\n@Test func holds() {}\nfunc no() {}"
            )
            .len(),
            2
        );
        assert_eq!(
            names("a.py", "    def test_sends(self):\n    def setUp(self):"),
            ["test_sends"]
        );
    }

    #[test]
    fn a_module_path_names_a_test_in_its_file() {
        let source = source_at(
            "service/src/core/session.rs",
            "    #[test]\n    fn s001_holds() {}\n",
        );
        let checks = checks(&source);
        for reference in [
            "sampan_service::core::session::tests::s001_holds",
            "sampan_service::core::session::s001_holds",
        ] {
            assert!(
                checks.iter().any(|check| check.is_named(reference)),
                "{reference}"
            );
        }
        assert!(
            !checks
                .iter()
                .any(|check| check.is_named("sampan::core::session::s001_holds"))
        );
    }
}
