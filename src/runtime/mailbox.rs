//! What the loop is asked by the API, and the handle by which it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::OpenOptions;
use super::background::ClientParts;
use super::callers::Callers;
use super::clients::{ClientCore, Opened, SignedOut};
use super::inbox::InboxReport;
use super::online::OnlineWish;
use super::store_handle::OpenStore;
use crate::SampanError;
use crate::model::LocalData;
use crate::model::{
    ClientId, ConnectionFailure, ConnectionState, SessionState, SigningRequest, StoreHealth,
    Timestamp,
};
use crate::store::StoreKey;
use crate::sync::link::NetworkChange;
use crate::sync::{Call, OperationSignature, Reply, Request};
use crate::views::{Holds, SyncState};

/// How many calls may wait for the loop; more callers wait for room.
pub(super) const MAILBOX_MAX: usize = 1024;

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

/// Where a call's answer goes. A caller that left is not told.
pub(super) type Answer<T> = oneshot::Sender<T>;

/// One thing the API asks of the loop.
pub(super) enum Command {
    /// Open a client, or find the one that is open.
    Open {
        /// Which.
        client: ClientId,
        /// How.
        options: Box<OpenOptions>,
        /// Told when the client takes part, or why it does not.
        done: Opened,
    },
    /// Ask a client's machine.
    Request {
        /// Whose machine.
        client: ClientId,
        /// What.
        request: Box<Request>,
        /// The answer.
        done: Answer<Result<Reply, SampanError>>,
    },
    /// Open a client's store again for a read.
    Wake {
        /// Whose.
        client: ClientId,
        /// Told when reads find it.
        done: Answer<Result<(), SampanError>>,
    },
    /// Take what other processes of the app left for a client.
    Import {
        /// Whose inbox.
        client: ClientId,
        /// What was found.
        done: Answer<Result<InboxReport, SampanError>>,
    },
    /// Compact a client's store.
    Compact {
        /// Whose.
        client: ClientId,
        /// Told when it is done.
        done: Answer<Result<(), SampanError>>,
    },
    /// Change the key of a client's store.
    ChangeKey {
        /// Whose store.
        client: ClientId,
        /// The key as it is.
        old: StoreKey,
        /// The key as it is to be.
        new: StoreKey,
        /// Told when the change is durable.
        done: Answer<Result<(), SampanError>>,
    },
    /// Close a client for good.
    SignOut {
        /// Which, of all that ever had its id.
        core: Arc<ClientCore>,
        /// What becomes of its data.
        after: LocalData,
        /// Told when no file of it is open, and its data are wiped if that was asked for.
        done: SignedOut,
    },
    /// Read whether the app wants a client to be online.
    Wish {
        /// Which, of all that ever had its id.
        core: Arc<ClientCore>,
    },
    /// The operating system said something about the network.
    Network(NetworkChange),
    /// The app goes to the background.
    Pause {
        /// Told when the socket is closed, all is on disk and no file is open.
        done: Answer<()>,
    },
    /// The app is back.
    Resume,
    /// Stop for good.
    Shutdown {
        /// Told when all is on disk and every store is closed; nobody when the API is gone.
        done: Option<Answer<()>>,
    },
}

impl Command {
    /// The client whose store it needs.
    pub(super) fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Request { client, .. }
            | Self::Import { client, .. }
            | Self::Compact { client, .. }
            | Self::ChangeKey { client, .. }
            | Self::Wake { client, .. } => Some(client),
            Self::Wish { core } => Some(&core.id),
            Self::Open { .. }
            | Self::SignOut { .. }
            | Self::Network(_)
            | Self::Pause { .. }
            | Self::Resume
            | Self::Shutdown { .. } => None,
        }
    }

    /// Tells whoever waits for an answer why there is none. A caller that left is not told.
    pub(super) fn refuse(self, error: &SampanError) {
        match self {
            Self::Request { done, .. } => drop(done.send(Err(error.clone()))),
            Self::Import { done, .. } => drop(done.send(Err(error.clone()))),
            Self::Wake { done, .. } | Self::Compact { done, .. } | Self::ChangeKey { done, .. } => {
                drop(done.send(Err(error.clone())));
            }
            // Nobody waits for an answer of these.
            Self::Open { .. }
            | Self::Wish { .. }
            | Self::SignOut { .. }
            | Self::Network(_)
            | Self::Pause { .. }
            | Self::Resume
            | Self::Shutdown { .. } => {}
        }
    }
}

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
        let store = super::store_handle::StoreHandle::new(Box::new(move || {
            Ok(crate::store::Store::in_memory(&disk, owner.clone())?)
        }));
        let open = store.open().unwrap();
        let parts = ClientParts {
            core: Arc::new(ClientCore {
                id: client.clone(),
                board: ClientBoard::default(),
                store,
                tag: None,
                told: super::client_state::Told::default(),
            }),
            signer: ClientSigner::new(None, &Callers::inline()),
            wishes: super::attach::Wishes::default(),
            imports: super::inbox::Imports::default(),
            key: Arc::default(),
            compactions: Vec::new(),
        };
        Self { parts, open }
    }
}

/// The readable state of the engine; the loop alone writes it.
#[derive(Debug, Default)]
pub(crate) struct EngineBoard {
    pub(super) connection: watch::Sender<ConnectionState>,
    pub(super) failure: watch::Sender<Option<ConnectionFailure>>,
    /// When connecting is tried again, while that is planned; by the device's clock.
    pub(super) retry_at: watch::Sender<Timestamp>,
    /// Whether the app is in the background.
    pub(super) is_away: watch::Sender<bool>,
    /// Whether the loop has ended.
    is_over: AtomicBool,
}

impl EngineBoard {
    /// Whether the loop has ended: nothing is answered any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(super) fn set_over(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// The connection's state now.
    pub(crate) fn connection(&self) -> ConnectionState {
        self.connection.borrow().clone()
    }

    /// Why connecting failed last, if it is not connected since.
    pub(crate) fn failure(&self) -> Option<ConnectionFailure> {
        self.failure.borrow().clone()
    }
}

/// The readable state of one client. The loop writes it; that a session opens or
/// closes the API says beforehand.
#[derive(Debug, Default)]
pub(crate) struct ClientBoard {
    pub(super) session: watch::Sender<SessionState>,
    pub(super) health: watch::Sender<StoreHealth>,
    pub(super) sync: watch::Sender<SyncState>,
    pub(super) holds: watch::Sender<Holds>,
    pub(super) inbox: watch::Sender<InboxReport>,
    /// What the app wants; the API alone writes it.
    pub(super) wish: OnlineWish,
}

impl ClientBoard {
    /// The session's state now.
    pub(crate) fn session(&self) -> SessionState {
        self.session.borrow().clone()
    }

    /// The session's state, to wait for a change of.
    pub(crate) fn watch_session(&self) -> watch::Receiver<SessionState> {
        self.session.subscribe()
    }

    /// Whether the store takes writes now.
    pub(crate) fn health(&self) -> StoreHealth {
        self.health.borrow().clone()
    }

    /// Whether this device has what the service has.
    pub(crate) fn sync(&self) -> SyncState {
        *self.sync.borrow()
    }

    /// What is kept back although the client is signed in.
    pub(crate) fn holds(&self) -> Holds {
        self.holds.borrow().clone()
    }

    /// What was found in the inbox since the client was opened.
    pub(crate) fn inbox(&self) -> InboxReport {
        *self.inbox.borrow()
    }
}

/// Asks the loop. When the last mailbox is gone, the loop ends.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    sender: mpsc::Sender<Command>,
    callers: Callers,
}

impl Mailbox {
    pub(super) fn new(callers: Callers) -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(MAILBOX_MAX);
        (Self { sender, callers }, receiver)
    }

    /// Hands a call to a client's machine and waits for the call's answer.
    pub(crate) async fn request<C: Call>(
        &self,
        client: &ClientId,
        call: C,
    ) -> Result<C::Answer, SampanError> {
        let client = client.clone();
        let request = Box::new(call.into());
        let reply = self.ask(|done| Command::Request {
            client,
            request,
            done,
        });
        reply.await??.try_into().map_err(|other: Reply| {
            // The machine answers a call through its `Caller`, which takes no other answer.
            debug_assert!(false, "an answer to another call: {other:?}");
            SampanError::Internal {
                reason: "an answer to another call".to_owned(),
            }
        })
    }

    /// Has a client's store opened again, for a read.
    pub(crate) async fn wake(&self, client: &ClientId) -> Result<(), SampanError> {
        let client = client.clone();
        self.ask(|done| Command::Wake { client, done }).await?
    }

    /// Takes what other processes of the app left.
    pub(crate) async fn import(&self, client: &ClientId) -> Result<InboxReport, SampanError> {
        let client = client.clone();
        self.ask(|done| Command::Import { client, done }).await?
    }

    /// Compacts a client's store.
    pub(crate) async fn compact(&self, client: &ClientId) -> Result<(), SampanError> {
        let client = client.clone();
        self.ask(|done| Command::Compact { client, done }).await?
    }

    /// Changes the key of a client's store.
    pub(crate) async fn change_key(
        &self,
        client: &ClientId,
        old: StoreKey,
        new: StoreKey,
    ) -> Result<(), SampanError> {
        let client = client.clone();
        self.ask(|done| Command::ChangeKey {
            client,
            old,
            new,
            done,
        })
        .await?
    }

    /// Opens a client, or finds the one that is open.
    pub(crate) async fn open(
        &self,
        client: ClientId,
        options: OpenOptions,
    ) -> Result<Arc<ClientCore>, SampanError> {
        let options = Box::new(options);
        self.ask(|done| Command::Open {
            client,
            options,
            done,
        })
        .await?
    }

    /// Closes a client for good; on return its files are free, or gone.
    pub(crate) async fn sign_out(
        &self,
        core: &Arc<ClientCore>,
        after: LocalData,
    ) -> Result<(), SampanError> {
        let core = Arc::clone(core);
        self.ask(|done| Command::SignOut { core, after, done })
            .await?
    }

    /// Has the loop read whether the app wants a client to be online. It does not wait.
    pub(super) fn wish(&self, tasks: &Handle, core: &Arc<ClientCore>) -> Result<(), SampanError> {
        let core = Arc::clone(core);
        self.post(tasks, Command::Wish { core })
    }

    /// Passes on a hint about the network without waiting.
    pub(super) fn hint(&self, tasks: &Handle, hint: NetworkChange) -> Result<(), SampanError> {
        self.post(tasks, Command::Network(hint))
    }

    /// Passes on what the operating system said about the network.
    pub(crate) async fn network(&self, hint: NetworkChange) -> Result<(), SampanError> {
        self.tell(Command::Network(hint)).await
    }

    /// Stops the socket, brings everything to disk and shuts the stores' files.
    pub(crate) async fn pause(&self) -> Result<(), SampanError> {
        self.ask(|done| Command::Pause { done }).await
    }

    /// Goes on after [`Mailbox::pause`].
    pub(crate) async fn resume(&self) -> Result<(), SampanError> {
        self.tell(Command::Resume).await
    }

    /// Stops the loop for good; on return every file is free.
    pub(crate) async fn shutdown(&self) -> Result<(), SampanError> {
        self.ask(|done| Command::Shutdown { done: Some(done) })
            .await
    }

    /// Leaves a command and does not wait: where the loop has no room, a caller thread waits for it.
    fn post(&self, tasks: &Handle, command: Command) -> Result<(), SampanError> {
        match self.sender.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(SampanError::Closed),
            Err(TrySendError::Full(command)) => {
                let sender = self.sender.clone();
                let work = async move {
                    // A loop that has ended obeys nobody.
                    let _ = sender.send(command).await;
                };
                self.callers.spawn(tasks, Box::pin(work));
                Ok(())
            }
        }
    }

    async fn tell(&self, command: Command) -> Result<(), SampanError> {
        let told = self.callers.outside(self.sender.send(command)).await;
        told.map_err(|_| SampanError::Closed)
    }

    /// A caller that stops waiting loses the answer only: the work is in the mailbox.
    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, SampanError> {
        let (done, answer) = oneshot::channel();
        self.tell(command(done)).await?;
        let answer = self.callers.outside(answer).await;
        answer.map_err(|_| SampanError::Closed)
    }
}
