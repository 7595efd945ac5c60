//! Two devices talk, offline and back.

use sampan::model::{MessageState, SessionState};
use sampan::{OfflineMode, PayloadEncoding};

use crate::place::{Device, Place};

/// S003, S004, S020, S026, S060, S061: sign in with an id alone, make a conversation, send, receive, in both directions.
#[tokio::test]
async fn two_devices_chat_and_both_timelines_are_the_same() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let id = ann.service_id(&talk).await;
    ben.sees(&id, &["ann: hello"]).await;
    let answer = ben.client.conversation(id.clone()).unwrap();
    answer.send_text("hi ann".into(), None).await.unwrap();
    ann.sees(&id, &["ann: hello", "ben: hi ann"]).await;
    ben.sees(&id, &["ann: hello", "ben: hi ann"]).await;
    assert_eq!(ann.client.session_state(), SessionState::Open);
}

/// S210: messages that were said while a device was away are there when it is back, in order, and counted.
#[tokio::test]
async fn what_was_said_while_away_is_there_afterwards_and_counted_until_it_is_read() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("one".into(), None).await.unwrap();
    let id = ann.service_id(&talk).await;
    ben.sees(&id, &["ann: one"]).await;
    ben.client
        .conversation(id.clone())
        .unwrap()
        .mark_read(None)
        .await
        .unwrap();
    ben.has_sent_everything().await;
    ben.client.go_offline().unwrap();
    for words in ["two", "three"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    ann.has_sent_everything().await;
    ben.go_online().await;
    ben.sees(&id, &["ann: one", "ann: two", "ann: three"]).await;
    let handle = ben.client.conversation(id).unwrap();
    ben.until("two unread messages", || async {
        (handle.info().await.ok()?.unread.count == 2).then_some(())
    })
    .await;
    assert_eq!(ben.client.unread_totals().await.unwrap().all.messages, 2);
    handle.mark_read(None).await.unwrap();
    assert!(
        handle.info().await.unwrap().unread.is_none(),
        "a mark clears at once"
    );
    assert_eq!(ben.client.unread_totals().await.unwrap().all.messages, 0);
}

/// S306, S312: own messages from another device reach the timeline and raise no unread count.
#[tokio::test]
async fn a_second_device_of_the_same_client_shows_what_the_first_one_sent() {
    let place = Place::new().await;
    let phone = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let talk = phone.talk_to("ben").await;
    talk.send_text("from my phone".into(), None).await.unwrap();
    let id = phone.service_id(&talk).await;
    tablet.sees(&id, &["ann: from my phone"]).await;
    let info = tablet
        .client
        .conversation(id)
        .unwrap()
        .info()
        .await
        .unwrap();
    assert!(info.unread.is_none(), "{:?}", info.unread);
}

/// S040, S087: one message reaches every other member, and nobody else.
#[tokio::test]
async fn a_message_reaches_every_other_member_of_a_conversation() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let cem = place.online("tablet", "cem").await;
    let dan = place.online("watch", "dan").await;
    let talk = ann.talk_to_all(&["ben", "cem"]).await;
    talk.send_text("to you two".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    for member in [&ben, &cem] {
        member.sees(&service_id, &["ann: to you two"]).await;
    }
    // The message to dan comes after the other one, so that dan would have heard that by then.
    let other = ann.talk_to("dan").await;
    other.send_text("to you".into(), None).await.unwrap();
    let other = ann.service_id(&other).await;
    dan.sees(&other, &["ann: to you"]).await;
    let strange = dan.client.conversation(service_id).unwrap();
    assert!(strange.info().await.is_err());
}

/// S041: a session that the app closed gets nothing, until it is opened again.
#[tokio::test]
async fn who_has_closed_the_session_gets_no_message_until_it_opens_again() {
    let place = Place::new().await;
    let phone = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    talk.send_text("one".into(), None).await.unwrap();
    let service_id = ben.service_id(&talk).await;
    phone.sees(&service_id, &["ben: one"]).await;
    phone.client.go_offline().unwrap();
    talk.send_text("two".into(), None).await.unwrap();
    // The other device has the message: the service has sent it to every device that is online.
    tablet.sees(&service_id, &["ben: one", "ben: two"]).await;
    assert_eq!(phone.lines(&service_id).await.unwrap(), ["ben: one"]);
    phone.go_online().await;
    phone.sees(&service_id, &["ben: one", "ben: two"]).await;
}

/// S005: text frames instead of binary ones carry the same chat.
#[tokio::test]
async fn text_frames_carry_the_same_chat_as_binary_ones() {
    let place = Place::new().await;
    let mut config = place.config("phone");
    config.payload = PayloadEncoding::Text;
    let ann = Device::open(config, "ann").await;
    ann.go_online().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let id = ann.service_id(&talk).await;
    ben.sees(&id, &["ann: hello"]).await;
    let answer = ben.client.conversation(id.clone()).unwrap();
    answer.send_text("hi ann".into(), None).await.unwrap();
    ann.sees(&id, &["ann: hello", "ben: hi ann"]).await;
}

/// S209: the service pushes what was missed, where the app chose that.
#[tokio::test]
async fn messages_missed_while_away_are_pushed_where_the_app_chose_that() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let id = ann.service_id(&talk).await;
    let mut config = place.config("laptop");
    config.offline_mode = OfflineMode::Push;
    let ben = Device::open(config, "ben").await;
    ben.go_online().await;
    // Older history may be missing: a gap then says so.
    ben.until("the pushed message", || async {
        let lines = ben.lines(&id).await.ok()?;
        (lines.last()? == "ann: hello").then_some(())
    })
    .await;
}

/// An acknowledged message keeps its local id; the local id leads to it for ever.
#[tokio::test]
async fn an_acknowledged_message_keeps_its_local_id() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let sent = talk.send_text("hello".into(), None).await.unwrap();
    let delivery = sent.message.delivery;
    assert!(
        matches!(delivery, Some(sampan::Delivery::Waiting { .. })),
        "{delivery:?}"
    );
    ann.has_sent_everything().await;
    let found = talk
        .message_by_local_id(sent.local_id.clone())
        .await
        .unwrap();
    assert_eq!(found.local_id, Some(sent.local_id));
    assert!(found.id.is_some());
    assert_eq!(found.state, MessageState::Sent);
}

/// S028: several clients of one engine share its connection.
#[tokio::test]
async fn two_clients_of_one_engine_talk_over_one_connection() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let options = sampan::ClientOptions::default();
    let client = ann
        .engine
        .client(crate::place::id("ben"), options)
        .await
        .unwrap();
    let ben = Device {
        engine: ann.engine.clone(),
        client,
    };
    ben.go_online().await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("are you in here, too?".into(), None)
        .await
        .unwrap();
    let id = ann.service_id(&talk).await;
    ben.sees(&id, &["ann: are you in here, too?"]).await;
}
