//! The shim before the C library that writes down each sync, rename and link that the system has done, for tests of
//! the engine and of the service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the file that the shim writes to, and the watched process itself.
pub(crate) const LOG: &str = "SAMPAN_TEST_SYNC_LOG";

/// Writes a line for each sync, rename and link that went well.
const SOURCE: &str = include_str!("syncs.c");

/// Compiles the shim into a folder. Where there is no compiler for C, a test has to leave: the answer is none then.
///
/// # Panics
///
/// Where there is no compiler and `CI` is set.
pub(crate) fn compiled(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status();
    let is_there = compiled.is_ok_and(|status| status.success());
    if !is_there {
        println!("SKIPPED: there is no `cc` to compile the shim that sees syncs");
        assert!(std::env::var_os("CI").is_none(), "CI needs `cc`");
    }
    is_there.then_some(library)
}
