//! A refusal: a code of the protocol with a text for people.

use sampan::wire::generated::ErrorCommand;
use sampan::wire::{Command, ServiceCode};

use super::hook_call::HookCall;
use crate::storage::StorageError;

/// The reason why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The protocol's code.
    pub code: ServiceCode,
    /// The exact fault, for people; never any content.
    pub detail: Option<String>,
    /// The code that the app's own server chose.
    pub app_code: Option<i32>,
    /// The words that the app's own server chose.
    pub app_msg: Option<String>,
}

impl Refusal {
    /// A refusal that says more than its code.
    pub fn because(code: ServiceCode, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::from(code)
        }
    }

    /// The body of an error, or of one failed member.
    #[must_use]
    pub fn to_error(&self) -> ErrorCommand {
        ErrorCommand {
            code: self.code.number(),
            reason: self.code.name().to_owned(),
            detail: self.detail.clone(),
            app_code: self.app_code,
            app_msg: self.app_msg.clone(),
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
        Self {
            code,
            detail: None,
            app_code: None,
            app_msg: None,
        }
    }
}

/// The reason why a command has no result: the rules say no, the storage failed, or a hook is to be asked
/// first.
#[derive(Debug)]
pub(in crate::core) enum Failure {
    /// The rules say no; the client is told.
    Refused(Refusal),
    /// The storage failed; the operator is told, and the client hears 4200.
    Storage(StorageError),
    /// The app's own server has to be asked first: nothing is changed yet.
    Asks(Box<HookCall>),
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
