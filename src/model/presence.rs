//! The presence of other clients.

use super::ClientId;

/// The known presence of a watched client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Presence {
    /// The service has not told it yet on this connection, or there is no session.
    #[default]
    Unknown,
    /// The client is signed in on at least one device.
    Online,
    /// The client is signed in on no device.
    Offline,
    /// This client may not watch that client: the app's server left it out of the signed clients, or the
    /// service refused the signature.
    NotAllowed,
}

/// A watched client.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct WatchedClient {
    /// The watched client.
    pub client: ClientId,
    /// The client's presence.
    pub presence: Presence,
}
