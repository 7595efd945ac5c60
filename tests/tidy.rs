//! Holds the sources to the rules of the house: no reviewer has to check what a machine can.
//!
//! | file | rules |
//! |---|---|
//! | `tidy/floors.rs` | who may name whom: the floors of the engine, the rooms of the service |
//! | `tidy/exports.rs` | what other languages see: how asynchronous calls end |
//! | `tidy/rooms.rs` | how the rooms of one floor name each other, and its types |
//! | `tidy/files.rs` | what each file keeps: its opening line, length, names, reasons |
//! | `tidy/sums.rs` | running sums that must never be wrong: asserted, not held back |
//! | `tidy/names.rs` | one name for one type, across the floors of the engine |
//! | `tidy/pages.rs` | what manifests and documents keep: a word on each dependency, links, the map |
//! | `tidy/code.rs` | reads Rust as far as the rules need it |
//!
//! Each rule has a test of its own on small bad examples, or it might have stopped seeing anything.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/exports.rs"]
mod exports;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/pages.rs"]
mod pages;
mod repository;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/sums.rs"]
mod sums;

use pages::Named;
use repository::{root, sources};
use std::collections::BTreeSet;

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn imports_point_down() {
    assert_none(&floors::complaints(&sources(&[".rs"])));
}

#[test]
fn exported_asynchronous_functions_give_results() {
    let sources = sources(&[".rs"]);
    assert_none(
        &sources
            .iter()
            .flat_map(exports::complaints)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_rooms_of_a_floor_have_an_order_and_its_types_have_names_of_their_own() {
    let sources = sources(&[".rs"]);
    let found: Vec<String> = rooms::HELD
        .iter()
        .flat_map(|folder| rooms::complaints(folder, &sources))
        .collect();
    assert_none(&found);
}

#[test]
fn rust_files_keep_the_rules_of_the_house() {
    let found: Vec<String> = sources(&[".rs"])
        .iter()
        .flat_map(files::rust_complaints)
        .collect();
    assert_none(&found);
}

#[test]
fn two_floors_never_give_one_name_to_two_types() {
    assert_none(&names::complaints(&sources(&[".rs"])));
}

#[test]
fn a_sum_that_can_never_be_wrong_is_asserted() {
    assert_none(&sums::complaints(&sources(&[".rs"])));
}

#[test]
fn no_code_names_another_machine() {
    let endings = [".rs", ".mjs", ".js", ".java", ".kt", ".swift", ".py"];
    let found: Vec<String> = sources(&endings)
        .iter()
        .flat_map(files::address_complaints)
        .collect();
    assert_none(&found);
}

#[test]
fn no_text_holds_plans_or_folders_of_one_machine() {
    let endings = [
        ".rs", ".md", ".toml", ".proto", ".mjs", ".js", ".java", ".kt", ".swift", ".py", ".sh",
        "run",
    ];
    let found: Vec<String> = sources(&endings)
        .iter()
        .flat_map(files::text_complaints)
        .collect();
    assert_none(&found);
}

#[test]
fn lock_files_name_no_host() {
    let locks = sources(&["package-lock.json"]);
    let found: Vec<String> = locks.iter().flat_map(files::lock_complaints).collect();
    assert_none(&found);
}

#[test]
fn every_dependency_has_a_word_on_why_it_is_there() {
    let manifests = sources(&["Cargo.toml"]);
    assert!(manifests.len() >= 3, "the workspace has members");
    let found: Vec<String> = manifests
        .iter()
        .flat_map(pages::manifest_complaints)
        .collect();
    assert_none(&found);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let exists = |path: &str| root().join(path).exists();
    let pages = sources(&[".md"]);
    let found: Vec<String> = pages
        .iter()
        .flat_map(|page| pages::link_complaints(page, exists))
        .collect();
    assert_none(&found);
}

#[test]
fn files_that_documents_name_are_there() {
    let mut all: Vec<String> = sources(&[""]).into_iter().map(|one| one.path).collect();
    all.sort();
    let exists = |path: &str| {
        let end = format!("/{path}");
        all.iter().any(|file| file == path || file.ends_with(&end))
    };
    // A changelog and a decision speak of the tree as it was then.
    let pages = sources(&[".md"]);
    let pages = pages
        .iter()
        .filter(|page| !page.path.starts_with("docs/decisions/") && page.path != "CHANGELOG.md");
    let complaints: Vec<String> = pages
        .flat_map(|page| pages::path_complaints(page, exists))
        .collect();
    assert_none(&complaints);
}

#[test]
fn commands_in_documents_run() {
    let file = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let commands = file("xtask/src/main.rs");
    let manifests = sources(&["Cargo.toml"]);
    // Before the first example there is none to name; from then on, those named are there.
    let has_examples = root().join("examples").exists();
    let exists = |kind, name: &str| match kind {
        Named::Example => {
            let is_there = |end: &str| root().join(format!("examples/{name}{end}")).exists();
            !has_examples || is_there(".rs") || is_there("/main.rs")
        }
        Named::Package => manifests
            .iter()
            .any(|one| one.text.contains(&format!("\nname = \"{name}\""))),
        Named::Command => commands.contains(&format!("name: \"{name}\"")),
    };
    let pages = sources(&[".md"]);
    let complaints = |page| pages::command_complaints(page, exists);
    assert_none(&pages.iter().flat_map(complaints).collect::<Vec<_>>());
}

#[test]
fn the_map_has_a_heading_for_every_folder() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let sources = sources(&[".rs"]);
    let folders = sources.iter().filter_map(|source| {
        let (folder, _) = source.path.strip_prefix("src/")?.split_once('/')?;
        Some(folder)
            .filter(|&folder| folder != "bin")
            .map(|folder| format!("src/{folder}"))
    });
    let members = ["migrate", "service", "xtask", "tests"].map(str::to_owned);
    let homes: BTreeSet<String> = folders.chain(members).collect();
    assert_none(&pages::unmapped(&map, &homes));
}

#[test]
fn decisions_are_numbered_and_listed() {
    let pages = sources(&[".md"]);
    let inside = pages
        .iter()
        .filter_map(|page| page.path.strip_prefix("docs/decisions/"));
    let files: Vec<&str> = inside.filter(|&file| file != "README.md").collect();
    let list = std::fs::read_to_string(root().join("docs/decisions/README.md")).unwrap();
    assert_none(&pages::decision_complaints(&list, &files));
}

#[test]
fn the_changelog_has_a_place_for_what_is_unreleased() {
    let changelog = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains("\n## Unreleased\n"));
}
