//! Random queries: the service and this device find the same.

use sampan::model::{ConversationInfo, ConversationKind, Count, Json, NewConversation};
use sampan::splitmix;
use sampan::{ConversationQuery, QueryCondition};

use crate::place::{Place, id};
use crate::queries::{json, made, order, up_to_date, with};

/// Chance under a seed.
struct Dice(u64);

impl Dice {
    /// A number under a limit.
    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap();
        usize::try_from(splitmix::next(&mut self.0) % limit).unwrap()
    }

    fn one_of(&mut self, texts: &[&str]) -> String {
        let at = self.below(texts.len());
        texts.get(at).copied().unwrap_or_default().to_owned()
    }
}

/// A value of those that the conversations of the comparison have, and of some that none has.
fn value(dice: &mut Dice) -> Json {
    const VALUES: [&str; 16] = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "1.0",
        "2",
        "-3",
        r#""a""#,
        r#""b""#,
        r#""B""#,
        r#""""#,
        "[]",
        r#"["a","b"]"#,
        r#"{"x":1}"#,
        r#"{"__type":"Date","iso":"2020-01-21T14:22:48.642Z"}"#,
    ];
    json(&dice.one_of(&VALUES))
}

fn column(dice: &mut Dice) -> String {
    const COLUMNS: [&str; 18] = [
        "name",
        "m",
        "mu",
        "c",
        "lm",
        "createdAt",
        "updatedAt",
        "conv_type",
        "unique",
        "tr",
        "attr",
        "attr.n",
        "attr.t",
        "attr.l",
        "attr.l.0",
        "attr.o.x",
        "attr.d",
        "nothing",
    ];
    dice.one_of(&COLUMNS)
}

fn condition(dice: &mut Dice, depth: u32) -> QueryCondition {
    let key = column(dice);
    let values = |dice: &mut Dice| (0..=dice.below(3)).map(|_| value(dice)).collect();
    let text = |dice: &mut Dice| dice.one_of(&["a", "b", "", "talk", "2", "."]);
    match dice.below(if depth == 0 { 17 } else { 21 }) {
        0 => QueryCondition::Equal {
            key,
            value: value(dice),
        },
        1 => QueryCondition::NotEqual {
            key,
            value: value(dice),
        },
        2 => QueryCondition::Less {
            key,
            value: value(dice),
        },
        3 => QueryCondition::AtMost {
            key,
            value: value(dice),
        },
        4 => QueryCondition::Greater {
            key,
            value: value(dice),
        },
        5 => QueryCondition::AtLeast {
            key,
            value: value(dice),
        },
        6 => QueryCondition::Exists { key },
        7 => QueryCondition::Missing { key },
        8 => QueryCondition::OneOf {
            key,
            values: values(dice),
        },
        9 => QueryCondition::NoneOf {
            key,
            values: values(dice),
        },
        10 => QueryCondition::AllOf {
            key,
            values: values(dice),
        },
        11 => QueryCondition::Size {
            key,
            count: Count::from(dice.below(4)),
        },
        12 => QueryCondition::Contains {
            key,
            text: text(dice),
        },
        13 => QueryCondition::StartsWith {
            key,
            text: text(dice),
        },
        14 => QueryCondition::EndsWith {
            key,
            text: text(dice),
        },
        15 => {
            let pattern = dice.one_of(&["^[ab]", "B$", ".", r"\d+", "(a|2)"]);
            let flags = dice.one_of(&["", "i", "ms"]);
            QueryCondition::Matches {
                key,
                pattern,
                flags,
            }
        }
        16 => QueryCondition::Members {
            clients: vec![id(&dice.one_of(&["ben", "cat", "eve"]))],
        },
        17 | 18 => QueryCondition::Any {
            parts: parts(dice, depth),
        },
        _ => QueryCondition::All {
            parts: parts(dice, depth),
        },
    }
}

fn parts(dice: &mut Dice, depth: u32) -> Vec<QueryCondition> {
    (0..=dice.below(2))
        .map(|_| condition(dice, depth - 1))
        .collect()
}

fn attributes(dice: &mut Dice) -> String {
    let mut map = serde_json::Map::new();
    for key in ["n", "t", "l", "o", "d"] {
        if dice.below(3) > 0 {
            map.insert(key.to_owned(), value(dice).to_value());
        }
    }
    serde_json::Value::Object(map).to_string()
}

/// S280–S284, S286: the same random queries, in random orders and pages, find the same at the service and on this device.
#[tokio::test]
async fn random_queries_find_the_same_at_the_service_and_on_this_device() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let mut dice = Dice(0x5a_4d_50);
    let others: [&[&str]; 4] = [&["ben"], &["ben", "cat"], &["cat"], &[]];
    let wanted = (0..24).map(|at| {
        let members = others[dice.below(4)];
        let kind = match at % 8 {
            6 => ConversationKind::ChatRoom,
            _ => ConversationKind::Normal,
        };
        let members: &[&str] = if kind == ConversationKind::ChatRoom {
            &[]
        } else {
            members
        };
        NewConversation {
            kind,
            ..with(&format!("talk {}", at % 7), members, &attributes(&mut dice))
        }
    });
    let wanted: Vec<_> = wanted.collect();
    made(&ann, wanted).await;
    up_to_date(&ann.client).await;
    let own = QueryCondition::Members {
        clients: vec![id("ann")],
    };
    let mut hits = 0;
    for round in 0..300 {
        let parts = vec![own.clone(), condition(&mut dice, 2)];
        let keys = dice.below(3);
        let query = ConversationQuery {
            condition: Some(QueryCondition::All { parts }),
            order: (0..keys)
                .map(|_| order(&column(&mut dice), dice.below(2) == 0))
                .collect(),
            limit: u32::try_from(dice.below(30)).unwrap(),
            skip: u32::try_from(dice.below(3)).unwrap(),
            ..ConversationQuery::default()
        };
        let there = ann.client.query_conversations(query.clone()).await;
        let here = ann.client.find_conversations(query.clone()).await;
        match (there, here) {
            (Ok(there), Ok(here)) => {
                let ids = |all: &[ConversationInfo]| -> Vec<_> {
                    all.iter().map(|it| it.id.clone()).collect()
                };
                assert_eq!(ids(&there), ids(&here), "round {round}: {query:?}");
                hits += here.len();
            }
            (Err(_), Err(_)) => {}
            (there, here) => panic!("round {round}: {query:?}: {there:?}, {here:?}"),
        }
    }
    assert!(hits > 300, "the queries find something: {hits}");
}
