//! Notes about a conversation that stay on this device.

use super::{Bench, at, conversation_id};
use crate::model::{Draft, Mentions, MessageKey};

fn draft() -> Draft {
    Draft {
        text: "half a".to_owned(),
        reply_to: Some(MessageKey::parse("m:1700000000000:abc").unwrap()),
        edits: Some(MessageKey::parse("l:one").unwrap()),
        mentions: Mentions {
            all: true,
            clients: vec![super::client("cat")],
        },
    }
}

#[test]
fn a_draft_and_a_place_in_the_list_survive_a_power_cut_and_are_counted() {
    let mut bench = Bench::new();
    let (a, b) = (bench.conversation("a"), bench.conversation("b"));
    bench.commit(|o| {
        o.update_conversation(a, |row| {
            row.draft = Some(draft());
            row.pinned = true;
        })
        .unwrap();
        o.update_conversation(b, |row| row.hidden_until = Some(at(9)))
            .unwrap();
    });
    let mut bench = bench.crash();
    let snapshot = bench.store.snapshot();
    let row = snapshot.conversation(a).unwrap().unwrap();
    assert_eq!((row.draft.clone(), row.pinned), (Some(draft()), true));
    assert!(!row.is_hidden());
    assert!(snapshot.conversation(b).unwrap().unwrap().is_hidden());
    assert_eq!(snapshot.unread_totals().placed, 2);
    drop(snapshot);
    bench.commit(|o| {
        o.update_conversation(a, |row| row.pinned = false).unwrap();
        o.remove_conversation(b).unwrap();
    });
    assert_eq!(bench.store.snapshot().unread_totals().placed, 0);
}

#[test]
fn a_merge_takes_the_draft_and_the_pin_along_and_overwrites_no_draft() {
    for (there, expected) in [
        (None, draft()),
        (Some(Draft::text("mine")), Draft::text("mine")),
    ] {
        let mut bench = Bench::new();
        let (known, made) = (bench.conversation("s1"), bench.conversation("local:1"));
        bench.commit(|o| {
            o.update_conversation(known, |row| row.draft = there.clone())
                .unwrap();
            o.update_conversation(made, |row| {
                row.draft = Some(draft());
                row.pinned = true;
            })
            .unwrap();
            o.assign_id(&conversation_id("local:1"), &conversation_id("s1"))
                .unwrap();
        });
        let bench = bench.reopen();
        let row = bench.store.snapshot().conversation(known).unwrap().unwrap();
        assert_eq!((row.draft, row.pinned), (Some(expected), true));
    }
}
