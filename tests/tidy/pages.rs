//! The rules for the manifests and the documents, and for what they say about the rest.

use crate::repository::Source;
use std::collections::BTreeSet;

/// The most dependencies that one comment may speak for.
const UNDER_ONE_COMMENT: usize = 3;

/// Dependencies without a word on why they are there. The workspace's table of versions is
/// excepted: the member that uses one says why.
pub(crate) fn manifest_complaints(manifest: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let (mut in_dependencies, mut spoken_for) = (false, 0_usize);
    for (index, line) in manifest.text.lines().map(str::trim).enumerate() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            in_dependencies =
                section.ends_with("dependencies") && !section.starts_with("workspace");
            spoken_for = 0;
        } else if line.is_empty() {
            spoken_for = 0;
        } else if line.starts_with('#') {
            spoken_for = UNDER_ONE_COMMENT;
        } else if in_dependencies && is_entry(line) {
            if spoken_for == 0 {
                found.push(format!(
                    "{}:{}: why is it there? {line}",
                    manifest.path,
                    index + 1
                ));
            }
            spoken_for = spoken_for.saturating_sub(1);
        }
    }
    found
}

/// True if a line of a manifest starts an entry, rather than going on with one.
fn is_entry(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| {
        let name = name.trim();
        !name.is_empty()
            && name
                .chars()
                .all(|one| one.is_alphanumeric() || "-_.".contains(one))
    })
}

/// Relative links of a document that lead nowhere. `exists` answers for a path from the root.
pub(crate) fn link_complaints(page: &Source, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for (_, rest) in page
        .text
        .match_indices("](")
        .map(|(at, mark)| page.text.split_at(at + mark.len()))
    {
        let target = rest.split([')', ' ', '\n']).next().unwrap_or_default();
        let path = target.split('#').next().unwrap_or_default();
        if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
            continue;
        }
        if !exists(&resolved(folder, path)) {
            found.push(format!("{}: the link leads nowhere: {target}", page.path));
        }
    }
    found
}

/// A relative path, from the root.
fn resolved(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Paths of files in a document's code spans that are not there. `exists` answers for a path from
/// the root, or for the end of one.
pub(crate) fn path_complaints(page: &Source, exists: impl Fn(&str) -> bool) -> Vec<String> {
    const ENDINGS: [&str; 7] = [".rs", ".md", ".toml", ".proto", ".mjs", ".kt", ".swift"];
    let prose: String = page.text.split("```").step_by(2).collect();
    let spans = prose.split('`').skip(1).step_by(2);
    let paths = spans.filter(|span| {
        let is_file = ENDINGS.iter().any(|ending| span.ends_with(ending));
        is_file && span.contains('/') && !span.contains([' ', '*', '<', '{', '$'])
    });
    let missing = paths.filter(|path| !exists(path));
    missing
        .map(|path| format!("{}: there is no file `{path}`", page.path))
        .collect()
}

/// Commands in a document's blocks of shell that would not run: an example, a package or a command
/// of xtask that is not there. `exists` answers for a kind and a name.
pub(crate) fn command_complaints(
    page: &Source,
    exists: impl Fn(Named, &str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for line in shell_lines(&page.text) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pairs = words.iter().zip(words.iter().skip(1));
        let named = pairs.filter_map(|(&option, &name)| match option {
            "--example" => Some((Named::Example, name)),
            "-p" | "--package" => Some((Named::Package, name)),
            "xtask" => Some((Named::Command, name)),
            _ => None,
        });
        let missing = named.filter(|&(kind, name)| !exists(kind, name));
        found.extend(missing.map(|(kind, name)| format!("{}: no {kind:?} `{name}`", page.path)));
    }
    found
}

/// The things that a command on a page may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Example,
    Package,
    Command,
}

/// The lines of a page's blocks of shell, without their comments.
fn shell_lines(text: &str) -> Vec<&str> {
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks
        .filter_map(|block| block.strip_prefix("sh\n"))
        .flat_map(str::lines);
    lines
        .map(|line| line.split(" #").next().unwrap_or_default())
        .collect()
}

/// Folders of `src/`, and members of the workspace, without a heading in ARCHITECTURE.md.
pub(crate) fn unmapped(architecture: &str, homes: &BTreeSet<String>) -> Vec<String> {
    let headings: Vec<&str> = architecture
        .lines()
        .filter(|line| line.starts_with('#'))
        .collect();
    let is_there = |home: &str| {
        headings
            .iter()
            .any(|line| line.contains(&format!("`{home}`")))
    };
    let missing = homes.iter().filter(|home| !is_there(home));
    missing
        .map(|home| format!("ARCHITECTURE.md has no heading for `{home}`"))
        .collect()
}

/// Decision records that are misnamed, repeat a number, or are not in the list.
pub(crate) fn decision_complaints(list: &str, files: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut numbers = BTreeSet::new();
    for file in files {
        let number = file.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.chars().all(|one| one.is_ascii_digit()) {
            found.push(format!("docs/decisions/{file}: no number of four digits"));
        } else if !numbers.insert(number) {
            found.push(format!("docs/decisions/{file}: its number is taken"));
        }
        if !list.contains(&format!("]({file})")) {
            found.push(format!("docs/decisions/README.md does not list {file}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_dependency_without_a_word_is_found() {
        let complaints = |text: &str| manifest_complaints(&source("Cargo.toml", text)).len();
        assert_eq!(complaints("[dependencies]\nserde = \"1\"\n"), 1);
        assert_eq!(
            complaints("[dependencies]\n# JSON.\nserde = \"1\"\nserde_json = \"1\"\n"),
            0
        );
        assert_eq!(
            complaints("[dependencies]\n# JSON.\na = \"1\"\nb = \"1\"\nc = \"1\"\nd = \"1\"\n"),
            1
        );
        assert_eq!(
            complaints("[target.'cfg(unix)'.dev-dependencies]\n\nlibc = { version = \"1\" }"),
            1
        );
        assert_eq!(complaints("[workspace.dependencies]\nserde = \"1\"\n"), 0);
        assert_eq!(complaints("[package]\nname = \"x\"\n"), 0);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let exists = |path: &str| ["docs/wire.md", "README.md"].contains(&path);
        let complaints = |text: &str| link_complaints(&source("docs/store.md", text), exists).len();
        assert_eq!(
            complaints("[a](wire.md#codes) [b](../README.md) [c](https://example.org)"),
            0
        );
        assert_eq!(complaints("[a](sync.md)"), 1);
    }

    #[test]
    fn a_path_that_is_not_there_is_found() {
        let exists = |path: &str| path == "src/store/mod.rs";
        let complaints = |text: &str| path_complaints(&source("docs/store.md", text), exists);
        assert_eq!(
            complaints("see `src/store/mod.rs` and `a/b` and `x.rs`").len(),
            0
        );
        assert_eq!(complaints("```sh\ncat `src/no.rs`\n```\n").len(), 0);
        assert_eq!(
            complaints("see `src/store/gone.rs`"),
            ["docs/store.md: there is no file `src/store/gone.rs`"]
        );
    }

    #[test]
    fn a_command_that_would_not_run_is_found() {
        let exists = |kind, name: &str| (kind, name) == (Named::Command, "test");
        let page = |line: &str| source("README.md", &format!("```sh\n{line}\n```\n"));
        let complaints = |line: &str| command_complaints(&page(line), exists).len();
        assert_eq!(
            complaints("cargo xtask test   # all of cargo xtask polish"),
            0
        );
        assert_eq!(complaints("cargo xtask polish"), 1);
        assert_eq!(
            complaints("cargo run --release --example tour -p nobody"),
            2
        );
    }

    #[test]
    fn a_folder_without_a_heading_is_found() {
        let homes = ["src/model", "src/wire"]
            .map(str::to_owned)
            .into_iter()
            .collect();
        assert_eq!(
            unmapped("### `src/model`\n\nSee `src/wire`.\n", &homes).len(),
            1
        );
    }

    #[test]
    fn decisions_that_are_unlisted_misnamed_or_numbered_twice_are_found() {
        let list = "- [One](0001-one.md)\n- [Two](0002-two.md)\n";
        assert_eq!(
            decision_complaints(list, &["0001-one.md", "0002-two.md"]).len(),
            0
        );
        assert_eq!(decision_complaints(list, &["0003-three.md"]).len(), 1);
        assert_eq!(
            decision_complaints(list, &["0001-one.md", "0001-two.md"]).len(),
            2
        );
        assert_eq!(decision_complaints("[x](notes.md)", &["notes.md"]).len(), 1);
    }
}
