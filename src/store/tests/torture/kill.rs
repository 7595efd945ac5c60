//! Real processes, really killed while they open, recover, write and seal: everything acknowledged is there
//! afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::{Dice, Tally, seeds};
use crate::store::error::StoreError;
use crate::store::read::items::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::tests::*;

/// Names the folder for the process that is killed.
const FOLDER: &str = "SAMPAN_TEST_KILL_FOLDER";

/// The number of processes that write to a folder before the next folder is begun.
const LIVES: u64 = 40;

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// After it said so many things.
    Writing(usize),
    /// So many microseconds after it began to open the store.
    Opening(u64),
    /// The same, and the tree is damaged: a new one is being filled.
    Recovering(u64),
}

fn moment(dice: &mut Dice) -> Moment {
    let micros = dice.next() % 60_000;
    match dice.below(7) {
        0..4 => Moment::Writing(1 + dice.below(25)),
        4 => Moment::Opening(micros),
        _ => Moment::Recovering(micros * 4),
    }
}

fn options(folder: &Path) -> StoreOptions {
    StoreOptions {
        cache_bytes: 1 << 20,
        ..StoreOptions::new(folder, client("me"), at(1))
    }
}

/// Run by the test below in a process of its own: writes until it is killed, and says after each
/// commit what it was.
#[test]
#[ignore = "the process that a test kills"]
fn victim() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    println!("opening 0");
    let mut opened = Store::open(&options(Path::new(&folder))).unwrap();
    println!("open 0");
    assert!(opened.report.takes_writes());
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay
        .conversation_or_unknown(&conversation_id("c"))
        .unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    loop {
        let n = i64::try_from(opened.store.seq().0).unwrap();
        let mut overlay = Overlay::new(&opened.store);
        let token = local(&format!("l{n}"));
        let id = overlay
            .enqueue(number, token, at(n), send(&"x".repeat(200)))
            .unwrap();
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Intent).unwrap();
        println!("enqueued {}", id.0);
        let mut overlay = Overlay::new(&opened.store);
        for m in n * 100..n * 100 + 20 {
            overlay
                .put_message(number, &message("other", m, "hello"))
                .unwrap();
        }
        // The list is moved by each: another one comes first.
        let beside = conversation_id(&format!("d{}", n % 9));
        let beside = overlay.conversation_or_unknown(&beside).unwrap();
        overlay
            .put_message(beside, &message("other", n, "hello"))
            .unwrap();
        let settled = id.0.is_multiple_of(2);
        if settled {
            println!("settling {}", id.0);
            overlay.settle(id);
        }
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
        opened.writer.sync().unwrap();
        println!("stored {n}");
        if settled {
            println!("settled {}", id.0);
        }
    }
}

/// A process that writes, and what it says.
struct Victim {
    child: Child,
    said: Receiver<String>,
}

impl Victim {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::torture::kill::victim"])
            .args(["--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, said) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|l| tell.send(l)));
        Self { child, said }
    }

    /// Kills it at the moment; gives everything it said.
    fn killed_at(mut self, moment: Moment) -> Vec<String> {
        let mut heard = Vec::new();
        let is_word = |line: &String| line.contains(' ') && !line.contains("test");
        match moment {
            Moment::Writing(words) => {
                let words = words + 2;
                while heard.iter().filter(|line| is_word(line)).count() < words {
                    match self.said.recv() {
                        Ok(line) => heard.push(line),
                        Err(_) => break,
                    }
                }
            }
            Moment::Opening(micros) | Moment::Recovering(micros) => {
                while !heard.iter().any(|line: &String| line == "opening 0") {
                    match self.said.recv() {
                        Ok(line) => heard.push(line),
                        Err(_) => break,
                    }
                }
                heard.extend(self.said.recv_timeout(Duration::from_micros(micros)));
            }
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        heard.extend(self.said.iter());
        heard
    }
}

/// The promises of the processes of one folder.
#[derive(Default)]
struct Promised {
    unsettled: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    stored: BTreeSet<i64>,
}

impl Promised {
    fn note(&mut self, line: &str) {
        let Some((what, number)) = line.split_once(' ') else {
            return;
        };
        let Ok(number) = number.parse::<u64>() else {
            return;
        };
        match what {
            "enqueued" => {
                self.unsettled.insert(number);
            }
            // From here on it may be settled or not.
            "settling" => {
                self.unsettled.remove(&number);
            }
            "settled" => {
                self.settled.insert(number);
            }
            "stored" => {
                self.stored.insert(i64::try_from(number).unwrap());
            }
            _ => {}
        }
    }

    /// Compares with the content of the folder; the app was told nothing of the work under way.
    fn check(&mut self, folder: &Path, damaged: bool) -> Result<(), String> {
        let opened = Store::open(&options(folder)).map_err(|error| error.to_string())?;
        if !opened.report.takes_writes() || opened.report.found_damage() && !damaged {
            return Err(format!("{:?}", opened.report));
        }
        check_list(&opened.store);
        let snapshot = opened.store.snapshot();
        let left: BTreeSet<u64> = snapshot.outbox().iter().map(|entry| entry.id.0).collect();
        let lost: Vec<_> = self.unsettled.difference(&left).collect();
        let back: Vec<_> = self.settled.intersection(&left).collect();
        if !lost.is_empty() || !back.is_empty() {
            let report = opened.report.clone();
            return Err(format!("{lost:?} are lost, {back:?} came back; {report:?}"));
        }
        let there = times(&opened.store, "c")?;
        let expected = self.stored.iter().flat_map(|n| n * 100..n * 100 + 20);
        let missing = expected.filter(|n| !there.contains(n)).count();
        if missing > 0 {
            let report = opened.report.clone();
            return Err(format!("{missing} messages are lost; {report:?}"));
        }
        self.unsettled = left;
        Ok(())
    }
}

/// The times of all messages of a conversation.
pub(super) fn times(store: &Store, id: &str) -> Result<BTreeSet<i64>, String> {
    let told = |error: StoreError| error.to_string();
    let snapshot = store.snapshot();
    let mut there = BTreeSet::new();
    let number = snapshot.number(&conversation_id(id)).map_err(told)?;
    let Some(number) = number else {
        return Ok(there);
    };
    let mut before = None;
    loop {
        let page = snapshot.page_before(number, before.as_ref(), 200);
        let page = page.map_err(told)?;
        for item in &page.items {
            if let TimelineItem::Message { position, .. } = item {
                there.insert(position.sent_at.as_millis());
            }
        }
        before = page.items.iter().find_map(TimelineItem::place);
        if !page.more || before.is_none() {
            return Ok(there);
        }
    }
}

/// Damages the first segment's header, so that opening fills a new tree.
fn spoil(folder: &Path) -> bool {
    let path = folder.join("db").join("db");
    let Ok(mut bytes) = fs::read(&path) else {
        return false;
    };
    bytes.iter_mut().take(20).for_each(|byte| *byte ^= 0x5A);
    fs::write(path, bytes).unwrap();
    true
}

/// One process, killed; then the folder is opened and looked at.
fn life(folder: &Path, moment: Moment, promised: &mut Promised) -> Result<(), String> {
    let spoilt = matches!(moment, Moment::Recovering(_)) && spoil(folder);
    let victim = Victim::start(folder);
    let pid = victim.child.id();
    for line in victim.killed_at(moment) {
        promised.note(&line);
    }
    let lock = fs::read_to_string(folder.join("lock")).unwrap_or_default();
    if matches!(moment, Moment::Writing(_)) && lock.trim() != pid.to_string() {
        return Err(format!("the lock names {lock}, not {pid}"));
    }
    promised.check(folder, spoilt)
}

#[test]
fn what_a_killed_process_acknowledged_is_there_afterwards() {
    let mut tally = Tally::default();
    let mut folder = tempfile::tempdir().unwrap();
    let mut promised = Promised::default();
    let (mut kept, mut stored) = (0, 0);
    for seed in seeds(10) {
        if seed.is_multiple_of(LIVES) {
            folder = tempfile::tempdir().unwrap();
            promised = Promised::default();
        }
        let moment = moment(&mut Dice::new(seed));
        let what = format!("seed {seed}, {moment:?}");
        let path = folder.path().to_path_buf();
        let mut known = std::mem::take(&mut promised);
        let ended = tally.run(what, move || {
            life(&path, moment, &mut known).map(|()| known)
        });
        promised = ended.unwrap_or_default();
        kept += promised.unsettled.len();
        stored += promised.stored.len() * 20;
    }
    tally.end(
        "kill",
        format!("{kept} promises and {stored} messages looked up and found"),
    );
}
