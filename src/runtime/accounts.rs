//! Signing in with the session of an account: the service signs for the client whose session it is.

use std::sync::Arc;

use super::uploads::{FileService, is_passing};
use crate::net::Transport;
use crate::sync::OperationSignature;
use crate::wire::{account, files};
use crate::{Config, Secret};

/// The reason why there is no signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// Something that may pass.
    Later(String),
    /// The service does not take the session: the number of the app's own server, or else the HTTP status, and
    /// the words with it.
    Refused(i32, String),
}

/// The service's signing for sessions of accounts.
#[derive(Clone)]
pub(super) struct AccountService(FileService);

impl AccountService {
    pub(super) fn new(config: &Config, transport: Arc<dyn Transport>) -> Self {
        Self(FileService::new(config, transport))
    }

    /// The REST interface.
    pub(super) fn rest(&self) -> FileService {
        self.0.clone()
    }

    /// Asks for the signature of a sign-in.
    pub(super) async fn sign(&self, session: &Secret) -> Result<OperationSignature, Unsigned> {
        let body = account::sign_request(session);
        let answer = self.0.post(account::SIGN_PATH, body).await;
        let (status, body) = answer.map_err(|error| Unsigned::Later(format!("{error:?}")))?;
        match status {
            // The answer of a network's sign-in page is no signature either.
            200..=299 => {
                account::signature(&body).map_err(|error| Unsigned::Later(error.to_string()))
            }
            400..=499 if !is_passing(status) => {
                let (code, reason) = files::refusal(&body);
                let reason = reason.unwrap_or_else(|| "it said no more".to_owned());
                Err(Unsigned::Refused(
                    code.unwrap_or_else(|| status.into()),
                    reason,
                ))
            }
            status => Err(Unsigned::Later(format!("HTTP status {status}"))),
        }
    }
}
