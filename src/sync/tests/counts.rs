//! Unread counts: right at rest, and never wrong on the way where that can be known.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::{ConversationId, Timestamp};
use crate::sync::{DiscardEntry, Disconnect, MarkRead, RequestError};
use crate::wire::generated::UnreadTuple;

/// Ann on two devices, in a room with ben.
fn two_devices(seed: u64, limits: Limits) -> (World, Device, Device, ConversationId) {
    let mut world = World::with_limits(seed, limits);
    let phone = world.device("ann", Some("phone"));
    let laptop = world.device("ann", Some("laptop"));
    world.connect(phone);
    world.connect(laptop);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    (world, phone, laptop, room)
}

fn mark_until(world: &mut World, device: Device, room: &ConversationId, until: i64) {
    let request = MarkRead {
        conversation: room.clone(),
        until: Some(Timestamp::from_millis(until)),
    };
    world.ask(device, request).unwrap();
}

fn truth(world: &World, room: &ConversationId) -> u32 {
    let unread = world.service.conversations[room.as_str()].unread("ann");
    u32::try_from(unread).unwrap()
}

#[test]
fn a_mark_that_waits_holds_against_a_count_that_another_device_changed() {
    let (mut world, phone, laptop, room) = two_devices(201, Limits::default());
    world.post(&room, "ben", "one");
    let one = world.wall();
    world.pass(Duration::from_secs(1));
    world.post(&room, "ben", "two");
    world.settle();
    world.partition(phone);
    world.mark_read(phone, &room);
    mark_until(&mut world, laptop, &room, one);
    world.settle();
    assert_eq!(world.unread(laptop, &room), (1, false));
    world.repair(phone);
    for _ in 0..300 {
        world.step();
        assert_eq!(world.unread(phone, &room), (0, false));
    }
    assert_eq!(world.unread(laptop, &room), (0, false));
}

#[test]
fn what_comes_behind_a_mark_that_waits_is_counted_and_what_it_covers_is_not() {
    let (mut world, phone, _, room) = two_devices(202, Limits::default());
    world.post(&room, "ben", "one");
    world.post(&room, "ben", "two");
    world.settle();
    world.partition(phone);
    world.mark_read(phone, &room);
    world.pass(Duration::from_secs(1));
    world.post(&room, "ben", "three");
    world.repair(phone);
    for _ in 0..300 {
        world.step();
        assert!(world.unread(phone, &room).0 <= 1);
    }
    assert_eq!(world.unread(phone, &room), (1, false));
    assert_eq!(truth(&world, &room), 1);
}

#[test]
fn a_count_that_is_told_twice_does_not_cover_what_came_in_between() {
    let (mut world, phone, _, room) = two_devices(203, Limits::default());
    let told_at = world.wall();
    let nothing = UnreadTuple {
        cid: room.as_str().to_owned(),
        ..UnreadTuple::default()
    };
    world.tell_unread("ann", nothing.clone(), told_at);
    world.pass(Duration::from_secs(1));
    world.post(&room, "ben", "one");
    world.moment();
    assert_eq!(world.unread(phone, &room), (1, false));
    world.tell_unread("ann", nothing, told_at);
    world.settle();
    assert_eq!(world.unread(phone, &room), (1, false));
}

#[test]
fn a_count_that_is_told_twice_does_not_cover_what_was_said_in_its_millisecond() {
    let (mut world, phone, _, room) = two_devices(205, Limits::default());
    let told_at = world.wall();
    let nothing = UnreadTuple {
        cid: room.as_str().to_owned(),
        ..UnreadTuple::default()
    };
    world.tell_unread("ann", nothing.clone(), told_at);
    world.post(&room, "ben", "one");
    world.moment();
    assert_eq!(world.unread(phone, &room), (1, false));
    world.tell_unread("ann", nothing, told_at);
    world.settle();
    assert_eq!(world.unread(phone, &room), (1, false));
}

#[test]
fn nothing_that_was_said_before_this_client_came_is_unread() {
    let (mut world, phone, _, room) = two_devices(204, Limits::default());
    world.post(&room, "ben", "one");
    world.moment();
    assert_eq!(world.unread(phone, &room), (1, false));
    world.remove_member(&room, "ann");
    world.moment();
    world.post(&room, "ben", "two");
    world.pass(Duration::from_secs(1));
    world.add_member(&room, "ann");
    world.settle();
    assert_eq!(world.unread(phone, &room), (0, false));
    world.post(&room, "ben", "three");
    world.settle();
    assert_eq!(world.unread(phone, &room), (1, false));
    assert_eq!(truth(&world, &room), 1);
}

#[test]
fn who_comes_back_while_offline_gets_the_count_of_what_came_since() {
    for unread in [0, 3, 9] {
        let limits = Limits {
            unread_cap: 10,
            ..Limits::default()
        };
        let (mut world, phone, _, room) = two_devices(205, limits);
        world.service.unread_cap = 10;
        world.post(&room, "ben", "one");
        world.moment();
        world.remove_member(&room, "ann");
        world.settle();
        world.partition(phone);
        world.pass(Duration::from_secs(1));
        world.add_member(&room, "ann");
        for n in 0..unread {
            world.pass(Duration::from_secs(1));
            world.post(&room, "ben", &n.to_string());
        }
        world.repair(phone);
        world.settle();
        assert_eq!(world.unread(phone, &room), (unread, false));
        assert_eq!(truth(&world, &room), unread);
    }
}

#[test]
fn a_read_mark_cannot_be_taken_back() {
    let (mut world, phone, _, room) = two_devices(206, Limits::default());
    world.post(&room, "ben", "one");
    world.settle();
    world.partition(phone);
    world.mark_read(phone, &room);
    let entry = world.store(phone).snapshot().outbox()[0].id;
    let answer = world.ask(phone, DiscardEntry { entry });
    let obstacle = crate::Obstacle::ReadMark;
    assert_eq!(answer, Err(RequestError::NotPossible { obstacle }));
    world.repair(phone);
    world.settle();
    assert_eq!(world.unread(phone, &room), (0, false));
    assert_eq!(truth(&world, &room), 0);
}

#[test]
fn history_that_comes_after_the_session_was_closed_is_not_counted_as_new() {
    for millis in (0..300).step_by(10) {
        let (mut world, phone, laptop, _) = two_devices(207, Limits::default());
        world.partition(phone);
        let room = world.found(&["ann", "ben"]);
        world.post(&room, "ben", "one");
        world.settle();
        world.mark_read(laptop, &room);
        world.settle();
        world.repair(phone);
        while !world.step_until_open(phone) {}
        world.pass(Duration::from_millis(millis));
        world.call(phone, Disconnect);
        world.pass(Duration::from_secs(5));
        world.connect(phone);
        world.settle();
        assert_eq!(world.unread(phone, &room), (0, false), "after {millis} ms");
    }
}

#[test]
fn conversations_that_the_service_has_no_room_to_tell_of_are_counted_all_the_same() {
    let mut world = World::seeded(208);
    let [phone] = world.devices(["ann"]);
    let rooms: Vec<_> = (0..80).map(|_| world.found(&["ann", "ben"])).collect();
    world.settle();
    world.partition(phone);
    for room in &rooms {
        world.pass(Duration::from_millis(10));
        world.post(room, "ben", "missed");
    }
    world.repair(phone);
    world.settle();
    world.settle();
    for room in &rooms {
        assert_eq!(world.unread(phone, room), (1, false));
    }
    let totals = world.store(phone).snapshot().unread_totals().all;
    assert_eq!((totals.messages, totals.conversations), (80, 80));
    // The app is told of reads elsewhere meanwhile, and they hold.
    world.mark_read(phone, &rooms[0]);
    world.settle();
    assert_eq!(world.unread(phone, &rooms[0]), (0, false));
}

#[test]
fn a_count_that_the_service_had_no_room_to_tell_is_a_lower_bound_while_history_is_missing() {
    let limits = Limits {
        catch_up_max: 4,
        ..Limits::default()
    };
    let mut world = World::with_limits(209, limits);
    let [phone] = world.devices(["ann"]);
    let rooms: Vec<_> = (0..51).map(|_| world.found(&["ann", "ben"])).collect();
    for room in &rooms {
        world.post(room, "ben", "known");
    }
    world.settle();
    for room in &rooms {
        world.mark_read(phone, room);
    }
    world.settle();
    world.partition(phone);
    for n in 0..9 {
        world.post(&rooms[0], "ben", &n.to_string());
    }
    for room in &rooms[1..] {
        world.pass(Duration::from_millis(10));
        world.post(room, "ben", "missed");
    }
    world.repair(phone);
    world.settle();
    let (count, at_least) = world.unread(phone, &rooms[0]);
    assert!(at_least && (4..9).contains(&count), "{count} {at_least}");
    assert_eq!(world.unread(phone, &rooms[1]), (1, false));
    while let Some(edge) = world.newer_edge_of_gap(phone, &rooms[0]) {
        world.fetch(phone, &rooms[0], Some(edge), 20).unwrap();
    }
    assert_eq!(world.unread(phone, &rooms[0]), (9, false));
}

#[test]
fn a_mark_in_the_future_covers_nothing_that_is_still_to_be_said() {
    let day = 86_400_000;
    for from_extension in [false, true] {
        let (mut world, phone, laptop, room) = two_devices(210, Limits::default());
        world.post(&room, "ben", "one");
        world.settle();
        let tomorrow = world.wall() + day;
        if from_extension {
            world.import_mark(phone, &room, tomorrow);
        } else {
            mark_until(&mut world, phone, &room, tomorrow);
        }
        assert_eq!(world.unread(phone, &room), (0, false));
        world.settle();
        for n in 0..3 {
            world.pass(Duration::from_secs(1));
            world.post(&room, "ben", &n.to_string());
        }
        world.settle();
        assert_eq!(world.unread(phone, &room), (3, false));
        assert_eq!(world.unread(laptop, &room), (3, false));
        assert_eq!(truth(&world, &room), 3);
    }
}

#[test]
fn a_mark_of_an_extension_covers_what_this_device_has_not_received_yet() {
    let (mut world, phone, _, room) = two_devices(211, Limits::default());
    world.partition(phone);
    world.post(&room, "ben", "pushed");
    world.pass(Duration::from_secs(1));
    let now = world.wall();
    world.import_mark(phone, &room, now);
    world.post(&room, "ben", "later");
    world.repair(phone);
    world.settle();
    assert_eq!(world.unread(phone, &room), (1, false));
    assert_eq!(truth(&world, &room), 1);
}
