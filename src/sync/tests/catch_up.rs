//! Catching up: unread counts, history, gaps, edits, receipts, members.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::{ConversationId, ConversationState};
use crate::sync::{FetchConversations, FetchHistory, HistoryFetched, RequestError, SendMessage};

/// Ann with a conversation that ben made for her, known and empty.
fn ann_with_a_room(seed: u64, limits: Limits) -> (World, Device, ConversationId) {
    let mut world = World::with_limits(seed, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    (world, ann, room)
}

fn small_catch_up() -> Limits {
    Limits {
        catch_up_max: 5,
        ..Limits::default()
    }
}

fn lines(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("ben: {n}")).collect()
}

#[test]
fn a_conversation_that_appears_is_asked_for_and_shown_meanwhile() {
    let mut world = World::seeded(31);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.post(&room, "ben", "welcome");
    world.moment();
    assert_eq!(world.timeline(ann, &room), ["ben: welcome"]);
    assert_eq!(world.row(ann, &room).members.len(), 2);
    assert_eq!(world.unread(ann, &room), (1, false));
}

#[test]
fn what_was_missed_is_fetched_after_the_session_opens_without_a_gap() {
    let (mut world, ann, room) = ann_with_a_room(32, Limits::default());
    world.post(&room, "ben", "before");
    world.moment();
    world.partition(ann);
    for n in 0..30 {
        world.post(&room, "ben", &n.to_string());
    }
    world.repair(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    assert_eq!(world.unread(ann, &room), (31, false));
}

#[test]
fn what_goes_beyond_the_catch_up_is_a_recorded_gap_that_paging_fills() {
    let (mut world, ann, room) = ann_with_a_room(33, small_catch_up());
    for n in 0..3 {
        world.post(&room, "ben", &n.to_string());
    }
    world.moment();
    world.partition(ann);
    for n in 3..20 {
        world.post(&room, "ben", &n.to_string());
    }
    world.repair(ann);
    world.settle();
    let mut expected = lines(0..3);
    expected.push("~".to_owned());
    expected.extend(lines(15..20));
    assert_eq!(world.timeline(ann, &room), expected);
    let edge = world.newer_edge_of_gap(ann, &room);
    let page = world.fetch(ann, &room, edge, 100);
    let filled = HistoryFetched {
        added: 12,
        start_reached: true,
    };
    assert_eq!(page, Ok(filled));
    assert_eq!(world.timeline(ann, &room), lines(0..20));
}

#[test]
fn a_live_message_during_the_catch_up_does_not_hide_the_gap_before_it() {
    let (mut world, ann, room) = ann_with_a_room(34, small_catch_up());
    world.post(&room, "ben", "0");
    world.moment();
    world.partition(ann);
    for n in 1..12 {
        world.post(&room, "ben", &n.to_string());
    }
    world.repair(ann);
    while !world.step_until_open(ann) {}
    world.post(&room, "ben", "12");
    world.settle();
    let mut expected = lines(0..1);
    expected.push("~".to_owned());
    expected.extend(lines(8..13));
    assert_eq!(world.timeline(ann, &room), expected);
    assert_eq!(world.unread(ann, &room), (13, false));
}

#[test]
fn pages_neither_skip_nor_repeat_messages_of_the_same_time() {
    let (mut world, ann, room) = ann_with_a_room(35, small_catch_up());
    world.service.granularity = 60_000;
    world.partition(ann);
    for n in 0..40 {
        world.post(&room, "ben", &n.to_string());
        world.pass(Duration::from_secs(4));
    }
    world.repair(ann);
    world.settle();
    for _ in 0..20 {
        let edge = world.newer_edge_of_gap(ann, &room);
        if edge.is_none() {
            break;
        }
        world.fetch(ann, &room, edge, 7).unwrap();
    }
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_short_page_is_not_the_end_and_an_empty_one_is() {
    let (mut world, ann, room) = ann_with_a_room(36, small_catch_up());
    world.partition(ann);
    for n in 0..8 {
        world.post(&room, "ben", &n.to_string());
    }
    world.repair(ann);
    world.settle();
    let edge = world.newer_edge_of_gap(ann, &room);
    let page = world.fetch(ann, &room, edge, 3);
    let more = HistoryFetched {
        added: 3,
        start_reached: false,
    };
    assert_eq!(page, Ok(more));
    let edge = world.newer_edge_of_gap(ann, &room);
    let page = world.fetch(ann, &room, edge, 3);
    let end = HistoryFetched {
        added: 0,
        start_reached: true,
    };
    assert_eq!(page, Ok(end));
    assert_eq!(world.timeline(ann, &room), lines(0..8));
}

#[test]
fn own_messages_from_another_device_appear_live_and_by_catch_up_and_are_not_unread() {
    let mut world = World::seeded(37);
    let phone = world.device("ann", Some("phone"));
    let laptop = world.device("ann", Some("laptop"));
    world.connect(phone);
    world.connect(laptop);
    let room = world.create(phone, &["ben"]);
    world.say(phone, &room, "live");
    world.settle();
    let id = world.service_id(phone, &room);
    world.partition(laptop);
    world.say(phone, &room, "missed");
    world.settle();
    world.repair(laptop);
    world.settle();
    assert_eq!(world.timeline(laptop, &id), ["ann: live", "ann: missed"]);
    assert_eq!(world.unread(laptop, &id), (0, false));
}

#[test]
fn a_message_that_is_delivered_twice_is_kept_and_counted_once() {
    let (mut world, ann, room) = ann_with_a_room(38, Limits::default());
    world.service.delivers_twice = true;
    world.post(&room, "ben", "echo");
    world.post(&room, "ben", "echo");
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ben: echo", "ben: echo"]);
    assert_eq!(world.unread(ann, &room), (2, false));
}

#[test]
fn a_read_mark_clears_the_count_at_once_and_on_the_other_device_too() {
    let mut world = World::seeded(39);
    let phone = world.device("ann", Some("phone"));
    let laptop = world.device("ann", Some("laptop"));
    world.connect(phone);
    world.connect(laptop);
    let room = world.found(&["ann", "ben"]);
    world.post(&room, "ben", "one");
    world.post(&room, "ben", "two");
    world.settle();
    assert_eq!(world.unread(laptop, &room), (2, false));
    world.mark_read(phone, &room);
    assert_eq!(world.unread(phone, &room), (0, false));
    world.settle();
    assert_eq!(world.unread(laptop, &room), (0, false));
    assert!(world.outbox(phone).is_empty());
}

#[test]
fn a_read_mark_made_offline_holds_against_what_the_service_still_counts() {
    let (mut world, ann, room) = ann_with_a_room(40, Limits::default());
    world.post(&room, "ben", "one");
    world.moment();
    world.partition(ann);
    world.mark_read(ann, &room);
    world.mark_read(ann, &room);
    assert_eq!(world.outbox(ann), ["Read queued"]);
    world.post(&room, "ben", "two");
    world.repair(ann);
    world.settle();
    assert_eq!(world.unread(ann, &room), (1, false));
    assert_eq!(world.service.conversations[room.as_str()].unread("ann"), 1);
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn at_the_cap_the_count_is_a_lower_bound_until_all_that_is_unread_is_here() {
    let limits = Limits {
        unread_cap: 10,
        ..small_catch_up()
    };
    let (mut world, ann, room) = ann_with_a_room(41, limits);
    world.service.unread_cap = 10;
    world.partition(ann);
    for n in 0..25 {
        world.post(&room, "ben", &n.to_string());
    }
    world.repair(ann);
    world.settle();
    assert_eq!(world.unread(ann, &room), (10, true));
    let edge = world.newer_edge_of_gap(ann, &room);
    world.fetch(ann, &room, edge, 100).unwrap();
    assert_eq!(world.unread(ann, &room), (25, false));
}

#[test]
fn a_fresh_device_does_not_count_old_history_as_unread() {
    let (mut world, ann, room) = ann_with_a_room(42, Limits::default());
    for n in 0..10 {
        world.post(&room, "ben", &n.to_string());
    }
    world.settle();
    world.mark_read(ann, &room);
    world.settle();
    world.post(&room, "ben", "new");
    world.settle();
    let tablet = world.device("ann", Some("tablet"));
    world.connect(tablet);
    world.settle();
    assert_eq!(world.timeline(tablet, &room), world.truth(&room));
    assert_eq!(world.unread(tablet, &room), (1, false));
}

#[test]
fn edits_arrive_live_and_by_catch_up() {
    let (mut world, ann, room) = ann_with_a_room(43, Limits::default());
    world.post(&room, "ben", "helo");
    world.post(&room, "ben", "wrld");
    world.moment();
    world.edit(&room, "helo", "hello");
    world.moment();
    assert_eq!(world.timeline(ann, &room), ["ben: hello", "ben: wrld"]);
    world.partition(ann);
    world.edit(&room, "wrld", "world");
    world.repair(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ben: hello", "ben: world"]);
}

#[test]
fn receipts_tell_how_far_a_message_got() {
    let mut world = World::seeded(44);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.say(ann, &room, "hello");
    world.pass(Duration::from_millis(200));
    assert_eq!(world.state_of(ann, &room, "hello"), "Sent");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.state_of(ann, &room, "hello"), "delivered");
    world.mark_read(ben, &id);
    world.settle();
    assert_eq!(world.state_of(ann, &room, "hello"), "read");
}

#[test]
fn who_is_removed_keeps_the_history_and_cannot_send() {
    let (mut world, ann, room) = ann_with_a_room(45, Limits::default());
    world.post(&room, "ben", "bye");
    world.moment();
    world.remove_member(&room, "ann");
    world.settle();
    assert_eq!(world.row(ann, &room).state, ConversationState::Left);
    assert_eq!(world.timeline(ann, &room), ["ben: bye"]);
    let request = SendMessage {
        conversation: room.clone(),
        message: crate::model::NewMessage::text("hello?"),
    };
    let refused = world.ask(ann, request);
    assert_eq!(
        refused,
        Err(RequestError::NotPossible {
            obstacle: crate::Obstacle::ConversationLeft,
        })
    );
}

#[test]
fn calls_that_need_the_service_fail_at_once_without_a_session() {
    let (mut world, ann, room) = ann_with_a_room(46, Limits::default());
    world.partition(ann);
    world.moment();
    let request = FetchHistory {
        conversation: room.clone(),
        before: None,
        limit: 10,
    };
    assert_eq!(world.ask(ann, request), Err(RequestError::NotConnected));
    let request = FetchConversations {
        conversations: vec![room],
    };
    assert_eq!(world.ask(ann, request), Err(RequestError::NotConnected));
}

#[test]
fn a_catch_up_that_a_crash_interrupts_is_finished_after_the_restart() {
    let (mut world, ann, room) = ann_with_a_room(47, Limits::default());
    world.post(&room, "ben", "first");
    world.moment();
    world.partition(ann);
    for n in 0..10 {
        world.post(&room, "ben", &n.to_string());
    }
    world.repair(ann);
    while !world.step_until_open(ann) {}
    world.pass(Duration::from_millis(60));
    world.crash(ann);
    world.connect(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    assert_eq!(world.unread(ann, &room), (11, false));
}

/// Steps on until a session has ended and the next one is open.
fn open_again(world: &mut World, device: Device) {
    while world.step_until_open(device) {}
    while !world.step_until_open(device) {}
}

/// A message that came live stands behind the gap of the absence. A catch-up that begins after it goes back to
/// where the absence began all the same.
#[test]
fn a_catch_up_that_ends_with_its_connection_is_finished_by_the_next_one() {
    let limits = Limits {
        catch_up_max: 1000,
        ..Limits::default()
    };
    let (mut world, ann, room) = ann_with_a_room(51, limits);
    world.post(&room, "ben", "first");
    world.moment();
    world.partition(ann);
    for n in 0..350 {
        world.post(&room, "ben", &n.to_string());
    }
    for last in ["live", "live again"] {
        world.repair(ann);
        open_again(&mut world, ann);
        world.post(&room, "ben", last);
        let line = format!("ben: {last}");
        while !world.timeline(ann, &room).contains(&line) {
            world.pass(Duration::from_millis(1));
        }
        let gap = world.timeline(ann, &room);
        assert!(gap.contains(&"~".to_owned()), "the catch-up goes on still");
        world.partition(ann);
    }
    world.repair(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    assert_eq!(world.unread(ann, &room), (353, false));
}

#[test]
fn many_conversations_are_all_listed_and_caught_up_with() {
    let mut world = World::seeded(48);
    let rooms: Vec<ConversationId> = (0..120)
        .map(|n| {
            let room = world.found(&["ann", "ben"]);
            world.post(&room, "ben", &format!("hello {n}"));
            world.pass(Duration::from_secs(1));
            room
        })
        .collect();
    let [ann] = world.devices(["ann"]);
    for room in &rooms {
        assert_eq!(world.timeline(ann, room), world.truth(room));
        assert_eq!(world.unread(ann, room), (1, false));
    }
}

#[test]
fn conversations_that_a_full_notification_left_out_are_counted_however_often_the_catch_up_breaks_off()
 {
    for broken_after in [1, 5, 20, 60, 200, 500] {
        let mut world = World::seeded(52);
        let [ann] = world.devices(["ann"]);
        let rooms: Vec<ConversationId> = (0..80).map(|_| world.found(&["ann", "ben"])).collect();
        world.settle();
        world.partition(ann);
        for room in &rooms {
            for text in ["one", "two", "three"] {
                world.post(room, "ben", text);
            }
            world.pass(Duration::from_secs(1));
        }
        for _ in 0..3 {
            world.repair(ann);
            open_again(&mut world, ann);
            world.pass(Duration::from_millis(broken_after));
            world.partition(ann);
        }
        world.repair(ann);
        world.settle();
        for room in &rooms {
            assert_eq!(world.unread(ann, room), (3, false), "after {broken_after}");
        }
    }
}

#[test]
fn a_message_that_is_delivered_again_does_not_undo_its_edit() {
    let (mut world, ann, room) = ann_with_a_room(49, Limits::default());
    world.post(&room, "ben", "helo");
    world.moment();
    world.edit(&room, "helo", "hello");
    world.moment();
    world.deliver_again(&room, 0, "helo");
    world.moment();
    assert_eq!(world.timeline(ann, &room), ["ben: hello"]);
}

#[test]
fn a_message_that_an_acknowledgement_overtook_is_found_after_the_connection_broke() {
    let (mut world, ann, room) = ann_with_a_room(50, Limits::default());
    world.say(ann, &room, "before");
    world.settle();
    world.post_unheard(&room, "ben", "overtaken");
    world.say(ann, &room, "after");
    world.moment();
    assert_eq!(world.timeline(ann, &room), ["ann: before", "ann: after"]);
    world.cut(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_count_that_was_cleared_offline_never_flickers_back() {
    let (mut world, ann, room) = ann_with_a_room(51, Limits::default());
    world.partition(ann);
    world.post(&room, "ben", "one");
    world.repair(ann);
    world.settle();
    assert_eq!(world.unread(ann, &room), (1, false));
    world.partition(ann);
    world.mark_read(ann, &room);
    world.repair(ann);
    for _ in 0..200 {
        world.step();
        assert_eq!(world.unread(ann, &room), (0, false));
    }
}
