//! `cargo xtask store-inspect DIR`: what a store's folder holds, for people who debug.

use crate::tree::run_program;
use crate::{Problem, Verdict};

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
    run_program(&CARGO, arguments)
}
