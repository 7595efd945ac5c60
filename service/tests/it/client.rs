//! A raw client: it speaks frames and knows nothing else.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sampan::wire::generated::{ConvCommand, DirectCommand, JsonObjectMessage, SessionCommand};
use sampan::wire::{Command, Direction, Encoding, Envelope, Frame, Op, Serial};
use sampan_service::{RunningService, Service, ServiceOptions};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// The app of every test.
pub(crate) const APP: &str = "myApp";

/// Nothing on loopback takes this long; a test that waits for something that never comes ends here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn service() -> RunningService {
    let app = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
    Service::start(ServiceOptions::in_memory(app))
        .await
        .unwrap()
}

/// A socket, encrypted or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<Box<dyn Wire>>,
    pub(crate) name: String,
    serial: i32,
    heard: VecDeque<Envelope>,
}

impl Client {
    /// A connection in unread mode, with nobody signed in.
    pub(crate) async fn connect(service: &RunningService, name: &str) -> Self {
        Self::connect_with(service, name, "lc.protobuf2.3").await
    }

    pub(crate) async fn connect_with(service: &RunningService, name: &str, protocol: &str) -> Self {
        Self::connect_to(service.addr(), name, protocol).await
    }

    /// A connection to the listener there.
    pub(crate) async fn connect_to(addr: SocketAddr, name: &str, protocol: &str) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        Self::upgrade(stream, name, protocol).await
    }

    /// A connection over a socket that stands.
    pub(crate) async fn over(stream: impl Wire + 'static, name: &str) -> Self {
        Self::upgrade(stream, name, "lc.protobuf2.3").await
    }

    async fn upgrade(stream: impl Wire + 'static, name: &str, protocol: &str) -> Self {
        let mut request = "ws://here/".into_client_request().unwrap();
        let header = protocol.parse().unwrap();
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", header);
        let stream: Box<dyn Wire> = Box::new(stream);
        let upgraded = tokio_tungstenite::client_async(request, stream).await;
        let (socket, _) = upgraded.unwrap();
        Self {
            socket,
            name: name.to_owned(),
            serial: 0,
            heard: VecDeque::new(),
        }
    }

    /// A connection with this client signed in.
    pub(crate) async fn open(service: &RunningService, name: &str) -> Self {
        let mut client = Self::connect(service, name).await;
        client.sign_in(SessionCommand::default()).await;
        client
    }

    pub(crate) async fn sign_in(&mut self, body: SessionCommand) -> SessionCommand {
        let reply = self.ask_envelope(self.opening(body)).await;
        match reply.command {
            Command::Session {
                op: Op::Opened,
                body,
            } => *body,
            other => panic!("not opened: {other:?}"),
        }
    }

    pub(crate) fn opening(&self, body: SessionCommand) -> Envelope {
        let mut envelope = Envelope::new(Command::session(Op::Open, body));
        envelope.app_id = Some(APP.to_owned());
        envelope.with_peer(self.name.as_str())
    }

    pub(crate) async fn send(&mut self, envelope: &Envelope) {
        let frame = Frame::encode(envelope, Encoding::Binary, Direction::ToService).unwrap();
        let Frame::Binary(bytes) = frame else {
            panic!("a binary frame")
        };
        self.socket
            .send(Message::Binary(bytes.into_owned().into()))
            .await
            .unwrap();
    }

    /// Sends a request and gives its reply; commands before the reply are kept.
    pub(crate) async fn ask(&mut self, command: Command) -> Command {
        self.ask_envelope(Envelope::new(command)).await.command
    }

    pub(crate) async fn ask_envelope(&mut self, envelope: Envelope) -> Envelope {
        self.serial += 1;
        let serial = Serial(self.serial);
        self.send(&envelope.with_serial(serial)).await;
        loop {
            let envelope = self.receive().await;
            if envelope.serial == Some(serial) {
                return envelope;
            }
            assert_eq!(envelope.serial, None, "a reply to nobody");
            self.heard.push_back(envelope);
        }
    }

    async fn receive(&mut self) -> Envelope {
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .expect("a frame in time");
            match message.expect("an open connection").unwrap() {
                Message::Binary(bytes) => {
                    let frame = Frame::binary(&bytes);
                    return frame.decode(Encoding::Binary, Direction::ToClient).unwrap();
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a frame: {other:?}"),
            }
        }
    }

    /// The next notification.
    pub(crate) async fn hear(&mut self) -> Envelope {
        match self.heard.pop_front() {
            Some(envelope) => envelope,
            None => self.receive().await,
        }
    }

    /// The next notification that `pick` takes; others are passed over.
    pub(crate) async fn hear_until<T>(&mut self, pick: impl Fn(&Command) -> Option<T>) -> T {
        loop {
            let envelope = self.hear().await;
            assert_eq!(envelope.service, Some(2));
            assert!(envelope.serial.is_none());
            assert_eq!(envelope.peer_id.as_deref(), Some(self.name.as_str()));
            if let Some(found) = pick(&envelope.command) {
                return found;
            }
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> DirectCommand {
        self.hear_until(|command| match command {
            Command::Direct(body) => Some((**body).clone()),
            _ => None,
        })
        .await
    }

    /// Everything that the service sent to this connection before it answers a new question: all notices of
    /// commands that were answered already, on whichever connection.
    pub(crate) async fn drain(&mut self) -> Vec<Command> {
        let answer = self.ask(Command::Echo).await;
        assert!(matches!(answer, Command::Echo), "{answer:?}");
        self.heard
            .drain(..)
            .map(|envelope| envelope.command)
            .collect()
    }

    pub(crate) async fn conv(&mut self, op: Op, body: ConvCommand) -> ConvCommand {
        match self.ask(Command::conv(op, body)).await {
            Command::Conv { body, .. } => *body,
            other => panic!("not a conversation: {other:?}"),
        }
    }

    /// The code that a command is refused with.
    pub(crate) async fn refused(&mut self, command: Command) -> i32 {
        match self.ask(command).await {
            Command::Error(error) => error.code,
            Command::Ack(ack) => ack.code.expect("a refusal"),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Starts a conversation and passes over the notifications of it.
    pub(crate) async fn start(&mut self, members: &[&str]) -> String {
        self.start_named(members, "tea").await
    }

    /// The same under a name, which is written as it is into JSON.
    pub(crate) async fn start_named(&mut self, members: &[&str], name: &str) -> String {
        let body = ConvCommand {
            m: members.iter().map(|&member| member.to_owned()).collect(),
            attr: Some(JsonObjectMessage {
                data: format!(r#"{{"name":"{name}"}}"#),
            }),
            ..ConvCommand::default()
        };
        let cid = self.conv(Op::Start, body).await.cid.unwrap();
        for _ in 0..2 {
            self.hear().await;
        }
        cid
    }

    /// Says something and gives the id and time of the message.
    pub(crate) async fn say(&mut self, cid: &str, text: &str) -> (String, i64) {
        let body = DirectCommand {
            r: Some(true),
            ..said(cid, text)
        };
        match self.ask(Command::direct(body)).await {
            Command::Ack(ack) => {
                assert_eq!(ack.code, None, "{ack:?}");
                (ack.uid.unwrap(), ack.t.unwrap())
            }
            other => panic!("not acknowledged: {other:?}"),
        }
    }
}

pub(crate) fn said(cid: &str, text: &str) -> DirectCommand {
    DirectCommand {
        cid: Some(cid.to_owned()),
        msg: Some(text.to_owned()),
        ..DirectCommand::default()
    }
}
