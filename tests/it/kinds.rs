//! Kinds of conversations besides the ordinary one, as an app makes them.

use std::time::Duration;

use sampan::SampanError;
use sampan::model::{
    ConversationId, ConversationInfo, ConversationKind, ConversationState, Event, NewConversation,
    OutboxEntry, OutboxKind, Uniqueness,
};

use crate::place::{Device, Place, id};

fn room(name: &str) -> NewConversation {
    NewConversation {
        kind: ConversationKind::ChatRoom,
        name: Some(name.to_owned()),
        ..NewConversation::default()
    }
}

/// Makes a conversation and waits for the service's id.
async fn made(device: &Device, wanted: NewConversation) -> ConversationId {
    let made = device.client.create_conversation(wanted).await.unwrap();
    device.service_id(&made.conversation).await
}

/// A conversation as the service tells it to another client.
async fn fetched(device: &Device, conversation: &ConversationId) -> ConversationInfo {
    let found = device.client.fetch_conversation(conversation.clone()).await;
    found.unwrap().info().await.unwrap()
}

/// S066, S067, S136: a chat room has its kind for everybody and no list of members; unique has no
/// effect on it; its creation is told.
#[tokio::test]
async fn a_chat_room_has_its_kind_and_no_members_and_unique_finds_none() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let mut events = ann.client.events();
    let wanted = NewConversation {
        uniqueness: Uniqueness::Unique,
        ..room("Harbour")
    };
    let first = made(&ann, wanted.clone()).await;
    let told = Device::is_told(&mut events, "the room", |event| match event {
        Event::ConversationChanged { conversation, .. } => {
            (conversation.id == first).then_some(conversation)
        }
        _ => None,
    });
    assert_eq!(told.await.kind, ConversationKind::ChatRoom);
    let second = made(&ann, wanted).await;
    assert_ne!(first, second, "unique has no effect on chat rooms");
    let info = fetched(&ben, &first).await;
    assert_eq!(info.kind, ConversationKind::ChatRoom);
    assert_eq!(info.name.as_deref(), Some("Harbour"));
    assert_eq!(info.members, []);
}

/// S068: a temporary conversation says by its id what it is, carries messages, and is the same one for
/// the same members.
#[tokio::test]
async fn a_temporary_conversation_is_known_by_its_id_and_carries_messages() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let wanted = || NewConversation {
        kind: ConversationKind::Temporary,
        members: vec![id("ben")],
        lifetime: Some(Duration::from_secs(3600)),
        ..NewConversation::default()
    };
    let made = ann.client.create_conversation(wanted()).await.unwrap();
    made.conversation
        .send_text("for an hour".into(), None)
        .await
        .unwrap();
    let service_id = ann.service_id(&made.conversation).await;
    assert!(service_id.as_str().starts_with("_tmp:"), "{service_id}");
    ben.sees(&service_id, &["ann: for an hour"]).await;
    let info = ben.handle(&service_id).info().await.unwrap();
    assert_eq!(info.kind, ConversationKind::Temporary);
    let again = ann.client.create_conversation(wanted()).await.unwrap();
    assert_eq!(ann.service_id(&again.conversation).await, service_id);
}

/// S068: what another device of a client said in a temporary conversation is caught up with, though no list of the
/// service names such a conversation and nothing is unread in it.
#[tokio::test]
async fn the_words_of_another_device_in_a_temporary_conversation_are_caught_up_with() {
    let place = Place::new().await;
    let phone = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let wanted = NewConversation {
        kind: ConversationKind::Temporary,
        members: vec![id("ben")],
        lifetime: Some(Duration::from_secs(3600)),
        ..NewConversation::default()
    };
    let made = phone.client.create_conversation(wanted).await.unwrap();
    let talk = made.conversation;
    talk.send_text("one".into(), None).await.unwrap();
    let talk_id = phone.service_id(&talk).await;
    phone.has_sent_everything().await;
    tablet.sees(&talk_id, &["ann: one"]).await;
    phone.engine.shutdown().await.unwrap();
    drop((talk, phone));
    let there = tablet.handle(&talk_id);
    there.send_text("two".into(), None).await.unwrap();
    tablet.has_sent_everything().await;
    let phone = place.online("phone", "ann").await;
    phone.sees(&talk_id, &["ann: one", "ann: two"]).await;
}

/// S070: a client cannot make a service conversation; nothing is enqueued.
#[tokio::test]
async fn a_service_conversation_cannot_be_made_by_a_client() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let wanted = NewConversation {
        kind: ConversationKind::Service,
        ..NewConversation::default()
    };
    let refusal = ann.client.create_conversation(wanted).await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::InvalidArgument { .. }),
        "{refusal}"
    );
    assert!(ann.client.outbox().await.unwrap().is_empty());
}

/// S114: a chat room is entered and left offline: each is durable, shown at once and told to the service in order; a
/// client outside may speak there, and hears nothing.
#[tokio::test]
async fn a_chat_room_is_entered_and_left_through_the_outbox() {
    let place = Place::new().await;
    let ben = place.online("laptop", "ben").await;
    let room = made(&ben, room("Harbour")).await;
    let ann = place.online("phone", "ann").await;
    fetched(&ann, &room).await;
    ann.client.go_offline().unwrap();
    let here = ann.client.join(room.clone()).await.unwrap();
    here.send_text("ahoy".into(), None).await.unwrap();
    let kinds = |entries: Vec<OutboxEntry>| entries.iter().map(|it| it.kind).collect::<Vec<_>>();
    let waiting = kinds(ann.client.outbox().await.unwrap());
    assert_eq!(waiting, [OutboxKind::Join, OutboxKind::Send]);
    let adds = here.add_members(vec![id("cat")]).await;
    assert!(matches!(adds, Err(SampanError::NotPossible { .. })));
    ann.go_online().await;
    ann.has_sent_everything().await;
    ben.until("what ann says inside", || async {
        ben.lines(&room)
            .await
            .ok()?
            .contains(&"ann: ahoy".to_owned())
            .then_some(())
    })
    .await;
    let there = ben.handle(&room);
    there.send_text("welcome".into(), None).await.unwrap();
    ann.until("what is said inside", || async {
        ann.lines(&room)
            .await
            .ok()?
            .contains(&"ben: welcome".to_owned())
            .then_some(())
    })
    .await;

    ann.client.go_offline().unwrap();
    here.quit().await.unwrap();
    assert_eq!(here.info().await.unwrap().state, ConversationState::Left);
    here.send_text("farewell".into(), None).await.unwrap();
    ann.go_online().await;
    ann.has_sent_everything().await;
    assert_eq!(here.info().await.unwrap().state, ConversationState::Left);
    ben.until("what ann says outside", || async {
        ben.lines(&room)
            .await
            .ok()?
            .contains(&"ann: farewell".to_owned())
            .then_some(())
    })
    .await;
    there.send_text("a secret".into(), None).await.unwrap();
    ben.has_sent_everything().await;
    let talk = ben.talk_to("ann").await;
    talk.send_text("did you hear?".into(), None).await.unwrap();
    let talk = ben.service_id(&talk).await;
    ann.sees(&talk, &["ben: did you hear?"]).await;
    assert!(
        !ann.lines(&room)
            .await
            .unwrap()
            .contains(&"ben: a secret".to_owned())
    );
}
