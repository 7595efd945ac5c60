//! The only reader of the system's clock in this program: it times what it runs.

use std::time::{Duration, Instant};

/// A watch that was started when it was made.
pub(crate) struct Watch(Instant);

impl Watch {
    /// Starts a watch.
    #[expect(
        clippy::disallowed_methods,
        reason = "timing child processes is this program's work"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
