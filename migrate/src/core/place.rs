//! A place in a history.

use serde::{Deserialize, Serialize};

/// A place in a history: a time, and the id of the row there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The id of the row.
    pub id: String,
}
