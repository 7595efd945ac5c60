//! Messages that failed: they stay, are recognised, sent again or taken out, and never come twice.

use std::sync::Arc;
use std::time::Duration;

use sampan::model::{
    ConversationId, ForeignMessage, LocalId, Mentions, Message, MessageContent, MessageId,
    MessageKey, MessageState, NewMessage, OutboxState, SendFailure, SendOptions, Timestamp,
};
use sampan::wire::Op;
use sampan::{Conversation, SampanError, ServerAddress};

use crate::cable::Cable;
use crate::place::{Device, Place, config, id, line};
use crate::support::raw::RawConnection;

/// Ann was removed from a conversation of ben's, and what she said there was refused.
struct Scene {
    place: Place,
    raw: RawConnection,
    ann: Device,
    talk: Arc<Conversation>,
    id: ConversationId,
}

impl Scene {
    async fn new() -> Self {
        let place = Place::new().await;
        let ann = place.online("phone", "ann").await;
        let (raw, ben) = place.raw("ben").await;
        let members = [ben.clone(), id("ann")];
        let talk = raw
            .start_conversation(&ben, &members, "talk")
            .await
            .unwrap();
        raw.say(&ben, &talk, "hello").await.unwrap();
        ann.sees(&talk, &["ben: hello"]).await;
        let scene = Self {
            talk: ann.handle(&talk),
            place,
            raw,
            ann,
            id: talk,
        };
        // She writes before she can know.
        scene.ann.client.go_offline().unwrap();
        scene.talk.send_text("am I in?".into(), None).await.unwrap();
        scene.has_ann(Op::Remove).await;
        scene.ann.go_online().await;
        scene
    }

    async fn has_ann(&self, op: Op) {
        let (ben, ann) = (id("ben"), [id("ann")]);
        let changed = self.raw.change_members(&ben, &self.id, op, &ann);
        changed.await.unwrap();
    }

    /// Waits for the refusal, and returns the state of the message.
    async fn failed(&self) -> MessageState {
        self.ann
            .until("the refusal", || async {
                let state = self.ann.messages(&self.id).await.pop()?.state;
                matches!(state, MessageState::Failed { .. }).then_some(state)
            })
            .await
    }
}

/// S175, S268, S270, S271: a refused message stays, over a restart too, with the service's number, and can be
/// sent again as soon as it may; it arrives once.
#[tokio::test]
async fn a_failed_message_stays_and_can_be_sent_again_once() {
    let scene = Scene::new().await;
    let failure = SendFailure::refused(4401, "INVALID_MESSAGING_TARGET");
    assert_eq!(scene.failed().await, MessageState::Failed { failure });
    scene.ann.engine.shutdown().await.unwrap();
    let ann = scene.place.online("phone", "ann").await;
    let last = ann.messages(&scene.id).await.pop().expect("it is there");
    assert!(
        matches!(last.state, MessageState::Failed { .. }),
        "{last:?}"
    );
    let entries = ann.client.outbox().await.unwrap();
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert!(matches!(entry.state, OutboxState::Failed { .. }));

    scene.has_ann(Op::Add).await;
    ann.client.retry(entry.id).await.unwrap();
    ann.has_sent_everything().await;
    let ben = scene.place.online("laptop", "ben").await;
    let talk = ben
        .client
        .fetch_conversation(scene.id.clone())
        .await
        .unwrap();
    while !talk.fetch_older(100).await.unwrap().start_reached {}
    ben.sees(&scene.id, &["ben: hello", "ann: am I in?"]).await;
}

/// S269: a failed message can be taken out; it is gone here and never sent.
#[tokio::test]
async fn a_failed_message_can_be_taken_out() {
    let scene = Scene::new().await;
    scene.failed().await;
    let entries = scene.ann.client.outbox().await.unwrap();
    scene.ann.client.discard(entries[0].id).await.unwrap();
    let words = |lines: Vec<String>| {
        lines
            .into_iter()
            .filter(|it| it != "(gap)")
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(scene.ann.lines(&scene.id).await.unwrap()),
        ["ben: hello"]
    );
    assert!(scene.ann.client.outbox().await.unwrap().is_empty());
    scene.has_ann(Op::Add).await;
    scene.talk.send_text("back".into(), None).await.unwrap();
    scene.ann.has_sent_everything().await;
    let ben = scene.place.online("laptop", "ben").await;
    let talk = ben
        .client
        .fetch_conversation(scene.id.clone())
        .await
        .unwrap();
    while !talk.fetch_older(100).await.unwrap().start_reached {}
    ben.sees(&scene.id, &["ben: hello", "ann: back"]).await;
}

/// S362: a message that is not acknowledged in time, as often as the app allows, has failed, and says so;
/// sent again, it is there once.
#[tokio::test]
async fn a_message_that_nobody_acknowledges_has_failed_and_can_be_sent_again() {
    let place = Place::new().await;
    let cable = Cable::lay(None).await;
    cable.plug_into(place.service.addr());
    let url = format!("http://{}", cable.addr);
    let store = place.folder.path().join("phone");
    let mut near = config(ServerAddress::Router { url }, &store);
    near.limits.request_timeout = Duration::from_millis(100);
    near.limits.send_tries_max = 2;
    let ann = Device::open(near, "ann").await;
    ann.go_online().await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("before".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    cable.deafen();
    let sent = talk.send_text("hello?".into(), None).await.unwrap();
    let state = ann
        .until("the failure", || async {
            let state = ann.messages(&service_id).await.pop()?.state;
            matches!(state, MessageState::Failed { .. }).then_some(state)
        })
        .await;
    let failure = SendFailure::TriesExhausted { tries: 2 };
    assert_eq!(state, MessageState::Failed { failure });
    // The service had it all the time. The app is started anew without the cable.
    ann.engine.shutdown().await.unwrap();
    let ann = place.online("phone", "ann").await;
    // It may have been found in history meanwhile: then there is nothing left to be sent.
    let _ = ann.client.retry(sent.entry.unwrap()).await;
    ann.has_sent_everything().await;
    ann.sees(&service_id, &["ann: before", "ann: hello?"]).await;
    let ben = place.online("laptop", "ben").await;
    ben.sees(&service_id, &["ann: before", "ann: hello?"]).await;
}

/// S268, S269, S270, S271: an app keeps a message that it could not make ready; it shows as failed after a restart
/// too, is sent once when it is retried, and another one is taken out again.
#[tokio::test]
async fn an_app_keeps_a_failed_message_and_takes_one_out() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let id = ann.service_id(&talk).await;
    let own = |id: &str| NewMessage {
        options: SendOptions {
            local_id: Some(LocalId::new(id).unwrap()),
            ..SendOptions::default()
        },
        ..NewMessage::text(id)
    };
    for _ in 0..2 {
        let kept = talk.keep_failed(own("a photo"), "the upload failed".into());
        let kept = kept.await.unwrap().message;
        assert!(matches!(
            kept.delivery,
            Some(sampan::Delivery::Failed {
                can_retry: true,
                ..
            })
        ));
    }
    talk.keep_failed(own("unwanted"), "no".into())
        .await
        .unwrap();
    let key = |id: &str| MessageKey::local(LocalId::new(id).unwrap());
    talk.remove(key("unwanted")).await.unwrap();
    drop(talk);
    ann.engine.shutdown().await.unwrap();
    let ann = place.online("phone", "ann").await;
    let talk = ann.client.conversation(id.clone()).unwrap();
    ann.sees(&id, &["ann: hello", "ann: a photo (failed)"])
        .await;
    let shown = talk.message(key("a photo")).await.unwrap().message.unwrap();
    assert!(matches!(
        shown.delivery,
        Some(sampan::Delivery::Failed {
            can_retry: true,
            ..
        })
    ));
    talk.retry(key("a photo")).await.unwrap();
    ann.has_sent_everything().await;
    ann.sees(&id, &["ann: hello", "ann: a photo"]).await;
    let ben = place.online("laptop", "ben").await;
    ben.sees(&id, &["ann: hello", "ann: a photo"]).await;
}

/// S268, S269: a message that an app got by another way is put into the store and taken out by it.
#[tokio::test]
async fn an_app_puts_a_foreign_message_into_the_store_and_takes_it_out() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let conversation = ann.service_id(&talk).await;
    ann.client.go_offline().unwrap();
    let sent_at = Timestamp::from_millis(7);
    let message_id = MessageId::new("pushed").unwrap();
    let foreign = ForeignMessage {
        conversation: conversation.clone(),
        id: message_id.clone(),
        sender: id("ben"),
        sent_at,
        content: MessageContent::text("from a push"),
        mentions: Mentions::default(),
    };
    talk.keep(foreign).await.unwrap();
    let said = |messages: Vec<Message>| messages.iter().map(line).collect::<Vec<_>>();
    let shown = said(ann.messages(&conversation).await);
    assert_eq!(shown, ["ben: from a push", "ann: hello"]);
    let key = MessageKey::service(sent_at, message_id);
    talk.remove(key.clone()).await.unwrap();
    assert_eq!(said(ann.messages(&conversation).await), ["ann: hello"]);
    let again = talk.remove(key).await;
    assert!(
        matches!(again, Err(SampanError::NotFound { .. })),
        "{again:?}"
    );
}
