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

/// How many seeds the suite runs: two and a half minutes on two quiet cores. A fixed number, so that a busy
/// machine runs longer and looks at no less.
pub(crate) const SUITE_SEEDS: &str = "4000";

/// Runs the simulator with the options given. It says itself what it found.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    run_program(&CARGO, arguments)
}
