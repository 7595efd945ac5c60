//! The engine and the official JavaScript SDK talk through the service, both ways.
//!
//! The SDK runs in a process of its own (`tests/interop/js/peer.mjs`) that takes one deed a line. Without
//! Node or without the packages the tests say that they were skipped, and under `CI=true` that fails.

use std::path::Path;
use std::process::Stdio;

use sampan::model::{ConversationId, MessageContent, MessageKey, NewConversation, Uniqueness};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::place::{PATIENCE, Place, id};

/// A device with the official SDK.
pub(crate) struct Peer {
    _process: Child,
    deeds: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Signs a client in with the SDK; none where the SDK can't run.
    pub(crate) async fn sign_in(place: &Place, client: &str) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/js");
        if !can_run(&folder) {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI runs the official SDKs"
            );
            println!("SKIPPED: no Node, or no packages in tests/interop/js (npm ci)");
            return None;
        }
        let mut process = Command::new("node")
            .arg("peer.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deeds = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut peer = Self {
            _process: process,
            deeds,
            answers,
        };
        let url = format!("http://{}", place.service.addr());
        let login = json!({ "url": url, "appId": "it", "appKey": "it-key", "clientId": client });
        peer.does("login", login).await;
        Some(peer)
    }

    /// Has the SDK do something and waits for what comes of it.
    pub(crate) async fn does(&mut self, deed: &str, mut details: Value) -> Value {
        let named = details.as_object_mut().unwrap();
        named.insert("do".to_owned(), deed.into());
        let line = format!("{details}\n");
        self.deeds.write_all(line.as_bytes()).await.unwrap();
        self.deeds.flush().await.unwrap();
        let answer = timeout(PATIENCE, self.answers.next_line()).await;
        let answer = answer.expect("the SDK answers in time").unwrap().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer.get("error").is_none(), "{deed}: {answer}");
        answer
    }
}

fn can_run(folder: &Path) -> bool {
    let node = std::process::Command::new("node").arg("--version").output();
    node.is_ok() && folder.join("node_modules").exists()
}

/// S267: the engine makes the conversation; both send, both receive, both see one history.
#[tokio::test]
async fn sampan_starts_a_conversation_and_chats_with_the_javascript_sdk() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let wanted = NewConversation {
        members: vec![id("js")],
        name: Some("Tea".to_owned()),
        ..NewConversation::default()
    };
    let talk = ann
        .client
        .create_conversation(wanted)
        .await
        .unwrap()
        .conversation;
    talk.send_text("is the kettle on?".into(), None)
        .await
        .unwrap();
    let heard = js
        .does("hears", json!({ "text": "is the kettle on?" }))
        .await;
    assert_eq!(heard["from"], "ann");
    let service_id = ann.service_id(&talk).await;
    assert_eq!(heard["cid"], service_id.as_str());
    let found = js.does("find", json!({ "cid": service_id.as_str() })).await;
    assert_eq!(
        (&found["name"], &found["creator"]),
        (&json!("Tea"), &json!("ann"))
    );
    let said = json!({ "cid": service_id.as_str(), "text": "it is" });
    js.does("say", said).await;
    ann.sees(&service_id, &["ann: is the kettle on?", "js: it is"])
        .await;
    let history = js
        .does("history", json!({ "cid": service_id.as_str() }))
        .await;
    assert_eq!(history["texts"], json!(["is the kettle on?", "it is"]));
}

/// The SDK makes the conversation; its messages while the engine is away are counted, read and cleared; its edits and
/// recalls are shown.
#[tokio::test]
async fn what_the_javascript_sdk_says_edits_and_recalls_while_sampan_is_away_is_shown_afterwards() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let started = js
        .does("start", json!({ "members": ["ann"], "name": "Tea" }))
        .await;
    let cid = started["cid"].clone();
    let talk = ConversationId::new(cid.as_str().unwrap()).unwrap();
    js.does("say", json!({ "cid": cid, "text": "one" })).await;
    ann.sees(&talk, &["js: one"]).await;
    let conversation = ann.client.conversation(talk.clone()).unwrap();
    conversation.mark_read(None).await.unwrap();
    ann.has_sent_everything().await;
    ann.client.go_offline().unwrap();
    let two = js.does("say", json!({ "cid": cid, "text": "tow" })).await;
    let three = js.does("say", json!({ "cid": cid, "text": "three" })).await;
    let edit = json!({ "cid": cid, "id": two["id"], "timestamp": two["timestamp"], "text": "two" });
    js.does("edit", edit).await;
    ann.go_online().await;
    ann.sees(&talk, &["js: one", "js: two", "js: three"]).await;
    ann.until("two unread messages", || async {
        (conversation.info().await.ok()?.unread.count == 2).then_some(())
    })
    .await;
    conversation.mark_read(None).await.unwrap();
    assert!(conversation.info().await.unwrap().unread.is_none());
    let recall = json!({ "cid": cid, "id": three["id"], "timestamp": three["timestamp"] });
    js.does("recall", recall).await;
    ann.sees(&talk, &["js: one", "js: two", "js: recalled"])
        .await;
}

/// The engine's messages while the SDK is away count as unread there, and are in its history.
#[tokio::test]
async fn what_sampan_says_while_the_javascript_sdk_is_away_is_unread_there() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    for words in ["one", "two", "three"] {
        talk.send_text(words.into(), None).await.unwrap();
    }
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let cid = service_id.as_str();
    js.does("unread", json!({ "cid": cid, "count": 3 })).await;
    let history = js.does("history", json!({ "cid": cid })).await;
    assert_eq!(history["texts"], json!(["one", "two", "three"]));
}

/// S225, S226: the engine's edits and recalls reach the SDK as its own events, and are in its history.
#[tokio::test]
async fn what_sampan_edits_and_recalls_is_changed_at_the_javascript_sdk() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let one = talk.send_text("oen".into(), None).await.unwrap();
    let two = talk.send_text("two".into(), None).await.unwrap();
    js.does("hears", json!({ "text": "two" })).await;
    ann.has_sent_everything().await;
    let said = MessageContent::text("one");
    talk.edit(MessageKey::local(one.local_id), said)
        .await
        .unwrap();
    let told = js.does("event", json!({ "name": "messageupdate" })).await;
    assert_eq!(told["text"], "one");
    talk.recall(MessageKey::local(two.local_id)).await.unwrap();
    js.does("event", json!({ "name": "messagerecall" })).await;
    let cid = ann.service_id(&talk).await;
    let history = js.does("history", json!({ "cid": cid.as_str() })).await;
    assert_eq!(history["texts"][0], "one");
    assert_ne!(history["texts"][1], "two");
}

/// S077, S090, S092: the SDK finds the changes that the engine made to a conversation offline.
#[tokio::test]
async fn what_sampan_changes_of_a_conversation_is_changed_at_the_javascript_sdk() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let wanted = NewConversation {
        members: vec![id("js"), id("dan")],
        name: Some("Tea".to_owned()),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let talk = ann.client.create_conversation(wanted).await.unwrap();
    let talk = talk.conversation;
    let cid = ann.service_id(&talk).await;
    ann.client.go_offline().unwrap();
    talk.set_name("Green tea".into()).await.unwrap();
    talk.add_members(vec![id("cat")]).await.unwrap();
    talk.remove_members(vec![id("dan")]).await.unwrap();
    talk.send_text("welcome".into(), None).await.unwrap();
    ann.go_online().await;
    ann.has_sent_everything().await;
    js.does("hears", json!({ "text": "welcome" })).await;
    let found = js.does("find", json!({ "cid": cid.as_str() })).await;
    assert_eq!(found["name"], "Green tea");
    let members = found["members"].as_array().unwrap();
    let mut members: Vec<_> = members.iter().filter_map(Value::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["ann", "cat", "js"]);
}

/// S068, S108, S109, S112, S114: the engine and the SDK are in one chat room, count the same, and hear each
/// other; a temporary conversation of the SDK has its end here.
#[tokio::test]
async fn sampan_and_the_javascript_sdk_meet_in_a_chat_room_and_in_a_temporary_conversation() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let made = js.does("room", json!({ "name": "the pier" })).await;
    let cid = made["cid"].clone();
    let pier = ConversationId::new(cid.as_str().unwrap()).unwrap();
    let room = ann.client.join(pier.clone()).await.unwrap();
    ann.has_sent_everything().await;
    let counted = js.does("count", json!({ "cid": cid })).await;
    assert_eq!(counted["count"], 2);
    assert_eq!(room.count_members().await.unwrap().0, 2);
    room.send_text("ahoy".into(), None).await.unwrap();
    js.does("hears", json!({ "text": "ahoy" })).await;
    let said = json!({ "cid": cid, "text": "ahoy yourself" });
    js.does("say", said).await;
    ann.until("the answer", || async {
        let lines = ann.lines(&pier).await.ok()?;
        lines
            .contains(&"js: ahoy yourself".to_owned())
            .then_some(())
    })
    .await;
    js.does("leave", json!({ "cid": cid })).await;
    assert_eq!(room.inside(50).await.unwrap(), [id("ann")]);
    let wanted = json!({ "members": ["ann"], "ttl": 3600 });
    let made = js.does("temporary", wanted).await;
    let cid = made["cid"].clone();
    js.does("say", json!({ "cid": cid, "text": "for now" }))
        .await;
    let temporary = ConversationId::new(cid.as_str().unwrap()).unwrap();
    ann.sees(&temporary, &["js: for now"]).await;
    ann.until("the end of the conversation", || async {
        let info = ann.handle(&temporary).info().await.ok()?;
        let life = info.expires_at?.as_millis() - info.created_at?.as_millis();
        (3_500_000..=3_700_000).contains(&life).then_some(())
    })
    .await;
}
