//! The meaning of a row of the table of conversations.

use sampan::model::{ClientId, ConversationId, Timestamp};
use sampan::wire::iso;
use serde_json::{Map, Value};

use crate::storage::Kind;

/// Columns that the service computes from other data.
const OWN_COLUMNS: [&str; 14] = [
    "objectId",
    "c",
    "m",
    "mu",
    "createdAt",
    "updatedAt",
    "tr",
    "sys",
    "temp",
    "unique",
    "uniqueId",
    "conv_type",
    "joined",
    "joinedAt",
];

/// A conversation as a table has it.
#[derive(Clone, Debug)]
pub struct ConversationRow {
    /// The id.
    pub id: ConversationId,
    /// The kind, by the flags of the row: service conversation before chat room before temporary.
    pub kind: Kind,
    /// The client who made it.
    pub creator: Option<ClientId>,
    /// The members that the row lists.
    pub members: Vec<ClientId>,
    /// Those of them who want no push.
    pub muted: Vec<ClientId>,
    /// The unique id of the old service, where the conversation is unique.
    pub unique_id: Option<String>,
    /// The time at which the conversation was made; 0 where the row does not say.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
    /// All other columns, as they came.
    pub columns: Map<String, Value>,
}

impl ConversationRow {
    /// Reads a row.
    ///
    /// # Errors
    ///
    /// The reason why it describes no conversation.
    pub fn read(row: &str) -> Result<Self, &'static str> {
        let mut columns: Map<String, Value> =
            serde_json::from_str(row).map_err(|_| "the row is no JSON object")?;
        let id = columns
            .get("objectId")
            .and_then(Value::as_str)
            .ok_or("the row has no objectId")?;
        let id = ConversationId::new(id).map_err(|_| "the objectId is no id")?;
        let is_set = |name: &str| columns.get(name).and_then(Value::as_bool).unwrap_or(false);
        let kind = match (is_set("sys"), is_set("tr"), is_set("temp")) {
            (true, _, _) => Kind::System,
            (_, true, _) => Kind::Room,
            (_, _, true) => Kind::Temporary,
            _ => Kind::Normal,
        };
        let clients = |name: &str| {
            let names = columns
                .get(name)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            names
                .filter_map(|name| ClientId::new(name.as_str()?).ok())
                .collect::<Vec<_>>()
        };
        let created_at = time(columns.get("createdAt")).unwrap_or(Timestamp::ZERO);
        let text = |name: &str| columns.get(name).and_then(Value::as_str);
        let found = Self {
            kind,
            creator: text("c").and_then(|creator| ClientId::new(creator).ok()),
            members: clients("m"),
            muted: clients("mu"),
            unique_id: text("uniqueId")
                .filter(|_| is_set("unique"))
                .map(str::to_owned),
            created_at,
            updated_at: time(columns.get("updatedAt")).unwrap_or(created_at),
            id,
            columns: Map::new(),
        };
        columns.retain(|name, _| !OWN_COLUMNS.contains(&name.as_str()));
        Ok(Self { columns, ..found })
    }
}

/// A time in any of its forms: ISO text, a typed date, milliseconds.
#[must_use]
pub fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::String(text) => iso::parse(text),
        Value::Object(date) => iso::parse(date.get("iso")?.as_str()?),
        number => number.as_i64().map(Timestamp::from_millis),
    }
}
