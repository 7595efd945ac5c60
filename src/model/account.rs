//! The data of a client on this device, seen without opening it.

use super::{ClientId, Count};

/// The data of a client on this device, seen without opening it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Account {
    /// The name of its folder under the store root: `Engine.wipe_account` takes it.
    pub folder: String,
    /// The client; none of an encrypted store, where the name is secret too.
    pub client: Option<ClientId>,
    /// True if the store is encrypted.
    pub is_encrypted: bool,
    /// The bytes that the data take on the disk.
    pub bytes: u64,
    /// How much unsent work there is, as signing out counts it: read marks are left out, and failed work is in. None
    /// where that can't be told: of an encrypted store that is not open, and of a damaged one.
    pub unsent: Option<Count>,
}
