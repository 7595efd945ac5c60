//! The program `sampan-migrate`.

use std::process::ExitCode;

use clap::Parser as _;
use sampan_migrate::cli::{self, Arguments};

fn main() -> ExitCode {
    cli::run(Arguments::parse())
}
