//! The tables of the Objective-C SDK, 3.4.0 and later.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use serde_json::{Map, Value};

use crate::LegacyError;
use crate::facts::{Before, Cache, Conversation, Draft, Mentions, Message, Payload, Place, Reason};
use crate::keyed;
use crate::owner::digits;
use crate::row::{Row, rounded};
use crate::sqlite::{Database, Progress};
use crate::swift::without_nulls;

/// The `status` of a message that was being sent, and of one that failed.
const UNSENT: [i64; 2] = [1, 4];

pub(crate) fn read(
    database: &Database,
    cache: &mut Cache,
    progress: &mut Progress<'_>,
) -> Result<(), LegacyError> {
    database.rows("conversation", cache, progress, |cache, row| {
        conversation(cache, row, "conversation");
    })?;
    database.rows("conversation_v2", cache, progress, |cache, row| {
        conversation(cache, row, "conversation_v2");
    })?;
    database.rows("message", cache, progress, message)?;
    name_drafts(cache);
    Ok(())
}

/// A conversation. Later versions archive the whole answer of the service; the columns beside the archive are
/// of an earlier time, and say the same.
fn conversation(cache: &mut Cache, mut row: Row<'_>, table: &'static str) {
    let Some(id) = row.text("conversation_id") else {
        return cache.leave((table, row.number), None, None, Reason::NoConversation);
    };
    let members = row.text("members").map(|members| {
        let names = members.split(',').filter(|name| !name.is_empty());
        Value::from(names.map(str::to_owned).collect::<Vec<_>>())
    });
    // Times are in seconds in this table alone; the unit of the earlier table is not known.
    let mut time = |name: &str| {
        let seconds = row
            .take(name)
            .number()
            .filter(|it| *it > 0.0 && table == "conversation_v2");
        seconds.map_or(Value::Null, |it| rounded(it * 1000.0).into())
    };
    let times = [
        ("createdAt", time("create_at")),
        ("updatedAt", time("update_at")),
        ("lm", time("last_message_at")),
    ];
    let mut columns: Map<String, Value> = without_nulls(times);
    columns.extend(without_nulls([
        ("name", row.text("name").into()),
        ("c", row.text("creator").into()),
        ("m", members.into()),
        ("attr", archived(&mut row, "attr").unwrap_or_default()),
    ]));
    if row.flag("transient") {
        columns.insert("tr".to_owned(), true.into());
    }
    if let Some(Value::Object(raw)) = archived(&mut row, "raw_data") {
        columns.extend(raw);
    }
    let muted = row.whole("muted").map(|muted| muted != 0);
    cache.conversations.push(Conversation {
        row: row.number,
        id,
        columns,
        is_outdated: false,
        muted,
    });
}

fn archived(row: &mut Row<'_>, name: &str) -> Option<Value> {
    keyed::decode(&row.take(name).bytes()?)
}

fn message(cache: &mut Cache, mut row: Row<'_>) {
    let place = ("message", row.number);
    let id = row.text("message_id");
    let Some(conversation) = row.text("conversation_id") else {
        return cache.leave(place, None, id, Reason::NoConversation);
    };
    let time = row.take("timestamp").number().unwrap_or(0.0);
    let at = rounded(time);
    let payload = row.take("payload").payload();
    let mentions = mentions(&mut row);
    let is_unsent = row
        .whole("status")
        .is_some_and(|status| UNSENT.contains(&status));
    let Some(id) = id.filter(|_| !is_unsent) else {
        let Some(payload) = payload else {
            return cache.leave(place, Some(conversation), None, Reason::NoContent);
        };
        return cache.drafts.push(Draft {
            row: row.number,
            conversation,
            token: String::new(),
            at,
            payload,
            mentions: mentions.unwrap_or_default(),
        });
    };
    cache.messages.push(Message {
        row: row.number,
        conversation,
        place: Place { at, id },
        // The service's times are whole milliseconds; the SDK's own clock has a fraction.
        is_device_time: time.fract() != 0.0,
        sender: row.text("from_peer_id"),
        payload,
        edited_at: row.time("patch_timestamp"),
        is_recalled: false,
        delivered_at: row.time("receipt_timestamp"),
        read_at: row.time("read_timestamp"),
        mentions,
        before: if row.flag("breakpoint") {
            Before::Hole
        } else {
            Before::Joined
        },
    });
}

/// An archive of no names is common, and says that nobody is called.
fn mentions(row: &mut Row<'_>) -> Option<Mentions> {
    let all = row.flag("mention_all");
    let list = match archived(row, "mention_list") {
        Some(Value::Array(list)) => Some(list),
        _ => None,
    };
    if !all && list.is_none() {
        return None;
    }
    let names = list.into_iter().flatten();
    Some(Mentions {
        all,
        clients: names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    })
}

/// Drafts of this SDK have no token. Their name is made of the conversation, the time, the content, and
/// the place among those that are equal in all three.
fn name_drafts(cache: &mut Cache) {
    let mut equal: BTreeMap<String, u32> = BTreeMap::new();
    for draft in &mut cache.drafts {
        let mut hash = Md5::new();
        hash.update(draft.conversation.as_bytes());
        hash.update([0]);
        hash.update(draft.at.to_be_bytes());
        match &draft.payload {
            Payload::Text(text) => hash.update(text.as_bytes()),
            Payload::Bytes(bytes) => hash.update(bytes),
        }
        let name = digits(&hash.finalize());
        let count = equal.entry(name.clone()).or_default();
        draft.token = format!("{name}-{count}");
        *count += 1;
    }
}
