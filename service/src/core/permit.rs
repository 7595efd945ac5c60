//! Signatures on commands, where the app's settings ask for them.

use sampan::model::{ClientId, Now};
use sampan::wire::signature::SignedAction;

use super::app::App;
use super::refusal::Refusal;
use super::signature::{self, Presented};

/// What stands beside a command: time, nonce and signature, as far as they were sent.
pub(super) type Sent<'a> = (Option<i64>, Option<&'a str>, Option<&'a str>);

/// Refuses an operation that must be signed and is not, with the operation's own code.
pub(super) fn check(
    app: &App,
    now: Now,
    client: &ClientId,
    action: SignedAction<'_>,
    (t, n, s): Sent<'_>,
) -> Result<(), Refusal> {
    let presented = Presented::from_fields(t, n, s);
    signature::check(app, client, action, presented, now.wall)
        .map_err(|error| Refusal::because(signature::refusal(&action), error.to_string()))
}
