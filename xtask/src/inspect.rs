//! `cargo xtask store-inspect DIR`: what a store's folder holds, for people who debug.

use crate::tree::cargo;
use crate::{Problem, Verdict};
use std::process::Command;

/// What `cargo` is asked for before the program's own options: an optimised build, for a folder may
/// have hundreds of megabytes.
const CARGO: [&str; 8] = [
    "run",
    "--quiet",
    "--release",
    "-p",
    "sampan",
    "--bin",
    "store-inspect",
    "--",
];

/// Looks into the folder given. The program says itself what it found.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let status = Command::new(cargo())
        .args(CARGO)
        .args(arguments)
        .status()
        .map_err(|error| Problem::while_doing("running cargo", error))?;
    match status.code() {
        Some(0) => Ok(Verdict::Good),
        Some(1) => Ok(Verdict::Short),
        _ => Err(Problem(format!("the inspection ended with {status}"))),
    }
}
