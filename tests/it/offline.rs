//! Work that is done without a connection, and its outcome.

use sampan::model::{ConversationState, NewConversation};

use crate::place::{Device, Place, id};

/// S190: a conversation made offline is usable at once; its messages go out in order behind it.
#[tokio::test]
async fn a_conversation_made_offline_and_its_messages_go_out_in_order_on_connecting() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    assert!(talk.conversation_id().is_local());
    for words in ["one", "two", "three"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    assert_eq!(
        talk.info().await.unwrap().state,
        ConversationState::Creating
    );
    assert_eq!(
        ann.lines(&talk.conversation_id()).await.unwrap(),
        [
            "ann: one (pending)",
            "ann: two (pending)",
            "ann: three (pending)"
        ]
    );
    let ben = place.online("laptop", "ben").await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: one", "ann: two", "ann: three"])
        .await;
    let all = ["ann: one", "ann: two", "ann: three"];
    // The local id keeps resolving. Until catch-up has looked, a gap says that more may be missing.
    ann.sees(&talk.conversation_id(), &all).await;
    ann.sees(&service_id, &all).await;
}

/// Work that waits in the outbox is there after a restart and goes out then, once.
#[tokio::test]
async fn the_outbox_survives_a_restart_and_goes_out_once() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("before the restart".into(), None)
        .await
        .unwrap();
    let local = talk.conversation_id();
    drop(talk);
    ann.engine.shutdown().await.unwrap();
    let ann = place.device("phone", "ann").await;
    assert_eq!(ann.client.outbox().await.unwrap().len(), 2);
    let ben = place.online("laptop", "ben").await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    let talk = ann.client.conversation(local).unwrap();
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: before the restart"]).await;
}

/// S063, S085: a unique conversation made offline that the service knows already becomes that one.
#[tokio::test]
async fn a_unique_conversation_made_offline_becomes_the_one_that_exists() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("from my phone".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let existing = ann.service_id(&talk).await;
    let tablet = place.device("tablet", "ann").await;
    let again = tablet.talk_to("ben").await;
    again
        .send_text("from my tablet".into(), None)
        .await
        .unwrap();
    tablet.go_online().await;
    tablet.has_sent_everything().await;
    assert_eq!(tablet.service_id(&again).await, existing);
    ann.sees(&existing, &["ann: from my phone", "ann: from my tablet"])
        .await;
}

/// An unsent message can be cancelled; a cancelled message is never sent.
#[tokio::test]
async fn a_discarded_message_is_gone_and_is_not_sent() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let unwanted = talk
        .send_text("I take this back".into(), None)
        .await
        .unwrap();
    talk.send_text("hello".into(), None).await.unwrap();
    ann.client.discard(unwanted.entry.unwrap()).await.unwrap();
    assert_eq!(
        ann.lines(&talk.conversation_id()).await.unwrap(),
        ["ann: hello (pending)"]
    );
    let ben = place.online("laptop", "ben").await;
    ann.go_online().await;
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: hello"]).await;
}

/// S262, S263, S367, S374: no silent holes: history beyond what catch-up fetches is a gap, and paging fills it.
#[tokio::test]
async fn history_beyond_what_is_held_shows_as_a_gap_that_can_be_filled() {
    let place = Place::new().await;
    let (raw, ben) = place.raw("ben").await;
    let members = [ben.clone(), id("ann")];
    let talk = raw
        .start_conversation(&ben, &members, "long")
        .await
        .unwrap();
    for number in 0..130 {
        raw.say(&ben, &talk, &format!("line {number}"))
            .await
            .unwrap();
    }
    let mut config = place.config("phone");
    config.limits.catch_up_max = 40;
    let ann = Device::open(config, "ann").await;
    ann.go_online().await;
    ann.until("the newest line", || async {
        let lines = ann.lines(&talk).await.ok()?;
        (lines.last()? == "ben: line 129").then_some(())
    })
    .await;
    let conversation = ann.client.conversation(talk.clone()).unwrap();
    let page = conversation.page(None, 500).await.unwrap();
    let gap = page.items.first().expect("there is something");
    assert!(
        gap.message().is_none(),
        "older history is a gap, not a silent end"
    );
    while !conversation.fetch_older(50).await.unwrap().start_reached {}
    let page = conversation.page(None, 500).await.unwrap();
    let said: Vec<_> = page
        .items
        .iter()
        .filter_map(|item| item.message())
        .collect();
    assert_eq!(
        page.items.len(),
        130,
        "no gap is left, and nothing came twice"
    );
    assert!(
        said.iter().enumerate().all(|(number, message)| {
            message.content.words() == Some(&format!("line {number}"))
        })
    );
}

/// S063, S064, S069: `Uniqueness::Separate` makes a new conversation every time.
#[tokio::test]
async fn separate_conversations_with_the_same_members_stay_separate() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let wanted = NewConversation {
        members: vec![id("ben")],
        uniqueness: sampan::model::Uniqueness::Separate,
        ..NewConversation::default()
    };
    let one = ann
        .client
        .create_conversation(wanted.clone())
        .await
        .unwrap();
    let two = ann.client.create_conversation(wanted).await.unwrap();
    let one = ann.service_id(&one.conversation).await;
    let two = ann.service_id(&two.conversation).await;
    assert_ne!(one, two);
}
