//! Opening in a fresh process, up to the first twenty conversations and the newest twenty messages
//! of the first.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::measure::median;
use crate::rows::{SQLITE, Target, at_most, at_most_beside, beside, megabytes, to_f64};
use crate::subject::{self, Class, Memory, PAGE, Setting, memory};
use crate::support::Outcome;
use crate::support::show::{Stopwatch, grouped};
use crate::workload::Text;
use crate::{Loaded, Pace, ingest};

/// Makes this program one that opens a store instead of the bench.
pub(crate) const MODE: &str = "--open";

/// The number of times that each opening is done.
const TIMES: usize = 5;

/// The limits: milliseconds, megabytes, and how much more a large store may take.
const AFTER_SNAPSHOT_MAX_MS: f64 = 15.0;
const AFTER_LOAD_MAX_MS: f64 = 60.0;
const MEMORY_MAX_MEGABYTES: f64 = 12.0;
const LARGE_TO_SMALL_MAX: f64 = 1.5;

/// The time and memory of an opening.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Opening {
    micros: u64,
    memory: u64,
}

/// Opens a store, reads, and prints the time and memory of that.
pub(crate) fn child(setting: &Setting) -> Outcome<()> {
    let began = Stopwatch::start();
    let mut subject = subject::open(setting)?;
    let first = subject.list()?;
    let found = subject.newest(first)?;
    let micros = u64::try_from(began.elapsed().as_micros())?;
    if found != PAGE {
        return Err(format!("a page of {found} messages").into());
    }
    let memory = memory(Memory::Now)?;
    println!("{}", serde_json::to_string(&Opening { micros, memory })?);
    Ok(())
}

/// Openings of one store.
struct Openings {
    /// The first ones after it was loaded.
    after_load: (f64, f64),
    /// Later ones.
    after_snapshot: (f64, f64),
}

pub(crate) fn rows(large: &Loaded, small: &Path, pace: Pace) -> Outcome<Vec<Value>> {
    let few = (Text::Words, Class::Soon, pace.small);
    let small = Loaded::in_folder(small, few);
    ingest::load(&small)?;
    eprintln!("opening, {TIMES} times each");
    let (ours, few) = (openings(&large.ours)?, openings(&small.ours)?);
    let peer = openings(&large.peer)?;
    let many = grouped(pace.large);
    let ways = [
        (
            "right after a load",
            (ours.after_load, few.after_load),
            AFTER_LOAD_MAX_MS,
            peer.after_load,
        ),
        (
            "after a snapshot",
            (ours.after_snapshot, few.after_snapshot),
            AFTER_SNAPSHOT_MAX_MS,
            peer.after_snapshot,
        ),
    ];
    let mut rows = Vec::new();
    for (when, (large, small), most, peer) in ways {
        let name = format!("open with {many}, {when}");
        rows.push(at_most_beside(
            &name,
            (large.0, "ms"),
            most,
            (peer.0, SQLITE),
        ));
        rows.push(at_most(
            &format!("memory after it, {when}"),
            (large.1, "MB"),
            MEMORY_MAX_MEGABYTES,
        ));
        rows.push(beside(
            &format!("{name}, beside {}", grouped(pace.small)),
            (large.0, "ms"),
            (small.0, "the small store"),
            Target::AtMost(LARGE_TO_SMALL_MAX),
        ));
    }
    Ok(rows)
}

/// Opens a store again and again: copies of it as it was left, then one of them.
fn openings(setting: &Setting) -> Outcome<Openings> {
    let copy = Setting {
        folder: setting.folder.with_extension("copy"),
        ..setting.clone()
    };
    let mut firsts = Vec::new();
    for _ in 0..TIMES {
        let _ = fs::remove_dir_all(&copy.folder);
        copy_folder(&setting.folder, &copy.folder)?;
        firsts.push(open(&copy)?);
    }
    let later = (0..TIMES).map(|_| open(&copy)).collect::<Outcome<_>>()?;
    fs::remove_dir_all(&copy.folder)?;
    Ok(Openings {
        after_load: medians(firsts),
        after_snapshot: medians(later),
    })
}

/// Milliseconds and megabytes.
fn medians(openings: Vec<Opening>) -> (f64, f64) {
    let times = openings.iter().map(|it| to_f64(it.micros) / 1_000.0);
    let memory = openings.iter().map(|it| megabytes(it.memory));
    (median(times.collect()), median(memory.collect()))
}

fn open(setting: &Setting) -> Outcome<Opening> {
    let output = Command::new(std::env::current_exe()?)
        .args([MODE, &serde_json::to_string(setting)?])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub(crate) fn copy_folder(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            // The pending writes of the copy must not be measured with the next step.
            fs::File::open(&target)?.sync_all()?;
        }
    }
    Ok(())
}
