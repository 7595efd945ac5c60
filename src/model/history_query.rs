//! Which messages of a conversation's history an app asks the service for.

use super::{MessageKey, Timestamp};

/// Which messages of a conversation's history are asked for. Each field that is set narrows the choice.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct HistoryQuery {
    /// Messages of this time and later.
    #[uniffi(default)]
    pub since: Option<Timestamp>,
    /// Messages of this time and earlier.
    #[uniffi(default)]
    pub until: Option<Timestamp>,
    /// Messages behind this one, in the direction in which the history is read: the next page begins behind the
    /// last message of the page before.
    #[uniffi(default)]
    pub behind: Option<MessageKey>,
    /// Typed messages with this number: -1 text, -2 image, -3 audio, -4 video, -5 location, -6 file, -127
    /// recalled; an app's own type has a number of its own.
    #[uniffi(default)]
    pub content_type: Option<i32>,
    /// True if the history is read from old to new. Otherwise from new to old: then the newest messages of the
    /// choice are found. The messages of a page stand in order of time either way.
    #[uniffi(default)]
    pub oldest_first: bool,
    /// How many messages at most, 1 to 1000.
    #[uniffi(default = 20)]
    pub limit: u32,
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            behind: None,
            content_type: None,
            oldest_first: false,
            limit: 20,
        }
    }
}
