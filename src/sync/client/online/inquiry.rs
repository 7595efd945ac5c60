//! Questions that only the service can answer.

use crate::model::ClientId;
use crate::store::{ConversationNumber, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::{Caller, ClientsFound, ConversationsFetched};
use crate::wire::Command;

/// A question on its way.
#[derive(Debug)]
pub(in crate::sync::client) enum Inquiry {
    /// The clients inside a chat room.
    Inside {
        /// The caller.
        caller: Caller<ClientsFound>,
    },
    /// Conversations by a condition.
    Find {
        /// The caller.
        caller: Caller<ConversationsFetched>,
    },
    /// The question for the clients that are signed in.
    Online {
        /// The caller.
        caller: Caller<ClientsFound>,
        /// The clients found in earlier answers.
        found: Vec<ClientId>,
        /// The clients that are asked about next.
        rest: Vec<ClientId>,
    },
    /// Watching clients.
    Watch {
        /// The clients.
        peers: Vec<ClientId>,
    },
    /// Watching clients no more: nothing follows from the answer.
    Unwatch,
    /// This client's own presence in the chat room that it entered.
    Room {
        /// The room.
        number: ConversationNumber,
    },
}

impl Client {
    /// Sends a question. Its answer comes to [`Client::inquiry_answered`].
    pub(in crate::sync::client) fn inquire(
        &mut self,
        turn: &mut Turn<'_, '_>,
        command: Command,
        inquiry: Inquiry,
    ) {
        self.paces.others.note(turn.elapsed());
        self.submit(turn, command, Purpose::Inquiry(inquiry));
    }

    pub(in crate::sync::client) fn inquiry_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        inquiry: Inquiry,
        answer: Answer,
    ) -> Result<(), StoreError> {
        match inquiry {
            Inquiry::Inside { caller } => {
                self.inside_answered(turn, caller, answer);
                Ok(())
            }
            Inquiry::Find { caller } => self.rooms_found(turn, caller, answer),
            Inquiry::Online {
                caller,
                found,
                rest,
            } => {
                self.online_answered(turn, caller, found, rest, answer);
                Ok(())
            }
            Inquiry::Watch { peers } => {
                self.watch_answered(turn, peers, answer);
                Ok(())
            }
            Inquiry::Unwatch => Ok(()),
            Inquiry::Room { number } => self.room_answered(turn, number, &answer),
        }
    }
}
