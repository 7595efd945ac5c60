//! Questions of an app that only the service can answer: parts of history, conversations by a condition, clients
//! inside a chat room, and numbers.

use super::world::{Device, World};
use crate::Obstacle;
use crate::model::query::ConversationQuery;
use crate::model::{
    ClientId, ConversationId, ConversationKind, ConversationState, HistoryQuery, Json, LocalId,
    MessageKey, Timestamp,
};
use crate::sync::{
    Call, ClientsFound, CountConversations, CountMembers, Counted, FindConversations, FindRooms,
    ListInside, QueryHistory, RequestError,
};
use crate::wire::generated::{CommandType, ConvCommand};
use crate::wire::{Command, Op, ServiceCode};

/// The answer to a question, after the time that the service takes.
fn ask<C: Call>(world: &mut World, device: Device, call: C) -> Result<C::Answer, RequestError> {
    let caller = world.call(device, call);
    world.moment();
    world.answer(device, caller).expect("an answer")
}

fn nowhere() -> ConversationId {
    ConversationId::new("nowhere").unwrap()
}

fn invalid<A: std::fmt::Debug>(answer: &Result<A, RequestError>) -> bool {
    matches!(answer, Err(RequestError::InvalidArgument { .. }))
}

/// The words of the messages that a question about history finds.
fn words(
    world: &mut World,
    device: Device,
    conversation: &ConversationId,
    query: HistoryQuery,
) -> Result<Vec<String>, RequestError> {
    let conversation = conversation.clone();
    let found = ask(
        world,
        device,
        QueryHistory {
            conversation,
            query,
        },
    )?;
    let messages = found.messages.iter();
    Ok(messages
        .map(|it| it.content.words().unwrap().to_owned())
        .collect())
}

/// A device, and a conversation with messages one to four, the second by the device itself.
fn with_four_messages(world: &mut World) -> (Device, ConversationId, [Timestamp; 4]) {
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.post(&room, "ben", "one");
    world.moment();
    world.say(ann, &room, "two");
    world.moment();
    for text in ["three", "four"] {
        world.post(&room, "ben", text);
        world.moment();
    }
    let times: Vec<Timestamp> = world
        .items(ann, &room)
        .iter()
        .filter_map(|it| Some(it.message()?.sent_at))
        .collect();
    (ann, room, times.try_into().unwrap())
}

#[test]
fn a_question_about_history_finds_the_messages_between_two_times_from_either_end() {
    let mut world = World::seeded(111);
    let (ann, room, at) = with_four_messages(&mut world);
    let between = |first: usize, last: usize| HistoryQuery {
        since: Some(at[first]),
        until: Some(at[last]),
        ..HistoryQuery::default()
    };
    let mut found = |query| words(&mut world, ann, &room, query).unwrap();
    assert_eq!(found(HistoryQuery::default()).len(), 4);
    assert_eq!(found(between(1, 2)), ["two", "three"]);
    assert_eq!(found(between(2, 2)), ["three"]);
    let newest = HistoryQuery {
        limit: 2,
        ..between(0, 2)
    };
    assert_eq!(found(newest.clone()), ["two", "three"]);
    let oldest_first = HistoryQuery {
        oldest_first: true,
        ..newest
    };
    assert_eq!(found(oldest_first.clone()), ["one", "two"]);
    let behind = |query: &HistoryQuery, key: &MessageKey| HistoryQuery {
        behind: Some(key.clone()),
        ..query.clone()
    };
    let items = world.items(ann, &room);
    let messages: Vec<_> = items.iter().filter_map(|it| it.message()).collect();
    let second = messages[1].clone();
    let (by_id, by_local_id) = (
        MessageKey::service(second.sent_at, second.id.clone().unwrap()),
        MessageKey::local(second.local_id.clone().unwrap()),
    );
    for key in [by_id, by_local_id] {
        let mut found = |query| words(&mut world, ann, &room, query).unwrap();
        assert_eq!(found(behind(&oldest_first, &key)), ["three"]);
        assert_eq!(found(behind(&between(0, 3), &key)), ["one"]);
    }
}

#[test]
fn a_message_that_a_question_finds_is_the_one_of_the_store_where_the_store_has_it() {
    let mut world = World::seeded(112);
    let (ann, room, _) = with_four_messages(&mut world);
    let call = QueryHistory {
        conversation: room.clone(),
        query: HistoryQuery::default(),
    };
    let found = ask(&mut world, ann, call).unwrap().messages;
    let items = world.items(ann, &room);
    let stored: Vec<_> = items
        .iter()
        .filter_map(|it| it.message().cloned())
        .collect();
    assert_eq!(found, stored);
    assert!(found[1].local_id.is_some(), "its own message");
}

#[test]
fn a_question_about_history_that_cannot_be_answered_is_refused_with_its_reason() {
    let mut world = World::seeded(113);
    let (ann, room, at) = with_four_messages(&mut world);
    let of_limit = |limit| HistoryQuery {
        limit,
        ..HistoryQuery::default()
    };
    for limit in [0, 1_001] {
        assert!(invalid(&words(&mut world, ann, &room, of_limit(limit))));
    }
    assert!(words(&mut world, ann, &room, of_limit(1_000)).is_ok());
    let turned = HistoryQuery {
        since: Some(at[1]),
        until: Some(at[0]),
        ..HistoryQuery::default()
    };
    assert!(invalid(&words(&mut world, ann, &room, turned)));
    let unknown = words(&mut world, ann, &nowhere(), HistoryQuery::default());
    assert_eq!(unknown, Err(RequestError::UnknownConversation));
    let behind = HistoryQuery {
        behind: Some(MessageKey::local(LocalId::new("none").unwrap())),
        ..HistoryQuery::default()
    };
    let unknown = words(&mut world, ann, &room, behind);
    assert_eq!(unknown, Err(RequestError::UnknownMessage));
    let code = ServiceCode::CONVERSATION_LOG_FAILED;
    world.service.refuses = Some((CommandType::Logs, code));
    let refused = words(&mut world, ann, &room, HistoryQuery::default());
    assert!(matches!(refused, Err(RequestError::Refused { code: it, .. }) if it == code));
    world.service.refuses = None;
    let unmade = world.create(ann, &["cat"]);
    let unmade = words(&mut world, ann, &unmade, HistoryQuery::default());
    assert_eq!(unmade, Err(RequestError::NotConnected));
    world.partition(ann);
    world.moment();
    let offline = words(&mut world, ann, &room, HistoryQuery::default());
    assert_eq!(offline, Err(RequestError::NotConnected));
}

fn asks_for_fifty_inside(command: &Command) -> bool {
    matches!(command, Command::Conv { op: Op::Members, body } if body.limit == Some(50))
}

const fn asks_for_the_number(command: &Command) -> bool {
    matches!(command, Command::Conv { op: Op::Count, .. })
}

/// A question about one conversation is asked of the service only while a session is open, and only about a
/// conversation that the service has.
#[test]
fn the_clients_inside_a_chat_room_are_asked_for_at_the_service() {
    let mut world = World::seeded(114);
    let [ann] = world.devices(["ann"]);
    let room = world.make_kind(ann, ConversationKind::ChatRoom, &[]);
    let inside = |conversation: &ConversationId| ListInside {
        conversation: conversation.clone(),
        limit: 70,
    };
    let body = ConvCommand {
        m: vec!["ann".to_owned(), "cat".to_owned()],
        ..ConvCommand::default()
    };
    let answer = Command::conv(Op::Result, body);
    world.service.scripts.push((asks_for_fifty_inside, answer));
    let clients = ["ann", "cat"].map(|it| ClientId::new(it).unwrap()).to_vec();
    let found = ask(&mut world, ann, inside(&room));
    assert_eq!(found, Ok(ClientsFound { clients }));
    let unknown = ask(&mut world, ann, inside(&nowhere()));
    assert_eq!(unknown, Err(RequestError::UnknownConversation));
    let group = world.found(&["ann", "ben"]);
    world.settle();
    let not_a_room = ask(&mut world, ann, inside(&group));
    let obstacle = Obstacle::KindDoesNotAllow;
    assert_eq!(not_a_room, Err(RequestError::NotPossible { obstacle }));
    let unmade = world.create_kind(ann, ConversationKind::ChatRoom, &[]);
    let unmade = ask(&mut world, ann, inside(&unmade));
    assert_eq!(unmade, Err(RequestError::NotConnected));
    world.partition(ann);
    world.moment();
    let offline = ask(&mut world, ann, inside(&room));
    assert_eq!(offline, Err(RequestError::NotConnected));
}

#[test]
fn the_number_of_members_is_asked_for_at_the_service() {
    let mut world = World::seeded(115);
    let [ann] = world.devices(["ann"]);
    let room = world.make_kind(ann, ConversationKind::ChatRoom, &[]);
    let number = |conversation: &ConversationId| CountMembers {
        conversation: conversation.clone(),
    };
    let answer = |op, count| {
        let body = ConvCommand {
            count,
            ..ConvCommand::default()
        };
        (
            asks_for_the_number as fn(&Command) -> bool,
            Command::conv(op, body),
        )
    };
    world.service.scripts.push(answer(Op::Result, Some(7)));
    let counted = ask(&mut world, ann, number(&room));
    assert_eq!(counted, Ok(Counted { count: 7 }));
    for (op, count) in [
        (Op::Result, None),
        (Op::Result, Some(-1)),
        (Op::Results, Some(7)),
    ] {
        world.service.scripts.push(answer(op, count));
        let senseless = ask(&mut world, ann, number(&room));
        assert!(senseless.is_err(), "{senseless:?}");
    }
    let unknown = ask(&mut world, ann, number(&nowhere()));
    assert_eq!(unknown, Err(RequestError::UnknownConversation));
    world.partition(ann);
    world.moment();
    let offline = ask(&mut world, ann, number(&room));
    assert_eq!(offline, Err(RequestError::NotConnected));
    let local = world.create(ann, &["ben"]);
    let offline = ask(&mut world, ann, number(&local));
    assert_eq!(offline, Err(RequestError::NotConnected));
}

#[test]
fn conversations_that_a_condition_finds_are_stored() {
    let mut world = World::seeded(116);
    let [ann] = world.devices(["ann"]);
    let [own, foreign] = [&["ann", "ben"], &["ben", "cat"]].map(|it| world.found(it));
    let find = |condition: Option<Json>| FindRooms {
        condition,
        sort: None,
        limit: 20,
        skip: 0,
        compact: false,
    };
    let found = ask(&mut world, ann, find(None)).unwrap().found;
    assert_eq!(found, [own]);
    let of_cat = Json::from_value(&serde_json::json!({ "m": "cat" }));
    let found = ask(&mut world, ann, find(Some(of_cat))).unwrap().found;
    assert_eq!(found, [foreign]);
    assert_eq!(world.known(ann), 2);
    let list = Json::from_value(&serde_json::json!(["cat"]));
    assert!(invalid(&ask(&mut world, ann, find(Some(list)))));
    world.partition(ann);
    world.moment();
    let offline = ask(&mut world, ann, find(None));
    assert!(matches!(offline, Err(RequestError::NotConnected)));
}

#[test]
fn a_query_tells_of_every_conversation_and_stores_those_of_this_client() {
    let mut world = World::seeded(117);
    let [ann] = world.devices(["ann"]);
    world.partition(ann);
    let [own, foreign] = [&["ann", "ben"], &["ben", "cat"]].map(|it| world.found(it));
    world.repair(ann);
    world.settle();
    assert_eq!(world.known(ann), 1);
    let query = ConversationQuery::default();
    let call = FindConversations {
        query: query.clone(),
    };
    let told = ask(&mut world, ann, call.clone()).unwrap().conversations;
    let state = |id: &ConversationId| {
        let told = told.iter().find(|it| it.id == *id);
        told.map(|it| it.state.clone())
    };
    assert_eq!(state(&own), Some(ConversationState::Live));
    assert_eq!(state(&foreign), Some(ConversationState::Left));
    assert_eq!(world.known(ann), 1, "the foreign one is not stored");
    let counted = ask(&mut world, ann, CountConversations { query });
    assert_eq!(counted, Ok(Counted { count: 2 }));
    world.partition(ann);
    world.moment();
    let offline = ask(&mut world, ann, call);
    assert_eq!(offline, Err(RequestError::NotConnected));
}
