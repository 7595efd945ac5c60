//! Messages that the app itself puts into the store and removes.
//!
//! A message that the app could not prepare stays as a failed entry: it shows as failed, and is sent when the
//! app retries it. A message that the app got elsewhere stands alone between gaps until history is read around
//! it.

use crate::model::{ConversationKind, LocalId, Message, MessageState, Named, SendFailure};
use crate::store::{ConversationNumber, Position, StoreError};
use crate::sync::client::{Answered, Client, Turn};
use crate::sync::request::{
    DiscardMessage, Done, Enqueued, KeepFailed, KeepForeign, RemoveMessage, RequestError,
    SendMessage,
};

impl Client {
    /// Keeps a message as failed, once per local id of the app.
    pub(in crate::sync::client) fn keep_failed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: KeepFailed,
    ) -> Answered<Enqueued> {
        let send = SendMessage {
            conversation: call.conversation,
            message: call.message,
        };
        if send.message.options.transient || send.message.options.will {
            let reason = "options: what is kept is neither transient nor a will".to_owned();
            return Ok(Err(RequestError::InvalidArgument { reason }));
        }
        let mut enqueued = match self.send_message(turn, send)? {
            Ok(enqueued) => enqueued,
            Err(error) => return Ok(Err(error)),
        };
        let entry = enqueued
            .entry
            .and_then(|id| turn.overlay.snapshot().entry(id));
        // One that the service has by now did not fail.
        if let Some(entry) = entry.filter(|entry| !self.may_have_left(entry)) {
            let reason = call.reason;
            let failure = SendFailure::Unsendable { reason };
            // This is not `fail_unsendable`: the message counts as untried, so a retry may help.
            turn.overlay.update_entry(entry.id, |it| it.tries = 0);
            self.fail_entry(turn, &entry, failure.clone())?;
            enqueued.message.state = MessageState::Failed { failure };
            enqueued.tries = 0;
        }
        Ok(Ok(enqueued))
    }

    /// Stores a message that the app got elsewhere.
    pub(in crate::sync::client) fn keep_foreign(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: KeepForeign,
    ) -> Answered<Done> {
        let foreign = call.message;
        let known = turn
            .overlay
            .snapshot()
            .conversation_by_id(&foreign.conversation)?;
        let Some((number, row)) = known else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        if row.kind == ConversationKind::ChatRoom || row.id.is_local() {
            let reason = "conversation: it has no history at the service".to_owned();
            return Ok(Err(RequestError::InvalidArgument { reason }));
        }
        let message = Message {
            conversation: row.id,
            id: Some(foreign.id),
            local_id: None,
            sender: foreign.sender,
            sent_at: foreign.sent_at,
            content: foreign.content,
            mentions: foreign.mentions,
            state: MessageState::Sent,
            edited_at: None,
            transient: false,
            change: None,
        };
        let source = self.history_source(number);
        if let Some((position, _)) = self.keep(turn, number, &message, source)? {
            // The way on which it came may be ahead of the connection, so that it continues no tail either.
            self.stand_alone(turn, number, &position)?;
        }
        turn.overlay.intend();
        Ok(Ok(Done))
    }

    /// Removes a message from this device alone, with its waiting changes.
    pub(in crate::sync::client) fn remove_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: RemoveMessage,
    ) -> Answered<Done> {
        let Some(number) = turn.overlay.snapshot().number(&call.conversation)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let key = call.message.clone();
        let unsent = match key.named() {
            Named::Local(id) => turn.overlay.snapshot().unsent(number, id),
            Named::Service { .. } => None,
        };
        if let Some(entry) = unsent {
            if entry.failure().is_none() && self.may_have_left(&entry) {
                return Ok(Err(RequestError::NotPossible {
                    obstacle: crate::Obstacle::OnItsWay,
                }));
            }
            return self.discarded(turn, call);
        }
        let position = match key.named() {
            Named::Local(id) => position_of(turn, number, id)?,
            Named::Service { sent_at, id } => Some(Position {
                sent_at: *sent_at,
                id: id.clone(),
            }),
        };
        let Some(position) = position else {
            return Ok(Err(RequestError::UnknownMessage));
        };
        // The message may have no waiting changes.
        let _ = self.discarded(turn, call)?;
        if !turn.overlay.remove_message(number, &position)? {
            return Ok(Err(RequestError::UnknownMessage));
        }
        turn.overlay.intend();
        Ok(Ok(Done))
    }

    fn discarded(&mut self, turn: &mut Turn<'_, '_>, call: RemoveMessage) -> Answered<Done> {
        let call = DiscardMessage {
            conversation: call.conversation,
            message: call.message,
        };
        let answer = self.discard_message(turn, call)?;
        Ok(answer.map(|_| Done))
    }
}

fn position_of(
    turn: &Turn<'_, '_>,
    number: ConversationNumber,
    id: &LocalId,
) -> Result<Option<Position>, StoreError> {
    let place = turn.overlay.snapshot().position_by_local_id(id)?;
    Ok(place.and_then(|(at, position)| (at == number).then_some(position)))
}
