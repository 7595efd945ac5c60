//! Forgetting what has ended: tokens, temporary conversations, notifications nobody will read.
//!
//! A little at a time, so that no sweep holds up those who are online.

use sampan::model::{AppId, ClientId, Now, Timestamp};

use crate::core::machine::Core;
use crate::storage::{Storage, StorageError, Write};

/// Tokens forgotten in one sweep.
const TOKENS_AT_ONCE: usize = 256;

/// Temporary conversations forgotten in one sweep.
const ENDED_AT_ONCE: usize = 32;

/// Clients whose notifications one sweep looks at; the next one goes on behind them.
const NOTIFIED_AT_ONCE: usize = 64;

/// Notifications kept for one client, the newest ones: who missed more is told to ask for
/// everything anew, which costs less than reading so many.
pub(in crate::core) const NOTIFICATIONS_KEPT_MAX: usize = 1000;

impl<S: Storage> Core<S> {
    /// Forgets a bounded part of what has ended.
    pub(in crate::core) async fn sweep(&mut self, now: Now) -> Result<(), StorageError> {
        let tokens = self.storage.ended_tokens(now.wall, TOKENS_AT_ONCE).await?;
        let over = self
            .storage
            .ended_conversations(now.wall, ENDED_AT_ONCE)
            .await?;
        let tokens = tokens
            .into_iter()
            .map(|(app, digest)| Write::DropToken(app, digest));
        let over = over
            .into_iter()
            .map(|(app, id)| Write::DropConversation(app, id));
        self.storage.apply(tokens.chain(over).collect()).await?;
        self.sweep_notifications(now).await
    }

    /// Goes on through the clients for whom notifications are kept: those who never sign in would
    /// gather them without end.
    async fn sweep_notifications(&mut self, now: Now) -> Result<(), StorageError> {
        let after = self.swept.take();
        let clients = self
            .storage
            .notified(after.as_ref(), NOTIFIED_AT_ONCE)
            .await?;
        for (app, client) in &clients {
            self.forget_notifications(now, app, client).await?;
        }
        if clients.len() == NOTIFIED_AT_ONCE {
            self.swept = clients.into_iter().next_back();
        }
        Ok(())
    }

    /// Forgets the notifications of a client that are too old to be asked for, or too many.
    pub(in crate::core) async fn forget_notifications(
        &mut self,
        now: Now,
        app: &AppId,
        client: &ClientId,
    ) -> Result<(), StorageError> {
        let kept = self.settings_of(app).retention.notifications();
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let too_old = Timestamp::from_millis(now.wall.as_millis().saturating_sub(kept));
        let too_many = self
            .storage
            .notified_before(app, client, NOTIFICATIONS_KEPT_MAX)
            .await?;
        let until = too_many.map_or(too_old, |at| at.max(too_old));
        let oldest = self
            .storage
            .notifications(app, client, Timestamp::ZERO, 1)
            .await?;
        if oldest.first().is_some_and(|oldest| oldest.at <= until) {
            let write = Write::DropNotifications(app.clone(), client.clone(), until);
            self.storage.apply(vec![write]).await?;
        }
        Ok(())
    }
}
