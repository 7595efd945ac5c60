//! Blocking work, on threads of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::SampanError;
use crate::threads::Threads;

/// Runs blocking work on one of `threads`.
pub(super) fn blocking<T: Send + 'static>(
    threads: &Threads,
    work: impl FnOnce() -> Result<T, SampanError> + Send + 'static,
) -> impl Future<Output = Result<T, SampanError>> + Send + 'static {
    let (done, outcome) = oneshot::channel();
    let started = threads.run(Box::new(move || {
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(SampanError::Internal {
                reason: "work on the store panicked".to_owned(),
            })
        });
        // A caller that left is not told.
        let _ = done.send(outcome);
    }));
    async move {
        started?;
        outcome.await.unwrap_or(Err(SampanError::ShutDown))
    }
}
