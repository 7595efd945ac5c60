//! Compaction in real processes: killed at any moment, and measured.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::store::maintain::Tended;
use crate::store::recovery::options::StoreOptions;
use crate::store::types::position::HistoryStart;

/// Names the folder for the process that is killed, or measured.
const FOLDER: &str = "SAMPAN_TEST_BUDGET_FOLDER";

/// How many messages are there before the process compacts and evicts.
const MANY: i64 = 3_000;

fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        cache_bytes: 2 << 20,
        ..StoreOptions::new(folder, client("me"), at(1))
    }
}

/// Runs a test of this file in a process of its own.
fn spawn(test: &str, folder: &Path) -> Child {
    let test = format!("store::tests::budget_kill::{test}");
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Puts messages, held together with the one before them.
fn receive(opened: &mut Opened, number: ConversationNumber, times: std::ops::Range<i64>) {
    let mut overlay = Overlay::new(&opened.store);
    for n in times.clone() {
        let text = format!("text {n} of many words that a conversation has");
        overlay
            .put_message(number, &message("other", n, &text))
            .unwrap();
    }
    let (from, to) = (position((times.start - 1).max(0)), position(times.end - 1));
    overlay
        .update_conversation(number, |row| row.history.hold(from, to))
        .unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
}

/// So many conversations of so many messages, which are sealed as quiet ones.
const SHORT: i64 = 40;
const SHORT_OF: i64 = 30;

fn short_conversations(opened: &mut Opened) -> Vec<ConversationNumber> {
    let mut numbers = Vec::new();
    for n in 0..SHORT {
        let mut overlay = Overlay::new(&opened.store);
        let id = format!("short{n}");
        let number = overlay.create_conversation(row(&id)).unwrap();
        overlay
            .update_conversation(number, |row| row.history.set_start(HistoryStart::Reached))
            .unwrap();
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
        receive(opened, number, 0..SHORT_OF);
        numbers.push(number);
    }
    numbers
}

/// Run by the test below in a process of its own: seals and compacts over and over, and says after each
/// commit of class intent what it was.
#[test]
#[ignore = "the process that a test kills"]
fn compacting_victim() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let mut opened = Store::open(&options(Path::new(&folder))).unwrap();
    let number = opened.store.snapshot().number(&conversation_id("c"));
    let number = number.unwrap().unwrap();
    for n in 0.. {
        if n % 16 == 5 {
            opened.writer.seal_idle_beside(0).unwrap();
        }
        opened.writer.want_compaction();
        assert_eq!(opened.writer.tend(&[]).unwrap(), Tended::More);
        if n % 8 == 0 {
            let mut overlay = Overlay::new(&opened.store);
            let token = local(&format!("l{}", opened.store.seq().0));
            let id = overlay.enqueue(number, token, at(n), send("unsent"));
            let batch = overlay.into_batch();
            opened.writer.commit(batch, CommitClass::Intent).unwrap();
            println!("enqueued {}", id.unwrap().0);
        }
    }
}

/// How many rounds; the long run sets `SAMPAN_TORTURE_ROUNDS`.
fn rounds() -> usize {
    let rounds = std::env::var("SAMPAN_TORTURE_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

#[test]
fn a_process_killed_while_it_compacts_leaves_a_whole_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Store::open(&options(folder.path())).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.create_conversation(row("c")).unwrap();
    overlay
        .update_conversation(number, |row| row.history.set_start(HistoryStart::Reached))
        .unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
    for from in (0..MANY).step_by(100) {
        receive(&mut opened, number, from..from + 100);
    }
    let short = short_conversations(&mut opened);
    drop(opened);
    let mut acknowledged = std::collections::BTreeSet::new();
    for round in 0..rounds() {
        let mut child = spawn("compacting_victim", folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The kill falls after a number of lines that differs from round to round.
        let mut left = 1 + (round * 5) % 13;
        for line in lines {
            let line = line.unwrap();
            let Some(id) = line.strip_prefix("enqueued ") else {
                continue;
            };
            acknowledged.insert(id.parse::<u64>().unwrap());
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert_eq!(left, 0, "round {round}: it ended by itself");
        let opened = Store::open(&options(folder.path())).unwrap();
        assert!(!opened.report.found_damage(), "{:?}", opened.report);
        let snapshot = opened.store.snapshot();
        let unsent: std::collections::BTreeSet<u64> =
            snapshot.outbox().iter().map(|entry| entry.id.0).collect();
        assert!(acknowledged.is_subset(&unsent), "round {round}");
        drop(snapshot);
        let usage = opened.store.usage().unwrap();
        assert_eq!(
            usage.messages,
            u64::try_from(MANY + SHORT_OF * SHORT).unwrap()
        );
        let snapshot = opened.store.snapshot();
        for number in &short {
            let page = snapshot.page_before(*number, None, 100).unwrap();
            assert_eq!(page.items.len(), usize::try_from(SHORT_OF).unwrap());
        }
        drop(snapshot);
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("db"))
            .collect();
        names.sort();
        assert_eq!(names, ["db"], "round {round}");
    }
}

/// How many messages the process below takes in, in batches as catch-up brings them.
const INGESTED: i64 = 60_000;

/// The most memory that a store may take of a process, in KiB, as `docs/store.md` states it: twice the cache
/// of the options, the packs' cache, and the fixed needs of the database.
const INGEST_MAX_KIB: u64 = 64 * 1024;
const OPENED_MAX_KIB: u64 = 48 * 1024;

/// The most memory that this process ever had resident, in KiB; none where the system does not tell.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Run by the test below in a process of its own: takes in many messages.
#[test]
#[ignore = "the process that a test measures"]
fn ingesting() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    println!("base {}", peak().unwrap_or_default());
    let options = StoreOptions::new(&folder, client("me"), at(1));
    let mut opened = Store::open(&options).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let numbers: Vec<_> = (0..200)
        .map(|c| overlay.create_conversation(row(&format!("c{c}"))).unwrap())
        .collect();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
    let mut turn = numbers.iter().cycle();
    for from in (0..INGESTED).step_by(100) {
        let mut overlay = Overlay::new(&opened.store);
        for n in from..from + 100 {
            let text = "a message of the usual length, of which there are many ".repeat(4);
            overlay
                .put_message(*turn.next().unwrap(), &message("other", n, &text))
                .unwrap();
        }
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
    }
    println!("peak {}", peak().unwrap_or_default());
}

/// Run by the test below in a process of its own: opens the store of the folder and shows the first screen.
#[test]
#[ignore = "the process that a test measures"]
fn opening() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    println!("base {}", peak().unwrap_or_default());
    let options = StoreOptions::new(&folder, client("me"), at(1));
    let opened = Store::open(&options).unwrap();
    let snapshot = opened.store.snapshot();
    let page = snapshot.conversations(None, 20).unwrap();
    let (first, _) = page.conversations[0];
    assert_eq!(page.conversations.len(), 20);
    assert!(snapshot.page_before(first, None, 20).unwrap().items.len() >= 20);
    println!("peak {}", peak().unwrap_or_default());
}

/// The growth of a process's memory since before it opened the store, in KiB.
fn measured(test: &str, folder: &Path) -> u64 {
    let child = spawn(test, folder);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let number = |name: &str| -> u64 {
        let found = said.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap().trim().parse().unwrap()
    };
    number("peak ") - number("base ")
}

#[test]
#[cfg(target_os = "linux")]
fn memory_stays_within_its_bound_however_much_comes_and_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let ingesting = measured("ingesting", folder.path());
    println!("{ingesting} KiB while taking in");
    assert!(ingesting < INGEST_MAX_KIB, "{ingesting} KiB");
    let opening = measured("opening", folder.path());
    println!("{opening} KiB after opening");
    assert!(opening < OPENED_MAX_KIB, "{opening} KiB");
}
