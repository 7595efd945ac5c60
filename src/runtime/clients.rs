//! The clients of an engine, and the state of each.
//!
//! ```text
//!         open               opened               sign out            files are free, wiped
//!   none ─────▶ Opening ─────────────▶ Open ─────────────────▶ Closing ─────────────────────▶ none
//!                  └── did not open ──▶ none
//! ```
//!
//! The loop owns these states, so a call that has begun is completed also when its caller no longer waits, and
//! the same call again waits for the same work. The store of an open client may be closed (`background.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::attach::Wishes;
use super::blocking::blocking;
use super::board::ClientBoard;
use super::callers::{Answer, Callers};
use super::client_parts::{
    ClientCore, ClientParts, ClientSigner, OpenOptions, OpenedClient, SharedKey, ToldState,
};
use super::downloads::Downloads;
use super::drafts::Drafts;
use super::inbox::{Imports, inbox_of};
use super::mailbox::{OpenAnswer, SignOutAnswer};
use super::store_handle::{OpenStore, Opener, StoreHandle};
use super::{client_folders, clock};
use crate::model::ClientId;
use crate::model::LocalData;
use crate::store::{FileCache, Spool, Store, StoreError, StoreFolder, StoreOptions};
use crate::threads::Threads;
use crate::{Config, SampanError};

/// The folder, in a client's folder, for copies of files that wait to be uploaded.
const SPOOL_FOLDER: &str = "spool";

/// The folder, in a client's folder, for downloaded files.
const CACHE_FOLDER: &str = "files";

/// No store's cache is smaller, in bytes, however many there are.
const CACHE_MIN: u64 = 1024 * 1024;

/// The clients of one engine.
pub(super) struct Clients {
    config: Config,
    files: Threads,
    callers: Callers,
    states: BTreeMap<ClientId, ClientStage>,
    tasks: JoinSet<FinishedTask>,
    /// The number of stores that share the cache.
    sharers: Arc<AtomicU64>,
}

enum ClientStage {
    Opening {
        core: Arc<ClientCore>,
        waiting: Vec<OpenAnswer>,
    },
    Open(Arc<ClientCore>),
    Closing(Closing),
}

struct Closing {
    core: Arc<ClientCore>,
    wipe: Wipe,
    waiting: Vec<SignOutAnswer>,
    /// The callers that want the client opened anew when it is closed.
    next: Vec<(OpenOptions, OpenAnswer)>,
}

/// The removal of a client's data when the client is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wipe {
    /// The data stay.
    No,
    /// The data are to be removed, and are not yet.
    Wanted,
    /// The data are being removed.
    Begun,
}

/// The result of a task beside the loop.
pub(super) enum FinishedTask {
    /// A store was opened, or was not.
    Opened(Box<(ClientParts, Result<OpenStore, SampanError>)>),
    /// The files of a client are free, and the data that were to be removed are gone.
    Closed(ClientId, Result<(), SampanError>),
    /// The folders of a client that was not open are gone, or not; the caller was told.
    Wiped,
}

/// The loop's next act after a task has finished.
pub(super) enum Next {
    /// A client joins the loop now; then its waiting callers get their answers.
    Attach(Box<OpenedClient>, Arc<ClientCore>, Vec<OpenAnswer>),
    /// No work.
    Nothing,
}

impl Clients {
    pub(super) fn new(config: Config, files: Threads, callers: Callers) -> Self {
        Self {
            config,
            files,
            callers,
            states: BTreeMap::new(),
            tasks: JoinSet::new(),
            sharers: Arc::default(),
        }
    }

    /// Opens a client, or finds the open one. A client that is being closed is opened anew afterwards.
    pub(super) fn open(&mut self, id: ClientId, options: OpenOptions, done: OpenAnswer) {
        match self.states.get_mut(&id) {
            None => self.begin_opening(id, options, done),
            Some(ClientStage::Open(core)) => tell(done, same(core, &options)),
            Some(ClientStage::Opening { core, waiting }) => match same(core, &options) {
                Ok(_) => waiting.push(done),
                error => tell(done, error),
            },
            Some(ClientStage::Closing(closing)) => closing.next.push((options, done)),
        }
    }

    fn begin_opening(&mut self, id: ClientId, options: OpenOptions, done: OpenAnswer) {
        let key = SharedKey::new(Mutex::new(options.key.clone()));
        let inbox = self.config.inbox_folder.as_deref();
        let inbox = inbox.map(|root| inbox_of(root, &self.config.app_id, &id, options.key));
        let core = Arc::new(ClientCore {
            id: id.clone(),
            board: ClientBoard::default(),
            store: StoreHandle::new(self.opener(&id, Arc::clone(&key))),
            tag: options.tag,
            device_id: options.device_id,
            signs_each_connection: options.signs_each_connection,
            account: Mutex::new(options.account),
            told: ToldState::default(),
            drafts: Drafts::default(),
            inbox: inbox.clone().map(|inbox| Arc::new(Mutex::new(inbox))),
            spool: Spool::new(self.folder(&id).join(SPOOL_FOLDER)),
            cache: FileCache::new(self.folder(&id).join(CACHE_FOLDER)),
            downloads: Downloads::default(),
        });
        let parts = ClientParts {
            core: Arc::clone(&core),
            signer: ClientSigner::new(options.signer, &self.callers),
            wishes: Wishes::default(),
            imports: Imports::new(inbox),
            key,
            compactions: Vec::new(),
        };
        let store = Arc::clone(&core.store);
        let waiting = vec![done];
        self.states
            .insert(id, ClientStage::Opening { core, waiting });
        self.share_caches();
        let opened = blocking(&self.files, move || store.open());
        self.tasks
            .spawn(async move { FinishedTask::Opened(Box::new((parts, opened.await))) });
    }

    /// At its opening, a store's cache gets an even part of the memory for all open stores.
    fn share_caches(&self) {
        let clients = u64::try_from(self.states.len()).unwrap_or(u64::MAX);
        self.sharers.store(clients, Ordering::Relaxed);
    }

    /// The folder of a client's store.
    fn folder(&self, id: &ClientId) -> PathBuf {
        client_folders::folder(&self.config.store_root, &self.config.app_id, id)
    }

    /// The opener of a client's store, for the first time and for each time after it was closed.
    fn opener(&self, id: &ClientId, key: SharedKey) -> Opener {
        let app = self.config.app_id.clone();
        let folder = self.folder(id);
        let how = StoreOptions::new(&folder, id.clone(), clock::wall());
        let cache_bytes = self.config.cache_bytes;
        let sharers = Arc::clone(&self.sharers);
        Box::new(move || {
            let mut how = how.clone();
            let sharers = sharers.load(Ordering::Relaxed).max(1);
            how.cache_bytes = (cache_bytes / sharers).max(CACHE_MIN);
            how.key = key.lock().unwrap_or_else(PoisonError::into_inner).clone();
            how.now = clock::wall();
            let opened = Store::open(&how)?;
            if how.key.is_none() {
                // A folder that can't be written has its own report; the list lacks it then.
                let _ = client_folders::remember(&how.folder, &app, &how.owner);
            }
            Ok(opened)
        })
    }

    /// Notes that a client is open which was opened elsewhere, in memory.
    #[cfg(test)]
    pub(super) fn add(&mut self, core: &Arc<ClientCore>) {
        let state = ClientStage::Open(Arc::clone(core));
        self.states.insert(core.id.clone(), state);
    }

    /// Begins to close an open client: true when the loop is to give it up now, and to say so by
    /// [`Clients::given_up`]. One that is being closed already is joined; a handle of an earlier
    /// opening is closed for ever.
    pub(super) fn sign_out(
        &mut self,
        core: &Arc<ClientCore>,
        after: LocalData,
        done: SignOutAnswer,
    ) -> bool {
        let wipe = match after {
            LocalData::Keep => Wipe::No,
            LocalData::Wipe => Wipe::Wanted,
        };
        match self.states.get_mut(&core.id) {
            Some(ClientStage::Closing(closing)) if Arc::ptr_eq(&closing.core, core) => {
                if closing.wipe == Wipe::No {
                    closing.wipe = wipe;
                }
                closing.waiting.push(done);
                false
            }
            Some(ClientStage::Open(open)) if Arc::ptr_eq(open, core) => {
                let closing = Closing {
                    core: Arc::clone(core),
                    wipe,
                    waiting: vec![done],
                    next: Vec::new(),
                };
                self.states
                    .insert(core.id.clone(), ClientStage::Closing(closing));
                true
            }
            _ => {
                tell(done, Err(SampanError::SignedOut));
                false
            }
        }
    }

    /// The loop holds nothing of a client any more: waits until its files are free.
    pub(super) fn given_up(&mut self, core: &ClientCore) {
        let (id, store) = (core.id.clone(), Arc::clone(&core.store));
        self.tasks.spawn(async move {
            store.freed().await;
            FinishedTask::Closed(id, Ok(()))
        });
    }

    /// The next thing that finished; waits for ever where nothing is under way.
    pub(super) async fn next(&mut self) -> FinishedTask {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(finished)) => return finished,
                // No task panics: the work on files catches its own.
                Some(Err(error)) => debug_assert!(error.is_cancelled(), "{error}"),
                None => std::future::pending().await,
            }
        }
    }

    /// The next thing that finished already.
    pub(super) fn try_next(&mut self) -> Option<FinishedTask> {
        self.tasks.try_join_next()?.ok()
    }

    /// Passes a finished task to its waiting callers.
    pub(super) fn finished(&mut self, finished: FinishedTask) -> Next {
        match finished {
            FinishedTask::Opened(opened) => self.opened(*opened),
            FinishedTask::Wiped => Next::Nothing,
            FinishedTask::Closed(id, outcome) => {
                self.closed(id, &outcome);
                Next::Nothing
            }
        }
    }

    fn opened(&mut self, (parts, outcome): (ClientParts, Result<OpenStore, SampanError>)) -> Next {
        let core = Arc::clone(&parts.core);
        let Some(ClientStage::Opening { waiting, .. }) = self.states.remove(&core.id) else {
            debug_assert!(false, "only a client that is being opened is opened");
            return Next::Nothing;
        };
        match outcome {
            Ok(open) => {
                let state = ClientStage::Open(Arc::clone(&core));
                self.states.insert(core.id.clone(), state);
                Next::Attach(Box::new(OpenedClient { parts, open }), core, waiting)
            }
            Err(error) => {
                self.share_caches();
                for done in waiting {
                    tell(done, Err(error.clone()));
                }
                Next::Nothing
            }
        }
    }

    fn closed(&mut self, id: ClientId, outcome: &Result<(), SampanError>) {
        match self.states.remove(&id) {
            Some(ClientStage::Closing(mut closing)) if closing.wipe == Wipe::Wanted => {
                closing.wipe = Wipe::Begun;
                self.states
                    .insert(id.clone(), ClientStage::Closing(closing));
                self.begin_wiping(id);
            }
            Some(ClientStage::Closing(closing)) => {
                self.share_caches();
                for done in closing.waiting {
                    tell(done, outcome.clone());
                }
                for (options, done) in closing.next {
                    self.open(id.clone(), options, done);
                }
            }
            other => {
                debug_assert!(
                    other.is_none(),
                    "only a client that is being closed is closed"
                );
            }
        }
    }

    fn begin_wiping(&mut self, id: ClientId) {
        let folders = self.folders(&id);
        let wiped = blocking(&self.files, move || {
            // All are tried; the first failure is told.
            let outcomes: Vec<_> = folders
                .iter()
                .map(|folder| client_folders::wipe(folder))
                .collect();
            let outcome: Result<(), _> = outcomes.into_iter().collect();
            outcome.map_err(|error| StoreError::io("removing a client's data", &error).into())
        });
        self.tasks
            .spawn(async move { FinishedTask::Closed(id, wiped.await) });
    }

    /// Removes the folders of a client that nobody has open.
    pub(super) fn wipe_account(&mut self, name: &str, done: Answer<Result<(), SampanError>>) {
        let root = &self.config.store_root;
        if !client_folders::is_name(name) {
            let reason = "folder: the name that Engine.accounts gave".to_owned();
            return tell(done, Err(SampanError::InvalidArgument { reason }));
        }
        let folder = root.join(name);
        let app = &self.config.app_id;
        let mut open = self.states.keys();
        // A store that is shut because the app is in the background holds no lock.
        if open.any(|id| client_folders::folder(root, app, id) == folder) {
            let holder = Some(i64::from(std::process::id()));
            return tell(done, Err(SampanError::StoreInUse { holder }));
        }
        let inbox = self.config.inbox_folder.as_ref();
        let inbox = inbox.map(|root| root.join(name));
        let wiped = blocking(&self.files, move || {
            if let Some(inbox) = inbox {
                client_folders::wipe(&inbox)
                    .map_err(|error| StoreError::io("removing an inbox", &error))?;
            }
            Ok(StoreFolder::remove(&folder)?)
        });
        self.tasks.spawn(async move {
            tell(done, wiped.await);
            FinishedTask::Wiped
        });
    }

    /// Every folder with data of a client, in the order of wiping: the store last, because it names the owner
    /// of the others.
    fn folders(&self, id: &ClientId) -> Vec<PathBuf> {
        let roots = [
            self.config.inbox_folder.as_ref(),
            Some(&self.config.store_root),
        ];
        let roots = roots.into_iter().flatten();
        roots
            .map(|root| client_folders::folder(root, &self.config.app_id, id))
            .collect()
    }

    /// The loop ends: waits until all files are free and the data that were to be wiped are gone.
    pub(super) async fn end(mut self) {
        let ids: Vec<_> = self.states.keys().cloned().collect();
        for id in ids {
            if let Some(ClientStage::Open(core)) = self.states.get(&id) {
                core.store.freed().await;
            }
        }
        while let Some(finished) = self.tasks.join_next().await {
            match finished {
                // No caller is left that the client would serve.
                Ok(FinishedTask::Opened(opened)) => drop(opened),
                Ok(FinishedTask::Wiped) => {}
                Ok(FinishedTask::Closed(id, outcome)) => self.closed_at_the_end(id, &outcome),
                Err(error) => debug_assert!(error.is_cancelled(), "{error}"),
            }
        }
    }

    fn closed_at_the_end(&mut self, id: ClientId, outcome: &Result<(), SampanError>) {
        if let Some(ClientStage::Closing(closing)) = self.states.get_mut(&id) {
            // No caller is left that wants the client opened.
            closing.next.clear();
            self.closed(id, outcome);
        }
    }
}

/// The open client, if it was opened in this way.
fn same(core: &Arc<ClientCore>, options: &OpenOptions) -> Result<Arc<ClientCore>, SampanError> {
    if core.tag != options.tag {
        return Err(SampanError::TagMismatch);
    }
    // A client that signs in otherwise goes on as it was opened.
    if let (Some(_), Some(session)) = (core.account(), &options.account) {
        core.set_account(session.clone());
    }
    Ok(Arc::clone(core))
}

/// A caller that left is not told.
fn tell<T>(done: Answer<T>, outcome: T) {
    let _ = done.send(outcome);
}
