//! Every attack at once: memory stays under a bound of its own, and clients that behave are served.
//!
//! `cargo xtask torture service` runs it at length (`SAMPAN_TORTURE_ROUNDS`).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sampan::wire::generated::{
    ConvCommand, DirectCommand, JsonObjectMessage, LogsCommand, ReadCommand, SessionCommand,
};
use sampan::wire::{Command, Op};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::program::Program;
use crate::raw::{APP, RawClient, message, refusal};

/// The most that the whole program may hold in memory.
const RESIDENT_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Messages between two clients that behave, in each round.
const SAID_A_ROUND: usize = 40;

/// How often an attack is tried that never came to its end: a busy machine may cut it off.
const TRIES_MAX: usize = 20;

/// How long an attacker tries to write to a service that does not read it; then it comes again.
const INSISTENCE: Duration = Duration::from_millis(500);

fn rounds() -> usize {
    let rounds = std::env::var("SAMPAN_TORTURE_ROUNDS").ok();
    rounds.and_then(|it| it.parse().ok()).unwrap_or(3)
}

/// Sends without reading the answers, until the service does not take more.
async fn push(raw: &mut RawClient, commands: impl IntoIterator<Item = Command>) {
    for command in commands {
        let sent = tokio::time::timeout(INSISTENCE, raw.send_or_end(command)).await;
        if !matches!(sent, Ok(true)) {
            return;
        }
    }
}

async fn opened(address: SocketAddr, client: &str) -> Option<RawClient> {
    let mut raw = RawClient::connect(address, "lc.protobuf2.3").await.ok()?;
    let opened = raw.sign_in(APP, client, SessionCommand::default()).await;
    refusal(&opened.command).is_none().then_some(raw)
}

fn json(data: String) -> Option<JsonObjectMessage> {
    Some(JsonObjectMessage { data })
}

fn history(cid: &str) -> Command {
    Command::logs(LogsCommand {
        cid: Some(cid.to_owned()),
        l: Some(1_000),
        ..LogsCommand::default()
    })
}

fn names(from: usize, count: usize) -> Vec<String> {
    (from..from + count)
        .map(|n| format!("invented-{n}"))
        .collect()
}

/// Where the attacks happen.
#[derive(Clone)]
struct Ground {
    address: SocketAddr,
    /// A conversation of everybody with long messages in it.
    cid: String,
}

const KINDS: [&str; 14] = [
    "patterns",
    "pings",
    "histories",
    "invented members",
    "attributes",
    "slow reader",
    "junk",
    "http",
    "marks and logins",
    "files",
    "devices",
    "chat rooms",
    "temporary conversations",
    "watched peers",
];

/// An app that takes files, and pushes to devices by its log.
const SETTINGS: &str =
    r#"{"myApp":{"push":{"enabled":true,"template":{"alert":"x","badge":"Increment"}}}}"#;

/// One go of an attack.
#[expect(clippy::too_many_lines, reason = "a table: one arm an attack")]
async fn attack(kind: &str, ground: &Ground, go: usize) -> Option<()> {
    let (address, cid) = (ground.address, ground.cid.as_str());
    let spike = format!("spike-{}", kind.len() * 10 + go % 3);
    match kind {
        "patterns" => {
            let mut raw = opened(address, &spike).await?;
            let query = |n: usize| {
                let tail = "(a|aa|b?)+".repeat(1 + n % 20);
                let body = ConvCommand {
                    r#where: json(format!(r#"{{"attr.text":{{"$regex":"{tail}$"}}}}"#)),
                    limit: Some(1_000),
                    ..ConvCommand::default()
                };
                Command::conv(Op::Query, body)
            };
            push(&mut raw, (0..200).map(query)).await;
        }
        "pings" => {
            let mut raw = RawClient::connect(address, "lc.protobuf2.3").await.ok()?;
            for _ in 0..5_000 {
                let ping = raw.send_raw(Message::Ping(vec![7; 125].into()));
                if !matches!(tokio::time::timeout(INSISTENCE, ping).await, Ok(Ok(()))) {
                    break;
                }
            }
        }
        "histories" => {
            let mut raw = opened(address, &spike).await?;
            push(&mut raw, (0..512).map(|_| history(cid))).await;
        }
        "invented members" => {
            let mut raw = opened(address, &spike).await?;
            let start = |n: usize| {
                let body = ConvCommand {
                    m: names(n * 7, 499),
                    ..ConvCommand::default()
                };
                Command::conv(Op::Start, body)
            };
            push(&mut raw, (0..40).map(start)).await;
        }
        "attributes" => {
            let mut raw = opened(address, &spike).await?;
            let update = |n: usize| {
                let text = if n.is_multiple_of(2) { "ab" } else { "ba" }.repeat(3_000);
                let body = ConvCommand {
                    cid: Some(cid.to_owned()),
                    attr: json(format!(r#"{{"attr.text":"{text}"}}"#)),
                    ..ConvCommand::default()
                };
                Command::conv(Op::Update, body)
            };
            push(&mut raw, (0..60).map(update)).await;
        }
        "slow reader" => {
            let _deaf = opened(address, "spike-deaf").await?;
            let mut raw = opened(address, "spike-loud").await?;
            let body = DirectCommand {
                cid: Some(cid.to_owned()),
                msg: Some("x".repeat(4_000)),
                transient: Some(true),
                ..DirectCommand::default()
            };
            push(&mut raw, (0..400).map(|_| Command::direct(body.clone()))).await;
        }
        "junk" => {
            let mut raw = opened(address, &spike).await?;
            for n in 0..500_usize {
                let junk = vec![u8::try_from(n % 251).ok()?; 1 + n * 9];
                if raw.send_raw(Message::binary(junk)).await.is_err() {
                    break;
                }
            }
        }
        "http" => {
            let ask = "GET /1.1/classes/_ConversationMemberInfo?client_id=Tom HTTP/1.1\r\nHost: x\r\n\
                       X-LC-Id: myApp\r\nX-LC-Session: none\r\nConnection: close\r\n\r\n";
            for _ in 0..50 {
                let mut stream = TcpStream::connect(address).await.ok()?;
                stream.write_all(ask.as_bytes()).await.ok()?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.ok()?;
            }
        }
        "marks and logins" => {
            let mut raw = opened(address, &spike).await?;
            let read = ReadCommand {
                cids: vec![cid.to_owned(); 500],
                ..ReadCommand::default()
            };
            let login = Command::session(Op::Open, SessionCommand::default());
            let both = |n: usize| {
                if n.is_multiple_of(2) {
                    Command::Read(read.clone())
                } else {
                    login.clone()
                }
            };
            push(&mut raw, (0..300).map(both)).await;
        }
        _ => return attack_by_newer_ways(kind, ground, go).await,
    }
    Some(())
}

/// One go of an attack by files, pushes, rooms or peers.
#[expect(clippy::too_many_lines, reason = "a table: one arm an attack")]
async fn attack_by_newer_ways(kind: &str, ground: &Ground, go: usize) -> Option<()> {
    let address = ground.address;
    let spike = format!("spike-{}", kind.len() * 10 + go % 3);
    match kind {
        "files" => {
            let ask = asking("POST", "/1.1/fileTokens", r#"{"name":"a.bin"}"#);
            let asked = over_http(address, ask.as_bytes()).await?;
            let (_, url) = asked.split_once("\"upload_url\":\"http://x")?;
            let (path, _) = url.split_once('"')?;
            // Every other upload breaks off.
            let length = if go.is_multiple_of(2) {
                1 << 20
            } else {
                1 << 24
            };
            let head = format!(
                "PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            );
            let upload = [head.as_bytes(), &vec![7; 1 << 20]].concat();
            if go.is_multiple_of(2) {
                over_http(address, &upload).await?;
            } else {
                let mut stream = TcpStream::connect(address).await.ok()?;
                stream.write_all(&upload).await.ok()?;
            }
        }
        "devices" => {
            for n in 0..5_usize {
                let n = go * 5 + n;
                let channels: Vec<String> = (10..40)
                    .map(|c| format!("{n}-{c}{}", "c".repeat(50)))
                    .collect();
                let body = serde_json::json!({"deviceToken": format!("t{}", n % 7), "deviceType": "ios", "channels": channels});
                let announce = asking("POST", "/1.1/installations", &body.to_string());
                over_http(address, announce.as_bytes()).await?;
                let mut raw = RawClient::connect(address, "lc.protobuf2.3").await.ok()?;
                let body = SessionCommand {
                    device_id: Some(format!("t{}", n % 7)),
                    ..SessionCommand::default()
                };
                raw.sign_in(APP, &format!("{spike}-{go}-{n}"), body).await;
            }
        }
        "chat rooms" => {
            let mut raw = opened(address, &spike).await?;
            let room = ConvCommand {
                transient: Some(true),
                ..ConvCommand::default()
            };
            let Command::Conv { body, .. } = raw.request(Command::conv(Op::Start, room)).await
            else {
                return None;
            };
            let cid = body.cid?;
            let body = ConvCommand {
                cid: Some(cid.clone()),
                m: vec![spike],
                ..ConvCommand::default()
            };
            let text = "x".repeat(4_000);
            let one = |n: usize| match n % 4 {
                0 => Command::conv(Op::Add, body.clone()),
                1 => message(&cid, &text),
                2 => Command::conv(Op::Members, body.clone()),
                _ => Command::conv(Op::Remove, body.clone()),
            };
            push(&mut raw, (0..400).map(one)).await;
        }
        "temporary conversations" => {
            let mut raw = opened(address, &spike).await?;
            let start = |n: usize| {
                let body = ConvCommand {
                    m: names(n * 3, 40),
                    temp_conv: Some(true),
                    ..ConvCommand::default()
                };
                Command::conv(Op::Start, body)
            };
            push(&mut raw, (0..100).map(start)).await;
        }
        _ => {
            let mut raw = opened(address, &spike).await?;
            let watch = |n: usize| {
                let session_peer_ids = names(n % 90, 60);
                let op = if n.is_multiple_of(3) {
                    Op::Remove
                } else {
                    Op::Add
                };
                let body = SessionCommand {
                    session_peer_ids,
                    ..SessionCommand::default()
                };
                Command::session(op, body)
            };
            push(&mut raw, (0..200).map(watch)).await;
            let say = |n: usize| {
                Command::direct(DirectCommand {
                    to_peer_ids: names(n % 90, 20),
                    msg: Some("x".repeat(3_000)),
                    push_data: Some(r#"{"badge":"Increment"}"#.to_owned()),
                    ..DirectCommand::default()
                })
            };
            push(&mut raw, (0..100).map(say)).await;
        }
    }
    Some(())
}

/// A request with the app's key.
fn asking(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nX-LC-Id: myApp\r\nX-LC-Key: myKey\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The answer to a request; none when the service does not answer.
async fn over_http(address: SocketAddr, request: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let asked = async {
        stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(INSISTENCE * 20, asked).await.ok()?
}

/// Comes again and again until it is to stop; answers how often it came to its end.
async fn keep_attacking(kind: &'static str, ground: Ground, stop: Arc<AtomicBool>) -> usize {
    let (mut goes, mut whole) = (0, 0);
    while !stop.load(Ordering::Relaxed) || whole == 0 && goes < TRIES_MAX {
        let ground = ground.clone();
        // A go that the service ends in the middle fails as a task of its own.
        let go = tokio::spawn(async move { attack(kind, &ground, goes).await });
        whole += usize::from(matches!(go.await, Ok(Some(()))));
        goes += 1;
    }
    whole
}

/// A service with something to attack.
async fn ground(address: SocketAddr) -> Ground {
    let mut tom = RawClient::open(address, "Tom").await;
    let mut members = vec!["Tom", "Jerry", "spike-deaf", "spike-loud"];
    let spikes: Vec<String> = (0..200).map(|n| format!("spike-{n}")).collect();
    members.extend(spikes.iter().map(String::as_str));
    let cid = tom.start(&members).await;
    for n in 0..300 {
        assert_eq!(refusal(&tom.say(&cid, &"x".repeat(4_000 + n)).await), None);
    }
    for n in 0..40 {
        let body = ConvCommand {
            m: vec![format!("other-{n}")],
            attr: json(format!(r#"{{"attr":{{"text":"{}"}}}}"#, "ab".repeat(2_000))),
            ..ConvCommand::default()
        };
        assert_eq!(
            refusal(&tom.request(Command::conv(Op::Start, body)).await),
            None
        );
    }
    Ground { address, cid }
}

/// Runs all attacks while two talk; answers the most memory that was seen, and how often each kind of
/// attack came.
async fn all_at_once(folder: &Path, rounds: usize) -> (u64, Vec<usize>) {
    let settings = folder.join("settings.json");
    std::fs::write(&settings, SETTINGS).unwrap();
    let flags = ["--settings", settings.to_str().unwrap(), "--log", "error"];
    let program = Program::start_with(folder, &flags, Stdio::inherit());
    let ground = ground(program.address).await;
    let stop = Arc::new(AtomicBool::new(false));
    let attackers: Vec<_> = KINDS
        .iter()
        .map(|kind| tokio::spawn(keep_attacking(kind, ground.clone(), Arc::clone(&stop))))
        .collect();
    let mut tom = RawClient::open(program.address, "Tom").await;
    let mut jerry = RawClient::open(program.address, "Jerry").await;
    let chat = tom.start(&["Tom", "Jerry"]).await;
    let mut most = 0;
    for number in 0..rounds * SAID_A_ROUND {
        let text = format!("number {number}");
        assert_eq!(refusal(&tom.request(message(&chat, &text)).await), None);
        let is_it = |command: &Command| matches!(command, Command::Direct(it) if it.msg.as_deref() == Some(&text));
        jerry.wait_for(is_it).await;
        most = most.max(program.resident_bytes().unwrap_or_default());
    }
    stop.store(true, Ordering::Relaxed);
    let mut goes = Vec::new();
    for attacker in attackers {
        goes.push(attacker.await.unwrap());
    }
    (most, goes)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_attacks_at_once_leave_memory_bounded_and_others_served() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = rounds();
    let (most, goes) = all_at_once(folder.path(), rounds).await;
    let counted: Vec<String> = KINDS
        .iter()
        .zip(&goes)
        .map(|(kind, n)| format!("{kind} {n}"))
        .collect();
    println!(
        "torture service: {rounds} rounds, {} messages, {} MiB at most; attacks: {}",
        rounds * SAID_A_ROUND,
        most >> 20,
        counted.join(", ")
    );
    for (kind, goes) in KINDS.iter().zip(&goes) {
        assert!(*goes > 0, "no attack by {kind} came to its end");
    }
    if cfg!(target_os = "linux") {
        assert!(most > 0, "the memory of the program is not told");
    }
    assert!(most <= RESIDENT_MAX_BYTES, "{} MiB were held", most >> 20);
}

/// The memory of sockets that closed is there for those that come after them.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_close_give_their_memory_to_those_that_come_after() {
    const SOCKETS: usize = 600;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut after = Vec::new();
    for wave in 0..4 {
        let mut open = Vec::new();
        for n in 0..SOCKETS {
            open.push(RawClient::open(program.address, &format!("idle-{wave}-{n}")).await);
        }
        after.push(program.resident_bytes().unwrap());
        drop(open);
        // One that is served after all of them have gone.
        let mut tom = RawClient::open(program.address, "Tom").await;
        tom.start(&["Tom", "Jerry"]).await;
    }
    // Without that, each wave would add the memory that the first took.
    let (first, last) = (after[0], after[3]);
    let added = last.saturating_sub(first);
    assert!(
        added < 8 * 1024 * 1024,
        "three more waves added {added} bytes: {after:?}"
    );
}
