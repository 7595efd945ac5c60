//! Promises: every read sees one at once, the tree is told later, and a power cut in between takes nothing
//! away.

use super::*;
use crate::store::disk::Disk;
use crate::store::disk::memory::Fault;
use crate::store::read::items::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::tree::memory::LOG_FILE;

/// The length of the tree's log, in bytes.
fn told(disk: &MemoryDisk) -> usize {
    let files = disk.files();
    let log = files.iter().find(|(name, _)| name == LOG_FILE);
    log.map_or(0, |(_, length)| *length)
}

/// The content that a reader sees: the list's ids in order, and the newest echo of each.
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

/// Conversations `a` and `b` and an entry, all durable; then a large commit that is in flight.
fn afloat(seed: u64) -> (Bench, ConversationNumber) {
    let mut bench = Bench::on(MemoryDisk::new(seed));
    let number = bench.conversation("a");
    bench.conversation("b");
    bench.commit(|o| {
        o.enqueue(number, local("first"), at(1), send("first"))
            .unwrap()
    });
    bench.writer.sync().unwrap();
    soon(&mut bench, |overlay| {
        for n in 5..45 {
            overlay
                .put_message(number, &message("other", n, "hello"))
                .unwrap();
        }
    });
    (bench, number)
}

fn soon(bench: &mut Bench, write: impl FnOnce(&mut Overlay<'_>)) {
    let mut overlay = Overlay::new(&bench.store);
    write(&mut overlay);
    let batch = overlay.into_batch();
    bench.writer.commit(batch, CommitClass::Cache).unwrap();
}

/// Cuts the power at once.
fn cut(bench: Bench) -> Bench {
    let operation = bench.disk.operations();
    bench.disk.set_fault(Some(Fault::From { operation }));
    bench.crash()
}

/// The local ids of the unsent entries.
fn unsent(store: &Store) -> Vec<String> {
    let outbox = store.snapshot().outbox();
    let tokens = outbox.iter().map(|entry| entry.token.as_str().to_owned());
    tokens.collect()
}

#[test]
fn a_promise_over_commits_that_are_not_synced_writes_no_tree_and_survives_a_power_cut() {
    for seed in 1..40 {
        let (mut bench, number) = afloat(seed);
        let before = told(&bench.disk);
        bench.commit(|o| {
            o.enqueue(number, local("second"), at(9), send("second"))
                .unwrap()
        });
        assert_eq!(told(&bench.disk), before);
        assert_eq!(bench.writer.durable_seq(), bench.store.seq().0 - 2);
        let bench = cut(bench);
        assert_eq!(unsent(&bench.store), ["first", "second"]);
        assert_eq!(seen(&bench.store)[0].0, conversation_id("a"));
        check_list(&bench.store);
    }
}

#[test]
fn a_settlement_that_a_power_cut_takes_leaves_later_promises_whole() {
    let mut undone = 0;
    for seed in 1..40 {
        let (mut bench, _) = afloat(seed);
        let first = bench.store.snapshot().outbox()[0].id;
        let operation = bench.disk.operations() + seed % 10;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let mut overlay = Overlay::new(&bench.store);
        overlay.settle(first);
        let batch = overlay.into_batch();
        // It may be refused, or wait for a sync: then it may be there all the same, or not.
        let committed = bench.writer.commit(batch, CommitClass::Cache);
        let settled = committed.is_ok() && !bench.writer.is_dirty();
        let mut bench = cut(bench);
        let mut left = unsent(&bench.store);
        undone += usize::from(left == ["first"]);
        assert!(left.is_empty() || left == ["first"] && !settled);
        // It goes on from there.
        let number = bench.store.snapshot().number(&conversation_id("a"));
        let number = number.unwrap().unwrap();
        bench.commit(|o| {
            o.enqueue(number, local("second"), at(10), send("second"))
                .unwrap()
        });
        let bench = cut(bench);
        left.push("second".to_owned());
        assert_eq!(unsent(&bench.store), left);
        check_list(&bench.store);
    }
    assert!((1..39).contains(&undone), "both were seen: {undone}");
}

#[test]
fn a_promise_that_stands_on_what_is_not_synced_waits_until_it_is() {
    let stands: [fn(&mut Bench, ConversationNumber); 4] = [
        // On a conversation that was just made.
        |bench, _| {
            let mut made = None;
            soon(bench, |o| made = o.create_conversation(row("new")).ok());
            let made = made.unwrap();
            bench.commit(|o| o.enqueue(made, local("l"), at(9), send("unsent")).unwrap());
        },
        // On an entry that was just changed.
        |bench, _| {
            let id = bench.store.snapshot().outbox()[0].id;
            soon(bench, |o| {
                assert!(o.update_entry(id, |entry| entry.tries += 1))
            });
            bench.commit(|o| assert!(o.update_entry(id, |entry| entry.tries += 1)));
        },
        // On messages: a mark of the messages that were read.
        |bench, number| {
            let read = |row: &mut ConversationRow| row.read_until_self = Some(at(5));
            bench.commit(|o| o.update_conversation(number, read).unwrap());
        },
        // On everything that came: a cursor.
        |bench, _| {
            bench.commit(|o| o.update_session(|row| row.last_patch_at = Some(at(5))));
        },
    ];
    for stand in stands {
        let (mut bench, number) = afloat(1);
        stand(&mut bench, number);
        assert_eq!(bench.writer.durable_seq(), bench.store.seq().0);
        let before = seen(&bench.store);
        let bench = cut(bench);
        assert_eq!(seen(&bench.store), before);
    }
}

/// A store whose tree becomes what it was says so when it opens, and keeps both promises.
fn a_tree_of_old_is_noticed(bench: Bench, old: &[u8]) {
    let Bench {
        disk,
        store,
        writer,
    } = bench;
    drop((store, writer));
    disk.replace(LOG_FILE, old).unwrap();
    let opened = Store::in_memory(&disk, client("me")).unwrap();
    assert!(opened.report.rolled_back, "{:?}", opened.report);
    assert_eq!(unsent(&opened.store), ["first", "second"]);
}

#[test]
fn a_tree_that_is_older_than_what_a_promise_stands_on_is_not_taken_for_one_that_lost_its_last_commits()
 {
    let (mut bench, number) = afloat(1);
    let old = bench.disk.read(LOG_FILE).unwrap().unwrap();
    for n in 0..3 {
        soon(&mut bench, |overlay| {
            overlay
                .put_message(number, &message("other", 110 + n, "hello"))
                .unwrap();
        });
    }
    bench.writer.sync().unwrap();
    soon(&mut bench, |overlay| {
        overlay
            .put_message(number, &message("other", 120, "hello"))
            .unwrap();
    });
    bench.commit(|o| {
        o.enqueue(number, local("second"), at(9), send("second"))
            .unwrap()
    });
    a_tree_of_old_is_noticed(cut(bench), &old);
}

/// A promise that stands apart can follow on a missing commit; a mark of durability behind that commit can't.
#[test]
fn a_tree_that_lost_a_synced_commit_under_a_promise_that_stands_apart_is_noticed() {
    let (mut bench, number) = afloat(1);
    bench.writer.sync().unwrap();
    let old = bench.disk.read(LOG_FILE).unwrap().unwrap();
    soon(&mut bench, |overlay| {
        overlay
            .put_message(number, &message("other", 110, "hello"))
            .unwrap();
    });
    bench.commit(|o| {
        o.enqueue(number, local("second"), at(9), send("second"))
            .unwrap()
    });
    bench.writer.sync().unwrap();
    a_tree_of_old_is_noticed(bench, &old);
}

#[test]
fn a_promise_does_not_wait_for_the_sync_of_a_large_commit() {
    let folder = tempfile::tempdir().unwrap();
    let options = |folder| StoreOptions::new(folder, client("me"), at(0));
    let mut opened = Store::open(&options(folder.path())).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.create_conversation(row("a")).unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    for round in 0..3_u8 {
        let mut overlay = Overlay::new(&opened.store);
        for n in 0..100 {
            let n = i64::from(round) * 100 + n;
            overlay
                .put_message(number, &message("other", n, "hello"))
                .unwrap();
        }
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
        let mut overlay = Overlay::new(&opened.store);
        let token = local(&format!("l{round}"));
        overlay
            .enqueue(number, token, at(1), send("unsent"))
            .unwrap();
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Intent).unwrap();
        if cfg!(target_os = "linux") {
            assert!(opened.writer.durable_seq() < opened.store.seq().0);
        }
    }
    let copy = left_by_a_kill(folder.path());
    let again = Store::open(&options(copy.path())).unwrap();
    assert!(!again.report.found_damage(), "{:?}", again.report);
    assert_eq!(unsent(&again.store), ["l0", "l1", "l2"]);
    check_list(&again.store);
}

/// Packs that are sealed beside a commit wait for the next commit: a promise that builds on them does not wait.
#[test]
fn a_promise_about_what_was_just_sealed_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let options = |folder| StoreOptions::new(folder, client("me"), at(0));
    let mut opened = Store::open(&options(folder.path())).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.create_conversation(row("a")).unwrap();
    for n in 1..=100 {
        overlay
            .put_message(number, &message("other", n, "hello"))
            .unwrap();
    }
    let hold = |row: &mut ConversationRow| row.history.hold(position(1), position(100));
    overlay.update_conversation(number, hold).unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
    opened.writer.sync().unwrap();
    let mut overlay = Overlay::new(&opened.store);
    overlay
        .put_message(number, &message("other", 3, "edited"))
        .unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    let copy = left_by_a_kill(folder.path());
    let again = Store::open(&options(copy.path())).unwrap();
    assert!(!again.report.found_damage(), "{:?}", again.report);
    let page = again
        .store
        .snapshot()
        .page_before(number, None, 200)
        .unwrap();
    let words = page.items.iter().filter_map(TimelineItem::message);
    let words: Vec<_> = words.filter_map(|it| it.content.words()).collect();
    assert_eq!(words.len(), 100);
    assert_eq!((words[1], words[2], words[3]), ("hello", "edited", "hello"));
}
