//! Telling the operator of faults.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line to standard error. A standard error that is closed or full costs the line and
/// nothing else: a service goes on without anybody who listens to its complaints.
pub(super) fn report(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "sampan-service: {text}");
}
