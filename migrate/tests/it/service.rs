//! A whole move between two services of our own: loaded into one, crawled out of it, loaded into the
//! other.

use std::path::{Path, PathBuf};

use sampan_migrate::crawl::{CrawlOptions, Progress};
use sampan_migrate::http::{Fatal, MasterKey, Server, ServerOptions};
use sampan_migrate::load::{self, Destination, LoadError, LoadReport};
use sampan_service::{RunningService, Service, ServiceOptions, StorageChoice};
use serde_json::json;

use crate::fake::{APP, Fake, FakeRow, KEY, NOW, history};
use crate::load::{dump, iso, lines, table};
use crate::{options, run};

async fn load_into(data: &Path, archive: &Path) {
    let sources = load::LoadOptions {
        into: Destination::Folder(data.to_owned()),
        app: APP.to_owned(),
        archives: vec![archive.to_owned()],
        exports: Vec::new(),
        report: None,
        takes_any_export: false,
    };
    load::run(&sources).await.unwrap();
}

pub(crate) async fn service_on(data: &Path) -> (RunningService, String) {
    let app = format!("{APP}:theAppKey:{KEY}").parse().unwrap();
    let options = ServiceOptions::on_loopback(app, StorageChoice::Folder(data.to_owned()));
    let service = Service::start(options).await.unwrap();
    let url = format!("http://{}", service.addr());
    (service, url)
}

fn server(url: &str, key: &str) -> Server {
    Server::new(ServerOptions {
        url: url.to_owned(),
        app: APP.to_owned(),
        key: MasterKey::new(key).unwrap(),
        timeout: std::time::Duration::from_secs(20),
        may_be_clear: false,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_our_own_is_crawled_and_its_twin_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = history(43, 900, 9);
    // More in one millisecond than a page holds, in several conversations.
    for index in 0..1200 {
        rows.push(FakeRow {
            id: format!("crowd{index}"),
            at: NOW - 500_000,
            conversation: format!("conv{}", index % 9),
            ..rows[0].clone()
        });
    }
    let fake = Fake::start(rows).await;
    let table = (0..9).map(|index| {
        json!({
            "objectId": format!("conv{index}"), "c": "client0", "m": ["client0", "client1"], "mu": ["client1"], "x": [1, 0.5],
            "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-02-01T00:00:00.000Z",
        })
    });
    fake.world()
        .tables
        .insert("_Conversation".to_owned(), table.collect());
    let roles = json!({ "objectId": "r", "cid": "conv1", "clientId": "client1", "role": "Manager", "updatedAt": "2026-02-01T00:00:00.000Z" });
    fake.world()
        .tables
        .insert("_ConversationMemberInfo".to_owned(), vec![roles]);
    let tables = vec![
        "_Conversation".to_owned(),
        "_ConversationMemberInfo".to_owned(),
    ];
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let with_tables = |archive: &Path| CrawlOptions {
        tables: tables.clone(),
        check_percent: 100.0,
        ..options(archive)
    };
    run(&fake, &with_tables(&first)).await.unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    load_into(&one, &first).await;

    let (service, url) = service_on(&one).await;
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let (options, progress) = (with_tables(&second), Progress::hidden());
    let by_app_key = sampan_migrate::crawl::run(
        server(&url, "theAppKey"),
        &options,
        &progress,
        stopped.clone(),
    );
    assert!(
        by_app_key.await.is_err(),
        "the key of clients reads no history of others"
    );
    let crawl = sampan_migrate::crawl::run(server(&url, KEY), &options, &progress, stopped);
    let report = tokio::time::timeout(std::time::Duration::from_secs(120), crawl)
        .await
        .unwrap()
        .unwrap();
    service.stop().await;
    assert_eq!(report.left, 0, "{:?}", report.failed);
    assert!(
        report.checks.iter().all(|check| check.missing == 0),
        "{:?}",
        report.checks
    );
    assert_eq!(report.checks[0].messages, 2100);

    load_into(&other, &second).await;
    let (one, other) = (dump(&one).await, dump(&other).await);
    assert_eq!(one.lines().count(), other.lines().count());
    for (one, other) in one.lines().zip(other.lines()) {
        assert_eq!(without_last(one), without_last(other));
    }
}

/// An archive with every kind of trouble, and an export of its tables.
async fn troubled(folder: &Path) -> (PathBuf, PathBuf) {
    let mut rows = history(31, 1_700, 9);
    rows[1].from = "x".repeat(65);
    rows[2].conversation = "unknown to every table".to_owned();
    rows[3].conversation = "news".to_owned();
    rows[4].data = json!({ "_lctype": -127 }).to_string();
    rows[5].data = "\u{1F30A}".repeat(90_000);
    let fake = Fake::start(rows).await;
    let roles = json!({ "objectId": "r", "cid": "conv1", "clientId": "client1", "role": "Manager", "updatedAt": iso(NOW) });
    let lost = json!({ "objectId": "r", "cid": "nowhere", "clientId": "client1", "role": "Manager", "updatedAt": iso(NOW) });
    let news = json!({ "objectId": "news", "sys": true, "c": "paper", "createdAt": iso(0), "updatedAt": iso(0) });
    let said = json!({ "objectId": "x1", "msgId": "asked", "timestamp": NOW - 9_000, "from": "cleo", "data": "when?", "conv": "news" });
    let tables = [
        ("_ConversationMemberInfo", vec![roles, lost]),
        ("_Conversation", vec![news]),
        ("_SysMessage", vec![said]),
    ];
    let names = tables.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (name, rows) in tables {
        fake.world().tables.insert(name.to_owned(), rows);
    }
    let archive = folder.join("archive");
    let crawl = CrawlOptions {
        tables: names,
        ..options(&archive)
    };
    run(&fake, &crawl).await.unwrap();
    let export = folder.join("_Conversation.0.jsonl");
    let text = format!("{}{{cut off\n", lines(&table(NOW, "")));
    std::fs::write(&export, text).unwrap();
    (archive, export)
}

async fn load_all(
    into: Destination,
    archive: &Path,
    export: &Path,
) -> Result<(LoadReport, String), LoadError> {
    let list = archive.with_extension("report");
    let sources = load::LoadOptions {
        into,
        app: APP.to_owned(),
        archives: vec![archive.to_owned()],
        exports: vec![export.to_owned()],
        report: Some(list.clone()),
        takes_any_export: false,
    };
    let loading = load::run(&sources);
    let loaded = tokio::time::timeout(std::time::Duration::from_secs(120), loading).await;
    let report = loaded.expect("loading ends")?;
    Ok((report, std::fs::read_to_string(list).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_runs_takes_the_same_as_its_folder_with_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, export) = troubled(folder.path()).await;
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let (by_folder, listed) = load_all(Destination::Folder(one.clone()), &archive, &export)
        .await
        .unwrap();
    let (again_by_folder, _) = load_all(Destination::Folder(one.clone()), &archive, &export)
        .await
        .unwrap();

    let (service, url) = service_on(&other).await;
    let by_key = |key: &str| Destination::Service(Box::new(server(&url, key)));
    for wrong in ["theAppKey", "another"] {
        let refused = load_all(by_key(wrong), &archive, &export)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("master"), "{refused}");
        assert!(!refused.to_string().contains("theAppKey"), "{refused}");
        let is_wrong_key =
            |error: &LoadError| matches!(error, LoadError::Refused(Fatal::WrongKey(_)));
        match &refused {
            LoadError::Stopped { error, .. } => assert!(is_wrong_key(error), "{refused}"),
            other => assert!(is_wrong_key(other), "{refused}"),
        }
    }
    let (by_service, told) = load_all(by_key(KEY), &archive, &export).await.unwrap();
    assert_eq!(by_service.counts, by_folder.counts);
    assert_eq!(told, listed);
    let (again, _) = load_all(by_key(KEY), &archive, &export).await.unwrap();
    assert_eq!(again.counts, again_by_folder.counts);
    assert_eq!(again.count("message", &load::Fate::Stored), 0);
    service.stop().await;
    assert_eq!(dump(&other).await, dump(&one).await);

    // Behind the service's back the folder knows what the service loaded.
    let (by_folder, _) = load_all(Destination::Folder(other.clone()), &archive, &export)
        .await
        .unwrap();
    assert_eq!(by_folder.counts, again.counts);
    assert_eq!(dump(&other).await, dump(&one).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_load_is_told_from_one_that_is_unwell() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, export) = troubled(folder.path()).await;
    // The double is a hosted service: it has no such path.
    let fake = Fake::start(Vec::new()).await;
    let hosted = Destination::Service(Box::new(server(&fake.url, KEY)));
    let refused = load_all(hosted, &archive, &export).await.unwrap_err();
    assert!(
        refused.to_string().contains("no sampan-service"),
        "{refused}"
    );
}

/// A conversation without the time of its last message, which the service makes itself.
fn without_last(line: &str) -> String {
    let Some((before, after)) = line.split_once("\"lm\":") else {
        return line.to_owned();
    };
    let after = after.split_once('}').map_or("", |it| it.1);
    let joined = format!("{before}{after}");
    joined
        .replace("{, ", "{")
        .replace(", }", "}")
        .replace(", , ", ", ")
}
