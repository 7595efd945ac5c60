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
            let known = ann.client.conversation(talk.clone()).ok()?;
            known.info().await.ok()?;
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

/// S227–S229: the same while the device was away: catch-up brings both in one.
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
    let mut events = ann.client.events();
    ann.go_online().await;
    ann.sees(&talk, &["ben: hello", "ben: recalled"]).await;
    let mut changes = std::collections::BTreeMap::new();
    while changes.len() < 2 {
        let change = Device::is_told(&mut events, "a change", |event| match event {
            Event::MessageChanged { message, seq, .. } => Some((message.id?, seq)),
            _ => None,
        });
        let (message, seq) = change.await;
        changes.insert(message, seq);
    }
    let commits: std::collections::BTreeSet<_> = changes.into_values().collect();
    assert_eq!(commits.len(), 1, "one commit holds both");
}

/// S227, S228: an edit and a recall of messages that this device has not fetched yet are there when it fetches them.
#[tokio::test]
async fn an_edit_and_a_recall_of_messages_that_are_fetched_later_are_not_lost() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "talk")
        .await
        .unwrap();
    let first = raw.say(&ben, &talk, "helo").await.unwrap();
    let second = raw.say(&ben, &talk, "never mind").await.unwrap();
    let mut config = place.config("phone");
    config.limits.catch_up_max = 2;
    let ann = Device::open(config, "ann").await;
    for number in 0..8 {
        raw.say(&ben, &talk, &format!("later {number}"))
            .await
            .unwrap();
    }
    ann.go_online().await;
    ann.until("the newest message", || async {
        let known = ann.client.conversation(talk.clone()).ok()?;
        known.page(None, 1).await.ok()?;
        let messages = ann.messages(&talk).await;
        (messages.last()?.content.words() == Some("later 7")).then_some(())
    })
    .await;
    let held = ann.messages(&talk).await;
    assert!(held.iter().all(|it| it.content.words() != Some("helo")));
    raw.edit(&ben, &first, "hello").await.unwrap();
    raw.recall(&ben, &second).await.unwrap();
    raw.say(&ben, &talk, "done").await.unwrap();
    ann.until("what came after the edits", || async {
        let messages = ann.messages(&talk).await;
        (messages.last()?.content.words() == Some("done")).then_some(())
    })
    .await;
    let handle = ann.handle(&talk);
    while !handle.fetch_older(3).await.unwrap().start_reached {}
    let messages = ann.messages(&talk).await;
    let oldest: Vec<_> = messages.iter().take(2).map(crate::place::line).collect();
    assert_eq!(oldest, ["ben: hello", "ben: recalled"]);
    assert!(messages.iter().take(2).all(|it| it.edited_at.is_some()));
}
