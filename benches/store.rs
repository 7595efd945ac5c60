//! What the store costs: ingest, durable enqueueing beside a raw append and fdatasync, reading a
//! page, opening again. Prints one JSON array of rows (`xtask/src/bench.rs`).
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures real time and is no part of the engine"
)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on stops"
)]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use sampan::model::{
    ClientId, Content, ConversationId, LocalId, Mentions, Message, MessageId, MessageState,
    Timestamp,
};
use sampan::store::{
    CommitClass, ConversationNumber, ConversationRow, Intent, Opened, Overlay, Position,
    SendIntent, Store, StoreOptions,
};
use serde_json::{Value, json};

const CONVERSATIONS: usize = 1_000;
const BATCH: usize = 100;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let messages = if quick { 20_000 } else { 200_000 };
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let mut rows = Vec::new();
    let mut opened = open(folder.path());
    let numbers = conversations(&mut opened);
    eprintln!("ingest of {messages} messages");
    rows.push(ingest(&mut opened, &numbers, messages));
    eprintln!("pages");
    rows.push(pages(&opened.store, &numbers));
    eprintln!("enqueueing");
    rows.push(enqueue(
        &mut opened,
        numbers[0],
        folder.path(),
        if quick { 200 } else { 2_000 },
    ));
    let size = opened.store.size_bytes().expect("the size");
    rows.push(row(
        "disk per message",
        size as f64 / messages as f64,
        "bytes",
    ));
    drop(opened);
    rows.push(reopen(
        folder.path(),
        "open right after the load, first page included",
    ));
    rows.push(reopen(folder.path(), "open again, first page included"));
    println!("{}", Value::Array(rows));
}

/// A row that nothing is asked of.
fn row(name: &str, value: f64, unit: &str) -> Value {
    json!({
        "name": name, "value": value, "unit": unit,
        "peer": null, "ratio": null, "target": null, "pass": true,
    })
}

fn open(folder: &Path) -> Opened {
    let owner = ClientId::new("me").expect("a client id");
    let options = StoreOptions::new(folder.join("store"), owner, Timestamp::ZERO);
    Store::open(&options).expect("the store opens")
}

fn conversations(opened: &mut Opened) -> Vec<ConversationNumber> {
    let mut numbers = Vec::with_capacity(CONVERSATIONS);
    let mut overlay = Overlay::new(&opened.store);
    for n in 0..CONVERSATIONS {
        let id = ConversationId::new(format!("{n:024x}")).expect("a conversation id");
        let made = overlay.create_conversation(ConversationRow::unknown(id));
        numbers.push(made.expect("a new conversation"));
    }
    let batch = overlay.into_batch();
    opened
        .writer
        .commit(batch, CommitClass::Cache)
        .expect("the commit");
    numbers
}

fn text(n: usize) -> String {
    let words = [
        "harbour", "tide", "lantern", "north", "rope", "morning", "sail", "quiet",
    ];
    let mut text = String::with_capacity(200);
    let mut seed = n.wrapping_mul(0x9E37_79B9).wrapping_add(7);
    while text.len() < 192 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[(seed >> 33) % words.len()]);
        text.push(' ');
    }
    text
}

fn message(n: usize) -> Message {
    let scattered = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let millis = i64::try_from(n).expect("a small number");
    Message {
        conversation: ConversationId::new("c").expect("a conversation id"),
        id: Some(MessageId::new(format!("{scattered:016x}{n:06x}")).expect("a message id")),
        local_id: None,
        sender: ClientId::new("other").expect("a client id"),
        sent_at: Timestamp::from_millis(1_700_000_000_000 + millis),
        content: Content::text(text(n)),
        mentions: Mentions::default(),
        state: MessageState::Sent,
        edited_at: None,
        transient: false,
    }
}

fn ingest(opened: &mut Opened, numbers: &[ConversationNumber], messages: usize) -> Value {
    let mut spent = Duration::ZERO;
    for first in (0..messages).step_by(BATCH) {
        // Fifty of the conversations, two messages each.
        let batch: Vec<_> = (first..first + BATCH)
            .map(|n| {
                (
                    numbers[(first / BATCH * 37 + n % 50 * 20) % numbers.len()],
                    message(n),
                )
            })
            .collect();
        let started = Instant::now();
        let mut overlay = Overlay::new(&opened.store);
        for (number, message) in &batch {
            overlay.put_message(*number, message).expect("the put");
            let id = message.id.clone().expect("an id");
            let position = Position {
                sent_at: message.sent_at,
                id,
            };
            let hold = |row: &mut ConversationRow| {
                let newest = row.history.newest().map(|span| span.to.clone());
                row.history
                    .hold(newest.unwrap_or_else(|| position.clone()), position.clone());
            };
            overlay.update_conversation(*number, hold).expect("the row");
        }
        let batch = overlay.into_batch();
        opened
            .writer
            .commit(batch, CommitClass::Cache)
            .expect("the commit");
        spent += started.elapsed();
    }
    let started = Instant::now();
    opened.writer.sync().expect("the sync");
    spent += started.elapsed();
    row(
        "ingest, class cache",
        messages as f64 / spent.as_secs_f64(),
        "messages/s",
    )
}

fn pages(store: &Store, numbers: &[ConversationNumber]) -> Value {
    let times = (0..5_000).map(|n| {
        let started = Instant::now();
        let snapshot = store.snapshot();
        let page = snapshot.page_before(numbers[n * 7 % numbers.len()], None, 20);
        assert!(!page.expect("the page").items.is_empty());
        started.elapsed()
    });
    row("newest 20 messages, p50", median(times.collect()), "us")
}

fn enqueue(opened: &mut Opened, number: ConversationNumber, folder: &Path, many: usize) -> Value {
    let raw = folder.join("raw");
    std::fs::write(&raw, vec![0; 4 << 20]).expect("the raw file");
    let mut file = OpenOptions::new()
        .write(true)
        .open(raw)
        .expect("the raw file");
    file.sync_all().expect("the raw file");
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for n in 0..many {
        let started = Instant::now();
        file.write_all(&[7; 512])
            .and_then(|()| file.sync_data())
            .expect("the raw append");
        peers.push(started.elapsed());
        let started = Instant::now();
        let mut overlay = Overlay::new(&opened.store);
        let token = LocalId::new(format!("token-{n}")).expect("a token");
        let intent = Intent::Send(SendIntent {
            content: Content::text(text(n)),
            mentions: Mentions::default(),
            receipt: false,
            transient: false,
            push: None,
        });
        let entry = overlay
            .enqueue(number, token, Timestamp::ZERO, intent)
            .expect("the entry");
        opened
            .writer
            .commit(overlay.into_batch(), CommitClass::Intent)
            .expect("the commit");
        ours.push(started.elapsed());
        let mut overlay = Overlay::new(&opened.store);
        overlay.settle(entry);
        opened
            .writer
            .commit(overlay.into_batch(), CommitClass::Cache)
            .expect("the commit");
    }
    let (value, peer) = (median(ours), median(peers));
    let ratio = value / peer;
    json!({
        "name": "durable enqueue of a 200-byte message, p50", "value": value, "unit": "us",
        "peer": peer, "ratio": ratio, "target": "at most 1.2 x a raw append and fdatasync",
        "pass": ratio <= 1.2,
    })
}

fn reopen(folder: &Path, name: &str) -> Value {
    let started = Instant::now();
    let opened = open(folder);
    let snapshot = opened.store.snapshot();
    let list = snapshot
        .conversations(None, 20)
        .expect("the list")
        .conversations;
    let page = snapshot.page_before(list[0].0, None, 20).expect("the page");
    assert_eq!((list.len(), page.items.is_empty()), (20, false));
    row(name, started.elapsed().as_secs_f64() * 1_000.0, "ms")
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000_000.0
}
