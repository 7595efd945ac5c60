//! Hooks over real sockets: the app's own server is a double on loopback.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use sampan::wire::generated::{ConvCommand, DirectCommand};
use sampan::wire::signature::hmac_sha1_hex;
use sampan::wire::{Command, Op};
use sampan_service::core::app::{Apps, Credentials};
use sampan_service::core::settings;
use sampan_service::{RunningService, Service, ServiceOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::client::{Client, PATIENCE};
use crate::observe::number;

const MASTER_KEY: &str = "0123456789abcdef01234567";

/// The answer of a function of the double.
enum Says {
    /// A status and a body.
    Answer(u16, &'static str),
    /// Nothing, for as long as the caller waits.
    Nothing,
    /// The end of the connection.
    End,
}

/// A request that the double got.
struct Got {
    path: String,
    head: String,
    body: String,
}

/// The app's own server.
struct Double(TcpListener);

impl Double {
    async fn listen() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        (Self(listener), addr)
    }

    /// Takes one request and says something.
    async fn serve(&self, says: Says) -> Got {
        let (mut stream, _) = timeout(PATIENCE, self.0.accept()).await.unwrap().unwrap();
        let mut bytes = Vec::new();
        let (head, body) = loop {
            let mut some = [0; 4096];
            let count = timeout(PATIENCE, stream.read(&mut some))
                .await
                .unwrap()
                .unwrap();
            assert!(count > 0, "the request ends early");
            bytes.extend_from_slice(some.get(..count).unwrap());
            let text = String::from_utf8(bytes.clone()).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if body.len() >= length {
                break (head.to_owned(), body.to_owned());
            }
        };
        match says {
            Says::Answer(status, text) => {
                let answer = format!(
                    "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Says::Nothing => {
                // Read to the end: the caller gives up first.
                let mut rest = Vec::new();
                let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
                    .await
                    .unwrap();
            }
            Says::End => {}
        }
        let path = head.split(' ').nth(1).unwrap().to_owned();
        Got { path, head, body }
    }
}

async fn service(addr: SocketAddr, functions: &str, rest: &str) -> RunningService {
    let app: Credentials = format!("myApp:myKey:{MASTER_KEY}").parse().unwrap();
    let text = format!(
        r#"{{"myApp":{{"hooks":{{"url":"http://{addr}/1.1/functions","functions":[{functions}]{rest}}}}}}}"#
    );
    let settings: BTreeMap<_, _> = settings::parse_file(&text).unwrap();
    let options = ServiceOptions {
        apps: Apps::new([app.clone()], settings).unwrap(),
        metrics: Some("127.0.0.1:0".parse().unwrap()),
        ..ServiceOptions::in_memory(app)
    };
    Service::start(options).await.unwrap()
}

async fn start(client: &mut Client) -> String {
    let body = ConvCommand {
        m: vec!["Tom".to_owned(), "Jerry".to_owned()],
        ..ConvCommand::default()
    };
    match client.ask(Command::conv(Op::Start, body)).await {
        Command::Conv { body, .. } => body.cid.unwrap(),
        other => panic!("not started: {other:?}"),
    }
}

fn say(cid: &str) -> Command {
    Command::direct(DirectCommand {
        cid: Some(cid.to_owned()),
        msg: Some("hi".to_owned()),
        ..DirectCommand::default()
    })
}

async fn code(client: &mut Client, command: Command) -> Option<i32> {
    match client.ask(command).await {
        Command::Ack(ack) => ack.code,
        other => panic!("no acknowledgement: {other:?}"),
    }
}

#[tokio::test]
async fn a_hook_is_asked_over_http_with_a_signature_over_what_it_is_asked() {
    let (double, addr) = Double::listen().await;
    let service = service(addr, r#""_messageReceived""#, "").await;
    let mut tom = Client::open(&service, "Tom").await;
    let cid = start(&mut tom).await;
    let dropped = Says::Answer(200, r#"{"result":{"drop":true,"code":9,"detail":"no"}}"#);
    let (got, code) = tokio::join!(double.serve(dropped), code(&mut tom, say(&cid)));
    assert_eq!(code, Some(4402));
    assert_eq!(got.path, "/1.1/functions/_messageReceived");
    let head = got.head.to_ascii_lowercase();
    assert!(head.contains("x-lc-id: myapp"), "{head}");
    let sign = head.split("x-sampan-sign: ").nth(1).unwrap();
    let (at, sign) = sign.lines().next().unwrap().split_once(',').unwrap();
    let text = format!("_messageReceived:{at}:{}", got.body);
    assert_eq!(sign, hmac_sha1_hex(MASTER_KEY, &text));
    let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(
        (&body["content"], &body["fromPeer"]),
        (&"hi".into(), &"Tom".into())
    );
    service.stop().await;
}

#[tokio::test]
async fn what_a_hook_fails_to_answer_is_done_or_refused_as_the_app_wants_it() {
    for (rest, refused) in [("", None), (r#","strict":true"#, Some(4402))] {
        let (double, addr) = Double::listen().await;
        let rest = format!(r#"{rest},"timeout_ms":300"#);
        let service = service(addr, r#""_messageReceived""#, &rest).await;
        let mut tom = Client::open(&service, "Tom").await;
        let cid = start(&mut tom).await;
        for says in [
            Says::Answer(500, ""),
            Says::Answer(200, "[]"),
            Says::Answer(200, "no JSON"),
            Says::End,
            Says::Nothing,
        ] {
            let (_, code) = tokio::join!(double.serve(says), code(&mut tom, say(&cid)));
            assert_eq!(code, refused);
        }
        // Nobody listens any more: the connection is refused at once.
        drop(double);
        assert_eq!(code(&mut tom, say(&cid)).await, refused);
        let numbers = service.metrics_addr().unwrap();
        for (result, calls) in [
            ("refused", 1.0),
            ("malformed", 2.0),
            ("broken", 1.0),
            ("slow", 1.0),
            ("unreachable", 1.0),
        ] {
            let series =
                format!(r#"sampan_hooks_total{{hook="_messageReceived",result="{result}"}}"#);
            let counted = number(numbers, &series).await;
            assert!((counted - calls).abs() < 0.1, "{result}: {counted}");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn other_connections_are_served_and_the_own_ones_commands_stay_in_order_while_a_hook_thinks()
{
    let (double, addr) = Double::listen().await;
    let service = service(addr, r#""_messageReceived""#, r#","timeout_ms":8000"#).await;
    let mut tom = Client::open(&service, "Tom").await;
    let mut jerry = Client::open(&service, "Jerry").await;
    let cid = start(&mut tom).await;
    let talk = async {
        let code = code(&mut tom, say(&cid)).await;
        assert_eq!(code, None);
        assert!(matches!(tom.ask(Command::Echo).await, Command::Echo));
    };
    let others = async {
        // The hook is asked, and thinks until Jerry has been served.
        let (mut stream, _) = timeout(PATIENCE, double.0.accept()).await.unwrap().unwrap();
        let mut some = [0; 4096];
        assert!(stream.read(&mut some).await.unwrap() > 0);
        assert!(matches!(jerry.ask(Command::Echo).await, Command::Echo));
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    tokio::join!(talk, others);
    service.stop().await;
}

#[tokio::test]
async fn what_a_hook_is_told_is_told_again_until_it_answers() {
    let (double, addr) = Double::listen().await;
    let service = service(addr, r#""_clientOnline","_clientOffline""#, "").await;
    let opening = Client::open(&service, "Tom");
    let telling = async {
        let mut bodies = VecDeque::new();
        for says in [Says::Answer(503, ""), Says::Answer(200, "")] {
            bodies.push_back(double.serve(says).await.body);
        }
        bodies
    };
    let (tom, bodies) = tokio::join!(opening, telling);
    assert_eq!(bodies[0], bodies[1]);
    assert!(bodies[0].contains("\"peerId\":\"Tom\""), "{}", bodies[0]);
    drop(tom);
    let offline = double.serve(Says::Answer(200, "{}")).await;
    assert_eq!(offline.path, "/1.1/functions/_clientOffline");
    service.stop().await;
}
