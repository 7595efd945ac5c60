//! Fairness: one client does its worst with each command of the schema, and another one's echo is timed.
//!
//! The service runs as a process of its own, with the data on disk. Progress goes to standard error,
//! the rows to standard output.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench measures time and ends with a panic where it cannot"
)]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sampan::wire::generated::{
    AckCommand, BlacklistCommand, ConvCommand, ConvMemberInfo, DirectCommand, JsonObjectMessage,
    LogsCommand, PatchCommand, PatchItem, ReadCommand, ReportCommand, RoomCommand, SessionCommand,
};
use sampan::wire::{Command, Op};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/hostile/raw.rs"]
mod raw;

use raw::RawClient;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The longest wait of the victim, of a hundred echoes all but one.
const P99_MAX: Duration = Duration::from_millis(100);

/// Commands that the attacker sends before it reads an answer.
const AT_ONCE: usize = 64;

fn main() -> Outcome<()> {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let echoes = if is_quick { 50 } else { 300 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(bench(echoes))
}

/// The conversation and messages that the attacker works on.
#[derive(Clone)]
struct Ground {
    /// A conversation of many with long messages and all attributes it may have.
    cid: String,
    room: String,
    /// A message of the attacker's own.
    message: (String, i64),
}

fn json(data: String) -> Option<JsonObjectMessage> {
    Some(JsonObjectMessage { data })
}

fn conv(op: Op, cid: &str, members: Vec<String>) -> Command {
    let body = ConvCommand {
        cid: Some(cid.to_owned()),
        m: members,
        ..ConvCommand::default()
    };
    Command::conv(op, body)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("member-{n}")).collect()
}

/// A command in the form that costs most, by the number of the try.
type Worst = fn(&Ground, usize) -> Command;

/// Every command of the schema that a client sends.
const TABLE: &[(&str, Worst)] = &[
    ("echo", |_, _| Command::Echo),
    ("session/open", |_, _| {
        Command::session(Op::Open, SessionCommand::default())
    }),
    ("session/refresh", |_, _| {
        Command::session(Op::Refresh, SessionCommand::default())
    }),
    ("session/query", |_, _| {
        let body = SessionCommand {
            session_peer_ids: names(20),
            ..SessionCommand::default()
        };
        Command::session(Op::Query, body)
    }),
    ("session/remove", |_, n| {
        let body = SessionCommand {
            session_peer_ids: names(n % 900),
            ..SessionCommand::default()
        };
        Command::session(Op::Remove, body)
    }),
    ("session/close and open", |_, n| {
        let op = [Op::Close, Op::Open][n % 2];
        Command::session(op, SessionCommand::default())
    }),
    ("report", |_, _| Command::Report {
        op: Op::Upload,
        body: ReportCommand::default(),
    }),
    ("session/add", |_, n| {
        let body = SessionCommand {
            session_peer_ids: names(n % 900),
            ..SessionCommand::default()
        };
        Command::session(Op::Add, body)
    }),
    ("conv/start", |_, n| {
        let mut members = names(490);
        members.push(format!("one more {n}"));
        conv(Op::Start, "", members)
    }),
    ("conv/start of a temporary one", |_, n| {
        let mut members = names(48);
        members.push(format!("one more {n}"));
        let body = ConvCommand {
            m: members,
            temp_conv: Some(true),
            ..ConvCommand::default()
        };
        Command::conv(Op::Start, body)
    }),
    ("conv/add and remove oneself of a room", |it, n| {
        let op = [Op::Remove, Op::Add][n % 2];
        conv(op, &it.room, vec!["Spike".to_owned()])
    }),
    ("conv/query of all columns", |_, n| {
        let conditions: Vec<String> = (0..16)
            .map(|it| format!(r#"{{"attr.text":{{"$regex":"{n}{it}[ab]+$"}}}}"#))
            .collect();
        let condition = format!(r#"{{"$or":[{}]}}"#, conditions[..8].join(","));
        let body = ConvCommand {
            r#where: json(condition),
            sort: Some("-lm,name".to_owned()),
            skip: Some(1_000),
            limit: Some(1_000),
            ..ConvCommand::default()
        };
        Command::conv(Op::Query, body)
    }),
    ("conv/query by pattern", |_, _| {
        let tail = "(a|aa|b?)+".repeat(20);
        let body = ConvCommand {
            r#where: json(format!(r#"{{"attr.text":{{"$regex":"{tail}$"}}}}"#)),
            limit: Some(1_000),
            ..ConvCommand::default()
        };
        Command::conv(Op::Query, body)
    }),
    ("conv/query of all", |_, _| {
        let body = ConvCommand {
            r#where: json("{}".to_owned()),
            limit: Some(1_000),
            flag: Some(2),
            ..ConvCommand::default()
        };
        Command::conv(Op::Query, body)
    }),
    ("conv/update", |it, n| {
        let text = if n.is_multiple_of(2) { "ab" } else { "ba" }.repeat(3_500);
        let body = ConvCommand {
            cid: Some(it.cid.clone()),
            attr: json(format!(r#"{{"attr.text":"{text}"}}"#)),
            ..ConvCommand::default()
        };
        Command::conv(Op::Update, body)
    }),
    ("conv/add and remove", |it, n| {
        let op = if n.is_multiple_of(2) {
            Op::Remove
        } else {
            Op::Add
        };
        conv(op, &it.cid, names(400))
    }),
    ("conv/mute", |it, _| conv(Op::Mute, &it.cid, Vec::new())),
    ("conv/count", |it, _| conv(Op::Count, &it.cid, Vec::new())),
    ("conv/members", |it, _| {
        conv(Op::Members, &it.cid, Vec::new())
    }),
    ("conv/max_read", |it, _| {
        conv(Op::MaxRead, &it.cid, Vec::new())
    }),
    ("conv/is_member", |it, _| {
        let body = ConvCommand {
            cids: vec![it.cid.clone(); 100],
            ..ConvCommand::default()
        };
        Command::conv(Op::IsMember, body)
    }),
    ("conv/member_info_update", |it, n| {
        let info = ConvMemberInfo {
            pid: Some("member-1".to_owned()),
            role: Some(["Manager", "Member"][n % 2].to_owned()),
            ..ConvMemberInfo::default()
        };
        let body = ConvCommand {
            cid: Some(it.cid.clone()),
            target_client_id: Some("member-1".to_owned()),
            info: Some(info),
            ..ConvCommand::default()
        };
        Command::conv(Op::MemberInfoUpdate, body)
    }),
    ("conv/shutup", |it, n| {
        conv(
            [Op::AddShutup, Op::RemoveShutup][n % 2],
            &it.cid,
            names(100),
        )
    }),
    ("conv/check_shutup", |it, _| {
        conv(Op::CheckShutup, &it.cid, names(100))
    }),
    ("blacklist/query", |it, _| {
        let body = BlacklistCommand {
            src_cid: Some(it.cid.clone()),
            limit: Some(1_000),
            ..BlacklistCommand::default()
        };
        Command::blacklist(Op::Query, body)
    }),
    ("conv/query_shutup", |it, _| {
        conv(Op::QueryShutup, &it.cid, Vec::new())
    }),
    ("blacklist", |it, n| {
        let body = BlacklistCommand {
            src_cid: Some(it.cid.clone()),
            to_pids: names(100),
            ..BlacklistCommand::default()
        };
        Command::blacklist([Op::Block, Op::Unblock][n % 2], body)
    }),
    ("direct", |it, _| raw::message(&it.cid, &"x".repeat(4_500))),
    ("direct to a room", |it, _| {
        raw::message(&it.room, &"x".repeat(4_500))
    }),
    ("direct to peers", |_, n| {
        Command::direct(DirectCommand {
            to_peer_ids: names(1 + n % 20),
            msg: Some("x".repeat(4_000)),
            ..DirectCommand::default()
        })
    }),
    ("ack", |it, _| {
        Command::ack(AckCommand {
            cid: Some(it.cid.clone()),
            tots: Some(i64::MAX / 2),
            ..AckCommand::default()
        })
    }),
    ("read", |it, _| {
        Command::Read(ReadCommand {
            cids: vec![it.cid.clone(); 120],
            ..ReadCommand::default()
        })
    }),
    ("logs", |it, _| {
        Command::logs(LogsCommand {
            cid: Some(it.cid.clone()),
            l: Some(1_000),
            ..LogsCommand::default()
        })
    }),
    ("logs by type", |it, _| {
        Command::logs(LogsCommand {
            cid: Some(it.cid.clone()),
            l: Some(1_000),
            lctype: Some(-77),
            ..LogsCommand::default()
        })
    }),
    ("patch", |it, n| {
        let item = PatchItem {
            cid: Some(it.cid.clone()),
            mid: Some(it.message.0.clone()),
            timestamp: Some(it.message.1),
            data: Some(n.to_string().repeat(200).into_bytes()),
            ..PatchItem::default()
        };
        let patches = vec![item; 10];
        Command::patch(
            Op::Modify,
            PatchCommand {
                patches,
                ..PatchCommand::default()
            },
        )
    }),
    ("room/join of a new group", |_, n| {
        let body = RoomCommand {
            room_peer_ids: names(1 + n % 200),
            ..RoomCommand::default()
        };
        Command::Room {
            op: Op::Join,
            body: Box::new(body),
        }
    }),
    ("room", |it, n| {
        let body = RoomCommand {
            room_id: Some(it.cid.clone()),
            room_peer_ids: names(200),
            ..RoomCommand::default()
        };
        Command::Room {
            op: [Op::Kick, Op::Invite][n % 2],
            body: Box::new(body),
        }
    }),
];

/// A request over HTTP in the form that costs most, by the number of the try.
type WorstRequest = fn(&Ground, usize) -> String;

/// Requests over HTTP: of clients, and of the app's own servers.
const REQUESTS: &[(&str, WorstRequest)] = &[
    ("POST /1.1/installations", |_, n| {
        let channels: Vec<String> = (10..40)
            .map(|c| format!("{n}-{c}-{}", "c".repeat(40)))
            .collect();
        let body = serde_json::json!({"deviceToken": n.to_string(), "channels": channels});
        request("POST", "/1.1/installations", "myKey", &body.to_string())
    }),
    ("POST /1.1/fileTokens", |_, _| {
        request("POST", "/1.1/fileTokens", "myKey", r#"{"name":"a.bin"}"#)
    }),
    ("GET /1.2/rtm/messages", |_, _| {
        let path = "/1.2/rtm/messages?limit=1000";
        request("GET", path, "myMasterKey,master", "")
    }),
    ("GET /1.1/scan/classes/_Conversation", |_, _| {
        let path = "/1.1/scan/classes/_Conversation?limit=1000";
        request("GET", path, "myMasterKey,master", "")
    }),
];

/// Requests over HTTP that wait for an answer at a time.
const REQUESTS_AT_ONCE: usize = 4;

fn request(method: &str, path: &str, key: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nX-LC-Id: myApp\r\nX-LC-Key: {key}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[derive(Clone, Copy)]
enum Attack {
    Command(Worst),
    Request(WorstRequest),
}

async fn bench(echoes: usize) -> Outcome<()> {
    let mut rows = Vec::new();
    let commands = TABLE.iter().map(|(name, it)| (*name, Attack::Command(*it)));
    let requests = REQUESTS
        .iter()
        .map(|(name, it)| (*name, Attack::Request(*it)));
    for (name, worst) in commands.chain(requests) {
        let (p99, done) = row(worst, echoes).await?;
        eprintln!("{name}: p99 {p99:?} while {done} of them were sent");
        rows.push(serde_json::json!({
            "name": format!("another one's echo, p99, during {name}"),
            "value": p99.as_secs_f64() * 1000.0, "unit": "ms", "peer": null, "ratio": null,
            "target": format!("under {} ms", P99_MAX.as_millis()), "pass": p99 < P99_MAX && done > 0,
        }));
    }
    println!("{}", serde_json::Value::from(rows));
    Ok(())
}

/// The victim's p99 while one client sends this, and how many it sent.
async fn row(attack: Attack, echoes: usize) -> Outcome<(Duration, usize)> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path())?;
    let (attacker, ground) = prepare(server.address).await?;
    let (stop, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let until = (Arc::clone(&stop), Arc::clone(&sent));
    let (attack, enough) = match attack {
        Attack::Command(worst) => {
            let attack = tokio::spawn(send_worst(worst, attacker, ground, until));
            (attack, AT_ONCE)
        }
        Attack::Request(worst) => {
            let asked = ask_worst(worst, server.address, ground, until);
            (tokio::spawn(asked), REQUESTS_AT_ONCE)
        }
    };
    let mut victim = RawClient::open(server.address, "Victim").await;
    // The attack is under way.
    while sent.load(Ordering::Relaxed) < enough && !attack.is_finished() {
        victim.request(Command::Echo).await;
    }
    let mut times = Vec::new();
    for _ in 0..echoes {
        let before = Instant::now();
        victim.request(Command::Echo).await;
        times.push(before.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    attack.abort();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied();
    Ok((p99.unwrap_or_default(), sent.load(Ordering::Relaxed)))
}

/// When to stop, and how many were sent.
type Until = (Arc<AtomicBool>, Arc<AtomicUsize>);

async fn send_worst(worst: Worst, mut attacker: RawClient, ground: Ground, (stop, sent): Until) {
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..AT_ONCE {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            if !attacker.send_or_end(worst(&ground, number)).await {
                return;
            }
        }
        // Some commands are never answered: an echo behind them is.
        if !attacker.send_or_end(Command::Echo).await {
            return;
        }
        attacker.wait_for(|command| *command == Command::Echo).await;
    }
}

async fn ask_worst(worst: WorstRequest, address: SocketAddr, ground: Ground, until: Until) {
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS_AT_ONCE {
        let (ground, (stop, sent)) = (ground.clone(), until.clone());
        askers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                let asked = ask(address, &worst(&ground, number)).await;
                asked.expect("the service answers");
            }
        });
    }
    askers.join_all().await;
}

async fn ask(address: SocketAddr, request: &str) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(())
}

/// Signs the attacker in and makes what it works on.
async fn prepare(address: SocketAddr) -> Outcome<(RawClient, Ground)> {
    let mut attacker = RawClient::open(address, "Spike").await;
    let mut members = names(450);
    members.push("Spike".to_owned());
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let cid = attacker.start(&members).await;
    let mut message = None;
    for _ in 0..400 {
        if let Command::Ack(ack) = attacker.say(&cid, &"x".repeat(4_500)).await {
            message = ack.uid.clone().zip(ack.t);
        }
    }
    for n in 0..60 {
        let body = ConvCommand {
            m: vec![format!("other-{n}")],
            attr: json(format!(r#"{{"attr":{{"text":"{}"}}}}"#, "ab".repeat(2_000))),
            ..ConvCommand::default()
        };
        attacker.request(Command::conv(Op::Start, body)).await;
    }
    let room = ConvCommand {
        transient: Some(true),
        ..ConvCommand::default()
    };
    let Command::Conv { body, .. } = attacker.request(Command::conv(Op::Start, room)).await else {
        return Err("there is no room".into());
    };
    let room = body.cid.ok_or("the room has no id")?;
    let message = message.ok_or("no message was acknowledged")?;
    Ok((attacker, Ground { cid, room, message }))
}

/// The program, killed when it goes out of scope.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(data: &std::path::Path) -> Outcome<Self> {
        let mut child = Process::new(env!("CARGO_BIN_EXE_sampan-service"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--app",
                "myApp:myKey:myMasterKey",
            ])
            .args(["--log", "error", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the service has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        let address = address
            .ok_or("the service did not say where it listens")?
            .parse()?;
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
