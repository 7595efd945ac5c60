//! The time that reading the newest twenty messages of a long conversation takes.
//!
//! Two ways in turn: out of the store, and through the whole public API. The engine is offline.

use std::path::{Path, PathBuf};

use sampan::model::{
    ClientId, ConversationId, Mentions, Message, MessageId, MessageState, Timestamp,
};
use sampan::store::{CommitClass, ConversationRow, Opened, Overlay, Position, Store, StoreOptions};
use sampan::{ClientOptions, Engine};
use serde_json::Value;

use crate::measure::{Samples, alone};
use crate::support::Outcome;
use crate::support::show::Stopwatch;
use crate::{NOWHERE, Pace, config, content, owner};

/// The number of messages in a page.
const PAGE: u32 = 20;

/// The number of messages that one commit writes.
const BATCH: u32 = 100;

const CONVERSATION: &str = "5f0c1d2e3a4b5c6d7e8f9a0b";

pub(crate) async fn rows(folder: &Path, pace: Pace) -> Outcome<Vec<Value>> {
    let messages = pace.pick(10_000, 2000);
    let reads = pace.pick(5000, 1000);
    eprintln!("page: {reads} reads each way of a conversation of {messages} messages");
    let id = ConversationId::new(CONVERSATION)?;
    let direct = folder.join("store");
    fill(&direct, messages)?;
    let opened = Store::open(&options(&direct)?)?;
    let snapshot = opened.store.snapshot();
    let number = snapshot.number(&id)?.ok_or("the conversation is gone")?;
    drop(snapshot);

    let root = folder.join("engine");
    fill(&client_folder(&root).await?, messages)?;
    let engine = Engine::open(config(NOWHERE, &root)?)?;
    let client = engine.client(owner()?, ClientOptions::default()).await?;
    let chat = client.conversation(id)?;

    let [mut stored, mut asked] = [(); 2].map(|()| Samples::default());
    for _ in 0..reads {
        let began = Stopwatch::start();
        let snapshot = opened.store.snapshot();
        let page = snapshot.page_before(number, None, PAGE as usize)?;
        drop(snapshot);
        stored.add(began.elapsed());
        let began = Stopwatch::start();
        let other = chat.page(None, PAGE).await?;
        asked.add(began.elapsed());
        if page.items.len() != other.items.len() || page.items.len() < PAGE as usize {
            return Err("a page lacks messages".into());
        }
    }
    engine.shutdown().await?;
    let mut rows = Vec::new();
    for (name, samples) in [("store", &mut stored), ("whole API", &mut asked)] {
        for percent in [50, 99] {
            let name = format!("newest {PAGE} messages, {name}, p{percent}");
            rows.push(alone(&name, samples.percentile_ms(percent), "ms"));
        }
    }
    Ok(rows)
}

fn options(folder: &Path) -> Outcome<StoreOptions> {
    Ok(StoreOptions::new(folder, owner()?, Timestamp::ZERO))
}

/// The folder in which an engine keeps the client's store: the only one after a first opening.
async fn client_folder(root: &Path) -> Outcome<PathBuf> {
    let engine = Engine::open(config(NOWHERE, root)?)?;
    engine.client(owner()?, ClientOptions::default()).await?;
    engine.shutdown().await?;
    let folder = std::fs::read_dir(root)?.next();
    Ok(folder.ok_or("the engine made no folder")??.path())
}

/// Writes a conversation of that many messages, as the receiver does: in batches, one span.
fn fill(folder: &Path, messages: u32) -> Outcome<()> {
    let Opened {
        store, mut writer, ..
    } = Store::open(&options(folder)?)?;
    let id = ConversationId::new(CONVERSATION)?;
    let mut overlay = Overlay::new(&store);
    let number = overlay.create_conversation(ConversationRow::unknown(id.clone()))?;
    for index in 0..messages {
        let message = message(&id, index)?;
        overlay.put_message(number, &message)?;
        if (index + 1) % BATCH == 0 || index + 1 == messages {
            let (first, last) = (position(0)?, position(index)?);
            overlay.update_conversation(number, |row| row.history.hold(first, last))?;
            writer.commit(overlay.into_batch(), CommitClass::Cache)?;
            overlay = Overlay::new(&store);
        }
    }
    writer.sync()?;
    Ok(())
}

fn position(index: u32) -> Outcome<Position> {
    Ok(Position {
        sent_at: Timestamp::from_millis(1_700_000_000_000 + i64::from(index)),
        id: MessageId::new(format!("{index:022x}"))?,
    })
}

fn message(conversation: &ConversationId, index: u32) -> Outcome<Message> {
    let Position { sent_at, id } = position(index)?;
    Ok(Message {
        conversation: conversation.clone(),
        id: Some(id),
        local_id: None,
        sender: ClientId::new("ben")?,
        sent_at,
        content: content(index),
        mentions: Mentions::default(),
        state: MessageState::Sent,
        edited_at: None,
        transient: false,
        change: None,
    })
}
