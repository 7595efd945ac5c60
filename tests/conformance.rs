//! Holds docs/conformance.md to the sources: every row is there once, a row that is done names
//! checks that exist and carry its id, and a check that carries an id is named by that row.
//!
//! The sources don't tell if the named checks ran and held: `cargo xtask conformance` compares the done rows with the
//! reports of the test runners.
//!
//! The grammar of references is at the top of that page. `SAMPAN_REGENERATE=1 cargo test --test conformance` writes
//! the checks that the sources have into the open rows; a person says which rows are done.

#[path = "conformance/checks.rs"]
mod checks;
#[path = "conformance/page.rs"]
mod page;
mod repository;

use checks::Check;
use page::{Row, State, all_ids, rows};
use repository::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};

/// The most rows that may say that they do not apply to us.
const NOT_APPLICABLE_MAX: usize = 45;
/// The most checks that the test writes into a row by itself: enough to find the rest.
const NAMED_MAX: usize = 3;

// ── The two together ─────────────────────────────────────────────────────────────────────────

/// Everything that is wrong with a page, given the checks of the sources.
fn complaints(page: &str, checks: &[Check]) -> Vec<String> {
    let (rows, mut found) = rows(page);
    found.extend(missing_or_repeated(&rows));
    let not_applicable = rows
        .iter()
        .filter(|row| row.state == State::NotApplicable)
        .count();
    if not_applicable > NOT_APPLICABLE_MAX {
        found.push(format!(
            "{not_applicable} rows are n/a, more than {NOT_APPLICABLE_MAX}"
        ));
    }
    for row in &rows {
        found.extend(row_complaints(row, checks));
    }
    found.extend(unnamed_checks(&rows, checks));
    found
}

fn missing_or_repeated(rows: &[Row]) -> Vec<String> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *times.entry(&row.id).or_default() += 1;
    }
    let mut found: Vec<String> = all_ids()
        .into_iter()
        .filter(|id| !times.contains_key(id.as_str()))
        .map(|id| format!("{id} is missing"))
        .collect();
    found.extend(
        times
            .iter()
            .filter(|&(_, &n)| n > 1)
            .map(|(id, n)| format!("{id}: {n} lines")),
    );
    found
}

fn row_complaints(row: &Row, checks: &[Check]) -> Vec<String> {
    let mut found = Vec::new();
    let references = row.references();
    match row.state {
        State::Done if references.is_empty() => found.push(format!("{}: done by what?", row.id)),
        State::NotApplicable if row.cell.is_empty() => found.push(format!("{}: n/a why?", row.id)),
        _ => {}
    }
    for reference in references {
        let named: Vec<&Check> = checks
            .iter()
            .filter(|check| check.is_named(reference))
            .collect();
        if named.is_empty() {
            found.push(format!("{}: no such check: {reference}", row.id));
        } else if !named.iter().any(|check| check.ids.contains(&row.id)) {
            found.push(format!(
                "{}: the check does not carry the id: {reference}",
                row.id
            ));
        }
    }
    found
}

/// Ids that a check carries, and whose row names no check: the page is behind the sources.
fn unnamed_checks(rows: &[Row], checks: &[Check]) -> Vec<String> {
    let named: BTreeSet<&str> = rows
        .iter()
        .filter(|row| !row.references().is_empty())
        .map(|row| row.id.as_str())
        .collect();
    let carried = checks
        .iter()
        .flat_map(|check| check.ids.iter().map(move |id| (id, check)));
    carried
        .filter(|(id, _)| !named.contains(id.as_str()))
        .map(|(id, check)| format!("{id} has a check that its row does not name: {check}"))
        .collect()
}

/// The page with the checks of the sources in its open rows. Checks from the outside come before
/// unit tests.
fn filled_in(page: &str, checks: &[Check]) -> String {
    let mut from_outside: Vec<&Check> = checks.iter().collect();
    from_outside.sort_by_key(|check| check.file.contains("src/") && check.file.ends_with(".rs"));
    let lines = page.lines().map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", id, "open", _, text, ""] = cells.as_slice() else {
            return format!("{line}\n");
        };
        let carrying = from_outside.iter().filter(|check| check.ids.contains(*id));
        let mut cell = String::new();
        for check in carrying.take(NAMED_MAX) {
            cell.push_str(&format!(" {check}"));
        }
        format!("| {id} | open |{cell} | {text} |\n")
    });
    lines.collect()
}

/// The rows of the guides that are open: what a guide shows is done, or does not apply to us.
fn open_rows_of_guides(rows: &[Row]) -> Vec<String> {
    let open = rows
        .iter()
        .filter(|row| row.id.starts_with('S') && row.state == State::Open);
    open.map(|row| format!("{} is a row of the guides, and open", row.id))
        .collect()
}

// ── The tests ────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_page_and_the_sources_agree() {
    let file = repository::root().join("docs/conformance.md");
    let mut page = std::fs::read_to_string(&file).unwrap();
    let sources = sources(&[".rs", ".mjs", ".js", ".java", ".kt", ".swift", ".py"]);
    // The examples of this test carry ids, and are no checks of those rows.
    let others = sources
        .iter()
        .filter(|source| !source.path.starts_with("tests/conformance"));
    let checks: Vec<Check> = others.flat_map(checks::checks).collect();
    assert!(
        checks.len() > 30,
        "the sources have tests, but only {} were found",
        checks.len()
    );
    if std::env::var_os("SAMPAN_REGENERATE").is_some() {
        page = filled_in(&page, &checks);
        std::fs::write(&file, &page).unwrap();
    }
    let mut found = complaints(&page, &checks);
    found.extend(open_rows_of_guides(&rows(&page).0));
    assert!(
        found.is_empty(),
        "docs/conformance.md:\n{}",
        found.join("\n")
    );
}

#[test]
fn an_open_row_of_a_guide_is_found_and_another_open_row_is_not() {
    let page = "| S001 | open | | text |\n| D11 | open | | text |";
    let found = open_rows_of_guides(&rows(page).0);
    assert_eq!(found, ["S001 is a row of the guides, and open"]);
}

/// The complaints about a page whose S001 is `line` and whose other rows are open.
fn complaints_about(line: &str, source: &str) -> Vec<String> {
    let open = all_ids()
        .into_iter()
        .skip(1)
        .map(|id| format!("| {id} | open | | text |"));
    let page = std::iter::once(line.to_owned())
        .chain(open)
        .collect::<Vec<_>>()
        .join("\n");
    complaints(
        &page,
        &checks::checks(&source_at("tests/it/send.rs", source)),
    )
}

fn source_at(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

const GOOD: &str = "/// Covers S001.\n#[test]\nfn it_holds() {}\n";

#[test]
fn a_done_row_whose_check_exists_and_carries_its_id_is_accepted() {
    for reference in ["tests/it/send.rs::it_holds", "`tests/it/send.rs::it_holds`"] {
        let line = format!("| S001 | done | {reference} | text |");
        assert_eq!(complaints_about(&line, GOOD), Vec::<String>::new());
    }
}

#[test]
fn a_check_that_does_not_exist_is_found() {
    let line = "| S001 | done | tests/it/send.rs::it_held | text |";
    assert!(
        complaints_about(line, GOOD)
            .iter()
            .any(|found| found.contains("no such check"))
    );
}

#[test]
fn a_check_that_does_not_carry_the_id_is_found() {
    let line = "| S001 | done | tests/it/send.rs::it_holds | text |";
    let found = complaints_about(line, "#[test]\nfn it_holds() {}\n");
    assert!(
        found
            .iter()
            .any(|found| found.contains("does not carry the id")),
        "{found:?}"
    );
}

#[test]
fn a_carried_id_whose_row_names_no_check_is_found() {
    for line in [
        "| S001 | open | | text |",
        "| S001 | n/a | a reason | text |",
    ] {
        let found = complaints_about(line, GOOD);
        assert!(
            found.iter().any(|found| found.contains("does not name")),
            "{found:?}"
        );
    }
}

#[test]
fn a_test_that_is_switched_off_is_no_check() {
    let source = "/// S001\n#[test]\n#[ignore = \"slow\"]\nfn it_holds() {}\n";
    let line = "| S001 | done | tests/it/send.rs::it_holds | text |";
    assert!(
        complaints_about(line, source)
            .iter()
            .any(|found| found.contains("no such check"))
    );
}

#[test]
fn missing_repeated_and_malformed_rows_are_found() {
    let found = complaints("| S001 | open | | text |\n| S001 | open | | text |", &[]);
    assert!(found.contains(&"S001: 2 lines".to_owned()));
    assert!(found.contains(&"S002 is missing".to_owned()));
    assert!(!complaints_about("| S001 | perhaps | | text |", "").is_empty());
    assert!(!complaints_about("| S001 | open | text |", "").is_empty());
    assert!(!complaints_about("| S001 | done | | text |", "").is_empty());
    assert!(!complaints_about("| S001 | n/a | | text |", "").is_empty());
}

#[test]
fn too_many_rows_that_do_not_apply_are_found() {
    let rows = all_ids()
        .into_iter()
        .enumerate()
        .map(|(index, id)| match index {
            0..=NOT_APPLICABLE_MAX => format!("| {id} | n/a | a reason | text |"),
            _ => format!("| {id} | open | | text |"),
        });
    let found = complaints(&rows.collect::<Vec<_>>().join("\n"), &[]);
    assert_eq!(found, ["46 rows are n/a, more than 45"]);
}

#[test]
fn filling_in_renews_open_rows_and_leaves_the_others_alone() {
    let checks = checks::checks(&source_at("tests/it/send.rs", GOOD));
    let filled = "| S001 | open | `tests/it/send.rs::it_holds` | text |\n";
    for cell in ["", "`tests/it/send.rs::a_name_it_had_before` "] {
        let page = format!("| S001 | open | {cell}| text |\n");
        assert_eq!(filled_in(&page, &checks), filled);
    }
    for page in [
        "| S001 | n/a | a reason | text |\n",
        "| S002 | open | | text |\n",
        "words\n",
    ] {
        assert_eq!(filled_in(page, &checks), page);
    }
}
