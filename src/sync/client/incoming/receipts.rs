//! How far own messages got: receipts that come in, and those that the app asks for.

use crate::model::{MessageId, Receipt, Timestamp};
use crate::store::{ConversationNumber, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::{Caller, Done, FetchReceipts, RequestError};
use crate::wire::generated::{ConvCommand, RcpCommand};
use crate::wire::{Command, Envelope, Op};

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
        let mark = |millis: Option<i64>| millis.filter(|it| *it > 0).map(Timestamp::from_millis);
        let told = Receipt {
            delivered_until: mark(body.max_ack_timestamp),
            read_until: mark(body.max_read_timestamp),
        };
        Self::raise_receipt(turn, number, told)?;
        turn.step.reply(caller, Ok(Done));
        Ok(())
    }

    /// A receipt names the newest message that it covers, and not that message's time.
    pub(in crate::sync::client) fn receipt_came(
        turn: &mut Turn<'_, '_>,
        body: &RcpCommand,
    ) -> Result<(), StoreError> {
        let Some(Ok(id)) = body.id.as_ref().map(MessageId::new) else {
            return Ok(());
        };
        let place = turn.overlay.snapshot().awaiting_receipt(&id)?;
        let Some((number, position)) = place else {
            return Ok(());
        };
        let at = Some(position.sent_at);
        let told = if body.read == Some(true) {
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
