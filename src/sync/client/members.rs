//! What the service tells about conversations: who came, who went, what changed.
//!
//! Each change carries the time it happened; one that is older than what is known is not applied,
//! so a notification may come twice, late, or after the answer of a query that shows its effect.

use super::{Client, Turn, unread};
use crate::model::{ClientId, ConversationId, ConversationKind, ConversationState, Timestamp};
use crate::store::{ConversationNumber, ConversationRow, Freshness, StoreError};
use crate::sync::step::Durability;
use crate::wire::generated::ConvCommand;
use crate::wire::{Op, iso};

impl Client {
    /// The number of a conversation that the service named. One that is not known, or not well
    /// known, is asked for; what belongs to it is kept meanwhile.
    pub(super) fn known_or_asked_for(
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
        let mut row = ConversationRow::unknown(id.clone());
        row.kind = kind.unwrap_or(row.kind);
        let number = turn.overlay.create_conversation(row)?;
        turn.step.wrote(Durability::Cache);
        self.directory.want(number);
        Ok(number)
    }

    pub(super) fn conversation_told(
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
            Op::Left => self.left(turn, &id, changed_at),
            Op::MembersJoined => self.members_changed(turn, &id, changed_at, |row| {
                for member in &members {
                    if !row.members.contains(member) {
                        row.members.push(member.clone());
                    }
                }
            }),
            Op::MembersLeft => self.members_changed(turn, &id, changed_at, |row| {
                row.members.retain(|member| !members.contains(member));
            }),
            Op::Updated => self.ask_again(turn, &id),
            _ => Ok(()),
        }
    }

    /// This client is in the conversation now.
    fn joined(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        if !is_news(&row, changed_at) {
            return Ok(());
        }
        // Whoever is told of the making of a conversation was not away. All others may have been
        // removed while they were offline, where nothing tells them.
        let was_known = row.created_at.is_some() || !row.history.spans().is_empty();
        let came_back = row.state == ConversationState::Left
            || (was_known && row.created_at.is_none_or(|at| Some(at) < changed_at));
        let me = self.settings.client.clone();
        turn.overlay.update_conversation(number, |row| {
            row.state = ConversationState::Live;
            if row.kind != ConversationKind::ChatRoom && !row.members.contains(&me) {
                row.members.push(me);
            }
            if came_back {
                row.freshness = Freshness::Stale;
            }
            row.updated_at = row.updated_at.max(changed_at);
        })?;
        turn.step.wrote(Durability::Cache);
        if let Some(at) = changed_at {
            // What was said before is not unread for who comes.
            unread::read_until(turn, number, at)?;
        }
        if came_back {
            self.tails.end(number);
            self.directory.want(number);
            self.want_history(turn, number)?;
        }
        Ok(())
    }

    /// This client is not in the conversation any more; what was said until now stays.
    fn left(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: &ConversationId,
        changed_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let me = self.settings.client.clone();
        self.members_changed(turn, id, changed_at, |row| {
            row.state = ConversationState::Left;
            row.members.retain(|member| *member != me);
        })?;
        // What is said from now on does not come here.
        if let Some(number) = turn.overlay.snapshot().number(id)? {
            self.tails.end(number);
        }
        self.directory.begin_again();
        Ok(())
    }

    fn members_changed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: &ConversationId,
        changed_at: Option<Timestamp>,
        change: impl FnOnce(&mut ConversationRow),
    ) -> Result<(), StoreError> {
        let number = self.known_or_asked_for(turn, id, None)?;
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        if !is_news(&row, changed_at) {
            return Ok(());
        }
        turn.overlay.update_conversation(number, |row| {
            change(row);
            row.updated_at = row.updated_at.max(changed_at);
        })?;
        turn.step.wrote(Durability::Cache);
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
        turn.step.wrote(Durability::Cache);
        self.directory.want(number);
        Ok(())
    }
}

/// Whether a change is not older than what is known. Several notifications of one change carry the
/// same time.
fn is_news(row: &ConversationRow, changed_at: Option<Timestamp>) -> bool {
    changed_at.is_none() || changed_at >= row.updated_at
}

fn ids(texts: &[String]) -> Vec<ClientId> {
    let ids = texts.iter().map(ClientId::new);
    ids.filter_map(Result::ok).collect()
}
