//! Archives and exports, loaded into the data folder of a service.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use sampan::model::{AppId, Timestamp};
use sampan_migrate::load::{self, Destination, Fate, LoadError, LoadReport};
use sampan_service::storage::{Body, Message, Order, RedbStorage, Span, Storage as _, Write};
use serde_json::{Value, json};

use crate::fake::{APP, DAY, Fake, FakeRow, NOW, history};
use crate::{options, run, server};
use sampan_migrate::crawl::{CrawlOptions, Progress};

pub(crate) fn sources(data: &Path, archives: &[&Path], exports: &[&Path]) -> load::LoadOptions {
    load::LoadOptions {
        into: Destination::Folder(data.to_owned()),
        app: APP.to_owned(),
        archives: archives.iter().map(|path| path.to_path_buf()).collect(),
        exports: exports.iter().map(|path| path.to_path_buf()).collect(),
        report: Some(data.with_extension("report")),
        takes_any_export: false,
    }
}

pub(crate) async fn load_into(data: &Path, archives: &[&Path], exports: &[&Path]) -> LoadReport {
    load::run(&sources(data, archives, exports)).await.unwrap()
}

/// All that a service keeps of the app, as text.
pub(crate) async fn dump(data: &Path) -> String {
    let storage = RedbStorage::open_folder(data).unwrap();
    let app = AppId::new(APP).unwrap();
    let mut text = String::new();
    for conversation in storage.conversations(&app, None, usize::MAX).await.unwrap() {
        text.push_str(&format!("{conversation:?}\n"));
        for member in storage
            .members(&app, &conversation.id, usize::MAX)
            .await
            .unwrap()
        {
            text.push_str(&format!("  {member:?}\n"));
        }
        for message in messages(&storage, conversation.id.as_str()).await {
            let words = match &message.body {
                Body::Text(text) => text.clone(),
                Body::Binary(bytes) => format!("{bytes:?}"),
            };
            text.push_str(&format!("  {message:?} {words}\n"));
        }
    }
    text
}

async fn messages(storage: &RedbStorage, conversation: &str) -> Vec<Message> {
    let app = AppId::new(APP).unwrap();
    let id = conversation.try_into().unwrap();
    let span = Span::default();
    let all = storage.messages(&app, &id, &span, Order::OldestFirst, usize::MAX);
    all.await.unwrap()
}

pub(crate) fn iso(at: i64) -> String {
    sampan::wire::iso::format(Timestamp::from_millis(at))
}

/// A table of the conversations of [`history`], as it was at a time.
pub(crate) fn table(at: i64, extra: &str) -> Vec<Value> {
    (0..9)
        .map(|index| {
            json!({
                "objectId": format!("conv{index}"), "name": format!("name {extra}"), "c": "client0",
                "m": ["client0", "client1", format!("client{}", index % 5)], "mu": ["client1"],
                "attr": { "deep": [1, { "x": null }] }, "custom": 0.1, "ACL": { "*": { "read": true } },
                "unique": true, "uniqueId": "theirs", "lm": { "__type": "Date", "iso": iso(NOW) },
                "createdAt": iso(NOW - 300 * DAY + index), "updatedAt": iso(at),
            })
        })
        .collect()
}

pub(crate) fn lines(rows: &[Value]) -> String {
    let mut text =
        "#filetype:JSON-streaming {\"type\":\"Class\",\"class\":\"_Conversation\"}\n".to_owned();
    for row in rows {
        text.push_str(&format!("{row}\n"));
    }
    text
}

pub(crate) fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes.as_ref()).unwrap();
    packer.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_history_has_its_ids_times_order_and_content() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = history(7, 500, 9);
    rows[10].data = json!({ "_lctype": -127 }).to_string();
    let fake = Fake::start(rows.clone()).await;
    let archive = folder.path().join("archive");
    run(&fake, &options(&archive)).await.unwrap();
    let export = file(
        folder.path(),
        "_Conversation.0.jsonl",
        lines(&table(NOW, "")),
    );
    let data = folder.path().join("data");
    let report = load_into(&data, &[&archive], &[&export]).await;
    assert_eq!(report.count("message", &Fate::Stored), 500);
    let storage = RedbStorage::open_folder(&data).unwrap();
    for index in 0..9 {
        let conversation = format!("conv{index}");
        let mut wanted: Vec<&FakeRow> = rows
            .iter()
            .filter(|row| row.conversation == conversation)
            .collect();
        wanted.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let found = messages(&storage, &conversation).await;
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert_eq!(
                (
                    found.sent_at.as_millis(),
                    found.id.as_str(),
                    found.from.as_str()
                ),
                (wanted.at, wanted.id.as_str(), wanted.from.as_str())
            );
            assert_eq!(found.body, Body::Text(wanted.data.clone()));
            assert_eq!(found.recalled, wanted.data.contains("-127"));
        }
        let app = AppId::new(APP).unwrap();
        let id = conversation.as_str().try_into().unwrap();
        let kept = storage.conversation(&app, &id).await.unwrap().unwrap();
        assert_eq!(kept.columns["custom"].to_string(), "0.1");
        assert_eq!(kept.columns["attr"], json!({ "deep": [1, { "x": null }] }));
        let members = storage.members(&app, &id, 100).await.unwrap();
        let newest = found_newest(&storage, &conversation).await;
        assert!(
            members.iter().all(|member| member.read_until >= newest),
            "what was loaded counts as read"
        );
        let muted: Vec<&str> = members
            .iter()
            .filter(|it| it.muted)
            .map(|it| it.client.as_str())
            .collect();
        assert_eq!(muted, ["client1"]);
    }
}

async fn found_newest(storage: &RedbStorage, conversation: &str) -> Timestamp {
    messages(storage, conversation)
        .await
        .last()
        .map_or(Timestamp::ZERO, |last| last.sent_at)
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_in_any_order_and_number_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(23, 120, 6)).await;
    let first = folder.path().join("first");
    run(&fake, &options(&first)).await.unwrap();
    {
        let mut world = fake.world();
        world.now = NOW + DAY;
        world.rows[5].data = "edited".to_owned();
        world.rows[6].data = json!({ "_lctype": -127 }).to_string();
    }
    let second = folder.path().join("second");
    run(&fake, &options(&second)).await.unwrap();
    fake.world().rows.remove(9);
    fake.world().now = NOW + 2 * DAY;
    run(
        &fake,
        &CrawlOptions {
            again: true,
            ..options(&second)
        },
    )
    .await
    .unwrap();
    let old = file(
        folder.path(),
        "_Conversation.0.jsonl",
        lines(&table(NOW - DAY, "old")),
    );
    let mut rows = table(NOW, "new");
    rows[3]["m"] = json!(["client0", "client4"]);
    let new = file(folder.path(), "_Conversation.1.jsonl", lines(&rows));
    let roles = json!([
        { "cid": "conv1", "clientId": "client1", "role": "Manager", "updatedAt": iso(NOW) },
        { "cid": "conv1", "clientId": "client1", "role": "Member", "updatedAt": iso(NOW - DAY) },
    ]);
    let roles = file(
        folder.path(),
        "_ConversationMemberInfo.json",
        roles.to_string(),
    );
    let all: [(&[&Path], &[&Path]); 5] = [
        (&[&first], &[]),
        (&[&second], &[]),
        (&[], &[&old]),
        (&[], &[&new]),
        (&[], &[&roles]),
    ];
    let mut wanted = None;
    for (number, order) in orders(all.len()).into_iter().enumerate() {
        let data = folder.path().join(format!("data{number}"));
        for index in order.iter().chain(order.iter().take(2)) {
            load_into(&data, all[*index].0, all[*index].1).await;
        }
        let found = dump(&data).await;
        let wanted = wanted.get_or_insert_with(|| found.clone());
        assert_eq!(*wanted, found, "order {order:?}");
    }
    let wanted = wanted.unwrap();
    assert!(wanted.contains("edited") && wanted.contains("name new") && wanted.contains("Manager"));
    assert!(!wanted.contains("name old"));
}

/// Some of the orders of so many things: each is first once, and each is last once.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let turned = (0..count).map(|turn| {
        (0..count)
            .map(|index| (index + turn) % count)
            .collect::<Vec<_>>()
    });
    let turned: Vec<Vec<usize>> = turned.collect();
    let backwards = turned
        .iter()
        .map(|order| order.iter().rev().copied().collect());
    let backwards: Vec<Vec<usize>> = backwards.collect();
    turned.into_iter().chain(backwards).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_says_the_same_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let rows = table(NOW, "x");
    let text = lines(&rows);
    let array = Value::from(rows.clone()).to_string();
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n\r\n"));
    let mut documents = Vec::new();
    for row in &rows {
        let mut document = bson::Document::new();
        for (name, value) in row.as_object().unwrap() {
            let (name, value) = match name.as_str() {
                "objectId" => ("_id", bson::Bson::try_from(value.clone()).unwrap()),
                "createdAt" | "updatedAt" => {
                    let at = sampan::wire::iso::parse(value.as_str().unwrap()).unwrap();
                    (
                        name.as_str(),
                        bson::Bson::DateTime(bson::DateTime::from_millis(at.as_millis())),
                    )
                }
                "lm" => ("lm", bson::Bson::DateTime(bson::DateTime::from_millis(NOW))),
                other => (other, bson::Bson::try_from(value.clone()).unwrap()),
            };
            document.insert(name, value);
        }
        document.to_writer(&mut documents).unwrap();
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_cksum();
    tar.append_data(&mut header, "export/_Conversation.0.jsonl", text.as_bytes())
        .unwrap();
    let tar = tar.into_inner().unwrap();
    let forms = [
        ("_Conversation.0.jsonl", text.clone().into_bytes()),
        ("renamed.jsonl", windows.into_bytes()),
        ("_Conversation.json", array.clone().into_bytes()),
        (
            "_Conversation.2.json",
            json!({ "results": rows }).to_string().into_bytes(),
        ),
        ("_Conversation.0.jsonl.gz", gzip(&text)),
        ("all.tar.gz", gzip(&tar)),
        ("_Conversation.xA1b2.bson", documents.clone()),
        ("_Conversation.xA1b2.bson.gz", gzip(&documents)),
    ];
    let mut wanted = None;
    for (name, bytes) in forms {
        let export = file(folder.path(), name, bytes);
        let data = folder.path().join(format!("data-{name}"));
        let report = load_into(&data, &[], &[&export]).await;
        assert_eq!(
            report.count("_Conversation", &Fate::Stored),
            9,
            "{name}: {:?}",
            report.counts
        );
        let found = dump(&data).await;
        assert_eq!(
            *wanted.get_or_insert_with(|| found.clone()),
            found,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_stored_or_listed_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = history(29, 40, 3);
    rows[0].conversation = "service".to_owned();
    rows[1].from = "x".repeat(65);
    rows[2].conversation = "unknown to every table".to_owned();
    let fake = Fake::start(rows).await;
    let archive = folder.path().join("archive");
    run(&fake, &options(&archive)).await.unwrap();
    let mut text = lines(&table(NOW, ""));
    text.push_str("{\"objectId\":\"service\",\"sys\":true,\"createdAt\":\"2020-01-01T00:00:00.000Z\"}\n{\"name\":\"no id\"}\n{cut off\n");
    let export = file(folder.path(), "_Conversation.0.jsonl", text);
    let data = folder.path().join("data");
    let report = load_into(&data, &[&archive], &[&export]).await;
    let quarantined = Fate::Quarantined(String::new());
    assert_eq!(report.count("message", &Fate::Stored), 38);
    assert_eq!(report.count("message", &quarantined), 2);
    assert_eq!(report.count("_Conversation", &Fate::Stored), 10);
    assert_eq!(report.count("_Conversation", &quarantined), 2);
    let list = std::fs::read_to_string(data.with_extension("report")).unwrap();
    assert_eq!(list.lines().count(), 4, "{list}");
    assert!(list.contains("{cut off") && list.contains("no objectId"));
    let found = dump(&data).await;
    assert!(
        found.contains("unknown to every table"),
        "a stub holds the message"
    );
    let again = load_into(&data, &[&archive], &[&export]).await;
    assert_eq!(again.count("message", &Fate::Known), 38);
    assert_eq!(dump(&data).await, found);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_in_the_new_service_is_not_undone_by_loading_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(37, 30, 3)).await;
    let archive = folder.path().join("archive");
    run(&fake, &options(&archive)).await.unwrap();
    let data = folder.path().join("data");
    load_into(&data, &[&archive], &[]).await;
    let app = AppId::new(APP).unwrap();
    let rows = fake.world().rows.clone();
    let (first, second) = (rows[3].clone(), rows[4].clone());
    {
        let mut storage = RedbStorage::open_folder(&data).unwrap();
        let id = first.conversation.as_str().try_into().unwrap();
        let mut edited = messages(&storage, &first.conversation)
            .await
            .into_iter()
            .find(|it| it.id.as_str() == first.id)
            .unwrap();
        edited.body = Body::Text("edited here".to_owned());
        edited.patched_at = Some(Timestamp::from_millis(NOW + 5));
        let gone = messages(&storage, &second.conversation)
            .await
            .into_iter()
            .find(|it| it.id.as_str() == second.id)
            .unwrap();
        let other = second.conversation.as_str().try_into().unwrap();
        let writes = vec![
            Write::PutMessage(app.clone(), id, edited),
            Write::DropMessage(app, other, gone.place()),
        ];
        storage.apply(writes).await.unwrap();
        storage.commit().await.unwrap();
    }
    let lived = dump(&data).await;
    fake.world().now = NOW + DAY;
    fake.world().rows[3].data = "edited there".to_owned();
    run(
        &fake,
        &CrawlOptions {
            again: true,
            ..options(&archive)
        },
    )
    .await
    .unwrap();
    load_into(&data, &[&archive], &[]).await;
    assert_eq!(dump(&data).await, lived);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_another_app_and_a_damaged_export_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(Vec::new()).await;
    let archive = folder.path().join("archive");
    run(&fake, &options(&archive)).await.unwrap();
    let data = folder.path().join("data");
    let other = load::LoadOptions {
        app: "other".to_owned(),
        ..sources(&data, &[&archive], &[])
    };
    let error = load::run(&other).await.unwrap_err();
    assert!(matches!(error, LoadError::OtherApp { .. }), "{error}");
    assert!(!data.exists(), "nothing was touched");
    let whole = gzip(lines(&table(NOW, "")));
    let cut = file(
        folder.path(),
        "_Conversation.0.jsonl.gz",
        &whole[..whole.len() - 9],
    );
    let error = load::run(&sources(&data, &[], &[&cut])).await.unwrap_err();
    assert!(matches!(error, LoadError::Export(_)), "{error}");
    let whole = file(folder.path(), "_Conversation.0.jsonl.gz", &whole);
    load_into(&data, &[], &[&whole]).await;
    let straight = folder.path().join("straight");
    load_into(&straight, &[], &[&whole]).await;
    assert_eq!(dump(&data).await, dump(&straight).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_another_app_is_told_and_not_mixed_with_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(41, 30, 3)).await;
    let archive = folder.path().join("archive");
    run(&fake, &options(&archive)).await.unwrap();
    let mut rows = table(NOW, "");
    for (index, row) in rows.iter_mut().enumerate() {
        row["objectId"] = json!(format!("other{index}"));
    }
    let other = file(folder.path(), "_Conversation.0.jsonl", lines(&rows));
    let data = folder.path().join("data");
    let options = sources(&data, &[&archive], &[&other]);
    let error = load::run(&options).await.unwrap_err();
    assert!(
        error.to_string().contains("none of the 9 conversations"),
        "{error}"
    );
    let straight = folder.path().join("straight");
    load_into(&straight, &[&archive], &[]).await;
    assert_eq!(
        dump(&data).await,
        dump(&straight).await,
        "the archive is loaded, alone"
    );

    let takes_any_export = true;
    load::run(&load::LoadOptions {
        takes_any_export,
        ..options
    })
    .await
    .unwrap();
    assert!(dump(&data).await.contains("other8"));
    // One conversation in common is enough, and an export alone is loaded.
    rows[4]["objectId"] = json!("conv1");
    let ours = file(folder.path(), "_Conversation.1.jsonl", lines(&rows));
    load_into(&straight, &[&archive], &[&ours]).await;
    load_into(&folder.path().join("alone"), &[], &[&other]).await;
}

/// Saves many messages and loads them: a few thousand, or `SAMPAN_MESSAGES` of them. Nothing is judged by the time it takes: with
/// `SAMPAN_ARCHIVE` the archive stays in that folder, so that the program can be timed on it. `docs/moving.md` has the
/// figure for a million.
#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_a_long_history_is_loaded() {
    let asked = std::env::var("SAMPAN_MESSAGES").ok();
    let many = asked.map_or(5_000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("SAMPAN_ARCHIVE").map(PathBuf::from);
    let archive = kept.unwrap_or_else(|| folder.path().join("saved"));
    let fake = Fake::start(history(77, many, 170)).await;
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let (options, progress) = (options(&archive), Progress::hidden());
    let saved = sampan_migrate::crawl::run(server(&fake), &options, &progress, stopped);
    assert_eq!(saved.await.unwrap().left, 0);
    let report = load_into(&folder.path().join("data"), &[&archive], &[]).await;
    let stored = report.count("message", &Fate::Stored);
    assert_eq!(usize::try_from(stored).unwrap(), many);
}

/// The clients who see each message of a service conversation; the id of a message is its words.
async fn readers_of(data: &Path, conversation: &str) -> Vec<(String, Vec<String>)> {
    let storage = RedbStorage::open_folder(data).unwrap();
    let found = messages(&storage, conversation).await;
    let readers = |it: &Message| it.only_for.iter().map(ToString::to_string).collect();
    let told = found.iter().map(|it| (it.id.to_string(), readers(it)));
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_service_conversation_are_seen_by_their_reader_alone() {
    let folder = tempfile::tempdir().unwrap();
    let row = |id: &str, at: i64, client: &str| FakeRow {
        id: id.to_owned(),
        at,
        conversation: "news".to_owned(),
        subscriber: Some(client.to_owned()),
        ..history(3, 1, 1).remove(0)
    };
    let rows = vec![
        row("to-both", NOW - DAY, "ann"),
        row("to-both", NOW - DAY, "ben"),
        row("to-ann", NOW - DAY + 1_000, "ann"),
    ];
    let fake = Fake::start(rows).await;
    fake.world().hides_kinds = true;
    let service = json!({ "objectId": "news", "sys": true, "c": "paper", "createdAt": iso(NOW - 2 * DAY), "updatedAt": iso(NOW - 2 * DAY) });
    let said = json!({
        "objectId": "x1", "msgId": "asked", "timestamp": NOW - DAY + 2_000, "from": "cleo", "data": "when?", "bin": false,
        "conv": { "__type": "Pointer", "className": "_Conversation", "objectId": "news" },
    });
    let tables = [("_Conversation", service), ("_SysMessage", said)];
    for (class, row) in tables {
        fake.world().tables.insert(class.to_owned(), vec![row]);
    }
    let archive = folder.path().join("archive");
    let crawl = CrawlOptions {
        tables: vec!["_Conversation".to_owned(), "_SysMessage".to_owned()],
        check_percent: 100.0,
        ..options(&archive)
    };
    run(&fake, &crawl).await.unwrap();

    let data = folder.path().join("data");
    let report = load_into(&data, &[&archive], &[]).await;
    assert_eq!(report.count("message", &Fate::Stored), 3, "{report:?}");
    assert_eq!(report.count("message", &Fate::Merged), 1, "{report:?}");
    let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = [
        ("to-both".to_owned(), of(&["ann", "ben"])),
        ("to-ann".to_owned(), of(&["ann"])),
        ("asked".to_owned(), of(&["cleo"])),
    ];
    assert_eq!(readers_of(&data, "news").await, expected);
    let storage = RedbStorage::open_folder(&data).unwrap();
    let (app, id) = (AppId::new(APP).unwrap(), "news".try_into().unwrap());
    let members = storage.members(&app, &id, usize::MAX).await.unwrap();
    let guests: Vec<_> = members
        .iter()
        .map(|it| (it.client.as_str(), it.guest))
        .collect();
    assert_eq!(guests, [("ann", false), ("ben", false), ("cleo", true)]);
    drop(storage);

    let before = dump(&data).await;
    let again = load_into(&data, &[&archive], &[]).await;
    assert_eq!(again.count("message", &Fate::Known), 4, "{again:?}");
    assert_eq!(dump(&data).await, before);
}
