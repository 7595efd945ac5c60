//! The samples of the second generation's guide: rooms, their members, messages, receipts, logs and events.

use std::sync::Arc;

use sampan::model::{ConversationId, Json, MessageContent, NewMessage};
use sampan::{
    NoticeFeed, Room, RoomLog, RoomOptions, RoomQuery, Rooms, SampanError, SessionNotice,
};

use crate::notices::{hears, told};
use crate::place::{Device, Place, id};

fn rooms(device: &Device) -> Arc<Rooms> {
    Rooms::new(Arc::clone(&device.client))
}

/// The next message that the feed tells.
async fn receives(feed: &NoticeFeed) -> MessageContent {
    told(feed, "a message", |notice| match notice {
        SessionNotice::Message { message, .. } => Some(message.content),
        _ => None,
    })
    .await
}

async fn room_id(device: &Device, room: &Room) -> ConversationId {
    device.service_id(&room.conversation()).await
}

/// S136–S140, S142–S146, S154: rooms are made, found, joined and left, and each event is told.
#[tokio::test]
async fn a_room_is_made_found_joined_left_and_told_of() {
    let place = Place::new().await;
    let tom = place.device("phone", "Tom").await;
    let bob = place.device("laptop", "Bob").await;
    let (toms, bobs) = (rooms(&tom), rooms(&bob));
    let (to_tom, to_bob) = (toms.notices().await.unwrap(), bobs.notices().await.unwrap());
    tom.go_online().await;
    bob.go_online().await;
    hears(&to_tom, &SessionNotice::Opened).await;
    let options = RoomOptions {
        members: vec![id("Bob")],
        name: Some("LeanCloud".to_owned()),
        attributes: Some(Json::parse(r#"{"test":"demo"}"#).unwrap()),
        transient: false,
    };
    let room = toms.create(options).await.unwrap();
    let conversation = room_id(&tom, &room).await;
    let created = SessionNotice::Created {
        conversation: conversation.clone(),
    };
    hears(&to_tom, &created).await;
    let joined = SessionNotice::Joined {
        conversation: conversation.clone(),
    };
    hears(&to_bob, &joined).await;
    let found = bobs.get(conversation.clone()).await.unwrap().unwrap();
    let info = found.conversation().info().await.unwrap();
    assert_eq!(info.name.as_deref(), Some("LeanCloud"));
    assert_eq!(info.attributes.unwrap().as_str(), r#"{"test":"demo"}"#);
    let nowhere = ConversationId::new("0123456789abcdef01234567").unwrap();
    assert!(bobs.get(nowhere).await.unwrap().is_none());
    let empty = toms.create(RoomOptions::default()).await.unwrap();
    room_id(&tom, &empty).await;
    room.add(vec![id("Jerry"), id("Harry")]).await.unwrap();
    let mut came = told(&to_bob, "who came", |notice| match notice {
        SessionNotice::MembersJoined { members, .. } => Some(members),
        _ => None,
    })
    .await;
    came.sort();
    assert_eq!(came, [id("Harry"), id("Jerry")]);
    tom.has_sent_everything().await;
    assert_eq!(room.count().await.unwrap().0, 4);
    room.remove(vec![id("Harry")]).await.unwrap();
    let left = SessionNotice::MembersLeft {
        conversation: conversation.clone(),
        members: vec![id("Harry")],
    };
    hears(&to_bob, &left).await;
    found.leave().await.unwrap();
    let out = SessionNotice::Left {
        conversation: conversation.clone(),
    };
    hears(&to_bob, &out).await;
    let gone = SessionNotice::MembersLeft {
        conversation: conversation.clone(),
        members: vec![id("Bob")],
    };
    hears(&to_tom, &gone).await;
    found.join().await.unwrap();
    hears(&to_bob, &joined).await;
    tom.until("the list of members", || async {
        let mut list = room.list().await.ok()?;
        list.sort();
        (list == [id("Bob"), id("Jerry"), id("Tom")]).then_some(())
    })
    .await;
    tom.client.go_offline().unwrap();
    hears(&to_tom, &SessionNotice::Closed).await;
}

/// S115, S141: a query answers ten rooms of one's own by default, the newest message first; condition, order, limit and
/// skip are the app's, and a compact answer leaves what is known of members.
#[tokio::test]
async fn a_query_for_rooms_has_the_defaults_of_the_guide_and_options_of_its_own() {
    let place = Place::new().await;
    let tom = place.online("phone", "Tom").await;
    let toms = rooms(&tom);
    let mut made = Vec::new();
    for number in 0..12 {
        let options = RoomOptions {
            name: Some(format!("room {number}")),
            ..RoomOptions::default()
        };
        let room = toms.create(options).await.unwrap();
        made.push(room_id(&tom, &room).await);
        let data = Json::parse("1").unwrap();
        room.send(data, false).await.unwrap();
        tom.has_sent_everything().await;
    }
    let bob = place.online("laptop", "Bob").await;
    let bobs = rooms(&bob);
    assert_eq!(bobs.query(RoomQuery::default()).await.unwrap().len(), 0);
    let mut newest_first = Vec::new();
    for room in toms.query(RoomQuery::default()).await.unwrap() {
        newest_first.push(room_id(&tom, &room).await);
    }
    let wanted: Vec<ConversationId> = made.iter().rev().take(10).cloned().collect();
    assert_eq!(newest_first, wanted);
    let query = RoomQuery {
        condition: Some(Json::parse(r#"{"name":{"$regex":"^room"}}"#).unwrap()),
        sort: Some("createdAt".to_owned()),
        limit: Some(3),
        skip: 1,
        compact: true,
    };
    let found = bobs.query(query).await.unwrap();
    let mut ids = Vec::new();
    for room in &found {
        ids.push(room_id(&bob, room).await);
        assert_eq!(room.list().await.unwrap(), []);
    }
    assert_eq!(ids, made[1..4]);
    // Chat rooms are asked for by their flag.
    let options = RoomOptions {
        transient: true,
        ..RoomOptions::default()
    };
    let chat_room = toms.create(options).await.unwrap();
    let chat_room = room_id(&tom, &chat_room).await;
    let query = RoomQuery {
        condition: Some(Json::parse(r#"{"tr":true}"#).unwrap()),
        ..RoomQuery::default()
    };
    let found = bobs.query(query).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(room_id(&bob, &found[0]).await, chat_room);
    let wrong = RoomQuery {
        condition: Some(Json::parse("[1]").unwrap()),
        ..RoomQuery::default()
    };
    let refusal = bobs.query(wrong).await.unwrap_err();
    assert!(matches!(refusal, SampanError::InvalidArgument { .. }));
}

/// S147, S148, S150–S153: any value is sent and received in its room; a log has the newest twenty, or those before
/// a time and an id; a receipt comes in a room of two; a transient message is in no log.
#[tokio::test]
async fn a_room_carries_values_receipts_and_a_log() {
    let place = Place::new().await;
    let tom = place.online("phone", "Tom").await;
    let bob = place.online("laptop", "Bob").await;
    let toms = rooms(&tom);
    let options = RoomOptions {
        members: vec![id("Bob")],
        ..RoomOptions::default()
    };
    let room = toms.create(options).await.unwrap();
    let conversation = room_id(&tom, &room).await;
    let other = toms.create(RoomOptions::default()).await.unwrap();
    room_id(&tom, &other).await;
    let to_tom = room.notices().await.unwrap();
    let bobs = rooms(&bob)
        .get(conversation.clone())
        .await
        .unwrap()
        .unwrap();
    let to_bob = bobs.notices().await.unwrap();
    let data = Json::parse(r#"{"testMsg":"Hello"}"#).unwrap();
    room.send(data.clone(), false).await.unwrap();
    let plain = MessageContent::Plain {
        text: data.as_str().to_owned(),
    };
    assert_eq!(receives(&to_bob).await, plain);
    told(&to_tom, "a receipt", |notice| match notice {
        SessionNotice::Receipt { message } => (message.content == plain).then_some(()),
        _ => None,
    })
    .await;
    room.send(Json::parse(r#""psst""#).unwrap(), true)
        .await
        .unwrap();
    receives(&to_bob).await;
    for number in 0..25 {
        let words = NewMessage::text(format!("{number}"));
        room.send_message(words).await.unwrap();
    }
    tom.has_sent_everything().await;
    let words = |messages: &[sampan::model::Message]| -> Vec<String> {
        let words = messages.iter().filter_map(|it| it.content.words());
        words.map(str::to_owned).collect()
    };
    let latest = bobs.log(RoomLog::default()).await.unwrap();
    let wanted: Vec<String> = (5..25).map(|it: i32| it.to_string()).collect();
    assert_eq!(words(&latest), wanted);
    let oldest = latest.first().unwrap();
    let before = RoomLog {
        before: Some(oldest.sent_at),
        before_id: oldest.id.clone(),
        limit: Some(3),
    };
    let earlier = bobs.log(before).await.unwrap();
    assert_eq!(words(&earlier), ["2", "3", "4"]);
    let all = RoomLog {
        before: Some(oldest.sent_at),
        before_id: oldest.id.clone(),
        limit: Some(100),
    };
    let all = bobs.log(all).await.unwrap();
    assert_eq!(words(&all).len(), 6, "a transient message is in no log");
    let without_time = RoomLog {
        before_id: oldest.id.clone(),
        ..RoomLog::default()
    };
    let refusal = bobs.log(without_time).await.unwrap_err();
    assert!(matches!(refusal, SampanError::InvalidArgument { .. }));
    // Without a connection the log is what this device has.
    bob.client.go_offline().unwrap();
    assert_eq!(bobs.log(RoomLog::default()).await.unwrap().len(), 20);
}
