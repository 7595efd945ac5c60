//! Writes, and the rows that each of them changes.

use sampan::model::{AppId, ClientId, ConversationId};

use super::codec::encode;
use super::key::{self, Key, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map};
use super::record::{Conversation, Notice, Readers, Token, Write};
use super::{Order, StorageError};

impl<M: Map> Keyed<M> {
    /// Adds one write to the batch.
    pub(super) fn write(&mut self, write: Write) -> Result<(), StorageError> {
        match write {
            Write::PutClock(clock) => {
                let times = [Some(clock.shown), Some(clock.last), clock.proven];
                let times = times.into_iter().flatten();
                let bytes = times.flat_map(|time| time.as_millis().to_be_bytes());
                self.put(key::clock(), bytes.collect());
            }
            Write::DropClock => self.drop_row(key::clock()),
            Write::PutToken(app, digest, token) => {
                self.drop_token(&app, &digest)?;
                self.put(key::token_end(token.expires_at, &app, &digest), Vec::new());
                self.put(key::token(&app, &digest), encode(&token)?);
            }
            Write::DropToken(app, digest) => self.drop_token(&app, &digest)?,
            Write::PutRevocation(app, client, revocation) => {
                let key = key::revocation(&app, client.as_ref());
                self.put(key, encode(&revocation)?);
            }
            Write::PutClient(app, id, client) => {
                self.put(key::client(&app, &id), encode(&client)?);
            }
            Write::DropClient(app, id) => self.drop_row(key::client(&app, &id)),
            Write::PutConversation(app, conversation) => {
                self.put_conversation(&app, &conversation)?;
            }
            Write::DropConversation(app, id) => self.drop_conversation(&app, &id)?,
            Write::PutMember(app, conversation, member) => {
                let belongs = key::membership(&app, &member.client, &conversation);
                self.put(belongs, Vec::new());
                self.put(
                    key::member(&app, &conversation, &member.client),
                    encode(&member)?,
                );
            }
            Write::DropMember(app, conversation, client) => {
                self.drop_row(key::membership(&app, &client, &conversation));
                self.drop_row(key::member(&app, &conversation, &client));
            }
            Write::PutMessage(app, conversation, message) => {
                self.put_message(&app, &conversation, &message)?;
            }
            Write::DropMessage(app, conversation, place) => {
                self.drop_message(&app, &conversation, &place)?;
            }
            Write::PutClaim(app, conversation, id, claim) => {
                self.put(key::claim(&app, &conversation, &id), encode(&claim)?);
            }
            Write::DropClaim(app, conversation, id) => {
                self.drop_row(key::claim(&app, &conversation, &id));
            }
            Write::PutKnown(app, conversation, known) => {
                self.put(key::known(&app, &conversation), encode(&known)?);
            }
            Write::PutNotification(app, row) => {
                let key = key::notification(&app, &row.client, row.at, row.sequence);
                self.put(key, encode(&row)?);
            }
            Write::DropNotifications(app, client, until) => {
                let own = key::notifications(&app, &client);
                let until_own = key::notifications_at(&app, &client, until);
                self.drop_between(own, until_own, usize::MAX)?;
                let named = key::references(&app, &client);
                let until_named = key::references_at(&app, &client, until);
                self.drop_between(named, until_named, usize::MAX)?;
            }
            Write::PutNotice(app, notice) => self.put_notice(&app, &notice)?,
            Write::DropNotices(app, conversation, until) => {
                let all = key::notices(&app, &conversation);
                let until = key::notices_at(&app, &conversation, until);
                self.drop_between(all, until, usize::MAX)?;
            }
            Write::DropSingleNotices(app, until, limit) => {
                let all = key::single_notices(&app);
                let until = key::single_notices_at(&app, until);
                self.drop_between(all, until, limit)?;
            }
            Write::PutBroadcast(app, row) => {
                self.put(key::broadcast(&app, &row.place), encode(&row)?);
            }
            Write::DropBroadcast(app, place) => self.drop_row(key::broadcast(&app, &place)),
            Write::PutBan(app, conversation, ban, client) => {
                self.put(key::ban(&app, &conversation, ban, &client), Vec::new());
            }
            Write::PutInstallation(app, row) => self.put_installation(&app, &row)?,
            Write::BindInstallation(app, name, client) => {
                self.bind(&app, &name, client.as_str())?;
            }
            Write::UnbindInstallation(app, name, client) => {
                self.unbind(&app, &name, client.as_str())?;
            }
            Write::PutBadge(app, id, badge) => self.set_badge(&app, &id, badge)?,
            Write::DropInstallation(app, id) => self.drop_installation(&app, &id)?,
            Write::DropBan(app, conversation, ban, client) => {
                self.drop_row(key::ban(&app, &conversation, ban, &client));
            }
        }
        Ok(())
    }

    /// Drops rows from the first key to those that begin with the last, the oldest first.
    fn drop_between(&mut self, first: Key, last: Key, limit: usize) -> Result<(), StorageError> {
        for (key, _) in self.rows(&first.into_bytes(), &last.end(), Order::OldestFirst, limit)? {
            self.drop_bytes(key);
        }
        Ok(())
    }

    /// The notice once; clients that cannot find it by a conversation find it by a row without a value.
    fn put_notice(&mut self, app: &AppId, notice: &Notice) -> Result<(), StorageError> {
        let (at, sequence) = (notice.at, notice.sequence);
        let key = match &notice.readers {
            Readers::Members(conversation) => key::notice(app, conversation, at, sequence),
            Readers::Clients(clients) => {
                for client in clients {
                    self.put(key::reference(app, client, at, sequence), Vec::new());
                }
                key::single_notice(app, at, sequence)
            }
        };
        self.put(key, encode(&notice.item)?);
        Ok(())
    }

    fn drop_token(&mut self, app: &AppId, digest: &str) -> Result<(), StorageError> {
        if let Some(token) = self.record::<Token>(&key::token(app, digest))? {
            self.drop_row(key::token_end(token.expires_at, app, digest));
        }
        self.drop_row(key::token(app, digest));
        Ok(())
    }

    fn put_conversation(&mut self, app: &AppId, row: &Conversation) -> Result<(), StorageError> {
        let before = self.head(app, &row.id)?;
        if let Some(unique_id) = before.as_ref().and_then(|before| before.unique_id.as_ref())
            && row.unique_id.as_ref() != Some(unique_id)
        {
            self.drop_unique(app, unique_id, &row.id)?;
        }
        if let Some(unique_id) = &row.unique_id {
            self.put(
                key::unique(app, unique_id),
                row.id.as_str().as_bytes().to_vec(),
            );
        }
        if let Some(ends) = row.expires_at {
            self.put(key::expiry(ends, app, &row.id), Vec::new());
        }
        self.put_head(app, row, before)
    }

    fn drop_conversation(&mut self, app: &AppId, id: &ConversationId) -> Result<(), StorageError> {
        if let Some(row) = self.head(app, id)? {
            if let Some(ends) = row.expires_at {
                self.drop_row(key::expiry(ends, app, id));
            }
            if let Some(unique_id) = row.unique_id {
                self.drop_unique(app, &unique_id, id)?;
            }
        }
        let members = key::members(app, id);
        for (row, _) in self.under(&members, usize::MAX)? {
            let client = Parts::after(&row, members.len())?.rest()?;
            let client = ClientId::new(client).map_err(|_| DAMAGED_ID)?;
            self.drop_row(key::membership(app, &client, id));
        }
        self.drop_under(&members)?;
        self.drop_under(&key::messages(app, id))?;
        self.drop_under(&key::message_ids(app, id))?;
        self.drop_under(&key::sent_tokens(app, id))?;
        self.drop_under(&key::patches(app, id))?;
        self.drop_under(&key::all_bans(app, id))?;
        self.drop_under(&key::notices(app, id))?;
        self.drop_under(&key::columns(app, id))?;
        self.drop_row(key::conversation(app, id));
        Ok(())
    }

    /// Takes a unique id from a conversation; it may belong to a successor by now.
    fn drop_unique(
        &mut self,
        app: &AppId,
        unique_id: &str,
        id: &ConversationId,
    ) -> Result<(), StorageError> {
        let unique = key::unique(app, unique_id);
        if self.get(&unique)?.as_deref() == Some(id.as_str().as_bytes()) {
            self.drop_row(unique);
        }
        Ok(())
    }
}
