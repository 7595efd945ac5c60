//! What an idle, signed-in connection costs the service: bytes of memory, and time of the processor.
//!
//! The service and its peer run as processes of their own, so that only their side of each socket
//! is measured. The peer is the same web framework with its defaults and no service behind it: a
//! WebSocket handler that reads and forgets. Progress goes to standard error, the rows to standard
//! output. Measured from `/proc`; where there is none, the bench says so and fails.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use sampan::wire::generated::SessionCommand;
use sampan::wire::{Command, Envelope, Op, Serial};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

type Outcome<T> = Result<T, Box<dyn Error>>;
type Socket = WebSocketStream<TcpStream>;

/// Makes this program the peer instead of the bench.
const PEER_MODE: &str = "--serve-as-peer";

/// Opened first and not counted: what they make the allocator and the runtime set up stays out.
const WARM_UP: usize = 100;

/// How long memory may settle, and how long the idle processor is watched.
const SETTLE: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(10);

/// The most memory a connection may take beside the peer's.
const RATIO_MAX: f64 = 0.2;

/// The most processor time that a minute of idleness may take for all connections together.
const IDLE_MS_MAX: f64 = 100.0;

/// Whether a connection signs in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    SignsIn,
    OnlyConnects,
}

struct Cost {
    bytes: f64,
    idle_ms_per_minute: f64,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if arguments.iter().any(|argument| argument == PEER_MODE) {
        return runtime.block_on(serve_as_peer());
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let count = if is_quick { 500 } else { 2000 };
    runtime.block_on(bench(count))
}

async fn bench(count: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut service = Process::new(env!("CARGO_BIN_EXE_sampan-service"));
    service.args([
        "--listen",
        "127.0.0.1:0",
        "--app",
        "myApp:myKey:myMasterKey",
        "--data",
    ]);
    service.arg(folder.path());
    eprintln!("{count} connections to the service");
    let ours = measure(service, count, Manner::SignsIn).await?;

    let mut peer = Process::new(std::env::current_exe()?);
    peer.arg(PEER_MODE);
    eprintln!("{count} connections to the peer");
    let theirs = measure(peer, count, Manner::OnlyConnects).await?;

    let ratio = ours.bytes / theirs.bytes;
    let rows = serde_json::json!([
        {
            "name": "state of an idle signed-in connection", "value": ours.bytes, "unit": "bytes",
            "peer": format!("{:.0} bytes, bare axum WebSocket", theirs.bytes), "ratio": ratio,
            "target": format!("at most {RATIO_MAX} × the peer"), "pass": ratio <= RATIO_MAX,
        },
        {
            "name": format!("processor time of {count} idle connections"),
            "value": ours.idle_ms_per_minute, "unit": "ms/min",
            "peer": format!("{:.0} ms/min, bare axum WebSocket", theirs.idle_ms_per_minute),
            "ratio": null, "target": format!("at most {IDLE_MS_MAX} ms/min"),
            "pass": ours.idle_ms_per_minute <= IDLE_MS_MAX,
        },
    ]);
    println!("{rows}");
    Ok(())
}

/// Opens the connections to a fresh process, lets them idle, and answers what each costs it.
async fn measure(program: Process, count: usize, manner: Manner) -> Outcome<Cost> {
    let server = Server::start(program)?;
    let mut sockets = Vec::new();
    open(&mut sockets, &server, WARM_UP, manner).await?;
    tokio::time::sleep(SETTLE).await;
    let before = server.resident_bytes()?;
    open(&mut sockets, &server, count, manner).await?;
    tokio::time::sleep(SETTLE).await;
    let grown = server.resident_bytes()?.saturating_sub(before);
    let ticks = server.processor_ticks()?;
    tokio::time::sleep(WATCH).await;
    let ticks = server.processor_ticks()?.saturating_sub(ticks);
    // The kernel reports processor time in hundredths of a second.
    let idle_ms_per_minute = to_f64(ticks) * 10.0 * 60.0 / WATCH.as_secs_f64();
    Ok(Cost {
        bytes: to_f64(grown) / to_f64(u64::try_from(count)?),
        idle_ms_per_minute,
    })
}

async fn open(
    sockets: &mut Vec<Socket>,
    server: &Server,
    count: usize,
    manner: Manner,
) -> Outcome<()> {
    for _ in 0..count {
        let mut socket = connect(server.address).await?;
        if manner == Manner::SignsIn {
            sign_in(&mut socket, &format!("client{}", sockets.len())).await?;
        }
        sockets.push(socket);
    }
    Ok(())
}

async fn connect(address: SocketAddr) -> Outcome<Socket> {
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

async fn sign_in(socket: &mut Socket, client: &str) -> Outcome<()> {
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

/// A WebSocket server of the same framework with its defaults.
async fn serve_as_peer() -> Outcome<()> {
    let handler = any(|upgrade: WebSocketUpgrade| async {
        upgrade
            .protocols(["lc.protobuf2.3"])
            .on_upgrade(
                async |mut socket| {
                    while let Some(Ok(_)) = socket.recv().await {}
                },
            )
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/", handler)).await?;
    Ok(())
}

/// A process that serves; killed when it goes out of scope.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(mut program: Process) -> Outcome<Self> {
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

    fn resident_bytes(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kibibytes
            .ok_or("the system tells no memory")?
            .parse::<u64>()?
            * 1024)
    }

    fn processor_ticks(&self) -> Outcome<u64> {
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
fn to_f64(number: u64) -> f64 {
    number as f64
}
