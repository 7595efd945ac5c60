//! Saying no: a code of the protocol with a text for people.

use sampan::wire::generated::ErrorCommand;
use sampan::wire::{Command, ServiceCode};

use crate::storage::StorageError;

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The protocol's code.
    pub code: ServiceCode,
    /// What exactly was wrong, for people; never any content.
    pub detail: Option<String>,
}

impl Refusal {
    /// A refusal that says more than its code.
    pub fn because(code: ServiceCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
        }
    }

    /// The body of an error, or of one failed member.
    #[must_use]
    pub fn to_error(&self) -> ErrorCommand {
        ErrorCommand {
            code: self.code.number(),
            reason: self.code.name().to_owned(),
            detail: self.detail.clone(),
            ..ErrorCommand::default()
        }
    }

    /// The `error` command.
    #[must_use]
    pub fn to_command(&self) -> Command {
        Command::Error(self.to_error())
    }
}

impl From<ServiceCode> for Refusal {
    fn from(code: ServiceCode) -> Self {
        Self { code, detail: None }
    }
}

/// Why a command has no result: the rules say no, or the storage failed.
#[derive(Debug)]
pub(in crate::core) enum Failure {
    /// To be told to the client.
    Refused(Refusal),
    /// To be told to the operator; the client hears 4200.
    Storage(StorageError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ServiceCode> for Failure {
    fn from(code: ServiceCode) -> Self {
        Self::Refused(code.into())
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
