//! `cargo xtask conformance`: holds the done rows of docs/conformance.md to the tests that passed.
//!
//! `cargo xtask test` writes down which tests each runner ran and how they ended ([`crate::ran`]). A
//! done row holds when every check that it names is among those that passed. A check that was left
//! out, by whatever spelling of skip, ignore or todo, has not passed, and neither has one that is in
//! the sources and was not run. Where a suite did not run, the rows that need it are not judged, and
//! the command says so.

use crate::checks::{self, Check};
use crate::count::Counts;
use crate::page::{Row, State, rows};
use crate::ran::{self, Ending, Ran};
use crate::repository::sources;
use crate::suite::{SUITES, Suite};
use crate::tree::Tree;
use crate::{Problem, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// The endings of files that hold checks.
const ENDINGS: &[&str] = &[".rs", ".mjs", ".java", ".kt", ".swift", ".py"];

/// Judges the done rows by the last run of `cargo xtask test`.
pub(crate) fn run(_arguments: &[String]) -> Result<Verdict, Problem> {
    let tree = Tree::find()?;
    let page = std::fs::read_to_string(tree.root.join("docs/conformance.md"))
        .map_err(|cause| Problem::while_doing("reading docs/conformance.md", cause))?;
    let checks: Vec<Check> = sources(ENDINGS).iter().flat_map(checks::checks).collect();
    let mut lists = BTreeMap::new();
    for suite in SUITES {
        if let Some(tests) = ran::kept(&tree, suite.name)? {
            lists.insert(suite.name, tests);
        }
    }
    let (rows, malformed) = rows(&page);
    let judgement = judge(&rows, &checks, &lists);
    for complaint in malformed.iter().chain(&judgement.complaints) {
        println!("{complaint}");
    }
    if !judgement.absent.is_empty() {
        let absent: Vec<&str> = judgement.absent.iter().copied().collect();
        println!(
            "not judged are {} rows, for these suites did not run: {}",
            judgement.counts.skipped,
            absent.join(", ")
        );
    }
    println!("{}", judgement.counts);
    let good = malformed.is_empty() && judgement.counts.failed == 0 && judgement.counts.passed > 0;
    Ok(if good { Verdict::Good } else { Verdict::Short })
}

/// The result of judging the rows.
#[derive(Debug, Default)]
struct Judgement {
    /// Done rows: held, not held, and not judged.
    counts: Counts,
    complaints: Vec<String>,
    /// Suites that rows need and that did not run.
    absent: BTreeSet<&'static str>,
}

/// The tests of each suite that ran.
type Lists = BTreeMap<&'static str, Vec<Ran>>;

fn judge(rows: &[Row], checks: &[Check], lists: &Lists) -> Judgement {
    let mut judgement = Judgement::default();
    for row in rows.iter().filter(|row| row.state == State::Done) {
        let (mut complaints, mut absent) = (Vec::new(), BTreeSet::new());
        for reference in row.references() {
            match judged(reference, checks, lists) {
                Found::Passed => {}
                Found::Not(why) => complaints.push(format!("{}: {reference}: {why}", row.id)),
                Found::Absent(suite) => drop(absent.insert(suite)),
            }
        }
        if !complaints.is_empty() {
            judgement.counts.failed += 1;
        } else if absent.is_empty() {
            judgement.counts.passed += 1;
        } else {
            judgement.counts.skipped += 1;
        }
        judgement.complaints.append(&mut complaints);
        judgement.absent.append(&mut absent);
    }
    judgement
}

/// The result of one named check.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Passed,
    Not(&'static str),
    /// Its suite did not run.
    Absent(&'static str),
}

fn judged(reference: &str, checks: &[Check], lists: &Lists) -> Found {
    let Some(check) = checks.iter().find(|check| check.is_named(reference)) else {
        return Found::Not("no source has it");
    };
    let Some(suite) = suite_of(&check.file) else {
        return Found::Not("no suite runs its file");
    };
    let Some(tests) = lists.get(suite.name) else {
        return Found::Absent(suite.name);
    };
    let mut endings = tests
        .iter()
        .filter(|test| is_run_of(check, test))
        .map(|test| test.ending);
    match (
        endings.next(),
        endings.all(|ending| ending == Ending::Passed),
    ) {
        (Some(Ending::Passed), true) => Found::Passed,
        (Some(Ending::LeftOut), _) => Found::Not("its runner left it out"),
        (Some(Ending::SaidSkipped), _) => Found::Not("it said that it could not run here"),
        (Some(_), _) => Found::Not("it failed"),
        (None, _) => Found::Not("it is in the sources and did not run"),
    }
}

/// The suite whose runner runs the tests of a file.
fn suite_of(file: &str) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| {
        let runs =
            |report: &ran::Report| file.ends_with(report.ending) && file.starts_with(report.folder);
        suite.report.as_ref().is_some_and(runs)
    })
}

/// True if a test of a report is this check.
fn is_run_of(check: &Check, test: &Ran) -> bool {
    if check.file.ends_with(".rs") {
        return is_run_of_rust(check, test);
    }
    // Reports of classes name the file without its folder.
    let file = check.file.rsplit('/').next().unwrap_or_default();
    let same_file = test.source == check.file || test.source == file;
    let same_name = match check.is_beginning {
        true => test.name.starts_with(&check.name),
        false => test.name == check.name,
    };
    same_file && same_name
}

/// A test of Rust has the source of its program and its modules: the check's file must be that
/// source, or the file of the outermost of these modules.
fn is_run_of_rust(check: &Check, test: &Ran) -> bool {
    let mut modules: Vec<&str> = test.name.split("::").collect();
    if modules.pop() != Some(check.name.as_str()) {
        return false;
    }
    if check.file == test.source {
        return true;
    }
    let (folder, program) = test.source.rsplit_once('/').unwrap_or(("", &test.source));
    let below = check
        .file
        .strip_prefix(folder)
        .and_then(|path| path.strip_prefix('/'));
    let Some(path) = below.and_then(|path| path.strip_suffix(".rs")) else {
        return false;
    };
    let path = path.strip_suffix("/mod").unwrap_or(path);
    // A program in a file of its own may keep its modules in a folder of the same name.
    let own_folder = program.strip_suffix(".rs").unwrap_or(program);
    let inside = path
        .strip_prefix(own_folder)
        .and_then(|path| path.strip_prefix('/'));
    let starts = |path: &str| {
        let parts: Vec<&str> = path.split('/').collect();
        modules.starts_with(&parts)
    };
    starts(path) || inside.is_some_and(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Source;

    const PAGE: &str = "| S001 | done | `tests/it/send.rs::it_holds` | text |\n\
        | S002 | done | `tests/interop/js/a.test.mjs: S002 it holds` | text |\n\
        | S003 | open | | text |\n";

    fn ran(source: &str, name: &str, ending: Ending) -> Ran {
        Ran {
            source: source.to_owned(),
            name: name.to_owned(),
            ending,
        }
    }

    fn checks_of(path: &str, text: &str) -> Vec<Check> {
        checks::checks(&Source {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    fn both_checks() -> Vec<Check> {
        let mut checks = checks_of("tests/it/send.rs", "/// S001\n#[test]\nfn it_holds() {}\n");
        checks.extend(checks_of(
            "tests/interop/js/a.test.mjs",
            "test('S002 it holds', () => {});",
        ));
        checks
    }

    fn judged_with(rust: Vec<Ran>, js: Option<Vec<Ran>>) -> Judgement {
        let mut lists = Lists::from([("rust", rust)]);
        lists.extend(js.map(|js| ("interop-js", js)));
        judge(&rows(PAGE).0, &both_checks(), &lists)
    }

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn rows_whose_checks_passed_hold_and_rows_of_suites_that_did_not_run_are_not_judged() {
        let rust = || vec![ran("tests/it/main.rs", "send::it_holds", Ending::Passed)];
        let js = vec![ran(
            "tests/interop/js/a.test.mjs",
            "S002 it holds",
            Ending::Passed,
        )];
        assert_eq!(judged_with(rust(), Some(js)).counts, counts(2, 0, 0));
        let without = judged_with(rust(), None);
        assert_eq!(without.counts, counts(1, 0, 1));
        assert!(without.absent.contains("interop-js"));
    }

    #[test]
    fn a_check_that_was_left_out_failed_or_did_not_run_does_not_hold_its_row() {
        for ending in [Ending::LeftOut, Ending::SaidSkipped, Ending::Failed] {
            let judged = judged_with(
                vec![ran("tests/it/main.rs", "send::it_holds", ending)],
                None,
            );
            assert_eq!(judged.counts, counts(0, 1, 1), "{ending:?}");
        }
        // Another program's test of the same name, another module's, and none at all.
        for (source, name) in [
            ("service/tests/it/main.rs", "send::it_holds"),
            ("tests/it/main.rs", "receive::it_holds"),
            ("tests/it/main.rs", "send::it_held"),
        ] {
            let judged = judged_with(vec![ran(source, name, Ending::Passed)], None);
            assert_eq!(judged.counts, counts(0, 1, 1), "{source} {name}");
        }
    }

    #[test]
    fn a_check_in_a_file_of_a_module_is_found_among_the_tests_of_its_program() {
        for (file, source, name) in [
            (
                "src/store/tests/damage.rs",
                "src/lib.rs",
                "store::tests::damage::it_holds",
            ),
            ("src/store/mod.rs", "src/lib.rs", "store::tests::it_holds"),
            ("src/lib.rs", "src/lib.rs", "tests::it_holds"),
            (
                "tests/tidy/code.rs",
                "tests/tidy.rs",
                "code::tests::it_holds",
            ),
            ("sim/tests/sim.rs", "sim/tests/sim.rs", "it_holds"),
        ] {
            let checks = checks_of(file, "#[test]\nfn it_holds() {}\n");
            let test = ran(source, name, Ending::Passed);
            assert!(checks.iter().all(|check| is_run_of(check, &test)), "{file}");
        }
    }

    #[test]
    fn a_title_that_the_source_builds_stands_for_every_test_that_begins_so() {
        let checks = checks_of(
            "tests/interop/js/a.test.mjs",
            "check(`S001 to ${name}`, f);",
        );
        let list = |second| {
            let file = "tests/interop/js/a.test.mjs";
            let tests = vec![
                ran(file, "S001 to ann", Ending::Passed),
                ran(file, "S001 to bob", second),
            ];
            Lists::from([("interop-js", tests)])
        };
        let reference = "tests/interop/js/a.test.mjs: S001 to ";
        assert_eq!(
            judged(reference, &checks, &list(Ending::Passed)),
            Found::Passed
        );
        assert_ne!(
            judged(reference, &checks, &list(Ending::LeftOut)),
            Found::Passed
        );
    }
}
