//! The folders of the workspace and of its build output.

use crate::{Problem, Verdict};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The two folders that every command works from.
pub(crate) struct Tree {
    /// The folder of the workspace's Cargo.toml.
    pub(crate) root: PathBuf,
    /// The folder that holds `debug/` and `release/`.
    pub(crate) target: PathBuf,
}

impl Tree {
    /// Finds the workspace that this program was started from.
    pub(crate) fn find() -> Result<Self, Problem> {
        let root = root();
        let metadata = metadata(&root, &["--no-deps"])?;
        let target = metadata.get("target_directory").and_then(Value::as_str);
        let target = target.ok_or_else(|| Problem("cargo metadata names no target".to_owned()))?;
        Ok(Self {
            target: PathBuf::from(target),
            root,
        })
    }

    /// The folder that logs and reports go to; made when it is missing.
    pub(crate) fn reports(&self) -> Result<PathBuf, Problem> {
        let folder = self.target.join("xtask");
        std::fs::create_dir_all(&folder)
            .map_err(|cause| Problem::while_doing("making the folder of reports", cause))?;
        Ok(folder)
    }

    /// A program that the build step leaves in the development profile's folder.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.target
            .join("debug")
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}

/// The cargo that started us, so that a pinned toolchain stays pinned.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// The answer of `cargo metadata` about the workspace.
pub(crate) fn metadata(root: &Path, options: &[&str]) -> Result<Value, Problem> {
    let output = Command::new(cargo())
        .args(["metadata", "--format-version", "1"])
        .args(options)
        .current_dir(root)
        .output()
        .map_err(|cause| Problem::while_doing("starting cargo metadata", cause))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Problem::while_doing("cargo metadata", complaint));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|cause| Problem::while_doing("reading cargo metadata", cause))
}

/// The workspace's root. Cargo names this package's folder when it runs us; a binary that is started by hand
/// takes the folder that was compiled in.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let package = PathBuf::from(package);
    package
        .parent()
        .map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Runs a program of the workspace through `cargo`, with the arguments given. The program itself says its
/// findings, and ends with 1 if they are not good.
pub(crate) fn run_program(cargo_words: &[&str], arguments: &[String]) -> Result<Verdict, Problem> {
    let status = Command::new(cargo())
        .args(cargo_words)
        .args(arguments)
        .status()
        .map_err(|error| Problem::while_doing("running cargo", error))?;
    match status.code() {
        Some(0) => Ok(Verdict::Good),
        Some(1) => Ok(Verdict::Short),
        _ => Err(Problem(format!("the program ended with {status}"))),
    }
}
