//! The engine's main paths, each beside a peer in the same run: `cargo xtask bench spine`.
//!
//! | file | what it measures |
//! |---|---|
//! | `enqueue.rs` | making a message durable, beside a raw append and `fdatasync` |
//! | `receive.rs` | from the service into the store, beside the official JavaScript SDK; an idle engine |
//! | `catchup.rs` | an absence of 100,000 messages in 1,000 conversations, beside the same SDK: `cargo xtask bench catchup` |
//! | `page.rs` | the newest twenty messages, out of the store and through the API |
//! | `measure.rs` | percentiles, rows, and what the system says of a process |
//!
//! Each receiver runs as a process of its own, so that its share of the processor can be told from the service's,
//! which runs in this one. Progress and conditions go to standard error, the rows to standard output. Processes are
//! measured from `/proc`; where there is none, the bench says so and fails.

mod catchup;
mod enqueue;
mod measure;
mod page;
mod receive;
#[path = "../../examples/support/mod.rs"]
mod support;

use std::path::Path;

use sampan::model::{AppId, ClientId, MessageContent};
use sampan::{Config, Limits, ServerAddress};
use serde_json::Value;
use support::Outcome;

const APP: &str = "spine";
const KEY: &str = "spine-key";

/// Makes this program a device that receives instead of the bench.
const RECEIVE_MODE: &str = "--receive";

/// Makes this program a device that comes back after an absence.
const CATCH_UP_MODE: &str = "--catch-up";

/// The amount of work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// All of it: the figures that we publish.
    Full,
    /// A fraction, to see that nothing is far off.
    Quick,
}

impl Pace {
    const fn pick(self, full: u32, quick: u32) -> u32 {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, rest @ ..] = arguments.as_slice()
        && mode == RECEIVE_MODE
    {
        return receive::device(rest);
    }
    if let [mode, rest @ ..] = arguments.as_slice()
        && mode == CATCH_UP_MODE
    {
        return catchup::device(rest);
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let pace = if is_quick { Pace::Quick } else { Pace::Full };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let is_absence = arguments.iter().any(|argument| argument == "--absence");
    let rows = runtime.block_on(async {
        match is_absence {
            true => absence(pace).await,
            false => bench(pace).await,
        }
    })?;
    println!("{}", Value::Array(rows));
    Ok(())
}

async fn absence(pace: Pace) -> Outcome<Vec<Value>> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    eprintln!("conditions: {}", measure::conditions());
    catchup::rows(folder.path(), pace).await
}

async fn bench(pace: Pace) -> Outcome<Vec<Value>> {
    // In the build's own folder: the system's folder for temporary files may be memory, which syncs in no time.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    eprintln!("conditions: {}", measure::conditions());
    let mut rows = enqueue::rows(&folder.path().join("enqueue"), pace).await?;
    rows.extend(page::rows(&folder.path().join("page"), pace).await?);
    rows.extend(receive::rows(&folder.path().join("receive"), pace).await?);
    Ok(rows)
}

/// The configuration of an engine whose stores are in `folder`.
fn config(server: &str, folder: &Path) -> Outcome<Config> {
    let server = ServerAddress::Router {
        url: server.to_owned(),
    };
    let mut config = Config::new(AppId::new(APP)?, KEY, server, folder);
    config.limits = Limits::unthrottled();
    Ok(config)
}

/// An address where nobody answers, for engines that stay offline.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The client whose device is measured.
fn owner() -> Outcome<ClientId> {
    Ok(ClientId::new("ann")?)
}

/// A text of 200 bytes, another one for each number.
fn words(number: u32) -> String {
    let mut text = format!("message {number}: ");
    while text.len() < 200 {
        text.push_str("the quick brown fox jumps over the lazy dog; ");
    }
    text.truncate(200);
    text
}

fn content(number: u32) -> MessageContent {
    MessageContent::text(words(number))
}
