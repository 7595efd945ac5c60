//! The progress of the machine's catch-up.

use super::Client;

/// How far a client has come with what it missed while it had no session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUpProgress {
    /// There is no session, or the service does not tell which conversations changed.
    #[default]
    Unknown,
    /// Some of what was missed is not in the store yet.
    CatchingUp {
        /// So many conversations are caught up with.
        done: u32,
        /// So many are known to be behind, those that are done included.
        total: u32,
    },
    /// Nothing that was missed is left to be fetched.
    Current,
}

impl Client {
    /// How far it has come with what it missed, as the last step left it.
    #[must_use]
    pub fn progress(&self) -> CatchUpProgress {
        if !self.session.is_open() || self.directory.is_given_up() {
            return CatchUpProgress::Unknown;
        }
        let (done, left) = self.catch_up.counts();
        let left = left.saturating_add(self.directory.unknown());
        if left == 0 && self.directory.is_listed() {
            return CatchUpProgress::Current;
        }
        CatchUpProgress::CatchingUp {
            done,
            total: done.saturating_add(left),
        }
    }
}
