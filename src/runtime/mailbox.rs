//! [`Command`]: a command of the API to the loop; and [`Mailbox`], the handle that sends it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::board::EngineBoard;
use super::callers::{Answer, Callers};
use super::client_parts::{ClientCore, OpenOptions};
use super::inbox::InboxReport;
use crate::SampanError;
use crate::model::{ClientId, CommitSeq, LocalData, UnsentWork};
use crate::store::StoreKey;
use crate::sync::link::NetworkChange;
use crate::sync::{Call, Reply, Request};

/// How many calls may wait for the loop; more callers wait for room.
pub(super) const MAILBOX_MAX: usize = 1024;

/// Told when a client is open, or why it is not.
pub(super) type OpenAnswer = Answer<Result<Arc<ClientCore>, SampanError>>;

/// Told when a client is closed, and its data are wiped if that was asked for.
pub(super) type SignOutAnswer = Answer<Result<(), SampanError>>;

/// A machine's answer, and the commit with the writes of the call.
pub(super) type RequestAnswer = Answer<Result<(Reply, CommitSeq), SampanError>>;

/// One thing the API asks of the loop.
pub(super) enum Command {
    /// Open a client, or find the one that is open.
    Open {
        /// The client.
        client: ClientId,
        /// The options.
        options: Box<OpenOptions>,
        /// Told when the client takes part, or why it does not.
        done: OpenAnswer,
    },
    /// Ask a client's machine.
    Request {
        /// The client's id.
        client: ClientId,
        /// The request.
        request: Box<Request>,
        /// The answer.
        done: RequestAnswer,
    },
    /// Open a client's store again for a read.
    Wake {
        /// The client's id.
        client: ClientId,
        /// Told when reads find the store.
        done: Answer<Result<(), SampanError>>,
    },
    /// Import the work that other processes of the app left for a client.
    Import {
        /// The client's id.
        client: ClientId,
        /// The report.
        done: Answer<Result<InboxReport, SampanError>>,
    },
    /// Compact a client's store.
    Compact {
        /// The client's id.
        client: ClientId,
        /// Told when it is done.
        done: Answer<Result<(), SampanError>>,
    },
    /// Change the key of a client's store.
    ChangeKey {
        /// The client's id.
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
        /// The client, of all that ever had its id.
        core: Arc<ClientCore>,
        /// The fate of the client's data.
        after: LocalData,
        /// The fate of the client's unsent work.
        unsent: UnsentWork,
        /// Told when no file of the client is open, and its data are wiped if that was asked for.
        done: SignOutAnswer,
    },
    /// Remove a client's folders without opening its store.
    WipeAccount {
        /// The name of its folder.
        folder: String,
        /// Told when it is gone, or why it is not.
        done: Answer<Result<(), SampanError>>,
    },
    /// Read whether the app wants a client to be online.
    Wish {
        /// The client, of all that ever had its id.
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
            | Self::WipeAccount { .. }
            | Self::Network(_)
            | Self::Pause { .. }
            | Self::Resume
            | Self::Shutdown { .. } => None,
        }
    }

    /// Tells the waiting callers why there is no answer. A caller that left is not told.
    pub(super) fn refuse(self, error: &SampanError) {
        match self {
            Self::Request { done, .. } => drop(done.send(Err(error.clone()))),
            Self::Import { done, .. } => drop(done.send(Err(error.clone()))),
            Self::Wake { done, .. } | Self::Compact { done, .. } | Self::ChangeKey { done, .. } => {
                drop(done.send(Err(error.clone())));
            }
            // These commands have no caller that waits.
            Self::Open { .. }
            | Self::Wish { .. }
            | Self::SignOut { .. }
            | Self::WipeAccount { .. }
            | Self::Network(_)
            | Self::Pause { .. }
            | Self::Resume
            | Self::Shutdown { .. } => {}
        }
    }
}

/// Asks the loop. When the last mailbox is gone, the loop ends.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    sender: mpsc::Sender<Command>,
    callers: Callers,
    board: Arc<EngineBoard>,
}

impl Mailbox {
    pub(super) fn new(
        callers: Callers,
        board: Arc<EngineBoard>,
    ) -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(MAILBOX_MAX);
        let mailbox = Self {
            sender,
            callers,
            board,
        };
        (mailbox, receiver)
    }

    /// Hands a call to a client's machine and waits for the call's answer.
    pub(crate) async fn request<C: Call>(
        &self,
        client: &ClientId,
        call: C,
    ) -> Result<C::Answer, SampanError> {
        let (answer, _) = self.write(client, call).await?;
        Ok(answer)
    }

    /// Passes a call to a client's machine and waits for the answer, and for the commit with the writes of the
    /// call.
    pub(crate) async fn write<C: Call>(
        &self,
        client: &ClientId,
        call: C,
    ) -> Result<(C::Answer, CommitSeq), SampanError> {
        let client = client.clone();
        let request = Box::new(call.into());
        let reply = self.ask(|done| Command::Request {
            client,
            request,
            done,
        });
        let (reply, seq) = reply.await??;
        let answer = reply.try_into().map_err(|other: Reply| {
            // The machine answers a call through its `Caller`, which takes no other answer.
            debug_assert!(false, "an answer to another call: {other:?}");
            SampanError::Internal {
                reason: "an answer to another call".to_owned(),
            }
        })?;
        Ok((answer, seq))
    }

    /// Tells a client's machine something that may be lost: it is where calls crowd.
    pub(crate) fn mention<C: Call>(&self, client: &ClientId, call: C) {
        let (done, _) = oneshot::channel();
        let (client, request) = (client.clone(), Box::new(call.into()));
        let command = Command::Request {
            client,
            request,
            done,
        };
        let _ = self.sender.try_send(command);
    }

    /// Has a client's store opened again, for a read.
    pub(crate) async fn wake(&self, client: &ClientId) -> Result<(), SampanError> {
        let client = client.clone();
        self.ask(|done| Command::Wake { client, done }).await?
    }

    /// Imports the work that other processes of the app left.
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
        unsent: UnsentWork,
    ) -> Result<(), SampanError> {
        let core = Arc::clone(core);
        self.ask(|done| Command::SignOut {
            core,
            after,
            unsent,
            done,
        })
        .await?
    }

    /// Makes the loop read the app's wish for a client. The call does not wait.
    pub(super) fn wish(&self, tasks: &Handle, core: &Arc<ClientCore>) -> Result<(), SampanError> {
        let core = Arc::clone(core);
        self.post(tasks, Command::Wish { core })
    }

    /// Passes on a hint about the network without waiting.
    pub(super) fn hint(&self, tasks: &Handle, hint: NetworkChange) -> Result<(), SampanError> {
        self.post(tasks, Command::Network(hint))
    }

    /// Removes a client's folders without opening its store.
    pub(crate) async fn wipe_account(&self, folder: String) -> Result<(), SampanError> {
        self.ask(|done| Command::WipeAccount { folder, done })
            .await?
    }

    /// Passes on a report of the operating system about the network.
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
            Err(TrySendError::Closed(_)) => Err(SampanError::ShutDown),
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
        told.map_err(|_| SampanError::ShutDown)
    }

    /// A caller that stops waiting loses the answer only: the work is in the mailbox.
    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, SampanError> {
        let (done, answer) = oneshot::channel();
        self.tell(command(done)).await?;
        let answer = self.callers.outside(answer).await;
        answer.map_err(|_| self.board.ended())
    }
}
