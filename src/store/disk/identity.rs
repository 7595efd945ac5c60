//! The store's identity: its random number, its schema, and its data key wrapped by the app's key.
//!
//! Two files hold the same identity, so one damaged byte does not lock a user out of an encrypted store. Each
//! file is one frame whose payload is a record.

use std::io;

use chacha20poly1305::aead::OsRng;
use chacha20poly1305::aead::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::format::cipher::{Cipher, DataKey, StoreKey, new_data_key, unwrap, wrap};
use crate::store::format::codec::Codec;
use crate::store::format::frame::{self, FrameContext};
use crate::store::format::messagepack::{decode, encode};

/// The two copies.
pub(crate) const IDENTITY_FILES: [&str; 2] = ["store.0", "store.1"];

/// The identity's own frames belong to no store.
const FRAMES: FrameContext<'static> = FrameContext {
    store: 0,
    cipher: None,
};

/// The key of the identity's frames.
const KEY: &[u8] = b"identity";

/// The identity of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The random number in every frame.
    pub(crate) store: u64,
    /// The schema of everything in the folder.
    pub(crate) schema: u32,
    /// The data key of an encrypted store, wrapped.
    wrapped: Option<Vec<u8>>,
    /// The number of times that the identity was written.
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct IdentityRecord {
    store: u64,
    schema: u32,
    #[serde(with = "serde_bytes", default)]
    wrapped: Option<Vec<u8>>,
}

impl Identity {
    /// The identity of a new store.
    pub(crate) fn new(
        store: Option<u64>,
        schema: u32,
        key: Option<&StoreKey>,
    ) -> Result<Self, StoreError> {
        let wrapped = key.map(|key| wrap(&new_data_key(), key)).transpose()?;
        Ok(Self {
            store: store.unwrap_or_else(|| OsRng.next_u64()),
            schema,
            wrapped,
            version: 0,
        })
    }

    /// Reads the newer intact copy; none when there is none.
    pub(crate) fn read(disk: &dyn Disk) -> io::Result<Option<Self>> {
        Ok(Self::copies(disk)?.into_iter().next().map(|(_, copy)| copy))
    }

    /// Reads the intact copies, each with its file's name, the newer first.
    pub(crate) fn copies(disk: &dyn Disk) -> io::Result<Vec<(&'static str, Self)>> {
        let mut copies = Vec::new();
        for name in IDENTITY_FILES {
            let bytes = disk.read(name)?;
            let Some(opened) = bytes.and_then(|bytes| frame::open(KEY, &bytes, FRAMES).ok()) else {
                continue;
            };
            let Ok(record) = decode::<IdentityRecord>(&opened.payload) else {
                continue;
            };
            let IdentityRecord {
                store,
                schema,
                wrapped,
            } = record;
            let copy = Self {
                store,
                schema,
                wrapped,
                version: opened.seq,
            };
            copies.push((name, copy));
        }
        copies.sort_by_key(|(_, copy)| std::cmp::Reverse(copy.version));
        Ok(copies)
    }

    /// The number of copies that say the same as this identity.
    pub(crate) fn whole_copies(&self, disk: &dyn Disk) -> usize {
        let bytes = self.bytes().ok();
        let copies = IDENTITY_FILES.map(|name| disk.read(name).ok().flatten());
        copies.iter().filter(|copy| **copy == bytes).count()
    }

    /// True if payloads are encrypted.
    pub(crate) const fn is_encrypted(&self) -> bool {
        self.wrapped.is_some()
    }

    /// Writes a copy again that is missing, damaged or older.
    pub(crate) fn restore(self, disk: &dyn Disk) -> Result<(), StoreError> {
        let bytes = self.bytes()?;
        for name in IDENTITY_FILES {
            if disk.read(name).ok().flatten().as_ref() != Some(&bytes) {
                replace(disk, name, &bytes)?;
            }
        }
        Ok(())
    }

    /// Writes both copies, one after the other; durable on return.
    pub(crate) fn write(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let next = Self {
            version: self.version.saturating_add(1),
            ..self.clone()
        };
        let bytes = next.bytes()?;
        for name in IDENTITY_FILES {
            replace(disk, name, &bytes)?;
        }
        *self = next;
        Ok(())
    }

    fn bytes(&self) -> Result<Vec<u8>, StoreError> {
        let record = IdentityRecord {
            store: self.store,
            schema: self.schema,
            wrapped: self.wrapped.clone(),
        };
        frame::build(KEY, &encode(&record)?, self.version, FRAMES)
    }

    /// The codec of the store's values, given the app's key.
    pub(crate) fn codec(&self, key: Option<&StoreKey>) -> Result<Codec, StoreError> {
        let data_key = self.data_key(key)?;
        Ok(Codec::new(self.store, data_key.as_ref().map(Cipher::new)))
    }

    /// The identity with the data key wrapped by another key.
    pub(crate) fn rewrapped(&self, old: &StoreKey, new: &StoreKey) -> Result<Self, StoreError> {
        let data_key = self.data_key(Some(old))?.ok_or(StoreError::WrongKey)?;
        Ok(Self {
            wrapped: Some(wrap(&data_key, new)?),
            ..self.clone()
        })
    }

    fn data_key(&self, key: Option<&StoreKey>) -> Result<Option<DataKey>, StoreError> {
        match (&self.wrapped, key) {
            (None, None) => Ok(None),
            (Some(wrapped), Some(key)) => {
                unwrap(wrapped, key).map(Some).ok_or(StoreError::WrongKey)
            }
            (None, Some(_)) | (Some(_), None) => Err(StoreError::WrongKey),
        }
    }
}

fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    disk.replace(name, bytes)
        .map_err(|e| StoreError::io("writing the identity", &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::memory::MemoryDisk;

    #[test]
    fn one_damaged_copy_does_no_harm() {
        let disk = MemoryDisk::new(1);
        let key = StoreKey::new([1; 32]);
        let mut identity = Identity::new(None, 1, Some(&key)).unwrap();
        identity.write(&disk).unwrap();
        assert!(disk.damage(IDENTITY_FILES[0], 40));
        assert_eq!(Identity::read(&disk).unwrap(), Some(identity.clone()));
        assert!(identity.codec(Some(&key)).is_ok());
        assert_eq!(identity.codec(None).unwrap_err(), StoreError::WrongKey);
    }

    #[test]
    fn the_data_key_stays_when_the_apps_key_changes() {
        let (old, new) = (StoreKey::new([1; 32]), StoreKey::new([2; 32]));
        let identity = Identity::new(None, 1, Some(&old)).unwrap();
        let rewrapped = identity.rewrapped(&old, &new).unwrap();
        assert_eq!(
            rewrapped.codec(Some(&old)).unwrap_err(),
            StoreError::WrongKey
        );
        let hash = |codec: Codec| codec.hash_key;
        assert_eq!(
            hash(rewrapped.codec(Some(&new)).unwrap()),
            hash(identity.codec(Some(&old)).unwrap())
        );
    }
}
