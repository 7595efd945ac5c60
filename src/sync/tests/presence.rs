//! A client that goes out of a conversation and comes back, by any way, is shown a gap for the messages of that
//! time, or the messages themselves.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::world::{Device, World};
use crate::Limits;
use crate::model::{ClientId, ConversationId, ConversationState, NewConversation, Uniqueness};
use crate::store::HistoryEnd;
use crate::wire::generated::{CommandType, UnreadTuple};
use crate::wire::{Op, ServiceCode};

/// Ann, online in a room with ben in which nothing was said.
fn ann_in_an_empty_room(seed: u64) -> (World, Device, ConversationId) {
    let mut world = World::seeded(seed);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    (world, ann, room)
}

fn post_many(world: &mut World, room: &ConversationId, many: u32) {
    for n in 0..many {
        world.post(room, "ben", &n.to_string());
    }
}

/// The way back of a device whose session opens; the next message arrives before anything that
/// the device asks for.
fn come_online_to_a_live_message(world: &mut World, device: Device, room: &ConversationId) {
    world.repair(device);
    while !world.step_until_open(device) {}
    world.post(room, "ben", "live");
}

/// No line of the truth is left out before a line that is shown, unless a gap says so.
fn assert_no_silent_hole(world: &World, device: Device, room: &ConversationId) {
    let truth = world.truth(room);
    let shown = world.timeline(device, room);
    let mut rest = truth.iter();
    let mut gap = false;
    for line in &shown {
        if line == "~" {
            gap = true;
            continue;
        }
        let skipped = rest.position(|it| it == line).expect("only what was said");
        assert!(gap || skipped == 0, "a hole before {line} in {shown:?}");
        gap = false;
    }
}

/// Lets everything happen, with a look at the timeline after each step.
fn settle_without_holes(world: &mut World, device: Device, room: &ConversationId) {
    for _ in 0..2000 {
        assert_no_silent_hole(world, device, room);
        if !world.step() || world.is_asleep(device) {
            break;
        }
    }
    world.settle();
    assert_no_silent_hole(world, device, room);
}

#[test]
fn a_live_message_after_an_absence_that_ended_offline_hides_nothing_of_an_empty_room() {
    let (mut world, ann, room) = ann_in_an_empty_room(401);
    world.remove_member(&room, "ann");
    world.moment();
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
    world.partition(ann);
    post_many(&mut world, &room, 2);
    world.add_member(&room, "ann");
    come_online_to_a_live_message(&mut world, ann, &room);
    settle_without_holes(&mut world, ann, &room);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    assert_eq!(world.row(ann, &room).state, ConversationState::Live);
}

#[test]
fn the_same_holds_for_a_device_that_is_killed_before_it_hears_of_its_return() {
    let (mut world, ann, room) = ann_in_an_empty_room(402);
    world.remove_member(&room, "ann");
    world.moment();
    world.partition(ann);
    post_many(&mut world, &room, 2);
    world.add_member(&room, "ann");
    come_online_to_a_live_message(&mut world, ann, &room);
    world.pass(Duration::from_millis(30));
    world.crash(ann);
    assert_no_silent_hole(&world, ann, &room);
    world.connect(ann);
    settle_without_holes(&mut world, ann, &room);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_live_message_that_comes_before_the_word_of_the_return_is_not_joined_to_what_was_held() {
    for known in [true, false] {
        let (mut world, ann, room) = ann_in_an_empty_room(403);
        world.post(&room, "ben", "before");
        world.moment();
        if !known {
            world.partition(ann);
        }
        world.remove_member(&room, "ann");
        world.moment();
        if !known {
            world.repair(ann);
            world.settle();
        }
        post_many(&mut world, &room, 2);
        let word = world.add_member_quietly(&room, "ann");
        world.pass(Duration::from_millis(10));
        world.post(&room, "ben", "live");
        world.pass(Duration::from_millis(100));
        world.deliver(word);
        world.pass(Duration::from_millis(100));
        settle_without_holes(&mut world, ann, &room);
        assert_eq!(world.timeline(ann, &room), world.truth(&room));
    }
}

#[test]
fn a_page_of_history_from_before_an_absence_says_nothing_about_the_time_after_it() {
    let (mut world, ann, room) = ann_in_an_empty_room(404);
    world.post(&room, "ben", "before");
    world.moment();
    let request = world.history_request(&room, 20);
    world.call(ann, request);
    world.pass(Duration::from_millis(46));
    // The page is made, and comes late.
    let late = world.hold_back_frames(ann);
    world.remove_member(&room, "ann");
    world.moment();
    world.post(&room, "ben", "unheard");
    world.add_member(&room, "ann");
    world.moment();
    world.refuse(CommandType::Logs, ServiceCode::INTERNAL_ERROR);
    world.post(&room, "ben", "live");
    world.moment();
    world.release_frames(late);
    world.moment();
    assert_no_silent_hole(&world, ann, &room);
    world.service.refuses = None;
    settle_without_holes(&mut world, ann, &room);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn members_left_and_members_joined_that_name_this_client_are_its_going_and_coming() {
    let (mut world, ann, room) = ann_in_an_empty_room(405);
    world.post(&room, "ben", "before");
    world.moment();
    world.remove_quietly(&room, "ann");
    world.tell_of_members(&room, "ann", Op::MembersLeft);
    world.moment();
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
    post_many(&mut world, &room, 2);
    let _untold = world.add_member_quietly(&room, "ann");
    world.tell_of_members(&room, "ann", Op::MembersJoined);
    world.moment();
    world.post(&room, "ben", "live");
    settle_without_holes(&mut world, ann, &room);
    assert_eq!(world.row(ann, &room).state, ConversationState::Live);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_return_that_is_told_without_its_time_is_a_return() {
    let (mut world, ann, room) = ann_in_an_empty_room(406);
    world.partition(ann);
    world.remove_member(&room, "ann");
    world.moment();
    world.repair(ann);
    world.settle();
    post_many(&mut world, &room, 2);
    let _untold = world.add_member_quietly(&room, "ann");
    world.tell_without_time(&room, "ann", Op::Joined);
    world.moment();
    world.post(&room, "ben", "live");
    settle_without_holes(&mut world, ann, &room);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_unique_conversation_that_is_asked_for_again_after_an_absence_shows_what_was_said_meanwhile() {
    let mut world = World::seeded(407);
    let [ann] = world.devices(["ann"]);
    let unique = || NewConversation {
        members: ["ann", "ben"].map(|it| ClientId::new(it).unwrap()).to_vec(),
        uniqueness: Uniqueness::Unique,
        ..NewConversation::default()
    };
    let first = world.create_as(ann, unique());
    world.moment();
    let room = world.service_id(ann, &first);
    world.partition(ann);
    world.remove_quietly(&room, "ann");
    world.repair(ann);
    world.settle();
    post_many(&mut world, &room, 2);
    let _untold = world.add_member_quietly(&room, "ann");
    let again = world.create_as(ann, unique());
    world.moment();
    assert_eq!(world.service_id(ann, &again), room);
    world.post(&room, "ben", "live");
    settle_without_holes(&mut world, ann, &room);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn history_that_is_not_for_this_client_for_a_while_is_a_gap_and_comes_later() {
    let (mut world, ann, room) = ann_in_an_empty_room(408);
    world.post(&room, "ben", "before");
    world.moment();
    world.partition(ann);
    post_many(&mut world, &room, 3);
    world.refuse(CommandType::Logs, ServiceCode::CONVERSATION_LOG_REJECTED);
    world.repair(ann);
    world.settle();
    assert!(world.timeline(ann, &room).contains(&"~".to_owned()));
    assert_eq!(world.row(ann, &room).history.end(), HistoryEnd::Behind);
    let asked = world.sent_frames(ann);
    for n in 0..5 {
        world.post(&room, "ben", &format!("live {n}"));
        world.pass(Duration::from_secs(5));
        assert_no_silent_hole(&world, ann, &room);
    }
    let asked = world.sent_frames(ann) - asked;
    assert!(
        asked <= 8,
        "what is refused is not asked for with every message: {asked}"
    );
    world.service.refuses = None;
    world.cut(ann);
    settle_without_holes(&mut world, ann, &room);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn the_row_of_a_conversation_that_this_client_is_out_of_is_asked_for_once_for_each_sign_of_life() {
    let (mut world, ann, room) = ann_in_an_empty_room(409);
    world.post(&room, "ben", "before");
    world.moment();
    world.remove_member(&room, "ann");
    world.moment();
    world.post(&room, "ben", "unheard");
    let newest = world.service.newest(room.as_str()).unwrap().as_millis();
    let sent = world.sent_frames(ann);
    for n in 1..=3 {
        let told_at = world.wall();
        let tuple = UnreadTuple {
            cid: room.as_str().to_owned(),
            unread: n,
            timestamp: Some(newest),
            ..UnreadTuple::default()
        };
        world.tell_unread("ann", tuple, told_at);
        world.pass(Duration::from_secs(60));
        assert_no_silent_hole(&world, ann, &room);
    }
    let sent = world.sent_frames(ann) - sent;
    assert!(sent <= 4, "three questions and a heartbeat: {sent}");
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
}

/// One thing that happens around ann and her room.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Post,
    Remove,
    Add,
    AddAndTellLate,
    Partition,
    Repair,
    Kill,
    Cut,
    Fetch,
    Create,
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Post),
        3 => Just(Happening::Remove),
        4 => Just(Happening::Add),
        1 => Just(Happening::AddAndTellLate),
        2 => Just(Happening::Partition),
        3 => Just(Happening::Repair),
        1 => Just(Happening::Kill),
        1 => Just(Happening::Cut),
        1 => Just(Happening::Fetch),
        1 => Just(Happening::Create),
        8 => (1..200_u64).prop_map(Happening::Pass),
        1 => (1000..40_000_u64).prop_map(Happening::Pass),
    ]
}

fn happens(world: &mut World, ann: Device, room: &ConversationId, what: Happening, nth: usize) {
    let inside = world.service.conversations[room.as_str()]
        .members
        .contains(&"ann".to_owned());
    match what {
        Happening::Post => world.post(room, "ben", &format!("message {nth}")),
        Happening::Remove if inside => world.remove_member(room, "ann"),
        Happening::Add if !inside => world.add_member(room, "ann"),
        Happening::AddAndTellLate if !inside => {
            let word = world.add_member_quietly(room, "ann");
            world.post(room, "ben", &format!("message {nth}"));
            world.deliver(word);
        }
        Happening::Partition => world.partition(ann),
        Happening::Repair => world.repair(ann),
        Happening::Cut => world.cut(ann),
        Happening::Kill => {
            world.crash(ann);
            world.connect(ann);
        }
        Happening::Fetch => {
            let request = world.history_request(room, 3);
            world.call(ann, request);
        }
        Happening::Create => {
            let members = ["ann", "ben"].map(|it| ClientId::new(it).unwrap()).to_vec();
            let conversation = NewConversation {
                members,
                uniqueness: Uniqueness::Unique,
                ..NewConversation::default()
            };
            world.create_as(ann, conversation);
        }
        Happening::Pass(millis) => world.pass(Duration::from_millis(millis)),
        Happening::Remove | Happening::Add | Happening::AddAndTellLate => {}
    }
}

fn config() -> ProptestConfig {
    let wanted = std::env::var("SAMPAN_SCHEDULES").ok();
    let wanted: Option<u32> = wanted.and_then(|it| it.parse().ok());
    ProptestConfig {
        cases: wanted.unwrap_or(96),
        rng_seed: wanted.map_or(RngSeed::Fixed(1), |_| RngSeed::Random),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn going_and_coming_in_any_order_never_hides_a_message_and_ends_with_all_of_them(
        seed in any::<u64>(),
        catch_up_max in 2..20_u32,
        begins_with in 0..3_usize,
        what in prop::collection::vec(happening(), 1..60),
    ) {
        let limits = Limits { catch_up_max, ..Limits::default() };
        let mut world = World::with_limits(seed, limits);
        let [ann] = world.devices(["ann"]);
        let room = world.found_unique(&["ann", "ben"]);
        for n in 0..begins_with {
            world.post(&room, "ben", &format!("first {n}"));
        }
        world.settle();
        for (nth, what) in what.into_iter().enumerate() {
            happens(&mut world, ann, &room, what, nth);
            assert_no_silent_hole(&world, ann, &room);
        }
        if !world.service.conversations[room.as_str()].members.contains(&"ann".to_owned()) {
            world.add_member(&room, "ann");
        }
        world.repair(ann);
        world.connect(ann);
        settle_without_holes(&mut world, ann, &room);
        while let Some(edge) = world.newer_edge_of_gap(ann, &room) {
            world.fetch(ann, &room, Some(edge), 20).unwrap();
        }
        prop_assert_eq!(world.timeline(ann, &room), world.truth(&room));
        prop_assert_eq!(world.row(ann, &room).state, ConversationState::Live);
    }
}
