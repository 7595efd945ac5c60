//! Conversations that the service finds by a condition.

use serde_json::Value;

use crate::model::Json;
use crate::store::StoreError;
use crate::sync::client::answer::Answer;
use crate::sync::client::online::inquiry::Inquiry;
use crate::sync::client::{Client, Turn};
use crate::sync::{Caller, ConversationsFetched, FindRooms, RequestError};
use crate::wire::request::{self, rows};

/// The most conversations of one answer.
const FOUND_MAX: u32 = 1_000;

impl Client {
    pub(in crate::sync::client) fn find_rooms(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ConversationsFetched>,
        call: FindRooms,
    ) {
        let condition = match &call.condition {
            Some(condition) => condition.to_value(),
            None => serde_json::json!({ "m": self.me().as_str() }),
        };
        let error = if !matches!(condition, Value::Object(_)) {
            let reason = "condition: a JSON object".to_owned();
            RequestError::InvalidArgument { reason }
        } else if !self.session.is_open() {
            RequestError::NotConnected
        } else {
            let limit = call.limit.clamp(1, FOUND_MAX);
            let part = request::Part {
                sort: call.sort.as_deref().unwrap_or("-lm"),
                skip: call.skip,
                limit,
            };
            let condition = Json::from_value(&condition);
            let command = request::find(&condition, part, call.compact);
            self.inquire(turn, command, Inquiry::Find { caller });
            return;
        };
        turn.step.reply(caller, Err(error));
    }

    pub(in crate::sync::client) fn rooms_found(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ConversationsFetched>,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let envelope = match answer {
            Answer::Said(envelope) => envelope,
            other => {
                turn.step.reply(caller, Err(other.into_error()));
                return Ok(());
            }
        };
        let mut found = Vec::new();
        for row in rows(&envelope) {
            found.push(row.id.clone());
            self.apply_row(turn, row, false)?;
        }
        turn.step.reply(caller, Ok(ConversationsFetched { found }));
        Ok(())
    }
}
