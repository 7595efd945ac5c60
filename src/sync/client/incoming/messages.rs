//! Messages that the service delivers, and their acknowledgement.
//!
//! `duplicates.rs` recognises duplicates; `history/join.rs` places a message in the stored history.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{ConversationId, ConversationKind, Message, Timestamp};
use crate::store::{Put, StoreError};
use crate::sync::client::history::join::Taken;
use crate::sync::client::incoming::unread::Source;
use crate::sync::client::{Client, Turn};
use crate::sync::link::LinkRequest;
use crate::wire::generated::{AckCommand, DirectCommand};
use crate::wire::{Command, Envelope, Op, convert};

/// Acknowledgements of one second go together, as in the official JavaScript SDK.
const GATHER: Duration = Duration::from_secs(1);

/// The messages received on this connection and not acknowledged yet.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Receiver {
    opened_at: Option<Timestamp>,
    unacknowledged: BTreeMap<ConversationId, (Timestamp, Timestamp)>,
    acknowledge_at: Option<Duration>,
}

impl Receiver {
    pub(in crate::sync::client) fn opened(&mut self, at: Timestamp) {
        self.opened_at = Some(at);
    }

    /// The time of the session's opening stays known, because requested history may come after its end.
    pub(in crate::sync::client) fn forget_connection(&mut self) {
        *self = Self {
            opened_at: self.opened_at,
            ..Self::default()
        };
    }

    pub(in crate::sync::client) fn wake(&self, wakes: &mut Vec<Duration>) {
        wakes.extend(self.acknowledge_at);
    }

    pub(in crate::sync::client) const fn history_source(&self) -> Source {
        Source::History {
            opened_at: self.opened_at,
        }
    }
}

impl Client {
    pub(in crate::sync::client) fn notified(
        &mut self,
        turn: &mut Turn<'_, '_>,
        envelope: Envelope,
    ) -> Result<(), StoreError> {
        let told_at = envelope.server_ts;
        match envelope.command {
            Command::Session {
                op: Op::Closed,
                body,
            } => self.session_closed(turn, &body),
            // A command that comes before the session is open, or after its end, belongs to another session.
            _ if !self.session.is_open() => Ok(()),
            Command::Direct(body) => self.message_came(turn, *body),
            Command::Unread(body) => self.unread_told(turn, body),
            Command::Rcp(body) => Self::receipt_came(turn, &body),
            Command::Patch {
                op: Op::Modify,
                body,
            } => self.edits_came(turn, body),
            Command::Presence(body) => {
                self.presence_came(turn, &body);
                Ok(())
            }
            Command::Conv { op, body } => self.conversation_told(turn, op, &body, told_at),
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
            if !self.typing_came(turn, &message)? {
                turn.step.transient.push(message);
            }
            return Ok(());
        }
        let number = self.known_or_asked_for(turn, &message.conversation, kind)?;
        let Some((position, put)) = self.keep(turn, number, &message, Source::Live)? else {
            return Ok(());
        };
        self.stopped_typing(number, &message.sender);
        // Before a message that is pushed late there may be others that the service did not push, and a message
        // that was stored before is delivered again.
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

    pub(in crate::sync::client) fn note_received(
        &mut self,
        turn: &Turn<'_, '_>,
        message: &Message,
    ) {
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

    pub(in crate::sync::client) fn pump_acknowledgements(&mut self, turn: &mut Turn<'_, '_>) {
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
}
