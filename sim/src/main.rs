//! `sampan-sim`: runs seeds on all cores, explains a failing one, hunts planted faults.

mod clock;

/// Half of what a run does is small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clock::Stopwatch;
use sampan_sim::{Counts, Mutation, Plan, Telling, Violation, run, shrink};

/// What is asked for when it is asked wrongly.
const USAGE: &str = "\
usage: sampan-sim [--seeds N] [--from S] [--seconds T]   runs seeds S, S+1, … on all cores
       sampan-sim --seed S [--trace]                     runs one seed; with its trace
       sampan-sim --shrink S [--check NAME]              makes a failing seed small and tells it
       sampan-sim --planted [--seeds N]                  hunts every planted fault";

/// What is asked for.
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

/// What all runs together came to.
#[derive(Default)]
struct Sum {
    runs: u64,
    counts: Counts,
    failures: Vec<(u64, Vec<Violation>)>,
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
        (None, None) if asked.planted => planted(asked.seeds.unwrap_or(300)),
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
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let over = limit.is_some_and(|limit| watch.elapsed() >= limit);
                    if number >= seeds || over {
                        return;
                    }
                    let seed = asked.from.saturating_add(number);
                    let outcome = run(&Plan::of_seed(seed), Telling::Silent);
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.runs += 1;
                    sum.counts.add(&outcome.counts);
                    if !outcome.violations.is_empty() {
                        sum.failures.push((seed, outcome.violations));
                        stop.store(sum.failures.len() >= 50, Ordering::Relaxed);
                    }
                }
            });
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

/// For each planted fault, how many seeds it takes until a check notices.
fn planted(seeds: u64) -> bool {
    let mut all = true;
    println!("| planted fault | seeds until noticed | noticed as |");
    println!("|---|---|---|");
    for mutation in Mutation::ALL {
        let found = (0..seeds).find_map(|seed| {
            let plan = Plan::of_seed(seed);
            let planted = run(&plan.clone().with(*mutation), Telling::Silent);
            let violation = planted.violations.into_iter().next()?;
            // A seed that fails without the planted fault proves nothing about it.
            let sound = run(&plan, Telling::Silent).violations.is_empty();
            sound.then_some((seed, violation.check))
        });
        match found {
            Some((seed, check)) => println!("| {mutation:?} | {} | {check} |", seed + 1),
            None => {
                println!("| {mutation:?} | not within {seeds} | |");
                all = false;
            }
        }
    }
    all
}
