//! How far an upload got, why one failed, and the service's permission for one.

use std::fmt;

use super::Count;

/// How far a transfer got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Progress {
    /// Bytes that are transferred.
    pub done: Count,
    /// Bytes in all; none where that is not known.
    pub total: Option<Count>,
}

/// Why a file could not be uploaded.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum UploadFailure {
    /// The service or its file storage refused it, such as a file that is too large or of a kind that is not
    /// allowed. The same file is refused again until the service's settings change.
    Refused {
        /// The HTTP status.
        status: u32,
        /// The service's number, where it gave one.
        code: Option<i32>,
        /// The words of the refusal.
        reason: String,
    },
    /// It was tried as often as allowed, and the service or its file storage was not reached or had trouble of
    /// its own. Trying again later may help.
    Unreachable {
        /// How often it was tried.
        tries: u32,
        /// The last failure.
        reason: String,
    },
    /// The copy on this device can't be read: it is gone or damaged. Nothing helps but sending the original again.
    CopyLost {
        /// The fault.
        reason: String,
    },
    /// The service stores files in a way that this version does not know.
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
    /// Where to upload to.
    pub upload_url: String,
    /// The token that proves the permission, and names the upload when it is confirmed.
    pub token: String,
    /// The id of the file.
    pub object_id: String,
    /// Where the file will be found.
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
