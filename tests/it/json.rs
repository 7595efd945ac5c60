//! JSON of apps: accepted JSON is read by others as it was written, and the rest is refused.

use sampan::SampanError;
use sampan::model::{Details, Json, JsonFault, MessageContent, NewConversation, NewMessage};

use crate::place::{Place, id};

fn details(text: &str) -> Details {
    Details {
        attributes: Some(Json::parse(text).unwrap()),
        extra: None,
    }
}

fn attributes(content: &MessageContent) -> Option<&str> {
    match content {
        MessageContent::Text { details, .. } => details.attributes.as_ref().map(Json::as_str),
        _ => None,
    }
}

#[tokio::test]
async fn attributes_reach_the_other_device_to_the_digit() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let nested = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    let text = format!(
        r#"{{"n":123456789012345678901234567890,"e":1.50e3,"d":{nested},"u":"\ud83d\ude00"}}"#
    );
    let message = NewMessage {
        content: MessageContent::Text {
            text: "look".to_owned(),
            details: details(&text),
        },
        ..NewMessage::text("")
    };
    let sent = talk.send(message).await.unwrap();
    assert_eq!(attributes(&sent.message.content), Some(text.as_str()));
    ann.has_sent_everything().await;
    let talk = ann.service_id(&talk).await;
    ben.sees(&talk, &["ann: look"]).await;
    let page = ben.client.conversation(talk).unwrap();
    let page = page.page(None, 10).await.unwrap();
    let received = page.items[0].message().unwrap();
    assert_eq!(attributes(&received.content), Some(text.as_str()));
}

/// Plain words that other readers take for an envelope are shown as an envelope to sender and receiver.
#[tokio::test]
async fn words_that_are_an_envelope_are_shown_alike_by_sender_and_receiver() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let text = r#"{"_lctype":-1,"_lctext":"so happy \ud83d"}"#.to_owned();
    let message = NewMessage {
        content: MessageContent::Plain { text },
        ..NewMessage::text("")
    };
    talk.send(message).await.unwrap();
    ann.has_sent_everything().await;
    let talk = ann.service_id(&talk).await;
    for device in [&ann, &ben] {
        device.sees(&talk, &["ann: so happy \u{fffd}"]).await;
    }
}

#[tokio::test]
async fn json_that_can_not_be_carried_is_refused_at_the_call() {
    for (text, fault) in [
        (r#"{"n":"ann \ud83d"}"#, JsonFault::HalfSurrogate),
        ("1e400", JsonFault::NumberRange),
        (&"[".repeat(130), JsonFault::Malformed),
    ] {
        assert_eq!(Json::parse(text).unwrap_err().fault, fault);
    }
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    for text in [
        r#"{"n":18446744073709551616}"#.to_owned(),
        format!("{}1{}", "[".repeat(32), "]".repeat(32)),
    ] {
        let conversation = NewConversation {
            members: vec![id("ben")],
            attributes: Some(Json::parse(text).unwrap()),
            ..NewConversation::default()
        };
        let refusal = ann.client.create_conversation(conversation).await;
        let refusal = refusal.unwrap_err();
        assert!(
            matches!(refusal, SampanError::InvalidArgument { .. }),
            "{refusal}"
        );
    }
    assert_eq!(ann.client.outbox().await.unwrap(), []);
}
