//! Calls that only the service can answer: they need an open session, and nothing of them is queued.

use crate::SampanError;
use crate::model::{ClientId, Count, WatchedClient};
use crate::sync::{Done, ListInside, OpenPeers, Unwatch, Watch, Watched, WhoIsOnline};

use std::sync::Arc;

use super::client::Client;
use super::conversation::Conversation;

#[uniffi::export]
impl Client {
    /// The conversation of this client and some peers that nobody has to make, as in the first generation: its id is
    /// the MD5 of all their ids, sorted and joined by colons, so that each of them finds it. It can be used at once,
    /// online or not; the first message makes it at the service, and the peers are watched from now on, for the
    /// service takes a first message to nobody else. Returns when that is durable.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when nobody else is named, or an id has a colon; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn peers(&self, peers: Vec<ClientId>) -> Result<Arc<Conversation>, SampanError> {
        let opened = self.request(OpenPeers { peers }).await?;
        Ok(self.handle(opened.conversation))
    }

    /// Asks the service which of these clients are signed in, on a device at least. The service answers for 20 at a
    /// time, so more are asked for in parts; at most 1000. The order of the answer is free.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for more than 1000; `NotConnected`, `TimedOut`, `Refused`; `SignedOut`, `ShutDown`.
    pub async fn online_of(&self, clients: Vec<ClientId>) -> Result<Vec<ClientId>, SampanError> {
        Ok(self.request(WhoIsOnline { clients }).await?.clients)
    }

    /// Watches clients from now on: `Event.PresenceChanged` tells of each when the service has confirmed it, and
    /// whenever it comes online or goes offline. Returns when the list of watched clients is durable, online or not;
    /// the list is sent again on each new connection. Where the app has a signer it signs each request, and may leave
    /// clients out: of those `Presence.NotAllowed` is told. At most 1000 clients are watched.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when more than 1000 would be watched; `StoreUnavailable` when the list can't be made durable
    /// now; `SignedOut`, `ShutDown`.
    pub async fn watch(&self, clients: Vec<ClientId>) -> Result<(), SampanError> {
        self.request(Watch { clients }).await.map(|Done| ())
    }

    /// Watches clients no more; those who are not watched are passed over. Returns when that is durable.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when it can't be made durable now; `SignedOut`, `ShutDown`.
    pub async fn unwatch(&self, clients: Vec<ClientId>) -> Result<(), SampanError> {
        self.request(Unwatch { clients }).await.map(|Done| ())
    }

    /// The clients that are watched, in order of their ids, with what the service told of them on this connection.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store is not open; `SignedOut`, `ShutDown`.
    pub async fn watched(&self) -> Result<Vec<WatchedClient>, SampanError> {
        Ok(self.request(Watched).await?.clients)
    }
}

#[uniffi::export]
impl Conversation {
    /// Asks the service for the newest messages, at most `limit`, and stores them; answers how many are new here. A
    /// chat room needs it to show what was said while this client was outside, for nothing of a chat room comes by
    /// itself; every other conversation is caught up with without it.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn fetch_newest(&self, limit: u32) -> Result<Count, SampanError> {
        Ok(self.fetch(None, limit).await?.added.into())
    }

    /// Asks the service who is inside a chat room and online now: some of them, `limit` at most, which is cut to
    /// 1 to 50. There is no complete list.
    ///
    /// # Errors
    ///
    /// Those of `count_members`; `NotPossible` for a conversation of another kind.
    pub async fn inside(&self, limit: u32) -> Result<Vec<ClientId>, SampanError> {
        let conversation = self.name();
        let call = ListInside {
            conversation,
            limit,
        };
        Ok(self.request(call).await?.clients)
    }
}
