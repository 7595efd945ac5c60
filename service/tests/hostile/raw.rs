//! A client without manners: it sends the given bytes, and shows everything that comes back.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sampan::wire::generated::{ConvCommand, DirectCommand, LogItem, LogsCommand, SessionCommand};
use sampan::wire::{Command, Direction, Encoding, Envelope, Frame, Op, Serial};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// The app that every test signs in to.
pub(crate) const APP: &str = "myApp";

/// How long anything may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The result of a read.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A command.
    Command(Box<Envelope>),
    /// The end of the connection, with the code of the close frame if there was one.
    Closed(Option<u16>),
}

/// One connection, with at most one signed-in client that the shortcuts speak for.
pub(crate) struct RawClient {
    socket: WebSocketStream<TcpStream>,
    client: String,
    serial: i32,
    kept: VecDeque<Envelope>,
}

impl RawClient {
    /// Connects with a subprotocol header, or says how the handshake failed.
    pub(crate) async fn connect(address: SocketAddr, subprotocol: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        let mut request = format!("ws://{address}/").into_client_request()?;
        let name = HeaderValue::from_str(subprotocol).unwrap();
        request.headers_mut().insert("sec-websocket-protocol", name);
        let (socket, _) = patiently(client_async(request, stream)).await?;
        Ok(Self {
            socket,
            client: String::new(),
            serial: 0,
            kept: VecDeque::new(),
        })
    }

    /// Connects and signs in.
    pub(crate) async fn open(address: SocketAddr, client: &str) -> Self {
        let mut raw = Self::connect(address, "lc.protobuf2.3").await.unwrap();
        let reply = raw.sign_in(APP, client, SessionCommand::default()).await;
        assert!(
            matches!(reply.command, Command::Session { op: Op::Opened, .. }),
            "{reply:?}"
        );
        raw
    }

    /// Asks to open a session, and answers the reply, a refusal too.
    pub(crate) async fn sign_in(
        &mut self,
        app: &str,
        client: &str,
        body: SessionCommand,
    ) -> Envelope {
        client.clone_into(&mut self.client);
        let mut envelope = Envelope::new(Command::session(Op::Open, body));
        envelope.app_id = Some(app.to_owned());
        self.ask(envelope).await
    }

    /// Sends a request of the client and answers its reply; commands before the reply are kept.
    pub(crate) async fn request(&mut self, command: Command) -> Command {
        self.ask(Envelope::new(command)).await.command
    }

    /// Sends a message, and answers its acknowledgement.
    pub(crate) async fn say(&mut self, conversation: &str, text: &str) -> Command {
        self.request(message(conversation, text)).await
    }

    /// Starts a conversation, and answers its id.
    pub(crate) async fn start(&mut self, members: &[&str]) -> String {
        let body = ConvCommand {
            m: members.iter().map(|member| (*member).to_owned()).collect(),
            unique: Some(true),
            ..ConvCommand::default()
        };
        match self.request(Command::conv(Op::Start, body)).await {
            Command::Conv {
                op: Op::Started,
                body,
            } => body.cid.unwrap(),
            other => panic!("the conversation was not started: {other:?}"),
        }
    }

    /// The newest messages of a conversation, at most as many as one page has.
    pub(crate) async fn history(&mut self, conversation: &str, limit: i32) -> Vec<LogItem> {
        let body = LogsCommand {
            cid: Some(conversation.to_owned()),
            l: Some(limit),
            ..LogsCommand::default()
        };
        match self.request(Command::logs(body)).await {
            Command::Logs(body) => body.logs,
            other => panic!("no history: {other:?}"),
        }
    }

    /// The number of the refusal that comes next on a connection of text frames.
    pub(crate) async fn text_refusal(&mut self) -> i32 {
        loop {
            let Some(Ok(message)) = patiently(self.socket.next()).await else {
                panic!("the connection ended");
            };
            if let Message::Text(text) = message {
                let frame = Frame::text(text.as_str());
                let envelope = frame.decode(Encoding::Text, Direction::ToClient).unwrap();
                return refusal(&envelope.command).unwrap();
            }
        }
    }

    /// Waits for a command that `wanted` says yes to; others are dropped.
    pub(crate) async fn wait_for(&mut self, wanted: impl Fn(&Command) -> bool) -> Command {
        loop {
            let envelope = match self.kept.pop_front() {
                Some(envelope) => envelope,
                None => self.read_command().await,
            };
            if wanted(&envelope.command) {
                return envelope.command;
            }
        }
    }

    /// Sends a request under the next serial without waiting for the reply.
    pub(crate) async fn send(&mut self, command: Command) {
        self.serial += 1;
        let envelope = Envelope::new(command).with_peer(self.client.as_str());
        self.send_envelope(&envelope.with_serial(Serial(self.serial)))
            .await
            .unwrap();
    }

    /// The same, where the connection may have ended; says whether it was sent.
    pub(crate) async fn send_or_end(&mut self, command: Command) -> bool {
        self.serial += 1;
        let envelope = Envelope::new(command).with_peer(self.client.as_str());
        let envelope = envelope.with_serial(Serial(self.serial));
        self.send_envelope(&envelope).await.is_ok()
    }

    /// Sends a WebSocket message as it is.
    pub(crate) async fn send_raw(&mut self, message: Message) -> Result<(), Error> {
        patiently(self.socket.send(message)).await
    }

    /// Reads until something is refused or the connection ends; answers the number, if there is one.
    pub(crate) async fn refusal_or_end(&mut self) -> Option<i32> {
        loop {
            match self.read().await {
                Incoming::Closed(code) => return code.map(i32::from),
                Incoming::Command(envelope) => {
                    if let Some(code) = refusal(&envelope.command) {
                        return Some(code);
                    }
                }
            }
        }
    }

    /// Reads one command or the end.
    pub(crate) async fn read(&mut self) -> Incoming {
        loop {
            match patiently(self.socket.next()).await {
                Some(Ok(Message::Binary(bytes))) => {
                    let frame = Frame::binary(&bytes);
                    let envelope = frame.decode(Encoding::Binary, Direction::ToClient).unwrap();
                    return Incoming::Command(Box::new(envelope));
                }
                Some(Ok(Message::Close(frame))) => {
                    return Incoming::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Incoming::Closed(None),
            }
        }
    }

    async fn ask(&mut self, mut envelope: Envelope) -> Envelope {
        self.serial += 1;
        let serial = Serial(self.serial);
        if !self.client.is_empty() {
            envelope = envelope.with_peer(self.client.as_str());
        }
        self.send_envelope(&envelope.with_serial(serial))
            .await
            .unwrap();
        loop {
            let envelope = self.read_command().await;
            if envelope.serial == Some(serial) {
                return envelope;
            }
            self.kept.push_back(envelope);
        }
    }

    async fn send_envelope(&mut self, envelope: &Envelope) -> Result<(), Error> {
        self.send_raw(Message::binary(envelope.to_bytes())).await
    }

    async fn read_command(&mut self) -> Envelope {
        match self.read().await {
            Incoming::Command(envelope) => *envelope,
            Incoming::Closed(code) => panic!("the connection was closed with {code:?}"),
        }
    }
}

/// A message of a text.
pub(crate) fn message(conversation: &str, text: &str) -> Command {
    Command::direct(DirectCommand {
        cid: Some(conversation.to_owned()),
        msg: Some(text.to_owned()),
        ..DirectCommand::default()
    })
}

/// The number by which a reply refuses: an error, a refused acknowledgement or a closed session.
pub(crate) fn refusal(reply: &Command) -> Option<i32> {
    match reply {
        Command::Error(error) => Some(error.code),
        Command::Ack(ack) => ack.code,
        Command::Session {
            op: Op::Closed,
            body,
        } => body.code,
        _ => None,
    }
}

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("the service should have answered by now")
}
