//! `cargo xtask fuzz`: hostile input for a decoder, far more than the suite's own tests read.
//!
//! A target is a test of the suite that mutates a corpus by a seed. Coverage-guided fuzzers need a nightly
//! compiler, which this workspace does not use.

use std::process::Command;

use crate::tree::cargo;
use crate::{Problem, Verdict};

/// A decoder, and the test that feeds it.
struct Target {
    name: &'static str,
    package: &'static str,
    test: &'static str,
}

const TARGETS: &[Target] = &[Target {
    name: "payload",
    package: "sampan",
    test: "wire::content::fuzz::any_payload_is_read_without_loss_and_without_a_panic",
}];

/// The number of inputs that are made if no number is given.
const CASES: u64 = 5_000_000;

/// The arguments of a call.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    name: &'a str,
    cases: u64,
    from: u64,
}

/// Feeds a target; the test's own words say which seed broke it.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, Problem> {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let wanted = parse(&words)?;
    let target = TARGETS.iter().find(|it| it.name == wanted.name);
    let target = target.ok_or_else(|| Problem(format!("no target {}", wanted.name)))?;
    let status = Command::new(cargo())
        .args([
            "test",
            "--profile",
            "sim",
            "-p",
            target.package,
            "--lib",
            "--",
        ])
        .args(["--exact", target.test, "--nocapture"])
        .env("SAMPAN_FUZZ_CASES", wanted.cases.to_string())
        .env("SAMPAN_FUZZ_FROM", wanted.from.to_string())
        .status()
        .map_err(|error| Problem::while_doing("starting cargo", error))?;
    Ok(if status.success() {
        let Wanted { cases, from, .. } = wanted;
        println!("{cases} payloads from seed {from}, all read and written again");
        Verdict::Good
    } else {
        Verdict::Short
    })
}

fn parse<'a>(words: &[&'a str]) -> Result<Wanted<'a>, Problem> {
    let usage = || Problem("fuzz payload [--cases N] [--from S]".to_owned());
    let (name, options) = words.split_first().ok_or_else(usage)?;
    let mut wanted = Wanted {
        name,
        cases: CASES,
        from: 1,
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let number = options.next().and_then(|it| it.parse().ok());
        let number = number.ok_or_else(usage)?;
        match *option {
            "--cases" => wanted.cases = number,
            "--from" => wanted.from = number,
            _ => return Err(usage()),
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_a_target_and_may_say_how_much_and_from_where() {
        let wanted = parse(&["payload", "--from", "7", "--cases", "9"]).unwrap();
        let expected = Wanted {
            name: "payload",
            cases: 9,
            from: 7,
        };
        assert_eq!(wanted, expected);
        assert_eq!(parse(&["payload"]).unwrap().cases, CASES);
        for wrong in [&[][..], &["payload", "--cases"], &["payload", "--all", "1"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
