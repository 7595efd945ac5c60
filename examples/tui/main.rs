//! A chat in a terminal: `cargo run --release --example tui -- --demo`.
//!
//! The program does what an app does with the live views, and nothing else: it asks the list, the open conversation,
//! the outbox and the state of the connection each for the changes since the version that it holds.

mod demo;
#[path = "../support/mod.rs"]
mod support;
mod ui;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use sampan::model::{AppId, ClientId, Timestamp};
use sampan::{Client, ClientOptions, Config, Engine, ServerAddress};
use tokio::sync::mpsc;

use demo::Demo;
use support::Outcome;
use ui::{App, Flow, draw};

const USAGE: &str = "usage: tui --demo [--offline]
       tui SERVER APP_ID APP_KEY CLIENT_ID STORE_FOLDER [--offline]

--demo     starts a service in this process, with real history and companions that chat
--offline  does not connect: everything that is on this device is there; F4 goes online";

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.len();
    arguments.retain(|argument| argument != "--offline");
    let is_offline = arguments.len() < count;
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--demo"] => {
            println!("Playing recorded conversations into a service in this process …");
            let demo = Demo::start().await?;
            let (engine, client) = demo.client().await?;
            demo.chat().await?;
            run(engine, client, is_offline).await?;
            demo.stop().await;
            Ok(())
        }
        [server, app, key, client, folder] => {
            let server = ServerAddress::Router {
                url: (*server).to_owned(),
            };
            let config = Config::new(AppId::new(*app)?, *key, server, PathBuf::from(folder));
            let engine = Engine::open(config)?;
            let client = engine.client(ClientId::new(*client)?, ClientOptions::default());
            let client = client.await?;
            run(engine, client, is_offline).await
        }
        _ => Err(USAGE.into()),
    }
}

async fn run(engine: Arc<Engine>, client: Arc<Client>, is_offline: bool) -> Outcome<()> {
    if !is_offline {
        client.go_online(None)?;
    }
    let mut app = App::open(client, demo::name).await?;
    let mut terminal = ratatui::try_init()?;
    let outcome = show(&mut terminal, &mut app).await;
    ratatui::restore();
    engine.shutdown().await?;
    outcome
}

/// Draws, and waits for a key or for news.
async fn show(terminal: &mut DefaultTerminal, app: &mut App) -> Outcome<()> {
    let mut keys = keys();
    loop {
        app.tick(now());
        let mut shown = None;
        terminal.draw(|frame| shown = draw(frame, app))?;
        app.drawn(shown);
        let counts_down = app.counts_down();
        tokio::select! {
            is_open = app.changed() => if !is_open? {
                return Ok(());
            },
            key = keys.recv() => match key {
                Some(Some(key)) => if app.key(key).await == Flow::Quit {
                    return Ok(());
                },
                // The window has another size.
                Some(None) => {}
                None => return Ok(()),
            },
            () = tokio::time::sleep(Duration::from_secs(1)), if counts_down => {}
        }
    }
}

/// The keys, from a thread of their own: reading them blocks. None stands for another size.
fn keys() -> mpsc::Receiver<Option<KeyEvent>> {
    let (pressed, keys) = mpsc::channel(64);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let told = match event {
                Event::Key(key) if key.kind == KeyEventKind::Press => Some(key),
                Event::Resize(..) => None,
                _ => continue,
            };
            if pressed.blocking_send(told).is_err() {
                return;
            }
        }
    });
    keys
}

#[expect(
    clippy::disallowed_methods,
    reason = "a screen shows how long it is until a time; the library asks its own clock"
)]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
