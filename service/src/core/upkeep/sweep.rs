//! Forgetting what has ended: tokens, temporary conversations, notifications nobody will read.
//!
//! A little at a time, so that no sweep holds up those who are online; and again at once while there
//! is more, so that it keeps up with whatever made it.

use std::time::Duration;

use sampan::model::{AppId, ClientId, Now, Timestamp};

use crate::core::machine::Core;
use crate::storage::{Storage, StorageError, Write};

/// From one sweep to the next where nothing is left.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// From one sweep to the next where there is more.
const SWEEP_ON: Duration = Duration::from_millis(20);

/// Tokens forgotten in one sweep: at fifty sweeps a second, more than a socket can make.
const TOKENS_AT_ONCE: usize = 500;

/// Temporary conversations forgotten in one sweep.
const ENDED_AT_ONCE: usize = 16;

/// Messages of such conversations forgotten in one sweep.
const MESSAGES_AT_ONCE: usize = 300;

/// Clients whose notifications one sweep looks at; the next one goes on behind them.
const NOTIFIED_AT_ONCE: usize = 64;

/// Notifications kept for one client, the newest ones: who missed more is told to ask for
/// everything anew, which costs less than reading so many.
pub(in crate::core) const NOTIFICATIONS_KEPT_MAX: usize = 1000;

impl<S: Storage> Core<S> {
    /// Forgets a bounded part of what has ended; answers how long the next part has time.
    pub(in crate::core) async fn sweep(&mut self, now: Now) -> Result<Duration, StorageError> {
        let tokens = self.storage.ended_tokens(now.wall, TOKENS_AT_ONCE).await?;
        let many = tokens.len() == TOKENS_AT_ONCE;
        let tokens = tokens
            .into_iter()
            .map(|(app, digest)| Write::DropToken(app, digest));
        self.storage.apply(tokens.collect()).await?;
        let more = self.sweep_conversations().await?;
        self.sweep_notifications(now).await?;
        Ok(match many || more {
            true => SWEEP_ON,
            false => SWEEP_EVERY,
        })
    }

    /// Forgets temporary conversations that ended, the messages before the conversation; says
    /// whether there may be more.
    async fn sweep_conversations(&mut self) -> Result<bool, StorageError> {
        let until = self.stamps.proven();
        let over = self
            .storage
            .ended_conversations(until, ENDED_AT_ONCE)
            .await?;
        let many = over.len() == ENDED_AT_ONCE;
        let mut left = MESSAGES_AT_ONCE;
        for (app, id) in over {
            let all = Timestamp::from_millis(i64::MAX);
            left = left.saturating_sub(self.forget_in(&app, &id, all, left).await?);
            if left == 0 {
                return Ok(true);
            }
            let write = Write::DropConversation(app, id);
            self.storage.apply(vec![write]).await?;
        }
        Ok(many)
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
