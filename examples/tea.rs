//! A chat app in a hundred lines: `cargo run --example tea -- SERVER APP_ID APP_KEY CLIENT_ID STORE_FOLDER`.
//!
//! It shows the least that an app writes to have a live list, a live conversation and a banner. `examples/tui` is the
//! same with everything that people expect.

use std::error::Error;
use std::sync::Arc;

use ratatui::crossterm::event::{self, Event, KeyCode};
use ratatui::layout::{Constraint, Layout};
use ratatui::widgets::{Block, List, Paragraph};
use ratatui::{DefaultTerminal, Frame};
use sampan::model::{AppId, ClientId, MessageKey, OtherDevice};
use sampan::views::{ListState, TimelineState};
use sampan::{
    Client, ClientOptions, ClientState, Config, Conversation, ConversationRow, Delivery, Engine,
    LinkState, ListOptions, SampanError, ServerAddress, SyncState, Timeline, TimelineOptions,
    TimelineStart, TimelineUpdate,
};
use tokio::sync::mpsc;

struct Open {
    talk: Arc<Conversation>,
    timeline: Arc<Timeline>,
    state: TimelineState,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, app, key, me, folder] = &arguments[..] else {
        return Err("usage: tea SERVER APP_ID APP_KEY CLIENT_ID STORE_FOLDER".into());
    };
    let server = ServerAddress::Router { url: url.clone() };
    let engine = Engine::open(Config::new(AppId::new(app)?, key, server, folder))?;
    let ann = engine.client(ClientId::new(me)?, ClientOptions::default());
    let ann = ann.await?;
    ann.go_online(Some(OtherDevice::SignOut))?;
    let shown = show(&mut ratatui::init(), &ann).await;
    ratatui::restore();
    engine.shutdown().await?;
    shown
}

async fn show(terminal: &mut DefaultTerminal, ann: &Client) -> Result<(), Box<dyn Error>> {
    let list = ann.conversation_list(Some(ListOptions::default())).await?;
    let (mut rows, mut state) = (ListState::default(), ann.state());
    let (mut open, mut input, mut chosen) = (None::<Open>, String::new(), 0);
    let mut keys = keys();
    loop {
        terminal.draw(|frame| draw(frame, &rows, &state, open.as_ref(), &input))?;
        // Each `next` may be dropped at any moment and asked again: it is told the version that we have, so nothing
        // is lost.
        tokio::select! {
            Ok(Some(update)) = list.next(rows.version) => rows.apply(update),
            Ok(Some(newer)) = ann.next_state(state.version) => state = newer,
            Some(update) = changed(open.as_ref()) => if let Some(open) = &mut open {
                open.state.apply(update);
                seen(open)?;
            },
            Some(key) = keys.recv() => match key {
                KeyCode::Esc => return Ok(()),
                KeyCode::Char(letter) => input.push(letter),
                KeyCode::Backspace => {
                    input.pop();
                }
                KeyCode::Down => chosen = (chosen + 1) % rows.rows.len().max(1),
                KeyCode::Tab => if let Some(row) = rows.rows.get(chosen) {
                    open = Some(enter(ann, row).await?);
                },
                KeyCode::PageUp => if let Some(open) = &open {
                    open.timeline.load_older(50).await?;
                },
                KeyCode::F(5) => match open.as_ref().and_then(failed) {
                    Some((talk, key)) => {
                        talk.retry(key).await?;
                    }
                    None => ann.retry_now(),
                },
                KeyCode::Enter => if let Some(open) = &open {
                    // Durable when it returns, with a session or without.
                    open.talk.send_text(std::mem::take(&mut input), None).await?;
                },
                _ => {}
            },
        }
    }
}

async fn enter(ann: &Client, row: &ConversationRow) -> Result<Open, SampanError> {
    let talk = ann.conversation(row.conversation.clone())?;
    let options = TimelineOptions {
        start: Some(TimelineStart::FirstUnread),
        ..TimelineOptions::default()
    };
    // The first page is in it: no network was waited for.
    let timeline = talk.timeline(Some(options)).await?;
    let state = TimelineState::default();
    Ok(Open {
        talk,
        timeline,
        state,
    })
}

async fn changed(open: Option<&Open>) -> Option<TimelineUpdate> {
    match open {
        Some(open) => open.timeline.next(open.state.version).await.ok().flatten(),
        None => std::future::pending().await,
    }
}

/// Everything is on the screen: it is read, and gaps fill.
fn seen(open: &Open) -> Result<(), SampanError> {
    let items = &open.state.items;
    match (items.first(), items.last()) {
        (Some(first), Some(last)) => open.timeline.seen(first.key.clone(), last.key.clone()),
        _ => Ok(()),
    }
}

fn failed(open: &Open) -> Option<(Arc<Conversation>, MessageKey)> {
    let mut messages = open.state.items.iter().filter_map(|item| item.message());
    let failed = messages.find(|it| matches!(it.delivery, Some(Delivery::Failed { .. })))?;
    Some((Arc::clone(&open.talk), failed.key.clone()))
}

fn banner(state: &ClientState) -> String {
    match (&state.link, &state.sync) {
        (LinkState::Online, SyncState::CatchingUp { done, total }) => {
            format!("catching up, {done} of {total}")
        }
        (LinkState::Online, _) if state.outbox.failed > 0 => {
            format!("{} not sent: F5", state.outbox.failed)
        }
        (LinkState::Online, _) => String::new(),
        (LinkState::Waiting { retry_at, failure }, _) => {
            format!("offline, next try at {retry_at}: {failure:?}")
        }
        (LinkState::Ended { reason }, _) => format!("signed out: {reason:?}"),
        _ => "connecting …".to_owned(),
    }
}

fn draw(
    frame: &mut Frame<'_>,
    rows: &ListState,
    state: &ClientState,
    open: Option<&Open>,
    input: &str,
) {
    let parts = [
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [top, middle, bottom] = Layout::vertical(parts).areas(frame.area());
    let [left, right] =
        Layout::horizontal([Constraint::Length(30), Constraint::Min(0)]).areas(middle);
    let names = rows.rows.iter().map(|row| {
        let name = row
            .name
            .clone()
            .or_else(|| Some(row.peer.as_ref()?.to_string()));
        format!("{} ({})", name.unwrap_or_default(), row.unread.count)
    });
    let lines = open
        .iter()
        .flat_map(|open| &open.state.items)
        .map(|item| match item.message() {
            Some(it) => format!("{}: {}", it.sender, it.content.words().unwrap_or("…")),
            None => "…".to_owned(),
        });
    frame.render_widget(Paragraph::new(banner(state)), top);
    frame.render_widget(List::new(names).block(Block::bordered()), left);
    frame.render_widget(List::new(lines).block(Block::bordered()), right);
    frame.render_widget(Paragraph::new(input), bottom);
}

/// The keys, from a thread of their own: reading them blocks.
fn keys() -> mpsc::Receiver<KeyCode> {
    let (pressed, keys) = mpsc::channel(64);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Event::Key(key) = event
                && pressed.blocking_send(key.code).is_err()
            {
                return;
            }
        }
    });
    keys
}
