//! `cargo xtask sim`: the simulator, built to be quick and with every sum checked.

use crate::tree::run_program;
use crate::{Problem, Verdict};

/// The arguments of `cargo` before the simulator's own options.
pub(crate) const CARGO: [&str; 7] = [
    "run",
    "--quiet",
    "--profile",
    "sim",
    "-p",
    "sampan-sim",
    "--",
];

/// The number of seeds that the suite runs: two and a half minutes on two quiet cores. The number is fixed, so
/// that a busy machine runs longer and looks at no less.
pub(crate) const SUITE_SEEDS: &str = "4000";

/// Runs the simulator with the options given. The simulator itself says the findings.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    run_program(&CARGO, arguments)
}
