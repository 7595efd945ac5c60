//! Being in a conversation, out of it, and in it again.
//!
//! While this client is out of a conversation, it receives none of its messages, and nothing later tells their
//! number. Every sign of an absence therefore goes through one of two functions: [`Client::went_out`] and
//! [`Client::came_back`].
//!
//! 1. Going out ends the tail. Pages of history that were requested before do not reach the present.
//! 2. Coming back puts the conversation behind, in the store, also if the store has none of its messages, and
//!    asks for its history. Messages from before and after the return are not neighbours.
//!    Stored messages may have been edited or recalled meanwhile: they are read again (`history/recheck.rs`).
//! 3. A live message in a conversation that this client seems to be out of is joined to nothing older, puts the
//!    conversation behind, and requests its row: the row says if this client came back (`join.rs`,
//!    `want_history`).

use crate::model::{ConversationState, MessageId, Timestamp};
use crate::store::{
    ConversationNumber, ConversationRow, Freshness, HistoryStart, Place, Position, Span,
    StoreError, TimelineItem,
};
use crate::sync::client::incoming::membership::{is_news, members_changed};
use crate::sync::client::incoming::unread;
use crate::sync::client::{Client, Turn};

/// The state of a client before it came into a conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The client was out: the messages of that time are not unread.
    Out,
    /// The client may have been in all the time.
    Unknown,
}

impl Client {
    /// This client is told that it came into a conversation.
    pub(in crate::sync::client) fn joined(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.enter(turn, number, changed_at, Before::Out)
    }

    /// This client is in a conversation that it asked to join. If it was out of the conversation, it is also told
    /// that it came in; else its unread messages stay.
    pub(in crate::sync::client) fn may_have_joined(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.enter(turn, number, changed_at, Before::Unknown)
    }

    fn enter(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
        before: Before,
    ) -> Result<(), StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        if !is_news(&row, changed_at) {
            return Ok(());
        }
        let was_out = may_have_been_out(&row, changed_at);
        let me = self.settings.client.clone();
        turn.overlay.update_conversation(number, |row| {
            row.state = ConversationState::Live;
            if row.kind.has_member_list() && !row.members.contains(&me) {
                row.members.push(me);
            }
            if was_out {
                row.freshness = Freshness::Stale;
            }
            row.updated_at = row.updated_at.max(changed_at);
        })?;
        if let (Some(at), Before::Out) = (changed_at, before) {
            // Earlier messages are not unread for a client that comes into a conversation.
            unread::read_until(turn, number, at)?;
        }
        if was_out {
            self.directory.want(number);
            self.came_back(turn, number, changed_at)?;
        }
        Ok(())
    }

    /// The same, where another notification of the same change may have told it before.
    pub(in crate::sync::client) fn joined_once(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        let known = row.is_some_and(|row| {
            row.state == ConversationState::Live && row.updated_at >= changed_at
        });
        if known {
            return Ok(());
        }
        self.joined(turn, number, changed_at)
    }

    /// This client is told that it is not in a conversation any more. The messages until then stay.
    pub(in crate::sync::client) fn left(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        changed_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let me = self.settings.client.clone();
        members_changed(turn, number, changed_at, |row| {
            row.state = ConversationState::Left;
            row.members.retain(|member| *member != me);
        })?;
        self.went_out(number);
        self.directory.begin_again();
        Ok(())
    }

    /// This client is out of a conversation, or was: the messages of that time do not come here.
    pub(in crate::sync::client) fn went_out(&mut self, number: ConversationNumber) {
        self.tails.end(number);
        self.catch_up.give_up(number);
    }

    /// This client is in a conversation that it was out of, or may have been, until `since`, where
    /// that is known.
    pub(in crate::sync::client) fn came_back(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let tail = self.tails.of(number).cloned();
        self.tails.end(number);
        self.catch_up.within_reach(number);
        Self::doubt_held(turn, number, since)?;
        let begins = match since {
            Some(since) => {
                Self::part_at(turn, number, since)?;
                tail.filter(|tail| tail.sent_at >= since)
            }
            None => tail,
        };
        if let Some(begins) = begins {
            self.tails.begin(number, begins);
        }
        self.want_history(turn, number)
    }

    /// Messages from before a time and from after it are no neighbours, though one span holds both:
    /// those from after it came before this client was told that it had been out.
    fn part_at(
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let snapshot = turn.overlay.snapshot();
        let Some(row) = snapshot.conversation(number)? else {
            return Ok(());
        };
        let mut spans = row.history.spans().iter();
        let parted = |span: &Span| span.from.sent_at < since && span.to.sent_at >= since;
        if !spans.any(parted) {
            return Ok(());
        }
        // The smallest id: before all messages of that time.
        let Ok(id) = MessageId::new("\0") else {
            return Ok(());
        };
        let at = Place::Message(Position { sent_at: since, id });
        let before = snapshot.page_before(number, Some(&at), 1)?.items;
        let after = snapshot.page_after(number, Some(&at), 1)?.items;
        drop(snapshot);
        let before = before.iter().rev().find_map(position);
        let after = after.iter().find_map(position);
        turn.overlay
            .update_conversation(number, |row| row.history.forget(before, after))?;
        Ok(())
    }
}

fn position(item: &TimelineItem) -> Option<&Position> {
    match item {
        TimelineItem::Message { position, .. } => Some(position),
        TimelineItem::Gap(_) | TimelineItem::Echo { .. } => None,
    }
}

/// True if a client that is told of its own joining may have missed messages. A client that is told of the
/// making of a conversation was not away. Any other may have been removed while it was offline, without a
/// notification.
fn may_have_been_out(row: &ConversationRow, changed_at: Option<Timestamp>) -> bool {
    let known = row.created_at.is_some()
        || !row.history.spans().is_empty()
        || row.history.start() == HistoryStart::Reached;
    let made_now = match (row.created_at, changed_at) {
        (Some(created_at), Some(changed_at)) => changed_at <= created_at,
        _ => false,
    };
    row.state == ConversationState::Left || (known && !made_now)
}
