//! Members: who joins, leaves, is added and removed by this device, offline and over broken connections.

use std::time::Duration;

use super::world::{Device, Signer, World};
use crate::model::{
    ClientId, ConversationId, ConversationState, NewConversation, OutboxState, SendFailure,
    Timestamp, Uniqueness,
};
use crate::store::MembersChange;
use crate::sync::request::{ChangeMembers, RequestError, RetryEntry};
use crate::wire::generated::{CommandType, ConvCommand};
use crate::wire::{Command, Op, ServiceCode, iso};

fn change(
    world: &mut World,
    device: Device,
    room: &ConversationId,
    change: MembersChange,
    members: &[&str],
) -> Result<(), RequestError> {
    let members = members.iter().map(|it| ClientId::new(it).unwrap());
    let request = ChangeMembers {
        conversation: room.clone(),
        change,
        members: members.collect(),
    };
    world.ask(device, request).map(drop)
}

/// The members, as a device shows them.
fn shown(world: &World, device: Device, room: &ConversationId) -> Vec<String> {
    let info = world.info(device, room);
    let mut members: Vec<_> = info.members.iter().map(ToString::to_string).collect();
    members.sort();
    members
}

/// The members, at the service.
fn truth(world: &World, room: &ConversationId) -> Vec<String> {
    let mut members = world.service.conversations[room.as_str()].members.clone();
    members.sort();
    members
}

#[test]
fn members_added_and_removed_show_at_once_and_keep_their_place_among_messages() {
    let mut world = World::seeded(1);
    let [ann, ben, cat] = world.devices(["ann", "ben", "cat"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.partition(ann);
    world.moment();
    world.say(ann, &room, "before");
    change(&mut world, ann, &room, MembersChange::Add, &["cat"]).unwrap();
    world.say(ann, &room, "after");
    change(&mut world, ann, &room, MembersChange::Remove, &["ben"]).unwrap();
    assert_eq!(shown(&world, ann, &room), ["ann", "cat"]);
    assert_eq!(
        world.outbox(ann),
        [
            "Send queued",
            "AddMembers queued",
            "Send queued",
            "RemoveMembers queued"
        ]
    );
    world.crash(ann);
    assert_eq!(shown(&world, ann, &room), ["ann", "cat"]);
    world.connect(ann);
    world.repair(ann);
    world.settle();
    assert_eq!(truth(&world, &id), ["ann", "cat"]);
    assert_eq!(shown(&world, ann, &room), ["ann", "cat"]);
    assert_eq!(world.timeline(cat, &id), ["ann: before", "ann: after"]);
    assert_eq!(world.row(ben, &id).state, ConversationState::Left);
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn a_conversation_made_offline_gets_its_members_once_the_service_has_it() {
    let mut world = World::seeded(2);
    let [ann] = world.devices(["ann"]);
    world.partition(ann);
    world.moment();
    let room = world.create(ann, &["ben"]);
    change(&mut world, ann, &room, MembersChange::Add, &["cat", "dan"]).unwrap();
    change(&mut world, ann, &room, MembersChange::Remove, &["ben"]).unwrap();
    assert_eq!(shown(&world, ann, &room), ["ann", "cat", "dan"]);
    world.repair(ann);
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(truth(&world, &id), ["ann", "cat", "dan"]);
    assert_eq!(shown(&world, ann, &room), ["ann", "cat", "dan"]);
}

#[test]
fn who_is_refused_is_named_and_the_others_are_in() {
    let mut world = World::seeded(3);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.unwanted.insert("dan".to_owned());
    change(&mut world, ann, &room, MembersChange::Add, &["cat", "dan"]).unwrap();
    world.say(ann, &room, "hello");
    world.settle();
    assert_eq!(shown(&world, ann, &room), ["ann", "ben", "cat"]);
    assert_eq!(world.timeline(ann, &room), ["ann: hello"]);
    let entries = world.store(ann).snapshot().outbox();
    let [entry] = &entries[..] else {
        panic!("one entry waits for the app: {entries:?}");
    };
    let OutboxState::Failed {
        failure: SendFailure::MembersRefused { refused },
    } = &entry.state
    else {
        panic!("refused in part: {:?}", entry.state);
    };
    let who: Vec<_> = refused
        .iter()
        .map(|it| (it.client.as_str(), it.code))
        .collect();
    assert_eq!(who, [("dan", 4548)]);
    world.service.unwanted.clear();
    let entry = entry.id;
    world.ask(ann, RetryEntry { entry }).unwrap();
    world.settle();
    assert_eq!(shown(&world, ann, &room), ["ann", "ben", "cat", "dan"]);
    let id = world.service_id(ann, &room);
    assert_eq!(truth(&world, &id), ["ann", "ben", "cat", "dan"]);
}

#[test]
fn who_quits_is_shown_as_out_at_once_and_as_in_again_when_that_is_refused() {
    let mut world = World::seeded(4);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.service.refuses = Some((CommandType::Conv, ServiceCode::CONVERSATION_NEED_OWNER));
    change(&mut world, ann, &room, MembersChange::Quit, &[]).unwrap();
    assert_eq!(world.info(ann, &room).state, ConversationState::Left);
    world.say(ben, &id, "stay");
    world.settle();
    assert_eq!(world.info(ann, &room).state, ConversationState::Live);
    assert_eq!(world.timeline(ann, &room), ["ben: stay"]);
    world.service.refuses = None;
    let entry = world.store(ann).snapshot().outbox()[0].id;
    world.ask(ann, RetryEntry { entry }).unwrap();
    world.settle();
    assert_eq!(world.info(ann, &room).state, ConversationState::Left);
    assert_eq!(truth(&world, &id), ["ben"]);
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn who_joins_speaks_behind_it_and_sees_what_is_said_from_then_on() {
    let mut world = World::seeded(5);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["cat"]);
    world.settle();
    let id = world.service_id(ann, &room);
    // Ben has never heard of the conversation.
    world.partition(ben);
    world.moment();
    change(&mut world, ben, &id, MembersChange::Join, &[]).unwrap();
    world.say(ben, &id, "hello from ben");
    assert_eq!(shown(&world, ben, &id), ["ben"]);
    world.say(ann, &room, "meanwhile");
    world.repair(ben);
    world.settle();
    assert_eq!(truth(&world, &id), ["ann", "ben", "cat"]);
    assert_eq!(shown(&world, ben, &id), ["ann", "ben", "cat"]);
    assert_eq!(world.truth(&id), ["ann: meanwhile", "ben: hello from ben"]);
    let seen = world.timeline(ben, &id);
    assert_eq!(seen.last().map(String::as_str), Some("ben: hello from ben"));
    world.say(ann, &room, "welcome");
    world.settle();
    let seen = world.timeline(ben, &id);
    assert_eq!(seen.last().map(String::as_str), Some("ann: welcome"));
}

#[test]
fn a_removal_whose_answer_was_lost_does_not_undo_that_somebody_was_added_again() {
    let mut world = World::seeded(6);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben", "cat"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.lose_next_answer(ann);
    change(&mut world, ann, &room, MembersChange::Remove, &["cat"]).unwrap();
    world.pass(Duration::from_millis(300));
    assert_eq!(truth(&world, &id), ["ann", "ben"]);
    world.settle();
    let removals = world.service.changes.iter();
    let removals = removals.filter(|it| *it == "ann removed cat").count();
    assert_eq!(removals, 1, "it is checked before it is repeated");
    assert_eq!(shown(&world, ann, &room), ["ann", "ben"]);
    assert!(world.outbox(ann).is_empty());
    assert_eq!(shown(&world, ben, &id), ["ann", "ben"]);
}

#[test]
fn a_quit_whose_answer_was_lost_is_not_repeated() {
    let mut world = World::seeded(7);
    let [ann, _ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.lose_next_answer(ann);
    change(&mut world, ann, &room, MembersChange::Quit, &[]).unwrap();
    world.settle();
    assert_eq!(world.service.changes, ["ann removed ann"]);
    assert_eq!(truth(&world, &id), ["ben"]);
    assert!(world.outbox(ann).is_empty());
    assert_eq!(world.info(ann, &room).state, ConversationState::Left);
}

#[test]
fn changes_of_members_are_signed_where_the_app_signs_and_a_quit_is_not() {
    let mut world = World::seeded(8);
    let ann = world.device("ann", None);
    world.set_signer(ann, Signer::Signs);
    world.service.wants_signatures = true;
    world.connect(ann);
    world.settle();
    let room = world.create(ann, &["ben"]);
    change(&mut world, ann, &room, MembersChange::Add, &["cat"]).unwrap();
    change(&mut world, ann, &room, MembersChange::Remove, &["ben"]).unwrap();
    change(&mut world, ann, &room, MembersChange::Quit, &[]).unwrap();
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(truth(&world, &id), ["cat"]);
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn what_can_never_be_done_is_refused_at_the_call() {
    let mut world = World::seeded(9);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    let temporary = NewConversation {
        kind: crate::model::ConversationKind::Temporary,
        members: vec![ClientId::new("ben").unwrap()],
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let temporary = world.create_as(ann, temporary);
    let mut refused = |room, what, members: &[&str]| {
        let answer = change(&mut world, ann, room, what, members);
        matches!(
            answer,
            Err(RequestError::InvalidArgument { .. } | RequestError::NotPossible { .. })
        )
    };
    assert!(refused(&temporary, MembersChange::Add, &["cat"]));
    assert!(refused(&room, MembersChange::Add, &[]));
    assert!(refused(&room, MembersChange::Remove, &["ann"]));
    let nowhere = ConversationId::new("nowhere").unwrap();
    let answer = change(&mut world, ann, &nowhere, MembersChange::Add, &["cat"]);
    assert_eq!(answer, Err(RequestError::UnknownConversation));
    change(&mut world, ann, &room, MembersChange::Quit, &[]).unwrap();
    let answer = change(&mut world, ann, &room, MembersChange::Add, &["cat"]);
    assert_eq!(
        answer,
        Err(RequestError::NotPossible {
            obstacle: crate::Obstacle::ConversationLeft,
        })
    );
}

#[test]
fn who_joins_where_she_is_already_keeps_what_is_unread() {
    let mut world = World::seeded(1);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.post(&id, "ben", "hello");
    world.moment();
    change(&mut world, ann, &room, MembersChange::Join, &[]).unwrap();
    world.settle();
    assert!(world.outbox(ann).is_empty());
    assert_eq!(world.unread(ann, &room), (1, false));
    assert_eq!(world.timeline(ann, &room), ["ben: hello"]);
}

#[test]
fn who_quits_and_joins_again_is_shown_no_hole_for_the_time_between() {
    let mut world = World::seeded(11);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.post(&room, "ben", "one");
    world.moment();
    change(&mut world, ann, &room, MembersChange::Quit, &[]).unwrap();
    world.settle();
    world.post(&room, "ben", "two");
    world.moment();
    change(&mut world, ann, &room, MembersChange::Join, &[]).unwrap();
    world.moment();
    world.post(&room, "ben", "three");
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn members_that_come_and_go_are_shown_without_a_question_to_the_service() {
    let mut world = World::seeded(12);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.service.queries = 0;
    let told = |world: &World, members: &[&str]| ConvCommand {
        cid: Some(room.as_str().to_owned()),
        init_by: Some("ben".to_owned()),
        m: members.iter().map(|it| (*it).to_owned()).collect(),
        udate: Some(iso::format(Timestamp::from_millis(world.wall()))),
        ..ConvCommand::default()
    };
    let joined = told(&world, &["cat", "dan"]);
    world.tell("ann", &Command::conv(Op::MembersJoined, joined));
    world.moment();
    assert_eq!(shown(&world, ann, &room), ["ann", "ben", "cat", "dan"]);
    let left = told(&world, &["cat"]);
    world.tell("ann", &Command::conv(Op::MembersLeft, left));
    world.moment();
    assert_eq!(shown(&world, ann, &room), ["ann", "ben", "dan"]);
    assert_eq!(world.service.queries, 0);
}
