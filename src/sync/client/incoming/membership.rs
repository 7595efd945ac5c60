//! Notifications about conversations: joined, left, changed.
//!
//! Each change has a time. A change older than the known state is not applied, so a notification may come
//! twice, late, or after the answer of a query that shows its effect.

use crate::model::{
    ClientId, ConversationId, ConversationKind, MemberRole, MembersEvent, MembersNotice, Timestamp,
};
use crate::store::{
    ConversationNumber, ConversationRow, Freshness, MemberLists, StoreError, put_on,
};
use crate::sync::client::{Client, Turn};
use crate::wire::generated::ConvCommand;
use crate::wire::{Op, iso};

impl Client {
    /// The number of a conversation that the service named. The row of an unknown or hardly known conversation
    /// is requested; its messages are kept meanwhile.
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
        told_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let Some(Ok(id)) = body.cid.as_ref().map(ConversationId::new) else {
            return Ok(());
        };
        let temporary = body.temp_conv == Some(true);
        let kind = temporary.then_some(ConversationKind::Temporary);
        let changed_at = body.udate.as_deref().and_then(iso::parse);
        if op == Op::Updated {
            return self.ask_again(turn, &id);
        }
        let Some(told) = self.told_of_members(op, body) else {
            return Ok(());
        };
        let comes_or_goes = matches!(
            told.event,
            MembersEvent::Invited
                | MembersEvent::Joined
                | MembersEvent::Left
                | MembersEvent::Removed
        );
        // Lists and roles of a conversation that is not on this device are not kept.
        if !comes_or_goes && turn.overlay.snapshot().number(&id)?.is_none() {
            return Ok(());
        }
        let number = self.known_or_asked_for(turn, &id, kind)?;
        let row = turn.overlay.snapshot().conversation(number)?;
        if !row.is_some_and(|row| is_news(&row, changed_at)) {
            return Ok(());
        }
        let (event, members) = (told.event, told.members);
        self.missed.note_live(number, event, &members);
        match event {
            MembersEvent::Invited => self.joined(turn, number, changed_at)?,
            MembersEvent::Removed => self.left(turn, number, changed_at)?,
            MembersEvent::Joined => self.members_joined(turn, number, changed_at, &members)?,
            MembersEvent::Left => self.members_left(turn, number, changed_at, &members)?,
            event => turn.overlay.update_conversation(number, |row| {
                list(&mut row.lists, event, &members);
            })?,
        }
        let by = body.init_by.as_ref().and_then(|it| ClientId::new(it).ok());
        let is_own = by.as_ref() == Some(self.me());
        let event = match event {
            // A client that joins by itself hears of that with the others who joined.
            MembersEvent::Invited if is_own => return Ok(()),
            // A client that leaves by itself is told of it as the others are.
            MembersEvent::Removed if is_own => MembersEvent::Left,
            event => event,
        };
        let members = self.not_told_before(op, number, event, members);
        if members.is_empty() {
            return Ok(());
        }
        let notice = MembersNotice {
            conversation: id,
            event,
            members,
            by,
            at: changed_at.or(told_at),
        };
        self.tell_members(turn, number, notice);
        Ok(())
    }

    /// The members that the app was not told of yet: a notification to a blocked or silenced client alone comes
    /// before the same one to all members.
    fn not_told_before(
        &mut self,
        op: Op,
        number: ConversationNumber,
        event: MembersEvent,
        mut members: Vec<ClientId>,
    ) -> Vec<ClientId> {
        match op {
            Op::Blocked | Op::Unblocked | Op::Shutuped | Op::Unshutuped => {
                self.notices.note_own(number, event);
            }
            Op::MembersBlocked
            | Op::MembersUnblocked
            | Op::MembersShutuped
            | Op::MembersUnshutuped
                if self.notices.takes_own(number, event) =>
            {
                members.retain(|member| member != self.me());
            }
            _ => {}
        }
        members
    }

    /// The news of members in a notification, if there are any: this client alone is meant where none is named.
    pub(super) fn told_of_members(&self, op: Op, body: &ConvCommand) -> Option<MembersTold> {
        let info = body.info.as_ref();
        let event = match op {
            Op::Joined => MembersEvent::Invited,
            Op::Left => MembersEvent::Removed,
            Op::MembersJoined => MembersEvent::Joined,
            Op::MembersLeft => MembersEvent::Left,
            Op::Blocked | Op::MembersBlocked => MembersEvent::Blocked,
            Op::Unblocked | Op::MembersUnblocked => MembersEvent::Unblocked,
            Op::Shutuped | Op::MembersShutuped => MembersEvent::Silenced,
            Op::Unshutuped | Op::MembersUnshutuped => MembersEvent::Unsilenced,
            Op::MemberInfoChanged => MembersEvent::RoleChanged {
                role: MemberRole::from_name(info?.role.as_deref()?)?,
            },
            _ => return None,
        };
        let members = match op {
            Op::Joined | Op::Left | Op::Blocked | Op::Unblocked | Op::Shutuped | Op::Unshutuped => {
                vec![self.me().clone()]
            }
            Op::MemberInfoChanged => ids(info?.pid.as_slice()),
            _ => ids(&body.m),
        };
        (!members.is_empty()).then_some(MembersTold { event, members })
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
        let mut was_unique = false;
        members_changed(turn, number, changed_at, |row| {
            row.members.retain(|member| !members.contains(member));
            was_unique = row.unique;
            if was_unique {
                row.freshness = Freshness::Stale;
            }
        })?;
        if was_unique {
            // The conversation may no longer be the unique one of its members: only its row says so.
            self.directory.want(number);
        }
        Ok(())
    }

    /// Requests a row whose name or attributes changed, because the notification has only parts of them.
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

/// The news of members in a notification.
pub(super) struct MembersTold {
    pub(super) event: MembersEvent,
    pub(super) members: Vec<ClientId>,
}

/// Puts clients on the list that an event is about, or takes them off.
pub(super) fn list(lists: &mut MemberLists, event: MembersEvent, clients: &[ClientId]) {
    match event {
        MembersEvent::Blocked => put_on(&mut lists.blocked, clients, true),
        MembersEvent::Unblocked => put_on(&mut lists.blocked, clients, false),
        MembersEvent::Silenced => put_on(&mut lists.silenced, clients, true),
        MembersEvent::Unsilenced => put_on(&mut lists.silenced, clients, false),
        MembersEvent::RoleChanged { role } => {
            put_on(&mut lists.managers, clients, role == MemberRole::Manager);
        }
        MembersEvent::Invited
        | MembersEvent::Joined
        | MembersEvent::Left
        | MembersEvent::Removed => {}
    }
}

/// Applies a change unless it is older than the known state; answers if it was applied.
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

/// True if a change is not older than the known state. Several notifications of one change carry the same time.
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
