//! Two devices chat: online, offline, over broken connections and crashes.

use std::time::Duration;

use super::world::World;
use crate::Limits;
use crate::model::{ClientId, ConversationState, NewConversation, SessionEnd, SessionState};
use crate::sync::{
    CreateConversation, Created, DiscardEntry, Disconnect, Done, RequestError, RetryEntry,
    SendMessage,
};
use crate::wire::ServiceCode;
use crate::wire::generated::CommandType;

#[test]
fn a_message_reaches_the_other_member_and_both_timelines_agree() {
    let mut world = World::seeded(1);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "hello");
    assert_eq!(world.timeline(ann, &room), ["ann: hello …"]);
    world.moment();
    let id = world.service_id(ann, &room);
    world.say(ben, &id, "hi");
    world.moment();
    assert_eq!(world.timeline(ann, &room), ["ann: hello", "ben: hi"]);
    assert_eq!(world.timeline(ben, &id), ["ann: hello", "ben: hi"]);
    assert!(world.outbox(ann).is_empty());
    assert_eq!(world.row(ann, &room).state, ConversationState::Live);
}

#[test]
fn a_conversation_made_offline_takes_messages_at_once_and_its_local_id_keeps_resolving() {
    let mut world = World::seeded(2);
    let [ann, ben] = world.devices(["ann", "ben"]);
    world.partition(ann);
    let room = world.create(ann, &["ben"]);
    assert!(room.is_local());
    world.say(ann, &room, "one");
    world.say(ann, &room, "two");
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: one …", "ann: two …"]);
    world.repair(ann);
    world.settle();
    let id = world.service_id(ann, &room);
    assert!(!id.is_local());
    assert_eq!(world.timeline(ann, &room), ["ann: one", "ann: two"]);
    assert_eq!(world.timeline(ann, &id), world.timeline(ann, &room));
    assert_eq!(world.timeline(ben, &id), ["ann: one", "ann: two"]);
}

#[test]
fn two_unique_creations_offline_are_one_conversation_and_merge_with_one_that_exists() {
    let mut world = World::seeded(3);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let unique = |other: &str| NewConversation {
        members: vec![ClientId::new(other).unwrap()],
        ..NewConversation::default()
    };
    let first = world.create_as(ben, unique("ann"));
    world.say(ben, &first, "from ben");
    world.settle();
    world.partition(ann);
    let one = world.create_as(ann, unique("ben"));
    let two = world.create_as(ann, unique("ben"));
    assert_eq!(one, two);
    world.say(ann, &one, "from ann");
    world.repair(ann);
    world.settle();
    assert_eq!(world.service_id(ann, &one), world.service_id(ben, &first));
    let expected = ["ben: from ben", "ann: from ann"];
    assert_eq!(world.timeline(ann, &one), expected);
    assert_eq!(world.timeline(ben, &first), expected);
}

#[test]
fn the_outbox_is_resent_in_order_after_the_session_reopens() {
    let mut world = World::seeded(4);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.partition(ann);
    for text in ["one", "two", "three"] {
        world.say(ann, &room, text);
    }
    world.repair(ann);
    world.settle();
    let id = world.service_id(ann, &room);
    let expected = ["ann: one", "ann: two", "ann: three"];
    assert_eq!(world.truth(&id), expected);
    assert_eq!(world.timeline(ben, &id), expected);
}

#[test]
fn a_lost_acknowledgement_does_not_make_a_second_message() {
    let mut world = World::seeded(5);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.lose_next_answer(ann);
    world.say(ann, &room, "once");
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: once"]);
    assert_eq!(world.timeline(ann, &room), ["ann: once"]);
    assert_eq!(world.timeline(ben, &id), ["ann: once"]);
}

#[test]
fn a_creation_whose_answer_was_lost_is_found_and_not_repeated() {
    let mut world = World::seeded(6);
    let [ann] = world.devices(["ann"]);
    world.lose_next_answer(ann);
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "hello");
    world.settle();
    assert_eq!(world.service.conversations.len(), 1);
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: hello"]);
    assert_eq!(world.timeline(ann, &room), ["ann: hello"]);
}

#[test]
fn an_entry_in_doubt_for_too_long_is_looked_for_before_it_is_sent_again() {
    let mut world = World::seeded(7);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.service.forgets_tokens = true;
    world.lose_next_answer(ann);
    world.say(ann, &room, "arrived");
    world.pass(Duration::from_millis(200));
    world.partition(ann);
    world.say(ann, &room, "never left");
    world.pass(Duration::from_secs(3600));
    world.post(&id, "ben", "meanwhile");
    world.repair(ann);
    world.settle();
    assert_eq!(
        world.truth(&id),
        ["ann: arrived", "ben: meanwhile", "ann: never left"]
    );
    assert_eq!(world.timeline(ann, &room), world.truth(&id));
}

#[test]
fn what_arrived_twice_with_the_same_words_is_reported_as_ambiguous_and_blocks_nothing() {
    let mut world = World::seeded(8);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.service.forgets_tokens = true;
    world.lose_next_answer(ann);
    let (entry, _) = world.say(ann, &room, "ok");
    world.pass(Duration::from_millis(200));
    world.partition(ann);
    world.say(ann, &room, "next");
    world.post(&id, "ann", "ok");
    world.pass(Duration::from_secs(3600));
    world.repair(ann);
    world.settle();
    assert_eq!(world.outbox(ann), ["Send failed: Ambiguous"]);
    assert_eq!(world.truth(&id), ["ann: ok", "ann: ok", "ann: next"]);
    let done = world.ask(ann, DiscardEntry { entry });
    assert_eq!(done, Ok(Done));
    assert_eq!(world.timeline(ann, &room), world.truth(&id));
}

#[test]
fn a_late_acknowledgement_settles_the_message_and_the_repeated_one_is_nothing() {
    let mut world = World::seeded(9);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.slow_answers(ann, Duration::from_secs(23));
    world.say(ann, &room, "slow");
    world.pass(Duration::from_secs(21));
    assert_eq!(world.outbox(ann), ["Send queued"]);
    world.pass(Duration::from_secs(3));
    assert!(world.outbox(ann).is_empty());
    world.settle();
    assert_eq!(world.truth(&id), ["ann: slow"]);
    assert_eq!(world.timeline(ann, &room), ["ann: slow"]);
    assert_eq!(world.timeline(ben, &id), ["ann: slow"]);
}

#[test]
fn unanswered_sends_on_a_live_link_slow_down_keep_the_order_and_do_not_reconnect() {
    let mut world = World::seeded(10);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.service.ignores = 3;
    world.say(ann, &room, "one");
    world.say(ann, &room, "two");
    world.pass(Duration::from_secs(65));
    assert!(world.truth(&id).is_empty());
    assert_eq!(world.session(ann), SessionState::Open);
    world.settle();
    assert_eq!(world.truth(&id), ["ann: one", "ann: two"]);
}

#[test]
fn an_entry_that_exhausted_its_tries_fails_and_the_next_one_goes() {
    let limits = Limits {
        send_tries_max: 3,
        ..Limits::default()
    };
    let mut world = World::with_limits(11, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.service.ignores = 3;
    let (entry, _) = world.say(ann, &room, "unlucky");
    world.say(ann, &room, "lucky");
    world.settle();
    assert_eq!(world.truth(&id), ["ann: lucky"]);
    assert_eq!(world.timeline(ann, &room), ["ann: lucky", "ann: unlucky !"]);
    world.ask(ann, RetryEntry { entry }).unwrap();
    world.settle();
    assert_eq!(world.truth(&id), ["ann: lucky", "ann: unlucky"]);
    assert_eq!(world.timeline(ann, &room), world.truth(&id));
}

#[test]
fn a_refused_message_does_not_block_those_behind_it() {
    let mut world = World::seeded(12);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    let code = ServiceCode::MESSAGE_REJECTED_BY_APP;
    world.service.refuses = Some((CommandType::Direct, code));
    world.say(ann, &room, "bad");
    world.moment();
    world.service.refuses = None;
    world.say(ann, &room, "good");
    world.settle();
    assert_eq!(world.truth(&id), ["ann: good"]);
    assert_eq!(world.timeline(ann, &room), ["ann: good", "ann: bad !"]);
}

#[test]
fn a_refusal_for_the_time_being_delays_and_does_not_fail() {
    let mut world = World::seeded(13);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let code = ServiceCode::INTERNAL_ERROR;
    world.service.refuses = Some((CommandType::Direct, code));
    world.say(ann, &room, "patience");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.outbox(ann), ["Send queued"]);
    world.service.refuses = None;
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: patience"]);
}

#[test]
fn a_kill_between_commit_and_send_loses_nothing_and_doubles_nothing() {
    let mut world = World::seeded(14);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    let message = crate::model::NewMessage::text("survives");
    let request = SendMessage {
        conversation: room.clone(),
        message,
    };
    world.kill_after_commit_of(ann, request);
    assert_eq!(world.timeline(ann, &room), ["ann: survives …"]);
    world.connect(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: survives"]);
    assert_eq!(world.timeline(ben, &id), ["ann: survives"]);
}

// S177, S347
#[test]
fn a_message_too_large_is_refused_when_it_is_enqueued() {
    let mut world = World::seeded(15);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    let send = |length: usize| SendMessage {
        conversation: room.clone(),
        message: crate::model::NewMessage::text("x".repeat(length)),
    };
    let refused = world.ask(ann, send(5 * 1024));
    assert!(matches!(
        refused,
        Err(RequestError::TooLarge { limit: 5120, .. })
    ));
    assert!(world.ask(ann, send(4800)).is_ok());
    world.settle();
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn an_unsent_message_can_be_cancelled_and_one_on_its_way_cannot() {
    let mut world = World::seeded(16);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let (on_its_way, _) = world.say(ann, &room, "gone");
    let (waiting, _) = world.say(ann, &room, "oops");
    let entry = on_its_way;
    let refused = world.ask(ann, DiscardEntry { entry });
    let obstacle = crate::Obstacle::OnItsWay;
    assert_eq!(refused, Err(RequestError::NotPossible { obstacle }));
    let entry = waiting;
    world.ask(ann, DiscardEntry { entry }).unwrap();
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: gone"]);
}

#[test]
fn messages_are_paced_to_the_limit_of_a_minute() {
    let mut world = World::seeded(17);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    for n in 0..150 {
        world.say(ann, &room, &n.to_string());
    }
    world.pass(Duration::from_secs(59));
    assert_eq!(world.truth(&id).len(), 60);
    world.settle();
    let expected: Vec<String> = (0..150).map(|n| format!("ann: {n}")).collect();
    assert_eq!(world.truth(&id), expected);
}

#[test]
fn another_device_with_the_tag_ends_the_session_until_the_app_connects_again() {
    let mut world = World::seeded(18);
    let phone = world.device("ann", Some("mobile"));
    let tablet = world.device("ann", Some("mobile"));
    world.connect(phone);
    world.settle();
    world.connect(tablet);
    world.settle();
    let conflict = SessionState::Ended {
        reason: SessionEnd::Conflict,
    };
    assert_eq!(world.session(phone), conflict);
    assert_eq!(world.session(tablet), SessionState::Open);
    world.connect(phone);
    world.settle();
    assert_eq!(world.session(phone), SessionState::Open);
    assert_eq!(world.session(tablet), conflict);
}

#[test]
fn a_session_token_that_the_service_forgot_is_dropped_and_the_session_opens_without() {
    let mut world = World::seeded(19);
    let [ann] = world.devices(["ann"]);
    world.service.forget_sessions();
    world.cut(ann);
    world.settle();
    assert_eq!(world.session(ann), SessionState::Open);
}

#[test]
fn a_session_that_the_service_lost_is_opened_again_without_a_new_connection() {
    let mut world = World::seeded(20);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.disconnect(1);
    world.say(ann, &room, "still here");
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: still here"]);
    assert_eq!(world.session(ann), SessionState::Open);
}

#[test]
fn a_failed_creation_keeps_what_waits_for_it_and_goes_with_it_when_discarded() {
    let mut world = World::seeded(21);
    let [ann] = world.devices(["ann"]);
    let code = ServiceCode::CONVERSATION_REJECTED_BY_APP;
    world.service.refuses = Some((CommandType::Conv, code));
    let conversation = NewConversation {
        members: vec![ClientId::new("ben").unwrap()],
        ..NewConversation::default()
    };
    let made = world.ask(ann, CreateConversation { conversation });
    let Ok(Created {
        conversation: room,
        entry: Some(entry),
    }) = made
    else {
        panic!("not enqueued: {made:?}");
    };
    world.say(ann, &room, "waits");
    world.settle();
    let state = world.row(ann, &room).state;
    assert!(matches!(state, ConversationState::CreationFailed { .. }));
    world.service.refuses = None;
    world.ask(ann, RetryEntry { entry }).unwrap();
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: waits"]);
}

#[test]
fn going_offline_closes_the_session_and_an_idle_device_sends_nothing() {
    let mut world = World::seeded(22);
    let [ann] = world.devices(["ann"]);
    world.call(ann, Disconnect);
    world.settle();
    assert_eq!(world.session(ann), SessionState::Closed);
    let sent = world.sent_frames(ann);
    world.pass(Duration::from_secs(7200));
    assert_eq!(world.sent_frames(ann), sent);
    world.connect(ann);
    world.settle();
    assert_eq!(world.session(ann), SessionState::Open);
}

#[test]
fn an_idle_connected_device_sends_heartbeats_and_nothing_else() {
    let mut world = World::seeded(23);
    let [ann] = world.devices(["ann"]);
    let sent = world.sent_frames(ann);
    world.pass(Duration::from_secs(1810));
    assert_eq!(world.sent_frames(ann) - sent, 10);
}

#[test]
fn a_creation_from_a_restored_copy_of_the_store_is_looked_for_before_it_is_sent() {
    let mut world = World::seeded(31);
    let [ann] = world.devices(["ann"]);
    world.partition(ann);
    world.moment();
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "hello");
    let copy = world.copy_of_disk(ann);
    world.repair(ann);
    world.settle();
    assert_eq!(world.service.conversations.len(), 1);
    world.restore(ann, &copy);
    world.connect(ann);
    world.settle();
    assert_eq!(world.service.conversations.len(), 1);
    assert_eq!(world.timeline(ann, &room), ["ann: hello"]);
}
