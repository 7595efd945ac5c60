//! The one entry for people and CI: `cargo xtask COMMAND`.
//!
//! | file | what it holds |
//! |---|---|
//! | `main.rs` | the table of commands, and help |
//! | `test.rs` | `cargo xtask test`: runs the suites, sums what they counted |
//! | `suite.rs` | the table of suites: what each needs, runs and counts |
//! | `count.rs` | how the counts are read out of a test runner's output |
//! | `ran.rs` | the tests that ran, one by one, read out of the runners' reports |
//! | `conformance.rs` | `cargo xtask conformance`: holds done rows to the tests that passed |
//! | `step.rs` | one child process: its log, its time limit, its signs of life |
//! | `bindings.rs` | `cargo xtask bindings`: generates the code of other languages |
//! | `bench.rs` | `cargo xtask bench`: runs a bench program and judges its rows |
//! | `sim.rs` | `cargo xtask sim`: builds and runs the simulator |
//! | `inspect.rs` | `cargo xtask store-inspect`: what a store's folder holds |
//! | `torture.rs` | `cargo xtask torture`: the long runs that maltreat the store and the service |
//! | `fuzz.rs` | `cargo xtask fuzz`: hostile input for a decoder, by a seed |
//! | `mutants/` | `cargo xtask mutants`: how many planted defects the tests notice |
//! | `policy.rs`, `licence.rs` | `cargo xtask policy`: licences, bans and sources of dependencies |
//! | `swift.rs`, `kotlin.rs`, `words.rs` | what is added to the generated code of a language |
//! | `size.rs` | `cargo xtask size`: how large the library is inside an app, and of what |
//! | `surface.rs`, `layer.rs` | `cargo xtask surface`: what Swift and Kotlin offer, beside what they offered |
//! | `uses.rs` | what the tests of a language call of what it offers |
//! | `names.rs` | names that would break or blur the code of a language |
//! | `tree.rs` | where the workspace and its build output are |
//! | `clock.rs` | the only reader of the system's clock here |
//!
//! A command that falls short exits with 1, a command that was called wrongly with 2.

// The modules that tests/conformance.rs reads as well.
#[allow(dead_code, reason = "the test of the repository reads the rest")]
#[path = "../../tests/conformance/checks.rs"]
mod checks;
#[allow(dead_code, reason = "the test of the repository reads the rest")]
#[path = "../../tests/conformance/page.rs"]
mod page;
#[path = "../../tests/repository/mod.rs"]
mod repository;

mod bench;
mod bindings;
mod clock;
mod conformance;
mod count;
mod failures;
mod fuzz;
mod inspect;
mod kotlin;
mod layer;
mod licence;
mod mutants;
mod names;
mod phone;
mod policy;
mod ran;
mod sim;
mod size;
mod step;
mod suite;
mod surface;
mod swift;
mod test;
mod torture;
mod tree;
mod uses;
mod words;

use std::process::ExitCode;

/// The result of a command: the exit status follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything that was asked for holds.
    Good,
    /// Something falls short; the command has named it.
    Short,
}

/// The reason why a command could not do its work at all, in words for the person who called it.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) String);

impl Problem {
    /// A problem with the work that was being done when it happened.
    pub(crate) fn while_doing(what: &str, cause: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {cause}"))
    }
}

/// One command of this program.
struct Command {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<Verdict, Problem>,
}

/// Every command there is.
const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        usage: "test [--list] [SUITE…]",
        about: "runs all suites, or the named ones; ends with `N passed, M failed, K skipped`",
        run: test::run,
    },
    Command {
        name: "bench",
        usage: "bench NAME [--quick] [--json FILE]",
        about: "runs a bench in release mode; fails when a row misses its target",
        run: bench::run,
    },
    Command {
        name: "bindings",
        usage: "bindings swift|kotlin|python…",
        about: "generates the code of other languages from the library",
        run: bindings::run,
    },
    Command {
        name: "surface",
        usage: "surface",
        about: "compares what Swift and Kotlin offer with bindings/surface",
        run: surface::run,
    },
    Command {
        name: "size",
        usage: "size",
        about: "builds the library as apps get it; fails when it is too large or shows foreign symbols",
        run: size::run,
    },
    Command {
        name: "sim",
        usage: "sim [--seeds N] [--from S] [--seconds T] | --shrink S | --planted",
        about: "runs the simulator on all cores; ends with one line of counts (docs/proof.md)",
        run: sim::run,
    },
    Command {
        name: "store-inspect",
        usage: "store-inspect DIR [--json] [--key-file FILE]",
        about: "shows what a store's folder holds, without changing it; fails when something is wrong",
        run: inspect::run,
    },
    Command {
        name: "torture",
        usage: "torture store|service [--rounds N] [--from S] [--kind K]",
        about: "kills, damages and fills up the store, or attacks the service, for long; ends with its counts",
        run: torture::run,
    },
    Command {
        name: "fuzz",
        usage: "fuzz payload [--cases N] [--from S]",
        about: "feeds a decoder with hostile input by a seed; ends with how much it read (docs/proof.md)",
        run: fuzz::run,
    },
    Command {
        name: "store-phone",
        usage: "store-phone [CARGO-COMMAND ...]",
        about: "tests the store over its database as phones get it: no threads, its own sync (docs/store.md)",
        run: phone::run,
    },
    Command {
        name: "conformance",
        usage: "conformance",
        about: "holds the done rows of docs/conformance.md to the tests that passed in the last run of `test`",
        run: conformance::run,
    },
    Command {
        name: "mutants",
        usage: "mutants [--sample N] [--seed S] [--room R] [--only TEXT] [--also TEXT] [--it]",
        about: "plants a sample of defects in each room of the code, and tells which the tests miss (docs/proof.md)",
        run: mutants::run,
    },
    Command {
        name: "policy",
        usage: "policy",
        about: "holds every dependency to the licences, bans and sources of deny.toml",
        run: policy::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Short) => ExitCode::from(1),
        Err(Problem(what)) => {
            eprintln!("xtask: {what}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<Verdict, Problem> {
    let Some((name, rest)) = arguments.split_first() else {
        println!("{}", help());
        return Err(Problem("which command?".to_owned()));
    };
    if arguments
        .iter()
        .any(|word| matches!(word.as_str(), "--help" | "-h"))
        || name == "help"
    {
        println!("{}", help());
        return Ok(Verdict::Good);
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(rest),
        None => {
            let known: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
            Err(Problem(format!(
                "no command `{name}`; there are: {}",
                known.join(", ")
            )))
        }
    }
}

fn help() -> String {
    let mut text = String::from("cargo xtask COMMAND\n");
    for command in COMMANDS {
        text.push_str(&format!("\n  {}\n      {}\n", command.usage, command.about));
    }
    text.push_str(&format!(
        "\nSuites of `test`: {}\n",
        suite::names().join(", ")
    ));
    text.push_str(&format!("Benches of `bench`: {}\n", bench::names()));
    text.push_str("\nEnvironment:\n");
    text.push_str("  CI=true            a missing toolchain fails instead of being skipped\n");
    text.push_str("  SAMPAN_SWIFT=DIR   the folder of `swift`, where it is not on PATH\n");
    text.push_str("  CARGO_TARGET_DIR   where builds and logs go (default: target)");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_names_those_that_exist() {
        let Err(Problem(what)) = dispatch(&["tset".to_owned()]) else {
            panic!("an unknown command was accepted");
        };
        assert!(
            COMMANDS.iter().all(|command| what.contains(command.name)),
            "{what}"
        );
    }

    #[test]
    fn help_names_every_command_and_every_suite() {
        let help = help();
        assert!(COMMANDS.iter().all(|command| help.contains(command.usage)));
        assert!(suite::names().iter().all(|name| help.contains(name)));
    }
}
