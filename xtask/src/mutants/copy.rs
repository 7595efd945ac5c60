//! The copy of the workspace that defects are written into.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::places::is_left_out;
use crate::Problem;

/// The folders and files of the workspace that no build of tests reads.
const NOT_COPIED: [&str; 3] = ["target", ".git", "node_modules"];
/// The crate types of the engine, of which tests need the first alone.
const CRATE_TYPES: &str = r#"["lib", "cdylib", "staticlib"]"#;

/// The switch: which defect is on. It is read once; after that asking costs a relaxed load.
pub(crate) const SWITCH: &str = include_str!("switch.rs.txt");

/// Brings the copy up to date. A file whose text is the same keeps its time, so the next build is a short one.
pub(crate) fn refresh(from: &Path, to: &Path) -> Result<(), Problem> {
    let entries = std::fs::read_dir(from).map_err(|cause| trouble(from, cause))?;
    std::fs::create_dir_all(to).map_err(|cause| trouble(to, cause))?;
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|cause| trouble(from, cause))?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(|cause| trouble(from, cause))?;
        if NOT_COPIED.iter().any(|it| name == *it) || kind.is_symlink() {
            continue;
        }
        let (source, copy) = (entry.path(), to.join(&name));
        names.insert(name);
        if kind.is_dir() {
            refresh(&source, &copy)?;
        } else if source.extension().is_none_or(|it| it != "rs") {
            // Rust files are written later, with their defects.
            let bytes = std::fs::read(&source).map_err(|cause| trouble(&source, cause))?;
            put(&copy, &bytes)?;
        }
    }
    let old = std::fs::read_dir(to).map_err(|cause| trouble(to, cause))?;
    for entry in old.flatten() {
        // The switch is of the copy alone.
        if names.contains(&entry.file_name()) || entry.file_name() == "mutant.rs" {
            continue;
        }
        let path = entry.path();
        let gone = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        gone.map_err(|cause| trouble(&path, cause))?;
    }
    Ok(())
}

/// Writes a file unless it holds the same bytes.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::write(path, bytes).map_err(|cause| trouble(path, cause))
}

/// Every Rust file of the workspace, by its path from the root.
pub(crate) fn rust_files(root: &Path) -> Result<Vec<String>, Problem> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|cause| trouble(&folder, cause))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let is_dir = entry.file_type().is_ok_and(|it| it.is_dir());
            if is_dir && !NOT_COPIED.iter().any(|it| entry.file_name() == *it) {
                folders.push(path);
            } else if !is_dir && path.extension().is_some_and(|it| it == "rs") {
                let inside = path.strip_prefix(root).unwrap_or(&path);
                found.push(inside.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The manifest of a package of the copy: the engine is built once, as a crate, and not as three libraries.
pub(crate) fn manifest(text: &str) -> String {
    text.replace(CRATE_TYPES, r#"["lib"]"#)
}

/// The root file of a crate, with the switch declared and without warnings: written defects are no good style.
pub(crate) fn crate_root(text: &str) -> String {
    format!("#![allow(warnings)]\n{text}\n#[doc(hidden)]\npub mod mutant;\n")
}

/// The files that a crate's build is made of, following `mod` from the crate's root and leaving out tests.
pub(crate) fn modules(root: &Path, crate_root: &str) -> Result<Vec<String>, Problem> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from(crate_root)];
    while let Some(file) = left.pop() {
        let path = root.join(&file);
        let text = std::fs::read_to_string(&path).map_err(|cause| trouble(&path, cause))?;
        let parsed = syn::parse_file(&text).map_err(|cause| trouble(&path, cause))?;
        for item in &parsed.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && !is_left_out(&module.attrs)
            {
                left.extend(file_of(root, &file, &module.ident.to_string()));
            }
        }
        found.push(file.to_string_lossy().into_owned());
    }
    found.sort();
    Ok(found)
}

/// The file of a module that another file declares.
fn file_of(root: &Path, parent: &Path, module: &str) -> Option<PathBuf> {
    let folder = parent.parent()?;
    let stem = parent.file_stem()?.to_string_lossy();
    let folder = match &*stem {
        "lib" | "main" | "mod" => folder.to_path_buf(),
        stem => folder.join(stem),
    };
    let names = [format!("{module}.rs"), format!("{module}/mod.rs")];
    let mut files = names.iter().map(|name| folder.join(name));
    files.find(|file| root.join(file).is_file())
}

fn trouble(path: &Path, cause: impl std::fmt::Display) -> Problem {
    Problem::while_doing(&path.to_string_lossy(), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_of_the_copy_is_one_library() {
        let text = std::fs::read_to_string(crate::tree::root().join("Cargo.toml")).unwrap();
        assert_ne!(manifest(&text), text);
    }

    #[test]
    fn the_modules_of_a_crate_are_its_files_without_tests() {
        let files = modules(&crate::tree::root(), "src/lib.rs").unwrap();
        let has = |name: &str| files.iter().any(|file| file == name);
        assert!(has("src/lib.rs") && has("src/sync/mod.rs") && has("src/wire/frame.rs"));
        assert!(!files.iter().any(|file| file.contains("/tests/")));
    }

    #[test]
    fn a_copy_keeps_what_is_the_same_and_loses_what_went() {
        let base = std::env::temp_dir().join(format!("sampan-xtask-copy-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        std::fs::create_dir_all(from.join("a/target")).unwrap();
        std::fs::write(from.join("a/b.toml"), "1").unwrap();
        std::fs::create_dir_all(to.join("a")).unwrap();
        std::fs::write(to.join("a/old.toml"), "2").unwrap();
        refresh(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("a/b.toml")).unwrap(), "1");
        assert!(!to.join("a/old.toml").exists() && !to.join("a/target").exists());
        std::fs::remove_dir_all(base).unwrap();
    }
}
