//! How long a message takes to the last of very many receivers: the members of a conversation, and the
//! clients inside a chat room. The service keeps its data in a folder and serves real sockets on loopback;
//! clients and service share this machine and this process.
//!
//! ```sh
//! cargo run --release -p sampan-service --example fan_out -- 1000
//! ```

#![allow(clippy::disallowed_methods, reason = "the program measures time")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use sampan::wire::generated::{ConvCommand, DirectCommand, SessionCommand};
use sampan::wire::{Command, Envelope, Op, Serial};
use sampan_service::core::app::{Apps, Credentials};
use sampan_service::core::settings;
use sampan_service::{Service, ServiceOptions, StorageChoice};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Messages of which the times are taken.
const ROUNDS: usize = 21;

/// A message that is not there by then is lost.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Outcome<()> {
    let receivers = std::env::args().nth(1).map_or(Ok(1000), |it| it.parse())?;
    let folder = tempfile::tempdir()?;
    let app: Credentials = "myApp:myKey:myMasterKey".parse()?;
    let limit = receivers + 1;
    let settings: BTreeMap<_, _> = settings::parse_file(&format!(
        r#"{{"myApp":{{"limits":{{"members":{limit}}}}}}}"#
    ))?;
    let storage = StorageChoice::Folder(folder.path().to_path_buf());
    let options = ServiceOptions {
        apps: Apps::new([app.clone()], settings)?,
        ..ServiceOptions::on_loopback(app, storage)
    };
    let service = Service::start(options).await?;
    let mut sender = Client::sign_in(service.addr(), "sender").await?;
    let names: Vec<String> = (0..receivers).map(|n| format!("client{n}")).collect();
    let mut clients = Vec::new();
    for name in &names {
        clients.push(Client::sign_in(service.addr(), name).await?);
    }
    let conversation = sender.start(ConvCommand::default()).await?;
    // A command is 5 KiB at most: members come in some at a time.
    for some in names.chunks(100) {
        sender.add(&conversation, some).await?;
    }
    let room = sender
        .start(ConvCommand {
            transient: Some(true),
            ..ConvCommand::default()
        })
        .await?;
    for (client, name) in clients.iter_mut().zip(&names) {
        client.add(&room, std::slice::from_ref(name)).await?;
    }
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    for client in clients {
        let arrived = arrived.clone();
        tokio::spawn(async move { client.listen(|| arrived.send(Instant::now()).is_ok()).await });
    }
    println!("{receivers} receivers, {ROUNDS} messages each, time from send to the last receiver:");
    for (what, cid) in [("conversation", &conversation), ("chat room", &room)] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            sender.say(cid).await?;
            let mut last = began;
            for _ in 0..receivers {
                let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await?;
                last = last.max(next.ok_or("all receivers are gone")?);
            }
            times.push(last.duration_since(began));
        }
        times.sort_unstable();
        let (half, worst) = (times.get(ROUNDS / 2), times.last());
        println!(
            "  {what}: median {half:.1?}, worst {worst:.1?}",
            half = half.unwrap_or(&PATIENCE),
            worst = worst.unwrap_or(&PATIENCE)
        );
    }
    service.stop().await;
    Ok(())
}

struct Client {
    socket: WebSocketStream<TcpStream>,
    name: String,
    serial: i32,
}

impl Client {
    async fn sign_in(address: SocketAddr, name: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{address}/").into_client_request()?;
        let protocol = HeaderValue::from_static("lc.protobuf2.3");
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        let (socket, _) = client_async(request, stream).await?;
        let mut client = Self {
            socket,
            name: name.to_owned(),
            serial: 0,
        };
        client
            .ask(Command::session(Op::Open, SessionCommand::default()))
            .await?;
        Ok(client)
    }

    /// Sends a command and waits for its reply.
    async fn ask(&mut self, command: Command) -> Outcome<Command> {
        self.serial += 1;
        let serial = Serial(self.serial);
        let mut envelope = Envelope::new(command)
            .with_serial(serial)
            .with_peer(self.name.as_str());
        envelope.app_id = Some("myApp".to_owned());
        self.socket
            .send(Message::binary(envelope.to_bytes()))
            .await?;
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
            let message = self
                .socket
                .next()
                .await
                .ok_or("the service closed a connection")??;
            if message.is_binary() {
                return Ok(Envelope::from_bytes(&message.into_data())?);
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
