//! Catching up after an absence: 100,000 messages were missed in 1,000 conversations. The rows tell the rate, the
//! processor time and the memory of a message, the bytes on the line, and the time of a send and of a page meanwhile.
//! The peer is the official JavaScript SDK: it is away for as long, then asks for the same conversations and the same
//! history, and stores nothing.
//!
//! Each device is a process of its own. A device says `ready` right before it signs in. Its last line is a JSON object
//! with its own measurements; it comes when every message is on disk.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use sampan::model::{AppId, ClientId, ConversationId, NewConversation};
use sampan::{Client, ClientOptions, Engine, SyncState, Version};
use sampan_service::{RunningService, Service, ServiceOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::measure::{Samples, Target, Usage, alone, beside, median, to_f64};
use crate::support::raw::RawConnection;
use crate::support::show::Stopwatch;
use crate::support::{self, Outcome};
use crate::{APP, CATCH_UP_MODE, KEY, Pace, config, content, owner, words};

/// Messages that are missed in each conversation: a full page of history.
const EACH: u32 = 100;

/// Messages on their way to the service at once.
const IN_FLIGHT: usize = 64;

/// The pause between two timed sends and pages while the device catches up.
const PROBE: Duration = Duration::from_millis(25);

/// The conversations among which the user picks one, newest first.
const AT_HAND: u32 = 20;

/// The limits of a send until it is durable and of the newest page, in milliseconds: 99 of a hundred keep them.
const SEND_MOST: f64 = 10.0;
const PAGE_MOST: f64 = 5.0;

/// A service and the conversations in which everything was said.
struct Scene {
    service: RunningService,
    talks: Vec<ConversationId>,
}

/// The bytes and frames that went over the line of a device.
#[derive(Default)]
struct Line {
    up: AtomicU64,
    down: AtomicU64,
    frames: AtomicU64,
}

/// The measurements of a device.
struct Figures {
    per_second: f64,
    microseconds: f64,
    bytes_of_memory: f64,
    report: Value,
    frames: u64,
    bytes: u64,
}

pub(crate) async fn rows(folder: &Path, pace: Pace) -> Outcome<Vec<Value>> {
    let talks = pace.pick(1_000, 50);
    let rounds = pace.pick(3, 1);
    let messages = talks * EACH;
    eprintln!("catch-up: {rounds} rounds of {messages} messages in {talks} conversations");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let store = folder.join(format!("round-{round}"));
        let scene = Scene::set(&store, talks).await?;
        ours.push(scene.catch_up(Some(&store)).await?);
        if crate::receive::has_peer(&script()) {
            theirs.push(scene.catch_up(None).await?);
        }
        scene.service.stop().await;
    }
    Ok(compare(&ours, &theirs, messages))
}

fn compare(ours: &[Figures], theirs: &[Figures], messages: u32) -> Vec<Value> {
    let of =
        |all: &[Figures], figure: fn(&Figures) -> f64| median(all.iter().map(figure).collect());
    let each = |all: u64| to_f64(all) / f64::from(messages);
    let worst = |name: &str| {
        let found = ours.iter().filter_map(|it| it.report.get(name)?.as_f64());
        found.fold(0.0, f64::max)
    };
    let rate = of(ours, |it| it.per_second);
    let cost = of(ours, |it| it.microseconds);
    let (rate_name, cost_name) = ("catch up to store", "processor time of a missed message");
    let mut rows = if theirs.is_empty() {
        vec![
            alone(rate_name, rate, "messages/s"),
            alone(cost_name, cost, "µs"),
        ]
    } else {
        let whose = "JavaScript SDK, nothing stored";
        let (their_rate, their_cost) = (
            of(theirs, |it| it.per_second),
            of(theirs, |it| it.microseconds),
        );
        vec![
            beside(
                rate_name,
                (rate, "messages/s"),
                (their_rate, whose),
                Target::AtLeast(3.0),
            ),
            beside(
                cost_name,
                (cost, "µs"),
                (their_cost, whose),
                Target::AtMost(0.2),
            ),
        ]
    };
    let limit = |name: &str, value: f64, most: f64| {
        json!({
            "name": name, "value": value, "unit": "ms", "peer": null, "ratio": null,
            "target": format!("at most {most} ms"), "pass": value <= most,
        })
    };
    rows.push(alone(
        "memory at the most, of a missed message",
        of(ours, |it| it.bytes_of_memory),
        "bytes",
    ));
    rows.push(alone(
        "frames of a missed message",
        of(ours, |it| to_f64(it.frames)) / f64::from(messages),
        "",
    ));
    rows.push(alone(
        "bytes on the line of a missed message",
        ours.first().map_or(0.0, |it| each(it.bytes)),
        "bytes",
    ));
    rows.push(limit(
        "a send is durable meanwhile, p99",
        worst("send_p99_ms"),
        SEND_MOST,
    ));
    rows.push(limit(
        "the newest page meanwhile, p99",
        worst("page_p99_ms"),
        PAGE_MOST,
    ));
    rows
}

impl Scene {
    /// A device learns of the conversations, and is away while the messages are sent.
    async fn set(store: &Path, talks: u32) -> Outcome<Self> {
        let app = format!("{APP}:{KEY}:spine-master-key").parse()?;
        let service = Service::start(ServiceOptions::in_memory(app)).await?;
        let url = support::socket_url(&service, APP).await?;
        let ben = ClientId::new("ben")?;
        let raw = RawConnection::open(&url, AppId::new(APP)?).await?;
        raw.sign_in(&ben).await?;
        let mut ids = Vec::new();
        for number in 0..talks {
            let name = format!("talk {number}");
            ids.push(raw.start_conversation(&ben, &[owner()?], &name).await?);
        }
        let server = format!("http://{}", service.addr());
        let engine = Engine::open(config(&server, store)?)?;
        let client = engine.client(owner()?, ClientOptions::default()).await?;
        client.go_online(None)?;
        current(&client).await?;
        engine.shutdown().await?;
        drop(client);
        for talk in &ids {
            stream::iter(0..EACH)
                .map(async |number| raw.say(&ben, talk, &words(number)).await.map(|_| ()))
                .buffer_unordered(IN_FLIGHT)
                .try_collect::<()>()
                .await?;
        }
        Ok(Self {
            service,
            talks: ids,
        })
    }

    /// Starts a device and lets it catch up: Sampan with its store, or the JavaScript SDK.
    async fn catch_up(&self, store: Option<&Path>) -> Outcome<Figures> {
        let line = Arc::<Line>::default();
        let server = format!(
            "http://{}",
            relay(self.service.addr(), Arc::clone(&line)).await?
        );
        let messages = u32::try_from(self.talks.len())? * EACH;
        let mut command = match store {
            Some(store) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg(CATCH_UP_MODE).arg(store);
                command
            }
            None => {
                let mut command = Command::new("node");
                let each = EACH.to_string();
                command
                    .arg(script())
                    .args([APP, KEY, owner()?.as_str(), &each]);
                command
            }
        };
        command.args([&messages.to_string(), &server]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("the device has no output")?);
        let process = child.id();
        let measured = tokio::task::spawn_blocking(move || watch(process, output)).await?;
        drop(child.stdin.take());
        end(&mut child)?;
        let (took, processor, memory, report) = measured?;
        let count = f64::from(messages);
        let figures = Figures {
            per_second: count / took.as_secs_f64(),
            microseconds: processor.as_secs_f64() * 1e6 / count,
            bytes_of_memory: to_f64(memory) / count,
            report,
            frames: line.frames.load(Ordering::Relaxed),
            bytes: line.up.load(Ordering::Relaxed) + line.down.load(Ordering::Relaxed),
        };
        eprintln!(
            "  {}: {:.0} messages/s, {:.1} µs of the processor each, {}",
            if store.is_some() {
                "Sampan"
            } else {
                "JavaScript SDK"
            },
            figures.per_second,
            figures.microseconds,
            figures.report,
        );
        Ok(figures)
    }
}

fn end(child: &mut Child) -> Outcome<()> {
    child.wait()?;
    Ok(())
}

/// Waits for a device's first and last line, and measures in between.
fn watch(
    process: u32,
    output: BufReader<ChildStdout>,
) -> Result<(Duration, Duration, u64, Value), String> {
    let mut lines = output.lines().map_while(Result::ok);
    let failed = |what: &str| what.to_owned();
    let told = |error: &dyn std::fmt::Display| error.to_string();
    if !lines.any(|line| line == "ready") {
        return Err(failed("the device did not start"));
    }
    let before = Usage::of(process).map_err(|error| told(&error))?;
    let memory = memory(process, "VmRSS:");
    let began = Stopwatch::start();
    let report = lines.find(|line| line.starts_with('{'));
    let report = report.ok_or_else(|| failed("the device ended before it had caught up"))?;
    let took = began.elapsed();
    let after = Usage::of(process).map_err(|error| told(&error))?;
    let most = self::memory(process, "VmHWM:").saturating_sub(memory);
    let report = serde_json::from_str(&report).map_err(|error| told(&error))?;
    Ok((
        took,
        after.processor.saturating_sub(before.processor),
        most,
        report,
    ))
}

/// A figure of the memory of a process, in bytes.
fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// The peer's program, beside the interoperability tests, which bring the SDK.
fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/js/catcher.mjs")
}

/// Carries connections to the service and counts what goes over them.
async fn relay(to: SocketAddr, line: Arc<Line>) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let line = Arc::clone(&line);
            tokio::spawn(async move {
                // A connection that breaks is the device's affair.
                let _ = carry(near, to, &line).await;
            });
        }
    });
    Ok(addr)
}

async fn carry(near: TcpStream, to: SocketAddr, line: &Line) -> std::io::Result<()> {
    let far = TcpStream::connect(to).await?;
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let there = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = from_near.read(&mut buffer).await?;
            if count == 0 {
                return to_far.shutdown().await;
            }
            line.up.fetch_add(count as u64, Ordering::Relaxed);
            // A device writes one frame at a time.
            line.frames.fetch_add(1, Ordering::Relaxed);
            to_far
                .write_all(buffer.get(..count).unwrap_or_default())
                .await?;
        }
    };
    let back = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = from_far.read(&mut buffer).await?;
            if count == 0 {
                return to_near.shutdown().await;
            }
            line.down.fetch_add(count as u64, Ordering::Relaxed);
            to_near
                .write_all(buffer.get(..count).unwrap_or_default())
                .await?;
        }
    };
    tokio::try_join!(there, back).map(|_| ())
}

/// The device with Sampan: the process that the bench starts.
pub(crate) fn device(arguments: &[String]) -> Outcome<()> {
    let [store, messages, server] = arguments else {
        return Err("a device needs a store, a number and a server".into());
    };
    let messages: u32 = messages.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.block_on(come_back(server, Path::new(store), messages))?;
    let _ = std::io::stdin().read(&mut [0])?;
    Ok(())
}

async fn come_back(server: &str, store: &Path, messages: u32) -> Outcome<()> {
    let engine = Engine::open(config(server, store)?)?;
    let client = engine.client(owner()?, ClientOptions::default()).await?;
    println!("ready");
    client.go_online(None)?;
    client.wait_online().await?;
    let is_done = AtomicBool::new(false);
    let caught_up = async {
        current(&client).await?;
        is_done.store(true, Ordering::Relaxed);
        Outcome::Ok(())
    };
    let ((), (mut sends, mut pages)) = tokio::try_join!(caught_up, probe(&client, &is_done))?;
    let unread = client.unread_totals().await?.all.messages.0;
    if unread < u64::from(messages) {
        return Err(format!("{unread} of {messages} messages are here").into());
    }
    engine.pause().await?;
    let report = json!({
        "messages": unread,
        "send_p99_ms": sends.percentile_ms(99),
        "page_p99_ms": pages.percentile_ms(99),
    });
    println!("{report}");
    Ok(())
}

/// A user sends a message and looks at a conversation, again and again.
async fn probe(client: &Client, is_done: &AtomicBool) -> Outcome<(Samples, Samples)> {
    let (mut sends, mut pages) = (Samples::default(), Samples::default());
    let with = NewConversation {
        members: vec![ClientId::new("carl")?],
        ..NewConversation::default()
    };
    let own = client.create_conversation(with).await?.conversation;
    let mut number = 0_u32;
    while !is_done.load(Ordering::Relaxed) {
        number += 1;
        let began = Stopwatch::start();
        own.send(sampan::model::NewMessage::new(content(number)))
            .await?;
        sends.add(began.elapsed());
        let newest = client.conversations(None, AT_HAND).await?.conversations;
        let picked = usize::try_from(number)? % newest.len().max(1);
        if let Some(info) = newest.into_iter().nth(picked) {
            let talk = client.conversation(info.id)?;
            let began = Stopwatch::start();
            talk.page(None, 20).await?;
            pages.add(began.elapsed());
        }
        tokio::time::sleep(PROBE).await;
    }
    Ok((sends, pages))
}

/// Waits until nothing that was missed is left to be fetched.
async fn current(client: &Client) -> Outcome<()> {
    let mut have = Version::NONE;
    while let Some(state) = client.next_state(have).await? {
        if matches!(state.sync, SyncState::Current { .. }) {
            return Ok(());
        }
        have = state.version;
    }
    Err("the client ended".into())
}
