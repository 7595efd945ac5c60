//! Starting and stopping a service.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task;

use super::actor::{self, Actor, Letter};
use super::clock::{Clock, SystemEntropy};
use super::fanout::LocalFanOut;
use super::feed::Feed;
use super::hooks::HookCaller;
use super::http::{self, Shared};
use super::listening::{Addresses, Tasks};
use super::metrics::Metrics;
use super::observer::Observer;
use super::options::{ServiceError, ServiceOptions, StorageChoice};
use super::push::Pusher;
use super::socket::Reach;
use super::tls::Certificate;
use crate::core::Core;
use crate::core::app::Apps;
use crate::storage::{MemoryStorage, RedbStorage, Storage, Write};

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
    /// None once the service ends: the actor runs for as long as a sender exists.
    mailbox: Option<mpsc::Sender<Letter>>,
    stop: watch::Sender<bool>,
    servers: Vec<task::JoinHandle<()>>,
    actor: Option<JoinHandle<()>>,
    /// Turns true when the core's thread ends, however it does.
    ended: watch::Receiver<bool>,
}

impl RunningService {
    /// The address on which the service listens.
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

    /// The address of the inspector's page, if there is one.
    #[must_use]
    pub fn inspector_addr(&self) -> Option<SocketAddr> {
        self.inspector_addr
    }

    /// The address of the metrics, if they are served.
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
    let addresses = Addresses::open(&options).await?;
    let certificate = options.tls.map(Certificate::open).transpose()?;
    let feed = options.inspector.as_ref().map(|_| Arc::<Feed>::default());
    let metrics = Arc::new(Metrics::new(options.storage.file()));
    let (mailbox, letters) = mpsc::channel(actor::MAILBOX);
    let outlets = Arc::new(LocalFanOut::default());
    let clock = Clock::start();
    let (tell_end, ended) = watch::channel(false);
    let told = (Arc::clone(&metrics), feed.clone());
    let hooks = HookCaller::new(clock.clone(), mailbox.downgrade(), told.clone());
    let sender = mailbox.downgrade();
    let start = Start {
        apps: options.apps.clone(),
        mailbox: letters,
        clock: clock.clone(),
        outlets: Arc::clone(&outlets),
        observer: Observer::new(Arc::clone(&metrics), feed.clone()),
        pusher: Pusher::new(clock.clone(), sender, hooks.clone(), told),
        hooks: hooks.clone(),
        ended: tell_end,
    };
    let actor = start
        .on_storage(&options.storage, options.forget_clock)
        .await?;
    // After the storage, which lets one process in: opening takes away the uploads that are under way.
    let files = options.files.open(&options.storage, &clock).await?;
    let reach = Reach {
        mailbox: mailbox.clone(),
        outlets: Arc::clone(&outlets),
        metrics,
        waiting: Arc::default(),
    };
    let of_http = http::Options {
        public_url: options.public_url,
        trusted: options.trusted_proxies,
        address_rate: options.address_rate,
        files,
        hooks,
    };
    let shared = Arc::new(Shared::new(options.apps, clock.clone(), reach, of_http));
    let weak = Arc::downgrade(&shared);
    let (stop, stopped) = watch::channel(false);
    let encrypted = certificate.is_some();
    let addr = addresses.clients();
    let (metrics_addr, inspector_addr) = (addresses.metrics(), addresses.inspector());
    let page = feed.zip(options.inspector.map(|it| it.token));
    let mut tasks = Tasks::new(shared, stopped);
    #[cfg(unix)]
    if let Some(folder) = options.storage.folder() {
        tasks.serve_tools(folder);
    }
    tasks.serve(addresses, certificate, page);
    Ok(RunningService {
        addr,
        encrypted,
        shared: weak,
        metrics_addr,
        inspector_addr,
        clock,
        outlets,
        mailbox: Some(mailbox),
        stop,
        servers: tasks.into_handles(),
        actor: Some(actor),
        ended,
    })
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
