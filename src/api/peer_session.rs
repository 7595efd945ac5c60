//! Sessions, peers and groups: the words of the first generation, over the one engine.

use std::sync::Arc;

use crate::model::{
    ClientId, CommitSeq, ConversationId, ConversationKind, NewConversation, NewMessage, Presence,
    Uniqueness, WatchedClient,
};
use crate::{Obstacle, SampanError};

use super::client::Client;
use super::conversation::{Conversation, SentMessage};
use super::notices::NoticeFeed;

/// A session in the words of the first generation: a peer watches other peers, sends to watched peers, and takes
/// part in groups. A session is a view of a `Client`: an app may use both side by side.
#[derive(Debug, uniffi::Object)]
pub struct PeerSession {
    client: Arc<Client>,
}

/// A group in the words of the first generation: a conversation.
#[derive(Debug, uniffi::Object)]
pub struct PeerGroup {
    conversation: Arc<Conversation>,
}

#[uniffi::export]
impl PeerSession {
    /// The session of a client. The call does not open it.
    #[uniffi::constructor]
    pub fn new(client: Arc<Client>) -> Arc<Self> {
        Arc::new(Self { client })
    }

    /// Watches these peers, and those of earlier sessions, and opens the session. A later device with the same tag
    /// ends the session of an earlier one. Returns when the session is open, and waits as long as there is no
    /// connection.
    ///
    /// # Errors
    ///
    /// Those of `Client.watch` and `Client.wait_online`.
    pub async fn open(&self, watched: Vec<ClientId>) -> Result<(), SampanError> {
        self.client.watch(watched).await?;
        self.client.go_online(None)?;
        self.client.wait_online().await
    }

    /// Closes the session: the client receives nothing until `open`.
    ///
    /// # Errors
    ///
    /// `SignedOut`, `ShutDown`.
    // Objects of Kotlin have a `close` of their own.
    #[uniffi::method(name = "close_session")]
    pub fn close(&self) -> Result<(), SampanError> {
        self.client.go_offline()
    }

    /// Watches more peers; see `Client.watch`.
    ///
    /// # Errors
    ///
    /// Those of `Client.watch`.
    pub async fn watch(&self, peers: Vec<ClientId>) -> Result<(), SampanError> {
        self.client.watch(peers).await
    }

    /// Stops watching peers.
    ///
    /// # Errors
    ///
    /// Those of `Client.unwatch`.
    pub async fn unwatch(&self, peers: Vec<ClientId>) -> Result<(), SampanError> {
        self.client.unwatch(peers).await
    }

    /// Tells if a peer is watched, so that this client may send to it: the peer is in the list, and the app's
    /// server has not refused it.
    ///
    /// # Errors
    ///
    /// Those of `Client.watched`.
    pub async fn is_watching(&self, peer: ClientId) -> Result<bool, SampanError> {
        Ok(may_send_to(&self.client.watched().await?, &peer))
    }

    /// The peers among these who are online now, watched or not (`getStatus`).
    ///
    /// # Errors
    ///
    /// Those of `Client.online_of`.
    pub async fn status(&self, peers: Vec<ClientId>) -> Result<Vec<ClientId>, SampanError> {
        self.client.online_of(peers).await
    }

    /// Sends a message to peers, all of whom must be watched. Durable in the outbox on return, unless the message
    /// is transient.
    ///
    /// # Errors
    ///
    /// `NotPossible` when a peer is not watched, because the service would not deliver the message; those of
    /// `Client.peers` and of `Conversation.send`.
    pub async fn send(
        &self,
        message: NewMessage,
        to: Vec<ClientId>,
    ) -> Result<SentMessage, SampanError> {
        let list = self.client.watched().await?;
        if !to.iter().all(|peer| may_send_to(&list, peer)) {
            let obstacle = Obstacle::NotWatched;
            return Err(SampanError::NotPossible { obstacle });
        }
        self.client.peers(to).await?.send(message).await
    }

    /// Makes a group and joins it (`createGroup`, `joinGroup` without an id). The group is usable at once, online
    /// or not.
    ///
    /// # Errors
    ///
    /// Those of `Client.create_conversation`.
    pub async fn create_group(&self) -> Result<Arc<PeerGroup>, SampanError> {
        let wanted = NewConversation {
            kind: ConversationKind::Normal,
            uniqueness: Uniqueness::Separate,
            ..NewConversation::default()
        };
        let made = self.client.create_conversation(wanted).await?;
        Ok(PeerGroup::of(made.conversation))
    }

    /// Joins an existing group. Durable in the outbox on return.
    ///
    /// # Errors
    ///
    /// Those of `Client.join`.
    pub async fn join_group(&self, id: ConversationId) -> Result<Arc<PeerGroup>, SampanError> {
        Ok(PeerGroup::of(self.client.join(id).await?))
    }

    /// A group by its id, without joining it: from this device, or else from the service.
    ///
    /// # Errors
    ///
    /// `NotFound`, and those of `Client.fetch_conversation`.
    pub async fn group(&self, id: ConversationId) -> Result<Arc<PeerGroup>, SampanError> {
        Ok(PeerGroup::of(self.client.known_or_fetched(id).await?))
    }

    /// The groups of this peer on this device. Conversations between peers are not among them.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn groups(&self) -> Result<Vec<Arc<PeerGroup>>, SampanError> {
        let infos = self.client.all_conversations().await?;
        let groups = infos.into_iter().filter(|info| info.is_group());
        Ok(groups
            .map(|info| PeerGroup::of(self.client.handle(info.id)))
            .collect())
    }

    /// The notices from now on, in the words of the first generation.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn notices(&self) -> Result<Arc<NoticeFeed>, SampanError> {
        self.client.notices(None).await
    }
}

/// Tells if a peer is in the list of watched peers and the app's server allowed it.
fn may_send_to(watched: &[WatchedClient], peer: &ClientId) -> bool {
    let found = watched.iter().find(|it| it.client == *peer);
    found.is_some_and(|it| it.presence != Presence::NotAllowed)
}

impl PeerGroup {
    fn of(conversation: Arc<Conversation>) -> Arc<Self> {
        Arc::new(Self { conversation })
    }
}

#[uniffi::export]
impl PeerGroup {
    /// The conversation of the group: for its name and attributes, its timeline, its history.
    #[must_use]
    pub fn conversation(&self) -> Arc<Conversation> {
        Arc::clone(&self.conversation)
    }

    /// The group's id; a local one until the service has made the group.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.info`.
    pub async fn id(&self) -> Result<ConversationId, SampanError> {
        Ok(self.conversation.info().await?.id)
    }

    /// The members, as this device has them.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.info`.
    pub async fn members(&self) -> Result<Vec<ClientId>, SampanError> {
        Ok(self.conversation.info().await?.members)
    }

    /// Joins the group.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.join`.
    pub async fn join(&self) -> Result<CommitSeq, SampanError> {
        self.conversation.join().await
    }

    /// Leaves the group. Leaving needs no signature.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.quit`.
    pub async fn leave(&self) -> Result<CommitSeq, SampanError> {
        self.conversation.quit().await
    }

    /// Adds peers to the group; they need not accept.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.add_members`.
    pub async fn invite(&self, peers: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.conversation.add_members(peers).await
    }

    /// Removes peers.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.remove_members`.
    pub async fn kick(&self, peers: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.conversation.remove_members(peers).await
    }

    /// Sends a message to all members.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.send`.
    pub async fn send(&self, message: NewMessage) -> Result<SentMessage, SampanError> {
        self.conversation.send(message).await
    }
}
