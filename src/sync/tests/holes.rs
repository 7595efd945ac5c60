//! No silent hole: where messages are missing, the timeline shows a gap.

use std::time::Duration;

use super::world::{Device, World};
use crate::Limits;
use crate::model::{ConversationId, ConversationKind};
use crate::store::HistoryEnd;
use crate::sync::HistoryFetched;
use crate::wire::generated::{CommandType, DirectCommand};
use crate::wire::{Command, Op, ServiceCode};

/// Ann and ben in a room that both know, with a catch-up that ends soon.
fn ann_with_a_room(seed: u64) -> (World, Device, ConversationId) {
    let limits = Limits {
        catch_up_max: 4,
        ..Limits::default()
    };
    let mut world = World::with_limits(seed, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.post(&room, "ben", "hello");
    world.settle();
    (world, ann, room)
}

fn post_many(world: &mut World, room: &ConversationId, many: u32) {
    for n in 0..many {
        world.post(room, "ben", &n.to_string());
    }
}

/// The device shows the truth, but for gaps; after paging through them it shows the whole truth.
fn check(world: &mut World, device: Device, room: &ConversationId) {
    let truth = world.truth(room);
    let shown = world.timeline(device, room);
    let mut rest = truth.iter();
    for (index, line) in shown.iter().enumerate() {
        let gap = index > 0 && shown[index - 1] == "~";
        if line != "~" {
            let skipped = rest.position(|it| it == line).expect("only what was said");
            assert!(gap || skipped == 0, "a hole before {line} in {shown:?}");
        }
    }
    while let Some(edge) = world.newer_edge_of_gap(device, room) {
        world.fetch(device, room, Some(edge), 20).unwrap();
    }
    assert_eq!(world.timeline(device, room), truth);
}

#[test]
fn a_message_acknowledged_with_an_old_time_is_not_joined_to_what_comes_next() {
    let (mut world, ann, room) = ann_with_a_room(101);
    world.lose_next_answer(ann);
    world.say(ann, &room, "arrived");
    world.pass(Duration::from_millis(200));
    world.partition(ann);
    post_many(&mut world, &room, 20);
    world.pass(Duration::from_secs(60));
    world.repair(ann);
    while !world.step_until_open(ann) {}
    world.pass(Duration::from_millis(100));
    world.post(&room, "ben", "live");
    world.settle();
    assert!(world.timeline(ann, &room).contains(&"~".to_owned()));
    check(&mut world, ann, &room);
}

#[test]
fn a_message_acknowledged_with_an_old_time_needs_no_gap_if_the_catch_up_reaches_it() {
    let (mut world, ann, room) = ann_with_a_room(102);
    world.lose_next_answer(ann);
    world.say(ann, &room, "arrived");
    world.pass(Duration::from_millis(200));
    world.partition(ann);
    post_many(&mut world, &room, 2);
    world.pass(Duration::from_secs(60));
    world.repair(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_repeated_sending_that_is_taken_now_is_not_joined_over_what_was_said_before_the_session() {
    let (mut world, ann, room) = ann_with_a_room(103);
    world.partition(ann);
    world.say(ann, &room, "late");
    post_many(&mut world, &room, 20);
    world.repair(ann);
    world.settle();
    check(&mut world, ann, &room);
}

#[test]
fn what_was_said_while_this_client_was_removed_is_a_gap_and_not_joined_over() {
    let (mut world, ann, room) = ann_with_a_room(104);
    world.post(&room, "ben", "before");
    world.moment();
    world.remove_member(&room, "ann");
    world.moment();
    post_many(&mut world, &room, 20);
    world.add_member(&room, "ann");
    world.moment();
    world.post(&room, "ben", "after");
    world.settle();
    assert!(world.timeline(ann, &room).contains(&"~".to_owned()));
    check(&mut world, ann, &room);
}

#[test]
fn history_that_is_refused_stays_behind_and_is_asked_for_again() {
    let (mut world, ann, room) = ann_with_a_room(105);
    world.partition(ann);
    post_many(&mut world, &room, 2);
    let code = ServiceCode::MESSAGE_REJECTED_BY_APP;
    world.service.refuses = Some((CommandType::Logs, code));
    world.repair(ann);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.row(ann, &room).history.end(), HistoryEnd::Behind);
    world.post(&room, "ben", "live");
    world.moment();
    assert!(world.timeline(ann, &room).contains(&"~".to_owned()));
    world.service.refuses = None;
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn history_that_is_refused_for_ever_is_not_asked_for_all_day() {
    let (mut world, ann, room) = ann_with_a_room(106);
    world.partition(ann);
    post_many(&mut world, &room, 3);
    let code = ServiceCode::MESSAGE_REJECTED_BY_APP;
    world.service.refuses = Some((CommandType::Logs, code));
    world.repair(ann);
    world.pass(Duration::from_secs(3600));
    let asked = world.sent_frames(ann);
    world.pass(Duration::from_secs(170));
    assert!(world.sent_frames(ann) <= asked + 1, "a heartbeat at most");
    assert_eq!(world.row(ann, &room).history.end(), HistoryEnd::Behind);
}

#[test]
fn conversations_that_the_service_refuses_to_list_for_a_while_are_listed_later() {
    let (mut world, ann, room) = ann_with_a_room(107);
    world.partition(ann);
    post_many(&mut world, &room, 3);
    let code = ServiceCode::CONVERSATION_QUERY_FAILED;
    world.service.refuses = Some((CommandType::Conv, code));
    world.repair(ann);
    world.pass(Duration::from_secs(20));
    world.service.refuses = None;
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    let new = world.found(&["ann", "ben"]);
    world.settle();
    assert_eq!(world.row(ann, &new).members.len(), 2);
}

#[test]
fn a_conversation_that_leaves_the_list_while_it_is_read_hides_no_other() {
    let mut world = World::seeded(108);
    let ann = world.device("ann", None);
    let rooms: Vec<_> = (0..60).map(|_| world.found(&["ann", "ben"])).collect();
    for room in rooms.iter().rev() {
        world.pass(Duration::from_millis(10));
        world.post(room, "ben", "hello");
    }
    world.connect(ann);
    // The first page has come, and one of its conversations goes.
    while world.known(ann) == 0 {
        world.step();
    }
    world.remove_member(&rooms[3], "ann");
    world.settle();
    for room in rooms.iter().filter(|room| **room != rooms[3]) {
        assert_eq!(world.timeline(ann, room), ["ben: hello"]);
    }
}

#[test]
fn who_was_removed_while_offline_and_comes_back_is_shown_no_hole() {
    let (mut world, ann, room) = ann_with_a_room(109);
    world.partition(ann);
    world.remove_member(&room, "ann");
    world.moment();
    world.repair(ann);
    world.settle();
    post_many(&mut world, &room, 20);
    world.pass(Duration::from_secs(1));
    world.add_member(&room, "ann");
    world.moment();
    world.post(&room, "ben", "after");
    world.settle();
    assert_eq!(world.unread(ann, &room), (1, false));
    check(&mut world, ann, &room);
}

#[test]
fn what_was_said_in_an_empty_room_while_this_client_was_removed_is_not_hidden() {
    let mut world = World::seeded(112);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    world.partition(ann);
    world.remove_member(&room, "ann");
    world.moment();
    world.repair(ann);
    world.settle();
    post_many(&mut world, &room, 3);
    world.pass(Duration::from_secs(1));
    world.add_member(&room, "ann");
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn an_edit_that_comes_before_the_acknowledgement_of_its_message_is_not_lost() {
    for crashes in [false, true] {
        let (mut world, ann, room) = ann_with_a_room(110);
        world.service.forgets_answers = 1;
        world.say(ann, &room, "said");
        world.pass(Duration::from_millis(500));
        world.edit(&room, "said", "edited");
        world.pass(Duration::from_secs(1));
        assert_eq!(world.timeline(ann, &room), ["ben: hello", "ann: said …"]);
        if crashes {
            world.crash(ann);
            world.connect(ann);
        }
        world.settle();
        assert!(world.outbox(ann).is_empty());
        assert_eq!(world.timeline(ann, &room), world.truth(&room));
    }
}

#[test]
fn a_message_that_an_own_acknowledgement_overtook_is_not_hidden_by_a_kill_or_a_broken_connection() {
    for (many, killed) in [(0, false), (20, false), (0, true), (20, true)] {
        let (mut world, ann, room) = ann_with_a_room(111);
        world.pass(Duration::from_secs(60));
        // It is still on its way when the own message is acknowledged, and never comes.
        world.post_unheard(&room, "ben", "overtaken");
        world.say(ann, &room, "first");
        world.moment();
        world.say(ann, &room, "second");
        world.moment();
        assert!(world.outbox(ann).is_empty());
        if killed {
            world.crash(ann);
        } else {
            world.partition(ann);
        }
        post_many(&mut world, &room, many);
        if killed {
            world.connect(ann);
        } else {
            world.repair(ann);
        }
        world.settle();
        let gaps = world.timeline(ann, &room).contains(&"~".to_owned());
        assert_eq!(gaps, many > 0);
        check(&mut world, ann, &room);
    }
}

#[test]
fn own_messages_at_the_end_cost_a_new_conversation_no_gap() {
    let mut world = World::seeded(112);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "one");
    world.say(ann, &room, "two");
    world.moment();
    world.crash(ann);
    world.connect(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: one", "ann: two"]);
}

#[test]
fn what_was_evicted_is_no_part_of_what_a_live_message_continues_and_paging_back_fetches_it() {
    let (mut world, ann, room) = ann_with_a_room(103);
    post_many(&mut world, &room, 300);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
    world.evict(ann);
    let left = world.timeline(ann, &room);
    assert!(left.len() < 200 && left[0] == "~", "{left:?}");
    world.post(&room, "ben", "live");
    world.settle();
    // An app pages back from what is held to the present.
    for _ in 0..20 {
        let before = world.held_from(ann, &room);
        assert_eq!(
            world
                .timeline(ann, &room)
                .iter()
                .filter(|it| *it == "~")
                .count(),
            1
        );
        if let Ok(HistoryFetched {
            start_reached: true,
            ..
        }) = world.fetch(ann, &room, before, 20)
        {
            break;
        }
    }
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

/// A message that was accepted before this client went out may be pushed after the news of that; a message before it
/// was perhaps not pushed.
#[test]
fn a_message_that_is_pushed_after_this_client_went_out_hides_none_before_it() {
    let (mut world, ann, room) = ann_with_a_room(121);
    world.post(&room, "ben", "one");
    world.moment();
    world.post_unheard(&room, "ben", "two");
    world.post_unheard(&room, "ben", "three");
    world.moment();
    world.remove_member(&room, "ann");
    world.moment();
    let late = world.service.conversations[room.as_str()].messages[2].clone();
    let late = DirectCommand {
        cid: Some(room.as_str().to_owned()),
        id: Some(late.id),
        from_peer_id: Some(late.from),
        timestamp: Some(late.at),
        msg: Some(late.text),
        conv_type: Some(1),
        ..DirectCommand::default()
    };
    world.tell("ann", &Command::direct(late));
    world.moment();
    world.add_member(&room, "ann");
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn after_a_sign_in_that_missed_nothing_a_live_message_asks_for_no_history() {
    let (mut world, ann, room) = ann_with_a_room(122);
    world.post(&room, "ben", "one");
    world.settle();
    world.cut(ann);
    world.settle();
    world.service.pages = 0;
    world.post(&room, "ben", "two");
    world.settle();
    assert_eq!(world.service.pages, 0);
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

/// After a restart an own message at the end is suspected once: it may have overtaken another's.
#[test]
fn an_own_message_at_the_end_is_suspected_by_one_restart_and_not_by_the_next() {
    let (mut world, ann, room) = ann_with_a_room(123);
    world.say(ann, &room, "one");
    world.settle();
    let mut restart = || {
        world.service.pages = 0;
        world.crash(ann);
        world.connect(ann);
        world.settle();
        world.service.pages
    };
    restart();
    assert_eq!(restart(), 0);
}

/// No list names a temporary conversation, and the words of this client's other device are no unread ones: until the
/// service has told of the conversation, a message that is said there continues nothing.
#[test]
fn words_of_another_device_in_a_temporary_conversation_are_not_joined_over() {
    let mut world = World::seeded(141);
    let [phone, tablet, ben] = world.devices(["ann", "ann", "ben"]);
    let room = world.make_kind(ben, ConversationKind::Temporary, &["ann"]);
    world.settle();
    assert!(room.is_temporary());
    world.partition(tablet);
    world.pass(Duration::from_secs(60));
    world.say(phone, &room, "one");
    world.say(phone, &room, "two");
    world.settle();
    let asks = |command: &Command| matches!(command, Command::Conv { op: Op::Query, body } if !body.temp_conv_ids.is_empty());
    world.service.refuses_when = Some((asks, ServiceCode::INTERNAL_ERROR));
    world.service.leaves_unanswered = true;
    world.repair(tablet);
    world.pass(Duration::from_secs(5));
    world.say(tablet, &room, "three");
    world.moment();
    world.service.refuses_when = None;
    world.settle();
    check(&mut world, tablet, &room);
}
