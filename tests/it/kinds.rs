//! Kinds of conversations besides the ordinary one, as an app makes them.

use std::time::Duration;

use sampan::SampanError;
use sampan::model::{
    ConversationId, ConversationInfo, ConversationKind, Event, NewConversation, Uniqueness,
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

/// What another client is told of a conversation when it asks the service.
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
        .send_text("for an hour".into())
        .await
        .unwrap();
    let service_id = ann.service_id(&made.conversation).await;
    assert!(service_id.as_str().starts_with("_tmp:"), "{service_id}");
    ben.sees(&service_id, &["ann: for an hour"]).await;
    let info = ben.handle(&service_id).await.info().await.unwrap();
    assert_eq!(info.kind, ConversationKind::Temporary);
    let again = ann.client.create_conversation(wanted()).await.unwrap();
    assert_eq!(ann.service_id(&again.conversation).await, service_id);
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
