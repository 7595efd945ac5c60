//! The delivery of an own message, and the obstacle that delays it.

use super::Uploads;
use crate::model::{
    ConversationState, OutboxEntryId, OutboxState, Progress, SendFailure, Timestamp, UploadFailure,
};
use crate::store::{ConversationRow, Entry};

/// The delivery of an own message.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Delivery {
    /// The message is durable on this device and waits.
    Waiting {
        /// The obstacle.
        blocker: Blocker,
    },
    /// The message is on its way to the service.
    Sending {
        /// The progress of its file's upload, told at most four times a second; none without an upload.
        progress: Option<Progress>,
    },
    /// The service has the message.
    Sent,
    /// The device of another member has the message.
    Delivered {
        /// The time, by the service's clock. Where the service told only a mark of the conversation, the
        /// message's own time.
        at: Timestamp,
    },
    /// Another member has read the message.
    Read {
        /// The time, by the service's clock. Where the service told only a mark of the conversation, the
        /// message's own time.
        at: Timestamp,
    },
    /// The message failed for good. It stays until the app retries or discards it.
    Failed {
        /// The reason.
        failure: SendFailure,
        /// True if a retry may succeed. A message that can't be sent as it is can only be discarded. A message
        /// of `Conversation.keep_failed` can be retried.
        can_retry: bool,
    },
}

impl Delivery {
    /// The delivery of an unsent message.
    #[must_use]
    pub fn of(entry: &Entry, row: &ConversationRow, reach: Reach) -> Self {
        match &entry.state {
            OutboxState::Failed { failure } => Self::failed(failure.clone(), entry.tries),
            OutboxState::InFlight => Self::Sending { progress: None },
            OutboxState::Queued if entry.upload().is_some() && reach == Reach::Online => {
                Self::Waiting {
                    blocker: Blocker::Upload,
                }
            }
            OutboxState::Queued => Self::Waiting {
                blocker: Blocker::of_queued(row, reach),
            },
        }
    }

    /// The same delivery, with the progress of the entry's upload.
    #[must_use]
    pub fn with_uploads(self, entry: OutboxEntryId, uploads: &Uploads) -> Self {
        let waits = Self::Waiting {
            blocker: Blocker::Upload,
        };
        match uploads.get(&entry) {
            Some(progress) if self == waits => Self::Sending {
                progress: Some(*progress),
            },
            _ => self,
        }
    }

    /// A message that failed for good after this number of tries.
    ///
    /// A message that can't be sent as it is counts as tried. A message without a try was kept by the app,
    /// which could not prepare it; a retry sends it.
    pub(super) const fn failed(failure: SendFailure, tries: u32) -> Self {
        let can_retry = match &failure {
            SendFailure::Unsendable { .. } => tries == 0,
            SendFailure::NotUploaded { failure } => {
                !matches!(failure, UploadFailure::CopyLost { .. })
            }
            _ => true,
        };
        Self::Failed { failure, can_retry }
    }
}

/// The reason why unsent work is not on its way, sorted by the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum Blocker {
    /// The client is not signed in: the work goes out with the next session.
    Offline,
    /// The store takes no writes, and nothing is sent that cannot be recorded: the disk needs space, or the
    /// folder must be writable.
    Store,
    /// The conversation must be made first, and its creation waits or failed.
    Creation,
    /// The file must be uploaded first, and the upload waits for other uploads or for its next try.
    Upload,
    /// The app's server is asked for the signature. Timelines and lists of conversations show `Creation` or
    /// `Turn` for this.
    Signature,
    /// The work waits for work that was enqueued before it. Timelines and lists of conversations show `Turn`
    /// for `Pace` too.
    Turn,
    /// The client waits, because the service limits the rate, left a command unanswered, or refused the last
    /// try for now. The work goes out by itself.
    Pace {
        /// The end of the wait, by this device's clock.
        until: Timestamp,
    },
}

/// The obstacle that keeps a client from sending at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The client is not signed in.
    #[default]
    Offline,
    /// The store takes no writes.
    ReadOnly,
    /// No obstacle.
    Online,
}

impl Blocker {
    /// The obstacle of an entry; none when the entry is on its way or failed.
    #[must_use]
    pub fn of(entry: &Entry, row: &ConversationRow, reach: Reach) -> Option<Self> {
        (entry.state == OutboxState::Queued).then(|| Self::of_queued(row, reach))
    }

    /// The obstacle of an entry that waits until a time and has no other obstacle.
    #[must_use]
    pub const fn kept_back(self, until: Option<Timestamp>) -> Self {
        match (self, until) {
            (Self::Turn, Some(until)) => Self::Pace { until },
            (other, _) => other,
        }
    }

    fn of_queued(row: &ConversationRow, reach: Reach) -> Self {
        match reach {
            Reach::ReadOnly => Self::Store,
            Reach::Offline => Self::Offline,
            Reach::Online if row.state == ConversationState::Live => Self::Turn,
            Reach::Online => Self::Creation,
        }
    }
}
