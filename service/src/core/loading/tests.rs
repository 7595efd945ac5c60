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

/// A message of a few: each source has it at about its time, with a content of its own.
fn message() -> impl Strategy<Value = Fact> {
    let place = (0_i64..4, 0_i64..3, 0_i64..3);
    let content = (0_i64..4, 0_u8..3, any::<bool>(), any::<bool>());
    let reader = proptest::option::of("[xy]");
    let delivered = proptest::option::of(1_i64..9);
    (place, content, reader, delivered).prop_map(
        |(
            (number, shift, conversation),
            (as_of, data, is_gone, is_binary),
            reader,
            delivered_at,
        )| {
            // Only a service conversation has messages that one client alone sees, and only such messages.
            let is_service = conversation == 2;
            Fact::Message(LoadedMessage {
                conversation: format!("c{conversation}"),
                id: format!("m{number}"),
                at: 1_000 + number * 10 + shift,
                from: Some(format!("s{}", number % 2)),
                data: Some(["aGk=", "aG8=", "aGE="][usize::from(data)].to_owned()),
                is_binary,
                is_recalled: false,
                delivered_at,
                reader: is_service.then(|| reader.unwrap_or_else(|| "z".to_owned())),
                as_of,
                is_gone,
            })
        },
    )
}

/// A row of a table about one of the conversations.
fn known() -> impl Strategy<Value = Fact> {
    let row = (500_i64..503, "[ab]", any::<bool>());
    let role = proptest::option::of(("[xyz]", 0_i64..3, "Manager|Member"));
    (0_i64..3, row, role, any::<bool>()).prop_map(|(number, (at, name, is_muted), role, has_row)| {
        let is_service = number == 2;
        let muted: &[&str] = if is_muted { &["x"] } else { &[] };
        let row = json!({
            "objectId": format!("c{number}"), "name": name, "c": "x", "m": ["x", "y"], "mu": muted, "sys": is_service,
            "unique": !is_service, "createdAt": iso(100 + number), "updatedAt": iso(at),
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
    })
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
                assert!(!matches!(loaded, Loaded::Refused(_)), "{loaded:?}");
                let known = learned.entry(message.conversation.clone()).or_default();
                known.note(message.at, &message.id, message.from.as_deref().unwrap());
                known.readers.extend(message.reader.clone());
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
        text.push_str(&format!("{conversation:?}\n{members:?}\n"));
        let span = Span::default();
        let all = storage.messages(&app, &id, &span, Order::OldestFirst, 99);
        for message in all.await.unwrap() {
            let bytes = match &message.body {
                crate::storage::Body::Text(text) => text.clone().into_bytes(),
                crate::storage::Body::Binary(bytes) => bytes.clone(),
            };
            text.push_str(&format!("{message:?} {bytes:?}\n"));
        }
    }
    text
}

proptest! {
    #[test]
    fn sources_give_the_same_data_in_any_order_and_number(
        facts in proptest::collection::vec(prop_oneof![3 => message(), 1 => known()], 1..14),
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
