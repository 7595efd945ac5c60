//! The crawl against a strict double of the hosted interface.
//!
//! | file | what it holds |
//! |---|---|
//! | `fake.rs` | the double |
//! | `archive.rs` | the format: archives of earlier builds, damage |
//! | `crawl.rs` | what is saved |
//! | `trouble.rs` | services that fail, damaged archives, full disks |
//! | `kill.rs` | the program killed at any request |
//! | `hostile.rs` | exports that are cut off or damaged, sources at odds with each other |
//! | `load.rs` | what is loaded into a service |
//! | `service.rs` | from one service of our own into another |

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic in a test is a failing test"
)]

mod archive;
mod crawl;
mod fake;
mod hostile;
mod kill;
mod load;
mod service;
mod trouble;

use std::path::Path;
use std::time::Duration;

use fake::{APP, Fake, FakeRow, KEY, json_of};
use sampan_migrate::archive::Archive;
use sampan_migrate::core::compare::{Change, Merged};
use sampan_migrate::core::pace::Limits;
use sampan_migrate::crawl::{CrawlError, CrawlOptions, CrawlReport, Progress};
use sampan_migrate::http::{MasterKey, Server, ServerOptions};
use sampan_migrate::merged::Messages;
use serde_json::Value;

/// Options as the program has them, but without its patience.
fn options(archive: &Path) -> CrawlOptions {
    CrawlOptions {
        archive: archive.to_owned(),
        keeps_addresses: false,
        since: 0,
        slice_ms: 10 * fake::DAY,
        workers: 4,
        limits: Limits {
            start: 6e6,
            ceiling: 6e6,
            cool_down: Duration::from_millis(20),
        },
        tries: 20,
        retry_wait: Duration::from_millis(1),
        settle: Duration::from_secs(10),
        again: false,
        tables: Vec::new(),
        check_percent: 0.0,
        attachments: None,
        follow: None,
    }
}

fn server(fake: &Fake) -> Server {
    server_as(fake, APP, KEY)
}

fn server_as(fake: &Fake, app: &str, key: &str) -> Server {
    Server::new(ServerOptions {
        url: fake.url.clone(),
        app: app.to_owned(),
        key: MasterKey::new(key).unwrap(),
        timeout: Duration::from_millis(2000),
        may_be_clear: false,
    })
    .unwrap()
}

async fn run(fake: &Fake, options: &CrawlOptions) -> Result<CrawlReport, CrawlError> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let progress = Progress::hidden();
    let crawl = sampan_migrate::crawl::run(server(fake), options, &progress, stopped);
    let report = tokio::time::timeout(Duration::from_secs(60), crawl).await;
    drop(stop);
    report.expect("a crawl of a small history ends")
}

/// All messages of an archive, newest first.
fn messages(archive: &Path) -> Vec<Merged> {
    let manifest = Archive::read(archive).unwrap();
    let mut messages = Messages::of(archive, &manifest);
    let mut found = Vec::new();
    while let Some((group, odd)) = messages.next_group().unwrap() {
        assert_eq!(odd, []);
        found.extend(group);
    }
    found
}

/// The messages as comparable rows.
fn rows(archive: &Path) -> Vec<Value> {
    let mut rows: Vec<Value> = messages(archive)
        .iter()
        .map(|one| serde_json::from_str(&one.latest.row.raw).unwrap())
        .collect();
    rows.sort_by_key(Value::to_string);
    rows
}

/// The rows that an archive of these rows must hold.
fn expected(rows: &[FakeRow]) -> Vec<Value> {
    let mut rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut row = json_of(row);
            row.as_object_mut().unwrap().remove("from-ip");
            row
        })
        .collect();
    rows.sort_by_key(Value::to_string);
    rows
}

/// The rows of messages in the ledger: more than there are messages when a message was read twice.
fn raw_rows(archive: &Path) -> u64 {
    let segments = Archive::read(archive).unwrap().segments;
    segments
        .iter()
        .filter(|one| one.slice.is_some())
        .map(|one| one.rows)
        .sum()
}

/// The messages that changed between readings, by id.
fn changes(archive: &Path) -> Vec<(String, Change)> {
    let mut found: Vec<_> = messages(archive)
        .into_iter()
        .filter_map(|one| Some((one.latest.row.id, one.change?)))
        .collect();
    found.sort();
    found
}
