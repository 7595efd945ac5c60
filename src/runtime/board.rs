//! The state of the engine, and of each client, for readers on any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::inbox::InboxReport;
use super::online_wish::OnlineWish;
use crate::SampanError;
use crate::model::{ConnectionFailure, ConnectionState, SessionState, StoreHealth, Timestamp};
use crate::views::{Holds, SyncState, Typing, Uploads};

/// The readable state of the engine; the loop alone writes it.
#[derive(Debug, Default)]
pub(crate) struct EngineBoard {
    pub(super) connection: watch::Sender<ConnectionState>,
    pub(super) failure: watch::Sender<Option<ConnectionFailure>>,
    /// The time at which connecting is tried again, while that is planned; by the device's clock.
    pub(super) retry_at: watch::Sender<Timestamp>,
    /// True if the app is in the background.
    pub(super) is_away: watch::Sender<bool>,
    /// True if the loop has ended.
    is_over: AtomicBool,
}

impl EngineBoard {
    /// True if the loop has ended: nothing is answered any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// The reason why a client takes no calls any more.
    pub(crate) fn ended(&self) -> SampanError {
        if self.is_over() {
            SampanError::ShutDown
        } else {
            SampanError::SignedOut
        }
    }

    pub(super) fn set_over(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// True if the app is in the background.
    pub(crate) fn is_away(&self) -> bool {
        *self.is_away.borrow()
    }

    /// The connection's state now.
    pub(crate) fn connection(&self) -> ConnectionState {
        self.connection.borrow().clone()
    }

    /// The reason why connecting failed last; none while connected.
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
    pub(super) typing: watch::Sender<Arc<Typing>>,
    pub(super) uploads: watch::Sender<Arc<Uploads>>,
    pub(super) inbox: watch::Sender<InboxReport>,
    /// The app's wish; the API alone writes it.
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

    /// The store's health: it takes writes now, or it does not.
    pub(crate) fn health(&self) -> StoreHealth {
        self.health.borrow().clone()
    }

    /// The progress of catching up with the service.
    pub(crate) fn sync(&self) -> SyncState {
        *self.sync.borrow()
    }

    /// The clients that write, by conversation.
    pub(crate) fn typing(&self) -> Arc<Typing> {
        Arc::clone(&self.typing.borrow())
    }

    /// The files that are being uploaded.
    pub(crate) fn uploads(&self) -> Arc<Uploads> {
        Arc::clone(&self.uploads.borrow())
    }

    /// The entries that are kept back although the client is signed in.
    pub(crate) fn holds(&self) -> Holds {
        self.holds.borrow().clone()
    }

    /// The report on the inbox since the client was opened.
    pub(crate) fn inbox(&self) -> InboxReport {
        *self.inbox.borrow()
    }
}
