//! Edits and recalls that were made while this client was out of a conversation: they are learnt on its return.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::ConversationId;
use crate::sync::{FetchHistory, Focus};
use crate::wire::ServiceCode;
use crate::wire::generated::CommandType;

/// Messages that a catch-up reads in these tests.
const READ_MAX: u32 = 10;

/// Ann in a room with forty messages of Ben's, all of which she holds.
fn scene(seed: u64) -> (World, Device, ConversationId) {
    let limits = Limits {
        catch_up_max: READ_MAX,
        ..Limits::default()
    };
    let mut world = World::with_limits(seed, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    for n in 0..40 {
        world.post(&room, "ben", &n.to_string());
        world.pass(Duration::from_millis(100));
    }
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    (world, ann, room)
}

/// Ann is removed, these messages are edited, and she is added again; she stays online.
fn edited_meanwhile(world: &mut World, ann: Device, room: &ConversationId, edited: &[u32]) {
    world.remove_member(room, "ann");
    world.pass(Duration::from_secs(1));
    for n in edited {
        world.edit(room, &n.to_string(), &format!("{n} edited"));
    }
    world.pass(Duration::from_secs(1));
    // An edit elsewhere takes the cursor for missed edits past those of the time outside.
    let other = world.found(&["ann", "eve"]);
    world.post(&other, "eve", "helo");
    world.moment();
    world.edit(&other, "helo", "hello");
    world.moment();
    assert_eq!(world.timeline(ann, &other), ["eve: hello"]);
    world.add_member(room, "ann");
}

fn is_unchecked(world: &World, ann: Device, room: &ConversationId) -> bool {
    world.row(ann, room).history.unchecked().is_some()
}

fn looks_at(world: &mut World, ann: Device, conversation: Option<&ConversationId>) {
    let conversation = conversation.cloned();
    world.ask(ann, Focus { conversation }).unwrap();
}

#[test]
fn a_client_that_comes_back_hears_of_the_edits_of_the_time_outside() {
    let (mut world, ann, room) = scene(301);
    edited_meanwhile(&mut world, ann, &room, &[33, 39]);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn older_messages_are_read_again_in_the_conversation_in_view_and_in_later_sessions() {
    let (mut world, ann, room) = scene(302);
    edited_meanwhile(&mut world, ann, &room, &[2, 39]);
    world.settle();
    let shown = world.timeline(ann, &room);
    assert_eq!(shown[39], "ben: 39 edited");
    assert_eq!(shown[2], "ben: 2", "a catch-up reads ten messages again");
    assert!(is_unchecked(&world, ann, &room));
    world.crash(ann);
    world.connect(ann);
    world.settle();
    assert!(is_unchecked(&world, ann, &room), "ten more are checked");
    let frames = world.sent_frames(ann);
    looks_at(&mut world, ann, Some(&room));
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    assert!(!is_unchecked(&world, ann, &room));
    assert!(world.sent_frames(ann) > frames);
    // All is checked now: another look asks for nothing.
    looks_at(&mut world, ann, None);
    let frames = world.sent_frames(ann);
    looks_at(&mut world, ann, Some(&room));
    world.moment();
    assert_eq!(world.sent_frames(ann), frames);
}

#[test]
fn a_page_that_the_app_reads_checks_what_it_covers() {
    let (mut world, ann, room) = scene(303);
    edited_meanwhile(&mut world, ann, &room, &[2]);
    world.settle();
    world.fetch(ann, &room, None, 100).unwrap();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    assert!(!is_unchecked(&world, ann, &room));
}

#[test]
fn reading_again_goes_on_after_a_refusal_and_after_a_broken_connection() {
    let (mut world, ann, room) = scene(304);
    edited_meanwhile(&mut world, ann, &room, &[33, 39]);
    world.refuse(CommandType::Logs, ServiceCode::CONVERSATION_QUERY_FAILED);
    world.pass(Duration::from_secs(20));
    world.service.refuses = None;
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    edited_meanwhile(&mut world, ann, &room, &[34]);
    world.partition(ann);
    world.settle();
    world.repair(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_page_that_was_asked_for_before_a_removal_checks_nothing() {
    let (mut world, ann, room) = scene(305);
    let call = FetchHistory {
        conversation: room.clone(),
        before: None,
        limit: 100,
    };
    world.call(ann, call);
    let page = loop {
        let held = world.hold_back_frames(ann);
        if !held.is_empty() {
            break held;
        }
        world.step();
    };
    edited_meanwhile(&mut world, ann, &room, &[2]);
    world.refuse(CommandType::Logs, ServiceCode::CONVERSATION_QUERY_FAILED);
    world.moment();
    world.release_frames(page);
    world.moment();
    world.service.refuses = None;
    world.settle();
    looks_at(&mut world, ann, Some(&room));
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}
