//! [`Download`]: brings the file of a message to this device.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::SampanError;
use crate::StoreTrouble;
use crate::model::{MediaFile, Refusal};
use crate::runtime::LiveDownload;
use crate::views::{DownloadFailure, DownloadPhase, DownloadState, Version};

use super::client::Client;

/// The download of a message's file.
///
/// The file stays on this device at least as long as the handle. Later the file is removed when the cache needs the
/// room (`Config.file_cache_bytes`), the least recently used file first. The bytes of a stopped or broken download
/// are kept, and the next download asks only for the rest. A file in one of `Config.legacy_file_folders` stays as
/// long as the app leaves it there.
#[derive(uniffi::Object)]
#[uniffi::export(Debug)]
pub struct Download {
    live: Arc<LiveDownload>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Download(..)")
    }
}

#[uniffi::export]
impl Client {
    /// Begins to download the file of a message, or finds the file on this device. The call does not wait, and
    /// needs no session. Two downloads of one URL share one transfer. The call also finds an own file that is not
    /// uploaded yet; the path of such a file may end with the upload, and the message's new URL finds the file
    /// again.
    ///
    /// The bytes are checked against the size in the message, and against the checksum that Sampan writes beside
    /// the size. Files from other SDKs often have no checksum.
    ///
    /// # Errors
    ///
    /// `SignedOut`, `ShutDown`.
    pub fn download(&self, file: MediaFile) -> Result<Arc<Download>, SampanError> {
        if self.core.store.is_closed() {
            return Err(self.runtime.board().ended());
        }
        let live = LiveDownload::begin(&self.runtime, &self.core, file);
        Ok(Arc::new(Download { live }))
    }
}

#[uniffi::export]
impl Download {
    /// Waits for a state newer than `have`, and answers it at once when there is one. Zero is the version of a
    /// caller without a state. None after the last state. A cancelled call loses nothing.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn next(&self, have: Version) -> Result<Option<DownloadState>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Waits until the file is on this device, and answers its path. Do not change the file; copy it to keep it.
    /// Where the store is encrypted, the file at the path is an unencrypted copy, which is removed with the last
    /// handle.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the host was not reached; `Refused` when the host does not give the file, with the HTTP
    /// status, or gives another file, with 0; `TooLarge`; `InvalidArgument` for an address that can't be used;
    /// `StoreUnavailable` when the disk does not take the file; `ViewEnded` when the download was stopped.
    pub async fn file(&self) -> Result<PathBuf, SampanError> {
        let mut have = Version::NONE;
        while let Some(state) = self.live.next(have).await {
            match state.phase {
                DownloadPhase::Done { path } => return Ok(path),
                DownloadPhase::Failed { failure } => return Err(error(failure)),
                DownloadPhase::Cancelled => return Err(SampanError::ViewEnded),
                DownloadPhase::Waiting | DownloadPhase::Running { .. } => have = state.version,
            }
        }
        Err(SampanError::ViewEnded)
    }

    /// Stops the download for all handles of this file. The received bytes are kept for a later download.
    pub fn cancel(&self) {
        self.live.cancel();
    }
}

fn error(failure: DownloadFailure) -> SampanError {
    let refused = |code: u32, reason: String| SampanError::Refused {
        refusal: Refusal::Other,
        code: i32::try_from(code).unwrap_or_default(),
        reason,
    };
    match failure {
        DownloadFailure::Unreachable { .. } => SampanError::NotConnected,
        DownloadFailure::Absent => refused(404, "the host does not have the file".to_owned()),
        DownloadFailure::Refused { status } => {
            refused(status, "the host does not give the file".to_owned())
        }
        DownloadFailure::AnotherFile { reason } => refused(0, reason),
        DownloadFailure::TooLarge { limit, actual } => SampanError::TooLarge { limit, actual },
        DownloadFailure::Address { reason } => SampanError::InvalidArgument { reason },
        DownloadFailure::Disk { reason } => SampanError::StoreUnavailable {
            trouble: StoreTrouble::Device,
            reason,
        },
    }
}
