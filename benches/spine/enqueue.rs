//! The time until a message of 200 bytes is durable.
//!
//! Three ways in turn, in one loop and on one disk: through the store, as the engine's loop does it;
//! as a raw append to a preallocated file with `fdatasync`; and through the whole public API,
//! offline. Nothing is acknowledged meanwhile, so the outbox grows as it does in a tunnel.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

use sampan::model::{ClientId, ConversationId, LocalId, Mentions, NewConversation, Timestamp};
use sampan::store::{
    CommitClass, ConversationNumber, ConversationRow, Intent, Opened, Overlay, SendIntent, Store,
    StoreOptions, Writer,
};
use sampan::{ClientOptions, Conversation, Engine};
use serde_json::Value;

use crate::measure::{Samples, Target, beside};
use crate::support::Outcome;
use crate::support::show::Stopwatch;
use crate::{NOWHERE, Pace, config, content, owner, words};

/// Done first and not counted.
const WARM_UP: u32 = 50;

/// The raw file's size in bytes: all appends fit.
const PREALLOCATED: usize = 4 * 1024 * 1024;

/// The most that durability through the store may take beside the raw append.
const RATIO_MAX: f64 = 1.2;

pub(crate) async fn rows(folder: &Path, pace: Pace) -> Outcome<Vec<Value>> {
    let turns = pace.pick(1000, 200);
    eprintln!("enqueue: {turns} messages of 200 bytes each way, interleaved");
    fs::create_dir_all(folder)?;
    let mut store = Enqueuer::open(&folder.join("store"))?;
    let mut raw = preallocated(&folder.join("raw"))?;
    let engine = Engine::open(config(NOWHERE, &folder.join("engine"))?)?;
    let chat = offline_conversation(&engine).await?;

    let [mut stored, mut appended, mut sent] = [(); 3].map(|()| Samples::default());
    for turn in 0..turns + WARM_UP {
        for step in 0..3 {
            let text = words(turn);
            let way = (turn + step) % 3;
            let began = Stopwatch::start();
            match way {
                0 => store.enqueue(turn)?,
                1 => append(&mut raw, text.as_bytes())?,
                _ => drop(chat.send_text(text, None).await?),
            }
            let took = began.elapsed();
            if turn >= WARM_UP {
                match way {
                    0 => stored.add(took),
                    1 => appended.add(took),
                    _ => sent.add(took),
                }
            }
        }
    }
    engine.shutdown().await?;

    let mut rows = Vec::new();
    for (percent, target) in [(50, Target::AtMost(RATIO_MAX)), (99, Target::Nothing)] {
        let peer = (appended.percentile_ms(percent), "raw append + fdatasync");
        let ways = [
            ("durable enqueue, store", &mut stored, target),
            ("durable enqueue, whole API", &mut sent, Target::Nothing),
        ];
        for (name, samples, target) in ways {
            let ours = (samples.percentile_ms(percent), "ms");
            rows.push(beside(&format!("{name}, p{percent}"), ours, peer, target));
        }
    }
    Ok(rows)
}

/// A store of its own that takes intents.
struct Enqueuer {
    store: Store,
    writer: Writer,
    conversation: ConversationNumber,
}

impl Enqueuer {
    fn open(folder: &Path) -> Outcome<Self> {
        let options = StoreOptions::new(folder, owner()?, Timestamp::ZERO);
        let Opened {
            store, mut writer, ..
        } = Store::open(&options)?;
        let mut overlay = Overlay::new(&store);
        let row = ConversationRow::unknown(ConversationId::new("5f0c1d2e3a4b5c6d7e8f9a0b")?);
        let conversation = overlay.create_conversation(row)?;
        let batch = overlay.into_batch();
        writer.commit(batch, CommitClass::Intent)?;
        Ok(Self {
            store,
            writer,
            conversation,
        })
    }

    fn enqueue(&mut self, number: u32) -> Outcome<()> {
        let intent = Intent::Send(SendIntent {
            content: content(number),
            mentions: Mentions::default(),
            receipt: true,
            transient: false,
            push: None,
            priority: None,
            will: false,
            upload: None,
        });
        let token = LocalId::new(format!("{number:024x}"))?;
        let at = Timestamp::from_millis(1_700_000_000_000 + i64::from(number));
        let mut overlay = Overlay::new(&self.store);
        overlay.enqueue(self.conversation, token, at, intent)?;
        let batch = overlay.into_batch();
        self.writer.commit(batch, CommitClass::Intent)?;
        Ok(())
    }
}

/// A file whose blocks are all written, so that a sync has data to write and nothing else.
fn preallocated(path: &Path) -> Outcome<File> {
    let mut file = File::create_new(path)?;
    file.write_all(&vec![0; PREALLOCATED])?;
    file.sync_all()?;
    file.rewind()?;
    Ok(file)
}

fn append(file: &mut File, bytes: &[u8]) -> Outcome<()> {
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(())
}

async fn offline_conversation(engine: &Engine) -> Outcome<Arc<Conversation>> {
    let client = engine.client(owner()?, ClientOptions::default()).await?;
    let wanted = NewConversation {
        members: vec![ClientId::new("ben")?],
        ..NewConversation::default()
    };
    Ok(client.create_conversation(wanted).await?.conversation)
}
