//! Encryption at rest: XChaCha20-Poly1305 under a random data key, which the app's key wraps.

use std::fmt;

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::store::error::StoreError;

/// The app's key to an encrypted store: 32 bytes from the Keychain or Keystore.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// Takes the key's bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The cipher under the app's key itself, which encrypts the inbox.
    pub(in crate::store) fn cipher(&self) -> Cipher {
        Cipher::new(&self.0)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// Encrypts and decrypts payloads under one key.
pub(crate) struct Cipher {
    aead: XChaCha20Poly1305,
    hash_key: HashKey,
}

/// The random key of one store.
pub(crate) type DataKey = [u8; 32];

const NONCE: usize = 24;
const AUTHENTICATOR: usize = 16;

impl Cipher {
    /// The bytes that encryption adds to a payload.
    pub(crate) const OVERHEAD: usize = NONCE + AUTHENTICATOR;

    /// The cipher of a data key. Names in keys are hashed under a key derived from it.
    pub(crate) fn new(key: &DataKey) -> Self {
        let aead = XChaCha20Poly1305::new(key.into());
        // The keystream at a fixed nonce that no random nonce meets (with odds of 2^-192) is a
        // secret of its own; nothing else is ever encrypted under that nonce.
        let stream = aead.encrypt(&XNonce::from([0xA5; NONCE]), [0_u8; 16].as_slice());
        let hash_key = stream
            .ok()
            .and_then(|stream| stream.first_chunk::<16>().copied())
            .unwrap_or_default();
        Self { aead, hash_key }
    }

    /// The key of the files beside the store, derived from the data key in the same way.
    pub(in crate::store) fn file_key(&self) -> Option<DataKey> {
        let stream = self
            .aead
            .encrypt(&XNonce::from([0x5A; NONCE]), [0_u8; 32].as_slice());
        stream.ok()?.first_chunk::<32>().copied()
    }

    /// The secret under which names in keys are hashed.
    pub(crate) const fn hash_key(&self) -> &HashKey {
        &self.hash_key
    }

    /// Encrypts a payload; `header` and `key` are authenticated with it.
    pub(crate) fn encrypt(
        &self,
        payload: &[u8],
        header: &[u8],
        key: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let aad = [header, key].concat();
        let sealed = self
            .aead
            .encrypt(
                &nonce,
                Payload {
                    msg: payload,
                    aad: &aad,
                },
            )
            .map_err(|_| StoreError::damaged("a payload cannot be encrypted"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts a payload; none when it is not authentic.
    pub(crate) fn decrypt(&self, sealed: &[u8], header: &[u8], key: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let aad = [header, key].concat();
        self.aead
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: sealed,
                    aad: &aad,
                },
            )
            .ok()
    }
}

/// A new random data key.
pub(crate) fn new_data_key() -> DataKey {
    XChaCha20Poly1305::generate_key(&mut OsRng).into()
}

/// Encrypts a data key under the app's key.
pub(crate) fn wrap(data_key: &DataKey, app_key: &StoreKey) -> Result<Vec<u8>, StoreError> {
    Cipher::new(&app_key.0).encrypt(data_key, b"sampan data key", &[])
}

/// Decrypts a data key; none when the app's key is not the one that wrapped it.
pub(crate) fn unwrap(wrapped: &[u8], app_key: &StoreKey) -> Option<DataKey> {
    let key = Cipher::new(&app_key.0).decrypt(wrapped, b"sampan data key", &[])?;
    key.try_into().ok()
}

/// The secret under which names are hashed; zero for a store without encryption.
pub(crate) type HashKey = [u8; 16];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_comes_back_under_the_key_that_wrapped_it_alone() {
        let data_key = new_data_key();
        let app_key = StoreKey::new([1; 32]);
        let wrapped = wrap(&data_key, &app_key).unwrap();
        assert_eq!(unwrap(&wrapped, &app_key), Some(data_key));
        assert_eq!(unwrap(&wrapped, &StoreKey::new([2; 32])), None);
        assert_eq!(format!("{app_key:?}"), "StoreKey(..)");
    }
}
