//! The caches that older SDKs left on a phone, taken over by the engine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use sampan::model::{
    ConversationId, Message, MessageContent, MessageState, OutboxState, SendFailure, UploadFailure,
};
use sampan::wire::content;
use sampan::{
    LegacyReason, LegacyReport, LegacyScope, LegacySource, LegacyWatch, PageItem, SampanError,
};

use crate::file_host::FileHost;
use crate::place::{Device, Place};

const SWIFT: &str = "
    CREATE TABLE conversation (id TEXT PRIMARY KEY, raw_data BLOB, updated_timestamp INTEGER,
        created_timestamp INTEGER, outdated INTEGER);
    CREATE TABLE last_message (conversation_id TEXT PRIMARY KEY, raw_data BLOB, sent_timestamp INTEGER);
    CREATE TABLE message (conversation_id TEXT, sent_timestamp INTEGER, message_id TEXT,
        from_peer_id TEXT, content BLOB, binary INTEGER, delivered_timestamp INTEGER,
        read_timestamp INTEGER, patched_timestamp INTEGER, all_mentioned INTEGER,
        mentioned_list BLOB, status INTEGER, breakpoint INTEGER,
        PRIMARY KEY (conversation_id, sent_timestamp, message_id));";

const OBJECTIVE_C: &str = "
    CREATE TABLE message (seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT, conversation_id TEXT,
        from_peer_id TEXT, timestamp REAL, receipt_timestamp REAL, read_timestamp REAL,
        patch_timestamp REAL, mention_all INTEGER, mention_list BLOB, payload BLOB, status INTEGER,
        breakpoint BOOL);
    CREATE TABLE conversation_v2 (conversation_id TEXT PRIMARY KEY, name TEXT, creator TEXT,
        transient INTEGER, members TEXT, attr BLOB, create_at REAL, update_at REAL, last_message_at REAL,
        last_message BLOB, muted INTEGER, raw_data BLOB, expire_at REAL);";

const JAVA: &str = "
    CREATE TABLE messages (conversation_id VARCHAR(32) NOT NULL, message_id VARCHAR(32) NOT NULL,
        timestamp NUMBERIC, from_peer_id TEXT NOT NULL, receipt_timestamp NUMBERIC, readAt NUMBERIC,
        updateAt NUMBERIC, payload BLOB, status INTEGER, breakpoint INTEGER, dtoken VARCHAR(32),
        mentionAll INTEGER DEFAULT 0, mentionList TEXT, iType INTEGER DEFAULT 0,
        PRIMARY KEY (conversation_id, message_id));
    CREATE TABLE conversations (conversation_id VARCHAR(32) NOT NULL, expireAt NUMBERIC, attr BLOB,
        instanceData BLOB, updatedAt VARCHAR(64), createdAt VARCHAR(64), creator TEXT, members TEXT,
        isTransient INTEGER, unread_count INTEGER, readAt NUMBERIC, deliveredAt NUMBERIC, lm NUMBERIC,
        last_message TEXT, PRIMARY KEY (conversation_id));";

/// A cache in a folder that is made for it.
fn cache(folder: &Path, name: &str, sql: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

async fn import(device: &Device, path: &Path, scope: LegacyScope) -> LegacyReport {
    let path = path.to_owned();
    let source = LegacySource { path, scope };
    let report = device.client.import_legacy(source, None).await.unwrap();
    let counted = [report.conversations, report.messages, report.drafts];
    let counted: u64 = counted.iter().map(sampan::LegacyCounts::all).sum();
    let left = report.left.len() as u64;
    assert_eq!(
        counted + report.repeated + left,
        report.rows,
        "each row once: {report:?}"
    );
    report
}

async fn import_all(device: &Device, path: &Path) -> LegacyReport {
    import(device, path, LegacyScope::AllConversations).await
}

fn named(id: &str) -> ConversationId {
    ConversationId::new(id).unwrap()
}

/// Everything that the store keeps of a message.
fn whole(message: &Message) -> String {
    let says = content::encode(&message.content).to_data();
    format!(
        "{:?} {} {} {says:?} {:?} {:?} {:?} {:?}",
        message.id,
        message.sent_at.as_millis(),
        message.sender,
        message.mentions,
        message.state,
        message.edited_at,
        message.local_id
    )
}

/// Everything that a device shows of a conversation.
async fn shown(device: &Device, id: &ConversationId) -> Vec<String> {
    let talk = device.handle(id);
    let info = talk.info().await.unwrap();
    let page = talk.page(None, 500).await.unwrap();
    let mut shown = vec![format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        info.kind,
        info.name,
        info.members,
        info.columns.map(|it| it.as_str().to_owned()),
        info.attributes.map(|it| it.as_str().to_owned()),
        info.last_message_at,
        info.unread,
    )];
    shown.extend(page.items.iter().map(|item| match item {
        PageItem::Gap { .. } => "(gap)".to_owned(),
        item => item.message().map(whole).unwrap_or_default(),
    }));
    shown
}

/// One conversation as each SDK keeps it, with what each of them loses.
///
/// | message | Swift | Objective-C | Java |
/// |---|---|---|---|
/// | m1, text with a custom key | whole | whole | without the key, written anew |
/// | m2, mentions ben and carl, edited | edited, no names | before the edit, names | edited, without the time |
/// | m3, bytes | lost | their base64 | whole |
/// | m4, recalled | its sender is lost | before the recall | recalled, without a time |
/// | m5, own, delivered and read | both times | neither | inverted, so none |
/// | m6 | not there | at two times | whole |
fn model(folder: &Path) -> [PathBuf; 3] {
    let names: String = include_bytes!("../../legacy/tests/it/archives/ben-and-carl.plist")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let swift = format!(
        r#"{SWIFT}
        INSERT INTO message VALUES
        ('tea', 1500000001000, 'm1', 'ben', '{{"_lctype":-1,"_lctext":"one","mood":"glad"}}', 0, NULL, NULL, NULL, NULL, NULL, 2, 1),
        ('tea', 1500000002000, 'm2', 'ben', '{{"_lctype":-1,"_lctext":"two, edited"}}', 0, NULL, NULL, 1500000002500, NULL, NULL, 2, 0),
        ('tea', 1500000003000, 'm3', 'carl', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 0),
        ('tea', 1500000004000, 'm4', NULL, '{{"_lctype":-127}}', 0, NULL, NULL, 1500000004500, NULL, NULL, 2, 0),
        ('tea', 1500000005000, 'm5', 'ann', 'five', 0, 1500000005100, 1500000005200, NULL, NULL, NULL, 2, 1);
        INSERT INTO conversation VALUES ('tea', '{{"objectId":"tea","name":"Tea","m":["ann","ben","carl"],
        "createdAt":"2017-07-14T00:00:00.000Z","updatedAt":"2017-07-15T00:00:00.000Z","topic":"milk"}}', 0, 0, 0);"#
    );
    let objective_c = format!(
        r#"{OBJECTIVE_C}
        INSERT INTO message (message_id, conversation_id, from_peer_id, timestamp, receipt_timestamp,
        read_timestamp, patch_timestamp, mention_all, mention_list, payload, status, breakpoint) VALUES
        ('m1', 'tea', 'ben', 1500000001000.0, 0, 0, 0, 0, NULL, '{{"_lctype":-1,"_lctext":"one","mood":"glad"}}', 2, 1),
        ('m2', 'tea', 'ben', 1500000002000.0, 0, 0, 0, 0, x'{names}', '{{"_lctype":-1,"_lctext":"two"}}', 2, 0),
        ('m3', 'tea', 'carl', 1500000003000.0, 0, 0, 0, 0, NULL, 'AP8=', 2, 0),
        ('m4', 'tea', 'carl', 1500000004000.0, 0, 0, 0, 0, NULL, '{{"_lctype":-1,"_lctext":"four"}}', 2, 0),
        ('m5', 'tea', 'ann', 1500000005000.0, 0, 0, 0, 0, NULL, 'five', 2, 0),
        ('m6', 'tea', 'ann', 1500000005999.125, 0, 0, 0, 0, NULL, 'six', 2, 0),
        ('m6', 'tea', 'ann', 1500000006000.0, 0, 0, 0, 0, NULL, 'six', 2, 0);
        INSERT INTO conversation_v2 (conversation_id, name, members, create_at, update_at, muted)
        VALUES ('tea', 'Tea, before', 'ann,ben', 1500000000.0, 1500000000.0, 0);"#
    );
    let java = format!(
        r#"{JAVA}
        INSERT INTO messages (conversation_id, message_id, timestamp, from_peer_id, receipt_timestamp, readAt,
        updateAt, payload, status, breakpoint, iType) VALUES
        ('tea', 'm1', 1500000001000, 'ben', 0, 0, 0, '{{"_lctext":"one","_lctype":-1}}', 0, 1, 0),
        ('tea', 'm2', 1500000002000, 'ben', 0, 0, 0, '{{"_lctext":"two, edited","_lctype":-1}}', 0, 0, 0),
        ('tea', 'm3', 1500000003000, 'carl', 0, 0, 0, x'00ff', 0, 0, 1),
        ('tea', 'm4', 1500000004000, 'carl', 0, 0, 0, '{{"_lctype":-1,"_lctext":"four"}}', 5, 0, 0),
        ('tea', 'm5', 1500000005000, 'ann', -1, 0, 0, 'five', 0, 0, 0),
        ('tea', 'm6', 1500000006000, 'ann', 0, 0, 0, 'six', 0, 0, 0);
        INSERT INTO conversations (conversation_id, members, attr) VALUES ('tea', '["ann"]', '{{"old":true}}');"#
    );
    [
        cache(folder, "swift", &swift),
        cache(folder, "objective-c", &objective_c),
        cache(folder, "java", &java),
    ]
}

/// D06: three caches of one conversation, each with its own losses, in every order and each twice, give the
/// same bytes, and nothing that one of them knew is lost.
#[tokio::test]
async fn caches_of_one_conversation_give_the_same_in_every_order_and_number() {
    let place = Place::new().await;
    let sources = model(&place.folder.path().join("old"));
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let mut all = BTreeSet::new();
    for (number, order) in orders.iter().enumerate() {
        let ann = place.device(&format!("phone {number}"), "ann").await;
        for source in order.iter().chain(order) {
            import_all(&ann, &sources[*source]).await;
        }
        all.insert(shown(&ann, &named("tea")).await);
        ann.engine.shutdown().await.unwrap();
    }
    assert_eq!(all.len(), 1, "{all:#?}");
    let shown = all.pop_first().unwrap();
    let says = |place: usize, words: &str| {
        let line = &shown[place];
        assert!(line.contains(words), "{words} in {line}");
    };
    says(0, r#"Some("Tea")"#);
    says(0, "milk");
    says(0, "count: 0");
    // Before the first there may be older history, behind the last newer.
    assert_eq!(
        (shown[1].as_str(), shown[8].as_str(), shown.len()),
        ("(gap)", "(gap)", 9)
    );
    says(2, "mood");
    says(3, "two, edited");
    says(3, r#"ClientId("carl")"#);
    says(4, r#"("AP8=", true)"#);
    says(5, " carl ");
    says(5, "-127");
    says(6, "Read { at: Timestamp(1500000005200) }");
    says(7, "1500000006000 ann");
}

/// Imported messages meet those of the service: the same ids, nothing twice, nothing that seems to be missing.
#[tokio::test]
async fn history_of_the_service_meets_the_messages_of_a_cache() {
    let place = Place::new().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    for number in 0..30 {
        talk.send_text(format!("line {number}"), None)
            .await
            .unwrap();
    }
    ben.has_sent_everything().await;
    let id = ben.service_id(&talk).await;
    let said = ben.messages(&id).await;
    // The cache has all but one in the middle, which an own send hid: it claims to be whole.
    let rows = said.iter().enumerate().filter(|(number, _)| *number != 11);
    let rows = rows.map(|(_, message)| {
        let says = content::encode(&message.content).to_data().0;
        let (at, name) = (message.sent_at.as_millis(), message.id.clone().unwrap());
        format!("('{id}', '{name}', {at}, 'ben', '{says}', 0, 0)")
    });
    let rows: Vec<String> = rows.collect();
    let sql = format!(
        "{JAVA} INSERT INTO messages (conversation_id, message_id, timestamp, from_peer_id, payload,
         status, breakpoint) VALUES {};",
        rows.join(",")
    );
    let path = cache(
        &place.folder.path().join("old"),
        "com.avos.avoscloud.im.v2.ann",
        &sql,
    );

    let ann = place.device("phone", "ann").await;
    let report = import(&ann, &path, LegacyScope::KnownConversations).await;
    assert_eq!(
        (report.messages.all(), report.left.len()),
        (0, 29),
        "nobody knows it yet"
    );
    assert_eq!(report.left[0].reason, LegacyReason::UnknownConversation);

    let report = import_all(&ann, &path).await;
    assert_eq!(report.messages.stored, 29);
    let lines = ann.lines(&id).await.unwrap();
    let gaps = lines.iter().filter(|line| *line == "(gap)").count();
    assert_eq!(
        (gaps, lines.len()),
        (2, 31),
        "before it and behind it, as the cache claims"
    );

    ann.go_online().await;
    let all: Vec<String> = (0..30)
        .map(|number| format!("ben: line {number}"))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    ann.until("the whole history", || async {
        let lines = ann.lines(&id).await.ok()?;
        let lines: Vec<&String> = lines.iter().filter(|line| *line != "(gap)").collect();
        (lines == all).then_some(())
    })
    .await;
    ann.handle(&id).fetch_older(100).await.unwrap();
    ann.sees(&id, &all).await;
    let again = import(&ann, &path, LegacyScope::KnownConversations).await;
    assert_eq!((again.messages.unchanged, again.left.len()), (29, 0));
    ann.sees(&id, &all).await;
}

/// Online, the service is asked which of the conversations are this app's.
#[tokio::test]
async fn what_another_app_of_the_same_build_cached_is_listed() {
    let place = Place::new().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    let id = ben.service_id(&talk).await;
    let ann = place.online("phone", "ann").await;
    let sql = format!(
        "{JAVA} INSERT INTO messages (conversation_id, message_id, timestamp, from_peer_id, payload, status)
         VALUES ('{id}', 'm1', 1500000001000, 'ben', 'mine', 0),
                ('5f00000000000000000000aa', 'm2', 1500000002000, 'ben', 'from the test app', 0);"
    );
    let path = cache(&place.folder.path().join("old"), "copy", &sql);
    let report = import(&ann, &path, LegacyScope::KnownConversations).await;
    assert_eq!((report.messages.stored, report.left.len()), (1, 1));
    let left = &report.left[0];
    assert_eq!(
        left.conversation.as_deref(),
        Some("5f00000000000000000000aa")
    );
    assert_eq!(
        (left.message.as_deref(), left.reason),
        (Some("m2"), LegacyReason::UnknownConversation)
    );
    let report = import_all(&ann, &path).await;
    assert_eq!((report.messages.stored, report.messages.unchanged), (1, 1));
}

/// A message that was never sent waits as a failed one; the service hears of it when the app says so.
#[tokio::test]
async fn drafts_wait_for_the_app_and_do_not_come_back() {
    let place = Place::new().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    let id = ben.service_id(&talk).await;
    let sql = format!(
        "{SWIFT} INSERT INTO message VALUES
         ('{id}', 1500000001000, 'dt-1', 'ann', 'sent in the end', 0, NULL, NULL, NULL, NULL, NULL, -1, 0),
         ('{id}', 1500000002000, 'dt-2', 'ann', 'given up', 0, NULL, NULL, NULL, NULL, NULL, -1, 0);"
    );
    let path = cache(&place.folder.path().join("old"), "database.sqlite", &sql);
    let ann = place.online("phone", "ann").await;
    let report = import(&ann, &path, LegacyScope::AllConversations).await;
    assert_eq!(report.drafts.stored, 2);
    let conversation = ann.handle(&id);
    let waits = || async {
        let mut waits = ann.client.outbox().await.unwrap();
        waits.sort_by_key(|entry| entry.enqueued_at);
        waits
    };
    let drafts = waits().await;
    let ambiguous = OutboxState::Failed {
        failure: SendFailure::Ambiguous,
    };
    assert!(
        drafts.iter().all(|draft| draft.state == ambiguous),
        "{drafts:?}"
    );
    // A new message passes the failed ones by.
    conversation.send_text("hello".into(), None).await.unwrap();
    ben.sees(&id, &["ann: hello"]).await;

    ann.client.retry(drafts[0].id).await.unwrap();
    ann.client.discard(drafts[1].id).await.unwrap();
    ann.has_sent_everything().await;
    ben.sees(&id, &["ann: hello", "ann: sent in the end"]).await;
    let report = import_all(&ann, &path).await;
    assert_eq!((report.drafts.unchanged, waits().await.len()), (2, 0));
}

/// A file that was never uploaded comes along with its message, and is uploaded when the app says so. One that is gone
/// is told.
#[tokio::test]
async fn a_draft_brings_its_file_along_or_says_that_it_is_gone() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    let id = ben.service_id(&talk).await;
    let old = place.folder.path().join("old");
    let draft = |token: &str, file: &str| {
        let path = old.join(file);
        let says = serde_json::json!({
            "_lctype": -2, "_lctext": token, "_lcattrs": { "mood": "glad" },
            "_lcfile": { "local_path": path, "metaData": { "name": "photo.png", "width": 3 } },
        });
        format!("('{id}', '{token}', 1500000001000, 'ann', '{says}', 4, '{token}')")
    };
    let (here, gone) = (draft("here", "x.png"), draft("gone", "y.png"));
    let path = cache(
        &old,
        "copy",
        &format!(
            "{JAVA} INSERT INTO messages (conversation_id, message_id, timestamp, from_peer_id, payload, status, dtoken)
             VALUES {here}, {gone};"
        ),
    );
    std::fs::write(old.join("x.png"), [7; 5_000]).unwrap();
    let mut config = place.config("phone");
    config.api_url = Some(host.url());
    let ann = Device::open(config, "ann").await;
    for _ in 0..2 {
        assert_eq!(import_all(&ann, &path).await.drafts.all(), 2);
    }
    // The copy does not need the original any more.
    std::fs::remove_file(old.join("x.png")).unwrap();
    let drafts = ann.client.outbox().await.unwrap();
    let [lost, kept]: [Vec<_>; 2] = [true, false].map(|is_lost| {
        let is_it = |failure: &SendFailure| {
            is_lost == matches!(failure, SendFailure::NotUploaded { failure: UploadFailure::CopyLost { .. } })
        };
        let failed = |it: &&sampan::model::OutboxEntry| matches!(&it.state, OutboxState::Failed { failure } if is_it(failure));
        drafts.iter().filter(failed).collect()
    });
    assert_eq!((lost.len(), kept.len()), (1, 1), "{drafts:?}");
    ann.go_online().await;
    ann.client.retry(kept[0].id).await.unwrap();
    let arrived = ben.until("the picture", || async {
        let messages = ben.messages(&id).await;
        messages.into_iter().find(|it| it.content.media().is_some())
    });
    let MessageContent::Image {
        file,
        caption,
        details,
    } = arrived.await.content
    else {
        panic!("it is a picture");
    };
    assert_eq!(
        (file.size, file.width, file.name.as_deref()),
        (Some(5_000), Some(3), Some("photo.png"))
    );
    assert!(
        file.url.starts_with(&host.url())
            && file
                .extra
                .is_none_or(|it| !it.as_str().contains("local_path"))
    );
    assert_eq!(
        (caption.as_deref(), details.attributes.is_some()),
        (Some("here"), true)
    );
}

#[tokio::test]
async fn an_import_that_is_cancelled_goes_on_when_it_is_called_again() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let sql = format!(
        "{SWIFT} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO message SELECT 'tea', 1500000000000 + i, 'm' || i, 'ben', 'line ' || i, 0,
         NULL, NULL, NULL, NULL, NULL, 2, 0 FROM n;"
    );
    let path = cache(&place.folder.path().join("old"), "database.sqlite", &sql);
    let watch = LegacyWatch::new();
    watch.cancel();
    let scope = LegacyScope::AllConversations;
    let source = LegacySource {
        path: path.clone(),
        scope,
    };
    let report = ann
        .client
        .import_legacy(source.clone(), Some(watch))
        .await
        .unwrap();
    assert!(report.is_cancelled && report.messages.all() == 0);
    let watch = LegacyWatch::new();
    let report = ann
        .client
        .import_legacy(source, Some(Arc::clone(&watch)))
        .await
        .unwrap();
    assert!(!report.is_cancelled && report.messages.stored == 3000);
    let progress = watch.progress();
    assert_eq!((progress.read, progress.to_read), (3000, 3000));
    assert_eq!((progress.stored, progress.to_store), (3000, 3000));
    // It is on the disk: an engine that opens the store anew has all of it.
    ann.engine.shutdown().await.unwrap();
    let ann = place.device("phone", "ann").await;
    let report = import_all(&ann, &path).await;
    assert_eq!(report.messages.unchanged, 3000);
    let newest = ann.messages(&named("tea")).await.pop().unwrap();
    assert_eq!(newest.state, MessageState::Sent);
}

#[tokio::test]
async fn a_file_that_is_gone_another_clients_or_no_database_is_a_typed_error() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let folder = place.folder.path().join("old");
    let fails = |path: PathBuf| {
        let client = Arc::clone(&ann.client);
        let scope = LegacyScope::AllConversations;
        async move {
            client
                .import_legacy(LegacySource { path, scope }, None)
                .await
                .unwrap_err()
        }
    };
    let gone = fails(folder.join("nothing")).await;
    assert!(matches!(gone, SampanError::NotFound { .. }), "{gone}");
    let other = cache(&folder, "com.avos.avoscloud.im.v2.ben", JAVA);
    let other = fails(other).await;
    assert!(
        matches!(other, SampanError::InvalidArgument { .. }),
        "{other}"
    );
    let letter = folder.join("letter");
    std::fs::write(&letter, "no database at all. ".repeat(200)).unwrap();
    let letter = fails(letter).await;
    assert!(
        matches!(letter, SampanError::InvalidArgument { .. }),
        "{letter}"
    );
    ann.client
        .sign_out(sampan::LocalData::Keep, sampan::UnsentWork::KeepIt)
        .await
        .unwrap();
    assert_eq!(fails(folder.join("nothing")).await, SampanError::SignedOut);
}

/// The caches that the tests of Kotlin and Swift import as well: files as three SDKs wrote them.
#[tokio::test]
async fn a_small_cache_of_each_sdk_is_taken_over() {
    let place = Place::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/caches");
    let mut all = BTreeSet::new();
    for name in ["swift", "objective-c", "java"] {
        let ann = place.device(name, "ann").await;
        let path = folder.join(name).with_extension("sqlite");
        for _ in 0..2 {
            let report = import_all(&ann, &path).await;
            let counted = (
                report.messages.all(),
                report.drafts.all(),
                report.left.len(),
            );
            assert_eq!((report.rows, counted), (8, (5, 1, 1)), "{name}: {report:?}");
        }
        all.insert(ann.lines(&named("tea")).await.unwrap());
    }
    assert_eq!(all.len(), 1, "{all:#?}");
    let lines = all.pop_first().unwrap();
    assert!(
        lines.contains(&"ben: vier, 四, four".to_owned()),
        "{lines:?}"
    );
}

/// Takes over many messages: a few thousand, or `SAMPAN_MESSAGES` of them. Nothing is judged by the time it takes; `docs/moving.md`
/// has the figure for a hundred thousand.
#[tokio::test]
async fn every_message_of_a_long_history_is_taken_over() {
    let asked = std::env::var("SAMPAN_MESSAGES").ok();
    let many: u64 = asked.map_or(2_000, |number| number.parse().unwrap());
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let sql = format!(
        "{SWIFT} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many})
         INSERT INTO message SELECT 'talk' || (i % 50), 1500000000000 + i * 1000, 'm' || i, 'client' || (i % 7),
         '{{\"_lctype\":-1,\"_lctext\":\"line ' || i || ' of a conversation that went on for long\"}}', 0,
         NULL, NULL, NULL, NULL, NULL, 2, 0 FROM n;"
    );
    let path = cache(&place.folder.path().join("old"), "database.sqlite", &sql);
    let report = import_all(&ann, &path).await;
    assert_eq!(report.messages.stored, many);
}
