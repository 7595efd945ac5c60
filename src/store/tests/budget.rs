//! A store that is kept small: what goes is the oldest and leaves a gap, what must stay stays, and
//! compaction changes nothing but the size, wherever it is cut off.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::{StoreHealth, Unread};
use crate::store::disk::memory::Fault;
use crate::store::error::StoreError;
use crate::store::maintain::Tended;
use crate::store::maintain::evict::{Eviction, Evictor, KEPT};
use crate::store::read::items::TimelineItem;
use crate::store::types::position::HistoryStart;

/// Commits messages of class cache, in order, as one span with the one before them.
fn receive(bench: &mut Bench, number: ConversationNumber, times: std::ops::Range<i64>) {
    let mut overlay = Overlay::new(&bench.store);
    put(&mut overlay, number, times.clone());
    let (from, to) = (position((times.start - 1).max(0)), position(times.end - 1));
    overlay
        .update_conversation(number, |row| row.history.hold(from, to))
        .unwrap();
    let batch = overlay.into_batch();
    bench.writer.commit(batch, CommitClass::Cache).unwrap();
}

fn put(overlay: &mut Overlay<'_>, number: ConversationNumber, times: std::ops::Range<i64>) {
    for n in times {
        let text = format!("text {n}");
        overlay
            .put_message(number, &message("other", n, &text))
            .unwrap();
    }
}

/// A conversation that is held from its first message to that of time `upto`.
fn long(bench: &mut Bench, id: &str, upto: i64) -> ConversationNumber {
    let number = bench.conversation(id);
    bench.commit(|o| {
        o.update_conversation(number, |row| row.history.set_start(HistoryStart::Reached))
            .unwrap();
    });
    for from in (0..upto).step_by(20) {
        receive(bench, number, from..(from + 20).min(upto));
    }
    number
}

/// The times that are shown, oldest first; none for a gap.
fn shown(store: &Store, number: ConversationNumber) -> Vec<Option<i64>> {
    let snapshot = store.snapshot();
    let mut shown = Vec::new();
    let mut before = None;
    loop {
        let page = snapshot.page_before(number, before.as_ref(), 40).unwrap();
        let items = page.items.iter().filter_map(|item| match item {
            TimelineItem::Message { position, message } => {
                let n = position.sent_at.as_millis();
                assert_eq!(message.content.words().unwrap(), format!("text {n}"));
                Some(Some(n))
            }
            TimelineItem::Echo { .. } => None,
            TimelineItem::Gap(_) => Some(None),
        });
        shown.splice(0..0, items);
        before = page.items.iter().find_map(TimelineItem::place);
        if !page.more {
            return shown;
        }
    }
}

fn whole(upto: i64) -> Vec<Option<i64>> {
    (0..upto).map(Some).collect()
}

/// Evicts so many packs, or all that may go.
fn evict(bench: &mut Bench, in_view: &[ConversationId], mut steps: usize) -> u64 {
    let mut evictor = Evictor::default();
    let mut bytes = 0;
    while steps > 0 {
        match evictor.step(&bench.store, in_view).unwrap() {
            Eviction::Looking => {}
            Eviction::Evicted { batch, bytes: some } => {
                bench.writer.commit(*batch, CommitClass::Cache).unwrap();
                bytes += some;
                steps -= 1;
            }
            Eviction::Nothing => break,
        }
    }
    bytes
}

#[test]
fn the_oldest_messages_go_a_gap_is_left_and_paging_back_heals_it() {
    let mut bench = Bench::new();
    let number = long(&mut bench, "c", 400);
    assert_eq!(shown(&bench.store, number), whole(400));
    assert!(evict(&mut bench, &[], 1) > 0);
    let left = shown(&bench.store, number);
    assert_eq!(left[0], None, "a gap stands where the history was");
    let first = left[1].unwrap();
    assert!(first > 0);
    assert_eq!(left[1..], whole(400)[usize::try_from(first).unwrap()..]);
    let mut bench = bench.reopen();
    assert_eq!(shown(&bench.store, number), left);
    // The service tells it again, from the newest back.
    for from in (0..first).rev().step_by(30) {
        let from = (from - 29).max(0);
        let mut overlay = Overlay::new(&bench.store);
        put(&mut overlay, number, from..(from + 30).min(first));
        overlay
            .update_conversation(number, |row| {
                row.history.hold(position(from), position(first))
            })
            .unwrap();
        let batch = overlay.into_batch();
        bench.writer.commit(batch, CommitClass::Cache).unwrap();
    }
    bench.commit(|o| {
        o.update_conversation(number, |row| row.history.set_start(HistoryStart::Reached))
            .unwrap();
    });
    assert_eq!(shown(&bench.store, number), whole(400));
}

#[test]
fn of_several_conversations_the_oldest_messages_go_first() {
    let mut bench = Bench::new();
    let (old, new) = (bench.conversation("old"), bench.conversation("new"));
    for from in (0..800).step_by(20) {
        receive(&mut bench, old, from..from + 20);
        receive(&mut bench, new, 10_000 + from..10_000 + from + 20);
    }
    let held = |bench: &Bench, number| {
        let row = bench.store.snapshot().conversation(number).unwrap();
        row.unwrap().held_count()
    };
    evict(&mut bench, &[], 1);
    assert!(held(&bench, old) < 800);
    assert_eq!(held(&bench, new), 800);
    evict(&mut bench, &[], 1);
    assert!(held(&bench, new) < 800);
}

#[test]
fn the_newest_messages_a_conversation_in_view_and_unsent_work_stay() {
    let mut bench = Bench::new();
    let viewed = long(&mut bench, "viewed", 400);
    let other = long(&mut bench, "other", 400);
    let short = long(&mut bench, "short", 70);
    bench.commit(|o| {
        o.enqueue(other, local("l1"), at(1), send("unsent"))
            .unwrap()
    });
    evict(&mut bench, &[conversation_id("viewed")], usize::MAX);
    assert_eq!(shown(&bench.store, viewed), whole(400));
    assert_eq!(shown(&bench.store, short), whole(70));
    let left = shown(&bench.store, other);
    assert!((KEPT..KEPT + 70).contains(&left.len()), "{}", left.len());
    assert_eq!(left.last(), Some(&Some(399)));
    let snapshot = bench.store.snapshot();
    assert_eq!(snapshot.outbox_len(), 1);
    let page = snapshot.page_before(other, None, 20).unwrap();
    assert!(matches!(page.items.last(), Some(TimelineItem::Echo { .. })));
    drop(snapshot);
    // Nobody looks at it any more.
    evict(&mut bench, &[], usize::MAX);
    assert!(shown(&bench.store, viewed).len() < KEPT + 70);
}

#[test]
fn an_unread_mention_stays_with_its_neighbours_until_it_is_read() {
    let mut bench = Bench::new();
    let number = long(&mut bench, "c", 400);
    bench.commit(|o| {
        let mut mention = message("other", 100, "text 100");
        mention.mentions.clients.push(client("me"));
        o.put_message(number, &mention).unwrap();
        o.update_conversation(number, |row| {
            row.read_until_self = Some(at(50));
            row.unread = Unread {
                count: 349,
                at_least: false,
                mentioned: true,
            };
        })
        .unwrap();
    });
    evict(&mut bench, &[], usize::MAX);
    let left = shown(&bench.store, number);
    assert!(left.contains(&Some(100)));
    assert!(left.len() < 170, "the rest went: {left:?}");
    assert_no_silent_hole(&left);
    assert_eq!(left.iter().filter(|item| item.is_none()).count(), 2);
    bench.commit(|o| {
        o.update_conversation(number, |row| {
            row.read_until_self = Some(at(399));
            row.unread = Unread::NONE;
        })
        .unwrap();
    });
    evict(&mut bench, &[], usize::MAX);
    assert!(!shown(&bench.store, number).contains(&Some(100)));
}

/// Nobody ever read the conversation, so there is no mark: everything in it is unread.
#[test]
fn an_unread_mention_stays_in_a_conversation_that_was_never_read() {
    let mut bench = Bench::new();
    let number = long(&mut bench, "c", 400);
    bench.commit(|o| {
        let mut mention = message("other", 100, "text 100");
        mention.mentions.all = true;
        o.put_message(number, &mention).unwrap();
        o.update_conversation(number, |row| {
            row.read_until_self = None;
            row.unread = Unread {
                count: 400,
                at_least: false,
                mentioned: true,
            };
        })
        .unwrap();
    });
    evict(&mut bench, &[], usize::MAX);
    let left = shown(&bench.store, number);
    assert!(left.contains(&Some(100)), "{left:?}");
    assert!(left.len() < 170, "the rest went: {left:?}");
}

fn assert_no_silent_hole(shown: &[Option<i64>]) {
    for pair in shown.windows(2) {
        if let [Some(a), Some(b)] = pair {
            assert_eq!(a + 1, *b, "{shown:?}");
        }
    }
}

#[test]
fn a_compacted_store_shows_the_same_and_takes_less() {
    let mut bench = Bench::new();
    let number = long(&mut bench, "c", 600);
    bench.commit(|o| {
        o.enqueue(number, local("l1"), at(1), send("unsent"))
            .unwrap()
    });
    let before = bench.store.size_bytes().unwrap();
    bench.writer.compact().unwrap();
    let after = bench.store.usage().unwrap();
    let now = bench.store.size_bytes().unwrap();
    assert!(now < before / 2, "{before} {now}");
    assert!(now < after.file_bytes && after.live_bytes <= now);
    assert_eq!(
        (after.messages, after.conversations, after.unsent),
        (600, 1, 1)
    );
    assert_eq!(shown(&bench.store, number), whole(600));
    receive(&mut bench, number, 600..640);
    let bench = bench.reopen();
    assert_eq!(shown(&bench.store, number), whole(640));
    let names: Vec<_> = bench
        .disk
        .files()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("journal."))
        .collect();
    assert_eq!(names, ["tree.log"]);
}

#[test]
fn commits_and_reads_go_on_between_the_steps_of_a_compaction() {
    let mut bench = Bench::new();
    let number = long(&mut bench, "c", 600);
    bench.writer.want_compaction();
    let (mut upto, mut steps) = (600, 0);
    while bench.writer.wants_compaction() {
        assert_eq!(bench.writer.tend(&[]).unwrap(), Tended::More);
        receive(&mut bench, number, upto..upto + 1);
        bench.commit(|o| {
            let token = local(&format!("l{upto}"));
            o.enqueue(number, token, at(1), send("unsent")).unwrap()
        });
        upto += 1;
        steps += 1;
        assert_eq!(shown(&bench.store, number), whole(upto));
    }
    assert!(steps >= 4);
    let bench = bench.crash();
    assert_eq!(shown(&bench.store, number), whole(upto));
    assert_eq!(bench.store.snapshot().outbox_len(), steps);
}

/// Compacts while the app goes on, until an operation is refused; gives the number of accepted commits.
fn compact_until_refused(bench: &mut Bench, number: ConversationNumber) -> usize {
    let mut accepted = 0;
    bench.writer.want_compaction();
    for n in 0..12 {
        if bench.writer.wants_compaction() {
            let _ = bench.writer.tend(&[]);
        }
        let mut overlay = Overlay::new(&bench.store);
        let token = local(&format!("l{n}"));
        overlay
            .enqueue(number, token, at(1), send("unsent"))
            .unwrap();
        let batch = overlay.into_batch();
        accepted += usize::from(bench.writer.commit(batch, CommitClass::Intent).is_ok());
    }
    accepted
}

/// Checks that the messages from before are there, and the entries accepted since.
fn check_after(bench: &Bench, number: ConversationNumber, accepted: usize, nth: u64) {
    assert_eq!(shown(&bench.store, number), whole(300), "operation {nth}");
    let unsent = bench.store.snapshot().outbox_len();
    assert!(
        unsent == accepted || unsent == accepted + 1,
        "operation {nth}: {unsent} of {accepted}"
    );
}

#[test]
fn a_power_cut_at_any_operation_of_a_compaction_keeps_every_promise() {
    let mut unfinished = 0;
    for nth in 1..=90 {
        let mut bench = Bench::on(MemoryDisk::new(nth));
        let number = long(&mut bench, "c", 300);
        bench.writer.sync().unwrap();
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::From { operation }));
        let accepted = compact_until_refused(&mut bench, number);
        let bench = bench.crash();
        unfinished += usize::from(accepted < 12);
        check_after(&bench, number, accepted, nth);
        let names = bench.disk.files().into_iter().map(|(name, _)| name);
        let trees: Vec<_> = names.filter(|name| name.starts_with("tree")).collect();
        assert_eq!(trees, ["tree.log"], "operation {nth}");
        let mut bench = bench.reopen();
        bench.writer.compact().unwrap();
        check_after(&bench, number, accepted, nth);
    }
    assert!(unfinished > 30, "{unfinished} cuts fell into the work");
}

#[test]
fn an_operation_of_a_compaction_that_fails_once_hurts_nothing_but_the_compaction() {
    for nth in 1..=90 {
        let mut bench = Bench::on(MemoryDisk::new(nth));
        let number = long(&mut bench, "c", 300);
        bench.writer.sync().unwrap();
        let operation = bench.disk.operations() + nth;
        bench.disk.set_fault(Some(Fault::Once { operation }));
        let accepted = compact_until_refused(&mut bench, number);
        check_after(&bench, number, accepted, nth);
        if bench.store.health() != StoreHealth::Good {
            bench.writer.probe(at(1)).unwrap();
            check_after(&bench, number, accepted, nth);
        }
        bench.disk.set_fault(None);
        bench.writer.compact().unwrap();
        check_after(&bench, number, accepted, nth);
        let bench = bench.crash();
        check_after(&bench, number, accepted, nth);
    }
}

#[test]
fn a_full_disk_ends_a_compaction_and_nothing_else() {
    let mut bench = Bench::new();
    let number = long(&mut bench, "c", 300);
    bench.writer.want_compaction();
    bench.writer.tend(&[]).unwrap();
    let operation = bench.disk.operations() + 1;
    bench.disk.set_fault(Some(Fault::Once { operation }));
    let refused = bench.writer.tend(&[]);
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    assert_eq!(bench.store.health(), StoreHealth::Good);
    assert!(!bench.writer.wants_compaction());
    receive(&mut bench, number, 300..320);
    assert_eq!(shown(&bench.reopen().store, number), whole(320));
}

/// The service's messages, and the unsent entries of a device.
#[derive(Debug)]
struct Model {
    /// The newest time of each conversation.
    newest: BTreeMap<u8, i64>,
    unsent: usize,
}

#[derive(Clone, Debug)]
enum Op {
    Receive(u8, i64),
    Send(u8),
    Evict(usize),
    /// So many steps of a compaction.
    Compact(usize),
    /// The app pages back: the newest gap is filled with so many messages.
    PageBack(u8, i64),
    Reopen,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let c = 0..3_u8;
    prop_oneof![
        6 => (c.clone(), 1..90_i64).prop_map(|(c, n)| Op::Receive(c, n)),
        2 => c.clone().prop_map(Op::Send),
        4 => (1..4_usize).prop_map(Op::Evict),
        4 => (1..9_usize).prop_map(Op::Compact),
        3 => (c, 1..80_i64).prop_map(|(c, n)| Op::PageBack(c, n)),
        2 => Just(Op::Reopen),
        2 => Just(Op::Crash),
    ]
}

/// Fills the newest gap from its newer edge back; true when there was one.
fn page_back(bench: &mut Bench, number: ConversationNumber, many: i64) -> bool {
    let items = shown(&bench.store, number);
    let Some(gap) = items.iter().rposition(Option::is_none) else {
        return false;
    };
    let Some(newer) = items.get(gap + 1).copied().flatten() else {
        return false;
    };
    let from = (newer - many).max(0);
    bench.commit(|o| {
        put(o, number, from..newer);
        o.update_conversation(number, |row| {
            row.history.hold(position(from), position(newer));
            if from == 0 {
                row.history.set_start(HistoryStart::Reached);
            }
        })
        .unwrap();
    });
    true
}

impl Model {
    fn check(&self, store: &Store, numbers: &[ConversationNumber]) {
        for (number, (_, newest)) in numbers.iter().zip(&self.newest) {
            let shown = shown(store, *number);
            assert_no_silent_hole(&shown);
            let times: BTreeSet<_> = shown.iter().flatten().collect();
            let newest_ones: Vec<_> = (0..*newest).rev().take(KEPT).collect();
            assert!(newest_ones.iter().all(|n| times.contains(n)), "{shown:?}");
            if shown.first() != Some(&None) && *newest > 0 {
                assert_eq!(
                    shown.first(),
                    Some(&Some(0)),
                    "where no gap is, is the start"
                );
            }
        }
        assert_eq!(store.snapshot().outbox_len(), self.unsent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_eviction_leaves_is_a_gap_and_what_the_service_tells_again_is_the_whole(
        seed in any::<u64>(), ops in proptest::collection::vec(op(), 1..40)
    ) {
        let mut bench = Bench::on(MemoryDisk::new(seed));
        let numbers: Vec<_> = (0..3).map(|c| long(&mut bench, &format!("c{c}"), 150)).collect();
        let newest = (0..3).map(|c| (c, 150)).collect();
        let mut model = Model { newest, unsent: 0 };
        for op in ops {
            match op {
                Op::Receive(c, many) => {
                    let newest = model.newest.get_mut(&c).unwrap();
                    receive(&mut bench, numbers[usize::from(c)], *newest..*newest + many);
                    *newest += many;
                }
                Op::Send(c) => {
                    let number = numbers[usize::from(c)];
                    let token = local(&format!("l{}", model.unsent));
                    bench.commit(|o| o.enqueue(number, token, at(1), send("unsent")).unwrap());
                    model.unsent += 1;
                }
                Op::Evict(steps) => drop(evict(&mut bench, &[], steps)),
                Op::Compact(steps) => {
                    bench.writer.want_compaction();
                    for _ in 0..steps {
                        bench.writer.tend(&[]).unwrap();
                    }
                }
                Op::PageBack(c, many) => {
                    page_back(&mut bench, numbers[usize::from(c)], many);
                }
                Op::Reopen => bench = bench.reopen(),
                Op::Crash => {
                    // The service would tell again everything of class cache that is not durable yet.
                    bench.writer.sync().unwrap();
                    bench.disk.set_fault(Some(Fault::From { operation: 0 }));
                    bench = bench.crash();
                }
            }
            model.check(&bench.store, &numbers);
        }
        for (number, newest) in numbers.iter().zip(model.newest.values()) {
            while page_back(&mut bench, *number, 100) {}
            prop_assert_eq!(shown(&bench.store, *number), whole(*newest));
        }
    }
}
