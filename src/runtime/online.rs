//! Whether the app wants a client to be online.
//!
//! The wish is a state and no message: an app says it without waiting, and the loop reads the last one. Of
//! what was said between two readings only that the client was to go offline is carried out too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{NetworkChange, SessionEnd, SessionState};
use crate::sync::{Connect, Disconnect, Request, SignIn};
use crate::views::SyncState;

/// What the app wants of a client's session, as it said last.
#[derive(Debug, Default)]
pub(crate) struct OnlineWish {
    said: Mutex<Said>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// Online, and how; none for offline.
    online: Option<SignIn>,
    /// What the loop has not read yet.
    unread: Unread,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unread {
    goes_offline: bool,
    goes_online: bool,
}

impl OnlineWish {
    /// Notes what the app says.
    pub(super) fn say(&self, online: Option<SignIn>) {
        let mut said = self.said();
        said.online = online;
        said.unread = Unread {
            goes_offline: said.unread.goes_offline || online.is_none(),
            goes_online: online.is_some(),
        };
    }

    /// Whether the app wants to be online.
    pub(crate) fn is_online(&self) -> bool {
        self.said().online.is_some()
    }

    /// What the client has to do for what the app said since the last reading, in order.
    pub(super) fn read(&self) -> Vec<Request> {
        let mut said = self.said();
        let Unread {
            goes_offline,
            goes_online,
        } = std::mem::take(&mut said.unread);
        let online = said.online.filter(|_| goes_online);
        let offline = goes_offline.then_some(Request::from(Disconnect));
        let online = online.map(|mode| Connect { mode }.into());
        offline.into_iter().chain(online).collect()
    }

    /// The sections under this lock move a value and run no code of the app.
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime {
    /// Has a client go online; the state that anybody may read says so at once.
    ///
    /// # Errors
    ///
    /// [`SampanError::Closed`].
    pub(crate) fn go_online(
        &self,
        core: &Arc<ClientCore>,
        mode: SignIn,
    ) -> Result<(), SampanError> {
        self.wish(core, Some(mode))?;
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
    /// [`SampanError::Closed`].
    pub(crate) fn go_offline(&self, core: &Arc<ClientCore>) -> Result<(), SampanError> {
        self.wish(core, None)?;
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
                return Err(SampanError::Closed);
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
            session.changed().await.map_err(|_| SampanError::Closed)?;
        }
    }

    fn wish(&self, core: &ClientCore, online: Option<SignIn>) -> Result<(), SampanError> {
        if core.store.is_closed() {
            return Err(SampanError::Closed);
        }
        core.board.wish.say(online);
        Ok(())
    }
}

fn refused(end: &SessionEnd) -> SampanError {
    SampanError::Refused {
        code: end.code(),
        reason: end.reason().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wish_holds_and_the_session_before_it_ends() {
        let connect = |mode| Request::from(Connect { mode });
        let wish = OnlineWish::default();
        assert_eq!(wish.read(), []);
        wish.say(Some(SignIn::TakeOver));
        assert_eq!(wish.read(), [connect(SignIn::TakeOver)]);
        assert_eq!(wish.read(), []);
        assert!(wish.is_online(), "what was read still holds");
        wish.say(None);
        wish.say(Some(SignIn::TakeOver));
        wish.say(None);
        wish.say(Some(SignIn::Yield));
        assert_eq!(wish.read(), [Disconnect.into(), connect(SignIn::Yield)]);
        wish.say(Some(SignIn::Yield));
        wish.say(None);
        assert_eq!(wish.read(), [Disconnect.into()]);
        assert!(!wish.is_online());
    }
}
