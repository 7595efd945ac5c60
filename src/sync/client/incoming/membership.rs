//! Notifications about conversations: joined, left, changed.
//!
//! Each change carries the time it happened; one that is older than what is known is not applied,
//! so a notification may come twice, late, or after the answer of a query that shows its effect.

use crate::model::{ClientId, ConversationId, ConversationKind, Timestamp};
use crate::store::{ConversationNumber, ConversationRow, Freshness, StoreError};
use crate::sync::client::{Client, Turn};
use crate::wire::generated::ConvCommand;
use crate::wire::{Op, iso};

impl Client {
    /// The number of a conversation that the service named. One that is not known, or not well
    /// known, is asked for; what belongs to it is kept meanwhile.
    pub(in crate::sync::client) fn known_or_asked_for(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: &ConversationId,
        kind: Option<ConversationKind>,
    ) -> Result<ConversationNumber, StoreError> {
        let known = turn.overlay.snapshot().conversation_by_id(id)?;
        if let Some((number, row)) = known {
            if row.freshness == Freshness::Stale {
                self.directory.want(number);
            }
            return Ok(number);
        }
        let number = turn.overlay.conversation_or_unknown(id)?;
        if let Some(kind) = kind {
            turn.overlay
                .update_conversation(number, |row| row.kind = kind)?;
        }
        self.directory.want(number);
        Ok(number)
    }

    pub(in crate::sync::client) fn conversation_told(
        &mut self,
        turn: &mut Turn<'_, '_>,
        op: Op,
        body: &ConvCommand,
    ) -> Result<(), StoreError> {
        let Some(Ok(id)) = body.cid.as_ref().map(ConversationId::new) else {
            return Ok(());
        };
        let temporary = body.temp_conv == Some(true);
        let kind = temporary.then_some(ConversationKind::Temporary);
        let changed_at = body.udate.as_deref().and_then(iso::parse);
        let members = ids(&body.m);
        match op {
            Op::Joined => {
                let number = self.known_or_asked_for(turn, &id, kind)?;
                self.joined(turn, number, changed_at)
            }
            Op::Left => {
                let number = self.known_or_asked_for(turn, &id, None)?;
                self.left(turn, number, changed_at)
            }
            Op::MembersJoined => {
                let number = self.known_or_asked_for(turn, &id, kind)?;
                self.members_joined(turn, number, changed_at, &members)
            }
            Op::MembersLeft => {
                let number = self.known_or_asked_for(turn, &id, None)?;
                self.members_left(turn, number, changed_at, &members)
            }
            Op::Updated => self.ask_again(turn, &id),
            _ => Ok(()),
        }
    }

    fn members_joined(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
        members: &[ClientId],
    ) -> Result<(), StoreError> {
        if members.contains(self.me()) {
            self.joined_once(turn, number, changed_at)?;
        }
        members_changed(turn, number, changed_at, |row| {
            for member in members {
                if !row.members.contains(member) {
                    row.members.push(member.clone());
                }
            }
        })?;
        Ok(())
    }

    fn members_left(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
        members: &[ClientId],
    ) -> Result<(), StoreError> {
        if members.contains(self.me()) {
            self.left(turn, number, changed_at)?;
        }
        members_changed(turn, number, changed_at, |row| {
            row.members.retain(|member| !members.contains(member));
        })?;
        Ok(())
    }

    /// Name or attributes changed: they are asked for, for the notification tells only parts.
    fn ask_again(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: &ConversationId,
    ) -> Result<(), StoreError> {
        let number = self.known_or_asked_for(turn, id, None)?;
        turn.overlay
            .update_conversation(number, |row| row.freshness = Freshness::Stale)?;
        self.directory.want(number);
        Ok(())
    }
}

/// Applies a change unless it is older than what is known; says whether it was applied.
pub(in crate::sync::client) fn members_changed(
    turn: &mut Turn<'_, '_>,
    number: ConversationNumber,
    changed_at: Option<Timestamp>,
    change: impl FnOnce(&mut ConversationRow),
) -> Result<bool, StoreError> {
    let known = turn.overlay.snapshot().conversation(number)?;
    if !known.is_some_and(|row| is_news(&row, changed_at)) {
        return Ok(false);
    }
    turn.overlay.update_conversation(number, |row| {
        change(row);
        row.updated_at = row.updated_at.max(changed_at);
    })?;
    Ok(true)
}

/// Whether a change is not older than what is known. Several notifications of one change carry the
/// same time.
pub(in crate::sync::client) fn is_news(
    row: &ConversationRow,
    changed_at: Option<Timestamp>,
) -> bool {
    changed_at.is_none() || changed_at >= row.updated_at
}

fn ids(texts: &[String]) -> Vec<ClientId> {
    let ids = texts.iter().map(ClientId::new);
    ids.filter_map(Result::ok).collect()
}
