//! What is promised: every read sees it at once, the tree is told later, and a power cut in between
//! takes nothing away.

use super::*;
use crate::store::kv::LOG_FILE;
use crate::store::{Fault, StoreOptions};

/// How many bytes the tree's log has.
fn told(disk: &MemoryDisk) -> usize {
    let files = disk.files();
    let log = files.iter().find(|(name, _)| name == LOG_FILE);
    log.map_or(0, |(_, length)| *length)
}

/// What a reader sees: the list's ids in order, and the newest echo of each.
fn seen(store: &Store) -> Vec<(ConversationId, Option<Message>)> {
    let page = store.snapshot().conversations(None, 10).unwrap();
    let each = page.conversations.into_iter();
    each.map(|(_, info)| (info.id, info.last_message)).collect()
}

/// Conversations `a` and `b`, told to the tree; then a promise to the older one.
fn promised() -> (Bench, usize) {
    let mut bench = Bench::new();
    let number = bench.conversation("a");
    bench.conversation("b");
    bench.writer.sync().unwrap();
    let before = told(&bench.disk);
    bench.commit(|overlay| {
        overlay
            .enqueue(number, local("l"), at(9), send("unsent"))
            .unwrap();
    });
    (bench, before)
}

#[test]
fn every_read_sees_a_promise_that_the_tree_was_not_told() {
    let (bench, before) = promised();
    assert_eq!(told(&bench.disk), before);
    assert!(bench.writer.is_dirty());
    let seen = seen(&bench.store);
    assert_eq!(seen.len(), 2);
    // The list's old place of the conversation is covered, its new one is shown.
    assert_eq!(seen[0].0, conversation_id("a"));
    assert!(seen[0].1.is_some());
}

#[test]
fn a_promise_that_the_tree_was_not_told_survives_a_power_cut() {
    let (bench, _) = promised();
    let before = seen(&bench.store);
    let operation = bench.disk.operations();
    bench.disk.set_fault(Some(Fault::From { operation }));
    let bench = bench.crash();
    assert_eq!(seen(&bench.store), before);
    assert_eq!(bench.store.snapshot().outbox_len(), 1);
}

#[test]
fn the_next_commit_tells_the_tree_what_was_promised_before_it() {
    let (mut bench, before) = promised();
    let mut overlay = Overlay::new(&bench.store);
    let id = overlay.snapshot().outbox()[0].id;
    overlay.settle(id);
    let batch = overlay.into_batch();
    bench.writer.commit(batch, CommitClass::Cache).unwrap();
    assert!(told(&bench.disk) > before);
    let bench = bench.reopen();
    assert_eq!(seen(&bench.store)[0].0, conversation_id("b"));
    assert_eq!(bench.store.snapshot().outbox_len(), 0);
}

#[test]
fn a_promise_holds_and_is_seen_when_the_tree_can_no_longer_be_told() {
    let (mut bench, _) = promised();
    let before = seen(&bench.store);
    let operation = bench.disk.operations();
    bench.disk.set_fault(Some(Fault::From { operation }));
    assert!(bench.writer.sync().is_err());
    assert_eq!(seen(&bench.store), before);
    bench.disk.set_fault(None);
    bench.writer.probe(at(0)).unwrap();
    assert_eq!(seen(&bench.store), before);
}

#[test]
fn a_new_store_that_was_killed_before_its_first_flush_is_not_taken_for_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let options = |folder| StoreOptions::new(folder, client("me"), at(0));
    let mut opened = Store::open(&options(folder.path())).unwrap();
    for n in 0..2 {
        let mut overlay = Overlay::new(&opened.store);
        let number = overlay
            .conversation_or_unknown(&conversation_id("a"))
            .unwrap();
        let token = local(&format!("l{n}"));
        overlay
            .enqueue(number, token, at(1), send("unsent"))
            .unwrap();
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Intent).unwrap();
    }
    let copy = left_by_a_kill(folder.path());
    let again = Store::open(&options(copy.path())).unwrap();
    assert!(!again.report.found_damage(), "{:?}", again.report);
    assert_eq!(again.report.intents_replayed, 2);
    check_list(&again.store);
    assert_eq!(again.store.snapshot().outbox_len(), 2);
}
