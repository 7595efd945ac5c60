//! Requests from the service to other servers, over HTTP/1.1: encrypted where the URL says so.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use sampan::model::Timestamp;
use sampan::wire::signature::hmac_sha1_hex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::core::app::App;

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The header that proves who calls: the time in milliseconds, and the HMAC-SHA1 of `name:time:body` with the
/// master key, in hexadecimal.
const SIGN: HeaderName = HeaderName::from_static("x-sampan-sign");

/// The reason why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("no connection: {0}")]
    Unreachable(std::io::Error),
    #[error("the connection broke: {0}")]
    Broken(hyper::Error),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is too long or was cut off")]
    Cut,
    #[error("its answer is no JSON object")]
    Malformed,
    #[error("it took too long")]
    Slow,
    #[error("its URL cannot be used")]
    Url,
}

impl CallError {
    /// A word for each, as the numbers have it.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Broken(_) | Self::Cut => "broken",
            Self::Status(_) => "refused",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
            Self::Url => "no_url",
        }
    }
}

/// The certificates that browsers trust.
pub(super) fn web_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

/// The trust in other servers.
pub(super) fn client_config(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions();
    // The provider speaks the default versions: it is the one they were made with.
    match builder {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        Err(_) => ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    }
}

/// Makes encrypted connections to servers that these certificates vouch for.
pub(super) fn tls(roots: RootCertStore) -> TlsConnector {
    TlsConnector::from(Arc::new(client_config(roots)))
}

/// A connection, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// Connects to the host of a URL.
pub(super) async fn connect(tls: &TlsConnector, uri: &Uri) -> Result<Box<dyn Socket>, CallError> {
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let host = uri.host().ok_or(CallError::Url)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let socket = TcpStream::connect((bare, port)).await;
    let socket = socket.map_err(CallError::Unreachable)?;
    if !is_tls {
        return Ok(Box::new(socket));
    }
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| CallError::Url)?;
    let socket = tls.connect(name, socket).await;
    Ok(Box::new(socket.map_err(CallError::Unreachable)?))
}

/// The headers of a call of an app's own server.
pub(super) fn signed(app: &App, name: &str, now: Timestamp, body: &str) -> HeaderMap {
    let at = now.as_millis();
    let key = app.credentials.master_key.expose();
    let sign = hmac_sha1_hex(key, &format!("{name}:{at}:{body}"));
    let id = app.credentials.id.as_str();
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    for (name, value) in [
        (HeaderName::from_static("x-lc-id"), id.to_owned()),
        (SIGN, format!("{at},{sign}")),
    ] {
        // An id that no header can carry is left out: the signature names the caller.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Posts a body on a connection of its own; answers the status and the body.
pub(super) async fn post(
    tls: &TlsConnector,
    url: &str,
    headers: &HeaderMap,
    body: String,
) -> Result<(u16, Bytes), CallError> {
    let uri: Uri = url.parse().map_err(|_| CallError::Url)?;
    let authority = uri.authority().ok_or(CallError::Url)?;
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| CallError::Url)?;
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    let request = Request::post(path).body(Full::new(Bytes::from(body)));
    let mut request = request.map_err(|_| CallError::Url)?;
    let own = request.headers_mut();
    *own = headers.clone();
    own.insert(header::HOST, host);
    own.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let socket = connect(tls, &uri).await?;
    exchange(socket, request).await
}

async fn exchange(
    socket: impl Socket,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), CallError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
        .await
        .map_err(CallError::Broken)?;
    let exchange = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(CallError::Broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|_| CallError::Cut)?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    // The connection makes progress only while it is polled; the exchange ends first.
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => {
            ended.map_err(CallError::Broken)?;
            exchange.await
        }
    }
}
