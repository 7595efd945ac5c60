//! One conversation, made of all known facts about it.

use std::collections::BTreeSet;

use sampan::model::{ClientId, ConversationId, Timestamp};

use super::wanted::{Wanted, WantedMember, wanted};
use super::{ConversationRow, Loader, ROLES_ALONE};
use crate::storage::{Conversation, Kind, Known, Member, Storage, StorageError, Write};

impl<S: Storage> Loader<'_, S> {
    /// Joins the facts about a conversation with the stored ones. Answers the news for the operator: that the facts
    /// do not make a conversation yet (they are kept, and count when a source describes the conversation), or how
    /// many messages are shown no more because of them.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when the storage fails.
    pub async fn conversation(
        &mut self,
        id: &str,
        mut learned: Known,
    ) -> Result<Option<String>, StorageError> {
        let Ok(id) = ConversationId::new(id) else {
            return Ok(Some("the conversation's id is none".to_owned()));
        };
        self.standings.remove(&id);
        let row = learned.row.as_ref();
        let row = row.and_then(|(_, row)| ConversationRow::read(row).ok());
        learned.said_service |= row.is_some_and(|row| row.kind == Kind::System);
        let before = self.storage.known(&self.app, &id).await?;
        let after = before.clone().unwrap_or_default().join(learned);
        let Some(next) = wanted(&id, &after) else {
            if before.as_ref() != Some(&after) {
                self.put_known(&id, after).await?;
            }
            return Ok(Some(ROLES_ALONE.to_owned()));
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
        if is_ours {
            return Ok(None);
        }
        self.replace_conversation(there, loaded, next).await
    }

    async fn put_known(&mut self, id: &ConversationId, known: Known) -> Result<(), StorageError> {
        let put = Write::PutKnown(self.app.clone(), id.clone(), Box::new(known));
        self.storage.apply(vec![put]).await
    }

    async fn replace_conversation(
        &mut self,
        there: Option<Conversation>,
        loaded: Option<Wanted>,
        next: Wanted,
    ) -> Result<Option<String>, StorageError> {
        let id = next.conversation.id.clone();
        let conversation = Conversation {
            unique_id: self.unique(&next).await?,
            ..next.conversation.clone()
        };
        let put = Write::PutConversation(self.app.clone(), conversation.clone());
        self.storage.apply(vec![put]).await?;
        // A conversation may turn out to be a service conversation: its earlier messages and marks do not count then.
        let was_service = there.as_ref().is_some_and(|it| it.kind == Kind::System);
        let turned = next.conversation.kind == Kind::System && !was_service;
        self.members(&next, loaded.as_ref(), turned).await?;
        if let (Some(there), Some(loaded)) = (there, loaded) {
            self.pass_on(&there, &conversation, &loaded).await?;
        }
        let withheld = match turned {
            true => self.withhold(&id).await?,
            false => 0,
        };
        Ok((withheld > 0).then(|| {
            format!(
                "{withheld} messages that were loaded before are shown no more: they are a service conversation's, and \
                 their rows do not say whose"
            )
        }))
    }

    async fn members(
        &mut self,
        wanted: &Wanted,
        loaded: Option<&Wanted>,
        turned: bool,
    ) -> Result<(), StorageError> {
        let id = &wanted.conversation.id;
        let before: BTreeSet<&ClientId> = loaded
            .into_iter()
            .flat_map(|loaded| loaded.members.keys())
            .collect();
        let mut writes = Vec::new();
        for gone in before
            .iter()
            .filter(|client| !wanted.members.contains_key(**client))
        {
            let (app, gone) = (self.app.clone(), (*gone).clone());
            writes.push(Write::DropMember(app, id.clone(), gone));
        }
        for (client, one) in &wanted.members {
            let there = self.storage.member(&self.app, id, client).await?;
            // Marks that only a load made belong to the conversation as it seemed before.
            let is_stale = |it: &Member| {
                turned && loaded.is_some_and(|loaded| it.read_marked_at <= read_by_load(loaded))
            };
            let there = there.filter(|it| !is_stale(it));
            let loaded = loaded.filter(|_| before.contains(client));
            let member = self.member(wanted, (client, one), there, loaded).await?;
            writes.push(Write::PutMember(self.app.clone(), id.clone(), member));
        }
        self.storage.apply(writes).await
    }

    async fn member(
        &self,
        wanted: &Wanted,
        (client, one): (&ClientId, &WantedMember),
        there: Option<Member>,
        loaded: Option<&Wanted>,
    ) -> Result<Member, StorageError> {
        let at = wanted.conversation.created_at;
        let mut member = match there {
            Some(there) => there,
            None => Member {
                guest: one.is_guest,
                queued: self.keeps_queue(client).await?,
                ..Member::joined(client, at)
            },
        };
        let (before, read) = (loaded.map(read_by_load), read_by_load(wanted));
        if before.is_some() {
            // A conversation that was made of its messages alone began later than its row says.
            member.joined_at = at;
        }
        if member.read_marked_at <= before.map_or(read, |before| before.max(read)) {
            member.role = one.role;
            member.muted = one.is_muted;
            member.guest &= one.is_guest;
            // A mark that only loads made follows the newest facts. A mark that was made here never goes back.
            let mark = |there: Timestamp| match before {
                Some(before) if there <= before => read,
                _ => there.max(read),
            };
            member.read_until = mark(member.read_until);
            member.read_marked_at = mark(member.read_marked_at);
            // A client whose messages are pushed must not be pushed all of its history.
            member.received_until = mark(member.received_until);
        }
        Ok(member)
    }

    /// True if the client is pushed its messages when it comes back.
    async fn keeps_queue(&self, client: &ClientId) -> Result<bool, StorageError> {
        let known = self.storage.client(&self.app, client).await?;
        Ok(known.is_some_and(|known| known.push_mode))
    }
}

/// The time up to which members have read: everything that was loaded counts as received and read.
fn read_by_load(wanted: &Wanted) -> Timestamp {
    let at = wanted.conversation.created_at;
    wanted.newest.map_or(at, |newest| newest.max(at))
}
