//! Tails seen from outside: the newest messages lie with the row, one value is written for a message
//! that comes, and no damage to that value hides anything.

use std::ops::{Bound, ControlFlow};

use super::packs::{has_no_silent_hole, long, put, put_value, receive, shown, texts};
use super::*;
use crate::store::format::frame::VALUE_MAX;
use crate::store::format::key;
use crate::store::format::key::Tag;
use crate::store::format::pack::Form;
use crate::store::read::packs::PackHome;
use crate::store::tree::Direction;
use crate::store::types::position::HistoryStart;

/// The homes of a conversation's packs, and how many messages they have, the oldest first.
fn homes(store: &Store, number: ConversationNumber) -> Vec<(PackHome, usize)> {
    let mut homes = Vec::new();
    let snapshot = store.snapshot();
    snapshot
        .visit_packs(number, Bound::Unbounded, Direction::Forward, &mut |keyed| {
            let many = keyed.pack.map_or(0, |pack| pack.slots.len());
            homes.push((keyed.home, many));
            ControlFlow::Continue(())
        })
        .unwrap();
    homes
}

/// Every value of the tree, with what lies over it.
fn values(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut values = Vec::new();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let tables = store.shared.read();
    tables
        .scan(all, Direction::Forward, &mut |key, value| {
            values.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    values
}

/// The value of a conversation.
fn value(store: &Store, number: ConversationNumber) -> Vec<u8> {
    let key = key::conversation(number);
    let tables = store.shared.read();
    tables.value(&key).unwrap().unwrap()
}

fn rename(bench: &mut Bench, number: ConversationNumber, name: &str) {
    bench.commit(|o| {
        o.update_conversation(number, |row| row.name = Some(name.to_owned()))
            .unwrap();
    });
}

/// A conversation of which the first message was the first there was.
fn begun(bench: &mut Bench) -> ConversationNumber {
    let number = bench.conversation("c");
    let reached = |row: &mut ConversationRow| row.history.set_start(HistoryStart::Reached);
    bench.commit(|o| o.update_conversation(number, reached).unwrap());
    number
}

#[test]
fn a_message_that_comes_is_written_in_one_value_with_its_row() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..3);
    let before = values(&bench.store);
    receive(&mut bench, number, 3..4);
    let after = values(&bench.store);
    let changed = after.iter().filter(|pair| !before.contains(pair));
    let tags: Vec<_> = changed.filter_map(|(key, _)| Tag::of(key)).collect();
    assert!(tags.contains(&Tag::Meta) && tags.contains(&Tag::Conversation));
    assert!(!tags.contains(&Tag::Hot) && !tags.contains(&Tag::Pack));
    assert_eq!(homes(&bench.store, number), [(PackHome::Row, 4)]);
}

#[test]
fn a_full_tail_becomes_a_pack_of_its_own_and_another_begins() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    for n in 0..8 {
        receive(&mut bench, number, n..n + 1);
    }
    assert_eq!(homes(&bench.store, number), [(PackHome::Row, 8)]);
    receive(&mut bench, number, 8..9);
    let expected = [(PackHome::Own, 8), (PackHome::Row, 1)];
    assert_eq!(homes(&bench.store, number), expected);
    receive(&mut bench, number, 9..30);
    let expected = [8, 8, 8].map(|many| (PackHome::Own, many));
    assert_eq!(homes(&bench.store, number)[..3], expected);
    assert_eq!(homes(&bench.store, number)[3], (PackHome::Row, 6));
    assert_eq!(shown(&bench.store, number), texts(0..30));
    let bench = bench.crash();
    assert_eq!(shown(&bench.store, number), texts(0..30));
}

#[test]
fn a_message_too_large_for_a_tail_lies_alone_and_what_comes_next_begins_another() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..2);
    let large = "x".repeat(10_000);
    bench.commit(|o| {
        o.put_message(number, &message("other", 2, &large)).unwrap();
        o.update_conversation(number, |row| row.history.hold(position(0), position(2)))
            .unwrap();
    });
    let expected = [(PackHome::Own, 2), (PackHome::Own, 1)];
    assert_eq!(homes(&bench.store, number), expected);
    receive(&mut bench, number, 3..5);
    let expected = [(PackHome::Own, 2), (PackHome::Own, 1), (PackHome::Row, 2)];
    assert_eq!(homes(&bench.store, number), expected);
    let mut all = texts(0..5);
    all[2] = format!("2 {large}");
    assert_eq!(shown(&bench.store, number), all);
    assert_eq!(shown(&bench.crash().store, number), all);
}

#[test]
fn an_edit_of_a_message_of_the_tail_stays_there_and_one_that_grows_too_large_goes() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..5);
    bench.commit(|o| {
        o.put_message(number, &message("other", 1, "edited"))
            .unwrap();
        assert!(o.remove_message(number, &position(3)).unwrap());
    });
    assert_eq!(homes(&bench.store, number), [(PackHome::Row, 4)]);
    let mut expected = texts([0, 1, 2, 4]);
    expected[1] = "1 edited".to_owned();
    assert_eq!(shown(&bench.store, number), expected);
    let large = "x".repeat(5_000);
    bench.commit(|o| {
        o.put_message(number, &message("other", 2, &large)).unwrap();
    });
    expected[2] = format!("2 {large}");
    assert_eq!(shown(&bench.store, number), expected);
    let places = [(PackHome::Own, 2), (PackHome::Own, 1), (PackHome::Row, 1)];
    assert_eq!(homes(&bench.store, number), places);
    let mut bench = bench.reopen();
    assert_eq!(shown(&bench.store, number), expected);
    bench.commit(|o| {
        for n in [0, 1, 2, 4] {
            assert!(o.remove_message(number, &position(n)).unwrap());
        }
    });
    assert_eq!(homes(&bench.store, number), []);
    receive(&mut bench, number, 7..9);
    assert_eq!(homes(&bench.store, number), [(PackHome::Row, 2)]);
}

#[test]
fn a_commit_of_the_row_alone_keeps_the_tail_though_nobody_looked_at_it() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..12);
    let mut bench = bench.reopen();
    // An observer that is told of a conversation is told its newest message; nobody is told of a read mark.
    bench.commit(|o| {
        o.update_conversation(number, |row| row.read_until_self = Some(at(3)))
            .unwrap();
    });
    let tail = bench.store.shared.read().packs.tail(number);
    assert!(!tail.flatten().unwrap().is_open());
    assert_eq!(
        homes(&bench.store, number).last(),
        Some(&(PackHome::Row, 4))
    );
    rename(&mut bench, number, "quay");
    assert_eq!(shown(&bench.store, number), texts(0..12));
    let bench = bench.crash();
    assert_eq!(shown(&bench.store, number), texts(0..12));
    let row = bench.store.snapshot().conversation(number).unwrap();
    assert_eq!(row.unwrap().name.as_deref(), Some("quay"));
}

#[test]
fn whoever_reads_a_row_does_not_look_at_its_messages() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..3);
    let bench = bench.reopen();
    let row = bench.store.snapshot().conversation(number).unwrap();
    assert_eq!(row.unwrap().held_count(), 3);
    let tail = bench.store.shared.read().packs.tail(number);
    assert!(!tail.flatten().unwrap().is_open());
}

#[test]
fn a_conversation_of_thousands_of_members_has_no_tail_and_every_value_has_its_limit() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..6);
    bench.commit(|o| {
        let members = (0..2_500).map(|n| client(&format!("member number {n}")));
        o.update_conversation(number, |row| row.members = members.collect())
            .unwrap();
    });
    assert_eq!(homes(&bench.store, number), [(PackHome::Own, 6)]);
    receive(&mut bench, number, 6..20);
    let is_own = |(home, _): &(PackHome, usize)| *home == PackHome::Own;
    assert!(homes(&bench.store, number).iter().all(is_own));
    bench.commit(|o| {
        o.update_conversation(number, |row| row.members.truncate(3))
            .unwrap();
    });
    receive(&mut bench, number, 20..22);
    assert_eq!(
        homes(&bench.store, number).last(),
        Some(&(PackHome::Row, 2))
    );
    assert_eq!(shown(&bench.reopen().store, number), texts(0..22));
}

#[test]
fn the_largest_tail_and_the_largest_row_beside_one_fit_a_value() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    bench.commit(|o| {
        let members = (0..700).map(|n| client(&format!("m{n}")));
        o.update_conversation(number, |row| row.members = members.collect())
            .unwrap();
    });
    for n in 0..6 {
        let text = "x".repeat(600);
        bench.commit(|o| {
            o.put_message(number, &message("other", n, &text)).unwrap();
        });
    }
    assert_eq!(homes(&bench.store, number), [(PackHome::Row, 6)]);
    assert!(value(&bench.store, number).len() < VALUE_MAX / 2);
}

#[test]
fn a_damaged_value_loses_row_and_tail_and_what_is_older_stays() {
    let mut bench = Bench::new();
    let number = long(&mut bench);
    bench.writer.sync().unwrap();
    let mut damaged = value(&bench.store, number);
    *damaged.last_mut().unwrap() ^= 1;
    put_value(&bench, number, key::conversation(number), damaged);
    let mut bench = bench.reopen();
    assert_eq!(bench.store.snapshot().conversation(number).unwrap(), None);
    assert!(bench.store.damaged_reads() > 0);
    let (again, _) = bench.commit(|o| o.conversation_or_unknown(&conversation_id("c")).unwrap());
    assert_eq!(again, number);
    let before = shown(&bench.store, number);
    assert!(before.len() > 190 && has_no_silent_hole(&before));
    receive(&mut bench, number, 200..203);
    let partly = shown(&bench.store, number);
    assert!(has_no_silent_hole(&partly), "{partly:?}");
    receive(&mut bench, number, 0..203);
    let reached = |row: &mut ConversationRow| row.history.set_start(HistoryStart::Reached);
    bench.commit(|o| o.update_conversation(number, reached).unwrap());
    assert_eq!(shown(&bench.store, number), texts(0..203));
    assert_eq!(shown(&bench.reopen().store, number), texts(0..203));
}

#[test]
fn a_damaged_value_is_not_written_anew_as_if_it_were_whole() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..12);
    bench.writer.sync().unwrap();
    let mut damaged = value(&bench.store, number);
    *damaged.last_mut().unwrap() ^= 1;
    put_value(&bench, number, key::conversation(number), damaged);
    let known = bench.store.damaged_reads();
    // The row is still known; its tail is not.
    rename(&mut bench, number, "harbour");
    assert!(bench.store.damaged_reads() > known);
    assert_eq!(homes(&bench.store, number), [(PackHome::Own, 8)]);
    let mut expected = texts(0..8);
    expected.push("gap".to_owned());
    assert_eq!(shown(&bench.store, number), expected);
    let mut bench = bench.reopen();
    assert_eq!(shown(&bench.store, number), expected);
    // An edit of a remaining message and a new message, in one commit, do not close the hole.
    bench.commit(|o| {
        o.put_message(number, &message("other", 7, "text 7"))
            .unwrap();
        o.put_message(number, &message("other", 6, "edited"))
            .unwrap();
        put(o, number, 12..14);
        let hold = |row: &mut ConversationRow| row.history.hold(position(0), position(13));
        o.update_conversation(number, hold).unwrap();
    });
    expected[6] = "6 edited".to_owned();
    expected.extend(texts(12..14));
    assert_eq!(shown(&bench.store, number), expected);
    receive(&mut bench, number, 0..14);
    assert_eq!(shown(&bench.store, number), texts(0..14));
}

#[test]
fn a_value_that_is_older_than_the_packs_hides_and_repeats_nothing() {
    let mut bench = Bench::new();
    let number = begun(&mut bench);
    receive(&mut bench, number, 0..6);
    bench.writer.sync().unwrap();
    let old = value(&bench.store, number);
    receive(&mut bench, number, 6..30);
    bench.writer.sync().unwrap();
    put_value(&bench, number, key::conversation(number), old);
    let mut bench = bench.reopen();
    assert_eq!(shown(&bench.store, number), texts(0..6));
    // The service tells again what came since.
    for n in 6..40 {
        receive(&mut bench, number, n..n + 1);
        assert_eq!(shown(&bench.store, number), texts(0..n + 1));
    }
    assert_eq!(shown(&bench.crash().store, number), texts(0..40));
}

#[test]
fn late_messages_before_the_tail_are_linked_with_it() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    receive(&mut bench, number, 100..103);
    let large = "x".repeat(5_000);
    bench.commit(|o| {
        o.put_message(number, &message("other", 100, &large))
            .unwrap();
    });
    let expected = [(PackHome::Own, 1), (PackHome::Row, 2)];
    assert_eq!(homes(&bench.store, number), expected);
    // Between the one pack and the tail, and before both.
    bench.commit(|o| {
        assert!(o.remove_message(number, &position(100)).unwrap());
        put(o, number, 90..95);
    });
    receive(&mut bench, number, 50..90);
    bench.commit(|o| {
        o.update_conversation(number, |row| row.history.hold(position(50), position(102)))
            .unwrap();
    });
    let mut expected = vec!["gap".to_owned()];
    expected.extend(texts((50..95).chain(101..103)));
    assert_eq!(shown(&bench.store, number), expected);
    assert_eq!(shown(&bench.crash().store, number), expected);
}

#[test]
fn a_tail_has_the_form_of_a_hot_pack() {
    let mut bench = Bench::new();
    let number = long(&mut bench);
    let snapshot = bench.store.snapshot();
    let tail = snapshot.tail(number).unwrap().unwrap();
    let keyed = snapshot.opened_tail(number, &tail);
    assert_eq!(keyed.pack.unwrap().form, Form::Hot);
    assert_eq!(key::section_of(&keyed.key), Form::Hot);
}
