//! How far an own message got, and the obstacle that holds it up.

use super::Uploads;
use crate::model::{
    ConversationState, OutboxEntryId, OutboxState, Progress, SendFailure, Timestamp, UploadFailure,
};
use crate::store::{ConversationRow, Entry};

/// How far an own message got.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Delivery {
    /// It is durable on this device and waits.
    Waiting {
        /// The obstacle.
        blocker: Blocker,
    },
    /// It is on its way to the service.
    Sending {
        /// How far its file is, while that is uploaded; told at most four times a second.
        progress: Option<Progress>,
    },
    /// The service has it.
    Sent,
    /// Another member's device has it.
    Delivered {
        /// When, by the service's clock; where the service told only how far the conversation got,
        /// the message's own time.
        at: Timestamp,
    },
    /// Another member has read it.
    Read {
        /// When, by the service's clock; where the service told only how far the conversation got,
        /// the message's own time.
        at: Timestamp,
    },
    /// It failed for good; it stays until the app retries or discards it.
    Failed {
        /// The reason.
        failure: SendFailure,
        /// True if trying again may help: a message that can't be sent as it is can only be discarded. One that
        /// `Conversation.keep_failed` keeps can be tried.
        can_retry: bool,
    },
}

impl Delivery {
    /// How far an unsent message got.
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

    /// The same, if the file of the entry is on its way.
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

    /// One that failed for good after so many tries.
    ///
    /// A message that can't be sent as it is counts as tried. One that nobody tried was kept by the app, which could
    /// not make it ready then: it goes out when it is retried.
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

/// Why unsent work is not on its way, which tells what would unblock it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum Blocker {
    /// The client is not signed in: it goes with the next session.
    Offline,
    /// The store takes no writes, and nothing is sent that could not be noted: the disk needs space, or
    /// to be writable.
    Store,
    /// Its conversation has to be made first, and the making waits or failed.
    Creation,
    /// Its file has to be uploaded first, and the upload waits: for other uploads, or for another try.
    Upload,
    /// The app's server is asked to sign it. In a timeline and a list of conversations
    /// `Creation` and `Turn` stand for this too.
    Signature,
    /// It waits for its turn, behind the work that was enqueued before it. In a timeline and a list of conversations
    /// this stands for `Pace` too.
    Turn,
    /// The client keeps it back, because the service allows so much in a minute, left something
    /// unanswered, or refused the last try for the time being. It goes by itself.
    Pace {
        /// Until when, by this device's clock.
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
    /// The obstacle that holds an entry up; none when the entry is on its way or failed.
    #[must_use]
    pub fn of(entry: &Entry, row: &ConversationRow, reach: Reach) -> Option<Self> {
        (entry.state == OutboxState::Queued).then(|| Self::of_queued(row, reach))
    }

    /// The same of one that is kept back until a time, if it could go otherwise.
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
