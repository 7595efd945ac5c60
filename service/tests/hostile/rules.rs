//! Each broken rule has its number, and breaks nothing else.

use std::net::SocketAddr;

use sampan::wire::generated::{
    BlacklistCommand, ConvCommand, JsonObjectMessage, LogsCommand, SessionCommand,
};
use sampan::wire::{Command, Op};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::raw::{APP, Incoming, RawClient, message, refusal};
use crate::start;

/// A frame longer than a client may send, and still a right command.
fn oversized(conversation: &str) -> Command {
    message(conversation, &"x".repeat(6 * 1024))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_not_served_is_refused_with_4100() {
    let service = start().await;
    let mut raw = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let reply = raw
        .sign_in("anotherApp", "Tom", SessionCommand::default())
        .await;
    assert_eq!(refusal(&reply.command), Some(4100));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_that_is_too_long_is_refused_with_4103() {
    let service = start().await;
    let mut raw = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let reply = raw
        .sign_in(APP, &"x".repeat(65), SessionCommand::default())
        .await;
    assert_eq!(refusal(&reply.command), Some(4103));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subprotocol_that_is_not_spoken_fails_the_handshake() {
    let service = start().await;
    for name in ["lc.protobuf2.2", "graphql-ws", "lc.json.3"] {
        let outcome = RawClient::connect(service.addr(), name).await.map(|_| ());
        assert!(
            matches!(outcome, Err(Error::Http(_) | Error::Protocol(_))),
            "{name}: {outcome:?}"
        );
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_before_its_session_is_refused_with_4105() {
    let service = start().await;
    let mut raw = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let query = Command::conv(Op::Query, ConvCommand::default());
    assert_eq!(refusal(&raw.request(query).await), Some(4105));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_is_refused_with_4112() {
    let service = start().await;
    let mut raw = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    for token in ["forged", &"x".repeat(4000)] {
        let body = SessionCommand {
            st: Some(token.to_owned()),
            r: Some(true),
            ..SessionCommand::default()
        };
        let reply = raw.sign_in(APP, "Tom", body).await;
        assert_eq!(refusal(&reply.command), Some(4112), "{} bytes", token.len());
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_somebody_else_is_refused_with_4112() {
    let service = start().await;
    let mut tom = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let reply = tom.sign_in(APP, "Tom", SessionCommand::default()).await;
    let Command::Session {
        op: Op::Opened,
        body,
    } = reply.command
    else {
        panic!("{reply:?}")
    };
    let mut spike = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let stolen = SessionCommand {
        st: body.st,
        r: Some(true),
        ..SessionCommand::default()
    };
    let reply = spike.sign_in(APP, "Spike", stolen).await;
    assert_eq!(refusal(&reply.command), Some(4112));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_a_member_can_neither_send_nor_read_nor_change() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    assert_eq!(refusal(&tom.say(&chat, "hello").await), None);

    let mut spike = RawClient::open(service.addr(), "Spike").await;
    assert_eq!(refusal(&spike.say(&chat, "let me in").await), Some(4401));
    let logs = LogsCommand {
        cid: Some(chat.clone()),
        ..LogsCommand::default()
    };
    assert_eq!(
        refusal(&spike.request(Command::logs(logs)).await),
        Some(4312)
    );
    let update = ConvCommand {
        cid: Some(chat.clone()),
        attr: Some(JsonObjectMessage {
            data: r#"{"name":"mine"}"#.to_owned(),
        }),
        ..ConvCommand::default()
    };
    assert_eq!(
        refusal(&spike.request(Command::conv(Op::Update, update)).await),
        Some(4309)
    );

    // Nothing of it reached the members.
    let logs = LogsCommand {
        cid: Some(chat),
        ..LogsCommand::default()
    };
    let Command::Logs(history) = tom.request(Command::logs(logs)).await else {
        panic!("no history")
    };
    assert_eq!(history.logs.len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_does_not_exist_is_told() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    for id in [
        "000000000000000000000000",
        "_tmp:000000000000000000000000",
        "",
        &"x".repeat(1000),
    ] {
        // A temporary conversation may have been there: it is over.
        let code = if id.starts_with("_tmp:") { 4303 } else { 4401 };
        let said = refusal(&tom.say(id, "hello").await);
        assert_eq!(said, Some(code), "{} bytes", id.len());
        let update = ConvCommand {
            cid: Some(id.to_owned()),
            attr: Some(JsonObjectMessage {
                data: r#"{"name":"n"}"#.to_owned(),
            }),
            ..ConvCommand::default()
        };
        let reply = tom.request(Command::conv(Op::Update, update)).await;
        assert_eq!(refusal(&reply), Some(4303), "{} bytes", id.len());
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_run_is_refused_with_4310() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for text in [
        "{",
        "[]",
        r#"{"name":{"$regex":"(a{900}){900}"}}"#,
        r#"{"a":{"$nearSphere":[1]}}"#,
        &deep,
    ] {
        let query = ConvCommand {
            r#where: Some(JsonObjectMessage {
                data: text.to_owned(),
            }),
            ..ConvCommand::default()
        };
        let reply = tom.request(Command::conv(Op::Query, query)).await;
        assert_eq!(refusal(&reply), Some(4310), "{text}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_or_closed_with_4114_and_others_go_on() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom"]).await;
    let garbage = [
        vec![0xff; 100],
        vec![0x08],
        vec![0x08, 0x7f],
        vec![0xb2, 0x06, 0x7f, 0x01],
    ];
    for bytes in garbage {
        assert_eq!(
            ending(service.addr(), Message::binary(bytes)).await,
            Some(4114)
        );
    }
    assert_eq!(
        ending(service.addr(), Message::text("not binary")).await,
        Some(4114)
    );
    assert_eq!(refusal(&tom.say(&chat, "still here").await), None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_above_five_kibibytes_is_answered_or_closed_with_4109_and_others_go_on() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom"]).await;
    let longer = sampan::wire::Envelope::new(oversized(&chat)).to_bytes();
    assert_eq!(
        ending(service.addr(), Message::binary(longer)).await,
        Some(4109)
    );
    // So long a message is not even read to its end.
    assert_eq!(
        ending(service.addr(), Message::binary(vec![0; 1024 * 1024])).await,
        Some(4109)
    );
    assert_eq!(refusal(&tom.say(&chat, "still here").await), None);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_of_the_schema_hangs() {
    let service = start().await;
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    let ops = (1..=120).filter_map(|number| Op::try_from(number).ok());
    for op in ops.filter(|op| !matches!(op, Op::Close)) {
        let conv = ConvCommand {
            cid: Some(chat.clone()),
            ..ConvCommand::default()
        };
        tom.request(Command::conv(op, conv)).await;
        let list = BlacklistCommand {
            src_cid: Some(chat.clone()),
            ..BlacklistCommand::default()
        };
        tom.request(Command::blacklist(op, list)).await;
    }
    service.stop().await;
}

/// The number that a message leads to, be it in an error or in the close frame.
async fn ending(address: SocketAddr, message: Message) -> Option<i32> {
    let mut raw = RawClient::open(address, "Spike").await;
    // The service may close while the message is still being written.
    let _ = raw.send_raw(message).await;
    raw.refusal_or_end().await
}

/// How long a connection may stand without a client that signed in, and a little more.
const BEYOND_LOGIN: std::time::Duration = std::time::Duration::from_secs(121);

#[tokio::test]
async fn a_connection_on_which_nobody_signs_in_is_closed_also_after_a_refused_login() {
    let service = start().await;
    let mut silent = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let mut refused = RawClient::connect(service.addr(), "lc.protobuf2.3")
        .await
        .unwrap();
    let answer = refused
        .sign_in("noSuchApp", "Tom", SessionCommand::default())
        .await;
    assert!(refusal(&answer.command).is_some());
    let mut tom = RawClient::open(service.addr(), "Tom").await;
    // The sockets' tasks run under this clock.
    tokio::time::pause();
    tokio::time::advance(BEYOND_LOGIN).await;
    tokio::time::resume();
    for raw in [&mut silent, &mut refused] {
        loop {
            match raw.read().await {
                Incoming::Closed(code) => {
                    assert_eq!(code, Some(4108));
                    break;
                }
                Incoming::Command(_) => {}
            }
        }
    }
    assert_eq!(refusal(&tom.request(Command::Echo).await), None);
}
