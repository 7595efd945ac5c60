//! What an imported message rests on: whose word it is, and as of when.

use crate::model::{Message, Timestamp};

/// Who told of something, from the one who is believed least to the one who is believed most where
/// several tell of the same time. The Java SDK is the first: it wrote messages of history anew.
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

/// As of when something holds, and who says so. Of two words the greater one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// When it was edited; zero for what was never edited, [`Word::LOST`] for what a cache lost,
    /// [`Word::FINAL`] for a recall without a time.
    pub as_of: Timestamp,
    /// Who says so.
    pub by: Teller,
}

impl Word {
    /// Before every edit: the content is not known, and any other takes its place.
    pub const LOST: Timestamp = Timestamp::from_millis(i64::MIN);
    /// After every edit: a recalled message stays recalled.
    pub const FINAL: Timestamp = Timestamp::from_millis(i64::MAX);
}

/// What an imported message rests on. A message that the service told of rests on nothing else, and has
/// no origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Of what it says.
    pub content: Word,
    /// Of whom it calls; none where nobody said anything about that.
    pub mentions: Option<Word>,
    /// Whether anybody said who sent it.
    pub has_sender: bool,
}

/// A message that a cache had, on its way into the store.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedMessage {
    /// The message. How far it got is said below.
    pub message: Message,
    /// What it rests on.
    pub origin: Origin,
    /// When it first reached somebody.
    pub delivered_at: Option<Timestamp>,
    /// When somebody first read it.
    pub read_at: Option<Timestamp>,
}
