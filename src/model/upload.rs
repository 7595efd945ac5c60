//! The progress of an upload, the reasons of a failure, and the service's permission to upload.

use std::fmt;

use super::Count;

/// The progress of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Progress {
    /// The transferred bytes.
    pub done: Count,
    /// All bytes; none where the size is not known.
    pub total: Option<Count>,
}

/// The reason why a file could not be uploaded.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum UploadFailure {
    /// The service or its file storage refused the file, for instance because of its size or kind. The same
    /// file is refused again until the service's settings change.
    Refused {
        /// The HTTP status.
        status: u32,
        /// The service's code, where it gave one.
        code: Option<i32>,
        /// The words of the refusal.
        reason: String,
    },
    /// All tries are used up, because the service or its file storage was not reached or was in trouble. A
    /// later try may succeed.
    Unreachable {
        /// The number of tries.
        tries: u32,
        /// The last failure.
        reason: String,
    },
    /// The copy on this device is gone or damaged. The app must send the original again.
    CopyLost {
        /// The fault.
        reason: String,
    },
    /// The service stores files in a way that this version does not support.
    UnknownStorage {
        /// The name of the way.
        provider: String,
    },
}

/// The service's permission to upload a file, with the id and the URL that the file will have.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadTicket {
    /// The way of uploading: `s3`, `qiniu`, `qcloud`.
    pub provider: String,
    /// The URL of the upload.
    pub upload_url: String,
    /// The token that proves the permission, and names the upload when it is confirmed.
    pub token: String,
    /// The id of the file.
    pub object_id: String,
    /// The URL of the stored file.
    pub url: String,
    /// The name of the file in the storage.
    pub key: String,
}

impl fmt::Debug for UploadTicket {
    /// Token and URLs give access.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadTicket")
            .field("provider", &self.provider)
            .field("object_id", &self.object_id)
            .finish_non_exhaustive()
    }
}
