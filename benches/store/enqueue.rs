//! The time until a message of 200 bytes is durable: idle, and while messages come in.
//!
//! Beside it, in the same loop and on the same disk, a raw append to a preallocated file with
//! `fdatasync`. While messages come in, one thread commits batch after batch without a pause, as
//! the engine's loop does, and takes what is enqueued between two of them; the time counts from
//! when the app asks.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use sampan::model::{LocalId, Mentions, MessageContent, OutboxEntryId, Timestamp};
use sampan::store::{CommitClass, Intent, Overlay, SendIntent};
use serde_json::Value;

use crate::measure::Samples;
use crate::ours::{Ours, deliver, number};
use crate::read::later_batches;
use crate::rows::{Target, at_most_beside, beside};
use crate::subject::Setting;
use crate::support::Outcome;
use crate::support::show::Stopwatch;
use crate::{Loaded, Pace};

/// The raw file's size in bytes: all appends fit.
const PREALLOCATED: usize = 4 * 1024 * 1024;

/// The size of a raw append, in bytes: a message, framed.
const APPENDED: usize = 512;

/// The most beside the raw append, and the slowest of a hundred while messages come in.
const RATIO_MAX: f64 = 1.2;
const DURING_MAX_MS: f64 = 3.0;

const RAW: &str = "raw append + fdatasync";

pub(crate) fn rows(large: &Loaded, pace: Pace) -> Outcome<Vec<Value>> {
    eprintln!("enqueueing, {} times", pace.repeats);
    let folder = large.ours.folder.with_extension("raw");
    let mut rows = Vec::new();
    let (mut ours, mut raw) = idle(&large.ours, &mut preallocated(&folder)?, pace)?;
    rows.push(row("durable enqueue, idle, p50", 50, &mut ours, &mut raw));
    rows.push(row("durable enqueue, idle, p99", 99, &mut ours, &mut raw));
    let (mut ours, mut raw) = during(&large.ours, &mut preallocated(&folder)?, pace)?;
    rows.push(row(
        "durable enqueue during an ingest, p50",
        50,
        &mut ours,
        &mut raw,
    ));
    rows.push(at_most_beside(
        "durable enqueue during an ingest, p99",
        (ours.percentile_ms(99), "ms"),
        DURING_MAX_MS,
        (raw.percentile_ms(99), RAW),
    ));
    Ok(rows)
}

fn row(name: &str, percent: usize, ours: &mut Samples, raw: &mut Samples) -> Value {
    let target = match percent {
        50 => Target::AtMost(RATIO_MAX),
        _ => Target::Nothing,
    };
    let ours = (ours.percentile_ms(percent), "ms");
    beside(name, ours, (raw.percentile_ms(percent), RAW), target)
}

/// One after the other; each entry is settled as if it had been acknowledged at once.
fn idle(setting: &Setting, raw: &mut File, pace: Pace) -> Outcome<(Samples, Samples)> {
    let mut ours = Ours::open(setting)?;
    let [mut stored, mut appended] = [(); 2].map(|()| Samples::default());
    for turn in 0..pace.repeats {
        // The first of the two has a disk that rested a little longer.
        for step in 0..2 {
            let began = Stopwatch::start();
            if (turn + step) % 2 == 0 {
                append(raw)?;
                appended.add(began.elapsed());
            } else {
                let mut overlay = Overlay::new(&ours.store);
                let entry = enqueue(&mut overlay, turn)?;
                let batch = overlay.into_batch();
                ours.writer.commit(batch, CommitClass::Intent)?;
                stored.add(began.elapsed());
                settle(&mut ours, &[entry])?;
            }
        }
    }
    Ok((stored, appended))
}

/// A wish of the app's: which one, and where the answer goes.
type Wish = (u32, Sender<()>);

/// The app enqueues now and then, while the writer is busy without a pause.
fn during(setting: &Setting, raw: &mut File, pace: Pace) -> Outcome<(Samples, Samples)> {
    let mut ours = Ours::open(setting)?;
    let (ask, wishes) = channel();
    thread::scope(|scope| {
        let app = scope.spawn(move || app(&ask, raw, pace));
        // Behind what other measurements put in already.
        let batches = later_batches(setting.messages * 10);
        while take_wishes(&mut ours, &wishes)? {
            let batch = batches.recv()?;
            let mut overlay = Overlay::new(&ours.store);
            deliver(&mut overlay, &batch)?;
            let batch = overlay.into_batch();
            ours.writer.commit(batch, CommitClass::Cache)?;
        }
        app.join().map_err(|_| "the app panicked")?
    })
}

/// Enqueues all that the app asked for meanwhile, in one commit; false when the app is done.
fn take_wishes(ours: &mut Ours, wishes: &Receiver<Wish>) -> Outcome<bool> {
    use std::sync::mpsc::TryRecvError;
    let mut overlay = Overlay::new(&ours.store);
    let (mut entries, mut waiting) = (Vec::new(), Vec::new());
    loop {
        match wishes.try_recv() {
            Ok((turn, answer)) => {
                entries.push(enqueue(&mut overlay, turn)?);
                waiting.push(answer);
            }
            Err(TryRecvError::Empty) => break,
            Err(TryRecvError::Disconnected) => return Ok(false),
        }
    }
    if entries.is_empty() {
        return Ok(true);
    }
    let batch = overlay.into_batch();
    ours.writer.commit(batch, CommitClass::Intent)?;
    for answer in waiting {
        answer.send(())?;
    }
    settle(ours, &entries)?;
    Ok(true)
}

/// The app's thread: enqueues and appends raw, by turns, with pauses.
fn app(ask: &Sender<Wish>, raw: &mut File, pace: Pace) -> Outcome<(Samples, Samples)> {
    let [mut stored, mut appended] = [(); 2].map(|()| Samples::default());
    for turn in 0..pace.repeats {
        // Not in step with the batches.
        thread::sleep(Duration::from_micros(
            2_000 + u64::from(turn * 7_919 % 5_000),
        ));
        let began = Stopwatch::start();
        append(raw)?;
        appended.add(began.elapsed());
        thread::sleep(Duration::from_micros(
            2_000 + u64::from(turn * 104_729 % 5_000),
        ));
        let (answer, answered) = channel();
        let began = Stopwatch::start();
        ask.send((turn, answer))?;
        answered.recv()?;
        stored.add(began.elapsed());
    }
    Ok((stored, appended))
}

fn enqueue(overlay: &mut Overlay<'_>, turn: u32) -> Outcome<OutboxEntryId> {
    let intent = Intent::Send(SendIntent {
        content: MessageContent::text("word ".repeat(40)),
        mentions: Mentions::default(),
        receipt: true,
        transient: false,
        push: None,
        priority: None,
        will: false,
        upload: None,
    });
    let token = LocalId::new(format!("{turn:024x}"))?;
    let at = Timestamp::from_millis(1_800_000_000_000 + i64::from(turn));
    let conversation = number(usize::try_from(turn % 999)? + 1)?;
    Ok(overlay.enqueue(conversation, token, at, intent)?)
}

fn settle(ours: &mut Ours, entries: &[OutboxEntryId]) -> Outcome<()> {
    let mut overlay = Overlay::new(&ours.store);
    for entry in entries {
        overlay.settle(*entry);
    }
    let batch = overlay.into_batch();
    ours.writer.commit(batch, CommitClass::Cache)?;
    Ok(())
}

/// A file whose blocks are all written, so that a sync has data to write and nothing else.
fn preallocated(path: &Path) -> Outcome<File> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0; PREALLOCATED])?;
    file.sync_all()?;
    file.rewind()?;
    Ok(file)
}

fn append(file: &mut File) -> Outcome<()> {
    file.write_all(&[7; APPENDED])?;
    Ok(file.sync_data()?)
}
