//! The events that a subscriber hears, and the messages that came before it subscribed.

use sampan::model::Event;

use crate::place::{Device, Place, id};

/// S369: a message of a conversation that the app has not opened, or never heard of, is told.
#[tokio::test]
async fn messages_of_conversations_that_are_not_open_are_told() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let mut events = ann.client.events();
    let (raw, ben) = place.raw("ben").await;
    for words in ["one", "two"] {
        let members = [ben.clone(), id("ann")];
        let talk = raw.start_conversation(&ben, &members, words).await.unwrap();
        raw.say(&ben, &talk, words).await.unwrap();
        let told = Device::is_told(&mut events, words, |event| match event {
            Event::MessageAdded { message, .. } => Some(message),
            _ => None,
        });
        let told = told.await;
        assert_eq!(told.content.words(), Some(words));
        assert_eq!((told.conversation, told.sender), (talk, ben.clone()));
    }
}

/// S172: a message that came before the app subscribed is not lost: it is there to be read, counted and in the list,
/// and the next one is told.
#[tokio::test]
async fn what_came_before_the_app_subscribed_is_there_to_be_read() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    raw.say(&ben, &talk, "before").await.unwrap();
    // Another device of ann's was sent it at the same time; this one asks the service for something.
    let witness = ann.client.fetch_conversation(talk.clone()).await.unwrap();
    witness.fetch_older(1).await.unwrap();
    let mut events = ann.client.events();
    let shown = ann.messages(&talk).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].content.words(), Some("before"));
    raw.say(&ben, &talk, "after").await.unwrap();
    Device::is_told(&mut events, "the next one", |event| match event {
        Event::MessageAdded { message, .. } => {
            (message.content.words() == Some("after")).then_some(())
        }
        _ => None,
    })
    .await;
    let totals = ann.client.unread_totals().await.unwrap();
    assert_eq!(totals.all.messages, 2);
}
