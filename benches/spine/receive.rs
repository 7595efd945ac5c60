//! From the service into the store: messages a second and time of the processor for each, beside the
//! official JavaScript SDK, which receives the same stream from the same service, in turn; and what
//! a connected device does while nothing happens.
//!
//! A device is a process of its own that writes how many messages it has, one number a line: 0 when
//! it is signed in, then whenever it got past another [`STEP`], and the last number only when all
//! of them are stored durably. (The JavaScript SDK stores nothing; it counts what it hands its app.)
//! It ends when its input does. The sender waits when a device is too far behind, for the service
//! sends away a device that can't keep up.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use sampan::model::{AppId, ClientId, ConversationId, Event};
use sampan::{Client, ClientOptions, Engine};
use sampan_service::{RunningService, Service, ServiceOptions};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::measure::{Idle, Target, Usage, alone, beside, median, to_f64};
use crate::support::raw::RawConnection;
use crate::support::show::Stopwatch;
use crate::support::{self, Outcome};
use crate::{APP, KEY, Pace, RECEIVE_MODE, config, owner, words};

/// The number of messages between two reports of a device.
const STEP: u32 = 250;

/// Received first and not counted: compilers and caches get warm.
const WARM_UP: u32 = 4 * STEP;

/// The most messages that a device may be behind the sender.
const WINDOW: u32 = 3 * STEP;

/// The most messages that may await the service's acknowledgement.
const IN_FLIGHT: usize = 64;

/// The longest that anything may take before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time that a device settles before it counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

/// The receiving side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sampan,
    JavaScript,
}

/// The figures of a run.
#[derive(Default)]
struct Figures {
    per_second: Vec<f64>,
    microseconds_each: Vec<f64>,
}

pub(crate) async fn rows(folder: &Path, pace: Pace) -> Outcome<Vec<Value>> {
    let messages = pace.pick(10_000, 2000);
    let rounds = pace.pick(5, 1);
    let script = script();
    let with_peer = has_peer(&script);
    eprintln!("receive: {rounds} rounds of {messages} messages each, in turn");
    let [mut ours, mut theirs] = [(); 2].map(|()| Figures::default());
    for round in 0..rounds {
        let mut turn = [(Kind::Sampan, &mut ours), (Kind::JavaScript, &mut theirs)];
        if round % 2 == 1 {
            turn.reverse();
        }
        for (kind, figures) in turn {
            if kind == Kind::Sampan || with_peer {
                let store = folder.join(format!("round-{round}"));
                run(kind, &store, messages, figures).await?;
            }
        }
    }
    let mut rows = compare(ours, theirs, with_peer);
    rows.extend(idle(&folder.join("idle"), pace).await?);
    Ok(rows)
}

fn compare(ours: Figures, theirs: Figures, with_peer: bool) -> Vec<Value> {
    let rate = ("receive to store", median(ours.per_second), "messages/s");
    let cost = (
        "processor time of a received message",
        median(ours.microseconds_each),
        "µs",
    );
    if !with_peer {
        return vec![alone(rate.0, rate.1, rate.2), alone(cost.0, cost.1, cost.2)];
    }
    let whose = "JavaScript SDK, nothing stored";
    let (their_rate, their_cost) = (median(theirs.per_second), median(theirs.microseconds_each));
    let at_least = Target::AtLeast(3.0);
    let at_most = Target::AtMost(0.2);
    vec![
        beside(rate.0, (rate.1, rate.2), (their_rate, whose), at_least),
        beside(cost.0, (cost.1, cost.2), (their_cost, whose), at_most),
    ]
}

/// Lets a fresh device of that kind receive a stream from a fresh service.
async fn run(kind: Kind, store: &Path, messages: u32, figures: &mut Figures) -> Outcome<()> {
    let service = service().await?;
    let total = WARM_UP + messages;
    let mut device = Device::start(kind, &service, store, total)?;
    device.reaches(0).await?;
    let sender = Sender::start(&service).await?;
    sender.say(&mut device, 0..WARM_UP).await?;
    device.reaches(WARM_UP).await?;
    let before = Usage::of(device.process)?;
    let began = Stopwatch::start();
    sender.say(&mut device, WARM_UP..total).await?;
    let acknowledged = began.elapsed();
    device.reaches(total).await?;
    let took = began.elapsed();
    let processor = Usage::of(device.process)?.processor - before.processor;
    device.end()?;
    service.stop().await;
    let count = f64::from(messages);
    let per_second = count / took.as_secs_f64();
    let each = processor.as_secs_f64() * 1e6 / count;
    eprintln!(
        "  {}: {per_second:.0} messages/s, {each:.1} µs of the processor each; the service \
         acknowledged {:.0}/s",
        kind.name(),
        count / acknowledged.as_secs_f64()
    );
    figures.per_second.push(per_second);
    figures.microseconds_each.push(each);
    Ok(())
}

/// The work of a connected device while nothing happens.
async fn idle(store: &Path, pace: Pace) -> Outcome<Vec<Value>> {
    let watch = Duration::from_secs(u64::from(pace.pick(30, 5)));
    eprintln!("idle: {} s of a connected device", watch.as_secs());
    let service = service().await?;
    let mut device = Device::start(Kind::Sampan, &service, store, u32::MAX)?;
    device.reaches(0).await?;
    sleep(SETTLE).await;
    let before = Usage::of(device.process)?;
    sleep(watch).await;
    let Idle {
        wake_ups,
        of_database,
        processor,
    } = before.until(&Usage::of(device.process)?);
    drop(device);
    service.stop().await;
    let minutes = watch.as_secs_f64() / 60.0;
    let milliseconds = processor.as_secs_f64() * 1000.0 / minutes;
    Ok(vec![
        json!({
            "name": "wake-ups of an idle connected engine", "value": to_f64(wake_ups) / minutes,
            "unit": "/min", "peer": null, "ratio": null,
            "target": "none but the heartbeat, every 180 s", "pass": wake_ups <= 1,
        }),
        alone(
            "of them, the database's own threads",
            to_f64(of_database) / minutes,
            "/min",
        ),
        alone(
            "processor time of an idle connected engine",
            milliseconds,
            "ms/min",
        ),
    ])
}

async fn service() -> Outcome<RunningService> {
    let app = format!("{APP}:{KEY}:spine-master-key").parse()?;
    Ok(Service::start(ServiceOptions::in_memory(app)).await?)
}

/// The other side of the conversation.
struct Sender {
    connection: RawConnection,
    client: ClientId,
    conversation: ConversationId,
}

impl Sender {
    async fn start(service: &RunningService) -> Outcome<Self> {
        let url = support::socket_url(service, APP).await?;
        let connection = RawConnection::open(&url, AppId::new(APP)?).await?;
        let client = ClientId::new("ben")?;
        connection.sign_in(&client).await?;
        let conversation = connection
            .start_conversation(&client, &[owner()?], "stream")
            .await?;
        Ok(Self {
            connection,
            client,
            conversation,
        })
    }

    /// Sends some messages, some at a time, and waits for a device that is behind.
    async fn say(&self, device: &mut Device, numbers: std::ops::Range<u32>) -> Outcome<()> {
        let mut next = numbers.start;
        while next < numbers.end {
            let end = (next + STEP).min(numbers.end);
            device.reaches(end.saturating_sub(WINDOW)).await?;
            stream::iter(next..end)
                .map(async |number| {
                    let text = words(number);
                    let sent = self.connection.say(&self.client, &self.conversation, &text);
                    sent.await.map(|_| ())
                })
                .buffer_unordered(IN_FLIGHT)
                .try_collect::<()>()
                .await?;
            next = end;
        }
        Ok(())
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sampan => "Sampan",
            Self::JavaScript => "JavaScript SDK",
        }
    }

    fn command(self, server: &str, store: &Path, total: u32) -> Outcome<Command> {
        let mut command = match self {
            Self::Sampan => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg(RECEIVE_MODE).arg(store).arg(total.to_string());
                command
            }
            Self::JavaScript => {
                let mut command = Command::new("node");
                let step = STEP.to_string();
                command
                    .arg(script())
                    .args([APP, KEY, owner()?.as_str(), &step]);
                command
            }
        };
        command.arg(server);
        Ok(command)
    }
}

/// The peer's program, beside the interoperability tests, which bring the SDK.
fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/js/receiver.mjs")
}

/// True if the peer can run; says why not.
pub(crate) fn has_peer(script: &Path) -> bool {
    let can = |program: &str| {
        let asked = Command::new(program).arg("--version").output();
        asked.is_ok_and(|answer| answer.status.success())
    };
    if !can("node") || !can("npm") {
        eprintln!("receive: no node or npm here, so there is no peer");
        return false;
    }
    let Some(folder) = script.parent() else {
        return false;
    };
    if folder.join("node_modules/leancloud-realtime").exists() {
        return true;
    }
    let installed = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status();
    let is_there = installed.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("receive: npm can't install the JavaScript SDK, so there is no peer");
    }
    is_there
}

/// A process that receives; killed when it goes out of scope.
struct Device {
    child: Child,
    process: u32,
    /// The number of messages that it has; none until it is signed in.
    progress: watch::Receiver<Option<u32>>,
}

impl Device {
    fn start(kind: Kind, service: &RunningService, store: &Path, total: u32) -> Outcome<Self> {
        let server = format!("http://{}", service.addr());
        let mut child = kind
            .command(&server, store, total)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the device has no output")?;
        let (report, progress) = watch::channel(None);
        std::thread::spawn(move || {
            let numbers = BufReader::new(output).lines().map_while(Result::ok);
            for number in numbers.filter_map(|line| line.parse().ok()) {
                report.send_replace(Some(number));
            }
        });
        Ok(Self {
            process: child.id(),
            child,
            progress,
        })
    }

    /// Waits until it has that many messages.
    async fn reaches(&mut self, count: u32) -> Outcome<()> {
        let has = |progress: &Option<u32>| progress.is_some_and(|has| has >= count);
        timeout(PATIENCE, self.progress.wait_for(has)).await??;
        Ok(())
    }

    fn end(mut self) -> Outcome<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It has ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process that the bench starts: a device with Sampan on it.
pub(crate) fn device(arguments: &[String]) -> Outcome<()> {
    let [store, total, server] = arguments else {
        return Err("a device needs a store, a number and a server".into());
    };
    let total = total.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let engine = runtime.block_on(receive(server, Path::new(store), total))?;
    // An idle app sleeps; so does this one, until the bench lets go of it.
    let _ = std::io::stdin().read(&mut [0])?;
    runtime.block_on(engine.shutdown())?;
    Ok(())
}

/// Signs in and receives until everything has arrived and is on disk.
async fn receive(server: &str, store: &Path, total: u32) -> Outcome<Arc<Engine>> {
    let engine = Engine::open(config(server, store)?)?;
    let client = engine.client(owner()?, ClientOptions::default()).await?;
    let mut events = client.events();
    client.go_online(None)?;
    client.wait_online().await?;
    println!("0");
    let mut received = 0;
    while received < total {
        let before = received;
        received = match events.next().await.ok_or("the engine ended")? {
            // Nobody reads here, so every message is unread.
            Event::ConversationChanged { conversation, .. } => conversation.unread.count,
            Event::Lagged { .. } => unread(&client).await?,
            _ => continue,
        };
        if received / STEP > before / STEP && received < total {
            println!("{received}");
        }
    }
    engine.pause().await?;
    println!("{received}");
    Ok(engine)
}

async fn unread(client: &Client) -> Outcome<u32> {
    Ok(u32::try_from(client.unread_totals().await?.all.messages.0)?)
}
