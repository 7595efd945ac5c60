//! [`Outward`]: the receivers of the loop's output: readable states, subscribers, callers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::board::EngineBoard;
use super::callers::Callers;
use super::client_parts::ClientCore;
use super::publish::Publisher;
use crate::model::{ClientId, ConnectionState, Event, SessionState};
use crate::views::SyncState;

/// The readable states, subscribers and callers that the loop tells.
#[derive(Clone)]
pub(super) struct Outward {
    pub(super) board: Arc<EngineBoard>,
    pub(super) publisher: Publisher,
    pub(super) callers: Callers,
    /// Every open client. The store of an open client may be shut.
    open: Arc<Mutex<BTreeMap<ClientId, Arc<ClientCore>>>>,
}

impl Outward {
    pub(super) fn new(callers: Callers) -> Self {
        Self {
            board: Arc::default(),
            publisher: Publisher::new(callers.clone()),
            callers,
            open: Arc::default(),
        }
    }

    /// Adds an open client, which is told the end of the loop.
    pub(super) fn opened(&self, core: &Arc<ClientCore>) {
        self.clients().insert(core.id.clone(), Arc::clone(core));
    }

    /// A client is closed for good: readers, those who wait for its session, and observers hear it.
    pub(super) fn closed(&self, core: &ClientCore) {
        self.clients().remove(&core.id);
        core.store.close();
        core.board.sync.send_replace(SyncState::default());
        if core.board.session.send_replace(SessionState::Closed) != SessionState::Closed {
            self.publisher.publish(&[Event::SessionChanged {
                client: core.id.clone(),
                state: SessionState::Closed,
            }]);
        }
    }

    /// The loop is over, in order or by a panic: everybody hears it who waits or watches.
    pub(super) fn end(&self) {
        self.board.set_over();
        let open = std::mem::take(&mut *self.clients());
        for core in open.values() {
            self.closed(core);
        }
        if self.board.connection.send_replace(ConnectionState::Idle) != ConnectionState::Idle {
            let state = ConnectionState::Idle;
            self.publisher
                .publish(&[Event::ConnectionChanged { state }]);
        }
        self.publisher.end();
    }

    /// The sections under this lock change the map and nothing else.
    fn clients(&self) -> MutexGuard<'_, BTreeMap<ClientId, Arc<ClientCore>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
