//! The sources of this repository, for the tests that read them.

use std::path::{Path, PathBuf};

/// Folders that hold what was built or fetched, not what we wrote.
const NOT_OURS: [&str; 6] = [
    ".git",
    "target",
    "node_modules",
    ".build",
    ".gradle",
    "__pycache__",
];

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root, with `/` on every platform.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the workspace: the folder of its lock file, above the package that reads it.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = package.ancestors();
    let root = folders.find(|folder| folder.join("Cargo.lock").exists());
    root.unwrap_or(package).to_path_buf()
}

/// Every text file whose name ends in one of `endings`, sorted by path.
pub(crate) fn sources(endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), "", endings, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn walk(folder: &Path, prefix: &str, endings: &[&str], found: &mut Vec<Source>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending))
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            found.push(Source { path, text });
        }
    }
}
