//! Edits and recalls by the app itself: durable at once, shown at once, told in order.

use sampan::SampanError;
use sampan::model::{
    ConversationId, Discarded, MessageContent, MessageKey, OutboxKind, PendingChange, SendFailure,
};

use crate::place::{Device, Place, line};

/// The messages of a conversation that is open on a device, by their words.
async fn key_of(device: &Device, talk: &sampan::Conversation, words: &str) -> MessageKey {
    let messages = device.messages(&talk.conversation_id()).await;
    let mut said = messages.iter();
    let found = said.find(|it| it.content.words() == Some(words));
    MessageKey::of(found.expect("the message")).unwrap()
}

/// The lines of a conversation, without the gaps that a disconnected device shows.
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
    talk.send_text("helo".into(), None).await.unwrap();
    talk.send_text("never mind".into(), None).await.unwrap();
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
    let edited = talk
        .message(first)
        .await
        .unwrap()
        .message
        .expect("it is there");
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
    talk.send_text("mine".into(), None).await.unwrap();
    let id = ann.service_id(&talk).await;
    ben.sees(&id, &["ann: mine"]).await;
    let theirs = ben.client.conversation(id.clone()).unwrap();
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
    talk.send_text("tea".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let key = key_of(&ann, &talk, "tea").await;
    talk.edit(key.clone(), MessageContent::text("coffee"))
        .await
        .unwrap();
    let refused = |message: sampan::Message| match message.change {
        Some(PendingChange::Edit { failure }) => failure,
        _ => None,
    };
    let failure = ann
        .until("the refusal", || async {
            let message = talk.message(key.clone()).await.ok()?.message?;
            assert_ne!(message.content.words(), None);
            refused(message)
        })
        .await;
    assert!(matches!(failure, SendFailure::Refused { code: 4406, .. }));
    let shown = talk.message(key.clone()).await.unwrap().message.unwrap();
    assert_eq!(shown.content.words(), Some("tea"));
    // The edit that failed blocks nothing.
    talk.send_text("cake".into(), None).await.unwrap();
    ann.sees(&talk.conversation_id(), &["ann: tea", "ann: cake"])
        .await;
    talk.retry(key.clone()).await.unwrap();
    ann.until("the second refusal", || async {
        refused(talk.message(key.clone()).await.ok()?.message?)
    })
    .await;
    let discarded = talk.discard(key.clone()).await.unwrap();
    assert_eq!(discarded.discarded, Discarded::NeverSent);
    let shown = talk.message(key).await.unwrap().message.unwrap();
    assert_eq!((shown.change, shown.content.words()), (None, Some("tea")));
}

/// Edits and recalls made offline are in the outbox, show at once, survive a restart, and arrive once and in order.
#[tokio::test]
async fn edits_and_recalls_made_offline_survive_a_restart_and_arrive() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("one".into(), None).await.unwrap();
    talk.send_text("two".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let id = ann.service_id(&talk).await;
    ann.client.go_offline().unwrap();
    let one = key_of(&ann, &talk, "one").await;
    let two = key_of(&ann, &talk, "two").await;
    talk.edit(one.clone(), MessageContent::text("uno"))
        .await
        .unwrap();
    talk.recall(two).await.unwrap();
    let unsent = talk.send_text("thre".into(), None).await.unwrap();
    let three = MessageKey::local(unsent.local_id);
    talk.edit(three, MessageContent::text("three"))
        .await
        .unwrap();
    let never = talk.send_text("never".into(), None).await.unwrap();
    talk.recall(MessageKey::local(never.local_id))
        .await
        .unwrap();
    let shown = ["ann: uno", "ann: recalled", "ann: three (pending)"];
    assert_eq!(said(&ann, &id).await, shown);
    let message = talk.message(one).await.unwrap().message.unwrap();
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

/// Waits until a device shows nothing that is still on its way.
async fn is_at_rest(device: &Device) {
    device
        .until("nothing on its way", || async {
            let outbox = device.client.outbox().await.ok()?;
            let is_still = |entry: &sampan::model::OutboxEntry| {
                matches!(entry.state, sampan::model::OutboxState::Failed { .. })
            };
            outbox.iter().all(is_still).then_some(())
        })
        .await;
}

/// S225–S228: of an edit and a recall of one message, made on two devices of its sender that were both away, the recall
/// stands on every device and in history, whichever came first; the device whose edit came too late says so.
#[tokio::test]
async fn of_an_edit_and_a_recall_on_two_devices_the_recall_stands_everywhere() {
    for edit_is_first in [true, false] {
        let place = Place::new().await;
        let ann = place.online("phone", "ann").await;
        let tablet = place.online("tablet", "ann").await;
        let ben = place.online("laptop", "ben").await;
        let talk = ann.talk_to("ben").await;
        let sent = talk.send_text("tow".into(), None).await.unwrap();
        ann.has_sent_everything().await;
        let id = ann.service_id(&talk).await;
        tablet.sees(&id, &["ann: tow"]).await;
        let there = tablet.handle(&id);
        let key = key_of(&tablet, &there, "tow").await;
        for device in [&ann, &tablet] {
            device.client.go_offline().unwrap();
        }
        let mine = MessageKey::local(sent.local_id.clone());
        talk.edit(mine, MessageContent::text("two")).await.unwrap();
        there.recall(key).await.unwrap();
        assert_eq!(said(&ann, &id).await, ["ann: two"]);
        assert_eq!(said(&tablet, &id).await, ["ann: recalled"]);
        let order = if edit_is_first {
            [&ann, &tablet]
        } else {
            [&tablet, &ann]
        };
        for device in order {
            device.go_online().await;
            is_at_rest(device).await;
        }
        let later = place.online("desk", "ben").await;
        later.client.fetch_conversation(id.clone()).await.unwrap();
        later.handle(&id).fetch_older(10).await.unwrap();
        for device in [&ann, &tablet, &ben, &later] {
            device.sees(&id, &["ann: recalled"]).await;
        }
        let late = talk.message_by_local_id(sent.local_id).await.unwrap();
        match late.change {
            None => assert!(edit_is_first),
            Some(PendingChange::Edit { failure }) => assert!(failure.is_some() && !edit_is_first),
            Some(PendingChange::Recall { .. }) => panic!("{late:?}"),
        }
    }
}

/// S194, S199: receipts and edits of one message do not undo each other: a read message stays read when it is edited
/// and recalled, and a message that is edited while its receipt is on its way ends both edited and read.
#[tokio::test]
async fn receipts_and_changes_of_one_message_do_not_undo_each_other() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let sent = talk.send_text("tow".into(), None).await.unwrap();
    let id = ann.service_id(&talk).await;
    ben.sees(&id, &["ann: tow"]).await;
    let key = MessageKey::local(sent.local_id.clone());
    let theirs = ben.handle(&id);
    let edit = talk.edit(key.clone(), MessageContent::text("two"));
    let (edited, read) = tokio::join!(edit, theirs.mark_read(None));
    edited.unwrap();
    read.unwrap();
    ben.sees(&id, &["ann: two"]).await;
    let is_read = |message: sampan::model::Message| match message.state {
        sampan::model::MessageState::Read { at } if message.edited_at.is_some() => Some(at),
        _ => None,
    };
    let at = ann.until("an edited message that was read", || async {
        is_read(talk.message_by_local_id(sent.local_id.clone()).await.ok()?)
    });
    let at = at.await;
    talk.recall(key).await.unwrap();
    ann.has_sent_everything().await;
    ben.sees(&id, &["ann: recalled"]).await;
    let recalled = talk.message_by_local_id(sent.local_id).await.unwrap();
    assert!(recalled.content.is_recalled());
    assert_eq!(is_read(recalled), Some(at));
}
