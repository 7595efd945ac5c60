//! A question for messages of a conversation's history.

use super::{MessageKey, Timestamp};

/// A question for messages of a conversation's history. Each field that is set narrows the selection.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct HistoryQuery {
    /// Only messages of this time and later.
    #[uniffi(default)]
    pub since: Option<Timestamp>,
    /// Only messages of this time and earlier.
    #[uniffi(default)]
    pub until: Option<Timestamp>,
    /// Only messages behind this one, in the direction of reading: for the next page, give the last message of
    /// the page before.
    #[uniffi(default)]
    pub behind: Option<MessageKey>,
    /// Only typed messages with this number: -1 text, -2 image, -3 audio, -4 video, -5 location, -6 file, -127
    /// recalled; an app's own type has a number of its own.
    #[uniffi(default)]
    pub content_type: Option<i32>,
    /// True to read from old to new; false to read from new to old, which finds the newest messages of the
    /// selection. The messages of a page are in order of time in both cases.
    #[uniffi(default)]
    pub oldest_first: bool,
    /// The most messages of an answer, 1 to 1000.
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
