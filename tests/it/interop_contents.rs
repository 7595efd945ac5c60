//! Messages between the engine and the official JavaScript SDK: every kind of content, mentions, options, edits,
//! recalls and receipts, both ways. The SDK is driven as in `interop.rs`.

use sampan::model::{
    ConversationId, Event, Json, MediaFile, Mentions, Message, MessageContent, MessageKey,
    MessageState, NewMessage, Priority, SendOptions,
};
use serde_json::{Value, json};

use crate::interop::Peer;
use crate::place::{Device, Place, id};

fn text(value: &str) -> Json {
    Json::parse(value).unwrap()
}

/// A file that the service knows by an id, with all that is said about one.
fn file() -> MediaFile {
    MediaFile {
        object_id: Some("0123456789abcdef01234567".to_owned()),
        name: Some("x.png".to_owned()),
        format: Some("png".to_owned()),
        size: Some(18_032),
        width: Some(640),
        height: Some(480),
        duration: Some(12.5),
        ..MediaFile::at("https://files.invalid/x.png")
    }
}

fn file_of_sdk() -> Value {
    json!({
        "objectId": "0123456789abcdef01234567",
        "url": "https://files.invalid/x.png",
        "name": "x.png",
        "metaData": metadata(),
    })
}

fn metadata() -> Value {
    json!({
        "name": "x.png", "format": "png", "size": 18032, "width": 640, "height": 480, "duration": 12.5,
    })
}

/// Each kind as the engine has it, and as the SDK does.
fn both() -> Vec<(MessageContent, Value)> {
    let attributes = || text(r#"{"mood":{"calm":[1,null]}}"#);
    let attached = json!({"mood": {"calm": [1, null]}});
    let media = |content: MessageContent, kind: &str| {
        let content = content.with_caption("words").with_attributes(attributes());
        let sdk = json!({
            "kind": kind, "text": "words", "attributes": attached, "file": file_of_sdk(),
        });
        (content, sdk)
    };
    let place = MessageContent::location(31.2304, 121.4737).unwrap();
    vec![
        (
            MessageContent::text("hello 船").with_attributes(attributes()),
            json!({"kind": "text", "text": "hello 船", "attributes": attached}),
        ),
        media(MessageContent::image(file()), "image"),
        media(MessageContent::audio(file()), "audio"),
        media(MessageContent::video(file()), "video"),
        media(MessageContent::file(file()), "file"),
        (
            place.with_caption("here"),
            json!({
                "kind": "location", "text": "here", "latitude": 31.2304, "longitude": 121.4737,
            }),
        ),
        (
            MessageContent::Plain {
                text: "just words".to_owned(),
            },
            json!({"kind": "plain", "content": "just words"}),
        ),
        (
            MessageContent::Plain {
                text: r#"{"own": "protocol"}"#.to_owned(),
            },
            json!({"kind": "plain", "content": r#"{"own": "protocol"}"#}),
        ),
        (
            MessageContent::Binary {
                data: (0..=255).collect(),
            },
            json!({"kind": "binary", "bytes": (0..=255).collect::<Vec<u8>>()}),
        ),
    ]
}

fn mentions() -> Mentions {
    Mentions {
        all: true,
        clients: vec![id("js"), id("ann"), id("dan")],
    }
}

/// Checks that the SDK tells everything that is expected, and calls the same people.
fn assert_told(told: &Value, expected: &Value) {
    let place = &told["place"];
    for (key, value) in expected.as_object().unwrap() {
        let said = match key.as_str() {
            "latitude" | "longitude" => &place[key],
            _ => &told[key],
        };
        // The SDK shows a plain text that happens to be JSON as the value of that JSON.
        let tree = value
            .as_str()
            .filter(|_| key == "content" && said.is_object());
        let tree = tree.map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(said, tree.as_ref().unwrap_or(value), "{key} of {told}");
    }
}

/// The message of an id, once the engine has it.
async fn by_id(device: &Device, talk: &ConversationId, id: &Value) -> Message {
    let id = id.as_str().unwrap();
    device
        .until("the message", || async {
            let all = device.messages(talk).await;
            let named = |it: &Message| it.id.as_ref().is_some_and(|it| it.as_str() == id);
            all.into_iter().find(named)
        })
        .await
}

/// S019, S155–S160, S163, S164, S168, S231–S233, S235, S236, S238, S313: the SDK reads each kind that the engine sends, live
/// and in history: its class, words, attributes, file, place and bytes, and whom it calls.
#[tokio::test]
async fn the_javascript_sdk_reads_every_kind_that_sampan_sends() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let cid = ann.service_id(&talk).await;
    let mut expected = Vec::new();
    for (content, mut sdk) in both() {
        let message = NewMessage {
            mentions: mentions(),
            ..NewMessage::new(content)
        };
        let sent = talk.send(message).await.unwrap();
        ann.has_sent_everything().await;
        let sent = talk.message_by_local_id(sent.local_id).await.unwrap();
        let told = js
            .does("gets", json!({ "id": sent.id.unwrap().as_str() }))
            .await;
        sdk["mentions"] = json!(["js", "ann", "dan"]);
        sdk["mentionedAll"] = true.into();
        sdk["mentioned"] = true.into();
        assert_told(&told, &sdk);
        expected.push(sdk);
    }
    let history = js.does("contents", json!({ "cid": cid.as_str() })).await;
    let history = history["contents"].as_array().unwrap();
    assert_eq!(history.len(), expected.len());
    for (told, sdk) in history.iter().zip(&expected) {
        assert_told(told, sdk);
    }
}

/// S019, S155–S160, S163, S164, S168, S231–S233, S235, S236, S238: the engine reads each kind that the SDK sends, live and
/// in history, with everything that the SDK said.
#[tokio::test]
async fn sampan_reads_every_kind_that_the_javascript_sdk_sends() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let started = js.does("start", json!({ "members": ["ann"] })).await;
    let talk = ConversationId::new(started["cid"].as_str().unwrap()).unwrap();
    let mut ids = Vec::new();
    for (content, mut sdk) in both() {
        sdk["mentions"] = json!(["js", "ann", "dan"]);
        sdk["mentionAll"] = true.into();
        let said = json!({ "cid": talk.as_str(), "content": sdk });
        let sent = js.does("sends", said).await;
        let heard = by_id(&ann, &talk, &sent["id"]).await;
        assert_read(&heard, &content);
        ids.push((sent["id"].clone(), content));
    }
    let later = place.online("tablet", "ann").await;
    later.client.fetch_conversation(talk.clone()).await.unwrap();
    let handle = later.handle(&talk);
    while !handle.fetch_older(50).await.unwrap().start_reached {}
    for (id, content) in ids {
        assert_read(&by_id(&later, &talk, &id).await, &content);
    }
}

/// Checks that a message of the SDK says what it should. The SDK writes no name beside the metadata, and null for
/// what it does not know.
fn assert_read(message: &Message, content: &MessageContent) {
    assert_eq!(message.mentions, mentions());
    match (&message.content, content) {
        (read, meant) if meant.media().is_some() => {
            assert_eq!(read.kind_name(), meant.kind_name());
            assert_eq!(read.words(), meant.words());
            let (read, meant) = (read.clone(), meant.clone());
            let attributes = |it: &MessageContent| {
                let json = it.details().and_then(|it| it.attributes.clone());
                json.map(|json| json.to_value())
            };
            assert_eq!(attributes(&read), attributes(&meant));
            assert_eq!(read.media(), meant.media());
        }
        (
            MessageContent::Text { text, details },
            MessageContent::Text {
                text: meant,
                details: with,
            },
        ) => {
            assert_eq!((text, &details.attributes), (meant, &with.attributes));
        }
        (read, meant) => assert_eq!(read, meant),
    }
}

fn custom(kind: i32, envelope: &str) -> MessageContent {
    MessageContent::Custom {
        kind,
        envelope: text(envelope),
    }
}

fn envelope(message: &Message) -> (i32, Value) {
    match &message.content {
        MessageContent::Custom { kind, envelope } => (*kind, envelope.to_value()),
        other => panic!("{other:?}"),
    }
}

/// S170, S182, S313, S314, S319, S376: a type that the SDK's app registered arrives as its class with its fields, kept and
/// transient, both ways; one that nobody registered is passed on with all its keys.
#[tokio::test]
async fn types_of_an_apps_own_cross_both_ways_registered_or_not() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let cid = ann.service_id(&talk).await;
    let order = r#"{"_lctype":12,"_lctext":"for the boat","item":"rope","count":3}"#;
    for transient in [false, true] {
        let message = NewMessage {
            options: SendOptions {
                transient,
                ..SendOptions::default()
            },
            ..NewMessage::new(custom(12, order))
        };
        talk.send(message).await.unwrap();
        let told = js
            .does("getsWords", json!({ "text": "for the boat" }))
            .await;
        let expected = json!({"kind": "order", "order": {"item": "rope", "count": 3}});
        assert_told(&told, &expected);
    }
    let unknown = r#"{"_lctype": 77, "deep": [1, {"z": "船"}]}"#;
    let sent = talk
        .send(NewMessage::new(custom(77, unknown)))
        .await
        .unwrap();
    ann.has_sent_everything().await;
    let sent = talk.message_by_local_id(sent.local_id).await.unwrap();
    let told = js
        .does("gets", json!({ "id": sent.id.unwrap().as_str() }))
        .await;
    let content: Value = match &told["content"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        tree => tree.clone(),
    };
    assert_eq!(content["deep"], json!([1, {"z": "船"}]), "{told}");
    let mut events = ann.client.events();
    let order = json!({"kind": "order", "text": "two more", "item": "rope", "count": 2});
    let said = js
        .does("sends", json!({ "cid": cid.as_str(), "content": order }))
        .await;
    let (kind, heard) = envelope(&by_id(&ann, &cid, &said["id"]).await);
    assert_eq!(
        (kind, &heard["item"], &heard["count"]),
        (12, &json!("rope"), &json!(2))
    );
    assert_eq!(heard["_lctext"], "two more");
    let options = json!({"transient": true});
    let told = json!({ "cid": cid.as_str(), "content": order, "options": options });
    js.does("sends", told).await;
    let heard = Device::is_told(&mut events, "a transient order", |event| match event {
        Event::TransientMessage { message, .. } => Some(message),
        _ => None,
    });
    assert_eq!(envelope(&heard.await).1["count"], 2);
    let unknown = json!({"kind": "plain", "content": unknown});
    let said = js
        .does("sends", json!({ "cid": cid.as_str(), "content": unknown }))
        .await;
    let (kind, heard) = envelope(&by_id(&ann, &cid, &said["id"]).await);
    assert_eq!((kind, &heard["deep"]), (77, &json!([1, {"z": "船"}])));
}

/// S162, S225–S228: an edit to any kind and a recall cross both ways and keep id and place.
#[tokio::test]
async fn edits_to_any_kind_and_recalls_cross_both_ways() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let cid = ann.service_id(&talk).await;
    let mine = talk.send_text("mine".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let key = MessageKey::local(mine.local_id.clone());
    let said = json!({ "cid": cid.as_str(), "content": {"kind": "text", "text": "theirs"} });
    let theirs = js.does("sends", said).await;
    by_id(&ann, &cid, &theirs["id"]).await;
    let mine = talk.message_by_local_id(mine.local_id).await.unwrap();
    let my_id = json!(mine.id.unwrap().as_str());
    js.does("gets", json!({ "id": my_id })).await;
    for (content, sdk) in both() {
        talk.edit(key.clone(), content.clone()).await.unwrap();
        let told = js.does("changed", json!({ "id": my_id })).await;
        // SDK 5.0.0-rc.8 hands the app the buffer of the whole frame when an edit brings bytes.
        if content.kind_name() != "binary" {
            assert_told(&told, &sdk);
        }
        let change = json!({
            "cid": cid.as_str(), "id": theirs["id"], "timestamp": theirs["timestamp"], "content": sdk,
        });
        js.does("changes", change).await;
        ann.until("the edit", || async {
            let heard = by_id(&ann, &cid, &theirs["id"]).await;
            let said = (heard.content.kind_name(), heard.content.words());
            (said == (content.kind_name(), content.words())).then_some(())
        })
        .await;
    }
    talk.recall(key).await.unwrap();
    let told = js.does("event", json!({ "name": "messagerecall" })).await;
    assert_eq!(told["id"], my_id);
    let recall =
        json!({ "cid": cid.as_str(), "id": theirs["id"], "timestamp": theirs["timestamp"] });
    js.does("recall", recall).await;
    ann.until("the recall", || async {
        let heard = by_id(&ann, &cid, &theirs["id"]).await;
        heard.content.is_recalled().then_some(())
    })
    .await;
    let history = js.does("contents", json!({ "cid": cid.as_str() })).await;
    let kinds: Vec<_> = history["contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["kind"])
        .collect();
    assert_eq!(kinds, ["recalled", "recalled"]);
}

/// S184, S191, S194, S195, S199: receipts that either side asked for reach it, delivered and read, with their time; where
/// none was asked for, none comes.
#[tokio::test]
async fn receipts_cross_both_ways_where_they_were_asked_for() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let cid = ann.service_id(&talk).await;
    let silent = NewMessage {
        options: SendOptions {
            receipt: Some(false),
            ..SendOptions::default()
        },
        ..NewMessage::text("no receipt")
    };
    let silent = talk.send(silent).await.unwrap();
    js.does("hears", json!({ "text": "no receipt" })).await;
    ann.has_sent_everything().await;
    let asked = NewMessage {
        options: SendOptions {
            receipt: Some(true),
            priority: Some(Priority::Normal),
            ..SendOptions::default()
        },
        push: Some(text(r#"{"alert":"tea?","badge":"Increment"}"#)),
        ..NewMessage::text("tea?")
    };
    let first = talk.message_by_local_id(silent.local_id).await.unwrap();
    assert_eq!(first.state, MessageState::Sent);
    let asked = talk.send(asked).await.unwrap();
    js.does("hears", json!({ "text": "tea?" })).await;
    let state = async |read: bool| {
        ann.until("the receipt", || async {
            let message = talk
                .message_by_local_id(asked.local_id.clone())
                .await
                .ok()?;
            match message.state {
                MessageState::Delivered { at } if !read => Some(at),
                MessageState::Read { at } if read => Some(at),
                _ => None,
            }
        })
        .await
    };
    let sent_at = talk
        .message_by_local_id(asked.local_id.clone())
        .await
        .unwrap()
        .sent_at;
    let delivered = state(false).await;
    assert!(delivered >= sent_at);
    js.does("read", json!({ "cid": cid.as_str() })).await;
    assert!(state(true).await >= delivered);
    let options = json!({"receipt": true});
    let content = json!({"kind": "text", "text": "with milk"});
    let said = json!({ "cid": cid.as_str(), "content": content, "options": options });
    let said = js.does("sends", said).await;
    by_id(&ann, &cid, &said["id"]).await;
    let told = js.does("receipt", json!({ "id": said["id"] })).await;
    assert!(
        told["deliveredAt"].as_i64() >= told["timestamp"].as_i64(),
        "{told}"
    );
    talk.mark_read(None).await.unwrap();
    let until = json!({ "cid": cid.as_str(), "timestamp": said["timestamp"] });
    js.does("readUntil", until).await;
}

/// S239, S241: the engine hears the SDK's will, which is in no history.
#[tokio::test]
async fn a_will_of_the_javascript_sdk_is_heard_and_is_in_no_history() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let cid = ann.service_id(&talk).await;
    let mut events = ann.client.events();
    let content = json!({"kind": "text", "text": "js is gone"});
    let options = json!({"will": true});
    let will = json!({ "cid": cid.as_str(), "content": content, "options": options });
    js.does("sends", will).await;
    js.does("cut", json!({})).await;
    let heard = Device::is_told(&mut events, "the will", |event| match event {
        Event::TransientMessage { message, .. } | Event::MessageAdded { message, .. } => {
            (message.content.words() == Some("js is gone")).then_some(message)
        }
        _ => None,
    });
    assert_eq!(heard.await.sender, id("js"));
    let history = js.does("history", json!({ "cid": cid.as_str() })).await;
    assert_eq!(history["texts"], json!([]));
}
