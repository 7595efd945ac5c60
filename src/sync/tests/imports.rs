//! Work that comes from outside the app: from another process of it, and from the cache of an older SDK; and
//! messages to peers.

use super::world::{Device, World};
use crate::model::{ClientId, ConversationId, LocalId, Mentions, MessageContent, Timestamp};
use crate::store::{Dropped, Intent, SendIntent, Teller};
use crate::sync::{
    Import, ImportLegacy, Imported, LegacyDraft, LegacyPart, OpenPeers, RequestError,
};
use crate::wire::Command;
use crate::wire::generated::AckCommand;

fn plain(text: &str) -> MessageContent {
    MessageContent::Plain { text: text.into() }
}

/// Hands in a message that an extension of the app left.
fn import(world: &mut World, device: Device, room: &ConversationId, text: &str) -> Imported {
    let dropped = Dropped {
        token: LocalId::new(text).unwrap(),
        conversation: room.clone(),
        intent: Intent::Send(SendIntent {
            content: plain(text),
            mentions: Mentions::default(),
            receipt: false,
            transient: false,
            push: None,
            priority: None,
            will: false,
            upload: None,
        }),
        dropped_at: Timestamp::from_millis(world.wall()),
    };
    let dropped = vec![dropped];
    world.ask(device, Import { dropped }).unwrap()
}

#[test]
fn a_message_of_an_extension_is_sent_once_and_fails_where_the_conversation_was_left() {
    let (mut world, ann, room) = World::with_room(151);
    let taken = |imported| Imported {
        imported,
        left: Vec::new(),
    };
    assert_eq!(import(&mut world, ann, &room, "in time"), taken(1));
    assert_eq!(import(&mut world, ann, &room, "in time"), taken(0));
    world.settle();
    assert_eq!(import(&mut world, ann, &room, "in time"), taken(0));
    assert_eq!(world.truth(&room), ["ann: in time"]);
    world.remove_member(&room, "ann");
    world.settle();
    assert_eq!(import(&mut world, ann, &room, "late"), taken(1));
    let outbox = world.outbox(ann);
    assert_eq!(outbox.len(), 1, "{outbox:?}");
    assert!(
        outbox[0].contains("the conversation was left"),
        "{outbox:?}"
    );
    world.settle();
    assert_eq!(world.truth(&room), ["ann: in time"]);
}

#[test]
fn a_draft_of_an_older_cache_waits_for_the_user_and_the_last_part_counts_the_import() {
    let (mut world, ann, room) = World::with_room(152);
    let part = |is_last| LegacyPart {
        teller: Teller::Swift,
        conversations: Vec::new(),
        messages: Vec::new(),
        runs: Vec::new(),
        drafts: vec![LegacyDraft {
            conversation: room.clone(),
            token: LocalId::new("old").unwrap(),
            at: Timestamp::from_millis(5),
            content: plain("old"),
            mentions: Mentions::default(),
            upload: None,
            lost_file: None,
        }],
        is_last,
    };
    let imports = |world: &World| world.store(ann).snapshot().session().imports;
    let before = imports(&world);
    let taken = world.ask(ann, ImportLegacy { part: part(false) }).unwrap();
    assert_eq!((taken.drafts.stored, taken.drafts.unchanged), (1, 0));
    assert_eq!(imports(&world), before);
    let taken = world.ask(ann, ImportLegacy { part: part(true) }).unwrap();
    assert_eq!((taken.drafts.stored, taken.drafts.unchanged), (0, 1));
    assert_eq!(imports(&world), before + 1);
    world.settle();
    assert_eq!(world.timeline(ann, &room), ["ann: old !"]);
    assert!(world.truth(&room).is_empty());
}

fn names_ben(command: &Command) -> bool {
    matches!(command, Command::Direct(body) if body.cid.is_none() && body.to_peer_ids == ["ben"])
}

/// The service makes the conversation of peers with the first message, which names the receivers.
#[test]
fn the_first_message_to_peers_names_them() {
    let (mut world, ann, _) = World::with_room(153);
    let ids = |names: &[&str]| names.iter().map(|it| ClientId::new(it).unwrap()).collect();
    for wrong in [&[][..], &["ann"], &["a:b"]] {
        let refused = world.ask(ann, OpenPeers { peers: ids(wrong) });
        assert!(matches!(refused, Err(RequestError::InvalidArgument { .. })));
    }
    let peers = ids(&["ben"]);
    let opened = world.ask(ann, OpenPeers { peers }).unwrap().conversation;
    let ack = AckCommand {
        uid: Some("m".to_owned()),
        t: Some(world.wall()),
        cid: Some(opened.as_str().to_owned()),
        ..AckCommand::default()
    };
    world.service.scripts.push((names_ben, Command::ack(ack)));
    world.say(ann, &opened, "hello");
    world.settle();
    assert!(world.service.scripts.is_empty());
    // The history around it is not known.
    let shown = world.timeline(ann, &opened);
    assert!(shown.contains(&"ann: hello".to_owned()), "{shown:?}");
    assert!(world.outbox(ann).is_empty());
    assert!(world.service.watched.contains("ben"));
    // The conversation is on the device from now on.
    let peers = ids(&["ben", "ann"]);
    let again = world.ask(ann, OpenPeers { peers }).unwrap();
    assert_eq!(again.conversation, opened);
}
