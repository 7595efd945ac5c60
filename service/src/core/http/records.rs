//! Records that an app's own servers read with the master key: the history of the app, of a conversation or of
//! a client, and the tables of conversations and roles. Nothing is left out, and nothing is changed.
//!
//! A page of the app's history asks every conversation once. That is meant for saving a history page by page,
//! not for serving clients. `reading.rs` reads a page in parts.

use std::collections::BTreeMap;

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Now, Timestamp};
use serde_json::{Value, json};

use crate::core::conversations::role::{info_id, role_name};
use crate::core::exchange::fields::text_of;
use crate::core::exchange::refusal::Failure;
use crate::core::machine::Core;
use crate::core::queries::query_row::Row;
use crate::storage::{Body, Conversation, Edge, Message, Order, Role, Span, Storage};

/// Rows of a page whose request names no number.
pub(super) const PAGE: usize = 100;

/// Rows of a page at most.
pub(in crate::core) const PAGE_MAX: usize = 1000;
/// A page that is asked for.
#[derive(Debug)]
pub(in crate::core) struct RecordsPage {
    pub(super) span: Span,
    pub(super) order: Order,
    pub(super) limit: usize,
    /// The client whose messages alone are wanted.
    pub(super) from: Option<ClientId>,
}

impl RecordsPage {
    pub(in crate::core) fn read(query: &BTreeMap<String, String>) -> Result<Self, &'static str> {
        let number = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => text
                .parse::<i64>()
                .map(Some)
                .map_err(|_| "a number is none"),
        };
        let is_set = |name: &str| query.get(name).is_some_and(|it| it == "true" || it == "1");
        let edge = |time: &str, id: &str, included: &str| {
            let at = number(time)?.filter(|at| *at != 0);
            let text = query.get(id).filter(|id| !id.is_empty());
            let id = text.map(|id| MessageId::new(id).map_err(|_| "an id is none"));
            match (at, id.transpose()?) {
                (None, Some(_)) => Err("an id needs its time"),
                (None, None) => Ok(None),
                (Some(at), id) => Ok(Some(Edge {
                    at: Timestamp::from_millis(at),
                    id,
                    included: is_set(included),
                })),
            }
        };
        let limit = match number("limit")? {
            None => PAGE,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=PAGE_MAX).contains(limit))
                .ok_or("the limit must be 1 to 1000")?,
        };
        let start = edge("timestamp", "msgid", "include_start")?;
        let end = edge("till_timestamp", "till_msgid", "include_stop")?;
        let (order, span) = match is_set("reversed") {
            true => (
                Order::OldestFirst,
                Span {
                    older: start,
                    newer: end,
                },
            ),
            false => (
                Order::NewestFirst,
                Span {
                    older: end,
                    newer: start,
                },
            ),
        };
        Ok(Self {
            span,
            order,
            limit,
            from: None,
        })
    }
}

impl RecordsPage {
    /// The stretch, the order and the number of rows.
    pub(in crate::core) fn into_parts(self) -> (Span, Order, usize) {
        (self.span, self.order, self.limit)
    }
}

impl<S: Storage> Core<S> {
    /// A row of the table of conversations.
    pub(in crate::core) async fn conversation_row(
        &self,
        now: Now,
        app: &AppId,
        conversation: Conversation,
    ) -> Result<Value, Failure> {
        let members = self
            .storage
            .members(app, &conversation.id, usize::MAX)
            .await?;
        let (span, order) = (Span::default(), Order::NewestFirst);
        let last = self
            .storage
            .messages(app, &conversation.id, &span, order, 1)
            .await?;
        let row = Row::new(now, conversation, &members, None, last.into_iter().next());
        Ok(row.into_value(true, false))
    }

    /// The rows of a conversation in the table of roles.
    pub(in crate::core) async fn role_rows(
        &self,
        app: &AppId,
        conversation: &Conversation,
    ) -> Result<Vec<Value>, Failure> {
        let members = self
            .storage
            .members(app, &conversation.id, usize::MAX)
            .await?;
        let rows = members.iter().filter(|member| member.role != Role::Member);
        let row = |client: &ClientId, role| {
            json!({
                "objectId": info_id(conversation, client),
                "cid": conversation.id.as_str(),
                "clientId": client.as_str(),
                "role": role_name(role),
            })
        };
        Ok(rows
            .map(|member| row(&member.client, member.role))
            .collect())
    }
}

/// The bytes of a body on a page.
pub(in crate::core) fn size(body: &Body) -> usize {
    match body {
        Body::Text(text) => text.len(),
        Body::Binary(bytes) => bytes.len() * 4 / 3,
    }
}

/// A message as the interface tells it.
pub(in crate::core) fn row(conversation: &ConversationId, message: &Message) -> Value {
    let (data, binary) = text_of(&message.body);
    let mut row = json!({
        "timestamp": message.sent_at.as_millis(),
        "conv-id": conversation.as_str(),
        "data": data,
        "from": message.from.as_str(),
        "msg-id": message.id.as_str(),
        "is-conv": true,
        "is-room": false,
        "to": conversation.as_str(),
        "bin": binary,
    });
    if let (Some(at), Some(row)) = (message.delivered_at, row.as_object_mut()) {
        row.insert("ack-at".to_owned(), at.as_millis().into());
    }
    row
}
