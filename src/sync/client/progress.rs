//! The progress of the machine's catch-up.

use super::Client;

/// A client's progress with the messages that it missed without a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUpProgress {
    /// There is no session, or the service does not tell the changed conversations.
    #[default]
    Unknown,
    /// Some missed messages are not in the store yet.
    CatchingUp {
        /// So many conversations are caught up with.
        done: u32,
        /// The number of conversations that were behind, the finished ones included.
        total: u32,
    },
    /// Nothing that was missed is left to be fetched.
    Current,
}

impl Client {
    /// The progress of the catch-up after the last step.
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
