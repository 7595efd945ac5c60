//! Edits and recalls by this device: shown at once, told in order, undone when they are refused.

use std::time::Duration;

use super::world::{Device, World};
use crate::model::{ConversationId, Discarded, LocalId, Message, MessageKey, SendFailure};
use crate::store::TimelineItem;
use crate::sync::request::{DiscardMessage, RecallMessage, RequestError, RetryMessage};
use crate::wire::ServiceCode;
use crate::wire::generated::CommandType;

/// Ann and Ben in a room, with one message of Ann's in it.
fn scene(seed: u64) -> (World, [Device; 2], ConversationId, LocalId) {
    let mut world = World::seeded(seed);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    let (_, tea) = world.say(ann, &room, "tea");
    world.settle();
    (world, [ann, ben], room, tea)
}

fn key(message: &LocalId) -> MessageKey {
    MessageKey::local(message.clone())
}

fn discard(world: &mut World, device: Device, room: &ConversationId, id: &LocalId) -> Discarded {
    let (conversation, message) = (room.clone(), key(id));
    let request = DiscardMessage {
        conversation,
        message,
    };
    world.ask(device, request).unwrap().discarded
}

fn messages(world: &World, device: Device, room: &ConversationId) -> Vec<Message> {
    let items = world.items(device, room).into_iter();
    items.filter_map(TimelineItem::into_message).collect()
}

#[test]
fn an_edit_shows_at_once_and_reaches_the_service_and_the_others() {
    let (mut world, [ann, ben], room, tea) = scene(1);
    let id = world.service_id(ann, &room);
    world.rewrite(ann, &room, &tea, "green tea").unwrap();
    assert_eq!(world.timeline(ann, &room), ["ann: green tea (changing)"]);
    assert_eq!(world.timeline(ben, &id), ["ann: tea"]);
    world.moment();
    for timeline in [
        world.timeline(ann, &room),
        world.timeline(ben, &id),
        world.truth(&id),
    ] {
        assert_eq!(timeline, ["ann: green tea"]);
    }
    assert!(world.outbox(ann).is_empty());
    let edited_at = messages(&world, ann, &room)[0].edited_at;
    assert_eq!(edited_at, messages(&world, ben, &id)[0].edited_at);
    assert!(edited_at.is_some());
}

#[test]
fn a_recall_shows_at_once_and_reaches_the_service_and_the_others() {
    let (mut world, [ann, ben], room, tea) = scene(2);
    let id = world.service_id(ann, &room);
    world.take_back(ann, &room, &tea).unwrap();
    assert_eq!(world.timeline(ann, &room), ["ann: ? (changing)"]);
    world.moment();
    assert_eq!(world.timeline(ann, &room), ["ann: ?"]);
    assert_eq!(world.timeline(ben, &id), ["ann: ?"]);
    let again = world.take_back(ann, &room, &tea);
    assert_eq!(
        again,
        Err(RequestError::NotPossible {
            obstacle: crate::Obstacle::Recalled
        })
    );
    let edited = world.rewrite(ann, &room, &tea, "tea after all");
    assert_eq!(
        edited,
        Err(RequestError::NotPossible {
            obstacle: crate::Obstacle::Recalled
        })
    );
}

#[test]
fn of_a_message_that_never_left_an_edit_changes_the_entry_and_a_recall_cancels_it() {
    let (mut world, [ann, ben], room, _) = scene(3);
    let id = world.service_id(ann, &room);
    world.partition(ann);
    world.moment();
    let (_, first) = world.say(ann, &room, "one");
    let (_, second) = world.say(ann, &room, "two");
    world.rewrite(ann, &room, &first, "uno").unwrap();
    world.take_back(ann, &room, &second).unwrap();
    assert_eq!(world.timeline(ann, &room), ["ann: tea", "ann: uno …"]);
    assert_eq!(world.outbox(ann), ["Send queued"]);
    world.repair(ann);
    world.settle();
    assert_eq!(world.timeline(ben, &id), ["ann: tea", "ann: uno"]);
    assert_eq!(world.service.patches, 0);
}

#[test]
fn an_edit_of_a_message_on_its_way_waits_for_the_answer_and_follows_it() {
    let (mut world, [ann, ben], room, _) = scene(4);
    let id = world.service_id(ann, &room);
    world.lose_next_answer(ann);
    let (_, local) = world.say(ann, &room, "onee");
    world.pass(Duration::from_millis(200));
    assert_eq!(world.truth(&id), ["ann: tea", "ann: onee"]);
    world.partition(ann);
    world.rewrite(ann, &room, &local, "one").unwrap();
    assert_eq!(
        world.timeline(ann, &room),
        ["ann: tea", "ann: one … (changing)"]
    );
    assert_eq!(world.outbox(ann), ["Send queued", "Edit queued"]);
    world.crash(ann);
    world.connect(ann);
    world.repair(ann);
    world.settle();
    assert_eq!(world.truth(&id), ["ann: tea", "ann: one"]);
    assert_eq!(world.timeline(ann, &room), world.truth(&id));
    assert_eq!(world.timeline(ben, &id), world.truth(&id));
    assert_eq!(
        discard_error(&mut world, ann, &room, &local),
        RequestError::NotPossible {
            obstacle: crate::Obstacle::HasNotFailed
        }
    );
}

fn discard_error(
    world: &mut World,
    device: Device,
    room: &ConversationId,
    id: &LocalId,
) -> RequestError {
    let request = DiscardMessage {
        conversation: room.clone(),
        message: key(id),
    };
    world.ask(device, request).unwrap_err()
}

#[test]
fn edits_of_one_message_become_one_and_a_recall_takes_their_place() {
    let (mut world, [ann, ..], room, tea) = scene(5);
    world.partition(ann);
    world.moment();
    world.rewrite(ann, &room, &tea, "green").unwrap();
    world.rewrite(ann, &room, &tea, "black").unwrap();
    assert_eq!(world.outbox(ann), ["Edit queued"]);
    assert_eq!(world.timeline(ann, &room), ["ann: black (changing)"]);
    world.take_back(ann, &room, &tea).unwrap();
    assert_eq!(world.outbox(ann), ["Recall queued"]);
    world.repair(ann);
    world.settle();
    assert_eq!(world.service.patches, 1);
    assert_eq!(world.timeline(ann, &room), ["ann: ?"]);
}

#[test]
fn a_recall_whose_answer_was_lost_is_sent_again_and_takes_one_message_off_the_count() {
    let (mut world, [ann, ben], room, tea) = scene(17);
    let id = world.service_id(ann, &room);
    world.say(ann, &room, "cake");
    world.settle();
    assert_eq!(world.unread(ben, &id), (2, false));
    world.lose_next_answer(ann);
    world.take_back(ann, &room, &tea).unwrap();
    world.settle();
    assert_eq!(world.service.patches, 2, "it was sent twice");
    for device in [ann, ben] {
        assert_eq!(world.timeline(device, &id), ["ann: ?", "ann: cake"]);
    }
    assert_eq!(world.unread(ben, &id), (1, false), "one message less");
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn a_lost_answer_repeats_an_edit_which_changes_nothing_more() {
    let (mut world, [ann, ben], room, tea) = scene(6);
    let id = world.service_id(ann, &room);
    world.lose_next_answer(ann);
    world.rewrite(ann, &room, &tea, "green").unwrap();
    world.settle();
    assert_eq!(world.service.patches, 2);
    assert_eq!(world.timeline(ann, &room), ["ann: green"]);
    assert_eq!(world.timeline(ben, &id), ["ann: green"]);
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn an_edit_that_is_refused_is_undone_with_the_reason_and_blocks_nothing() {
    let (mut world, [ann, ..], room, tea) = scene(7);
    let code = ServiceCode::MESSAGE_OWNERSHIP_REQUIRED;
    world.service.refuses = Some((CommandType::Patch, code));
    world.rewrite(ann, &room, &tea, "green").unwrap();
    world.say(ann, &room, "cake");
    world.settle();
    assert_eq!(
        world.timeline(ann, &room),
        ["ann: tea (not changed)", "ann: cake"]
    );
    let shown = messages(&world, ann, &room)[0].change.clone();
    let failure = SendFailure::refused(4403, "MESSAGE_OWNERSHIP_REQUIRED".to_owned());
    let failure = Some(failure);
    assert_eq!(shown, Some(crate::model::PendingChange::Edit { failure }));
    world.service.refuses = None;
    let (conversation, message) = (room.clone(), key(&tea));
    let request = RetryMessage {
        conversation,
        message,
    };
    world.ask(ann, request.clone()).unwrap();
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: green", "ann: cake"]);
    assert_eq!(
        world.ask(ann, request),
        Err(RequestError::NotPossible {
            obstacle: crate::Obstacle::HasNotFailed
        })
    );
}

#[test]
fn an_edit_that_was_refused_can_be_given_up() {
    let (mut world, [ann, ..], room, tea) = scene(8);
    world.service.refuses = Some((CommandType::Patch, ServiceCode::MESSAGE_EDIT_DISABLED));
    world.rewrite(ann, &room, &tea, "green").unwrap();
    world.settle();
    let discarded = discard(&mut world, ann, &room, &tea);
    assert_eq!(discarded, Discarded::NeverSent);
    assert_eq!(world.timeline(ann, &room), ["ann: tea"]);
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn of_a_message_that_was_refused_a_waiting_edit_changes_what_is_sent_again() {
    let (mut world, [ann, ..], room, _) = scene(9);
    let id = world.service_id(ann, &room);
    world.service.refuses = Some((CommandType::Direct, ServiceCode::MESSAGE_REJECTED_BY_APP));
    let (_, local) = world.say(ann, &room, "onee");
    world.rewrite(ann, &room, &local, "one").unwrap();
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: tea", "ann: one !"]);
    world.service.refuses = None;
    let (conversation, message) = (room.clone(), key(&local));
    let request = RetryMessage {
        conversation,
        message,
    };
    world.ask(ann, request).unwrap();
    world.settle();
    assert_eq!(world.truth(&id), ["ann: tea", "ann: one"]);
    assert_eq!(world.service.patches, 0);
}

#[test]
fn behind_a_message_that_may_have_arrived_an_edit_is_set_aside_and_blocks_nothing() {
    let (mut world, [ann, ..], room, _) = scene(10);
    let id = world.service_id(ann, &room);
    world.service.forgets_tokens = true;
    world.lose_next_answer(ann);
    let (_, local) = world.say(ann, &room, "ok");
    world.pass(Duration::from_millis(200));
    world.partition(ann);
    world.rewrite(ann, &room, &local, "okay").unwrap();
    world.say(ann, &room, "next");
    world.post(&id, "ann", "ok");
    world.pass(Duration::from_secs(3600));
    world.repair(ann);
    world.settle();
    assert_eq!(world.outbox(ann), ["Send failed: Ambiguous", "Edit queued"]);
    assert_eq!(
        world.truth(&id),
        ["ann: tea", "ann: ok", "ann: ok", "ann: next"]
    );
    let discarded = discard(&mut world, ann, &room, &local);
    assert_eq!(discarded, Discarded::WasOnItsWay);
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn what_is_others_or_nowhere_is_not_changed() {
    let (mut world, [ann, ben], room, tea) = scene(11);
    let id = world.service_id(ann, &room);
    let message = MessageKey::of(&messages(&world, ben, &id)[0]).unwrap();
    let conversation = id.clone();
    let request = RecallMessage {
        conversation,
        message,
    };
    assert_eq!(
        world.ask(ben, request),
        Err(RequestError::NotPossible {
            obstacle: crate::Obstacle::NotYours
        })
    );
    let nowhere = LocalId::new("nowhere").unwrap();
    let edited = world.rewrite(ann, &room, &nowhere, "x");
    assert_eq!(edited, Err(RequestError::UnknownMessage));
    let long = "x".repeat(5 * 1024);
    let edited = world.rewrite(ann, &room, &tea, &long);
    assert!(matches!(edited, Err(RequestError::TooLarge { .. })));
    assert_eq!(world.timeline(ann, &room), ["ann: tea"]);
}

#[test]
fn giving_up_an_unsent_message_says_whether_others_may_have_it() {
    let (mut world, [ann, ..], room, _) = scene(12);
    world.partition(ann);
    world.moment();
    let (_, local) = world.say(ann, &room, "never");
    let discarded = discard(&mut world, ann, &room, &local);
    assert_eq!(discarded, Discarded::NeverSent);
    assert_eq!(world.timeline(ann, &room), ["ann: tea"]);
    world.repair(ann);
    world.settle();
    world.slow_answers(ann, Duration::from_secs(10));
    let (_, local) = world.say(ann, &room, "gone");
    let discarded = discard(&mut world, ann, &room, &local);
    assert_eq!(discarded, Discarded::WasOnItsWay);
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: tea", "ann: gone"]);
}
