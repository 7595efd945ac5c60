//! The options with which a client is opened: its tag, its device, its signer, the key of its store.

use std::fmt;
use std::sync::Arc;

use crate::model::DeviceTag;
use crate::runtime::OpenOptions;
use crate::store::StoreKey;
use crate::{SampanError, Secret};

use super::observer::{Signer, signer_of};

/// The most characters of a device id.
const DEVICE_ID_MAX: usize = 64;

/// The options with which a client is opened.
#[derive(Clone, Default, uniffi::Record)]
pub struct ClientOptions {
    /// A tag. Of the devices of this client with the same tag, one is signed in at a time. None: any number of
    /// devices.
    #[uniffi(default)]
    pub tag: Option<DeviceTag>,
    /// The app's own id of this device, 1 to 64 characters. By this id the service distinguishes a device that
    /// comes back from another device. The service gets the id at the next sign-in. None: the engine makes an id at
    /// the first sign-in and keeps it.
    #[uniffi(default)]
    pub device_id: Option<String>,
    /// The session of the user's account, for an app whose own server keeps the accounts behind the client ids. The
    /// service asks that server for the client of the session, and signs this client in if the answer is this
    /// client. The service gets the session at each sign-in that needs a new signature. The session is not stored
    /// on this device.
    ///
    /// `SessionEnd.Refused` reports a bad session, with the code of the app's server or else the HTTP status.
    /// Opening the client again with another session replaces the session from the next sign-in on. The option
    /// needs the address of the service's router or REST interface. A `signer` that is given too signs all other
    /// operations. None where clients sign in in another way.
    #[uniffi(default)]
    pub account_session: Option<Secret>,
    /// Signs the operations that need a signature at the service; none where no operation needs one.
    #[uniffi(default)]
    pub signer: Option<Arc<dyn Signer>>,
    /// True: the signer signs each connection. `SigningRequest.SignIn` reaches the signer whenever a session opens, and
    /// the session stays closed while the signer does not answer. False, the default: the signer signs a sign-in, and
    /// a broken session opens again with the token that the service gave.
    #[uniffi(default = false)]
    pub signs_each_connection: bool,
    /// The key of the store on this device: 64 hexadecimal digits, from the Keychain or Keystore. None: the store
    /// is not encrypted.
    #[uniffi(default)]
    pub store_key: Option<Secret>,
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("tag", &self.tag)
            .field("own_device_id", &self.device_id.is_some())
            .field("with_account", &self.account_session.is_some())
            .field("signed", &self.signer.is_some())
            .field("signs_each_connection", &self.signs_each_connection)
            .field("encrypted", &self.store_key.is_some())
            .finish()
    }
}

impl ClientOptions {
    pub(super) fn checked(self) -> Result<OpenOptions, SampanError> {
        let key = match &self.store_key {
            Some(digits) => Some(store_key(digits.reveal())?),
            None => None,
        };
        let length = self.device_id.as_ref().map(|id| id.chars().count());
        if length.is_some_and(|length| !(1..=DEVICE_ID_MAX).contains(&length)) {
            let reason = "device_id: 1 to 64 characters".to_owned();
            return Err(SampanError::InvalidArgument { reason });
        }
        Ok(OpenOptions {
            tag: self.tag,
            device_id: self.device_id,
            key,
            signer: self.signer.map(signer_of),
            account: self.account_session,
            signs_each_connection: self.signs_each_connection,
        })
    }
}

pub(super) fn store_key(digits: &str) -> Result<StoreKey, SampanError> {
    let wrong = || SampanError::InvalidArgument {
        reason: "a store key is 64 hexadecimal digits".to_owned(),
    };
    if digits.len() != 64 {
        return Err(wrong());
    }
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(StoreKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_key_has_64_hexadecimal_digits_and_nothing_else() {
        assert!(store_key(&"0aF9".repeat(16)).is_ok());
        for wrong in [
            String::new(),
            "0a".repeat(31),
            "0g".repeat(32),
            "é".repeat(32),
        ] {
            assert!(store_key(&wrong).is_err(), "{wrong}");
        }
    }
}
