//! The unsent work of a client, as a sign-out counts it.

use crate::SampanError;
use crate::model::{Count, OutboxEntryId};
use crate::store::{Intent, Snapshot};

/// The unsent work that a user would miss: a read mark is made again by reading.
pub(super) fn unsent_work(snapshot: &Snapshot<'_>) -> Vec<OutboxEntryId> {
    let entries = snapshot.outbox();
    let missed = entries
        .iter()
        .filter(|entry| !matches!(entry.intent, Intent::Read(_)));
    missed.map(|entry| entry.id).collect()
}

/// # Errors
///
/// [`SampanError::Unsent`] when there is unsent work.
pub(super) fn none_unsent(snapshot: &Snapshot<'_>) -> Result<(), SampanError> {
    match unsent_work(snapshot).len() {
        0 => Ok(()),
        count => Err(SampanError::Unsent {
            count: Count::from(count),
        }),
    }
}
