//! The store under torture: a few rounds in the suite, thousands by `cargo xtask torture store`.
//!
//! | file | what is done to the store |
//! |---|---|
//! | `budget.rs` | ten megabytes a round come into a store under a cap |
//! | `kill.rs` | processes killed while they open, recover, write and seal |
//! | `damage.rs` | files flipped, zeroed, cut, deleted, swapped, put back; one seed a case |
//! | `spoil.rs` | the ways in which a file is spoilt |
//! | `fault.rs` | every n-th operation of the disk refused |
//! | `full.rs` | a disk that is really full |
//! | `subject.rs` | the stores that are spoilt, and what must be left of them |
//!
//! Each test collects what went wrong over all its cases, prints one line of counts that begins
//! with `torture`, and fails at the end. `SAMPAN_TORTURE_ROUNDS` sets how many rounds,
//! `SAMPAN_TORTURE_FROM` the first seed, so that one case can be run alone.

mod budget;
mod damage;
mod fault;
mod full;
mod kill;
mod spoil;
mod subject;

use std::fmt::Display;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a case may take before it counts as hanging: a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many failures are told in full.
const TOLD: usize = 20;

/// The seeds of a run.
fn seeds(in_the_suite: u64) -> std::ops::Range<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let from: u64 = number("SAMPAN_TORTURE_FROM").unwrap_or(0);
    let rounds = number("SAMPAN_TORTURE_ROUNDS").unwrap_or(in_the_suite);
    from..from + rounds
}

/// Numbers that look like chance and are decided by a seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(1))
    }

    pub(super) fn next(&mut self) -> u64 {
        crate::splitmix::next(&mut self.0)
    }

    /// A number below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % end.max(1)
    }

    pub(super) fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next().to_le_bytes()[0];
        }
    }
}

/// The outcomes of a run's cases.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    panics: u64,
    hangs: u64,
    failures: Vec<String>,
}

impl Tally {
    /// Runs a case on a thread of its own: a panic and a hang are counted, and end nothing else.
    fn run<T: Send + 'static>(
        &mut self,
        what: impl Display,
        case: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Option<T> {
        self.cases += 1;
        let (done, ended) = mpsc::sync_channel(1);
        let running = thread::spawn(move || done.send(case()));
        match ended.recv_timeout(PATIENCE) {
            Ok(Ok(seen)) => return Some(seen),
            Ok(Err(wrong)) => self.failures.push(format!("{what}: {wrong}")),
            Err(RecvTimeoutError::Disconnected) => {
                self.panics += 1;
                let panic = running.join().expect_err("it ended without an answer");
                let words = panic.downcast_ref::<String>().cloned();
                let words = words.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()));
                let words = words.unwrap_or_default();
                self.failures.push(format!("{what}: panicked: {words}"));
            }
            Err(RecvTimeoutError::Timeout) => {
                self.hangs += 1;
                self.failures.push(format!("{what}: hangs"));
            }
        }
        None
    }

    /// Prints the line of counts, and fails if anything went wrong.
    fn end(self, name: &str, counts: impl Display) {
        for failure in self.failures.iter().take(TOLD) {
            println!("{failure}");
        }
        let Self {
            cases,
            panics,
            hangs,
            failures,
        } = self;
        let wrong = failures.len();
        println!(
            "torture {name}: {cases} cases, {panics} panics, {hangs} hangs, {wrong} wrong; {counts}"
        );
        assert!(failures.is_empty(), "{wrong} of {cases} cases");
    }
}
