//! The engine: one app, one connection, any number of clients.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::model::{Account, ClientId, ConnectionFailure, ConnectionState, NetworkChange};
use crate::runtime::{EventStream, Runtime, Scope};
use crate::{Config, SampanError};

use super::client::Client;
use super::client_options::ClientOptions;
use super::observer::{EventObserver, EventSubscription};
use super::plugin::{Decorators, EnginePlugin};

/// One app's engine: it owns a thread, the one connection to the service, and the clients' stores.
///
/// Dropping the last handle (the engine's, and those of all its clients and conversations) stops it;
/// `shutdown` does the same and waits until everything is closed.
#[derive(uniffi::Object)]
#[uniffi::export(Debug, Eq, Hash)]
pub struct Engine {
    runtime: Arc<Runtime>,
    plugins: Decorators,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({})", self.runtime.app_id())
    }
}

impl PartialEq for Engine {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.runtime, &other.runtime)
    }
}

impl Eq for Engine {}

impl Hash for Engine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.runtime).hash(state);
    }
}

#[uniffi::export]
impl Engine {
    /// Starts an engine. It needs no network and opens no socket until a client connects.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the server's address can't be one, or the trusted certificates can't
    /// be read; `NoResources` when the system gives no thread or no descriptor.
    #[uniffi::constructor]
    pub fn open(config: Config) -> Result<Arc<Self>, SampanError> {
        Self::open_with_plugins(config, Vec::new())
    }

    /// Starts an engine as `open` does, with plug-ins, which run in their order.
    ///
    /// # Errors
    ///
    /// Those of `open`.
    #[uniffi::constructor]
    pub fn open_with_plugins(
        config: Config,
        plugins: Vec<Arc<dyn EnginePlugin>>,
    ) -> Result<Arc<Self>, SampanError> {
        let plugins = Decorators::new(plugins);
        let runtime = Runtime::start(config, plugins.hooks())?;
        let engine = Arc::new(Self { runtime, plugins });
        engine.plugins.engine(&engine);
        Ok(engine)
    }

    /// Opens the store of a client, without connecting: the data on this device can be read at once.
    ///
    /// The same id again gives the same client. Once begun, opening is carried to its end, also when
    /// the call is cancelled; the same call again joins it.
    ///
    /// # Errors
    ///
    /// `TagMismatch` when the client is open with another tag; `StoreInUse`, `StoreTooNew`,
    /// `WrongKey` or `InvalidArgument` when its store can't be opened. A store that is damaged or
    /// can't be written opens all the same: see `Client.open_report` and `Client.store_health`.
    pub async fn client(
        &self,
        id: ClientId,
        options: ClientOptions,
    ) -> Result<Arc<Client>, SampanError> {
        let options = options.checked()?;
        let core = self.runtime.open_client(id, options).await?;
        self.runtime.keep_glance(&core);
        let (runtime, plugins) = (Arc::clone(&self.runtime), self.plugins.clone());
        let client = Arc::new(Client::new(runtime, core, plugins));
        self.plugins.client(&client);
        Ok(client)
    }

    /// The data of clients on this device, seen without opening any: in order of the clients, then those
    /// that are encrypted, whose names are part of what is kept secret. With them an app whose key is lost
    /// finds what to remove.
    ///
    /// # Errors
    ///
    /// `ShutDown`.
    pub async fn accounts(&self) -> Result<Vec<Account>, SampanError> {
        self.runtime.accounts().await
    }

    /// Removes the data of a client that is not open, unsent work and what extensions left included. No
    /// key is needed. `folder` is as `accounts` gave it; a folder that is not there is gone already.
    ///
    /// # Errors
    ///
    /// `StoreInUse` when the client is open, on this engine or elsewhere; `InvalidArgument` for a text that names no
    /// such folder; `StoreUnavailable` when something could not be removed; `ShutDown`.
    pub async fn wipe_account(&self, folder: String) -> Result<(), SampanError> {
        self.runtime.wipe_account(folder).await
    }

    /// The connection's state now.
    #[must_use]
    pub fn connection_state(&self) -> ConnectionState {
        self.runtime.board().connection()
    }

    /// Why connecting failed last; none once the service has answered, and before the first failure. The engine
    /// tries again by itself: this is for telling the user, or finding out what is wrong.
    #[must_use]
    pub fn connection_failure(&self) -> Option<ConnectionFailure> {
        self.runtime.board().failure()
    }

    /// Calls `observer` with the events of all clients from now on, in batches, on a thread of its
    /// own, until the subscription ends.
    ///
    /// # Errors
    ///
    /// `NoResources` when the system gives no thread.
    pub fn observe(
        &self,
        observer: Arc<dyn EventObserver>,
    ) -> Result<Arc<EventSubscription>, SampanError> {
        EventSubscription::start(self.runtime.subscribe(Scope::Engine), observer)
    }

    /// Tells what the operating system says about the network. Without it the engine finds out by
    /// itself, later.
    ///
    /// # Errors
    ///
    /// `ShutDown` after `shutdown`.
    pub async fn network_changed(&self, change: NetworkChange) -> Result<(), SampanError> {
        self.runtime.mailbox().network(change).await
    }

    /// Closes the connection, brings everything to disk and closes every file: the app goes to the
    /// background. On return no file of a store is open and no lock is held; nothing is sent until
    /// `resume`.
    ///
    /// Reads and writes work in the background too: a call opens its client's store again, which
    /// takes some ten milliseconds, and the store is closed again a second later, or by another
    /// `pause`, whose return says so. A write that returned is as durable as ever.
    ///
    /// # Errors
    ///
    /// `ShutDown` after `shutdown`.
    pub async fn pause(&self) -> Result<(), SampanError> {
        self.runtime.pause().await
    }

    /// Opens the stores and connects again, if a client wants to be online: the app is back. Returns
    /// at once. A store that does not open, because another process has it, is tried again until
    /// it does; `Client.store_health` and an event tell, and calls fail with the reason meanwhile.
    ///
    /// # Errors
    ///
    /// `ShutDown` after `shutdown`.
    pub async fn resume(&self) -> Result<(), SampanError> {
        self.runtime.resume().await
    }

    /// Stops everything. On return the connection and all stores are closed and observers have been
    /// given their last events to deliver; every later call fails with `ShutDown`.
    ///
    /// # Errors
    ///
    /// `ShutDown` when it was shut down before.
    pub async fn shutdown(&self) -> Result<(), SampanError> {
        self.runtime.shutdown().await
    }
}

impl Engine {
    /// The events of all clients from now on, as a stream that ends when the engine does.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream::new(self.runtime.subscribe(Scope::Engine))
    }
}

/// The version of this library, such as `0.1.0`.
#[uniffi::export]
#[must_use]
pub fn library_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
