//! The reasons why loading ended early.

use std::path::PathBuf;

use sampan_service::storage::StorageError;

use super::export::ExportError;
use crate::archive::ArchiveError;
use crate::http::Fatal;

/// The reason why loading ended early. The rows that were loaded stay, and loading again goes on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An export cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The service's data cannot be used.
    #[error("the service's data: {0}")]
    Storage(StorageError),
    /// Another process has the service's data open.
    #[error(
        "the service's data is in use: stop the service, or load into it while it runs, with --server URL in place of \
         --data"
    )]
    InUse,
    /// The disk has no room for the service's data.
    #[error(
        "the disk is full. Nothing that was loaded before is lost; make room and run the same command again"
    )]
    DiskFull,
    /// The service refuses to load.
    #[error(transparent)]
    Refused(#[from] Fatal),
    /// The service does not know how to load.
    #[error("{0} takes no history: it is no sampan-service, or one of an older version")]
    TakesNone(String),
    /// The answer of the service says nothing of the rows that it was sent.
    #[error("{0} answers as no sampan-service does")]
    Answer(String),
    /// The service did not load in spite of many tries.
    #[error("the service does not load ({reason}), after {tries} tries")]
    GivenUp {
        /// The last reason.
        reason: String,
        /// The number of tries.
        tries: u32,
    },
    /// Loading stopped at a row; the row or one of those right before it is the cause.
    #[error("{error}. Loading stopped at {place}. Rows before it stay loaded; run it again")]
    Stopped {
        /// The source, and the row in it.
        place: String,
        /// The reason.
        error: Box<LoadError>,
    },
    /// An archive is of another app.
    #[error("{path} is an archive of app {found}, not of {wanted}; nothing of it was loaded")]
    OtherApp {
        /// The archive.
        path: PathBuf,
        /// Its app.
        found: String,
        /// The app that is loaded into.
        wanted: String,
    },
    /// None of an export's conversations is in the archives.
    #[error(
        "none of the {conversations} conversations of {} is in the archives that are loaded with it: it seems to be \
         another app's export. Nothing of it was loaded, the archives were; --any-export loads it all the same",
        .path.display()
    )]
    OtherExport {
        /// The export.
        path: PathBuf,
        /// How many conversations it has.
        conversations: usize,
    },
    /// The app's id is none.
    #[error("{0:?} is no id of an app")]
    AppId(String),
    /// The report cannot be written.
    #[error("the report cannot be written: {0}")]
    Report(std::io::Error),
}

impl From<StorageError> for LoadError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::InUse => Self::InUse,
            error if error.is_disk_full() => Self::DiskFull,
            error => Self::Storage(error),
        }
    }
}
