//! Signatures on commands, where the app's settings ask for them.

use sampan::model::{ClientId, Timestamp};
use sampan::wire::signature::SignedAction;

use super::app::App;
use super::signature::{self, Accepted, Presented, SignatureError};
use crate::core::exchange::refusal::Refusal;

/// The signature fields of a command: time, nonce and signature, as far as they were sent.
pub(in crate::core) type SentSignature<'a> = (Option<i64>, Option<&'a str>, Option<&'a str>);

/// Refuses an operation that must be signed and is not, with the operation's own code. `wall` is
/// the machine's clock: the app's server signs by its own.
pub(in crate::core) fn check(
    app: &App,
    wall: Timestamp,
    client: &ClientId,
    action: SignedAction<'_>,
    (t, n, s): SentSignature<'_>,
) -> Result<Option<Accepted>, Refusal> {
    let presented = Presented::from_fields(t, n, s);
    signature::check(app, client, action, presented, wall).map_err(|error| refuse(&action, error))
}

/// The refusal of an operation whose signature is not accepted.
pub(in crate::core) fn refuse(action: &SignedAction<'_>, error: SignatureError) -> Refusal {
    Refusal::because(signature::refusal(action), error.to_string())
}
