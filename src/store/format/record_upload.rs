//! The stored form of a file that a message waits for.

use serde::{Deserialize, Serialize};

use crate::model::{UploadFailure, UploadTicket};
use crate::store::types::entry::{Upload, UploadStage};

/// A file that has to be uploaded before its message is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    file: String,
    name: String,
    mime: String,
    bytes: u64,
    #[serde(default)]
    ticket: Option<TicketRecord>,
    #[serde(default)]
    stored: bool,
}

/// The place that the service lets the file be uploaded to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct TicketRecord {
    provider: String,
    upload_url: String,
    token: String,
    object_id: String,
    url: String,
    key: String,
}

impl TicketRecord {
    fn of(ticket: &UploadTicket) -> Self {
        let UploadTicket {
            provider,
            upload_url,
            token,
            object_id,
            url,
            key,
        } = ticket.clone();
        Self {
            provider,
            upload_url,
            token,
            object_id,
            url,
            key,
        }
    }

    fn ticket(self) -> UploadTicket {
        UploadTicket {
            provider: self.provider,
            upload_url: self.upload_url,
            token: self.token,
            object_id: self.object_id,
            url: self.url,
            key: self.key,
        }
    }
}

impl UploadRecord {
    /// The stored form.
    pub(crate) fn of(upload: &Upload) -> Self {
        let ticket = match &upload.stage {
            UploadStage::Waiting => None,
            UploadStage::Ticketed(ticket) | UploadStage::Stored(ticket) => {
                Some(TicketRecord::of(ticket))
            }
        };
        Self {
            file: upload.file.clone(),
            name: upload.name.clone(),
            mime: upload.mime.clone(),
            bytes: upload.bytes,
            ticket,
            stored: matches!(upload.stage, UploadStage::Stored(_)),
        }
    }

    /// The file.
    pub(crate) fn upload(self) -> Upload {
        let stage = match self.ticket.map(TicketRecord::ticket) {
            None => UploadStage::Waiting,
            Some(ticket) if self.stored => UploadStage::Stored(ticket),
            Some(ticket) => UploadStage::Ticketed(ticket),
        };
        Upload {
            file: self.file,
            name: self.name,
            mime: self.mime,
            bytes: self.bytes,
            stage,
        }
    }
}

/// The reason why an upload failed for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum UploadFailureRecord {
    Refused {
        status: u32,
        code: Option<i32>,
        reason: String,
    },
    Unreachable {
        tries: u32,
        reason: String,
    },
    CopyLost {
        reason: String,
    },
    UnknownStorage {
        provider: String,
    },
}

impl UploadFailureRecord {
    /// The stored form.
    pub(crate) fn of(failure: UploadFailure) -> Self {
        match failure {
            UploadFailure::Refused {
                status,
                code,
                reason,
            } => Self::Refused {
                status,
                code,
                reason,
            },
            UploadFailure::Unreachable { tries, reason } => Self::Unreachable { tries, reason },
            UploadFailure::CopyLost { reason } => Self::CopyLost { reason },
            UploadFailure::UnknownStorage { provider } => Self::UnknownStorage { provider },
        }
    }

    /// The failure.
    pub(crate) fn failure(self) -> UploadFailure {
        match self {
            Self::Refused {
                status,
                code,
                reason,
            } => UploadFailure::Refused {
                status,
                code,
                reason,
            },
            Self::Unreachable { tries, reason } => UploadFailure::Unreachable { tries, reason },
            Self::CopyLost { reason } => UploadFailure::CopyLost { reason },
            Self::UnknownStorage { provider } => UploadFailure::UnknownStorage { provider },
        }
    }
}
