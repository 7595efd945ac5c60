//! The model's conversations and messages, and what they look like on the wire.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Conversation, RECALLED, Stored};
use crate::model::Timestamp;
use crate::wire::generated::{DirectCommand, LogItem, PatchItem, UnreadTuple};
use crate::wire::iso;

impl Conversation {
    pub(super) fn has(&self, client: &str) -> bool {
        self.members.iter().any(|member| member == client)
    }

    /// True if these are its members, in any order.
    pub(super) fn is_of(&self, members: &[String]) -> bool {
        let set = |members: &[String]| members.iter().cloned().collect::<BTreeSet<_>>();
        set(&self.members) == set(members)
    }

    pub(super) fn next_time(&self, now: i64, granularity: i64) -> i64 {
        let last = self.messages.last().map_or(0, |message| message.at);
        // Later than the last change of members: a member that joined then counts the message as unread.
        let last = last.max(self.updated_at);
        if granularity > 1 {
            (now - now.rem_euclid(granularity)).max(last)
        } else {
            now.max(last + 1)
        }
    }

    pub(super) fn insert(&mut self, message: Stored) {
        self.messages.push(message);
        self.messages
            .sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    }

    pub(in crate::sync::tests) fn unread(&self, client: &str) -> usize {
        let mark = self.read.get(client).copied().unwrap_or(0);
        let others = self.messages.iter();
        others
            .filter(|it| it.from != client && it.at > mark && it.text != RECALLED)
            .count()
    }

    pub(super) fn tuple(&self, cid: &str, client: &str, cap: usize) -> UnreadTuple {
        let mark = self.read.get(client).copied().unwrap_or(0);
        let mut others = self.messages.iter().rev();
        let newest = others.find(|it| it.from != client && it.at > mark);
        UnreadTuple {
            cid: cid.to_owned(),
            unread: i32::try_from(self.unread(client).min(cap)).unwrap(),
            mid: newest.map(|it| it.id.clone()),
            timestamp: newest.map(|it| it.at),
            from: newest.map(|it| it.from.clone()),
            data: newest.map(|it| it.text.clone()),
            ..UnreadTuple::default()
        }
    }

    pub(super) fn matches(&self, cid: &str, condition: &Value) -> bool {
        condition
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, wanted)| match key.as_str() {
                "m" => match wanted {
                    Value::String(member) => self.has(member),
                    other => panic!("the model knows no members like {other}"),
                },
                "sampan_token" => wanted == &json!(self.token),
                "c" => wanted == &json!(self.creator),
                "objectId" => wanted["$in"].as_array().unwrap().contains(&json!(cid)),
                "updatedAt" => {
                    let since = iso::parse(wanted["$gt"]["iso"].as_str().unwrap()).unwrap();
                    self.updated_at > since.as_millis()
                }
                other => panic!("the model knows no condition on {other}"),
            })
    }

    pub(super) fn row(&self, cid: &str) -> Value {
        let date = |at: i64| iso::format(Timestamp::from_millis(at));
        let mut row = json!({
            "objectId": cid, "m": self.members, "c": self.creator, "unique": self.unique,
            "mu": self.muted, "createdAt": date(self.created_at), "updatedAt": date(self.updated_at),
        });
        if self.is_chat_room {
            row["tr"] = json!(true);
            // Who is inside stands in no row.
            row["m"] = json!([]);
        }
        if let Some(name) = &self.name {
            row["name"] = json!(name);
        }
        if let Some(attributes) = &self.attributes {
            row["attr"] = attributes.clone();
        }
        if let Some(token) = &self.token {
            row["sampan_token"] = json!(token);
        }
        if let Some(last) = self.messages.last() {
            row["lm"] = json!({"__type": "Date", "iso": date(last.at)});
            row["msg"] = json!(last.text);
            row["bin"] = json!(false);
            row["msg_mid"] = json!(last.id);
            row["msg_from"] = json!(last.from);
            row["msg_timestamp"] = json!(last.at);
            if let Some(edited_at) = last.edited_at {
                row["patch_timestamp"] = json!(edited_at);
            }
        }
        row
    }
}

impl Stored {
    pub(super) fn direct(&self, cid: &str) -> DirectCommand {
        DirectCommand {
            cid: Some(cid.to_owned()),
            id: Some(self.id.clone()),
            from_peer_id: Some(self.from.clone()),
            timestamp: Some(self.at),
            msg: Some(self.text.clone()),
            conv_type: Some(1),
            ..DirectCommand::default()
        }
    }

    pub(super) fn item(&self) -> LogItem {
        LogItem {
            from: Some(self.from.clone()),
            data: Some(self.text.clone()),
            timestamp: Some(self.at),
            msg_id: Some(self.id.clone()),
            patch_timestamp: self.edited_at,
            ..LogItem::default()
        }
    }

    pub(super) fn patch(&self, cid: &str) -> PatchItem {
        PatchItem {
            cid: Some(cid.to_owned()),
            mid: Some(self.id.clone()),
            timestamp: Some(self.at),
            from: Some(self.from.clone()),
            data: Some(self.text.clone().into_bytes()),
            patch_timestamp: self.edited_at,
            ..PatchItem::default()
        }
    }
}
