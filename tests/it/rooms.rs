//! Chat rooms, service conversations and temporary ones: who is inside, who hears, what is kept.

use std::sync::Arc;
use std::time::Duration;

use sampan::model::{
    ConversationId, ConversationInfo, ConversationKind, ConversationState, NewConversation,
    NewMessage, Priority, SendOptions, SessionState,
};
use sampan::{Conversation, Obstacle, SampanError, UnreadSum};
use serde_json::json;

use crate::cable::Cable;
use crate::place::{Device, Place, config, id, line};

/// A room that a device made, with the service's id.
async fn room_of(device: &Device, name: &str) -> ConversationId {
    let wanted = NewConversation {
        kind: ConversationKind::ChatRoom,
        name: Some(name.to_owned()),
        ..NewConversation::default()
    };
    let made = device.client.create_conversation(wanted).await.unwrap();
    device.service_id(&made.conversation).await
}

/// Enters a room, which the device may not know, and waits until the service has it.
async fn enter(device: &Device, room: &ConversationId) -> Arc<Conversation> {
    let handle = device.client.join(room.clone()).await.unwrap();
    device.has_sent_everything().await;
    is(device, &handle, ConversationState::Live).await;
    handle
}

/// Waits until a conversation stands so.
async fn is(device: &Device, conversation: &Conversation, state: ConversationState) {
    device
        .until(&format!("{state:?}"), || async {
            let info = conversation.info().await.ok()?;
            let known = info.created_at.is_some() && info.state == state;
            known.then_some(())
        })
        .await;
}

/// Waits until a line is there. Earlier messages of a room are a gap until they are asked for.
async fn hears(device: &Device, conversation: &ConversationId, line: &str) {
    device
        .until(line, || async {
            let lines = device.lines(conversation).await.ok()?;
            lines.iter().any(|it| it == line).then_some(())
        })
        .await;
}

async fn count(conversation: &Conversation) -> u64 {
    conversation.count_members().await.unwrap().0
}

/// S109, S110, S111, S112, S114, S116, S117, S118, S356, S357: those inside hear, the others read on request and miss
/// nothing; a client is inside one room at a time.
#[tokio::test]
async fn a_chat_room_is_entered_left_and_counted_and_another_one_takes_its_place() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let pier = room_of(&ann, "the pier").await;
    let anns = ann.handle(&pier);
    assert_eq!(anns.info().await.unwrap().state, ConversationState::Live);
    assert_eq!(count(&anns).await, 1);
    // A client that asks for a room is not inside yet.
    let bens = ben.client.fetch_conversation(pier.clone()).await.unwrap();
    assert_eq!(bens.info().await.unwrap().state, ConversationState::Left);
    bens.send_text("from the shore".into(), None).await.unwrap();
    hears(&ann, &pier, "ben: from the shore").await;
    let bens = enter(&ben, &pier).await;
    assert_eq!(bens.info().await.unwrap().members, []);
    let listed = ben.client.conversations(None, 50).await.unwrap();
    let mut inside = listed.conversations.into_iter();
    let is_inside = |it: &ConversationInfo| {
        it.kind == ConversationKind::ChatRoom && it.state == ConversationState::Live
    };
    assert_eq!(inside.find(is_inside).map(|it| it.id), Some(pier.clone()));
    assert_eq!(count(&anns).await, 2);
    let mut inside = anns.inside(50).await.unwrap();
    inside.sort();
    assert_eq!(inside, [id("ann"), id("ben")]);
    let urgent = NewMessage {
        options: SendOptions {
            priority: Some(Priority::High),
            ..SendOptions::default()
        },
        ..NewMessage::text("ahoy")
    };
    anns.send(urgent).await.unwrap();
    hears(&ben, &pier, "ann: ahoy").await;
    let info = bens.info().await.unwrap();
    assert!(info.unread.is_none() && info.delivered_until.is_none());
    // Another room takes the place of the first.
    let beach = room_of(&ben, "the beach").await;
    is(&ben, &bens, ConversationState::Left).await;
    assert_eq!(count(&anns).await, 1);
    anns.send_text("gone?".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    ben.client.go_offline().unwrap();
    ben.go_online().await;
    let lines = ben.lines(&pier).await.unwrap();
    assert!(!lines.contains(&"ann: gone?".to_owned()), "{lines:?}");
    assert!(bens.info().await.unwrap().unread.is_none());
    let totals = ben.client.unread_totals().await.unwrap();
    assert_eq!(totals.all, UnreadSum::default());
    // Earlier messages are read on request.
    bens.fetch_newest(20).await.unwrap();
    let all = ["ben: from the shore", "ann: ahoy", "ann: gone?"];
    let said = ben.messages(&pier).await;
    let said: Vec<String> = said.iter().map(line).collect();
    assert_eq!(said, all);
    // The session was closed by hand: the other room is left too.
    let beach = ben.handle(&beach);
    is(&ben, &beach, ConversationState::Left).await;
    let nobody = anns.add_members(vec![id("ben")]).await.unwrap_err();
    let obstacle = Obstacle::KindDoesNotAllow;
    assert_eq!(nobody, SampanError::NotPossible { obstacle });
}

/// S113, S355: after a broken connection the room is entered again by itself, within the time that the service keeps
/// the place; after it the app has to enter again, and is shown as outside.
#[tokio::test]
async fn after_a_broken_connection_a_client_is_inside_again_unless_it_was_away_too_long() {
    for (settings, expected) in [
        ("{}", ConversationState::Live),
        (
            r#"{"limits":{"room_return_secs":0}}"#,
            ConversationState::Left,
        ),
    ] {
        let place = Place::with_settings(settings).await;
        let cable = Cable::lay(None).await;
        cable.plug_into(place.service.addr());
        let server = sampan::ServerAddress::Router {
            url: format!("http://{}", cable.addr),
        };
        let mut config = config(server, &place.folder.path().join("far"));
        config.limits.backoff_first = Duration::from_millis(20);
        let far = Device::open(config, "far").await;
        far.go_online().await;
        let ann = place.online("phone", "ann").await;
        let pier = room_of(&ann, "the pier").await;
        let inside = enter(&far, &pier).await;
        let anns = ann.handle(&pier);
        cable.cut();
        far.until("a broken connection", || async {
            (far.client.session_state() != SessionState::Open).then_some(())
        })
        .await;
        cable.mend();
        far.is_online().await;
        is(&far, &inside, expected.clone()).await;
        anns.send_text("welcome back".into(), None).await.unwrap();
        if expected == ConversationState::Live {
            hears(&far, &pier, "ann: welcome back").await;
        } else {
            let again = enter(&far, &pier).await;
            assert_eq!(count(&again).await, 2);
        }
    }
}

/// S010, S070: a service conversation is subscribed to, heard, and left; a message for one client is for that one
/// alone; a client may write without a subscription.
#[tokio::test]
async fn a_service_conversation_is_subscribed_to_heard_and_left() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let made = json!({ "name": "News" });
    let made = place.rest("POST", "/service-conversations", &made).await;
    let news = ConversationId::new(made["objectId"].as_str().unwrap()).unwrap();
    let path = format!("/service-conversations/{news}");
    let says = |text: &str| {
        let message = json!({ "_lctype": -1, "_lctext": text }).to_string();
        json!({ "from_client": "editor", "message": message })
    };
    let anns = ann.client.fetch_conversation(news.clone()).await.unwrap();
    let info = anns.info().await.unwrap();
    assert_eq!(
        (info.kind, info.state, info.name.as_deref()),
        (
            ConversationKind::Service,
            ConversationState::Left,
            Some("News")
        )
    );
    anns.join().await.unwrap();
    ann.has_sent_everything().await;
    is(&ann, &anns, ConversationState::Live).await;
    assert_eq!(count(&anns).await, 1);
    place
        .rest("POST", &format!("{path}/broadcasts"), &says("first"))
        .await;
    ann.sees(&news, &["editor: first"]).await;
    assert_eq!(anns.info().await.unwrap().unread.count, 1);
    anns.mark_read(None).await.unwrap();
    assert!(anns.info().await.unwrap().unread.is_none());
    // Another session of the account finds itself subscribed.
    let tablet = place.online("tablet", "ann").await;
    let found = tablet.client.fetch_conversation(news.clone()).await;
    let found = found.unwrap().info().await.unwrap();
    assert_eq!(
        (found.state, found.members),
        (ConversationState::Live, vec![])
    );
    anns.quit().await.unwrap();
    ann.has_sent_everything().await;
    is(&ann, &anns, ConversationState::Left).await;
    place
        .rest("POST", &format!("{path}/broadcasts"), &says("second"))
        .await;
    // A message to one client, who never subscribed: heard by that one alone, and answered.
    let mut only = says("only for ben");
    only["to_clients"] = json!(["ben"]);
    place.rest("POST", &format!("{path}/messages"), &only).await;
    ben.until("a message to the account", || async {
        let lines = ben.lines(&news).await.ok()?;
        lines
            .contains(&"editor: only for ben".to_owned())
            .then_some(())
    })
    .await;
    let bens = ben.handle(&news);
    bens.send_text("thank you".into(), None).await.unwrap();
    ben.has_sent_everything().await;
    let failed = ben.lines(&news).await.unwrap();
    assert!(failed.contains(&"ben: thank you".to_owned()), "{failed:?}");
    let heard = ann.lines(&news).await.unwrap();
    assert!(!heard.contains(&"editor: second".to_owned()), "{heard:?}");
    assert!(!heard.contains(&"editor: only for ben".to_owned()));
}

/// S068: a temporary conversation tells until when it lives; its members are fixed.
#[tokio::test]
async fn a_temporary_conversation_has_fixed_members_and_an_end() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let wanted = NewConversation {
        kind: ConversationKind::Temporary,
        members: vec![id("ben")],
        lifetime: Some(Duration::from_secs(3600)),
        ..NewConversation::default()
    };
    let made = ann.client.create_conversation(wanted).await.unwrap();
    let talk = made.conversation;
    talk.send_text("for an hour".into(), None).await.unwrap();
    let temporary = ann.service_id(&talk).await;
    ben.sees(&temporary, &["ann: for an hour"]).await;
    for device in [&ann, &ben] {
        let handle = device.client.fetch_conversation(temporary.clone()).await;
        let info = handle.unwrap().info().await.unwrap();
        assert_eq!(info.members, [id("ann"), id("ben")]);
        let (from, until) = (info.created_at.unwrap(), info.expires_at.unwrap());
        let life = until.as_millis() - from.as_millis();
        assert!((3_590_000..=3_660_000).contains(&life), "{life} ms");
    }
    let obstacle = Obstacle::KindDoesNotAllow;
    let fixed = SampanError::NotPossible { obstacle };
    let carol = vec![id("carol")];
    assert_eq!(talk.add_members(carol.clone()).await.unwrap_err(), fixed);
    assert_eq!(talk.remove_members(carol).await.unwrap_err(), fixed);
    assert_eq!(talk.quit().await.unwrap_err(), fixed);
    assert_eq!(talk.inside(5).await.unwrap_err(), fixed);
}

/// S108: the limit of members is for conversations with a list of members; a chat room takes more.
#[tokio::test]
async fn a_chat_room_takes_more_clients_than_a_conversation_has_members() {
    let place = Place::with_settings(r#"{"limits":{"members":2}}"#).await;
    let ann = place.online("phone", "ann").await;
    let crowded = ann.talk_to_all(&["ben", "cat"]).await;
    ann.until("a conversation that is refused", || async {
        let state = crowded.info().await.ok()?.state;
        matches!(state, ConversationState::CreationFailed { .. }).then_some(())
    })
    .await;
    let pier = room_of(&ann, "the pier").await;
    let mut inside = Vec::new();
    for name in ["ben", "cat", "dan"] {
        let device = place.online(name, name).await;
        enter(&device, &pier).await;
        inside.push(device);
    }
    assert_eq!(count(&ann.handle(&pier)).await, 4);
}

/// S106: a member who left and came back reads what was said meanwhile: history belongs to the conversation.
#[tokio::test]
async fn who_left_and_came_back_reads_what_was_said_meanwhile() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to_all(&["ben", "cat"]).await;
    talk.send_text("one".into(), None).await.unwrap();
    let cid = ann.service_id(&talk).await;
    ben.sees(&cid, &["ann: one"]).await;
    let bens = ben.handle(&cid);
    bens.quit().await.unwrap();
    ben.has_sent_everything().await;
    talk.send_text("two".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    assert_eq!(ben.lines(&cid).await.unwrap(), ["ann: one"]);
    bens.join().await.unwrap();
    ben.has_sent_everything().await;
    talk.send_text("three".into(), None).await.unwrap();
    ben.sees(&cid, &["ann: one", "ann: two", "ann: three"])
        .await;
}
