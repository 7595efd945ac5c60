//! The store against a plain model, operation by operation, reopened and cut at any step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::Secret;
use crate::model::Unread;
use crate::store::read::items::TimelineItem;
use crate::store::read::snapshot::Snapshot;
use crate::store::recovery::options::StoreOptions;

/// The content that a store ought to hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// Conversation to its unread count and its messages by time.
    conversations: BTreeMap<u8, (u32, BTreeMap<i64, String>)>,
    /// Entry to its conversation, text and tries.
    outbox: BTreeMap<u64, (u8, String, u32)>,
    token: Option<String>,
    /// Local ids to the time of the message they became.
    locals: BTreeMap<String, (u8, i64)>,
}

#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    Remove(u8),
    Put(u8, i64, String),
    Take(u8, i64),
    /// Many messages at once, as a page of history or a long absence brings them.
    Run(u8, i64, i64),
    /// Many removed at once.
    TakeRun(u8, i64, i64),
    Unread(u8, u32),
    Enqueue(u8, String),
    Try(u8),
    Settle(u8),
    Acknowledge(u8, i64),
    Token(String),
    Sync,
    /// Quiet conversations are sealed: all of them.
    Quieten,
    Reopen,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let c = 0..4_u8;
    prop_oneof![
        2 => c.clone().prop_map(Op::Create),
        1 => c.clone().prop_map(Op::Remove),
        4 => (c.clone(), 1..20_i64, "[a-z]{1,5}").prop_map(|(c, t, x)| Op::Put(c, t, x)),
        4 => (c.clone(), 1..250_i64, "[a-z]{1,5}").prop_map(|(c, t, x)| Op::Put(c, t, x)),
        // Some fill a pack by themselves.
        1 => (c.clone(), 1..250_i64, 1_000..6_000_usize)
            .prop_map(|(c, t, n)| Op::Put(c, t, "x".repeat(n))),
        1 => (c.clone(), 1..20_i64).prop_map(|(c, t)| Op::Take(c, t)),
        2 => (c.clone(), 1..250_i64).prop_map(|(c, t)| Op::Take(c, t)),
        3 => (c.clone(), 1..200_i64, 1..50_i64).prop_map(|(c, t, n)| Op::Run(c, t, n)),
        1 => (c.clone(), 1..200_i64, 1..50_i64).prop_map(|(c, t, n)| Op::TakeRun(c, t, n)),
        2 => (c.clone(), 0..9_u32).prop_map(|(c, n)| Op::Unread(c, n)),
        5 => (c.clone(), "[a-z]{1,5}").prop_map(|(c, x)| Op::Enqueue(c, x)),
        2 => any::<u8>().prop_map(Op::Try),
        2 => any::<u8>().prop_map(Op::Settle),
        3 => (any::<u8>(), 1..260_i64).prop_map(|(e, t)| Op::Acknowledge(e, t)),
        1 => "[a-z]{1,5}".prop_map(Op::Token),
        1 => Just(Op::Sync),
        2 => Just(Op::Quieten),
        2 => Just(Op::Reopen),
        2 => Just(Op::Crash),
    ]
}

impl Model {
    /// The entry that a small number picks.
    fn pick(&self, n: u8) -> Option<u64> {
        let many = self.outbox.len();
        (many > 0).then(|| *self.outbox.keys().nth(usize::from(n) % many).unwrap())
    }

    /// Does to both what `op` says; the store's writes go into the overlay.
    fn apply(&mut self, op: &Op, overlay: &mut Overlay<'_>) {
        let number = |overlay: &Overlay<'_>, c: &u8| {
            overlay
                .snapshot()
                .number(&conversation_id(&format!("c{c}")))
                .unwrap()
        };
        match op {
            Op::Create(c) => {
                let made = overlay.create_conversation(row(&format!("c{c}")));
                assert_eq!(made.is_ok(), !self.conversations.contains_key(c));
                self.conversations.entry(*c).or_default();
            }
            Op::Remove(c) => {
                if let Some(number) = number(overlay, c) {
                    overlay.remove_conversation(number).unwrap();
                }
                self.conversations.remove(c);
                self.outbox.retain(|_, (of, _, _)| of != c);
            }
            Op::Put(c, t, text) => {
                let Some(held) = self.conversations.get_mut(c) else {
                    return;
                };
                let number = number(overlay, c).unwrap();
                overlay
                    .put_message(number, &message("other", *t, text))
                    .unwrap();
                held.1.insert(*t, text.clone());
            }
            Op::Take(c, t) => {
                let Some(held) = self.conversations.get_mut(c) else {
                    return;
                };
                let number = number(overlay, c).unwrap();
                let existed = overlay.remove_message(number, &position(*t)).unwrap();
                assert_eq!(existed, held.1.remove(t).is_some());
            }
            Op::Run(c, from, many) => {
                for t in *from..from + many {
                    self.apply(&Op::Put(*c, t, format!("run{from}")), overlay);
                }
            }
            Op::TakeRun(c, from, many) => {
                for t in *from..from + many {
                    self.apply(&Op::Take(*c, t), overlay);
                }
            }
            Op::Unread(c, count) => {
                let Some(held) = self.conversations.get_mut(c) else {
                    return;
                };
                held.0 = *count;
                let unread = Unread {
                    count: *count,
                    ..Unread::NONE
                };
                let number = number(overlay, c).unwrap();
                overlay
                    .update_conversation(number, |row| row.unread = unread)
                    .unwrap();
            }
            Op::Enqueue(c, text) => {
                let Some(number) = number(overlay, c) else {
                    return;
                };
                let token = local(&format!("l{}", overlay.batch().next_entry));
                let id = overlay.enqueue(number, token, at(5), send(text)).unwrap();
                self.outbox.insert(id.0, (*c, text.clone(), 0));
            }
            Op::Try(n) => {
                let Some(id) = self.pick(*n) else { return };
                self.outbox.get_mut(&id).unwrap().2 += 1;
                assert!(overlay.update_entry(crate::model::OutboxEntryId(id), |e| e.tries += 1));
            }
            Op::Settle(n) => {
                let Some(id) = self.pick(*n) else { return };
                self.outbox.remove(&id);
                overlay.settle(crate::model::OutboxEntryId(id));
            }
            Op::Acknowledge(n, t) => {
                let Some(id) = self.pick(*n) else { return };
                let (c, text, _) = self.outbox.remove(&id).unwrap();
                let number = number(overlay, &c).unwrap();
                let entry = crate::model::OutboxEntryId(id);
                overlay
                    .acknowledge(entry, number, &message("me", *t, &text))
                    .unwrap();
                self.conversations.get_mut(&c).unwrap().1.insert(*t, text);
                self.locals.insert(format!("l{id}"), (c, *t));
            }
            Op::Token(token) => {
                overlay.update_session(|row| row.token = Some(Secret::new(token.clone())));
                self.token = Some(token.clone());
            }
            Op::Sync | Op::Quieten | Op::Reopen | Op::Crash => {}
        }
    }

    /// Does to an older state what an intent did that stands apart from the commits between: it
    /// changed the outbox alone, and what it found there was there already.
    fn follow(&mut self, before: &Self, after: &Self) {
        assert_eq!(before.conversations, after.conversations);
        assert_eq!(
            (&before.token, &before.locals),
            (&after.token, &after.locals)
        );
        let ids: BTreeSet<u64> = before
            .outbox
            .keys()
            .chain(after.outbox.keys())
            .copied()
            .collect();
        for id in ids {
            let (was, is) = (before.outbox.get(&id), after.outbox.get(&id));
            if was == is {
                continue;
            }
            assert_eq!(self.outbox.get(&id), was);
            match is {
                Some(entry) => {
                    assert!(self.conversations.contains_key(&entry.0));
                    self.outbox.insert(id, entry.clone());
                }
                None => {
                    self.outbox.remove(&id);
                }
            }
        }
    }

    /// The content that a store does hold. All views of the store must agree on it.
    fn of(store: &Store) -> Self {
        let snapshot = store.snapshot();
        let mut model = Self::default();
        let mut listed = Vec::new();
        let mut total = 0;
        for (number, info) in snapshot.conversations(None, 100).unwrap().conversations {
            let name: u8 = named(&info.id);
            let items = snapshot.page_before(number, None, 500).unwrap().items;
            let forwards = snapshot.page_after(number, None, 500).unwrap().items;
            assert_eq!(items, forwards);
            check_pages(&snapshot, number, &items);
            let mut messages = BTreeMap::new();
            for item in &items {
                if let TimelineItem::Message { position, message } = item {
                    let text = message.content.words().unwrap().to_owned();
                    messages.insert(position.sent_at.as_millis(), text);
                }
            }
            let row = snapshot.conversation(number).unwrap().unwrap();
            assert_eq!(usize::try_from(row.held_count()).unwrap(), messages.len());
            let shown = items.iter().rev().find_map(TimelineItem::message);
            assert_eq!(info.last_message.as_ref(), shown);
            listed.push((row.activity(), number));
            total += u64::from(info.unread.count);
            model
                .conversations
                .insert(name, (info.unread.count, messages));
        }
        assert!(listed.is_sorted_by(|a, b| a > b), "{listed:?}");
        assert_eq!(snapshot.unread_totals().all.messages, total);
        for entry in snapshot.outbox() {
            let row = snapshot.conversation(entry.conversation).unwrap().unwrap();
            let echo = snapshot.echo(&entry, &row.id).unwrap();
            let name: u8 = named(&row.id);
            let text = echo.content.words().unwrap().to_owned();
            model.outbox.insert(entry.id.0, (name, text, entry.tries));
        }
        assert_eq!(snapshot.outbox_len(), model.outbox.len());
        model.token = snapshot
            .session()
            .token
            .as_ref()
            .map(|t| t.reveal().to_owned());
        model
    }
}

/// Pages of any size, in both directions, are parts of the whole timeline.
fn check_pages(snapshot: &Snapshot<'_>, number: ConversationNumber, items: &[TimelineItem]) {
    let places: Vec<_> = items.iter().filter_map(TimelineItem::place).collect();
    let middle = places.len() / 2;
    let Some(place) = places.get(middle) else {
        return;
    };
    let shown = |page: crate::store::read::items::Page| -> Vec<_> {
        page.items.iter().filter_map(TimelineItem::place).collect()
    };
    let before = snapshot.page_before(number, Some(place), 45).unwrap();
    assert_eq!(shown(before), places[middle.saturating_sub(45)..middle]);
    let after = snapshot.page_after(number, Some(place), 45).unwrap();
    let end = places.len().min(middle + 46);
    assert_eq!(shown(after), places[middle + 1..end]);
}

/// The number in a conversation's id.
fn named(id: &ConversationId) -> u8 {
    id.as_str().trim_start_matches('c').parse().unwrap()
}

/// Compares, local ids apart; those are asked for one by one, if their message is still there.
fn check(store: &Store, model: &Model) {
    check_list(store);
    let snapshot = store.snapshot();
    for (id, (c, t)) in &model.locals {
        let held = model
            .conversations
            .get(c)
            .is_some_and(|(_, held)| held.contains_key(t));
        let Some((number, place)) = snapshot.position_by_local_id(&local(id)).unwrap() else {
            panic!("{id} leads nowhere");
        };
        assert_eq!(place, position(*t));
        if held {
            assert!(snapshot.conversation(number).unwrap().is_none_or(|row| {
                row.id.as_str() != format!("c{c}")
                    || snapshot.message(number, &place).unwrap().is_some()
            }));
        }
    }
    drop(snapshot);
    assert_eq!(
        Model::of(store),
        Model {
            locals: BTreeMap::new(),
            ..model.clone()
        }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Intents survive every crash, and with them all that they stand on; of other commits a prefix
    /// does.
    #[test]
    fn the_store_is_the_model_whatever_is_done_to_it(
        seed in any::<u64>(),
        steps in proptest::collection::vec(
            (proptest::collection::vec(op(), 1..4), any::<bool>()), 1..40)
    ) {
        let mut bench = Bench::on(MemoryDisk::new(seed));
        let mut model = Model::default();
        // The states that a crash may leave, the newest last.
        let mut possible = vec![(bench.store.seq().0, model.clone())];
        for (ops, intent) in steps {
            let before = model.clone();
            let mut overlay = Overlay::new(&bench.store);
            for op in &ops {
                model.apply(op, &mut overlay);
            }
            let batch = overlay.into_batch();
            let empty = batch.is_empty();
            let class = if intent { CommitClass::Intent } else { CommitClass::Cache };
            let seq = bench.writer.commit(batch, class).unwrap().seq.0;
            if intent && !empty {
                let durable = bench.writer.durable_seq();
                possible.retain(|(seq, _)| *seq >= durable);
                for (_, older) in &mut possible {
                    older.follow(&before, &model);
                }
            }
            possible.push((seq, model.clone()));
            for op in &ops {
                match op {
                    Op::Sync => bench.writer.sync().unwrap(),
                    Op::Quieten => {
                        bench.writer.seal_idle_beside(0).unwrap();
                        continue;
                    }
                    Op::Reopen => bench = bench.reopen(),
                    Op::Crash => {
                        // A writer that is dropped syncs; a power cut gives it no time to.
                        bench.disk.set_fault(Some(crate::store::disk::memory::Fault::From { operation: 0 }));
                        bench = bench.crash();
                        let left = Model::of(&bench.store);
                        let is_left = |possible: &&(u64, Model)| {
                            left == Model { locals: BTreeMap::new(), ..possible.1.clone() }
                        };
                        let found = possible.iter().rev().find(is_left);
                        prop_assert!(found.is_some(), "{left:?} is none of {possible:?}");
                        model = found.unwrap().1.clone();
                    }
                    _ => continue,
                }
                possible = vec![(bench.store.seq().0, model.clone())];
            }
            check(&bench.store, &model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn the_store_on_a_real_folder_is_the_model_too(
        steps in proptest::collection::vec(proptest::collection::vec(op(), 1..6), 1..12)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(folder.path(), client("me"), at(1));
        let mut opened = Store::open(&options).unwrap();
        let mut model = Model::default();
        for ops in steps {
            let mut overlay = Overlay::new(&opened.store);
            for op in &ops {
                model.apply(op, &mut overlay);
            }
            let batch = overlay.into_batch();
            opened.writer.commit(batch, CommitClass::Intent).unwrap();
            if ops.iter().any(|op| matches!(op, Op::Reopen | Op::Crash)) {
                drop(opened);
                opened = Store::open(&options).unwrap();
                prop_assert!(!opened.report.found_damage() && opened.report.takes_writes());
            }
            if ops.iter().any(|op| matches!(op, Op::Quieten)) {
                opened.writer.seal_idle_beside(0).unwrap();
            }
            check(&opened.store, &model);
        }
    }
}
