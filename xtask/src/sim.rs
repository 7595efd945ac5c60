//! `cargo xtask sim`: the simulator, built to be quick and with every sum checked.

use crate::tree::cargo;
use crate::{Problem, Verdict};
use std::process::Command;

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
    let status = Command::new(cargo())
        .args(CARGO)
        .args(arguments)
        .status()
        .map_err(|error| Problem::while_doing("running cargo", error))?;
    match status.code() {
        Some(0) => Ok(Verdict::Good),
        Some(1) => Ok(Verdict::Short),
        _ => Err(Problem(format!("the simulator ended with {status}"))),
    }
}
