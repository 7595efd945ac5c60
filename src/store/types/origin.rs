//! The origin of an imported message: its source, and the time of the source.

use crate::model::{Message, Timestamp};

/// The teller of something, from the least believed to the most believed where several tell of
/// the same time. The Java SDK is the first: it wrote messages of history anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Teller {
    /// A cache of the Android or Java SDK.
    Java,
    /// A cache of the Objective-C SDK.
    ObjectiveC,
    /// A cache of the Swift SDK.
    Swift,
    /// The service.
    Service,
}

impl Teller {
    /// The number on disk; never given another meaning.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Java => 1,
            Self::ObjectiveC => 2,
            Self::Swift => 3,
            Self::Service => 9,
        }
    }

    /// The teller of a number, if it is one.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Java),
            2 => Some(Self::ObjectiveC),
            3 => Some(Self::Swift),
            9 => Some(Self::Service),
            _ => None,
        }
    }
}

/// The time of a fact and its source. Of two words the greater one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// The time of the last edit; zero for a message without an edit, [`Word::LOST`] for a fact that a cache
    /// lost, [`Word::FINAL`] for a recall without a time.
    pub as_of: Timestamp,
    /// The teller.
    pub by: Teller,
}

impl Word {
    /// Before every edit: the content is not known, and any other takes its place.
    pub const LOST: Timestamp = Timestamp::from_millis(i64::MIN);
    /// After every edit: a recalled message stays recalled.
    pub const FINAL: Timestamp = Timestamp::from_millis(i64::MAX);
}

/// The origin of an imported message. A message that the service told of has no origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The word on its content.
    pub content: Word,
    /// The word on its mentions; none where nobody said anything about them.
    pub mentions: Option<Word>,
    /// True if anybody said who sent the message.
    pub has_sender: bool,
}

/// A message that a cache had, on its way into the store.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedMessage {
    /// The message. The fields below say when it was delivered and read.
    pub message: Message,
    /// The origin of the message.
    pub origin: Origin,
    /// The time at which it first reached another client.
    pub delivered_at: Option<Timestamp>,
    /// The time at which another client first read it.
    pub read_at: Option<Timestamp>,
}
