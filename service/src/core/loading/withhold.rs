//! Messages of a conversation that turned out to be a service's.

use sampan::model::ConversationId;

use super::Loader;
use crate::storage::{Edge, Message, Order, Span, Storage, StorageError, Write};

/// Messages that are read at once.
const PAGE: usize = 500;

impl<S: Storage> Loader<'_, S> {
    /// Takes out the loaded messages whose reader no source names, and answers how many: had the kind of the
    /// conversation been known, they would not have been loaded. A message that was edited here stays, for its
    /// sender alone.
    pub(super) async fn withhold(&mut self, id: &ConversationId) -> Result<usize, StorageError> {
        let (mut span, mut withheld) = (Span::default(), 0);
        loop {
            let page = self
                .storage
                .messages(&self.app, id, &span, Order::OldestFirst, PAGE)
                .await?;
            span.older = page.last().map(|last| Edge {
                at: last.sent_at,
                id: Some(last.id.clone()),
                included: false,
            });
            let is_last = page.len() < PAGE;
            for message in page {
                let claim = self.storage.claim(&self.app, id, &message.id).await?;
                if claim.is_some_and(|claim| claim.readers.is_empty()) {
                    withheld += 1;
                    self.take_out(id, message).await?;
                }
            }
            if is_last {
                return Ok(withheld);
            }
        }
    }

    async fn take_out(
        &mut self,
        id: &ConversationId,
        message: Message,
    ) -> Result<(), StorageError> {
        let (app, id) = (self.app.clone(), id.clone());
        let writes = match message.patched_at {
            Some(_) => {
                let only_for = vec![message.from.clone()];
                vec![Write::PutMessage(
                    app,
                    id,
                    Message {
                        only_for,
                        ..message
                    },
                )]
            }
            None => vec![
                Write::DropMessage(app.clone(), id.clone(), message.place()),
                Write::DropClaim(app, id, message.id),
            ],
        };
        self.storage.apply(writes).await
    }
}
