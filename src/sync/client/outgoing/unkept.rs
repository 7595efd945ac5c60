//! Messages in no timeline: transient ones and the will.
//!
//! A transient message is for clients that are online now, so it is not queued unless the app asks for that:
//! without an open session the call fails. A will waits in the outbox like any message, until a later will
//! replaces it. The service forgets a will with the connection, so the machine sets it again with each new
//! session of this process.

use crate::model::{LocalId, Message, MessageId, MessageState, Priority, Timestamp};
use crate::store::{ConversationNumber, Intent, SendIntent, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::outgoing::lane::acknowledged;
use crate::sync::client::outgoing::requests::direct_command;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::link::Unanswered;
use crate::sync::request::{Caller, Enqueued, RequestError, SendMessage};
use crate::wire::{Command, Envelope, ServiceCode};

/// A transient message on its way.
#[derive(Debug)]
pub(in crate::sync::client) struct TransientSend {
    caller: Caller<Enqueued>,
    local_id: LocalId,
    message: Message,
}

/// The will that the service has, to be set again.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Wills(Option<(LocalId, ConversationNumber, SendIntent)>);

impl Wills {
    /// The service has a will now; it took the place of any other.
    pub(in crate::sync::client) fn set(
        &mut self,
        token: &LocalId,
        number: ConversationNumber,
        intent: &SendIntent,
    ) {
        self.0 = Some((token.clone(), number, intent.clone()));
    }
}

impl Client {
    /// Sends a transient message now, or fails.
    pub(in crate::sync::client) fn send_transient(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Enqueued>,
        call: &SendMessage,
    ) -> Result<(), StoreError> {
        let checked = self.check_message(turn, call)?;
        let (row, intent) = match checked {
            Ok((_, row, intent)) => (row, intent),
            Err(error) => {
                turn.step.reply(caller, Err(error));
                return Ok(());
            }
        };
        if !self.session.is_open() || row.id.is_local() {
            turn.step.reply(caller, Err(RequestError::NotConnected));
            return Ok(());
        }
        if !self.paces.sends.allows(turn.elapsed()) {
            let code = ServiceCode::MESSAGE_SENT_QUOTA_EXCEEDED;
            let reason = code.name().to_owned();
            turn.step
                .reply(caller, Err(RequestError::Refused { code, reason }));
            return Ok(());
        }
        let local_id = call.message.options.local_id.clone();
        let local_id = local_id.unwrap_or_else(|| self.randomness.local_id());
        let body = self.direct_to(&row, &intent, &local_id);
        self.paces.sends.note(turn.elapsed());
        let envelope = Envelope {
            priority: intent.priority.map(Priority::number),
            ..Envelope::new(Command::direct(body))
        };
        let message = Message {
            conversation: row.id.clone(),
            id: None,
            local_id: Some(local_id.clone()),
            sender: self.me().clone(),
            sent_at: turn.now.wall,
            content: intent.content,
            mentions: intent.mentions,
            state: MessageState::Sent,
            edited_at: None,
            transient: true,
            change: None,
        };
        let sent = TransientSend {
            caller,
            local_id,
            message,
        };
        self.submit_envelope(turn, envelope, Purpose::Transient(sent));
        Ok(())
    }

    pub(in crate::sync::client) fn transient_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        sent: TransientSend,
        answer: Answer,
    ) {
        let taken: Option<(MessageId, Timestamp)> = acknowledged(&answer);
        let outcome = match taken {
            Some((id, sent_at)) => {
                self.paces.sends.answered();
                Ok(Enqueued {
                    entry: None,
                    local_id: sent.local_id,
                    message: Message {
                        id: Some(id),
                        sent_at,
                        ..sent.message
                    },
                    tries: 1,
                })
            }
            None => {
                if matches!(answer, Answer::Unanswered(Unanswered::TimedOut)) {
                    self.paces.sends.throttled(turn.elapsed());
                }
                Err(answer.into_error())
            }
        };
        turn.step.reply(sent.caller, outcome);
    }

    /// Removes the unsent earlier wills of all conversations, because none of them may be set after a later
    /// one.
    pub(in crate::sync::client) fn forget_earlier_wills(&mut self, turn: &mut Turn<'_, '_>) {
        let entries = turn.overlay.snapshot().outbox();
        for entry in entries {
            if matches!(&entry.intent, Intent::Send(send) if send.will) {
                self.sender.remove(&entry);
                turn.overlay.settle(entry.id);
                turn.overlay.intend();
            }
        }
    }

    /// A new session has no will: the last one is set again.
    pub(in crate::sync::client) fn set_will_again(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let Some((token, number, intent)) = self.wills.0.clone() else {
            return Ok(());
        };
        let row = turn.overlay.snapshot().conversation(number)?;
        if let Some(row) = row.filter(|row| !row.id.is_local()) {
            self.paces.sends.note(turn.elapsed());
            let envelope = Envelope {
                priority: intent.priority.map(Priority::number),
                ..Envelope::new(Command::direct(direct_command(&row.id, &intent, &token)))
            };
            self.submit_envelope(turn, envelope, Purpose::Will);
        }
        Ok(())
    }
}
