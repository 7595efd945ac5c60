//! One small state of a client: for the banner, the badge and support.

use crate::model::{
    CommitSeq, ConnectionFailure, Count, OutboxState, SessionEnd, StoreHealth, Timestamp,
};
use crate::store::{Snapshot, StoreError, UnreadTotal, UnreadTotals};

use super::Version;
use super::delivery::{Blocker, Reach};
use super::outbox::Holds;

/// How a client is now.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Record)]
pub struct ClientState {
    /// Grows with each change: `nextState` takes it.
    pub version: Version,
    /// Whether it reaches the service.
    pub link: LinkState,
    /// Whether this device has what the service has.
    pub sync: SyncState,
    /// The unread counts of all conversations together.
    pub unread: UnreadSummary,
    /// The unsent work.
    pub outbox: OutboxSummary,
    /// Whether the store on this device takes writes.
    pub store: StoreHealth,
    /// The commit of the store that unread counts and unsent work were read at: they show every write that answered
    /// this number or a smaller one. A commit that changes nothing else of the state makes no new version.
    pub seq: CommitSeq,
}

impl ClientState {
    /// Takes what was read meanwhile. Only what an app shows makes a new version.
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

/// Whether a client reaches the service: connection and session in one, for one banner.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Enum)]
pub enum LinkState {
    /// The app did not ask to be online.
    #[default]
    Off,
    /// On the way: looking the service up, shaking hands, signing in.
    Connecting,
    /// Signed in.
    Online,
    /// The last attempt failed; the next one is planned.
    Waiting {
        /// When, by this device's clock: a countdown shows the rest.
        retry_at: Timestamp,
        /// Why the last attempt failed, if it is known.
        failure: Option<ConnectionFailure>,
    },
    /// The device has no network; the engine waits for a hint that it is back.
    NoNetwork,
    /// The app is in the background.
    Background,
    /// Signed out by the service: it stays so until the app connects again.
    Ended {
        /// The reason.
        reason: SessionEnd,
    },
}

/// Whether this device has what the service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum SyncState {
    /// There is no session, or it is not known yet what was missed, or the service does not tell.
    #[default]
    Unknown,
    /// Missed history is being fetched.
    CatchingUp {
        /// So many conversations are caught up with.
        done: Count,
        /// So many are known to be behind, those that are done included.
        total: Count,
    },
    /// Everything that was missed is on this device, as far as it is fetched without being asked for,
    /// and new messages arrive by themselves.
    Current {
        /// Since when, by this device's clock.
        since: Timestamp,
    },
}

/// The unsent work.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Record)]
pub struct OutboxSummary {
    /// So many entries wait or are on their way.
    pub waiting: Count,
    /// So many failed for good: the app retries or discards them.
    pub failed: Count,
    /// Why the oldest of the waiting ones is not on its way; none when it is, or nothing waits.
    pub blocker: Option<Blocker>,
    /// When the oldest of the waiting ones was enqueued, by this device's clock.
    pub oldest: Option<Timestamp>,
}

/// Unread counts of all conversations together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct UnreadSummary {
    /// Of all conversations.
    pub all: UnreadSum,
    /// Of those that are not muted: the number for a badge.
    pub unmuted: UnreadSum,
}

/// One sum of unread counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct UnreadSum {
    /// Unread messages.
    pub messages: Count,
    /// Conversations with something unread.
    pub conversations: Count,
    /// Conversations whose unread messages mention the client.
    pub mentioning: Count,
    /// Conversations whose count is only a lower bound.
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
