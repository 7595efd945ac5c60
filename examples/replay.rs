//! Import and sync of a whole file: `cargo run --release --example replay -- FILE [--limit N]`.
//!
//! FILE holds recorded conversations, one a line, as `tests/fixtures/chitchat/README.md` says; it may be
//! packed with gzip. They are played into a service in this process as their authors; then a fresh
//! device signs in as the participant who took part in most and fetches all of their history.

mod support;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use sampan::model::{AppId, ClientId};
use sampan::views::{ListState, TimelineState};
use sampan::{
    Client, ClientOptions, Config, ConversationRow, Engine, Limits, ServerAddress, SyncState,
    TimelineEdge,
};
use sampan_service::{Service, ServiceOptions, StorageChoice};
use support::history::{self, Recorded, Stage};
use support::show::Stopwatch;
use support::{Outcome, show};

const APP: &str = "replay";
const KEY: &str = "replay-key";

/// The number of messages that one question for history asks for.
const PAGE: u32 = 100;

/// The number of conversations that are fetched at a time.
const FETCHES: usize = 16;

#[tokio::main]
async fn main() -> Outcome<()> {
    let (file, limit) = arguments()?;
    let conversations = history::read(&file, limit)?;
    let messages: u64 = conversations
        .iter()
        .map(|it| it.messages.len() as u64)
        .sum();
    println!(
        "{}: {} conversations, {} messages",
        file.display(),
        show::grouped(conversations.len() as u64),
        show::grouped(messages)
    );
    let folder = tempfile::tempdir()?;
    let app = format!("{APP}:{KEY}:replay-master-key").parse()?;
    let storage = StorageChoice::Folder(folder.path().join("service"));
    let service = Service::start(ServiceOptions::on_loopback(app, storage)).await?;

    let url = support::socket_url(&service, APP).await?;
    let stage = Stage::set(&url, &AppId::new(APP)?, &conversations).await?;
    println!(
        "{} authors are signed in",
        show::grouped(stage.authors() as u64)
    );
    let played = Arc::new(AtomicU64::new(0));
    let bar = Bar::start("played", Arc::clone(&played), messages);
    stage.play(&conversations, &played).await?;
    bar.end(
        show::folder_bytes(&folder.path().join("service")),
        "at the service",
    );
    drop(stage);

    let (me, expected) = busiest(&conversations)?;
    println!("a fresh device signs in as {}", show::name(&me));
    let store = folder.path().join("device");
    let server = ServerAddress::Router {
        url: format!("http://{}", service.addr()),
    };
    let mut config = Config::new(AppId::new(APP)?, KEY, server, &store);
    config.limits = Limits::unthrottled();
    let engine = Engine::open(config)?;
    let client = engine.client(me, ClientOptions::default()).await?;
    client.go_online(None)?;
    client.wait_online().await?;
    let stored = Arc::new(AtomicU64::new(0));
    let bar = Bar::start("stored", Arc::clone(&stored), expected);
    fetch_everything(&client, &stored).await?;
    bar.end(show::folder_bytes(&store), "on the device");
    engine.shutdown().await?;
    service.stop().await;
    Ok(())
}

fn arguments() -> Outcome<(PathBuf, usize)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [file] => Ok((file.into(), usize::MAX)),
        [file, flag, limit] if flag == "--limit" => Ok((file.into(), limit.parse()?)),
        _ => Err("usage: cargo run --release --example replay -- FILE [--limit N]".into()),
    }
}

/// The participant whose conversations have the most messages, and the number of these messages.
fn busiest(conversations: &[Recorded]) -> Outcome<(ClientId, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for conversation in conversations {
        let members: std::collections::BTreeSet<_> = conversation.members.iter().collect();
        for member in members {
            *counts.entry(member).or_default() += conversation.messages.len() as u64;
        }
    }
    let busiest = counts.into_iter().max_by_key(|(_, count)| *count);
    let (id, count) = busiest.ok_or("nobody said anything")?;
    Ok((ClientId::new(id)?, count))
}

/// Pages through every conversation down to its beginning, once all of them are known.
async fn fetch_everything(client: &Client, stored: &AtomicU64) -> Outcome<()> {
    let mut state = client.state();
    while !matches!(state.sync, SyncState::Current { .. }) {
        let next = client.next_state(state.version).await?;
        state = next.ok_or("the client was closed")?;
    }
    let list = client.conversation_list(None).await?;
    let mut shown = ListState::default();
    loop {
        if let Some(update) = list.next(shown.version).await? {
            shown.apply(update);
        }
        if !shown.more {
            break;
        }
        list.load_more(500).await?;
    }
    let rows = shown.rows.iter();
    stream::iter(rows.map(|row| fetch_one(client, row, stored)))
        .buffer_unordered(FETCHES)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

async fn fetch_one(client: &Client, row: &ConversationRow, stored: &AtomicU64) -> Outcome<()> {
    let timeline = client
        .conversation(row.conversation.clone())?
        .timeline(None)
        .await?;
    let mut window = TimelineState::default();
    if let Some(update) = timeline.next(window.version).await? {
        window.apply(update);
    }
    let held = window.items.iter().filter(|item| item.message().is_some());
    stored.fetch_add(held.count() as u64, Ordering::Relaxed);
    loop {
        let loaded = timeline.load_older(PAGE).await?;
        stored.fetch_add(loaded.added.0, Ordering::Relaxed);
        if loaded.edge == TimelineEdge::End {
            return Ok(());
        }
    }
}

/// A line that grows while something is counted.
struct Bar {
    began: Stopwatch,
    what: &'static str,
    count: Arc<AtomicU64>,
    total: u64,
    drawing: tokio::task::JoinHandle<()>,
}

impl Bar {
    const WIDTH: u64 = 40;

    fn start(what: &'static str, count: Arc<AtomicU64>, total: u64) -> Self {
        let began = Stopwatch::start();
        let counted = Arc::clone(&count);
        let drawing = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            while std::io::stdout().is_terminal() {
                ticks.tick().await;
                draw(
                    what,
                    counted.load(Ordering::Relaxed),
                    total,
                    began.elapsed(),
                );
            }
        });
        Self {
            began,
            what,
            count,
            total,
            drawing,
        }
    }

    fn end(self, size: u64, place: &str) {
        self.drawing.abort();
        let count = self.count.load(Ordering::Relaxed);
        draw(self.what, count, self.total, self.began.elapsed());
        let each = size / count.max(1);
        println!("\n  {} {place}, {each} bytes a message", show::bytes(size));
    }
}

fn draw(what: &str, count: u64, total: u64, elapsed: Duration) {
    let filled = (count * Bar::WIDTH / total.max(1)).min(Bar::WIDTH);
    let bar: String = (0..Bar::WIDTH)
        .map(|at| if at < filled { '█' } else { '░' })
        .collect();
    print!(
        "\r  {bar} {} of {} {what}, {}, {}   ",
        show::grouped(count),
        show::grouped(total),
        show::rate(count, elapsed),
        show::took(elapsed),
    );
    // A terminal that takes no output is nobody's loss.
    let _ = std::io::stdout().flush();
}
