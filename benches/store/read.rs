//! Pages: the newest of a conversation, back through a long one, and while messages come in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use sampan::store::{CommitClass, Overlay, Store};
use serde_json::Value;

use crate::measure::{Samples, median};
use crate::ours::{Ours, deliver, page_size};
use crate::rows::{SQLITE, Target, at_most, beside};
use crate::subject::{Answer, Ask, Setting, Worker};
use crate::support::Outcome;
use crate::support::show::Stopwatch;
use crate::workload::{Delivered, Workload};
use crate::{Loaded, Pace};

/// The number of turns that read the newest pages, and of walks through the long conversation.
const TURNS: usize = 5;

/// The slowest of a hundred pages while messages come in, in milliseconds.
const DURING_MAX_MS: f64 = 2.0;

/// The durations of a store's reads.
#[derive(Default)]
struct Times {
    newest: Samples,
    pages: Samples,
    walks: Vec<f64>,
}

pub(crate) fn rows(large: &Loaded, pace: Pace) -> Outcome<Vec<Value>> {
    eprintln!("pages");
    let mut workers = [Worker::start(&large.ours)?, Worker::start(&large.peer)?];
    let mut times = [Times::default(), Times::default()];
    for turn in 0..=TURNS {
        for (worker, times) in workers.iter_mut().zip(&mut times) {
            let newest = worker.ask(Ask::Newest(pace.repeats))?;
            let walk = worker.ask(Ask::Walk)?;
            // The first turn fills the caches.
            if turn > 0 {
                add(&mut times.newest, &newest);
                add(&mut times.pages, &walk);
                times.walks.push(walk.sum().as_secs_f64() * 1_000.0);
            }
        }
    }
    for worker in workers {
        worker.end()?;
    }
    let [mut ours, mut peer] = times;
    let mut row = |name: &str, pick: fn(&mut Times) -> f64, most: f64| {
        let (ours, peer) = ((pick(&mut ours), "ms"), (pick(&mut peer), SQLITE));
        beside(name, ours, peer, Target::AtMost(most))
    };
    let mut rows = vec![
        row("newest 20, p50", |it| it.newest.percentile_ms(50), 0.7),
        row("newest 20, p99", |it| it.newest.percentile_ms(99), 1.5),
        row(
            "back-paging by 20, whole",
            |it| median(it.walks.clone()),
            0.75,
        ),
        row(
            "back-paging by 20, p50",
            |it| it.pages.percentile_ms(50),
            0.7,
        ),
        row(
            "back-paging by 20, p99",
            |it| it.pages.percentile_ms(99),
            1.5,
        ),
    ];
    let p99 = during_ingest(&large.ours, pace)?;
    rows.push(at_most(
        "newest 20 while an ingest runs, p99",
        (p99, "ms"),
        DURING_MAX_MS,
    ));
    Ok(rows)
}

fn add(samples: &mut Samples, answer: &Answer) {
    for nanos in &answer.nanos {
        samples.add(Duration::from_nanos(*nanos));
    }
}

/// Reads pages while the writer commits one batch after the other, without a pause.
fn during_ingest(setting: &Setting, pace: Pace) -> Outcome<f64> {
    let mut ours = Ours::open(setting)?;
    let store = ours.store.clone();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let reads = scope.spawn(|| read_until(&store, &ended));
        let batches = later_batches(setting.messages);
        for batch in batches.into_iter().take(usize::try_from(pace.repeats)?) {
            let mut overlay = Overlay::new(&ours.store);
            deliver(&mut overlay, &batch)?;
            let batch = overlay.into_batch();
            ours.writer.commit(batch, CommitClass::Cache)?;
        }
        ended.store(true, Ordering::Relaxed);
        let mut samples = reads.join().map_err(|_| "the reader panicked")??;
        Ok(samples.percentile_ms(99))
    })
}

fn read_until(store: &Store, ended: &AtomicBool) -> Outcome<Samples> {
    let mut samples = Samples::default();
    let mut place = 0;
    while !ended.load(Ordering::Relaxed) {
        place = place % 999 + 1;
        let began = Stopwatch::start();
        page_size(store, place)?;
        samples.add(began.elapsed());
        // A reader is a person who scrolls, not a loop: sixty pages a second are many.
        thread::sleep(Duration::from_millis(2));
    }
    Ok(samples)
}

/// Batches that follow on the first `first` messages, made by a thread of their own for as long as
/// somebody takes them.
pub(crate) fn later_batches(first: u64) -> Receiver<Vec<Delivered>> {
    let (to, batches) = sync_channel(8);
    thread::spawn(move || -> Outcome<()> {
        let mut workload = Workload::behind(first)?;
        while to.send(workload.batch()?).is_ok() {}
        Ok(())
    });
    batches
}
