//! Edits and recalls by others are shown, live and after an absence.

use sampan::model::Event;

use crate::place::{Device, Place, id};

/// S162, S227, S228: an edit and a recall that happen while the device looks on.
#[tokio::test]
async fn an_edit_and_a_recall_change_what_is_shown() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let ann = place.online("phone", "ann").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    let first = raw.say(&ben, &talk, "helo").await.unwrap();
    let second = raw.say(&ben, &talk, "never mind").await.unwrap();
    ann.sees(&talk, &["ben: helo", "ben: never mind"]).await;
    raw.edit(&ben, &first, "hello").await.unwrap();
    raw.recall(&ben, &second).await.unwrap();
    ann.sees(&talk, &["ben: hello", "ben: recalled"]).await;
}

/// S230: when an edit is told, the stored message says the new words already.
#[tokio::test]
async fn when_an_edit_is_told_the_stored_message_is_changed_already() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let ann = place.online("phone", "ann").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    for number in 0..10 {
        let said = raw.say(&ben, &talk, "helo").await.unwrap();
        let wanted = said.id.clone();
        ann.until("the message", || async {
            ann.client.conversation(talk.clone()).await.ok()?;
            let messages = ann.messages(&talk).await;
            messages
                .iter()
                .any(|it| it.id.as_ref() == Some(&wanted))
                .then_some(())
        })
        .await;
        let mut events = ann.client.events();
        let words = format!("hello {number}");
        raw.edit(&ben, &said, &words).await.unwrap();
        Device::is_told(&mut events, "the edit", |event| match event {
            Event::MessageChanged { message, .. } => {
                (message.id == Some(wanted.clone())).then_some(())
            }
            _ => None,
        })
        .await;
        let newest = ann.messages(&talk).await.pop().expect("it is there");
        assert_eq!(newest.content.words(), Some(words.as_str()));
    }
}

/// S227, S228: the same while the device was away: catch-up brings it.
#[tokio::test]
async fn an_edit_and_a_recall_during_an_absence_are_shown_afterwards() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let ann = place.online("phone", "ann").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    let first = raw.say(&ben, &talk, "helo").await.unwrap();
    let second = raw.say(&ben, &talk, "never mind").await.unwrap();
    ann.sees(&talk, &["ben: helo", "ben: never mind"]).await;
    ann.client.go_offline().unwrap();
    raw.edit(&ben, &first, "hello").await.unwrap();
    raw.recall(&ben, &second).await.unwrap();
    ann.go_online().await;
    ann.sees(&talk, &["ben: hello", "ben: recalled"]).await;
}
