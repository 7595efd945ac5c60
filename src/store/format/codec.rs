//! The codec of one store: it frames values and hashes names.

use std::borrow::Cow;
use std::fmt;

use crate::store::error::StoreError;
use crate::store::format::cipher::{Cipher, HashKey};
use crate::store::format::compress::Compressor;
use crate::store::format::frame::{self, BadFrame, FrameContext};

/// The codec of a store: how values are framed and names hashed.
pub(crate) struct Codec {
    /// The store's own random number, in every frame.
    pub(crate) store: u64,
    pub(crate) cipher: Option<Cipher>,
    pub(crate) hash_key: HashKey,
    pub(crate) compressor: Compressor,
}

impl Codec {
    pub(crate) fn new(store: u64, cipher: Option<Cipher>) -> Self {
        let hash_key = cipher
            .as_ref()
            .map(|cipher| *cipher.hash_key())
            .unwrap_or_default();
        Self {
            store,
            cipher,
            hash_key,
            compressor: Compressor::default(),
        }
    }

    /// The context of this store's frames.
    pub(crate) fn frame_context(&self) -> FrameContext<'_> {
        FrameContext {
            store: self.store,
            cipher: self.cipher.as_ref(),
        }
    }

    /// Puts a record's bytes into the frame of its key.
    pub(crate) fn frame(
        &self,
        key: &[u8],
        payload: &[u8],
        seq: u64,
    ) -> Result<Vec<u8>, StoreError> {
        frame::build(key, payload, seq, self.frame_context())
    }

    /// The record's bytes in the value of a key.
    pub(crate) fn open<'a>(&self, key: &[u8], value: &'a [u8]) -> Result<Cow<'a, [u8]>, BadFrame> {
        frame::payload(key, value, self.frame_context())
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("encrypted", &self.cipher.is_some())
            .finish()
    }
}
