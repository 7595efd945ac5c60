//! The common parts of the benches: a program in a process of its own, and a small client of it.
#![allow(dead_code, reason = "each bench uses a part")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};

use futures_util::{SinkExt, StreamExt};
use sampan::wire::generated::SessionCommand;
use sampan::wire::{Command, Envelope, Op, Serial};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// The service over a data folder.
pub(crate) fn service(data: &Path) -> Process {
    let mut service = Process::new(env!("CARGO_BIN_EXE_sampan-service"));
    service.args(["--listen", "127.0.0.1:0", "--log", "warn"]);
    service
        .args(["--app", "myApp:myKey:myMasterKey", "--data"])
        .arg(data);
    service
}

pub(crate) async fn connect(address: SocketAddr) -> Outcome<Socket> {
    let stream = TcpStream::connect(address).await?;
    let mut request = format!("ws://{address}/").into_client_request()?;
    let name = HeaderValue::from_static("lc.protobuf2.3");
    request.headers_mut().insert("sec-websocket-protocol", name);
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0);
    Ok(client_async_with_config(request, stream, Some(config))
        .await?
        .0)
}

pub(crate) async fn sign_in(socket: &mut Socket, client: &str) -> Outcome<()> {
    let open = Command::session(Op::Open, SessionCommand::default());
    let mut envelope = Envelope::new(open).with_serial(Serial(1)).with_peer(client);
    envelope.app_id = Some("myApp".to_owned());
    socket.send(Message::binary(envelope.to_bytes())).await?;
    let reply = socket
        .next()
        .await
        .ok_or("the service closed the connection")??;
    match Envelope::from_bytes(&reply.into_data())?.command {
        Command::Session { op: Op::Opened, .. } => Ok(()),
        _ => Err("the service refused a session".into()),
    }
}

/// A process that serves; killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(mut program: Process) -> Outcome<Self> {
        let mut child = program
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        let address = address
            .ok_or("the server did not say where it listens")?
            .parse()?;
        Ok(Self { child, address })
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        resident_bytes_of(self.child.id())
    }

    pub(crate) fn processor_ticks(&self) -> Outcome<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may have spaces; user and system time are 12 and 13 behind it.
        let (_, rest) = stat
            .rsplit_once(')')
            .ok_or("the system tells no processor time")?;
        let ticks = rest
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u64>);
        ticks.sum::<Result<u64, _>>().map_err(Into::into)
    }
}

/// The memory of a process.
pub(crate) fn resident_bytes_of(process: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kibibytes
        .ok_or("the system tells no memory")?
        .parse::<u64>()?
        * 1024)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Exact up to 2^53, which no figure here reaches.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a bench are far below 2^53"
)]
pub(crate) fn to_f64(number: u64) -> f64 {
    number as f64
}
