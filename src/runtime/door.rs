//! The door to a client's store: readers pass through it, the loop opens and shuts it.
//!
//! ```text
//!            open                 rest                    close
//!   Resting ──────▶ Open (reads) ──────▶ Resting    any ───────▶ Closed
//! ```
//!
//! A store's files are open as long as anybody is inside: the loop, or a read. Whoever wants them
//! free waits for the last one to leave; nobody is sent away in the middle of a read.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::marks::{Marks, Touched};
use crate::SampanError;
use crate::model::CommitSeq;
use crate::store::{OpenReport, Opened, Store, Writer};

/// Opens the store; called again after a rest. It blocks.
pub(super) type Opener = Box<dyn Fn() -> Result<Opened, SampanError> + Send + Sync>;

/// The door to one client's store.
pub(crate) struct Door {
    opener: Opener,
    state: Mutex<State>,
    report: Mutex<OpenReport>,
    usage: watch::Sender<Usage>,
    marks: Marks,
}

enum State {
    Open(Store),
    /// The files are shut until somebody needs them.
    Resting,
    /// They stay shut.
    Closed,
}

/// Who is inside.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    inside: usize,
    opening: bool,
    /// How often the last one left: so a moment in which the files were free is not missed.
    emptied: u64,
}

/// Why a read can't pass now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// The loop opens it for whoever asks.
    Resting,
    /// The client signed out, or the engine was shut down.
    Closed,
}

/// A store that a read may use as long as it holds this. The store goes first, then the claim.
pub(crate) struct Reading {
    store: Store,
    _inside: Inside,
}

impl Reading {
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }
}

/// An open store, for the loop. The claim goes last.
pub(super) struct Keys {
    pub(super) store: Store,
    pub(super) writer: Writer,
    pub(super) inside: Inside,
}

/// The claim of somebody inside: while there is one, the files may be open.
pub(super) struct Inside(Arc<Door>);

/// The announcement that the door is being opened.
pub(super) struct Opening(Arc<Door>);

impl Door {
    /// A door that is shut until it is opened for the first time.
    pub(super) fn new(opener: Opener) -> Arc<Self> {
        Arc::new(Self {
            opener,
            state: Mutex::new(State::Resting),
            report: Mutex::default(),
            usage: watch::Sender::default(),
            marks: Marks::default(),
        })
    }

    /// Opens the store and lets readers in. It blocks; the caller makes sure that nobody is inside.
    pub(super) fn open(self: &Arc<Self>) -> Result<Keys, SampanError> {
        let inside = self.enter();
        if self.is_closed() {
            return Err(SampanError::Closed);
        }
        let Opened {
            store,
            writer,
            report,
        } = (self.opener)()?;
        self.note(report);
        let mut state = self.state();
        if matches!(*state, State::Closed) {
            return Err(SampanError::Closed);
        }
        *state = State::Open(store.clone());
        drop(state);
        Ok(Keys {
            store,
            writer,
            inside,
        })
    }

    /// What the first opening found; a later one, or a probe, replaces it if it found damage.
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

    /// Lets a read in.
    pub(crate) fn read(self: &Arc<Self>) -> Result<Reading, Shut> {
        match &*self.state() {
            State::Open(store) => Ok(Reading {
                store: store.clone(),
                _inside: self.enter(),
            }),
            State::Resting => Err(Shut::Resting),
            State::Closed => Err(Shut::Closed),
        }
    }

    /// Shuts the door until it is opened again; whoever is inside may finish.
    pub(super) fn rest(&self) {
        let mut state = self.state();
        if matches!(*state, State::Open(_)) {
            *state = State::Resting;
        }
    }

    /// Shuts the door for good; whoever is inside may finish.
    pub(super) fn close(&self) {
        *self.state() = State::Closed;
        self.marks.raise(CommitSeq(0), &Touched::Everything);
    }

    /// What those wait for who watch the store.
    pub(crate) const fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed)
    }

    /// Announces that the door will be opened.
    pub(super) fn announce(self: &Arc<Self>) -> Opening {
        self.usage.send_modify(|usage| usage.opening = true);
        Opening(Arc::clone(self))
    }

    /// Waits until nobody is inside.
    pub(super) async fn emptied(&self) {
        self.wait(|usage| usage.inside == 0).await;
    }

    /// Waits until the files are free: nobody is inside and nobody is about to be, or there was
    /// such a moment since this was asked.
    pub(super) async fn freed(&self) {
        let before = self.usage.borrow().emptied;
        self.wait(|usage| (usage.inside == 0 && !usage.opening) || usage.emptied > before)
            .await;
    }

    async fn wait(&self, holds: impl FnMut(&Usage) -> bool) {
        // The sender lives as long as this: waiting can't fail.
        let _ = self.usage.subscribe().wait_for(holds).await;
    }

    fn enter(self: &Arc<Self>) -> Inside {
        self.usage.send_modify(|usage| usage.inside += 1);
        Inside(Arc::clone(self))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The sections under this lock move a value and nothing else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("usage", &*self.usage.borrow())
            .finish_non_exhaustive()
    }
}

impl Inside {
    /// Notes what a probe found, if it found damage.
    pub(super) fn note(&self, report: &OpenReport) {
        if report.found_damage() {
            self.0.note(report.clone());
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.usage.send_modify(|usage| {
            usage.inside -= 1;
            usage.emptied += u64::from(usage.inside == 0);
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

    fn door() -> Arc<Door> {
        let disk = MemoryDisk::new(7);
        let ann = ClientId::new("ann").unwrap();
        Door::new(Box::new(move || Ok(Store::in_memory(&disk, ann.clone())?)))
    }

    #[tokio::test]
    async fn the_files_are_free_when_the_last_reader_has_left_and_not_before() {
        let door = door();
        let keys = door.open().unwrap();
        let reading = door.read().ok().unwrap();
        door.rest();
        drop(keys);
        assert_eq!(door.read().err(), Some(Shut::Resting));
        assert_eq!(door.freed().now_or_never(), None);
        assert!(door.open().is_err(), "the reader has the store");
        drop(reading);
        door.freed().await;
        assert!(door.open().is_ok());
    }

    #[tokio::test]
    async fn a_door_that_was_closed_while_it_was_opened_stays_closed() {
        let door = door();
        let opening = door.announce();
        door.close();
        assert_eq!(door.freed().now_or_never(), None);
        assert_eq!(door.open().err(), Some(SampanError::Closed));
        drop(opening);
        door.freed().await;
        assert_eq!(door.read().err(), Some(Shut::Closed));
    }
}
