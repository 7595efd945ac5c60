//! A conversation as the service tells it: its row takes over the changes, observers hear who joined and left,
//! and its newest message shows if history is missing here.

use std::time::Duration;

use crate::model::{
    ClientId, ConversationInfo, ConversationKind, ConversationState, Json, Message, Timestamp,
};
use crate::store::{
    ConversationNumber, ConversationRow, Freshness, HistoryEnd, HistoryStart, StoreError,
};
use crate::sync::client::history::join::Taken;
use crate::sync::client::history::pages::fall_behind;
use crate::sync::client::notices::Difference;
use crate::sync::client::{Client, Turn};
use crate::wire::request::TOKEN_COLUMN;
use crate::wire::{convert, row};

impl Client {
    /// Takes over the service's row of a conversation, and catches up with the conversation if messages are
    /// missing here.
    pub(in crate::sync::client) fn apply_row(
        &mut self,
        turn: &mut Turn<'_, '_>,
        told: row::WireConversation,
        listed: bool,
    ) -> Result<(), StoreError> {
        let without_members = told.members.is_none();
        let lives_for = told.ttl_secs.map(Duration::from_secs);
        let info = convert::conversation_info(told, self.me());
        let known = turn.overlay.snapshot().number(&info.id)?.is_some();
        let number = turn.overlay.conversation_or_unknown(&info.id)?;
        if !without_members && (known || listed) {
            self.compare_members(turn, number, &info, known)?;
        }
        let newest = info.last_message_at;
        let last = info.last_message.clone();
        let me = self.settings.client.clone();
        let now = self.clock.now(turn.now);
        let (mut before, mut after) = Default::default();
        let mut is_entered = false;
        turn.overlay.update_conversation(number, |row| {
            before = row.state.clone();
            let was_room = row.kind == ConversationKind::ChatRoom;
            // Without a list of members, joining and leaving say nothing about the row.
            let is_news = info.updated_at >= row.updated_at || !info.kind.has_member_list();
            if is_news || row.told_by.is_some() {
                take_over(row, info, without_members, &me);
            }
            row.freshness = Freshness::Fresh;
            row.told_by = None;
            row.expires_at = row
                .expires_at
                .or_else(|| lives_for.map(|life| now.saturating_add(life)));
            is_entered = !was_room && row.kind == ConversationKind::ChatRoom;
            is_entered &= row.state == ConversationState::Live;
            after = row.state.clone();
        })?;
        if is_entered {
            self.entered(turn, number)?;
        }
        let row = turn.overlay.snapshot().conversation(number)?;
        let out = row.is_some_and(|row| row.is_closed());
        match (before, after) {
            (_, ConversationState::Left) => self.went_out(number),
            (ConversationState::Left, _) => self.came_back(turn, number, None)?,
            _ => {}
        }
        if out {
            return self.compare_while_out(turn, number, newest, last);
        }
        self.compare_tail(turn, number, newest, last)
    }

    /// Tells the app who came and who went meanwhile. Changes from before the first sign-in are no news.
    fn compare_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        info: &ConversationInfo,
        known: bool,
    ) -> Result<(), StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        let is_news = info.updated_at >= row.updated_at && row.told_by.is_none();
        let is_first = turn.overlay.snapshot().session().missed_until.is_none();
        // One that is known by its id alone is new, unless a notification told of this client in it.
        let by_id = row.created_at.is_none();
        let was_told = known && by_id && row.members.contains(self.me());
        if !is_news || is_first || was_told {
            return Ok(());
        }
        let is_own = info.creator.as_ref() == Some(self.me());
        let mut before = row.members;
        if !known || by_id {
            let others = info.members.iter();
            let others = others.filter(|member| is_own || *member != self.me());
            before = others.cloned().collect();
        }
        let difference = Difference {
            conversation: &info.id,
            before: &before,
            now: &info.members,
            changed_at: info.updated_at,
        };
        self.tell_difference(turn, number, difference);
        Ok(())
    }

    /// The row itself says that this client is out of the conversation: later messages show as far as the row
    /// has them, behind a gap, and nothing is requested.
    fn compare_while_out(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        newest: Option<Timestamp>,
        last: Option<Message>,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        if row.is_some_and(|row| row.kind == ConversationKind::ChatRoom) {
            return Ok(());
        }
        if let Some(message) = last {
            let source = self.history_source(number);
            self.keep(turn, number, &message, source)?;
        }
        let row = turn.overlay.snapshot().conversation(number)?;
        let held = row.and_then(|row| row.history.newest().map(|span| span.to.sent_at));
        if newest > held {
            turn.overlay
                .update_conversation(number, |row| fall_behind(&mut row.history))?;
        }
        Ok(())
    }

    /// Compares the newest message of the service with the newest of the unbroken history here.
    fn compare_tail(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        newest: Option<Timestamp>,
        last: Option<Message>,
    ) -> Result<(), StoreError> {
        let Some(message) = last else {
            if newest.is_none() {
                return nothing_said(turn, number);
            }
            return self.tail_reaches(turn, number, newest);
        };
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        if row.kind == ConversationKind::ChatRoom {
            return Ok(());
        }
        let source = self.history_source(number);
        let Some((position, _)) = self.keep(turn, number, &message, source)? else {
            return Ok(());
        };
        self.join(turn, number, &position, Taken::Sometime)
    }
}

/// Nothing was ever said in a conversation: then its whole history is here.
fn nothing_said(turn: &mut Turn<'_, '_>, number: ConversationNumber) -> Result<(), StoreError> {
    // A message that came after the service answered may be here already.
    if turn.overlay.snapshot().newest_message(number)?.is_some() {
        return Ok(());
    }
    turn.overlay.update_conversation(number, |row| {
        // If messages may have come while this client was out of it, history will tell.
        if row.history.spans().is_empty() && row.history.end() == HistoryEnd::Current {
            row.history.set_start(HistoryStart::Reached);
        }
    })
}

/// The columns without the one by which a creation is found again: that is no affair of the app's.
pub(super) fn without_token(columns: Json) -> Option<Json> {
    let mut value = columns.to_value();
    let map = value.as_object_mut()?;
    if map.remove(TOKEN_COLUMN).is_none() {
        return Some(columns);
    }
    if map.is_empty() {
        return None;
    }
    Some(Json::from_value(&value))
}

fn take_over(
    row: &mut ConversationRow,
    info: ConversationInfo,
    without_members: bool,
    me: &ClientId,
) {
    let is_known = row.kind == info.kind;
    row.kind = info.kind;
    row.name = info.name;
    row.creator = info.creator;
    row.attributes = info.attributes;
    row.columns = info.columns.and_then(without_token);
    row.unique = info.unique;
    row.muted = info.muted;
    row.created_at = info.created_at;
    row.updated_at = info.updated_at;
    row.last_message_at = row.last_message_at.max(info.last_message_at);
    let placed = |is_in: bool| match is_in {
        true => ConversationState::Live,
        false => ConversationState::Left,
    };
    match row.kind {
        ConversationKind::Service => row.state = info.state,
        // No row says who is inside. One that was entered before its kind was known has this client as a
        // member.
        ConversationKind::ChatRoom if is_known => {}
        ConversationKind::ChatRoom => row.state = placed(row.members.contains(me)),
        _ if without_members => return,
        _ => row.state = placed(info.members.contains(me)),
    }
    row.members = if row.kind.has_member_list() {
        info.members
    } else {
        Vec::new()
    };
}
