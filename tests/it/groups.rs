//! Groups: who comes, who goes, and what each of them sees of it.

use sampan::SampanError;
use sampan::model::{
    ConversationId, ConversationState, Json, MessageContent, MessageState, NewConversation,
    NewMessage, SendOptions, Uniqueness,
};

use crate::place::{Device, Place, id};

/// Waits until a device shows these members, whatever their order.
async fn has_members(device: &Device, talk: &ConversationId, members: &[&str]) {
    let mut wanted: Vec<_> = members.iter().copied().map(id).collect();
    wanted.sort();
    device
        .until(&format!("{members:?} in the list of members"), || async {
            let here = device.client.conversation(talk.clone()).ok()?;
            let mut shown = here.info().await.ok()?.members;
            shown.sort();
            (shown == wanted).then_some(())
        })
        .await;
}

/// S072, S081, S084, S093, S105, S106: a pair becomes a group when somebody is added, its maker has no special rights
/// where the app has no roles, and a change of members acts at once: a removed member neither hears nor speaks, and a
/// member who is in again reads what was said meanwhile.
#[tokio::test]
async fn a_pair_becomes_a_group_and_changes_of_members_act_at_once() {
    let place = Place::with_settings(r#"{"features": {"roles": false}}"#).await;
    let ann = place.online("ann", "ann").await;
    let ben = place.online("ben", "ben").await;
    let cat = place.online("cat", "cat").await;
    let made = NewConversation {
        members: vec![id("ben")],
        name: Some("Tea".to_owned()),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let made = ann.client.create_conversation(made).await.unwrap();
    let talk = made.conversation;
    talk.send_text("two of us".into(), None).await.unwrap();
    let talk_id = ann.service_id(&talk).await;
    ben.sees(&talk_id, &["ann: two of us"]).await;
    has_members(&ben, &talk_id, &["ann", "ben"]).await;

    // Ben adds the third member, not ann, who made the conversation.
    let at_ben = ben.handle(&talk_id);
    at_ben.add_members(vec![id("cat")]).await.unwrap();
    at_ben.send_text("three of us".into(), None).await.unwrap();
    for device in [&ann, &ben, &cat] {
        has_members(device, &talk_id, &["ann", "ben", "cat"]).await;
    }
    cat.sees(&talk_id, &["ann: two of us", "ben: three of us"])
        .await;

    at_ben.remove_members(vec![id("cat")]).await.unwrap();
    has_members(&ann, &talk_id, &["ann", "ben"]).await;
    let at_cat = cat.handle(&talk_id);
    cat.until("that she is out", || async {
        let info = at_cat.info().await.ok()?;
        (info.state == ConversationState::Left).then_some(())
    })
    .await;
    let refused = at_cat.send_text("hello?".into(), None).await;
    assert!(matches!(refused, Err(SampanError::NotPossible { .. })));
    talk.send_text("without cat".into(), None).await.unwrap();
    ben.sees(
        &talk_id,
        &["ann: two of us", "ben: three of us", "ann: without cat"],
    )
    .await;

    at_ben.add_members(vec![id("cat")]).await.unwrap();
    has_members(&cat, &talk_id, &["ann", "ben", "cat"]).await;
    at_ben.send_text("again three".into(), None).await.unwrap();
    let all = [
        "ann: two of us",
        "ben: three of us",
        "ann: without cat",
        "ben: again three",
    ];
    for device in [&ann, &ben, &cat] {
        device.sees(&talk_id, &all).await;
    }
    at_cat.send_text("thank you".into(), None).await.unwrap();
    cat.has_sent_everything().await;

    // The conversation's maker may be removed like everybody else.
    at_ben.remove_members(vec![id("ann")]).await.unwrap();
    ann.until("that she is out of what she made", || async {
        let info = talk.info().await.ok()?;
        (info.state == ConversationState::Left).then_some(())
    })
    .await;
}

/// S184, S191: in a conversation of two the sender is told that and when a message was delivered, in a larger one
/// nobody is.
#[tokio::test]
async fn a_delivery_is_told_to_the_sender_in_a_conversation_of_two() {
    let place = Place::new().await;
    let ann = place.online("ann", "ann").await;
    let ben = place.online("ben", "ben").await;
    let pair = ann.talk_to("ben").await;
    let group = ann.talk_to_all(&["ben", "cat"]).await;
    for talk in [&pair, &group] {
        talk.send_text("hello".into(), None).await.unwrap();
    }
    let state = |talk: &ConversationId| {
        let talk = talk.clone();
        let ann = &ann;
        async move { ann.messages(&talk).await.pop().map(|message| message.state) }
    };
    let (pair, group) = (ann.service_id(&pair).await, ann.service_id(&group).await);
    ben.sees(&pair, &["ann: hello"]).await;
    ben.sees(&group, &["ann: hello"]).await;
    let at = ann
        .until("the delivery", || async {
            match state(&pair).await? {
                MessageState::Delivered { at } => Some(at),
                _ => None,
            }
        })
        .await;
    let sent_at = ann.messages(&pair).await.pop().unwrap().sent_at;
    assert!(at >= sent_at);
    assert_eq!(state(&group).await, Some(MessageState::Sent));
}

/// S182: a transient message may be of a kind of the app's own; it comes like any other and is kept nowhere.
#[tokio::test]
async fn a_transient_message_may_be_of_the_apps_own_kind() {
    let place = Place::new().await;
    let ann = place.online("ann", "ann").await;
    let ben = place.online("ben", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let talk_id = ann.service_id(&talk).await;
    ben.sees(&talk_id, &["ann: hello"]).await;
    let mut told = ben.client.events();
    let content = MessageContent::Custom {
        kind: 7,
        envelope: Json::parse(r#"{"_lctype": 7, "writes": true}"#).unwrap(),
    };
    let writes = NewMessage {
        options: SendOptions {
            transient: true,
            ..SendOptions::default()
        },
        ..NewMessage::new(content)
    };
    talk.send(writes).await.unwrap();
    let heard = Device::is_told(&mut told, "the transient message", |event| match event {
        sampan::model::Event::TransientMessage { message, .. } => Some(message),
        _ => None,
    });
    let heard = heard.await;
    assert!(
        matches!(heard.content, MessageContent::Custom { kind: 7, .. }),
        "{:?}",
        heard.content.kind_name()
    );
    for device in [&ann, &ben] {
        device.sees(&talk_id, &["ann: hello"]).await;
    }
}

/// S091: a conversation that is the only one of its members is so no more when one of them has left: each device shows
/// that, and the next call for these members makes another one.
#[tokio::test]
async fn a_conversation_that_a_member_left_is_not_the_only_one_of_its_members_any_more() {
    let place = Place::with_settings(r#"{"features": {"roles": false}}"#).await;
    let ann = place.online("ann", "ann").await;
    let ben = place.online("ben", "ben").await;
    let made = ann.talk_to("ben").await;
    let first = ann.service_id(&made).await;
    made.send_text("hello".into(), None).await.unwrap();
    ben.sees(&first, &["ann: hello"]).await;
    assert!(made.info().await.unwrap().unique);
    ben.handle(&first).quit().await.unwrap();
    has_members(&ann, &first, &["ann"]).await;
    ann.until("a conversation that is one of several", || async {
        (!made.info().await.ok()?.unique).then_some(())
    })
    .await;
    let again = ann.talk_to("ben").await;
    assert_ne!(ann.service_id(&again).await, first);
}
