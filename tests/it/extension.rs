//! Work that an extension of the app leaves while the app is closed, paused or running.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sampan::model::{ConversationId, MessageState, OutboxState, SendFailure, Timestamp};
use sampan::{ClientOptions, Config, Engine, ExtensionInbox, SampanError, Secret};

use crate::place::{Device, Place, app, config as config_of, id, in_time, line};

const KEY: &str = "6b1f00000000000000000000000000000000000000000000000000000000aa01";

/// The inbox as the extension opens it: from the folder, the app and the client's id, without an engine.
fn extension(folder: &Path, client: &str) -> Arc<ExtensionInbox> {
    ExtensionInbox::open(folder.to_path_buf(), app(), id(client), None).unwrap()
}

fn inbox(place: &Place) -> PathBuf {
    place.folder.path().join("inbox")
}

fn config(place: &Place) -> Config {
    let mut config = place.config("phone");
    config.inbox_folder = Some(inbox(place));
    config
}

/// Two clients that share a conversation; the second is online.
async fn talk(place: &Place) -> (Device, Device, ConversationId) {
    let ann = Device::open(config(place), "ann").await;
    ann.go_online().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    talk.send_text("hello".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    let talk = ann.service_id(&talk).await;
    ben.sees(&talk, &["ann: hello"]).await;
    (ann, ben, talk)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for client in fs::read_dir(folder).unwrap() {
        let entries = fs::read_dir(client.unwrap().path()).unwrap();
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    // The glance of notifications lies beside the messages.
    let is_message = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        !name.contains("glance")
    };
    found.retain(is_message);
    found.sort();
    found
}

/// D09: work that was left while the app was closed is unsent work as soon as the client is open, arrives once, and
/// keeps the local id that the extension was given.
#[tokio::test]
async fn a_message_left_while_the_app_was_closed_arrives_once() {
    let place = Place::new().await;
    let (ann, ben, talk) = talk(&place).await;
    ann.engine.shutdown().await.unwrap();
    let left = extension(&inbox(&place), "ann");
    let local_id = left
        .send_text(talk.clone(), "from the share sheet".into())
        .unwrap();
    let copy = files(&inbox(&place)).remove(0);
    let bytes = fs::read(&copy).unwrap();

    let ann = Device::open(config(&place), "ann").await;
    assert_eq!(ann.client.inbox_report().imported, 1);
    assert_eq!(
        ann.client.outbox().await.unwrap().len(),
        1,
        "it is there at once"
    );
    assert!(files(&inbox(&place)).is_empty());
    // A kill between the commit and the removal leaves the file: it is known by its token.
    fs::write(&copy, &bytes).unwrap();
    assert_eq!(ann.client.import_inbox().await.unwrap().imported, 0);
    assert_eq!(ann.client.outbox().await.unwrap().len(), 1);
    ann.go_online().await;
    ann.has_sent_everything().await;
    ben.sees(&talk, &["ann: hello", "ann: from the share sheet"])
        .await;
    let conversation = ann.client.conversation(talk.clone()).unwrap();
    let sent = conversation.message_by_local_id(local_id).await.unwrap();
    assert_eq!(sent.state, MessageState::Sent);
    fs::write(&copy, &bytes).unwrap();
    assert_eq!(ann.client.import_inbox().await.unwrap().imported, 0);
    assert!(ann.client.outbox().await.unwrap().is_empty());
    assert!(files(&inbox(&place)).is_empty());
}

/// D09: the hint of the app, and coming back from the background, fetch the work that was left meanwhile.
#[tokio::test]
async fn what_is_left_while_the_app_runs_is_taken_on_a_hint_and_on_resuming() {
    let place = Place::new().await;
    let (ann, ben, talk) = talk(&place).await;
    let left = extension(&inbox(&place), "ann");
    for number in 0..120 {
        left.send_text(talk.clone(), format!("line {number}"))
            .unwrap();
    }
    let report = ann.client.import_inbox().await.unwrap();
    assert_eq!(
        (report.imported.0, report.left.0),
        (120, 0),
        "however many there are"
    );
    ann.engine.pause().await.unwrap();
    left.send_text(talk.clone(), "while paused".into()).unwrap();
    ann.engine.resume().await.unwrap();
    ann.has_sent_everything().await;
    ben.until("the last line", || async {
        let lines = ben.lines(&talk).await.ok()?;
        (lines.last()? == "ann: while paused").then_some(())
    })
    .await;
    let lines = ben.lines(&talk).await.unwrap();
    assert_eq!(lines[lines.len() - 2], "ann: line 119", "in order");
    assert_eq!(ann.client.inbox_report().imported, 121);
}

/// D09: a read mark from a notification clears the count here and is told to the service.
#[tokio::test]
async fn a_read_mark_left_by_a_notification_clears_the_count() {
    let place = Place::new().await;
    let (ann, ben, talk) = talk(&place).await;
    ann.engine.shutdown().await.unwrap();
    let from_ben = ben.client.conversation(talk.clone()).unwrap();
    from_ben
        .send_text("are you there?".into(), None)
        .await
        .unwrap();
    ben.has_sent_everything().await;
    let page = from_ben.page(None, 1).await.unwrap();
    let read = page.items[0].message().unwrap().sent_at;
    extension(&inbox(&place), "ann")
        .mark_read(talk.clone(), read)
        .unwrap();
    let ann = Device::open(config(&place), "ann").await;
    ann.go_online().await;
    ann.sees(&talk, &["ann: hello", "ben: are you there?"])
        .await;
    let conversation = ann.client.conversation(talk.clone()).unwrap();
    ann.until("nothing unread", || async {
        let info = conversation.info().await.ok()?;
        (info.unread.count == 0 && ann.client.outbox().await.ok()?.is_empty()).then_some(())
    })
    .await;
    ben.until("the read mark", || async {
        from_ben.fetch_receipts().await.ok()?;
        (from_ben.info().await.ok()?.read_until? >= read).then_some(())
    })
    .await;
}

/// Damaged files are set aside and told; nothing of them is sent, and the rest is.
#[tokio::test]
async fn damaged_files_are_set_aside_and_told_and_the_others_are_taken() {
    let place = Place::new().await;
    let (ann, _ben, talk) = talk(&place).await;
    let left = extension(&inbox(&place), "ann");
    left.send_text(talk.clone(), "one".into()).unwrap();
    left.send_text(talk.clone(), "two".into()).unwrap();
    let files_before = files(&inbox(&place));
    let mut bytes = fs::read(&files_before[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] = !bytes[middle];
    fs::write(&files_before[0], bytes).unwrap();
    let report = ann.client.import_inbox().await.unwrap();
    assert_eq!((report.imported.0, report.damaged.0), (1, 1));
    let kept = files(&inbox(&place));
    assert_eq!(kept.len(), 1);
    assert!(kept[0].to_string_lossy().ends_with(".damaged"));
    assert_eq!(
        ann.client.import_inbox().await.unwrap().damaged,
        0,
        "it is told once"
    );
}

/// Work that can never be sent becomes a failed entry that the app sees; it does not vanish.
#[tokio::test]
async fn a_message_too_large_to_be_sent_becomes_a_failed_entry() {
    let place = Place::new().await;
    let (ann, _ben, talk) = talk(&place).await;
    let left = extension(&inbox(&place), "ann");
    left.send_text(talk.clone(), "x".repeat(8000)).unwrap();
    let refused = left
        .send_text(talk.clone(), "x".repeat(40_000))
        .unwrap_err();
    assert!(matches!(refused, SampanError::TooLarge { .. }));
    ann.client.import_inbox().await.unwrap();
    let outbox = ann.client.outbox().await.unwrap();
    let OutboxState::Failed { failure } = &outbox[0].state else {
        panic!("{outbox:?}");
    };
    assert!(matches!(failure, SendFailure::Unsendable { .. }));
    let key = sampan::model::MessageKey::local(outbox[0].local_id.clone().unwrap());
    let talk = ann.client.conversation(talk).unwrap();
    let shown = talk.message(key).await.unwrap().message.unwrap();
    assert!(matches!(
        shown.delivery,
        Some(sampan::Delivery::Failed {
            can_retry: false,
            ..
        })
    ));
}

/// The inbox of a client with a store key is as unreadable as its store; the key can be changed.
#[tokio::test]
async fn the_inbox_of_an_encrypted_client_is_under_its_key() {
    let place = Place::new().await;
    let engine = Engine::open(config(&place)).unwrap();
    let options = ClientOptions {
        store_key: Some(Secret::new(KEY)),
        ..ClientOptions::default()
    };
    let ann = engine.client(id("ann"), options).await.unwrap();
    let talk = ann.create_conversation(sampan::model::NewConversation::default());
    let talk = talk.await.unwrap().conversation.conversation_id();
    let open = |key: &str| {
        let key = Some(Secret::new(key));
        ExtensionInbox::open(inbox(&place), app(), id("ann"), key).unwrap()
    };
    open(KEY)
        .send_text(talk.clone(), "a secret".into())
        .unwrap();
    let bytes = fs::read(files(&inbox(&place)).remove(0)).unwrap();
    assert!(!bytes.windows(8).any(|part| part == b"a secret"));
    let other = KEY.replace('6', "7");
    open(&other)
        .send_text(talk.clone(), "too early".into())
        .unwrap();
    let report = ann.import_inbox().await.unwrap();
    assert_eq!(
        (report.imported.0, report.locked.0, report.damaged.0),
        (1, 1, 0)
    );
    let (old, new) = (Secret::new(KEY), Secret::new(&*other));
    ann.change_store_key(old, new).await.unwrap();
    assert_eq!(
        ann.import_inbox().await.unwrap().imported,
        1,
        "it waited for its key"
    );
    let bad = ExtensionInbox::open(inbox(&place), app(), id("ann"), Some(Secret::new("short")));
    assert!(matches!(
        bad.unwrap_err(),
        SampanError::InvalidArgument { .. }
    ));
}

/// An app without an inbox folder has nothing to import, and says so.
#[tokio::test]
async fn without_an_inbox_folder_there_is_nothing_to_import() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let report = ann.client.import_inbox().await.unwrap();
    assert_eq!(report, ann.client.inbox_report());
    assert_eq!(report.imported, 0);
    let nowhere = extension(&place.folder.path().join("phone"), "ben");
    let until = Timestamp::from_millis(1);
    let conversation = ConversationId::new("5f0000000000000000000000").unwrap();
    nowhere.mark_read(conversation, until).unwrap();
}

/// Names the folder of the process that is killed.
const FOLDER: &str = "SAMPAN_TEST_INBOX_FOLDER";

fn offline(root: &Path) -> Config {
    let url = "http://127.0.0.1:9".into();
    let mut config = config_of(sampan::ServerAddress::Router { url }, &root.join("phone"));
    config.inbox_folder = Some(root.join("inbox"));
    config
}

/// Run by the test below in a process of its own: opens the client, which imports.
#[tokio::test]
#[ignore = "the process that a test kills"]
async fn importer() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    println!("{IMPORTING}");
    let ann = Device::open(offline(Path::new(&folder)), "ann").await;
    loop {
        ann.client.import_inbox().await.unwrap();
    }
}

/// The line that the importer writes before it begins.
const IMPORTING: &str = "importing now";

/// D09: a process that is killed at any moment of an import imports each piece of work once.
#[tokio::test]
async fn an_import_that_is_killed_takes_everything_once() {
    let root = tempfile::tempdir().unwrap();
    let ann = Device::open(offline(root.path()), "ann").await;
    let talk = ann.talk_to("ben").await.conversation_id();
    ann.engine.shutdown().await.unwrap();
    let inbox = root.path().join("inbox");
    let left = extension(&inbox, "ann");
    let (mut expected, mut amidst) = (Vec::new(), 0);
    for round in 0..8_u64 {
        for number in 0..40 {
            let words = format!("round {round}, line {number}");
            left.send_text(talk.clone(), words.clone()).unwrap();
            expected.push(format!("ann: {words} (pending)"));
        }
        let full = files(&inbox).len();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "extension::importer", "--ignored", "--nocapture"])
            .env(FOLDER, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains(IMPORTING)));
        // The kill falls when so many of the files are gone: before, in the midst of and after an
        // import, whatever the machine's speed.
        let goal = full.saturating_sub(usize::try_from(round).unwrap() * 2);
        in_time("an import", async {
            while files(&inbox).len() > goal {
                tokio::task::yield_now().await;
            }
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
        let left = files(&inbox).len();
        amidst += usize::from(left > 0 && left < full);
    }
    assert!(amidst > 0, "no kill fell into an import");
    let ann = Device::open(offline(root.path()), "ann").await;
    let page = ann.client.conversation(talk).unwrap();
    let page = page.page(None, 500).await.unwrap();
    let shown: Vec<_> = page
        .items
        .iter()
        .filter_map(|it| it.message())
        .map(line)
        .collect();
    assert_eq!(shown, expected);
    assert!(files(&root.path().join("inbox")).is_empty());
}
