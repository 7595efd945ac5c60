//! The list after openings of any kind: it is put together from what commits wrote, or made anew.

use std::path::Path;

use super::*;
use crate::store::disk::memory::Fault;
use crate::store::format::key;
use crate::store::recovery::options::StoreOptions;
use crate::store::tree::KvBatch;

const CONVERSATIONS: i64 = 20;

/// Lets the `n`-th commit move two conversations.
fn move_two(overlay: &mut Overlay<'_>, n: i64) {
    for c in [n % CONVERSATIONS, n * 7 % CONVERSATIONS] {
        let id = conversation_id(&format!("c{c}"));
        let number = overlay.conversation_or_unknown(&id).unwrap();
        overlay
            .put_message(number, &message("other", n, "hello"))
            .unwrap();
    }
}

fn first(store: &Store) -> Timestamp {
    let page = store.snapshot().conversations(None, 1).unwrap();
    let info = page.conversations.into_iter().next().unwrap().1;
    info.last_message.unwrap().sent_at
}

fn options(folder: &Path) -> StoreOptions {
    StoreOptions::new(folder, client("me"), at(1))
}

#[test]
fn the_list_is_right_after_a_kill_behind_any_number_of_commits() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Store::open(&options(folder.path())).unwrap();
    for n in 1..=160 {
        let mut overlay = Overlay::new(&opened.store);
        move_two(&mut overlay, n);
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
        // Before and behind the commits at which pages are written.
        if n % 32 < 3 || n == 160 {
            let copy = left_by_a_kill(folder.path());
            let again = Store::open(&options(copy.path())).unwrap();
            assert!(!again.report.found_damage(), "{:?}", again.report);
            check_list(&again.store);
            assert_eq!(first(&again.store), at(n));
        }
    }
}

#[test]
fn the_list_is_right_after_a_power_cut_behind_any_number_of_promises() {
    for promises in [1, 63, 64, 65, 127, 128, 129, 130, 300] {
        let mut bench = Bench::new();
        for n in 1..=promises {
            bench.commit(|overlay| move_two(overlay, n));
        }
        let operation = bench.disk.operations();
        bench.disk.set_fault(Some(Fault::From { operation }));
        let bench = bench.crash();
        check_list(&bench.store);
        assert_eq!(first(&bench.store), at(promises));
        let slots = bench.store.shared.read().list.unwritten.next_slot;
        assert!(slots > 0, "it was not made from the rows");
    }
}

#[test]
fn a_damaged_record_of_the_list_loses_nothing_and_is_no_damage() {
    for key in [key::moves(0), key::list_page(0)] {
        let mut bench = Bench::new();
        for n in 1..=90 {
            bench.commit(|overlay| move_two(overlay, n));
            bench.writer.sync().unwrap();
        }
        let mut batch = KvBatch::default();
        batch.put(key, b"garbage".to_vec());
        bench.store.shared.read().kv.apply(&batch).unwrap();
        let Bench {
            disk,
            store,
            writer,
        } = bench;
        drop((store, writer));
        let opened = Store::in_memory(&disk, client("me")).unwrap();
        assert!(!opened.report.found_damage());
        check_list(&opened.store);
        assert_eq!(first(&opened.store), at(90));
        drop(opened);
        let again = Store::in_memory(&disk, client("me")).unwrap();
        let tables = again.store.shared.read();
        assert!(!tables.list.unwritten.is_all && tables.list.unwritten.pages.is_empty());
    }
}
