//! Signing in, tokens, and the calls that need the service.

use std::time::Duration;

use super::world::{Signer, World};
use crate::model::{SessionEnd, SessionState};
use crate::sync::{Connect, Done, FetchHistory, FetchReceipts, FreshToken, RequestError, SignIn};
use crate::wire::ServiceCode;
use crate::wire::generated::CommandType;

#[test]
fn the_signer_is_asked_when_an_operation_is_sent_and_not_when_it_is_enqueued() {
    let mut world = World::seeded(61);
    world.service.wants_signatures = true;
    let ann = world.device("ann", None);
    world.set_signer(ann, Signer::Signs);
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "signed");
    assert_eq!(world.session(ann), SessionState::Closed);
    world.connect(ann);
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: signed"]);
}

#[test]
fn a_signer_that_fails_delays_the_session_and_blocks_neither_writes_nor_reads() {
    let mut world = World::seeded(62);
    world.service.wants_signatures = true;
    let ann = world.device("ann", None);
    world.set_signer(ann, Signer::Fails);
    world.connect(ann);
    world.settle();
    assert_eq!(world.session(ann), SessionState::Opening);
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "waits");
    assert_eq!(world.timeline(ann, &room), ["ann: waits …"]);
    world.set_signer(ann, Signer::Signs);
    world.settle();
    let id = world.service_id(ann, &room);
    assert_eq!(world.truth(&id), ["ann: waits"]);
}

#[test]
fn a_session_is_reopened_with_its_token_and_without_a_signature() {
    let mut world = World::seeded(63);
    world.service.wants_signatures = true;
    let ann = world.device("ann", None);
    world.set_signer(ann, Signer::Signs);
    world.connect(ann);
    world.settle();
    world.set_signer(ann, Signer::Fails);
    world.cut(ann);
    world.settle();
    assert_eq!(world.session(ann), SessionState::Open);
    world.crash(ann);
    let mode = SignIn::Yield;
    world.ask(ann, Connect { mode }).unwrap();
    world.settle();
    assert_eq!(world.session(ann), SessionState::Open);
}

#[test]
fn a_device_that_yields_does_not_send_the_other_one_away() {
    let mut world = World::seeded(64);
    let phone = world.device("ann", Some("mobile"));
    let tablet = world.device("ann", Some("mobile"));
    world.connect(phone);
    world.settle();
    let mode = SignIn::Yield;
    world.ask(tablet, Connect { mode }).unwrap();
    world.settle();
    let conflict = SessionState::Ended {
        reason: SessionEnd::Conflict,
    };
    assert_eq!(world.session(tablet), conflict);
    assert_eq!(world.session(phone), SessionState::Open);
}

#[test]
fn a_session_that_is_refused_for_good_ends_and_stays_quiet() {
    let mut world = World::seeded(65);
    let code = ServiceCode::BLACKLISTED;
    world.service.refuses = Some((CommandType::Session, code));
    let [ann] = world.devices(["ann"]);
    let reason = SessionEnd::Refused {
        code: 4106,
        reason: "BLACKLISTED".to_owned(),
    };
    assert_eq!(world.session(ann), SessionState::Ended { reason });
    let sent = world.sent_frames(ann);
    world.pass(Duration::from_secs(7200));
    assert_eq!(world.sent_frames(ann), sent);
}

#[test]
fn a_session_that_is_refused_for_now_opens_later() {
    let mut world = World::seeded(66);
    let code = ServiceCode::APP_QUOTA_EXCEEDED;
    world.service.refuses = Some((CommandType::Session, code));
    let [ann] = world.devices(["ann"]);
    assert_eq!(world.session(ann), SessionState::Opening);
    world.service.refuses = None;
    world.settle();
    assert_eq!(world.session(ann), SessionState::Open);
}

#[test]
fn a_token_is_given_at_once_while_it_is_good_and_refreshed_when_it_is_not() {
    let mut world = World::seeded(67);
    let [ann] = world.devices(["ann"]);
    let first = world.ask(ann, FreshToken).unwrap();
    assert_eq!(world.ask(ann, FreshToken), Ok(first.clone()));
    world.pass(Duration::from_secs(86_400));
    let call = world.call(ann, FreshToken);
    assert_eq!(world.answer(ann, call), None);
    world.moment();
    let second = world.answer(ann, call).unwrap().unwrap();
    assert_ne!(second, first);
}

#[test]
fn a_token_is_renewed_before_it_ends_when_something_happens_and_an_idle_device_is_not_woken() {
    let mut world = World::seeded(71);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ben, &["ann"]);
    world.say(ben, &room, "one");
    world.settle();
    let first = world.ask(ann, FreshToken).unwrap();
    let life = Duration::from_secs(86_400);
    world.pass(life * 95 / 100);
    assert_eq!(world.ask(ann, FreshToken).unwrap(), first);
    world.settle();
    let second = world.ask(ann, FreshToken).unwrap();
    assert_ne!(second, first);
    // The new one lives on where the first has ended.
    world.pass(life * 20 / 100);
    assert_eq!(world.ask(ann, FreshToken).unwrap(), second);
    assert!(world.is_asleep(ann));
}

#[test]
fn a_call_that_a_broken_connection_interrupts_is_answered() {
    let mut world = World::seeded(68);
    let [ann] = world.devices(["ann"]);
    let room = world.found(&["ann", "ben"]);
    world.settle();
    let call = world.call(
        ann,
        FetchHistory {
            conversation: room,
            before: None,
            limit: 10,
        },
    );
    world.cut(ann);
    world.moment();
    assert_eq!(world.answer(ann, call), Some(Err(RequestError::Unanswered)));
}

#[test]
fn receipts_can_be_asked_for() {
    let mut world = World::seeded(69);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben", "cat"]);
    world.say(ann, &room, "hello all");
    world.settle();
    let id = world.service_id(ann, &room);
    world.mark_read(ben, &id);
    world.settle();
    assert_eq!(world.state_of(ann, &room, "hello all"), "Sent");
    let conversation = room.clone();
    let call = world.call(ann, FetchReceipts { conversation });
    world.moment();
    assert_eq!(world.answer(ann, call), Some(Ok(Done)));
    assert_eq!(world.state_of(ann, &room, "hello all"), "read");
}

#[test]
fn a_machine_with_nothing_to_do_asks_for_no_timer() {
    let mut world = World::seeded(70);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "hello");
    world.settle();
    world.mark_read(ben, &world.service_id(ann, &room));
    world.settle();
    assert!(world.is_asleep(ann) && world.is_asleep(ben));
    world.partition(ann);
    world.say(ann, &room, "later");
    assert!(world.is_asleep(ann));
}

/// A service that refuses a question for want of a session, each time, is asked again at growing intervals: the client does
/// not open a session and ask in turns as fast as it can.
#[test]
fn a_session_that_is_soon_gone_is_opened_again_after_pauses_that_grow() {
    let mut world = World::seeded(71);
    let [ann] = world.devices(["ann"]);
    world.create(ann, &["ben"]);
    world.settle();
    world.refuse(CommandType::Conv, ServiceCode::SESSION_REQUIRED);
    world.partition(ann);
    world.pass(Duration::from_secs(1));
    world.repair(ann);
    let before = world.service.queries;
    world.pass(Duration::from_secs(600));
    let asked = world.service.queries - before;
    assert!((2..20).contains(&asked), "{asked} questions in ten minutes");
    world.service.refuses = None;
    world.pass(Duration::from_secs(400));
    assert_eq!(world.session(ann), SessionState::Open);
    // One that stood for a while and is gone is opened again at once.
    world.service.forget_sessions();
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "again");
    world.pass(Duration::from_millis(900));
    assert!(world.outbox(ann).is_empty(), "{:?}", world.outbox(ann));
}
