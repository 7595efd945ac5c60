//! Typing: told seldom, forgotten soon.

use std::time::Duration;

use super::world::World;
use crate::model::ConversationKind;
use crate::sync::SetTyping;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn at_most_one_message_in_three_seconds_tells_that_somebody_writes() {
    let mut world = World::seeded(71);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let before = world.sent_frames(ann);
    let set = |world: &mut World, typing| {
        let conversation = room.clone();
        let call = SetTyping {
            conversation,
            typing,
        };
        world.ask(ann, call).unwrap();
    };
    for _ in 0..20 {
        set(&mut world, true);
    }
    world.moment();
    assert_eq!(world.sent_frames(ann) - before, 1);
    assert_eq!(world.writers(ben), ["ann"]);
    // That the user stopped is told when three seconds are over.
    set(&mut world, false);
    world.moment();
    assert_eq!(world.sent_frames(ann) - before, 1);
    world.pass(4 * SECOND);
    assert_eq!(world.sent_frames(ann) - before, 2);
    assert!(world.writers(ben).is_empty());
}

#[test]
fn somebody_who_is_not_heard_of_again_is_forgotten_after_six_seconds() {
    let mut world = World::seeded(72);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let conversation = room.clone();
    let typing = true;
    world
        .ask(
            ann,
            SetTyping {
                conversation,
                typing,
            },
        )
        .unwrap();
    world.pass(5 * SECOND);
    assert_eq!(world.writers(ben), ["ann"]);
    world.pass(2 * SECOND);
    assert!(world.writers(ben).is_empty());
}

/// In a chat room nobody is told who writes, and the service knows no conversation that is still to be made.
#[test]
fn where_nobody_is_told_nothing_is_sent() {
    let mut world = World::seeded(73);
    let [ann] = world.devices(["ann"]);
    let club = world.create_kind(ann, ConversationKind::ChatRoom, &[]);
    world.settle();
    world.partition(ann);
    world.moment();
    let unmade = world.create(ann, &["ben"]);
    world.repair(ann);
    while !world.step_until_open(ann) {}
    let before = world.sent_frames(ann);
    for conversation in [club, unmade] {
        let call = SetTyping {
            conversation,
            typing: true,
        };
        world.ask(ann, call).unwrap();
        assert_eq!(world.sent_frames(ann), before);
    }
}

#[test]
fn without_a_connection_nobody_is_known_to_write() {
    let mut world = World::seeded(74);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let call = SetTyping {
        conversation: room,
        typing: true,
    };
    world.ask(ann, call).unwrap();
    world.moment();
    assert_eq!(world.writers(ben), ["ann"]);
    world.partition(ben);
    world.moment();
    assert!(world.writers(ben).is_empty());
}
