//! Why a call failed, sorted by what an app can do about it.

use crate::model::{InvalidId, InvalidJson, InvalidKey};

/// Why a call failed, sorted by what an app can do about it.
///
/// A floor below says in its own files how its failures look from here, so that this file names
/// none of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
#[uniffi::export(Display)]
#[non_exhaustive]
pub enum SampanError {
    /// No retry can mend this call. `reason` names the argument, never its value.
    #[error("invalid argument: {reason}")]
    InvalidArgument {
        /// Which argument, and what it must be.
        reason: String,
    },
    /// What the call names is not on this device; a call that asks the service may find it.
    #[error("not found: {what}")]
    NotFound {
        /// What was looked for: a conversation, a message, an outbox entry.
        what: String,
    },
    /// The call needs the service and there is no open session; it was not queued.
    #[error("not connected: this call needs the service")]
    NotConnected,
    /// The service did not answer in time; whether it acted is unknown. It was not queued.
    #[error("the service did not answer in time")]
    TimedOut,
    /// The service said no; `code` is its own number, listed in `docs/wire.md`.
    #[error("the service refused with {code}: {reason}")]
    Refused {
        /// The service's number.
        code: u16,
        /// The service's name of the number.
        reason: String,
    },
    /// The store can't make the write durable now: the disk is full, the folder is not writable,
    /// or the device failed. Nothing was stored; reads go on, and writing resumes by itself.
    #[error("the store takes no writes: {reason}")]
    StoreUnavailable {
        /// What the operating system said.
        reason: String,
    },
    /// Another process, or another engine of this one, has the store open.
    #[error("the store is in use{}", .holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    StoreInUse {
        /// The process that holds it, where known.
        holder: Option<u32>,
    },
    /// A newer version of Sampan wrote the store; it was not touched.
    #[error("the store has schema {found}, this version reads up to {supported}")]
    StoreTooNew {
        /// The schema found.
        found: u32,
        /// The newest schema that this version reads.
        supported: u32,
    },
    /// The key does not open this store, or the store is encrypted and no key was given.
    #[error("the key does not open this store")]
    WrongKey,
    /// The app's own callback failed.
    #[error("the app's callback failed: {reason}")]
    Callback {
        /// What it said.
        reason: String,
    },
    /// The engine was shut down, or the client signed out, before or during the call.
    #[error("the engine is shut down or the client signed out")]
    Closed,
    /// The client is open on this engine already, with another tag.
    #[error("the client is open with another tag")]
    TagMismatch,
    /// The system gives this process no more threads or descriptors. Nothing happened.
    #[error("the system is out of resources: {reason}")]
    NoResources {
        /// Which resource is missing.
        reason: String,
    },
    /// A bug in Sampan; nothing was lost. Please report it.
    #[error("internal error: {reason}")]
    Internal {
        /// What went wrong, without user data.
        reason: String,
    },
}

impl SampanError {
    /// Whether the same call may succeed later without a change by the app.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NotConnected
            | Self::TimedOut
            | Self::StoreUnavailable { .. }
            | Self::NoResources { .. } => true,
            Self::InvalidArgument { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::StoreInUse { .. }
            | Self::StoreTooNew { .. }
            | Self::WrongKey
            | Self::Callback { .. }
            | Self::Closed
            | Self::TagMismatch
            | Self::Internal { .. } => false,
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
    fn a_store_in_use_names_the_holder_where_known() {
        let held = SampanError::StoreInUse { holder: Some(42) };
        assert_eq!(held.to_string(), "the store is in use by process 42");
        assert_eq!(
            SampanError::StoreInUse { holder: None }.to_string(),
            "the store is in use"
        );
    }
}
