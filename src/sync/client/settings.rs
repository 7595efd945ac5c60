//! The settings of a client's machine.

use crate::Limits;
use crate::model::{ClientId, DeviceTag};

/// The settings of a client's machine.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The identity.
    pub client: ClientId,
    /// The device's tag: of the devices that share a tag, one is signed in at a time.
    pub tag: Option<DeviceTag>,
    /// The id of this device that the app chose; none for one that is made once and kept.
    pub device_id: Option<String>,
    /// Name and version, as the service's statistics see it, such as `sampan/0.1.0`.
    pub user_agent: String,
    /// The signing of operations.
    pub signing: Signing,
    /// Paces and limits.
    pub limits: Limits,
}

/// The signing of operations: by the app's server, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// Operations are not signed; the app has no signer.
    #[default]
    Unsigned,
    /// Signing in alone is signed: with the session of an account.
    SignIns,
    /// The app has a signer: it is asked whenever an operation that needs it is sent.
    Signed,
    /// The same, and each opening of a session is signed: no token takes the place of a signature.
    SignedEachTime,
}

impl Signing {
    /// True if the app's signer signs operations.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Signed | Self::SignedEachTime)
    }
}
