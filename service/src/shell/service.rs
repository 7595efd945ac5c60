//! Starting and stopping a service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task;

use super::actor::{self, Actor, Letter};
use super::clock::{Clock, SystemEntropy};
use super::fanout::LocalFanOut;
use super::http::{self, Shared};
use super::listener::{Mark, PatientListener};
use super::metrics::Metrics;
use super::operator;
use super::report::report;
use super::socket::Reach;
use crate::core::Core;
use crate::core::app::Apps;
use crate::storage::{MemoryStorage, RedbStorage, Storage, StorageError, Write};

/// Where the service keeps its data.
#[derive(Clone, Debug)]
pub enum StorageChoice {
    /// In this folder, which is made if it is not there. One process at a time.
    Folder(PathBuf),
    /// In memory: gone when the service stops. For tests.
    Memory,
}

impl StorageChoice {
    /// The file of the data, where there is one.
    fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(RedbStorage::file_in(folder)),
            Self::Memory => None,
        }
    }
}

/// How a service is started.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its data are.
    pub storage: StorageChoice,
    /// The apps it serves.
    pub apps: Apps,
    /// Under which URL clients reach it, where that is not the address they ask; with `https` when
    /// a reverse proxy encrypts.
    pub public_url: Option<String>,
    /// Where the numbers are served (`/metrics`), if anywhere: an address that only the operator
    /// reaches. Port 0 takes a free one.
    pub metrics: Option<SocketAddr>,
    /// Whether the service's own clock, which is kept with the data and never goes back, is to begin
    /// anew from the machine's: after a start with a wrong clock that was far ahead.
    pub forget_clock: bool,
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The data cannot be opened.
    #[error("the data cannot be opened: {0}")]
    Storage(#[from] StorageError),
    /// The address cannot be listened on.
    #[error("{addr} cannot be listened on: {reason}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The system does not tell when the service is to end.
    #[error("signals cannot be waited for: {0}")]
    Signal(std::io::Error),
    /// A thread cannot be made.
    #[error("the service's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// A service that listens. Dropping it stops it without waiting; [`RunningService::stop`] waits.
#[derive(Debug)]
pub struct RunningService {
    addr: SocketAddr,
    metrics_addr: Option<SocketAddr>,
    outlets: Arc<LocalFanOut>,
    /// Gone once the service ends: the actor runs for as long as somebody could tell it something.
    mailbox: Option<mpsc::Sender<Letter>>,
    stop: watch::Sender<bool>,
    servers: Vec<task::JoinHandle<()>>,
    actor: Option<JoinHandle<()>>,
    /// Turns true when the core's thread ends, however it does.
    ended: watch::Receiver<bool>,
}

impl RunningService {
    /// Where the service listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the numbers are served, if anywhere.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// Waits until the core ends by itself, which it does only when it fails. Nobody is served from
    /// then on, and nothing that was acknowledged is lost: start the service anew.
    pub async fn failed(&self) {
        let mut ended = self.ended.clone();
        // An error means that the thread has gone without a word, which is an end too.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Tells every client to go elsewhere (`goaway`) and waits until all have gone, or for
    /// `patience`. Routers and REST go on answering, for clients ask them where to go; new sockets
    /// are turned away. [`RunningService::stop`] is due afterwards.
    pub async fn drain(&self, patience: Duration) {
        self.outlets.leave();
        if let Some(mailbox) = &self.mailbox {
            // A core that has ended has nobody to tell.
            let _ = mailbox.send(Letter::Leave).await;
        }
        // Who stays longer is cut off by `stop`, and comes back by itself.
        let _ = tokio::time::timeout(patience, self.outlets.empty()).await;
    }

    /// Stops listening, ends every connection, and waits until what was accepted is on disk.
    pub async fn stop(mut self) {
        self.end();
        for server in self.servers.drain(..) {
            // A panic in a server has been reported by its task; there is nothing left to stop.
            let _ = server.await;
        }
        if let Some(actor) = self.actor.take() {
            let _ = task::spawn_blocking(move || actor.join()).await;
        }
    }

    fn end(&mut self) {
        // The servers may have ended by themselves.
        let _ = self.stop.send(true);
        self.mailbox = None;
        self.outlets.close_all();
    }
}

impl Drop for RunningService {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a service on the current tokio runtime.
pub(crate) async fn start(options: ServiceOptions) -> Result<RunningService, ServiceError> {
    let (listener, addr) = listen(options.listen).await?;
    let for_metrics = match options.metrics {
        Some(addr) => Some(listen(addr).await?),
        None => None,
    };
    let metrics = Arc::new(Metrics::new(options.storage.file()));
    let (sender, mailbox) = mpsc::channel(actor::MAILBOX);
    let outlets = Arc::new(LocalFanOut::default());
    let clock = Clock::start();
    let (tell_end, ended) = watch::channel(false);
    let start = Start {
        apps: options.apps.clone(),
        mailbox,
        clock: clock.clone(),
        outlets: Arc::clone(&outlets),
        metrics: Arc::clone(&metrics),
        ended: tell_end,
    };
    let actor = match options.storage {
        StorageChoice::Folder(folder) => {
            let mut storage = RedbStorage::open_folder(&folder)?;
            if options.forget_clock {
                storage.apply(vec![Write::DropClock]).await?;
                storage.commit().await?;
            }
            start.on_thread(storage)?
        }
        StorageChoice::Memory => start.on_thread(MemoryStorage::empty()?)?,
    };
    let shared = Arc::new(Shared {
        apps: options.apps,
        clock,
        reach: Reach {
            mailbox: sender.clone(),
            outlets: Arc::clone(&outlets),
            metrics,
            waiting: Arc::default(),
        },
        asking: Semaphore::new(http::ASKING_MAX),
        public_url: options.public_url,
        numbers: AtomicU64::new(1),
    });
    let (stop, stopped) = watch::channel(false);
    let mut servers = Vec::new();
    let mut metrics_addr = None;
    if let Some((listener, addr)) = for_metrics {
        let served = operator::serve(listener, Arc::clone(&shared), stopped.clone());
        servers.push(task::spawn(served));
        metrics_addr = Some(addr);
    }
    servers.push(task::spawn(serve(listener, shared, stopped)));
    Ok(RunningService {
        addr,
        metrics_addr,
        outlets,
        mailbox: Some(sender),
        stop,
        servers,
        actor: Some(actor),
        ended,
    })
}

/// Listens on an address; answers the one that it is, where the port was left to the system.
async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), ServiceError> {
    let failed = |reason| ServiceError::Listen { addr, reason };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// What the actor starts with.
struct Start {
    apps: Apps,
    mailbox: mpsc::Receiver<Letter>,
    clock: Clock,
    outlets: Arc<LocalFanOut>,
    metrics: Arc<Metrics>,
    ended: watch::Sender<bool>,
}

/// Says that the core's thread has ended, also when it panics; then its clients go too.
struct TellsEnd(watch::Sender<bool>, Arc<LocalFanOut>);

impl Drop for TellsEnd {
    fn drop(&mut self) {
        self.1.close_all();
        // Nobody may be interested.
        let _ = self.0.send(true);
    }
}

impl Start {
    /// Runs the actor on a thread of its own, within this runtime's reach for its timers.
    fn on_thread<S: Storage + Send + 'static>(
        self,
        storage: S,
    ) -> Result<JoinHandle<()>, ServiceError> {
        let runtime = Handle::current();
        let core = Core::new(storage, self.apps, Box::new(SystemEntropy));
        let run = move || {
            let _tells = TellsEnd(self.ended, Arc::clone(&self.outlets));
            let actor = Actor::new(core, self.mailbox, self.clock, self.outlets, self.metrics);
            runtime.block_on(actor.run());
        };
        let thread = std::thread::Builder::new().name("sampan-core".to_owned());
        thread.spawn(run).map_err(ServiceError::Thread)
    }
}

/// Serves connections until told to stop.
async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let listener = PatientListener(listener);
    let outlets = Arc::clone(&shared.reach.outlets);
    let router = http::router(shared).into_make_service_with_connect_info::<Mark>();
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        // An error means that the handle was dropped: that too asks to stop.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        outlets.close_all();
    });
    if let Err(error) = served.await {
        report(format_args!("listening ended: {error}"));
    }
}
