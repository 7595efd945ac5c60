//! Loading is a join: any sources, in any order, in any batches and any number of times, give the same data.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use sampan::model::AppId;

use super::*;
use crate::storage::{Known, MemoryStorage, Order, Span};

/// One fact of a source.
#[derive(Clone, Debug)]
enum Fact {
    Message(LoadedMessage),
    Known(String, Known),
}

fn iso(at: i64) -> String {
    sampan::wire::iso::format(sampan::model::Timestamp::from_millis(at))
}

/// A message of a few: each source has it at about its time, with a content and a sender of its own.
fn message() -> impl Strategy<Value = Fact> {
    let place = (0_i64..4, 0_i64..3, 0_i64..4);
    let content = (0_i64..4, 0_u8..3, any::<bool>(), any::<bool>(), 0_u8..3);
    let reader = proptest::option::of("[xy]");
    let delivered = proptest::option::of(1_i64..9);
    (place, content, reader, delivered).prop_map(
        |(
            (number, shift, conversation),
            (as_of, data, is_gone, is_binary, sender),
            reader,
            delivered_at,
        )| {
            // Only a service conversation has messages that one client alone sees. It has others where a crawl of the
            // whole app has them: of these no source says whose they are.
            let is_service = conversation == 3;
            Fact::Message(LoadedMessage {
                conversation: format!("c{conversation}"),
                id: format!("m{number}"),
                at: 1_000 + number * 10 + shift,
                from: Some(format!("s{sender}")),
                data: Some(["aGk=", "aG8=", "aGE="][usize::from(data)].to_owned()),
                is_binary,
                is_recalled: false,
                delivered_at,
                reader: reader.filter(|_| is_service),
                as_of,
                is_gone,
            })
        },
    )
}

/// A row of a table about one of the conversations: members change, the time of making may be wrong, and one
/// conversation is a service's.
fn known() -> impl Strategy<Value = Fact> {
    let row = (500_i64..503, "[ab]", any::<bool>(), any::<bool>(), 0_i64..3);
    let role = proptest::option::of(("[xyz]", 0_i64..3, "Manager|Member"));
    (0_i64..4, row, role, any::<bool>(), 0..4_usize).prop_map(
        |(number, (at, name, is_muted, is_unique, made), role, has_row, members)| {
            let is_service = number == 3;
            let muted: &[&str] = if is_muted { &["x"] } else { &[] };
            let members: &[&str] = [["x", "y"].as_slice(), &["x"], &["x", "y", "z"], &["x", "y"]][members];
            let row = json!({
                "objectId": format!("c{number}"), "name": name, "c": "x", "m": members, "mu": muted, "sys": is_service,
                "unique": is_unique, "uniqueId": "theirs", "createdAt": iso(100 + made), "updatedAt": iso(at),
            });
            let subscribers = if is_service { ["x".to_owned()].into() } else { BTreeSet::new() };
            let roles = role.map(|(client, at, role)| (client, (at, role)));
            let known = Known {
                row: has_row.then(|| (at, row.to_string())),
                roles: roles.into_iter().collect::<BTreeMap<_, _>>(),
                subscribers,
                ..Known::default()
            };
            Fact::Known(format!("c{number}"), known)
        },
    )
}

/// The facts as a load gives them: messages first, then what is known of conversations, from them as well.
async fn load(storage: &mut MemoryStorage, facts: &[Fact]) {
    let app = AppId::new("app").unwrap();
    let mut learned: BTreeMap<String, Known> = BTreeMap::new();
    let mut loader = Loader::new(storage, app);
    for fact in facts {
        match fact {
            Fact::Known(id, known) => {
                let before = learned.remove(id).unwrap_or_default();
                learned.insert(id.clone(), before.join(known.clone()));
            }
            Fact::Message(message) => {
                let loaded = loader.message(message).await.unwrap();
                if let Loaded::Refused(reason) = loaded {
                    assert_eq!(reason, NOT_SAID_WHOSE);
                    assert!(["c3", "news"].contains(&&*message.conversation));
                    assert_eq!(message.reader, None);
                    continue;
                }
                let known = learned.entry(message.conversation.clone()).or_default();
                let from = message.from.as_deref().unwrap();
                known.note(message.at, &message.id, from, message.reader.as_deref());
            }
        }
    }
    for (id, known) in learned {
        loader.conversation(&id, known).await.unwrap();
    }
    storage.commit().await.unwrap();
}

/// All that is kept, as text.
async fn dump(storage: &MemoryStorage) -> String {
    let app = AppId::new("app").unwrap();
    let mut text = String::new();
    for conversation in storage.conversations(&app, None, 9).await.unwrap() {
        let id = conversation.id.clone();
        let members = storage.members(&app, &id, 99).await.unwrap();
        let known = storage.known(&app, &id).await.unwrap();
        text.push_str(&format!("{conversation:?}\n{members:?}\n{known:?}\n"));
        if let Some(unique) = &conversation.unique_id {
            let holder = storage.unique_conversation(&app, unique).await.unwrap();
            assert_eq!(
                holder.as_ref(),
                Some(&id),
                "one conversation has a unique id"
            );
        }
        let span = Span::default();
        let all = storage.messages(&app, &id, &span, Order::OldestFirst, 99);
        for message in all.await.unwrap() {
            let bytes = match &message.body {
                crate::storage::Body::Text(text) => text.clone().into_bytes(),
                crate::storage::Body::Binary(bytes) => bytes.clone(),
            };
            let words = String::from_utf8_lossy(&bytes);
            text.push_str(&format!("{message:?} {words}\n"));
        }
    }
    text
}

proptest! {
    #[test]
    fn sources_give_the_same_data_in_any_order_and_number(
        facts in proptest::collection::vec(prop_oneof![3 => message(), 2 => known()], 1..18),
        shuffled in any::<proptest::sample::Index>(),
        cut in any::<proptest::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut straight = MemoryStorage::empty().unwrap();
            load(&mut straight, &facts).await;
            let wanted = dump(&straight).await;
            // Again: nothing changes.
            load(&mut straight, &facts).await;
            prop_assert_eq!(&dump(&straight).await, &wanted);

            let mut other = facts.clone();
            other.sort_by_key(|fact| {
                use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
                BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, format!("{fact:?}")))
            });
            // In two loads, the first of them once more at the end.
            let at = cut.index(other.len() + 1);
            let (first, second) = other.split_at(at);
            let mut joined = MemoryStorage::empty().unwrap();
            for part in [first, second, &other[..shuffled.index(other.len() + 1)]] {
                load(&mut joined, part).await;
            }
            prop_assert_eq!(&dump(&joined).await, &wanted);
            Ok(())
        })?;
    }
}

fn row(id: &str, members: &[&str], made: i64, at: i64) -> Fact {
    let row = json!({
        "objectId": id, "c": "x", "m": members, "unique": true, "uniqueId": "theirs", "createdAt": iso(made),
        "updatedAt": iso(at),
    });
    let row = Some((at, row.to_string()));
    Fact::Known(
        id.to_owned(),
        Known {
            row,
            ..Known::default()
        },
    )
}

async fn dump_of(orders: &[&[&Fact]]) -> String {
    let mut storage = MemoryStorage::empty().unwrap();
    for facts in orders {
        let facts: Vec<Fact> = facts.iter().map(|it| (*it).clone()).collect();
        load(&mut storage, &facts).await;
    }
    dump(&storage).await
}

#[tokio::test]
async fn the_unique_id_of_members_that_changed_goes_to_the_next_oldest_conversation() {
    let old = row("c0", &["x", "y"], 100, 500);
    let new = row("c0", &["x", "y", "z"], 100, 501);
    let (younger, youngest) = (
        row("c1", &["x", "y"], 101, 500),
        row("c2", &["x", "y"], 102, 500),
    );
    let wanted = dump_of(&[&[&new, &younger, &youngest]]).await;
    assert_eq!(wanted.matches("unique_id: Some").count(), 2, "{wanted}");
    for order in [
        [&old, &younger, &youngest, &new],
        [&youngest, &old, &younger, &new],
        [&new, &youngest, &younger, &old],
        [&old, &new, &youngest, &younger],
    ] {
        let loads: Vec<&[&Fact]> = order.iter().map(std::slice::from_ref).collect();
        assert_eq!(dump_of(&loads).await, wanted);
    }
}

#[tokio::test]
async fn a_conversation_that_turns_out_to_be_a_service_shows_only_messages_of_a_reader() {
    let message = |id: &str, reader: Option<&str>, data: &str| {
        Fact::Message(LoadedMessage {
            conversation: "news".to_owned(),
            id: id.to_owned(),
            at: 1_000,
            from: Some("paper".to_owned()),
            data: Some(data.to_owned()),
            reader: reader.map(str::to_owned),
            as_of: if reader.is_some() { 5 } else { 9 },
            ..LoadedMessage::default()
        })
    };
    let everybodys = [
        message("m0", None, "whose?"),
        message("m1", None, "to ann?"),
    ];
    let anns = message("m1", Some("ann"), "to ann");
    let service =
        json!({ "objectId": "news", "sys": true, "createdAt": iso(100), "updatedAt": iso(500) });
    let known = Known {
        row: Some((500, service.to_string())),
        ..Known::default()
    };
    let table = Fact::Known("news".to_owned(), known);
    let wanted = dump_of(&[&[&table], &[&anns]]).await;
    assert!(wanted.contains("to ann") && !wanted.contains("whose?") && !wanted.contains("to ann?"));
    let [first, second] = &everybodys;
    for loads in [
        [&[first, second][..], &[&table], &[&anns]],
        [&[first, second], &[&anns], &[&table]],
        [&[&anns], &[first, second], &[&table]],
        [&[&table], &[first, second, &anns], &[]],
    ] {
        assert_eq!(dump_of(&loads).await, wanted);
    }
}
