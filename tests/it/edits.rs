//! Edits and recalls by the app itself: durable at once, shown at once, told in order.

use sampan::SampanError;
use sampan::model::{
    ConversationId, Discarded, Message, MessageContent, MessageKey, OutboxKind, PendingChange,
    SendFailure,
};

use crate::place::{Device, Place, line};

/// The messages of a conversation that is open on a device, by their words.
async fn key_of(device: &Device, talk: &sampan::Conversation, words: &str) -> MessageKey {
    let messages = device.messages(&talk.conversation_id()).await;
    let mut said = messages.iter();
    let found = said.find(|it| it.content.words() == Some(words));
    MessageKey::of(found.expect("the message")).unwrap()
}

/// What a conversation says, without the gaps that a disconnected device shows.
async fn said(device: &Device, id: &ConversationId) -> Vec<String> {
    device.messages(id).await.iter().map(line).collect()
}

/// S225, S226, S224: an own message is edited and recalled however old it is; another device of the user and
/// the other member see both.
#[tokio::test]
async fn an_edit_and_a_recall_show_on_every_device() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("helo".into()).await.unwrap();
    talk.send_text("never mind".into()).await.unwrap();
    ann.has_sent_everything().await;
    let id = ann.service_id(&talk).await;
    let first = key_of(&ann, &talk, "helo").await;
    let second = key_of(&ann, &talk, "never mind").await;
    talk.edit(first.clone(), MessageContent::text("hello"))
        .await
        .unwrap();
    talk.recall(second.clone()).await.unwrap();
    ann.has_sent_everything().await;
    for device in [&ann, &tablet, &ben] {
        device.sees(&id, &["ann: hello", "ann: recalled"]).await;
    }
    let edited = talk.message(first).await.unwrap().expect("it is there");
    assert_eq!(edited.change, None);
    assert!(edited.edited_at.is_some());
    let recalled = talk.edit(second, MessageContent::text("again")).await;
    assert!(matches!(recalled, Err(SampanError::NotPossible { .. })));
}

/// S224: somebody else's message is left alone, and the app is told so at once.
#[tokio::test]
async fn a_message_of_somebody_else_is_not_edited() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("mine".into()).await.unwrap();
    let id = ann.service_id(&talk).await;
    ben.sees(&id, &["ann: mine"]).await;
    let theirs = ben.client.conversation(id.clone()).await.unwrap();
    let key = key_of(&ben, &theirs, "mine").await;
    for refused in [
        theirs
            .edit(key.clone(), MessageContent::text("yours"))
            .await,
        theirs.recall(key).await,
    ] {
        assert!(matches!(refused, Err(SampanError::NotPossible { .. })));
    }
    assert!(ben.client.outbox().await.unwrap().is_empty());
    ben.sees(&id, &["ann: mine"]).await;
}

/// S223: where the app's settings forbid edits the message says again what it said, and why; the app tries
/// again or gives the edit up.
#[tokio::test]
async fn an_edit_that_the_service_refuses_is_undone_with_the_reason() {
    let place = Place::with_settings(r#"{"features": {"edit": false}}"#).await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("tea".into()).await.unwrap();
    ann.has_sent_everything().await;
    let key = key_of(&ann, &talk, "tea").await;
    talk.edit(key.clone(), MessageContent::text("coffee"))
        .await
        .unwrap();
    let refused = |message: Message| match message.change {
        Some(PendingChange::Edit { failure }) => failure,
        _ => None,
    };
    let failure = ann
        .until("the refusal", || async {
            let message = talk.message(key.clone()).await.ok()??;
            assert_ne!(message.content.words(), None);
            refused(message)
        })
        .await;
    assert!(matches!(failure, SendFailure::Refused { code: 4406, .. }));
    let shown = talk.message(key.clone()).await.unwrap().unwrap();
    assert_eq!(shown.content.words(), Some("tea"));
    // What failed blocks nothing.
    talk.send_text("cake".into()).await.unwrap();
    ann.sees(&talk.conversation_id(), &["ann: tea", "ann: cake"])
        .await;
    talk.retry(key.clone()).await.unwrap();
    ann.until("the second refusal", || async {
        refused(talk.message(key.clone()).await.ok()??)
    })
    .await;
    let discarded = talk.discard(key.clone()).await.unwrap();
    assert_eq!(discarded, Discarded::NeverSent);
    let shown = talk.message(key).await.unwrap().unwrap();
    assert_eq!((shown.change, shown.content.words()), (None, Some("tea")));
}

/// What is done offline is in the outbox, shows at once, survives a restart, and arrives once and in order.
#[tokio::test]
async fn edits_and_recalls_made_offline_survive_a_restart_and_arrive() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("one".into()).await.unwrap();
    talk.send_text("two".into()).await.unwrap();
    ann.has_sent_everything().await;
    let id = ann.service_id(&talk).await;
    ann.client.go_offline().unwrap();
    let one = key_of(&ann, &talk, "one").await;
    let two = key_of(&ann, &talk, "two").await;
    talk.edit(one.clone(), MessageContent::text("uno"))
        .await
        .unwrap();
    talk.recall(two).await.unwrap();
    let unsent = talk.send_text("thre".into()).await.unwrap();
    let three = MessageKey::local(unsent.local_id);
    talk.edit(three, MessageContent::text("three"))
        .await
        .unwrap();
    let never = talk.send_text("never".into()).await.unwrap();
    talk.recall(MessageKey::local(never.local_id))
        .await
        .unwrap();
    let shown = ["ann: uno", "ann: recalled", "ann: three (pending)"];
    assert_eq!(said(&ann, &id).await, shown);
    let message = talk.message(one).await.unwrap().unwrap();
    assert_eq!(message.change, Some(PendingChange::Edit { failure: None }));
    let listed = ann.client.conversations(None, 1).await.unwrap();
    let last = listed.conversations[0].last_message.clone().unwrap();
    assert_eq!(last.content.words(), Some("three"));
    drop(talk);
    ann.engine.shutdown().await.unwrap();
    let ann = place.device("phone", "ann").await;
    let kinds: Vec<_> = ann.client.outbox().await.unwrap();
    let kinds: Vec<_> = kinds.into_iter().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [OutboxKind::Edit, OutboxKind::Recall, OutboxKind::Send]
    );
    assert_eq!(said(&ann, &id).await, shown);
    let ben = place.online("laptop", "ben").await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    let all = ["ann: uno", "ann: recalled", "ann: three"];
    ann.sees(&id, &all).await;
    ben.sees(&id, &all).await;
}
