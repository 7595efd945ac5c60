//! Every n-th operation of the disk refused, once or from then on, while the store is written, sealed,
//! opened, rebuilt and brought forward: accepted writes stay, refusals are typed, reads go on, and writing
//! resumes.

use std::collections::BTreeSet;

use super::{Tally, seeds};
use crate::model::StoreHealth;
use crate::store::disk::memory::Fault;
use crate::store::error::StoreError;
use crate::store::read::items::TimelineItem;
use crate::store::tests::*;

/// The operations that are refused, one after the other.
const OPERATIONS: u64 = 500;

/// A run of the suite takes one of them in so many.
const IN_THE_SUITE: usize = 29;

#[derive(Clone, Copy, Debug)]
enum Mode {
    Once,
    From,
    /// Looking, reading and making files count too.
    AnyOnce,
    AnyFrom,
}

const MODES: [Mode; 4] = [Mode::Once, Mode::From, Mode::AnyOnce, Mode::AnyFrom];

impl Mode {
    fn fault(self, disk: &MemoryDisk, nth: u64) -> Fault {
        let operation = disk.operations() + nth;
        let access = disk.accesses() + nth;
        match self {
            Self::Once => Fault::Once { operation },
            Self::From => Fault::From { operation },
            Self::AnyOnce => Fault::AnyOnce { access },
            Self::AnyFrom => Fault::AnyFrom { access },
        }
    }
}

/// The writes that were accepted.
#[derive(Clone, Debug, Default)]
struct Accepted {
    texts: BTreeSet<String>,
    /// The times of messages whose commit was durable.
    times: BTreeSet<i64>,
}

fn open(disk: &MemoryDisk) -> Result<Opened, String> {
    Store::in_memory(disk, client("me")).map_err(|error| format!("opening: {error}"))
}

/// Sends and receives until the disk refuses.
fn write(opened: &mut Opened, accepted: &mut Accepted, upto: usize) -> Result<(), String> {
    let is_refusal =
        |error: &StoreError| matches!(error, StoreError::Io { .. } | StoreError::ReadOnly { .. });
    for n in 0..upto {
        let time = i64::try_from(opened.store.seq().0).unwrap() * 10;
        let text = format!("text {time} {n}");
        let mut overlay = Overlay::new(&opened.store);
        let number = match overlay.conversation_or_unknown(&conversation_id("c")) {
            Ok(number) => number,
            Err(error) => return Err(format!("reading: {error}")),
        };
        overlay
            .enqueue(number, local(&text.replace(' ', "-")), at(1), send(&text))
            .map_err(|error| format!("enqueueing: {error}"))?;
        let batch = overlay.into_batch();
        match opened.writer.commit(batch, CommitClass::Intent) {
            Ok(_) => accepted.texts.insert(text),
            Err(error) if is_refusal(&error) => return Ok(()),
            Err(error) => return Err(format!("a send: {error}")),
        };
        let mut overlay = Overlay::new(&opened.store);
        for m in time..time + 3 {
            overlay
                .put_message(number, &message("other", m, "hello"))
                .map_err(|error| format!("putting: {error}"))?;
        }
        let batch = overlay.into_batch();
        let stored = opened.writer.commit(batch, CommitClass::Cache);
        match stored.and_then(|_| opened.writer.sync()) {
            Ok(()) => accepted.times.extend(time..time + 3),
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Err(format!("a commit: {error}")),
        }
    }
    Ok(())
}

/// Checks that everything that was accepted can be read.
fn check(store: &Store, accepted: &Accepted, when: &str) -> Result<(), String> {
    let snapshot = store.snapshot();
    let mut texts = BTreeSet::new();
    for entry in snapshot.outbox() {
        let row = snapshot.conversation(entry.conversation);
        let row = row.map_err(|error| format!("{when}: {error}"))?;
        let row = row.ok_or_else(|| format!("{when}: an entry without a conversation"))?;
        let echo = snapshot.echo(&entry, &row.id);
        texts.extend(echo.and_then(|echo| echo.content.words().map(str::to_owned)));
    }
    let lost = accepted.texts.difference(&texts).count();
    // One of the refused sends may be on the disk all the same.
    let more = texts.difference(&accepted.texts).count();
    if lost > 0 || more > 1 {
        return Err(format!("{when}: {lost} sends are lost, {more} too many"));
    }
    let mut times = BTreeSet::new();
    let number = snapshot.number(&conversation_id("c"));
    if let Some(number) = number.map_err(|error| format!("{when}: {error}"))? {
        let mut before = None;
        loop {
            let page = snapshot.page_before(number, before.as_ref(), 500);
            let page = page.map_err(|error| format!("{when}: {error}"))?;
            times.extend(page.items.iter().filter_map(|item| match item {
                TimelineItem::Message { position, .. } => Some(position.sent_at.as_millis()),
                _ => None,
            }));
            before = page.items.iter().find_map(TimelineItem::place);
            if !page.more || before.is_none() {
                break;
            }
        }
    }
    match accepted.times.difference(&times).count() {
        0 => Ok(()),
        lost => Err(format!("{when}: {lost} messages are lost")),
    }
}

/// The disk works again: writing resumes, and everything is there, also after a power cut.
fn resume(mut opened: Opened, disk: &MemoryDisk, mut accepted: Accepted) -> Result<(), String> {
    disk.set_fault(None);
    let probed = opened.writer.probe(at(2));
    probed.map_err(|error| format!("a probe: {error}"))?;
    if opened.store.health() != StoreHealth::Good {
        return Err("writing does not resume".to_owned());
    }
    check(&opened.store, &accepted, "resumed")?;
    let before = accepted.texts.len();
    write(&mut opened, &mut accepted, 2)?;
    if accepted.texts.len() != before + 2 {
        return Err("writing does not resume".to_owned());
    }
    drop(opened);
    disk.crash();
    check(&open(disk)?.store, &accepted, "after a power cut")
}

/// The n-th operation after opening is refused.
fn writing(seed: u64, mode: Mode, nth: u64) -> Result<(), String> {
    let disk = MemoryDisk::new(seed);
    let mut opened = open(&disk)?;
    let mut accepted = Accepted::default();
    disk.set_fault(Some(mode.fault(&disk, nth)));
    write(&mut opened, &mut accepted, 90)?;
    check(&opened.store, &accepted, "while it is refused")?;
    resume(opened, &disk, accepted)
}

/// The state of a store when it is opened.
#[derive(Clone, Copy, Debug)]
enum State {
    Whole,
    /// Its tree is to be rebuilt.
    Damaged,
    /// It was killed with promises in the journal alone.
    Killed,
}

/// The n-th operation of opening is refused.
fn opening(seed: u64, mode: Mode, state: State, nth: u64) -> Result<(), String> {
    let disk = MemoryDisk::new(seed);
    let mut opened = open(&disk)?;
    let mut accepted = Accepted::default();
    write(&mut opened, &mut accepted, 40)?;
    let disk = match state {
        State::Killed => disk.duplicate(),
        State::Whole | State::Damaged => {
            drop(opened);
            disk
        }
    };
    if let State::Damaged = state {
        // A torn log is an older tree than the journal says.
        assert!(disk.damage("tree.log", 2_000));
        accepted.times.clear();
    }
    disk.set_fault(Some(mode.fault(&disk, nth)));
    let mut opened = match Store::in_memory(&disk, client("me")) {
        Ok(opened) => opened,
        // The store makes up nothing for a file that can't be read now; the content is there once the file can be
        // read.
        Err(StoreError::Io { .. }) => {
            disk.set_fault(None);
            open(&disk)?
        }
        Err(error) => return Err(format!("opening: {error}")),
    };
    if opened.report.takes_writes() {
        check(&opened.store, &accepted, "opened all the same")?;
        write(&mut opened, &mut accepted, 3)?;
    }
    resume(opened, &disk, accepted)
}

// D03
#[test]
fn any_operation_may_be_refused_and_nothing_accepted_is_lost() {
    let all = seeds(1);
    let step = if all.end - all.start == 1 {
        IN_THE_SUITE
    } else {
        1
    };
    let mut tally = Tally::default();
    for seed in all {
        for mode in MODES {
            for nth in (1..=OPERATIONS).step_by(step) {
                let what = format!("seed {seed}, writing, {mode:?} {nth}");
                tally.run(what, move || writing(seed, mode, nth));
            }
            for state in [State::Whole, State::Damaged, State::Killed] {
                for nth in (1..=60).step_by(step.div_ceil(5)) {
                    let what = format!("seed {seed}, opening {state:?}, {mode:?} {nth}");
                    tally.run(what, move || opening(seed, mode, state, nth));
                }
            }
        }
    }
    tally.end(
        "fault",
        format!("operations 1 to {OPERATIONS}, {} modes", MODES.len()),
    );
}
