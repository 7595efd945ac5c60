//! The cost of live views, over a real store: `cargo xtask bench views`.
//!
//! A row of a window says how much of a processor's time one update takes: reading the window at one commit,
//! comparing it with the one that the collector holds, and making the edits. The commit of the change is not part of
//! the update. A collector that sleeps is measured by the time that it takes when it asks again.

#![expect(
    clippy::disallowed_methods,
    reason = "a bench is a program of its own, and reads the clock"
)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use sampan::model::{
    ClientId, ConversationId, Mentions, Message, MessageId, MessageState, Timestamp,
};
use sampan::store::{
    CommitClass, ConversationNumber, ConversationRow, Opened, Overlay, Position, Store,
    StoreOptions, Writer,
};
use sampan::views::{
    Dirty, ListOptions, ListState, ListView, Reach, TimelineOptions, TimelineState, TimelineView,
    Version, difference,
};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The most of a processor that an update of a window of 50 may take, in microseconds.
const UPDATE_MAX_US: f64 = 50.0;

/// The most that a view of 600 items may take, in KiB: four windows that share their items.
const VIEW_MAX_KIB: f64 = 1_024.0;

/// The number of views that are measured together.
const VIEWS: u32 = 100;

/// The number of messages that one commit writes where nobody looks.
const BATCH: u32 = 100;

fn main() -> Outcome<()> {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let pick = |full: u32, quick: u32| if is_quick { quick } else { full };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut world = World::open(&folder.path().join("one"))?;
    world.say_many(1_000)?;
    let mut rows = Vec::new();
    for window in [50, 600] {
        rows.extend(world.timeline(window, pick(2_000, 200))?);
    }
    for window in [50, 600] {
        rows.push(world.memory(window)?);
    }
    rows.extend(world.sleep(1_000)?);
    rows.extend(world.sleep(pick(100_000, 5_000))?);
    rows.extend(lists(
        &folder.path().join("many"),
        pick(10_000, 1_000),
        pick(1_000, 100),
    )?);
    println!("{}", Value::Array(rows));
    Ok(())
}

/// A store with one conversation.
struct World {
    store: Store,
    writer: Writer,
    id: ConversationId,
    number: ConversationNumber,
    said: u32,
}

impl World {
    fn open(folder: &Path) -> Outcome<Self> {
        let Opened {
            store, mut writer, ..
        } = open(folder)?;
        let id = ConversationId::new("5f0c1d2e3a4b5c6d7e8f9a0b")?;
        let mut overlay = Overlay::new(&store);
        let number = overlay.create_conversation(ConversationRow::unknown(id.clone()))?;
        writer.commit(overlay.into_batch(), CommitClass::Cache)?;
        Ok(Self {
            store,
            writer,
            id,
            number,
            said: 0,
        })
    }

    /// Commits so many messages, as the receiver does.
    fn say(&mut self, count: u32) -> Outcome<()> {
        let mut overlay = Overlay::new(&self.store);
        for _ in 0..count {
            overlay.put_message(self.number, &message(&self.id, self.said)?)?;
            self.said += 1;
        }
        let (first, last) = (position(0)?, position(self.said - 1)?);
        overlay.update_conversation(self.number, |row| row.history.hold(first, last))?;
        self.writer
            .commit(overlay.into_batch(), CommitClass::Cache)?;
        Ok(())
    }

    fn say_many(&mut self, count: u32) -> Outcome<()> {
        for _ in 0..count.div_ceil(BATCH) {
            self.say(BATCH)?;
        }
        Ok(())
    }

    fn refresh(&self, view: &mut TimelineView) -> Outcome<()> {
        Ok(view.refresh(&self.store.snapshot(), &self.id, Reach::Online)?)
    }

    /// Messages that come one by one to a window at the live end.
    fn timeline(&mut self, window: u32, messages: u32) -> Outcome<Vec<Value>> {
        let mut view = TimelineView::new(TimelineOptions {
            page: window.min(500),
            window_max: window.max(100),
            ..TimelineOptions::default()
        });
        let mut state = TimelineState::default();
        self.refresh(&mut view)?;
        while let (true, Some(missing)) =
            (state.version == Version::NONE, view.update(state.version))
        {
            state.apply(missing);
        }
        let mut took = Vec::new();
        for _ in 0..messages {
            self.say(1)?;
            let began = Instant::now();
            self.refresh(&mut view)?;
            let update = view.update(state.version).ok_or("nothing changed")?;
            took.push(began.elapsed());
            state.apply(update);
        }
        let items = state.items.clone();
        let name = format!("an update of a timeline with a window of {}", items.len());
        let target = (window == 50).then_some(UPDATE_MAX_US);
        let mut rows = vec![row(&name, median_us(&mut took), target)];
        let mut newer = items.clone();
        let moved = newer.remove(0);
        newer.push(moved);
        let mut took: Vec<_> = (0..messages)
            .map(|_| {
                let began = Instant::now();
                std::hint::black_box(difference(&items, &newer));
                began.elapsed()
            })
            .collect();
        let name = format!("the difference of two windows of {}", items.len());
        rows.push(row(&name, median_us(&mut took), None));
        Ok(rows)
    }

    /// A collector that sleeps while messages come in, and then asks once.
    fn sleep(&mut self, messages: u32) -> Outcome<Vec<Value>> {
        let mut view = TimelineView::new(TimelineOptions::default());
        self.refresh(&mut view)?;
        let have = view.version();
        self.say_many(messages)?;
        let made = view.version().0.saturating_sub(have.0);
        let began = Instant::now();
        self.refresh(&mut view)?;
        let update = view.update(have).ok_or("nothing changed")?;
        let took = began.elapsed();
        std::hint::black_box(update);
        let update = format!("the update after {messages} messages that nobody looked at");
        let kept = format!("windows kept for that while {messages} messages came");
        Ok(vec![
            row(&update, us(took), None),
            row_of(&kept, f64::from(u32::try_from(made)?), "windows", Some(0.0)),
        ])
    }

    /// The memory that the process takes more for each of many views of the same window, after four updates.
    fn memory(&mut self, window: u32) -> Outcome<Value> {
        let options = TimelineOptions {
            page: window.min(500),
            window_max: window.max(100),
            ..TimelineOptions::default()
        };
        let before = resident()?;
        let mut views: Vec<_> = (0..VIEWS)
            .map(|_| TimelineView::new(options.clone()))
            .collect();
        for _ in 0..4 {
            self.say(1)?;
            for view in &mut views {
                self.refresh(view)?;
            }
        }
        let grown = resident()?.saturating_sub(before);
        std::hint::black_box(&views);
        let each = f64::from(u32::try_from(grown / 1024)?) / f64::from(VIEWS);
        let name = format!("what a view of {} items takes", window.min(500));
        let most = (window == 600).then_some(VIEW_MAX_KIB);
        Ok(row_of(&name, each, "KiB", most))
    }
}

/// Messages that come to one of many conversations.
fn lists(folder: &Path, conversations: u32, messages: u32) -> Outcome<Vec<Value>> {
    let Opened {
        store, mut writer, ..
    } = open(folder)?;
    let mut numbers = Vec::new();
    for from in (0..conversations).step_by(100) {
        let mut overlay = Overlay::new(&store);
        for index in from..(from + 100).min(conversations) {
            let id = ConversationId::new(format!("{index:024x}"))?;
            let number = overlay.create_conversation(ConversationRow::unknown(id.clone()))?;
            overlay.put_message(number, &message(&id, index)?)?;
            numbers.push((number, id));
        }
        writer.commit(overlay.into_batch(), CommitClass::Cache)?;
    }
    let mut view = ListView::new(ListOptions::default());
    let began = Instant::now();
    view.refresh(&store.snapshot(), &Dirty::Everything, Reach::Online)?;
    let first = began.elapsed();
    let mut state = ListState::default();
    state.apply(view.update(state.version).ok_or("an empty list")?);
    let mut took = Vec::new();
    for index in 0..messages {
        let at = (index as usize).wrapping_mul(7919) % numbers.len();
        let (number, id) = numbers.get(at).ok_or("no conversation")?;
        let mut overlay = Overlay::new(&store);
        overlay.put_message(*number, &message(id, conversations + index)?)?;
        let batch = overlay.into_batch();
        let dirty = Dirty::These(batch.touched());
        writer.commit(batch, CommitClass::Cache)?;
        let began = Instant::now();
        view.refresh(&store.snapshot(), &dirty, Reach::Online)?;
        let update = view.update(state.version).ok_or("nothing changed")?;
        took.push(began.elapsed());
        state.apply(update);
    }
    let name = format!("an update of a list of {conversations} conversations, 50 shown");
    let opening = format!("the first window of a list of {conversations} conversations");
    Ok(vec![
        row(&name, median_us(&mut took), None),
        row(&opening, us(first), None),
    ])
}

fn open(folder: &Path) -> Outcome<Opened> {
    let options = StoreOptions::new(folder, ClientId::new("ann")?, Timestamp::ZERO);
    Ok(Store::open(&options)?)
}

fn position(index: u32) -> Outcome<Position> {
    Ok(Position {
        sent_at: Timestamp::from_millis(1_700_000_000_000 + i64::from(index)),
        id: MessageId::new(format!("{index:022x}"))?,
    })
}

fn message(conversation: &ConversationId, index: u32) -> Outcome<Message> {
    let Position { sent_at, id } = position(index)?;
    let mut words = format!("message {index}: ");
    while words.len() < 100 {
        words.push_str("the quick brown fox jumps over the lazy dog; ");
    }
    Ok(Message {
        conversation: conversation.clone(),
        id: Some(id),
        local_id: None,
        sender: ClientId::new("ben")?,
        sent_at,
        content: sampan::model::MessageContent::text(words),
        mentions: Mentions::default(),
        state: MessageState::Sent,
        edited_at: None,
        transient: false,
        change: None,
    })
}

fn us(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

fn median_us(took: &mut [Duration]) -> f64 {
    took.sort_unstable();
    took.get(took.len() / 2).copied().map_or(f64::NAN, us)
}

/// The memory that the process takes, in bytes.
fn resident() -> Outcome<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split_whitespace().nth(1).ok_or("no figure")?;
    Ok(pages.parse::<u64>()?.saturating_mul(4096))
}

/// A row for `cargo xtask bench`, with the most that the figure may be.
fn row(name: &str, value: f64, most: Option<f64>) -> Value {
    row_of(name, value, "µs", most)
}

fn row_of(name: &str, value: f64, unit: &str, most: Option<f64>) -> Value {
    eprintln!("{name}: {value:.1} {unit}");
    json!({
        "name": name, "value": value, "unit": unit, "peer": null, "ratio": null,
        "target": most.map(|most| format!("at most {most} {unit}")),
        "pass": most.is_none_or(|most| value <= most),
    })
}
