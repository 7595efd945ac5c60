//! Exports that are cut off or damaged, and sources that are at odds with each other.

use sampan_migrate::load::{self, Fate, LoadError};
use serde_json::{Value, json};

use crate::fake::{DAY, Dice, Fake, FakeRow, NOW, history};
use crate::load::{dump, file, gzip, iso, lines, load_into, sources, table};
use crate::{options, run};

/// An export in each form that can be cut in the middle.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let rows = table(NOW, "x");
    let text = lines(&rows);
    let mut documents = Vec::new();
    for row in &rows {
        let mut document = bson::Document::new();
        for (name, value) in row.as_object().unwrap() {
            let name = if name == "objectId" { "_id" } else { name };
            document.insert(name, bson::Bson::try_from(value.clone()).unwrap());
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
    let array = Value::from(rows.clone()).to_string();
    vec![
        ("_Conversation.0.jsonl", text.clone().into_bytes()),
        ("_Conversation.0.jsonl.gz", gzip(&text)),
        ("_Conversation.json", array.into_bytes()),
        ("all.tar.gz", gzip(&tar)),
        ("_Conversation.xA1b2.bson", documents.clone()),
        ("_Conversation.xA1b2.bson.gz", gzip(&documents)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_cut_off_anywhere_is_told_and_the_whole_one_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(201);
    for (name, whole) in forms() {
        let straight = folder.path().join(format!("straight-{name}"));
        load_into(&straight, &[], &[&file(folder.path(), name, &whole)]).await;
        let wanted = dump(&straight).await;
        let data = folder.path().join(format!("data-{name}"));
        let mut told = 0;
        for _ in 0..6 {
            let end = usize::try_from(dice.below(whole.len() as u64)).unwrap();
            let cut = file(folder.path(), name, &whole[..end]);
            match load::run(&sources(&data, &[], &[&cut])).await {
                Err(LoadError::Export(error)) => {
                    told += 1;
                    assert!(error.to_string().contains(name), "{error}");
                }
                // Lines before the cut are whole; the last one is listed.
                Ok(report) => {
                    let listed = report.count("_Conversation", &Fate::Quarantined(String::new()));
                    let rows: u64 = report.counts.values().sum();
                    assert!(
                        listed == 1 || rows < 9 || end + 2 > whole.len(),
                        "{name} at {end}"
                    );
                }
                Err(other) => panic!("{name} at {end}: {other}"),
            }
        }
        assert!(told > 0 || name.ends_with(".jsonl"), "{name}");
        load_into(&data, &[], &[&file(folder.path(), name, &whole)]).await;
        assert_eq!(dump(&data).await, wanted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_with_any_damage_is_loaded_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(307);
    for (name, whole) in forms() {
        for round in 0..8 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap();
                bytes[at] = u8::try_from(dice.below(256)).unwrap();
            }
            let data = folder.path().join(format!("data-{name}-{round}"));
            let damaged = file(folder.path(), name, bytes);
            match load::run(&sources(&data, &[], &[&damaged])).await {
                Ok(_) | Err(LoadError::Export(_)) => {}
                Err(other) => panic!("{name}: {other}"),
            }
        }
    }
}

/// One message that two archives have at different times, and that one of them has no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_at_two_times_gives_the_same_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    let row = |at: i64, id: &str| FakeRow {
        at,
        id: id.to_owned(),
        conversation: "conv1".to_owned(),
        ..history(3, 1, 1).remove(0)
    };
    let mut archives = Vec::new();
    for (name, at) in [("early", NOW - DAY), ("late", NOW - DAY + 7)] {
        let fake = Fake::start(vec![row(at, "moved"), row(NOW - 2 * DAY, "still")]).await;
        let archive = folder.path().join(name);
        run(&fake, &options(&archive)).await.unwrap();
        archives.push(archive);
    }
    let [early, late] = &archives[..] else {
        panic!("two archives")
    };
    let mut dumps = Vec::new();
    for (name, order) in [("a", [early, late]), ("b", [late, early])] {
        let data = folder.path().join(name);
        for archive in order {
            load_into(&data, &[archive], &[]).await;
        }
        dumps.push(dump(&data).await);
    }
    assert_eq!(dumps[0], dumps[1]);
    assert_eq!(dumps[0].matches("moved").count(), 1, "{}", dumps[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_groups_of_the_first_generation_are_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(Vec::new()).await;
    let group = json!({ "objectId": "group1", "m": ["Tom", "Spike"], "createdAt": iso(NOW - 9 * DAY), "updatedAt": iso(NOW - 9 * DAY) });
    fake.world()
        .tables
        .insert("AVOSRealtimeGroups".to_owned(), vec![group]);
    let row = |id: &str, to: Value, is_room: bool| FakeRow {
        at: NOW - DAY,
        id: id.to_owned(),
        from: "Tom".to_owned(),
        fields: Some(json!({
            "to": to, "is-conv": false, "is-room": is_room, "conv-id": "theirs",
        })),
        ..history(3, 1, 1).remove(0)
    };
    fake.world().rows = vec![
        row("to-peer", json!("Jerry"), false),
        row("to-peers", json!(["Jerry", "Butch"]), false),
        row("to-group", json!("group1"), true),
        row("to-other-group", json!("group2"), true),
    ];
    let archive = folder.path().join("archive");
    let crawl = sampan_migrate::crawl::CrawlOptions {
        tables: vec!["AVOSRealtimeGroups".to_owned()],
        ..options(&archive)
    };
    run(&fake, &crawl).await.unwrap();
    let data = folder.path().join("data");
    let report = load_into(&data, &[&archive], &[]).await;
    assert_eq!(report.count("message", &Fate::Stored), 4, "{report:?}");
    assert_eq!(report.count("AVOSRealtimeGroups", &Fate::Stored), 1);
    let found = dump(&data).await;
    let members = |conversation: &str| {
        let of = found.split("Conversation {").find(|text| {
            text.lines()
                .next()
                .is_some_and(|line| line.contains(conversation))
        });
        let of = of.unwrap_or_else(|| panic!("{conversation} is not in {found}"));
        ["Tom", "Jerry", "Butch", "Spike"]
            .into_iter()
            .filter(|name| of.contains(&format!("client: ClientId(\"{name}\")")))
            .collect::<Vec<_>>()
    };
    // The digest of `Jerry:Tom`.
    assert_eq!(
        members("c0a42b25e09d3689a27f346a9b498ea1"),
        ["Tom", "Jerry"]
    );
    assert_eq!(members("group1"), ["Tom", "Spike"]);
    assert_eq!(members("group2"), ["Tom"]);
    let again = load_into(&data, &[&archive], &[]).await;
    assert_eq!(again.count("message", &Fate::Known), 4);
    assert_eq!(dump(&data).await, found);
}

/// A conversation that was deleted in the new service stays deleted, and so do messages that are loaded later.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_was_deleted_here_is_not_revived() {
    use sampan_service::storage::{RedbStorage, Storage as _, Write};
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(history(5, 60, 3)).await;
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    run(&fake, &options(&first)).await.unwrap();
    let data = folder.path().join("data");
    let export = file(
        folder.path(),
        "_Conversation.0.jsonl",
        lines(&table(NOW - DAY, "")),
    );
    load_into(&data, &[&first], &[&export]).await;
    let mut storage = RedbStorage::open_folder(&data).unwrap();
    let (app, id) = (
        crate::fake::APP.try_into().unwrap(),
        "conv1".try_into().unwrap(),
    );
    let drop_it = Write::DropConversation(app, id);
    storage.apply(vec![drop_it]).await.unwrap();
    storage.commit().await.unwrap();
    drop(storage);
    let before = dump(&data).await;
    assert!(!before.contains("\"conv1\""));
    let new = FakeRow {
        at: NOW - 20_000,
        id: "new".to_owned(),
        conversation: "conv1".to_owned(),
        ..history(5, 1, 1).remove(0)
    };
    fake.world().rows.push(new);
    run(&fake, &options(&second)).await.unwrap();
    let newer = file(
        folder.path(),
        "_Conversation.1.jsonl",
        lines(&table(NOW, "newer")[1..2]),
    );
    let report = load_into(&data, &[&first, &second], &[&newer]).await;
    let refused = report.count("message", &Fate::Quarantined(String::new()));
    assert!(refused > 0, "{report:?}");
    assert_eq!(dump(&data).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_people_take_for_an_export_is_told_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let forms: [(&str, &[u8], &str); 5] = [
        ("export.zip", b"PK\x03\x04rest", "Unpack it"),
        (
            "_Conversation.0.jsonl",
            b"\n <!DOCTYPE html><html>expired</html>",
            "web page",
        ),
        (
            "page.tar.gz",
            &gzip("<Error><Code>AccessDenied</Code></Error>"),
            "web page",
        ),
        (
            "000001.jsonl.zst",
            &[0x28, 0xb5, 0x2f, 0xfd, 4, 0],
            "--archive",
        ),
        ("saved", b"", "directory"),
    ];
    for (name, bytes, words) in forms {
        let path = folder.path().join(name);
        match bytes.is_empty() {
            true => std::fs::create_dir(&path).unwrap(),
            false => std::fs::write(&path, bytes).unwrap(),
        }
        let data = folder.path().join("data");
        let error = load::run(&sources(&data, &[], &[&path]))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_system_adds_to_an_archive_are_no_tables() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(&table(NOW, "x"));
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [
        ("export/._Conversation.0.jsonl", "Mac OS X"),
        ("export/_Conversation.0.jsonl", &text),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_cksum();
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let export = file(folder.path(), "all.tar.gz", gzip(tar.into_inner().unwrap()));
    let report = load_into(&folder.path().join("data"), &[], &[&export]).await;
    assert_eq!(report.count("_Conversation", &Fate::Stored), 9);
    assert_eq!(
        report.counts.values().sum::<u64>(),
        9,
        "{:?}",
        report.counts
    );
}

/// Dates before 1970 are written in another way than later ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_keeps_dates_of_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut documents = Vec::new();
    let mut document = bson::Document::new();
    document.insert("_id", "old");
    document.insert("since", bson::DateTime::from_millis(-1_000));
    document.insert("createdAt", bson::DateTime::from_millis(NOW));
    document.to_writer(&mut documents).unwrap();
    let export = file(folder.path(), "_Conversation.xA1b2.bson", documents);
    let data = folder.path().join("data");
    load_into(&data, &[], &[&export]).await;
    let kept = dump(&data).await;
    assert!(kept.contains("1969-12-31T23:59:59.000Z"), "{kept}");
}
