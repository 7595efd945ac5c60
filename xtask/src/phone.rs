//! `cargo xtask store-phone`: the store over its database as phones get it.
//!
//! sled chooses by `cfg(target_os)`: on iOS and Android it has no threads, takes no lock and syncs by itself
//! in its flush. A copy of its source, made under `target/phone` each time, has these lines turned to the
//! phone's choice, and cargo is told to build with the copy. `Cargo.lock` stays as it is, and nothing of the
//! copy is committed.
//!
//! A phone's build is smaller as well, and this command tests it so: the copy's largest key takes no megabyte
//! of the library, and zstd has no code for levels that the store does not use (`size.rs`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tree::{Tree, cargo, metadata};
use crate::{Problem, Verdict};

/// The package whose choice is turned.
const DATABASE: &str = "sled";

/// The source's choice, and the choice in the copy: no machine that builds here is an iPhone.
const CHOICE: (&str, &str) = ("target_os = \"linux\"", "target_os = \"ios\"");

/// sled's key above all others, a constant of 1 MiB in every library that has sled, and a shorter one that is
/// long enough: no key of the store has so many bytes of 255.
const LARGEST_KEY: (&str, &str) = ("&[255; 1024 * 1024]", "&[255; 1024]");

/// The options that leave out zstd's other levels: the store compresses at the fastest.
pub(crate) const ZSTD_OPTIONS: &str = "-DZSTD_EXCLUDE_DFAST_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_GREEDY_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_LAZY_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_LAZY2_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_BTLAZY2_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_BTOPT_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_BTULTRA_BLOCK_COMPRESSOR";

/// The least number of places with the choice; fewer say that another version chooses otherwise.
const CHOICES_MIN: usize = 8;

/// The short run: the tests that open real folders. The rest of the store's tests run over a disk in memory.
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
    let copy = turned_copy(&tree, "phone", &[CHOICE, LARGEST_KEY])?;
    let short = SHORT.map(str::to_owned);
    let words = if arguments.is_empty() {
        &short[..]
    } else {
        arguments
    };
    let (command, rest) = words
        .split_first()
        .ok_or_else(|| Problem("no command for cargo".to_owned()))?;
    let status = Command::new(cargo())
        .arg(command)
        .args(["--config", &paths(&copy)])
        // Nobody debugs this build, and it is one more of everything.
        .args(["--config", "profile.dev.debug=false"])
        .args(["--config", "profile.test.debug=false"])
        // The database denies lints of its own; cargo excuses packages of a registry from theirs, and no copy.
        .env("RUSTFLAGS", "--cap-lints=warn")
        .env("CFLAGS", ZSTD_OPTIONS)
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

/// Copies the database's source for a build that has a small library, with no other change.
pub(crate) fn small_copy(tree: &Tree) -> Result<PathBuf, Problem> {
    turned_copy(tree, "size", &[LARGEST_KEY])
}

/// The option that tells cargo to build with a copy.
pub(crate) fn paths(copy: &Path) -> String {
    format!("paths=[{:?}]", copy.to_string_lossy())
}

/// Copies the database's source to a folder of the target folder, and turns some of its words; returns the
/// folder.
fn turned_copy(tree: &Tree, name: &str, turns: &[(&str, &str)]) -> Result<PathBuf, Problem> {
    let failed = |cause| Problem::while_doing("copying the database's source", cause);
    let source = source(&metadata(&tree.root, &[])?)?;
    let copy = tree.target.join(name).join(DATABASE);
    fs::create_dir_all(&copy).map_err(failed)?;
    replace(
        &copy.join("Cargo.toml"),
        &fs::read_to_string(source.join("Cargo.toml")).map_err(failed)?,
    )
    .map_err(failed)?;
    let mut found = vec![0; turns.len()];
    copy_turned(&source.join("src"), &copy.join("src"), turns, &mut found).map_err(failed)?;
    for (turn, many) in turns.iter().zip(found) {
        let wanted = if *turn == CHOICE { CHOICES_MIN } else { 1 };
        if many < wanted {
            return Err(Problem(format!(
                "{DATABASE} says {many} times {}: has it changed?",
                turn.0
            )));
        }
    }
    Ok(copy)
}

/// Copies a folder of sources, and counts how often each turn was made.
fn copy_turned(
    from: &Path,
    to: &Path,
    turns: &[(&str, &str)],
    found: &mut [usize],
) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_turned(&entry.path(), &copy, turns, found)?;
        } else {
            let text = fs::read_to_string(entry.path())?;
            replace(&copy, &turned(&text, turns, found))?;
        }
    }
    Ok(())
}

/// Writes a file, and leaves an equal file alone: a newer file is compiled again.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(file, text)
}

/// A source with its words turned.
fn turned(text: &str, turns: &[(&str, &str)], found: &mut [usize]) -> String {
    let mut text = text.to_owned();
    for ((before, after), many) in turns.iter().zip(found) {
        *many += text.matches(before).count();
        text = text.replace(before, after);
    }
    text
}

/// The folder in which cargo has the database's source.
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
        let mut found = [0, 0];
        let turned = turned(text, &[CHOICE, LARGEST_KEY], &mut found);
        assert_eq!(found, [1, 0]);
        assert!(turned.contains("ios") && !turned.contains("linux"));
    }
}
