//! Contents of messages: those refused at the call, the limit of their bytes, and those that nobody here knows.

use sampan::SampanError;
use sampan::model::{
    ConversationId, Details, Json, MediaFile, Mentions, Message, MessageContent, MessageKey,
    NewMessage, Priority, SendOptions,
};

use crate::place::{Device, Place, id};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// One content of each sort that can't be sent, with the part that the refusal names.
fn unfit() -> Vec<(MessageContent, &'static str)> {
    let place = |latitude, longitude| MessageContent::Location {
        latitude,
        longitude,
        caption: None,
        details: Details::default(),
    };
    let mut endless = MediaFile::at("https://files.invalid/a.mp3");
    endless.duration = Some(f64::INFINITY);
    vec![
        (
            MessageContent::image(MediaFile::default()),
            "file: it has no address",
        ),
        (MessageContent::audio(endless), "file: its duration"),
        (place(91.0, 0.0), "latitude"),
        (place(0.0, f64::NAN), "longitude"),
        (
            MessageContent::text("x").with_attributes(json("[]")),
            "attributes",
        ),
        (
            MessageContent::Custom {
                kind: 5,
                envelope: json("\"x\""),
            },
            "envelope",
        ),
        (
            MessageContent::Custom {
                kind: 0,
                envelope: json("{}"),
            },
            "kind",
        ),
        (
            MessageContent::Recalled {
                caption: None,
                details: Details::default(),
            },
            "a recalled message is made by a recall",
        ),
    ]
}

fn names(refusal: &SampanError, part: &str) -> bool {
    matches!(refusal, SampanError::InvalidArgument { reason } if reason.contains(part))
}

/// S161, S163: a content that its readers could not read as what it is meant to be is refused by name at
/// the call, of a send and of an edit, and nothing is enqueued.
#[tokio::test]
async fn a_content_that_cannot_be_read_is_refused_at_the_call_and_not_enqueued() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let sound = talk.send_text("sound".into(), None).await.unwrap();
    let before = ann.client.outbox().await.unwrap();
    for (content, part) in unfit() {
        let refusal = talk.send(NewMessage::new(content.clone())).await;
        let refusal = refusal.unwrap_err();
        assert!(names(&refusal, part), "{refusal}");
        let key = MessageKey::local(sound.local_id.clone());
        let refusal = talk.edit(key, content).await.unwrap_err();
        assert!(names(&refusal, part), "{refusal}");
    }
    let mut pushed = NewMessage::text("x");
    pushed.push = Some(json("[]"));
    let refusal = talk.send(pushed).await.unwrap_err();
    assert!(names(&refusal, "push"), "{refusal}");
    assert_eq!(ann.client.outbox().await.unwrap(), before);
}

/// A message with everything that counts towards its size, and so many letters of text.
fn laden(letters: usize) -> NewMessage {
    NewMessage {
        content: MessageContent::text("x".repeat(letters)).with_attributes(json("{\"n\":1}")),
        reply_to: None,
        mentions: Mentions {
            all: true,
            clients: vec![id("ben")],
        },
        push: Some(json("{\"alert\":\"hello\"}")),
        options: SendOptions {
            priority: Some(Priority::High),
            ..SendOptions::default()
        },
    }
}

/// S177, S187, S347: a message whose command has 5,120 bytes is taken and arrives; with one byte more the
/// send, and the edit, are refused at the call, which tells both numbers. Mentions, attributes, push data
/// and options count.
#[tokio::test]
async fn a_command_of_5120_bytes_is_sent_and_one_of_5121_is_refused_at_the_call() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let service_id = ann.service_id(&talk).await;
    let talk = ann.handle(&service_id);
    let over = |refusal: SampanError| match refusal {
        SampanError::TooLarge { limit, actual } if limit == 5120 => {
            usize::try_from(actual.0).unwrap() - 5120
        }
        other => panic!("{other:?}"),
    };
    let far = over(talk.send(laden(5100)).await.unwrap_err());
    let most = 5100 - far;
    assert_eq!(over(talk.send(laden(most + 1)).await.unwrap_err()), 1);
    let sent = talk.send(laden(most)).await.unwrap();
    ann.has_sent_everything().await;
    let arrived = ben.until("the message", || async {
        ben.messages(&service_id).await.into_iter().next()
    });
    assert_eq!(arrived.await.content.words().map(str::len), Some(most));
    let key = MessageKey::local(sent.local_id);
    let edit = |letters: usize| talk.edit(key.clone(), MessageContent::text("y".repeat(letters)));
    let most = 5100 - over(edit(5100).await.unwrap_err());
    assert_eq!(over(edit(most + 1).await.unwrap_err()), 1);
    edit(most).await.unwrap();
    ann.has_sent_everything().await;
    ben.sees(&service_id, &[&format!("ann: {}", "y".repeat(most))])
        .await;
}

/// The first message of a conversation that `ready` takes.
async fn the_first(
    device: &Device,
    talk: &ConversationId,
    ready: impl Fn(&Message) -> bool,
) -> Message {
    device
        .until("the message", || async {
            let first = device.messages(talk).await.into_iter().next();
            first.filter(&ready)
        })
        .await
}

fn envelope(content: &MessageContent) -> &str {
    match content {
        MessageContent::Custom { envelope, .. } => envelope.as_str(),
        other => panic!("{other:?}"),
    }
}

/// S170: an envelope of a kind that nobody here knows keeps every byte over the wire, the store, a
/// restart, an edit by its sender and a forward by its receiver: spaces, order, digits, escapes.
#[tokio::test]
async fn an_envelope_of_an_unknown_kind_keeps_every_byte() {
    let first = "{ \"z\":1.50,\"_lctype\" : 77, \"a\":[ 123456789012345678901234567890 ],\"e\":\"\\u8239\" }";
    let second = "{\"_lctype\":-77 ,\"z\":1e2}";
    let content = |kind, text| MessageContent::Custom {
        kind,
        envelope: json(text),
    };
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let sent = talk
        .send(NewMessage::new(content(77, first)))
        .await
        .unwrap();
    assert_eq!(envelope(&sent.message.content), first);
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let heard = the_first(&ben, &service_id, |_| true).await;
    assert_eq!(envelope(&heard.content), first);
    let key = MessageKey::local(sent.local_id);
    talk.edit(key, content(-77, second)).await.unwrap();
    ann.has_sent_everything().await;
    let is_edited = |message: &Message| message.edited_at.is_some();
    let heard = the_first(&ben, &service_id, is_edited).await;
    assert_eq!(envelope(&heard.content), second);
    ben.engine.shutdown().await.unwrap();
    drop(ben);
    let ben = place.online("laptop", "ben").await;
    let stored = the_first(&ben, &service_id, is_edited).await;
    assert_eq!(envelope(&stored.content), second);
    let other = ben.talk_to("cem").await;
    other.send(NewMessage::new(stored.content)).await.unwrap();
    let other = ben.service_id(&other).await;
    let cem = place.online("tablet", "cem").await;
    cem.client.fetch_conversation(other.clone()).await.unwrap();
    cem.handle(&other).fetch_older(10).await.unwrap();
    assert_eq!(
        envelope(&the_first(&cem, &other, |_| true).await.content),
        second
    );
}
