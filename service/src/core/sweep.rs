//! Forgetting what has ended: tokens and temporary conversations.
//!
//! A little at a time, so that no sweep holds up those who are online.

use sampan::model::Now;

use super::machine::Core;
use crate::storage::{Storage, StorageError, Write};

/// Tokens forgotten in one sweep.
const TOKENS_AT_ONCE: usize = 256;

/// Temporary conversations forgotten in one sweep.
const ENDED_AT_ONCE: usize = 32;

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
        self.storage.apply(tokens.chain(over).collect()).await
    }
}
