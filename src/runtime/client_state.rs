//! The state of a client in one value, from the parts that the loop publishes.

use std::sync::PoisonError;

use tokio::sync::watch;

use super::board::{ClientBoard, EngineBoard};
use super::{ClientCore, Runtime};
use crate::model::{ConnectionState, SessionState, StoreHealth};
use crate::store::{Store, StoreError};
use crate::views::{ClientState, Holds, LinkState, OutboxSummary, Reach, Version};

/// Everything that may change a client's state, watched from one moment on.
struct StateChanges {
    connection: watch::Receiver<ConnectionState>,
    is_away: watch::Receiver<bool>,
    session: watch::Receiver<SessionState>,
    health: watch::Receiver<StoreHealth>,
    sync: watch::Receiver<crate::views::SyncState>,
    holds: watch::Receiver<Holds>,
    commits: watch::Receiver<u64>,
}

impl Runtime {
    /// The present state of a client. The call reads memory and waits at most for a commit in progress. For a
    /// store that is closed, because the app is in the background, the last state counts.
    pub(crate) fn client_state(&self, core: &ClientCore) -> ClientState {
        let mut told = core.told.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = ClientState {
            link: link(&self.board, &core.board),
            sync: core.board.sync(),
            store: core.board.health(),
            ..told.clone()
        };
        if let Ok(access) = core.store.read() {
            // A part that can't be read now stays as it was; the store's health says why.
            let _ = read(access.store(), core, &mut state);
        }
        told.renew(state);
        told.clone()
    }

    /// Waits until a client's state is another one than that of this version; none when the client
    /// is closed.
    pub(crate) async fn next_client_state(
        &self,
        core: &ClientCore,
        have: Version,
    ) -> Option<ClientState> {
        loop {
            let changes = StateChanges::from_now_on(&self.board, core);
            if core.store.is_closed() {
                return None;
            }
            let state = self.client_state(core);
            if state.version != have {
                return Some(state);
            }
            changes.any().await?;
        }
    }
}

impl StateChanges {
    fn from_now_on(engine: &EngineBoard, core: &ClientCore) -> Self {
        Self {
            connection: engine.connection.subscribe(),
            is_away: engine.is_away.subscribe(),
            session: core.board.session.subscribe(),
            health: core.board.health.subscribe(),
            sync: core.board.sync.subscribe(),
            holds: core.board.holds.subscribe(),
            commits: core.store.marks().watch(),
        }
    }

    /// Waits for the next one; none when none can come any more.
    async fn any(mut self) -> Option<()> {
        let changed: Result<(), watch::error::RecvError> = tokio::select! {
            changed = self.connection.changed() => changed,
            changed = self.is_away.changed() => changed,
            changed = self.session.changed() => changed,
            changed = self.health.changed() => changed,
            changed = self.sync.changed() => changed,
            changed = self.holds.changed() => changed,
            changed = self.commits.changed() => changed,
        };
        changed.ok()
    }
}

fn read(store: &Store, core: &ClientCore, state: &mut ClientState) -> Result<(), StoreError> {
    let snapshot = store.snapshot();
    state.seq = snapshot.seq();
    state.unread = snapshot.unread_totals().into();
    state.outbox = OutboxSummary::of(&snapshot, core.reach(), &core.board.holds())?;
    Ok(())
}

impl ClientCore {
    /// The client's reach: the obstacle that keeps the client from sending, or none.
    pub(crate) fn reach(&self) -> Reach {
        match (self.board.health(), self.board.session()) {
            (StoreHealth::ReadOnly { .. }, _) => Reach::ReadOnly,
            (StoreHealth::Good, SessionState::Open) => Reach::Online,
            (StoreHealth::Good, _) => Reach::Offline,
        }
    }
}

/// Connection and session in one.
fn link(engine: &EngineBoard, client: &ClientBoard) -> LinkState {
    match client.session() {
        SessionState::Closed => LinkState::Off,
        SessionState::Ended { reason } => LinkState::Ended { reason },
        SessionState::Open => LinkState::Online,
        SessionState::Opening if *engine.is_away.borrow() => LinkState::Background,
        SessionState::Opening => match engine.connection() {
            ConnectionState::Offline => LinkState::NoNetwork,
            ConnectionState::Waiting { .. } => LinkState::Waiting {
                retry_at: *engine.retry_at.borrow(),
                failure: engine.failure(),
            },
            ConnectionState::Idle
            | ConnectionState::Connecting { .. }
            | ConnectionState::Connected => LinkState::Connecting,
        },
    }
}
