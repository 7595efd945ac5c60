//! TCP and TLS streams, and the rule that clear text stays on this machine.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::NetError;
use super::address::{Address, Security};
use super::names::Names;
use super::race::{in_turn, race};
use crate::{InsecureConnections, TrustedRoots};

/// The way to make encrypted connections: the trusted certificates.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Trusts the roots that browsers trust.
    ///
    /// # Errors
    ///
    /// [`NetError::Tls`] when the TLS library refuses its own defaults, which is a bug.
    pub fn web() -> Result<Self, NetError> {
        Self::configured(&TrustedRoots::Web)
    }

    /// Trusts the authorities of the app's configuration.
    ///
    /// # Errors
    ///
    /// [`NetError::Roots`] when the app's own certificates can't be read; those of [`Tls::web`].
    pub fn configured(trust: &TrustedRoots) -> Result<Self, NetError> {
        Self::trusting(roots(trust)?)
    }

    /// Trusts `roots` and nothing else.
    ///
    /// # Errors
    ///
    /// [`NetError::Tls`] when the TLS library refuses its own defaults, which is a bug.
    pub fn trusting(roots: RootCertStore) -> Result<Self, NetError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| NetError::Tls {
                reason: error.to_string(),
            })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// The roots that are trusted: the web's, or those of the app alone.
fn roots(trust: &TrustedRoots) -> Result<RootCertStore, NetError> {
    match trust {
        TrustedRoots::Web => Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
        TrustedRoots::Only { pem } => roots_of(pem),
    }
}

/// The certificates in a text of one or more PEM blocks.
fn roots_of(pem: &str) -> Result<RootCertStore, NetError> {
    let unreadable = |reason: String| NetError::Roots { reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unreadable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("there is no PEM certificate in it".to_owned()));
    }
    Ok(roots)
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

/// A stream to the service, encrypted or not.
pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The opener of streams: the certificates that are trusted, where clear text may go, and names.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    pub(super) tls: Tls,
    pub(super) insecure: InsecureConnections,
    pub(super) names: Names,
}

impl Opener {
    /// Opens a stream to `address`. The caller sets the limit, which is given for the addresses of a
    /// host to share.
    pub(super) async fn open(
        &self,
        address: &Address,
        limit: Duration,
    ) -> Result<Stream, NetError> {
        let tcp = self.open_tcp(address, limit).await?;
        match address.security {
            Security::Clear => Ok(Stream::Clear(tcp)),
            Security::Tls => {
                let name =
                    ServerName::try_from(address.host.clone()).map_err(|_| NetError::Address {
                        reason: "its host is no name that a certificate can have",
                    })?;
                let stream = TlsConnector::from(Arc::clone(&self.tls.0))
                    .connect(name, tcp)
                    .await
                    .map_err(|error| NetError::Tls {
                        reason: error.to_string(),
                    })?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }

    async fn open_tcp(&self, address: &Address, limit: Duration) -> Result<TcpStream, NetError> {
        let found = self.names.find(&address.host).await?;
        let nowhere = found.is_empty();
        let found = found
            .into_iter()
            .map(|ip| SocketAddr::new(ip, address.port));
        let allowed = found.filter(|it| is_allowed(address.security, *it, self.insecure));
        let allowed = in_turn(allowed.collect());
        match race(allowed, limit, TcpStream::connect).await {
            Some(Ok(stream)) => {
                // A chat's frames are small and wanted now; a platform that can't is slower only.
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Some(Err(error)) => Err(unreachable(error)),
            None if nowhere => Err(NetError::Unreachable {
                reason: "the name has no address".to_owned(),
            }),
            None => Err(NetError::Insecure),
        }
    }
}

/// True if the app allows clear text, or the address is of this machine. The *address* decides, not the name,
/// because a file decides the address of `localhost`.
const fn is_allowed(
    security: Security,
    candidate: SocketAddr,
    insecure: InsecureConnections,
) -> bool {
    match (security, insecure) {
        (Security::Tls, _) | (Security::Clear, InsecureConnections::Allowed) => true,
        (Security::Clear, InsecureConnections::LoopbackOnly) => candidate.ip().is_loopback(),
    }
}

fn unreachable(error: io::Error) -> NetError {
    NetError::Unreachable {
        reason: error.to_string(),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apps_own_roots_take_the_place_of_the_webs() {
        let pem = include_str!("../../tests/fixtures/tls/authority.pem").to_owned();
        let own = roots(&TrustedRoots::Only { pem: pem.clone() }).unwrap();
        assert_eq!(own.len(), 1, "this one and no other");
        let pem = format!(
            "{pem}\n{}",
            include_str!("../../tests/fixtures/tls/stranger.pem")
        );
        assert_eq!(roots(&TrustedRoots::Only { pem }).unwrap().len(), 2);
        let web = roots(&TrustedRoots::Web).unwrap();
        assert_eq!(web.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        for root in &own.roots {
            assert!(!web.roots.contains(root));
        }
    }

    #[test]
    fn clear_text_stays_on_this_machine_unless_the_app_allows_it() {
        let here: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let there: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let only_here = InsecureConnections::LoopbackOnly;
        assert!(is_allowed(Security::Clear, here, only_here));
        assert!(!is_allowed(Security::Clear, there, only_here));
        assert!(is_allowed(Security::Tls, there, only_here));
        assert!(is_allowed(
            Security::Clear,
            there,
            InsecureConnections::Allowed
        ));
    }
}
