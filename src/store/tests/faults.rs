//! Every disk operation refused, one after the other; power cuts between any two.

use super::*;
use crate::model::StoreHealth;
use crate::store::disk::Disk;
use crate::store::disk::memory::Fault;
use crate::store::error::StoreError;
use crate::store::tree::memory::LOG_FILE;

/// Sends until the fault strikes, and gives how many sends were accepted.
fn send_until_refused(bench: &mut Bench, number: ConversationNumber, upto: usize) -> usize {
    let mut accepted = 0;
    for n in 0..upto {
        let mut overlay = Overlay::new(&bench.store);
        let token = local(&format!("l{n}"));
        overlay
            .enqueue(number, token, at(1), send(&format!("text {n}")))
            .unwrap();
        match bench
            .writer
            .commit(overlay.into_batch(), CommitClass::Intent)
        {
            Ok(_) => accepted += 1,
            Err(StoreError::Io { .. } | StoreError::ReadOnly { .. }) => break,
            Err(other) => panic!("{other}"),
        }
        // Cache commits between the intents, as in life.
        let mut overlay = Overlay::new(&bench.store);
        let time = i64::try_from(n).unwrap() + 1;
        overlay
            .put_message(number, &message("other", time, "hello"))
            .unwrap();
        let _ = bench
            .writer
            .commit(overlay.into_batch(), CommitClass::Cache);
    }
    accepted
}

fn texts(store: &Store) -> Vec<String> {
    check_list(store);
    let snapshot = store.snapshot();
    let entries = snapshot.outbox().into_iter();
    entries
        .map(|entry| {
            let row = snapshot.conversation(entry.conversation).unwrap().unwrap();
            let echo = snapshot.echo(&entry, &row.id).unwrap();
            echo.content.words().unwrap().to_owned()
        })
        .collect()
}

/// D03: the disk refuses at any point.
#[test]
fn any_refused_operation_is_a_typed_error_and_what_was_accepted_stays() {
    for nth in 1..=60 {
        let mut bench = Bench::new();
        let number = bench.conversation("c");
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let accepted = send_until_refused(&mut bench, number, 15);
        let expected: Vec<_> = (0..accepted).map(|n| format!("text {n}")).collect();
        assert_eq!(
            texts(&bench.store),
            expected,
            "reads go on, operation {nth}"
        );
        let bench = bench.crash();
        // Of the one that was refused, the disk may have kept the record all the same.
        let kept = texts(&bench.store);
        assert!(kept.len() <= accepted + 1, "after a crash, operation {nth}");
        assert_eq!(kept[..accepted], expected, "after a crash, operation {nth}");
    }
}

#[test]
fn writing_resumes_by_a_probe_when_the_disk_works_again() {
    for nth in 1..=40 {
        let mut bench = Bench::new();
        let number = bench.conversation("c");
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let accepted = send_until_refused(&mut bench, number, 15);
        if bench.store.health() == StoreHealth::Good {
            continue;
        }
        assert!(bench.writer.probe(at(1)).is_err(), "operation {nth}");
        assert_eq!(texts(&bench.store).len(), accepted, "operation {nth}");
        bench.disk.set_fault(None);
        bench.writer.probe(at(1)).unwrap();
        assert_eq!(bench.store.health(), StoreHealth::Good);
        assert_eq!(texts(&bench.store).len(), accepted, "operation {nth}");
        bench.commit(|o| o.enqueue(number, local("new"), at(2), send("new")).unwrap());
        let bench = bench.crash();
        assert_eq!(texts(&bench.store).last().unwrap(), "new");
        assert_eq!(texts(&bench.store).len(), accepted + 1, "operation {nth}");
    }
}

#[test]
fn an_operation_that_fails_once_loses_nothing_and_repeats_nothing() {
    for nth in 1..=60 {
        let mut bench = Bench::new();
        let number = bench.conversation("c");
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::Once { operation }));
        let accepted = send_until_refused(&mut bench, number, 15);
        let bench = bench.crash();
        let expected: Vec<_> = (0..accepted).map(|n| format!("text {n}")).collect();
        assert_eq!(texts(&bench.store), expected, "operation {nth}");
    }
}

#[test]
fn a_power_cut_after_any_operation_keeps_every_promise() {
    for nth in 1..=160 {
        let mut bench = Bench::on(MemoryDisk::new(nth));
        let number = bench.conversation("c");
        // Every other time of a store that was opened again: its journal begins with what comes.
        if nth % 2 == 0 {
            bench = bench.reopen();
        }
        let nth = nth / 2 + 1;
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let accepted = send_until_refused(&mut bench, number, 20);
        let mut bench = bench.crash();
        let kept = texts(&bench.store);
        // The one under way may have made it: the app was told neither.
        assert!(
            kept.len() == accepted || kept.len() == accepted + 1,
            "operation {nth}"
        );
        bench.commit(|o| o.enqueue(number, local("new"), at(2), send("new")).unwrap());
        let bench = bench.reopen();
        assert_eq!(texts(&bench.store).len(), kept.len() + 1);
    }
}

#[test]
fn a_store_that_is_opened_and_only_read_is_not_written() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    bench.commit(|o| o.enqueue(number, local("a"), at(1), send("a")).unwrap());
    let bench = bench.reopen();
    let files = bench.disk.files();
    let bench = bench.reopen().reopen();
    assert_eq!(texts(&bench.store), ["a"]);
    assert_eq!(bench.disk.files(), files);
}

#[test]
fn what_was_settled_after_an_opening_is_not_sent_again_by_a_tree_made_anew() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    for token in ["a", "b"] {
        bench.commit(|o| o.enqueue(number, local(token), at(1), send(token)).unwrap());
    }
    let mut bench = bench.reopen();
    let first = bench.store.snapshot().outbox().first().unwrap().id;
    let mut overlay = Overlay::new(&bench.store);
    overlay.settle(first);
    let batch = overlay.into_batch();
    bench.writer.commit(batch, CommitClass::Cache).unwrap();
    bench.writer.sync().unwrap();
    let disk = bench.disk.clone();
    drop(bench);
    disk.remove(LOG_FILE).unwrap();
    let bench = Bench::on(disk);
    assert_eq!(bench.store.snapshot().outbox_len(), 1);
    assert_ne!(bench.store.snapshot().outbox().first().unwrap().id, first);
}

#[test]
fn what_readers_see_of_a_commit_observers_are_told_though_the_disk_fails_behind_it() {
    let mut behind = 0;
    for nth in 1..=20 {
        let mut bench = Bench::new();
        let number = bench.conversation("c");
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let mut overlay = Overlay::new(&bench.store);
        overlay
            .put_message(number, &message("other", 1, "hello"))
            .unwrap();
        let committed = bench
            .writer
            .commit(overlay.into_batch(), CommitClass::Cache);
        let told = committed.is_ok_and(|commit| !commit.changes.is_empty());
        let seen = bench.store.snapshot().message(number, &position(1));
        assert_eq!(told, seen.unwrap().is_some(), "operation {nth}");
        if bench.store.health() != StoreHealth::Good {
            behind += usize::from(told);
            assert!(bench.writer.sync().is_err(), "operation {nth}");
        }
    }
    assert!(behind > 0, "no operation failed behind the commit");
}
