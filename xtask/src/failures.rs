//! The tests that failed in a run, told once more at its end: a CI service may cut the middle of a long log.

use crate::Problem;
use crate::ran::{self, Ending};
use crate::tree::Tree;

/// The most lines of a failed test's own output that are told again.
const LINES_MAX: usize = 24;

/// The most failed tests of a suite that are told again; the rest are counted.
const TESTS_MAX: usize = 12;

/// Lines that name the failed tests of a suite, each with the end of its output where the log has it.
pub(crate) fn of(tree: &Tree, suite: &str, log: &str) -> Result<Vec<String>, Problem> {
    let tests = ran::kept(tree, suite)?.unwrap_or_default();
    let failed = tests.iter().filter(|test| test.ending == Ending::Failed);
    let failed: Vec<_> = failed.collect();
    let mut lines = Vec::new();
    for test in failed.iter().take(TESTS_MAX) {
        lines.push(format!("FAILED {suite}: {} {}", test.source, test.name));
        lines.extend(output(log, &test.name).map(|line| format!("     | {line}")));
    }
    if failed.len() > TESTS_MAX {
        lines.push(format!("FAILED {suite}: {} more", failed.len() - TESTS_MAX));
    }
    Ok(lines)
}

/// The last lines that a test of libtest printed, a panic's message among them.
fn output<'a>(log: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = format!("---- {name} stdout ----");
    let block = log.lines().skip_while(move |line| *line != head).skip(1);
    let block = block.take_while(|line| !line.starts_with("---- ") && *line != "failures:");
    let lines: Vec<&str> = block.filter(|line| !line.is_empty()).collect();
    let hidden = lines.len().saturating_sub(LINES_MAX);
    lines.into_iter().skip(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_failed_test_ends_where_the_next_one_begins() {
        let log = "failures:\n\n---- a::b stdout ----\nthread panicked:\nleft: 1\n\n---- c stdout ----\nother\n\n\nfailures:\n    a::b\n";
        let lines: Vec<&str> = output(log, "a::b").collect();
        assert_eq!(lines, ["thread panicked:", "left: 1"]);
        assert_eq!(output(log, "c").collect::<Vec<_>>(), ["other"]);
        assert_eq!(output(log, "d").count(), 0);
    }

    #[test]
    fn only_the_end_of_a_long_output_is_told() {
        let long: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let log = format!("---- a stdout ----\n{long}");
        let lines: Vec<&str> = output(&log, "a").collect();
        assert_eq!((lines.len(), lines.last()), (LINES_MAX, Some(&"line 99")));
    }
}
