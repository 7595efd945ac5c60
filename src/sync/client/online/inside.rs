//! The clients inside a chat room.

use crate::model::{ClientId, ConversationId, ConversationKind};
use crate::store::StoreError;
use crate::sync::client::answer::Answer;
use crate::sync::client::online::inquiry::Inquiry;
use crate::sync::client::{Client, Turn};
use crate::sync::{Caller, ClientsFound, ListInside, RequestError};
use crate::wire::generated::ConvCommand;
use crate::wire::{Command, Envelope, Op};

/// The most clients that the service names as inside a chat room.
const INSIDE_MAX: u32 = 50;

impl Client {
    pub(in crate::sync::client) fn list_inside(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ClientsFound>,
        call: ListInside,
    ) -> Result<(), StoreError> {
        let error = match self.asked_at(turn, &call.conversation)? {
            Err(error) => error,
            Ok((_, kind)) if kind != ConversationKind::ChatRoom => RequestError::NotPossible {
                obstacle: crate::Obstacle::KindDoesNotAllow,
            },
            Ok((id, _)) => {
                let limit = call.limit.clamp(1, INSIDE_MAX);
                let body = ConvCommand {
                    limit: i32::try_from(limit).ok(),
                    ..about(&id)
                };
                let command = Command::conv(Op::Members, body);
                self.inquire(turn, command, Inquiry::Inside { caller });
                return Ok(());
            }
        };
        turn.step.reply(caller, Err(error));
        Ok(())
    }

    pub(in crate::sync::client) fn inside_answered(
        &self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ClientsFound>,
        answer: Answer,
    ) {
        turn.step.reply(caller, listed(answer));
    }

    /// The id and kind of a conversation that the service can be asked about now.
    fn asked_at(
        &self,
        turn: &Turn<'_, '_>,
        conversation: &ConversationId,
    ) -> Result<Result<(ConversationId, ConversationKind), RequestError>, StoreError> {
        let known = turn.overlay.snapshot().conversation_by_id(conversation)?;
        Ok(match known {
            None => Err(RequestError::UnknownConversation),
            Some((_, row)) if !self.session.is_open() || row.id.is_local() => {
                Err(RequestError::NotConnected)
            }
            Some((_, row)) => Ok((row.id.clone(), row.kind)),
        })
    }
}

/// The answer to a question for those inside; the service may use another name for such an answer.
fn listed(answer: Answer) -> Result<ClientsFound, RequestError> {
    let body = result(answer)?;
    let clients = body.m.iter().filter_map(|id| ClientId::new(id).ok());
    Ok(ClientsFound {
        clients: clients.collect(),
    })
}

fn result(answer: Answer) -> Result<Box<ConvCommand>, RequestError> {
    match answer {
        Answer::Said(Envelope {
            command: Command::Conv { body, .. },
            ..
        }) => Ok(body),
        other => Err(other.into_error()),
    }
}

fn about(conversation: &ConversationId) -> ConvCommand {
    ConvCommand {
        cid: Some(conversation.as_str().to_owned()),
        ..ConvCommand::default()
    }
}
