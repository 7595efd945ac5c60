//! The rates of clients and servers of an app, in operations a minute.

use serde::Deserialize;

use super::range::{Range, range};

/// The most that a rate may be set to.
const RATE_MAX: u64 = 1_000_000;

/// A set of rates by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// No rate but those that are set.
    #[default]
    None,
    /// The rates of the hosted service: 60 sends, 120 reads of history and 30 other operations of
    /// a client, 1800 sends, edits and recalls of an app's own servers.
    Hosted,
}

/// Rates, each in operations a minute; by default there is none. A minute begins with the first operation that
/// is counted. An operation over the rate is refused until the end of the minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// The rates that hold where none is set. Default `none`.
    pub preset: Preset,
    /// Messages that a client sends, 1 to 1000000; refused with 4116.
    pub sends: Option<u64>,
    /// History that a client reads, 1 to 1000000; refused with 4318.
    pub reads: Option<u64>,
    /// Other operations that a client asks for, 1 to 1000000; refused with 4318. Heartbeats, acknowledgements,
    /// read marks, and operations that end or renew a session are not counted.
    pub others: Option<u64>,
    /// Sessions that a client opens, 1 to 1000000; refused with 4113.
    pub openings: Option<u64>,
    /// Messages that all clients of the app send together, 1 to 1000000; refused with 4116.
    pub app_sends: Option<u64>,
    /// Messages that the app's own servers send, edit, recall or delete, 1 to 1000000; refused with
    /// status 429 and 4116.
    pub server_sends: Option<u64>,
}

/// The operations that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::core) enum Counted {
    Send,
    Read,
    Other,
    Opening,
    AppSend,
    ServerSend,
}

impl Rates {
    /// The rate of something, if it has one.
    pub(in crate::core) fn of(&self, counted: Counted) -> Option<u64> {
        let (set, hosted) = match counted {
            Counted::Send => (self.sends, Some(60)),
            Counted::Read => (self.reads, Some(120)),
            Counted::Other => (self.others, Some(30)),
            Counted::Opening => (self.openings, None),
            Counted::AppSend => (self.app_sends, None),
            Counted::ServerSend => (self.server_sends, Some(1800)),
        };
        let preset = hosted.filter(|_| self.preset == Preset::Hosted);
        set.or(preset)
    }

    pub(super) fn ranges(&self) -> [Range; 6] {
        let rate = |key, rate: Option<u64>| range(key, rate.unwrap_or(1), 1, RATE_MAX);
        [
            rate("rates.sends", self.sends),
            rate("rates.reads", self.reads),
            rate("rates.others", self.others),
            rate("rates.openings", self.openings),
            rate("rates.app_sends", self.app_sends),
            rate("rates.server_sends", self.server_sends),
        ]
    }
}
