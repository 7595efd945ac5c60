//! Going online and offline, as the API asks for it.

use std::sync::Arc;

use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{NetworkChange, SessionEnd, SessionState};
use crate::sync::SignIn;
use crate::views::SyncState;

impl Runtime {
    /// Has a client go online; the state that anybody may read says so at once.
    ///
    /// # Errors
    ///
    /// [`SampanError::SignedOut`], [`SampanError::ShutDown`].
    pub(crate) fn go_online(
        &self,
        core: &Arc<ClientCore>,
        mode: SignIn,
    ) -> Result<(), SampanError> {
        self.wish(core, Some(mode))?;
        self.goes_online(core)
    }

    /// Has a client be online for a refresh; [`Runtime::leave`] ends that.
    ///
    /// # Errors
    ///
    /// [`SampanError::SignedOut`], [`SampanError::ShutDown`].
    pub(super) fn visit(&self, core: &Arc<ClientCore>) -> Result<(), SampanError> {
        if core.store.is_closed() {
            return Err(self.board.ended());
        }
        if core.board.wish.begin_visit() {
            self.goes_online(core)?;
        }
        Ok(())
    }

    /// A refresh ends: with the last one, a client that was to be offline goes offline.
    pub(super) fn leave(&self, core: &Arc<ClientCore>) {
        if core.board.wish.end_visit() && !core.store.is_closed() {
            // In an engine that was shut down meanwhile no client is online.
            let _ = self.goes_offline(core);
        }
    }

    fn goes_online(&self, core: &Arc<ClientCore>) -> Result<(), SampanError> {
        core.board.session.send_if_modified(|state| {
            let is_out = matches!(state, SessionState::Closed | SessionState::Ended { .. });
            if is_out {
                *state = SessionState::Opening;
            }
            is_out
        });
        self.mailbox.wish(&self.tasks, core)
    }

    /// Has a client go offline; the state that anybody may read says so at once.
    ///
    /// # Errors
    ///
    /// [`SampanError::SignedOut`], [`SampanError::ShutDown`].
    pub(crate) fn go_offline(&self, core: &Arc<ClientCore>) -> Result<(), SampanError> {
        self.wish(core, None)?;
        self.goes_offline(core)
    }

    fn goes_offline(&self, core: &Arc<ClientCore>) -> Result<(), SampanError> {
        core.board.session.send_modify(|state| {
            if matches!(state, SessionState::Opening | SessionState::Open) {
                *state = SessionState::Closed;
            }
        });
        core.board.sync.send_replace(SyncState::default());
        self.mailbox.wish(&self.tasks, core)
    }

    /// Has the connection tried again now, if it waits for its next time.
    pub(crate) fn retry_now(&self) {
        // An engine that has ended tries nothing.
        let _ = self.mailbox.hint(&self.tasks, NetworkChange::Back);
    }

    /// Waits until a client's session is open, or is not wanted any more.
    ///
    /// # Errors
    ///
    /// Those of `Client::wait_online`.
    pub(crate) async fn wait_online(&self, core: &ClientCore) -> Result<(), SampanError> {
        let mut session = core.board.watch_session();
        loop {
            if core.store.is_closed() {
                return Err(self.board.ended());
            }
            let state = session.borrow_and_update().clone();
            match state {
                SessionState::Open => return Ok(()),
                SessionState::Ended { reason } => return Err(refused(&reason)),
                SessionState::Closed | SessionState::Opening if !core.board.wish.is_online() => {
                    return Err(SampanError::NotConnected);
                }
                SessionState::Closed | SessionState::Opening => {}
            }
            session.changed().await.map_err(|_| self.board.ended())?;
        }
    }

    fn wish(&self, core: &ClientCore, online: Option<SignIn>) -> Result<(), SampanError> {
        if core.store.is_closed() {
            return Err(self.board.ended());
        }
        core.board.wish.say(online);
        Ok(())
    }
}

fn refused(end: &SessionEnd) -> SampanError {
    SampanError::refused(end.code(), end.reason())
}
