//! Conversation queries: from which rows, and what of them is told.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, ConversationId, Now};
use sampan::wire::generated::{ConvCommand, JsonObjectMessage};
use sampan::wire::{Command, Op, ServiceCode};

use super::filter::Candidates;
use super::query::{ConversationQuery, QueryFields};
use super::query_row::Row;
use crate::core::access::Operation;
use crate::core::exchange::decision::{Caller, Decision};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Order, Span, Storage};

/// Conversations that one query may look at when no index helps it.
const SCANNED_MAX: usize = 20_000;

/// Conversations of one client that a query looks at.
const MEMBERSHIPS_MAX: usize = 20_000;

/// Temporary conversations that one query may name.
const TEMPORARY_MAX: usize = 100;

/// Bytes of JSON in one answer: what is more is left for the next page.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn search(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let longest = self.app_of(caller)?.settings.limits.query_page;
        let fields = QueryFields {
            filter: body.r#where.as_ref().map(|filter| filter.data.as_str()),
            sort: body.sort.as_deref(),
            limit: body.limit,
            skip: body.skip,
            flag: body.flag,
        };
        let query = ConversationQuery::for_client(fields, caller.client(), longest);
        let query = query.map_err(|error| {
            Refusal::because(ServiceCode::CONVERSATION_QUERY_FAILED, error.to_string())
        })?;
        let rows = if body.temp_conv_ids.is_empty() {
            let found = match query.filter.candidates() {
                Some(candidates) => self.candidates(&caller.app, &candidates).await?,
                None => self.every(&caller.app).await?,
            };
            let found = found
                .into_iter()
                .filter(|found| found.kind != Kind::Temporary);
            let rows = self.rows(now, caller, found.collect()).await?;
            query.page(rows, |row| &row.columns)
        } else {
            let found = self
                .temporary(now, &caller.app, &body.temp_conv_ids)
                .await?;
            self.rows(now, caller, found).await?
        };
        let detail = query.detail;
        let rows = self.readable(caller, rows, detail.last_message).await?;
        let rows = rows
            .into_iter()
            .map(|(row, is_readable)| row.into_value(detail.members, is_readable));
        let results = Some(JsonObjectMessage { data: array(rows) });
        let reply = ConvCommand {
            results,
            ..ConvCommand::default()
        };
        Ok(Decision::reply(Command::conv(Op::Results, reply)))
    }

    /// The rows of a page, each with whether its last message is told: to those only who may read
    /// the history.
    async fn readable(
        &self,
        caller: &Caller,
        rows: Vec<Row>,
        wanted: bool,
    ) -> Result<Vec<(Row, bool)>, Failure> {
        let own = (&caller.app, caller.client());
        let mut told = Vec::with_capacity(rows.len());
        for row in rows {
            let is_readable = wanted
                && self
                    .allows(own, Operation::ReadHistory, &row.conversation)
                    .await?;
            told.push((row, is_readable));
        }
        Ok(told)
    }

    async fn rows(
        &self,
        now: Now,
        caller: &Caller,
        found: Vec<Conversation>,
    ) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::with_capacity(found.len());
        for conversation in found {
            let crowd = self.crowd(&caller.app, &conversation).await?;
            let own = match conversation.kind {
                Kind::System => {
                    let id = &conversation.id;
                    self.storage
                        .member(&caller.app, id, caller.client())
                        .await?
                }
                _ => None,
            };
            let newest = Span::default();
            let last = self
                .storage
                .messages(
                    &caller.app,
                    &conversation.id,
                    &newest,
                    Order::NewestFirst,
                    1,
                )
                .await?;
            let last = last.into_iter().next();
            rows.push(Row::new(
                now,
                conversation,
                crowd.members(),
                own.as_ref(),
                last,
            ));
        }
        Ok(rows)
    }

    async fn candidates(
        &self,
        app: &AppId,
        candidates: &Candidates,
    ) -> Result<Vec<Conversation>, Failure> {
        let mut ids: BTreeSet<ConversationId> = candidates
            .ids
            .iter()
            .filter_map(|id| ConversationId::new(id).ok())
            .collect();
        for member in &candidates.members {
            let Ok(member) = ClientId::new(member) else {
                continue;
            };
            ids.extend(
                self.storage
                    .memberships(app, &member, MEMBERSHIPS_MAX)
                    .await?,
            );
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.storage.conversation(app, &id).await?);
        }
        Ok(found)
    }

    async fn every(&self, app: &AppId) -> Result<Vec<Conversation>, Failure> {
        let found = self
            .storage
            .conversations(app, None, SCANNED_MAX + 1)
            .await?;
        if found.len() > SCANNED_MAX {
            let detail = "too many conversations to look at: name ids or members";
            return Err(Refusal::because(ServiceCode::CONVERSATION_QUERY_FAILED, detail).into());
        }
        Ok(found)
    }

    async fn temporary(
        &self,
        now: Now,
        app: &AppId,
        ids: &[String],
    ) -> Result<Vec<Conversation>, Failure> {
        let mut found = Vec::new();
        for id in ids.iter().take(TEMPORARY_MAX) {
            let Ok(id) = ConversationId::new(id) else {
                continue;
            };
            let conversation = self.storage.conversation(app, &id).await?;
            found.extend(conversation.filter(|found| {
                let is_live = found.expires_at.is_none_or(|ends| ends > now.wall);
                found.kind == Kind::Temporary && is_live
            }));
        }
        Ok(found)
    }
}

/// A JSON array of as many rows as fit into an answer.
fn array(rows: impl Iterator<Item = serde_json::Value>) -> String {
    let mut text = String::from("[");
    for row in rows {
        let row = row.to_string();
        if text.len() + row.len() > ANSWER_BYTES_MAX {
            break;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&row);
    }
    text.push(']');
    text
}
