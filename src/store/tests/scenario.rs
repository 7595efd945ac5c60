//! The facts that the floors above rely on, one in each test.

use super::*;
use crate::model::{OutboxKind, Receipt, SendFailure, Unread};
use crate::store::error::StoreError;
use crate::store::read::items::{Gap, TimelineItem};
use crate::store::types::position::{HistoryEnd, HistoryStart, Place};
use crate::store::write::change::StoreChange;
use crate::store::write::overlay::{Assigned, Put};

/// A page as short text: `m3` for a message, `~text` for an echo, `?` for a gap.
fn page(bench: &Bench, number: ConversationNumber, before: Option<i64>, limit: usize) -> String {
    let before = before.map(|n| Place::Message(position(n)));
    show(
        &bench
            .store
            .snapshot()
            .page_before(number, before.as_ref(), limit)
            .unwrap()
            .items,
    )
}

fn show(items: &[TimelineItem]) -> String {
    let each = items.iter().map(|item| match item {
        TimelineItem::Message { position, .. } => position.id.as_str().to_owned(),
        TimelineItem::Echo { message, .. } => {
            format!("~{}", message.content.words().unwrap_or_default())
        }
        TimelineItem::Gap(_) => "?".to_owned(),
    });
    each.collect::<Vec<_>>().join(" ")
}

fn fill(bench: &mut Bench, number: ConversationNumber, times: impl IntoIterator<Item = i64>) {
    bench.commit(|overlay| {
        let mut held = Vec::new();
        for n in times {
            overlay
                .put_message(number, &message("other", n, "hello"))
                .unwrap();
            held.push(position(n));
        }
        let ends = held.first().cloned().zip(held.last().cloned());
        overlay
            .update_conversation(number, |row| {
                if let Some((from, to)) = ends {
                    row.history.hold(from, to);
                }
            })
            .unwrap();
    });
}

#[test]
fn a_page_shows_a_gap_wherever_history_is_not_held_together() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    fill(&mut bench, number, [1, 2, 3]);
    fill(&mut bench, number, [7, 8]);
    assert_eq!(page(&bench, number, None, 20), "? m1 m2 m3 ? m7 m8");
    assert_eq!(page(&bench, number, None, 2), "? m7 m8");
    assert_eq!(page(&bench, number, Some(7), 2), "m2 m3");
    assert_eq!(page(&bench, number, Some(2), 2), "? m1");
    bench.commit(|overlay| {
        overlay
            .update_conversation(number, |row| {
                row.history.set_start(HistoryStart::Reached);
                row.history.set_end(HistoryEnd::Behind);
                row.history.hold(position(3), position(7));
            })
            .unwrap();
    });
    let bench = bench.reopen();
    assert_eq!(page(&bench, number, None, 20), "m1 m2 m3 m7 m8 ?");
}

#[test]
fn paging_forwards_shows_the_same_timeline_as_paging_backwards() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    fill(&mut bench, number, [1, 2, 3]);
    fill(&mut bench, number, [7, 8]);
    bench.commit(|o| o.enqueue(number, local("l1"), at(9), send("echo")).unwrap());
    let snapshot = bench.store.snapshot();
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = snapshot.page_after(number, after.as_ref(), 2).unwrap();
        after = page.items.iter().rev().find_map(TimelineItem::place);
        seen.extend(page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(show(&seen), "? m1 m2 m3 ? m7 m8 ~echo");
    // Five messages and an echo: there is more as long as one of them has no room.
    for (limit, more) in [(4, true), (5, true), (6, false), (7, false)] {
        let page = snapshot.page_after(number, None, limit).unwrap();
        assert_eq!(page.more, more, "{limit}");
        let page = snapshot.page_before(number, None, limit).unwrap();
        assert_eq!(page.more, more, "{limit}");
    }
    assert_eq!(seen, snapshot.page_before(number, None, 20).unwrap().items);
}

#[test]
fn an_echo_comes_last_and_keeps_its_local_id_when_it_is_acknowledged() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    fill(&mut bench, number, [5]);
    let (entry, commit) =
        bench.commit(|o| o.enqueue(number, local("l1"), at(1), send("hi")).unwrap());
    assert!(matches!(
        &commit.changes[..],
        [
            StoreChange::MessageAdded { .. },
            StoreChange::ConversationChanged { .. },
            StoreChange::OutboxChanged { .. }
        ]
    ));
    assert_eq!(page(&bench, number, None, 20), "? m5 ~hi");
    let (put, commit) = bench.commit(|o| {
        o.acknowledge(entry, number, &message("me", 6, "hi"))
            .unwrap()
    });
    assert_eq!(put, Put::Added);
    let [
        StoreChange::MessageChanged { message: sent },
        _,
        StoreChange::OutboxSettled { .. },
    ] = &commit.changes[..]
    else {
        panic!("{:?}", commit.changes);
    };
    assert_eq!(sent.local_id, Some(local("l1")));
    let bench = bench.reopen();
    let found = bench
        .store
        .snapshot()
        .message_by_local_id(&local("l1"))
        .unwrap();
    assert_eq!(found.as_ref(), Some(sent));
    assert_eq!(bench.store.snapshot().outbox_len(), 0);
}

#[test]
fn a_discarded_echo_is_reported_as_removed() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let (entry, _) = bench.commit(|o| o.enqueue(number, local("l1"), at(1), send("hi")).unwrap());
    let ((), commit) = bench.commit(|o| o.settle(entry));
    assert!(matches!(
        &commit.changes[0],
        StoreChange::MessageRemoved { id: None, .. }
    ));
    assert!(
        commit
            .changes
            .contains(&StoreChange::OutboxSettled { entry })
    );
}

#[test]
fn an_entry_enqueued_and_settled_in_one_batch_leaves_nothing() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let ((), commit) = bench.commit(|o| {
        let entry = o.enqueue(number, local("l1"), at(1), send("hi")).unwrap();
        o.settle(entry);
    });
    assert_eq!(commit.changes, []);
}

#[test]
fn entries_survive_a_crash_with_their_state_and_their_ids_go_on() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let (first, _) = bench.commit(|o| o.enqueue(number, local("l1"), at(1), send("a")).unwrap());
    let failure = SendFailure::Ambiguous;
    bench.commit(|o| {
        o.update_entry(first, |entry| {
            entry.tries = 3;
            entry.in_doubt_since = Some(at(9));
            entry.state = crate::model::OutboxState::Failed {
                failure: failure.clone(),
            };
        })
    });
    let (second, _) = bench.commit(|o| o.enqueue(number, local("l2"), at(2), send("b")).unwrap());
    bench.commit(|o| o.settle(second));
    let mut bench = bench.crash();
    let entry = bench.store.snapshot().entry(first).unwrap();
    assert_eq!((entry.tries, entry.in_doubt_since), (3, Some(at(9))));
    assert_eq!(entry.state, crate::model::OutboxState::Failed { failure });
    assert_eq!(entry.intent.kind(), OutboxKind::Send);
    let (third, _) = bench.commit(|o| o.enqueue(number, local("l3"), at(3), send("c")).unwrap());
    assert!(third > second && second > first);
}

#[test]
fn a_local_id_keeps_resolving_after_the_service_took_it_over() {
    let mut bench = Bench::new();
    let (old, new) = (conversation_id("local:1"), conversation_id("s1"));
    let number = bench.conversation("local:1");
    let (assigned, commit) = bench.commit(|o| o.assign_id(&old, &new).unwrap());
    assert_eq!(assigned, Assigned::TookOver(number));
    let told = StoreChange::ConversationIdAssigned {
        local: old.clone(),
        id: new.clone(),
    };
    assert_eq!(commit.changes[0], told);
    let bench = bench.reopen();
    let snapshot = bench.store.snapshot();
    assert_eq!(snapshot.number(&old).unwrap(), Some(number));
    assert_eq!(snapshot.number(&new).unwrap(), Some(number));
    assert_eq!(snapshot.conversation(number).unwrap().unwrap().id, new);
}

#[test]
fn a_unique_conversation_made_offline_merges_into_the_one_that_was_there() {
    let mut bench = Bench::new();
    let there = bench.conversation("s1");
    let made = bench.conversation("local:1");
    bench.commit(|o| o.enqueue(made, local("l1"), at(1), send("hi")).unwrap());
    let (assigned, commit) = bench.commit(|o| {
        o.assign_id(&conversation_id("local:1"), &conversation_id("s1"))
            .unwrap()
    });
    assert_eq!(assigned, Assigned::MergedInto(there));
    assert!(commit.changes.contains(&StoreChange::ConversationRemoved {
        conversation: conversation_id("local:1")
    }));
    let bench = bench.reopen();
    assert_eq!(page(&bench, there, None, 20), "? ~hi");
    let snapshot = bench.store.snapshot();
    assert_eq!(
        snapshot.number(&conversation_id("local:1")).unwrap(),
        Some(there)
    );
    assert_eq!(
        snapshot
            .conversations(None, 10)
            .unwrap()
            .conversations
            .len(),
        1
    );
}

#[test]
fn the_list_is_ordered_by_the_newest_message_or_echo_and_pages_to_its_end() {
    let mut bench = Bench::new();
    let numbers: Vec<_> = (0..5)
        .map(|n| bench.conversation(&format!("c{n}")))
        .collect();
    for (n, number) in numbers.iter().enumerate() {
        fill(&mut bench, *number, [i64::try_from(n).unwrap() + 1]);
    }
    bench.commit(|o| {
        o.enqueue(numbers[0], local("l1"), at(100), send("top"))
            .unwrap()
    });
    let bench = bench.reopen();
    let snapshot = bench.store.snapshot();
    let mut order = Vec::new();
    let mut cursor = None;
    loop {
        let page = snapshot.conversations(cursor, 2).unwrap();
        order.extend(page.conversations.iter().map(|(number, _)| *number));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(
        order,
        [numbers[0], numbers[4], numbers[3], numbers[2], numbers[1]]
    );
    let first = snapshot.info(numbers[0]).unwrap().unwrap();
    assert_eq!(first.last_message.unwrap().local_id, Some(local("l1")));
}

#[test]
fn unread_totals_follow_every_change_of_a_row() {
    let mut bench = Bench::new();
    let (a, b) = (bench.conversation("a"), bench.conversation("b"));
    let unread = |count, mentioned| Unread {
        count,
        mentioned,
        at_least: false,
    };
    bench.commit(|o| {
        o.update_conversation(a, |row| row.unread = unread(3, true))
            .unwrap();
        o.update_conversation(b, |row| {
            row.unread = unread(2, false);
            row.muted = true;
        })
        .unwrap();
    });
    let mut bench = bench.reopen();
    let totals = bench.store.snapshot().unread_totals();
    assert_eq!((totals.all.messages, totals.unmuted.messages), (5, 3));
    assert_eq!((totals.all.conversations, totals.all.mentioning), (2, 1));
    bench.commit(|o| {
        o.update_conversation(a, |row| row.unread = Unread::NONE)
            .unwrap()
    });
    bench.commit(|o| o.remove_conversation(b).unwrap());
    assert_eq!(
        bench.store.snapshot().unread_totals(),
        crate::store::types::conversation::UnreadTotals::default()
    );
}

#[test]
fn others_messages_after_the_mark_count_as_unread_and_recalled_ones_do_not() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    bench.commit(|o| {
        for n in 1..=5 {
            let sender = if n == 4 { "me" } else { "other" };
            o.put_message(number, &message(sender, n, "x")).unwrap();
        }
        let mut recalled = message("other", 5, "x");
        recalled.content = MessageContent::Recalled {
            caption: None,
            details: crate::model::Details::default(),
        };
        o.put_message(number, &recalled).unwrap();
    });
    let snapshot = bench.store.snapshot();
    assert_eq!(
        snapshot
            .count_unread(number, Some(at(1)), 100)
            .unwrap()
            .count,
        2
    );
    let limited = snapshot.count_unread(number, None, 2).unwrap();
    assert_eq!((limited.count, limited.limited), (2, true));
}

#[test]
fn a_receipt_raises_the_state_of_the_own_messages_it_covers() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    bench.commit(|o| {
        for n in 1..=3 {
            o.put_message(number, &message("me", n, "x")).unwrap();
        }
    });
    let ((), commit) = bench.commit(|o| {
        o.update_conversation(number, |row| {
            row.receipt.raise(Receipt {
                delivered_until: Some(at(2)),
                read_until: None,
            });
        })
        .unwrap();
    });
    let changed = commit
        .changes
        .iter()
        .filter(|c| matches!(c, StoreChange::MessageChanged { .. }))
        .count();
    assert_eq!(changed, 2);
    let state = |n| {
        bench
            .store
            .snapshot()
            .message(number, &position(n))
            .unwrap()
            .unwrap()
            .state
    };
    assert_eq!(state(2), MessageState::Delivered { at: at(2) });
    assert_eq!(state(3), MessageState::Sent);
}

#[test]
fn a_receipt_of_a_message_of_the_same_commit_is_told_with_it() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let covered = |o: &mut Overlay<'_>, n| {
        o.put_message(number, &message("me", n, "x")).unwrap();
        let receipt = Receipt {
            delivered_until: Some(at(n)),
            read_until: None,
        };
        o.update_conversation(number, |row| {
            row.receipt.raise(receipt);
        })
        .unwrap();
    };
    let told = |commit: Commit| -> Vec<_> {
        let changes = commit.changes.into_iter();
        changes
            .filter_map(|change| match change {
                StoreChange::MessageAdded { message } | StoreChange::MessageChanged { message } => {
                    Some((message.sent_at, message.state))
                }
                _ => None,
            })
            .collect()
    };
    let ((), commit) = bench.commit(|o| covered(o, 1));
    assert_eq!(
        told(commit),
        [(at(1), MessageState::Delivered { at: at(1) })]
    );
    // The next receipt says nothing new of the first message: its time stays, and nobody is told.
    let ((), commit) = bench.commit(|o| covered(o, 2));
    assert_eq!(
        told(commit),
        [(at(2), MessageState::Delivered { at: at(2) })]
    );
    let first = bench.store.snapshot().message(number, &position(1));
    let first = first.unwrap().unwrap();
    assert_eq!(first.state, MessageState::Delivered { at: at(1) });
}

#[test]
fn an_overlay_sees_its_own_writes_and_nobody_else_does() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    fill(&mut bench, number, [1, 3]);
    let mut overlay = Overlay::new(&bench.store);
    overlay
        .put_message(number, &message("other", 2, "new"))
        .unwrap();
    overlay.remove_message(number, &position(3)).unwrap();
    overlay
        .enqueue(number, local("l1"), at(4), send("hi"))
        .unwrap();
    let seen = overlay.snapshot().page_before(number, None, 10).unwrap();
    assert_eq!(show(&seen.items), "? m1 m2 ~hi");
    assert_eq!(page(&bench, number, None, 10), "? m1 m3");
}

#[test]
fn putting_the_same_message_again_changes_nothing() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let put = |o: &mut Overlay<'_>| o.put_message(number, &message("other", 1, "x")).unwrap();
    assert_eq!(bench.commit(put).0, Put::Added);
    let before = bench.store.seq();
    let (again, commit) = bench.commit(put);
    assert_eq!(
        (again, commit.seq, commit.changes),
        (Put::Unchanged, before, Vec::new())
    );
}

#[test]
fn a_batch_made_before_another_commit_is_refused() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let mut overlay = Overlay::new(&bench.store);
    overlay
        .put_message(number, &message("other", 1, "x"))
        .unwrap();
    let stale = overlay.into_batch();
    fill(&mut bench, number, [2]);
    let refused = bench.writer.commit(stale, CommitClass::Cache);
    assert!(matches!(refused, Err(StoreError::InvalidArgument { .. })));
}

#[test]
fn too_large_a_record_is_refused_and_the_store_goes_on() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    let mut overlay = Overlay::new(&bench.store);
    overlay
        .put_message(number, &message("other", 1, &"x".repeat(70_000)))
        .unwrap();
    let refused = bench
        .writer
        .commit(overlay.into_batch(), CommitClass::Cache);
    assert!(matches!(
        refused,
        Err(StoreError::TooLarge {
            kind: "message",
            ..
        })
    ));
    fill(&mut bench, number, [1]);
}

#[test]
fn a_gap_names_the_messages_on_both_sides() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    fill(&mut bench, number, [1]);
    fill(&mut bench, number, [5]);
    let items = bench
        .store
        .snapshot()
        .page_before(number, None, 10)
        .unwrap()
        .items;
    let gap = Gap {
        older: Some(position(1)),
        newer: Some(position(5)),
    };
    assert_eq!(items[2], TimelineItem::Gap(gap));
}

#[test]
fn rows_with_work_are_found_by_their_index() {
    let mut bench = Bench::new();
    bench.conversation("fresh");
    let stale = bench.conversation("stale");
    bench.commit(|o| {
        o.update_conversation(stale, |row| row.freshness = Freshness::Stale)
            .unwrap()
    });
    let mut bench = bench.reopen();
    assert_eq!(
        bench.store.snapshot().conversations_with_work(9).unwrap(),
        [stale]
    );
    bench.commit(|o| {
        o.update_conversation(stale, |row| row.freshness = Freshness::Fresh)
            .unwrap()
    });
    assert_eq!(
        bench.store.snapshot().conversations_with_work(9).unwrap(),
        []
    );
}

#[test]
fn a_store_is_open_once_and_can_be_opened_again_when_it_was_dropped() {
    let bench = Bench::new();
    let second = Store::in_memory(&bench.disk, client("me"));
    assert!(matches!(second, Err(StoreError::InUse { .. })));
    drop(second);
    bench.reopen();
}

#[test]
fn messages_awaiting_receipts_are_found_by_id_until_they_are_forgotten() {
    let mut bench = Bench::new();
    let number = bench.conversation("c");
    bench.commit(|o| o.await_receipt(number, position(1)));
    let mut bench = bench.reopen();
    let found = bench
        .store
        .snapshot()
        .awaiting_receipt(&position(1).id)
        .unwrap();
    assert_eq!(found, Some((number, position(1))));
    bench.commit(|o| o.forget_receipt(&position(1).id));
    assert_eq!(
        bench
            .store
            .snapshot()
            .awaiting_receipt(&position(1).id)
            .unwrap(),
        None
    );
}
