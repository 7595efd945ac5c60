//! The settings of an app's files.

use serde::Deserialize;

use super::range::{Range, range};

/// The limits of uploads by an app's clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSettings {
    /// True if clients may upload files to this service; otherwise an upload is refused with status 403. Files
    /// that are there are read all the same. Default true.
    pub enabled: bool,
    /// Bytes of one file, 1 to 5368709120 (5 GiB). Default 104857600 (100 MiB).
    pub file_bytes: u64,
    /// Bytes of all files of the app together, 1 to 1125899906842624 (1 PiB). Default 10737418240 (10 GiB).
    pub total_bytes: u64,
    /// Uploads in a minute from one address, 1 to 1000000; more are refused with status 429. Default 60.
    pub uploads: u32,
}

impl FileSettings {
    pub(super) fn ranges(&self) -> [Range; 3] {
        [
            range("files.file_bytes", self.file_bytes, 1, 5 << 30),
            range("files.total_bytes", self.total_bytes, 1, 1 << 50),
            range("files.uploads", u64::from(self.uploads), 1, 1_000_000),
        ]
    }
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            file_bytes: 100 << 20,
            total_bytes: 10 << 30,
            uploads: 60,
        }
    }
}
