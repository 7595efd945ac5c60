//! One conversation, made of all known facts about it.

use std::collections::BTreeSet;

use sampan::model::{ClientId, ConversationId};

use super::Loader;
use super::wanted::{Wanted, wanted};
use crate::storage::{Conversation, Known, Member, Storage, StorageError, Write};

impl<S: Storage> Loader<'_, S> {
    /// Joins the facts about a conversation with the stored ones. Answers the reason if the facts do not make a
    /// conversation yet; they are kept, and count when a source describes the conversation.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when the storage fails.
    pub async fn conversation(
        &mut self,
        id: &str,
        learned: Known,
    ) -> Result<Option<&'static str>, StorageError> {
        let Ok(id) = ConversationId::new(id) else {
            return Ok(Some("the conversation's id is none"));
        };
        self.standings.remove(&id);
        let before = self.storage.known(&self.app, &id).await?;
        let after = before.clone().unwrap_or_default().join(learned);
        let Some(next) = wanted(&id, &after) else {
            if before.as_ref() != Some(&after) {
                self.put_known(&id, after).await?;
            }
            return Ok(Some(
                "roles of a conversation that no source describes; they count when one does",
            ));
        };
        if before.as_ref() == Some(&after) {
            return Ok(None);
        }
        self.put_known(&id, after).await?;
        let loaded = before.and_then(|before| wanted(&id, &before));
        let there = self.storage.conversation(&self.app, &id).await?;
        let is_ours = match (&there, &loaded) {
            // The conversation was deleted here since, and stays deleted.
            (None, Some(_)) => true,
            // The conversation was changed here since it was loaded, and the change has precedence.
            (Some(there), Some(loaded)) => there.updated_at > loaded.conversation.updated_at,
            // The conversation was made here.
            (Some(_), None) => true,
            (None, None) => false,
        };
        if !is_ours {
            let unique_id = self.unique(&next).await?;
            let conversation = Conversation {
                unique_id,
                ..next.conversation.clone()
            };
            let put = Write::PutConversation(self.app.clone(), conversation);
            self.storage.apply(vec![put]).await?;
            self.members(&id, loaded.as_ref(), &next).await?;
        }
        Ok(None)
    }

    async fn put_known(&mut self, id: &ConversationId, known: Known) -> Result<(), StorageError> {
        let put = Write::PutKnown(self.app.clone(), id.clone(), Box::new(known));
        self.storage.apply(vec![put]).await
    }

    /// The unique id, if this conversation has it: of several with the same members, the oldest.
    async fn unique(&mut self, wanted: &Wanted) -> Result<Option<String>, StorageError> {
        let Some(unique) = wanted.conversation.unique_id.clone() else {
            return Ok(None);
        };
        let holder = self.storage.unique_conversation(&self.app, &unique).await?;
        let Some(holder) = holder.filter(|holder| *holder != wanted.conversation.id) else {
            return Ok(Some(unique));
        };
        let Some(mut holder) = self.storage.conversation(&self.app, &holder).await? else {
            return Ok(Some(unique));
        };
        let age = |one: &Conversation| (one.created_at, one.id.clone());
        if age(&holder) < age(&wanted.conversation) {
            return Ok(None);
        }
        holder.unique_id = None;
        let put = Write::PutConversation(self.app.clone(), holder);
        self.storage.apply(vec![put]).await?;
        Ok(Some(unique))
    }

    async fn members(
        &mut self,
        id: &ConversationId,
        loaded: Option<&Wanted>,
        wanted: &Wanted,
    ) -> Result<(), StorageError> {
        let loaded: BTreeSet<&ClientId> = loaded
            .into_iter()
            .flat_map(|loaded| loaded.members.keys())
            .collect();
        let mut writes = Vec::new();
        for gone in loaded
            .iter()
            .filter(|client| !wanted.members.contains_key(**client))
        {
            let (app, gone) = (self.app.clone(), (*gone).clone());
            writes.push(Write::DropMember(app, id.clone(), gone));
        }
        for (client, one) in &wanted.members {
            let there = self.storage.member(&self.app, id, client).await?;
            let at = wanted.conversation.created_at;
            let mut member = match there {
                Some(there) => there,
                None => Member {
                    guest: one.is_guest,
                    queued: self.keeps_queue(client).await?,
                    ..Member::joined(client, at)
                },
            };
            if loaded.contains(client) {
                // A conversation that was made of its messages alone began later than its row says.
                member.joined_at = at;
            }
            // Everything that was loaded counts as received and read.
            let read = wanted.newest.map_or(at, |newest| newest.max(at));
            if member.read_marked_at <= read {
                member.role = one.role;
                member.muted = one.is_muted;
                member.guest &= one.is_guest;
                member.read_until = member.read_until.max(read);
                member.read_marked_at = member.read_marked_at.max(read);
                // A client whose messages are pushed must not be pushed all of its history.
                member.received_until = member.received_until.max(read);
            }
            writes.push(Write::PutMember(self.app.clone(), id.clone(), member));
        }
        self.storage.apply(writes).await
    }

    /// True if the client is pushed its messages when it comes back.
    async fn keeps_queue(&self, client: &ClientId) -> Result<bool, StorageError> {
        let known = self.storage.client(&self.app, client).await?;
        Ok(known.is_some_and(|known| known.push_mode))
    }
}
