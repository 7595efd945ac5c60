//! Spoilt folders: nothing panics, nothing hangs, nothing wrong is shown as right, every promise that is
//! whole somewhere is kept, and the whole records in damaged files are saved.

use std::path::Path;
use std::sync::Arc;

use super::spoil::{Sources, spoil};
use super::subject::{KINDS, Kind, Subject};
use super::{Dice, Tally, seeds};
use crate::store::tests::damage::copy;

/// The sums over the cases of a run.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    promised: usize,
    kept: usize,
    whole: usize,
    saved: usize,
    damaged: usize,
    /// Cases in which less than 99 % of what was whole was saved.
    short: usize,
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            promised,
            kept,
            whole,
            saved,
            damaged,
            short,
        } = self;
        write!(
            f,
            "{kept} of {promised} whole promises kept, {saved} of {whole} whole messages saved \
             (less than 99 % in {short} cases), {damaged} reports of damage"
        )
    }
}

/// Spoils a copy of a store and looks at the remains, twice: a mended store stays mended.
fn case(subject: &Subject, foreign: &Path, seed: u64) -> Result<Sums, String> {
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    copy(subject.now.path(), folder.path());
    let sources = Sources {
        older: subject.older.path(),
        foreign,
    };
    let spoilt = spoil(folder.path(), &sources, &mut dice);
    let told = |wrong: String| format!("{spoilt}: {wrong}");
    let raw = subject.raw(folder.path());
    let must_keep = subject.must_keep(folder.path(), &raw);
    let seen = subject.read(folder.path()).map_err(told)?;
    let back = subject.came_back(&raw, &seen);
    if !back.is_empty() {
        return Err(told(format!(
            "settled entries wait again: {back:?}; {:?}",
            seen.report
        )));
    }
    let again = subject
        .read(folder.path())
        .map_err(|wrong| told(format!("again: {wrong}")))?;
    if again.report.found_damage() {
        return Err(told(format!("damaged again: {:?}", again.report)));
    }
    if again.messages != seen.messages || again.unsent != seen.unsent {
        return Err(told("it shows something else the second time".to_owned()));
    }
    let mut sums = Sums {
        short: 0,
        promised: must_keep.len(),
        kept: must_keep.intersection(&seen.unsent).count(),
        whole: raw.messages.len(),
        saved: raw.messages.intersection(&seen.messages).count(),
        damaged: usize::from(seen.report.found_damage()),
    };
    if sums.kept < sums.promised {
        return Err(told(format!(
            "promises are lost: {sums}; {:?}",
            seen.report
        )));
    }
    if sums.saved * 100 < sums.whole * 99 {
        sums.short = 1;
        let lost = raw.messages.difference(&seen.messages).count();
        println!(
            "short of 99 %: seed {seed}, {:?}, {spoilt}: {lost} whole messages are lost; {:?}",
            subject.kind, seen.report
        );
    }
    Ok(sums)
}

// D04
#[test]
fn spoilt_files_harm_nothing_that_is_whole_elsewhere() {
    let subjects: Vec<_> = KINDS
        .iter()
        .map(|kind| Arc::new(Subject::new(*kind)))
        .collect();
    let foreign = Arc::new(Subject::new(Kind::Closed));
    let mut tally = Tally::default();
    let mut sums = Sums::default();
    for seed in seeds(24) {
        let subject = Arc::clone(&subjects[usize::try_from(seed).unwrap() % subjects.len()]);
        let foreign = Arc::clone(&foreign);
        let what = format!("seed {seed}, {:?}", subject.kind);
        let ended = tally.run(what, move || case(&subject, foreign.now.path(), seed));
        if let Some(case) = ended {
            sums.promised += case.promised;
            sums.kept += case.kept;
            sums.whole += case.whole;
            sums.saved += case.saved;
            sums.damaged += case.damaged;
            sums.short += case.short;
        }
    }
    // The database overwrites the bytes behind a deep tear before anybody can know of it: a few cases fall
    // short, all of them together must not.
    assert!(sums.saved * 100 >= sums.whole * 99, "{sums}");
    tally.end("damage", sums);
}
