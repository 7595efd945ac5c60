//! Held messages that may have been edited or recalled while nobody told this device.
//!
//! The service tells edits and recalls to those who are in a conversation. A client that comes back into one was
//! told nothing of the time outside, and its cursor for missed edits may have gone past that time. The messages that
//! the client held then are therefore *unchecked*: they are read again, from the newest on. A catch-up reads as many
//! unchecked messages as it may fetch; a conversation in view is read to its end. The rest stays unchecked in the
//! store, for the next session or the next view. Every page of history that covers unchecked messages checks them too.

use crate::model::{ConversationKind, MessageId, Timestamp};
use crate::store::{
    ConversationNumber, ConversationRow, Place, Position, StoreError, TimelineItem,
};
use crate::sync::client::history::pages::{Gained, Goal, HistoryQuery};
use crate::sync::client::history::start::PageStart;
use crate::sync::client::{Client, Turn};

impl Client {
    /// Marks the messages as unchecked that were held when this client came back into a conversation.
    ///
    /// `since` is the time of coming back, where known: messages from then on are not marked.
    pub(in crate::sync::client) fn doubt_held(
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let Some(newest) = newest_before(turn, number, since.and_then(before_all_of))? else {
            return Ok(());
        };
        turn.overlay.update_conversation(number, |row| {
            let known = row.history.unchecked().cloned();
            row.history.set_unchecked(known.max(Some(newest)));
        })
    }

    /// Marks the messages between the two positions as checked, both included.
    pub(super) fn checked(
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        from: &Position,
        until: &Position,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        let unchecked = row.and_then(|row| row.history.unchecked().cloned());
        if !unchecked.is_some_and(|newest| *from <= newest && newest <= *until) {
            return Ok(());
        }
        let rest = newest_before(turn, number, Some(Place::Message(from.clone())))?;
        turn.overlay
            .update_conversation(number, |row| row.history.set_unchecked(rest))
    }

    /// Reads the unchecked messages of the conversation in view again, now.
    pub(super) fn recheck_in_view(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        if let Some(row) = row.filter(|row| row.history.unchecked().is_some())
            && self.session.is_open()
            && !row.is_closed()
        {
            self.catch_up.want(number, row.last_message_at);
        }
        Ok(())
    }

    /// Reads the unchecked messages of a conversation again, later. Chat rooms wait until they are in view.
    pub(super) fn recheck_later(&mut self, number: ConversationNumber, row: &ConversationRow) {
        let waits = row.kind == ConversationKind::ChatRoom || row.is_closed();
        if row.history.unchecked().is_some() && !waits {
            self.catch_up.want(number, row.last_message_at);
        }
    }

    /// Asks for the newest unchecked messages.
    pub(super) fn ask_unchecked(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        row: &ConversationRow,
        newest: Position,
        read: u32,
    ) {
        let goal = Goal::Check { read };
        self.ask_page(turn, number, &row.id, PageStart::At(newest), goal);
    }

    /// Asks for the next page after a page of unchecked messages, up to the limit of a catch-up.
    pub(super) fn go_on_checking(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: &HistoryQuery,
        gained: &Gained,
        read: u32,
    ) -> Result<(), StoreError> {
        let number = query.number;
        if !self.reaches_the_present(query) {
            // If this client came back meanwhile, the page is asked for anew.
            if query.epoch == self.epoch {
                self.catch_up.answered(number);
            }
            return Ok(());
        }
        let read = read.saturating_add(gained.beyond);
        let may = read < self.settings.limits.catch_up_max || self.catch_up.is_in_view(number);
        let row = turn.overlay.snapshot().conversation(number)?;
        let rest = row.and_then(|row| Some((row.history.unchecked().cloned()?, row)));
        match rest.filter(|_| may) {
            Some((newest, row)) => self.ask_unchecked(turn, number, &row, newest, read),
            None => self.catch_up.end(number),
        }
        self.make_count_exact(turn, number)
    }
}

/// The newest held message before a place; the newest of all where there is none.
fn newest_before(
    turn: &Turn<'_, '_>,
    number: ConversationNumber,
    place: Option<Place>,
) -> Result<Option<Position>, StoreError> {
    let snapshot = turn.overlay.snapshot();
    let Some(place) = place else {
        return Ok(snapshot.newest_message(number)?.map(|(newest, _)| newest));
    };
    let page = snapshot.page_before(number, Some(&place), 1)?;
    let mut newest_first = page.items.into_iter().rev();
    Ok(newest_first.find_map(|item| match item {
        TimelineItem::Message { position, .. } => Some(position),
        TimelineItem::Gap(_) | TimelineItem::Echo { .. } => None,
    }))
}

/// The place before all messages of a time.
fn before_all_of(time: Timestamp) -> Option<Place> {
    // The smallest id.
    let id = MessageId::new("\0").ok()?;
    Some(Place::Message(Position { sent_at: time, id }))
}
