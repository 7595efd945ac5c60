//! A whole move between two services of our own: loaded into one, crawled out of it, loaded into the
//! other.

use std::path::Path;

use sampan_migrate::crawl::{Options, Progress};
use sampan_migrate::http::{MasterKey, Server, ServerOptions};
use sampan_migrate::load;
use sampan_service::{Service, ServiceOptions, StorageChoice};
use serde_json::json;

use crate::fake::{APP, Fake, FakeRow, KEY, NOW, history};
use crate::load::dump;
use crate::{options, run};

async fn load_into(data: &Path, archive: &Path) {
    let sources = load::Options {
        data: data.to_owned(),
        app: APP.to_owned(),
        archives: vec![archive.to_owned()],
        exports: Vec::new(),
        report: None,
    };
    load::run(&sources).await.unwrap();
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
    let with_tables = |archive: &Path| Options {
        tables: tables.clone(),
        check_percent: 100.0,
        ..options(archive)
    };
    run(&fake, &with_tables(&first)).await.unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    load_into(&one, &first).await;

    let app = format!("{APP}:theAppKey:{KEY}").parse().unwrap();
    let service = Service::start(ServiceOptions::on_loopback(
        app,
        StorageChoice::Folder(one.clone()),
    ))
    .await
    .unwrap();
    let url = format!("http://{}", service.addr());
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
