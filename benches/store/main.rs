//! The cost of the store, beside SQLite in the same run: `cargo xtask bench store`.
//!
//! | file | what it holds |
//! |---|---|
//! | `workload.rs` | the messages and conversations: drawn words, random bytes, real history |
//! | `subject.rs` | what both stores are asked to do, and how a process of its own is told to |
//! | `ours.rs` | Sampan's store, through its public interface |
//! | `peer.rs` | SQLite through rusqlite: the same fields, the same rows in the same batches |
//! | `ingest.rs` | taking a million messages in; memory and disk after it |
//! | `open.rs` | opening in a fresh process |
//! | `read.rs` | pages: the newest, back through a long conversation, while messages come in |
//! | `enqueue.rs` | making a message durable, beside a raw append and `fdatasync` |
//! | `rows.rs` | figures and what is asked of them |
//!
//! Each store works in a process of its own, so that its memory can be told apart, and the two take
//! turns of a few seconds at most, so that a noisy machine is noisy for both. `SAMPAN_HISTORY` names
//! a file of recorded conversations (`tests/fixtures/chitchat/README.md`); without it the excerpt
//! there is taken several times over. Progress goes to standard error, the rows to standard output.
//! Processes are measured from `/proc`; where there is none, the bench says so and fails.

mod enqueue;
mod ingest;
#[expect(dead_code, reason = "this bench uses a part of what the benches share")]
#[path = "../spine/measure.rs"]
mod measure;
mod open;
mod ours;
mod peer;
mod read;
mod rows;
mod subject;
#[path = "../../examples/support/mod.rs"]
mod support;
mod workload;

use std::path::Path;

use serde_json::Value;

use subject::{Class, Kind, Setting};
use support::Outcome;
use workload::Text;

/// The amount of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// Messages of the large store, and of the ones for disk.
    large: u64,
    /// Messages of the small store, whose opening is compared with the large one's.
    small: u64,
    /// Messages that are made durable batch by batch.
    durable: u64,
    /// The number of page reads, and of enqueued messages, in each measurement.
    repeats: u32,
}

/// The figures that we publish.
const FULL: Pace = Pace {
    large: 1_000_000,
    small: 10_000,
    durable: 200_000,
    repeats: 1_000,
};

/// A fraction, to see that nothing is far off.
const QUICK: Pace = Pace {
    large: 60_000,
    small: 10_000,
    durable: 20_000,
    repeats: 200,
};

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, setting] = arguments.as_slice() {
        match mode.as_str() {
            subject::MODE => return subject::serve(&serde_json::from_str(setting)?),
            open::MODE => return open::child(&serde_json::from_str(setting)?),
            _ => {}
        }
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let rows = bench(if is_quick { QUICK } else { FULL })?;
    println!("{}", Value::Array(rows));
    Ok(())
}

fn bench(pace: Pace) -> Outcome<Vec<Value>> {
    // In the build's own folder: the system's folder for temporary files may be memory, which syncs in no time.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let at = |name: &str| folder.path().join(name);
    eprintln!("conditions: {}", measure::conditions());
    let mut rows = Vec::new();

    let words = (Text::Words, Class::Soon, pace.large);
    let large = ingest::pair(&at("large"), words, &mut rows)?;
    rows.extend(open::rows(&large, &at("small"), pace)?);
    rows.extend(read::rows(&large, pace)?);
    rows.extend(enqueue::rows(&large, pace)?);
    discard(&at("large"))?;

    let durable = (Text::Words, Class::Each, pace.durable);
    ingest::pair(&at("durable"), durable, &mut rows)?;
    discard(&at("durable"))?;
    for text in [Text::Real, Text::Random] {
        ingest::pair(&at("other"), (text, Class::Soon, pace.large), &mut rows)?;
        discard(&at("other"))?;
    }
    Ok(rows)
}

/// Gives the disk space of a measurement back.
fn discard(folder: &Path) -> Outcome<()> {
    Ok(std::fs::remove_dir_all(folder)?)
}

/// A store that was loaded, of each kind.
struct Loaded {
    ours: Setting,
    peer: Setting,
}

impl Loaded {
    fn in_folder(folder: &Path, (text, class, messages): (Text, Class, u64)) -> Self {
        let setting = |kind, name| Setting {
            kind,
            folder: folder.join(name),
            text,
            class,
            messages,
        };
        Self {
            ours: setting(Kind::Sampan, "sampan"),
            peer: setting(Kind::Sqlite, "sqlite"),
        }
    }
}
