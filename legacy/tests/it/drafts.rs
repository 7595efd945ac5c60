//! Drafts that were sent after all, and drafts that were not.

use sampan_legacy::Reason;

use crate::{Phone, java, reasons, runs, swift};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The time of the sent message in each conversation.
const SENT: i64 = 1_500_000_000_000;

/// A phone where ann sent a message in each conversation, and has a draft beside the message.
fn phone(pairs: &[(&str, &str, i64, &str, i64)]) -> Phone {
    let phone = Phone::with(&java::schema(11));
    for (name, sent, of_sent, draft, tried) in pairs {
        phone.does(&format!(
            "INSERT INTO messages (conversation_id, message_id, timestamp, from_peer_id, payload, status, iType, dtoken)
             VALUES ('{name}', 'm-{name}', {SENT}, 'ann', {sent}, 2, {of_sent}, NULL),
                    ('{name}', 'd-{name}', {tried}, 'ann', {draft}, 4, {of_sent}, 'd-{name}');"
        ));
    }
    phone
}

/// The clock of the device may be five minutes fast, and somebody may try again for seven days.
#[test]
fn a_message_excuses_a_draft_of_its_time_with_the_same_content() {
    let same = ("'again'", 0, "'again'");
    let bytes = ("x'00ff'", 1, "x'00ff'");
    let pair = |name, (sent, kind, draft), tried| (name, sent, kind, draft, tried);
    let phone = phone(&[
        pair("six-days", same, SENT - 6 * DAY),
        pair("eight-days", same, SENT - 8 * DAY),
        pair("fast-clock", same, SENT + 4 * MINUTE),
        pair("later", same, SENT + 6 * MINUTE),
        pair("bytes", bytes, SENT - DAY),
        pair("other-bytes", ("x'00ff'", 1, "x'00fe'"), SENT - DAY),
        pair("other-words", ("'again'", 0, "'once'"), SENT - DAY),
    ]);
    let cache = phone.reads();
    let mut kept: Vec<&str> = cache
        .drafts
        .iter()
        .map(|draft| draft.conversation.as_str())
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, ["eight-days", "later", "other-bytes", "other-words"]);
    assert_eq!(reasons(&cache), [Reason::SentAfterAll; 3]);
    assert_eq!(cache.messages.len(), 7, "a message stays a message");
}

/// An app that was killed while it sent leaves a row that is neither sent nor failed.
#[test]
fn a_row_that_was_being_sent_is_a_draft() {
    let phone = Phone::with(&java::schema(11));
    phone.does(
        "INSERT INTO messages (conversation_id, message_id, timestamp, from_peer_id, payload, status)
         VALUES ('tea', 'x1', 1000, 'ann', 'on its way', 1), ('tea', 'm2', 2000, 'ann', 'sent', 2);",
    );
    let cache = phone.reads();
    let drafts: Vec<&str> = cache.drafts.iter().map(|it| it.token.as_str()).collect();
    assert_eq!((drafts, cache.messages.len()), (vec!["x1"], 1));
}

/// The newest message of a conversation that nobody opened stands behind the others: what is between is not known.
#[test]
fn a_last_message_joins_no_run() {
    let phone = Phone::with(swift::SCHEMA);
    phone.does(
        r#"INSERT INTO message VALUES
         ('tea', 1000, 'm1', 'ben', 'one', 0, NULL, NULL, NULL, NULL, NULL, 2, 1),
         ('tea', 2000, 'm2', 'ben', 'two', 0, NULL, NULL, NULL, NULL, NULL, 2, 0),
         ('tea', 4000, 'm4', 'ben', 'four', 0, NULL, NULL, NULL, NULL, NULL, 2, 1);
         INSERT INTO last_message VALUES ('tea',
         '{"conversation_id":"tea","message_id":"m3","sent_timestamp":3000,"from_peer_id":"ben","content":"three","status":2}', 3000);"#,
    );
    let cache = phone.reads();
    assert_eq!(cache.messages.len(), 4);
    assert_eq!(
        runs(&cache),
        ["m1-m4"],
        "the rows of one stretch join as if it were not there"
    );
}
