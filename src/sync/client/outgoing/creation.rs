//! Creations of conversations in the content lane, and the take-over by the service's id.

use crate::model::{ConversationId, ConversationState, OutboxEntryId, SigningRequest, Timestamp};
use crate::store::{CreateIntent, Entry, Freshness, HistoryStart, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::outgoing::flight::{Doubt, FlightStep, Found};
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::link::RequestTag;
use crate::sync::step::{Effect, OperationSignature};
use crate::wire::{Command, Envelope, Op, iso};

impl Client {
    /// Starts a creation: looked for if in doubt, signed if the app signs, else sent.
    pub(in crate::sync::client) fn dispatch_creation(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &CreateIntent,
    ) {
        if let Doubt::Forgotten { .. } = self.doubt_of(turn, entry) {
            self.search_conversation(turn, entry, intent);
        } else if self.settings.signing.is_signed() {
            let effect = self.fresh_effect();
            let client = self.me().clone();
            let members = self.members_of(intent);
            turn.step.effects.push(Effect::Sign {
                effect,
                operation: SigningRequest::StartConversation { client, members },
            });
            self.sender.depart(entry, FlightStep::Signing(effect));
        } else {
            self.send_creation(turn, entry, intent, None);
        }
    }

    fn send_creation(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &CreateIntent,
        signature: Option<OperationSignature>,
    ) {
        let mut body = self.start_command(intent, &entry.token);
        if let Some(signature) = signature {
            body.t = Some(signature.timestamp);
            body.n = Some(signature.nonce);
            body.s = Some(signature.signature.reveal().to_owned());
        }
        self.paces.others.note(turn.elapsed());
        let command = Command::conv(Op::Start, body);
        self.dispatch(turn, entry, command, Purpose::Create(entry.id));
    }

    pub(in crate::sync::client) fn create_signed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &CreateIntent,
        outcome: Result<OperationSignature, String>,
    ) -> Result<(), StoreError> {
        match outcome {
            Ok(signature) => {
                self.send_creation(turn, entry, intent, Some(signature));
                Ok(())
            }
            Err(reason) => self.not_signed(turn, entry, reason),
        }
    }

    pub(in crate::sync::client) fn create_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        id: OutboxEntryId,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(());
        };
        if let Answer::Said(Envelope {
            command:
                Command::Conv {
                    op: Op::Started,
                    body,
                },
            ..
        }) = &answer
            && let Some(cid) = &body.cid
            && let Ok(cid) = ConversationId::new(cid)
        {
            self.paces.others.answered();
            let made_at = body.cdate.as_deref().and_then(iso::parse);
            let found = if body.existing == Some(true) {
                Found::Existing
            } else {
                Found::New
            };
            self.settle_creation(turn, &entry, &cid, made_at, found)?;
            // The creator of a chat room is inside.
            let number = turn.overlay.snapshot().number(&cid)?;
            return number.map_or(Ok(()), |number| self.entered(turn, number));
        }
        self.not_done(turn, tag, &entry, answer)
    }

    /// Handles a made conversation: the service's id takes over, and the waiting entries go on.
    pub(in crate::sync::client) fn settle_creation(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        id: &ConversationId,
        made_at: Option<Timestamp>,
        found: Found,
    ) -> Result<(), StoreError> {
        let from = entry.conversation;
        let Some(row) = turn.overlay.snapshot().conversation(from)? else {
            return Ok(());
        };
        self.sender.remove(entry);
        turn.overlay.settle(entry.id);
        let number = turn.overlay.assign_id(&row.id, id)?.number();
        if number != from {
            self.sender.move_lanes(from, number);
            self.give_up_overtaken_states(turn, number);
        }
        let known = turn.overlay.snapshot().conversation(number)?;
        let was_out = known.is_some_and(|row| row.state == ConversationState::Left);
        turn.overlay.update_conversation(number, |row| {
            row.created_at = row.created_at.or(made_at);
            row.updated_at = row.updated_at.max(made_at);
            row.state = ConversationState::Live;
            if found == Found::Existing {
                // The existing conversation may differ from the one that was asked for: its name and attributes
                // are fetched.
                row.freshness = Freshness::Stale;
                if number == from {
                    row.history.set_start(HistoryStart::Unknown);
                }
            }
        })?;
        if found == Found::Existing {
            self.directory.want(number);
        }
        if found == Found::Existing || was_out {
            // This client may have been out of the conversation meanwhile.
            self.came_back(turn, number, None)?;
        }
        turn.overlay.intend();
        Ok(())
    }
}
