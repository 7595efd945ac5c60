//! Delivery and reading of own messages: receipts that come in, and receipts that the app asks for.

use crate::model::{ConversationId, Message, MessageId, MessageState, Receipt, Timestamp};
use crate::store::{ConversationNumber, Position, StoreError, TimelineItem};
use crate::sync::client::answer::Answer;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::{Caller, Done, FetchReceipts, RequestError};
use crate::wire::generated::{ConvCommand, RcpCommand};
use crate::wire::{Command, Envelope, Op};

/// How many of a conversation's newest messages are looked at for one that another device sent.
const NEWEST: usize = 50;

impl Client {
    pub(in crate::sync::client) fn fetch_receipts(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Done>,
        call: FetchReceipts,
    ) -> Result<(), StoreError> {
        let id = &call.conversation;
        let Some((conversation, row)) = turn.overlay.snapshot().conversation_by_id(id)? else {
            let error = RequestError::UnknownConversation;
            turn.step.reply(caller, Err(error));
            return Ok(());
        };
        if !self.session.is_open() || row.id.is_local() {
            turn.step.reply(caller, Err(RequestError::NotConnected));
            return Ok(());
        }
        let body = ConvCommand {
            cid: Some(row.id.as_str().to_owned()),
            ..ConvCommand::default()
        };
        self.paces.others.note(turn.elapsed());
        let purpose = Purpose::Receipts {
            conversation,
            caller,
        };
        self.submit(turn, Command::conv(Op::MaxRead, body), purpose);
        Ok(())
    }

    pub(in crate::sync::client) fn receipts_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        caller: Caller<Done>,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Answer::Said(Envelope {
            command:
                Command::Conv {
                    op: Op::MaxRead,
                    body,
                },
            ..
        }) = answer
        else {
            turn.step.reply(caller, Err(answer.into_error()));
            return Ok(());
        };
        let told = Receipt {
            delivered_until: mark(body.max_ack_timestamp),
            read_until: mark(body.max_read_timestamp),
        };
        Self::raise_receipt(turn, number, told)?;
        turn.step.reply(caller, Ok(Done));
        Ok(())
    }

    /// A receipt names a message and says when that was delivered or read; all older ones are covered.
    pub(in crate::sync::client) fn receipt_came(
        turn: &mut Turn<'_, '_>,
        body: &RcpCommand,
    ) -> Result<(), StoreError> {
        let is_read = body.read == Some(true);
        let Some(Ok(id)) = body.id.as_ref().map(MessageId::new) else {
            return Ok(());
        };
        let place = match turn.overlay.snapshot().awaiting_receipt(&id)? {
            Some(place) => Some(place),
            None => place_among_newest(turn, body, &id)?,
        };
        let Some((number, position)) = place else {
            return Ok(());
        };
        if let Some(at) = mark(body.t) {
            note_time(turn, number, &position, is_read, at)?;
        }
        let at = Some(position.sent_at);
        let told = if is_read {
            turn.overlay.forget_receipt(&id);
            Receipt {
                delivered_until: at,
                read_until: at,
            }
        } else {
            Receipt {
                delivered_until: at,
                read_until: None,
            }
        };
        Self::raise_receipt(turn, number, told)
    }

    pub(in crate::sync::client) fn raise_receipt(
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        told: Receipt,
    ) -> Result<(), StoreError> {
        let known = turn.overlay.snapshot().conversation(number)?;
        if known.is_some_and(|row| row.receipt.clone().raise(told)) {
            turn.overlay.update_conversation(number, |row| {
                row.receipt.raise(told);
            })?;
        }
        Ok(())
    }
}

/// The position of a message from another device of this client: only the sending device awaits its receipts. A
/// message that is not among the newest is covered by the receipts of later ones.
fn place_among_newest(
    turn: &Turn<'_, '_>,
    body: &RcpCommand,
    id: &MessageId,
) -> Result<Option<(ConversationNumber, Position)>, StoreError> {
    let Some(Ok(conversation)) = body.cid.as_ref().map(ConversationId::new) else {
        return Ok(None);
    };
    let snapshot = turn.overlay.snapshot();
    let Some(number) = snapshot.number(&conversation)? else {
        return Ok(None);
    };
    let page = snapshot.page_before(number, None, NEWEST)?;
    let found = page.items.into_iter().rev().find_map(|item| match item {
        TimelineItem::Message { position, message } if position.id == *id => {
            (message.sender == *snapshot.owner()).then_some(position)
        }
        _ => None,
    });
    Ok(found.map(|position| (number, position)))
}

/// A time that was told; the service says "never" with 0 too.
fn mark(millis: Option<i64>) -> Option<Timestamp> {
    millis.filter(|it| *it > 0).map(Timestamp::from_millis)
}

/// Notes when the message itself was delivered or read. Nothing is before it was sent.
fn note_time(
    turn: &mut Turn<'_, '_>,
    number: ConversationNumber,
    position: &Position,
    is_read: bool,
    at: Timestamp,
) -> Result<(), StoreError> {
    if turn.overlay.snapshot().is_imported(number, position)? {
        return Ok(());
    }
    let Some(message) = turn.overlay.snapshot().message(number, position)? else {
        return Ok(());
    };
    let at = at.max(position.sent_at);
    let state = if is_read {
        MessageState::Read { at }
    } else {
        MessageState::Delivered { at }
    };
    let told = Message { state, ..message };
    turn.overlay.put_message(number, &told).map(|_| ())
}
