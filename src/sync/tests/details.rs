//! The state lanes: name, attributes, mute. Shown at once, coalesced, undone when they are refused.

use std::time::Duration;

use serde_json::json;

use super::world::{Device, World};
use crate::model::{ClientId, ConversationId, Json, NewConversation, SendFailure};
use crate::sync::request::{Done, MarkAllRead, RequestError, SetAttributes, SetMuted, SetName};
use crate::wire::ServiceCode;
use crate::wire::generated::CommandType;

fn name(world: &mut World, device: Device, room: &ConversationId, name: &str) {
    let (conversation, name) = (room.clone(), name.to_owned());
    world.ask(device, SetName { conversation, name }).unwrap();
}

fn attributes(world: &mut World, device: Device, room: &ConversationId, text: &str) {
    let (conversation, changes) = (room.clone(), Json::parse(text).unwrap());
    let request = SetAttributes {
        conversation,
        changes,
    };
    world.ask(device, request).unwrap();
}

fn mute(world: &mut World, device: Device, room: &ConversationId, muted: bool) {
    let conversation = room.clone();
    let request = SetMuted {
        conversation,
        muted,
    };
    world.ask(device, request).unwrap();
}

#[test]
fn a_name_and_attributes_show_at_once_and_reach_the_others() {
    let mut world = World::seeded(1);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    name(&mut world, ann, &room, "Tea");
    attributes(&mut world, ann, &room, r#"{"kettle": "on", "cups": 2}"#);
    let shown = world.info(ann, &room);
    assert_eq!(shown.name.as_deref(), Some("Tea"));
    let expected = json!({"kettle": "on", "cups": 2});
    assert_eq!(shown.attributes.unwrap().to_value(), expected);
    assert_eq!(world.info(ben, &id).name, None);
    world.settle();
    for (device, id) in [(ann, &room), (ben, &id)] {
        let info = world.info(device, id);
        assert_eq!(info.name.as_deref(), Some("Tea"));
        assert_eq!(info.attributes.unwrap().to_value(), expected);
    }
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn changes_that_wait_become_one_and_leave_other_keys_alone() {
    let mut world = World::seeded(2);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    attributes(&mut world, ann, &room, r#"{"old": 1, "kept": 1}"#);
    world.settle();
    let id = world.service_id(ann, &room);
    world.service.changes.clear();
    world.partition(ann);
    world.moment();
    name(&mut world, ann, &room, "one");
    attributes(&mut world, ann, &room, r#"{"a": 1, "b": 1}"#);
    name(&mut world, ann, &room, "two");
    attributes(&mut world, ann, &room, r#"{"b": 2, "old": null}"#);
    assert_eq!(world.outbox(ann), ["Details queued"]);
    attributes(&mut world, ben, &id, r#"{"theirs": true}"#);
    world.settle();
    world.service.changes.clear();
    world.crash(ann);
    world.connect(ann);
    world.repair(ann);
    world.settle();
    let told = r#"{"attr.a":1,"attr.b":2,"attr.old":{"__op":"Delete"},"name":"two"}"#;
    assert_eq!(world.service.changes, [format!("ann Update {told}")]);
    let expected = json!({"a": 1, "b": 2, "kept": 1, "theirs": true});
    for (device, id) in [(ann, &room), (ben, &id)] {
        let info = world.info(device, id);
        assert_eq!(info.name.as_deref(), Some("two"));
        assert_eq!(info.attributes.unwrap().to_value(), expected);
    }
}

#[test]
fn a_change_that_is_refused_is_undone_and_the_entry_says_why() {
    let mut world = World::seeded(3);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    name(&mut world, ann, &room, "Tea");
    world.settle();
    let id = world.service_id(ann, &room);
    world.service.refuses = Some((CommandType::Conv, ServiceCode::CONVERSATION_READ_ONLY));
    name(&mut world, ann, &room, "Coffee");
    mute(&mut world, ann, &room, true);
    world.say(ann, &room, "hello");
    world.settle();
    let info = world.info(ann, &room);
    assert_eq!((info.name.as_deref(), info.muted), (Some("Tea"), false));
    assert_eq!(world.timeline(ben, &id), ["ann: hello"]);
    let failure = SendFailure::refused(4307, "CONVERSATION_READ_ONLY");
    assert_eq!(
        world.outbox(ann),
        [
            format!("Details failed: {failure:?}"),
            format!("Mute failed: {failure:?}")
        ]
    );
    // A later wish takes the place of the one that failed.
    world.service.refuses = None;
    name(&mut world, ann, &room, "Cocoa");
    mute(&mut world, ann, &room, true);
    world.settle();
    let info = world.info(ann, &room);
    assert_eq!((info.name.as_deref(), info.muted), (Some("Cocoa"), true));
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn a_mute_shows_at_once_in_the_sums_and_reaches_the_other_device() {
    let mut world = World::seeded(4);
    let phone = world.device("ann", Some("phone"));
    let tablet = world.device("ann", Some("tablet"));
    for device in [phone, tablet] {
        world.connect(device);
    }
    world.moment();
    let room = world.create(phone, &["ben"]);
    world.moment();
    let id = world.service_id(phone, &room);
    world.post(&id, "ben", "psst");
    world.moment();
    let unmuted = |world: &World, device| {
        let totals = world.store(device).snapshot().unread_totals();
        (totals.all.messages, totals.unmuted.messages)
    };
    assert_eq!(unmuted(&world, phone), (1, 1));
    world.partition(phone);
    mute(&mut world, phone, &room, true);
    assert_eq!(unmuted(&world, phone), (1, 0));
    mute(&mut world, phone, &room, false);
    assert_eq!(unmuted(&world, phone), (1, 1));
    mute(&mut world, phone, &room, true);
    world.repair(phone);
    world.settle();
    assert_eq!(unmuted(&world, phone), (1, 0));
    assert!(
        world.service.conversations[id.as_str()]
            .muted
            .contains("ann")
    );
    // Nobody is told of a mute; a device that comes back is.
    world.partition(tablet);
    world.pass(Duration::from_secs(10));
    world.repair(tablet);
    world.settle();
    assert_eq!(unmuted(&world, tablet), (1, 0));
}

#[test]
fn a_conversation_made_offline_is_named_and_muted_once_the_service_has_it() {
    let mut world = World::seeded(5);
    let [ann] = world.devices(["ann"]);
    world.partition(ann);
    world.moment();
    let room = world.create(ann, &["ben"]);
    name(&mut world, ann, &room, "Tea");
    mute(&mut world, ann, &room, true);
    let shown = world.info(ann, &room);
    assert_eq!((shown.name.as_deref(), shown.muted), (Some("Tea"), true));
    world.repair(ann);
    world.settle();
    let id = world.service_id(ann, &room);
    let conversation = &world.service.conversations[id.as_str()];
    assert_eq!(conversation.name.as_deref(), Some("Tea"));
    assert!(conversation.muted.contains("ann"));
    let shown = world.info(ann, &room);
    assert_eq!((shown.name.as_deref(), shown.muted), (Some("Tea"), true));
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn a_lost_answer_repeats_a_change_which_does_no_harm() {
    let mut world = World::seeded(6);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.lose_next_answer(ann);
    name(&mut world, ann, &room, "Tea");
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.info(ben, &id).name.as_deref(), Some("Tea"));
    assert_eq!(world.info(ann, &room).name.as_deref(), Some("Tea"));
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn several_conversations_are_marked_read_in_one_call_all_or_none() {
    let mut world = World::seeded(7);
    let [ann] = world.devices(["ann"]);
    let mut rooms = Vec::new();
    for other in ["ben", "cat", "dan"] {
        let room = world.create(ann, &[other]);
        world.moment();
        let id = world.service_id(ann, &room);
        world.post(&id, other, "hello");
        world.moment();
        rooms.push(id);
    }
    let unread = |world: &World| world.store(ann).snapshot().unread_totals().all.messages;
    assert_eq!(unread(&world), 3);
    let nowhere = ConversationId::new("nowhere").unwrap();
    let wrong = vec![rooms[0].clone(), nowhere];
    let conversations = wrong;
    let refused = world.ask(ann, MarkAllRead { conversations });
    assert_eq!(refused, Err(RequestError::UnknownConversation));
    assert_eq!(unread(&world), 3);
    let conversations = rooms.clone();
    let done = world.ask(ann, MarkAllRead { conversations });
    assert_eq!((done, unread(&world)), (Ok(Done), 0));
    world.settle();
    for room in rooms {
        assert_eq!(world.service.conversations[room.as_str()].unread("ann"), 0);
    }
}

#[test]
fn a_later_change_stands_when_the_conversation_of_an_earlier_one_merges_into_its_own() {
    let mut world = World::seeded(1);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let unique = |other: &str| NewConversation {
        members: vec![ClientId::new(other).unwrap()],
        ..NewConversation::default()
    };
    let first = world.create_as(ben, unique("ann"));
    world.say(ben, &first, "hello");
    world.settle();
    let room = world.service_id(ben, &first);
    world.partition(ann);
    let local = world.create_as(ann, unique("ben"));
    attributes(&mut world, ann, &local, r#"{"cups": 1, "kettle": "on"}"#);
    mute(&mut world, ann, &local, true);
    attributes(&mut world, ann, &room, r#"{"cups": 2}"#);
    mute(&mut world, ann, &room, false);
    world.repair(ann);
    world.settle();
    let shown = world.info(ann, &room);
    let expected = json!({"cups": 2, "kettle": "on"});
    assert_eq!(shown.attributes.unwrap().to_value(), expected);
    assert!(!shown.muted);
    let info = world.info(ben, &room);
    assert_eq!(info.attributes.unwrap().to_value(), expected);
    assert!(world.outbox(ann).is_empty());
}
