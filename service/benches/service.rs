//! The work of the service and its cost: bytes of storage a message, the start over a long history, messages a second
//! between pairs and to a crowd that is away, how long one takes, and the memory of an idle session; beside ejabberd
//! where the work is the same.
//!
//! The service runs as a process of its own, its clients in this one, on the same machine and disk.
//! Progress goes to standard error, the rows to standard output.

#![allow(clippy::disallowed_methods, reason = "a bench measures time")]

mod common;
#[path = "service/crowd.rs"]
mod crowd;
#[path = "service/ejabberd.rs"]
mod ejabberd;
#[path = "service/history.rs"]
mod history;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use sampan::wire::generated::{ConvCommand, DirectCommand};
use sampan::wire::{Command, Envelope, Op, Serial};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as Frame;

use self::common::{Outcome, Server, Socket, connect, sign_in, to_f64};
use self::ejabberd::Ejabberd;

/// Characters of a text.
pub(crate) const TEXT: usize = 100;

/// Pairs that talk at a time.
const PAIRS: usize = 50;

/// The most bytes of storage that a message may take after a rest.
const BYTES_MAX: f64 = 350.0;

/// The longest that a start over the history may take.
const START_MAX: Duration = Duration::from_secs(2);

/// The fewest messages a second to a crowd that is away.
const TO_CROWD_MIN: f64 = 5_000.0;

/// The most memory of an idle session, and of it beside the peer's.
const SESSION_BYTES_MAX: f64 = 6_144.0;
const SESSION_RATIO_MAX: f64 = 0.25;

/// The fewest messages a second beside the peer's.
const RATE_RATIO_MIN: f64 = 3.0;

/// Sessions that are opened before those that are counted: they make the server set itself up.
const WARM_UP: usize = 100;

/// How long memory may settle.
const SETTLE: Duration = Duration::from_secs(2);

/// How much of everything.
struct Plan {
    history: u64,
    rounds: usize,
    to_crowd: usize,
    idle: usize,
}

const FULL: Plan = Plan {
    history: 1_000_000,
    rounds: 200,
    to_crowd: 20_000,
    idle: 2_000,
};

const QUICK: Plan = Plan {
    history: 20_000,
    rounds: 20,
    to_crowd: 1_000,
    idle: 300,
};

fn main() -> Outcome<()> {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(bench(if is_quick { &QUICK } else { &FULL }))
}

async fn bench(plan: &Plan) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("settings.json");
    let members = crowd::AWAY + 1;
    std::fs::write(
        &settings,
        format!(r#"{{"myApp":{{"limits":{{"members":{members}}}}}}}"#),
    )?;
    let mut rows = Vec::new();
    let service = storage(plan, folder.path(), &settings, &mut rows).await?;
    let peer = Ejabberd::start().await?;
    talks(plan, &service, peer.as_ref(), &mut rows).await?;
    eprintln!(
        "{} messages to {} members who are away",
        plan.to_crowd,
        crowd::AWAY
    );
    let crowd::Sends { rate, processor_us } = crowd::sends(&service, plan.to_crowd).await?;
    rows.push(json!({
        "name": format!("messages to {} members who are away", crowd::AWAY),
        "value": rate, "unit": "1/s", "peer": null, "ratio": null,
        "target": format!("at least {TO_CROWD_MIN} 1/s"), "pass": rate >= TO_CROWD_MIN,
    }));
    rows.push(plain(
        "processor time of the service for one of them",
        processor_us,
        "µs",
    ));
    // Memory that earlier work left free in a process would hide that of new sessions.
    service.kill()?;
    let had_peer = peer.is_some();
    drop(peer);
    let service = Server::start(common::service(&folder.path().join("idle")))?;
    let peer = if had_peer {
        Ejabberd::start().await?
    } else {
        None
    };
    idle(plan, &service, peer.as_ref(), &mut rows).await?;
    println!("{}", Value::Array(rows));
    Ok(())
}

/// Writes the history and starts over it; answers the service that runs.
async fn storage(
    plan: &Plan,
    folder: &Path,
    settings: &Path,
    rows: &mut Vec<Value>,
) -> Outcome<Server> {
    let history = plan.history;
    eprintln!("{history} messages of {TEXT} bytes into the storage");
    let bytes = history::write(folder, history).await?;
    eprintln!("starts over {history} messages");
    let (clean, service) = start(folder, settings)?;
    service.kill()?;
    let (after_kill, service) = start(folder, settings)?;
    let start_row = |name: String, took: Duration| {
        json!({
            "name": name, "value": ms(took), "unit": "ms", "peer": null, "ratio": null,
            "target": format!("at most {} ms", START_MAX.as_millis()), "pass": took <= START_MAX,
        })
    };
    let name = format!("storage of a message of {TEXT} bytes, of {history}");
    rows.push(plain(&format!("{name}, as they come"), bytes.busy, "bytes"));
    rows.push(json!({
        "name": format!("{name}, after a rest"),
        "value": bytes.rested, "unit": "bytes", "peer": null, "ratio": null,
        "target": format!("at most {BYTES_MAX} bytes"), "pass": bytes.rested <= BYTES_MAX,
    }));
    rows.push(start_row(format!("start over {history} messages"), clean));
    rows.push(start_row(
        format!("start over {history} messages after a kill"),
        after_kill,
    ));
    Ok(service)
}

/// Pairs that talk, at the service and at the peer.
async fn talks(
    plan: &Plan,
    service: &Server,
    peer: Option<&Ejabberd>,
    rows: &mut Vec<Value>,
) -> Outcome<()> {
    let rounds = plan.rounds;
    eprintln!("{PAIRS} pairs, {rounds} messages each");
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
        pairs.push(Pair::open(service, number).await?);
    }
    let ours = Talk::of(pairs.into_iter().map(|pair| pair.talk(rounds))).await?;
    let theirs = match peer {
        None => None,
        Some(peer) => {
            eprintln!("the same at ejabberd");
            let mut pairs = Vec::new();
            for number in 0..PAIRS {
                pairs.push(PeerPair::open(peer, number).await?);
            }
            Some(Talk::of(pairs.into_iter().map(|pair| pair.talk(rounds))).await?)
        }
    };
    let beside = |of: fn(&Talk) -> f64, unit: &str| match &theirs {
        None => ("no ejabberd here".to_owned(), None),
        Some(theirs) => (
            format!(
                "{:.1} {unit}, ejabberd with its archive in Mnesia",
                of(theirs)
            ),
            Some(of(&ours) / of(theirs)),
        ),
    };
    let (peer, ratio) = beside(|talk| talk.rate, "1/s");
    rows.push(json!({
        "name": format!("messages of {PAIRS} pairs, one at a time each"),
        "value": ours.rate, "unit": "1/s", "peer": peer, "ratio": ratio,
        "target": format!("at least {RATE_RATIO_MIN} × the peer"),
        "pass": ratio.is_none_or(|ratio| ratio >= RATE_RATIO_MIN),
    }));
    let latency = |name: &str, of: fn(&Talk) -> f64| {
        let (peer, ratio) = beside(of, "ms");
        json!({
            "name": name, "value": of(&ours), "unit": "ms", "peer": peer, "ratio": ratio,
            "target": null, "pass": null,
        })
    };
    rows.push(latency(
        "a message until the other has it, half of them",
        |it| it.at(50),
    ));
    rows.push(latency(
        "a message until the other has it, 99 of 100",
        |it| it.at(99),
    ));
    Ok(())
}

/// The memory of idle sessions, at the service and at the peer.
async fn idle(
    plan: &Plan,
    service: &Server,
    peer: Option<&Ejabberd>,
    rows: &mut Vec<Value>,
) -> Outcome<()> {
    let count = plan.idle;
    eprintln!("{count} idle sessions");
    let mut sockets = Vec::new();
    let mut before = 0;
    for number in 0..WARM_UP + count {
        if number == WARM_UP {
            tokio::time::sleep(SETTLE).await;
            before = service.resident_bytes()?;
        }
        let mut socket = connect(service.address).await?;
        sign_in(&mut socket, &format!("idle{number}")).await?;
        sockets.push(socket);
    }
    tokio::time::sleep(SETTLE).await;
    let each = |bytes: u64| to_f64(bytes) / to_f64(count as u64);
    let ours = each(service.resident_bytes()?.saturating_sub(before));
    let theirs = match peer {
        None => None,
        Some(peer) => Some(each(idle_at_peer(count, peer).await?)),
    };
    let ratio = theirs.map(|theirs| ours / theirs);
    let named = theirs.map_or_else(
        || "no ejabberd here".to_owned(),
        |bytes| format!("{bytes:.0} bytes, ejabberd"),
    );
    rows.push(json!({
        "name": format!("memory of an idle session, of {count}"),
        "value": ours, "unit": "bytes", "peer": named, "ratio": ratio,
        "target": format!("at most {SESSION_BYTES_MAX} bytes, {SESSION_RATIO_MAX} × the peer"),
        "pass": ours <= SESSION_BYTES_MAX && ratio.is_none_or(|it| it <= SESSION_RATIO_MAX),
    }));
    Ok(())
}

async fn idle_at_peer(count: usize, peer: &Ejabberd) -> Outcome<u64> {
    let mut clients = Vec::new();
    let mut before = 0;
    for number in 0..WARM_UP + count {
        if number == WARM_UP {
            tokio::time::sleep(SETTLE).await;
            before = peer.resident_bytes()?;
        }
        let name = format!("idle{number}");
        clients.push(ejabberd::Client::sign_in(peer.address, &name).await?);
    }
    tokio::time::sleep(SETTLE).await;
    Ok(peer.resident_bytes()?.saturating_sub(before))
}

fn plain(name: &str, value: f64, unit: &str) -> Value {
    json!({
        "name": name, "value": value, "unit": unit, "peer": null, "ratio": null, "target": null,
        "pass": null,
    })
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// Starts the service, and answers how long it took until it listened.
fn start(data: &Path, settings: &Path) -> Outcome<(Duration, Server)> {
    let began = Instant::now();
    let mut program = common::service(data);
    program.arg("--settings").arg(settings);
    let server = Server::start(program)?;
    Ok((began.elapsed(), server))
}

/// The measure of pairs that talked at the same time.
struct Talk {
    rate: f64,
    /// How long messages took, the shortest time first.
    took: Vec<Duration>,
}

impl Talk {
    async fn of<T>(talks: impl Iterator<Item = T>) -> Outcome<Self>
    where
        T: Future<Output = Outcome<Vec<Duration>>> + Send + 'static,
    {
        let began = Instant::now();
        let spawn = |talk: T| tokio::spawn(async move { talk.await.map_err(|it| it.to_string()) });
        let talks: Vec<_> = talks.map(spawn).collect();
        let mut took = Vec::new();
        for talk in talks {
            took.extend(talk.await??);
        }
        let rate = to_f64(took.len() as u64) / began.elapsed().as_secs_f64();
        took.sort_unstable();
        Ok(Self { rate, took })
    }

    fn at(&self, share: usize) -> f64 {
        let at = self.took.len() * share / 100;
        ms(self.took.get(at).copied().unwrap_or_default())
    }
}

/// Two clients of the peer that talk with each other.
struct PeerPair {
    sender: ejabberd::Client,
    reader: ejabberd::Client,
    to: String,
}

impl PeerPair {
    async fn open(peer: &Ejabberd, number: usize) -> Outcome<Self> {
        let (one, to) = (format!("one{number}"), format!("other{number}"));
        Ok(Self {
            sender: ejabberd::Client::sign_in(peer.address, &one).await?,
            reader: ejabberd::Client::sign_in(peer.address, &to).await?,
            to,
        })
    }

    async fn talk(mut self, rounds: usize) -> Outcome<Vec<Duration>> {
        let mut took = Vec::new();
        for _ in 0..rounds {
            let began = Instant::now();
            self.sender.message(&self.to, &"x".repeat(TEXT)).await?;
            self.reader.hear_message().await?;
            took.push(began.elapsed());
        }
        Ok(took)
    }
}

/// Two clients that talk with each other.
struct Pair {
    sender: Socket,
    reader: Socket,
    conversation: String,
}

impl Pair {
    async fn open(service: &Server, number: usize) -> Outcome<Self> {
        let (one, other) = (format!("one{number}"), format!("other{number}"));
        let mut sender = connect(service.address).await?;
        sign_in(&mut sender, &one).await?;
        let mut reader = connect(service.address).await?;
        sign_in(&mut reader, &other).await?;
        let body = ConvCommand {
            m: vec![one, other],
            ..ConvCommand::default()
        };
        ask(&mut sender, Command::conv(Op::Start, body)).await?;
        let conversation = loop {
            if let Command::Conv {
                op: Op::Started,
                body,
            } = next(&mut sender).await?
            {
                break body.cid.unwrap_or_default();
            }
        };
        Ok(Self {
            sender,
            reader,
            conversation,
        })
    }

    /// Says so many things, each when the one before has arrived and is acknowledged; answers how long
    /// each took to arrive.
    async fn talk(mut self, rounds: usize) -> Outcome<Vec<Duration>> {
        let mut took = Vec::new();
        for _ in 0..rounds {
            let body = DirectCommand {
                cid: Some(self.conversation.clone()),
                msg: Some("x".repeat(TEXT)),
                ..DirectCommand::default()
            };
            let began = Instant::now();
            ask(&mut self.sender, Command::direct(body)).await?;
            while !matches!(next(&mut self.reader).await?, Command::Direct(_)) {}
            took.push(began.elapsed());
            while !matches!(next(&mut self.sender).await?, Command::Ack(_)) {}
        }
        Ok(took)
    }
}

pub(crate) async fn ask(socket: &mut Socket, command: Command) -> Outcome<()> {
    let envelope = Envelope::new(command).with_serial(Serial(2));
    Ok(socket.send(Frame::binary(envelope.to_bytes())).await?)
}

pub(crate) async fn next(socket: &mut Socket) -> Outcome<Command> {
    let frame = socket
        .next()
        .await
        .ok_or("the service closed the connection")??;
    Ok(Envelope::from_bytes(&frame.into_data())?.command)
}
