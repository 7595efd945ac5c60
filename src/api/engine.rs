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
/// The engine stops when the last handle is dropped: the engine's own handles and those of all its clients and
/// conversations. `shutdown` also stops it, and waits until everything is closed.
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
    /// Starts an engine. The call needs no network; the engine opens no socket until a client goes online.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the server's address is not valid, or the trusted certificates can't be read;
    /// `NoResources` when the system gives no thread or no descriptor.
    #[uniffi::constructor]
    pub fn open(config: Config) -> Result<Arc<Self>, SampanError> {
        Self::open_with_plugins(config, Vec::new())
    }

    /// Starts an engine as `open` does, with plug-ins. The plug-ins run in the order of the list.
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

    /// Opens the store of a client, without connecting. The data on this device can be read on return.
    ///
    /// The same id again gives the same client. An opening that has begun is completed, also when the call is
    /// cancelled; the same call again waits for the same opening.
    ///
    /// # Errors
    ///
    /// `TagMismatch` when the client is open with another tag; `StoreInUse`, `StoreTooNew`, `WrongKey` or
    /// `InvalidArgument` when its store can't be opened. A store that is damaged or can't be written opens
    /// nevertheless: see `Client.open_report` and `Client.store_health`.
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

    /// Lists the data of clients on this device, without opening any store: in the order of the client ids, then
    /// the encrypted ones, whose client ids are secret. With this list an app that lost a key finds the data to
    /// remove.
    ///
    /// # Errors
    ///
    /// `ShutDown`.
    pub async fn accounts(&self) -> Result<Vec<Account>, SampanError> {
        self.runtime.accounts().await
    }

    /// Removes the data of a client that is not open, with its unsent work and the work that extensions left. The
    /// call needs no key. `folder` comes from `accounts`; a folder that does not exist counts as removed.
    ///
    /// # Errors
    ///
    /// `StoreInUse` when the client is open, on this engine or elsewhere; `InvalidArgument` for a text that names
    /// no such folder; `StoreUnavailable` when something could not be removed; `ShutDown`.
    pub async fn wipe_account(&self, folder: String) -> Result<(), SampanError> {
        self.runtime.wipe_account(folder).await
    }

    /// The present state of the connection.
    #[must_use]
    pub fn connection_state(&self) -> ConnectionState {
        self.runtime.board().connection()
    }

    /// The reason why the last attempt to connect failed; none once the service has answered, and before the first
    /// failure. The engine tries again by itself; use the reason to inform the user or to find a fault.
    #[must_use]
    pub fn connection_failure(&self) -> Option<ConnectionFailure> {
        self.runtime.board().failure()
    }

    /// Calls `observer` with the events of all clients from now on, in batches, on a thread of Sampan, until the
    /// subscription ends.
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

    /// Passes a report of the operating system about the network on to the engine. Without it the engine finds a
    /// change of the network out by itself, later.
    ///
    /// # Errors
    ///
    /// `ShutDown` after `shutdown`.
    pub async fn network_changed(&self, change: NetworkChange) -> Result<(), SampanError> {
        self.runtime.mailbox().network(change).await
    }

    /// Closes the connection, makes all data durable and closes every file, because the app goes to the background.
    /// On return no file of a store is open and no lock is held. Nothing is sent until `resume`.
    ///
    /// Reads and writes work in the background too. Such a call opens its client's store again, which takes some
    /// ten milliseconds. The store is closed again a second later, or by another `pause`, which waits for the
    /// closing. A write in the background is as durable as any other.
    ///
    /// # Errors
    ///
    /// `ShutDown` after `shutdown`.
    pub async fn pause(&self) -> Result<(), SampanError> {
        self.runtime.pause().await
    }

    /// Opens the stores and, if a client wants to be online, connects again, because the app is in the foreground.
    /// Returns at once. A store may not open because another process has it. The engine then tries again until it
    /// opens; `Client.store_health` and an event report that, and calls fail with the reason meanwhile.
    ///
    /// # Errors
    ///
    /// `ShutDown` after `shutdown`.
    pub async fn resume(&self) -> Result<(), SampanError> {
        self.runtime.resume().await
    }

    /// Stops the engine. On return the connection and all stores are closed, and observers have been given their
    /// last events. Every later call fails with `ShutDown`.
    ///
    /// # Errors
    ///
    /// `ShutDown` when the engine was shut down before.
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
