//! The work of the service and its cost: bytes of storage a message, the start over a long history,
//! messages a second between pairs, and how long one takes.
//!
//! The service runs as a process of its own, its clients in this one, on the same machine and disk.
//! Progress goes to standard error, the rows to standard output.

#![allow(clippy::disallowed_methods, reason = "a bench measures time")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};
use sampan::wire::generated::{ConvCommand, DirectCommand};
use sampan::wire::{Command, Envelope, Op, Serial};
use sampan_service::storage::{
    Body, Conversation, Kind, Member, Message, RedbStorage, Storage, Write,
};
use tokio_tungstenite::tungstenite::Message as Frame;

use self::common::{Outcome, Server, Socket, connect, sign_in, to_f64};

/// Conversations of the long history, of two members each.
const CONVERSATIONS: u64 = 500;

/// Messages of the history that share a commit.
const AT_ONCE: u64 = 500;

/// Characters of a text.
const TEXT: usize = 100;

/// Pairs that talk at a time.
const PAIRS: usize = 50;

/// The most bytes of storage that a message may take.
const BYTES_MAX: f64 = 350.0;

/// The longest that a start over the history may take.
const START_MAX: Duration = Duration::from_secs(2);

fn main() -> Outcome<()> {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(bench(is_quick))
}

async fn bench(is_quick: bool) -> Outcome<()> {
    let (history, rounds) = if is_quick {
        (20_000, 20)
    } else {
        (1_000_000, 200)
    };
    let folder = tempfile::tempdir()?;
    eprintln!("{history} messages of {TEXT} bytes into the storage");
    write_history(folder.path(), history).await?;
    let bytes = std::fs::metadata(RedbStorage::file_in(folder.path()))?.len();
    let bytes = to_f64(bytes) / to_f64(history);
    eprintln!("starts over {history} messages");
    let (clean, service) = start(folder.path())?;
    service.kill()?;
    let (after_kill, service) = start(folder.path())?;
    eprintln!("{PAIRS} pairs, {rounds} messages each");
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
        pairs.push(Pair::open(&service, number).await?);
    }
    let began = Instant::now();
    let talks: Vec<_> = pairs
        .into_iter()
        .map(|pair| {
            tokio::spawn(async move { pair.talk(rounds).await.map_err(|it| it.to_string()) })
        })
        .collect();
    let mut took = Vec::new();
    for talk in talks {
        took.extend(talk.await??);
    }
    let rate = to_f64((PAIRS * rounds) as u64) / began.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: usize| {
        took.get(took.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    let start_row = |name: &str, took: Duration| {
        serde_json::json!({
            "name": name, "value": took.as_secs_f64() * 1000.0, "unit": "ms", "peer": null,
            "ratio": null, "target": format!("at most {} ms", START_MAX.as_millis()),
            "pass": took <= START_MAX,
        })
    };
    let plain = |name: String, value: f64, unit: &str| {
        serde_json::json!({
            "name": name, "value": value, "unit": unit, "peer": null, "ratio": null,
            "target": null, "pass": null,
        })
    };
    let rows = serde_json::json!([
        {
            "name": format!("storage of a message of {TEXT} bytes, of {history}"),
            "value": bytes, "unit": "bytes", "peer": null, "ratio": null,
            "target": format!("at most {BYTES_MAX} bytes"), "pass": bytes <= BYTES_MAX,
        },
        start_row(&format!("start over {history} messages"), clean),
        start_row(&format!("start over {history} messages after a kill"), after_kill),
        plain(format!("messages of {PAIRS} pairs, one at a time each"), rate, "1/s"),
        plain("a message until the other has it, half of them".to_owned(), ms(at(50)), "ms"),
        plain("a message until the other has it, 99 of 100".to_owned(), ms(at(99)), "ms"),
    ]);
    println!("{rows}");
    Ok(())
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// Starts the service, and answers how long it took until it listened.
fn start(data: &Path) -> Outcome<(Duration, Server)> {
    let began = Instant::now();
    let server = Server::start(common::service(data))?;
    Ok((began.elapsed(), server))
}

/// Writes a history as the service does: message by message, in commits of some hundreds.
async fn write_history(folder: &Path, messages: u64) -> Outcome<()> {
    let mut storage = RedbStorage::open_folder(folder)?;
    let app = AppId::new("myApp")?;
    let id = |number: u64| ConversationId::new(format!("{number:024x}"));
    for number in 0..CONVERSATIONS {
        let creator = ClientId::new(format!("client{number}"))?;
        let at = Timestamp::from_millis(1_700_000_000_000);
        let conversation = Conversation {
            id: id(number)?,
            kind: Kind::Normal,
            creator: creator.clone(),
            columns: serde_json::Map::new(),
            unique_id: None,
            created_at: at,
            updated_at: at,
            expires_at: None,
        };
        let member = Member::joined(&creator, at);
        storage
            .apply(vec![
                Write::PutConversation(app.clone(), conversation),
                Write::PutMember(app.clone(), id(number)?, member),
            ])
            .await?;
    }
    let mut dice: u64 = 7;
    for number in 0..messages {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let conversation = (dice >> 33) % CONVERSATIONS;
        let message = Message {
            id: MessageId::new(format!("{:022x}", dice))?,
            sent_at: Timestamp::from_millis(1_700_000_000_000 + i64::try_from(number)?),
            from: ClientId::new(format!("client{conversation}"))?,
            body: Body::Text("x".repeat(TEXT)),
            wants_receipt: false,
            mention_all: false,
            mentions: Vec::new(),
            patched_at: None,
            recalled: false,
            delivered_at: None,
            read_at: None,
            token: Some(format!("{:022x}", dice.rotate_left(17))),
            only_for: Vec::new(),
        };
        let write = Write::PutMessage(app.clone(), id(conversation)?, message);
        storage.apply(vec![write]).await?;
        if number % AT_ONCE == AT_ONCE - 1 {
            storage.commit().await?;
        }
    }
    Ok(storage.commit().await?)
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

async fn ask(socket: &mut Socket, command: Command) -> Outcome<()> {
    let envelope = Envelope::new(command).with_serial(Serial(2));
    Ok(socket.send(Frame::binary(envelope.to_bytes())).await?)
}

async fn next(socket: &mut Socket) -> Outcome<Command> {
    let frame = socket
        .next()
        .await
        .ok_or("the service closed the connection")??;
    Ok(Envelope::from_bytes(&frame.into_data())?.command)
}
