//! Replies: what a message answers, on every device: sent or not, edited, recalled, far away, and at the official SDK.

use sampan::model::{Json, MessageContent, MessageKey, NewMessage};
use sampan::{Conversation, Quote, SampanError, TimelineOptions};
use serde_json::json;

use crate::interop::Peer;
use crate::place::{Place, id};
use crate::screen::Screen;

fn answer(words: &str, to: &MessageKey) -> NewMessage {
    NewMessage {
        reply_to: Some(to.clone()),
        ..NewMessage::text(words)
    }
}

/// The quote of a message in a conversation, once the quote is as wanted.
async fn quoted(talk: &Conversation, words: &str, wanted: impl Fn(&Quote) -> bool) -> Quote {
    let mut screen = Screen::open(talk, TimelineOptions::default()).await;
    let quote = |screen: &Screen| {
        let mut messages = screen.state.items.iter().filter_map(|item| item.message());
        let found = messages.find(|it| it.content.words() == Some(words))?;
        found.reply_to.clone().filter(&wanted)
    };
    while quote(&screen).is_none() {
        screen.update().await;
    }
    quote(&screen).unwrap()
}

fn says(words: &'static str) -> impl Fn(&Quote) -> bool {
    move |quote| quote.excerpt == words && !quote.recalled
}

/// A reply quotes what it answers, by the key that each device has for it, made offline too; an edit of the reply leaves
/// it one, and an edit and a recall of what it answers show in the quote.
#[tokio::test]
async fn a_reply_quotes_what_it_answers_as_that_is_now() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: hello"]).await;
    ann.client.go_offline().unwrap();
    let first = talk
        .send_text("is the   kettle\non?".into(), None)
        .await
        .unwrap();
    let first = MessageKey::local(first.local_id);
    let reply = talk.send(answer("I ask because", &first)).await.unwrap();
    let quote = quoted(&talk, "I ask because", says("is the kettle on?")).await;
    assert_eq!(
        (&quote.message, &quote.sender),
        (&Some(first.clone()), &id("ann"))
    );
    ann.go_online().await;
    ann.has_sent_everything().await;
    let quote = quoted(&talk, "I ask because", says("is the kettle on?")).await;
    assert_eq!(quote.message, Some(first.clone()), "the key of before");
    let again = talk.send(answer("once more", &first)).await.unwrap();
    let quote = again.message.reply_to.unwrap();
    assert_eq!(
        quote.message,
        Some(first.clone()),
        "in the answer of a call too"
    );
    let theirs = ben.handle(&service_id);
    let quote = quoted(&theirs, "I ask because", says("is the kettle on?")).await;
    let asked = talk.message(first.clone()).await.unwrap().message.unwrap();
    let key = MessageKey::service(asked.sent_at, asked.reference.clone().unwrap().id);
    assert_eq!(
        (&quote.message, &quote.sender),
        (&Some(key.clone()), &id("ann"))
    );
    theirs.send(answer("it is", &key)).await.unwrap();
    quoted(&talk, "it is", says("is the kettle on?")).await;
    let reply = MessageKey::local(reply.local_id);
    talk.edit(reply, MessageContent::text("I only ask because"))
        .await
        .unwrap();
    quoted(&theirs, "I only ask because", says("is the kettle on?")).await;
    talk.edit(first.clone(), MessageContent::text("is the pot on?"))
        .await
        .unwrap();
    quoted(&theirs, "it is", says("is the pot on?")).await;
    talk.recall(first).await.unwrap();
    let quote = quoted(&theirs, "it is", |quote| quote.recalled).await;
    assert_eq!((quote.excerpt.as_str(), quote.message), ("", Some(key)));
}

/// The quote of a message that this device does not hold is taken from the reply.
#[tokio::test]
async fn a_reply_to_a_message_that_is_not_held_quotes_what_it_says_itself() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let first = talk.send_text("long ago".into(), None).await.unwrap();
    for number in 0..8 {
        talk.send_text(format!("later {number}"), None)
            .await
            .unwrap();
    }
    let first = MessageKey::local(first.local_id);
    talk.send(answer("as I said", &first)).await.unwrap();
    ann.has_sent_everything().await;
    let service_id = ann.service_id(&talk).await;
    let mut config = place.config("laptop");
    config.limits.catch_up_max = 2;
    let ben = crate::place::Device::open(config, "ben").await;
    ben.go_online().await;
    ben.until("the reply", || async {
        let known = ben.client.conversation(service_id.clone()).ok()?;
        known.page(None, 1).await.ok()?;
        let messages = ben.messages(&service_id).await;
        (messages.last()?.content.words() == Some("as I said")).then_some(())
    })
    .await;
    let theirs = ben.handle(&service_id);
    let quote = quoted(&theirs, "as I said", says("long ago")).await;
    let asked = talk.message(first).await.unwrap().message.unwrap();
    let key = MessageKey::service(asked.sent_at, asked.reference.clone().unwrap().id);
    assert_eq!((quote.message, quote.sender), (Some(key), id("ann")));
}

/// A reply that can't be one is refused at the call, and nothing is enqueued.
#[tokio::test]
async fn a_reply_to_nothing_or_in_a_kind_without_attributes_is_refused() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let first = talk.send_text("hello".into(), None).await.unwrap();
    let key = MessageKey::local(first.local_id);
    let before = ann.client.outbox().await.unwrap();
    let plain = NewMessage {
        reply_to: Some(key),
        ..NewMessage::new(MessageContent::Plain { text: "x".into() })
    };
    let refused = talk.send(plain).await;
    assert!(
        matches!(refused, Err(SampanError::InvalidArgument { .. })),
        "{refused:?}"
    );
    let unknown = MessageKey::parse("m:1700000000000:fptKnuYYQMGdiSt_Zs7zDA").unwrap();
    let refused = talk.send(answer("x", &unknown)).await;
    assert!(
        matches!(refused, Err(SampanError::NotFound { .. })),
        "{refused:?}"
    );
    assert_eq!(ann.client.outbox().await.unwrap(), before);
}

/// To the official SDK a reply is a text with an attribute; a message of the SDK that keeps the convention is a reply
/// here.
#[tokio::test]
async fn a_reply_is_a_text_with_an_attribute_to_the_javascript_sdk_and_back() {
    let place = Place::new().await;
    let Some(mut js) = Peer::sign_in(&place, "js").await else {
        return;
    };
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("js").await;
    let cid = ann.service_id(&talk).await;
    let first = talk.send_text("tea?".into(), None).await.unwrap();
    let first = MessageKey::local(first.local_id);
    let mut reply = answer("or coffee", &first);
    let own = Json::parse(r#"{"mood":"calm"}"#).unwrap();
    reply.content = reply.content.with_attributes(own);
    talk.send(reply).await.unwrap();
    let told = js.does("getsWords", json!({ "text": "or coffee" })).await;
    ann.has_sent_everything().await;
    let asked = talk.message(first.clone()).await.unwrap().message.unwrap();
    let word = json!({
        "id": asked.reference.clone().unwrap().id.as_str(), "t": asked.sent_at.as_millis(), "from": "ann", "text": "tea?",
    });
    assert_eq!(
        told["attributes"],
        json!({"mood": "calm", "sampanReply": word})
    );
    let content = json!({"kind": "text", "text": "tea", "attributes": {"sampanReply": word}});
    js.does("sends", json!({ "cid": cid.as_str(), "content": content }))
        .await;
    let quote = quoted(&talk, "tea", says("tea?")).await;
    assert_eq!((quote.message, quote.sender), (Some(first), id("ann")));
}
