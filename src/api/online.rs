//! Calls that only the service can answer: they need an open session and are never queued, except where their docs
//! say so.

use crate::SampanError;
use crate::model::{ClientId, Count, WatchedClient};
use crate::sync::{Done, ListInside, OpenPeers, Unwatch, Watch, Watched, WhoIsOnline};

use std::sync::Arc;

use super::client::Client;
use super::conversation::Conversation;

#[uniffi::export]
impl Client {
    /// The conversation of this client and some peers, as in the first generation. Its id is the MD5 of all their
    /// ids, sorted and joined by colons, so each of them finds it without creating it. The conversation is usable
    /// at once, online or not; the first message makes it at the service. The call also watches the peers from now
    /// on, because the service delivers a first message only to watched peers. Returns when the list of watched
    /// clients is durable.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when `peers` names only this client, or an id has a colon; `StoreUnavailable`;
    /// `SignedOut`, `ShutDown`.
    pub async fn peers(&self, peers: Vec<ClientId>) -> Result<Arc<Conversation>, SampanError> {
        let opened = self.request(OpenPeers { peers }).await?;
        Ok(self.handle(opened.conversation))
    }

    /// Asks the service which of these clients are signed in on at least one device; at most 1000 clients. The
    /// service answers for 20 clients at a time, so the call asks in parts. The order of the answer is not defined.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for more than 1000; `NotConnected`, `TimedOut`, `Refused`; `SignedOut`, `ShutDown`.
    pub async fn online_of(&self, clients: Vec<ClientId>) -> Result<Vec<ClientId>, SampanError> {
        Ok(self.request(WhoIsOnline { clients }).await?.clients)
    }

    /// Watches clients from now on. `Event.PresenceChanged` reports each client when the service has confirmed the
    /// watch, and whenever the client goes online or offline. Returns when the list of watched clients is durable,
    /// online or not; the engine sends the list again on each new connection. Where the app has a signer, it signs
    /// each request, and may leave clients out: for these the event says `Presence.NotAllowed`. A client watches at
    /// most 1000 clients.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when more than 1000 would be watched; `StoreUnavailable` when the list can't be made
    /// durable now; `SignedOut`, `ShutDown`.
    pub async fn watch(&self, clients: Vec<ClientId>) -> Result<(), SampanError> {
        self.request(Watch { clients }).await.map(|Done| ())
    }

    /// Stops watching clients; clients that are not watched are ignored. Returns when that is durable.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when it can't be made durable now; `SignedOut`, `ShutDown`.
    pub async fn unwatch(&self, clients: Vec<ClientId>) -> Result<(), SampanError> {
        self.request(Unwatch { clients }).await.map(|Done| ())
    }

    /// The watched clients, in order of their ids, with their states as the service told them on this connection.
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
    /// Asks the service for the newest messages, at most `limit`, and stores them. Answers how many of them are new
    /// on this device. Call it for a chat room, to show messages from the time when this client was outside: the
    /// engine fetches nothing of a chat room by itself. All other conversations are caught up with without this
    /// call.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut`, `Refused`; `NotFound`; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn fetch_newest(&self, limit: u32) -> Result<Count, SampanError> {
        Ok(self.fetch(None, limit).await?.added.into())
    }

    /// Asks the service for clients that are inside a chat room and online now: some of them, at most `limit`,
    /// which is cut to 1 to 50. The service has no complete list.
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
