//! Signing in with the session of an account: the app's own server says whose session it is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sampan::model::SessionState;
use sampan::{ClientOptions, Engine, SampanError, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::place::{Device, Place, id, in_time};

/// The app's own server, which knows the sessions of accounts. It ends when it is dropped.
struct AccountServer {
    address: SocketAddr,
    /// So many questions are answered by a failure first.
    failures: Arc<AtomicU32>,
    /// The sessions that it was asked about.
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for AccountServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AccountServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (failures, asked) = (Arc::new(AtomicU32::new(0)), Arc::default());
        let state = (Arc::clone(&failures), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                answer(stream, &state.0, &state.1).await;
            }
        });
        Self {
            address,
            failures,
            asked,
            task,
        }
    }

    /// A service whose app wants sign-ins signed, and has accounts here.
    async fn place(&self) -> Place {
        let settings = json!({
            "signatures": { "login": true },
            "hooks": {
                "url": format!("http://{}/hooks", self.address),
                "functions": ["_rtmClientSign"],
            },
        });
        Place::with_settings(&settings.to_string()).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one question.
async fn answer(mut stream: TcpStream, failures: &AtomicU32, asked: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let question: Value = loop {
        let mut some = [0; 1024];
        let read = stream.read(&mut some).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        request.extend(some.iter().take(read));
        let text = String::from_utf8_lossy(&request);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if let Some(Ok(question)) = body.map(serde_json::from_str) {
            break question;
        }
    };
    let session = question.get("sessionToken").and_then(Value::as_str);
    let session = session.unwrap_or_default().to_owned();
    let says = match session.strip_prefix("session of ") {
        Some("a barred one") => json!({ "reject": true, "code": 4321, "detail": "barred" }),
        Some(client) => json!({ "clientId": client }),
        None => json!({}),
    };
    asked.lock().unwrap().push(session);
    let is_failing = failures
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .is_ok();
    let (status, body) = match is_failing {
        true => (500, String::new()),
        false => (200, says.to_string()),
    };
    let length = body.len();
    let said = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(said.as_bytes()).await;
}

fn with_session(session: &str) -> ClientOptions {
    ClientOptions {
        account_session: Some(Secret::new(session)),
        ..ClientOptions::default()
    }
}

/// A device that signs in with a session of an account; pauses are short.
async fn device(place: &Place, name: &str, client: &str, session: &str) -> Device {
    let mut config = place.config(name);
    config.limits.backoff_first = Duration::from_millis(20);
    let engine = Engine::open(config).unwrap();
    let client = engine.client(id(client), with_session(session)).await;
    Device {
        engine,
        client: client.unwrap(),
    }
}

async fn refusal(device: &Device) -> SampanError {
    device.client.go_online(None).unwrap();
    let refused = in_time("the refusal", device.client.wait_online()).await;
    refused.unwrap_err()
}

#[tokio::test]
async fn a_client_signs_in_with_the_session_of_its_account_and_talks() {
    let server = AccountServer::start().await;
    let place = server.place().await;
    let ann = device(&place, "phone", "ann", "session of ann").await;
    let ben = device(&place, "laptop", "ben", "session of ben").await;
    assert!(
        server.asked().is_empty(),
        "a session is shown when it is needed"
    );
    ben.go_online().await;
    ann.go_online().await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    let service_id = ann.service_id(&talk).await;
    ben.sees(&service_id, &["ann: hello"]).await;
    assert_eq!(server.asked(), ["session of ben", "session of ann"]);
}

#[tokio::test]
async fn a_session_that_is_not_good_ends_the_sign_in_with_the_reason_and_another_is_taken() {
    let server = AccountServer::start().await;
    let place = server.place().await;
    for (session, expected) in [
        ("nobody's", 401),
        ("session of a barred one", 4321),
        ("session of ben", 4102),
    ] {
        let ann = device(&place, &format!("phone-{expected}"), "ann", session).await;
        let told = refusal(&ann).await;
        assert!(
            matches!(told, SampanError::Refused { code, .. } if code == expected),
            "{session}: {told}"
        );
        assert!(matches!(
            ann.client.session_state(),
            SessionState::Ended { .. }
        ));
        let good = with_session("session of ann");
        let again = ann.engine.client(id("ann"), good).await.unwrap();
        assert_eq!(again, ann.client, "the client is the same");
        ann.go_online().await;
    }
}

#[tokio::test]
async fn while_the_apps_server_fails_the_client_tries_on() {
    let server = AccountServer::start().await;
    let place = server.place().await;
    server.failures.store(2, Ordering::Relaxed);
    let ann = device(&place, "phone", "ann", "session of ann").await;
    ann.go_online().await;
    assert_eq!(server.asked().len(), 3, "two failures and an answer");
}
