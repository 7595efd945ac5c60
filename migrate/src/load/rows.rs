//! The meaning of the rows of tables that are about clients.

use sampan::model::Timestamp;
use sampan_service::core::loading::time;
use serde_json::{Map, Value};

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
