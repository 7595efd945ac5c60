//! [`StoreHandle`]: the loop opens and closes a client's store through it, and readers read through it.
//!
//! ```text
//!          open                 shut                 close
//!   Shut ──────▶ Open (reads) ──────▶ Shut    any ───────▶ Closed
//! ```
//!
//! A store's files are open as long as the loop or a read holds a [`StoreUse`]. A caller that needs the files
//! free waits for the last use to end; no read is interrupted.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::marks::{Marks, Touched};
use crate::SampanError;
use crate::model::CommitSeq;
use crate::store::{OpenReport, Opened, Store, Writer};

/// Opens the store; called again after the store was shut. It blocks.
pub(super) type Opener = Box<dyn Fn() -> Result<Opened, SampanError> + Send + Sync>;

/// The way to one client's store.
pub(crate) struct StoreHandle {
    opener: Opener,
    state: Mutex<HandleState>,
    report: Mutex<OpenReport>,
    usage: watch::Sender<Usage>,
    is_closed: watch::Sender<bool>,
    marks: Marks,
}

enum HandleState {
    Open(Store),
    /// The files are shut until somebody needs them.
    Shut,
    /// The files stay shut.
    Closed,
}

/// The number of uses that the store has.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    users: usize,
    opening: bool,
    /// The number of times that the last use ended, so no moment with free files is missed.
    emptied: u64,
}

/// The reason why a store can't be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotOpen {
    /// The loop opens the store for a reader that asks.
    Shut,
    /// The client signed out, or the engine was shut down.
    Closed,
}

/// A read's access to the store. The store is dropped first, then its use.
pub(crate) struct ReadAccess {
    store: Store,
    _store_use: StoreUse,
}

impl ReadAccess {
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }
}

/// An open store, for the loop. Its use is dropped last.
pub(super) struct OpenStore {
    pub(super) store: Store,
    pub(super) writer: Writer,
    pub(super) store_use: StoreUse,
}

/// A use of the store: while there is one, the files may be open.
pub(super) struct StoreUse(Arc<StoreHandle>);

/// The announcement that the store is being opened.
pub(super) struct Opening(Arc<StoreHandle>);

impl StoreHandle {
    /// A handle whose store is shut until it is opened for the first time.
    pub(super) fn new(opener: Opener) -> Arc<Self> {
        Arc::new(Self {
            opener,
            state: Mutex::new(HandleState::Shut),
            report: Mutex::default(),
            usage: watch::Sender::default(),
            is_closed: watch::Sender::new(false),
            marks: Marks::default(),
        })
    }

    /// Opens the store for the loop and for readers. It blocks. No use of the store may be left.
    pub(super) fn open(self: &Arc<Self>) -> Result<OpenStore, SampanError> {
        let store_use = self.enter();
        if self.is_closed() {
            return Err(SampanError::SignedOut);
        }
        let Opened {
            store,
            writer,
            report,
        } = (self.opener)()?;
        self.note(report);
        let mut state = self.state();
        if matches!(*state, HandleState::Closed) {
            return Err(SampanError::SignedOut);
        }
        *state = HandleState::Open(store.clone());
        drop(state);
        Ok(OpenStore {
            store,
            writer,
            store_use,
        })
    }

    /// The report of the first opening. A later opening, or a probe, replaces the report if it found damage.
    pub(crate) fn report(&self) -> OpenReport {
        self.report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, report: OpenReport) {
        let mut noted = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if report.found_damage() || *noted == OpenReport::default() {
            *noted = report;
        }
    }

    /// Begins a read.
    pub(crate) fn read(self: &Arc<Self>) -> Result<ReadAccess, NotOpen> {
        match &*self.state() {
            HandleState::Open(store) => Ok(ReadAccess {
                store: store.clone(),
                _store_use: self.enter(),
            }),
            HandleState::Shut => Err(NotOpen::Shut),
            HandleState::Closed => Err(NotOpen::Closed),
        }
    }

    /// Shuts the store until it is opened again; reads under way may finish.
    pub(super) fn shut(&self) {
        let mut state = self.state();
        if matches!(*state, HandleState::Open(_)) {
            *state = HandleState::Shut;
        }
    }

    /// Shuts the store for good; reads under way may finish.
    pub(super) fn close(&self) {
        *self.state() = HandleState::Closed;
        self.is_closed.send_replace(true);
        self.marks.raise(CommitSeq(0), &Touched::Everything);
    }

    /// The marks that watchers of the store wait for.
    pub(crate) const fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.state(), HandleState::Closed)
    }

    /// The store's closing, to wait for: true once the store is closed.
    pub(super) fn watch_closed(&self) -> watch::Receiver<bool> {
        self.is_closed.subscribe()
    }

    /// Announces that the store will be opened.
    pub(super) fn announce(self: &Arc<Self>) -> Opening {
        self.usage.send_modify(|usage| usage.opening = true);
        Opening(Arc::clone(self))
    }

    /// Waits until nobody uses the store.
    pub(super) async fn emptied(&self) {
        self.wait(|usage| usage.users == 0).await;
    }

    /// Waits until the files are free: the store has no use and is not being opened, or there was
    /// such a moment since this call began.
    pub(super) async fn freed(&self) {
        let before = self.usage.borrow().emptied;
        self.wait(|usage| (usage.users == 0 && !usage.opening) || usage.emptied > before)
            .await;
    }

    async fn wait(&self, holds: impl FnMut(&Usage) -> bool) {
        // The sender lives as long as this: waiting can't fail.
        let _ = self.usage.subscribe().wait_for(holds).await;
    }

    fn enter(self: &Arc<Self>) -> StoreUse {
        self.usage.send_modify(|usage| usage.users += 1);
        StoreUse(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, HandleState> {
        // The sections under this lock move a value and nothing else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle")
            .field("usage", &*self.usage.borrow())
            .finish_non_exhaustive()
    }
}

impl StoreUse {
    /// Notes the findings of a probe, if it found damage.
    pub(super) fn note(&self, report: &OpenReport) {
        if report.found_damage() {
            self.0.note(report.clone());
        }
    }
}

impl Drop for StoreUse {
    fn drop(&mut self) {
        self.0.usage.send_modify(|usage| {
            usage.users -= 1;
            usage.emptied += u64::from(usage.users == 0);
        });
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.usage.send_modify(|usage| usage.opening = false);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::model::ClientId;
    use crate::store::MemoryDisk;

    fn handle() -> Arc<StoreHandle> {
        let disk = MemoryDisk::new(7);
        let ann = ClientId::new("ann").unwrap();
        StoreHandle::new(Box::new(move || Ok(Store::in_memory(&disk, ann.clone())?)))
    }

    #[tokio::test]
    async fn the_files_are_free_when_the_last_reader_has_left_and_not_before() {
        let handle = handle();
        let open = handle.open().unwrap();
        let access = handle.read().ok().unwrap();
        handle.shut();
        drop(open);
        assert_eq!(handle.read().err(), Some(NotOpen::Shut));
        assert_eq!(handle.freed().now_or_never(), None);
        assert!(handle.open().is_err(), "the reader has the store");
        drop(access);
        handle.freed().await;
        assert!(handle.open().is_ok());
    }

    #[tokio::test]
    async fn a_handle_that_was_closed_while_it_was_opened_stays_closed() {
        let handle = handle();
        let opening = handle.announce();
        handle.close();
        assert_eq!(handle.freed().now_or_never(), None);
        assert_eq!(handle.open().err(), Some(SampanError::SignedOut));
        drop(opening);
        handle.freed().await;
        assert_eq!(handle.read().err(), Some(NotOpen::Closed));
    }
}
