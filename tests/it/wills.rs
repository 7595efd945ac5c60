//! Wills: the message that the service sends for a client that disappears.

use std::time::Duration;

use sampan::model::{Event, NewMessage, SendOptions};
use sampan::{EventStream, ServerAddress};

use crate::cable::Cable;
use crate::place::{Device, Place, config, line};

fn will(words: &str) -> NewMessage {
    NewMessage {
        options: SendOptions {
            will: true,
            ..SendOptions::default()
        },
        ..NewMessage::text(words)
    }
}

/// The next words that come, kept by the service or not.
async fn heard(events: &mut EventStream, what: &str) -> String {
    Device::is_told(events, what, |event| match event {
        Event::TransientMessage { message, .. } | Event::MessageAdded { message, .. } => {
            Some(line(&message))
        }
        _ => None,
    })
    .await
}

/// S186, S239–S243: the last will that was given, in whichever conversation, is sent each time its author's
/// connection breaks, without the app doing anything again; it is in no history, and a client that goes offline
/// leaves none.
#[tokio::test]
async fn the_last_will_is_sent_at_each_break_and_at_no_parting() {
    let place = Place::new().await;
    let cable = Cable::lay(None).await;
    cable.plug_into(place.service.addr());
    let url = format!("http://{}", cable.addr);
    let folder = place.folder.path().join("far phone");
    let mut far = config(ServerAddress::Router { url }, &folder);
    far.limits.backoff_first = Duration::from_millis(20);
    let ann = Device::open(far, "ann").await;
    ann.go_online().await;
    let ben = place.online("laptop", "ben").await;
    let (tea, club) = (
        ann.talk_to("ben").await,
        ann.talk_to_all(&["ben", "cem"]).await,
    );
    for talk in [&tea, &club] {
        talk.send_text("hello".into(), None).await.unwrap();
        let id = ann.service_id(talk).await;
        ben.sees(&id, &["ann: hello"]).await;
    }
    ann.client.go_offline().unwrap();
    tea.send(will("the first will")).await.unwrap();
    club.send(will("the last will")).await.unwrap();
    ann.go_online().await;
    ann.has_sent_everything().await;
    let mut events = ben.client.events();
    for number in 0..2 {
        cable.cut();
        assert_eq!(heard(&mut events, "the will").await, "ann: the last will");
        cable.mend();
        ann.is_online().await;
        // The will goes out with the session, before anything else.
        let words = format!("back {number}");
        club.send_text(words.clone(), None).await.unwrap();
        assert_eq!(
            heard(&mut events, "a message").await,
            format!("ann: {words}")
        );
    }
    ann.client.go_offline().unwrap();
    ann.go_online().await;
    club.send_text("bye".into(), None).await.unwrap();
    assert_eq!(heard(&mut events, "a message").await, "ann: bye");
    let said = ["ann: hello", "ann: back 0", "ann: back 1", "ann: bye"];
    let id = ann.service_id(&club).await;
    let later = place.online("tablet", "ben").await;
    later.client.fetch_conversation(id.clone()).await.unwrap();
    let there = later.handle(&id);
    while !there.fetch_older(50).await.unwrap().start_reached {}
    later.sees(&id, &said).await;
    ann.sees(&id, &said).await;
}
