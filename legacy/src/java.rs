//! The tables of the Android and Java SDKs, `user_version` 7 to 11. The columns decide, not the version,
//! because one upgrade in the field never wrote its own number.

use serde_json::{Map, Value};

use crate::LegacyError;
use crate::facts::{Before, Cache, Conversation, Draft, Mentions, Message, Payload, Place, Reason};
use crate::row::Row;
use crate::sqlite::{Database, Progress};
use crate::swift::without_nulls;

/// The `status` of a message that was being sent, of one that failed, and of a recalled one.
const SENDING: i64 = 1;
const FAILED: i64 = 4;
const RECALLED: i64 = 5;

pub(crate) fn read(
    database: &Database,
    cache: &mut Cache,
    progress: &mut Progress<'_>,
) -> Result<(), LegacyError> {
    database.rows("conversations", cache, progress, conversation)?;
    database.rows("messages", cache, progress, message)
}

fn conversation(cache: &mut Cache, mut row: Row<'_>) {
    let Some(id) = row.text("conversation_id") else {
        return cache.leave(
            ("conversations", row.number),
            None,
            None,
            Reason::NoConversation,
        );
    };
    let mut columns: Map<String, Value> = match row.json("instanceData") {
        Some(Value::Object(columns)) => columns,
        _ => Map::new(),
    };
    let flags = [("tr", "isTransient"), ("sys", "sys"), ("temp", "temp")];
    for (name, column) in flags {
        if row.flag(column) {
            columns.insert(name.to_owned(), true.into());
        }
    }
    columns.extend(without_nulls([
        ("c", row.text("creator").into()),
        ("m", row.json("members").unwrap_or_default()),
        (
            "attr",
            row.json("attr")
                .filter(Value::is_object)
                .unwrap_or_default(),
        ),
        ("createdAt", row.text("createdAt").into()),
        ("updatedAt", row.text("updatedAt").into()),
        ("lm", row.time("lm").into()),
    ]));
    cache.conversations.push(Conversation {
        row: row.number,
        id,
        columns,
        is_outdated: false,
        muted: None,
    });
}

fn message(cache: &mut Cache, mut row: Row<'_>) {
    let place = ("messages", row.number);
    let id = row.text("message_id");
    let Some(conversation) = row.text("conversation_id") else {
        return cache.leave(place, None, id, Reason::NoConversation);
    };
    let at = row.whole("timestamp").unwrap_or(0);
    let is_binary = row.whole("iType") == Some(1);
    let payload = match is_binary {
        true => row.take("payload").bytes().map(Payload::Bytes),
        false => row.take("payload").payload(),
    };
    let mentions = mentions(&mut row);
    let status = row.whole("status").unwrap_or(0);
    let token = row.text("dtoken");
    let is_draft = token.is_some() || id.is_none() || status == FAILED || status == SENDING;
    if is_draft {
        let (Some(payload), Some(token)) = (payload, token.or_else(|| id.clone())) else {
            return cache.leave(place, Some(conversation), id, Reason::NoContent);
        };
        return cache.drafts.push(Draft {
            row: row.number,
            conversation,
            token,
            at,
            payload,
            mentions: mentions.unwrap_or_default(),
        });
    }
    let Some(id) = id else {
        return cache.leave(place, Some(conversation), None, Reason::Malformed);
    };
    let edited_at = row.time("updateAt");
    cache.messages.push(Message {
        row: row.number,
        conversation,
        place: Place { at, id },
        is_device_time: false,
        sender: row.text("from_peer_id"),
        payload,
        edited_at,
        is_recalled: status == RECALLED,
        delivered_at: row.time("receipt_timestamp"),
        read_at: row.time("readAt"),
        mentions,
        before: if row.flag("breakpoint") {
            Before::Hole
        } else {
            Before::Joined
        },
    });
}

/// Names are joined by commas. An empty field says nothing: rows that nobody filled in have an empty field.
fn mentions(row: &mut Row<'_>) -> Option<Mentions> {
    let all = row.flag("mentionAll");
    let list = row.text("mentionList").unwrap_or_default();
    let names = list.split(|it: char| it == ',' || it.is_whitespace());
    let clients: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    (all || !clients.is_empty()).then_some(Mentions { all, clients })
}
