//! The deletion of ended tokens, ended temporary conversations, and notifications that no client will read.
//!
//! A sweep does a little at a time, so it does not delay online clients. The next sweep follows at once while
//! there is more, so the deletion keeps up with the clients that make more.

use std::time::Duration;

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};

use crate::core::machine::Core;
use crate::storage::{NOTICES_KEPT_MAX, Storage, StorageError, Write};

/// From one sweep to the next where nothing is left.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// From one sweep to the next where there is more.
const SWEEP_ON: Duration = Duration::from_millis(20);

/// From one sweep to the next while the storage puts its data in order.
const REST_ON: Duration = Duration::from_secs(1);

/// Tokens forgotten in one sweep: at fifty sweeps a second, more than a socket can make.
const TOKENS_AT_ONCE: usize = 500;

/// Temporary conversations forgotten in one sweep.
const ENDED_AT_ONCE: usize = 16;

/// Messages of such conversations forgotten in one sweep.
const MESSAGES_AT_ONCE: usize = 300;

/// Clients whose notifications one sweep looks at; the next one goes on behind them.
const NOTIFIED_AT_ONCE: usize = 64;

/// Notices for single clients forgotten in one sweep, for each app.
const SINGLE_NOTICES_AT_ONCE: usize = 1_000;

/// Notifications kept for one client, the newest ones. A client that missed more is told to ask for everything
/// again, which costs less than reading so many.
pub(in crate::core) const NOTIFICATIONS_KEPT_MAX: usize = 1000;

impl<S: Storage> Core<S> {
    /// Forgets a bounded part of everything that has ended; answers how long the next part has time.
    pub(in crate::core) async fn sweep(&mut self, now: Now) -> Result<Duration, StorageError> {
        let tokens = self.storage.ended_tokens(now.wall, TOKENS_AT_ONCE).await?;
        let many = tokens.len() == TOKENS_AT_ONCE;
        let tokens = tokens
            .into_iter()
            .map(|(app, digest)| Write::DropToken(app, digest));
        self.storage.apply(tokens.collect()).await?;
        let more = self.sweep_conversations().await?;
        let more = self.keep_badges().await? || more;
        self.sweep_notifications(now).await?;
        if many || more {
            return Ok(SWEEP_ON);
        }
        Ok(match self.storage.rest().await? {
            true => REST_ON,
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
            left -= self.forget_in(&app, &id, all, left).await?;
            if left == 0 {
                return Ok(true);
            }
            let write = Write::DropConversation(app, id);
            self.storage.apply(vec![write]).await?;
        }
        Ok(many)
    }

    /// Goes on through the clients for whom notifications are kept: those who never sign in would
    /// gather them without end. And through the conversations for whose members they are.
    async fn sweep_notifications(&mut self, now: Now) -> Result<(), StorageError> {
        let after = self.swept.client.take();
        let clients = self
            .storage
            .notified(after.as_ref(), NOTIFIED_AT_ONCE)
            .await?;
        for (app, client) in &clients {
            self.forget_notifications(now, app, client).await?;
        }
        if clients.len() == NOTIFIED_AT_ONCE {
            self.swept.client = clients.into_iter().next_back();
        }
        let after = self.swept.conversation.take();
        let conversations = self
            .storage
            .noticed(after.as_ref(), NOTIFIED_AT_ONCE)
            .await?;
        for (app, conversation) in &conversations {
            self.forget_notices(now, app, conversation).await?;
        }
        if conversations.len() == NOTIFIED_AT_ONCE {
            self.swept.conversation = conversations.into_iter().next_back();
        }
        let apps: Vec<_> = self
            .apps
            .iter()
            .map(|app| app.credentials.id.clone())
            .collect();
        let forget = |app| {
            let until = self.too_old(now, &app);
            Write::DropSingleNotices(app, until, SINGLE_NOTICES_AT_ONCE)
        };
        let writes = apps.into_iter().map(forget).collect();
        self.storage.apply(writes).await
    }

    /// Forgets the notices of a conversation's members that are too old to be asked for, or too many.
    async fn forget_notices(
        &mut self,
        now: Now,
        app: &AppId,
        conversation: &ConversationId,
    ) -> Result<(), StorageError> {
        let too_many = self
            .storage
            .noticed_before(app, conversation, NOTICES_KEPT_MAX)
            .await?;
        let until = self
            .too_old(now, app)
            .max(too_many.unwrap_or(Timestamp::ZERO));
        let write = Write::DropNotices(app.clone(), conversation.clone(), until);
        self.storage.apply(vec![write]).await
    }

    /// Notifications of this time and older ones are not asked for any more.
    fn too_old(&self, now: Now, app: &AppId) -> Timestamp {
        let kept = self.settings_of(app).retention.notifications();
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(now.wall.as_millis().saturating_sub(kept))
    }

    /// Forgets the notifications of a client that are too old to be asked for, or too many.
    pub(in crate::core) async fn forget_notifications(
        &mut self,
        now: Now,
        app: &AppId,
        client: &ClientId,
    ) -> Result<(), StorageError> {
        let too_old = self.too_old(now, app);
        let too_many = self
            .storage
            .notified_before(app, client, NOTIFICATIONS_KEPT_MAX)
            .await?;
        let until = too_many.map_or(too_old, |at| at.max(too_old));
        let write = Write::DropNotifications(app.clone(), client.clone(), until);
        self.storage.apply(vec![write]).await
    }
}
