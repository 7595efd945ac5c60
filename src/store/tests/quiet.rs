//! Conversations in which nothing happens any more: they are sealed once, and nobody sees it.

use super::packs::{break_pack, packs, receive, sealed, shown, texts};
use super::*;
use crate::store::disk::memory::Fault;
use crate::store::format::pack::Form;
use crate::store::maintain::Tended;
use crate::store::types::position::{HistoryEnd, HistoryStart};

/// A conversation that is held from its beginning, with some messages.
fn conversation(bench: &mut Bench, id: &str, upto: i64) -> ConversationNumber {
    let number = bench.conversation(id);
    bench.commit(|o| {
        o.update_conversation(number, |row| row.history.set_start(HistoryStart::Reached))
            .unwrap();
    });
    for from in (0..upto).step_by(10) {
        receive(bench, number, from..(from + 10).min(upto));
    }
    number
}

fn hot(store: &Store, number: ConversationNumber) -> usize {
    let packs = packs(store, number);
    packs.iter().filter(|pack| pack.form == Form::Hot).count()
}

fn tend(bench: &mut Bench, in_view: &[ConversationId]) {
    while bench.writer.tend(in_view).unwrap() == Tended::More {}
}

#[test]
fn short_conversations_are_sealed_while_nothing_is_to_do_but_not_the_first_ones_or_those_in_view() {
    let mut bench = Bench::new();
    let mut quiet = Vec::new();
    for n in 0..280 {
        quiet.push(conversation(&mut bench, &format!("c{n}"), 20));
    }
    // Those of the highest numbers are the first of the list: all were last active at once.
    let first = quiet.split_off(24);
    assert!(bench.writer.wants_tending());
    tend(&mut bench, &[conversation_id("c7")]);
    assert!(!bench.writer.wants_tending());
    for (n, number) in quiet.iter().enumerate() {
        let is_viewed = n == 7;
        assert_eq!(sealed(&bench.store, *number) == 0, is_viewed, "{n}");
        assert!(is_viewed || hot(&bench.store, *number) <= 1, "{n}");
        assert_eq!(shown(&bench.store, *number), texts(0..20));
    }
    for number in &first {
        assert_eq!(sealed(&bench.store, *number), 0);
    }
    let bench = bench.reopen();
    assert!(!bench.writer.wants_tending());
    for number in quiet.iter().chain(&first) {
        assert_eq!(shown(&bench.store, *number), texts(0..20));
    }
}

#[test]
fn a_store_to_which_little_comes_is_not_written_to_again() {
    let mut bench = Bench::new();
    let number = conversation(&mut bench, "c", 40);
    bench.writer.seal_idle_beside(0).unwrap();
    bench.writer.sync().unwrap();
    let operations = bench.disk.operations();
    for _ in 0..3 {
        assert!(!bench.writer.wants_tending());
        tend(&mut bench, &[]);
        bench.writer.sync().unwrap();
    }
    assert_eq!(bench.disk.operations(), operations);
    receive(&mut bench, number, 40..50);
    bench = bench.reopen();
    assert!(!bench.writer.wants_tending());
}

#[test]
fn many_short_visits_leave_no_crowd_of_small_packs() {
    let mut bench = Bench::new();
    let number = conversation(&mut bench, "c", 10);
    for from in (10..400).step_by(10) {
        receive(&mut bench, number, from..from + 10);
        bench.writer.seal_idle_beside(0).unwrap();
    }
    assert_eq!(shown(&bench.store, number), texts(0..400));
    let sealed = sealed(&bench.store, number);
    assert!((8..=25).contains(&sealed), "{sealed} packs");
    assert_eq!(shown(&bench.reopen().store, number), texts(0..400));
}

#[test]
fn quieting_goes_round_a_damaged_pack_and_what_was_in_it_can_come_again() {
    for broken in [0, 20, 39] {
        let mut bench = Bench::new();
        let number = conversation(&mut bench, "c", 40);
        break_pack(&bench, number, broken);
        let before = shown(&bench.store, number);
        for _ in 0..2 {
            bench.writer.seal_idle_beside(0).unwrap();
            assert_eq!(shown(&bench.store, number), before, "{broken}");
        }
        // The first time, what comes into the hole cuts the span there.
        receive(&mut bench, number, 0..40);
        receive(&mut bench, number, 0..40);
        bench.writer.seal_idle_beside(0).unwrap();
        bench.commit(|o| {
            o.update_conversation(number, |row| {
                row.history.set_start(HistoryStart::Reached);
                row.history.set_end(HistoryEnd::Current);
            })
            .unwrap();
        });
        assert_eq!(
            shown(&bench.reopen().store, number),
            texts(0..40),
            "{broken}"
        );
    }
}

#[test]
fn a_cut_at_any_operation_of_quieting_loses_nothing_and_repeats_nothing() {
    for nth in 1..=12 {
        let mut bench = Bench::on(MemoryDisk::new(nth));
        let numbers: Vec<_> = (0..30)
            .map(|n| conversation(&mut bench, &format!("c{n}"), 40))
            .collect();
        bench.writer.sync().unwrap();
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let failed = bench.writer.seal_idle_beside(0).is_err() || bench.writer.sync().is_err();
        assert!(failed || nth > 4, "operation {nth} was not refused");
        let mut bench = bench.crash();
        for round in 0..2 {
            for number in &numbers {
                assert_eq!(
                    shown(&bench.store, *number),
                    texts(0..40),
                    "operation {nth}"
                );
            }
            if round == 0 {
                bench.writer.seal_idle_beside(0).unwrap();
                bench = bench.reopen();
            }
        }
    }
}
