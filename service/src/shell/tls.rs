//! Encryption by the service itself: the certificate and its key, read anew when their files change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::report::report;

/// How often the files are looked at. A certificate is renewed weeks before its end.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The files of a certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those that lead to the root.
    pub cert: PathBuf,
    /// The private key, as PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// The reason why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has nothing of the kind that it should have.
    #[error("{file} is no PEM file of a {what}: {reason}", file = file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The thing that should be in the file.
        what: &'static str,
        /// The fault.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not served.
    #[error("the certificate cannot be used with its key: {0}")]
    Pair(String),
}

impl TlsFiles {
    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let wrong = |file: &PathBuf, what, reason: String| TlsError::File {
            file: file.clone(),
            what,
            reason,
        };
        let certs = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(&self.cert, "certificate", error.to_string()))?;
        if certs.is_empty() {
            return Err(wrong(&self.cert, "certificate", "it has none".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| wrong(&self.key, "private key", error.to_string()))?;
        let pair = |error: tokio_rustls::rustls::Error| TlsError::Pair(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(certs, key)
            .map_err(pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The time at which the files were changed last, as far as the system tells.
    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.cert, &self.key].map(|file| std::fs::metadata(file).ok()?.modified().ok())
    }
}

/// The certificate that new connections are greeted with.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    files: TlsFiles,
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

impl Certificate {
    /// Reads the files.
    pub(super) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let config = Arc::new(Mutex::new(files.config()?));
        Ok(Self { files, config })
    }

    /// The acceptor of the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }

    /// Reads the files anew whenever they change, until the service ends. Files that cannot be used
    /// are told, and the certificate stays.
    pub(super) async fn follow(self, mut stopped: watch::Receiver<bool>) {
        let mut seen = self.files.changed_at();
        loop {
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            let now = self.files.changed_at();
            if now == seen {
                continue;
            }
            seen = now;
            match self.files.config() {
                Ok(config) => {
                    *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
                    tracing::info!("the certificate was read anew");
                }
                Err(error) => report(format_args!("the certificate stays as it is: {error}")),
            }
        }
    }
}
