//! Whether other clients are online.

use super::ClientId;

/// The presence of a client that is watched, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Presence {
    /// The service has not told yet on this connection: it is not asked yet, or there is no session.
    #[default]
    Unknown,
    /// It is signed in on at least one device.
    Online,
    /// It is signed in nowhere.
    Offline,
    /// This client may not watch it: the app's server left it out of what it signed, or the service refused the
    /// signature.
    NotAllowed,
}

/// A client that is watched.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct WatchedClient {
    /// The client that is watched.
    pub client: ClientId,
    /// Whether it is online.
    pub presence: Presence,
}
