//! A connection to a vendor: HTTP/2 over TLS, kept while it works, and made anew after it broke.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
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

/// The reason why the settings of a sender cannot be used.
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

/// The root certificates by which a vendor is believed.
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

/// The silence after which a vendor that owes an answer gets a ping, and the most time for the answer to the ping. Both
/// together are less than a push may take, so a push that finds a dead connection is tried again on a new one.
const SILENCE: Duration = Duration::from_secs(5);

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
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(SILENCE)
            .keep_alive_timeout(SILENCE)
            .handshake(TokioIo::new(socket))
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::Response;
    use hyper::server::conn::http2 as server;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::shell::push::senders::PUSH;

    #[tokio::test(start_paused = true)]
    async fn a_connection_over_which_nothing_comes_is_given_up_and_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let vendor = Vendor::new(&url, RootCertStore::empty());
        let post = async || {
            let answer = vendor.post("/", HeaderMap::new(), String::new());
            timeout(PUSH, answer).await.expect("a word in time")
        };
        let serves = async {
            // Plays a router that forgot the connection: no byte is read, and the connection does not end.
            let _silent = listener.accept().await.unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            let answer =
                service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
            let server = server::Builder::new(TokioExecutor::new());
            server.serve_connection(TokioIo::new(socket), answer).await
        };
        let asks = async {
            let broken = post().await.unwrap_err();
            assert!(matches!(broken, CallError::Broken(_)), "{broken}");
            assert_eq!(post().await.unwrap().status, 200);
        };
        tokio::select! {
            ended = serves => panic!("the vendor stays: {ended:?}"),
            () = asks => {}
        }
    }
}
