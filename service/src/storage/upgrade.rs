//! Migrates data of an older schema when it is opened.
//!
//! Schema 1 kept a row for each message that a client in push mode had not acknowledged. Now every message
//! behind the member's received mark counts as unacknowledged, so the mark is set back to the oldest of those rows.
//! The notifications that schema 1 copied for each client are read as they are.

use sampan::model::{AppId, ClientId, ConversationId, Timestamp};

use super::codec::encode;
use super::key::{self, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map};
use super::record::Member;
use super::{Order, StorageError};

/// Rows that share a commit.
const ROWS_AT_ONCE: usize = 2_000;

impl<M: Map> Keyed<M> {
    /// Brings data of schema 1 to schema 2. A process that ends in the middle goes on at the next start.
    pub(super) fn upgrade(&mut self) -> Result<(), StorageError> {
        let all = key::all_pendings();
        let (from, to) = (all.clone().into_bytes(), all.clone().end());
        loop {
            let rows = self.rows(&from, &to, Order::OldestFirst, ROWS_AT_ONCE)?;
            if rows.is_empty() {
                return Ok(());
            }
            for (row, _) in rows {
                let mut parts = Parts::after(&row, all.len())?;
                let app = AppId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
                let client = ClientId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
                let id = ConversationId::new(parts.text()?).map_err(|_| DAMAGED_ID)?;
                self.queue_again(&app, &id, &client, parts.time()?)?;
                self.drop_bytes(row);
            }
            self.commit_now()?;
        }
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
