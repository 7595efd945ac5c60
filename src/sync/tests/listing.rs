//! The lists by which a device learns of its conversations after a sign-in, and the questions for single ones.

use std::time::Duration;

use super::world::{Device, World};
use crate::model::{ConversationId, ConversationKind};
use crate::sync::{FetchConversations, RequestError};
use crate::wire::{Command, Op, ServiceCode};

const fn is_query(command: &Command) -> bool {
    matches!(command, Command::Conv { op: Op::Query, .. })
}

/// The service leaves questions for conversations unanswered, or answers them again.
fn leave_unanswered(world: &mut World, unanswered: bool) {
    let code = ServiceCode::CONVERSATION_QUERY_FAILED;
    world.service.leaves_unanswered = unanswered;
    world.service.refuses_when = unanswered.then_some((is_query as fn(&Command) -> bool, code));
}

fn members(world: &World, device: Device, conversation: &ConversationId) -> Vec<String> {
    let info = world.info(device, conversation);
    let mut members: Vec<String> = info.members.iter().map(ToString::to_string).collect();
    members.sort();
    members
}

#[test]
fn a_change_without_a_message_is_learnt_however_far_down_the_list_its_conversation_stands() {
    let mut world = World::seeded(121);
    let [ann] = world.devices(["ann"]);
    let quiet = world.found(&["ann", "ben"]);
    // More than a page of the list.
    for _ in 0..60 {
        let busy = world.found(&["ann", "ben"]);
        world.post(&busy, "ben", "hello");
    }
    world.settle();
    // All that was said until now is older than the session that the next one goes on from.
    world.cut(ann);
    world.settle();
    world.partition(ann);
    world.settle();
    world.remove_quietly(&quiet, "ben");
    assert_eq!(members(&world, ann, &quiet), ["ann", "ben"]);
    world.repair(ann);
    world.settle();
    assert_eq!(members(&world, ann, &quiet), ["ann"]);
}

/// The service answers a question for temporary conversations by another field than one for others.
#[test]
fn temporary_conversations_are_asked_for_apart_from_others() {
    let mut world = World::seeded(122);
    let [ann, ben] = world.devices(["ann", "ben"]);
    leave_unanswered(&mut world, true);
    let first = world.found(&["ann", "cat"]);
    world.moment();
    let second = world.found(&["ann", "dan"]);
    let temporary = world.make_kind(ben, ConversationKind::Temporary, &["ann"]);
    assert!(temporary.is_temporary());
    leave_unanswered(&mut world, false);
    world.settle();
    assert_eq!(members(&world, ann, &first), ["ann", "cat"]);
    assert_eq!(members(&world, ann, &second), ["ann", "dan"]);
    assert_eq!(members(&world, ann, &temporary), ["ann", "ben"]);
}

#[test]
fn the_list_is_asked_for_once_while_its_answer_is_under_way() {
    let mut world = World::seeded(123);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.cut(ann);
    leave_unanswered(&mut world, true);
    world.service.queries = 0;
    world.pass(Duration::from_secs(5));
    for _ in 0..5 {
        world.post(&room, "ben", "hello");
        world.moment();
    }
    assert_eq!(world.service.queries, 1);
    leave_unanswered(&mut world, false);
    world.settle();
    assert!(world.service.queries > 1, "it is asked for again");
}

#[test]
fn conversations_are_fetched_by_their_ids_up_to_fifty_and_of_one_sort() {
    let mut world = World::seeded(124);
    let [ann] = world.devices(["ann"]);
    world.partition(ann);
    let room = world.found(&["ben", "cat"]);
    world.repair(ann);
    world.settle();
    let mut fetch = |ids: Vec<ConversationId>| {
        let conversations = ids;
        let caller = world.call(ann, FetchConversations { conversations });
        world.moment();
        let answer = world.answer(ann, caller).expect("an answer");
        answer.map(|it| it.found)
    };
    let id = |text: String| ConversationId::new(text).unwrap();
    let many = |count: usize| -> Vec<ConversationId> {
        let others = (1..count).map(|number| id(format!("c{number}")));
        others.chain([room.clone()]).collect()
    };
    assert_eq!(fetch(many(1)), Ok(vec![room.clone()]));
    assert_eq!(fetch(many(50)), Ok(vec![room.clone()]));
    let mixed = vec![room.clone(), id("_tmp:c".to_owned())];
    for wrong in [Vec::new(), many(51), mixed] {
        let refused = fetch(wrong);
        assert!(matches!(refused, Err(RequestError::InvalidArgument { .. })));
    }
}
