//! How a message is sent: transient, as a will, with a priority, under the app's own id.

use super::world::{Device, World};
use crate::Limits;
use crate::model::{
    ConversationId, Json, LocalId, MessageContent, NewConversation, NewMessage, Priority,
    SendOptions,
};
use crate::sync::request::{CreateConversation, Enqueued, RequestError, SendMessage};

fn message(text: &str, options: SendOptions) -> NewMessage {
    NewMessage {
        options,
        ..NewMessage::new(MessageContent::Plain { text: text.into() })
    }
}

fn send(
    world: &mut World,
    device: Device,
    conversation: &ConversationId,
    text: &str,
    options: SendOptions,
) -> Result<Enqueued, RequestError> {
    let call = SendMessage {
        conversation: conversation.clone(),
        message: message(text, options),
    };
    let caller = world.call(device, call);
    world.moment();
    world.answer(device, caller).expect("an answer")
}

fn transient() -> SendOptions {
    SendOptions {
        transient: true,
        ..SendOptions::default()
    }
}

#[test]
fn a_transient_message_reaches_who_is_online_and_is_kept_by_nobody() {
    let mut world = World::seeded(1);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    let sent = send(&mut world, ann, &room, "typing", transient()).unwrap();
    assert!(sent.message.transient && sent.message.id.is_some() && sent.entry.is_none());
    assert_eq!(world.transient(ben), ["typing"]);
    assert!(world.outbox(ann).is_empty());
    for timeline in [world.timeline(ann, &room), world.timeline(ben, &id)] {
        assert!(timeline.is_empty(), "{timeline:?}");
    }
    assert!(world.truth(&id).is_empty());
}

#[test]
fn a_transient_message_is_never_queued() {
    let mut world = World::seeded(2);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.partition(ann);
    world.moment();
    let sent = send(&mut world, ann, &room, "typing", transient());
    assert_eq!(sent, Err(RequestError::NotConnected));
    let offline = world.create(ann, &["cat"]);
    let sent = send(&mut world, ann, &offline, "typing", transient());
    assert_eq!(sent, Err(RequestError::NotConnected));
    assert_eq!(world.outbox(ann), ["Create queued"]);
}

/// S181: the app may have a transient message wait: it goes out once there is a session, and is kept by nobody.
#[test]
fn a_transient_message_waits_where_the_app_asks_for_that() {
    let mut world = World::seeded(22);
    let [ann, ben] = world.devices(["ann", "ben"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    world.partition(ann);
    world.moment();
    let queued = SendOptions {
        queued: true,
        ..transient()
    };
    let sent = send(&mut world, ann, &room, "ring", queued).unwrap();
    assert!(sent.entry.is_some() && sent.message.transient);
    assert_eq!(world.outbox(ann), ["Send queued"]);
    world.crash(ann);
    world.connect(ann);
    world.repair(ann);
    world.settle();
    assert_eq!(world.transient(ben), ["ring"]);
    assert!(world.outbox(ann).is_empty());
    assert!(world.timeline(ann, &room).is_empty() && world.truth(&id).is_empty());
    // Its acknowledgement is lost: it is sent again, and not looked for in a history that never has it.
    world.lose_next_answer(ann);
    let queued = SendOptions {
        queued: true,
        ..transient()
    };
    send(&mut world, ann, &room, "again", queued).unwrap();
    world.pass(std::time::Duration::from_secs(120));
    world.settle();
    assert!(world.transient(ben).contains(&"again".to_owned()));
    assert!(world.outbox(ann).is_empty());
}

/// S240: the last will that was given is the one that counts, whichever conversations they are in and however
/// they went out.
#[test]
fn the_last_will_takes_the_place_of_those_that_wait_in_other_conversations() {
    let mut world = World::seeded(23);
    let [ann] = world.devices(["ann"]);
    let (first, second) = (world.create(ann, &["ben"]), world.create(ann, &["cat"]));
    world.settle();
    world.partition(ann);
    world.moment();
    let will = || SendOptions {
        will: true,
        ..SendOptions::default()
    };
    for (room, text) in [(&first, "one"), (&second, "two"), (&first, "three")] {
        send(&mut world, ann, room, text, will()).unwrap();
        assert_eq!(world.outbox(ann), ["Send queued"]);
    }
    world.repair(ann);
    world.settle();
    let last = ("ann".to_owned(), "three".to_owned());
    assert_eq!(world.service.wills, std::slice::from_ref(&last));
    world.cut(ann);
    world.settle();
    assert_eq!(world.service.wills, [last.clone(), last]);
}

#[test]
fn a_transient_message_never_trips_the_services_limit() {
    let limits = Limits {
        sends_per_minute: 3,
        ..Limits::default()
    };
    let mut world = World::with_limits(3, limits);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    for _ in 0..3 {
        assert!(send(&mut world, ann, &room, "typing", transient()).is_ok());
    }
    let sent = send(&mut world, ann, &room, "typing", transient());
    assert!(
        matches!(sent, Err(RequestError::Refused { .. })),
        "{sent:?}"
    );
}

#[test]
fn the_apps_own_id_sends_once_unsent_sent_and_after_a_restart() {
    let mut world = World::seeded(4);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    let options = || SendOptions {
        local_id: Some(LocalId::new("share-7").unwrap()),
        ..SendOptions::default()
    };
    world.partition(ann);
    world.moment();
    let first = send(&mut world, ann, &room, "once", options()).unwrap();
    let again = send(&mut world, ann, &room, "once", options()).unwrap();
    assert_eq!(first, again);
    assert_eq!(world.outbox(ann), ["Send queued"]);
    world.repair(ann);
    world.settle();
    let sent = send(&mut world, ann, &room, "once", options()).unwrap();
    assert_eq!((sent.entry, sent.message.id.is_some()), (None, true));
    world.crash(ann);
    world.connect(ann);
    world.settle();
    send(&mut world, ann, &room, "once", options()).unwrap();
    world.settle();
    assert_eq!(world.truth(&id), ["ann: once"]);
}

#[test]
fn a_priority_reaches_the_service() {
    let mut world = World::seeded(5);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    for priority in [Priority::Low, Priority::High] {
        let options = SendOptions {
            priority: Some(priority),
            ..SendOptions::default()
        };
        send(&mut world, ann, &room, "urgent", options).unwrap();
    }
    world.say(ann, &room, "as usual");
    world.settle();
    assert_eq!(world.service.priorities, [3, 1]);
}

#[test]
fn a_will_survives_offline_times_and_is_set_again_with_each_session() {
    let mut world = World::seeded(6);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let id = world.service_id(ann, &room);
    let will = || SendOptions {
        will: true,
        ..SendOptions::default()
    };
    world.partition(ann);
    world.moment();
    send(&mut world, ann, &room, "gone", will()).unwrap();
    assert!(world.timeline(ann, &room).iter().all(|it| it == "~"));
    assert_eq!(world.outbox(ann), ["Send queued"]);
    world.crash(ann);
    world.connect(ann);
    world.repair(ann);
    world.settle();
    let gone = ("ann".to_owned(), "gone".to_owned());
    assert_eq!(world.service.wills, std::slice::from_ref(&gone));
    assert!(world.outbox(ann).is_empty());
    world.cut(ann);
    world.settle();
    assert_eq!(world.service.wills, [gone.clone(), gone]);
    assert!(world.truth(&id).is_empty());
    let both = SendOptions {
        transient: true,
        ..will()
    };
    let sent = send(&mut world, ann, &room, "neither", both);
    assert!(matches!(sent, Err(RequestError::InvalidArgument { .. })));
}

#[test]
fn a_push_that_is_no_object_and_attributes_that_are_too_deep_are_refused_at_the_call() {
    let mut world = World::seeded(12);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    let mut push = |value: serde_json::Value| {
        let call = SendMessage {
            conversation: room.clone(),
            message: NewMessage {
                push: Some(Json::from_value(&value)),
                ..message("hello", SendOptions::default())
            },
        };
        world.ask(ann, call).map(drop)
    };
    assert_eq!(push(serde_json::json!({"alert": "hello"})), Ok(()));
    for wrong in [serde_json::json!([]), serde_json::json!("hello")] {
        let refused = push(wrong);
        assert!(matches!(refused, Err(RequestError::InvalidArgument { .. })));
    }
    let mut create = |levels: usize| {
        let text = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let conversation = NewConversation {
            attributes: Some(Json::parse(text).unwrap()),
            ..NewConversation::default()
        };
        world
            .ask(ann, CreateConversation { conversation })
            .map(drop)
    };
    assert_eq!(create(31), Ok(()));
    let refused = create(32);
    assert!(matches!(refused, Err(RequestError::InvalidArgument { .. })));
}
