//! Questions of an app about any part of a conversation's history: by time, by type, in either direction.
//!
//! The app gets the found messages, and the store does not keep them: a page of one type has holes that no gap
//! could describe.

use crate::model::{Message, MessageId, MessageKey, Named, Timestamp};
use crate::store::StoreError;
use crate::sync::client::answer::Answer;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::request::{Caller, MessagesFound, QueryHistory, RequestError};
use crate::wire::request::{HistoryDirection, HistoryFilter, history_where};
use crate::wire::{Command, Envelope, convert};

/// The most messages of one answer; the service's limit.
const LIMIT_MAX: u32 = 1_000;

/// A question under way.
#[derive(Debug)]
pub(in crate::sync::client) struct HistoryQuestion {
    call: QueryHistory,
    caller: Caller<MessagesFound>,
}

impl Client {
    pub(in crate::sync::client) fn query_history(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<MessagesFound>,
        call: QueryHistory,
    ) -> Result<(), StoreError> {
        let known = turn
            .overlay
            .snapshot()
            .conversation_by_id(&call.conversation)?;
        let invalid = |reason: &str| RequestError::InvalidArgument {
            reason: reason.to_owned(),
        };
        let query = &call.query;
        let empty = query.since.zip(query.until);
        let error = match known {
            None => RequestError::UnknownConversation,
            Some(_) if !(1..=LIMIT_MAX).contains(&query.limit) => invalid("limit: from 1 to 1000"),
            Some(_) if empty.is_some_and(|(since, until)| since > until) => {
                invalid("since: later than until")
            }
            Some((_, row)) if !self.session.is_open() || row.id.is_local() => {
                RequestError::NotConnected
            }
            Some((_, row)) => match self.start_of(turn, &call)? {
                Err(error) => error,
                Ok(start) => {
                    let filter = HistoryFilter {
                        since: query.since,
                        until: query.until,
                        start: start.as_ref().map(|(at, id)| (*at, id)),
                        content_type: query.content_type,
                        direction: if query.oldest_first {
                            HistoryDirection::Newer
                        } else {
                            HistoryDirection::Older
                        },
                        limit: i32::try_from(query.limit).unwrap_or(i32::MAX),
                    };
                    let command = history_where(&row.id, &filter);
                    self.paces.history.note(turn.elapsed());
                    let purpose = Purpose::Question(HistoryQuestion { call, caller });
                    self.submit(turn, command, purpose);
                    return Ok(());
                }
            },
        };
        turn.step.reply(caller, Err(error));
        Ok(())
    }

    /// The message behind which a question goes on.
    fn start_of(
        &self,
        turn: &Turn<'_, '_>,
        call: &QueryHistory,
    ) -> Result<Result<Option<(Timestamp, MessageId)>, RequestError>, StoreError> {
        let Some(key) = &call.query.behind else {
            return Ok(Ok(None));
        };
        let id = match key.named() {
            Named::Service { sent_at, id } => return Ok(Ok(Some((*sent_at, id.clone())))),
            Named::Local(id) => id,
        };
        let place = turn.overlay.snapshot().position_by_local_id(id)?;
        Ok(match place {
            Some((_, position)) => Ok(Some((position.sent_at, position.id))),
            None => Err(RequestError::UnknownMessage),
        })
    }

    pub(in crate::sync::client) fn question_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        question: HistoryQuestion,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let HistoryQuestion { call, caller } = question;
        let Answer::Said(Envelope {
            command: Command::Logs(body),
            ..
        }) = answer
        else {
            turn.step.reply(caller, Err(answer.into_error()));
            return Ok(());
        };
        self.paces.history.answered();
        let snapshot = turn.overlay.snapshot();
        let known = snapshot.conversation_by_id(&call.conversation)?;
        let Some((number, row)) = known else {
            turn.step
                .reply(caller, Err(RequestError::UnknownConversation));
            return Ok(());
        };
        let mut messages: Vec<Message> = Vec::new();
        for item in body.logs {
            let Ok(message) = convert::message_from_history(&row.id, item, self.me()) else {
                continue;
            };
            // The store knows the message's local id, and the changes by this device.
            let key = MessageKey::of(&message);
            let held = key.map(|key| snapshot.message_by_key(number, &key));
            let held = held.transpose()?.flatten();
            messages.push(held.unwrap_or(message));
        }
        drop(snapshot);
        let found = MessagesFound { messages };
        turn.step.reply(caller, Ok(found));
        Ok(())
    }
}
