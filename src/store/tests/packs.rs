//! Packs seen from outside: every change of sealed messages reaches the right ones, nothing is lost or
//! repeated, and nobody sees the sealing.

use super::*;
use crate::store::disk::memory::Fault;
use crate::store::format::key;
use crate::store::format::pack::{Form, Pack};
use crate::store::read::items::TimelineItem;
use crate::store::read::packs::PackHome;
use crate::store::tree::Direction;
use crate::store::types::position::HistoryStart;
use crate::store::write::change::StoreChange;
use crate::store::write::seal::HOT_MAX;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// Commits messages of class cache, held together with the one before them.
pub(super) fn receive(bench: &mut Bench, number: ConversationNumber, times: std::ops::Range<i64>) {
    let mut overlay = Overlay::new(&bench.store);
    put(&mut overlay, number, times.clone());
    let hold = |row: &mut ConversationRow| {
        let before = position((times.start - 1).max(0));
        row.history.hold(before, position(times.end - 1));
    };
    overlay.update_conversation(number, hold).unwrap();
    let batch = overlay.into_batch();
    bench.writer.commit(batch, CommitClass::Cache).unwrap();
}

/// Puts messages, held as one span.
pub(super) fn put(
    overlay: &mut Overlay<'_>,
    number: ConversationNumber,
    times: std::ops::Range<i64>,
) {
    let (from, to) = (position(times.start), position(times.end - 1));
    for n in times {
        let text = format!("text {n}");
        overlay
            .put_message(number, &message("other", n, &text))
            .unwrap();
    }
    let hold = |row: &mut ConversationRow| row.history.hold(from, to);
    overlay.update_conversation(number, hold).unwrap();
}

/// Times and texts, oldest first, and where gaps are.
pub(super) fn shown(store: &Store, number: ConversationNumber) -> Vec<String> {
    let snapshot = store.snapshot();
    let mut shown = Vec::new();
    let mut before = None;
    loop {
        let page = snapshot.page_before(number, before.as_ref(), 33).unwrap();
        let items = page.items.iter().map(|item| match item {
            TimelineItem::Message { position, message } => {
                let words = message.content.words().unwrap();
                format!("{} {words}", position.sent_at.as_millis())
            }
            TimelineItem::Echo { .. } => "echo".to_owned(),
            TimelineItem::Gap(_) => "gap".to_owned(),
        });
        shown.splice(0..0, items);
        before = page.items.iter().find_map(TimelineItem::place);
        if !page.more {
            return shown;
        }
    }
}

pub(super) fn texts(times: impl IntoIterator<Item = i64>) -> Vec<String> {
    times.into_iter().map(|n| format!("{n} text {n}")).collect()
}

pub(super) fn packs(store: &Store, number: ConversationNumber) -> Vec<Arc<Pack>> {
    let mut packs = Vec::new();
    let snapshot = store.snapshot();
    let visit = &mut |keyed: crate::store::read::packs::KeyedPack| {
        packs.extend(keyed.pack);
        ControlFlow::Continue(())
    };
    snapshot
        .visit_packs(number, Bound::Unbounded, Direction::Forward, visit)
        .unwrap();
    packs
}

pub(super) fn sealed(store: &Store, number: ConversationNumber) -> usize {
    let packs = packs(store, number);
    packs
        .iter()
        .filter(|pack| pack.form == Form::Sealed)
        .count()
}

/// A conversation of 200 messages, of which most are sealed, from the first one on.
pub(super) fn long(bench: &mut Bench) -> ConversationNumber {
    let number = bench.conversation("c");
    bench.commit(|o| {
        o.update_conversation(number, |row| row.history.set_start(HistoryStart::Reached))
            .unwrap();
    });
    for from in (0..200).step_by(10) {
        receive(bench, number, from..from + 10);
    }
    assert!(sealed(&bench.store, number) >= 4);
    number
}

#[test]
fn older_messages_are_sealed_the_newest_are_not_and_all_are_shown() {
    let mut bench = Bench::new();
    let number = long(&mut bench);
    let packs = packs(&bench.store, number);
    let hot: usize = packs
        .iter()
        .filter(|pack| pack.form == Form::Hot)
        .map(|pack| pack.slots.len())
        .sum();
    assert!((24..72).contains(&hot), "{hot} hot messages");
    assert!(packs.len() < 20, "{} packs", packs.len());
    assert_eq!(shown(&bench.store, number), texts(0..200));
    let bench = bench.reopen();
    assert_eq!(shown(&bench.store, number), texts(0..200));
}

#[test]
fn an_edit_a_recall_and_a_removal_reach_sealed_messages() {
    let mut bench = Bench::new();
    let number = long(&mut bench);
    let (_, commit) = bench.commit(|o| {
        o.put_message(number, &message("other", 3, "edited"))
            .unwrap();
        assert!(o.remove_message(number, &position(40)).unwrap());
        assert!(!o.remove_message(number, &position(1_000)).unwrap());
    });
    assert!(matches!(
        &commit.changes[..2],
        [
            StoreChange::MessageChanged { .. },
            StoreChange::MessageRemoved { .. }
        ]
    ));
    let mut expected = texts(0..200);
    expected[3] = "3 edited".to_owned();
    expected.remove(40);
    assert_eq!(shown(&bench.store, number), expected);
    let bench = bench.crash();
    assert_eq!(shown(&bench.store, number), expected);
    let row = bench.store.snapshot().conversation(number).unwrap();
    assert_eq!(row.unwrap().held_count(), 199);
}

#[test]
fn messages_older_than_a_sealed_pack_come_into_their_place() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    for from in (1_000..1_200).step_by(10) {
        receive(&mut bench, number, from..from + 10);
    }
    // Pages of history, newest first, and one from their middle again, edited.
    for from in [900, 800, 700, 0] {
        receive(&mut bench, number, from..from + 100);
    }
    bench.commit(|o| {
        o.update_conversation(number, |row| {
            row.history.hold(position(700), position(1_199))
        })
        .unwrap();
        o.put_message(number, &message("other", 850, "late"))
            .unwrap();
    });
    let mut expected = texts(700..1_200);
    expected[150] = "850 late".to_owned();
    let mut all = vec!["gap".to_owned()];
    all.extend(texts(0..100));
    all.push("gap".to_owned());
    all.extend(expected);
    assert_eq!(shown(&bench.store, number), all);
    for pack in packs(&bench.store, number) {
        assert!(pack.slots.len() <= 48);
    }
}

#[test]
fn sealing_is_not_seen_by_anybody() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let mut was_sealed = 0;
    for n in 0..200 {
        let before = bench.store.seq();
        let mut overlay = Overlay::new(&bench.store);
        put(&mut overlay, number, n..n + 1);
        let batch = overlay.into_batch();
        let commit = bench.writer.commit(batch, CommitClass::Cache).unwrap();
        assert_eq!(
            (commit.seq.0, bench.store.seq()),
            (before.0 + 1, commit.seq)
        );
        assert_eq!(commit.changes.len(), 2, "a message and its conversation");
        let now = sealed(&bench.store, number);
        assert!(now == was_sealed || now == was_sealed + 1);
        was_sealed = now;
    }
    assert!(was_sealed >= 4);
}

#[test]
fn a_removed_conversation_leaves_no_pack_behind() {
    let mut bench = Bench::new();
    let number = long(&mut bench);
    bench.commit(|o| o.remove_conversation(number).unwrap());
    assert!(packs(&bench.store, number).is_empty());
    let again = bench.conversation("c");
    assert_ne!(again, number);
    receive(&mut bench, again, 5..8);
    assert_eq!(shown(&bench.reopen().store, again)[1..], texts(5..8));
}

/// Breaks the value that has a message, as damage would.
pub(super) fn break_pack(bench: &Bench, number: ConversationNumber, n: i64) {
    let snapshot = bench.store.snapshot();
    let covering = snapshot.covering(number, &position(n)).unwrap().unwrap();
    let key = match covering.home {
        PackHome::Own => covering.key.to_vec(),
        PackHome::Row => key::conversation(number),
    };
    let mut value = snapshot.tables.kv.value(&key).unwrap().unwrap();
    *value.last_mut().unwrap() ^= 1;
    drop(snapshot);
    put_value(bench, number, key, value);
}

/// Puts a value into the tree behind the store's back; the row stays known, the messages do not.
pub(super) fn put_value(bench: &Bench, number: ConversationNumber, key: Vec<u8>, value: Vec<u8>) {
    let tables = bench.store.shared.read();
    let mut batch = crate::store::tree::KvBatch::default();
    batch.put(key.clone(), value);
    tables.kv.apply(&batch).unwrap();
    tables.packs.forget(&key);
    tables.packs.forget_tail(number);
}

/// No two messages may be shown as neighbours that are none.
pub(super) fn has_no_silent_hole(shown: &[String]) -> bool {
    let times = shown.iter().map(|item| {
        let first = item.split(' ').next().unwrap();
        first.parse::<i64>().ok()
    });
    let times: Vec<_> = times.collect();
    times.windows(2).all(|pair| match pair {
        [Some(a), Some(b)] => a + 1 == *b,
        _ => true,
    })
}

#[test]
fn a_damaged_pack_is_a_gap_that_heals_when_its_messages_come_again() {
    for broken in [0, 100, 199] {
        let mut bench = Bench::new();
        let number = long(&mut bench);
        break_pack(&bench, number, broken);
        let before = shown(&bench.store, number);
        assert!(before.len() < 200 && before.contains(&"gap".to_owned()));
        assert!(has_no_silent_hole(&before), "{broken}: {before:?}");
        // One message comes into the hole, one behind everything: still no hole is hidden.
        bench.commit(|o| put(o, number, broken..broken + 1));
        receive(&mut bench, number, 200..201);
        let partly = shown(&bench.store, number);
        assert!(has_no_silent_hole(&partly), "{broken}: {partly:?}");
        // The service tells all of it again.
        receive(&mut bench, number, 0..201);
        bench.commit(|o| {
            o.update_conversation(number, |row| {
                row.history.set_start(HistoryStart::Reached);
                row.history
                    .set_end(crate::store::types::position::HistoryEnd::Current);
            })
            .unwrap();
        });
        assert_eq!(shown(&bench.store, number), texts(0..201), "{broken}");
    }
}

#[test]
fn sealing_goes_past_a_damaged_pack_and_what_was_in_it_can_come_again() {
    let mut bench = Bench::new();
    let number = long(&mut bench);
    let hot = packs(&bench.store, number);
    let hot = hot.iter().find(|pack| pack.form == Form::Hot).unwrap();
    let first = hot.slots[0].position.sent_at.as_millis();
    let were_sealed = sealed(&bench.store, number);
    break_pack(&bench, number, first);
    for from in (200..300).step_by(10) {
        receive(&mut bench, number, from..from + 10);
    }
    assert!(sealed(&bench.store, number) >= were_sealed + 2);
    let before = shown(&bench.store, number);
    assert!(before.contains(&"gap".to_owned()));
    assert!(has_no_silent_hole(&before), "{before:?}");
    // The first message that comes into the hole cuts the spans there; all of them heal it.
    bench.commit(|o| put(o, number, first..first + 1));
    receive(&mut bench, number, 0..300);
    let set_start = |row: &mut ConversationRow| row.history.set_start(HistoryStart::Reached);
    bench.commit(|o| o.update_conversation(number, set_start).unwrap());
    assert_eq!(shown(&bench.store, number), texts(0..300));
    assert_eq!(shown(&bench.reopen().store, number), texts(0..300));
}

#[test]
fn a_pack_that_is_older_than_it_was_shows_as_a_gap_also_behind_new_messages() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    receive(&mut bench, number, 0..3);
    let old = {
        bench.writer.sync().unwrap();
        let tables = bench.store.shared.read();
        let key = key::conversation(number);
        (key.clone(), tables.kv.value(&key).unwrap().unwrap())
    };
    receive(&mut bench, number, 3..6);
    put_value(&bench, number, old.0, old.1);
    let shown_now = shown(&bench.store, number);
    assert_eq!(shown_now.last().unwrap(), "gap", "{shown_now:?}");
    receive(&mut bench, number, 6..8);
    let mut expected = vec!["gap".to_owned()];
    expected.extend(texts(0..3));
    expected.push("gap".to_owned());
    expected.extend(texts(6..8));
    assert_eq!(shown(&bench.store, number), expected);
}

#[test]
fn a_cut_at_any_operation_of_sealing_loses_nothing_and_repeats_nothing() {
    for nth in 1..=60 {
        let mut bench = Bench::on(MemoryDisk::new(nth));
        let number = bench.conversation("c");
        receive(&mut bench, number, 0..60);
        bench.writer.sync().unwrap();
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let mut accepted = 60;
        for n in 60..90 {
            let mut overlay = Overlay::new(&bench.store);
            put(&mut overlay, number, n..n + 1);
            let hold = |row: &mut ConversationRow| row.history.hold(position(0), position(n));
            overlay.update_conversation(number, hold).unwrap();
            let batch = overlay.into_batch();
            if bench.writer.commit(batch, CommitClass::Cache).is_err() {
                break;
            }
            if bench.writer.sync().is_err() {
                break;
            }
            accepted = n + 1;
        }
        let bench = bench.crash();
        let shown = shown(&bench.store, number);
        let kept = i64::try_from(shown.len()).unwrap() - 1;
        assert!(kept >= accepted, "operation {nth}: {kept} of {accepted}");
        assert_eq!(shown[1..], texts(0..kept), "operation {nth}");
    }
}

/// A sealing of long texts holds few messages, and the texts come in many conversations: sealing keeps up all the same.
#[test]
fn long_texts_are_sealed_as_fast_as_they_come() {
    let mut bench = Bench::new();
    let ids = ["a", "b", "c", "d"];
    let numbers = ids.map(|id| bench.conversation(id));
    for from in (0..600).step_by(50) {
        for number in numbers {
            let mut overlay = Overlay::new(&bench.store);
            for n in from..from + 50 {
                let text = format!("{n} ").repeat(1_200);
                let message = message("other", n, &text);
                overlay.put_message(number, &message).unwrap();
            }
            let batch = overlay.into_batch();
            bench.writer.commit(batch, CommitClass::Cache).unwrap();
        }
        let snapshot = bench.store.snapshot();
        for number in numbers {
            let hot = snapshot.row(number).unwrap().unwrap().held.hot;
            // The last commit of another conversation sealed some of its own first.
            assert!(hot <= HOT_MAX + 50, "{hot} hot messages of {number:?}");
        }
    }
}
