//! `sampan-sim`: runs seeds on all cores, explains a failing one, hunts planted faults.

mod clock;

/// Small allocations take half of the time of a run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use clock::Stopwatch;
use sampan_sim::{Counts, Mutation, Outcome, Plan, Telling, Violation, run, shrink};

/// A run of many seeds ends early when so many have failed.
const FAILURES_MAX: usize = 50;

/// The answer to wrong flags.
const USAGE: &str = "\
usage: sampan-sim [--seeds N] [--from S] [--seconds T]   runs seeds S, S+1, … on all cores
       sampan-sim --seed S [--trace]                     runs one seed; with its trace
       sampan-sim --shrink S [--check NAME]              makes a failing seed small and tells it
       sampan-sim --planted                              hunts every planted fault";

/// The flags.
#[derive(Debug, Default)]
struct Asked {
    seeds: Option<u64>,
    from: u64,
    seconds: Option<u64>,
    seed: Option<u64>,
    shrink: Option<u64>,
    check: Option<String>,
    trace: bool,
    planted: bool,
}

/// The sum of all runs.
#[derive(Default)]
struct Sum {
    runs: u64,
    counts: Counts,
    failures: Vec<(u64, Vec<Violation>)>,
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.counts.add(&outcome.counts);
        if !outcome.violations.is_empty() {
            self.failures.push((seed, outcome.violations));
        }
    }
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(what) => {
            eprintln!("sampan-sim: {what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let good = match (asked.shrink, asked.seed) {
        (Some(seed), _) => explain(seed, asked.check.as_deref()),
        (None, Some(seed)) => one(seed, asked.trace),
        (None, None) if asked.planted => planted(),
        (None, None) => many(&asked),
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn asked(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        if word == "--check" {
            asked.check = words.next();
            continue;
        }
        let mut number = || {
            let text = words
                .next()
                .ok_or_else(|| format!("{word} needs a number"))?;
            text.parse::<u64>()
                .map_err(|_| format!("{word} needs a number, not {text}"))
        };
        match word.as_str() {
            "--seeds" => asked.seeds = Some(number()?),
            "--from" => asked.from = number()?,
            "--seconds" => asked.seconds = Some(number()?),
            "--seed" => asked.seed = Some(number()?),
            "--shrink" => asked.shrink = Some(number()?),
            "--trace" => asked.trace = true,
            "--planted" => asked.planted = true,
            _ => return Err(format!("no option {word}")),
        }
    }
    Ok(asked)
}

/// Runs seeds on all cores until they are done, or the time is over.
fn many(asked: &Asked) -> bool {
    // With a limit of time there is none of seeds, unless it is asked for.
    let without = if asked.seconds.is_some() {
        u64::MAX
    } else {
        1000
    };
    let seeds = asked.seeds.unwrap_or(without);
    let limit = asked.seconds.map(Duration::from_secs);
    let watch = Stopwatch::start();
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    on_all_cores(|| {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let over = limit.is_some_and(|limit| watch.elapsed() >= limit);
            if number >= seeds || over {
                return;
            }
            let seed = asked.from.saturating_add(number);
            let outcome = run(&Plan::of_seed(seed), Telling::Silent);
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(seed, outcome);
            stop.store(sum.failures.len() >= FAILURES_MAX, Ordering::Relaxed);
        }
    });
    report(
        &sum.into_inner().unwrap_or_else(PoisonError::into_inner),
        watch.elapsed(),
    )
}

fn report(sum: &Sum, took: Duration) -> bool {
    let mut failures: Vec<_> = sum.failures.iter().collect();
    failures.sort_by_key(|(seed, _)| *seed);
    for (seed, violations) in failures {
        for violation in violations.iter().take(3) {
            println!("seed {seed}: {violation}");
        }
    }
    if let Some((seed, _)) = sum.failures.iter().min_by_key(|(seed, _)| *seed) {
        println!("to read one: sampan-sim --shrink {seed}");
    }
    let counts = sum.counts;
    let rate = per_second(sum.runs, took);
    println!(
        "at most {} wakes at rest, {} frames unanswered on a socket, {} effects of an input, {} bytes on a \
         disk",
        counts.most_rings, counts.most_unanswered, counts.most_effects, counts.most_bytes,
    );
    println!(
        "{} seeds, {} failed, {rate} seeds/s: {} steps, {} frames, {} commits, {} messages, \
         {} answers, {} faults, {} power cuts, {} virtual hours",
        sum.runs,
        sum.failures.len(),
        counts.steps,
        counts.frames,
        counts.commits,
        counts.messages,
        counts.answers,
        counts.faults,
        counts.crashes,
        counts.millis / 3_600_000,
    );
    sum.failures.is_empty() && sum.runs > 0
}

fn per_second(runs: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    runs.saturating_mul(1000) / millis
}

fn one(seed: u64, trace: bool) -> bool {
    let telling = if trace {
        Telling::Lines
    } else {
        Telling::Silent
    };
    let outcome = run(&Plan::of_seed(seed), telling);
    println!("{}", outcome.trace);
    for violation in &outcome.violations {
        println!("seed {seed}: {violation}");
    }
    outcome.violations.is_empty()
}

fn explain(seed: u64, check: Option<&str>) -> bool {
    let Some(shrunk) = shrink(&Plan::of_seed(seed), check) else {
        println!("seed {seed} does not fail");
        return true;
    };
    println!("{}", shrunk.outcome.trace);
    println!("after {} runs, of {:?}:", shrunk.runs, shrunk.plan.shape);
    for action in &shrunk.plan.actions {
        println!("  {:>9.3} {:?}", action.at.as_secs_f64(), action.what);
    }
    for fault in &shrunk.plan.faults {
        println!("  {:>9.3} {:?}", fault.at.as_secs_f64(), fault.what);
    }
    for violation in &shrunk.outcome.violations {
        println!("seed {seed}: {violation}");
    }
    false
}

/// Hunts every planted fault on all cores. Good is: each was noticed within its limit.
fn planted() -> bool {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    on_all_cores(|| {
        while let Some(&mutation) = Mutation::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let seed = mutation.hunt();
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(mutation, seed);
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("| planted fault | noticed by seed | at most | noticed as |");
    println!("|---|---|---|---|");
    for (mutation, seed) in &found {
        let seed = seed.map_or_else(|| "NOT NOTICED".to_owned(), |seed| seed.to_string());
        println!(
            "| {mutation:?} | {seed} | {} | {} |",
            mutation.limit(),
            mutation.check()
        );
    }
    let noticed = found.values().filter(|seed| seed.is_some()).count();
    println!(
        "{noticed} of {} planted faults noticed",
        Mutation::ALL.len()
    );
    noticed == Mutation::ALL.len()
}

/// Runs `work` once on every core, and waits for all of them.
fn on_all_cores(work: impl Fn() + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
}
