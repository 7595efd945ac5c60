//! Compression of sealed packs: zstd at its fastest, its working memory kept between calls.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use zstd_safe::{CCtx, DCtx, compress_bound};

use crate::store::error::StoreError;
use crate::store::format::messagepack::BadRecord;

/// The fastest level that is not a special case: packs are small, and reading is what counts.
const LEVEL: i32 = 1;

/// The compressor and expander of one store. Some hundred KiB once it was used.
#[derive(Default)]
pub(crate) struct Compressor {
    compressor: Mutex<Option<CCtx<'static>>>,
    expander: Mutex<Option<DCtx<'static>>>,
}

impl Compressor {
    /// Compresses.
    pub(crate) fn compress(&self, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let failed = || StoreError::damaged("a pack cannot be compressed");
        let mut context = self
            .compressor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if context.is_none() {
            *context = CCtx::try_create();
        }
        let context = context.as_mut().ok_or_else(failed)?;
        let mut compressed = Vec::with_capacity(compress_bound(bytes.len()));
        context
            .compress(&mut compressed, bytes, LEVEL)
            .map_err(|_| failed())?;
        Ok(compressed)
    }

    /// Expands to exactly `length` bytes; allocates no more.
    pub(crate) fn expand(&self, bytes: &[u8], length: usize) -> Result<Vec<u8>, BadRecord> {
        let mut context = self.expander.lock().unwrap_or_else(PoisonError::into_inner);
        if context.is_none() {
            *context = DCtx::try_create();
        }
        let context = context.as_mut().ok_or(BadRecord)?;
        let mut expanded = Vec::with_capacity(length);
        context
            .decompress(&mut expanded, bytes)
            .map_err(|_| BadRecord)?;
        if expanded.len() == length {
            Ok(expanded)
        } else {
            Err(BadRecord)
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Squeeze")
    }
}
