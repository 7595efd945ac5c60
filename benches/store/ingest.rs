//! Taking messages in: how many a second, with how much memory, and what they take on disk.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::Loaded;
use crate::measure::Samples;
use crate::open::copy_folder;
use crate::ours::cache_megabytes;
use crate::rows::{SQLITE, Target, at_most_beside, beside, megabytes, to_f64};
use crate::subject::{Answer, Ask, Class, Setting, Worker};
use crate::support::Outcome;
use crate::support::show::{bytes, folder_bytes, grouped};
use crate::workload::{BATCH, Text};

/// The number of batches that a store takes in before it is the other's turn.
const TURN: u64 = 100;

/// The most memory while a million messages come in.
const PEAK_MAX_MEGABYTES: f64 = 64.0;

/// The figures of one store.
#[derive(Default)]
pub(crate) struct Done {
    messages: u64,
    took: Duration,
    peak: u64,
}

impl Done {
    fn add(&mut self, answer: &Answer) {
        self.took += answer.sum();
        self.peak = self.peak.max(answer.peak);
    }

    fn a_second(&self) -> f64 {
        to_f64(self.messages) / self.took.as_secs_f64()
    }
}

/// Loads a store of each kind, in turns, and adds the rows that this gives.
pub(crate) fn pair(
    folder: &Path,
    (text, class, messages): (Text, Class, u64),
    rows: &mut Vec<Value>,
) -> Outcome<Loaded> {
    let loaded = Loaded::in_folder(folder, (text, class, messages));
    let (ours, peer) = load(&loaded)?;
    let many = grouped(ours.messages);
    if text != Text::Real && text != Text::Random {
        let (name, least) = match class {
            Class::Soon => ("class cache", 1.7),
            Class::Each => ("durable batch by batch", 2.0),
        };
        rows.push(beside(
            &format!("ingest of {many}, {name}"),
            (ours.a_second(), "messages/s"),
            (peer.a_second(), SQLITE),
            Target::AtLeast(least),
        ));
    }
    if class == Class::Soon {
        rows.extend(disk(&loaded, text, &many)?);
    }
    if text == Text::Words && class == Class::Soon {
        rows.push(at_most_beside(
            &format!(
                "peak memory, ingest of {many}, cache {} MB",
                cache_megabytes()?
            ),
            (megabytes(ours.peak), "MB"),
            PEAK_MAX_MEGABYTES,
            (megabytes(peer.peak), "SQLite, cache 67 MB"),
        ));
    }
    Ok(loaded)
}

/// The disk space of both stores: as the load left them, and after the work that they do in idle time. Copies do that
/// work, for the other measurements take the stores as they were loaded.
fn disk(loaded: &Loaded, text: Text, many: &str) -> Outcome<Vec<Value>> {
    let (what, most) = match text {
        Text::Words => ("words", 0.75),
        Text::Real => ("real history", 0.75),
        Text::Random => ("incompressible bytes", 1.5),
    };
    let row = |when: &str, loaded: &Loaded, target| {
        beside(
            &format!("disk after {many} of {what}, {when}"),
            (megabytes(folder_bytes(&loaded.ours.folder)), "MB"),
            (megabytes(folder_bytes(&loaded.peer.folder)), SQLITE),
            target,
        )
    };
    let at_once = row("right after the load", loaded, Target::Nothing);
    let rested = loaded.rested()?;
    let later = row("after a rest", &rested, Target::AtMost(most));
    let mut rows = vec![at_once, later];
    if text == Text::Words {
        rows.push(newest(&rested)?);
    }
    for setting in [&rested.ours, &rested.peer] {
        std::fs::remove_dir_all(&setting.folder)?;
    }
    Ok(rows)
}

/// The cost of resting for the newest pages: those of quiet conversations are compressed.
fn newest(rested: &Loaded) -> Outcome<Value> {
    let mut times = [Samples::default(), Samples::default()];
    for (setting, times) in [&rested.ours, &rested.peer].into_iter().zip(&mut times) {
        let mut worker = Worker::start(setting)?;
        // The first pages fill the caches.
        for is_measured in [false, true] {
            let answer = worker.ask(Ask::Newest(1_000))?;
            let nanos = answer.nanos.iter().filter(|_| is_measured);
            nanos.for_each(|nanos| times.add(Duration::from_nanos(*nanos)));
        }
        worker.end()?;
    }
    let [mut ours, mut peer] = times;
    Ok(beside(
        "newest 20 after a rest, p50",
        (ours.percentile_ms(50), "ms"),
        (peer.percentile_ms(50), SQLITE),
        Target::Nothing,
    ))
}

impl Loaded {
    /// Copies of both stores that have done their work of idle time.
    fn rested(&self) -> Outcome<Self> {
        let rest = |setting: &Setting| -> Outcome<Setting> {
            let rested = Setting {
                folder: setting.folder.with_extension("rested"),
                ..setting.clone()
            };
            copy_folder(&setting.folder, &rested.folder)?;
            let mut worker = Worker::start(&rested)?;
            let took = worker.ask(Ask::Rest)?.sum();
            worker.end()?;
            eprintln!("{:?} rested for {took:.1?}", rested.kind);
            Ok(rested)
        };
        Ok(Self {
            ours: rest(&self.ours)?,
            peer: rest(&self.peer)?,
        })
    }
}

/// Loads both stores, in turns.
pub(crate) fn load(loaded: &Loaded) -> Outcome<(Done, Done)> {
    let mut workers = [Worker::start(&loaded.ours)?, Worker::start(&loaded.peer)?];
    let mut done = [Done::default(), Done::default()];
    let mut all = 0;
    for worker in &mut workers {
        all = worker.ask(Ask::Begin)?.left;
    }
    let mut left = all;
    while left > 0 {
        for (worker, done) in workers.iter_mut().zip(&mut done) {
            let answer = worker.ask(Ask::Ingest(TURN))?;
            left = answer.left;
            done.add(&answer);
            done.messages = all - left;
        }
        progress(&done);
    }
    for (worker, done) in workers.iter_mut().zip(&mut done) {
        done.add(&worker.ask(Ask::Finish)?);
    }
    for worker in workers {
        worker.end()?;
    }
    eprintln!(
        "loaded: {:?}, {} and {}",
        loaded.ours.text,
        bytes(folder_bytes(&loaded.ours.folder)),
        bytes(folder_bytes(&loaded.peer.folder))
    );
    let [ours, peer] = done;
    Ok((ours, peer))
}

fn progress([ours, peer]: &[Done; 2]) {
    if ours.messages.is_multiple_of(10 * TURN * BATCH) {
        eprintln!(
            "{}: {:.0} and {:.0} messages/s",
            grouped(ours.messages),
            ours.a_second(),
            peer.a_second()
        );
    }
}
