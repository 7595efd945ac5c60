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
    /// True if the device hears nothing from the service.
    is_deaf: bool,
    connections: u32,
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
        self.state.send_modify(|state| state.is_deaf = true);
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
        let (tls, mut state, deaf) = (tls.clone(), state.subscribe(), state.subscribe());
        tokio::spawn(async move {
            let carried = async {
                match tls {
                    Some(tls) => carry(tls.accept(near).await?, to, deaf).await,
                    None => carry(near, to, deaf).await,
                }
            };
            tokio::select! {
                // A connection that breaks is what the test is about.
                _ = carried => {}
                _ = state.wait_for(|state| state.is_cut) => {}
            }
        });
    }
}

async fn carry(
    near: impl AsyncRead + AsyncWrite,
    to: SocketAddr,
    state: watch::Receiver<State>,
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
            if !state.borrow().is_deaf {
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
