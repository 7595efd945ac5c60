//! [`ClientCore`], the API's handle of a client, and [`ClientParts`], a client without its store.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::attach::Wishes;
use super::board::ClientBoard;
use super::callers::{Answer, Callers};
use super::downloads::Downloads;
use super::drafts::Drafts;
use super::inbox::Imports;
use super::store_handle::{OpenStore, StoreHandle};
use crate::model::{ClientId, DeviceTag, SigningRequest};
use crate::store::{FileCache, Inbox, Spool, StoreKey};
use crate::sync::{OperationSignature, Signing};
use crate::views::ClientState;
use crate::{SampanError, Secret};

/// The options of opening a client.
#[derive(Clone, Default)]
pub(crate) struct OpenOptions {
    pub(crate) tag: Option<DeviceTag>,
    pub(crate) device_id: Option<String>,
    pub(crate) key: Option<StoreKey>,
    pub(crate) signer: Option<Signer>,
    pub(crate) account: Option<Secret>,
    pub(crate) signs_each_connection: bool,
}

/// Asks the app's own server for a signature; the text of a failure goes back to the caller.
pub(crate) type Signer = Arc<
    dyn Fn(SigningRequest) -> BoxFuture<'static, Result<OperationSignature, String>> + Send + Sync,
>;

/// An app's signer at the loop. The app's object is used and dropped on caller threads only.
pub(super) struct ClientSigner {
    signer: Option<Signer>,
    callers: Callers,
}

impl ClientSigner {
    pub(super) fn new(signer: Option<Signer>, callers: &Callers) -> Self {
        let callers = callers.clone();
        Self { signer, callers }
    }

    /// The app's signer, for a future that runs on caller threads; none if the app gave none.
    pub(super) fn get(&self) -> Option<Signer> {
        self.signer.clone()
    }
}

impl Drop for ClientSigner {
    fn drop(&mut self) {
        if let Some(signer) = self.signer.take() {
            self.callers.run(move || drop(signer));
        }
    }
}

/// One open client, as the API holds it.
#[derive(Debug)]
pub(crate) struct ClientCore {
    pub(crate) id: ClientId,
    pub(crate) board: ClientBoard,
    pub(crate) store: Arc<StoreHandle>,
    pub(super) tag: Option<DeviceTag>,
    pub(super) device_id: Option<String>,
    /// The account session with which the client signs in now.
    pub(super) account: Mutex<Option<Secret>>,
    /// The signer is asked at each connection, and no token is used.
    pub(super) signs_each_connection: bool,
    /// The state that was told last.
    pub(super) told: ToldState,
    /// The drafts, until the store has them.
    pub(super) drafts: Drafts,
    /// The inbox of extensions, with the glance; none where the app chose no folder.
    pub(super) inbox: Option<Arc<Mutex<Inbox>>>,
    /// Files that wait to be uploaded.
    pub(crate) spool: Spool,
    /// Files that were downloaded.
    pub(super) cache: FileCache,
    pub(super) downloads: Downloads,
}

impl ClientCore {
    /// The session of an account with which the client signs in, if it does.
    pub(super) fn account(&self) -> Option<Secret> {
        let account = self.account.lock();
        account.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the next sign-in on, the client signs in with this session.
    pub(super) fn set_account(&self, session: Secret) {
        let account = self.account.lock();
        *account.unwrap_or_else(PoisonError::into_inner) = Some(session);
    }
}

/// The state that was told last: a newer version is another one.
#[derive(Debug, Default)]
pub(super) struct ToldState(pub(super) Mutex<ClientState>);

/// A client without its store.
pub(super) struct ClientParts {
    pub(super) core: Arc<ClientCore>,
    pub(super) signer: ClientSigner,
    pub(super) wishes: Wishes,
    pub(super) imports: Imports,
    /// The present key of the store.
    pub(super) key: SharedKey,
    /// The calls that wait for a compaction.
    pub(super) compactions: Vec<Answer<Result<(), SampanError>>>,
}

impl ClientParts {
    /// The operations of the client that are signed.
    pub(super) fn signing(&self) -> Signing {
        match (self.signer.get(), self.core.account()) {
            (Some(_), _) if self.core.signs_each_connection => Signing::SignedEachTime,
            (Some(_), _) => Signing::Signed,
            (None, Some(_)) => Signing::SignIns,
            (None, None) => Signing::Unsigned,
        }
    }

    /// Answers the calls that wait for a compaction.
    pub(super) fn tell_compacted(&mut self, outcome: &Result<(), SampanError>) {
        for done in self.compactions.drain(..) {
            // A caller that left is not told.
            let _ = done.send(outcome.clone());
        }
    }
}

/// A store's key, shared with the openers of the store.
pub(super) type SharedKey = Arc<Mutex<Option<StoreKey>>>;

/// A client with its open store.
pub(super) struct OpenedClient {
    pub(super) parts: ClientParts,
    pub(super) open: OpenStore,
}

#[cfg(test)]
impl OpenedClient {
    /// A client with a store in memory.
    pub(super) fn in_memory(disk: &crate::store::MemoryDisk, client: &ClientId) -> Self {
        let (disk, owner) = (disk.clone(), client.clone());
        let store = StoreHandle::new(Box::new(move || {
            Ok(crate::store::Store::in_memory(&disk, owner.clone())?)
        }));
        let open = store.open().unwrap();
        let parts = ClientParts {
            core: Arc::new(ClientCore {
                id: client.clone(),
                board: ClientBoard::default(),
                store,
                tag: None,
                device_id: None,
                signs_each_connection: false,
                account: Mutex::default(),
                told: ToldState::default(),
                drafts: Drafts::default(),
                inbox: None,
                // A store in memory has no folder, so nothing is written there.
                spool: Spool::new(std::path::PathBuf::new()),
                cache: FileCache::new(std::path::PathBuf::new()),
                downloads: Downloads::default(),
            }),
            signer: ClientSigner::new(None, &Callers::inline()),
            wishes: Wishes::default(),
            imports: Imports::default(),
            key: Arc::default(),
            compactions: Vec::new(),
        };
        Self { parts, open }
    }
}
