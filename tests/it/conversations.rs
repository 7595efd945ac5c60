//! Conversations as their members see them: properties, lists, unread counts.

use sampan::model::{ConversationKind, Event, Json, NewConversation, Uniqueness};
use sampan::{ConversationQuery, QueryCondition};

use crate::place::{Device, Place, id};

/// S060, S062, S071, S074, S075, S136, S139, S140: name, attributes, members and creator reach the
/// other member, and the conversation is in their list.
#[tokio::test]
async fn every_property_of_a_conversation_reaches_its_members() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let wanted = NewConversation {
        members: vec![id("ben"), id("cem")],
        name: Some("Tea".to_owned()),
        attributes: Some(Json::parse(r#"{"topic":"kettles"}"#).unwrap()),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let made = ann.client.create_conversation(wanted).await.unwrap();
    made.conversation
        .send_text("welcome".into(), None)
        .await
        .unwrap();
    let service_id = ann.service_id(&made.conversation).await;
    ben.sees(&service_id, &["ann: welcome"]).await;
    let info = ben
        .until("name and members", || async {
            let talk = ben.client.conversation(service_id.clone()).ok()?;
            let info = talk.info().await.ok()?;
            (info.name.is_some() && info.members.len() == 3).then_some(info)
        })
        .await;
    assert_eq!(info.id, service_id);
    assert_eq!(info.name.as_deref(), Some("Tea"));
    assert_eq!(info.creator, Some(id("ann")));
    assert!(info.members.contains(&id("cem")));
    assert!(info.created_at.is_some() && info.updated_at >= info.created_at);
    assert!(info.last_message_at >= info.created_at);
    let last = info.last_message.expect("the last message came");
    assert_eq!(last.content.words(), Some("welcome"));
    assert_eq!(info.kind, ConversationKind::Normal);
    assert!(!info.unique && !info.muted);
    let attributes = info.attributes.expect("the attributes came").to_value();
    assert_eq!(attributes["topic"], "kettles");
    let list = ben.client.conversations(None, 10).await.unwrap();
    let listed: Vec<_> = list.conversations.iter().map(|info| &info.id).collect();
    assert_eq!(listed, [&service_id]);
    assert!(list.next.is_none());
    let his = ben.handle(&service_id);
    his.set_muted(true).await.unwrap();
    ben.has_sent_everything().await;
    assert!(his.info().await.unwrap().muted);
    let hers = made.conversation.info().await.unwrap();
    assert!(!hers.muted, "each member mutes for itself");
}

/// S085: two clients have one private conversation: the unique one of the pair, or the one that an attribute names.
#[tokio::test]
async fn a_pair_finds_its_one_private_conversation_by_unique_or_by_attribute() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let unique = |other: &str| NewConversation {
        members: vec![id(other)],
        ..NewConversation::default()
    };
    let anns = ann.client.create_conversation(unique("ben")).await.unwrap();
    let pair = ann.service_id(&anns.conversation).await;
    let bens = ben.client.create_conversation(unique("ann")).await.unwrap();
    assert_eq!(ben.service_id(&bens.conversation).await, pair);
    let marked = NewConversation {
        members: vec![id("ben")],
        attributes: Some(Json::parse(r#"{"pair":"ann+ben"}"#).unwrap()),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let marked = ann.client.create_conversation(marked).await.unwrap();
    let marked = ann.service_id(&marked.conversation).await;
    assert_ne!(marked, pair);
    let by_attribute = ConversationQuery {
        condition: Some(QueryCondition::Service {
            condition: Json::parse(r#"{"attr.pair":"ann+ben"}"#).unwrap(),
        }),
        ..ConversationQuery::default()
    };
    let found = ben.client.query_conversations(by_attribute).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|info| info.id).collect();
    assert_eq!(found, [marked]);
}

/// S082, S086: a conversation is fetched by its id, and known from then on.
#[tokio::test]
async fn a_conversation_is_fetched_by_its_id_from_the_service() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let service_id = ann.service_id(&talk).await;
    let ben = place.online("laptop", "ben").await;
    let fetched = ben
        .client
        .fetch_conversation(service_id.clone())
        .await
        .unwrap();
    assert_eq!(fetched.info().await.unwrap().creator, Some(id("ann")));
    let again = ben.client.conversation(service_id.clone()).unwrap();
    assert_eq!(
        again.info().await.unwrap().id,
        service_id,
        "it is known from now on"
    );
}

/// S205, S214, S215, S216: live messages raise the count, own ones don't, and only reading clears it;
/// an event tells, with the conversation.
#[tokio::test]
async fn live_messages_raise_the_count_and_only_reading_clears_it() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let mut events = ben.client.events();
    for words in ["one", "two", "three"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    let service_id = ann.service_id(&talk).await;
    let counted = Device::is_told(&mut events, "three unread messages", |event| match event {
        Event::ConversationChanged { conversation, .. } => {
            (conversation.unread.count == 3).then_some(conversation.id)
        }
        _ => None,
    });
    assert_eq!(counted.await, service_id);
    let handle = ben.client.conversation(service_id.clone()).unwrap();
    handle.send_text("four".into(), None).await.unwrap();
    ben.has_sent_everything().await;
    ben.engine.pause().await.unwrap();
    ben.engine.resume().await.unwrap();
    ben.is_online().await;
    // The service's news of the sign-in is there before the next message.
    talk.send_text("five".into(), None).await.unwrap();
    let said = [
        "ann: one",
        "ann: two",
        "ann: three",
        "ben: four",
        "ann: five",
    ];
    ben.sees(&service_id, &said).await;
    assert_eq!(
        handle.info().await.unwrap().unread.count,
        4,
        "neither answering nor leaving clears"
    );
    handle.mark_read(None).await.unwrap();
    assert_eq!(handle.info().await.unwrap().unread.count, 0);
    ann.until("ben's answer, which counts for ann", || async {
        (talk.info().await.ok()?.unread.count == 1).then_some(())
    })
    .await;
}

/// S208, S310, S311: a message reaches both devices of its receiver; reading on one device clears the count on the other.
#[tokio::test]
async fn reading_on_one_device_clears_the_count_on_the_other() {
    let place = Place::new().await;
    let phone = place.online("phone", "ben").await;
    let tablet = place.online("tablet", "ben").await;
    let ann = place.online("laptop", "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    for device in [&phone, &tablet] {
        device.sees(&service_id, &["ann: hello"]).await;
        assert_eq!(device.client.unread_totals().await.unwrap().all.messages, 1);
    }
    let read = phone.client.conversation(service_id).unwrap();
    read.mark_read(None).await.unwrap();
    tablet
        .until("a cleared count", || async {
            let totals = tablet.client.unread_totals().await.ok()?;
            (totals.all.messages == 0).then_some(())
        })
        .await;
}
