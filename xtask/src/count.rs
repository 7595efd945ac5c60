//! Reading the counts out of a test runner's output.
//!
//! Each runner has its own words for the same three numbers. A reader takes the whole log of a
//! suite and answers `None` when it finds no count in it: a runner that ran nothing is a failure,
//! not a success.

use std::ops::AddAssign;

/// The counts of a suite, or of all suites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests and checks that held.
    pub(crate) passed: u64,
    /// Tests and checks that did not hold.
    pub(crate) failed: u64,
    /// Tests that say of themselves that they did not run, and suites without their toolchain.
    pub(crate) skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// A reader of counts.
pub(crate) type Reader = fn(&str) -> Option<Counts>;

/// A step that is one check: it holds when its program says so.
pub(crate) fn check(_log: &str) -> Option<Counts> {
    Some(Counts {
        passed: 1,
        ..Counts::default()
    })
}

/// A command of this program that counts by itself: its last line is [`Counts`] as text.
pub(crate) fn own(log: &str) -> Option<Counts> {
    let totals = log.lines().next_back()?;
    Some(Counts {
        passed: number_before(totals, " passed, ")?,
        failed: number_before(totals, " failed, ")?,
        skipped: number_before(totals, " skipped")?,
    })
}

/// libtest: every test binary ends with `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
pub(crate) fn libtest(log: &str) -> Option<Counts> {
    sum(log.lines().filter_map(|line| {
        let totals = line.strip_prefix("test result: ")?;
        Some(Counts {
            passed: number_before(totals, " passed")?,
            failed: number_before(totals, " failed")?,
            skipped: number_before(totals, " ignored")?,
        })
    }))
}

/// Node's test runner in TAP: it ends with `# pass 12`, `# fail 0`, `# skipped 1` and the like. The output of a
/// test becomes a `# …` line as well, so the last of each kind counts.
pub(crate) fn node_tap(log: &str) -> Option<Counts> {
    let last = |word: &str| {
        let prefix = format!("# {word} ");
        log.lines()
            .rev()
            .find_map(|line| line.strip_prefix(&prefix)?.trim().parse::<u64>().ok())
    };
    Some(Counts {
        passed: last("pass")?,
        failed: last("fail")? + last("cancelled").unwrap_or(0),
        skipped: last("skipped").unwrap_or(0) + last("todo").unwrap_or(0),
    })
}

/// Surefire: a line per class, which has its time, and one line of totals, which has not.
/// Errors and failures are both failures to us; its total includes the skipped ones.
pub(crate) fn surefire(log: &str) -> Option<Counts> {
    sum(log
        .lines()
        .filter(|line| !line.contains("Time elapsed"))
        .filter_map(|line| {
            let totals = line.split_once("Tests run: ").map(|(_, totals)| totals)?;
            let run = number_after(totals, "")?;
            let failed = number_after(totals, "Failures: ")? + number_after(totals, "Errors: ")?;
            let skipped = number_after(totals, "Skipped: ")?;
            Some(Counts {
                passed: run.saturating_sub(failed + skipped),
                failed,
                skipped,
            })
        }))
}

/// Python's unittest: `Ran 4 tests in 0.5s`, then `OK (skipped=1)` or
/// `FAILED (failures=1, errors=2, skipped=1)`.
pub(crate) fn python(log: &str) -> Option<Counts> {
    let ran = log.lines().rev().find(|line| line.starts_with("Ran "))?;
    let ran = number_after(ran, "Ran ")?;
    let verdict = |line: &&str| line.starts_with("OK") || line.starts_with("FAILED");
    let verdict = log.lines().rev().find(verdict)?;
    let of = |word: &str| number_after(verdict, word).unwrap_or(0);
    let failed = of("failures=") + of("errors=");
    Some(Counts {
        passed: ran.saturating_sub(failed + of("skipped=")),
        failed,
        skipped: of("skipped="),
    })
}

/// XCTest: each suite ends with `Executed 5 tests, with 1 failure (0 unexpected) in …`, the suite
/// of all suites last.
pub(crate) fn xctest(log: &str) -> Option<Counts> {
    let mut lines = log.lines().rev().map(str::trim);
    let totals = lines.find(|line| line.starts_with("Executed "))?;
    let ran = number_after(totals, "Executed ")?;
    let skipped = number_before(totals, " test skipped")
        .or_else(|| number_before(totals, " tests skipped"))
        .unwrap_or(0);
    let failed = number_before(totals, " failure")?;
    Some(Counts {
        passed: ran.saturating_sub(failed + skipped),
        failed,
        skipped,
    })
}

fn sum(counts: impl Iterator<Item = Counts>) -> Option<Counts> {
    counts.reduce(|mut total, one| {
        total += one;
        total
    })
}

/// The number that ends right before `word`.
fn number_before(text: &str, word: &str) -> Option<u64> {
    let (before, _) = text.split_once(word)?;
    before
        .rsplit(|letter: char| !letter.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The number that starts right after `word`.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, after) = text.split_once(word)?;
    after
        .split(|letter: char| !letter.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Option<Counts> {
        Some(Counts {
            passed,
            failed,
            skipped,
        })
    }

    #[test]
    fn libtest_results_of_all_binaries_are_summed() {
        let log = "running 3 tests\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";
        assert_eq!(libtest(log), counts(12, 2, 1));
    }

    #[test]
    fn what_this_program_counts_is_read_from_its_last_line() {
        let log = "S001: no\n3 passed, 1 failed, 2 skipped\n";
        assert_eq!(own(log), counts(3, 1, 2));
        assert_eq!(own("xtask: it broke\n"), None);
    }

    #[test]
    fn a_build_that_failed_has_no_count() {
        assert_eq!(libtest("error: could not compile `sampan`\n"), None);
        assert_eq!(node_tap("Could not find 'tests'\n"), None);
        assert_eq!(surefire("[ERROR] COMPILATION ERROR\n"), None);
    }

    #[test]
    fn what_a_node_test_prints_does_not_change_the_totals() {
        let log = "TAP version 13\n# pass 99\nok 1 - sends\n1..1\n# tests 6\n# suites 0\n# pass 3\n\
            # fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n# duration_ms 51.2\n";
        assert_eq!(node_tap(log), counts(3, 2, 1));
    }

    #[test]
    fn surefire_totals_are_counted_once() {
        let log = "[INFO] Tests run: 4, Failures: 0, Errors: 0, Skipped: 1, Time elapsed: 0.3 s -- in ATest\n\
            [ERROR] Tests run: 3, Failures: 1, Errors: 1, Skipped: 0, Time elapsed: 0.3 s <<< FAILURE!\n\
            [INFO] Results:\n[ERROR] Tests run: 7, Failures: 1, Errors: 1, Skipped: 1\n";
        assert_eq!(surefire(log), counts(4, 2, 1));
    }

    #[test]
    fn a_python_error_is_a_failure_and_a_skipped_test_has_not_passed() {
        let log = "test_a ... ok\n\nRan 6 tests in 0.123s\n\nOK (skipped=2)\n";
        assert_eq!(python(log), counts(4, 0, 2));
        let log = "Ran 6 tests in 0.123s\n\nFAILED (failures=1, errors=2, skipped=1)\n";
        assert_eq!(python(log), counts(2, 3, 1));
    }

    #[test]
    fn the_last_of_the_swift_totals_counts() {
        let log = "\t Executed 2 tests, with 0 failures (0 unexpected) in 0.1 (0.1) seconds\n\
            Test Suite 'All tests' failed at 2026-01-01.\n\
            \t Executed 5 tests, with 1 test skipped and 1 failure (0 unexpected) in 0.3 seconds\n";
        assert_eq!(xctest(log), counts(3, 1, 1));
    }
}
