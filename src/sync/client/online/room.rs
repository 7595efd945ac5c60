//! Being inside a chat room.
//!
//! 1. A client is inside one chat room at most. Entering another leaves the first, without a command.
//! 2. The service keeps the place for 30 minutes after a broken connection. After each sign-in the machine
//!    therefore asks the service if this client is still inside. The machine does not enter the room again: a
//!    client that was away for longer has to enter by a call of the app.
//! 3. A session that is closed, by the app or by the service, leaves the room at once.

use crate::model::{ConversationKind, ConversationState};
use crate::store::{ConversationNumber, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::online::inquiry::Inquiry;
use crate::sync::client::{Client, Turn};
use crate::wire::generated::ConvCommand;
use crate::wire::{Command, Envelope, Op};

impl Client {
    /// This client entered a conversation: of a chat room that is noted, and the room before is left.
    pub(in crate::sync::client) fn entered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        if !is_room(turn, number)? {
            return Ok(());
        }
        let before = turn.overlay.snapshot().session().room;
        if let Some(before) = before.filter(|before| *before != number) {
            self.is_outside(turn, before)?;
        }
        turn.overlay.update_session(|row| row.room = Some(number));
        place(turn, number, ConversationState::Live)
    }

    /// This client left a conversation: a chat room that it was inside of is forgotten.
    pub(in crate::sync::client) fn exited(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        if turn.overlay.snapshot().session().room == Some(number) {
            turn.overlay.update_session(|row| row.room = None);
            self.is_outside(turn, number)?;
        }
        Ok(())
    }

    /// The session is closed, and the place in the chat room with it. The room stays noted: where the service
    /// did not hear of the end, the client is inside again after the next sign-in.
    pub(in crate::sync::client) fn room_closes(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let room = turn.overlay.snapshot().session().room;
        match room {
            Some(number) => self.is_outside(turn, number),
            None => Ok(()),
        }
    }

    /// Asks whether this client is still inside the chat room that it entered.
    pub(in crate::sync::client) fn ask_for_room(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let Some(number) = turn.overlay.snapshot().session().room else {
            return Ok(());
        };
        let row = turn.overlay.snapshot().conversation(number)?;
        let Some(row) = row.filter(|row| !row.id.is_local()) else {
            turn.overlay.update_session(|row| row.room = None);
            return Ok(());
        };
        let body = ConvCommand {
            cids: vec![row.id.as_str().to_owned()],
            ..ConvCommand::default()
        };
        let command = Command::conv(Op::IsMember, body);
        self.inquire(turn, command, Inquiry::Room { number });
        Ok(())
    }

    pub(in crate::sync::client) fn room_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        answer: &Answer,
    ) -> Result<(), StoreError> {
        let still_noted = turn.overlay.snapshot().session().room == Some(number);
        let row = turn.overlay.snapshot().conversation(number)?;
        let Some(row) = row.filter(|_| still_noted) else {
            return Ok(());
        };
        match is_inside(answer, row.id.as_str()) {
            Some(true) => place(turn, number, ConversationState::Live),
            Some(false) => self.exited(turn, number),
            // The service does not say: the known state stays.
            None => Ok(()),
        }
    }

    fn is_outside(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        self.went_out(number);
        if is_room(turn, number)? {
            place(turn, number, ConversationState::Left)?;
        }
        Ok(())
    }
}

fn is_room(turn: &Turn<'_, '_>, number: ConversationNumber) -> Result<bool, StoreError> {
    let row = turn.overlay.snapshot().conversation(number)?;
    Ok(row.is_some_and(|row| row.kind == ConversationKind::ChatRoom))
}

/// Shows whether this client is inside. A room that is not made yet, or could not be, stays as it is.
fn place(
    turn: &mut Turn<'_, '_>,
    number: ConversationNumber,
    state: ConversationState,
) -> Result<(), StoreError> {
    let row = turn.overlay.snapshot().conversation(number)?;
    let changes = row.is_some_and(|row| {
        let known = matches!(row.state, ConversationState::Live | ConversationState::Left);
        known && row.state != state
    });
    if changes {
        turn.overlay
            .update_conversation(number, |row| row.state = state)?;
    }
    Ok(())
}

/// The service's answer about one conversation; none where the answer does not name it.
fn is_inside(answer: &Answer, id: &str) -> Option<bool> {
    let Answer::Said(Envelope {
        command: Command::Conv { body, .. },
        ..
    }) = answer
    else {
        return None;
    };
    let results = body.results.as_ref()?;
    let answers: serde_json::Value = serde_json::from_str(&results.data).ok()?;
    answers.get(id)?.as_bool()
}
