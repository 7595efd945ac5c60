//! `cargo xtask store-phone`: the store over its database as phones get it.
//!
//! sled chooses by `cfg(target_os)`: on iOS and Android it has no threads, takes no lock and syncs by itself
//! in its flush. A copy of its source, made under `target/phone` each time, has these lines turned to the
//! phone's choice, and cargo is told to build with the copy. `Cargo.lock` stays as it is, and nothing of the
//! copy is committed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tree::{Tree, cargo, metadata};
use crate::{Problem, Verdict};

/// The package whose choice is turned.
const DATABASE: &str = "sled";

/// What its source asks for, and what it asks for in the copy: no machine that builds here is an iPhone.
const CHOICE: (&str, &str) = ("target_os = \"linux\"", "target_os = \"ios\"");

/// How often the source asks for it at least; fewer say that another version chooses otherwise.
const CHOICES_MIN: usize = 8;

/// The short run: what opens real folders. The rest of the store's tests run over a disk in memory.
const SHORT: [&str; 18] = [
    "test",
    "-p",
    "sampan",
    "--lib",
    "--",
    "store::tree::",
    "store::maintain::",
    "store::tests::model",
    "store::tests::fixture",
    "store::tests::inspect",
    "store::tests::damage",
    "store::tests::unreadable",
    "store::tests::budget::",
    "store::tests::budget_disk::",
    "store::tests::syncs",
    "store::tests::torture::kill",
    "store::tests::torture::damage",
    "store::tests::torture::full",
];

/// Runs cargo with the arguments given, or the short run, over the turned copy.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let tree = Tree::find()?;
    let copy = turned_copy(&tree)?;
    let short = SHORT.map(str::to_owned);
    let words = if arguments.is_empty() {
        &short[..]
    } else {
        arguments
    };
    let (command, rest) = words
        .split_first()
        .ok_or_else(|| Problem("no command for cargo".to_owned()))?;
    let paths = format!("paths=[{:?}]", copy.to_string_lossy());
    let status = Command::new(cargo())
        .arg(command)
        .args(["--config", &paths])
        // Nobody debugs this build, and it is one more of everything.
        .args(["--config", "profile.dev.debug=false"])
        .args(["--config", "profile.test.debug=false"])
        // The database denies lints of its own; cargo excuses packages of a registry from theirs, and no copy.
        .env("RUSTFLAGS", "--cap-lints=warn")
        .arg("--target-dir")
        .arg(tree.target.join("phone").join("build"))
        .args(rest)
        .current_dir(&tree.root)
        .status()
        .map_err(|cause| Problem::while_doing("starting cargo", cause))?;
    Ok(if status.success() {
        Verdict::Good
    } else {
        Verdict::Short
    })
}

/// Copies the database's source and turns its choice; gives the folder.
fn turned_copy(tree: &Tree) -> Result<PathBuf, Problem> {
    let failed = |cause| Problem::while_doing("copying the database's source", cause);
    let source = source(&metadata(&tree.root, &[])?)?;
    let copy = tree.target.join("phone").join(DATABASE);
    if copy.exists() {
        fs::remove_dir_all(&copy).map_err(failed)?;
    }
    fs::create_dir_all(&copy).map_err(failed)?;
    fs::copy(source.join("Cargo.toml"), copy.join("Cargo.toml")).map_err(failed)?;
    let turned = copy_turned(&source.join("src"), &copy.join("src")).map_err(failed)?;
    if turned < CHOICES_MIN {
        return Err(Problem(format!(
            "{DATABASE} asks {turned} times for its system: has its way of choosing changed?"
        )));
    }
    Ok(copy)
}

/// Copies a folder of sources; gives how many lines were turned.
fn copy_turned(from: &Path, to: &Path) -> io::Result<usize> {
    fs::create_dir_all(to)?;
    let mut turned = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            turned += copy_turned(&entry.path(), &copy)?;
        } else {
            let (text, many) = turn(&fs::read_to_string(entry.path())?);
            fs::write(copy, text)?;
            turned += many;
        }
    }
    Ok(turned)
}

/// A source with its choice turned, and how often it was.
fn turn(text: &str) -> (String, usize) {
    let (asked, instead) = CHOICE;
    (text.replace(asked, instead), text.matches(asked).count())
}

/// Where cargo has the database's source.
fn source(metadata: &Value) -> Result<PathBuf, Problem> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    let mut packages = packages.into_iter().flatten();
    let found = packages
        .find(|package| package.get("name").and_then(Value::as_str) == Some(DATABASE))
        .and_then(|package| package.get("manifest_path")?.as_str());
    let manifest = found.map(Path::new).and_then(Path::parent);
    let folder = manifest.ok_or_else(|| Problem(format!("cargo does not know {DATABASE}")))?;
    Ok(folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_this_system_asks_for_a_phone_in_the_copy() {
        let text = "#[cfg(any(windows, target_os = \"linux\", target_os = \"macos\"))]\nmod a;\n";
        let (turned, many) = turn(text);
        assert_eq!(many, 1);
        assert!(turned.contains("ios") && !turned.contains("linux"));
    }
}
