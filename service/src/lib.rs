//! A self-hostable messaging service of the protocol that Sampan and the official SDKs speak.
//!
//! As a program: `sampan-service --listen 127.0.0.1:8080 --data DIR --app ID:KEY:MASTERKEY`; see
//! the README beside this crate. As a library it starts inside a test or another program:
//!
//! ```
//! use sampan_service::{Service, ServiceOptions};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let options = ServiceOptions::in_memory("myApp:myKey:myMasterKey".parse().unwrap());
//! let service = Service::start(options).await.unwrap();
//! println!("listening on http://{}", service.addr());
//! service.stop().await;
//! # });
//! ```
//!
//! | room | what is in it |
//! |---|---|
//! | [`core`] | the rules: commands in, effects out; no sockets, clocks or randomness |
//! | [`files`] | files of clients; a folder, or memory |
//! | [`storage`] | typed questions and writes; redb on disk, or memory |
//! | `shell` | sockets, threads and clocks around them |

pub mod core;
pub mod files;
mod shell;
pub mod storage;

use std::net::{Ipv4Addr, SocketAddr};

use self::core::app::{Apps, Credentials};
#[cfg(unix)]
pub use self::shell::{BackupRequest, socket_in};
pub use self::shell::{
    FilesChoice, InspectorOptions, Network, NotANetwork, RunningService, S3Error, S3Options,
    ServiceError, ServiceOptions, StorageChoice, TlsError, TlsFiles,
};

/// Starts services.
#[derive(Clone, Copy, Debug)]
pub struct Service;

impl Service {
    /// Starts a service on the current tokio runtime, which must have its timers and IO enabled.
    /// When this returns, the service listens.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] when the data cannot be opened or the address is taken.
    pub async fn start(options: ServiceOptions) -> Result<RunningService, ServiceError> {
        shell::start(options).await
    }
}

impl ServiceOptions {
    /// A service for a test: one app with default settings, a free port on loopback, data that are
    /// gone when it stops.
    #[must_use]
    pub fn in_memory(app: Credentials) -> Self {
        Self::on_loopback(app, StorageChoice::Memory)
    }

    /// One app with default settings on a free port on loopback.
    #[must_use]
    pub fn on_loopback(app: Credentials, storage: StorageChoice) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            storage,
            files: FilesChoice::WithData,
            // One app cannot be given twice, and there are no settings to be unknown.
            apps: Apps::new([app], std::collections::BTreeMap::new()).unwrap_or_default(),
            public_url: None,
            tls: None,
            trusted_proxies: Vec::new(),
            address_rate: None,
            metrics: None,
            inspector: None,
            forget_clock: false,
        }
    }
}
