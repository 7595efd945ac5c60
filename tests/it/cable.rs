//! A cable between devices and the service: it can be cut, mended, and wrapped in TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Forwards connections to the service as long as it is whole.
pub(crate) struct Cable {
    pub(crate) addr: SocketAddr,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// The address of the other end, once it is known.
    to: Option<SocketAddr>,
    is_cut: bool,
    /// How many more bytes of the service the device hears; none for all.
    hears: Option<u64>,
    /// Bytes that the device did not hear since that was set.
    swallowed: u64,
    connections: u32,
    /// Connections that stand.
    open: u32,
}

impl Cable {
    /// A cable whose other end is still loose; with a certificate it speaks TLS on this end.
    pub(crate) async fn lay(certificate: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = watch::Sender::new(State::default());
        let tls = certificate.map(acceptor);
        tokio::spawn(forward(listener, tls, state.clone()));
        Self { addr, state }
    }

    /// Plugs the other end in.
    pub(crate) fn plug_into(&self, to: SocketAddr) {
        self.state.send_modify(|state| state.to = Some(to));
    }

    /// Breaks every connection and takes no more: the service is away.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.is_cut = true);
    }

    pub(crate) fn mend(&self) {
        self.state.send_modify(|state| state.is_cut = false);
    }

    /// Swallows whatever the service says from now on; connections stand, and the service hears all.
    pub(crate) fn deafen(&self) {
        self.deafen_after(0);
    }

    /// Lets the device hear this many bytes more, and swallows what comes after them.
    pub(crate) fn deafen_after(&self, bytes: u64) {
        self.state.send_modify(|state| {
            state.hears = Some(bytes);
            state.swallowed = 0;
        });
    }

    /// The device hears everything from now on.
    pub(crate) fn hear_all(&self) {
        self.state.send_modify(|state| state.hears = None);
    }

    /// True if something was swallowed since the cable was deafened.
    pub(crate) fn has_swallowed(&self) -> bool {
        self.state.borrow().swallowed > 0
    }

    /// Waits until something was swallowed since the cable was deafened.
    pub(crate) async fn swallows(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.swallowed > 0).await.unwrap();
    }

    /// Waits until no connection stands.
    pub(crate) async fn is_idle(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.open == 0).await.unwrap();
    }

    /// The number of connections that were made through the cable, whatever came of them.
    pub(crate) fn connections(&self) -> u32 {
        self.state.borrow().connections
    }
}

fn acceptor(certificate: &str) -> TlsAcceptor {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    let chain = CertificateDer::from_pem_file(format!("{folder}/{certificate}")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{folder}/service.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn forward(listener: TcpListener, tls: Option<TlsAcceptor>, state: watch::Sender<State>) {
    loop {
        let (near, _) = listener.accept().await.unwrap();
        state.send_modify(|state| state.connections += 1);
        let State { to, is_cut, .. } = *state.borrow();
        let Some(to) = to.filter(|_| !is_cut) else {
            continue;
        };
        state.send_modify(|state| state.open += 1);
        let (tls, all, mut cut) = (tls.clone(), state.clone(), state.subscribe());
        tokio::spawn(async move {
            let carried = async {
                match tls {
                    Some(tls) => carry(tls.accept(near).await?, to, &all).await,
                    None => carry(near, to, &all).await,
                }
            };
            tokio::select! {
                // A connection that breaks is what the test is about.
                _ = carried => {}
                _ = cut.wait_for(|state| state.is_cut) => {}
            }
            all.send_modify(|state| state.open -= 1);
        });
    }
}

async fn carry(
    near: impl AsyncRead + AsyncWrite,
    to: SocketAddr,
    state: &watch::Sender<State>,
) -> io::Result<()> {
    let (mut from_near, mut to_near) = split(near);
    let (mut from_far, mut to_far) = TcpStream::connect(to).await?.into_split();
    let back = async {
        let mut buffer = [0; 4096];
        loop {
            let count = from_far.read(&mut buffer).await?;
            if count == 0 {
                return to_near.shutdown().await;
            }
            if is_heard(state, count) {
                to_near
                    .write_all(buffer.get(..count).unwrap_or_default())
                    .await?;
            }
        }
    };
    let there = async {
        copy(&mut from_near, &mut to_far).await?;
        to_far.shutdown().await
    };
    tokio::try_join!(back, there).map(|_| ())
}

/// Takes bytes of the service off those that the device still hears; false if they are swallowed.
fn is_heard(state: &watch::Sender<State>, count: usize) -> bool {
    let count = u64::try_from(count).unwrap();
    let mut is_heard = true;
    state.send_if_modified(|state| {
        let Some(left) = state.hears else {
            return false;
        };
        let rest = left.checked_sub(count);
        is_heard = rest.is_some();
        // Nothing is heard behind a hole.
        state.hears = Some(rest.unwrap_or(0));
        state.swallowed += if is_heard { 0 } else { count };
        true
    });
    is_heard
}
