//! Caches as the SDKs of the field wrote them, read.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic in a test is a failing test"
)]

mod drafts;
mod files;
mod java;
mod objc;
mod swift;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sampan_legacy::{Cache, Kind, LegacyError, Message, Payload, Reason, Source};

/// A folder with one cache in it, which stays as its SDK would leave it.
struct Phone {
    folder: tempfile::TempDir,
    connection: Connection,
}

impl Phone {
    /// A new file, with its tables.
    fn with(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("cache")).unwrap();
        connection.execute_batch(schema).unwrap();
        Self { folder, connection }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn does(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    fn reads(&self) -> Cache {
        read(&self.path()).unwrap()
    }
}

/// Reads the cache of ann in my-app.
fn read(path: &Path) -> Result<Cache, LegacyError> {
    let scratch = tempfile::tempdir().unwrap();
    let source = Source {
        path,
        scratch: scratch.path(),
        client: "ann",
        app: "my-app",
    };
    let cache = sampan_legacy::read(&source, &mut |_, _| ControlFlow::Continue(()));
    let left = scratch.path().read_dir().unwrap().count();
    assert_eq!(left, 0, "the copy is removed");
    cache
}

/// The archive that `archives/make.py` wrote, as SQL spells bytes.
fn archive(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/archives");
    let bytes = std::fs::read(folder.join(name).with_extension("plist")).unwrap();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

/// A message in a line: its place, its sender and what it says.
fn line(message: &Message) -> String {
    let says = match &message.payload {
        None => "(lost)".to_owned(),
        Some(Payload::Text(text)) => text.clone(),
        Some(Payload::Bytes(bytes)) => format!("{bytes:?}"),
    };
    let sender = message.sender.as_deref().unwrap_or("?");
    let place = &message.place;
    format!(
        "{}/{} {} {sender}: {says}",
        message.conversation, place.at, place.id
    )
}

fn lines(cache: &Cache) -> Vec<String> {
    cache.messages.iter().map(line).collect()
}

/// The runs of a cache, by the ids at their ends.
fn runs(cache: &Cache) -> Vec<String> {
    let runs = cache.runs.iter();
    runs.map(|run| format!("{}-{}", run.from.id, run.to.id))
        .collect()
}

fn reasons(cache: &Cache) -> Vec<Reason> {
    cache.left.iter().map(|left| left.reason).collect()
}

#[test]
fn a_file_without_tables_of_any_sdk_is_an_empty_cache() {
    let cache = Phone::with("CREATE TABLE other (x)").reads();
    assert_eq!((cache.kind, cache.rows), (None, 0));
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(read(empty.path()).unwrap().kind, None::<Kind>);
}
