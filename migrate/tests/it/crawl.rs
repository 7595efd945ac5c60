//! The pages that a crawl saves.

use serde_json::json;

use crate::fake::{DAY, Fake, FakeRow, KEY, NOW, history};
use crate::{changes, expected, messages, options, raw_rows, rows, run};
use sampan_migrate::archive::{Archive, read_segment, table_rows};
use sampan_migrate::core::compare::Change;
use sampan_migrate::crawl::{CrawlOptions, index_lines};

fn row(at: i64, id: &str, conversation: &str) -> FakeRow {
    FakeRow {
        at,
        id: id.to_owned(),
        conversation: conversation.to_owned(),
        from: "alice".to_owned(),
        data: "hello".to_owned(),
        subscriber: None,
        fields: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_saves_every_message_once() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(7, 4000, 9);
    let fake = Fake::start(history.clone()).await;
    let daily = CrawlOptions {
        slice_ms: DAY,
        ..options(folder.path())
    };
    let report = run(&fake, &daily).await.unwrap();
    assert_eq!((report.left, report.failed.len()), (0, 0));
    assert_eq!(rows(folder.path()), expected(&history));
    assert_eq!(raw_rows(folder.path()), 4000, "no row is read twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_messages_in_one_millisecond_than_a_page_holds_are_all_saved() {
    let folder = tempfile::tempdir().unwrap();
    let crowd: Vec<FakeRow> = (0..2500)
        .map(|index| row(NOW - 3 * DAY, &format!("{index}+/={index}"), "c"))
        .collect();
    let fake = Fake::start(crowd.clone()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(rows(folder.path()), expected(&crowd));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_page_is_not_taken_for_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(3, 600, 3);
    let fake = Fake::start(history.clone()).await;
    fake.world().page_cap = 7;
    run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(rows(folder.path()), expected(&history));
    let largest = Archive::read(folder.path())
        .unwrap()
        .segments
        .iter()
        .map(|one| one.pages)
        .max();
    assert!(largest.unwrap() <= sampan_migrate::archive::PAGES_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_services_keep_is_saved_if_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let old = vec![
        row(1_400_000_000_000, "a", "c"),
        row(NOW - 900 * DAY, "b", "c"),
        row(NOW - DAY, "c", "c"),
    ];
    let fake = Fake::start(old.clone()).await;
    run(&fake, &options(folder.path())).await.unwrap();
    assert_eq!(rows(folder.path()), expected(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_slices_are_asked_for_first() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(5, 50, 5)).await;
    let one_worker = CrawlOptions {
        workers: 1,
        ..options(folder.path())
    };
    run(&fake, &one_worker).await.unwrap();
    let world = fake.world();
    let starts = world
        .targets
        .iter()
        .filter(|target| !target.contains("msgid"));
    let starts: Vec<i64> = starts
        .filter_map(|target| {
            target
                .split_once("timestamp=")?
                .1
                .split('&')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert!(starts.len() > 20 && starts.is_sorted(), "{starts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_nowhere_in_the_archive_and_addresses_only_if_asked_for() {
    for keeps_addresses in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::start(history(11, 300, 2)).await;
        let options = CrawlOptions {
            keeps_addresses,
            ..options(folder.path())
        };
        run(&fake, &options).await.unwrap();
        let manifest = Archive::read(folder.path()).unwrap();
        let mut text = std::fs::read_to_string(folder.path().join("manifest.json")).unwrap();
        for segment in &manifest.segments {
            for page in read_segment(folder.path(), segment).unwrap() {
                text.push_str(&format!("{page:?}"));
            }
        }
        assert!(!text.contains(KEY));
        assert_eq!(text.contains("203.0.113.7"), keeps_addresses);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_run_adds_what_is_new_and_what_came_late() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![row(NOW - DAY, "a", "c")]).await;
    run(&fake, &options(folder.path())).await.unwrap();
    let before = fake.requests();
    fake.world().now = NOW + 60_000;
    // One row that became visible late, and one that is too young yet.
    fake.world().rows.extend([
        row(NOW - 11_000, "late", "c"),
        row(NOW + 30_000, "new", "c"),
        row(NOW + 59_000, "young", "c"),
    ]);
    run(&fake, &options(folder.path())).await.unwrap();
    let ids: Vec<String> = messages(folder.path())
        .into_iter()
        .map(|one| one.latest.row.id)
        .collect();
    assert_eq!(ids, ["new", "late", "a"]);
    assert!(fake.requests() - before < 10, "only the end is read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pass_finds_edits_recalls_deletions_and_rows_that_came_very_late() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(13, 200, 20)).await;
    run(&fake, &options(folder.path())).await.unwrap();
    let (edited, recalled, deleted) = {
        let mut world = fake.world();
        world.now = NOW + DAY;
        world.rows[50].data = "edited".to_owned();
        world.rows[60].data = json!({ "_lctype": -127 }).to_string();
        let deleted = world.rows.remove(70).id;
        world.rows.push(row(NOW - 10 * DAY, "very late", "conv1"));
        (
            world.rows[50].id.clone(),
            world.rows[60].id.clone(),
            deleted,
        )
    };
    let again = CrawlOptions {
        again: true,
        ..options(folder.path())
    };
    run(&fake, &again).await.unwrap();
    let mut wanted = vec![
        (edited, Change::Edited),
        (recalled, Change::Recalled),
        (deleted.clone(), Change::Deleted),
    ];
    wanted.sort();
    assert_eq!(changes(folder.path()), wanted);
    let found = messages(folder.path());
    assert_eq!(found.len(), 201);
    assert!(
        found.iter().any(|one| one.latest.row.id == deleted),
        "what was deleted stays in the archive"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_between_two_passes_is_not_called_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![
        row(NOW - 179 * DAY, "old", "c"),
        row(NOW - DAY, "new", "c"),
    ])
    .await;
    run(&fake, &options(folder.path())).await.unwrap();
    fake.world().rows.retain(|row| row.id != "old");
    fake.world().now = NOW + 2 * DAY;
    run(
        &fake,
        &CrawlOptions {
            again: true,
            ..options(folder.path())
        },
    )
    .await
    .unwrap();
    assert_eq!(changes(folder.path()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_by_cursor_or_where_there_is_none_by_position() {
    for has_scan in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::start(Vec::new()).await;
        let conversations: Vec<_> = (0..8)
            .map(|index| json!({ "objectId": format!("c{index}"), "x": 1.50 }))
            .collect();
        fake.world()
            .tables
            .insert("_Conversation".to_owned(), conversations.clone());
        fake.world().has_scan = has_scan;
        let tables = vec!["_Conversation".to_owned(), "_Nothing".to_owned()];
        let options = CrawlOptions {
            tables,
            ..options(folder.path())
        };
        let report = run(&fake, &options).await.unwrap();
        assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
        let manifest = Archive::read(folder.path()).unwrap();
        let mut found = Vec::new();
        table_rows(folder.path(), &manifest, "_Conversation", |row, _| {
            found.push(serde_json::from_str::<serde_json::Value>(row).unwrap());
        })
        .unwrap();
        assert_eq!(found, conversations, "scan: {has_scan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_conversation_that_the_history_of_the_app_leaves_out_are_read_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = history(17, 100, 5);
    for index in 0..30 {
        all.push(row(
            NOW - DAY + index,
            &format!("r{index}"),
            &format!("room{}", index % 3),
        ));
        let to_one = Some(format!("client{}", index % 5));
        all.push(FakeRow {
            subscriber: to_one,
            ..row(NOW - DAY + index, &format!("s{index}"), "service")
        });
    }
    let fake = Fake::start(all.clone()).await;
    {
        let mut world = fake.world();
        world.hides_kinds = true;
        let mut table: Vec<_> = (0..9)
            .map(|index| json!({ "objectId": format!("conv{index}") }))
            .collect();
        table.extend((0..3).map(|index| json!({ "objectId": format!("room{index}"), "tr": true })));
        table.push(json!({ "objectId": "service", "sys": true }));
        table.push(json!({ "objectId": "gone" }));
        world.tables.insert("_Conversation".to_owned(), table);
    }
    let options = CrawlOptions {
        tables: vec!["_Conversation".to_owned()],
        check_percent: 1.0,
        ..options(folder.path())
    };
    let report = run(&fake, &options).await.unwrap();
    let found: Vec<_> = report
        .checks
        .iter()
        .map(|check| (check.kind.as_str(), check.missing))
        .collect();
    assert_eq!(found, [("normal", 0), ("room", 30), ("service", 30)]);
    assert_eq!(rows(folder.path()), expected(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_are_kept_under_their_hash_and_what_is_gone_is_noted_once() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(Vec::new()).await;
    let url = fake.url.clone();
    let with_file = |id: &str, path: &str| FakeRow {
        data: json!({ "_lctype": -2, "_lcfile": { "url": format!("{url}{path}"), "objId": "f" } })
            .to_string(),
        ..row(NOW - DAY, id, "c")
    };
    fake.world().rows = vec![
        with_file("a", "/files/one"),
        with_file("b", "/files/one"),
        with_file("c", "/files/lost"),
    ];
    fake.world()
        .files
        .insert("/files/one".to_owned(), (200, b"picture".to_vec()));
    let options = CrawlOptions {
        attachments: Some(1000),
        ..options(folder.path())
    };
    let files = run(&fake, &options).await.unwrap().attachments.unwrap();
    assert_eq!((files.kept, files.gone, files.failed), (1, 1, 0));
    let lines = index_lines(folder.path()).unwrap();
    let kept = lines.iter().find_map(|line| line.file.clone()).unwrap();
    let path = folder
        .path()
        .join("attachments")
        .join(kept.sha256.get(..2).unwrap())
        .join(&kept.sha256);
    assert_eq!(std::fs::read(path).unwrap(), b"picture");
    let again = run(&fake, &options).await.unwrap().attachments.unwrap();
    assert_eq!((again.kept, again.gone, again.failed), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn following_saves_what_comes_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(vec![row(NOW - DAY, "a", "c")]).await;
    let follow = Some(std::time::Duration::from_millis(5));
    let options = CrawlOptions {
        follow,
        ..options(folder.path())
    };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let server = crate::server(&fake);
    let progress = sampan_migrate::crawl::Progress::hidden();
    let crawl = tokio::spawn(async move {
        sampan_migrate::crawl::run(server, &options, &progress, stopped).await
    });
    let tail_asks = || {
        let world = fake.world();
        world
            .targets
            .iter()
            .filter(|target| target.contains(&(NOW - 70_001).to_string()))
            .count()
    };
    until(|| tail_asks() > 0).await;
    for index in 0..5 {
        fake.world()
            .rows
            .push(row(NOW - 15_000 + index, &format!("new{index}"), "c"));
        let asked = fake.requests();
        until(|| fake.requests() > asked + 2).await;
    }
    stop.send_replace(true);
    crawl.await.unwrap().unwrap();
    assert_eq!(messages(folder.path()).len(), 6);
}

/// True if a program can be run.
fn has(program: &str, arguments: &[&str]) -> bool {
    let run = std::process::Command::new(program).args(arguments).output();
    run.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_in_python_finds_the_same_messages() {
    let has_zstd =
        has("zstd", &["--version"]) || has("python3", &["-c", "import compression.zstd"]);
    if !has("python3", &["--version"]) || !has_zstd {
        println!("skipped: no python3 that can read zstd");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(19, 300, 5)).await;
    run(&fake, &options(folder.path())).await.unwrap();
    fake.world().now = NOW + DAY;
    fake.world().rows[7].data = "edited".to_owned();
    let again = CrawlOptions {
        again: true,
        ..options(folder.path())
    };
    run(&fake, &again).await.unwrap();
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/read_archive.py");
    let output = std::process::Command::new("python3")
        .arg(reader)
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let mut printed: Vec<serde_json::Value> = text
        .lines()
        .map(|line| {
            let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
            row.as_object_mut().unwrap().remove("conversation");
            row
        })
        .collect();
    let times: Vec<i64> = printed
        .iter()
        .map(|row| row["timestamp"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted());
    printed.sort_by_key(serde_json::Value::to_string);
    assert_eq!(printed, rows(folder.path()));
}

/// Waits for something that must come.
async fn until(is_true: impl Fn() -> bool) {
    let wait = async {
        while !is_true() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .expect("it comes");
}
