//! Every number with which the service may refuse an entry: it is kept, or it fails with the reason; it
//! never blocks what is behind it, and nothing is sent twice.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::{ConversationId, SendFailure, SessionState};
use crate::wire::ServiceCode;
use crate::wire::code::CODES;

/// Codes after which a message is sent again, once it may be; all others fail it for good.
const KEPT: &[i32] = &[
    0, 1000, 1006, 4100, 4102, 4103, 4105, 4106, 4107, 4108, 4110, 4111, 4112, 4113, 4115, 4116,
    4200, 4201, 4300, 4301, 4306, 4311, 4318,
];

/// Codes after which the client waits for the user to sign in again.
const ENDS: &[i32] = &[4100, 4103, 4106, 4110, 4111, 4115];

/// A world in which a message is refused with a code, so many times, and another waits behind it.
fn refused(seed: u64, code: ServiceCode, times: u32) -> (World, Device, ConversationId) {
    let mut world = World::seeded(seed);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.refuses_words = Some(("first".to_owned(), code, times));
    world.say(ann, &room, "first");
    world.say(ann, &room, "second");
    world.settle();
    (world, ann, room)
}

#[test]
fn a_message_that_was_refused_once_is_sent_or_fails_by_the_number_and_the_next_one_arrives() {
    for (seed, entry) in CODES.iter().enumerate() {
        let number = entry.code.number();
        let (mut world, ann, room) = refused(seed as u64, entry.code, 1);
        let ended = matches!(world.session(ann), SessionState::Ended { .. });
        assert_eq!(ended, ENDS.contains(&number), "{}", entry.name);
        if ended {
            assert_eq!(world.outbox(ann), ["Send queued", "Send queued"]);
            world.connect(ann);
            world.settle();
        }
        let id = world.service_id(ann, &room);
        let (truth, left) = (world.truth(&id), world.outbox(ann));
        if KEPT.contains(&number) {
            assert_eq!(truth, ["ann: first", "ann: second"], "{}", entry.name);
            assert!(left.is_empty(), "{}: {left:?}", entry.name);
        } else {
            assert_eq!(truth, ["ann: second"], "{}", entry.name);
            let [failed] = &left[..] else {
                panic!("{}: {left:?}", entry.name);
            };
            let why = SendFailure::refused(number, entry.name);
            assert_eq!(*failed, format!("Send failed: {why:?}"));
        }
    }
}

#[test]
fn an_entry_that_keeps_failing_never_blocks_the_one_behind_it_whatever_the_code() {
    for (seed, entry) in CODES.iter().enumerate() {
        let number = entry.code.number();
        if ENDS.contains(&number) {
            // The client is not signed in: nothing of it is sent.
            continue;
        }
        let (mut world, ann, room) = refused(seed as u64, entry.code, u32::MAX);
        world.pass(Duration::from_secs(3600));
        let id = world.service_id(ann, &room);
        assert_eq!(world.truth(&id), ["ann: second"], "{}", entry.name);
        let left = world.outbox(ann);
        assert_eq!(left.len(), 1, "{}: {left:?}", entry.name);
        assert!(
            left[0].starts_with("Send failed"),
            "{}: {left:?}",
            entry.name
        );
        assert!(world.is_asleep(ann), "{}", entry.name);
    }
}

#[test]
fn a_message_that_the_service_took_with_other_words_is_sent_and_shows_these() {
    let mut world = World::seeded(1);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.masks = Some("darn");
    world.say(ann, &room, "darn");
    world.moment();
    assert_eq!(world.timeline(ann, &room), ["ann: ***"]);
    // The answer is lost, and comes with the retry; the edit was told to nobody, and comes with the session.
    world.lose_next_answer(ann);
    world.say(ann, &room, "darn it");
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: ***", "ann: *** it"]);
    assert!(world.outbox(ann).is_empty(), "{:?}", world.outbox(ann));
}

#[test]
fn a_message_in_doubt_that_the_service_may_have_taken_with_other_words_is_told_as_ambiguous() {
    let limits = Limits {
        token_memory: Some(Duration::from_secs(60)),
        ..Limits::default()
    };
    let mut world = World::with_limits(1, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.forgets_tokens = true;
    world.service.masks = Some("darn");
    let id = world.service_id(ann, &room);
    world.lose_next_answer(ann);
    world.say(ann, &room, "darn it");
    world.pass(Duration::from_millis(300));
    world.partition(ann);
    world.pass(Duration::from_secs(120));
    world.repair(ann);
    world.settle();
    assert_eq!(world.truth(&id), ["ann: *** it"], "it is not sent again");
    assert_eq!(world.outbox(ann), ["Send failed: Ambiguous"]);
}

#[test]
fn two_hundred_messages_in_the_queue_are_all_sent_at_the_pace_that_the_service_allows() {
    for answers in [true, false] {
        let mut world = World::with_limits(7, Limits::default());
        let [ann] = world.devices(["ann"]);
        let rooms: Vec<_> = (0..4)
            .map(|index| world.create(ann, &[["ben", "cat", "dan", "eve"][index]]))
            .collect();
        world.settle();
        world.service.allowed_a_minute = Some((60, answers));
        world.partition(ann);
        world.moment();
        for number in 0..200 {
            world.say(ann, &rooms[number % 4], &format!("line {number}"));
        }
        world.repair(ann);
        world.settle();
        assert!(world.outbox(ann).is_empty(), "{:?}", world.outbox(ann));
        assert_eq!(world.service.refused_a_minute, 0, "the pace is kept");
        for (index, room) in rooms.iter().enumerate() {
            let id = world.service_id(ann, room);
            let lines = (0..200).filter(|number| number % 4 == index);
            let lines: Vec<_> = lines.map(|number| format!("ann: line {number}")).collect();
            assert_eq!(world.truth(&id), lines);
        }
    }
}
