//! What those wait for who watch a store: a flag that each commit raises.
//!
//! A commit costs the loop a flag, however many watch and however slow they are. Whoever is woken
//! reads the store again.

use tokio::sync::watch;

/// The flags of one client's store.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    commits: watch::Sender<u64>,
}

impl Marks {
    /// Something was committed, or the store is shut for good.
    pub(super) fn raise(&self) {
        self.commits
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Commits from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }
}
