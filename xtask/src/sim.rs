//! `cargo xtask sim`: the simulator, built to be quick and with every sum checked.

use crate::tree::run_program;
use crate::{Problem, Verdict};

/// What `cargo` is asked for before the simulator's own options.
pub(crate) const CARGO: [&str; 7] = [
    "run",
    "--quiet",
    "--profile",
    "sim",
    "-p",
    "sampan-sim",
    "--",
];

/// Runs the simulator with the options given. It says itself what it found.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    run_program(&CARGO, arguments)
}
