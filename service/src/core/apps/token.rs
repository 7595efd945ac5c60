//! Session tokens: the record that is kept of a token, and the life of a token.

use std::time::Duration;

use sampan::wire::signature::hmac_sha1_hex;

use super::app::App;

/// The digest under which a token is kept: its HMAC with the app's master key. A reader of the data cannot sign
/// in with it, and a new master key ends all sessions.
pub(in crate::core) fn digest(app: &App, token: &str) -> String {
    hmac_sha1_hex(app.credentials.master_key.expose(), token)
}

/// A life in whole seconds for the wire, small enough for SDKs that multiply it by 1000 in 32 bits.
pub(in crate::core) fn seconds(life: Duration) -> i32 {
    const MAX: i32 = 2_147_482;
    i32::try_from(life.as_secs()).unwrap_or(MAX).min(MAX)
}
