//! Failures of calls, sorted by the remedy that an app has.

use std::{fmt, io};

use crate::model::{Count, InvalidId, InvalidJson, InvalidKey, InvalidLink, Refusal};

/// The reason why a call failed, sorted by the remedy that an app has.
///
/// Each floor below converts its failures in its own files, so this file names no other floor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
#[non_exhaustive]
pub enum SampanError {
    /// No retry helps: the call is wrong. `reason` names the argument, never its value.
    #[error("invalid argument: {reason}")]
    InvalidArgument {
        /// The argument, and the rule that it breaks.
        reason: String,
    },
    /// The message, draft or file is too large. Both numbers are bytes; for a message they include the command
    /// around it.
    #[error("it needs {actual} bytes and {limit} are allowed")]
    TooLarge {
        /// The largest size.
        limit: Count,
        /// The actual size.
        actual: Count,
    },
    /// The outbox has no room for more unsent work; there is room again when some of it was sent.
    #[error("{max} pieces of unsent work wait already, the most that may")]
    OutboxFull {
        /// The most entries of the outbox.
        max: Count,
    },
    /// The present state of a conversation, message or entry does not allow the call.
    #[error("not possible now: {obstacle}")]
    NotPossible {
        /// The obstacle.
        obstacle: Obstacle,
    },
    /// A thing that the call names is not on this device. A call that asks the service may find it.
    #[error("{what} is not there")]
    NotFound {
        /// The kind of thing.
        what: Subject,
    },
    /// The call would lose unsent work, and the app did not allow that. Nothing was changed.
    #[error("{count} pieces of unsent work would be lost")]
    Unsent {
        /// The number of unsent entries.
        count: Count,
    },
    /// The call needs the service and there is no open session. The call was not queued.
    #[error("not connected: this call needs the service")]
    NotConnected,
    /// The service did not answer in time; it may have acted. The call was not queued.
    #[error("the service did not answer in time")]
    TimedOut,
    /// The service refused; `docs/wire.md` lists its codes.
    #[error("the service refused with {code}: {reason}")]
    Refused {
        /// The kind of refusal.
        refusal: Refusal,
        /// The service's code.
        code: i32,
        /// The service's name for the code.
        reason: String,
    },
    /// The store can't make the write durable now: the disk is full, the folder is not writable, or the device
    /// failed. Nothing was stored. Reads go on, and writing resumes by itself.
    #[error("the store takes no writes: {reason}")]
    StoreUnavailable {
        /// The kind of trouble.
        trouble: StoreTrouble,
        /// The words of the operating system.
        reason: String,
    },
    /// Another process, or another engine of this one, has the store open.
    #[error("the store is in use{}", .holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    StoreInUse {
        /// The id of the process that has the store, where known.
        holder: Option<i64>,
    },
    /// A newer version of Sampan wrote the store. The store was not changed.
    #[error("the store has schema {found}, this version reads up to {supported}")]
    StoreTooNew {
        /// The schema found.
        found: i32,
        /// The newest schema that this version reads.
        supported: i32,
    },
    /// The key does not open this store, or the store is encrypted and no key was given.
    #[error("the key does not open this store")]
    WrongKey,
    /// The app's own callback failed.
    #[error("the app's callback failed: {reason}")]
    Callback {
        /// The words of the callback.
        reason: String,
    },
    /// The client is signed out, before or during the call.
    #[error("the client signed out")]
    SignedOut,
    /// The engine was shut down, before or during the call.
    #[error("the engine is shut down")]
    ShutDown,
    /// The view was ended, before or during the call.
    #[error("the view has ended")]
    ViewEnded,
    /// The client is open on this engine already, with another tag.
    #[error("the client is open with another tag")]
    TagMismatch,
    /// The system gives this process no more threads or descriptors. Nothing was changed.
    #[error("the system is out of resources: {reason}")]
    NoResources {
        /// The missing resource.
        reason: String,
    },
    /// A bug in Sampan; nothing was lost. Please report it.
    #[error("internal error: {reason}")]
    Internal {
        /// The failure, without user data.
        reason: String,
    },
}

/// The kinds of things that a call may not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
#[non_exhaustive]
pub enum Subject {
    /// A conversation.
    Conversation,
    /// A message.
    Message,
    /// A piece of unsent work.
    OutboxEntry,
    /// The data of a client on this device.
    Account,
    /// A gap of a view.
    Gap,
    /// The cache file of another SDK, for an import.
    LegacyCache,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conversation => "the conversation",
            Self::Message => "the message",
            Self::OutboxEntry => "the outbox entry",
            Self::Account => "the account",
            Self::Gap => "the gap",
            Self::LegacyCache => "the cache",
        })
    }
}

/// The reasons why a call is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
#[non_exhaustive]
pub enum Obstacle {
    /// The client left the conversation, or the service refused to make it.
    ConversationLeft,
    /// The entry is being sent, or it was sent and may have arrived.
    OnItsWay,
    /// Only a failed entry can be tried again.
    HasNotFailed,
    /// The message is another client's.
    NotYours,
    /// The message was recalled.
    Recalled,
    /// A read mark can't be taken back: the count that it cleared is gone.
    ReadMark,
    /// The kind of the conversation does not allow it.
    KindDoesNotAllow,
    /// In the first generation, only a client that watches a peer may send to it.
    NotWatched,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConversationLeft => "the conversation takes no messages of this client",
            Self::OnItsWay => "it is on its way",
            Self::HasNotFailed => "it has not failed",
            Self::NotYours => "it is another client's",
            Self::Recalled => "the message was recalled",
            Self::ReadMark => "a read mark can't be taken back",
            Self::KindDoesNotAllow => "conversations of this kind can't do it",
            Self::NotWatched => "the receiver is not watched",
        })
    }
}

/// The reasons why a store takes no writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum StoreTrouble {
    /// The disk is full, or the app has used its share of it.
    DiskFull,
    /// The folder can't be written: its rights or its file system do not allow it.
    ReadOnly,
    /// The device failed, its data are damaged, or the store is not open.
    Device,
}

impl StoreTrouble {
    /// The sort of an error of the operating system.
    pub(crate) fn of(error: &io::Error) -> Self {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull,
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Device,
        }
    }
}

#[uniffi::export]
impl SampanError {
    /// Tells if the same call may succeed later without a change by the app.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotConnected
            | Self::TimedOut
            | Self::OutboxFull { .. }
            | Self::StoreUnavailable { .. }
            | Self::NoResources { .. } => true,
            Self::Refused { refusal, .. } => refusal.is_retryable(),
            Self::InvalidArgument { .. }
            | Self::TooLarge { .. }
            | Self::NotPossible { .. }
            | Self::NotFound { .. }
            | Self::Unsent { .. }
            | Self::StoreInUse { .. }
            | Self::StoreTooNew { .. }
            | Self::WrongKey
            | Self::Callback { .. }
            | Self::SignedOut
            | Self::ShutDown
            | Self::ViewEnded
            | Self::TagMismatch
            | Self::Internal { .. } => false,
        }
    }
}

impl SampanError {
    /// The sort of trouble that keeps a store from working.
    pub(crate) const fn trouble(&self) -> StoreTrouble {
        match self {
            Self::StoreUnavailable { trouble, .. } => *trouble,
            _ => StoreTrouble::Device,
        }
    }

    /// A refusal of the service, with its number and the number's name.
    pub(crate) fn refused(code: i32, reason: impl Into<String>) -> Self {
        Self::Refused {
            refusal: Refusal::of_code(code),
            code,
            reason: reason.into(),
        }
    }
}

impl From<InvalidId> for SampanError {
    fn from(error: InvalidId) -> Self {
        Self::InvalidArgument {
            reason: error.to_string(),
        }
    }
}

impl From<InvalidJson> for SampanError {
    fn from(error: InvalidJson) -> Self {
        Self::InvalidArgument {
            reason: error.to_string(),
        }
    }
}

impl From<InvalidKey> for SampanError {
    fn from(error: InvalidKey) -> Self {
        Self::InvalidArgument {
            reason: error.to_string(),
        }
    }
}

impl From<InvalidLink> for SampanError {
    fn from(error: InvalidLink) -> Self {
        Self::InvalidArgument {
            reason: error.to_string(),
        }
    }
}

impl From<uniffi::UnexpectedUniFFICallbackError> for SampanError {
    /// An exception that the app's callback did not declare.
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Callback {
            reason: error.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClientId;

    #[test]
    fn an_invalid_id_is_an_invalid_argument_that_tells_the_rule() {
        let error = SampanError::from(ClientId::new("").unwrap_err());
        assert_eq!(
            error.to_string(),
            "invalid argument: a client id must be 1 to 64 characters long, got 0"
        );
        assert!(!error.is_retryable());
    }

    #[test]
    fn a_full_outbox_and_a_rate_limit_may_be_tried_again_and_a_left_conversation_not() {
        let full = SampanError::OutboxFull { max: Count(9) };
        assert!(full.is_retryable());
        assert!(SampanError::refused(4116, "").is_retryable());
        assert!(!SampanError::refused(4401, "").is_retryable());
        let left = SampanError::NotPossible {
            obstacle: Obstacle::ConversationLeft,
        };
        assert!(!left.is_retryable());
        assert_eq!(
            left.to_string(),
            "not possible now: the conversation takes no messages of this client"
        );
    }

    #[test]
    fn a_store_in_use_names_the_holder_where_known() {
        let held = SampanError::StoreInUse { holder: Some(42) };
        assert_eq!(held.to_string(), "the store is in use by process 42");
        assert_eq!(
            SampanError::StoreInUse { holder: None }.to_string(),
            "the store is in use"
        );
    }
}
