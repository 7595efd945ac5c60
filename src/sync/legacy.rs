//! The content of an older SDK's cache, part by part, and the outcome of a part.

use crate::model::{
    ConversationId, ConversationInfo, LocalId, Mentions, MessageContent, Timestamp,
};
use crate::store::{ImportedMessage, Put, Span, Teller, Upload};

/// A part of a cache's content, small enough for one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyPart {
    /// Whose cache it is.
    pub teller: Teller,
    /// Conversations.
    pub conversations: Vec<LegacyConversation>,
    /// Messages that the service had named.
    pub messages: Vec<ImportedMessage>,
    /// The stretches in which the cache claims that nothing is missing.
    pub runs: Vec<(ConversationId, Span)>,
    /// Messages that were never sent.
    pub drafts: Vec<LegacyDraft>,
    /// True if nothing follows.
    pub is_last: bool,
}

/// A conversation as a cache knew it.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyConversation {
    /// The cache's knowledge of the conversation.
    pub info: ConversationInfo,
    /// True if the conversation has a row in the cache; else the conversation is made of its messages.
    pub has_row: bool,
}

/// A message that was never sent.
#[derive(Clone, Debug, PartialEq)]
pub struct LegacyDraft {
    /// The conversation that the message was for.
    pub conversation: ConversationId,
    /// A name that is the same each time the cache is read.
    pub token: LocalId,
    /// The time at which it was written, by the device's clock.
    pub at: Timestamp,
    /// The content.
    pub content: MessageContent,
    /// The members that the message calls.
    pub mentions: Mentions,
    /// The copy of its file, where the file was never uploaded.
    pub upload: Option<Box<Upload>>,
    /// The reason why there is no copy of a file that was never uploaded.
    pub lost_file: Option<String>,
}

/// The fate of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyTaken {
    /// The tally of the conversations that have a row.
    pub conversations: LegacyTally,
    /// The tally of the messages.
    pub messages: LegacyTally,
    /// The tally of the drafts.
    pub drafts: LegacyTally,
    /// Drafts that the outbox has no room for.
    pub no_room: Vec<LocalId>,
}

/// The numbers of rows that were new, changed stored data, and changed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegacyTally {
    /// New on this device.
    pub stored: u64,
    /// Known, and different now.
    pub merged: u64,
    /// Known, and the same.
    pub unchanged: u64,
}

impl LegacyTally {
    /// Counts one row.
    pub const fn note(&mut self, put: Put) {
        let count = match put {
            Put::Added => &mut self.stored,
            Put::Changed => &mut self.merged,
            Put::Unchanged => &mut self.unchanged,
        };
        *count += 1;
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            stored: self.stored.saturating_add(other.stored),
            merged: self.merged.saturating_add(other.merged),
            unchanged: self.unchanged.saturating_add(other.unchanged),
        }
    }
}
