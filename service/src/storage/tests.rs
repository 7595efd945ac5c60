//! Both storages against each other, and the data that outlives a reopening.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};

use super::*;

mod compaction;
mod crash;
mod suite;

/// Runs a future of an embedded storage, which never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an embedded storage waits for nobody"),
    }
}

fn app() -> AppId {
    AppId::new("app").unwrap()
}

fn cid(n: u8) -> ConversationId {
    ConversationId::new(format!("c{n}")).unwrap()
}

fn who(n: u8) -> ClientId {
    ClientId::new(format!("p{n}")).unwrap()
}

fn at(n: i64) -> Timestamp {
    Timestamp::from_millis(n)
}

fn conversation(n: u8, ends: Option<i64>) -> Conversation {
    Conversation {
        id: cid(n),
        kind: if ends.is_some() {
            Kind::Temporary
        } else {
            Kind::Normal
        },
        creator: who(0),
        columns: serde_json::from_str(r#"{"name":"x","attr":{"n":1.5,"list":[1,null]}}"#).unwrap(),
        unique_id: Some(format!("u{}", n % 2)),
        created_at: at(1),
        updated_at: at(2),
        expires_at: ends.map(at),
    }
}

fn member(n: u8, read: i64) -> Member {
    Member {
        client: who(n),
        joined_at: at(1),
        role: Role::Manager,
        muted: true,
        read_until: at(read),
        read_marked_at: at(read),
        received_until: at(0),
        seen_until: at(0),
        queued: n == 1,
        guest: n == 2,
    }
}

fn message(time: i64, n: u8, patched: Option<i64>) -> Message {
    Message {
        id: MessageId::new(format!("m{n}")).unwrap(),
        sent_at: at(time),
        from: who(n % 3),
        body: if n.is_multiple_of(2) {
            Body::Text("hi".into())
        } else {
            Body::Binary(vec![0, 255, n])
        },
        wants_receipt: true,
        mention_all: false,
        mentions: vec![who(1)],
        patched_at: patched.map(at),
        recalled: false,
        delivered_at: None,
        read_at: Some(at(7)),
        token: Some(format!("dt{n}")),
        only_for: Vec::new(),
    }
}

fn writes() -> impl Strategy<Value = Write> {
    let small = 0u8..3;
    prop_oneof![
        (small.clone(), 0i64..5).prop_map(|(n, ends)| Write::PutToken(
            app(),
            format!("t{n}"),
            Token {
                client: who(n),
                tag: None,
                device: Some("d".into()),
                authenticated_at: at(1),
                signed: true,
                expires_at: at(ends)
            },
        )),
        (prop::option::of(small.clone()), 0i64..5).prop_map(|(n, until)| Write::PutRevocation(
            app(),
            n.map(who),
            Revocation {
                until: at(until),
                barred_until: (until % 2 == 0).then(|| at(until)),
            }
        )),
        small
            .clone()
            .prop_map(|n| Write::DropToken(app(), format!("t{n}"))),
        (small.clone(), prop::option::of(0i64..5))
            .prop_map(|(n, ends)| Write::PutConversation(app(), conversation(n, ends))),
        small
            .clone()
            .prop_map(|n| Write::DropConversation(app(), cid(n))),
        (small.clone(), small.clone(), 0i64..5).prop_map(|(c, n, read)| Write::PutMember(
            app(),
            cid(c),
            member(n, read)
        )),
        (small.clone(), small.clone()).prop_map(|(c, n)| Write::DropMember(app(), cid(c), who(n))),
        (small.clone(), 0i64..6, 0u8..6, prop::option::of(0i64..9))
            .prop_map(|(c, t, n, p)| Write::PutMessage(app(), cid(c), message(t, n, p))),
        (small.clone(), 0i64..6, 0u8..6).prop_map(|(c, t, n)| Write::DropMessage(
            app(),
            cid(c),
            message(t, n, None).place()
        )),
        (small.clone(), small.clone()).prop_map(|(c, n)| Write::PutBan(
            app(),
            cid(c),
            Ban::Silenced,
            who(n)
        )),
        (small.clone(), 0i64..5, 0u32..3).prop_map(|(n, t, sequence)| Write::PutNotification(
            app(),
            Notification {
                client: who(n),
                at: at(t),
                sequence,
                item: serde_json::Map::new()
            },
        )),
        (small.clone(), 0i64..5).prop_map(|(n, t)| Write::DropNotifications(app(), who(n), at(t))),
        (prop::option::of(small.clone()), 0i64..5, 3u32..9).prop_map(|(n, t, sequence)| {
            let readers = n.map_or_else(
                || Readers::Clients(vec![who(0), who(2)]),
                |n| Readers::Members(cid(n)),
            );
            let item = (sequence % 3 > 0).then(serde_json::Map::new);
            let notice = Notice {
                readers,
                at: at(t),
                sequence,
                item,
            };
            Write::PutNotice(app(), notice)
        }),
        (small.clone(), 0i64..5).prop_map(|(n, t)| Write::DropNotices(app(), cid(n), at(t))),
        (0i64..5).prop_map(|t| Write::DropSingleNotices(app(), at(t), 2)),
        (small, 0usize..4).prop_map(|(n, length)| {
            let mut row = conversation(n, None);
            let long = ["x", "y"].map(|letter| letter.repeat(300 * length));
            row.columns.insert("long".into(), long.to_vec().into());
            row.columns.insert("n".into(), length.into());
            Write::PutConversation(app(), row)
        }),
    ]
}

/// Everything that can be asked, as one text.
fn picture(storage: &impl Storage) -> String {
    let app = app();
    let mut seen = vec![format!(
        "{:?}",
        now(storage.revocation(&app, None)).unwrap()
    )];
    for n in 0..3 {
        let (c, p) = (cid(n), who(n));
        seen.push(format!(
            "{:?}",
            now(storage.token(&app, &format!("t{n}"))).unwrap()
        ));
        seen.push(format!(
            "{:?}",
            now(storage.revocation(&app, Some(&p))).unwrap()
        ));
        seen.push(format!(
            "{:?}",
            now(storage.conversation(&app, &c)).unwrap()
        ));
        seen.push(format!("{:?}", now(storage.members(&app, &c, 2)).unwrap()));
        seen.push(format!(
            "{:?}",
            now(storage.memberships(&app, &p, Some(&cid(0)), 2)).unwrap()
        ));
        seen.push(format!(
            "{:?}",
            now(storage.notifications(&app, &p, at(1), 9)).unwrap()
        ));
        seen.push(format!(
            "{:?}",
            now(storage.noticed_before(&app, &c, 1)).unwrap()
        ));
        seen.push(format!(
            "{:?}",
            now(storage.banned(&app, &c, Ban::Silenced, 9)).unwrap()
        ));
        seen.push(format!(
            "{:?}",
            now(storage.patched_since(&app, &c, at(3), 9)).unwrap()
        ));
        seen.push(format!(
            "{:?}",
            now(storage.sent_with(&app, &c, &p, "dt1")).unwrap()
        ));
        let edge = |time, id: Option<&str>, included| {
            Some(Edge {
                at: at(time),
                id: id.map(|id| MessageId::new(id).unwrap()),
                included,
            })
        };
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for span in [
                Span::default(),
                Span {
                    older: edge(1, None, false),
                    newer: edge(4, None, true),
                },
                Span {
                    older: edge(1, Some("m2"), true),
                    newer: edge(4, Some("m3"), false),
                },
                Span {
                    older: edge(5, None, true),
                    newer: edge(2, None, true),
                },
            ] {
                let page = now(storage.messages(&app, &c, &span, order, 3)).unwrap();
                seen.push(format!("{page:?}"));
            }
        }
    }
    seen.push(format!(
        "{:?}",
        now(storage.conversations(&app, Some(&cid(0)), 9)).unwrap()
    ));
    seen.push(format!(
        "{:?} {:?}",
        now(storage.noticed(None, 2)).unwrap(),
        now(storage.notified(None, 2)).unwrap()
    ));
    seen.push(format!(
        "{:?}",
        now(storage.ended_tokens(at(3), 9)).unwrap()
    ));
    seen.push(format!(
        "{:?}",
        now(storage.ended_conversations(at(3), 9)).unwrap()
    ));
    seen.push(format!(
        "{:?}",
        now(storage.unique_conversation(&app, "u0")).unwrap()
    ));
    seen.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn disk_and_memory_answer_alike_before_and_after_commit_rollback_and_reopening(
        batches in prop::collection::vec((prop::collection::vec(writes(), 0..12), any::<bool>()), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = RedbStorage::open_folder(folder.path()).unwrap();
        let mut memory = MemoryStorage::empty().unwrap();
        for (batch, keep) in batches {
            let before = picture(&memory);
            now(disk.apply(batch.clone())).unwrap();
            now(memory.apply(batch)).unwrap();
            let after = picture(&memory);
            prop_assert_eq!(&after, &picture(&disk));
            if keep {
                now(disk.commit()).unwrap();
                now(memory.commit()).unwrap();
                prop_assert_eq!(&after, &picture(&memory));
            } else {
                disk.rollback();
                memory.rollback();
                prop_assert_eq!(&before, &picture(&memory));
            }
            drop(disk);
            disk = RedbStorage::open_folder(folder.path()).unwrap();
            prop_assert_eq!(picture(&disk), picture(&memory));
        }
    }
}

#[test]
fn a_message_is_found_by_its_id_and_by_its_token_for_as_long_as_it_is_kept() {
    let mut storage = MemoryStorage::empty().unwrap();
    let sent = message(5, 1, None);
    now(storage.apply(vec![
        Write::PutConversation(app(), conversation(0, None)),
        Write::PutMessage(app(), cid(0), sent.clone()),
    ]))
    .unwrap();
    now(storage.commit()).unwrap();
    let place = now(storage.sent_with(&app(), &cid(0), &sent.from, "dt1")).unwrap();
    assert_eq!(place, Some(sent.place()));
    assert_eq!(
        now(storage.message_place(&app(), &cid(0), &sent.id)).unwrap(),
        Some(sent.place())
    );
    now(storage.apply(vec![Write::DropConversation(app(), cid(0))])).unwrap();
    assert_eq!(
        now(storage.sent_with(&app(), &cid(0), &sent.from, "dt1")).unwrap(),
        None
    );
    assert_eq!(
        now(storage.message_place(&app(), &cid(0), &sent.id)).unwrap(),
        None
    );
}

#[test]
fn a_token_that_was_used_again_is_the_later_message_s_when_the_earlier_one_goes() {
    let mut storage = MemoryStorage::empty().unwrap();
    let earlier = message(5, 1, None);
    let mut later = message(9, 2, None);
    later.token.clone_from(&earlier.token);
    now(storage.apply(vec![
        Write::PutMessage(app(), cid(0), earlier.clone()),
        Write::PutMessage(app(), cid(0), later.clone()),
        Write::DropMessage(app(), cid(0), earlier.place()),
    ]))
    .unwrap();
    let place = || now(storage.sent_with(&app(), &cid(0), &later.from, "dt1")).unwrap();
    assert_eq!(place(), Some(later.place()));
}

fn notice(readers: Readers, time: i64, item: Option<&str>) -> Notice {
    let item = item.map(|cmd| serde_json::Map::from_iter([("cmd".to_owned(), cmd.into())]));
    Notice {
        readers,
        at: at(time),
        sequence: 0,
        item,
    }
}

/// The notifications that a client is told it missed: their times, and true if there may have been more.
fn missed(storage: &MemoryStorage, client: u8, since: i64, limit: usize) -> (Vec<i64>, bool) {
    let missed = now(storage.notifications(&app(), &who(client), at(since), limit)).unwrap();
    let times = missed.notifications.iter().map(|one| one.at.as_millis());
    (times.collect(), missed.is_partial)
}

#[test]
fn a_notice_is_read_by_members_since_they_joined_and_by_those_it_names() {
    let mut storage = MemoryStorage::empty().unwrap();
    let later = Member {
        joined_at: at(5),
        ..member(1, 0)
    };
    let own = Notification {
        client: who(0),
        at: at(7),
        sequence: 0,
        item: serde_json::Map::new(),
    };
    let members = || Readers::Members(cid(0));
    now(storage.apply(vec![
        Write::PutConversation(app(), conversation(0, None)),
        Write::PutMember(app(), cid(0), member(0, 0)),
        Write::PutMember(app(), cid(0), later),
        Write::PutNotice(app(), notice(members(), 3, Some("a"))),
        Write::PutNotice(app(), notice(members(), 5, Some("b"))),
        Write::PutNotice(
            app(),
            notice(Readers::Clients(vec![who(0), who(2)]), 6, Some("c")),
        ),
        Write::PutNotification(app(), own),
    ]))
    .unwrap();
    assert_eq!(missed(&storage, 0, 0, 9), (vec![3, 5, 6, 7], false));
    assert_eq!(missed(&storage, 0, 3, 2), (vec![5, 6], false));
    assert_eq!(missed(&storage, 1, 0, 9), (vec![5], false));
    assert_eq!(missed(&storage, 2, 0, 9), (vec![6], false));
    now(storage.apply(vec![Write::PutNotice(app(), notice(members(), 8, None))])).unwrap();
    assert_eq!(missed(&storage, 1, 0, 9), (vec![5], true));
    now(storage.apply(vec![
        Write::DropSingleNotices(app(), at(6), 9),
        Write::DropNotifications(app(), who(0), at(7)),
        Write::DropNotices(app(), cid(0), at(3)),
    ]))
    .unwrap();
    assert_eq!(missed(&storage, 0, 0, 9), (vec![5], true));
}

#[test]
fn a_small_change_of_large_columns_writes_little_and_reads_whole() {
    let mut storage = MemoryStorage::empty().unwrap();
    let mut row = conversation(0, None);
    row.columns.insert("long".into(), "x".repeat(16_000).into());
    now(storage.apply(vec![Write::PutConversation(app(), row.clone())])).unwrap();
    let before = storage.work().written_bytes;
    for n in 0..100 {
        row.columns.insert("n".into(), n.into());
        now(storage.apply(vec![Write::PutConversation(app(), row.clone())])).unwrap();
        let read = now(storage.conversation(&app(), &cid(0))).unwrap();
        assert_eq!(read.as_ref(), Some(&row));
    }
    let each = (storage.work().written_bytes - before) / 100;
    assert!(each < 2_000, "{each} bytes for a change");
    row.columns.remove("long");
    now(storage.apply(vec![Write::PutConversation(app(), row.clone())])).unwrap();
    let listed = now(storage.conversations(&app(), None, 9)).unwrap();
    assert_eq!(listed, vec![row]);
    now(storage.apply(vec![Write::DropConversation(app(), cid(0))])).unwrap();
    assert_eq!(now(storage.conversation(&app(), &cid(0))).unwrap(), None);
}

#[test]
fn data_of_schema_1_is_read_on_with_what_waited_in_push_mode() {
    let mut map = std::collections::BTreeMap::new();
    let text = |text: &str| {
        let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    let time = |at: i64| (at ^ i64::MIN).to_be_bytes().to_vec();
    let queue = |at: i64| {
        let parts = [
            text("app"),
            text("p0"),
            text("c0"),
            time(at),
            b"m1".to_vec(),
        ];
        [vec![b'q'], parts.concat()].concat()
    };
    map.insert(queue(7), Vec::new());
    map.insert(queue(9), Vec::new());
    map.insert(vec![b's'], vec![1]);
    let own = Member {
        received_until: at(20),
        queued: false,
        ..member(0, 0)
    };
    let row = [vec![1], rmp_serde::to_vec_named(&own).unwrap()].concat();
    map.insert(
        [vec![b'm'], text("app"), text("c0"), b"p0".to_vec()].concat(),
        row,
    );
    let old = Notification {
        client: who(0),
        at: at(4),
        sequence: 1,
        item: serde_json::Map::new(),
    };
    let row = [vec![1], rmp_serde::to_vec_named(&old).unwrap()].concat();
    let key = [
        vec![b'n'],
        text("app"),
        text("p0"),
        time(4),
        vec![0, 0, 0, 1],
    ]
    .concat();
    map.insert(key, row);
    let storage = MemoryStorage::of_rows(map).unwrap();
    let member = now(storage.member(&app(), &cid(0), &who(0)))
        .unwrap()
        .unwrap();
    assert!(member.queued);
    assert_eq!(member.received_until, at(6));
    assert_eq!(missed(&storage, 0, 0, 9), (vec![4], false));
    let rows = storage.into_rows();
    assert_eq!(rows.get(&vec![b's']), Some(&vec![3]));
    assert!(rows.keys().all(|key| key.first() != Some(&b'q')));
}
