//! The unique id of loaded conversations: of several with the same members, the oldest has it.

use sampan::model::{ClientId, ConversationId, Timestamp};

use super::Loader;
use super::wanted::{Wanted, wanted};
use crate::storage::{Conversation, Storage, StorageError, Write};

/// Conversations of a client that are read at once.
const PAGE: usize = 500;

/// The order of conversations with the same members.
fn age(one: &Conversation) -> (Timestamp, ConversationId) {
    (one.created_at, one.id.clone())
}

impl<S: Storage> Loader<'_, S> {
    /// The unique id, if this conversation has it.
    pub(super) async fn unique(&mut self, wanted: &Wanted) -> Result<Option<String>, StorageError> {
        let Some(unique) = wanted.conversation.unique_id.clone() else {
            return Ok(None);
        };
        let holder = self.storage.unique_conversation(&self.app, &unique).await?;
        let Some(holder) = holder.filter(|holder| *holder != wanted.conversation.id) else {
            return Ok(Some(unique));
        };
        let Some(holder) = self.storage.conversation(&self.app, &holder).await? else {
            return Ok(Some(unique));
        };
        if age(&holder) < age(&wanted.conversation) {
            return Ok(None);
        }
        self.put_unique(holder, None).await?;
        Ok(Some(unique))
    }

    /// Gives the unique id that a conversation had to the oldest of those that want the id, if the conversation gave
    /// it up or is younger than was known.
    pub(super) async fn pass_on(
        &mut self,
        before: &Conversation,
        after: &Conversation,
        loaded: &Wanted,
    ) -> Result<(), StorageError> {
        let Some(unique) = &before.unique_id else {
            return Ok(());
        };
        let keeps = after.unique_id.as_ref() == Some(unique);
        if keeps && age(after) <= age(before) {
            return Ok(());
        }
        let mut oldest = keeps.then(|| after.clone());
        let Some(client) = self.seldom(loaded).await? else {
            return Ok(());
        };
        let mut last = None;
        loop {
            let page = self
                .storage
                .memberships(&self.app, &client, last.as_ref(), PAGE)
                .await?;
            for id in &page {
                if let Some(one) = self.wants(id, unique).await?
                    && oldest.as_ref().is_none_or(|oldest| age(&one) < age(oldest))
                {
                    oldest = Some(one);
                }
            }
            last = page.last().cloned();
            if page.len() < PAGE {
                break;
            }
        }
        let Some(oldest) = oldest.filter(|oldest| !keeps || oldest.id != after.id) else {
            return Ok(());
        };
        if keeps {
            self.put_unique(after.clone(), None).await?;
        }
        self.put_unique(oldest, Some(unique.clone())).await
    }

    /// A member with few conversations: all conversations with the same members are among them.
    async fn seldom(&self, loaded: &Wanted) -> Result<Option<ClientId>, StorageError> {
        let mut seldom: Option<(usize, &ClientId)> = None;
        for client in loaded.members.keys() {
            let some = self
                .storage
                .memberships(&self.app, client, None, PAGE)
                .await?;
            if seldom.is_none_or(|(count, _)| some.len() < count) {
                seldom = Some((some.len(), client));
            }
            if seldom.is_some_and(|(count, _)| count < PAGE) {
                break;
            }
        }
        Ok(seldom.map(|(_, client)| client.clone()))
    }

    /// The conversation, if it was loaded with this unique id and not changed here since.
    async fn wants(
        &self,
        id: &ConversationId,
        unique: &str,
    ) -> Result<Option<Conversation>, StorageError> {
        let known = self.storage.known(&self.app, id).await?;
        let loaded = known.and_then(|known| wanted(id, &known));
        let Some(loaded) = loaded.filter(|it| it.conversation.unique_id.as_deref() == Some(unique))
        else {
            return Ok(None);
        };
        let there = self.storage.conversation(&self.app, id).await?;
        Ok(there.filter(|there| there.updated_at <= loaded.conversation.updated_at))
    }

    async fn put_unique(
        &mut self,
        conversation: Conversation,
        unique_id: Option<String>,
    ) -> Result<(), StorageError> {
        let conversation = Conversation {
            unique_id,
            ..conversation
        };
        let put = Write::PutConversation(self.app.clone(), conversation);
        self.storage.apply(vec![put]).await
    }
}
