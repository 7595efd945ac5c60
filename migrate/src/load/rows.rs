//! The meaning of the rows of a table.

use sampan::model::{ClientId, ConversationId, Timestamp};
use sampan::wire::iso;
use sampan_service::storage::Kind;
use serde_json::{Map, Value};

/// Columns that the service makes itself, out of what it keeps elsewhere.
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
pub(super) struct ConversationRow {
    pub(super) id: ConversationId,
    pub(super) kind: Kind,
    pub(super) creator: Option<ClientId>,
    pub(super) members: Vec<ClientId>,
    pub(super) muted: Vec<ClientId>,
    pub(super) unique_id: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// All other columns, as they came.
    pub(super) columns: Map<String, Value>,
}

impl ConversationRow {
    pub(super) fn read(row: &str) -> Result<Self, &'static str> {
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

/// A role as a table has it.
pub(super) struct RoleRow {
    pub(super) conversation: String,
    pub(super) client: String,
    pub(super) role: String,
    pub(super) updated_at: i64,
}

impl RoleRow {
    pub(super) fn read(row: &str) -> Result<Self, &'static str> {
        let row: Map<String, Value> =
            serde_json::from_str(row).map_err(|_| "the row is no JSON object")?;
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            conversation: text("cid").ok_or("the row has no cid")?,
            client: text("clientId").ok_or("the row has no clientId")?,
            role: text("role").unwrap_or_else(|| "Member".to_owned()),
            updated_at: time(row.get("updatedAt")).map_or(0, Timestamp::as_millis),
        })
    }
}

/// A subscriber of a service conversation, as its list has it.
pub(super) struct SubscriberRow {
    pub(super) service: String,
    pub(super) client: String,
}

impl SubscriberRow {
    pub(super) fn read(row: &str) -> Result<Self, &'static str> {
        let row: Map<String, Value> =
            serde_json::from_str(row).map_err(|_| "the row is no JSON object")?;
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            service: text("conv_id").ok_or("the row has no conv_id")?,
            client: text("subscriber").ok_or("the row has no subscriber")?,
        })
    }
}

/// A time in any of its forms: ISO text, a typed date, milliseconds.
pub(super) fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::String(text) => iso::parse(text),
        Value::Object(date) => iso::parse(date.get("iso")?.as_str()?),
        number => number.as_i64().map(Timestamp::from_millis),
    }
}
