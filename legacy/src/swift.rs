//! The tables of the Swift SDK, 16.0.0 and later.

use serde_json::{Map, Value};

use crate::LegacyError;
use crate::facts::{Before, Cache, Conversation, Draft, Mentions, Message, Payload, Place, Reason};
use crate::row::{Cell, Row};
use crate::sqlite::{Database, Progress};

/// The `status` of a message that failed.
const FAILED: i64 = -1;

/// The columns that the SDK puts into a conversation's row beside the conversation: its last message.
const NOT_COLUMNS: [&str; 9] = [
    "msg",
    "bin",
    "msg_mid",
    "msg_from",
    "msg_timestamp",
    "patch_timestamp",
    "mention_all",
    "mention_pids",
    "joined",
];

pub(crate) fn read(
    database: &Database,
    cache: &mut Cache,
    progress: &mut Progress<'_>,
) -> Result<(), LegacyError> {
    database.rows("conversation", cache, progress, conversation)?;
    database.rows("message", cache, progress, |cache, row| {
        message(cache, row, "message")
    })?;
    database.rows("last_message", cache, progress, last_message)
}

fn conversation(cache: &mut Cache, mut row: Row<'_>) {
    let id = row.text("id");
    let columns = match row.json("raw_data") {
        Some(Value::Object(columns)) => Some(columns),
        _ => None,
    };
    let (Some(id), Some(mut columns)) = (id.clone(), columns) else {
        let reason = match id {
            None => Reason::NoConversation,
            Some(_) => Reason::Malformed,
        };
        return cache.leave(("conversation", row.number), id, None, reason);
    };
    columns.retain(|name, _| !NOT_COLUMNS.contains(&name.as_str()));
    cache.conversations.push(Conversation {
        row: row.number,
        id,
        columns,
        is_outdated: row.flag("outdated"),
        muted: None,
    });
}

/// The newest message of a conversation, as JSON by the names of the columns of `message`. It stands alone:
/// the SDK puts it nowhere else.
fn last_message(cache: &mut Cache, mut row: Row<'_>) {
    let conversation = row.text("conversation_id");
    let Some(Value::Object(mut fields)) = row.json("raw_data") else {
        return cache.leave(
            ("last_message", row.number),
            conversation,
            None,
            Reason::Malformed,
        );
    };
    if let Some(conversation) = conversation {
        fields.insert("conversation_id".to_owned(), conversation.into());
    }
    let (columns, cells): (Vec<String>, Vec<Cell>) = fields
        .into_iter()
        .map(|(name, value)| (name, cell(value)))
        .unzip();
    let row = Row {
        number: row.number,
        columns: &columns,
        cells,
    };
    message(cache, row, "last_message");
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Integer(flag.into()),
        Value::String(text) => Cell::Text(text.into_bytes()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cell::Integer(whole),
            None => number.as_f64().map_or(Cell::Null, Cell::Real),
        },
        list => Cell::Text(list.to_string().into_bytes()),
    }
}

fn message(cache: &mut Cache, mut row: Row<'_>, table: &'static str) {
    let place = (table, row.number);
    let (conversation, id) = (row.text("conversation_id"), row.text("message_id"));
    let Some(conversation) = conversation else {
        return cache.leave(place, None, id, Reason::NoConversation);
    };
    let Some(id) = id else {
        return cache.leave(place, Some(conversation), None, Reason::Malformed);
    };
    let at = row.whole("sent_timestamp").unwrap_or(0);
    let payload = payload(&mut row);
    let mentions = mentions(&mut row);
    if row.whole("status") == Some(FAILED) {
        let Some(payload) = payload else {
            return cache.leave(place, Some(conversation), Some(id), Reason::NoContent);
        };
        return cache.drafts.push(Draft {
            row: row.number,
            conversation,
            token: id,
            at,
            payload,
            mentions: mentions.unwrap_or_default(),
        });
    }
    let before = match (table, row.flag("breakpoint")) {
        ("last_message", _) => Before::Alone,
        (_, true) => Before::End,
        (_, false) => Before::Joined,
    };
    cache.messages.push(Message {
        row: row.number,
        conversation,
        place: Place { at, id },
        is_device_time: false,
        sender: row.text("from_peer_id"),
        payload,
        edited_at: row.time("patched_timestamp"),
        is_recalled: false,
        delivered_at: row.time("delivered_timestamp"),
        read_at: row.time("read_timestamp"),
        mentions,
        before,
    });
}

/// The content. Bytes that are not UTF-8 were never stored: 17.0.0 and later have NULL for them, earlier
/// versions an empty text.
fn payload(row: &mut Row<'_>) -> Option<Payload> {
    let is_binary = row.flag("binary");
    let content = row.take("content");
    match is_binary {
        true => content
            .bytes()
            .filter(|bytes| !bytes.is_empty())
            .map(Payload::Bytes),
        false => content.payload(),
    }
}

fn mentions(row: &mut Row<'_>) -> Option<Mentions> {
    let all = row.whole("all_mentioned");
    let list = match row.json("mentioned_list") {
        Some(Value::Array(list)) => Some(list),
        _ => None,
    };
    if all.is_none() && list.is_none() {
        return None;
    }
    let names = list.into_iter().flatten();
    Some(Mentions {
        all: all == Some(1),
        clients: names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    })
}

/// A map without its null values.
pub(crate) fn without_nulls(
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) -> Map<String, Value> {
    let there = fields.into_iter().filter(|(_, value)| !value.is_null());
    there
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
