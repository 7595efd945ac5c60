//! Queries of conversations: at the service, over this device's store, and live.

use std::sync::Arc;

use sampan::model::{
    ClientId, ConversationInfo, ConversationKind, Count, Json, NewConversation, Timestamp,
    Uniqueness,
};
use sampan::{
    Client, Conversation, ConversationFilter, ConversationQuery, ListOptions, QueryCondition,
    QueryOrder, SampanError,
};

use crate::place::{Device, Place, id, in_time};

pub(crate) fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn key(key: &str) -> String {
    key.to_owned()
}

pub(crate) fn with(name: &str, members: &[&str], attributes: &str) -> NewConversation {
    NewConversation {
        members: members.iter().copied().map(id).collect(),
        name: Some(name.to_owned()),
        attributes: Some(json(attributes)),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    }
}

/// Makes conversations one after the other, says something in some, and mutes some.
pub(crate) async fn made(ann: &Device, wanted: Vec<NewConversation>) -> Vec<Arc<Conversation>> {
    let mut all = Vec::new();
    for (at, wanted) in wanted.into_iter().enumerate() {
        let talk = ann.client.create_conversation(wanted).await.unwrap();
        let talk = talk.conversation;
        if at % 3 == 0 {
            talk.send_text(format!("number {at}"), None).await.unwrap();
        }
        if at % 5 == 0 {
            talk.set_muted(true).await.unwrap();
        }
        ann.service_id(&talk).await;
        ann.has_sent_everything().await;
        all.push(talk);
    }
    all
}

/// Brings what this device knows of all own conversations up to date.
pub(crate) async fn up_to_date(client: &Client) {
    let mut skip = 0;
    loop {
        let query = ConversationQuery {
            limit: 100,
            skip,
            ..ConversationQuery::default()
        };
        let page = client.query_conversations(query).await.unwrap();
        if page.is_empty() {
            return;
        }
        skip += u32::try_from(page.len()).unwrap();
    }
}

fn names(found: &[ConversationInfo]) -> Vec<String> {
    let names = found
        .iter()
        .map(|info| info.name.clone().unwrap_or_default());
    names.collect()
}

/// The conversations that a query finds: the same at the service and on this device.
async fn found(client: &Client, query: ConversationQuery) -> Vec<String> {
    let there = client.query_conversations(query.clone()).await.unwrap();
    let here = client.find_conversations(query.clone()).await.unwrap();
    assert_eq!(names(&there), names(&here), "{query:?}");
    names(&here)
}

/// The names that a condition finds, in the order of names.
async fn by_name(client: &Client, condition: QueryCondition) -> Vec<String> {
    let query = ConversationQuery {
        condition: Some(condition),
        order: vec![order("name", false)],
        limit: 100,
        ..ConversationQuery::default()
    };
    found(client, query).await
}

pub(crate) fn order(key: &str, descending: bool) -> QueryOrder {
    QueryOrder {
        key: key.to_owned(),
        descending,
    }
}

fn service(text: &str) -> QueryCondition {
    QueryCondition::Service {
        condition: json(text),
    }
}

async fn five(ann: &Device) -> Vec<Arc<Conversation>> {
    let wanted = vec![
        with(
            "apple",
            &["ben"],
            r#"{"age": 1, "topic": "tea", "tags": ["a", "b"]}"#,
        ),
        with(
            "Banana",
            &["ben", "cat"],
            r#"{"age": 2, "topic": "Tea time", "tags": ["b"]}"#,
        ),
        with(
            "cherry",
            &["cat"],
            r#"{"age": 3, "topic": "coffee", "tags": []}"#,
        ),
        with("date", &["dan"], r#"{"age": 4}"#),
        with(
            "egg",
            &["ben", "cat", "dan"],
            r#"{"topic": "tea", "deep": {"x": [1, 2]}}"#,
        ),
    ];
    made(ann, wanted).await
}

/// S277, S278, S280, S281, S282, S283, S284, S285, S371: each operator finds the same at the service and on this device.
#[tokio::test]
async fn every_operator_finds_the_same_at_the_service_and_on_this_device() {
    #![expect(clippy::too_many_lines, reason = "one table of all operators")]
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talks = five(&ann).await;
    up_to_date(&ann.client).await;
    let cherry = talks[2].info().await.unwrap();
    let table: Vec<(QueryCondition, &[&str])> = vec![
        (
            QueryCondition::Equal {
                key: key("name"),
                value: json(r#""date""#),
            },
            &["date"],
        ),
        (
            QueryCondition::Equal {
                key: key("attr.tags"),
                value: json(r#""b""#),
            },
            &["Banana", "apple"],
        ),
        (
            QueryCondition::NotEqual {
                key: key("attr.topic"),
                value: json(r#""tea""#),
            },
            &["Banana", "cherry", "date"],
        ),
        (
            QueryCondition::Less {
                key: key("attr.age"),
                value: json("2"),
            },
            &["apple"],
        ),
        (
            QueryCondition::AtMost {
                key: key("attr.age"),
                value: json("2.0"),
            },
            &["Banana", "apple"],
        ),
        (
            QueryCondition::Greater {
                key: key("attr.age"),
                value: json("3"),
            },
            &["date"],
        ),
        (
            QueryCondition::AtLeast {
                key: key("attr.age"),
                value: json("3"),
            },
            &["cherry", "date"],
        ),
        (
            QueryCondition::Exists {
                key: key("attr.deep.x"),
            },
            &["egg"],
        ),
        (
            QueryCondition::Missing {
                key: key("attr.topic"),
            },
            &["date"],
        ),
        (
            QueryCondition::OneOf {
                key: key("attr.age"),
                values: vec![json("1"), json("4")],
            },
            &["apple", "date"],
        ),
        (
            QueryCondition::NoneOf {
                key: key("attr.age"),
                values: vec![json("1"), json("4")],
            },
            &["Banana", "cherry", "egg"],
        ),
        (
            QueryCondition::AllOf {
                key: key("attr.tags"),
                values: vec![json(r#""a""#), json(r#""b""#)],
            },
            &["apple"],
        ),
        (
            QueryCondition::Size {
                key: key("attr.tags"),
                count: Count(0),
            },
            &["cherry"],
        ),
        (
            QueryCondition::Contains {
                key: key("name"),
                text: key("an"),
            },
            &["Banana"],
        ),
        (
            QueryCondition::StartsWith {
                key: key("attr.topic"),
                text: key("tea"),
            },
            &["apple", "egg"],
        ),
        (
            QueryCondition::EndsWith {
                key: key("name"),
                text: key("e"),
            },
            &["apple", "date"],
        ),
        (
            QueryCondition::Matches {
                key: key("attr.topic"),
                pattern: key("^tea"),
                flags: key("i"),
            },
            &["Banana", "apple", "egg"],
        ),
        (
            QueryCondition::Members {
                clients: vec![id("cat"), id("ben")],
            },
            &["Banana", "egg"],
        ),
        (
            QueryCondition::OnlyMembers {
                clients: vec![id("cat"), id("ben"), id("ann")],
            },
            &["Banana"],
        ),
        (
            QueryCondition::Any {
                parts: vec![
                    QueryCondition::Members {
                        clients: vec![id("dan")],
                    },
                    QueryCondition::Equal {
                        key: key("attr.age"),
                        value: json("1"),
                    },
                ],
            },
            &["apple", "date", "egg"],
        ),
        (
            QueryCondition::All {
                parts: vec![
                    QueryCondition::Members {
                        clients: vec![id("cat")],
                    },
                    QueryCondition::Exists {
                        key: key("attr.age"),
                    },
                ],
            },
            &["Banana", "cherry"],
        ),
        (
            service(r#"{"m": "ben", "attr.topic": {"$regex": "tea"}}"#),
            &["apple", "egg"],
        ),
        (
            QueryCondition::After {
                key: key("createdAt"),
                at: cherry.created_at.unwrap(),
            },
            &["date", "egg"],
        ),
        // Something was said in the first and in the fourth.
        (
            QueryCondition::Before {
                key: key("lm"),
                at: Timestamp::from_millis(i64::MAX / 1_000_000),
            },
            &["apple", "date"],
        ),
        (service(r#"{"mu": "ann"}"#), &["apple"]),
    ];
    for (condition, expected) in table {
        let found = by_name(&ann.client, condition.clone()).await;
        assert_eq!(found, expected, "{condition:?}");
    }
}

/// S115, S141, S276, S279, S286, S287, S288, S289, S290, S291, S351: without words a query finds the ten own conversations in which something
/// was said last; a page has a size and a place; rows come without members, or with the last message; all are counted.
#[tokio::test]
async fn a_query_has_defaults_an_order_a_page_and_a_count() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let many = (0..12).map(|at| with(&format!("talk {at:02}"), &["ben"], "{}"));
    made(&ann, many.collect()).await;
    let strange = ben.talk_to_all(&["cat"]).await;
    let strange = ben.service_id(&strange).await;
    up_to_date(&ann.client).await;
    let usual = found(&ann.client, ConversationQuery::default()).await;
    assert_eq!(usual.len(), 10);
    let said = ["talk 09", "talk 06", "talk 03", "talk 00"];
    assert_eq!(usual[..4], said);
    let page = |limit, skip| ConversationQuery {
        order: vec![order("attr.none", true), order("name", true)],
        limit,
        skip,
        ..ConversationQuery::default()
    };
    let second = found(&ann.client, page(3, 2)).await;
    assert_eq!(second, ["talk 09", "talk 08", "talk 07"]);
    let all = ConversationQuery::default();
    assert_eq!(ann.client.count_conversations(all).await.unwrap().0, 12);
    let compact = ConversationQuery {
        compact: true,
        last_messages: true,
        ..ConversationQuery::default()
    };
    let rows = ann.client.query_conversations(compact).await.unwrap();
    assert!(rows.iter().all(|row| row.members.is_empty()));
    let last = rows[0].last_message.as_ref().unwrap();
    assert_eq!(last.content.words(), Some("number 9"));
    let by_id = ConversationQuery {
        condition: Some(QueryCondition::Equal {
            key: key("objectId"),
            value: Json::from_value(&strange.as_str().into()),
        }),
        ..ConversationQuery::default()
    };
    let rows = ann.client.query_conversations(by_id.clone()).await.unwrap();
    let members: Vec<ClientId> = rows[0].members.clone();
    assert_eq!(members, [id("ben"), id("cat")]);
    let here = ann.client.find_conversations(by_id).await.unwrap();
    assert_eq!(here, [], "the store takes no conversations of others");
    let room = NewConversation {
        kind: ConversationKind::ChatRoom,
        name: Some("room".to_owned()),
        ..NewConversation::default()
    };
    made(&ann, vec![room]).await;
    let rooms = QueryCondition::Equal {
        key: key("tr"),
        value: json("true"),
    };
    let rooms = by_name(&ann.client, rooms).await;
    assert_eq!(rooms, ["room"]);
    ann.client.go_offline().unwrap();
    let offline = ann.client.query_conversations(page(1, 0)).await;
    assert!(matches!(offline, Err(SampanError::NotConnected)));
    let here = ann.client.find_conversations(page(1, 0)).await.unwrap();
    assert_eq!(names(&here), ["talk 11"]);
}

/// S283: a query that the service would refuse is refused at once, and alike on this device and in lists.
#[tokio::test]
async fn what_cannot_be_asked_is_refused_at_the_service_on_this_device_and_in_lists() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    ann.talk_to("ben").await;
    for condition in [
        QueryCondition::Matches {
            key: key("name"),
            pattern: key("("),
            flags: String::new(),
        },
        QueryCondition::Matches {
            key: key("name"),
            pattern: key("(?=a)"),
            flags: String::new(),
        },
        QueryCondition::Exists { key: key("a..b") },
        QueryCondition::All { parts: Vec::new() },
        service(r#"{"at": {"$nearSphere": [1, 2]}}"#),
        service("[]"),
    ] {
        let query = ConversationQuery {
            condition: Some(condition.clone()),
            ..ConversationQuery::default()
        };
        let there = ann.client.query_conversations(query.clone()).await;
        let here = ann.client.find_conversations(query.clone()).await;
        let count = ann.client.count_conversations(query).await;
        let options = ListOptions {
            filter: Some(ConversationFilter::Query { condition }),
            ..ListOptions::default()
        };
        let list = ann.client.conversation_list(Some(options)).await;
        for refused in [there.err(), here.err(), count.err(), list.err()] {
            let is_invalid = matches!(refused, Some(SampanError::InvalidArgument { .. }));
            assert!(is_invalid, "{refused:?}");
        }
    }
}

/// S284: a list shows what a condition finds, and follows changes, those that wait in the outbox too.
#[tokio::test]
async fn a_list_that_is_filtered_by_a_condition_is_live() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talks = five(&ann).await;
    let filter = ConversationFilter::All {
        parts: vec![
            ConversationFilter::Query {
                condition: service(r#"{"attr.topic": {"$regex": "tea", "$options": "i"}}"#),
            },
            ConversationFilter::Not {
                part: Box::new(ConversationFilter::Muted),
            },
        ],
    };
    let options = ListOptions {
        filter: Some(filter),
        ..ListOptions::default()
    };
    let list = ann.client.conversation_list(Some(options)).await.unwrap();
    let mut state = sampan::views::ListState::default();
    ann.client.go_offline().unwrap();
    let changes = json(r#"{"topic": "green tea"}"#);
    talks[3].set_attributes(changes).await.unwrap();
    talks[1]
        .set_attributes(json(r#"{"topic": null}"#))
        .await
        .unwrap();
    let search = async {
        loop {
            let update = list.next(state.version).await.unwrap().unwrap();
            state.apply(update);
            let mut names: Vec<_> = state
                .rows
                .iter()
                .filter_map(|row| row.name.clone())
                .collect();
            names.sort();
            if names == ["date", "egg"] {
                return;
            }
        }
    };
    in_time("the list", search).await;
}
