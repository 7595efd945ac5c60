//! The row of a conversation in the answer of a query (the protocol, section 5.4).

use sampan::model::{Now, Timestamp};
use sampan::wire::iso;
use serde_json::{Map, Value, json};

use crate::core::conversations::notices::seconds_left;
use crate::core::exchange::fields::text_of;
use crate::storage::{Conversation, Kind, Member, Message};

/// A conversation with the data that its row is made of.
#[derive(Clone, Debug)]
pub(in crate::core) struct Row {
    /// The conversation, without its columns.
    pub(in crate::core) conversation: Conversation,
    /// The columns that conditions and orders may name, and that are told.
    pub(in crate::core) columns: Map<String, Value>,
    last: Option<Message>,
}

impl Row {
    /// Makes the row that `own`, the asking client's membership, is told.
    pub(in crate::core) fn new(
        now: Now,
        mut conversation: Conversation,
        members: &[Member],
        own: Option<&Member>,
        last: Option<Message>,
    ) -> Self {
        let mut columns = std::mem::take(&mut conversation.columns);
        let mut put = |key: &str, value: Value| {
            columns.insert(key.to_owned(), value);
        };
        put("objectId", conversation.id.as_str().into());
        put("c", conversation.creator.as_str().into());
        put("conv_type", conversation.kind.number().into());
        put("createdAt", iso::format(conversation.created_at).into());
        put("updatedAt", iso::format(conversation.updated_at).into());
        if let Some(unique_id) = conversation.unique_id.clone() {
            put("unique", true.into());
            put("uniqueId", unique_id.into());
        }
        if let Some(last) = &last {
            put("lm", date(last.sent_at));
        }
        let names = |picked: &dyn Fn(&&Member) -> bool| -> Value {
            members
                .iter()
                .filter(picked)
                .map(|member| member.client.as_str())
                .collect()
        };
        put("m", names(&|_| true));
        put("mu", names(&|member| member.muted));
        match conversation.kind {
            Kind::Normal => {}
            Kind::Room => put("tr", true.into()),
            Kind::Temporary => {
                put("temp", true.into());
                let left = conversation.expires_at.map(|ends| seconds_left(now, ends));
                put("ttl", left.into());
            }
            Kind::System => {
                put("sys", true.into());
                let own = own.filter(|own| !own.guest);
                put("joined", own.is_some().into());
                if let Some(own) = own {
                    put("joinedAt", own.joined_at.as_millis().into());
                    put("muted", own.muted.into());
                }
            }
        }
        Self {
            conversation,
            columns,
            last,
        }
    }

    /// The row in the form of an answer.
    pub(in crate::core) fn into_value(mut self, members: bool, last_message: bool) -> Value {
        if !members {
            self.columns.remove("m");
            self.columns.remove("mu");
        }
        if let (true, Some(last)) = (last_message, &self.last) {
            self.columns.extend(last_message_columns(last));
        }
        Value::Object(self.columns)
    }
}

fn last_message_columns(last: &Message) -> Map<String, Value> {
    let (text, binary) = text_of(&last.body);
    let mut columns = Map::new();
    columns.insert("msg".to_owned(), text.into());
    columns.insert("bin".to_owned(), binary.into());
    columns.insert("msg_mid".to_owned(), last.id.as_str().into());
    columns.insert("msg_from".to_owned(), last.from.as_str().into());
    columns.insert("msg_timestamp".to_owned(), last.sent_at.as_millis().into());
    if let Some(at) = last.patched_at {
        columns.insert("patch_timestamp".to_owned(), at.as_millis().into());
    }
    if last.mention_all {
        columns.insert("mention_all".to_owned(), true.into());
    }
    if !last.mentions.is_empty() {
        let pids = last.mentions.iter().map(|client| client.as_str()).collect();
        columns.insert("mention_pids".to_owned(), pids);
    }
    columns
}

/// A date as the storage service writes it: some SDKs cast it to an object.
fn date(at: Timestamp) -> Value {
    json!({ "__type": "Date", "iso": iso::format(at) })
}
