//! Reports of faults to the operator.

use std::fmt::Display;

/// Puts a fault into the log. A log that nobody takes costs the line and nothing else: a service goes
/// on without anybody who listens to its complaints.
pub(super) fn report(text: impl Display) {
    tracing::error!("{text}");
}
