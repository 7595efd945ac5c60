//! The data of a client on this device, as the engine finds them without opening the store.

use super::{ClientId, Count};

/// The data of a client on this device, as the engine finds them without opening the store.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Account {
    /// The name of the client's folder under the store root, for `Engine.wipe_account`.
    pub folder: String,
    /// The client; none for an encrypted store, whose client is secret.
    pub client: Option<ClientId>,
    /// True if the store is encrypted.
    pub is_encrypted: bool,
    /// The size of the data on disk, in bytes.
    pub bytes: u64,
    /// The number of unsent entries, as a sign-out counts them: without read marks, with failed entries. None
    /// where the number is unknown: for an encrypted store that is not open, and for a damaged one.
    pub unsent: Option<Count>,
}
