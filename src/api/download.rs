//! [`Download`]: the file of a message comes to this device.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::SampanError;
use crate::StoreTrouble;
use crate::model::{MediaFile, Refusal};
use crate::runtime::LiveDownload;
use crate::views::{DownloadFailure, DownloadPhase, DownloadState, Version};

use super::client::Client;

/// The file of a message on its way to this device, or there.
///
/// The file stays on this device at least as long as the handle; later the file goes when the cache needs the room
/// (`Config.file_cache_bytes`), the one used longest ago first. The bytes of a download that was stopped or broke are
/// kept, and only the rest is asked for.
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
    /// Begins to download the file of a message, or finds it on this device. It does not wait, and needs no session.
    /// Two downloads of one URL are one. An own file that is not uploaded yet is found too; its path may end with the
    /// upload, and the message's new URL finds the file again.
    ///
    /// The bytes are checked against the size in the message, and against the checksum that Sampan writes beside
    /// it; others' files often have none.
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
    /// The state that is newer than `have`, at once or when there is one; none behind the last. 0 is no state. It may
    /// be cancelled and asked again.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub async fn next(&self, have: Version) -> Result<Option<DownloadState>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Waits until the file is on this device, and gives its path. The file must not be changed; copy it to keep it.
    /// Where the store is encrypted, the file at the path is a copy in the clear, which goes with the last handle.
    ///
    /// # Errors
    ///
    /// `NotConnected` when its host was not reached; `Refused` when the host does not give it, with the HTTP
    /// status, or gives another file, with 0; `TooLarge`; `InvalidArgument` for an address that can't be used;
    /// `StoreUnavailable` when the disk does not take it; `ViewEnded` when the download was stopped.
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

    /// Stops the download for everybody who waits for it. The bytes that came are kept for another time.
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
