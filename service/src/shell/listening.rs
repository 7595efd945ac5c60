//! The addresses that a service listens on, and the tasks that serve them.

use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{self, JoinHandle};

#[cfg(unix)]
use super::control;
use super::feed::Feed;
use super::http::{self, Shared};
use super::listener::{PatientListener, Peer};
use super::options::{ServiceError, ServiceOptions};
use super::report::report;
use super::tls::Certificate;
use super::{inspector, operator};
use crate::core::app::Secret;

/// A listener, and its address: the system chooses the port where it was left open.
type Listening = (TcpListener, SocketAddr);

/// Every address that a service listens on.
pub(super) struct Addresses {
    clients: Listening,
    metrics: Option<Listening>,
    inspector: Option<Listening>,
}

impl Addresses {
    /// Listens on each address that the options name.
    pub(super) async fn open(options: &ServiceOptions) -> Result<Self, ServiceError> {
        let inspector = options.inspector.as_ref().map(|it| it.listen);
        Ok(Self {
            clients: listen(options.listen).await?,
            metrics: listen_if(options.metrics).await?,
            inspector: listen_if(inspector).await?,
        })
    }

    /// The address of clients.
    pub(super) const fn clients(&self) -> SocketAddr {
        self.clients.1
    }

    /// The address of the numbers.
    pub(super) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, addr)| *addr)
    }

    /// The address of the page that shows the service at work.
    pub(super) fn inspector(&self) -> Option<SocketAddr> {
        self.inspector.as_ref().map(|(_, addr)| *addr)
    }
}

async fn listen_if(addr: Option<SocketAddr>) -> Result<Option<Listening>, ServiceError> {
    match addr {
        Some(addr) => listen(addr).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(addr: SocketAddr) -> Result<Listening, ServiceError> {
    let failed = |reason| ServiceError::Listen { addr, reason };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// The tasks of a service. Each ends when the service is told to stop.
pub(super) struct Tasks {
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
    handles: Vec<JoinHandle<()>>,
}

impl Tasks {
    pub(super) const fn new(shared: Arc<Shared>, stopped: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            stopped,
            handles: Vec::new(),
        }
    }

    /// Serves every address. The page of the inspector comes with its feed and its token.
    pub(super) fn serve(
        &mut self,
        addresses: Addresses,
        certificate: Option<Certificate>,
        page: Option<(Arc<Feed>, Secret)>,
    ) {
        if let Some((listener, _)) = addresses.metrics {
            let shared = Arc::clone(&self.shared);
            self.run(operator::serve(listener, shared, self.stopped.clone()));
        }
        if let (Some((listener, _)), Some(page)) = (addresses.inspector, page) {
            let shared = Arc::clone(&self.shared);
            self.run(inspector::serve(
                listener,
                shared,
                page,
                self.stopped.clone(),
            ));
        }
        if let Some(certificate) = certificate.clone() {
            self.run(certificate.follow(self.stopped.clone()));
        }
        let listener = PatientListener::new(addresses.clients.0, certificate);
        let shared = Arc::clone(&self.shared);
        self.run(serve_clients(listener, shared, self.stopped.clone()));
    }

    /// Serves the tools of the data folder. Clients are served all the same where that fails.
    #[cfg(unix)]
    pub(super) fn serve_tools(&mut self, folder: &Path) {
        match control::listen(folder) {
            Ok(listener) => {
                let shared = Arc::clone(&self.shared);
                let stopped = self.stopped.clone();
                self.run(control::serve(listener, folder.to_owned(), shared, stopped));
            }
            Err(error) => {
                report(format_args!("tools cannot reach the service: {error}"));
            }
        }
    }

    pub(super) fn into_handles(self) -> Vec<JoinHandle<()>> {
        self.handles
    }

    fn run(&mut self, served: impl Future<Output = ()> + Send + 'static) {
        self.handles.push(task::spawn(served));
    }
}

async fn serve_clients(
    listener: PatientListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let outlets = Arc::clone(&shared.reach.outlets);
    let router = http::router(shared).into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        // An error means that the handle was dropped: that too asks to stop.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        outlets.close_all();
    });
    if let Err(error) = served.await {
        report(format_args!("listening ended: {error}"));
    }
}
