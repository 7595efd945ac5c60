//! The promises and the events that apps got, for the checks of `world/verdict.rs`.
//!
//! | file | what it holds |
//! |---|---|
//! | `ledger.rs` | the requests of apps, and the promises to them |
//! | `mirror.rs` | the knowledge of an observer that believes its events |
//! | `screens.rs` | the screens of an app that follows live views |

pub(crate) mod ledger;
pub(crate) mod mirror;
pub(crate) mod screens;

use std::fmt;

/// A promise that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name of the promise.
    pub check: &'static str,
    /// The finding.
    pub what: String,
}

impl Violation {
    pub(crate) const fn new(check: &'static str, what: String) -> Self {
        Self { check, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}
