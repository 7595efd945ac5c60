//! Real processes, really killed: what was acknowledged is there afterwards.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::store::{StoreError, StoreOptions};

/// Names the folder for the process that is killed.
const FOLDER: &str = "SAMPAN_TEST_KILL_FOLDER";

/// How many rounds; the long run sets `SAMPAN_TORTURE_ROUNDS`.
fn rounds() -> usize {
    let rounds = std::env::var("SAMPAN_TORTURE_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        cache_bytes: 1 << 20,
        ..StoreOptions::new(folder, client("me"), at(1))
    }
}

/// Run by the test below in a process of its own: writes until it is killed, and says after each
/// commit of class intent what it was.
#[test]
#[ignore = "the process that a test kills"]
fn victim() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let mut opened = Store::open(&options(Path::new(&folder))).unwrap();
    assert!(opened.report.read_only.is_none());
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay
        .conversation_or_unknown(&conversation_id("c"))
        .unwrap();
    opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Intent)
        .unwrap();
    loop {
        let n = i64::try_from(opened.store.seq().0).unwrap();
        let mut overlay = Overlay::new(&opened.store);
        let token = local(&format!("l{n}"));
        let id = overlay
            .enqueue(number, token, at(n), send(&"x".repeat(200)))
            .unwrap();
        opened
            .writer
            .commit(overlay.into_batch(), CommitClass::Intent)
            .unwrap();
        println!("enqueued {}", id.0);
        let mut overlay = Overlay::new(&opened.store);
        for m in 0..20 {
            overlay
                .put_message(number, &message("other", n * 100 + m, "hello"))
                .unwrap();
        }
        let settled = id.0.is_multiple_of(2);
        if settled {
            overlay.settle(id);
        }
        opened
            .writer
            .commit(overlay.into_batch(), CommitClass::Cache)
            .unwrap();
        if settled {
            println!("settled {}", id.0);
        }
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::tests::kill::victim",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_a_killed_process_acknowledged_is_there_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut unsettled = std::collections::BTreeSet::new();
    let mut settled = std::collections::BTreeSet::new();
    for round in 0..rounds() {
        let mut child = spawn(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The kill falls after a number of lines that differs from round to round.
        let mut left = 3 + (round * 7) % 23;
        while left > 0 {
            let line = lines.next().unwrap().unwrap();
            left -= usize::from(note(&line, &mut unsettled, &mut settled));
        }
        let second = Store::open(&options(folder.path()));
        let holder = Some(child.id());
        assert!(matches!(second, Err(StoreError::InUse { holder: h }) if h == holder));
        child.kill().unwrap();
        for line in lines {
            note(&line.unwrap(), &mut unsettled, &mut settled);
        }
        child.wait().unwrap();
        let opened = Store::open(&options(folder.path())).unwrap();
        assert!(!opened.report.found_damage(), "{:?}", opened.report);
        let snapshot = opened.store.snapshot();
        let left: std::collections::BTreeSet<u64> =
            snapshot.outbox().iter().map(|entry| entry.id.0).collect();
        assert!(
            unsettled.is_subset(&left),
            "round {round}: lost {unsettled:?} of {left:?}"
        );
        assert!(
            settled.is_disjoint(&left),
            "round {round}: came back {settled:?}"
        );
        // One that was under way may be there or not: the app was told neither.
        unsettled = left;
    }
}

/// Takes down what the process said. True when it said anything.
fn note(
    line: &str,
    unsettled: &mut std::collections::BTreeSet<u64>,
    settled: &mut std::collections::BTreeSet<u64>,
) -> bool {
    let Some((what, id)) = line.split_once(' ') else {
        return false;
    };
    let Ok(id) = id.parse() else { return false };
    match what {
        "enqueued" => unsettled.insert(id),
        "settled" => unsettled.remove(&id) && settled.insert(id),
        _ => false,
    }
}
