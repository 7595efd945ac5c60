//! Services that talk garbage, never answer, or send us away: nothing panics, nothing is lost.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sampan::model::{ConnectionState, Event, SessionEnd, SessionState};
use sampan::{Config, OfflineMode, PayloadEncoding, SampanError, ServerAddress};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::place::{Device, config, in_time};

/// A listener that does with each connection what a test says.
struct Stranger {
    listener: TcpListener,
    folder: tempfile::TempDir,
}

impl Stranger {
    async fn new() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> Config {
        let address = self.listener.local_addr().unwrap();
        let url = format!("ws://{address}/");
        let mut config = config(ServerAddress::Socket { url }, self.folder.path());
        config.limits.backoff_first = Duration::from_millis(10);
        config.limits.request_timeout = Duration::from_millis(200);
        config
    }

    async fn device(&self) -> Device {
        Device::open(self.config(), "ann").await
    }

    /// Accepts a WebSocket, with the subprotocol that was proposed, which is echoed.
    async fn accept(&self) -> (WebSocketStream<TcpStream>, String) {
        let (stream, _) = in_time("a connection", self.listener.accept())
            .await
            .unwrap();
        let mut proposed = String::new();
        #[expect(
            clippy::result_large_err,
            reason = "the callback's type is the library's"
        )]
        let reply = |question: &Request, mut answer: Response| -> Result<Response, ErrorResponse> {
            let value = question.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
            let value = value.expect("it proposes a subprotocol").clone();
            value.to_str().unwrap().clone_into(&mut proposed);
            answer
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, value);
            Ok(answer)
        };
        let socket = accept_hdr_async(stream, reply).await.unwrap();
        (socket, proposed)
    }
}

/// Garbage of every shape is survived; work goes on and unsent work stays.
#[tokio::test]
async fn garbage_from_the_service_is_survived_and_unsent_work_stays() {
    let stranger = Stranger::new().await;
    let ann = stranger.device().await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.client.go_online(None).unwrap();
    let garbage: [&[u8]; 5] = [
        b"",
        b"\xff\xff\xff\xff",
        b"\x08\x00\x12",
        &[0x42; 5000],
        b"{}",
    ];
    for bytes in garbage {
        let (mut socket, _) = stranger.accept().await;
        // The engine may have closed the connection already: a peer that breaks the protocol is not trusted.
        let _ = socket.send(Message::Binary(bytes.to_vec().into())).await;
        let _ = socket.send(Message::Text("not base64 either".into())).await;
        drop(socket);
    }
    assert_eq!(
        ann.lines(&talk.conversation_id()).await.unwrap(),
        ["ann: hello (pending)"]
    );
    assert_ne!(ann.client.session_state(), SessionState::Open);
}

/// A service that never answers costs time-outs and nothing else.
#[tokio::test]
async fn a_service_that_never_answers_leaves_calls_typed_errors_and_writes_accepted() {
    let stranger = Stranger::new().await;
    let ann = stranger.device().await;
    ann.client.go_online(None).unwrap();
    let (mut socket, _) = stranger.accept().await;
    let first = in_time("a frame", socket.next()).await.unwrap().unwrap();
    assert!(first.is_binary(), "it asks for a session");
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let refusal = talk.fetch_older(10).await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::NotConnected | SampanError::TimedOut),
        "{refusal}"
    );
    assert_eq!(
        ann.lines(&talk.conversation_id()).await.unwrap(),
        ["ann: hello (pending)"]
    );
}

/// S047, S363: a close code that says "never again" is told and not fought.
#[tokio::test]
async fn a_fatal_close_code_ends_the_session_and_is_not_retried() {
    for fatal in [4100, 4103, 4110] {
        let stranger = Stranger::new().await;
        let ann = stranger.device().await;
        let mut events = ann.client.events();
        ann.client.go_online(None).unwrap();
        let (mut socket, _) = stranger.accept().await;
        let goodbye = CloseFrame {
            code: fatal.into(),
            reason: "".into(),
        };
        socket.close(Some(goodbye)).await.unwrap();
        let told = Device::is_told(&mut events, "the end of the session", |event| match event {
            Event::SessionChanged {
                state: SessionState::Ended { reason },
                ..
            } => Some(reason),
            _ => None,
        });
        let told = told.await;
        assert!(
            matches!(told, SessionEnd::Refused { code, .. } if code == i32::from(fatal)),
            "{fatal}: {told:?}"
        );
        let refusal = in_time("the refusal", ann.client.wait_online())
            .await
            .unwrap_err();
        assert!(
            matches!(refusal, SampanError::Refused { code, .. } if code == i32::from(fatal)),
            "{fatal}: {refusal}"
        );
        assert!(!matches!(
            ann.engine.connection_state(),
            ConnectionState::Waiting { .. } | ConnectionState::Connecting { .. }
        ));
    }
}

/// S005, S007, S211: the app chooses how frames are written and how missed messages arrive; both stand
/// in the subprotocol, and frames come as chosen. Binary frames and counts are the default.
#[tokio::test]
async fn the_encoding_and_the_way_of_missed_messages_are_those_that_the_app_chose() {
    let fresh = Stranger::new().await;
    let untouched = fresh.config();
    assert_eq!(untouched.payload, PayloadEncoding::Binary);
    assert_eq!(untouched.offline_mode, OfflineMode::Unread);
    for (payload, offline_mode, proposed) in [
        (
            PayloadEncoding::Binary,
            OfflineMode::Unread,
            "lc.protobuf2.3",
        ),
        (PayloadEncoding::Binary, OfflineMode::Push, "lc.protobuf2.1"),
        (
            PayloadEncoding::Text,
            OfflineMode::Unread,
            "lc.proto2base64.3",
        ),
        (
            PayloadEncoding::Text,
            OfflineMode::Push,
            "lc.proto2base64.1",
        ),
    ] {
        let stranger = Stranger::new().await;
        let mut config = stranger.config();
        (config.payload, config.offline_mode) = (payload, offline_mode);
        let ann = Device::open(config, "ann").await;
        ann.client.go_online(None).unwrap();
        let (mut socket, subprotocol) = stranger.accept().await;
        assert_eq!(subprotocol, proposed);
        let first = in_time("a frame", socket.next()).await.unwrap().unwrap();
        assert_eq!(
            first.is_text(),
            payload == PayloadEncoding::Text,
            "{proposed}"
        );
        assert_eq!(
            first.is_binary(),
            payload == PayloadEncoding::Binary,
            "{proposed}"
        );
    }
}

/// S031, S189: a service that says nothing any more is noticed, with a message on its way, and another
/// connection is made; the message is sent there.
#[tokio::test]
async fn a_service_that_falls_silent_is_noticed_and_another_connection_is_made() {
    let stranger = Stranger::new().await;
    let mut config = stranger.config();
    config.limits.heartbeat_interval = Duration::from_millis(50);
    config.limits.dead_after = Duration::from_millis(150);
    let ann = Device::open(config, "ann").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.client.go_online(None).unwrap();
    // The silent ones are kept open: nothing but their silence is there to be noticed.
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(in_time("a connection", stranger.accept()).await);
    }
    let (socket, _) = silent.last_mut().unwrap();
    let first = in_time("a frame", socket.next()).await.unwrap().unwrap();
    assert!(first.is_binary(), "it asks for a session there");
    assert_eq!(
        ann.client.outbox().await.unwrap().len(),
        2,
        "nothing is given up"
    );
}

/// Nobody listens: the engine tries again with pauses, and says so.
#[tokio::test]
async fn without_a_service_the_engine_waits_between_attempts() {
    let stranger = Stranger::new().await;
    let address = stranger.listener.local_addr().unwrap();
    drop(stranger.listener);
    let url = format!("http://{address}");
    let config = config(ServerAddress::Router { url }, stranger.folder.path());
    let ann = Device::open(config, "ann").await;
    ann.client.go_online(None).unwrap();
    ann.until("a pause", || async {
        matches!(
            ann.engine.connection_state(),
            ConnectionState::Waiting { .. }
        )
        .then_some(())
    })
    .await;
    assert_eq!(ann.client.session_state(), SessionState::Opening);
}
