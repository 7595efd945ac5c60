//! The options of starting a service, and the reasons why a start fails.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::clock::{Clock, SystemEntropy};
use super::proxy::Network;
use super::s3::{S3Error, S3Files, S3Options};
use super::tls::{TlsError, TlsFiles};
use crate::core::app::{Apps, Secret};
use crate::files::{DiskFiles, FileStore, Files, MemoryFiles};
use crate::storage::{RedbStorage, StorageError};

/// The storage of the service's data.
#[derive(Clone, Debug)]
pub enum StorageChoice {
    /// In this folder, which is made if it is not there. One process at a time.
    Folder(PathBuf),
    /// In memory: gone when the service stops. For tests.
    Memory,
}

impl StorageChoice {
    /// The folder of the data, where there is one.
    pub(super) fn folder(&self) -> Option<&PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Memory => None,
        }
    }

    /// The file of the data, where there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.folder().map(|folder| RedbStorage::file_in(folder))
    }
}

/// The storage of the files that clients upload.
#[derive(Clone, Debug)]
pub enum FilesChoice {
    /// With the other data: in a folder of theirs, or in memory.
    WithData,
    /// In a storage that speaks S3.
    S3(S3Options),
}

impl FilesChoice {
    pub(super) async fn open(
        &self,
        storage: &StorageChoice,
        clock: &Clock,
    ) -> Result<Files, ServiceError> {
        let store: Box<dyn FileStore> = match (self, storage) {
            (Self::S3(options), _) => {
                let store = S3Files::new(options, clock.clone())?;
                store.check().await?;
                Box::new(store)
            }
            (Self::WithData, StorageChoice::Memory) => Box::<MemoryFiles>::default(),
            (Self::WithData, StorageChoice::Folder(folder)) => {
                let folder = folder.join("files");
                let opened = DiskFiles::open(&folder);
                Box::new(opened.map_err(|reason| ServiceError::Files { folder, reason })?)
            }
        };
        Ok(Files::new(store, Box::new(SystemEntropy)))
    }
}

/// The page that shows the service at work.
#[derive(Clone, Debug)]
pub struct InspectorOptions {
    /// The address of the page; port 0 takes a free port.
    pub listen: SocketAddr,
    /// The token; a caller that shows it sees everything that the service keeps.
    pub token: Secret,
}

/// The options of starting a service.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// The address to listen on; port 0 takes a free port.
    pub listen: SocketAddr,
    /// The storage of its data.
    pub storage: StorageChoice,
    /// The storage of the files that clients upload.
    pub files: FilesChoice,
    /// The apps it serves.
    pub apps: Apps,
    /// Under which URL clients reach it, where that is not the address they ask; with `https` when
    /// a reverse proxy encrypts.
    pub public_url: Option<String>,
    /// The certificate by which the service itself encrypts; without it a proxy does, or nobody.
    pub tls: Option<TlsFiles>,
    /// The proxies whose word about a client's address and encryption is taken.
    pub trusted_proxies: Vec<Network>,
    /// Requests and WebSockets that one address may open in a minute, as many as it likes without it;
    /// more are refused with status 429.
    pub address_rate: Option<u32>,
    /// The address of the metrics (`/metrics`), if they are served: only the operator should reach it. Port 0
    /// takes a free port.
    pub metrics: Option<SocketAddr>,
    /// The page that shows the service at work, if it is wanted.
    pub inspector: Option<InspectorOptions>,
    /// True if the service's own clock, which is kept with the data and never goes back, is to begin anew from
    /// the machine's: after a start with a wrong clock that was far ahead.
    pub forget_clock: bool,
}

/// The reason why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The data cannot be opened.
    #[error("the data cannot be opened: {0}")]
    Storage(#[from] StorageError),
    /// The folder of the clients' files cannot be opened.
    #[error("the folder of the files, {}, cannot be used: {reason}", .folder.display())]
    Files {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// The storage of the clients' files cannot be used.
    #[error("the storage of the files cannot be used: {0}")]
    S3(#[from] S3Error),
    /// The address cannot be listened on.
    #[error("{addr} cannot be listened on: {reason}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system does not tell when the service is to end.
    #[error("signals cannot be waited for: {0}")]
    Signal(std::io::Error),
    /// A thread cannot be made.
    #[error("the service's thread cannot be started: {0}")]
    Thread(std::io::Error),
}
