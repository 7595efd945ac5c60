//! A connection to a vendor: HTTP/2 over TLS, kept while it stands, made anew when it broke.

use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::token::WrongKey;
use crate::core::push_settings::PushSettings;
use crate::shell::outgoing::{self, CallError, connect};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why the settings of a sender cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("{0} can't be read: {1}")]
    File(String, std::io::Error),
    #[error(transparent)]
    Key(#[from] WrongKey),
    #[error("{0} is not what the vendor gives out")]
    Malformed(String),
}

/// Reads a file of the settings.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path).map_err(|error| SettingsError::File(path.display().to_string(), error))
}

/// The certificates by which senders are believed.
pub(super) fn roots(settings: &PushSettings) -> Result<RootCertStore, SettingsError> {
    let Some(path) = &settings.ca_file else {
        return Ok(outgoing::web_roots());
    };
    let malformed = || SettingsError::Malformed(path.display().to_string());
    let mut roots = RootCertStore::empty();
    let pem = read(path)?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| malformed())?;
        roots.add(certificate).map_err(|_| malformed())?;
    }
    match roots.is_empty() {
        true => Err(malformed()),
        false => Ok(roots),
    }
}

/// A vendor's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// A vendor's address, and the connection to it.
pub(super) struct Vendor {
    uri: String,
    tls: TlsConnector,
    stands: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Vendor {
    pub(super) fn new(url: &str, roots: RootCertStore) -> Self {
        let mut config = outgoing::client_config(roots);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self {
            uri: url.trim_end_matches('/').to_owned(),
            tls: TlsConnector::from(Arc::new(config)),
            stands: Mutex::default(),
        }
    }

    /// Posts a body to a path.
    pub(super) async fn post(
        &self,
        path: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<Answer, CallError> {
        let uri: Uri = format!("{}{path}", self.uri)
            .parse()
            .map_err(|_| CallError::Url)?;
        let mut request = Request::post(uri.clone())
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| CallError::Url)?;
        *request.headers_mut() = headers;
        let mut sender = self.sender(&uri).await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(CallError::Broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|_| CallError::Cut)?;
        let body = body.to_bytes();
        Ok(Answer { status, body })
    }

    /// The connection that stands, or a new one.
    async fn sender(&self, uri: &Uri) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let mut stands = self.stands.lock().await;
        if let Some(sender) = stands.as_ref().filter(|it| !it.is_closed()) {
            return Ok(sender.clone());
        }
        let socket = connect(&self.tls, uri).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .map_err(CallError::Broken)?;
        tokio::spawn(async move {
            // The next sender learns that the connection broke.
            let _ = connection.await;
        });
        *stands = Some(sender.clone());
        Ok(sender)
    }
}
