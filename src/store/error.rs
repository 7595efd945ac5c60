//! The failures of calls to the store, and their form on the roof.

use std::io;

use crate::model::StoreHealth;
use crate::{SampanError, StoreTrouble, Subject};

/// The reason why a call to the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The caller asked for something that cannot be: no retry can mend it.
    #[error("invalid argument: {reason}")]
    InvalidArgument {
        /// The argument, and the rule that it breaks; never its value.
        reason: String,
    },
    /// A record is larger than the store takes.
    #[error("a {kind} record has {actual} bytes, the store takes {limit}")]
    TooLarge {
        /// The kind of record.
        kind: &'static str,
        /// The length of the record, in bytes.
        actual: usize,
        /// The most a record may have, in bytes.
        limit: usize,
    },
    /// The conversation that a write names is not in the store.
    #[error("no such conversation in the store")]
    NoSuchConversation,
    /// Another conversation has the id already.
    #[error("the conversation id is taken")]
    IdTaken,
    /// The operating system refused: the disk is full, the device failed, the folder is not
    /// writable. Nothing of the batch was stored.
    #[error("{during} failed: {reason}")]
    Io {
        /// The work that failed.
        during: &'static str,
        /// The sort of trouble.
        trouble: StoreTrouble,
        /// The message of the operating system.
        reason: String,
    },
    /// Writing failed before; the store can only be read until [`Writer::probe`] succeeds.
    ///
    /// [`Writer::probe`]: crate::store::writer::Writer::probe
    #[error("the store is read-only: {reason}")]
    ReadOnly {
        /// The sort of trouble.
        trouble: StoreTrouble,
        /// The reason why writing stopped.
        reason: String,
    },
    /// The inbox holds as many files as it may: the engine has not fetched any for long.
    #[error("the inbox holds {max} files, the most it may: open the app, which empties it")]
    InboxFull {
        /// The most files that may wait.
        max: usize,
    },
    /// The bytes on disk are not the bytes that were written.
    #[error("damaged: {what}")]
    Damaged {
        /// The damaged part of the store.
        what: String,
    },
    /// Another process, or another engine of this one, has the store open.
    #[error("the store is in use")]
    InUse {
        /// The process that holds it, where known.
        holder: Option<u32>,
    },
    /// A newer version of Sampan wrote the store; it was not touched.
    #[error("the store has schema {found}, this version reads up to {supported}")]
    TooNew {
        /// The schema found.
        found: u32,
        /// The newest schema that this version reads.
        supported: u32,
    },
    /// The key does not open this store, or it is encrypted and no key was given.
    #[error("the key does not open this store")]
    WrongKey,
}

impl StoreError {
    /// Makes an [`StoreError::Io`] from an error of the operating system.
    pub(crate) fn io(during: &'static str, error: &io::Error) -> Self {
        Self::Io {
            during,
            trouble: StoreTrouble::of(error),
            reason: error.to_string(),
        }
    }

    /// Makes an [`StoreError::Io`] of trouble that no operating system named.
    pub(in crate::store) fn device(during: &'static str, reason: impl Into<String>) -> Self {
        Self::Io {
            during,
            trouble: StoreTrouble::Device,
            reason: reason.into(),
        }
    }

    /// The sort of trouble, for a store that takes no writes because of it.
    #[must_use]
    pub const fn trouble(&self) -> StoreTrouble {
        match self {
            Self::Io { trouble, .. } | Self::ReadOnly { trouble, .. } => *trouble,
            _ => StoreTrouble::Device,
        }
    }

    /// The health of a store that takes no writes because of it.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        StoreHealth::ReadOnly {
            trouble: self.trouble(),
            reason: self.to_string(),
        }
    }

    /// Makes a [`StoreError::Damaged`].
    pub(in crate::store) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

impl From<StoreError> for SampanError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InvalidArgument { reason } => Self::InvalidArgument { reason },
            StoreError::TooLarge { actual, limit, .. } => Self::TooLarge {
                limit: limit.into(),
                actual: actual.into(),
            },
            StoreError::IdTaken => Self::InvalidArgument {
                reason: error.to_string(),
            },
            StoreError::NoSuchConversation => Self::NotFound {
                what: Subject::Conversation,
            },
            StoreError::InboxFull { max } => Self::OutboxFull { max: max.into() },
            StoreError::Io { trouble, .. } => Self::StoreUnavailable {
                trouble,
                reason: error.to_string(),
            },
            StoreError::ReadOnly { trouble, reason } => Self::StoreUnavailable { trouble, reason },
            StoreError::Damaged { .. } => Self::Internal {
                reason: error.to_string(),
            },
            StoreError::InUse { holder } => Self::StoreInUse {
                holder: holder.map(i64::from),
            },
            StoreError::TooNew { found, supported } => Self::StoreTooNew {
                found: schema(found),
                supported: schema(supported),
            },
            StoreError::WrongKey => Self::WrongKey,
        }
    }
}

/// The number of a schema, as an app sees it.
fn schema(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_a_failure_that_an_app_may_retry() {
        let full = StoreError::io("the commit", &io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.trouble(), StoreTrouble::DiskFull);
        let full = SampanError::from(full);
        assert!(full.is_retryable());
        let trouble = StoreTrouble::DiskFull;
        assert!(
            matches!(full, SampanError::StoreUnavailable { trouble: told, .. } if told == trouble)
        );
        assert!(!SampanError::from(StoreError::WrongKey).is_retryable());
    }
}
