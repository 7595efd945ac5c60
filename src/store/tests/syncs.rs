//! Promises reach the system: seen from below the process, by a shim before the C library that writes down
//! each sync and each rename that the system has done.
//!
//! A disk in memory shows that the store asks for its syncs in the right order. These tests alone show that a
//! file's sync is a sync of the system, and no mere flush.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::store::extension_inbox::{Dropped, Inbox};
use crate::store::files::{FileKey, Spool};
use crate::store::format::cipher::StoreKey;
use crate::store::recovery::options::StoreOptions;

#[path = "../../../tests/shim/syncs.rs"]
mod shim;

/// Names the folder for the process that is watched.
const FOLDER: &str = "SAMPAN_TEST_SYNC_FOLDER";

fn key(byte: u8) -> StoreKey {
    StoreKey::new([byte; 32])
}

/// Run by the test below in a process of its own, under the shim.
#[test]
#[ignore = "the process that a test watches"]
fn watched() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let mut log = OpenOptions::new()
        .append(true)
        .open(std::env::var(shim::LOG).unwrap())
        .unwrap();
    let mut say = |line: &str| writeln!(log, "{line}").unwrap();
    let options = StoreOptions {
        key: Some(key(1)),
        ..StoreOptions::new(folder.join("store"), client("me"), at(1))
    };
    let mut opened = Store::open(&options).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.create_conversation(row("c")).unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    for n in 0..20 {
        let mut overlay = Overlay::new(&opened.store);
        let token = local(&format!("l{n}"));
        overlay.enqueue(number, token, at(n), send("x")).unwrap();
        let batch = overlay.into_batch();
        say("begin intent");
        opened.writer.commit(batch, CommitClass::Intent).unwrap();
        say("end intent");
    }
    for from in (0..600).step_by(60) {
        let mut overlay = Overlay::new(&opened.store);
        for n in from..from + 60 {
            overlay
                .put_message(number, &message("other", n, "hello"))
                .unwrap();
        }
        let batch = overlay.into_batch();
        say("begin sync");
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
        opened.writer.sync().unwrap();
        say("end sync");
    }
    say("begin key");
    opened.writer.change_key(&key(1), &key(2)).unwrap();
    say("end key");
    let inbox = Inbox::new(folder.join("inbox"), client("me"), None);
    let dropped = Dropped {
        conversation: conversation_id("c"),
        token: local("dropped"),
        dropped_at: at(1),
        intent: send("from outside"),
    };
    say("begin drop");
    inbox.drop_intent(&dropped).unwrap();
    say("end drop");
    let spool = Spool::new(folder.join("spool"));
    for (name, key) in [("clear", None), ("sealed", Some(FileKey::new([7; 32])))] {
        say(&format!("begin {name}"));
        spool
            .add(name, key.as_ref(), |file| file.write(b"words"))
            .unwrap();
        say(&format!("end {name}"));
    }
}

/// The lines between each `begin` and `end` of a name.
fn spans(log: &str, name: &str) -> Vec<Vec<String>> {
    let (begin, end) = (format!("begin {name}"), format!("end {name}"));
    let mut spans = Vec::new();
    let mut open: Option<Vec<String>> = None;
    for line in log.lines() {
        if line == begin {
            open = Some(Vec::new());
        } else if line == end {
            spans.push(open.take().unwrap());
        } else if let Some(span) = &mut open {
            span.push(line.trim().to_owned());
        }
    }
    spans
}

/// True if a file's new content was synced, then the file renamed, then its folder synced.
fn is_replaced(span: &[String], folder: &Path, name: &str) -> bool {
    let path = |name: &str| folder.join(name).display().to_string();
    let steps = [
        format!("sync {}", path(&format!("{name}.new"))),
        format!("rename {} {}", path(&format!("{name}.new")), path(name)),
        format!("sync {}", folder.display()),
    ];
    let mut lines = span.iter();
    steps.iter().all(|step| lines.any(|line| line == step))
}

#[test]
fn what_is_promised_is_synced_by_the_system_before_the_call_returns() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let Some(library) = shim::compiled(&root) else {
        return;
    };
    let log = root.join("log");
    fs::write(&log, b"").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::syncs::watched", "--ignored"])
        .env("LD_PRELOAD", &library)
        .env(FOLDER, &root)
        .env(shim::LOG, &log)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = fs::read_to_string(&log).unwrap();
    let (store, inbox) = (root.join("store"), root.join("inbox"));
    let journal = format!("sync {}", store.join("journal.").display());
    let tree = format!("sync {}", store.join("db").join("db").display());
    let intents = spans(&log, "intent");
    assert_eq!(intents.len(), 20);
    for span in intents {
        assert!(
            span.iter().any(|line| line.starts_with(&journal)),
            "{span:?}"
        );
    }
    let syncs = spans(&log, "sync");
    assert_eq!(syncs.len(), 10);
    for span in syncs {
        assert!(span.contains(&tree), "{span:?}");
    }
    let key = spans(&log, "key").remove(0);
    for name in ["store.0", "store.1"] {
        assert!(is_replaced(&key, &store, name), "{name}: {key:?}");
    }
    let dropped = spans(&log, "drop").remove(0);
    let names = fs::read_dir(&inbox).unwrap();
    let name = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = name.into_iter().next().unwrap();
    assert!(is_replaced(&dropped, &inbox, &name), "{name}: {dropped:?}");
    let spool = root.join("spool");
    for name in ["clear", "sealed"] {
        let added = spans(&log, name).remove(0);
        assert!(is_replaced(&added, &spool, name), "{name}: {added:?}");
    }
    let first = spans(&log, "clear").remove(0);
    let parent = format!("sync {}", root.display());
    assert!(first.contains(&parent), "the folder is new: {first:?}");
}
