//! Messages that the app puts into the store and removes, and its notes about a conversation.

use super::world::{Device, World};
use crate::model::{
    ClientId, ConversationId, Draft, ForeignMessage, LocalId, Mentions, MessageContent, MessageId,
    MessageKey, NewMessage, SendOptions, Timestamp,
};
use crate::sync::{
    Done, EditMessage, Enqueued, KeepFailed, KeepForeign, LocalNote, Note, RemoveMessage,
    RequestError, RetryEntry,
};

fn plain(text: &str) -> MessageContent {
    MessageContent::Plain { text: text.into() }
}

fn keep_failed(
    world: &mut World,
    device: Device,
    conversation: &ConversationId,
    options: SendOptions,
) -> Result<Enqueued, RequestError> {
    let call = KeepFailed {
        conversation: conversation.clone(),
        message: NewMessage {
            options,
            ..NewMessage::new(plain("unlucky"))
        },
        reason: "the picture is gone".to_owned(),
    };
    world.ask(device, call)
}

fn remove(
    world: &mut World,
    device: Device,
    conversation: &ConversationId,
    message: MessageKey,
) -> Result<Done, RequestError> {
    let call = RemoveMessage {
        conversation: conversation.clone(),
        message,
    };
    world.ask(device, call)
}

#[test]
fn a_message_that_is_kept_as_failed_is_sent_when_it_is_retried() {
    let (mut world, ann, room) = World::with_room(141);
    for options in [
        SendOptions {
            transient: true,
            ..SendOptions::default()
        },
        SendOptions {
            will: true,
            ..SendOptions::default()
        },
    ] {
        let refused = keep_failed(&mut world, ann, &room, options);
        assert!(matches!(refused, Err(RequestError::InvalidArgument { .. })));
    }
    let kept = keep_failed(&mut world, ann, &room, SendOptions::default()).unwrap();
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: unlucky !"]);
    assert!(world.truth(&room).is_empty());
    let entry = kept.entry.unwrap();
    world.ask(ann, RetryEntry { entry }).unwrap();
    world.settle();
    assert_eq!(world.truth(&room), ["ann: unlucky"]);
    assert_eq!(world.timeline(ann, &room), ["ann: unlucky"]);
}

#[test]
fn a_message_from_elsewhere_is_shown_between_gaps_until_history_is_read_around_it() {
    let (mut world, ann, room) = World::with_room(142);
    world.post(&room, "ben", "one");
    world.moment();
    world.partition(ann);
    world.post_unheard(&room, "ben", "two");
    world.moment();
    world.post_unheard(&room, "ben", "three");
    let pushed = world.service.conversations[room.as_str()].messages[2].clone();
    let foreign = |conversation: &ConversationId| ForeignMessage {
        conversation: conversation.clone(),
        id: MessageId::new(&pushed.id).unwrap(),
        sender: ClientId::new("ben").unwrap(),
        sent_at: Timestamp::from_millis(pushed.at),
        content: plain("three"),
        mentions: Mentions::default(),
    };
    let message = foreign(&ConversationId::new("nowhere").unwrap());
    let unknown = world.ask(ann, KeepForeign { message });
    assert_eq!(unknown, Err(RequestError::UnknownConversation));
    let message = foreign(&room);
    assert_eq!(world.ask(ann, KeepForeign { message }), Ok(Done));
    let shown = world.timeline(ann, &room);
    assert_eq!(shown.first().map(String::as_str), Some("ben: one"));
    assert!(shown.contains(&"~".to_owned()), "{shown:?}");
    assert!(shown.contains(&"ben: three".to_owned()), "{shown:?}");
    world.repair(ann);
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}

#[test]
fn a_message_is_removed_from_this_device_alone_whatever_its_key() {
    let (mut world, ann, room) = World::with_room(143);
    let (_, first) = world.say(ann, &room, "one");
    world.say(ann, &room, "two");
    world.settle();
    let second = world.service.conversations[room.as_str()].messages[1].clone();
    let second = MessageKey::service(
        Timestamp::from_millis(second.at),
        MessageId::new(&second.id).unwrap(),
    );
    let first = MessageKey::local(first);
    let other = world.found(&["ann", "cat"]);
    world.settle();
    let elsewhere = remove(&mut world, ann, &other, first.clone());
    assert_eq!(elsewhere, Err(RequestError::UnknownMessage));
    assert_eq!(remove(&mut world, ann, &room, first.clone()), Ok(Done));
    assert_eq!(world.timeline(ann, &room), ["ann: two"]);
    assert_eq!(remove(&mut world, ann, &room, second.clone()), Ok(Done));
    assert!(!world.timeline(ann, &room).contains(&"ann: two".to_owned()));
    for gone in [
        first,
        second,
        MessageKey::local(LocalId::new("none").unwrap()),
    ] {
        let again = remove(&mut world, ann, &room, gone);
        assert_eq!(again, Err(RequestError::UnknownMessage));
    }
    let nowhere = ConversationId::new("nowhere").unwrap();
    let key = MessageKey::local(LocalId::new("none").unwrap());
    let unknown = remove(&mut world, ann, &nowhere, key);
    assert_eq!(unknown, Err(RequestError::UnknownConversation));
    assert_eq!(world.truth(&room), ["ann: one", "ann: two"]);
}

#[test]
fn a_message_on_its_way_is_not_removed_and_an_unsent_one_is_with_its_changes() {
    let (mut world, ann, room) = World::with_room(144);
    let (_, under_way) = world.say(ann, &room, "under way");
    let key = MessageKey::local(under_way);
    let answer = remove(&mut world, ann, &room, key.clone());
    let obstacle = crate::Obstacle::OnItsWay;
    assert_eq!(answer, Err(RequestError::NotPossible { obstacle }));
    world.settle();
    world.partition(ann);
    world.moment();
    let edit = EditMessage {
        conversation: room.clone(),
        message: key.clone(),
        content: plain("changed"),
    };
    world.ask(ann, edit).unwrap();
    let (_, unsent) = world.say(ann, &room, "unsent");
    for message in [key, MessageKey::local(unsent)] {
        assert_eq!(remove(&mut world, ann, &room, message), Ok(Done));
    }
    assert!(world.outbox(ann).is_empty(), "{:?}", world.outbox(ann));
    world.repair(ann);
    world.settle();
    assert_eq!(world.truth(&room), ["ann: under way"]);
}

#[test]
fn notes_about_a_conversation_are_kept_and_an_empty_draft_is_none() {
    let (mut world, ann, room) = World::with_room(145);
    let mut note = |note: LocalNote| {
        let conversation = room.clone();
        let call = Note { conversation, note };
        assert_eq!(world.ask(ann, call), Ok(Done));
        let row = world.row(ann, &room);
        let draft = row.draft.as_ref().map(|draft| draft.text.clone());
        (row.pinned, row.is_hidden(), draft)
    };
    let draft = |text: &str| {
        LocalNote::Draft(Some(Draft {
            text: text.to_owned(),
            ..Draft::default()
        }))
    };
    let text = || Some("so far".to_owned());
    assert_eq!(note(LocalNote::Pinned(true)), (true, false, None));
    assert_eq!(note(draft("so far")), (true, false, text()));
    assert_eq!(note(draft("so far")), (true, false, text()));
    assert_eq!(note(LocalNote::Hidden(true)), (true, true, text()));
    assert_eq!(note(LocalNote::Hidden(false)), (true, false, text()));
    assert_eq!(note(LocalNote::Pinned(false)), (false, false, text()));
    assert_eq!(note(draft("")), (false, false, None));
    assert_eq!(note(draft("so far")), (false, false, text()));
    assert_eq!(note(LocalNote::Draft(None)), (false, false, None));
    assert_eq!(note(LocalNote::Hidden(true)), (false, true, None));
    world.crash(ann);
    assert!(world.row(ann, &room).is_hidden());
    world.connect(ann);
    world.settle();
    assert!(world.row(ann, &room).is_hidden(), "nothing happened in it");
    world.post(&room, "ben", "hello");
    world.settle();
    assert!(!world.row(ann, &room).is_hidden());
    let call = Note {
        conversation: ConversationId::new("nowhere").unwrap(),
        note: LocalNote::Pinned(true),
    };
    let unknown = world.ask(ann, call);
    assert_eq!(unknown, Err(RequestError::UnknownConversation));
}

#[test]
fn a_message_from_elsewhere_of_the_same_millisecond_as_the_newest_leaves_no_hole() {
    let (mut world, ann, room) = World::with_room(146);
    world.service.granularity = 60_000;
    world.post(&room, "ben", "first");
    world.moment();
    let stored = |world: &World| world.service.conversations[room.as_str()].messages.clone();
    let first = stored(&world).remove(0);
    for text in ["second", "third", "fourth", "fifth"] {
        world.post_unheard(&room, "ben", text);
    }
    let last = stored(&world).pop().unwrap();
    assert_eq!(last.at, first.at);
    assert!(last.id > first.id, "one of four is behind the first");
    let message = ForeignMessage {
        conversation: room.clone(),
        id: MessageId::new(&last.id).unwrap(),
        sender: ClientId::new("ben").unwrap(),
        sent_at: Timestamp::from_millis(last.at),
        content: plain(&last.text),
        mentions: Mentions::default(),
    };
    assert_eq!(world.ask(ann, KeepForeign { message }), Ok(Done));
    world.settle();
    assert_eq!(world.timeline(ann, &room), world.truth(&room));
}
