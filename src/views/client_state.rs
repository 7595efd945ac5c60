//! The state of a client in one small value: for the banner, the badge and support.

use crate::model::{
    CommitSeq, ConnectionFailure, Count, OutboxState, SessionEnd, StoreHealth, Timestamp,
};
use crate::store::{Snapshot, StoreError, UnreadTotal, UnreadTotals};

use super::Version;
use super::delivery::{Blocker, Reach};
use super::outbox::Holds;

/// The present state of a client.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Record)]
pub struct ClientState {
    /// The number of this state, for `nextState`; it grows with each change.
    pub version: Version,
    /// The connection to the service.
    pub link: LinkState,
    /// The progress of catching up with the service.
    pub sync: SyncState,
    /// The unread counts of all conversations together.
    pub unread: UnreadSummary,
    /// The unsent work.
    pub outbox: OutboxSummary,
    /// The ability of the store on this device to take writes.
    pub store: StoreHealth,
    /// The commit of the store at which unread counts and unsent work were read: they show every write whose
    /// own commit number is not greater. A commit that changes nothing else of the state makes no new version.
    pub seq: CommitSeq,
}

impl ClientState {
    /// Takes a newer reading. Only a change that an app shows makes a new version.
    pub fn renew(&mut self, newer: Self) {
        let seq = newer.seq;
        let newer = Self {
            version: self.version,
            seq: self.seq,
            ..newer
        };
        if newer != *self {
            *self = Self {
                version: self.version.next(),
                ..newer
            };
        }
        self.seq = seq;
    }
}

/// The state of connection and session in one value, for one banner.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Enum)]
pub enum LinkState {
    /// The app did not call `go_online`, or called `go_offline`.
    #[default]
    Off,
    /// The engine looks the service up, shakes hands or signs in.
    Connecting,
    /// The client is signed in.
    Online,
    /// The last attempt failed; the next one is planned.
    Waiting {
        /// The time of the next attempt, by this device's clock, for a countdown.
        retry_at: Timestamp,
        /// The reason why the last attempt failed, if it is known.
        failure: Option<ConnectionFailure>,
    },
    /// The device has no network; the engine waits for a hint that the network is back.
    NoNetwork,
    /// The app is in the background.
    Background,
    /// The service ended the session. It stays ended until the app calls `go_online` again.
    Ended {
        /// The reason.
        reason: SessionEnd,
    },
}

/// The progress of catching up with the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum SyncState {
    /// There is no session, the missed messages are not known yet, or the service does not tell them.
    #[default]
    Unknown,
    /// The engine fetches missed history.
    CatchingUp {
        /// The number of conversations that are caught up with.
        done: Count,
        /// The number of conversations that were behind, the finished ones included.
        total: Count,
    },
    /// This device has all missed messages that the engine fetches by itself, and new messages arrive live.
    Current {
        /// The time since which this holds, by this device's clock.
        since: Timestamp,
    },
}

/// The unsent work.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Record)]
pub struct OutboxSummary {
    /// The number of entries that wait or are on their way.
    pub waiting: Count,
    /// The number of entries that failed for good; the app retries or discards them.
    pub failed: Count,
    /// The reason why the oldest waiting entry is not on its way; none when it is, or no entry waits.
    pub blocker: Option<Blocker>,
    /// The time at which the oldest waiting entry was enqueued, by this device's clock.
    pub oldest: Option<Timestamp>,
}

/// Unread counts of all conversations together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct UnreadSummary {
    /// The sum over all conversations.
    pub all: UnreadSum,
    /// The sum over the conversations that are not muted: the number for a badge.
    pub unmuted: UnreadSum,
}

/// One sum of unread counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct UnreadSum {
    /// Unread messages.
    pub messages: Count,
    /// The number of conversations with unread messages.
    pub conversations: Count,
    /// The number of conversations whose unread messages mention the client.
    pub mentioning: Count,
    /// The number of conversations whose count is only a lower bound.
    pub at_least: Count,
}

impl From<UnreadTotals> for UnreadSummary {
    fn from(totals: UnreadTotals) -> Self {
        Self {
            all: totals.all.into(),
            unmuted: totals.unmuted.into(),
        }
    }
}

impl From<UnreadTotal> for UnreadSum {
    fn from(total: UnreadTotal) -> Self {
        Self {
            messages: Count::from(total.messages),
            conversations: Count::from(total.conversations),
            mentioning: Count::from(total.mentioning),
            at_least: Count::from(total.at_least),
        }
    }
}

impl OutboxSummary {
    /// The summary of the unsent work in a store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Damaged`] when the store can't be read.
    pub fn of(snapshot: &Snapshot<'_>, reach: Reach, holds: &Holds) -> Result<Self, StoreError> {
        let mut summary = Self::default();
        let mut first = None;
        for entry in snapshot.outbox() {
            if matches!(entry.state, OutboxState::Failed { .. }) {
                summary.failed = summary.failed.next();
            } else {
                summary.waiting = summary.waiting.next();
                first.get_or_insert(entry);
            }
        }
        if let Some(entry) = first {
            summary.oldest = Some(entry.enqueued_at);
            let row = snapshot.conversation(entry.conversation)?;
            let blocker = row.and_then(|row| Blocker::of(&entry, &row, reach));
            let blocker = blocker.map(|it| it.kept_back(holds.until(&entry)));
            summary.blocker = holds.signature(entry.id).or(blocker);
        }
        Ok(summary)
    }
}
