//! The progress of a download.

use std::path::PathBuf;

use crate::model::{Count, Progress};

use super::Version;

/// The state of a download at one moment.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct DownloadState {
    /// The number of this state, for `Download.next`.
    pub version: Version,
    /// The phase.
    pub phase: DownloadPhase,
}

impl DownloadState {
    /// Goes to another phase.
    pub(crate) fn go_to(&mut self, phase: DownloadPhase) {
        self.version = Version(self.version.0.saturating_add(1));
        self.phase = phase;
    }
}

/// The phases of a download.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum DownloadPhase {
    /// The download has not begun, or waits for another try.
    Waiting,
    /// Bytes arrive.
    Running {
        /// The progress, earlier tries included; told at most four times a second.
        progress: Progress,
    },
    /// The file is on this device.
    Done {
        /// The path.
        path: PathBuf,
    },
    /// The download failed; the next one continues where it stopped.
    Failed {
        /// The reason.
        failure: DownloadFailure,
    },
    /// The app stopped the download; the next one continues where it stopped.
    Cancelled,
}

impl DownloadPhase {
    /// True if this is the last phase.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Done { .. } | Self::Failed { .. } | Self::Cancelled
        )
    }
}

/// The reason why a file could not be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum DownloadFailure {
    /// All tries are used up, because the host was not reached or was in trouble. A later download may succeed.
    Unreachable {
        /// The number of tries.
        tries: u32,
        /// The last failure.
        reason: String,
    },
    /// The host does not have the file.
    Absent,
    /// The host refuses the file.
    Refused {
        /// The HTTP status.
        status: u32,
    },
    /// The received bytes are not the file that the message describes.
    AnotherFile {
        /// The difference.
        reason: String,
    },
    /// The file is larger than the cache: `Config.file_cache_bytes`.
    TooLarge {
        /// The most bytes.
        limit: Count,
        /// The size of the file, or a lower bound of it.
        actual: Count,
    },
    /// The URL is not valid, or not encrypted and not of this machine.
    Address {
        /// The fault.
        reason: String,
    },
    /// The disk refused the file.
    Disk {
        /// The words of the operating system.
        reason: String,
    },
}
