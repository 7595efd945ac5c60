//! `cargo xtask test`: runs the suites and sums their counts.
//!
//! Every suite runs even if an earlier one failed, so that one run tells all. A suite's output
//! goes to `target/xtask/SUITE.log` and is shown when it fails; one tidy line tells how it went.
//! The last line of all is `N passed, M failed, K skipped`, for people and for machines.

use crate::clock::Watch;
use crate::count::Counts;
use crate::failures;
use crate::ran::{self, Ending, Ran};
use crate::suite::{Absence, SUITES, Suite};
use crate::tree::Tree;
use crate::{Problem, Verdict};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The number of lines of a failed suite's log that are shown; the rest is in the file.
const SHOWN_LINES: usize = 600;

/// With this variable set, tests of committed files rewrite them and pass.
const REGENERATE: &str = "SAMPAN_REGENERATE";

/// Tests that may say under `CI=true` that they could not run, each with the reason. Any other test that says
/// so fails there.
const MAY_SAY_SKIPPED: &[(&str, &str)] = &[
    (
        "inspector::a_browser_shows_the_page_live_and_takes_no_text_for_html",
        "a browser is not on every machine; what the page is told is checked without one",
    ),
    (
        "files_s3::files_are_kept_read_and_taken_away_in_a_storage_of_another_maker",
        "a second opinion: a double that checks every signature is asked in `shell/s3`",
    ),
];

/// The outcome of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The suite ran and counted.
    Ran(Counts),
    /// The suite could not run here, and that is no failure.
    Skipped(String),
    /// The suite did not run, or ran and fell short, with its counts until then.
    Failed(String, Counts),
}

/// The machine of a run: it decides if a missing toolchain may be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Desk,
    Ci,
}

/// Runs the named suites, or all.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    if let [option] = arguments
        && option == "--list"
    {
        for suite in SUITES {
            println!("{:<14} {}", suite.name, suite.about);
        }
        return Ok(Verdict::Good);
    }
    let tree = Tree::find()?;
    let chosen = chosen(arguments)?;
    if std::env::var_os(REGENERATE).is_some() {
        return Err(Problem(format!(
            "{REGENERATE} is set: tests would rewrite what they compare with"
        )));
    }
    // The rows of docs/conformance.md are held to this run, and to no earlier one.
    for suite in SUITES {
        ran::forget(&tree, suite.name)?;
    }
    let mut total = Counts::default();
    let mut failed = Vec::new();
    for suite in chosen {
        if suite.is_home(&tree) {
            let outcome = run_and_report(suite, &tree)?;
            total += outcome.counts();
            if matches!(outcome, Outcome::Failed(..)) {
                failed.extend(failures::of(
                    &tree,
                    suite.name,
                    &read(&log_of(suite, &tree)?),
                )?);
            }
        } else if !arguments.is_empty() {
            return Err(Problem(format!(
                "`{}` tests what is not in this tree",
                suite.name
            )));
        }
    }
    for line in failed {
        println!("{line}");
    }
    println!("{total}");
    Ok(verdict(total))
}

/// A run of no suite has shown nothing.
fn verdict(total: Counts) -> Verdict {
    if total.failed == 0 && total.passed + total.skipped > 0 {
        Verdict::Good
    } else {
        Verdict::Short
    }
}

/// The suites that were asked for; all of them when none was named.
fn chosen(names: &[String]) -> Result<Vec<&'static Suite>, Problem> {
    if let Some(unknown) = names
        .iter()
        .find(|&name| SUITES.iter().all(|suite| suite.name != name))
    {
        let known = crate::suite::names().join(", ");
        return Err(Problem(format!("no suite `{unknown}`; there are: {known}")));
    }
    let wanted = |suite: &&Suite| names.is_empty() || names.iter().any(|name| suite.name == name);
    Ok(SUITES.iter().filter(wanted).collect())
}

/// Runs one suite between a line that announces it and a line that tells how it went.
fn run_and_report(suite: &Suite, tree: &Tree) -> Result<Outcome, Problem> {
    println!("  …  {}: {}", suite.name, suite.about);
    let log = log_of(suite, tree)?;
    if log.exists() {
        std::fs::remove_file(&log)
            .map_err(|cause| Problem::while_doing("removing an old log", cause))?;
    }
    let watch = Watch::start();
    let outcome = outcome(suite, tree, &log)?;
    if matches!(outcome, Outcome::Failed(..)) {
        show(&log);
    }
    println!("{}", outcome.line(suite.name, watch.elapsed()));
    Ok(outcome)
}

/// The file of a suite's output.
fn log_of(suite: &Suite, tree: &Tree) -> Result<PathBuf, Problem> {
    Ok(tree.reports()?.join(format!("{}.log", suite.name)))
}

fn outcome(suite: &Suite, tree: &Tree, log: &Path) -> Result<Outcome, Problem> {
    let missing = suite.missing_tools();
    if !missing.is_empty() {
        return Ok(absent(&missing, suite.absence, place()));
    }
    if let Some(leaves) = suite.report.as_ref().and_then(|report| report.leaves) {
        ran::remove(&leaves(tree))?;
    }
    let success = run_steps(suite, tree, log)?;
    let text = read(log);
    let mut counts = (suite.count)(&text);
    if let Some(report) = &suite.report {
        let tests = (report.read)(tree, &text)?;
        ran::keep(tree, suite.name, &tests)?;
        counts = counts.map(|counts| without_skipped(counts, &tests, place()));
    }
    Ok(judged(success, counts))
}

/// True if every step was a success; the first failure ends the suite.
fn run_steps(suite: &Suite, tree: &Tree, log: &Path) -> Result<bool, Problem> {
    let limit = Duration::from_secs(suite.minutes * 60);
    let watch = Watch::start();
    for step in (suite.steps)(tree) {
        if !step.run(suite.name, log, limit.saturating_sub(watch.elapsed()))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Counts in which a test that said that it did not run is no longer among those that passed: it is
/// skipped, and in CI it failed, unless [`MAY_SAY_SKIPPED`] knows why.
fn without_skipped(mut counts: Counts, tests: &[Ran], place: Place) -> Counts {
    for test in tests
        .iter()
        .filter(|test| test.ending == Ending::SaidSkipped)
    {
        let excused = MAY_SAY_SKIPPED.iter().any(|(name, _)| *name == test.name);
        println!("     | {}: {} did not run here", test.source, test.name);
        debug_assert!(counts.passed > 0, "a skipped test counted as passed");
        counts.passed = counts.passed.saturating_sub(1);
        match place {
            Place::Ci if !excused => counts.failed += 1,
            _ => counts.skipped += 1,
        }
    }
    counts
}

/// The outcome of a suite with missing tools.
fn absent(missing: &[&str], absence: Absence, place: Place) -> Outcome {
    let what = format!("not installed: {}", missing.join(", "));
    match (absence, place) {
        (Absence::Excused(why), _) => Outcome::Skipped(format!("{what} ({why})")),
        (Absence::FailsInCi, Place::Desk) => Outcome::Skipped(what),
        (Absence::FailsInCi, Place::Ci) => {
            Outcome::Failed(format!("{what}, and CI must have it"), Counts::default())
        }
    }
}

/// The outcome that the exit of the programs and the counts in their output tell together. Neither is believed
/// alone: a runner that found no test, or that died before it could count, has not passed.
fn judged(success: bool, counts: Option<Counts>) -> Outcome {
    match (success, counts) {
        (true, Some(counts)) if counts.failed == 0 && counts.passed > 0 => Outcome::Ran(counts),
        (true, Some(counts)) if counts.failed == 0 => {
            Outcome::Failed("it ran no test".to_owned(), counts)
        }
        (true, None) => Outcome::Failed("its output has no count".to_owned(), Counts::default()),
        (_, counts) => {
            // A check counts itself as passed when its log is read; its program knows better.
            let counts = counts
                .filter(|counts| counts.failed > 0)
                .unwrap_or_default();
            Outcome::Failed("see its output above".to_owned(), counts)
        }
    }
}

impl Outcome {
    /// The counts that the outcome adds to the total. A failure counts at least once.
    fn counts(&self) -> Counts {
        match self {
            Self::Ran(counts) => *counts,
            Self::Skipped(_) => Counts {
                skipped: 1,
                ..Counts::default()
            },
            Self::Failed(_, counts) => Counts {
                failed: counts.failed.max(1),
                ..*counts
            },
        }
    }

    /// The tidy line.
    fn line(&self, name: &str, took: Duration) -> String {
        let (word, what) = match self {
            Self::Ran(counts) => ("ok", counts.to_string()),
            Self::Skipped(why) => ("SKIP", why.clone()),
            Self::Failed(why, _) => ("FAIL", format!("{}: {why}", self.counts())),
        };
        format!("{word:>4} {name:<14} {:>7.1} s  {what}", took.as_secs_f64())
    }
}

/// The machine that we run on. Every CI service sets `CI`, most to `true`.
fn place() -> Place {
    match std::env::var("CI").as_deref() {
        Ok("true" | "1") => Place::Ci,
        _ => Place::Desk,
    }
}

/// Prints the end of a log.
fn show(log: &Path) {
    let text = read(log);
    let lines: Vec<&str> = text.lines().collect();
    let hidden = lines.len().saturating_sub(SHOWN_LINES);
    if hidden > 0 {
        println!("     | {hidden} earlier lines are in {}", log.display());
    }
    for line in lines.into_iter().skip(hidden) {
        println!("     | {line}");
    }
}

/// A log as text, for any bytes; a log that was never opened is empty.
fn read(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped: 0,
        }
    }

    #[test]
    fn a_missing_toolchain_is_a_skip_at_a_desk_and_a_failure_in_ci() {
        let desk = absent(&["mvn"], Absence::FailsInCi, Place::Desk);
        assert_eq!(
            desk.counts(),
            Counts {
                skipped: 1,
                ..Counts::default()
            }
        );
        assert!(desk.line("interop-java", Duration::ZERO).contains("SKIP"));
        assert!(desk.line("interop-java", Duration::ZERO).contains("mvn"));
        assert_eq!(
            absent(&["mvn"], Absence::FailsInCi, Place::Ci).counts(),
            counts(0, 1)
        );
    }

    #[test]
    fn an_excused_tool_never_fails_the_run() {
        let outcome = absent(
            &["cargo-deny"],
            Absence::Excused("a second opinion"),
            Place::Ci,
        );
        assert_eq!(outcome.counts().failed, 0);
    }

    #[test]
    fn a_test_that_says_that_it_did_not_run_is_skipped_at_a_desk_and_fails_in_ci() {
        let test = |ending| Ran {
            source: "tests/it/main.rs".to_owned(),
            name: "full::a_full_disk".to_owned(),
            ending,
        };
        let tests = [test(Ending::Passed), test(Ending::SaidSkipped)];
        let desk = without_skipped(counts(2, 0), &tests, Place::Desk);
        assert_eq!((desk.passed, desk.failed, desk.skipped), (1, 0, 1));
        let ci = without_skipped(counts(2, 0), &tests, Place::Ci);
        assert_eq!((ci.passed, ci.failed, ci.skipped), (1, 1, 0));
    }

    #[test]
    fn a_check_whose_program_failed_counts_as_one_failure() {
        assert_eq!(judged(false, Some(counts(1, 0))).counts(), counts(0, 1));
    }

    #[test]
    fn a_run_with_failed_tests_keeps_its_counts() {
        assert_eq!(judged(false, Some(counts(40, 2))).counts(), counts(40, 2));
    }

    #[test]
    fn a_runner_that_ran_nothing_has_failed() {
        assert_eq!(judged(true, Some(counts(0, 0))).counts(), counts(0, 1));
        assert_eq!(judged(true, None).counts(), counts(0, 1));
    }

    #[test]
    fn failures_are_failures_even_when_the_program_claims_success() {
        assert_eq!(judged(true, Some(counts(3, 1))).counts(), counts(3, 1));
    }

    #[test]
    fn a_run_of_nothing_is_no_success() {
        assert_eq!(verdict(counts(0, 0)), Verdict::Short);
        assert_eq!(verdict(counts(1, 1)), Verdict::Short);
        assert_eq!(verdict(counts(1, 0)), Verdict::Good);
    }

    #[test]
    fn a_suite_that_does_not_exist_cannot_be_chosen() {
        assert!(chosen(&["rusty".to_owned()]).is_err());
        assert_eq!(chosen(&["rust".to_owned()]).unwrap().len(), 1);
        assert_eq!(chosen(&[]).unwrap().len(), SUITES.len());
    }
}
