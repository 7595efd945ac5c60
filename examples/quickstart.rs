//! The whole of Sampan in some seconds: `cargo run --release --example quickstart`.
//!
//! It starts the service in this process, fills it with real history, signs a fresh device in, goes
//! offline, sends, is killed, comes back, and shows that what was sent arrives exactly once.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sampan::model::{AppId, ClientId, ConversationId, Count};
use sampan::views::{ListState, TimelineState};
use sampan::{
    Client, ClientOptions, ClientState, Config, Conversation, ConversationRow, Delivery, Engine,
    Limits, ServerAddress, SyncState, TimelineOptions,
};
use sampan_service::{RunningService, Service, ServiceOptions, StorageChoice};
use support::history::{self, Recorded, Stage};
use support::show::Stopwatch;
use support::{Outcome, show};
use tokio::time::timeout;

/// The participant whose device this is; everybody in the excerpt talked to them.
const ME: &str = "43aeb2a3-6086-4d97-ae04-a47553aa179a";

const APP: &str = "quickstart";
const KEY: &str = "quickstart-key";

/// The longest that anything here may take before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The messages that are sent offline.
const WORDS: [&str; 3] = [
    "I am writing this in a tunnel.",
    "There is no network here at all.",
    "And now the battery dies, too …",
];

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => tell().await,
        [flag, store, conversation] if flag == "--send-and-wait" => {
            send_and_wait(Path::new(store), conversation).await
        }
        _ => Err("usage: cargo run --release --example quickstart".into()),
    }
}

async fn tell() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let me = ClientId::new(ME)?;
    heading("A service, in this process");
    let service = service(folder.path()).await?;
    let server = format!("http://{}", service.addr());
    line(&format!("listening on {server}"));

    heading("Real history, played into it by its authors");
    let conversations = history::read(&fixture(), usize::MAX)?;
    play(&service, &conversations).await?;

    heading(&format!("A fresh device signs in as {}", show::name(&me)));
    let store = folder.path().join("phone");
    let engine = Engine::open(config(&server, &store)?)?;
    let phone = engine.client(me.clone(), ClientOptions::default()).await?;
    let began = Stopwatch::start();
    phone.go_online(None)?;
    let list = synced(&phone).await?;
    let unread = phone.state().unread.all;
    line(&format!(
        "in sync after {}: {} conversations, {}{} unread messages, {} on disk",
        show::took(began.elapsed()),
        list.len(),
        show::grouped(unread.messages.0),
        if unread.at_least > 0 { "+" } else { "" },
        show::bytes(show::folder_bytes(&store)),
    ));
    table(&list);
    let chat = list.first().ok_or("no conversation")?;
    transcript(&phone, &chat.conversation, 5).await?;

    heading("The phone goes offline, sends, and is killed");
    engine.shutdown().await?;
    send_in_a_process_that_dies(&store, &chat.conversation)?;

    heading("It starts again, still offline");
    let engine = Engine::open(config(&server, &store)?)?;
    let phone = engine.client(me.clone(), ClientOptions::default()).await?;
    line(&format!(
        "{} messages wait in the outbox",
        phone.outbox().await?.len()
    ));
    transcript(&phone, &chat.conversation, 4).await?;

    heading("It goes online; the other side watches");
    let other = chat.peer.clone().ok_or("nobody to talk to")?;
    let watch = Engine::open(config(&server, &folder.path().join("laptop"))?)?;
    let laptop = watch
        .client(other.clone(), ClientOptions::default())
        .await?;
    laptop.go_online(None)?;
    timeout(PATIENCE, laptop.wait_online()).await??;
    phone.go_online(None)?;
    until(&phone, |state| state.outbox.waiting == Count(0)).await?;
    let arrived = at_the_service(&laptop, &chat.conversation, &me).await?;
    transcript(&phone, &chat.conversation, 4).await?;
    line(&format!("{}'s laptop received:", show::name(&other)));
    for text in &arrived {
        line(&format!("    {text}"));
    }
    let exactly_once = arrived.iter().map(String::as_str).eq(WORDS);
    line(if exactly_once {
        "each exactly once, in order."
    } else {
        "which is not what was sent!"
    });
    engine.shutdown().await?;
    watch.shutdown().await?;
    service.stop().await;
    println!();
    if exactly_once {
        Ok(())
    } else {
        Err("messages were lost or doubled".into())
    }
}

async fn service(folder: &Path) -> Outcome<RunningService> {
    let app = format!("{APP}:{KEY}:quickstart-master-key").parse()?;
    let storage = StorageChoice::Folder(folder.join("service"));
    Ok(Service::start(ServiceOptions::on_loopback(app, storage)).await?)
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chitchat/excerpt.jsonl")
}

fn config(server: &str, store: &Path) -> Outcome<Config> {
    let server = ServerAddress::Router {
        url: server.to_owned(),
    };
    let mut config = Config::new(AppId::new(APP)?, KEY, server, store);
    config.limits = Limits::unthrottled();
    Ok(config)
}

async fn play(service: &RunningService, conversations: &[Recorded]) -> Outcome<()> {
    let url = support::socket_url(service, APP).await?;
    let began = Stopwatch::start();
    let stage = Stage::set(&url, &AppId::new(APP)?, conversations).await?;
    let played = AtomicU64::new(0);
    stage.play(conversations, &played).await?;
    let messages = played.into_inner();
    line(&format!(
        "{} messages of {} people in {} conversations, in {} ({})",
        show::grouped(messages),
        stage.authors(),
        conversations.len(),
        show::took(began.elapsed()),
        show::rate(messages, began.elapsed()),
    ));
    Ok(())
}

/// Waits until a device is in sync, and answers its list of conversations.
async fn synced(client: &Client) -> Outcome<Vec<ConversationRow>> {
    until(client, |state| {
        matches!(state.sync, SyncState::Current { .. })
    })
    .await?;
    let list = client.conversation_list(None).await?;
    let mut shown = ListState::default();
    if let Some(update) = list.next(shown.version).await? {
        shown.apply(update);
    }
    Ok(shown.rows)
}

/// The newest messages of a conversation, as its timeline shows them.
async fn newest(chat: &Conversation, count: u32) -> Outcome<TimelineState> {
    let options = TimelineOptions {
        page: count,
        ..TimelineOptions::default()
    };
    let timeline = chat.timeline(Some(options)).await?;
    let mut shown = TimelineState::default();
    if let Some(update) = timeline.next(shown.version).await? {
        shown.apply(update);
    }
    Ok(shown)
}

/// Follows a client's state until it is as wanted.
async fn until(client: &Client, wanted: impl Fn(&ClientState) -> bool) -> Outcome<()> {
    let mut state = client.state();
    while !wanted(&state) {
        let next = timeout(PATIENCE, client.next_state(state.version)).await??;
        state = next.ok_or("the client was closed")?;
    }
    Ok(())
}

/// Runs this program again as a process that sends offline and is killed in the middle of its life.
fn send_in_a_process_that_dies(store: &Path, conversation: &ConversationId) -> Outcome<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--send-and-wait")
        .arg(store)
        .arg(conversation.as_str())
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().ok_or("no output")?;
    for said in BufReader::new(said).lines().take(WORDS.len()) {
        line(&said?);
    }
    child.kill()?;
    let status = child.wait()?;
    line(&format!("killed: {status}"));
    Ok(())
}

/// The work of the process that is killed: it never connects, and says when each send has returned.
async fn send_and_wait(store: &Path, conversation: &str) -> Outcome<()> {
    let engine = Engine::open(config("http://127.0.0.1:9", store)?)?;
    let client = engine
        .client(ClientId::new(ME)?, ClientOptions::default())
        .await?;
    let conversation = client.conversation(ConversationId::new(conversation)?)?;
    for words in WORDS {
        let began = Stopwatch::start();
        conversation.send_text(words.to_owned(), None).await?;
        println!(
            "sent offline, durable after {}: {words}",
            show::took(began.elapsed())
        );
        std::io::stdout().flush()?;
    }
    std::future::pending().await
}

/// The messages of `sender` that the service has, oldest first: everything is acknowledged by now.
async fn at_the_service(
    client: &Client,
    chat: &ConversationId,
    sender: &ClientId,
) -> Outcome<Vec<String>> {
    until(client, |state| {
        matches!(state.sync, SyncState::Current { .. })
    })
    .await?;
    let chat = client.conversation(chat.clone())?;
    let shown = newest(&chat, 20).await?;
    let messages = shown.items.iter().filter_map(|item| item.message());
    let theirs = messages.filter(|message| message.sender == *sender);
    let words = theirs.filter_map(|message| message.content.words());
    let sent = words.filter(|words| WORDS.contains(words));
    Ok(sent.map(str::to_owned).collect())
}

fn heading(text: &str) {
    println!("\n● {text}");
}

fn line(text: &str) {
    println!("  {text}");
}

/// The list of conversations, as an app would show it.
fn table(list: &[ConversationRow]) {
    println!();
    println!("  {:<8} {:>6}   newest", "with", "unread");
    for row in list {
        let words = row.last.as_ref().and_then(|last| last.words.as_deref());
        println!(
            "  {:<8} {:>6}   {}",
            row.peer.as_ref().map(show::name).unwrap_or_default(),
            show::unread(row.unread),
            show::cut(words.unwrap_or_default(), 64),
        );
    }
}

/// The newest lines of a conversation, out of the store.
async fn transcript(client: &Client, conversation: &ConversationId, count: u32) -> Outcome<()> {
    let shown = newest(&*client.conversation(conversation.clone())?, count).await?;
    println!();
    for item in &shown.items {
        let Some(message) = item.message() else {
            println!("           ┄ older history is at the service ┄");
            continue;
        };
        let state = match &message.delivery {
            Some(Delivery::Waiting { .. } | Delivery::Sending { .. }) => "⧖ pending",
            Some(Delivery::Failed { .. }) => "✗ failed",
            Some(_) if message.local_id.is_some() => "✓ sent",
            _ => "",
        };
        let words = show::cut(message.content.words().unwrap_or("…"), 58);
        let said = format!("  {:>7}  {words:<58} {state}", show::name(&message.sender));
        println!("{}", said.trim_end());
    }
    println!();
    Ok(())
}
