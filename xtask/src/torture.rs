//! `cargo xtask torture`: the long runs of the tests that maltreat the store, and of those that attack
//! the service.
//!
//! They are the suite's own tests with more rounds, built like the simulator: quick, and with every
//! sum checked. Each prints a line of counts; the last line here sums up which held.

use std::process::{Command, Stdio};

use crate::tree::cargo;
use crate::{Problem, Verdict};

/// One way to maltreat the store, and the tests that do.
struct Kind {
    name: &'static str,
    /// The arguments of `cargo test`: a package's target, and the tests' common name.
    target: &'static [&'static str],
    filter: &'static str,
    rounds: u64,
}

const LIBRARY: &[&str] = &["-p", "sampan", "--lib"];

const KINDS: &[Kind] = &[
    Kind {
        name: "kill",
        target: LIBRARY,
        filter: "store::tests::torture::kill",
        rounds: 2_000,
    },
    Kind {
        name: "damage",
        target: LIBRARY,
        filter: "store::tests::torture::damage",
        rounds: 2_000,
    },
    Kind {
        name: "fault",
        target: LIBRARY,
        filter: "store::tests::torture::fault",
        // Each round refuses more than two thousand operations.
        rounds: 8,
    },
    Kind {
        name: "full",
        target: LIBRARY,
        filter: "store::tests::torture::full",
        rounds: 200,
    },
    Kind {
        name: "budget",
        target: LIBRARY,
        filter: "store::tests::torture::budget",
        rounds: 20,
    },
    Kind {
        name: "engine",
        target: &["-p", "sampan", "--test", "it"],
        filter: "damage::",
        rounds: 300,
    },
];

/// The ways to maltreat the service.
const SERVICE_KINDS: &[Kind] = &[
    Kind {
        name: "attacks",
        target: &["-p", "sampan-service", "--test", "hostile"],
        filter: "together::all_attacks",
        rounds: 100,
    },
    Kind {
        name: "salvage",
        target: &["-p", "sampan-service", "--lib"],
        filter: "salvage::tests",
        rounds: 2_000,
    },
];

/// Runs the kinds asked for, or all.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let mut words = arguments.iter().map(String::as_str);
    let all = match words.next() {
        Some("store") => KINDS,
        Some("service") => SERVICE_KINDS,
        _ => {
            return Err(Problem(
                "torture what? There are: store, service".to_owned(),
            ));
        }
    };
    let (mut rounds, mut from, mut chosen) = (None, None, None);
    while let Some(word) = words.next() {
        let value = words.next();
        match (word, value) {
            ("--rounds", Some(value)) => rounds = Some(number(value)?),
            ("--from", Some(value)) => from = Some(number(value)?),
            ("--kind", Some(value)) => chosen = Some(value),
            _ => return Err(Problem(format!("`{word}` is not understood; see help"))),
        }
    }
    let kinds: Vec<&Kind> = all
        .iter()
        .filter(|kind| chosen.is_none_or(|chosen| chosen == kind.name))
        .collect();
    if kinds.is_empty() {
        let names: Vec<&str> = all.iter().map(|kind| kind.name).collect();
        return Err(Problem(format!("kinds of torture: {}", names.join(", "))));
    }
    let mut fell = Vec::new();
    for kind in &kinds {
        if !held(kind, rounds.unwrap_or(kind.rounds), from.unwrap_or(0))? {
            fell.push(kind.name);
        }
    }
    let held = kinds.len() - fell.len();
    println!(
        "torture: {held} held, {} failed {}",
        fell.len(),
        fell.join(", ")
    );
    Ok(if fell.is_empty() {
        Verdict::Good
    } else {
        Verdict::Short
    })
}

fn number(word: &str) -> Result<u64, Problem> {
    word.parse()
        .map_err(|_| Problem(format!("`{word}` is no number")))
}

/// Runs one kind to its end, and shows the lines that count. The database's words when it gives up are left
/// out: thousands of damaged files make it give up thousands of times.
fn held(kind: &Kind, rounds: u64, from: u64) -> Result<bool, Problem> {
    println!("torture {}: {rounds} rounds from {from}", kind.name);
    let output = Command::new(cargo())
        .args(["test", "--quiet", "--profile", "sim"])
        .args(kind.target)
        .args([kind.filter, "--", "--nocapture", "--test-threads", "1"])
        .env("SAMPAN_TORTURE_ROUNDS", rounds.to_string())
        .env("SAMPAN_TORTURE_FROM", from.to_string())
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| Problem::while_doing("running cargo", error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let lines = said.lines().map(without_progress);
    let counted = lines.filter(|line| tells(line));
    let lines: Vec<&str> = counted.collect();
    for line in &lines {
        println!("{line}");
    }
    let counts = lines.iter().any(|line| line.starts_with("torture "));
    if !counts {
        let trouble = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = trouble.lines().rev().take(20).collect();
        for line in last.iter().rev() {
            println!("{line}");
        }
    }
    Ok(output.status.success() && counts)
}

/// A line without the characters that tell of tests that passed or were ignored before it.
fn without_progress(line: &str) -> &str {
    line.trim_start_matches(['.', 'i'])
}

/// True if a line is a count or a failed case.
fn tells(line: &str) -> bool {
    ["torture ", "seed ", "short of "]
        .iter()
        .any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_before_anything_runs() {
        for words in [
            &["stroe"][..],
            &["store", "--kind", "none"],
            &["store", "--rounds"],
            &["store", "--rounds", "many"],
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert!(run(&words).is_err(), "{words:?}");
        }
    }
}
