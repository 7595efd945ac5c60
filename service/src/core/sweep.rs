//! Forgetting what has ended: tokens, temporary conversations, messages past their retention.
//!
//! A little at a time, so that no sweep holds up those who are online.

use sampan::model::{AppId, ConversationId, Now, Timestamp};

use super::machine::Core;
use crate::storage::{Storage, StorageError, Write};

/// Tokens forgotten in one sweep.
const TOKENS_AT_ONCE: usize = 256;

/// Temporary conversations forgotten in one sweep.
const ENDED_AT_ONCE: usize = 32;

/// Conversations looked through for old messages in one sweep.
const CONVERSATIONS_AT_ONCE: usize = 64;

impl<S: Storage> Core<S> {
    /// Forgets a bounded part of what has ended.
    pub(super) async fn sweep(&mut self, now: Now) -> Result<(), StorageError> {
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
        self.forget_old_messages(now).await
    }

    /// Walks the conversations of apps that keep messages for a limited time, a page a sweep.
    async fn forget_old_messages(&mut self, now: Now) -> Result<(), StorageError> {
        let limited: Vec<(AppId, Timestamp)> = self
            .apps
            .iter()
            .filter_map(|app| {
                let kept = app.settings.retention.messages()?;
                let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
                let until = now.wall.as_millis().saturating_sub(kept);
                Some((app.credentials.id.clone(), Timestamp::from_millis(until)))
            })
            .collect();
        for (app, until) in limited {
            let after = self.swept.remove(&app);
            let page = self
                .storage
                .conversations(&app, after.as_ref(), CONVERSATIONS_AT_ONCE)
                .await?;
            // A short page was the last one: the next sweep begins anew.
            let full = page.len() == CONVERSATIONS_AT_ONCE;
            if let Some(last) = page.last().filter(|_| full) {
                self.swept.insert(app.clone(), last.id.clone());
            }
            let ids = page
                .into_iter()
                .map(|conversation: crate::storage::Conversation| conversation.id);
            let writes = ids.map(|id: ConversationId| Write::DropMessages(app.clone(), id, until));
            self.storage.apply(writes.collect()).await?;
        }
        Ok(())
    }
}
