//! Duplicates: the one rule by which a message from the service is already known.
//!
//! A message is known by its conversation, its time and its id, which are its key in the store. A duplicate may
//! come live, in a page, as the last message of a row or as an edit. It adds nothing: it is not counted again,
//! and the stored message stays if it was edited later than the duplicate. A live duplicate was not
//! acknowledged, so it is acknowledged again (`messages.rs`).

use crate::model::Message;
use crate::store::{ConversationNumber, Position, Put, StoreError};
use crate::sync::client::incoming::unread::{self, Source};
use crate::sync::client::{Client, Turn};

impl Client {
    /// Puts a message of the service into the store, unless the stored one is newer; none for a message without
    /// id. Unread counts are updated.
    pub(in crate::sync::client) fn keep(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        message: &Message,
        source: Source,
    ) -> Result<Option<(Position, Put)>, StoreError> {
        let Some(id) = message.id.clone() else {
            return Ok(None);
        };
        let message = &self.early_edits.apply(message.clone());
        let position = Position {
            sent_at: message.sent_at,
            id,
        };
        let held = turn.overlay.snapshot().message(number, &position)?;
        if let Some(held) = &held
            && held.edited_at > message.edited_at
            // A message from a cache is joined with the same message from the service.
            && !turn.overlay.snapshot().is_imported(number, &position)?
        {
            return Ok(Some((position, Put::Unchanged)));
        }
        let put = turn.overlay.put_message(number, message)?;
        let me = self.settings.client.clone();
        match (put, held) {
            (Put::Added, _) => turn
                .overlay
                .update_conversation(number, |row| unread::count(row, message, &me, source))?,
            (Put::Changed, Some(before)) if message.content.is_recalled() => turn
                .overlay
                .update_conversation(number, |row| unread::discount(row, &before, &me))?,
            _ => {}
        }
        Ok(Some((position, put)))
    }
}
