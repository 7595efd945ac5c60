//! The tests that a run has run, as the runners themselves report them: one by one, with their names.
//!
//! | runner | its report |
//! |---|---|
//! | libtest | the lines `test NAME ... ok`, below the line that names the program; cargo's own messages say which source a program was built from |
//! | node | `tests/interop/js/lib/report.mjs`, a line of JSON a test |
//! | Surefire | `TEST-*.xml` |
//! | unittest | the lines of `-v` |
//! | XCTest | the lines `Test Case '…' passed` |
//!
//! A test that the runner skipped (by whatever spelling: ignore, skip, todo, disabled, an assumption
//! that does not hold) has not passed. A Rust test that finds out while it runs that this machine
//! can't show what it asks prints a line that begins with [`SKIPPED`]: it has not passed either.

use crate::Problem;
use crate::tree::Tree;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The start of the line by which a Rust test says that it could not run here.
pub(crate) const SKIPPED: &str = "SKIPPED";

/// The end of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The test ran, and it held.
    Passed,
    /// The test ran, and it did not hold.
    Failed,
    /// The runner left it out.
    LeftOut,
    /// The test passed for its runner, but printed that it did not run.
    SaidSkipped,
}

/// One test of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// A source file from the root of the repository: the test's own, or, for Rust, the one that its
    /// program was built from. For the other languages it is the file's name without its folder,
    /// where the report names only a class or module.
    pub(crate) source: String,
    /// The test's name, for Rust with its modules.
    pub(crate) name: String,
    /// The end of the test.
    pub(crate) ending: Ending,
}

impl Ran {
    fn new(source: &str, name: &str, ending: Ending) -> Self {
        Self {
            source: source.to_owned(),
            name: name.to_owned(),
            ending,
        }
    }
}

/// The place of a report that a suite's runner leaves, and the tests of the report.
pub(crate) struct Report {
    /// The tests that it runs lie in files with this ending, …
    pub(crate) ending: &'static str,
    /// … under this folder of the repository.
    pub(crate) folder: &'static str,
    /// A folder or file that the runner writes and that is removed before it starts.
    pub(crate) leaves: Option<fn(&Tree) -> PathBuf>,
    /// Reads the tests out of the suite's log, or out of the files that the runner left.
    pub(crate) read: fn(&Tree, &str) -> Result<Vec<Ran>, Problem>,
}

// ── libtest ──────────────────────────────────────────────────────────────────────────────────

/// Tests of Rust. The log holds cargo's messages in JSON, its status lines and libtest's output.
pub(crate) fn libtest(tree: &Tree, log: &str) -> Result<Vec<Ran>, Problem> {
    Ok(libtest_lines(&tree.root, log))
}

fn libtest_lines(root: &Path, log: &str) -> Vec<Ran> {
    let sources = sources_of_programs(root, log);
    let mut found: Vec<Ran> = Vec::new();
    // The place in `found` at which the current program's tests begin, and the source that the program was
    // built from.
    let (mut first, mut source) = (0, String::new());
    // The test whose output the current lines are.
    let mut shown: Option<usize> = None;
    for line in log.lines() {
        if let Some(program) = program_that_runs(line) {
            (first, shown) = (found.len(), None);
            source = sources.get(program).cloned().unwrap_or_default();
        } else if line.trim_start().starts_with("Doc-tests ") {
            (first, shown, source) = (found.len(), None, String::new());
        } else if let Some((name, ending)) = libtest_line(line) {
            found.push(Ran::new(&source, name, ending));
        } else if let Some(name) = output_of(line) {
            let of_program = found.get(first..).unwrap_or_default();
            let place = of_program.iter().position(|ran| ran.name == name);
            shown = place.map(|place| first + place);
        } else if line == "successes:" || line == "failures:" {
            shown = None;
        } else if line.starts_with(SKIPPED)
            && let Some(ran) = shown.and_then(|place| found.get_mut(place))
            && ran.ending == Ending::Passed
        {
            ran.ending = Ending::SaidSkipped;
        }
    }
    found
}

/// The source that each test program was built from, by the program's file name.
fn sources_of_programs(root: &Path, log: &str) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for line in log.lines().filter(|line| line.starts_with("{\"reason\"")) {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let text = |pointer| message.pointer(pointer).and_then(Value::as_str);
        let (Some(program), Some(source)) = (text("/executable"), text("/target/src_path")) else {
            continue;
        };
        let source = Path::new(source);
        let from_root = source.strip_prefix(root).unwrap_or(source);
        let program = Path::new(program).file_name().unwrap_or_default();
        let program = program.to_string_lossy().into_owned();
        sources.insert(program, from_root.to_string_lossy().replace('\\', "/"));
    }
    sources
}

/// The file name of the program that cargo says it runs.
fn program_that_runs(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let (_, program) = line.strip_prefix("Running ")?.rsplit_once('(')?;
    let program = program.strip_suffix(')')?;
    program.rsplit(['/', '\\']).next()
}

/// A line such as `test chat::it_arrives ... ok`, `test x - should panic ... ok` and
/// `test y ... ignored, why`.
fn libtest_line(line: &str) -> Option<(&str, Ending)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    let ending = match result.split([',', ' ']).next()? {
        "ok" => Ending::Passed,
        "ignored" => Ending::LeftOut,
        "FAILED" => Ending::Failed,
        _ => return None,
    };
    Some((name, ending))
}

/// The test whose output follows a line such as `---- chat::it_arrives stdout ----`.
fn output_of(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

// ── node ─────────────────────────────────────────────────────────────────────────────────────

/// The file that `report.mjs` writes.
pub(crate) fn node_report(tree: &Tree) -> PathBuf {
    tree.target.join("xtask/interop-js.jsonl")
}

/// Tests of JavaScript.
pub(crate) fn node(tree: &Tree, _log: &str) -> Result<Vec<Ran>, Problem> {
    let text = std::fs::read_to_string(node_report(tree)).unwrap_or_default();
    Ok(node_lines(&tree.root, &text))
}

fn node_lines(root: &Path, text: &str) -> Vec<Ran> {
    let lines = text.lines().filter_map(|line| {
        let test = serde_json::from_str::<Value>(line).ok()?;
        let file = Path::new(test.get("file")?.as_str()?);
        let file = file.strip_prefix(root).unwrap_or(file);
        let passed = test.get("passed")?.as_bool()?;
        let left_out = test.get("leftOut")?.as_bool()?;
        let ending = match (left_out, passed) {
            (true, _) => Ending::LeftOut,
            (false, true) => Ending::Passed,
            (false, false) => Ending::Failed,
        };
        let file = file.to_string_lossy().replace('\\', "/");
        Some(Ran::new(&file, test.get("name")?.as_str()?, ending))
    });
    lines.collect()
}

// ── Surefire ─────────────────────────────────────────────────────────────────────────────────

/// The folder of Surefire's reports of the Java suite.
pub(crate) fn java_reports(tree: &Tree) -> PathBuf {
    tree.root.join("tests/interop/java/target/surefire-reports")
}

/// The folder of Surefire's reports of the Kotlin suite.
pub(crate) fn kotlin_reports(tree: &Tree) -> PathBuf {
    tree.root.join("bindings/kotlin/target/surefire-reports")
}

/// Tests of Java.
pub(crate) fn java(tree: &Tree, _log: &str) -> Result<Vec<Ran>, Problem> {
    surefire(&java_reports(tree), ".java")
}

/// Tests of Kotlin.
pub(crate) fn kotlin(tree: &Tree, _log: &str) -> Result<Vec<Ran>, Problem> {
    surefire(&kotlin_reports(tree), ".kt")
}

fn surefire(folder: &Path, ending: &str) -> Result<Vec<Ran>, Problem> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("TEST-") && name.ends_with(".xml") {
            let text = std::fs::read_to_string(entry.path())
                .map_err(|cause| Problem::while_doing("reading a report of Surefire", cause))?;
            found.extend(surefire_cases(&text, ending));
        }
    }
    Ok(found)
}

/// The `testcase` elements of a report. A case ends where the next one begins.
fn surefire_cases(xml: &str, ending: &str) -> Vec<Ran> {
    let cases = xml.split("<testcase ").skip(1).filter_map(|case| {
        let (head, _) = case.split_once('>')?;
        let class = attribute(head, "classname")?;
        // A class inside a class lies in the file of the outer one.
        let class = class.rsplit('.').next()?.split('$').next()?;
        let name = attribute(head, "name")?;
        // A method of Java has brackets behind its name in some versions.
        let name = name.strip_suffix("()").unwrap_or(&name);
        let ending_of_case = if case.contains("<skipped") {
            Ending::LeftOut
        } else if case.contains("<failure") || case.contains("<error") {
            Ending::Failed
        } else {
            Ending::Passed
        };
        Some(Ran::new(&format!("{class}{ending}"), name, ending_of_case))
    });
    cases.collect()
}

/// The value of an attribute, with its entities resolved.
fn attribute(head: &str, name: &str) -> Option<String> {
    let head = format!(" {head}");
    let (_, rest) = head.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let value = value.replace("&lt;", "<").replace("&gt;", ">");
    let value = value.replace("&quot;", "\"").replace("&apos;", "'");
    Some(value.replace("&#39;", "'").replace("&amp;", "&"))
}

// ── unittest ─────────────────────────────────────────────────────────────────────────────────

/// Tests of Python.
pub(crate) fn python(_tree: &Tree, log: &str) -> Result<Vec<Ran>, Problem> {
    Ok(python_lines(log))
}

/// `test_sends (test_chat.Chat.test_sends) ... ok`; the result may stand on a later line, behind the first line
/// of the test's documentation or behind the output of the test.
fn python_lines(log: &str) -> Vec<Ran> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in log.lines() {
        if let Some((name, rest)) = line.split_once(" (")
            && name.starts_with("test")
            && let Some((place, _)) = rest.split_once(')')
        {
            let module = place.split('.').next().unwrap_or_default();
            open = Some((format!("{module}.py"), name.to_owned()));
        }
        let result = line.rsplit_once("... ").map_or(line, |(_, result)| result);
        let ending = match result.split(' ').next() {
            Some("ok") => Ending::Passed,
            Some("skipped") => Ending::LeftOut,
            Some("FAIL" | "ERROR" | "expected" | "unexpected") => Ending::Failed,
            _ => continue,
        };
        if let Some((source, name)) = open.take() {
            found.push(Ran::new(&source, &name, ending));
        }
    }
    found
}

// ── XCTest ───────────────────────────────────────────────────────────────────────────────────

/// Tests of Swift.
pub(crate) fn swift(_tree: &Tree, log: &str) -> Result<Vec<Ran>, Problem> {
    Ok(swift_lines(log))
}

/// `Test Case 'ChatTests.testSends' passed (0.1 seconds)`, or `'-[SampanTests.ChatTests testSends]'`.
fn swift_lines(log: &str) -> Vec<Ran> {
    let lines = log.lines().filter_map(|line| {
        let (case, result) = line.trim().strip_prefix("Test Case '")?.split_once("' ")?;
        let case = case
            .strip_prefix("-[")
            .and_then(|case| case.strip_suffix(']'))
            .unwrap_or(case);
        let (class, name) = case.rsplit_once([' ', '.'])?;
        let class = class.rsplit('.').next()?;
        let ending = match result.split(' ').next()? {
            "passed" => Ending::Passed,
            "skipped" => Ending::LeftOut,
            "failed" => Ending::Failed,
            _ => return None,
        };
        Some(Ran::new(&format!("{class}.swift"), name, ending))
    });
    lines.collect()
}

// ── The list of a suite, as it lies under target/xtask ──────────────────────────────────────

impl Ending {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Passed, "passed"),
        (Self::Failed, "failed"),
        (Self::LeftOut, "left out"),
        (Self::SaidSkipped, "said skipped"),
    ];

    fn word(self) -> &'static str {
        let entry = Self::ALL.iter().find(|(ending, _)| *ending == self);
        entry.map_or("", |(_, word)| word)
    }
}

/// The file that lists the tests of a suite's last run.
fn list_of(tree: &Tree, suite: &str) -> Result<PathBuf, Problem> {
    Ok(tree.reports()?.join(format!("{suite}.tests")))
}

/// Removes the list of an earlier run.
pub(crate) fn forget(tree: &Tree, suite: &str) -> Result<(), Problem> {
    remove(&list_of(tree, suite)?)
}

/// Removes a file or folder, which may be missing.
pub(crate) fn remove(path: &Path) -> Result<(), Problem> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else if path.exists() {
        std::fs::remove_file(path)
    } else {
        Ok(())
    };
    removed.map_err(|cause| Problem::while_doing("removing an old report", cause))
}

/// Writes down the tests of a suite, one a line.
pub(crate) fn keep(tree: &Tree, suite: &str, tests: &[Ran]) -> Result<(), Problem> {
    let line = |ran: &Ran| format!("{}\t{}\t{}\n", ran.ending.word(), ran.source, ran.name);
    let text: String = tests.iter().map(line).collect();
    std::fs::write(list_of(tree, suite)?, text)
        .map_err(|cause| Problem::while_doing("writing the list of tests", cause))
}

/// Reads the tests of a suite's last run; none when the suite did not run.
pub(crate) fn kept(tree: &Tree, suite: &str) -> Result<Option<Vec<Ran>>, Problem> {
    let path = list_of(tree, suite)?;
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path)
        .map_err(|cause| Problem::while_doing("reading the list of tests", cause))?;
    let tests = text.lines().filter_map(|line| {
        let mut cells = line.splitn(3, '\t');
        let (word, source, name) = (cells.next()?, cells.next()?, cells.next()?);
        let (ending, _) = Ending::ALL.iter().find(|(_, known)| *known == word)?;
        Some(Ran::new(source, name, *ending))
    });
    Ok(Some(tests.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endings(tests: &[Ran]) -> Vec<(&str, &str, Ending)> {
        let all = tests.iter();
        all.map(|ran| (ran.source.as_str(), ran.name.as_str(), ran.ending))
            .collect()
    }

    const LIBTEST: &str = r#"
{"reason":"compiler-artifact","target":{"src_path":"/r/service/tests/it/main.rs"},"executable":"/r/target/debug/deps/it-1"}
{"reason":"compiler-artifact","target":{"src_path":"/r/tests/it/main.rs"},"executable":"/r/target/debug/deps/it-2"}
     Running tests/it/main.rs (target/debug/deps/it-1)
test chat::it_holds ... ok
test chat::it_panics - should panic ... ok
test chat::it_breaks ... FAILED

successes:

---- chat::it_holds stdout ----
SKIPPED: no such disk here

     Running tests/it/main.rs (target/debug/deps/it-2)
test chat::it_holds ... ok
test kill::child ... ignored, started by its parent
   Doc-tests sampan
test src/lib.rs - (line 4) ... ok
"#;

    #[test]
    fn tests_of_rust_are_known_by_the_source_of_their_program() {
        let found = libtest_lines(Path::new("/r"), LIBTEST);
        assert_eq!(
            endings(&found),
            [
                (
                    "service/tests/it/main.rs",
                    "chat::it_holds",
                    Ending::SaidSkipped
                ),
                (
                    "service/tests/it/main.rs",
                    "chat::it_panics",
                    Ending::Passed
                ),
                (
                    "service/tests/it/main.rs",
                    "chat::it_breaks",
                    Ending::Failed
                ),
                ("tests/it/main.rs", "chat::it_holds", Ending::Passed),
                ("tests/it/main.rs", "kill::child", Ending::LeftOut),
                ("", "src/lib.rs - (line 4)", Ending::Passed),
            ]
        );
    }

    #[test]
    fn a_todo_of_node_has_not_passed_whatever_came_of_it() {
        let lines = "{\"file\":\"/r/a.test.mjs\",\"name\":\"S001 it holds\",\"passed\":true,\"leftOut\":false}\n\
            {\"file\":\"/r/a.test.mjs\",\"name\":\"later\",\"passed\":false,\"leftOut\":true}\n\
            {\"file\":\"/r/a.test.mjs\",\"name\":\"breaks\",\"passed\":false,\"leftOut\":false}\n";
        assert_eq!(
            endings(&node_lines(Path::new("/r"), lines)),
            [
                ("a.test.mjs", "S001 it holds", Ending::Passed),
                ("a.test.mjs", "later", Ending::LeftOut),
                ("a.test.mjs", "breaks", Ending::Failed),
            ]
        );
    }

    #[test]
    fn a_disabled_class_and_an_assumption_of_java_have_not_passed() {
        let xml = r#"<testsuite name="ATest"><properties><property name="a" value="b"/></properties>
            <testcase name="sends" classname="dev.sampan.ATest" time="0.1"/>
            <testcase name="it&apos;s &lt;sent&gt;" classname="dev.sampan.ATest" time="0.1"><system-out>x</system-out></testcase>
            <testcase name="waits" classname="dev.sampan.ATest$Inner" time="0"><skipped message="off"/></testcase>
            <testcase name="breaks" classname="dev.sampan.ATest" time="0"><error>boom</error></testcase></testsuite>"#;
        assert_eq!(
            endings(&surefire_cases(xml, ".java")),
            [
                ("ATest.java", "sends", Ending::Passed),
                ("ATest.java", "it's <sent>", Ending::Passed),
                ("ATest.java", "waits", Ending::LeftOut),
                ("ATest.java", "breaks", Ending::Failed),
            ]
        );
    }

    #[test]
    fn a_skipped_class_of_python_has_not_passed() {
        let log = "test_a (test_chat.Chat.test_a) ... ok\n\
            test_b (test_chat.Chat.test_b)\nWhat it shows. ... printed words\nok\n\
            test_c (test_chat.Chat.test_c) ... skipped 'why'\n\
            test_d (test_chat.Chat.test_d) ... FAIL\n\nRan 4 tests in 1s\n\nFAILED (failures=1)\n";
        assert_eq!(
            endings(&python_lines(log)),
            [
                ("test_chat.py", "test_a", Ending::Passed),
                ("test_chat.py", "test_b", Ending::Passed),
                ("test_chat.py", "test_c", Ending::LeftOut),
                ("test_chat.py", "test_d", Ending::Failed),
            ]
        );
    }

    #[test]
    fn tests_of_swift_are_read_on_both_platforms() {
        let log = "Test Case 'ChatTests.testSends' started at 2026-01-01\n\
            Test Case 'ChatTests.testSends' passed (0.1 seconds)\n\
            Test Case '-[SampanTests.ChatTests testWaits]' skipped (0.0 seconds).\n\
            Test Case '-[SampanTests.ChatTests testBreaks]' failed (0.0 seconds).\n";
        assert_eq!(
            endings(&swift_lines(log)),
            [
                ("ChatTests.swift", "testSends", Ending::Passed),
                ("ChatTests.swift", "testWaits", Ending::LeftOut),
                ("ChatTests.swift", "testBreaks", Ending::Failed),
            ]
        );
    }
}
