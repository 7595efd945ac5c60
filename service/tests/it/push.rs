//! Push over real sockets: Apple's and Google's services and the app's own server are doubles on loopback, the
//! first two with TLS and HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use sampan::wire::generated::{ConvCommand, DirectCommand, SessionCommand};
use sampan::wire::{Command, Op};
use sampan_service::core::app::Apps;
use sampan_service::core::settings;
use sampan_service::{RunningService, Service, ServiceOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::client::{Client, PATIENCE, said};
use crate::http::request;
use crate::observe::number;

const KEY: &str = "X-LC-Id: myApp\r\nX-LC-Key: myKey\r\nContent-Type: application/json\r\n";

/// A request that a double got.
#[derive(Debug)]
struct Got {
    path: String,
    version: Version,
    headers: Vec<(String, String)>,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A vendor, or the app's own server.
struct Double {
    addr: SocketAddr,
    got: mpsc::UnboundedReceiver<Got>,
}

impl Double {
    /// Listens, with TLS where a certificate is given; its answer depends on the path.
    async fn listen(tls: Option<TlsAcceptor>, answers: fn(&str) -> (u16, &'static str)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, got) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (sender, tls) = (sender.clone(), tls.clone());
                tokio::spawn(async move {
                    let handler =
                        service_fn(move |request| answer(request, sender.clone(), answers));
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away ends the connection, and the test knows of nothing then.
                    let _ = match tls {
                        None => server.serve_connection(TokioIo::new(socket), handler).await,
                        Some(tls) => {
                            let Ok(socket) = tls.accept(socket).await else {
                                return;
                            };
                            server.serve_connection(TokioIo::new(socket), handler).await
                        }
                    };
                });
            }
        });
        Self { addr, got }
    }

    async fn next(&mut self) -> Got {
        timeout(PATIENCE, self.got.recv())
            .await
            .expect("a request in time")
            .unwrap()
    }
}

async fn answer(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<Got>,
    answers: fn(&str) -> (u16, &'static str),
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let path = head.uri.path().to_owned();
    let (status, text) = answers(&path);
    let headers = head.headers.iter();
    let got = Got {
        path,
        version: head.version,
        headers: headers
            .map(|(name, value)| {
                (
                    name.to_string(),
                    value.to_str().unwrap_or_default().to_owned(),
                )
            })
            .collect(),
        body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
    };
    // The test may have ended.
    let _ = sender.send(got);
    let response = Response::builder().status(status);
    Ok(response.body(Full::from(text)).unwrap())
}

/// A certificate for loopback: how a double greets, and the file by which it is believed.
fn certificate(folder: &Path) -> TlsAcceptor {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), cert.pem()).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(of_app: Value) -> RunningService {
    let settings = settings::parse_file(&json!({ "myApp": of_app }).to_string()).unwrap();
    let credentials = || "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
    let mut options = ServiceOptions::in_memory(credentials());
    options.apps = Apps::new([credentials()], settings).unwrap();
    options.metrics = Some("127.0.0.1:0".parse().unwrap());
    Service::start(options).await.unwrap()
}

/// A device announces itself; answers its object id.
async fn announce(service: &RunningService, body: Value) -> String {
    let answer = request(
        service.addr(),
        "POST",
        "/1.1/installations",
        KEY,
        &body.to_string(),
    )
    .await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body.get("objectId").unwrap().as_str().unwrap().to_owned()
}

async fn shown(service: &RunningService, id: &str) -> (u16, Value) {
    let path = format!("/1.1/installations/{id}");
    let answer = request(service.addr(), "GET", &path, KEY, "").await;
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

/// A client that signs in on a device and is lost, so that the device stays its own.
async fn was_here(service: &RunningService, name: &str, device: &str) {
    let mut client = Client::connect(service, name).await;
    let body = SessionCommand {
        device_token: Some(device.to_owned()),
        ..SessionCommand::default()
    };
    client.sign_in(body).await;
    drop(client);
}

/// Waits until the service knows that a client is gone.
async fn is_gone(tom: &mut Client, name: &str) {
    let body = SessionCommand {
        session_peer_ids: vec![name.to_owned()],
        ..SessionCommand::default()
    };
    let asked = async {
        loop {
            let answer = tom.ask(Command::session(Op::Query, body.clone())).await;
            match answer {
                Command::Session { body, .. } if body.online_session_peer_ids.is_empty() => return,
                Command::Session { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, asked).await.expect("the client is gone");
}

fn with_push_data(cid: &str, text: &str, push_data: &Value) -> Command {
    Command::direct(DirectCommand {
        push_data: Some(push_data.to_string()),
        ..said(cid, text)
    })
}

fn apns_answers(path: &str) -> (u16, &'static str) {
    match path.ends_with("dead") {
        true => (410, r#"{"reason":"Unregistered"}"#),
        false => (200, ""),
    }
}

// S244, S246, S249, S251, S252, S253, S254
#[tokio::test(flavor = "multi_thread")]
async fn s246_a_message_is_pushed_by_apple_to_the_device_that_its_receiver_signed_in_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut apple = Double::listen(Some(certificate(folder.path())), apns_answers).await;
    let key = folder.path().join("key.p8");
    std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let url = format!("https://{}", apple.addr);
    let apns = json!({"key_file": key, "key_id": "K1", "team_id": "T1", "topic": "dev.sampan", "url": "https://127.0.0.1:9", "dev_url": url});
    let push = json!({"enabled": true, "ca_file": folder.path().join("ca.pem"), "apns": apns});
    let service = serve(json!({ "push": push })).await;
    let id = announce(
        &service,
        json!({"deviceType": "ios", "deviceToken": "aa11"}),
    )
    .await;
    let dead = announce(
        &service,
        json!({"deviceType": "ios", "deviceToken": "bb22dead"}),
    )
    .await;
    was_here(&service, "Jerry", "aa11").await;
    was_here(&service, "Spike", "bb22dead").await;
    assert_eq!(shown(&service, &id).await.1["channels"], json!(["Jerry"]));
    let mut tom = Client::open(&service, "Tom").await;
    is_gone(&mut tom, "Jerry").await;
    is_gone(&mut tom, "Spike").await;
    let cid = tom.start(&["Jerry"]).await;
    let data = json!({"alert": "Hi", "badge": "Increment", "_profile": "dev", "_apns_team_id": "T2", "custom": 7});
    for badge in [1, 2] {
        tom.ask(with_push_data(&cid, "Hello", &data)).await;
        let got = apple.next().await;
        assert_eq!(
            (got.path.as_str(), got.version),
            ("/3/device/aa11", Version::HTTP_2)
        );
        let body = got.json();
        assert_eq!(body["aps"], json!({"alert": "Hi", "badge": badge}));
        assert_eq!(
            (&body["custom"], &body["_profile"]),
            (&json!(7), &Value::Null)
        );
        assert_eq!(body["sampan"]["conversation"], json!(cid));
        assert_eq!(
            (got.header("apns-topic"), got.header("apns-push-type")),
            ("dev.sampan", "alert")
        );
        let expires: i64 = got.header("apns-expiration").parse().unwrap();
        let sent = body["sampan"]["timestamp"].as_i64().unwrap() / 1000;
        assert!(
            (expires - sent - 604_800).abs() < 60,
            "{expires} after {sent}"
        );
        let token = got
            .header("authorization")
            .strip_prefix("bearer ")
            .unwrap()
            .to_owned();
        let claims = URL_SAFE_NO_PAD
            .decode(token.split('.').nth(1).unwrap())
            .unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["iss"], "T2");
    }
    // A device that is gone is not pushed to again.
    let cid = tom.start(&["Spike"]).await;
    tom.ask(with_push_data(&cid, "Hello", &data)).await;
    assert_eq!(apple.next().await.path, "/3/device/bb22dead");
    let gone = async { while shown(&service, &dead).await.0 != 404 {} };
    timeout(PATIENCE, gone)
        .await
        .expect("the device is forgotten");
    let metrics = service.metrics_addr().unwrap();
    assert_eq!(
        number(metrics, r#"sampan_pushes_total{sender="apns",result="ok"}"#).await,
        2.0
    );
    service.stop().await;
}

fn google_answers(path: &str) -> (u16, &'static str) {
    match path {
        "/token" => (
            200,
            r#"{"access_token":"granted","expires_in":3600,"token_type":"Bearer"}"#,
        ),
        _ => (200, r#"{"name":"projects/p/messages/1"}"#),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_pushed_by_google_with_the_token_of_a_service_account() {
    let folder = tempfile::tempdir().unwrap();
    let mut google = Double::listen(Some(certificate(folder.path())), google_answers).await;
    let url = format!("https://{}", google.addr);
    let account = json!({
        "project_id": "p", "client_email": "push@p", "private_key_id": "k",
        "private_key": include_str!("account-key.pem"), "token_uri": format!("{url}/token"),
    });
    let file = folder.path().join("account.json");
    std::fs::write(&file, account.to_string()).unwrap();
    let push = json!({
        "enabled": true, "ca_file": folder.path().join("ca.pem"), "expiry_secs": 60,
        "template": {"alert": "${fromClientId} wrote"}, "fcm": {"account_file": file, "url": url},
    });
    let service = serve(json!({ "push": push })).await;
    announce(
        &service,
        json!({"deviceType": "android", "deviceToken": "t-1", "channels": ["Jerry"]}),
    )
    .await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Jerry"]).await;
    tom.say(&cid, "one").await;
    let asked = google.next().await;
    assert_eq!(asked.path, "/token");
    assert!(
        asked.body.contains("grant_type=urn%3Aietf") && asked.body.contains("&assertion=ey"),
        "{}",
        asked.body
    );
    let pushed = google.next().await;
    assert_eq!(
        (pushed.path.as_str(), pushed.version),
        ("/v1/projects/p/messages:send", Version::HTTP_2)
    );
    assert_eq!(pushed.header("authorization"), "Bearer granted");
    let message = pushed.json()["message"].clone();
    assert_eq!(
        (&message["token"], &message["notification"]["body"]),
        (&json!("t-1"), &json!("Tom wrote"))
    );
    assert_eq!(message["android"]["ttl"], "60s");
    // The token is used again.
    tom.say(&cid, "two").await;
    assert_eq!(google.next().await.path, "/v1/projects/p/messages:send");
    service.stop().await;
}

fn hook_answers(path: &str) -> (u16, &'static str) {
    match path {
        "/hooks/_receiversOffline" => (
            200,
            r#"{"result":{"pushMessage":{"alert":"hook"},"force":true}}"#,
        ),
        _ => (200, ""),
    }
}

// S244, S245, S247, S248, S255, S257
#[tokio::test(flavor = "multi_thread")]
async fn s247_the_hook_decides_and_who_muted_is_left_alone_unless_it_insists() {
    let mut own = Double::listen(None, hook_answers).await;
    let url = format!("http://{}", own.addr);
    let push = json!({"enabled": true, "webhook": format!("{url}/push"), "template": {"alert": "${convId}"}});
    let service = serve(json!({ "push": push })).await;
    for (name, token) in [("Jerry", "t-jerry"), ("Spike", "t-spike")] {
        announce(
            &service,
            json!({"deviceType": "web", "deviceToken": token, "channels": [name]}),
        )
        .await;
    }
    let mut jerry = Client::open(&service, "Jerry").await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Jerry", "Spike"]).await;
    let mute = ConvCommand {
        cid: Some(cid.clone()),
        ..ConvCommand::default()
    };
    jerry.conv(Op::Mute, mute).await;
    drop(jerry);
    is_gone(&mut tom, "Jerry").await;
    tom.say(&cid, "quiet").await;
    let got = own.next().await;
    assert_eq!(
        (got.path.as_str(), got.header("x-lc-id")),
        ("/push", "myApp")
    );
    let body = got.json();
    assert_eq!(
        (&body["client"], &body["deviceToken"]),
        (&json!("Spike"), &json!("t-spike"))
    );
    assert_eq!(body["payload"]["alert"], json!(cid));
    let with_hook = json!({
        "push": push, "hooks": {"url": format!("{url}/hooks"), "functions": ["_receiversOffline"]},
    });
    let settings = settings::parse_file(&json!({ "myApp": with_hook }).to_string()).unwrap();
    let credentials = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
    service
        .serve_apps(Apps::new([credentials], settings).unwrap())
        .await;
    tom.ask(with_push_data(&cid, "loud", &json!({"alert": "own"})))
        .await;
    let asked = own.next().await;
    assert_eq!(asked.path, "/hooks/_receiversOffline");
    assert_eq!(asked.json()["offlinePeers"], json!(["Jerry", "Spike"]));
    let mut clients = Vec::new();
    for _ in 0..2 {
        let got = own.next().await.json();
        assert_eq!(got["payload"]["alert"], "hook");
        clients.push(got["client"].as_str().unwrap().to_owned());
    }
    clients.sort();
    assert_eq!(clients, ["Jerry", "Spike"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_is_pushed_nothing_more() {
    let mut own = Double::listen(None, hook_answers).await;
    let push = json!({"enabled": true, "webhook": format!("http://{}/push", own.addr), "template": {"alert": "x"}});
    let service = serve(json!({ "push": push })).await;
    let id = announce(&service, json!({"deviceType": "web", "deviceToken": "t-1"})).await;
    let mut jerry = Client::connect(&service, "Jerry").await;
    let body = SessionCommand {
        device_token: Some("t-1".to_owned()),
        ..SessionCommand::default()
    };
    jerry.sign_in(body).await;
    assert_eq!(shown(&service, &id).await.1["channels"], json!(["Jerry"]));
    jerry
        .ask(Command::session(Op::Close, SessionCommand::default()))
        .await;
    assert_eq!(shown(&service, &id).await.1["channels"], json!([]));
    announce(
        &service,
        json!({"deviceType": "web", "deviceToken": "t-2", "channels": ["Spike"]}),
    )
    .await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = tom.start(&["Jerry", "Spike"]).await;
    tom.say(&cid, "one").await;
    assert_eq!(own.next().await.json()["deviceToken"], "t-2");
    service.stop().await;
}
