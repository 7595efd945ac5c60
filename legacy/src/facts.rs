//! The facts of a cache, as plain values: this file knows neither SQLite nor the encodings of the SDKs.

use std::fmt;

use serde_json::{Map, Value};

/// The SDKs that kept a cache, in the order of their rank where nothing else decides: a later one has
/// precedence. Java is the first, because it rewrote messages of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Android and Java, 4.4.4 and later; Flutter on Android.
    Java,
    /// Objective-C, 3.4.0 and later.
    ObjectiveC,
    /// Swift, 16.0.0 and later, with its local storage.
    Swift,
}

/// Everything that a cache holds.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// The SDK that wrote the cache; none for a file without any of the SDKs' tables.
    pub kind: Option<Kind>,
    /// True if the name of the cache's folder proves that the cache is of the app. Only one SDK names folders
    /// so; the others keep the messages of several apps of one build in one file.
    pub is_of_app: bool,
    /// The conversations that have a row.
    pub conversations: Vec<Conversation>,
    /// The messages that the service had named, in the order of their conversations and places, each once.
    pub messages: Vec<Message>,
    /// The messages that were written and never sent.
    pub drafts: Vec<Draft>,
    /// The stretches in which the cache claims that nothing is missing.
    pub runs: Vec<Run>,
    /// Every row that is none of the above, with the reason.
    pub left: Vec<Left>,
    /// The places where rows could not be read.
    pub damage: Vec<Damage>,
    /// The number of rows that were read.
    pub rows: u64,
    /// The number of rows that repeat a message of another row.
    pub repeated: u64,
}

/// The place of a message in its conversation: by time, then by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The service's id of the message.
    pub id: String,
}

/// A message that the service had named.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The row it was read from.
    pub row: i64,
    /// Its conversation.
    pub conversation: String,
    /// Its place.
    pub place: Place,
    /// True if the time is a device's: the SDK had no other.
    pub is_device_time: bool,
    /// The sender; the Swift SDK forgets the sender in some edits.
    pub sender: Option<String>,
    /// The content; none where the cache lost the content.
    pub payload: Option<Payload>,
    /// The time at which it was edited or recalled, in milliseconds since 1970.
    pub edited_at: Option<i64>,
    /// True if the message was recalled; the content does not matter then.
    pub is_recalled: bool,
    /// The time at which it first reached another client, in milliseconds since 1970.
    pub delivered_at: Option<i64>,
    /// The time at which another client first read it, in milliseconds since 1970.
    pub read_at: Option<i64>,
    /// The clients that the message calls; none where the cache has no such field, which is not the same as
    /// nobody.
    pub mentions: Option<Mentions>,
    /// The claim of the cache about a hole before the message.
    pub before: Before,
}

/// The claim of a row about holes beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The row stands alone: nothing is known about its neighbours.
    Alone,
    /// Nothing is missing before it, the cache says.
    Joined,
    /// Something may be missing before it.
    Hole,
    /// The row is at an end of a stretch: something may be missing towards a neighbour that is at an end too.
    End,
}

/// The content of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// Text: the JSON of a typed message, or any other.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Payload {
    /// Shows the length only: texts of people never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Payload(text, {} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Payload(binary, {} bytes)", bytes.len()),
        }
    }
}

/// The clients that a message calls by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Everybody.
    pub all: bool,
    /// These clients.
    pub clients: Vec<String>,
}

/// A message that was never sent, or of which the sending is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The row it was read from.
    pub row: i64,
    /// Its conversation.
    pub conversation: String,
    /// A name that is the same each time the cache is read: the SDK's token, or else one made of the
    /// conversation, the time and the content.
    pub token: String,
    /// The time at which it was written, by the device's clock, in milliseconds since 1970.
    pub at: i64,
    /// The content.
    pub payload: Payload,
    /// The clients that the draft calls.
    pub mentions: Mentions,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// The row it was read from.
    pub row: i64,
    /// Its id.
    pub id: String,
    /// The known columns, by the names that the service uses in its own rows.
    pub columns: Map<String, Value>,
    /// True if the members may be out of date.
    pub is_outdated: bool,
    /// True if the owner of the cache muted the conversation, where the cache says so.
    pub muted: Option<bool>,
}

/// A stretch of a conversation's messages between which, as the cache says, nothing is missing. No
/// cache proves it: own messages and lists of one type of message are stored as if nothing lay between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The conversation.
    pub conversation: String,
    /// The oldest message.
    pub from: Place,
    /// The newest message.
    pub to: Place,
}

/// A row that is no message, draft or conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its table.
    pub table: &'static str,
    /// Its number in the table.
    pub row: i64,
    /// Its conversation, as far as the row has one.
    pub conversation: Option<String>,
    /// Its message id, as far as the row has one.
    pub id: Option<String>,
    /// The reason.
    pub reason: Reason,
}

/// The reason why a row was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The row names no conversation.
    NoConversation,
    /// The row is a draft without content: its file was never uploaded, and the cache has no path of the file.
    NoContent,
    /// The row is a draft, and the same content was sent soon afterwards.
    SentAfterAll,
    /// The row cannot be understood.
    Malformed,
}

/// A damage: a place where rows could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The table.
    pub table: &'static str,
    /// SQLite's words.
    pub reason: String,
}

impl Cache {
    pub(crate) fn empty(kind: Option<Kind>) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    pub(crate) fn leave(
        &mut self,
        (table, row): (&'static str, i64),
        conversation: Option<String>,
        id: Option<String>,
        reason: Reason,
    ) {
        self.left.push(Left {
            table,
            row,
            conversation,
            id,
            reason,
        });
    }
}
