//! How long a message takes to the last of very many receivers: the members of a conversation, and the clients inside
//! a chat room.
//!
//! The service runs as a process of its own over a folder, its clients in this one, with a socket each on loopback,
//! on the same machine. Progress goes to standard error, the rows to standard output.

#![allow(clippy::disallowed_methods, reason = "a bench measures time")]

mod common;

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use sampan::wire::generated::{ConvCommand, DirectCommand};
use sampan::wire::{Command, Envelope, Op, Serial};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;

use self::common::{Outcome, Server, Socket, connect, sign_in};

/// Receivers of each message.
const RECEIVERS: usize = 1_000;
const RECEIVERS_QUICK: usize = 200;

/// Messages of which the times are taken.
const ROUNDS: usize = 20;

/// Messages before those: they make both processes set themselves up.
const WARM_UP: usize = 2;

/// A message that is not there by then is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clients that a command may name: a command is 5 KiB at most.
const NAMES_AT_ONCE: usize = 100;

fn main() -> Outcome<()> {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let receivers = if is_quick { RECEIVERS_QUICK } else { RECEIVERS };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(bench(receivers))
}

async fn bench(receivers: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("settings.json");
    let members = receivers + 1;
    std::fs::write(
        &settings,
        format!(r#"{{"myApp":{{"limits":{{"members":{members}}}}}}}"#),
    )?;
    let mut program = common::service(folder.path());
    program.arg("--settings").arg(&settings);
    let service = Server::start(program)?;
    eprintln!("{receivers} receivers sign in");
    let mut sender = Client::sign_in(&service, "sender").await?;
    let names: Vec<String> = (0..receivers).map(|n| format!("client{n}")).collect();
    let mut clients = Vec::new();
    for name in &names {
        clients.push(Client::sign_in(&service, name).await?);
    }
    let conversation = sender.start(ConvCommand::default()).await?;
    for some in names.chunks(NAMES_AT_ONCE) {
        sender.add(&conversation, some).await?;
    }
    let room = ConvCommand {
        transient: Some(true),
        ..ConvCommand::default()
    };
    let room = sender.start(room).await?;
    for (client, name) in clients.iter_mut().zip(&names) {
        client.add(&room, std::slice::from_ref(name)).await?;
    }
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    for client in clients {
        let arrived = arrived.clone();
        tokio::spawn(client.listen(move || arrived.send(Instant::now()).is_ok()));
    }
    let mut rows = Vec::new();
    for (place, cid) in [("conversation", conversation), ("chat room", room)] {
        eprintln!("{ROUNDS} messages to the {place}");
        let mut times = Vec::new();
        for round in 0..WARM_UP + ROUNDS {
            let began = Instant::now();
            sender.say(&cid).await?;
            let mut last = began;
            for _ in 0..receivers {
                let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await?;
                last = last.max(next.ok_or("all receivers are gone")?);
            }
            if round >= WARM_UP {
                times.push(last.duration_since(began));
            }
        }
        times.sort_unstable();
        let name = format!("a message until the last of {receivers} in a {place} has it");
        let (median, longest) = (times.get(ROUNDS / 2), times.last());
        rows.push(row(&format!("{name}, median of {ROUNDS}"), median));
        rows.push(row(&format!("{name}, longest of {ROUNDS}"), longest));
    }
    println!("{}", Value::Array(rows));
    Ok(())
}

fn row(name: &str, time: Option<&Duration>) -> Value {
    let ms = time.map(|time| time.as_secs_f64() * 1000.0);
    json!({
        "name": name, "value": ms, "unit": "ms", "peer": null, "ratio": null, "target": null,
        "pass": null,
    })
}

/// A client that is signed in.
struct Client {
    socket: Socket,
    serial: i32,
}

impl Client {
    async fn sign_in(service: &Server, name: &str) -> Outcome<Self> {
        let mut socket = connect(service.address).await?;
        sign_in(&mut socket, name).await?;
        Ok(Self { socket, serial: 1 })
    }

    /// Sends a command and waits for its reply.
    async fn ask(&mut self, command: Command) -> Outcome<Command> {
        self.serial += 1;
        let serial = Serial(self.serial);
        let envelope = Envelope::new(command).with_serial(serial);
        self.socket.send(Frame::binary(envelope.to_bytes())).await?;
        loop {
            let next = self.next().await?;
            if next.serial == Some(serial) {
                return match next.command {
                    Command::Error(error) => Err(error.reason.into()),
                    other => Ok(other),
                };
            }
        }
    }

    async fn next(&mut self) -> Outcome<Envelope> {
        loop {
            let frame = self.socket.next().await;
            let frame = frame.ok_or("the service closed a connection")??;
            if frame.is_binary() {
                return Ok(Envelope::from_bytes(&frame.into_data())?);
            }
        }
    }

    async fn start(&mut self, body: ConvCommand) -> Outcome<String> {
        match self.ask(Command::conv(Op::Start, body)).await? {
            Command::Conv { body, .. } => Ok(body.cid.ok_or("a conversation without an id")?),
            _ => Err("not started".into()),
        }
    }

    async fn add(&mut self, cid: &str, clients: &[String]) -> Outcome<()> {
        let body = ConvCommand {
            cid: Some(cid.to_owned()),
            m: clients.to_vec(),
            ..ConvCommand::default()
        };
        self.ask(Command::conv(Op::Add, body)).await?;
        Ok(())
    }

    async fn say(&mut self, cid: &str) -> Outcome<()> {
        let body = DirectCommand {
            cid: Some(cid.to_owned()),
            msg: Some(r#"{"_lctype":-1,"_lctext":"hello everybody"}"#.to_owned()),
            ..DirectCommand::default()
        };
        match self.ask(Command::direct(body)).await? {
            Command::Ack(ack) if ack.code.is_none() => Ok(()),
            other => Err(format!("not sent: {other:?}").into()),
        }
    }

    /// Tells of each message until the service or the listener has gone.
    async fn listen(mut self, mut tell: impl FnMut() -> bool) {
        while let Ok(next) = self.next().await {
            if matches!(next.command, Command::Direct(_)) && !tell() {
                return;
            }
        }
    }
}
