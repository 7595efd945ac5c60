//! Sends a picture and shows it on another device: `cargo run --release --example media [FILE]`.
//!
//! It starts the service in this process. Ann's phone is offline when she sends the picture; the call returns at once,
//! and the picture is in her outbox. When the phone goes online, the picture is uploaded, and then its message is sent. Ben's
//! laptop gets the message, downloads the picture and checks it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sampan::model::{AppId, ClientId, Count, MediaSource, NewConversation, NewMedia, Progress};
use sampan::views::TimelineState;
use sampan::{
    Client, ClientOptions, Config, Conversation, Delivery, Engine, Limits, Message, ServerAddress,
};
use sampan_service::{Service, ServiceOptions};
use tokio::time::timeout;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const APP: &str = "media";
const KEY: &str = "media-key";

/// The longest that anything here may take before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let picture = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => paint(folder.path())?,
    };
    let credentials = format!("{APP}:{KEY}:media-master-key").parse()?;
    let service = Service::start(ServiceOptions::in_memory(credentials)).await?;
    let server = format!("http://{}", service.addr());
    let (phone, ann) = device(&server, &folder.path().join("phone"), "ann").await?;
    let (laptop, ben) = device(&server, &folder.path().join("laptop"), "ben").await?;

    println!("Ann sends {} while she is offline.", picture.display());
    let wanted = NewConversation {
        members: vec![ClientId::new("ben")?],
        ..NewConversation::default()
    };
    let talk = ann.create_conversation(wanted).await?.conversation;
    let media = NewMedia {
        caption: Some("look at this".to_owned()),
        ..NewMedia::new(MediaSource::Path {
            path: picture.clone(),
        })
    };
    let sent = talk.send_media(media).await?;
    let file = sent
        .message
        .content
        .media()
        .ok_or("a message with a file")?;
    println!("It is durable on her phone: {}.", described(file));
    println!(
        "Her own screen shows it from {}.",
        ann.download(file.clone())?.file().await?.display()
    );

    println!("The phone goes online.");
    ben.go_online(None)?;
    timeout(PATIENCE, ben.wait_online()).await??;
    ann.go_online(None)?;
    timeout(PATIENCE, follow(&talk)).await??;

    let received = timeout(PATIENCE, first_message(&ben)).await??;
    let file = received
        .content
        .media()
        .ok_or("a message with a file")?
        .clone();
    println!(
        "Ben's laptop got it: {}, {:?}.",
        described(&file),
        received.content.words()
    );
    let path = timeout(PATIENCE, ben.download(file)?.file()).await??;
    let (before, after) = (std::fs::read(&picture)?, std::fs::read(&path)?);
    println!(
        "Downloaded to {}: {} bytes of {}.",
        path.display(),
        after.len(),
        before.len()
    );
    if before.len() != after.len() {
        return Err("the picture is another one".into());
    }
    phone.shutdown().await?;
    laptop.shutdown().await?;
    Ok(())
}

/// An engine with one client.
async fn device(server: &str, store: &Path, client: &str) -> Outcome<(Arc<Engine>, Arc<Client>)> {
    let url = server.to_owned();
    let mut config = Config::new(AppId::new(APP)?, KEY, ServerAddress::Router { url }, store);
    config.limits = Limits::unthrottled();
    let engine = Engine::open(config)?;
    let client = engine
        .client(ClientId::new(client)?, ClientOptions::default())
        .await?;
    Ok((engine, client))
}

/// Shows how far the message is, until the service has it.
async fn follow(talk: &Conversation) -> Outcome<()> {
    let timeline = talk.timeline(None).await?;
    let mut state = TimelineState::default();
    while let Some(update) = timeline.next(state.version).await? {
        state.apply(update);
        let delivery = state
            .items
            .iter()
            .find_map(|item| item.message()?.delivery.clone());
        match delivery {
            Some(Delivery::Waiting { blocker }) => println!("    waits: {blocker:?}"),
            Some(Delivery::Sending {
                progress: Some(progress),
            }) => println!("    {}", percent(progress)),
            Some(Delivery::Sending { progress: None }) => println!("    uploaded, on its way"),
            Some(Delivery::Failed { failure, .. }) => return Err(format!("{failure:?}").into()),
            Some(_) => return Ok(()),
            None => {}
        }
    }
    Err("the timeline ended".into())
}

fn percent(progress: Progress) -> String {
    let total = progress.total.unwrap_or(Count(0)).0.max(1);
    format!("uploaded {} %", progress.done.0.saturating_mul(100) / total)
}

/// The first message in the first conversation that a device hears of.
async fn first_message(client: &Arc<Client>) -> Outcome<Message> {
    let list = client.conversation_list(None).await?;
    let mut rows = sampan::views::ListState::default();
    let id = loop {
        let update = list.next(rows.version).await?.ok_or("the list ended")?;
        rows.apply(update);
        if let Some(row) = rows.rows.first() {
            break row.conversation.clone();
        }
    };
    let timeline = client.conversation(id)?.timeline(None).await?;
    let mut state = TimelineState::default();
    loop {
        let update = timeline
            .next(state.version)
            .await?
            .ok_or("the timeline ended")?;
        state.apply(update);
        if let Some(message) = state.items.iter().find_map(|item| item.message()) {
            return Ok(message.clone());
        }
    }
}

fn described(file: &sampan::model::MediaFile) -> String {
    let size = file.size.unwrap_or_default();
    match (file.width, file.height) {
        (Some(width), Some(height)) => format!("{size} bytes, {width} by {height} pixels"),
        _ => format!("{size} bytes"),
    }
}

/// Writes a picture of some stripes, as an uncompressed bitmap of 64 by 64 pixels.
fn paint(folder: &Path) -> Outcome<PathBuf> {
    let (side, head) = (64_u32, 54_u32);
    let mut bytes = b"BM".to_vec();
    bytes.extend((head + side * side * 3).to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(head.to_le_bytes());
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend(side.to_le_bytes());
    bytes.extend(side.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(24_u16.to_le_bytes());
    bytes.extend([0; 24]);
    for row in 0..side {
        let stripe = if row / 8 % 2 == 0 {
            [200, 120, 40]
        } else {
            [240, 230, 220]
        };
        bytes.extend((0..side).flat_map(|_| stripe));
    }
    let path = folder.join("stripes.bmp");
    std::fs::write(&path, bytes)?;
    Ok(path)
}
