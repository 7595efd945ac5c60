//! The cost of an idle, signed-in connection for the service: bytes of memory, time of the processor, and the memory that
//! stays with the process when the connection is closed.
//!
//! The service and its peer run as processes of their own, so that only their side of each socket
//! is measured. The peer is the same web framework with its defaults and no service behind it: a
//! WebSocket handler that reads and forgets. Progress goes to standard error, the rows to standard
//! output. Measured from `/proc`; where there is none, the bench says so and fails.

mod common;

use std::process::Command as Process;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::any;

use self::common::{Outcome, Server, Socket, connect, sign_in, to_f64};

/// Makes this program the peer instead of the bench.
const PEER_MODE: &str = "--serve-as-peer";

/// Opened first and not counted: what they make the allocator and the runtime set up stays out.
const WARM_UP: usize = 100;

/// How long memory may settle, and how long the idle processor is watched.
const SETTLE: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(10);

/// How long memory that is free may stay with the process.
const GIVEN_BACK: Duration = Duration::from_secs(20);

/// The most of the memory of closed connections that may stay, in percent.
const KEPT_MAX: f64 = 40.0;

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
    /// The part of the memory that stays after all connections were closed, in percent.
    kept: f64,
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
    let service = common::service(folder.path());
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
        {
            "name": format!("memory of {count} closed connections that stays, after {} s", GIVEN_BACK.as_secs()),
            "value": ours.kept, "unit": "%",
            "peer": format!("{:.0} %, bare axum WebSocket", theirs.kept), "ratio": null,
            "target": format!("at most {KEPT_MAX} %"), "pass": ours.kept <= KEPT_MAX,
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
    sockets.truncate(WARM_UP);
    tokio::time::sleep(GIVEN_BACK).await;
    let kept = server.resident_bytes()?.saturating_sub(before);
    Ok(Cost {
        bytes: to_f64(grown) / to_f64(u64::try_from(count)?),
        idle_ms_per_minute,
        kept: 100.0 * to_f64(kept) / to_f64(grown),
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
