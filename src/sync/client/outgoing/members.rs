//! Members: joining, leaving, adding, removing, blocking, silencing, roles. These entries are in the content
//! lane, so messages before and after keep their place.
//!
//! Joining and adding may be repeated, because a member who is in stays in. A block, a silence and a role set a
//! value, so they may be repeated too. Leaving and removing may not: another client may have added the member
//! again. After a lost answer the machine therefore asks the service for the members first, and removes only
//! those who are still in.

use crate::model::{
    ClientId, ConversationId, ConversationKind, ConversationState, OutboxEntryId, SendFailure,
    Timestamp,
};
use crate::store::{
    ConversationNumber, ConversationRow, Entry, Intent, MembersChange, MembersIntent, StoreError,
};
use crate::sync::client::answer::Answer;
use crate::sync::client::incoming::membership::members_changed;
use crate::sync::client::outgoing::flight::{Doubt, FlightStep};
use crate::sync::client::outgoing::in_doubt::Search;
use crate::sync::client::outgoing::members_command::{ChangeTold, command, to_sign};
use crate::sync::client::outgoing::requests::{SIGNATURE_BYTES, fits};
use crate::sync::client::{Answered, Client, Purpose, Signing, Turn};
use crate::sync::link::RequestTag;
use crate::sync::request::{ChangeMembers, Done, RequestError};
use crate::sync::step::{Effect, OperationSignature};
use crate::wire::Envelope;
use crate::wire::request::{self, rows};

impl Client {
    /// Enqueues a change of members. Joining may name a conversation that this device has not heard of.
    pub(in crate::sync::client) fn change_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: ChangeMembers,
    ) -> Answered<Done> {
        let ChangeMembers {
            conversation,
            change,
            members,
        } = call;
        let known = turn.overlay.snapshot().number(&conversation)?;
        let joins_unknown = change == MembersChange::Join && !conversation.is_local();
        let number = match known {
            Some(number) => number,
            None if joins_unknown => turn.overlay.conversation_or_unknown(&conversation)?,
            None => return Ok(Err(RequestError::UnknownConversation)),
        };
        let Some(row) = turn.overlay.snapshot().shown_row(number)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let members = match self.whom(&row, change, members) {
            Ok(members) => members,
            Err(error) => return Ok(Err(error)),
        };
        let signature = match self.settings.signing {
            Signing::Signed | Signing::SignedEachTime => SIGNATURE_BYTES,
            Signing::Unsigned | Signing::SignIns => 0,
        };
        let intent = MembersIntent { change, members };
        let size = self.size_of(command(&row.id, &intent, None));
        if let Err(error) = fits(size.saturating_add(signature)) {
            return Ok(Err(error));
        }
        if self.outbox_is_full(turn) {
            return Ok(Err(self.outbox_full()));
        }
        if joins_unknown && known.is_none() {
            self.directory.want(number);
        }
        self.enqueue(turn, number, Intent::Members(intent))?;
        Ok(Ok(Done))
    }

    /// Whom a change is about: each once, in order.
    fn whom(
        &self,
        row: &ConversationRow,
        change: MembersChange,
        mut members: Vec<ClientId>,
    ) -> Result<Vec<ClientId>, RequestError> {
        let invalid = |reason: &str| {
            Err(RequestError::InvalidArgument {
                reason: reason.to_owned(),
            })
        };
        let changes_others = !matches!(change, MembersChange::Join | MembersChange::Quit);
        let fixed = match row.kind {
            // Its members are fixed.
            ConversationKind::Temporary => true,
            // Clients enter by themselves. A chat room has no members to give a role to.
            ConversationKind::ChatRoom => changes_others && !change.is_ban(),
            // Clients subscribe themselves.
            ConversationKind::Service => changes_others,
            ConversationKind::Normal => false,
        };
        if fixed {
            return Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::KindDoesNotAllow,
            });
        }
        if !changes_others {
            return Ok(vec![self.me().clone()]);
        }
        if row.state == ConversationState::Left {
            return Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::ConversationLeft,
            });
        }
        members.sort();
        members.dedup();
        if members.is_empty() {
            return invalid("members: nobody is named");
        }
        if members.contains(self.me()) {
            return invalid("members: this client is named, and changes others only");
        }
        Ok(members)
    }

    /// Starts a change: asked about if it may have happened, signed if the app signs, else sent.
    pub(in crate::sync::client) fn dispatch_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &MembersIntent,
    ) -> Result<(), StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(entry.conversation)? else {
            return Ok(());
        };
        if row.id.is_local() || !self.paces.others.allows(turn.elapsed()) {
            return Ok(());
        }
        // Leaving a chat room may be repeated: no other client brings this client in again.
        let may_ask = row.kind != ConversationKind::ChatRoom;
        if may_ask && let Doubt::Forgotten { .. } = self.doubt_of(turn, entry) {
            let command = request::by_ids(std::slice::from_ref(&row.id));
            self.paces.others.note(turn.elapsed());
            let search = Search::Members { entry: entry.id };
            let tag = self.submit(turn, command, Purpose::Search(search));
            self.sender.depart(entry, FlightStep::Asked(tag));
            return Ok(());
        }
        let operation = to_sign(intent, self.me(), &row.id);
        if let (true, Some(operation)) = (self.settings.signing.is_signed(), operation) {
            let effect = self.fresh_effect();
            turn.step.effects.push(Effect::Sign { effect, operation });
            self.sender.depart(entry, FlightStep::Signing(effect));
        } else {
            self.send_members(turn, entry, &row.id, intent, None);
        }
        Ok(())
    }

    fn send_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        conversation: &ConversationId,
        intent: &MembersIntent,
        signature: Option<OperationSignature>,
    ) {
        self.paces.others.note(turn.elapsed());
        let command = command(conversation, intent, signature);
        self.dispatch(turn, entry, command, Purpose::Members(entry.id));
    }

    pub(in crate::sync::client) fn members_signed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &MembersIntent,
        outcome: Result<OperationSignature, String>,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(entry.conversation)?;
        match (outcome, row) {
            (Ok(signature), Some(row)) => {
                self.send_members(turn, entry, &row.id, intent, Some(signature));
                Ok(())
            }
            (Ok(_), None) => Ok(()),
            (Err(reason), _) => self.not_signed(turn, entry, reason),
        }
    }

    pub(in crate::sync::client) fn members_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        id: OutboxEntryId,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(());
        };
        if let Answer::Said(envelope) = &answer
            && let Some(told) = ChangeTold::of(&envelope.command)
            && let Intent::Members(intent) = &entry.intent
        {
            self.paces.others.answered();
            return self.settle_members(turn, &entry, intent, told);
        }
        self.not_done(turn, tag, &entry, answer)
    }

    /// The service did it, for some or for all.
    fn settle_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &MembersIntent,
        told: ChangeTold,
    ) -> Result<(), StoreError> {
        let mut refused = told.refused;
        refused.retain(|it| intent.members.contains(&it.client));
        let is_refused = |member: &ClientId| refused.iter().any(|it| it.client == *member);
        let mut done = intent.clone();
        done.members.retain(|member| !is_refused(member));
        self.members_are_changed(turn, entry.conversation, &done, told.changed_at)?;
        if refused.is_empty() {
            self.sender.remove(entry);
            turn.overlay.settle(entry.id);
            turn.overlay.intend();
            return Ok(());
        }
        turn.overlay.update_entry(entry.id, |entry| {
            entry.in_doubt_since = None;
            if let Intent::Members(intent) = &mut entry.intent {
                intent.members = refused.iter().map(|it| it.client.clone()).collect();
            }
        });
        let failure = match refused.as_slice() {
            [own] if own.client == *self.me() => SendFailure::refused(own.code, own.reason.clone()),
            _ => SendFailure::MembersRefused { refused },
        };
        self.fail_entry(turn, entry, failure)
    }

    /// The members changed at the service as this client asked.
    fn members_are_changed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        done: &MembersIntent,
        changed_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if done.members.is_empty() {
            return Ok(());
        }
        let row = turn.overlay.snapshot().conversation(number)?;
        let is_room = row
            .as_ref()
            .is_some_and(|row| row.kind == ConversationKind::ChatRoom);
        let is_in = row.is_some_and(|row| {
            row.state == ConversationState::Live && row.members.contains(self.me())
        });
        match done.change {
            // A client that joins where it is already changes nothing. Had it been out unknowingly, it would be
            // told that it came in.
            MembersChange::Join if is_in => {}
            // Nobody is told who enters and leaves a chat room, and messages that were missed there are not caught
            // up with.
            MembersChange::Join if is_room => {
                self.went_out(number);
                self.entered(turn, number)?;
            }
            MembersChange::Quit if is_room => {
                self.went_out(number);
                self.exited(turn, number)?;
            }
            MembersChange::Join => self.may_have_joined(turn, number, changed_at)?,
            MembersChange::Quit => self.left(turn, number, changed_at)?,
            _ => {}
        }
        let me = self.settings.client.clone();
        members_changed(turn, number, changed_at, |row| done.apply_to(row, &me))?;
        Ok(())
    }

    /// The members, after the answer to a removal was lost.
    pub(in crate::sync::client) fn members_page(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &MembersIntent,
        envelope: &Envelope,
    ) -> Result<(), StoreError> {
        self.paces.others.answered();
        let row = rows(envelope).into_iter().next();
        let told = row.and_then(|row| Some((row.members?, row.updated_at)));
        let Some((present, changed_at)) = told else {
            // The service does not say: the removal itself will tell.
            self.clear_doubt(turn, entry);
            return Ok(());
        };
        let mut gone = intent.clone();
        gone.members.retain(|member| !present.contains(member));
        self.members_are_changed(turn, entry.conversation, &gone, changed_at)?;
        if gone.members.len() == intent.members.len() {
            self.sender.remove(entry);
            turn.overlay.settle(entry.id);
            turn.overlay.intend();
            return Ok(());
        }
        turn.overlay.update_entry(entry.id, |entry| {
            if let Intent::Members(intent) = &mut entry.intent {
                intent.members.retain(|member| present.contains(member));
            }
        });
        self.clear_doubt(turn, entry);
        Ok(())
    }
}
