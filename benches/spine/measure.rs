//! Percentiles, rows, and what the system says of a process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Outcome;

/// Durations of the same thing, done many times.
#[derive(Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// The duration that `percent` of a hundred don't exceed, in milliseconds.
    pub(crate) fn percentile_ms(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let at = (self.0.len() * percent / 100).min(last);
        self.0
            .get(at)
            .map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0)
    }
}

/// The middle one of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The limit that a ratio must keep.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// No limit: the ratio is only shown.
    Nothing,
}

/// A row beside a peer's figure.
pub(crate) fn beside(
    name: &str,
    (value, unit): (f64, &str),
    (peer, whose): (f64, &str),
    target: Target,
) -> Value {
    let ratio = value / peer;
    let (asked, pass) = match target {
        Target::AtMost(most) => (json!(format!("at most {most} × the peer")), ratio <= most),
        Target::AtLeast(least) => (
            json!(format!("at least {least} × the peer")),
            ratio >= least,
        ),
        Target::Nothing => (Value::Null, true),
    };
    json!({
        "name": name, "value": value, "unit": unit, "peer": format!("{peer:.3} {unit}, {whose}"),
        "ratio": ratio, "target": asked, "pass": pass,
    })
}

/// A row without a peer, for information.
pub(crate) fn alone(name: &str, value: f64, unit: &str) -> Value {
    json!({
        "name": name, "value": value, "unit": unit,
        "peer": null, "ratio": null, "target": null, "pass": true,
    })
}

/// The processor time of a process so far, and its threads.
pub(crate) struct Usage {
    /// Time of the processor, in all threads, those that ended included; to hundredths of a second.
    pub(crate) processor: Duration,
    /// The threads, by their folders.
    threads: BTreeMap<PathBuf, Thread>,
}

/// The sleeps and the processor time of a thread so far.
struct Thread {
    name: String,
    /// The number of times that it went to sleep.
    sleeps: u64,
    processor: Duration,
}

/// The work of an idle process.
pub(crate) struct Idle {
    /// The number of times that a thread woke up.
    pub(crate) wake_ups: u64,
    /// Those of the wake-ups that were the embedded database's own threads'.
    pub(crate) of_database: u64,
    pub(crate) processor: Duration,
}

impl Usage {
    /// Asks the system about a process.
    pub(crate) fn of(process: u32) -> Outcome<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name in parentheses may have spaces; user and system time are 12 and 13 behind it.
        let (_, rest) = stat
            .rsplit_once(')')
            .ok_or("the system tells no processor time")?;
        let mut ticks = 0;
        for field in rest.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u64>()?;
        }
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let folder = thread?.path();
            // A thread that ends meanwhile is not counted.
            if let Some(thread) = Thread::read(&folder) {
                threads.insert(folder, thread);
            }
        }
        Ok(Self {
            processor: Duration::from_millis(ticks * 10),
            threads,
        })
    }

    /// The work of the threads between this measurement and a later one; a thread that has ended meanwhile is left
    /// out.
    pub(crate) fn until(&self, later: &Self) -> Idle {
        let mut idle = Idle {
            wake_ups: 0,
            of_database: 0,
            processor: Duration::ZERO,
        };
        for (folder, thread) in &later.threads {
            let before = self.threads.get(folder);
            let sleeps = before.map_or(0, |before| before.sleeps);
            let processor = before.map_or(Duration::ZERO, |before| before.processor);
            let wake_ups = thread.sleeps.saturating_sub(sleeps);
            idle.wake_ups += wake_ups;
            if thread.name.starts_with("sled-") {
                idle.of_database += wake_ups;
            }
            idle.processor += thread.processor.saturating_sub(processor);
        }
        idle
    }
}

impl Thread {
    fn read(folder: &Path) -> Option<Self> {
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let times = fs::read_to_string(folder.join("schedstat")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            name: field("Name:")?.trim().to_owned(),
            sleeps: field("voluntary_ctxt_switches:")?.trim().parse().ok()?,
            processor: Duration::from_nanos(times.split_whitespace().next()?.parse().ok()?),
        })
    }
}

/// The conditions of the machine, on which the figures depend as well.
pub(crate) fn conditions() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{processors} processors, load {load}, {} {}",
        std::env::consts::OS,
        system.trim()
    )
}

/// Exact up to 2^53, which no figure here reaches.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a bench are far below 2^53"
)]
pub(crate) fn to_f64(number: u64) -> f64 {
    number as f64
}
