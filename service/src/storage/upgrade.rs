//! Migrates data of an older schema when it is opened.
//!
//! Schema 1 kept a row for each message that a client in push mode had not acknowledged. Now every message
//! behind the member's received mark counts as unacknowledged, so the mark is set back to the oldest of those rows.
//! The notifications that schema 1 copied for each client are read as they are.
//!
//! Schema 2 kept messages in longer rows, and one more for each: all are written anew.

use sampan::model::{AppId, ClientId, ConversationId, Timestamp};

use super::StorageError;
use super::codec::{decode, encode};
use super::key::{self, Key, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map, Row};
use super::record::Member;

/// Rows that share a commit.
const ROWS_AT_ONCE: usize = 2_000;

impl<M: Map> Keyed<M> {
    /// Brings data of an older schema to the present one. A process that ends in the middle goes on at the next
    /// start.
    pub(super) fn upgrade(&mut self) -> Result<(), StorageError> {
        self.upgrade_pendings()?;
        let [messages, ids, tokens] = key::old_messages();
        self.in_parts(&messages, |storage, (row, value)| {
            let mut parts = Parts::after(&row, messages.len())?;
            let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let id = ConversationId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            storage.put_message(&app, &id, &decode(&value)?)?;
            storage.drop_bytes(row);
            Ok(())
        })?;
        for old in [ids, tokens] {
            self.in_parts(&old, |storage, (row, _)| {
                storage.drop_bytes(row);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Hands out all rows with a tag; each part is one commit.
    fn in_parts(
        &mut self,
        all: &Key,
        mut upgrade: impl FnMut(&mut Self, Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        loop {
            let rows = self.under(all, ROWS_AT_ONCE)?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                upgrade(self, row)?;
            }
            self.commit_now()?;
        }
    }

    fn upgrade_pendings(&mut self) -> Result<(), StorageError> {
        let all = key::all_pendings();
        self.in_parts(&all, |storage, (row, _)| {
            let mut parts = Parts::after(&row, all.len())?;
            let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let client = ClientId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            let id = ConversationId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
            storage.queue_again(&app, &id, &client, parts.time()?)?;
            storage.drop_bytes(row);
            Ok(())
        })
    }

    fn queue_again(
        &mut self,
        app: &AppId,
        id: &ConversationId,
        client: &ClientId,
        pending: Timestamp,
    ) -> Result<(), StorageError> {
        let key = key::member(app, id, client);
        let Some(mut member) = self.record::<Member>(&key)? else {
            return Ok(());
        };
        let before = Timestamp::from_millis(pending.as_millis().saturating_sub(1));
        member.queued = true;
        member.received_until = member.received_until.min(before);
        self.put(key, encode(&member)?);
        Ok(())
    }
}
