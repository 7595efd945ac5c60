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

/// A session in the words of the first generation: a peer watches other peers, sends to those whom it watches, and
/// takes part in groups. It is a client under another name: both may be used side by side.
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

    /// Watches these peers, and those of earlier sessions, and opens the session; a later device with the same tag
    /// signs an earlier one out. Returns when the session is open, and waits as long as there is no connection.
    ///
    /// # Errors
    ///
    /// Those of `Client.watch` and `Client.wait_online`.
    pub async fn open(&self, watched: Vec<ClientId>) -> Result<(), SampanError> {
        self.client.watch(watched).await?;
        self.client.go_online(None)?;
        self.client.wait_online().await
    }

    /// Closes the session: nothing is received any more until `open`.
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

    /// Watches peers no more.
    ///
    /// # Errors
    ///
    /// Those of `Client.unwatch`.
    pub async fn unwatch(&self, peers: Vec<ClientId>) -> Result<(), SampanError> {
        self.client.unwatch(peers).await
    }

    /// Whether a peer is watched, and may be sent to: it is in the list, and the app's server allowed it as far as is
    /// known.
    ///
    /// # Errors
    ///
    /// Those of `Client.watched`.
    pub async fn is_watching(&self, peer: ClientId) -> Result<bool, SampanError> {
        Ok(may_send_to(&self.client.watched().await?, &peer))
    }

    /// Those of these peers who are online now, watched or not (`getStatus`).
    ///
    /// # Errors
    ///
    /// Those of `Client.online_of`.
    pub async fn status(&self, peers: Vec<ClientId>) -> Result<Vec<ClientId>, SampanError> {
        self.client.online_of(peers).await
    }

    /// Sends a message to peers, all of whom are watched. Durable in the outbox on return, unless it is transient.
    ///
    /// # Errors
    ///
    /// `NotPossible` when one of them is not watched: it would not be delivered; those of `Client.peers` and of
    /// `Conversation.send`.
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

    /// Makes a group and joins it (`createGroup`, `joinGroup` without an id). Usable at once, online or not.
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

    /// Joins a group that exists. Durable in the outbox on return.
    ///
    /// # Errors
    ///
    /// Those of `Client.join`.
    pub async fn join_group(&self, id: ConversationId) -> Result<Arc<PeerGroup>, SampanError> {
        Ok(PeerGroup::of(self.client.join(id).await?))
    }

    /// A group by its id, without joining it: from this device, else from the service.
    ///
    /// # Errors
    ///
    /// `NotFound`, and those of `Client.fetch_conversation`.
    pub async fn group(&self, id: ConversationId) -> Result<Arc<PeerGroup>, SampanError> {
        Ok(PeerGroup::of(self.client.known_or_fetched(id).await?))
    }

    /// The groups that this peer is in, as far as this device knows: conversations of more than peers.
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

/// Whether a peer is in the list of those who are watched, and the app's server allowed it.
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
    /// The conversation that the group is: for its name and own data, its timeline, its history.
    #[must_use]
    pub fn conversation(&self) -> Arc<Conversation> {
        Arc::clone(&self.conversation)
    }

    /// Its id; a local one until the service has made it.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.info`.
    pub async fn id(&self) -> Result<ConversationId, SampanError> {
        Ok(self.conversation.info().await?.id)
    }

    /// The members, as far as this device knows them.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.info`.
    pub async fn members(&self) -> Result<Vec<ClientId>, SampanError> {
        Ok(self.conversation.info().await?.members)
    }

    /// Joins it.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.join`.
    pub async fn join(&self) -> Result<CommitSeq, SampanError> {
        self.conversation.join().await
    }

    /// Leaves it; no signature is needed for that.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.quit`.
    pub async fn leave(&self) -> Result<CommitSeq, SampanError> {
        self.conversation.quit().await
    }

    /// Invites peers: they are in it from then on.
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
