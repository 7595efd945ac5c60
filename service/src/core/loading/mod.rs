//! Loading: messages and conversations that another service had, with their own ids and times.
//!
//! | file | what it holds |
//! |---|---|
//! | `row.rs` | the meaning of a row of the table of conversations |
//! | `wanted.rs` | a conversation with its members, out of all known facts; without IO |
//! | `message.rs` | one message, joined with the stored one |
//! | `conversation.rs` | one conversation, joined with the stored one |
//! | `unique.rs` | the unique id, which one of several conversations has |
//! | `withhold.rs` | the messages of a conversation that turned out to be a service's |
//!
//! Loading is a join: sources may come in any order, and repeatedly, and give the same data. Each fact is
//! therefore kept with the reading that it comes from, as a [`Claim`](crate::storage::Claim) or as
//! [`Known`](crate::storage::Known). A change or deletion in this service since the loading has precedence.
//!
//! No client is told of loaded data: they count as received and read.

mod conversation;
mod message;
mod row;
mod unique;
mod wanted;
mod withhold;

use std::collections::BTreeMap;

use sampan::model::{AppId, ConversationId};
use serde::{Deserialize, Serialize};

use crate::storage::{Kind, Storage, StorageError};

pub use self::message::LoadedMessage;
pub use self::row::{ConversationRow, time};

/// The reason why a message of a service conversation is not kept where the source does not say who sees it.
pub const NOT_SAID_WHOSE: &str =
    "the message is a service conversation's, and the row does not say whose";

/// The reason why facts make no conversation yet.
pub const ROLES_ALONE: &str =
    "roles of a conversation that no source describes; they count when one does";

/// The outcome for a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loaded {
    /// The message is new here.
    Stored,
    /// The message changed the stored one.
    Merged,
    /// The message, or a later state of it, is here.
    Known,
    /// The message was deleted in the old service, and was never here. The deletion is noted.
    Deleted,
    /// The message cannot be kept, for this reason.
    Refused(String),
}

/// Loads into the data of one app. Writes join the current batch; the caller commits.
#[derive(Debug)]
pub struct Loader<'a, S> {
    storage: &'a mut S,
    app: AppId,
    /// The conversations of the messages that were looked at.
    standings: BTreeMap<ConversationId, ConversationFacts>,
}

/// The facts about a conversation that matter to the messages that are loaded into it.
#[derive(Clone, Copy, Debug)]
struct ConversationFacts {
    is_service: bool,
    /// True if the conversation was loaded before, and was deleted here since.
    is_deleted: bool,
}

impl<'a, S: Storage> Loader<'a, S> {
    /// A loader for one app.
    pub const fn new(storage: &'a mut S, app: AppId) -> Self {
        Self {
            storage,
            app,
            standings: BTreeMap::new(),
        }
    }

    async fn standing(&mut self, id: &ConversationId) -> Result<ConversationFacts, StorageError> {
        if let Some(found) = self.standings.get(id) {
            return Ok(*found);
        }
        let there = self.storage.conversation(&self.app, id).await?;
        let known = self.storage.known(&self.app, id).await?;
        let was_loaded = known.is_some_and(|known| wanted::wanted(id, &known).is_some());
        let standing = ConversationFacts {
            is_service: there.as_ref().is_some_and(|it| it.kind == Kind::System),
            is_deleted: there.is_none() && was_loaded,
        };
        self.standings.insert(id.clone(), standing);
        Ok(standing)
    }
}

#[cfg(test)]
mod tests;
