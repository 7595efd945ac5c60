//! The devices that a message is pushed to.

use std::collections::BTreeSet;

use sampan::model::AppId;

use crate::core::exchange::push::{PushQuestion, PushTarget};
use crate::core::machine::Core;
use crate::storage::{Installation, Storage, StorageError, Write};

/// The most devices of one client that are pushed to.
const DEVICES_MAX: usize = 32;

/// Numbers on icons that are kept at a time.
const BADGES_AT_ONCE: usize = 1_000;

impl<S: Storage> Core<S> {
    /// Keeps the numbers on icons that grew since the last time; answers whether there are more of them.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when the data cannot be written.
    pub(in crate::core) async fn keep_badges(&mut self) -> Result<bool, StorageError> {
        let grown = self.badges.take(BADGES_AT_ONCE);
        let writes = grown.map(|((app, id), badge)| Write::PutBadge(app, id, badge));
        self.storage.apply(writes.collect()).await?;
        Ok(!self.badges.is_empty())
    }

    /// The devices of clients that are offline and have not muted the conversation, each device once. The numbers
    /// on their icons grow where the question says so.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when the data cannot be read.
    pub async fn push_targets(
        &mut self,
        question: &PushQuestion,
    ) -> Result<Vec<PushTarget>, StorageError> {
        let app = &question.app;
        let settings = self.settings_of(app);
        let (mut targets, mut seen) = (Vec::new(), BTreeSet::new());
        for client in question.clients.iter().take(PushQuestion::CLIENTS_MAX) {
            let member = self
                .storage
                .member(app, &question.conversation, client)
                .await?;
            let is_muted = member.is_some_and(|it| it.muted) && !question.force;
            // A client that came back meanwhile has received the message.
            if is_muted || self.registry.is_online(app, client) {
                continue;
            }
            for mut row in self
                .storage
                .installations_of(app, client, DEVICES_MAX)
                .await?
            {
                // Anybody may name a channel, so channels count only where a login needs no signature either.
                let is_own = row.clients.contains(client.as_str()) || !settings.signatures.login;
                let Some(token) = row.token.clone().filter(|_| is_own) else {
                    continue;
                };
                if !seen.insert(token.clone()) {
                    continue;
                }
                row.badge = match question.counts {
                    true => self.badges.grow(app, &row),
                    false => self.badges.of(app, &row),
                };
                targets.push(PushTarget {
                    client: client.clone(),
                    installation: row.id,
                    device_type: row.device_type,
                    token,
                    topic: row.topic,
                    team: row.team,
                    profile: row.profile,
                    badge: row.badge,
                });
            }
        }
        Ok(targets)
    }

    /// Forgets a token: a vendor says that no device has it any more.
    ///
    /// # Errors
    ///
    /// [`StorageError`] when the data cannot be read or written.
    pub async fn push_refused(
        &mut self,
        app: &AppId,
        installation: &str,
        token: &str,
    ) -> Result<(), StorageError> {
        let found: Option<Installation> = self.storage.installation(app, installation).await?;
        let is_same = found.is_some_and(|it| it.token.as_deref() == Some(token));
        if is_same {
            self.badges.forget(app, installation);
            let write = Write::DropInstallation(app.clone(), installation.to_owned());
            self.storage.apply(vec![write]).await?;
        }
        Ok(())
    }
}
