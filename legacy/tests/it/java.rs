//! The Android and Java SDKs: `user_version` 7 to 11.

use sampan_legacy::{Kind, Payload, Reason};
use serde_json::json;

use crate::{Phone, lines, reasons, runs};

/// The columns that each version added to the tables of version 7.
const MESSAGES: [(i32, &str); 3] = [
    (8, ", mentionAll INTEGER DEFAULT 0, mentionList TEXT"),
    (9, ", iType INTEGER DEFAULT 0"),
    (11, ""),
];
const CONVERSATIONS: [(i32, &str); 3] = [
    (8, ", mentioned INTEGER"),
    (9, ", last_msg_iType INTEGER"),
    (10, ", sys INTEGER, temp INTEGER, temp_ttl NUMBERIC"),
];

pub(crate) fn schema(version: i32) -> String {
    let added = |columns: &[(i32, &str)]| {
        let columns = columns.iter().filter(|(since, _)| *since <= version);
        columns.map(|(_, columns)| *columns).collect::<String>()
    };
    let (messages, conversations) = (added(&MESSAGES), added(&CONVERSATIONS));
    format!(
        "CREATE TABLE messages (conversation_id VARCHAR(32) NOT NULL, message_id VARCHAR(32) NOT NULL,
            timestamp NUMBERIC, from_peer_id TEXT NOT NULL, receipt_timestamp NUMBERIC, readAt NUMBERIC,
            updateAt NUMBERIC, payload BLOB, status INTEGER, breakpoint INTEGER, dtoken VARCHAR(32){messages},
            PRIMARY KEY (conversation_id, message_id));
         CREATE UNIQUE INDEX message_index ON messages (conversation_id, timestamp, message_id);
         CREATE TABLE conversations (conversation_id VARCHAR(32) NOT NULL, expireAt NUMBERIC, attr BLOB,
            instanceData BLOB, updatedAt VARCHAR(64), createdAt VARCHAR(64), creator TEXT, members TEXT,
            isTransient INTEGER, unread_count INTEGER, readAt NUMBERIC, deliveredAt NUMBERIC, lm NUMBERIC,
            last_message TEXT{conversations}, PRIMARY KEY (conversation_id));
         PRAGMA user_version = {version};"
    )
}

const COLUMNS: &str = "messages (conversation_id, message_id, timestamp, from_peer_id,
    receipt_timestamp, readAt, updateAt, payload, status, breakpoint, dtoken)";

#[test]
fn rows_are_messages_in_each_version() {
    for version in 7..=11 {
        let phone = Phone::with(&schema(version));
        phone.does(&format!(
            "INSERT INTO {COLUMNS} VALUES
             ('tea', 'm1', 1000, 'ann', -1, -1, 0, x'6f6e65', 0, 1, NULL),
             ('tea', 'm2', 2000, 'ben', 0, 0, 2500, 'two', 0, 0, NULL),
             ('tea', 'm3', 3000, 'ann', 3100, 3200, 0, '{{\"_lctype\":-127}}', 5, 0, NULL),
             ('tea', 'm4', 4000, 'ben', 0, 0, 0, 'four', 0, 1, NULL),
             ('tea', 'uuid', 4500, 'ann', 0, 0, 0, 'never sent', 4, 0, 'uuid');
             INSERT INTO conversations (conversation_id, attr, instanceData, members, creator, createdAt, lm, unread_count)
             VALUES ('tea', '{{\"colour\":\"red\"}}', '{{\"topic\":\"milk\"}}', '[\"ann\",\"ben\"]', 'ann',
             '2020-01-01T00:00:00.000Z', 4000, 2);"
        ));
        let cache = phone.reads();
        assert_eq!(cache.kind, Some(Kind::Java), "version {version}");
        let expected = [
            "tea/1000 m1 ann: one",
            "tea/2000 m2 ben: two",
            r#"tea/3000 m3 ann: {"_lctype":-127}"#,
            "tea/4000 m4 ben: four",
        ];
        assert_eq!(lines(&cache), expected);
        let [one, two, three, _] = &cache.messages[..] else {
            panic!("four messages")
        };
        assert_eq!(
            (one.delivered_at, one.read_at, one.edited_at),
            (None, None, None)
        );
        assert_eq!((two.delivered_at, two.edited_at), (None, Some(2500)));
        assert_eq!(
            (three.delivered_at, three.read_at),
            (Some(3100), Some(3200))
        );
        assert!(three.is_recalled && !two.is_recalled);
        assert_eq!(runs(&cache), ["m1-m3"]);
        assert_eq!(cache.drafts[0].token, "uuid");
        let tea = &cache.conversations[0];
        assert_eq!(tea.columns.get("topic").unwrap(), "milk");
        assert_eq!(tea.columns.get("m").unwrap(), &json!(["ann", "ben"]));
        assert_eq!(
            tea.columns.get("attr").unwrap(),
            &json!({ "colour": "red" })
        );
    }
}

#[test]
fn bytes_mentions_and_kinds_are_read_where_the_version_has_them() {
    let phone = Phone::with(&schema(10));
    phone.does(
        "INSERT INTO messages (conversation_id, message_id, timestamp, from_peer_id, payload, iType,
         mentionAll, mentionList) VALUES
         ('news', 'm1', 1000, 'system', x'00ff', 1, 1, NULL),
         ('news', 'm2', 2000, 'ben', 'two', NULL, 0, ' ann, carl'),
         ('news', 'm3', 3000, 'ben', 'three', 0, 0, '');
         INSERT INTO conversations (conversation_id, sys, isTransient) VALUES ('news', 1, 0);",
    );
    let cache = phone.reads();
    assert_eq!(
        cache.messages[0].payload,
        Some(Payload::Bytes(vec![0, 255]))
    );
    assert!(cache.messages[0].mentions.as_ref().unwrap().all);
    assert_eq!(
        cache.messages[1].mentions.as_ref().unwrap().clients,
        ["ann", "carl"]
    );
    assert_eq!(cache.messages[2].mentions, None);
    assert_eq!(
        cache.conversations[0].columns.get("sys").unwrap(),
        &json!(true)
    );
    assert_eq!(cache.conversations[0].columns.get("tr"), None);
}

#[test]
fn every_row_is_a_message_a_draft_or_listed() {
    let phone = Phone::with(&schema(11));
    phone.does(&format!(
        "INSERT INTO {COLUMNS} VALUES
         ('', 'm1', 1000, 'ann', 0, 0, 0, 'nowhere', 0, 0, NULL),
         ('tea', '', 1100, 'ann', 0, 0, 0, 'nameless', 0, 0, NULL),
         ('tea', 'm2', 0, 'ann', 0, 0, 0, 'timeless', 0, 0, NULL),
         ('tea', 'u', 1200, 'ann', 0, 0, 0, NULL, 4, 0, 'u');"
    ));
    let cache = phone.reads();
    assert_eq!(
        reasons(&cache),
        [Reason::NoConversation, Reason::NoContent, Reason::NoContent]
    );
    assert_eq!(lines(&cache), ["tea/0 m2 ann: timeless"]);
    let known = cache.messages.len() + cache.drafts.len() + cache.left.len();
    assert_eq!(cache.rows, known as u64 + cache.repeated);
}
