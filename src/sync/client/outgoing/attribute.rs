//! Changes of an attribute relative to its present value: made at once, or not at all.
//!
//! A repeated change of this kind has another result. The change therefore never waits in the outbox, and when
//! its answer is lost the app is told so and reads the attribute before the next try.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{ConversationKind, ConversationState, Json};
use crate::store::{ConversationNumber, DetailsIntent, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::incoming::membership::is_news;
use crate::sync::client::outgoing::details::is_single_key;
use crate::sync::client::outgoing::requests::{ATTRIBUTES_DEPTH_MAX, fits};
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::{AttributeChanged, Caller, ChangeAttribute, RequestError};
use crate::wire::generated::ConvCommand;
use crate::wire::{Command, Envelope, Op, iso, request};

/// A change that is on its way.
#[derive(Debug)]
pub(in crate::sync::client) struct AttributeAsked {
    number: ConversationNumber,
    key: String,
    caller: Caller<AttributeChanged>,
}

impl Client {
    pub(in crate::sync::client) fn change_attribute(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<AttributeChanged>,
        call: ChangeAttribute,
    ) -> Result<(), StoreError> {
        match self.attribute_command(turn, &call)? {
            Ok((number, command)) => {
                self.paces.others.note(turn.elapsed());
                let asked = AttributeAsked {
                    number,
                    key: call.key,
                    caller,
                };
                self.submit(turn, command, Purpose::Attribute(asked));
            }
            Err(error) => turn.step.reply(caller, Err(error)),
        }
        Ok(())
    }

    fn attribute_command(
        &self,
        turn: &Turn<'_, '_>,
        call: &ChangeAttribute,
    ) -> Result<Result<(ConversationNumber, Command), RequestError>, StoreError> {
        let Some((number, row)) = turn
            .overlay
            .snapshot()
            .conversation_by_id(&call.conversation)?
        else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let obstacle = match (row.kind, &row.state) {
            (ConversationKind::Temporary, _) => Some(crate::Obstacle::KindDoesNotAllow),
            (_, ConversationState::Left) => Some(crate::Obstacle::ConversationLeft),
            _ => None,
        };
        if let Some(obstacle) = obstacle {
            return Ok(Err(RequestError::NotPossible { obstacle }));
        }
        let operation = Json::from_value(&call.change.operation());
        if !is_single_key(&call.key) || !operation.fits_columns(ATTRIBUTES_DEPTH_MAX) {
            let reason = "attribute: a key that is empty or has a dot or a dollar sign, or a value \
                          nested deeper than 31 levels";
            return Ok(Err(RequestError::InvalidArgument {
                reason: reason.to_owned(),
            }));
        }
        if !self.session.is_open() || row.id.is_local() {
            return Ok(Err(RequestError::NotConnected));
        }
        let changes = BTreeMap::from([(call.key.clone(), Some(operation))]);
        let command = request::details(&row.id, None, &changes);
        let size = self.size_of(command.clone());
        Ok(fits(size).map(|()| (number, command)))
    }

    pub(in crate::sync::client) fn attribute_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        asked: AttributeAsked,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Answer::Said(Envelope {
            command:
                Command::Conv {
                    op: Op::Updated,
                    body,
                },
            ..
        }) = &answer
        else {
            turn.step.reply(asked.caller, Err(answer.into_error()));
            return Ok(());
        };
        self.paces.others.answered();
        let value = value_of(body, &asked.key);
        let changed_at = body.udate.as_deref().and_then(iso::parse);
        let change = DetailsIntent {
            name: None,
            attributes: BTreeMap::from([(asked.key, value.clone())]),
        };
        let tells = value.is_some();
        turn.overlay.update_conversation(asked.number, |row| {
            if tells && is_news(row, changed_at) {
                change.apply_to(row);
                row.updated_at = row.updated_at.max(changed_at);
            }
        })?;
        turn.step
            .reply(asked.caller, Ok(AttributeChanged { value }));
        Ok(())
    }
}

/// The value of an attribute after a change, as the service tells it.
fn value_of(body: &ConvCommand, key: &str) -> Option<Json> {
    let told = body.attr_modified.as_ref()?;
    let told: Value = serde_json::from_str(&told.data).ok()?;
    Some(Json::from_value(told.get("attr")?.get(key)?))
}
