//! A committed store of each released schema is opened, and shows what was written then.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::Secret;
use crate::model::{Details, Json, MediaFile, Unread};
use crate::store::disk::RealDisk;
use crate::store::disk::identity::Identity;
use crate::store::error::StoreError;
use crate::store::format::key;
use crate::store::format::messagepack::encode;
use crate::store::format::record::SCHEMA;
use crate::store::read::items::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::tree::KvBatch;
use crate::store::types::position::HistoryStart;

fn fixture(schema: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store-{schema}"))
}

fn options(folder: &Path) -> StoreOptions {
    StoreOptions::new(folder, client("me"), at(1_700_000_000_000))
}

/// Something of everything that is not a pack.
fn write(overlay: &mut Overlay<'_>) {
    let number = overlay.create_conversation(row("c")).unwrap();
    let mut second = message("other", 2, "");
    second.content = MessageContent::Image {
        file: MediaFile {
            url: "https://files.example.org/1.png".to_owned(),
            size: Some(12_345),
            width: Some(640),
            ..MediaFile::default()
        },
        caption: Some("a boat".to_owned()),
        details: Details {
            attributes: Some(Json::parse("{\"mood\":\"calm\"}").unwrap()),
            extra: None,
        },
    };
    second.mentions.clients.push(client("me"));
    overlay
        .put_message(number, &message("me", 1, "hello"))
        .unwrap();
    overlay.put_message(number, &second).unwrap();
    overlay
        .update_conversation(number, |row| {
            row.name = Some("harbour".to_owned());
            row.members = vec![client("me"), client("other")];
            row.unread = Unread {
                count: 1,
                at_least: false,
                mentioned: true,
            };
            row.history.hold(position(1), position(2));
            row.history.set_start(HistoryStart::Reached);
        })
        .unwrap();
    let made = overlay.create_conversation(row("local:1")).unwrap();
    overlay
        .assign_id(&conversation_id("local:1"), &conversation_id("d"))
        .unwrap();
    overlay
        .enqueue(made, local("l1"), at(3), send("unsent"))
        .unwrap();
    overlay.update_session(|session| session.token = Some(Secret::new("token")));
}

/// Packs, hot ones and sealed ones.
fn write_packs(overlay: &mut Overlay<'_>) {
    let number = overlay.create_conversation(row("e")).unwrap();
    for n in 1..=MANY {
        let text = format!("message {n}");
        overlay
            .put_message(number, &message("other", n, &text))
            .unwrap();
    }
    overlay
        .update_conversation(number, |row| row.history.hold(position(1), position(MANY)))
        .unwrap();
}

/// Newest messages that lie with the row, after a message that is too large for that.
fn write_tail(overlay: &mut Overlay<'_>) {
    let number = overlay.create_conversation(row("f")).unwrap();
    for n in 1..=4 {
        overlay
            .put_message(number, &message("other", n, &of_tail(n)))
            .unwrap();
    }
    overlay
        .update_conversation(number, |row| {
            row.history.hold(position(1), position(4));
            row.history.set_start(HistoryStart::Reached);
        })
        .unwrap();
}

fn of_tail(n: i64) -> String {
    let times = if n == 2 { 1_000 } else { 1 };
    format!("message {n}").repeat(times)
}

fn check_tail(store: &Store) {
    let snapshot = store.snapshot();
    let found = snapshot.conversation_by_id(&conversation_id("f")).unwrap();
    let (number, _) = found.unwrap();
    let tail = snapshot.tail(number).unwrap().unwrap();
    let pack = snapshot.opened_tail(number, &tail).pack.unwrap();
    assert_eq!(pack.slots.len(), 2);
    let page = snapshot.page_before(number, None, 10).unwrap();
    let words = page.items.iter().map(|item| {
        let message = item.message().unwrap();
        message.content.words().unwrap().to_owned()
    });
    assert_eq!(
        words.collect::<Vec<_>>(),
        [1, 2, 3, 4].map(of_tail).to_vec()
    );
}

const MANY: i64 = 100;

fn check_packs(store: &Store) {
    let snapshot = store.snapshot();
    let (number, _) = snapshot
        .conversation_by_id(&conversation_id("e"))
        .unwrap()
        .unwrap();
    let page = snapshot.page_before(number, None, 500).unwrap();
    let words = page.items.iter().filter_map(TimelineItem::message);
    let words: Vec<_> = words.filter_map(|m| m.content.words()).collect();
    let written: Vec<_> = (1..=MANY).map(|n| format!("message {n}")).collect();
    assert_eq!(words, written);
    let gaps = page.items.len() - words.len();
    assert_eq!(gaps, 1, "what is before the first message is not known");
}

/// Writes a fixture of the current schema.
fn write_fixture(folder: &Path) {
    let mut opened = Store::open(&options(folder)).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    write(&mut overlay);
    opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Intent)
        .unwrap();
    let mut overlay = Overlay::new(&opened.store);
    write_packs(&mut overlay);
    write_tail(&mut overlay);
    opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Cache)
        .unwrap();
    drop(opened);
    fs::remove_file(folder.join("lock")).unwrap();
}

/// A fixture is checked for the content that it is written with. With `SAMPAN_REGENERATE=1` the test writes
/// the fixture of a schema that is about to be released, and never one that was.
#[test]
fn a_fixture_that_is_written_now_shows_the_same() {
    let folder = tempfile::tempdir().unwrap();
    write_fixture(folder.path());
    let committed = fixture(SCHEMA);
    if std::env::var_os("SAMPAN_REGENERATE").is_some() && !committed.exists() {
        damage::copy(folder.path(), &committed);
    }
    check(folder.path());
}

/// Messages come to a store that was brought forward, behind those that it had.
fn goes_on(mut opened: Opened, folder: &Path) {
    let mut overlay = Overlay::new(&opened.store);
    let found = overlay.snapshot().number(&conversation_id("c")).unwrap();
    let number = found.unwrap();
    for n in 3..=30 {
        overlay
            .put_message(number, &message("other", n, "since"))
            .unwrap();
    }
    let hold = |row: &mut ConversationRow| row.history.hold(position(2), position(30));
    overlay.update_conversation(number, hold).unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
    drop(opened);
    let again = Store::open(&options(folder)).unwrap();
    assert!(!again.report.found_damage());
    let page = again.store.snapshot().page_before(number, None, 50);
    let items = page.unwrap().items;
    assert_eq!(items.len(), 30, "no message is lost, and no gap is shown");
}

#[test]
fn the_fixture_of_each_released_schema_opens_and_shows_what_was_written() {
    for schema in 1..=SCHEMA {
        let folder = tempfile::tempdir().unwrap();
        damage::copy(&fixture(schema), folder.path());
        check(folder.path());
    }
}

fn check(folder: &Path) {
    let opened = Store::open(&options(folder)).unwrap();
    assert!(!opened.report.found_damage() && !opened.report.created);
    check_list(&opened.store);
    check_talks(&opened.store);
    check_packs(&opened.store);
    check_tail(&opened.store);
    goes_on(opened, folder);
}

/// Checks the conversations that [`write`] wrote.
fn check_talks(store: &Store) {
    let snapshot = store.snapshot();
    let (number, row) = snapshot
        .conversation_by_id(&conversation_id("c"))
        .unwrap()
        .unwrap();
    assert_eq!(row.name.as_deref(), Some("harbour"));
    assert_eq!(snapshot.unread_totals().all.mentioning, 1);
    let page = snapshot.page_before(number, None, 10).unwrap();
    let messages = page.items.iter().map(|item| item.message().unwrap());
    let words: Vec<_> = messages.collect();
    assert_eq!(words[0].content.words(), Some("hello"));
    let MessageContent::Image { file, .. } = &words[1].content else {
        panic!()
    };
    assert_eq!(file.size, Some(12_345));
    let by_old_id = snapshot
        .conversation_by_id(&conversation_id("local:1"))
        .unwrap();
    let (made, row) = by_old_id.unwrap();
    assert_eq!(row.id, conversation_id("d"));
    let page = snapshot.page_before(made, None, 10).unwrap();
    assert!(matches!(page.items.last(), Some(TimelineItem::Echo { .. })));
    assert_eq!(snapshot.session().token, Some(Secret::new("token")));
}

/// The bytes of every file of a store's folder but its lock.
fn bytes_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = crate::store::recovery::scan::files(folder).unwrap();
    let kept = files.into_iter().filter(|path| !path.ends_with("lock"));
    kept.map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_store_of_a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    write_fixture(folder.path());
    let disk = RealDisk::new(folder.path());
    let mut identity = Identity::read(&disk).unwrap().unwrap();
    identity.schema = SCHEMA + 1;
    identity.write(&disk).unwrap();
    let before = bytes_of(folder.path());
    let refused = Store::open(&options(folder.path())).map(drop);
    let too_new = StoreError::TooNew {
        found: SCHEMA + 1,
        supported: SCHEMA,
    };
    assert_eq!(refused, Err(too_new));
    assert_eq!(bytes_of(folder.path()), before);
}

/// As after a kill between the last step of a newer version and the identity.
#[test]
fn a_tree_of_a_newer_schema_is_refused_whatever_the_identity_says() {
    let disk = MemoryDisk::new(1);
    let mut opened = Store::in_memory(&disk, client("me")).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    overlay.create_conversation(row("c")).unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
    let (mut meta, kv) = {
        let tables = opened.store.shared.read();
        (tables.meta, std::sync::Arc::clone(&tables.kv))
    };
    meta.schema = SCHEMA + 1;
    let codec = &opened.store.shared.codec;
    let mut batch = KvBatch::default();
    let payload = encode(&meta).unwrap();
    let value = codec.frame(&key::meta(), &payload, meta.seq).unwrap();
    batch.put(key::meta(), value);
    kv.apply(&batch).unwrap();
    drop((opened, kv));
    let refused = Store::in_memory(&disk, client("me")).map(drop);
    assert!(
        matches!(refused, Err(StoreError::TooNew { .. })),
        "{refused:?}"
    );
}
