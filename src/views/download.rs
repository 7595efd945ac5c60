//! How far a download is.

use std::path::PathBuf;

use crate::model::{Count, Progress};

use super::Version;

/// A download at one moment.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct DownloadState {
    /// The version: `Download.next` takes it.
    pub version: Version,
    /// Where it stands.
    pub phase: DownloadPhase,
}

impl DownloadState {
    /// Goes on to another phase.
    pub(crate) fn go_to(&mut self, phase: DownloadPhase) {
        self.version = Version(self.version.0.saturating_add(1));
        self.phase = phase;
    }
}

/// Where a download stands.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum DownloadPhase {
    /// It has not begun, or waits for another try.
    Waiting,
    /// Bytes come.
    Running {
        /// So many, those of earlier tries included; told at most four times a second.
        progress: Progress,
    },
    /// The file is on this device.
    Done {
        /// The path.
        path: PathBuf,
    },
    /// It failed; beginning it again goes on where it stopped.
    Failed {
        /// The reason.
        failure: DownloadFailure,
    },
    /// The app stopped it; beginning it again goes on where it stopped.
    Cancelled,
}

impl DownloadPhase {
    /// True if nothing follows.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Done { .. } | Self::Failed { .. } | Self::Cancelled
        )
    }
}

/// Why a file could not be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum DownloadFailure {
    /// Its host was not reached, or had trouble of its own, as often as is tried. Trying again later may help.
    Unreachable {
        /// How often it was tried.
        tries: u32,
        /// The last failure.
        reason: String,
    },
    /// Its host does not have it.
    Absent,
    /// Its host does not give it.
    Refused {
        /// The HTTP status.
        status: u32,
    },
    /// The bytes that came are not the file that the message describes.
    AnotherFile {
        /// The difference.
        reason: String,
    },
    /// It is larger than the cache: `Config.file_cache_bytes`.
    TooLarge {
        /// The most bytes.
        limit: Count,
        /// How many it has, or has at least.
        actual: Count,
    },
    /// Its address is none, or one that is not encrypted and beyond this machine.
    Address {
        /// The fault.
        reason: String,
    },
    /// The disk did not take it.
    Disk {
        /// The words of the operating system.
        reason: String,
    },
}
