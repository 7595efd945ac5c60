//! Receipts: the states of a message that its sender learns, and conversations without receipts.

use sampan::OfflineMode;
use sampan::model::{ConversationId, Event, Message, MessageState};

use crate::place::{Device, Place};

fn is_delivered(message: &Message) -> bool {
    matches!(message.state, MessageState::Delivered { .. })
}

/// Waits until the sender knows that its newest message was delivered.
async fn delivered(sender: &Device, talk: &ConversationId) -> Vec<Message> {
    sender
        .until("a receipt", || async {
            let messages = sender.messages(talk).await;
            messages
                .last()
                .is_some_and(is_delivered)
                .then_some(messages)
        })
        .await
}

/// S173, S175, S194, S195: a message is pending, sent, delivered: a subscriber is told each of them, of
/// the same message, and the receipt has a time that is not before the message's.
#[tokio::test]
async fn a_message_is_pending_then_sent_then_delivered_and_each_is_told() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("first".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: first"]).await;
    let mut events = ann.client.events();
    let sent = talk.send_text("hello".into(), None).await.unwrap();
    assert!(matches!(
        sent.message.delivery,
        Some(sampan::Delivery::Waiting { .. })
    ));
    let mut states = Vec::new();
    let told = Device::is_told(&mut events, "the receipt", |event| {
        let (Event::MessageAdded { message, .. } | Event::MessageChanged { message, .. }) = event
        else {
            return None;
        };
        if message.local_id.as_ref() != Some(&sent.local_id) {
            return None;
        }
        states.push(message.state.clone());
        is_delivered(&message).then_some(message)
    });
    let told = told.await;
    assert_eq!(states.first(), Some(&MessageState::Pending));
    assert!(
        states.contains(&MessageState::Sent) || states.len() == 2,
        "{states:?}"
    );
    let MessageState::Delivered { at } = told.state else {
        panic!("{told:?}");
    };
    assert!(at >= told.sent_at, "{told:?}");
    let stored = talk.message_by_local_id(sent.local_id).await.unwrap();
    assert!(is_delivered(&stored), "{stored:?}");
}

/// S197, S373: messages older than a delivered one count as delivered; none of them counts as read.
#[tokio::test]
async fn what_is_older_than_a_delivered_message_is_delivered_and_not_read() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    for words in ["one", "two", "three"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let before = ann.messages(&service_id).await;
    assert!(
        before.iter().all(|it| it.state == MessageState::Sent),
        "nobody has them"
    );
    let ben = place.online("laptop", "ben").await;
    ben.sees(&service_id, &["ann: one", "ann: two", "ann: three"])
        .await;
    talk.send_text("four".into(), None).await.unwrap();
    let messages = delivered(&ann, &service_id).await;
    assert_eq!(messages.len(), 4);
    assert!(messages.iter().all(is_delivered), "{messages:?}");
    let info = talk.info().await.unwrap();
    assert!(info.delivered_until >= messages.last().map(|it| it.sent_at));
    assert!(info.read_until < info.delivered_until, "{info:?}");
}

/// S192, S359: with three members there are no receipts.
#[tokio::test]
async fn a_conversation_of_three_has_no_receipts() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let cem = place.online("tablet", "cem").await;
    let three = ann.talk_to_all(&["ben", "cem"]).await;
    three.send_text("to both".into(), None).await.unwrap();
    let three = ann.service_id(&three).await;
    for member in [&ben, &cem] {
        member.sees(&three, &["ann: to both"]).await;
    }
    // A receipt of a later message of two members has come: one of the earlier message would have, too.
    let two = ann.talk_to("ben").await;
    two.send_text("to you".into(), None).await.unwrap();
    let two = ann.service_id(&two).await;
    ben.sees(&two, &["ann: to you"]).await;
    let again = ann.handle(&two);
    again.send_text("and again".into(), None).await.unwrap();
    delivered(&ann, &two).await;
    let states: Vec<_> = ann
        .messages(&three)
        .await
        .into_iter()
        .map(|it| it.state)
        .collect();
    assert_eq!(states, [MessageState::Sent]);
}

fn is_read(message: &Message) -> bool {
    matches!(message.state, MessageState::Read { .. })
}

/// Waits until a conversation's newest line is this one; older history may be missing.
async fn shows_last(device: &Device, conversation: &ConversationId, line: &str) {
    device
        .until(&format!("{line} as the newest line"), || async {
            let lines = device.lines(conversation).await.ok()?;
            (lines.last()? == line).then_some(())
        })
        .await;
}

/// S200: read receipts come from readers in the unread mode, which a fresh configuration has. This
/// service also takes the marks of a reader in push mode. Receipts come when the reader marks the conversation read,
/// and not when the message arrives.
#[tokio::test]
async fn a_reader_in_the_unread_mode_sends_read_receipts_and_one_in_push_mode_too() {
    let place = Place::new().await;
    assert_eq!(place.config("fresh").offline_mode, OfflineMode::Unread);
    for (mode, reader) in [(OfflineMode::Unread, "ben"), (OfflineMode::Push, "cem")] {
        let ann = place.online(&format!("{reader}'s friend"), "ann").await;
        let talk = ann.talk_to(reader).await;
        talk.send_text("missed".into(), None).await.unwrap();
        let service_id = ann.service_id(&talk).await;
        ann.has_sent_everything().await;
        let mut config = place.config(reader);
        config.offline_mode = mode;
        let other = Device::open(config, reader).await;
        other.go_online().await;
        shows_last(&other, &service_id, "ann: missed").await;
        talk.send_text("live".into(), None).await.unwrap();
        shows_last(&other, &service_id, "ann: live").await;
        let arrived = delivered(&ann, &service_id).await;
        assert!(!arrived.iter().any(is_read), "{mode:?}: {arrived:?}");
        let info = talk.info().await.unwrap();
        let newest = arrived.last().map(|it| it.sent_at);
        assert!(info.read_until < newest, "{mode:?}: {info:?}");

        other.handle(&service_id).mark_read(None).await.unwrap();
        ann.until("the read receipt", || async {
            let messages = ann.messages(&service_id).await;
            messages.iter().all(is_read).then_some(())
        })
        .await;
        let info = talk.info().await.unwrap();
        assert!(info.read_until >= newest, "{mode:?}: {info:?}");
        let theirs = other.handle(&service_id).info().await.unwrap();
        assert_eq!(theirs.unread.count, 0, "{mode:?}");
    }
}
