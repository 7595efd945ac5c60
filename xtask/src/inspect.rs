//! `cargo xtask store-inspect DIR`: what a store's folder holds, for people who debug.

use crate::tree::run_program;
use crate::{Problem, Verdict};

/// The arguments of `cargo` before the program's own options: an optimised build, for a folder may have
/// hundreds of megabytes.
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

/// Looks into the folder given. The program itself says the findings.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    run_program(&CARGO, arguments)
}
