//! A disk that is really full: a process whose files may not grow, until they may again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Dice, Tally, seeds};
use crate::model::StoreHealth;
use crate::store::error::StoreError;
use crate::store::recovery::options::StoreOptions;
use crate::store::tests::*;

/// Names the folder for the process.
const FOLDER: &str = "SAMPAN_TEST_FULL_FOLDER";

fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        cache_bytes: 1 << 20,
        ..StoreOptions::new(folder, client("me"), at(1))
    }
}

fn is_typed(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { .. } | StoreError::ReadOnly { .. })
}

/// Writes until it is refused, or there is enough; gives the error.
fn fill(opened: &mut Opened, round: usize, enough: usize) -> Option<StoreError> {
    for n in 0..enough {
        let mut overlay = Overlay::new(&opened.store);
        let number = overlay.conversation_or_unknown(&conversation_id("c"));
        let number = number.unwrap();
        let token = local(&format!("l{round}-{n}"));
        let intent = send(&"x".repeat(2_000));
        let id = overlay.enqueue(number, token, at(1), intent).unwrap();
        let batch = overlay.into_batch();
        match opened.writer.commit(batch, CommitClass::Intent) {
            Ok(_) => println!("promised {}", id.0),
            Err(error) => return Some(error),
        }
        let mut overlay = Overlay::new(&opened.store);
        for m in 0..10 {
            let time = i64::try_from(id.0 * 100 + m).unwrap();
            let mut dice = Dice::new(id.0 * 100 + m);
            let text: String = (0..60).map(|_| format!("{:016x}", dice.next())).collect();
            overlay
                .put_message(number, &message("other", time, &text))
                .unwrap();
        }
        let batch = overlay.into_batch();
        let stored = opened.writer.commit(batch, CommitClass::Cache);
        if let Err(error) = stored.and_then(|_| opened.writer.sync()) {
            return Some(error);
        }
    }
    None
}

/// Run by the test below in a process of its own, whose files may not grow beyond a limit.
#[test]
#[ignore = "the process that a test gives no space"]
fn cramped() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let mut opened = Store::open(&options(Path::new(&folder))).unwrap();
    let refused = match opened.report.takes_writes() {
        false => None,
        true => fill(&mut opened, 0, 100_000),
    };
    assert!(refused.as_ref().is_none_or(is_typed), "{refused:?}");
    // It goes on reading, and goes on refusing at once.
    let snapshot = opened.store.snapshot();
    for entry in snapshot.outbox() {
        assert!(snapshot.conversation(entry.conversation).unwrap().is_some());
    }
    drop(snapshot);
    if opened.store.health() == StoreHealth::Good {
        println!("failed: {refused:?} left the store writable");
        return;
    }
    println!("full 0");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    // There is space again.
    match opened.writer.probe(at(2)) {
        Ok(_) => {}
        Err(error) => println!("failed: a probe: {error}"),
    }
    match fill(&mut opened, 1, 5) {
        None => println!("resumed 0"),
        Some(error) => println!("failed: {error}"),
    }
}

/// One process: it runs out of space at a limit that the seed decides, gets space back, and goes on.
fn case(folder: &Path, seed: u64) -> Result<usize, String> {
    let mut dice = Dice::new(seed);
    // Blocks of 512 bytes: from too little to open a new store to a few megabytes.
    let blocks = if seed.is_multiple_of(5) {
        1 + dice.below(2_000)
    } else {
        2_100 + dice.below(12_000)
    };
    let program = std::env::current_exe().unwrap();
    let errors = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\""
        ))
        .arg(program)
        .args(["--exact", "store::tests::torture::full::cramped"])
        .args(["--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors.reopen().unwrap())
        .spawn()
        .map_err(|error| format!("no shell: {error}"))?;
    let mut promised = std::collections::BTreeSet::new();
    let mut ended = Err("it said nothing at its end".to_owned());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("promised", id)) => promised.extend(id.parse::<u64>()),
            Some(("full", _)) => {
                let raised = Command::new("prlimit")
                    .args([&format!("--pid={}", child.id()), "--fsize=unlimited"])
                    .status();
                raised.map_err(|error| format!("no prlimit: {error}"))?;
                drop(child.stdin.take());
            }
            Some(("resumed", _)) => ended = Ok(()),
            Some(("failed:", why)) => ended = Err(why.to_owned()),
            _ => {}
        }
    }
    let exit = child.wait().unwrap();
    ended.map_err(|why| {
        let errors = std::fs::read_to_string(errors.path()).unwrap_or_default();
        format!("{blocks} blocks: {why}; {exit}: {errors}")
    })?;
    let opened = Store::open(&options(folder)).map_err(|error| error.to_string())?;
    let left = opened.store.snapshot().outbox().into_iter();
    let left: std::collections::BTreeSet<u64> = left.map(|entry| entry.id.0).collect();
    let lost = promised.difference(&left).count();
    // One that was refused may be on the disk all the same, once.
    let more = left.difference(&promised).count();
    if lost > 0 || more > 1 || opened.report.found_damage() {
        let report = &opened.report;
        return Err(format!(
            "{blocks} blocks: {lost} lost, {more} more; {report:?}"
        ));
    }
    Ok(promised.len())
}

#[test]
fn a_full_disk_refuses_at_once_harms_nothing_and_works_again_when_there_is_space() {
    let missing = ["sh", "prlimit"].into_iter().find(|program| {
        let tried = Command::new(program).arg("--version").output();
        tried.is_err()
    });
    if let Some(missing) = missing {
        println!("SKIPPED: no `{missing}` to limit the size of files with");
        return;
    }
    let mut tally = Tally::default();
    let mut promised = 0;
    for seed in seeds(4) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_path_buf();
        let ended = tally.run(format!("seed {seed}"), move || case(&path, seed));
        promised += ended.unwrap_or(0);
    }
    tally.end("full", format!("{promised} promises kept"));
}
