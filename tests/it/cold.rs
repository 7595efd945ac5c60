//! A cold start: a process that opens a store, lists its conversations and shows the newest messages of one.
//!
//! The checks count the bytes that the process reads from files, so a busy machine changes nothing.

use std::path::Path;
use std::process::Command;

use sampan::model::{
    ConversationId, Mentions, Message, MessageContent, MessageId, MessageState, Timestamp,
};
use sampan::store::{
    CommitClass, ConversationNumber, ConversationRow, Freshness, Opened, Overlay, Position, Store,
    StoreOptions, Tended, Writer,
};
use sampan::views::ListState;
use sampan::{Config, LocalData, ServerAddress, UnsentWork};

use crate::place::{Device, config, id};

/// Tells the child process where its store is; without it the child's half of the test does nothing.
const STORE: &str = "SAMPAN_IT_COLD_STORE";

const CONVERSATIONS: usize = 1000;

/// The rows and the messages of a first screen.
const ROWS: usize = 20;
const MESSAGES: usize = 30;

/// The most bytes that a first screen may read.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The same where 8 MiB of keys and values were committed since the store was opened: their log is read once.
const AFTER_COMMITS_MAX: u64 = 32 * 1024 * 1024;

/// Nobody listens there: a first screen needs no network.
fn offline(store: &Path) -> Config {
    let url = "ws://127.0.0.1:9/".to_owned();
    config(ServerAddress::Socket { url }, store)
}

fn conversation(number: usize) -> ConversationId {
    ConversationId::new(format!("{number:024x}")).unwrap()
}

fn message(conversation_number: usize, number: usize) -> Message {
    let at = Timestamp::from_millis(1_700_000_000_000 + (number * CONVERSATIONS) as i64);
    Message {
        id: Some(MessageId::new(format!("{number:011}{conversation_number:011}")).unwrap()),
        local_id: None,
        conversation: conversation(conversation_number),
        sender: id("ben"),
        sent_at: at,
        edited_at: None,
        change: None,
        content: MessageContent::text(format!("a few words of message {number}")),
        mentions: Mentions::default(),
        transient: false,
        state: MessageState::Sent,
    }
}

/// The messages from `from` to `to` of one conversation, as history that is held.
fn put(overlay: &mut Overlay<'_>, place: usize, from: usize, to: usize) {
    let number = ConversationNumber(place as u32);
    let messages: Vec<_> = (from..to).map(|it| message(place, it)).collect();
    let at = |it: &Message| Position {
        sent_at: it.sent_at,
        id: it.id.clone().unwrap(),
    };
    for message in &messages {
        overlay.put_message(number, message).unwrap();
    }
    let (first, last) = (at(&message(place, 0)), at(messages.last().unwrap()));
    let held = |row: &mut ConversationRow| row.history.hold(first, last);
    overlay.update_conversation(number, held).unwrap();
}

fn commit(writer: &mut Writer, overlay: Overlay<'_>) {
    let batch = overlay.into_batch();
    writer.commit(batch, CommitClass::Cache).unwrap();
}

/// Makes an account whose conversations have so many messages each.
async fn account(store: &Path, each: usize) {
    let ann = Device::open(offline(store), "ann").await;
    let listed = ann.engine.accounts().await.unwrap().remove(0);
    let signed_out = ann.client.sign_out(LocalData::Keep, UnsentWork::Refuse);
    signed_out.await.unwrap();
    ann.engine.shutdown().await.unwrap();
    let options = StoreOptions::new(store.join(listed.folder), id("ann"), Timestamp::ZERO);
    let Opened {
        store, mut writer, ..
    } = Store::open(&options).unwrap();
    for first in (0..CONVERSATIONS).step_by(100) {
        let mut overlay = Overlay::new(&store);
        for place in first..first + 100 {
            let mut row = ConversationRow::unknown(conversation(place));
            row.name = Some(format!("conversation {place}"));
            row.members = vec![id("ann"), id("ben")];
            row.freshness = Freshness::Fresh;
            overlay.create_conversation(row).unwrap();
        }
        commit(&mut writer, overlay);
    }
    for from in (0..each).step_by(10) {
        for first in (0..CONVERSATIONS).step_by(50) {
            let mut overlay = Overlay::new(&store);
            for place in first..first + 50 {
                put(&mut overlay, place, from, each.min(from + 10));
            }
            commit(&mut writer, overlay);
        }
        while writer.wants_tending() && writer.tend(&[]).unwrap() == Tended::More {}
    }
    writer.sync().unwrap();
}

/// The bytes that this process has read so far.
fn bytes_read() -> u64 {
    let told = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}

/// The child: it shows the first screen, and says how many bytes it read for that.
#[tokio::test]
#[ignore = "it is the other half of the test below, which starts it"]
async fn child_that_shows_a_first_screen() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let before = bytes_read();
    let ann = Device::open(offline(Path::new(&store)), "ann").await;
    let list = ann.client.conversation_list(None).await.unwrap();
    let mut state = ListState::default();
    state.apply(list.next(state.version).await.unwrap().unwrap());
    let first = state.rows.first().unwrap();
    let talk = ann.client.conversation(first.conversation.clone()).unwrap();
    // Offline a gap may stand on either side.
    let page = talk.page(None, MESSAGES as u32 + 2).await.unwrap();
    let messages = page
        .items
        .iter()
        .filter(|it| it.message().is_some())
        .count();
    let bytes = bytes_read() - before;
    println!(
        "rows:{} messages:{messages} bytes:{bytes}",
        state.rows.len()
    );
}

/// The bytes that a first screen reads in a process of its own.
fn first_screen(store: &Path) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cold::child_that_shows_a_first_screen"])
        .args(["--ignored", "--nocapture"])
        .env(STORE, store)
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    let (_, said) = said.split_once("rows:").unwrap_or_else(|| panic!("{said}"));
    let (rows, said) = said.split_once(" messages:").unwrap();
    let (messages, said) = said.split_once(" bytes:").unwrap();
    let rows: usize = rows.parse().unwrap();
    assert!(rows >= ROWS, "{rows} rows");
    let messages: usize = messages.parse().unwrap();
    assert!(messages >= MESSAGES, "{messages} messages");
    said.lines().next().unwrap().parse().unwrap()
}

/// D10: a first screen is shown without a network and reads as much of a store of 100,000 messages as of one of
/// a third, and little of it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_first_screen_reads_the_same_of_any_length_of_history() {
    let folder = tempfile::tempdir().unwrap();
    let mut read = Vec::new();
    for each in [MESSAGES, 100] {
        let store = folder.path().join(each.to_string());
        account(&store, each).await;
        read.push((first_screen(&store), first_screen(&store)));
    }
    println!("bytes at the first opening and at the second: {read:?}");
    for (first, again) in &read {
        assert!(*first < AFTER_COMMITS_MAX && *again < BYTES_MAX, "{read:?}");
    }
    let [(_, short), (_, long)] = read[..] else {
        panic!("two stores");
    };
    assert!(long * 10 <= short * 12, "{read:?}");
}
