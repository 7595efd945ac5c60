//! Very many: connections, members, conversations, levels of JSON. Each is served or refused, and others go on.

use std::time::Duration;

use sampan::wire::generated::{ConvCommand, JsonObjectMessage, SessionCommand};
use sampan::wire::{Command, Op};
use sampan_service::core::app::Apps;
use sampan_service::core::settings;
use sampan_service::{RunningService, Service, ServiceOptions};
use tokio_tungstenite::tungstenite::Message;

use crate::raw::{APP, RawClient, message, refusal};
use crate::start;

/// The longest time for any answer on a busy machine.
const IN_TIME: Duration = Duration::from_secs(10);

async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(IN_TIME, answer)
        .await
        .expect("others are answered in time")
}

fn query(filter: &str) -> Command {
    let filter = JsonObjectMessage {
        data: filter.to_owned(),
    };
    let body = ConvCommand {
        r#where: Some(filter),
        ..ConvCommand::default()
    };
    Command::conv(Op::Query, body)
}

async fn with_settings(text: &str) -> RunningService {
    let settings = settings::parse_file(text).unwrap();
    let app: sampan_service::core::app::Credentials = "myApp:myKey:myMasterKey".parse().unwrap();
    let mut options = ServiceOptions::in_memory(app.clone());
    options.apps = Apps::new([app], settings).unwrap();
    Service::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_that_say_nothing_disturb_nobody() {
    let service = start().await;
    let mut silent = Vec::new();
    for _ in 0..1000 {
        let raw = RawClient::connect(service.addr(), "lc.protobuf2.3").await;
        silent.push(raw.unwrap());
    }
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    let said = in_time(tom.say(&chat, "hello")).await;
    assert_eq!(refusal(&said), None);
    // They all go at once, and the service still answers.
    drop(silent);
    assert_eq!(refusal(&tom.say(&chat, "still here").await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_of_thousands_takes_messages_and_refuses_one_member_too_many() {
    const MEMBERS: usize = 4000;
    let limits = format!(r#"{{"myApp":{{"limits":{{"members":{MEMBERS}}}}}}}"#);
    let service = with_settings(&limits).await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    let names: Vec<String> = (2..MEMBERS).map(|n| format!("{n:04}")).collect();
    let add = |m: &[String]| {
        let body = ConvCommand {
            cid: Some(chat.clone()),
            m: m.to_vec(),
            ..ConvCommand::default()
        };
        Command::conv(Op::Add, body)
    };
    for some in names.chunks(700) {
        assert_eq!(refusal(&tom.request(add(some)).await), None);
    }
    let full = tom.request(add(&["one-too-many".to_owned()])).await;
    assert_eq!(refusal(&full), Some(4304));
    let mut jerry = RawClient::open(service.addr(), "Jerry").await;
    let said = in_time(tom.say(&chat, "hello, all")).await;
    assert_eq!(refusal(&said), None);
    in_time(jerry.wait_for(|command| matches!(command, Command::Direct(_)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_over_thousands_of_conversations_holds_nobody_up() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    for n in 0..3000 {
        let name = format!("{n:05}");
        tom.start(&["Tom", &name]).await;
    }
    let mut spike = RawClient::open(service.addr(), "Spike").await;
    for _ in 0..5 {
        spike
            .send(query(r#"{"name":{"$regex":"(a+)+$"},"attr.x.y":7}"#))
            .await;
    }
    let chat = in_time(tom.start(&["Tom", "Jerry"])).await;
    let said = in_time(tom.say(&chat, "hello")).await;
    assert_eq!(refusal(&said), None);
}

#[tokio::test]
async fn json_that_nests_without_end_is_refused_with_its_number() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    let deep = |open: &str, close: &str| open.repeat(400) + "1" + &close.repeat(400);
    for text in [
        deep("{\"a\":", "}"),
        deep("[", "]"),
        deep("{\"$or\":[", "]}"),
    ] {
        assert_eq!(refusal(&tom.request(query(&text)).await), Some(4310));
        let body = ConvCommand {
            cid: Some(chat.clone()),
            attr: Some(JsonObjectMessage { data: text }),
            ..ConvCommand::default()
        };
        let update = Command::conv(Op::Update, body.clone());
        assert_eq!(refusal(&tom.request(update).await), Some(4306));
        let start = Command::conv(Op::Start, body);
        assert_eq!(refusal(&tom.request(start).await), Some(4306));
    }
    // A message's text is the clients' own affair, however deep it nests.
    assert_eq!(refusal(&tom.say(&chat, &deep("[", "]")).await), None);
    assert_eq!(tom.history(&chat, 10).await.len(), 1);
}

#[tokio::test]
async fn text_frames_that_are_no_base64_are_refused_with_4114_and_the_session_goes_on() {
    let service = start().await;
    let mut raw = RawClient::connect(service.addr(), "lc.proto2base64.3")
        .await
        .unwrap();
    for junk in ["", "%%%", "CAAQ\u{0}", "船", "CAA=CAA=", "CA"] {
        raw.send_raw(Message::text(junk)).await.unwrap();
        assert_eq!(raw.text_refusal().await, 4114, "{junk:?}");
    }
    // Bytes on a connection that speaks text are no command either.
    raw.send_raw(Message::binary(vec![8, 14])).await.unwrap();
    assert_eq!(raw.text_refusal().await, 4114);
}

#[tokio::test]
async fn a_client_that_signs_in_and_out_without_end_is_answered_every_time() {
    let service = start().await;
    let mut raw = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    for n in 0..2000 {
        let name = format!("n{}", n % 7);
        let opened = raw.sign_in(APP, &name, SessionCommand::default()).await;
        assert_eq!(refusal(&opened.command), None);
        let close = Command::session(Op::Close, SessionCommand::default());
        assert_eq!(refusal(&raw.request(close).await), None);
    }
    let lost = raw.request(message("5f0c0e3a9d1f2b0006a1b2c3", "hi")).await;
    assert_eq!(refusal(&lost), Some(4105));
}
