//! Drafts, pinned and hidden: notes about a conversation that stay on this device.

use crate::sync::client::{Answered, Client, Turn};
use crate::sync::{Done, LocalNote, Note, RequestError};

impl Client {
    /// Writes a note down. A draft is of the cache class: it is on disk soon, and costs no wait for the
    /// disk at each letter.
    pub(in crate::sync::client) fn note(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: Note,
    ) -> Answered<Done> {
        let known = turn
            .overlay
            .snapshot()
            .conversation_by_id(&call.conversation)?;
        let Some((number, row)) = known else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let before = (row.pinned, row.is_hidden(), &row.draft);
        let (pinned, hidden, draft) = match &call.note {
            LocalNote::Draft(draft) => (before.0, before.1, draft),
            LocalNote::Pinned(pinned) => (*pinned, before.1, before.2),
            LocalNote::Hidden(hidden) => (before.0, *hidden, before.2),
        };
        if (pinned, hidden, draft) == before {
            return Ok(Ok(Done));
        }
        let activity = row.activity();
        if !matches!(call.note, LocalNote::Draft(_)) {
            turn.overlay.intend();
        }
        turn.overlay
            .update_conversation(number, |row| match call.note {
                LocalNote::Draft(draft) => row.draft = draft.filter(|draft| !draft.is_empty()),
                LocalNote::Pinned(pinned) => row.pinned = pinned,
                LocalNote::Hidden(hidden) => row.hidden_until = hidden.then_some(activity),
            })?;
        Ok(Ok(Done))
    }
}
