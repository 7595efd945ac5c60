//! The Swift SDK: 16.x with a rollback journal, 17.x with a write-ahead log; the tables are the same.

use sampan_legacy::{Kind, Payload, Reason};

use crate::{Phone, lines, reasons, runs};

pub(crate) const SCHEMA: &str = "
    CREATE TABLE conversation (id TEXT PRIMARY KEY, raw_data BLOB, updated_timestamp INTEGER,
        created_timestamp INTEGER, outdated INTEGER);
    CREATE TABLE last_message (conversation_id TEXT PRIMARY KEY, raw_data BLOB, sent_timestamp INTEGER);
    CREATE TABLE message (conversation_id TEXT, sent_timestamp INTEGER, message_id TEXT,
        from_peer_id TEXT, content BLOB, binary INTEGER, delivered_timestamp INTEGER,
        read_timestamp INTEGER, patched_timestamp INTEGER, all_mentioned INTEGER,
        mentioned_list BLOB, status INTEGER, breakpoint INTEGER,
        PRIMARY KEY (conversation_id, sent_timestamp, message_id));";

fn phone() -> Phone {
    let phone = Phone::with(SCHEMA);
    phone.does(
        r#"INSERT INTO message VALUES
           ('tea', 1000, 'm1', 'ann', 'plain', 0, NULL, NULL, NULL, NULL, NULL, 2, 1),
           ('tea', 2000, 'm2', 'ben', '{"_lctype":-1,"_lctext":"hi"}', 0, 2100, 2200, 2500, 0, '["ann"]', 2, 0),
           ('tea', 3000, 'm3', NULL, '{"_lctype":-127}', 0, NULL, NULL, 3500, NULL, NULL, 2, 1),
           ('tea', 4000, 'm4', 'ben', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2, 1),
           ('tea', 5000, 'm5', 'ben', x'6162', 1, NULL, NULL, NULL, NULL, NULL, 2, 1),
           ('tea', 5500, 'dt-1', 'ann', 'never sent', 0, NULL, NULL, NULL, NULL, NULL, -1, 0),
           ('tea', 5600, 'dt-2', 'ann', NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1, 0);
           INSERT INTO last_message VALUES ('tea',
           '{"conversation_id":"tea","sent_timestamp":9000,"message_id":"m9","from_peer_id":"ben","content":"bye","binary":false,"status":2,"breakpoint":false}',
           9000);
           INSERT INTO conversation VALUES ('tea',
           '{"objectId":"tea","name":"Tea","m":["ann","ben"],"c":"ann","conv_type":1,"topic":"milk","msg":"bye"}',
           0, 0, 1);"#,
    );
    phone
}

#[test]
fn rows_are_messages_with_what_the_sdk_kept_of_them() {
    let cache = phone().reads();
    assert_eq!(cache.kind, Some(Kind::Swift));
    assert_eq!(
        lines(&cache),
        [
            "tea/1000 m1 ann: plain",
            r#"tea/2000 m2 ben: {"_lctype":-1,"_lctext":"hi"}"#,
            r#"tea/3000 m3 ?: {"_lctype":-127}"#,
            "tea/4000 m4 ben: (lost)",
            "tea/5000 m5 ben: [97, 98]",
            "tea/9000 m9 ben: bye",
        ]
    );
    let second = &cache.messages[1];
    let times = (second.delivered_at, second.read_at, second.edited_at);
    assert_eq!(times, (Some(2100), Some(2200), Some(2500)));
    assert_eq!(second.mentions.as_ref().unwrap().clients, ["ann"]);
    assert_eq!(
        cache.messages[0].mentions, None,
        "no field is not an empty list"
    );
}

/// A hole is between two neighbours that are both marked; a message that stands alone joins nothing.
#[test]
fn runs_end_where_both_neighbours_are_marked() {
    assert_eq!(runs(&phone().reads()), ["m1-m3"]);
}

#[test]
fn failed_rows_are_drafts_by_their_token_and_one_without_content_is_listed() {
    let cache = phone().reads();
    let draft = &cache.drafts[0];
    assert_eq!((draft.token.as_str(), draft.at), ("dt-1", 5500));
    assert_eq!(draft.payload, Payload::Text("never sent".into()));
    assert_eq!(
        (cache.drafts.len(), reasons(&cache)),
        (1, vec![Reason::NoContent])
    );
}

#[test]
fn a_conversation_keeps_the_columns_that_the_service_sent() {
    let cache = phone().reads();
    let tea = &cache.conversations[0];
    assert!(tea.is_outdated);
    assert_eq!(tea.columns.get("topic").unwrap(), "milk");
    assert_eq!(
        tea.columns.get("msg"),
        None,
        "the last message is no column"
    );
}

/// 17.x keeps a write-ahead log, and an app that was killed leaves it behind.
#[test]
fn what_is_still_in_the_write_ahead_log_is_read() {
    let phone = phone();
    phone.does(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
         INSERT INTO message VALUES
         ('tea', 6000, 'm6', 'ben', 'in the log', 0, NULL, NULL, NULL, NULL, NULL, 2, 0);",
    );
    let log = phone.path().with_file_name("cache-wal");
    assert!(log.metadata().unwrap().len() > 0, "the log holds something");
    let before = std::fs::read(phone.path()).unwrap();
    assert!(lines(&phone.reads()).contains(&"tea/6000 m6 ben: in the log".to_owned()));
    assert_eq!(
        std::fs::read(phone.path()).unwrap(),
        before,
        "the cache is not written to"
    );
}

/// The service's id of a message is the whole key: a content that 16.x stored as an empty binary text is lost.
#[test]
fn an_empty_binary_text_of_the_early_versions_is_a_lost_content() {
    let phone = Phone::with(SCHEMA);
    phone.does(
        "INSERT INTO message VALUES
         ('tea', 1000, 'm1', 'ann', '', 1, NULL, NULL, NULL, NULL, NULL, 2, 1),
         ('tea', 2000, 'm2', 'ann', '', 0, NULL, NULL, NULL, NULL, NULL, 2, 1);",
    );
    assert_eq!(
        lines(&phone.reads()),
        ["tea/1000 m1 ann: (lost)", "tea/2000 m2 ann: "]
    );
}

/// A flag that is set to no mentions nobody.
#[test]
fn a_message_mentions_all_only_where_the_flag_is_one() {
    let phone = Phone::with(SCHEMA);
    phone.does(
        "INSERT INTO message VALUES
         ('tea', 1000, 'm1', 'ann', 'one', 0, NULL, NULL, NULL, 0, NULL, 2, 1),
         ('tea', 2000, 'm2', 'ann', 'two', 0, NULL, NULL, NULL, 1, NULL, 2, 1);",
    );
    let all: Vec<Option<bool>> = phone
        .reads()
        .messages
        .iter()
        .map(|message| message.mentions.as_ref().map(|it| it.all))
        .collect();
    assert_eq!(all, [Some(false), Some(true)]);
}
