//! What comes in by itself: messages, receipts; and acknowledging messages.
//!
//! A message that is known by conversation and id is not added again. Whether it continues the
//! history that is held is decided in `tail.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::Answer;
use super::tail::Taken;
use super::unread::{self, Source};
use super::{Client, Purpose, Turn};
use crate::model::{ConversationId, ConversationKind, Message, MessageId, Receipt, Timestamp};
use crate::store::{ConversationNumber, Position, Put, StoreError};
use crate::sync::link::LinkRequest;
use crate::sync::{Reply, RequestError, RequestId};
use crate::wire::generated::{AckCommand, ConvCommand, DirectCommand, RcpCommand};
use crate::wire::{Command, Envelope, Op, convert};

/// Acknowledgements of one second go together, as in the official JavaScript SDK.
const GATHER: Duration = Duration::from_secs(1);

/// What was received on this connection and not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    opened_at: Option<Timestamp>,
    unacknowledged: BTreeMap<ConversationId, (Timestamp, Timestamp)>,
    acknowledge_at: Option<Duration>,
}

impl Receiver {
    pub(super) fn opened(&mut self, at: Timestamp) {
        self.opened_at = Some(at);
    }

    /// When the session opened stays known: history that was asked for may come after its end.
    pub(super) fn forget_connection(&mut self) {
        *self = Self {
            opened_at: self.opened_at,
            ..Self::default()
        };
    }

    pub(super) fn wake(&self, wakes: &mut Vec<Duration>) {
        wakes.extend(self.acknowledge_at);
    }

    pub(super) const fn history_source(&self) -> Source {
        Source::History {
            opened_at: self.opened_at,
        }
    }
}

impl Client {
    pub(super) fn notified(
        &mut self,
        turn: &mut Turn<'_, '_>,
        envelope: Envelope,
    ) -> Result<(), StoreError> {
        match envelope.command {
            Command::Session {
                op: Op::Closed,
                body,
            } => self.session_closed(turn, &body),
            // What comes before the session is open, or after its end, belongs to another one.
            _ if !self.session.is_open() => Ok(()),
            Command::Direct(body) => self.message_came(turn, *body),
            Command::Unread(body) => self.unread_told(turn, body),
            Command::Rcp(body) => receipt_came(turn, &body),
            Command::Patch {
                op: Op::Modify,
                body,
            } => self.edits_came(turn, body),
            Command::Conv { op, body } => self.conversation_told(turn, op, &body),
            _ => Ok(()),
        }
    }

    fn message_came(
        &mut self,
        turn: &mut Turn<'_, '_>,
        body: DirectCommand,
    ) -> Result<(), StoreError> {
        let kind = body.conv_type.and_then(ConversationKind::from_number);
        let pushed_late = body.offline == Some(true);
        let Ok(message) = convert::message_from_direct(body) else {
            return Ok(());
        };
        if message.transient {
            turn.step.transient.push(message);
            return Ok(());
        }
        let number = self.known_or_asked_for(turn, &message.conversation, kind)?;
        let Some((position, put)) = self.keep(turn, number, &message, Source::Live)? else {
            return Ok(());
        };
        // Before one that is pushed late there may be others that the service did not push, and one
        // that was here before is delivered again.
        let taken = match put {
            Put::Added if !pushed_late => self.tails.taken(message.sent_at),
            _ => Taken::Sometime,
        };
        self.join(turn, number, &position, taken)?;
        // A message that is delivered again was not acknowledged, so this acknowledges it again.
        if &message.sender != self.me() && kind != Some(ConversationKind::ChatRoom) {
            self.note_received(turn, &message);
        }
        Ok(())
    }

    pub(super) fn note_received(&mut self, turn: &Turn<'_, '_>, message: &Message) {
        let at = message.sent_at;
        let range = self
            .receiver
            .unacknowledged
            .entry(message.conversation.clone())
            .or_insert((at, at));
        *range = (range.0.min(at), range.1.max(at));
        let due = turn.elapsed().saturating_add(GATHER);
        self.receiver.acknowledge_at.get_or_insert(due);
    }

    pub(super) fn pump_acknowledgements(&mut self, turn: &mut Turn<'_, '_>) {
        if self
            .receiver
            .acknowledge_at
            .is_none_or(|at| at > turn.elapsed())
        {
            return;
        }
        self.receiver.acknowledge_at = None;
        for (conversation, (from, to)) in std::mem::take(&mut self.receiver.unacknowledged) {
            let body = AckCommand {
                cid: Some(conversation.as_str().to_owned()),
                fromts: Some(from.as_millis()),
                tots: Some(to.as_millis()),
                ..AckCommand::default()
            };
            turn.step.acknowledgements.push(LinkRequest {
                tag: None,
                envelope: Envelope::new(Command::ack(body)),
            });
        }
    }

    /// Puts a message of the service into the store, unless what is held is newer; none for a
    /// message without id. Unread counts follow.
    pub(super) fn keep(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        message: &Message,
        source: Source,
    ) -> Result<Option<(Position, Put)>, StoreError> {
        let Some(id) = message.id.clone() else {
            return Ok(None);
        };
        let message = &self.early_edits.apply(message.clone());
        let position = Position {
            sent_at: message.sent_at,
            id,
        };
        let held = turn.overlay.snapshot().message(number, &position)?;
        if let Some(held) = &held
            && held.edited_at > message.edited_at
        {
            return Ok(Some((position, Put::Unchanged)));
        }
        let put = turn.overlay.put_message(number, message)?;
        let me = self.settings.client.clone();
        match (put, held) {
            (Put::Added, _) => turn
                .overlay
                .update_conversation(number, |row| unread::count(row, message, &me, source))?,
            (Put::Changed, Some(before)) if message.content.is_recalled() => turn
                .overlay
                .update_conversation(number, |row| unread::discount(row, &before, &me))?,
            _ => {}
        }
        Ok(Some((position, put)))
    }

    pub(super) fn fetch_receipts(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: RequestId,
        id: &ConversationId,
    ) -> Result<(), StoreError> {
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

    pub(super) fn receipts_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        caller: RequestId,
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
        raise_receipt(turn, number, told)?;
        turn.step.reply(caller, Ok(Reply::Done));
        Ok(())
    }
}

/// A receipt names the newest message that it covers, and not that message's time.
fn receipt_came(turn: &mut Turn<'_, '_>, body: &RcpCommand) -> Result<(), StoreError> {
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
    raise_receipt(turn, number, told)
}

pub(super) fn raise_receipt(
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
