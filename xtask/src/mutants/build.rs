//! Builds the copy with its defects, and drops those that do not compile until the rest does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::copy;
use super::write::{Numbered, Part, around, touched, written};
use crate::tree::{Tree, cargo};
use crate::{Problem, Verdict};

/// More rounds than this mean that dropping does not help.
const ROUNDS_MAX: usize = 25;

/// The crates that get a switch, by their root files.
pub(crate) const CRATE_ROOTS: [&str; 2] = ["src/lib.rs", "service/src/lib.rs"];
/// The library of a crate that has no part in this, and whose dependencies give the shared ones their features:
/// its text is left out, so the builds of the copy and of the workspace share their dependencies.
const EMPTY: &str = "migrate/src/lib.rs";
/// Manifests that are written with changes.
const MANIFEST: &str = "Cargo.toml";

/// The programs of a build, by package and by name of target.
pub(crate) type Programs = BTreeMap<(String, String), PathBuf>;

/// A copy of the workspace with defects.
pub(crate) struct Copy<'a> {
    tree: &'a Tree,
    /// The folder of the copy.
    pub(crate) root: PathBuf,
    defects: Vec<Numbered<'a>>,
    parts: BTreeMap<String, Vec<Part>>,
    /// The numbers of those that did not compile.
    pub(crate) unviable: BTreeSet<u32>,
}

impl<'a> Copy<'a> {
    /// Makes the copy, or brings it up to date.
    pub(crate) fn new(tree: &'a Tree, defects: Vec<Numbered<'a>>) -> Result<Self, Problem> {
        let root = tree.target.join("mutants/tree");
        copy::refresh(&tree.root, &root)?;
        let manifest = read(&tree.root.join(MANIFEST))?;
        copy::put(&root.join(MANIFEST), copy::manifest(&manifest).as_bytes())?;
        let mut copy = Self {
            tree,
            root,
            defects,
            parts: BTreeMap::new(),
            unviable: BTreeSet::new(),
        };
        for name in copy.known_unviable() {
            let found = copy.defects.iter().find(|(_, place)| place.name() == name);
            copy.unviable.extend(found.map(|(number, _)| *number));
        }
        Ok(copy)
    }

    /// The file of the names of defects that did not compile in an earlier run: it saves rounds.
    fn memory(&self) -> PathBuf {
        self.tree.target.join("mutants/unviable.txt")
    }

    fn known_unviable(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.memory()).unwrap_or_default();
        text.split("\n\n").map(str::to_owned).collect()
    }

    /// Builds the tests of all packages (`--lib`, or the words given) until they compile.
    pub(crate) fn build(&mut self, words: &[&str]) -> Result<Programs, Problem> {
        for round in 1..=ROUNDS_MAX {
            self.write()?;
            let output = Command::new(cargo())
                .args([
                    "test",
                    "--workspace",
                    "--exclude",
                    "sampan-sim",
                    "--all-features",
                    "--no-run",
                    "--quiet",
                ])
                .args(["--message-format", "json"])
                .args(words)
                .env("CARGO_TARGET_DIR", &self.tree.target)
                .current_dir(&self.root)
                .stderr(Stdio::null())
                .output()
                .map_err(|cause| Problem::while_doing("starting cargo", cause))?;
            let text = String::from_utf8_lossy(&output.stdout);
            let messages: Vec<Value> = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            if output.status.success() {
                self.remember()?;
                return Ok(programs(&messages));
            }
            let verdict = self.drop_blamed(&messages)?;
            println!("  …  round {round}: {} do not compile", self.unviable.len());
            if matches!(verdict, Verdict::Short) {
                break;
            }
        }
        Err(Problem("the copy does not compile".to_owned()))
    }

    /// Writes every Rust file of the copy, with the defects that are left.
    fn write(&mut self) -> Result<(), Problem> {
        self.parts.clear();
        for file in copy::rust_files(&self.tree.root)? {
            let mut text = read(&self.tree.root.join(&file))?;
            let here = |it: &&Numbered<'_>| it.1.file == file && !self.unviable.contains(&it.0);
            let defects: Vec<Numbered<'_>> = self.defects.iter().filter(here).copied().collect();
            if !defects.is_empty() {
                let (with_defects, parts) = written(&text, &defects);
                text = with_defects;
                self.parts.insert(file.clone(), parts);
            }
            if CRATE_ROOTS.contains(&file.as_str()) {
                text = copy::crate_root(&text);
                let switch = self.root.join(&file).with_file_name("mutant.rs");
                copy::put(&switch, copy::SWITCH.as_bytes())?;
            }
            if file == EMPTY {
                text = "//! Left out.\n".to_owned();
            }
            copy::put(&self.root.join(&file), text.as_bytes())?;
        }
        Ok(())
    }

    /// Drops the defects that the compiler complains about. [`Verdict::Short`] if no more can be dropped.
    fn drop_blamed(&mut self, messages: &[Value]) -> Result<Verdict, Problem> {
        let before = self.unviable.len();
        for message in messages {
            let Some(message) = error_of(message) else {
                continue;
            };
            let spans = spans(message, &self.root);
            let find = |blame: fn(&[Part], &Range<usize>) -> Vec<u32>| {
                spans.iter().find_map(|(file, at)| {
                    let found = blame(self.parts.get(file)?, at);
                    (!found.is_empty()).then_some(found)
                })
            };
            let own = find(touched).or_else(|| find(around));
            // A complaint far from any defect is a consequence of one in the file.
            let numbers = own.or_else(|| {
                let parts = spans.iter().find_map(|(file, _)| self.parts.get(file))?;
                Some(parts.iter().map(|part| part.number).collect())
            });
            if let Some(numbers) = numbers {
                self.unviable.extend(numbers);
            } else if !spans.is_empty() {
                let rendered = message.get("rendered").and_then(Value::as_str);
                return Err(Problem(rendered.unwrap_or("an error").to_owned()));
            }
        }
        Ok(if self.unviable.len() > before {
            Verdict::Good
        } else {
            Verdict::Short
        })
    }

    fn remember(&self) -> Result<(), Problem> {
        let mut names: BTreeSet<String> = self.known_unviable().into_iter().collect();
        let dropped = |it: &&Numbered<'_>| self.unviable.contains(&it.0);
        names.extend(self.defects.iter().filter(dropped).map(|it| it.1.name()));
        names.remove("");
        let text: Vec<String> = names.into_iter().collect();
        copy::put(&self.memory(), text.join("\n\n").as_bytes())
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path)
        .map_err(|cause| Problem::while_doing(&path.to_string_lossy(), cause))
}

/// The compiler's message, if it is an error.
fn error_of(message: &Value) -> Option<&Value> {
    let message = message.get("message")?;
    let level = message.get("level").and_then(Value::as_str)?;
    level.starts_with("error").then_some(message)
}

/// The places of an error, the primary ones first, those of its notes last.
fn spans(message: &Value, root: &Path) -> Vec<(String, Range<usize>)> {
    let list = |of: &Value, name: &str| {
        of.get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut all = list(message, "spans");
    all.sort_by_key(|span| span.get("is_primary") != Some(&Value::Bool(true)));
    for child in list(message, "children") {
        all.extend(list(&child, "spans"));
    }
    all.iter()
        .filter_map(|span| {
            let file = Path::new(span.get("file_name")?.as_str()?);
            let file = file.strip_prefix(root).unwrap_or(file);
            let byte = |name: &str| {
                let byte = span.get(name).and_then(Value::as_u64)?;
                usize::try_from(byte).ok()
            };
            let range = byte("byte_start")?..byte("byte_end")?;
            Some((file.to_string_lossy().into_owned(), range))
        })
        .collect()
}

/// The test programs that a build made.
fn programs(messages: &[Value]) -> Programs {
    let mut found = Programs::new();
    for message in messages {
        let program = message.get("executable").and_then(Value::as_str);
        let name = message.pointer("/target/name").and_then(Value::as_str);
        let manifest = message.get("manifest_path").and_then(Value::as_str);
        if let (Some(program), Some(name), Some(manifest)) = (program, name, manifest) {
            let folder = Path::new(manifest)
                .parent()
                .unwrap_or_else(|| Path::new(""));
            let key = (folder.to_string_lossy().into_owned(), name.to_owned());
            found.insert(key, PathBuf::from(program));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_with_its_places_and_a_warning_is_not() {
        let line = |level: &str| {
            serde_json::json!({ "message": { "level": level, "spans": [
                { "file_name": "src/b.rs", "byte_start": 1, "byte_end": 2, "is_primary": false },
                { "file_name": "/copy/src/a.rs", "byte_start": 3, "byte_end": 4, "is_primary": true },
            ] } })
        };
        assert!(error_of(&line("warning")).is_none());
        let line = line("error");
        let found = spans(error_of(&line).unwrap(), Path::new("/copy"));
        assert_eq!(
            found,
            [("src/a.rs".to_owned(), 3..4), ("src/b.rs".to_owned(), 1..2)]
        );
    }
}
