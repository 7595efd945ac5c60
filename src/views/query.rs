//! Queries of conversations over this device's store. The conditions and the order are the service's.
//!
//! | column | on this device |
//! |---|---|
//! | `objectId`, `name`, `c`, `m`, `attr`, `lm`, `createdAt`, `updatedAt`, own columns | the service's value, with the changes that wait in the outbox |
//! | `mu` | this client alone, where it muted the conversation |
//! | `unique`, `tr`, `sys`, `conv_type` | by the kind |
//! | `uniqueId`, `joined`, `joinedAt` | missing |
//!
//! No query finds temporary conversations, as at the service. A device knows its own conversations and those
//! that it asked for. Only a query at the service finds others.

use serde_json::{Map, Value};

use crate::model::query::{ConversationQuery, QueryCondition};
use crate::model::query::{Filter, FilterError, QueryError, QuerySelection, Steps, date};
use crate::model::{ConversationInfo, ConversationKind, Json, iso};
use crate::store::{ConversationRow, Snapshot, StoreError};

/// The most comparisons and bytes of text that one query may cost, over all conversations.
const STEPS_MAX: u64 = 50_000_000;

/// A parsed condition on conversations.
#[derive(Clone, Debug)]
pub(in crate::views) struct QueryTest {
    condition: QueryCondition,
    filter: Filter,
}

impl QueryTest {
    /// Reads a condition.
    pub(in crate::views) fn new(condition: &QueryCondition) -> Result<Self, FilterError> {
        Ok(Self {
            condition: condition.clone(),
            filter: Filter::parse(&condition.to_value().to_string())?,
        })
    }

    /// True if the test was made from this condition.
    pub(in crate::views) fn is_of(&self, condition: &QueryCondition) -> bool {
        self.condition == *condition
    }

    /// True if a conversation meets the condition.
    pub(in crate::views) fn fits(&self, snapshot: &Snapshot<'_>, row: &ConversationRow) -> bool {
        let steps = Steps::new(STEPS_MAX);
        let is_listed = row.kind != ConversationKind::Temporary;
        is_listed && self.filter.matches(&columns(snapshot, row), &steps) && !steps.are_used_up()
    }
}

/// The conversations of this device that a query finds.
///
/// # Errors
///
/// The outer error is the store's. The inner one names the part of the query that can't be used.
pub fn find(
    snapshot: &Snapshot<'_>,
    query: &ConversationQuery,
) -> Result<Result<Vec<ConversationInfo>, QueryError>, StoreError> {
    let selection = match QuerySelection::of(query, snapshot.owner()) {
        Ok(selection) => selection,
        Err(error) => return Ok(Err(error)),
    };
    let (mut choice, steps) = (selection.choice(), Steps::new(STEPS_MAX));
    for number in snapshot.listed() {
        let Some(row) = snapshot.shown_row(number)? else {
            continue;
        };
        if row.kind == ConversationKind::Temporary {
            continue;
        }
        let columns = columns(snapshot, &row);
        let fits = selection.filter.matches(&columns, &steps);
        if steps.are_used_up() {
            return Ok(Err(QueryError::TooExpensive));
        }
        if fits && let Err(error) = selection.offer(&mut choice, &columns, number) {
            return Ok(Err(error));
        }
    }
    let mut found = Vec::new();
    for number in selection.page(choice) {
        let info = snapshot.info(number)?;
        found.extend(info.map(|it| it.as_of(snapshot.seq())));
    }
    Ok(Ok(found))
}

/// The columns of a conversation, as the service's row has them.
fn columns(snapshot: &Snapshot<'_>, row: &ConversationRow) -> Map<String, Value> {
    let mut columns = match row.columns.as_ref().map(Json::to_value) {
        Some(Value::Object(columns)) => columns,
        _ => Map::new(),
    };
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            columns.insert(key.to_owned(), value);
        }
    };
    let time = |at: Option<crate::model::Timestamp>| at.map(|at| iso::format(at).into());
    let names = |clients: &[crate::model::ClientId]| -> Value {
        clients.iter().map(crate::model::ClientId::as_str).collect()
    };
    put("objectId", Some(row.id.as_str().into()));
    put("name", row.name.clone().map(Into::into));
    put("c", row.creator.as_ref().map(|it| it.as_str().into()));
    put("attr", row.attributes.as_ref().map(Json::to_value));
    put("conv_type", Some(row.kind.number().into()));
    put("createdAt", time(row.created_at));
    put("updatedAt", time(row.updated_at));
    put("lm", row.last_message_at.map(date));
    put("m", Some(names(&row.members)));
    let muted = std::slice::from_ref(snapshot.owner());
    put("mu", Some(names(if row.muted { muted } else { &[] })));
    put("unique", row.unique.then_some(true.into()));
    let is = |kind| (row.kind == kind).then_some(true.into());
    put("tr", is(ConversationKind::ChatRoom));
    put("sys", is(ConversationKind::Service));
    columns
}
