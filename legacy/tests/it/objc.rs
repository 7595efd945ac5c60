//! The Objective-C SDK: the tables as its migrations leave them.

use sampan_legacy::{Kind, Reason};
use serde_json::json;

use crate::{Phone, archive, lines, reasons, runs};

/// 3.4.0, then what each migration added.
const FIRST: &str = "
    CREATE TABLE message (message_id TEXT PRIMARY KEY, conversation_id TEXT, from_peer_id TEXT,
        timestamp NUMERIC, receipt_timestamp NUMERIC, payload BLOB, status INTEGER, breakpoint BOOL);
    CREATE TABLE conversation (conversation_id TEXT PRIMARY KEY, name TEXT, creator TEXT,
        transient INTEGER, members TEXT, attr BLOB, create_at REAL, update_at REAL, last_message_at REAL,
        muted INTEGER, expire_at REAL);";
const READ: &str = "ALTER TABLE message ADD COLUMN read_timestamp REAL;";
const PATCH: &str = "ALTER TABLE message ADD COLUMN patch_timestamp REAL;";

/// 8.0.6 and later.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE message (seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT, conversation_id TEXT,
        from_peer_id TEXT, timestamp REAL, receipt_timestamp REAL, read_timestamp REAL,
        patch_timestamp REAL, mention_all INTEGER, mention_list BLOB, payload BLOB, status INTEGER,
        breakpoint BOOL);
    CREATE UNIQUE INDEX message_unique_index ON message (conversation_id, message_id, timestamp);
    CREATE TABLE conversation_v2 (conversation_id TEXT PRIMARY KEY, name TEXT, creator TEXT,
        transient INTEGER, members TEXT, attr BLOB, create_at REAL, update_at REAL, last_message_at REAL,
        last_message BLOB, muted INTEGER, raw_data BLOB, expire_at REAL);
    CREATE TABLE command_query (key TEXT PRIMARY KEY, value BLOB);";

const COLUMNS: &str = "message (message_id, conversation_id, from_peer_id, timestamp,
    receipt_timestamp, read_timestamp, patch_timestamp, mention_all, mention_list, payload, status,
    breakpoint)";

fn phone() -> Phone {
    let phone = Phone::with(SCHEMA);
    let (both, nobody) = (archive("ben-and-carl"), archive("nobody"));
    phone.does(&format!(
        "INSERT INTO {COLUMNS} VALUES
         ('m1', 'tea', 'ann', 1000.0, 0, 0, 0, 0, {nobody}, 'one', 2, 1),
         ('m2', 'tea', 'ben', 2000.0, 2100.0, 0, 2500.4999, 0, {both}, x'74776f', 3, 0),
         ('m3', 'tea', 'ben', 3000.0, 0, 0, 0, 0, NULL, 'three', 2, 0),
         ('m4', 'tea', 'ben', 4000.0, 0, 0, 0, 1, NULL, 'four', 2, 1),
         (NULL, 'tea', 'ann', 4500.25, 0, 0, 0, 0, NULL, 'never sent', 4, 0),
         (NULL, 'tea', 'ann', 4500.25, 0, 0, 0, 0, NULL, 'never sent', 4, 0);"
    ));
    phone
}

#[test]
fn rows_are_messages_and_archived_names_are_mentions() {
    let cache = phone().reads();
    assert_eq!(cache.kind, Some(Kind::ObjectiveC));
    let expected = [
        "tea/1000 m1 ann: one",
        "tea/2000 m2 ben: two",
        "tea/3000 m3 ben: three",
        "tea/4000 m4 ben: four",
    ];
    assert_eq!(lines(&cache), expected);
    let second = &cache.messages[1];
    assert_eq!(
        (second.delivered_at, second.edited_at),
        (Some(2100), Some(2500))
    );
    assert_eq!(second.mentions.as_ref().unwrap().clients, ["ben", "carl"]);
    assert_eq!(
        cache.messages[0].mentions,
        Some(Default::default()),
        "an empty list is a list"
    );
    assert_eq!(cache.messages[2].mentions, None);
    assert!(cache.messages[3].mentions.as_ref().unwrap().all);
    assert_eq!(runs(&cache), ["m1-m3"]);
}

/// A name that is the same at each reading keeps a second import from making a second draft.
#[test]
fn drafts_without_a_token_are_named_by_what_they_are() {
    let phone = phone();
    let names = |drafts: &[sampan_legacy::Draft]| {
        drafts
            .iter()
            .map(|draft| draft.token.clone())
            .collect::<Vec<_>>()
    };
    let first = names(&phone.reads().drafts);
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1], "two equal drafts are two");
    assert_eq!(names(&phone.reads().drafts), first);
}

/// The reply to a send may have lacked the time: then the row has the device's, and a page of history
/// brings a second row.
#[test]
fn one_message_at_two_times_is_one_at_the_services_time() {
    let phone = Phone::with(SCHEMA);
    phone.does(&format!(
        "INSERT INTO {COLUMNS} VALUES
         ('m1', 'tea', 'ann', 900.125, 0, 0, 0, 0, NULL, 'one', 2, 0),
         ('m1', 'tea', 'ann', 1000.0, 0, 0, 0, 0, NULL, 'one', 2, 1);"
    ));
    let cache = phone.reads();
    assert_eq!(lines(&cache), ["tea/1000 m1 ann: one"]);
    assert_eq!((cache.repeated, cache.rows), (1, 2));
}

/// 3.4.0 to 6.0.0: no `seq`, no mentions, one column after the other.
#[test]
fn earlier_tables_are_read_by_the_columns_that_they_have() {
    for (schema, columns, values) in [
        (FIRST.to_owned(), "", ""),
        (format!("{FIRST}{READ}"), ", read_timestamp", ", 1300.0"),
        (
            format!("{FIRST}{READ}{PATCH}"),
            ", read_timestamp, patch_timestamp",
            ", 1300.0, 1400.0",
        ),
    ] {
        let phone = Phone::with(&schema);
        phone.does(&format!(
            "INSERT INTO message (message_id, conversation_id, from_peer_id, timestamp, payload, status,
             breakpoint{columns}) VALUES ('m1', 'tea', 'ann', 1000, 'one', 2, 1{values});
             INSERT INTO conversation (conversation_id, name, members, muted) VALUES ('tea', 'Tea', 'ann,ben', 1);"
        ));
        let cache = phone.reads();
        assert_eq!(lines(&cache), ["tea/1000 m1 ann: one"]);
        assert_eq!(cache.messages[0].read_at.is_some(), !columns.is_empty());
        assert_eq!(
            cache.messages[0].edited_at.is_some(),
            columns.contains("patch")
        );
        assert_eq!(cache.conversations[0].muted, Some(true));
        assert_eq!(
            cache.conversations[0].columns.get("m").unwrap(),
            &json!(["ann", "ben"])
        );
    }
}

#[test]
fn a_conversation_is_what_the_archived_row_says_and_else_what_the_columns_say() {
    let phone = phone();
    let (attributes, row) = (archive("attributes"), archive("row"));
    phone.does(&format!(
        "INSERT INTO conversation_v2 (conversation_id, name, creator, transient, members, attr, create_at, update_at, muted, raw_data)
         VALUES ('tea', 'Old', 'ann', 0, 'ann', {attributes}, 1577836800.0, 1577836800.5, 0, {row}),
                ('hall', 'Hall', 'ben', 1, '', {attributes}, 1577836800.0, 0, NULL, NULL);"
    ));
    let cache = phone.reads();
    let [hall, tea] = &cache.conversations[..] else {
        panic!("two conversations")
    };
    assert_eq!(tea.columns.get("name").unwrap(), "Tea");
    assert_eq!(
        tea.columns.get("attr").unwrap(),
        &json!({ "colour": "blue" })
    );
    let since = json!({ "__type": "Date", "iso": "2020-02-29T00:00:00.000Z" });
    assert_eq!(tea.columns.get("since").unwrap(), &since);
    assert_eq!(hall.columns.get("tr").unwrap(), &json!(true));
    assert_eq!(
        hall.columns.get("createdAt").unwrap(),
        &json!(1_577_836_800_000_i64)
    );
    let attributes =
        json!({ "colour": "red", "level": 3, "ratio": 0.5, "open": true, "tags": ["a", "b"] });
    assert_eq!(hall.columns.get("attr").unwrap(), &attributes);
    assert_eq!((hall.muted, tea.muted), (None, Some(false)));
}

/// The SDK leaves the failed row when the same message is sent anew by other means.
#[test]
fn a_draft_that_was_sent_soon_afterwards_is_listed_and_not_kept() {
    let phone = Phone::with(SCHEMA);
    phone.does(&format!(
        "INSERT INTO {COLUMNS} VALUES
         (NULL, 'tea', 'ann', 1000.5, 0, 0, 0, 0, NULL, '{{\"_lctype\":-1,\"_lctext\":\"hi\"}}', 4, 0),
         (NULL, 'tea', 'ann', 1001.5, 0, 0, 0, 0, NULL, '{{\"_lctype\":-1,\"_lctext\":\"hi\"}}', 4, 0),
         ('m1', 'tea', 'ann', 2000.0, 0, 0, 0, 0, NULL, '{{\"_lctext\":\"hi\",\"_lctype\":-1,\"x\":1}}', 2, 0),
         ('m2', 'tea', 'ben', 2001.0, 0, 0, 0, 0, NULL, '{{\"_lctype\":-1,\"_lctext\":\"hi\"}}', 2, 0);"
    ));
    let cache = phone.reads();
    assert_eq!(
        reasons(&cache),
        [Reason::SentAfterAll],
        "one message excuses one draft"
    );
    assert_eq!(cache.drafts.len(), 1);
}

/// The same message at two times is one message, with the content of the later edit, wherever that row stands.
#[test]
fn of_two_rows_of_a_message_the_edited_one_counts() {
    for rows in [["old", "new"], ["new", "old"]] {
        let phone = Phone::with(SCHEMA);
        for (number, words) in rows.iter().enumerate() {
            let edited = if *words == "new" { 1_500.0 } else { 0.0 };
            // The device's clock wrote the fraction; the service's time counts more.
            let at = if number == 0 { 1_000.25 } else { 1_001.0 };
            phone.does(&format!(
                "INSERT INTO {COLUMNS} VALUES ('m1', 'tea', 'ben', {at}, 0, 0, {edited}, 0, NULL, '{words}', 2, 0)"
            ));
        }
        let cache = phone.reads();
        assert_eq!(lines(&cache), ["tea/1001 m1 ben: new"], "{rows:?}");
        assert_eq!((cache.repeated, cache.rows), (1, 2));
    }
}
