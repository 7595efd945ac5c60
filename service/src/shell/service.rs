//! Starting and stopping a service.

use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task;

use super::actor::{self, Actor, Letter};
use super::clock::{Clock, SystemEntropy};
#[cfg(unix)]
use super::control;
use super::fanout::LocalFanOut;
use super::feed::Feed;
use super::hooks::HookCaller;
use super::http::{self, Shared};
use super::inspector;
use super::listener::{PatientListener, Peer};
use super::metrics::Metrics;
use super::observer::Observer;
use super::operator;
use super::proxy::Network;
use super::push::Pusher;
use super::report::report;
use super::s3::{S3Error, S3Files, S3Options};
use super::socket::Reach;
use super::tls::{Certificate, TlsError, TlsFiles};
use crate::core::Core;
use crate::core::app::{Apps, Secret};
use crate::files::{DiskFiles, FileStore, Files, MemoryFiles};
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
    /// The folder of the data, where there is one.
    fn folder(&self) -> Option<&PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Memory => None,
        }
    }

    /// The file of the data, where there is one.
    fn file(&self) -> Option<PathBuf> {
        self.folder().map(|folder| RedbStorage::file_in(folder))
    }
}

/// Where the files are that clients upload.
#[derive(Clone, Debug)]
pub enum FilesChoice {
    /// With the other data: in a folder of theirs, or in memory.
    WithData,
    /// In a storage that speaks S3.
    S3(S3Options),
}

impl FilesChoice {
    async fn open(&self, storage: &StorageChoice, clock: &Clock) -> Result<Files, ServiceError> {
        let store: Box<dyn FileStore> = match (self, storage) {
            (Self::S3(options), _) => {
                let store = S3Files::new(options, clock.clone())?;
                store.check().await?;
                Box::new(store)
            }
            (Self::WithData, StorageChoice::Memory) => Box::<MemoryFiles>::default(),
            (Self::WithData, StorageChoice::Folder(folder)) => {
                let folder = folder.join("files");
                let opened = DiskFiles::open(&folder);
                Box::new(opened.map_err(|reason| ServiceError::Files { folder, reason })?)
            }
        };
        Ok(Files::new(store, Box::new(SystemEntropy)))
    }
}

/// The page that shows the service at work.
#[derive(Clone, Debug)]
pub struct InspectorOptions {
    /// Where it is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The token; a caller that shows it sees everything that the service keeps.
    pub token: Secret,
}

/// How a service is started.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its data are.
    pub storage: StorageChoice,
    /// Where the files are that clients upload.
    pub files: FilesChoice,
    /// The apps it serves.
    pub apps: Apps,
    /// Under which URL clients reach it, where that is not the address they ask; with `https` when
    /// a reverse proxy encrypts.
    pub public_url: Option<String>,
    /// The certificate by which the service itself encrypts; without it a proxy does, or nobody.
    pub tls: Option<TlsFiles>,
    /// The proxies whose word about a client's address and encryption is taken.
    pub trusted_proxies: Vec<Network>,
    /// Requests and WebSockets that one address may open in a minute, as many as it likes without it;
    /// more are refused with status 429.
    pub address_rate: Option<u32>,
    /// Where the numbers are served (`/metrics`), if anywhere: an address that only the operator
    /// reaches. Port 0 takes a free one.
    pub metrics: Option<SocketAddr>,
    /// The page that shows the service at work, if it is wanted.
    pub inspector: Option<InspectorOptions>,
    /// True if the service's own clock, which is kept with the data and never goes back, is to begin anew from
    /// the machine's: after a start with a wrong clock that was far ahead.
    pub forget_clock: bool,
}

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The data cannot be opened.
    #[error("the data cannot be opened: {0}")]
    Storage(#[from] StorageError),
    /// The folder of the clients' files cannot be opened.
    #[error("the folder of the files, {}, cannot be used: {reason}", .folder.display())]
    Files {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// The storage of the clients' files cannot be used.
    #[error("the storage of the files cannot be used: {0}")]
    S3(#[from] S3Error),
    /// The address cannot be listened on.
    #[error("{addr} cannot be listened on: {reason}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    encrypted: bool,
    metrics_addr: Option<SocketAddr>,
    inspector_addr: Option<SocketAddr>,
    /// Held by the servers alone: while they hold it, the actor runs.
    shared: Weak<Shared>,
    clock: Clock,
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

    /// The same as a URL, with `https` where the service itself encrypts.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// Serves these apps from now on, with these keys and settings; no connection is closed for it.
    /// Sessions of an app that is not among them end (4115).
    pub async fn serve_apps(&self, apps: Apps) {
        if let Some(shared) = self.shared.upgrade() {
            shared.serve_apps(apps.clone());
        }
        if let Some(mailbox) = &self.mailbox {
            // A core that has ended serves nobody.
            let _ = mailbox.send(Letter::Apps(apps)).await;
        }
    }

    /// Sets the service's wall clock ahead: for tests of things that the service forgets in time, in place of
    /// waiting.
    #[doc(hidden)]
    pub fn set_clock_ahead(&self, by: Duration) {
        self.clock.set_ahead(by);
    }

    /// Where the inspector's page is, if anywhere.
    #[must_use]
    pub fn inspector_addr(&self) -> Option<SocketAddr> {
        self.inspector_addr
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
        // A client that stays longer is cut off by `stop`, and comes back by itself.
        let _ = tokio::time::timeout(patience, self.outlets.empty()).await;
    }

    /// Stops listening, ends every connection, and waits until all accepted changes are on disk.
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
    let for_inspector = match &options.inspector {
        Some(inspector) => Some(listen(inspector.listen).await?),
        None => None,
    };
    let feed = options.inspector.as_ref().map(|_| Arc::<Feed>::default());
    let for_metrics = match options.metrics {
        Some(addr) => Some(listen(addr).await?),
        None => None,
    };
    let certificate = options.tls.map(Certificate::open).transpose()?;
    let metrics = Arc::new(Metrics::new(options.storage.file()));
    #[cfg(unix)]
    let folder = options.storage.folder().cloned();
    let (sender, mailbox) = mpsc::channel(actor::MAILBOX);
    let outlets = Arc::new(LocalFanOut::default());
    let clock = Clock::start();
    let (tell_end, ended) = watch::channel(false);
    let hooks = HookCaller::new(
        clock.clone(),
        sender.downgrade(),
        (metrics.clone(), feed.clone()),
    );
    let asked_over_http = hooks.clone();
    let start = Start {
        apps: options.apps.clone(),
        mailbox,
        clock: clock.clone(),
        outlets: Arc::clone(&outlets),
        observer: Observer::new(Arc::clone(&metrics), feed.clone()),
        pusher: Pusher::new(
            clock.clone(),
            sender.downgrade(),
            hooks.clone(),
            (metrics.clone(), feed.clone()),
        ),
        hooks,
        ended: tell_end,
    };
    let storage = &options.storage;
    let actor = start.on_storage(storage, options.forget_clock).await?;
    // After the storage, which lets one process in: opening takes away the uploads that are under way.
    let files = options.files.open(storage, &clock).await?;
    let reach = Reach {
        mailbox: sender.clone(),
        outlets: Arc::clone(&outlets),
        metrics,
        waiting: Arc::default(),
    };
    let of_http = http::Options {
        public_url: options.public_url,
        trusted: options.trusted_proxies,
        address_rate: options.address_rate,
        files,
        hooks: asked_over_http,
    };
    let shared = Arc::new(Shared::new(options.apps, clock.clone(), reach, of_http));
    let (stop, stopped) = watch::channel(false);
    let mut servers = Vec::new();
    let mut metrics_addr = None;
    if let Some((listener, addr)) = for_metrics {
        let served = operator::serve(listener, Arc::clone(&shared), stopped.clone());
        servers.push(task::spawn(served));
        metrics_addr = Some(addr);
    }
    let mut inspector_addr = None;
    if let (Some((listener, addr)), Some(feed), Some(inspector)) =
        (for_inspector, feed, options.inspector)
    {
        let told = (feed, inspector.token);
        let served = inspector::serve(listener, Arc::clone(&shared), told, stopped.clone());
        servers.push(task::spawn(served));
        inspector_addr = Some(addr);
    }
    #[cfg(unix)]
    if let Some(folder) = folder {
        servers.extend(serve_tools(&folder, &shared, stopped.clone()));
    }
    let encrypted = certificate.is_some();
    if let Some(certificate) = certificate.clone() {
        servers.push(task::spawn(certificate.follow(stopped.clone())));
    }
    let listener = PatientListener::new(listener, certificate);
    let weak = Arc::downgrade(&shared);
    servers.push(task::spawn(serve(listener, shared, stopped)));
    Ok(RunningService {
        addr,
        encrypted,
        shared: weak,
        metrics_addr,
        inspector_addr,
        clock,
        outlets,
        mailbox: Some(sender),
        stop,
        servers,
        actor: Some(actor),
        ended,
    })
}

/// Serves the tools of the data folder. Clients are served all the same where that fails.
#[cfg(unix)]
fn serve_tools(
    folder: &Path,
    shared: &Arc<Shared>,
    stopped: watch::Receiver<bool>,
) -> Option<task::JoinHandle<()>> {
    match control::listen(folder) {
        Ok(listener) => {
            let served = control::serve(listener, Arc::clone(shared), stopped);
            Some(task::spawn(served))
        }
        Err(error) => {
            report(format_args!("tools cannot reach the service: {error}"));
            None
        }
    }
}

/// Listens on an address; answers the one that it is, where the port was left to the system.
async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), ServiceError> {
    let failed = |reason| ServiceError::Listen { addr, reason };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// The parts that the actor starts with.
struct Start {
    apps: Apps,
    mailbox: mpsc::Receiver<Letter>,
    clock: Clock,
    outlets: Arc<LocalFanOut>,
    observer: Observer,
    hooks: HookCaller,
    pusher: Pusher,
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
    /// Opens the storage and starts the actor over it.
    async fn on_storage(
        self,
        choice: &StorageChoice,
        forget_clock: bool,
    ) -> Result<JoinHandle<()>, ServiceError> {
        match choice {
            StorageChoice::Folder(folder) => {
                let mut storage = RedbStorage::open_folder(folder)?;
                if forget_clock {
                    storage.apply(vec![Write::DropClock]).await?;
                    storage.commit().await?;
                }
                self.on_thread(storage)
            }
            StorageChoice::Memory => self.on_thread(MemoryStorage::empty()?),
        }
    }

    /// Runs the actor on a thread of its own, within this runtime's reach for its timers.
    fn on_thread<S: Storage + Send + 'static>(
        self,
        storage: S,
    ) -> Result<JoinHandle<()>, ServiceError> {
        let runtime = Handle::current();
        let core = Core::new(storage, self.apps, Box::new(SystemEntropy));
        let run = move || {
            let _tells = TellsEnd(self.ended, Arc::clone(&self.outlets));
            let actor = Actor::new(
                core,
                self.mailbox,
                self.clock,
                self.outlets,
                self.observer,
                (self.hooks, self.pusher),
            );
            runtime.block_on(actor.run());
        };
        let thread = std::thread::Builder::new().name("sampan-core".to_owned());
        thread.spawn(run).map_err(ServiceError::Thread)
    }
}

/// Serves connections until told to stop.
async fn serve(listener: PatientListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The program ends with code 3 then.
    #[tokio::test]
    async fn a_core_that_panics_has_failed_and_lets_its_clients_go() {
        let options = ServiceOptions::in_memory("myApp:myKey:myMasterKey".parse().unwrap());
        let mut service = start(options).await.unwrap();
        let (tell_end, ended) = watch::channel(false);
        service.ended = ended;
        let outlets = Arc::clone(&service.outlets);
        let core = std::thread::spawn(move || {
            let _tells = TellsEnd(tell_end, outlets);
            panic!("as the database does over a damaged page");
        });
        let failed = tokio::time::timeout(Duration::from_secs(60), service.failed());
        failed.await.expect("it is told");
        core.join().unwrap_err();
        service.stop().await;
    }
}
