//! Services that talk garbage, never answer, or send us away: nothing panics, nothing is lost.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sampan::model::{ConnectionState, SessionState};
use sampan::{SampanError, ServerAddress};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::place::{Device, config};

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

    async fn device(&self) -> Device {
        let address = self.listener.local_addr().unwrap();
        let url = format!("ws://{address}/");
        let mut config = config(ServerAddress::Socket { url }, self.folder.path());
        config.limits.backoff_first = Duration::from_millis(10);
        config.limits.request_timeout = Duration::from_millis(200);
        Device::open(config, "ann").await
    }

    /// Accepts a WebSocket, with what was proposed echoed.
    async fn accept(&self) -> WebSocketStream<TcpStream> {
        let (stream, _) = self.listener.accept().await.unwrap();
        #[expect(
            clippy::result_large_err,
            reason = "the callback's type is the library's"
        )]
        let reply = |_: &Request, mut answer: Response| -> Result<Response, ErrorResponse> {
            let value = HeaderValue::from_static("lc.protobuf2.3");
            answer
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, value);
            Ok(answer)
        };
        accept_hdr_async(stream, reply).await.unwrap()
    }
}

/// Garbage of every shape is survived; work goes on and unsent work stays.
#[tokio::test]
async fn garbage_from_the_service_is_survived_and_unsent_work_stays() {
    let stranger = Stranger::new().await;
    let ann = stranger.device().await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into()).await.unwrap();
    ann.client.connect().await.unwrap();
    let garbage: [&[u8]; 5] = [
        b"",
        b"\xff\xff\xff\xff",
        b"\x08\x00\x12",
        &[0x42; 5000],
        b"{}",
    ];
    for bytes in garbage {
        let mut socket = stranger.accept().await;
        // The engine may have closed the connection already: what is not protocol is not trusted.
        let _ = socket.send(Message::Binary(bytes.to_vec().into())).await;
        let _ = socket.send(Message::Text("not base64 either".into())).await;
        drop(socket);
    }
    assert_eq!(
        ann.lines(&talk.id()).await.unwrap(),
        ["ann: hello (pending)"]
    );
    assert_ne!(ann.client.session_state(), SessionState::Open);
}

/// A service that never answers costs time-outs and nothing else.
#[tokio::test]
async fn a_service_that_never_answers_leaves_calls_typed_errors_and_writes_accepted() {
    let stranger = Stranger::new().await;
    let ann = stranger.device().await;
    ann.client.connect().await.unwrap();
    let mut socket = stranger.accept().await;
    let first = socket.next().await.unwrap().unwrap();
    assert!(first.is_binary(), "it asks for a session");
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into()).await.unwrap();
    let refusal = talk.fetch_older(10).await.unwrap_err();
    assert!(
        matches!(refusal, SampanError::NotConnected | SampanError::TimedOut),
        "{refusal}"
    );
    assert_eq!(
        ann.lines(&talk.id()).await.unwrap(),
        ["ann: hello (pending)"]
    );
}

/// A close code that says "never again" is told and not fought.
#[tokio::test]
async fn a_fatal_close_code_ends_the_session_and_is_not_retried() {
    let stranger = Stranger::new().await;
    let ann = stranger.device().await;
    ann.client.connect().await.unwrap();
    let mut socket = stranger.accept().await;
    let goodbye = CloseFrame {
        code: 4100.into(),
        reason: "".into(),
    };
    socket.close(Some(goodbye)).await.unwrap();
    let code = ann
        .until("the refusal", || async {
            match ann.client.opened().await {
                Err(SampanError::Refused { code, .. }) => Some(code),
                _ => None,
            }
        })
        .await;
    assert_eq!(code, 4100);
    assert!(!matches!(
        ann.engine.connection_state(),
        ConnectionState::Waiting { .. } | ConnectionState::Connecting { .. }
    ));
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
    ann.client.connect().await.unwrap();
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
