//! [`Runtime`]: a running loop, and the clients that take part in it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use super::blocking::blocking;
use super::board::EngineBoard;
use super::callers::{Callers, Outside};
use super::client_folders;
use super::client_parts::{ClientCore, OpenOptions};
use super::driver::Driver;
use super::mailbox::Mailbox;
use super::outward::Outward;
use super::plugins::{Plugins, plugged};
use super::publish::{Publisher, Queue, Scope};
use super::refreshes::Refreshes;
use super::store_handle::NotOpen;
use super::unsent::{none_unsent, unsent_work};
use crate::model::{Account, AppId, ClientId, Count, LocalData, UnsentWork};
use crate::net::{self, SocketTransport, Tls, Transport};
use crate::store::Store;
use crate::sync::{DiscardEntry, Done};
use crate::threads::{NoThread, Threads};
use crate::{Config, SampanError};

/// Threads for reads: they are short, and the disk serves few at a time.
const READ_THREADS_MAX: usize = 4;

/// Threads for opening and closing stores, which is rare and may last.
const FILE_THREADS_MAX: usize = 4;

/// How long reads in progress may keep the engine's thread at its end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A running loop, and the clients that take part in it.
pub(crate) struct Runtime {
    pub(super) config: Config,
    pub(super) mailbox: Mailbox,
    pub(super) publisher: Publisher,
    pub(super) board: Arc<EngineBoard>,
    pub(super) callers: Callers,
    /// The tokio runtime for tasks beside the loop; they never block.
    pub(super) tasks: Handle,
    reads: Threads,
    /// Threads that copy files.
    pub(super) media: Threads,
    pub(super) refreshes: Refreshes,
    /// For downloads; the loop has it too.
    pub(super) transport: Arc<dyn Transport>,
    /// Clients with drafts that may not be in their stores yet.
    pub(super) writing: Mutex<Vec<Weak<ClientCore>>>,
    /// Clients whose glances are kept.
    glancing: Mutex<Vec<Weak<ClientCore>>>,
    /// The clients that take part.
    taking_part: Mutex<Vec<Weak<ClientCore>>>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Runtime {
    /// Starts the loop. It opens no socket and no store.
    ///
    /// # Errors
    ///
    /// [`SampanError::InvalidArgument`] for a server address that can't be one, or certificates that
    /// can't be read.
    pub(crate) fn start(config: Config, plugins: Plugins) -> Result<Arc<Self>, SampanError> {
        net::check_server(&config.server)?;
        let transport = SocketTransport::new(Tls::configured(&config.trust)?, config.insecure);
        Self::start_with(config, Arc::new(transport), plugins)
    }

    /// Starts the loop over a given transport.
    pub(crate) fn start_with(
        config: Config,
        transport: Arc<dyn Transport>,
        plugins: Plugins,
    ) -> Result<Arc<Self>, SampanError> {
        let callers = Callers::start()?;
        let transport = plugged(transport, plugins, &callers);
        let outward = Outward::new(callers.clone());
        let (publisher, board) = (outward.publisher.clone(), Arc::clone(&outward.board));
        let (mailbox, waiting) = Mailbox::new(callers.clone(), Arc::clone(&board));
        let files = Threads::new("sampan-files", FILE_THREADS_MAX);
        let own = Arc::clone(&transport);
        let driver = Driver::new(config.clone(), own, waiting, outward.clone(), files);
        let tasks = start_loop(driver, outward, callers.clone())?;
        Ok(Arc::new(Self {
            config,
            mailbox,
            publisher,
            board,
            callers,
            tasks,
            reads: Threads::new("sampan-read", READ_THREADS_MAX),
            transport,
            media: Threads::new("sampan-copy", READ_THREADS_MAX),
            refreshes: Refreshes::default(),
            writing: Mutex::default(),
            glancing: Mutex::default(),
            taking_part: Mutex::default(),
        }))
    }

    /// The sections under this lock change the list and nothing else.
    pub(super) fn glancing(&self) -> MutexGuard<'_, Vec<Weak<ClientCore>>> {
        self.glancing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sections under this lock change or copy the list and nothing else.
    fn taking_part(&self) -> MutexGuard<'_, Vec<Weak<ClientCore>>> {
        let taking_part = self.taking_part.lock();
        taking_part.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn app_id(&self) -> &AppId {
        &self.config.app_id
    }

    pub(crate) const fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    pub(crate) fn board(&self) -> &EngineBoard {
        &self.board
    }

    /// Subscribes to events.
    pub(crate) fn subscribe(&self, scope: Scope) -> Arc<Queue> {
        self.publisher.subscribe(scope)
    }

    /// Opens a client's store and lets the client take part, or finds the one that does already.
    ///
    /// # Errors
    ///
    /// [`SampanError::TagMismatch`] when it is open with another tag; those of opening a store.
    pub(crate) async fn open_client(
        &self,
        id: ClientId,
        options: OpenOptions,
    ) -> Result<Arc<ClientCore>, SampanError> {
        let core = self.mailbox.open(id, options).await?;
        let mut taking_part = self.taking_part();
        let own = Arc::as_ptr(&core);
        taking_part.retain(|known| known.strong_count() > 0 && known.as_ptr() != own);
        taking_part.push(Arc::downgrade(&core));
        drop(taking_part);
        Ok(core)
    }

    /// Lets a client go and closes its store.
    ///
    /// # Errors
    ///
    /// [`SampanError::SignedOut`] when it is gone already; [`SampanError::Unsent`] when unsent work would be
    /// lost that was not to be; [`SampanError::InvalidArgument`] when it is to be kept where nothing is;
    /// [`SampanError::StoreUnavailable`] when its data could not be removed.
    pub(crate) async fn close_client(
        &self,
        core: &Arc<ClientCore>,
        after: LocalData,
        unsent: UnsentWork,
    ) -> Result<(), SampanError> {
        if after == LocalData::Keep {
            self.save_drafts(core).await;
        }
        self.decide_unsent(core, after, unsent).await?;
        self.mailbox.sign_out(core, after, unsent).await
    }

    /// Treats unsent work as the app wants it, before its client signs out.
    async fn decide_unsent(
        &self,
        core: &Arc<ClientCore>,
        after: LocalData,
        unsent: UnsentWork,
    ) -> Result<(), SampanError> {
        match (unsent, after) {
            (UnsentWork::KeepIt, LocalData::Keep) | (UnsentWork::ThrowAway, LocalData::Wipe) => {
                Ok(())
            }
            (UnsentWork::KeepIt, LocalData::Wipe) => Err(SampanError::InvalidArgument {
                reason: "unsent work can't be kept where all data is removed".to_owned(),
            }),
            (UnsentWork::Refuse, _) => {
                self.read(core, |store| none_unsent(&store.snapshot()))
                    .await
            }
            (UnsentWork::ThrowAway, LocalData::Keep) => {
                let entries = self.read(core, |store| Ok(unsent_work(&store.snapshot())));
                for entry in entries.await? {
                    match self.mailbox.request(&core.id, DiscardEntry { entry }).await {
                        Ok(Done) => {}
                        // The entry was sent, is on its way, or went with a conversation that was given up.
                        Err(SampanError::NotFound { .. } | SampanError::NotPossible { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }

    /// The stores under the root that the app may have.
    ///
    /// # Errors
    ///
    /// [`SampanError::ShutDown`].
    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, SampanError> {
        if self.board.is_over() {
            return Err(SampanError::ShutDown);
        }
        let root = self.config.store_root.clone();
        let app = self.config.app_id.clone();
        let listed = self.reading(move || Ok(client_folders::accounts(&root, &app)));
        let mut accounts = listed.await?;
        let cores: Vec<_> = self
            .taking_part()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for core in cores {
            let folder = client_folders::folder(&self.config.store_root, self.app_id(), &core.id);
            let own = |it: &&mut Account| folder.ends_with(&it.folder);
            let Some(account) = accounts.iter_mut().find(own) else {
                continue;
            };
            let unsent = self.read(&core, |store| Ok(unsent_work(&store.snapshot()).len()));
            // A client that signed out meanwhile is listed as its folder tells.
            if let Ok(unsent) = unsent.await {
                account.unsent = Some(Count::from(unsent));
            }
        }
        Ok(accounts)
    }

    /// Removes a client's folders without opening its store.
    ///
    /// # Errors
    ///
    /// [`SampanError::StoreInUse`] when it is open; [`SampanError::InvalidArgument`] for what is no name of
    /// a folder; [`SampanError::StoreUnavailable`] when something could not be removed.
    pub(crate) async fn wipe_account(&self, folder: String) -> Result<(), SampanError> {
        self.mailbox.wipe_account(folder).await
    }

    /// Stops the socket, brings everything to disk and shuts the stores' files.
    pub(crate) async fn pause(&self) -> Result<(), SampanError> {
        self.refreshes.overruled();
        self.save_all_drafts().await;
        self.write_glances().await;
        self.mailbox.pause().await
    }

    /// Goes on after [`Runtime::pause`].
    pub(crate) async fn resume(&self) -> Result<(), SampanError> {
        self.refreshes.overruled();
        self.mailbox.resume().await
    }

    /// Stops the loop and closes every store; on return the folders are free.
    pub(crate) async fn shutdown(&self) -> Result<(), SampanError> {
        self.save_all_drafts().await;
        self.mailbox.shutdown().await
    }

    /// Reads from a client's store, on a thread for blocking work. A store that is shut because the
    /// app is in the background is opened for it.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        core: &ClientCore,
        read: impl FnOnce(&Store) -> Result<T, SampanError> + Send + 'static,
    ) -> Result<T, SampanError> {
        loop {
            match core.store.read() {
                Ok(access) => {
                    return self.reading(move || read(access.store())).await;
                }
                Err(NotOpen::Closed) => return Err(self.board.ended()),
                Err(NotOpen::Shut) => self.mailbox.wake(&core.id).await?,
            }
        }
    }

    /// Runs a read on a thread for it. The caller may wait on any executor.
    pub(super) fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, SampanError> + Send + 'static,
    ) -> Outside<impl Future<Output = Result<T, SampanError>> + Send + 'static> {
        self.callers.outside(blocking(&self.reads, read))
    }

    /// Reads from a client's store if it is open, on a thread for reads; none where it is shut.
    pub(super) async fn read_if_open<T: Send + 'static>(
        &self,
        core: &ClientCore,
        read: impl FnOnce(&Store) -> Result<T, SampanError> + Send + 'static,
    ) -> Option<Result<T, SampanError>> {
        let access = core.store.read().ok()?;
        Some(self.reading(move || read(access.store())).await)
    }

    /// A future for the app to poll: it wakes the app on a thread where that harms nobody.
    pub(crate) fn outside<F: Future>(&self, inner: F) -> Outside<F> {
        self.callers.outside(inner)
    }
}

/// Runs `driver` on a thread of its own, with a tokio runtime that never leaves that thread: one may
/// not be dropped where asynchronous code of the app runs.
fn start_loop(driver: Driver, outward: Outward, callers: Callers) -> Result<Handle, SampanError> {
    let (begun, has_begun) = std::sync::mpsc::channel();
    let run = move || {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = begun.send(Err(SampanError::NoResources {
                    reason: error.to_string(),
                }));
                return;
            }
        };
        let _ = begun.send(Ok(runtime.handle().clone()));
        if catch_unwind(AssertUnwindSafe(|| runtime.block_on(driver.run()))).is_err() {
            log::error!("the engine's loop panicked; every call fails from now on");
            outward.end();
        }
        callers.end_tasks(END_TIMEOUT);
        runtime.shutdown_timeout(END_TIMEOUT);
    };
    std::thread::Builder::new()
        .name("sampan-engine".to_owned())
        .spawn(run)
        .map_err(|_| NoThread)?;
    // The thread says one of the two at once.
    has_begun.recv().unwrap_or(Err(SampanError::ShutDown))
}
