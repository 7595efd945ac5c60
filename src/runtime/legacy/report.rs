//! The app's description of an older SDK's cache, and the report of its import.

use std::path::PathBuf;

use crate::sync::{LegacyTaken, LegacyTally};

/// The SDKs whose caches can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub enum LegacyKind {
    /// Android and Java: the file `com.avos.avoscloud.im.v2.<client id>` among the app's databases.
    Java,
    /// Objective-C: the file `Library/Caches/LeanCloud/MessageCache/<client id>`.
    ObjectiveC,
    /// Swift: the file `database.sqlite` in a folder of `Application Support/com.leancloud.swift`.
    Swift,
}

/// A cache to import.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct LegacySource {
    /// The SQLite file. Its journals are expected beside it; none of them is changed.
    pub path: PathBuf,
    /// The conversations to import.
    pub scope: LegacyScope,
}

/// The conversations of a cache to import. The Objective-C and Java SDKs keep the caches of several apps of one
/// build, such as a test app and the real one, in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
pub enum LegacyScope {
    /// Those that are on this device already, and those that the service tells of when the session is open.
    /// Others are listed in the report. A cache of the Swift SDK in its own folder is of this app for
    /// sure: of it everything is taken.
    KnownConversations,
    /// All of them.
    AllConversations,
}

/// The progress of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct LegacyProgress {
    /// Rows read out of the cache.
    pub read: u64,
    /// Rows that there are to read.
    pub to_read: u64,
    /// Messages and drafts handed to the store.
    pub stored: u64,
    /// Messages and drafts that there are to store; zero until the cache is read.
    pub to_store: u64,
}

/// The result of an import. Each row that was read is counted once: in one of the three counts, in `repeated`, or
/// in `left`. Every row that is counted as stored or merged is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
#[non_exhaustive]
pub struct LegacyReport {
    /// The SDK that wrote the cache; none for a file without the tables of any, which is an empty cache.
    pub kind: Option<LegacyKind>,
    /// The number of rows that were read.
    pub rows: u64,
    /// The counts of conversations.
    pub conversations: LegacyCounts,
    /// The counts of messages.
    pub messages: LegacyCounts,
    /// The counts of messages that were never sent: they wait in the outbox as failed ones.
    pub drafts: LegacyCounts,
    /// Rows that repeat a message of another row.
    pub repeated: u64,
    /// Each row that was not taken, and why.
    pub left: Vec<LegacyLeft>,
    /// The damaged places of the file, whose rows are lost.
    pub damage: Vec<String>,
    /// The number of messages with a time before 2011 or after tomorrow, which are imported as they are.
    pub odd_times: u64,
    /// True if the import was cancelled before its end. The same call again takes the rest.
    pub is_cancelled: bool,
}

/// The rows that were new on this device, changed stored data, or changed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct LegacyCounts {
    /// New on this device.
    pub stored: u64,
    /// Known on this device, and different now.
    pub merged: u64,
    /// Known on this device, and the same.
    pub unchanged: u64,
}

impl LegacyCounts {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.stored
            .saturating_add(self.merged)
            .saturating_add(self.unchanged)
    }

    const fn of(tally: LegacyTally) -> Self {
        Self {
            stored: tally.stored,
            merged: tally.merged,
            unchanged: tally.unchanged,
        }
    }

    fn plus(self, tally: LegacyTally) -> Self {
        let own = LegacyTally {
            stored: self.stored,
            merged: self.merged,
            unchanged: self.unchanged,
        };
        Self::of(own.plus(tally))
    }
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct LegacyLeft {
    /// Its table in the cache.
    pub table: String,
    /// Its number in the table (`rowid`).
    pub row: i64,
    /// Its conversation, as far as the row has one.
    pub conversation: Option<String>,
    /// Its message id or token, as far as the row has one.
    pub message: Option<String>,
    /// The reason.
    pub reason: LegacyReason,
}

/// The reason why a row was not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, uniffi::Enum)]
#[non_exhaustive]
pub enum LegacyReason {
    /// Nobody knows its conversation: it may be another app's. Import with `AllConversations` to take it.
    UnknownConversation,
    /// It names no conversation.
    NoConversation,
    /// The row is a draft without content, such as a file that was never uploaded.
    NoContent,
    /// The row is a draft, and the same message was sent soon afterwards.
    SentAfterAll,
    /// The outbox has no room for the draft: retry or discard others, and import again.
    OutboxFull,
    /// It cannot be understood, or an id in it is none.
    Malformed,
}

impl LegacyReport {
    /// Adds the outcome of a part.
    pub(super) fn note(&mut self, taken: &LegacyTaken) {
        self.conversations = self.conversations.plus(taken.conversations);
        self.messages = self.messages.plus(taken.messages);
        self.drafts = self.drafts.plus(taken.drafts);
    }

    /// True if every row is accounted for.
    pub(super) fn is_complete(&self) -> bool {
        let counted = [self.conversations, self.messages, self.drafts];
        let counted = counted.iter().map(LegacyCounts::all).sum::<u64>();
        let left = u64::try_from(self.left.len()).unwrap_or(u64::MAX);
        counted.saturating_add(self.repeated).saturating_add(left) == self.rows
    }
}
